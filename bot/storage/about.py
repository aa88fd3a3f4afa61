"""What places are told of a recorded message besides what it shows: their rules, and programs."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, bindparam, select

from bot.errors import DatabaseUnusable
from bot.models import Content
from bot.rules.presentation import About
from bot.signal_json import message_object, recorded_fields
from bot.storage import messages
from bot.storage.engine import Prepared
from bot.storage.schema import posts, signals

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from bot.models import MessageRef
    from bot.routes import Place

Row = dict[str, Any]


class Rows(NamedTuple):
    row: Row  # of `signals` or `signal_updates`
    signal: Row  # its own, or its flow's


def about(ref: MessageRef, found: Rows | None) -> About:
    """As it is recorded now; of what is not recorded nothing is known."""
    if found is None:
        return About(link=ref.link)
    row, signal = found
    return About(
        author=row["author_name"],
        link=ref.link,
        is_signal=row is signal,
        in_album=row["album_id"] is not None,
        text=signal["text"],
        marker=signal["marker"],
        fields=recorded_fields(signal),
    )


def as_event(ref: MessageRef, found: Rows | None, said: Content, *, source: str) -> Content:
    """What programs are told of it, as the text of a post: one line of JSON. See `delivery.events`."""
    if found is None:
        raise DatabaseUnusable(f"the record of {ref.chat_id}:{ref.message_id} is gone")
    told = message_object(*found, source=source, said=said)
    return Content(json.dumps(told, ensure_ascii=False))


def signal_is_hidden(db: Connection, found: Rows | None, place: Place) -> bool:
    """The rules of that place keep the signal of this update from being shown there."""
    if found is None or found.row is found.signal:
        return False
    key = {name: found.signal[name] for name in ("source_chat_id", "source_message_id")}
    return bool(_hidden().rows(db, {**key, "target": place.chat, "topic": place.topic}))


def rows_of(db: Connection, ref: MessageRef) -> Rows | None:
    """None: it is not recorded."""
    found = messages.record(db, ref)
    if found is None:
        return None
    table, row = found
    if table is signals:
        return Rows(row, row)
    (signal,) = _signal().rows(db, {"signal": row["signal_id"]})
    return Rows(row, signal)


@cache
def _signal() -> Prepared:
    return Prepared(select(signals).where(signals.c.id == bindparam("signal")))


@cache
def _hidden() -> Prepared:
    there = (
        posts.c.target_chat_id == bindparam("target"),
        posts.c.topic == bindparam("topic"),
    )
    here = and_(messages.is_message(posts), *there)
    return Prepared(select(posts.c.id).where(here, posts.c.part == 0, posts.c.hidden.is_not(None)))
