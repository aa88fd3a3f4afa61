"""How much of what was written could be read of late, and what authors told of their signals. Reads only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import func, select

from bot.models import Reason, SignalId, UnixTime
from bot.storage import records
from bot.storage.schema import signal_updates, signals

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from bot.signal_fields import SignalEvent

SIGNALS, UPDATES = 100, 500  # the newest so many are looked at, whatever their age
EMPTY: Final = "[]"


class Coverage(NamedTuple):
    """Of the newest signals and updates: how many there are, and of how many something was read."""

    signals: int
    fields: Mapping[str, int]
    updates: int
    events: int


class ToldSince(NamedTuple):
    """What an author told of their signal."""

    at: UnixTime
    event: SignalEvent


def coverage(db: Connection) -> Coverage:
    late = select(signals).order_by(signals.c.id.desc()).limit(SIGNALS).subquery()
    read: dict[str, Any] = {
        name: func.count(late.c[column])
        for name, column in (
            *(("pair", "pair"), ("direction", "direction"), ("entry", "entry_low")),
            *(("stop", "stop"), ("leverage", "leverage")),
        )
    }
    read["take_profits"] = func.count().filter(late.c.take_profits != EMPTY)
    count, *fields = db.execute(select(func.count(), *read.values()).select_from(late)).one()
    updates = signal_updates.c
    newest = select(updates.event).order_by(updates.id.desc()).limit(UPDATES).subquery()
    told = db.execute(select(func.count(), func.count(newest.c.event)).select_from(newest)).one()
    return Coverage(count, dict(zip(read, fields, strict=True)), *told)


def newest_signal(db: Connection) -> SignalId | None:
    """The one that was recorded last; None: there is none."""
    found = db.scalar(select(func.max(signals.c.id)))
    return None if found is None else SignalId(found)


def told_of(db: Connection, signal_id: SignalId) -> list[ToldSince]:
    """What its author said has become of it, as far as that was beyond doubt; in their order."""
    its = signal_updates.c
    query = select(its.at, its.event, its.event_target, its.event_stop).where(
        its.signal_id == signal_id, its.reason == Reason.OWNER, its.event.is_not(None)
    )
    return [
        ToldSince(at, records.event_from(*event))
        for at, *event in db.execute(query.order_by(its.at, its.source_message_id))
    ]
