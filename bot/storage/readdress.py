"""Posts that are to go elsewhere, since their chat is another one now, or once more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, case, exists, func, select, update

from bot.posts import Method, PostState
from bot.storage.line import NEEDS
from bot.storage.schema import moved_chats, posts

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import ColumnElement, Connection

    from bot.models import ChatId


def move(db: Connection, old: ChatId, new: ChatId) -> None:
    """What is to be sent to the old chat goes to the new one.

    Sent ones stand in the old one for good, and what may stand there is to be looked for there.
    """
    to_be_sent = and_(posts.c.target_chat_id == old, NEEDS[Method.SEND])
    query = update(posts).where(to_be_sent)
    db.execute(query.values(target_chat_id=new, sent_to=_doubtful_in(old)))
    _follow_the_first(db)


def put_back(
    db: Connection, post_id: int | None, places: Collection[int] | None = None
) -> list[int]:
    """Put failed posts back in line, or the one; tells which. `places`: those for these; None: for all.

    One that was never sent, to a group that has moved since, goes where the group is now.
    """
    failed = posts.c.state == PostState.FAILED
    which = failed if post_id is None else and_(failed, posts.c.id == post_id)
    if places is not None:
        which = and_(which, posts.c.place.in_(places))
    # What was refused before that was written down had been either sent or not.
    guess = case((posts.c.target_message_id.is_(None), PostState.PENDING), else_=PostState.EDIT)
    state = func.coalesce(posts.c.refused, guess)
    moved = select(moved_chats.c.new_chat_id).where(
        moved_chats.c.old_chat_id == posts.c.target_chat_id
    )
    here, new = posts.c.target_chat_id, moved.scalar_subquery()
    moves = and_(state == PostState.PENDING, new.is_not(None))
    again = {
        "state": state,
        "target_chat_id": case((moves, new), else_=here),
        "sent_to": case((moves, _doubtful_in(here)), else_=posts.c.sent_to),
        "refused": None,
        "attempts": 0,
    }
    ids = list(db.scalars(select(posts.c.id).where(which).order_by(posts.c.id)))
    db.execute(update(posts).where(which).values(again))
    _follow_the_first(db)
    return ids


def _follow_the_first(db: Connection) -> None:
    """What is held back goes where its first part is to go."""
    first = posts.alias()
    its = and_(first.c.id == posts.c.first_id, first.c.state == PostState.PENDING)
    where = select(first.c.target_chat_id).where(its).scalar_subquery()
    held = and_(posts.c.state == PostState.HELD, exists().where(its))
    db.execute(update(posts).where(held).values(target_chat_id=where))


def _doubtful_in(chat: Any) -> ColumnElement[Any]:
    """What to write as `sent_to` where a post leaves that chat."""
    doubtful = posts.c.sent_version.is_not(None)
    return case((doubtful, func.coalesce(posts.c.sent_to, chat)), else_=None)
