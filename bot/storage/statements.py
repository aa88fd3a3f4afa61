"""What a message becomes in the tables, and the statements for it, each compiled once.

A bot that begins anew opens another store, and they stay.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy
from sqlalchemy import (
    BigInteger,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
    union_all,
    update,
)

from bot.models import Content, MessageId, Reason
from bot.rules.signal_parser.events import event_of
from bot.signal_fields import SignalFields, decimal_text
from bot.storage.engine import Prepared, insert
from bot.storage.messages import content_row, is_message, record, storable
from bot.storage.schema import decisions, refused_edits, signal_updates, signals

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement, CompoundSelect, Connection, Select, Table, UpdateBase

    from bot.models import AuthorId, ChatId, Decision, IncomingMessage, UnixTime
    from bot.signal_fields import SignalEvent
    from bot.storage.engine import Insert

RECORDS: Final = (signals, signal_updates, decisions)  # a message is in one of them at most


def message_row(message: IncomingMessage, now: UnixTime) -> dict[str, Any]:
    return {
        "source_chat_id": message.chat_id,
        "source_message_id": message.id,
        "at": message.at,
        **content_row(message.content),
        "album_id": message.album_id,
        "author_name": message.author_name and storable(message.author_name),
        "recorded_at": now,
    }


def signal_row(message: IncomingMessage, now: UnixTime) -> dict[str, Any]:
    begun_at = message.begun_at
    return {
        **message_row(message, now),
        "last_owner_activity": begun_at,
        "begun_at": begun_at if begun_at > message.at else None,
        "topic": message.topic,
    }


def update_row(
    message: IncomingMessage, decision: Decision, author: AuthorId, now: UnixTime
) -> dict[str, Any]:
    parent = message.reply_to
    elsewhere = parent is not None and parent.chat_id != message.chat_id
    return {
        **message_row(message, now),
        "source_user_id": author,
        "signal_id": decision.signal_id,
        "reply_to_message_id": parent and parent.message_id,
        "reply_to_chat_id": parent.chat_id if parent and elsewhere else None,
        "reason": decision.reason,
        "tier": decision.tier,
        **event_row(event_of(message.text)),
    }


@cache
def insert_once(table: Table) -> Prepared:
    """An INSERT of named columns that does nothing if the message stands in any of `RECORDS`.

    Of a signal it returns the id.

    What failed is no record: the message may be tried again, and what becomes of it takes its place.
    """
    late = {"id", "error", "again"}  # of what failed; see `failures`
    columns = [column for column in table.c if column.name not in late]
    values = select(*(bindparam(column.name, type_=column.type) for column in columns))

    def query(insert: type[Insert]) -> UpdateBase:
        new = insert(table).from_select(columns, values.where(~_is_recorded()))
        if table is not decisions:
            return new.returning(table.c.id) if table is signals else new
        changes = {column.name: new.excluded[column.name] for column in columns}
        return new.on_conflict_do_update(
            index_elements=[decisions.c.source_chat_id, decisions.c.source_message_id],
            set_={**changes, "error": null(), "again": null()},
        )

    return Prepared(query)


@cache
def insert_new_update() -> Prepared:
    """An INSERT that fails if the message stands in any of `RECORDS`, or if there is no such flow.

    So what is asked behind it need not wait for its answer: it goes to a server along with it, and nothing of
    it is done. `owner`: whose flow it is; NULL: anybody's.
    """
    columns = [column for column in signal_updates.c if column.name != "id"]
    said: dict[str, Any] = {
        column.name: bindparam(column.name, type_=column.type) for column in columns
    }
    owner = bindparam("owner", type_=BigInteger)
    is_flow = and_(
        signals.c.id == said["signal_id"],
        or_(owner.is_(None), signals.c.source_user_id == owner),
        ~_is_recorded(),
    )
    said["signal_id"] = select(signals.c.id).where(is_flow).scalar_subquery()  # never NULL there
    return Prepared(sqlalchemy.insert(signal_updates).from_select(columns, select(*said.values())))


@cache
def recorded_before() -> Prepared:
    return Prepared(select(_is_recorded()))


def _is_recorded() -> ColumnElement[bool]:
    has_failed = decisions.c.reason == literal_column(f"'{Reason.FAILED}'")
    return or_(
        *(
            exists().where(is_message(record), *([~has_failed] if record is decisions else []))
            for record in RECORDS
        )
    )


@cache
def flow() -> Prepared:
    columns = (signals.c.source_user_id, signals.c.last_owner_activity)
    return Prepared(select(*columns).where(signals.c.id == bindparam("signal_id")))


@cache
def flow_at() -> Prepared:
    columns = (signals.c.id, signals.c.source_user_id, signals.c.last_owner_activity)
    of_signal = select(signals.c.id).where(is_message(signals)).scalar_subquery()
    of_update = select(signal_updates.c.signal_id).where(is_message(signal_updates))
    its = func.coalesce(of_signal, of_update.scalar_subquery())
    return Prepared(select(*columns).where(signals.c.id == its))


def newest(chat_id: ChatId) -> Select[Any]:
    """The newest message of that chat that is recorded; 0: none is."""
    here = (
        select(func.max(table.c.source_message_id).label("newest")).where(
            table.c.source_chat_id == chat_id
        )
        for table in RECORDS
    )
    return select(func.coalesce(func.max(union_all(*here).subquery().c.newest), 0))


def newest_date(until: UnixTime) -> Select[Any]:
    """The latest of all refusals and of the signal and update that were recorded last; NULL: there is none.

    No table is gone through. A refusal that was recorded last may be an old one: an import judges anew
    what was forgotten. Dates after `until` do not count.
    """
    tables = (signals, signal_updates)
    last = (
        select(t.c.at).where(t.c.at <= until).order_by(t.c.id.desc()).limit(1).subquery()
        for t in tables
    )
    refused = select(func.max(decisions.c.at).label("at")).where(decisions.c.at <= until)
    return select(func.max(union_all(*map(select, last), refused).subquery().c.at))


def recorded(
    chat_id: ChatId, active_since: UnixTime | None, before: MessageId | None, limit: int
) -> Select[Any]:
    flows = select(signals.c.id)
    if active_since is not None:
        activity = signals.c.last_owner_activity
        flows = flows.where(or_(activity.is_(None), activity >= active_since))

    def newest(table: Table, flow: ColumnElement[Any]) -> Select[Any]:
        number = table.c.source_message_id
        query = select(number).where(table.c.source_chat_id == chat_id)
        if active_since is not None:
            query = query.where(flow.in_(flows))
        if before is not None:
            query = query.where(number < before)
        of_table = query.order_by(number.desc()).limit(limit).subquery()
        return select(of_table)

    both = union_all(
        newest(signals, signals.c.id), newest(signal_updates, signal_updates.c.signal_id)
    )
    ids = both.subquery()
    return select(ids).order_by(ids.c.source_message_id.desc()).limit(limit)


def first_of_album() -> CompoundSelect[Any]:
    def parts(table: Table, signal: ColumnElement[Any], reason: ColumnElement[Any]) -> Select[Any]:
        wanted = (signal, table.c.source_message_id, table.c.source_user_id, reason)
        return select(*wanted).where(
            table.c.source_chat_id == bindparam("source_chat_id"),
            table.c.album_id == bindparam("album_id"),
        )

    lead = parts(signals, signals.c.id, literal(Reason.OWNER))
    others = parts(signal_updates, signal_updates.c.signal_id, signal_updates.c.reason)
    return union_all(lead, others).limit(1)


@cache
def move_activity() -> Prepared:
    """Never backwards: replies may be recorded late, in an import for one."""
    activity = bindparam("activity", type_=BigInteger)
    later = signals.c.last_owner_activity > activity
    latest = case((later, signals.c.last_owner_activity), else_=activity)
    is_flow = signals.c.id == bindparam("signal_id")
    return Prepared(update(signals).where(is_flow).values(last_owner_activity=latest))


def answered_here(message: IncomingMessage) -> MessageId | None:
    """What it answers; None: nothing, or a message of another chat."""
    answered = message.reply_to
    if answered is None or answered.chat_id != message.chat_id:
        return None
    return answered.message_id


def fields_row(fields: SignalFields) -> dict[str, str | None]:
    return {
        "pair": fields.pair,
        "direction": fields.direction,
        "timeframe": fields.timeframe,
        "entry_low": decimal_text(fields.entry and fields.entry.low),
        "entry_high": decimal_text(fields.entry and fields.entry.high),
        "take_profits": json.dumps(list(map(decimal_text, fields.take_profits))),
        "stop": decimal_text(fields.stop),
        "risk": decimal_text(fields.risk),
        "leverage": decimal_text(fields.leverage),
    }


def event_row(event: SignalEvent | None) -> dict[str, str | int | None]:
    return {
        "event": event and event.kind,
        "event_target": event and event.target,
        "event_stop": decimal_text(event and event.stop),
    }


def recorded_by(db: Connection, message: IncomingMessage) -> tuple[Table, Mapping[str, Any]] | None:
    """Where the message is recorded as one of this author's; None: nowhere."""
    found = record(db, message.ref)
    return found if found and found[1]["source_user_id"] == message.author else None


def keep_refused_edit(db: Connection, row: Mapping[str, Any]) -> None:
    """The latest of each message."""
    query = insert(db, refused_edits)
    latest = {name: query.excluded[name] for name in ("at", "recorded_at")}
    known = list(refused_edits.primary_key)
    db.execute(query.on_conflict_do_update(index_elements=known, set_=latest), row)


@cache
def rewrite(table: Table) -> Prepared:
    """What an edit can change of a record."""
    read = fields_row(SignalFields()) if table is signals else event_row(None)
    names = (*content_row(Content("")), *read)
    changes = {name: bindparam(name, type_=table.c[name].type) for name in names}
    return Prepared(update(table).where(table.c.id == bindparam("record")).values(changes))
