"""What of a text may go on: how it reads, but not what it does to its readers.

The tables keep a text as it was; this is what becomes of it on the way out.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bot.models import Entity

# Whatever turns the direction of the text around it, so that "05" reads as "50".
BIDI: Final = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# What Telegram makes a mention of by itself, wherever it stands in a text.
NAME: Final = re.compile(r"@(?=[A-Za-z0-9_]{2})")
WORD_JOINER: Final = "\u2060"  # takes no room; behind it "name" is no name any more
WIDE_AT: Final = "\uff20"  # reads as "@", and to Telegram is a letter as any other
NO_MENTIONS_WITHIN: Final = frozenset({"code", "pre", "url", "email"})


def presentable(
    text: str, entities: Sequence[Entity], *, mentions: bool = False
) -> tuple[str, tuple[Entity, ...]]:
    """The text without direction controls and, unless `mentions`, without live mentions of users.

    What is mentioned can still be read. Offsets count UTF-16 code units, before and after.
    """
    text, kept = directed(text, entities)
    return (text, kept) if mentions else inert(text, kept)


def directed(text: str, entities: Iterable[Entity]) -> tuple[str, tuple[Entity, ...]]:
    """The text without what turns its direction."""
    found = list(entities)
    if BIDI.search(text):
        text, found = _rewritten(text, found, {at.start(): "" for at in BIDI.finditer(text)})
    return text, tuple(found)


def inert(
    text: str, entities: Iterable[Entity], *, limit: int | None = None
) -> tuple[str, tuple[Entity, ...]]:
    """The text with nobody mentioned in it who would be notified.

    Behind the "@" goes a character that nobody sees. Where that would make a text longer than
    `limit` that was not so before, a wider "@" takes the place of some: no mention begins with
    that one, and no letter is lost.
    """
    found = [entity for entity in entities if not is_mention(entity)]
    names = {at.start() for at in NAME.finditer(text)}
    if not names:
        return text, tuple(found)
    names -= _quoted(text, found)
    room = len(names) if limit is None else max(limit - _units(text), 0)
    changes = {
        at: f"@{WORD_JOINER}" if number < room else WIDE_AT
        for number, at in enumerate(sorted(names))
    }
    text, found = _rewritten(text, found, changes)
    return text, tuple(found)


def is_mention(entity: Entity) -> bool:
    by_link = (entity.url or "").lower().startswith("tg://user")
    return by_link or entity.type in {"mention", "text_mention"}


def _quoted(text: str, entities: Iterable[Entity]) -> set[int]:
    """The characters in which Telegram looks for no mentions."""
    starts = _offsets([_units(character) for character in text])
    return {
        index
        for entity in entities
        if entity.type in NO_MENTIONS_WITHIN
        for index in range(len(text))
        if entity.offset <= starts[index] < entity.offset + entity.length
    }


def _rewritten(
    text: str, entities: Iterable[Entity], changes: dict[int, str]
) -> tuple[str, list[Entity]]:
    """Put other text in the place of some characters, and move the entities along with theirs."""
    if not changes:
        return text, list(entities)
    pieces = [changes.get(index, character) for index, character in enumerate(text)]
    before = _offsets([_units(character) for character in text])
    after = _offsets([_units(piece) for piece in pieces])
    moved = dict(zip(before, after, strict=True))
    return "".join(pieces), [
        replace(entity, offset=start, length=end - start)
        for entity in entities
        if (start := _moved(moved, entity.offset)) < (end := _moved(moved, _end(entity)))
    ]


def _moved(moved: dict[int, int], offset: int) -> int:
    """An offset that lies within no character's bounds is a forgery; the text's end will do."""
    return moved.get(offset, max(moved.values()))


def _end(entity: Entity) -> int:
    return entity.offset + entity.length


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _offsets(lengths: list[int]) -> list[int]:
    return list(accumulate(lengths, initial=0))
