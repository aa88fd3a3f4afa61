"""What the rules of a place may ask about a recorded message; see `rules.presentation.About`."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import and_, bindparam, select

from bot.models import MessageRef
from bot.rules.presentation import About
from bot.signal_json import recorded_fields
from bot.storage import messages
from bot.storage.engine import Prepared
from bot.storage.schema import posts, signals

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from bot.routes import Place


class AboutBoth(NamedTuple):
    about: About
    signal: MessageRef  # its own, or its flow's


def about(db: Connection, ref: MessageRef) -> About:
    """As it is recorded now; of what is not recorded nothing is known."""
    return _recorded(db, ref).about


def _recorded(db: Connection, ref: MessageRef) -> AboutBoth:
    found = messages.record(db, ref)
    if found is None:
        return AboutBoth(About(link=ref.link), ref)
    table, row = found
    signal = row
    if table is not signals:
        (signal,) = _signal().rows(db, {"signal": row["signal_id"]})
    return AboutBoth(
        About(
            author=row["author_name"],
            link=ref.link,
            is_signal=table is signals,
            in_album=row["album_id"] is not None,
            text=signal["text"],
            marker=signal["marker"],
            fields=recorded_fields(signal),
        ),
        MessageRef(signal["source_chat_id"], signal["source_message_id"]),
    )


def signal_is_hidden(db: Connection, ref: MessageRef, place: Place) -> bool:
    """The rules of that place keep the signal of this update from being shown there."""
    signal = _recorded(db, ref).signal
    key = {**messages.key_of(signal), "target": place.chat, "topic": place.topic}
    return signal != ref and bool(_hidden().rows(db, key))


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
