"""From what a message says to the posts of it: cut into parts, without tricks on its readers.

Offsets and limits are UTF-16 code units. Pure: the same message always gives the same parts.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from bot.extras import PLAIN
from bot.models import Content
from bot.rules.alt_text import with_alt_text
from bot.rules.presentation import About, NotShown, present
from bot.rules.sanitize import directed, inert, presentable
from bot.rules.translation import unmarked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.extras import Extras
    from bot.models import Entity
    from bot.routes import Place

TEXT_LIMIT: Final = 4096
CAPTION_LIMIT: Final = 1024
# The upper byte of the first of two units that are one character.
HIGH_SURROGATES: Final = range(0xD8, 0xDC)
# What Telegram finds in a text by itself. A piece of it is no such thing any more.
FOUND: Final = frozenset({"url", "email", "mention", "hashtag", "cashtag", "bot_command"})


def render(said: Content, place: Place, about: About = About()) -> list[Content]:  # noqa: B008  # immutable
    """The posts to make there of a message, each finished; none where it is not shown there."""
    shown = present(said, place.presentation, about, source=place.source)
    return [] if isinstance(shown, NotShown) else cut(shown, place)


def cut(said: Content, place: Place) -> list[Content]:
    """The posts of what is shown there: one, unless its text is too long for one.

    The first has the medium, and what belongs to a message once.
    """
    said = said._replace(entities=unmarked(said.entities))
    first = TEXT_LIMIT if said.media is None else CAPTION_LIMIT
    lead, *rest = chunks(said.text, said.entities, first=first, mentions=place.mentions)
    extras = _shown(said.extras, mentions=place.mentions)
    later = extras and replace(PLAIN, silent=extras.silent, no_preview=extras.no_preview)
    return [
        Content(*lead, said.media, extras),
        *(Content(*chunk, None, later) for chunk in rest),
    ]


def in_words(said: Content) -> Content:
    """Without its medium, and with what that says."""
    return said._replace(text=with_alt_text(said.text, said.media), media=None)


class Chunk(NamedTuple):
    text: str
    entities: tuple[Entity, ...]


def chunks(
    text: str, entities: Sequence[Entity], *, first: int = TEXT_LIMIT, mentions: bool = False
) -> list[Chunk]:
    """The texts to post for one; `first` is the limit of the first.

    Mentions are taken out of each part by itself, once it is known where the cuts are. So what
    that inserts never makes a part too long, and a link that had to be cut leaves no mention.
    """
    found = split(*directed(text, entities), first=first)
    if mentions:
        return found
    limits = [first, *[TEXT_LIMIT] * (len(found) - 1)]
    return [
        Chunk(*inert(chunk.text, chunk.entities, limit=limit))
        for chunk, limit in zip(found, limits, strict=True)
    ]


def _shown(extras: Extras | None, *, mentions: bool) -> Extras | None:
    """A quote says what the post says that it is taken from."""
    if extras is None or extras.quote is None:
        return extras
    quote = extras.quote
    text, entities = presentable(quote.text, quote.entities, mentions=mentions)
    return replace(extras, quote=quote._replace(text=text, entities=entities))


def split(text: str, entities: Sequence[Entity], *, first: int = TEXT_LIMIT) -> list[Chunk]:
    """Cut a text into what Telegram takes at once, at best between words and entities.

    Offsets and limits are UTF-16 code units; `first` is the limit of the first chunk.
    """
    units = text.encode("utf-16-le", "replace")
    found: list[Chunk] = []
    start, limit = 0, first
    while True:
        end = _cut(units, entities, start, limit)
        found.append(Chunk(_decode(units, start, end), _within(entities, start, end)))
        if end >= len(units) // 2:
            return found
        start, limit = end, TEXT_LIMIT


def _cut(units: bytes, entities: Sequence[Entity], start: int, limit: int) -> int:
    end = start + limit
    if end >= len(units) // 2:
        return len(units) // 2
    earliest = start + limit // 2
    for space in ("\n", " "):
        found = units[2 * start : 2 * end].rfind(space.encode("utf-16-le"))
        if found % 2 == 0 and start + found // 2 + 1 > earliest:
            end = start + found // 2 + 1
            break
    for entity in entities:
        if earliest < entity.offset < end < entity.offset + entity.length:
            end = entity.offset
    return end - 1 if units[2 * end - 1] in HIGH_SURROGATES else end


def _within(entities: Sequence[Entity], start: int, end: int) -> tuple[Entity, ...]:
    parts = []
    for entity in entities:
        begins = max(entity.offset, start)
        ends = min(entity.offset + entity.length, end)
        whole = ends - begins == entity.length
        if begins < ends and (whole or entity.type not in FOUND):
            parts.append(replace(entity, offset=begins - start, length=ends - begins))
    return tuple(parts)


def _decode(units: bytes, start: int, end: int) -> str:
    return units[2 * start : 2 * end].decode("utf-16-le", "replace")
