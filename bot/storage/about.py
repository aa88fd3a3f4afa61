"""What places are told of a recorded message besides what it shows: their rules, and programs."""

from __future__ import annotations

import json
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, select

from bot.errors import DatabaseUnusable
from bot.models import Content
from bot.rules.presentation import About
from bot.signal_json import message_object, recorded_fields
from bot.storage import messages
from bot.storage.engine import Prepared
from bot.storage.schema import posts, signal_updates, signals

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


class Told:
    """What is recorded of a message: asked for when this is made, and waited for when it is needed."""

    def __init__(self, db: Connection, ref: MessageRef) -> None:
        key = messages.key_of(ref)
        statements = (messages.record_in(signals), messages.record_in(signal_updates), _signal())
        self._rows = [statement.ask(db, key) for statement in statements]
        self._hidden = _hidden().ask(db, key)

    @cached_property
    def rows(self) -> Rows | None:
        """None: it is not recorded."""
        of_signal, of_update, its_signal = (asked() for asked in self._rows)
        if of_signal:
            return Rows(of_signal[0], of_signal[0])
        return Rows(of_update[0], its_signal[0]) if of_update else None

    @cached_property
    def _hides(self) -> set[tuple[int, int]]:
        return {(row["target_chat_id"], row["topic"]) for row in self._hidden()}

    def signal_is_hidden(self, place: Place) -> bool:
        """The rules of that place keep the signal of this update from being shown there."""
        return (place.chat, place.topic) in self._hides


@cache
def _signal() -> Prepared:
    """Of an update."""
    its = signals.c.id == signal_updates.c.signal_id
    return Prepared(select(signals).where(its, messages.is_message(signal_updates)))


@cache
def _hidden() -> Prepared:
    """Where the signal of an update is kept from being shown."""
    its = and_(signals.c.id == signal_updates.c.signal_id, messages.is_message(signal_updates))
    names = ("source_chat_id", "source_message_id")
    posted = and_(*(posts.c[name] == signals.c[name] for name in names), posts.c.part == 0)
    where = select(posts.c.target_chat_id, posts.c.topic)
    return Prepared(where.where(its, posted, posts.c.hidden.is_not(None)))
