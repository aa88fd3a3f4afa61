"""Texts for people: English as they stand, with what it takes to say them in another language.

A `Phrase` is a `str` like any other, so logs, tables and a shell need to know nothing of it. Whoever
talks to a person hands it to a `Translator`. Text that is put together otherwise, by an f-string or
`+`, stays English.
"""

from __future__ import annotations

import re
from gettext import NullTranslations, translation
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Say = Callable[[str], str]  # a `Translator`, or `str`, which leaves it in English

DOMAIN: Final = "bot"
CATALOGUES: Final = Path(__file__).with_name("locale")
LANGUAGES: Final = ("en", "ru")  # the first needs no catalogue


class Form(NamedTuple):
    """What a catalogue has: the text with its fields, and that for several where it counts."""

    one: str
    many: str | None = None


class Phrase(str):
    """`form` None: parts put beside each other, of which only the parts are translated."""

    __slots__ = ("form", "frame", "values")
    form: Form | None
    frame: str
    values: Mapping[str, object]

    def __new__(cls, frame: str, form: Form | None, values: Mapping[str, object]) -> Self:
        made = super().__new__(cls, frame.format(**values) if values else frame)
        made.frame, made.form, made.values = frame, form, values
        return made


def phrase(text: str, /, **values: object) -> Phrase:
    """`text` is for the catalogue: a literal, or what `later` has marked."""
    return Phrase(text, Form(text), values)


def plural(one: str, many: str, /, n: int, **values: object) -> Phrase:
    """What is counted by {n}. Both texts are literals."""
    return Phrase(one if n == 1 else many, Form(one, many), {"n": n, **values})


def later(text: str) -> str:
    """Marks a literal that is handed to `phrase` somewhere else."""
    return text


def joined(between: str, parts: Iterable[str]) -> str:
    """As `between.join`."""
    named = {f"part{number}": part for number, part in enumerate(parts)}
    gap = between.replace("{", "{{").replace("}", "}}")
    return Phrase(gap.join(f"{{{name}}}" for name in named), None, named) if named else ""


class Translator:
    def __init__(self, catalogue: NullTranslations) -> None:
        self._catalogue = catalogue

    def __call__(self, text: str) -> str:
        """What is no phrase is data, and stays as it is."""
        if not isinstance(text, Phrase):
            return text
        values = {name: self._value(value) for name, value in text.values.items()}
        frame = self._frame(text)
        return frame.format(**values) if values else frame

    def _value(self, value: object) -> object:
        return self(value) if isinstance(value, Phrase) else value

    def _frame(self, text: Phrase) -> str:
        if text.form is None:
            return text.frame
        one, many = text.form
        if many is None:
            return self._catalogue.gettext(one)
        number = text.values["n"]
        assert isinstance(number, int)  # noqa: S101  # `plural` sees to it
        return self._catalogue.ngettext(one, many, number)


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
