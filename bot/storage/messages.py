"""Recorded messages as the other tables' queries need them: what they say and what they answer."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    String,
    and_,
    bindparam,
    func,
    literal,
    literal_column,
    or_,
    select,
    union_all,
)

from bot.extras import dumped, entity_item, loaded
from bot.models import Content, Entity, Media, MessageId, MessageRef, identity_of
from bot.posts import PostState
from bot.storage.engine import Prepared
from bot.storage.schema import posts, signal_updates, signals

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sqlalchemy import ColumnElement, Connection, FromClause, Table

    from bot.posts import Post

ALBUM_SPAN: Final = 20  # of message ids; an album has ten parts, and others may speak meanwhile
GENERATIONS: Final = 1_000  # of a thread that are looked through for one that stands


def is_message(table: Table) -> ColumnElement[bool]:
    return and_(
        table.c.source_chat_id == bindparam("source_chat_id"),
        table.c.source_message_id == bindparam("source_message_id"),
    )


def is_one_of(column: ColumnElement[str], *states: PostState) -> ColumnElement[bool]:
    """IN, for a `Prepared`; SQLite makes an IN of it again, so that the column's index serves.

    With its words in it: where an index is for some states, SQLite compiles a query again for each
    parameter that is put for a state.
    """
    return or_(*(column == literal_column(f"'{state}'", String) for state in states))


def stands(post: FromClause) -> ColumnElement[bool]:
    """It is there for people to read, outdated or not: replies may hang below it."""
    there = is_one_of(post.c.state, PostState.SENT, PostState.EDIT, PostState.FAILED)
    return and_(post.c.target_message_id.is_not(None), there)


# ── what is said, as columns ──────────────────────────────────────────────────


def content_row(said: Content) -> dict[str, Any]:
    """In the columns of `signals`, `signal_updates` and `posts`."""
    return {
        "text": storable(said.text),
        "entities": storable(entities_json(said.entities)),
        "media_kind": said.media and said.media.kind,
        "media_file_id": said.media and said.media.file_id,
        "extras": storable(extras) if (extras := dumped(said.extras)) else None,
    }


def content_of(row: Mapping[str, Any]) -> Content:
    """Of a row of these tables. An old post without a text is one of no words."""
    kind = row["media_kind"]
    return Content(
        row["text"] or "",
        tuple(Entity(**entity) for entity in json.loads(row["entities"] or "[]")),
        None if kind is None else Media(kind, row["media_file_id"]),
        loaded(row["extras"]),
    )


def same_content(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """A file's reference, the last part of its id, is another one each time it is told."""

    def comparable(of: Mapping[str, Any]) -> tuple[object, ...]:
        file = identity_of(of["media_file_id"])
        return of["text"], of["entities"], of["media_kind"], file, of["extras"]

    return comparable(one) == comparable(other)


def storable(text: str) -> str:
    """As the tables take it: half a surrogate pair, as an export may hold, becomes "\ufffd", and so
    does NUL, which PostgreSQL does not take.
    """
    text = text.replace("\0", "\ufffd")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text  # as nearly all


def entities_json(entities: Collection[Entity]) -> str:
    """A list of `entity_item`s."""
    return json.dumps([*map(entity_item, entities)], ensure_ascii=False) if entities else "[]"


def content_json(said: Content) -> str:
    """By what it is found again: of its extras nothing is kept."""
    media = said.media and [said.media.kind, said.media.file_id]
    return json.dumps([said.text, [*map(entity_item, said.entities)], media], ensure_ascii=False)


def content_from(said: str) -> Content:
    text, entities, media = json.loads(said)
    return Content(text, tuple(Entity(**each) for each in entities), media and Media(*media))


# ── where it is recorded, and what it answers ──────────────────────────────────────────────────────────


def key_of(ref: MessageRef) -> dict[str, int]:
    """For `is_message`."""
    return {"source_chat_id": ref.chat_id, "source_message_id": ref.message_id}


def record(db: Connection, ref: MessageRef) -> tuple[Table, dict[str, Any]] | None:
    """Where a signal or an update is recorded, and as what."""
    for table in (signals, signal_updates):
        for row in record_in(table).rows(db, key_of(ref)):
            return table, row
    return None


@cache
def record_in(table: Table) -> Prepared:
    return Prepared(select(table).where(is_message(table)))


def ancestors(db: Connection, post: Post) -> list[MessageId]:
    """Which standing posts it may answer, the nearest first: what its message answers, what that
    answers, and so on; at last the signal. Later parts of a long text answer its first one.
    Where one of an album does not stand, its others do as well.
    """
    where = {"part": post.part, "target": post.target, "topic": post.topic}
    found = _ancestors().run(db, {**key_of(post.source), **where})
    return list(dict.fromkeys(MessageId(number) for number, _ in found))


@cache
def _ancestors() -> Prepared:
    answered = (
        func.coalesce(signal_updates.c.reply_to_chat_id, signal_updates.c.source_chat_id),
        signal_updates.c.reply_to_message_id,
        signal_updates.c.signal_id,
    )
    first = select(
        answered[0].label("chat"),
        answered[1].label("message"),
        answered[2].label("signal"),
        literal(1).label("steps"),
    ).where(is_message(signal_updates))
    thread = first.cte("thread", recursive=True)
    above = and_(
        signal_updates.c.source_chat_id == thread.c.chat,
        signal_updates.c.source_message_id == thread.c.message,
        thread.c.steps < GENERATIONS,
    )
    thread = thread.union_all(select(*answered, thread.c.steps + 1).join(thread, above))
    own: Any = select(bindparam("source_chat_id"), bindparam("source_message_id"), literal(0))
    root = select(signals.c.source_chat_id, signals.c.source_message_id, literal(GENERATIONS + 1))
    line = union_all(
        own.where(bindparam("part") > 0),
        select(thread.c.chat, thread.c.message, thread.c.steps),
        root.join(thread, and_(signals.c.id == thread.c.signal, thread.c.steps == 1)),
    ).subquery("line")
    chat, message, steps = line.c
    own = posts.alias("own")
    is_own = and_(
        own.c.source_chat_id == chat,
        own.c.source_message_id == message,
        own.c.target_chat_id == bindparam("target"),
        own.c.topic == bindparam("topic"),
        own.c.part == 0,
    )
    number = posts.c.source_message_id
    is_post = and_(
        posts.c.source_chat_id == own.c.source_chat_id,
        number.between(own.c.source_message_id - ALBUM_SPAN, own.c.source_message_id + ALBUM_SPAN),
        posts.c.target_chat_id == own.c.target_chat_id,
        posts.c.topic == own.c.topic,
        posts.c.part == 0,
        or_(posts.c.id == own.c.id, posts.c.album_id == own.c.album_id),
        stands(posts),
    )
    nearest = (steps, posts.c.id != own.c.id, number)
    found = select(posts.c.target_message_id, steps).select_from(line).join(own, is_own)
    return Prepared(found.join(posts, is_post).order_by(*nearest))
