"""What an operator asks the tables of posts: where each stands, and why not. Reads only.

Each is run by `SignalStore.ask`, within the bot or beside it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import and_, func, select

from bot.models import ChatId, MessageId, MessageRef, UnixTime, is_sink
from bot.phrases import stored
from bot.posts import PostState
from bot.storage.schema import places, posts

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection, Row, Select


OPEN: Final = (PostState.PENDING, PostState.EDIT, PostState.DELETE)


class TranslationRecord(NamedTuple):
    to: str  # a language
    why_not: str | None  # it was posted in the original; None: it was not


class PostRecord(NamedTuple):
    id: int
    source: MessageRef
    target: ChatId
    target_message_id: MessageId | None
    part: int
    state: PostState
    attempts: int  # that came to nothing
    error: str | None
    refused: PostState | None  # FAILED: what Telegram refused to do with it
    aside_at: UnixTime | None  # local clock; None: it is not set aside
    note: str | None  # what it was posted without
    hidden: str | None  # why the rules of its place keep it from being shown; None: they do not
    topic: int  # of the target, a forum; 0: none
    place: int  # in `places`; 0: of none
    called: str  # what the place is called
    awaits: bool  # its translation
    translated: TranslationRecord | None  # None: not yet, or it is not to be
    paused: bool  # the place is

    @property
    def where(self) -> str:
        """The chat; a program by its place, since its number says nothing to people."""
        return self.called if is_sink(self.target) else str(self.target)


def posts_of(db: Connection, ref: MessageRef) -> list[PostRecord]:
    query = _posts().where(
        posts.c.source_chat_id == ref.chat_id, posts.c.source_message_id == ref.message_id
    )
    return [_post(row) for row in db.execute(query.order_by(posts.c.target_chat_id, posts.c.part))]


class ShownPost(NamedTuple):
    """A finished post, as people would read it."""

    place: str  # what it is called
    part: int
    text: str
    media: str | None  # its kind
    hidden: str | None  # why it is not shown there; None: it is


def shown(db: Connection, ref: MessageRef) -> list[ShownPost]:
    """Of a message in all its places."""
    what = (posts.c.part, posts.c.text, posts.c.media_kind, posts.c.hidden)
    its = (
        posts.c.source_chat_id == ref.chat_id,
        posts.c.source_message_id == ref.message_id,
    )
    query = select(places.c.name, *what).join(places, places.c.id == posts.c.place).where(*its)
    found = db.execute(query.order_by(places.c.id, posts.c.part))
    return [ShownPost(name, part, text or "", media, why) for name, part, text, media, why in found]


def post(db: Connection, post_id: int) -> PostRecord | None:
    row = db.execute(_posts().where(posts.c.id == post_id)).first()
    return None if row is None else _post(row)


def count_failed(db: Connection, *, places: Collection[int]) -> int:
    """In these places, by their rows."""
    failed = and_(posts.c.state == PostState.FAILED, posts.c.place.in_(places))
    return int(db.scalar(select(func.count()).select_from(posts).where(failed)) or 0)


def troubles(db: Connection, *, at_most: int) -> list[PostRecord]:
    """Posts that failed or were put off, the latest first."""
    trouble = and_(posts.c.error.is_not(None), posts.c.state.in_([*OPEN, PostState.FAILED]))
    query = _posts().where(trouble).order_by(posts.c.id.desc()).limit(at_most)
    return [_post(row) for row in db.execute(query)]


def _posts() -> Select[Any]:
    """Each with what its place is called, and whether that is paused."""
    its = places.c.id == posts.c.place
    return select(posts, places.c.name.label("called"), places.c.paused_at).outerjoin(places, its)


def _stored(text: str | None) -> str | None:
    return None if text is None else stored(text)


def _translation(to: str, why_not: str | None) -> TranslationRecord:
    return TranslationRecord(to, _stored(why_not))


def _post(row: Row[Any]) -> PostRecord:
    return PostRecord(
        id=row.id,
        source=MessageRef(row.source_chat_id, row.source_message_id),
        target=row.target_chat_id,
        target_message_id=row.target_message_id,
        part=row.part,
        state=PostState(row.state),
        attempts=row.attempts,
        error=_stored(row.error),
        refused=None if row.refused is None else PostState(row.refused),
        aside_at=row.aside_at,
        note=_stored(row.note),
        hidden=_stored(row.hidden),
        topic=row.topic,
        place=row.place,
        called=row.called or str(row.target_chat_id),
        awaits=row.original is not None and row.translated is None,
        translated=row.translated and _translation(*json.loads(row.translated)),
        paused=row.paused_at is not None,
    )
