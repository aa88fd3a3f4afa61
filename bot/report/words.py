"""How numbers, times and other people's words are written in a picture."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from typing import Final

from rich.cells import cell_len

MINUTE: Final = 60  # seconds
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

MAX_LENGTH: Final = 80  # characters of a name; a screen is not wider
MARKS_IN_A_ROW: Final = 2  # on one letter: a script needs two, a prank piles up dozens
JOINER: Final = "\u200d"  # of emoji; other format characters turn or hide what is around them
WHOLE: Final = 100  # per cent
SHORT: Final = 100_000
UNBROKEN: Final = "\u00a0"  # within "2 h 25 min", which is one figure and stays on a line


def readable(text: str) -> str:
    """One line that looks like what it is: nothing in it turns, hides or piles up."""
    kept: list[str] = []
    marks = 0
    for char in text[: 4 * MAX_LENGTH]:
        category = unicodedata.category(char)
        marks = marks + 1 if category in {"Mn", "Me"} else 0
        if marks <= MARKS_IN_A_ROW:
            kept.append(" " if category[0] in "CZ" and char != JOINER else char)
    line = " ".join("".join(kept).split())
    return line if len(line) <= MAX_LENGTH else line[: MAX_LENGTH - 1] + "…"


def cut(text: str, cells: int) -> str:
    """At most so many cells (wide letters and emoji take two) and no more characters than that."""
    if cell_len(text) <= cells and len(text) <= cells:
        return text
    return fitting(text, cells - 1).rstrip(f" {JOINER}") + "…"


def fitting(text: str, cells: int) -> str:
    """As much of its beginning as has so many cells, and no more characters than that.

    Not by rich's own, which fails where joiners stand that join nothing.
    """
    ends = range(min(cells, len(text)), 0, -1)
    return next((text[:end] for end in ends if cell_len(text[:end]) <= cells), "")


def wrapped(text: str, cells: int, at_most: int) -> list[str]:
    """In lines of so many cells, words kept whole where they fit; what is too much for the last is cut."""
    lines: list[str] = []
    rest = text
    while max(cell_len(rest), len(rest)) > cells and len(lines) < at_most - 1:
        head = fitting(rest, cells)
        space = fitting(rest, cells + 1).rfind(" ")
        end = max(space, head.rfind("-")) + 1 or len(head.rstrip(f" {JOINER}")) or 1
        lines.append(rest[:end].rstrip())
        rest = rest[end:].lstrip()
    return [*lines, cut(rest, cells)]


def isolated(text: str) -> str:
    """Text that may run from right to left, and then does not turn what stands after it."""
    return f"\u2068{text}\u2069"


def number(count: int) -> str:
    return f"{count:,}"


def short(count: int) -> str:
    """In so few characters that a narrow column holds it."""
    if count < SHORT:
        return number(count)
    return f"{round(count / 1_000):,}k"


def counted(count: int, one: str, many: str | None = None) -> str:
    return f"{number(count)}{UNBROKEN}{one if count == 1 else many or one + 's'}"


def share(part: int, whole: int) -> str:
    """In whole per cent, but never "0%" of something nor "100%" of less than all."""
    percent = round(WHOLE * part / whole) if whole else 0
    if percent == 0 and part:
        return "under 1%"
    if percent == WHOLE and part < whole:
        return "over 99%"
    return f"{percent}%"


def lasting(seconds: float) -> str:
    """In at most two units. Up to four days in hours, as people count a TTL."""
    return _lasting(seconds).replace(" ", UNBROKEN)


def _lasting(seconds: float) -> str:
    if seconds < MINUTE:
        return f"{round(seconds)} s"
    hours, minutes = divmod(round(seconds / MINUTE), 60)
    if seconds < 10 * HOUR:
        return " ".join(
            f"{count} {unit}" for count, unit in ((hours, "h"), (minutes, "min")) if count
        )
    days, hours = divmod(round(seconds / HOUR), 24)
    if seconds < 4 * DAY:
        return f"{24 * days + hours} h"
    return f"{days} d {hours} h" if hours else f"{days} d"


def moment(at: float) -> str:
    date = datetime.fromtimestamp(at, UTC)
    return f"{date.day} {date:%b %Y, %H:%M}"


def day(at: float) -> str:
    date = datetime.fromtimestamp(at, UTC)
    return f"{date.day} {date:%b %Y}"


def week_of(at: float) -> int:
    """The begin of its week, a Monday in UTC, in unix seconds."""
    monday = 4 * DAY  # 5 January 1970
    return int((at - monday) // (7 * DAY)) * 7 * DAY + monday


def short_day(at: float) -> str:
    date = datetime.fromtimestamp(at, UTC)
    return f"{date.day} {date:%b}"


def period(first: float, last: float) -> str:
    begun, ended = day(first), day(last)
    return begun if begun == ended else f"{begun} – {ended}"
