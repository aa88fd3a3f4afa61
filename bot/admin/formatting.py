"""How dates, durations and what people wrote are shown to an operator."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from bot.models import is_sink
from bot.phrases import Phrase, joined, later, phrase

if TYPE_CHECKING:
    from datetime import tzinfo
    from gettext import NullTranslations

    from bot.models import ChatId
    from bot.phrases import Say


MINUTE, HOUR, DAY = 60, 3_600, 86_400
# Whatever could move the cursor, colour the line or turn its direction.
UNPRINTABLE: Final = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]+")
ELLIPSIS: Final = "…"
SIZES: Final = (
    *(later("{number} bytes"), later("{number} kB"), later("{number} MB"), later("{number} GB")),
)


class Row(NamedTuple):
    """A line of an answer: what it is about, and what there is to say. Both are plain text, or phrases."""

    label: str
    text: str


def date(at: float, zone: tzinfo | None = None) -> str:
    """`zone` None: the operator's, as this machine has it or `TZ` says."""
    return f"{datetime.fromtimestamp(at, UTC).astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"


def duration(seconds: float) -> str:
    """In the two largest units that say something: "3 d 4 h", "2 h 5 min", "12 s"."""
    seconds = max(0, round(seconds))
    if seconds < MINUTE:
        return _units(0, 0, 0, seconds)
    if seconds < HOUR:
        return _units(0, 0, seconds // MINUTE, 0)
    if seconds < DAY:
        return _units(0, seconds // HOUR, seconds % HOUR // MINUTE, 0)
    return _units(seconds // DAY, seconds % DAY // HOUR, 0, 0)


@lru_cache(maxsize=16_384)  # all that are shorter than a year and a half
def _units(days: int, hours: int, minutes: int, seconds: int) -> str:
    """At most two of them are not 0. A list of 20,000 flows has two of these in each line."""
    units = (
        phrase("{number} d", number=days) if days else "",
        phrase("{number} h", number=hours) if hours else "",
        phrase("{number} min", number=minutes) if minutes else "",
    )
    return joined(" ", filter(None, units)) or phrase("{number} s", number=seconds)


def ago(at: float, now: float) -> str:
    if at <= now:
        return phrase("{time} ago", time=duration(now - at))
    return phrase("in {time}", time=duration(at - now))


class Excerpt(Phrase):
    """Of what is ours, or holds something of ours: it is cut when it is said."""

    __slots__ = ("length", "whole")
    whole: str
    length: int

    def said(self, say: Say, catalogue: NullTranslations) -> str:
        del catalogue
        return _cut(say(self.whole), self.length)


def excerpt(text: str, length: int) -> str:
    """The beginning of what somebody wrote, on one line and harmless to a terminal."""
    cut = _cut(text, length)
    if not isinstance(text, Phrase):
        return cut
    found = Excerpt.of(cut, cut, None, {})
    found.whole, found.length = text, length
    return found


def _cut(text: str, length: int) -> str:
    line = UNPRINTABLE.sub(" ", text[: 4 * length]).strip()
    return line if len(line) <= length else line[: length - 1].rstrip() + ELLIPSIS


def size(number: int) -> str:
    value = float(number)
    *smaller, largest = SIZES
    for unit in smaller:
        if value < 1000:  # noqa: PLR2004  # a thousand of one is one of the next
            return phrase(unit, number=f"{value:.3g}")
        value /= 1000
    return phrase(largest, number=f"{value:.3g}")


def counted(number: int, what: str) -> str:
    """For a shell; see `phrases.plural`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def called(chat: ChatId, name: str | None) -> str:
    """A chat as a file calls it, and by its id; the id of a program says nothing to people."""
    if not name:
        return str(chat)
    return name if is_sink(chat) else f"{name} ({chat})"
