"""Texts for people: English as they stand, with what it takes to say them in another language.

A `Phrase` is a `str` like any other, so logs, tables and a shell need to know nothing of it. Whoever
talks to a person hands it to a `Translator`. Text that is put together otherwise, by an f-string or
`+`, stays English.
"""

from __future__ import annotations

import re
from gettext import NullTranslations, translation
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    Say = Callable[[str], str]  # a `Translator`, or `str`, which leaves it in English

DOMAIN: Final = "bot"
CATALOGUES: Final = Path(__file__).with_name("locale")
LANGUAGES: Final = ("en", "ru")  # the first needs no catalogue


class Phrase(str):
    """`one` is what a catalogue has, `many` the text for several where it counts."""

    __slots__ = ("many", "one", "values")
    one: str
    many: str | None
    values: Mapping[str, object]

    @classmethod
    def of(cls, text: str, one: str, many: str | None, values: Mapping[str, object]) -> Self:
        made = cls(text)
        made.one, made.many, made.values = one, many, values
        return made

    def said(self, say: Say, catalogue: NullTranslations) -> str:
        number = self.values.get("n")
        if self.many is not None and isinstance(number, int):
            frame = catalogue.ngettext(self.one, self.many, number)
        else:
            frame = catalogue.gettext(self.one)
        return frame.format(**_each(say, self.values)) if self.values else frame


class Joined(Phrase):
    """Parts beside each other, of which each is said for itself. `one` is what is between."""

    __slots__ = ("parts",)
    parts: Sequence[str]

    def said(self, say: Say, catalogue: NullTranslations) -> str:
        del catalogue
        return say(self.one).join(map(say, self.parts))


def phrase(text: str, /, **values: object) -> str:
    """`text` is for the catalogue: a literal, or what `later` has marked."""
    return Phrase.of(text.format(**values) if values else text, text, None, values)


def plural(one: str, many: str, /, n: int, **values: object) -> str:
    """What is counted by {n}. Both texts are literals."""
    values["n"] = n
    return Phrase.of((one if n == 1 else many).format(**values), one, many, values)


def later(text: str) -> str:
    """Marks a literal that is handed to `phrase` somewhere else."""
    return text


def joined(between: str, parts: Iterable[str]) -> str:
    """As `between.join`. What is between may be a phrase, too."""
    parts = tuple(parts)
    made = Joined.of(between.join(parts), between, None, {})
    made.parts = parts
    return made


def lines_of(text: str) -> list[str]:
    """Its lines, each of which can be said for itself where it was put together so."""
    if isinstance(text, Joined) and text.one == "\n":
        return [line for part in text.parts for line in lines_of(part)]
    return [text] if isinstance(text, Phrase) else text.splitlines()


def _each(say: Say, values: Mapping[str, object]) -> dict[str, object]:
    return {name: say(each) if isinstance(each, str) else each for name, each in values.items()}


class Translator:
    def __init__(self, catalogue: NullTranslations) -> None:
        self._catalogue = catalogue

    def __call__(self, text: str) -> str:
        """What is no phrase is data, and stays as it is."""
        return text.said(self, self._catalogue) if isinstance(text, Phrase) else text


def translator(language: str) -> Translator:
    """For one of `LANGUAGES`."""
    if language == LANGUAGES[0]:
        return Translator(NullTranslations())
    return Translator(translation(DOMAIN, CATALOGUES, [language]))


def preferred(text: str) -> str | None:
    """The first of `LANGUAGES` in a list such as "ru_RU.UTF-8:en"; None: it has none of them."""
    codes = (re.split(r"[-_.@]", part.strip().lower())[0] for part in text.split(":"))
    return next((code for code in codes if code in LANGUAGES), None)


def by_locale(environ: Mapping[str, str]) -> str:
    """As gettext finds it, but that LANGUAGE counts in the locale C, too, which services have.

    https://www.gnu.org/software/gettext/manual/html_node/Locale-Environment-Variables.html
    """
    names = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")
    said = next((value for name in names if (value := environ.get(name))), "")
    return preferred(said) or LANGUAGES[0]
