"""What a place shows of a message: which messages, which of their words, and what around them.

Pure: the same message, with the same known about it, always looks the same in the same place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bot.errors import SettingsError, words_of
from bot.extras import PLAIN
from bot.faults import fault
from bot.models import CAPTIONED
from bot.phrases import joined, later, phrase
from bot.rules import cleaning
from bot.rules.alt_text import with_alt_text
from bot.rules.patterns import compiled, matches_all, searched
from bot.rules.retext import Formatted
from bot.rules.sanitize import BIDI, directed
from bot.rules.wording import fields, filled, with_breaks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bot.endpoints import Translation
    from bot.extras import Extras
    from bot.models import Content
    from bot.rules.cleaning import Replacement
    from bot.rules.wording import Values

NOTHING_LEFT: Final = later("nothing is left of it there")
SIGNAL_NOT_SHOWN: Final = later("its signal is not shown there")
IN_FRAMES: Final = ("author", "source", "link", "pair", "direction")
IN_TEMPLATES: Final = (*IN_FRAMES, "entry", "take_profits", "stop", "leverage", "text")
NAME_LIMIT: Final = 100  # characters of an author's name
# Where Telegram would find a mention, a link, a tag or a command in a name.
LIVE: Final = re.compile(r"([@#$/.:])(?=[\w/])")
WORD_JOINER: Final = "\u2060"


class Medium(StrEnum):
    KEEP = "keep"
    DROP = "drop"  # the words below it are posted
    TEXT_ONLY = "text only"  # the same, and what a poll, a place or a contact says


class Missing(StrEnum):
    """What becomes of a signal that does not say all that the template names."""

    ORIGINAL = "original"  # it is posted as it is
    SKIP = "skip"  # not at all


@dataclass(frozen=True, slots=True)
class Only:
    """Which signals are shown; empty: any. Their updates are, too."""

    pairs: tuple[str, ...] = ()  # "BTC/USDT"; "BTC": whatever it is quoted in
    directions: tuple[str, ...] = ()  # "LONG" or "SHORT"
    markers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for direction in self.directions:
            if direction not in {"LONG", "SHORT"}:
                neither = phrase('{value} is neither "LONG" nor "SHORT"', value=repr(direction))
                raise fault("directions", neither)
        if not all(each.strip() for each in (*self.pairs, *self.markers)):
            raise SettingsError(
                phrase("pairs and markers: an empty one says nothing, leave it out")
            )


class About(NamedTuple):
    """What is known of a message besides what it shows. The signal is its own, or its flow's."""

    author: str | None = None  # as people see them; None: not known
    link: str | None = None  # to the original; None: there is none
    is_signal: bool = False
    in_album: bool = False
    text: str = ""  # of the signal
    marker: str = ""
    fields: Mapping[str, Any] = MappingProxyType({})  # as `signal_json` tells them


class NotShown(NamedTuple):
    reason: str


@dataclass(frozen=True, slots=True)
class Presentation:
    """`SettingsError` says in one line which of it cannot be, and what to do."""

    replace: tuple[Replacement, ...] = ()
    remove_links: bool = False
    remove_mentions: bool = False
    strip_lines: tuple[str, ...] = ()  # patterns; a line that matches goes
    header: str = ""
    footer: str = ""
    skip: tuple[str, ...] = ()  # patterns; a message that matches is not shown
    only: Only = Only()
    media: Medium = Medium.KEEP
    silent: bool = False  # nobody's phone rings; off: as the source has it
    previews: bool = True  # off: no link has one; on: as the source has it
    template: str = ""  # of signals; empty: they are shown in their own words
    template_missing: Missing = Missing.ORIGINAL
    translate: Translation | None = None  # what is marked goes to the service; see `translation`

    def __post_init__(self) -> None:
        for name in ("header", "footer", "template"):
            _check_wording(name, getattr(self, name))
        patterns = [("replace", each.pattern) for each in self.replace]
        patterns += [
            (name, each) for name in ("strip_lines", "skip") for each in getattr(self, name)
        ]
        for name, pattern in patterns:
            _check_pattern(name, pattern)
        for each in self.replace:
            cleaning.check_replacement(each)


def present(
    said: Content, how: Presentation, about: About, *, source: str = ""
) -> Content | NotShown:
    """What is shown of it, not cut into posts yet. `source`: the name of the source."""
    if how == AS_IT_IS:
        return said
    why_not = _why_not(said, how, about)
    if why_not is not None:
        return NotShown(why_not)
    said = _with_medium(said, how.media)
    body = cleaning.cleaned(Formatted(*directed(said.text, said.entities)), how)
    if how.translate is not None:
        from bot.rules import translation  # noqa: PLC0415  # with what reads signals; commands wait for it

        body = translation.marked(body)
    values = _values(about, source) | {"text": body}
    if about.is_signal and how.template:
        from bot.rules.signal_parser.pair import is_full  # noqa: PLC0415  # as above

        full = values | {"pair": values["pair"] if is_full(about.fields.get("pair", "")) else None}
        unsaid = sorted(field for field in fields(how.template) if not full[field])
        if not unsaid:
            body = filled(how.template, full)
        elif how.template_missing is Missing.SKIP:
            why = phrase(
                "its template names {fields}, which it does not say", fields=_listed(unsaid)
            )
            return NotShown(why)
    if said.media is None and not body.text.strip():
        return NotShown(phrase(NOTHING_LEFT))
    framed = _framed(body, how, values) if _takes_words(said, body, about) else body
    return said._replace(
        text=framed.text, entities=framed.entities, extras=_extras(said.extras, how)
    )


# ── whether it is shown ───────────────────────────────────────────────────────


def _why_not(said: Content, how: Presentation, about: About) -> str | None:
    pair, direction = about.fields.get("pair"), about.fields.get("direction")
    if how.only.pairs and not any(_is_pair(pair, each) for each in how.only.pairs):
        return phrase(
            "only some pairs are shown there, and {pair} is not one of them",
            pair=pair or phrase("none"),
        )
    if how.only.directions and direction not in how.only.directions:
        return phrase("only {directions} is shown there", directions=_listed(how.only.directions))
    if how.only.markers and not any(_has_marker(about, each) for each in how.only.markers):
        return phrase("only signals with some markers are shown there, and it has none of them")
    text = searched(directed(said.text, ())[0])
    if any(compiled(pattern).search(text) for pattern in how.skip):
        return phrase("it matches a pattern of `skip` there")
    return None


def _is_pair(pair: str | None, wanted: str) -> bool:
    if pair is None:
        return False
    pair, wanted = pair.casefold(), wanted.casefold()
    return wanted in {pair, pair.replace("/", ""), pair.partition("/")[0]}


def _has_marker(about: About, marker: str) -> bool:
    """It may carry several, of which one was recorded as its own."""
    return marker == about.marker or marker.casefold() in about.text.casefold()


# ── what is shown ─────────────────────────────────────────────────────────────


def _with_medium(said: Content, medium: Medium) -> Content:
    if medium is Medium.KEEP:
        return said
    if medium is Medium.TEXT_ONLY:
        said = said._replace(text=with_alt_text(said.text, said.media))
    return said._replace(media=None)


def _takes_words(said: Content, body: Formatted, about: About) -> bool:
    """An album has one caption. Its parts without words are not to get some."""
    if said.media is None:
        return True
    return said.media.kind in CAPTIONED and not (about.in_album and not body.text)


def _framed(body: Formatted, how: Presentation, values: Values) -> Formatted:
    header, footer = (filled(each, values) for each in (how.header, how.footer))
    return with_breaks(part for part in (header, body, footer) if part.text)


def _extras(extras: Extras | None, how: Presentation) -> Extras | None:
    found = extras or PLAIN
    if found.quote is not None:
        found = _requoted(found, how)
    if how.remove_links:
        found = replace(found, buttons=(), preview=None)
    if not how.previews:
        found = replace(found, no_preview=True, preview=None)
    found = replace(found, silent=found.silent or how.silent)
    return None if extras is None and found == PLAIN else found


def _requoted(extras: Extras, how: Presentation) -> Extras:
    """A quote says what the post says that it is taken from. Of a template or a translation nobody has quoted."""
    quote = extras.quote
    if quote is None or how.template or how.translate:
        return extras.unquoted()
    text, entities = cleaning.cleaned(Formatted(*directed(quote.text, quote.entities)), how)
    return replace(extras, quote=quote._replace(text=text, entities=entities) if text else None)


# ── fields ────────────────────────────────────────────────────────────────────


def _values(about: About, source: str) -> dict[str, Formatted | None]:
    said = about.fields
    entry = list(dict.fromkeys(said.get("entry", ())))
    found = {
        "author": _harmless(about.author or ""),
        "source": source,
        "link": about.link,
        "pair": said.get("pair"),
        "direction": said.get("direction"),
        "entry": "-".join(entry),
        "take_profits": ", ".join(said.get("take_profits", ())),
        "stop": said.get("stop"),
        "leverage": said.get("leverage"),
    }
    return {name: Formatted(value) if value else None for name, value in found.items()}


def _harmless(name: str) -> str:
    """People choose their names: nothing in one is to become a link or a mention in our posts."""
    name = " ".join(BIDI.sub("", name)[:NAME_LIMIT].split())
    return LIVE.sub(rf"\1{WORD_JOINER}", name)


# ── what cannot be ────────────────────────────────────────────────────────────


def _check_wording(name: str, wording: str) -> None:
    known = IN_TEMPLATES if name == "template" else IN_FRAMES
    try:
        unknown = sorted(fields(wording) - set(known))
    except ValueError as exc:
        braces = phrase("a brace that is to be read is {{ or }}")
        raise fault(name, joined("; ", [words_of(exc), braces])) from exc
    if unknown:
        lists = {"unknown": _listed(unknown), "known": _listed(known)}
        none = phrase("there is no {unknown}, only {known}", **lists)
        raise fault(name, none)


def _check_pattern(name: str, pattern: str) -> None:
    try:
        regex = compiled(pattern)
    except ValueError as exc:
        refused = phrase(
            "{pattern} is refused: {error}; patterns are RE2, which has no look-around "
            "and no references to groups",
            pattern=repr(pattern),
            error=words_of(exc),
        )
        raise fault(name, refused) from exc
    if name != "replace" and matches_all(regex):
        all_ = phrase("{pattern} would match everything", pattern=repr(pattern))
        raise fault(name, all_)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"{{{name}}}" if name in IN_TEMPLATES else name for name in names)


AS_IT_IS: Final = Presentation()
