"""What is next in a chat, as statements.

A server may be far away, so what is first in a line is noted as begun and told in one of them.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import (
    Text,
    and_,
    bindparam,
    cast,
    exists,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
    union,
    union_all,
    update,
)

from bot.posts import Method, PostState
from bot.storage import messages
from bot.storage.engine import Prepared
from bot.storage.messages import is_one_of
from bot.storage.places import SHUT
from bot.storage.schema import posts, to_send
from bot.storage.untranslated import awaits, behind_one_that_awaits

if TYPE_CHECKING:
    from sqlalchemy import BindParameter, ColumnElement, FromClause, Select

Row = dict[str, Any]

WAITING: Final = (PostState.PENDING, PostState.EDIT, PostState.DELETE)
# What is needed next; see `Post.method`, which says the same of one post.
NEEDS: Final = {
    Method.SEND: to_send(posts.c.state, posts.c.target_message_id),
    Method.DELETE: and_(
        is_one_of(posts.c.state, PostState.DELETE), posts.c.target_message_id.is_not(None)
    ),
    Method.EDIT: is_one_of(posts.c.state, PostState.EDIT),
}
OF_ALBUM: Final = ("target_chat_id", "source_chat_id", "topic", "album_id", "state")
IN_ORDER: Final = (func.coalesce(posts.c.first_id, posts.c.id), posts.c.part)


class Next(NamedTuple):
    """The first in a line, or all parts of its album.

    `begin` notes that they are to be sent and gives those that were not begun before; `see` gives
    all of them.
    """

    see: Prepared
    begin: Prepared | None


def _waiting(*which: ColumnElement[bool]) -> Select[Any]:
    here = and_(posts.c.target_chat_id == bindparam("target"), _is_none_of(posts))
    columns = [posts.c[name] for name in ("id", "aside_at", *OF_ALBUM)]
    return select(*columns).where(here, *which)


def _in_turn(*which: ColumnElement[bool]) -> Next:
    """The one behind `after`; the first, if there is none. So none is passed over for ever.

    Two looks into an index: in one, all that wait would be sorted for each that is taken.
    """
    after: BindParameter[int] = bindparam("after")
    looks = [
        select(_waiting(*which, begins).order_by(posts.c.id).limit(1).subquery())
        for begins in (posts.c.id > after, posts.c.id <= after)
    ]
    either = union_all(*looks).subquery()
    first = select(either).order_by((either.c.id <= after), either.c.id).limit(1).cte("first")
    return Next(
        Prepared(select(posts, _reply_to()).where(posts.c.id.in_(select(first.c.id)))), None
    )


def _line(*which: ColumnElement[bool]) -> Next:
    first = _waiting(*which).order_by(*IN_ORDER).limit(1).cte("first")
    taken = posts.c.id.in_(union(select(first.c.id), _others_of_album(first)))
    see = select(posts, _reply_to()).where(taken)
    pending = to_send(_state(), posts.c.target_message_id)
    fresh = and_(taken, pending, posts.c.sent_version.is_(None))
    as_before = (column for column in posts.c if column is not posts.c.sent_version)
    told = (*as_before, null().label("sent_version"), _reply_to(), _more())
    begun = update(posts).where(fresh).values(_noted()).returning(*told)
    return Next(Prepared(see), Prepared(begun))


def _state() -> ColumnElement[str]:
    """Where an index by it would be taken for the best, and is not."""
    return func.coalesce(posts.c.state, "")


def _is_none_of(table: FromClause) -> ColumnElement[bool]:
    """`but`: numbers between commas."""
    listed = literal("%,").concat(cast(table.c.id, Text)).concat(",%")
    return bindparam("but", type_=Text).not_like(listed)


def _others_of_album(first: FromClause) -> Select[Any]:
    """Its pending parts that are in the line, or set aside, as the first one is."""
    other = posts.alias("other")
    its = and_(*(other.c[name] == first.c[name] for name in OF_ALBUM))
    its = and_(first.c.album_id.is_not(None), its)  # or all of the line is looked at for nothing
    pending = is_one_of(other.c.state, PostState.PENDING)
    aside = other.c.aside_at.is_(None) == first.c.aside_at.is_(None)
    return select(other.c.id).where(its, pending, aside, _is_none_of(other))


def _reply_to() -> ColumnElement[Any]:
    """What a post is an answer to stands as this message."""
    answered = posts.alias("answered")
    # Said with the table's name: of columns SQLAlchemy leaves that out in SQLite's RETURNING.
    of_post: Row = {name: literal_column(f"posts.{name}") for name in posts.c.keys()}  # noqa: SIM118
    is_answered = and_(
        answered.c.source_chat_id == of_post["answers_chat_id"],
        answered.c.source_message_id == of_post["answers_message_id"],
        answered.c.target_chat_id == of_post["target_chat_id"],
        answered.c.topic == of_post["topic"],
        answered.c.part == 0,
        messages.stands(answered),
    )
    found = select(answered.c.target_message_id).where(is_answered)
    return found.scalar_subquery().label("reply_to")


def _more() -> ColumnElement[Any]:
    """Something else is to be sent in that chat, set aside or not, or will be."""
    other = posts.alias("other_post")
    here = other.c.target_chat_id == literal_column("posts.target_chat_id")
    waits = is_one_of(other.c.state, PostState.PENDING, PostState.HELD, PostState.DELETE)
    more = exists().where(here, waits, other.c.id != literal_column("posts.id"))
    return more.label("more")


def _open(closed: int) -> ColumnElement[bool]:
    """Of a place that takes posts, and of none of so many topics."""
    topics = (posts.c.topic != bindparam(f"closed{number}") for number in range(closed))
    return and_(~SHUT, *topics)


@cache
def in_line(method: Method, closed: int) -> Next:
    in_line = and_(posts.c.aside_at.is_(None), NEEDS[method], _open(closed))
    if method is Method.SEND:
        return _line(in_line, _not_below_one_that_waits(), ~behind_one_that_awaits())
    if method is Method.EDIT:
        in_line = and_(in_line, ~awaits(posts))
    return _in_turn(in_line)


@cache
def aside(closed: int) -> Next:
    waits = is_one_of(_state(), *WAITING)
    return _line(posts.c.aside_at.is_not(None), waits, ~awaits(posts), _open(closed))


def _not_below_one_that_waits() -> ColumnElement[bool]:
    """A later part of a text is not posted while an earlier one waits, set aside or passed over."""
    earlier = posts.alias()
    same = ("source_chat_id", "source_message_id", "target_chat_id", "topic")
    waits = [earlier.c[name] == posts.c[name] for name in same]
    waits += [earlier.c.part < posts.c.part, is_one_of(earlier.c.state, PostState.PENDING)]
    return or_(posts.c.part == 0, ~exists().where(*waits))


def _noted() -> Row:
    ours = posts.alias()
    newest = select(func.max(ours.c.target_message_id)).where(
        ours.c.target_chat_id == posts.c.target_chat_id
    )
    return {
        "sent_version": posts.c.version,
        "sent_after": func.coalesce(newest.scalar_subquery(), 0),
    }
