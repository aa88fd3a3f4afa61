"""Places as rows: what posts belong to, whatever a place is called and wherever its source went.

Posts of a place that is not listed any more, or that is paused, wait until it is again.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import product
from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import exists, insert, or_, select, update

from bot.models import OrderKind, is_sink
from bot.storage.schema import orders, places, posts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sqlalchemy import Connection

    from bot.models import ChatId, UnixTime
    from bot.routes import Place, Routes, Source

    _Rows = defaultdict[object, list["PlaceRecord"]]

# In a query of posts: nothing is to be taken from their place.
SHUT: Final = exists().where(
    places.c.id == posts.c.place, or_(places.c.listed == 0, places.c.paused_at.is_not(None))
)


class PlaceRecord(NamedTuple):
    id: int
    name: str
    source: str  # its name; empty: an earlier version wrote it, which knew of one source
    source_chat_id: ChatId | None  # None: as above
    source_topic: int
    chat_id: ChatId
    topic: int
    listed: bool
    paused_at: UnixTime | None


def recorded(db: Connection) -> list[PlaceRecord]:
    found = [PlaceRecord(*row) for row in db.execute(select(places).order_by(places.c.id))]
    return [row._replace(listed=bool(row.listed)) for row in found]


def take_list(db: Connection, routes: Routes) -> dict[tuple[str, ChatId, int], int]:
    """Have the rows say what is listed now; gives the row of each by source, chat and topic.

    One is the same place if it is the same chat and topic of the same source. It may have another
    name by now, as may its source; or the source is another chat by now and has kept its name. A program
    may have moved, and its place has kept its name.
    """
    known = {row.id: row for row in recorded(db)}
    there, named = _by(_address, known.values()), _by(_name_of_a_program, known.values())
    found: dict[tuple[str, ChatId, int], int] = {}
    for moved, is_same in product((False, True), (_is_of_that_chat, _is_of_that_name)):
        for source, place in _each(routes):
            key = (source.name, place.chat, place.topic)
            if moved and (key in found or place.endpoint is None):
                continue
            rows = named[place.name] if moved else there[place.chat, place.topic]
            for row in [row for row in rows if row.id in known and is_same(row, source)]:
                del known[row.id]
                _claim(db, row, source, place, instead=found.get(key))
                found.setdefault(key, row.id)
    each = {
        (source.name, place.chat, place.topic): (source, place) for source, place in _each(routes)
    }
    new = {key: _says(*of) for key, of in each.items() if key not in found}
    if new:
        query = insert(places).returning(places.c.id, sort_by_parameter_order=True)
        ids = db.scalars(query, [{**said, "listed": 1} for said in new.values()])
        found |= dict(zip(new, ids, strict=True))
    db.execute(update(places).where(places.c.id.in_(list(known))).values(listed=0))
    return found


def _each(routes: Routes) -> Iterator[tuple[Source, Place]]:
    for source in routes.sources:
        for place in source.places:
            yield source, place


def _by(key: Callable[[PlaceRecord], object], rows: Iterable[PlaceRecord]) -> _Rows:
    found: _Rows = defaultdict(list)
    for row in rows:
        found[key(row)].append(row)
    return found


def _address(row: PlaceRecord) -> tuple[ChatId, int]:
    return row.chat_id, row.topic


def _name_of_a_program(row: PlaceRecord) -> str | None:
    return row.name if is_sink(row.chat_id) else None


def _is_of_that_chat(row: PlaceRecord, source: Source) -> bool:
    return (row.source_chat_id, row.source_topic) == (source.chat, source.topic or 0)


def _is_of_that_name(row: PlaceRecord, source: Source) -> bool:
    return row.source in {"", source.name}


def _claim(
    db: Connection, row: PlaceRecord, source: Source, place: Place, *, instead: int | None
) -> None:
    """`instead`: it has become the same place as that one, as when a group was moved."""
    if instead is None:
        said = {**_says(source, place), "listed": True}
        if any(getattr(row, name) != value for name, value in said.items()):
            db.execute(update(places).where(places.c.id == row.id).values({**said, "listed": 1}))
        if row.chat_id != place.chat:
            its = posts.c.place == row.id
            db.execute(update(posts).where(its).values(target_chat_id=place.chat))
    else:
        db.execute(update(posts).where(posts.c.place == row.id).values(place=instead))
        db.execute(places.delete().where(places.c.id == row.id))


def _says(source: Source, place: Place) -> dict[str, object]:
    return {
        "name": place.label,
        "source": source.name,
        "source_chat_id": source.chat,
        "source_topic": source.topic or 0,
        "chat_id": place.chat,
        "topic": place.topic,
    }


# ── by name ───────────────────────────────────────────────────────────────────


def names(db: Connection) -> list[str]:
    """That an operator may give: of what is listed, or paused still."""
    known = _known(db)
    return list(dict.fromkeys(name for row in known for name in (row.name, row.source) if name))


def named(db: Connection, name: str) -> list[PlaceRecord]:
    """The place of that name, or all places of the source. Capitals are small letters: phones make them."""
    known, name = _known(db), name.casefold()
    found = [row for row in known if row.name.casefold() == name]
    return found or [row for row in known if row.source.casefold() == name]


def recorded_as(
    db: Connection, *, place: str | None = None, source: str | None = None
) -> list[PlaceRecord]:
    """By both names, if both are given; those that are listed no more, too."""
    wanted = {name.casefold() for name in (place, source) if name is not None}
    return [
        row
        for row in recorded(db)
        if (place is None or row.name.casefold() in wanted)
        and (source is None or row.source.casefold() in wanted)
    ]


def paused(db: Connection) -> list[PlaceRecord]:
    return [row for row in recorded(db) if row.paused_at is not None]


def set_paused(
    db: Connection, *, name: str, paused: bool, now: int
) -> tuple[list[PlaceRecord], list[PlaceRecord]]:
    """The places that are meant, and those of them that were not so already. See `named`."""
    meant = named(db, name)
    changed = [row for row in meant if (row.paused_at is not None) is not paused]
    its = places.c.id.in_([row.id for row in changed])
    db.execute(update(places).where(its).values(paused_at=now if paused else None))
    for chat in dict.fromkeys(row.chat_id for row in changed):
        db.execute(insert(orders).values(kind=OrderKind.PLACE, subject=chat, at=now))
    return meant, changed


def _known(db: Connection) -> list[PlaceRecord]:
    return [row for row in recorded(db) if row.listed or row.paused_at is not None]


def move(db: Connection, old: ChatId, new: ChatId) -> None:
    """A basic group became a supergroup."""
    for column in (places.c.chat_id, places.c.source_chat_id):
        db.execute(update(places).where(column == old).values({column: new}))
