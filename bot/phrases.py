"""Texts for people: English as they stand, with what it takes to say them in another language.

A `Phrase` is a `str` like any other, so logs, tables and a shell need to know nothing of it. Whoever
talks to a person hands it to a `Translator`. Text that is put together otherwise, by an f-string or
`+`, stays English.
"""

from __future__ import annotations

import re
from functools import cached_property
from gettext import NullTranslations, translation
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING, Final, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    Say = Callable[[str], str]  # a `Translator`, or `str`, which leaves it in English

WORDS: Final = re.compile(r"[A-Za-z]{2,}")
LONGEST_STORED: Final = 500  # characters of what is looked up by its English words
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


class Stored(Phrase):
    """English that comes from a table or a file, where scripts read it: what it was made of is found again."""

    __slots__ = ()

    def said(self, say: Say, catalogue: NullTranslations) -> str:
        del catalogue
        return say.found_again(str(self)) if isinstance(say, Translator) else str(self)


def stored(text: str) -> str:
    return Stored.of(text, text, None, {})


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


class Frame(NamedTuple):
    """A text of the catalogue with its fields, to be found in what was made of it."""

    text: str
    words: tuple[str, ...]  # between its fields
    pattern: str

    @classmethod
    def of(cls, text: str) -> Frame:
        pieces = [(words, field) for words, field, _, _ in Formatter().parse(text)]
        seen: set[str | None] = {None}
        pattern = ""
        for words, field in pieces:
            again = f"(?P={field})" if field in seen else f"(?P<{field}>.+?)"
            pattern += re.escape(words) + ("" if field is None else again)
            seen.add(field)
        return cls(text, tuple(words for words, _ in pieces), pattern)

    @property
    def weight(self) -> int:
        """The more words of its own, the less it fits by chance."""
        return sum(map(len, self.words))

    def values_in(self, text: str) -> dict[str, str] | None:
        """What stands in its fields there; None: it was not made of this."""
        if not all(words in text for words in self.words):
            return None
        found = re.fullmatch(self.pattern, text, re.DOTALL)
        return None if found is None else found.groupdict()


class Translator:
    """`texts`: those of the catalogue, by which English that was stored is found again."""

    def __init__(self, catalogue: NullTranslations, texts: Iterable[str] = ()) -> None:
        self._catalogue = catalogue
        self.texts = frozenset(texts)

    def __call__(self, text: str) -> str:
        """What is no phrase is data, and stays as it is."""
        return text.said(self, self._catalogue) if isinstance(text, Phrase) else text

    @cached_property
    def _frames(self) -> list[Frame]:
        found = (Frame.of(text) for text in self.texts if "{" in text)
        with_words = [frame for frame in found if any(map(WORDS.search, frame.words))]
        return sorted(with_words, key=lambda frame: (-frame.weight, frame.text))

    def found_again(self, text: str) -> str:
        """English of ours as it is said here, and all else as it is."""
        return self._again(text, whole=True) if len(text) <= LONGEST_STORED else text

    def _again(self, text: str, *, whole: bool) -> str:
        """A single word is ours in a field only: alone, it may be anybody's."""
        if text in self.texts and (not whole or " " in text):
            return self._catalogue.gettext(text)
        for frame in self._frames:
            values = frame.values_in(text)
            if values is not None:
                said = {name: self._again(value, whole=False) for name, value in values.items()}
                return self._catalogue.gettext(frame.text).format(**said)
        head, *rest = re.split(r"(; |: )", text, maxsplit=1)
        if not rest:
            return text
        return self._again(head, whole=True) + rest[0] + self._again(rest[1], whole=True)


def translator(language: str) -> Translator:
    """For one of `LANGUAGES`."""
    if language == LANGUAGES[0]:
        return Translator(NullTranslations())
    found = translation(DOMAIN, CATALOGUES, [language])
    # No other name has the texts; Babel's own catalogues go by it as well.
    texts = (text for text in vars(found)["_catalog"] if isinstance(text, str) and text)
    return Translator(found, texts)


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
