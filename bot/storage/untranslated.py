"""What waits for its translation, and what waits behind it.

The first part of a text waits as a whole; the others are made when it is translated.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import and_, bindparam, exists, func, or_, select

from bot.models import ChatId, MessageId, MessageRef
from bot.posts import Method, PostState
from bot.rules.translation import Untranslated, from_json
from bot.storage.engine import Prepared
from bot.storage.messages import is_one_of
from bot.storage.places import SHUT
from bot.storage.schema import posts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from sqlalchemy import ColumnElement, Connection, FromClause

STATES: Final = {Method.SEND: PostState.PENDING, Method.EDIT: PostState.EDIT}


class Awaiting(NamedTuple):
    """A post that is not to be sent, or edited, before what it says is translated."""

    id: int
    version: int
    source: MessageRef
    target: ChatId
    said: Untranslated


def awaits(post: FromClause) -> ColumnElement[bool]:
    """As the index says it."""
    return and_(post.c.original.is_not(None), post.c.translated.is_(None))


def behind_one_that_awaits() -> ColumnElement[bool]:
    """Itself, one before it in its place, or one of its album is still to be translated."""
    other = posts.alias("awaiting")
    album = and_(
        other.c.source_chat_id == posts.c.source_chat_id, other.c.album_id == posts.c.album_id
    )
    before = other.c.id <= func.coalesce(posts.c.first_id, posts.c.id)
    its = exists().where(
        awaits(other),
        other.c.place == posts.c.place,
        is_one_of(other.c.state, PostState.PENDING),
        or_(before, album),
    )
    # Looked up once for all posts, and mostly there are none.
    places = posts.alias("untranslated")
    return and_(posts.c.place.in_(select(places.c.place).where(awaits(places))), its)


def next_awaiting(db: Connection, *, place: int, method: Method) -> Awaiting | None:
    """The first in line of that place; None: nothing, or the place is paused or not listed."""
    found = _next().rows(db, {"place": place, "state": STATES[method]})
    return _awaiting(found[0]) if found else None


def are_awaited(db: Connection, *, place: int) -> bool:
    """Whether that place has any, whatever is to be done with them."""
    return bool(_any().rows(db, {"place": place}))


def awaiting(db: Connection, places: Collection[int]) -> Iterator[Awaiting]:
    """All of these places."""
    states = posts.c.state.in_([*STATES.values()])
    rows = db.execute(select(posts).where(awaits(posts), states).order_by(posts.c.id)).all()
    return (_awaiting(row._asdict()) for row in rows if row.place in places)


@cache
def _any() -> Prepared:
    open_ = is_one_of(posts.c.state, *STATES.values())
    here = and_(posts.c.place == bindparam("place"), open_, ~SHUT)
    return Prepared(select(posts.c.id).where(awaits(posts), here).limit(1))


@cache
def _next() -> Prepared:
    here = and_(posts.c.place == bindparam("place"), posts.c.state == bindparam("state"))
    return Prepared(select(posts).where(awaits(posts), here, ~SHUT).order_by(posts.c.id).limit(1))


def _awaiting(row: dict[str, Any]) -> Awaiting:
    return Awaiting(
        row["id"],
        row["version"],
        MessageRef(ChatId(row["source_chat_id"]), MessageId(row["source_message_id"])),
        ChatId(row["target_chat_id"]),
        from_json(row["original"]),
    )
