"""Changes a formatted text and keeps its entities right. Pure; takes linear time.

Spans count characters, entities UTF-16 units, as Telegram does.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bot.models import Entity

# These say what their text says, or stand for it: of a changed text they are none any more.
BOUND: Final = frozenset(
    {
        *("url", "email", "mention", "hashtag", "cashtag", "bot_command", "phone_number"),
        *("bank_card", "custom_emoji"),
    }
)
LEADING: Final = re.compile(r"\s+")
TRAILING: Final = re.compile(r"\s+\Z")
MARKS: Final = ",.;:!?)"
BLANKS: Final = " \t\u00a0"


class Formatted(NamedTuple):
    text: str
    entities: tuple[Entity, ...] = ()


class Change(NamedTuple):
    """What stands in the place of some characters from now on; of none, where `start` is `stop`."""

    start: int
    stop: int
    new: str = ""


def changed(said: Formatted, changes: Sequence[Change]) -> Formatted:
    """`changes`: in their order; none overlaps another.

    What is new belongs to the entities that held all that it stands in the place of. One that held a
    part keeps the rest. What is put in at an entity's edge stays outside. No entity is left empty.
    """
    changes = [each for each in changes if said.text[each.start : each.stop] != each.new]
    if not changes:
        return said
    pieces: list[str] = []
    last = 0
    for start, stop, new in changes:
        pieces += said.text[last:start], new
        last = stop
    moved = _Moved(said.text, changes)
    entities = tuple(filter(None, map(moved.entity, said.entities)))
    return Formatted("".join(pieces) + said.text[last:], entities)


class _Moved:
    """Where each offset of a text has gone to."""

    def __init__(self, text: str, changes: Sequence[Change]) -> None:
        self._changes = changes
        self._stops = [change.stop for change in changes]
        before = offsets(text)
        self._at = {unit: number for number, unit in enumerate(before)}
        # Where an entity begins, or ends, that did so in front of that character.
        self._begins, self._ends = list(before), list(before)
        grown = last = 0
        for start, stop, new in changes:
            for at in range(last, start + 1):
                self._begins[at] = before[at] + grown
                if at > last or at == 0:
                    self._ends[at] = before[at] + grown
            first = before[start] + grown
            for at in range(start, stop + 1):
                self._begins[at] = first if at == start < stop else first + units(new)
                if at > start:
                    self._ends[at] = first + units(new) if at == stop else first
            grown = first + units(new) - before[stop]
            last = stop
        for at in range(last + 1, len(before)):
            self._begins[at] = self._ends[at] = before[at] + grown

    def entity(self, entity: Entity) -> Entity | None:
        """None: nothing is left of it, or it began or ended within a character, as none does."""
        end = min(entity.offset + entity.length, max(self._at))
        start, stop = self._at.get(entity.offset), self._at.get(end)
        if start is None or stop is None:
            return None
        if entity.type in BOUND and self._is_touched(start, stop):
            return None
        first, last = self._begins[start], self._ends[stop]
        return replace(entity, offset=first, length=last - first) if first < last else None

    def _is_touched(self, start: int, stop: int) -> bool:
        number = bisect_right(self._stops, start)
        return number < len(self._changes) and self._changes[number].start < stop


def units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def offsets(text: str) -> list[int]:
    """In UTF-16 units, of each character and of the end."""
    return list(accumulate((1 + (character > "\uffff") for character in text), initial=0))


def joined(*pieces: Formatted) -> Formatted:
    """One behind the other."""
    starts = accumulate((units(piece.text) for piece in pieces), initial=0)
    return Formatted(
        "".join(piece.text for piece in pieces),
        tuple(
            replace(entity, offset=entity.offset + start)
            for piece, start in zip(pieces, starts, strict=False)
            for entity in piece.entities
        ),
    )


def trimmed(said: Formatted) -> Formatted:
    """Without the space around it."""
    leading, trailing = LEADING.match(said.text), TRAILING.search(said.text)
    ends = [found.span() for found in (leading, trailing) if found]
    return without(said, ends)


def without(said: Formatted, spans: Iterable[tuple[int, int]]) -> Formatted:
    """Without these characters. Spans may overlap."""
    return changed(said, [Change(*span) for span in _merged(said.text, spans)])


def without_words(said: Formatted, spans: Iterable[tuple[int, int]]) -> Formatted:
    """The same, and no gap is seen where they were: no two spaces, and no line that was only they."""
    merged = _merged(said.text, spans, across=BLANKS)
    return without(said, [_with_its_room(said.text, *span) for span in merged])


def _merged(
    text: str, spans: Iterable[tuple[int, int]], *, across: str = ""
) -> list[tuple[int, int]]:
    """In their order. Two with nothing but some of `across` between them are one."""
    found: list[tuple[int, int]] = []
    for start, stop in sorted(spans):
        last = found[-1][1] if found else -1
        if start <= last or (found and across and not text[last:start].strip(across)):
            found[-1] = (found[-1][0], max(stop, last))
        else:
            found.append((start, stop))
    return found


def _with_its_room(text: str, start: int, stop: int) -> tuple[int, int]:
    """With the space in front of it, where more of it, a mark or the line's end follows; see there."""
    before = len(text[:start].rstrip(BLANKS))
    after = len(text) - len(text[stop:].lstrip(BLANKS))
    begins_line = before == 0 or text[before - 1] == "\n"
    ends_line = after == len(text) or text[after] == "\n"
    if begins_line and ends_line:  # then the line goes
        return before, min(after + 1, len(text))
    if begins_line:
        return start, after
    return (before, stop) if ends_line or after > stop or text[stop] in MARKS else (start, stop)


def lines(text: str) -> list[tuple[int, int]]:
    """Where each begins and where it ends, with its line break."""
    breaks = [number + 1 for number, character in enumerate(text) if character == "\n"]
    return list(pairwise([0, *breaks, len(text)]))
