"""What a signal says and what an update tells of it, as the JSON objects that programs get.

`fields` of a signal leave out what is not said. Numbers are decimal text, exactly as they were read, since a
price is no binary fraction. An `event` is null where nothing was told beyond doubt.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from bot.models import MessageRef
from bot.signal_fields import EventKind, decimal_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bot.models import Content
    from bot.signal_fields import SignalEvent, SignalFields


class RowKind(StrEnum):
    """What there are objects of."""

    SIGNALS = "signals"
    UPDATES = "updates"
    DECISIONS = "decisions"  # whatever was recorded: signals and updates, too


def fields_object(fields: SignalFields) -> dict[str, Any]:
    """Of a text that was read just now."""
    return _said(
        pair=fields.pair,
        direction=fields.direction,
        entry=[decimal_text(price) for price in fields.entry or ()],
        take_profits=[decimal_text(price) for price in fields.take_profits],
        stop=decimal_text(fields.stop),
        leverage=decimal_text(fields.leverage),
        risk=decimal_text(fields.risk),
        timeframe=fields.timeframe,
    )


def recorded_fields(row: Mapping[str, Any]) -> dict[str, Any]:
    """Of a row of `signals`: what was read when it was recorded or edited last."""
    return _said(
        pair=row["pair"],
        direction=row["direction"],
        entry=[row["entry_low"], row["entry_high"]] if row["entry_low"] else [],
        take_profits=json.loads(row["take_profits"]),
        stop=row["stop"],
        leverage=row["leverage"],
        risk=row["risk"],
        timeframe=row["timeframe"],
    )


def _said(
    *,
    pair: str | None,
    direction: str | None,
    entry: Sequence[str | None],
    take_profits: Sequence[str | None],
    stop: str | None,
    leverage: str | None,
    risk: str | None,
    timeframe: str | None,
) -> dict[str, Any]:
    """The one order of the names; empty ones are left out."""
    return {name: value for name, value in locals().items() if value}


def event_object(event: SignalEvent | None) -> dict[str, Any] | None:
    """`target`: which was reached, if that was said. `stop`: where it was moved to, or "entry"."""
    return None if event is None else _told(event.kind, event.target, decimal_text(event.stop))


def recorded_event(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Of a row of `signal_updates`."""
    if row["event"] is None:
        return None
    return _told(EventKind(row["event"]), row["event_target"], row["event_stop"])


def _told(kind: EventKind, target: int | None, stop: str | None) -> dict[str, Any]:
    told: dict[str, Any] = {"kind": kind}
    if target is not None:
        told["target"] = target
    if kind is EventKind.STOP_MOVED:
        told["stop"] = stop or "entry"
    return told


def message_object(
    row: Mapping[str, Any], signal: Mapping[str, Any], *, source: str, said: Content
) -> dict[str, Any]:
    """A recorded message, `row` of `signals` or `signal_updates`, and what its place shows of it.

    `signal` is its own row, or its flow's. `kind` is "signal" or "update", `at` unix seconds.
    """
    is_signal = row is signal
    ref = MessageRef(row["source_chat_id"], row["source_message_id"])
    told = {"fields": recorded_fields(row)} if is_signal else {"event": recorded_event(row)}
    return {
        "kind": "signal" if is_signal else "update",
        "source": source,
        "chat_id": ref.chat_id,
        "message_id": ref.message_id,
        "link": ref.link,
        "signal_message_id": signal["source_message_id"],
        "reply_to": None if is_signal else row["reply_to_message_id"],
        "author": row["source_user_id"],
        "author_name": row["author_name"],
        "at": row["at"],
        "text": said.text,
        "media": said.media and said.media.kind,
        "album": row["album_id"] and str(row["album_id"]),
        **told,
    }
