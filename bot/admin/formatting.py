"""How dates, durations and what people wrote are shown to an operator."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from bot.models import is_sink

if TYPE_CHECKING:
    from bot.models import ChatId

MINUTE, HOUR, DAY = 60, 3_600, 86_400
# Whatever could move the cursor, colour the line or turn its direction.
UNPRINTABLE: Final = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]+")
ELLIPSIS: Final = "…"


class Row(NamedTuple):
    """A line of an answer: what it is about, and what there is to say. Both are plain text."""

    label: str
    text: str


def date(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"


def duration(seconds: float) -> str:
    """In the two largest units that say something: "3 d 4 h", "2 h 5 min", "12 s"."""
    seconds = max(0, round(seconds))
    if seconds < MINUTE:
        return f"{seconds} s"
    if seconds < HOUR:
        return f"{seconds // MINUTE} min"
    if seconds < DAY:
        return _two(seconds // HOUR, "h", seconds % HOUR // MINUTE, "min")
    return _two(seconds // DAY, "d", seconds % DAY // HOUR, "h")


def ago(at: float, now: float) -> str:
    return f"{duration(now - at)} ago" if at <= now else f"in {duration(at - now)}"


def excerpt(text: str, length: int) -> str:
    """The beginning of what somebody wrote, on one line and harmless to a terminal."""
    line = UNPRINTABLE.sub(" ", text[: 4 * length]).strip()
    return line if len(line) <= length else line[: length - 1].rstrip() + ELLIPSIS


def size(number: int) -> str:
    value = float(number)
    for unit in ("bytes", "kB", "MB"):
        if value < 1000:  # noqa: PLR2004  # a thousand of one is one of the next
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} GB"


def counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def called(chat: ChatId, name: str | None) -> str:
    """A chat as a file calls it, and by its id; the id of a program says nothing to people."""
    if not name:
        return str(chat)
    return name if is_sink(chat) else f"{name} ({chat})"


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large} {large_unit} {small} {small_unit}" if small else f"{large} {large_unit}"
