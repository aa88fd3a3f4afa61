"""Recorded messages as the other tables' queries need them: what they say and what they answer."""

from __future__ import annotations

import json
from itertools import chain
from typing import TYPE_CHECKING, Final

from sqlalchemy import and_, bindparam, select

from bot.extras import entity_item
from bot.models import Content, Entity, Media, MessageId, MessageRef, PostState
from bot.storage.schema import posts, signal_updates, signals

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import ColumnElement, Connection, RowMapping, Table

    from bot.models import ChatId, Post

# It is there for people to read, outdated or not: replies may hang below it.
STANDS: Final = and_(
    posts.c.target_message_id.is_not(None),
    posts.c.state.in_([PostState.SENT, PostState.EDIT, PostState.FAILED]),
)
GENERATIONS: Final = 1_000  # of a thread that are looked through for one that stands


def is_message(table: Table) -> ColumnElement[bool]:
    return and_(
        table.c.source_chat_id == bindparam("source_chat_id"),
        table.c.source_message_id == bindparam("source_message_id"),
    )


def content_of(row: RowMapping) -> Content:
    """Of a row of `signals` or `signal_updates`."""
    kind = row["media_kind"]
    return Content(
        row["text"],
        tuple(Entity(**entity) for entity in json.loads(row["entities"])),
        None if kind is None else Media(kind, row["media_file_id"]),
    )


def entities_json(entities: Iterable[Entity]) -> str:
    """A list of `entity_item`s."""
    return json.dumps([*map(entity_item, entities)], ensure_ascii=False)


def content_json(content: Content) -> str:
    media = content.media and [content.media.kind, content.media.file_id]
    return json.dumps(
        [content.text, [*map(entity_item, content.entities)], media], ensure_ascii=False
    )


def content_from(said: str) -> Content:
    text, entities, media = json.loads(said)
    return Content(text, tuple(Entity(**each) for each in entities), media and Media(*media))


def record(db: Connection, source: MessageRef) -> RowMapping | None:
    key = {"source_chat_id": source.chat_id, "source_message_id": source.message_id}
    for table in (signals, signal_updates):
        row = db.execute(select(table).where(is_message(table)), key).mappings().first()
        if row is not None:
            return row
    return None


def ancestors(db: Connection, post: Post) -> Iterator[MessageId]:
    """Which standing posts it may answer, the nearest first. Asks for no more than is taken.

    Later parts of a long text answer its first one.
    """
    own = [post.source] if post.part else []
    seen: set[MessageId] = set()
    for ref in chain(own, _answered(db, post.source)):
        found = _standing(db, ref, post.target)
        if found is not None and found not in seen:
            seen.add(found)
            yield found


def answers_directly(db: Connection, post: Post) -> bool:
    """Whether `post.reply_to` is the post of the very message that its source answers."""
    parent = next(_answered(db, post.source), None)
    standing = None if parent is None else _standing(db, parent, post.target)
    return standing is not None and standing == post.reply_to


def _standing(db: Connection, ref: MessageRef, target: ChatId) -> MessageId | None:
    found = db.scalar(
        select(posts.c.target_message_id).where(
            posts.c.source_chat_id == ref.chat_id,
            posts.c.source_message_id == ref.message_id,
            posts.c.target_chat_id == target,
            posts.c.part == 0,
            STANDS,
        )
    )
    return None if found is None else MessageId(found)


def _answered(db: Connection, source: MessageRef) -> Iterator[MessageRef]:
    """The message it answers, the one that this answers, and so on; at last the signal."""
    root = None
    for _ in range(GENERATIONS):
        found = record(db, source)
        if found is None or "signal_id" not in found:
            break
        root = found["signal_id"] if root is None else root
        chat_id = found["reply_to_chat_id"] or source.chat_id
        source = MessageRef(chat_id, found["reply_to_message_id"])
        yield source
    if root is not None:
        signal = select(signals.c.source_chat_id, signals.c.source_message_id)
        yield MessageRef(*db.execute(signal.where(signals.c.id == root)).one())
