"""What the tables hold, page by page, for a program that wants all of it. Reads only.

Each page is a short look of its own. Between two of them the bot writes as it likes and nothing of SQLite's
is held back, however slowly the reader takes what it is given. No row comes twice; what is recorded
meanwhile may or may not be among them.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import and_, exists, literal, or_, select, tuple_

from bot.models import ChatId, MessageRef, Outcome, Reason
from bot.signal_json import RowKind
from bot.storage.schema import decisions, moved_chats, signal_updates, signals

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sqlalchemy import ColumnElement, Connection, Select, Table

    from bot.models import UnixTime

PAGE: Final = 500  # rows
TABLES: Final = (signals, signal_updates, decisions)


class Wanted(NamedTuple):
    """Which rows. `sources`: of these chats; None: of all."""

    kind: RowKind
    since: UnixTime | None = None  # by the message's own date, and that one too; None: all
    sources: Collection[ChatId] | None = None


def page(db: Connection, wanted: Wanted, after: MessageRef | None) -> list[dict[str, Any]]:
    """The rows that follow in the order of chats and then messages; empty at the end."""
    found: list[dict[str, Any]] = []
    for table, query in _ROWS[wanted.kind]:
        key = (table.c.source_chat_id, table.c.source_message_id)
        of_table = query.where(*_conditions(table, wanted))
        if after is not None:
            of_table = of_table.where(tuple_(*key) > tuple_(*after))
        found += (row._asdict() for row in db.execute(of_table.order_by(*key).limit(PAGE)))
    # Of several tables each page is too long: what is left over is asked for again.
    return sorted(found, key=itemgetter("chat_id", "message_id"))[:PAGE]


def _conditions(table: Table, wanted: Wanted) -> list[ColumnElement[bool]]:
    conditions = []
    if wanted.since is not None:
        conditions.append(table.c.at >= wanted.since)
    if wanted.sources is not None:
        conditions.append(table.c.source_chat_id.in_(wanted.sources))
    return conditions


def once_called(db: Connection, chat: ChatId) -> set[ChatId]:
    """All the ids that a chat has or had: messages stay recorded under the one of their time."""
    moved = select(moved_chats).where(
        or_(moved_chats.c.old_chat_id == chat, moved_chats.c.new_chat_id == chat)
    )
    return {chat, *(ChatId(each) for row in db.execute(moved) for each in row)}


def is_known(db: Connection, chats: Collection[ChatId]) -> bool:
    """Whether anything is recorded of one of them."""
    queries = (exists().where(table.c.source_chat_id.in_(chats)) for table in TABLES)
    return bool(db.scalar(select(or_(*queries))))


def known_chats(db: Connection) -> list[ChatId]:
    found = {
        each for table in TABLES for each in db.scalars(select(table.c.source_chat_id).distinct())
    }
    return sorted(map(ChatId, found))


# ── columns ───────────────────────────────────────────────────────────────────


def _message(table: Table) -> tuple[Any, ...]:
    return (
        table.c.source_chat_id.label("chat_id"),
        table.c.source_message_id.label("message_id"),
        table.c.source_user_id.label("author"),
        table.c.at,
    )


def _said(table: Table) -> tuple[Any, ...]:
    return (table.c.album_id, table.c.media_kind, table.c.text)


_READ: Final = [
    signals.c[name]
    for name in (
        *("pair", "direction", "timeframe", "entry_low", "entry_high"),
        *("take_profits", "stop", "risk", "leverage"),
    )
]
_SIGNALS: Final = select(
    *_message(signals),
    *_said(signals),
    *_READ,
    signals.c.id.label("signal_id"),
    signals.c.source_message_id.label("signal_message_id"),
    signals.c.marker,
    literal(Outcome.SIGNAL.value).label("outcome"),
    literal(Reason.NEW_SIGNAL.value).label("reason"),
)
_UPDATES: Final = select(
    *_message(signal_updates),
    *_said(signal_updates),
    signal_updates.c.signal_id,
    signals.c.source_message_id.label("signal_message_id"),
    signal_updates.c.reply_to_message_id.label("reply_to"),
    literal(Outcome.UPDATE.value).label("outcome"),
    *(signal_updates.c[name] for name in ("reason", "tier", "event", "event_target", "event_stop")),
).join(signals, signals.c.id == signal_updates.c.signal_id)
# The other pictures of a signal stand among the updates, and tell nothing of it.
_ITS_OWN_ALBUM: Final = and_(
    signal_updates.c.album_id.is_not(None),
    signal_updates.c.album_id.is_not_distinct_from(signals.c.album_id),
)
_REFUSED: Final = select(
    *_message(decisions),
    decisions.c.signal_id,
    signals.c.source_message_id.label("signal_message_id"),
    decisions.c.reply_to_message_id.label("reply_to"),
    *(decisions.c[name] for name in ("outcome", "reason", "tier")),
).outerjoin(signals, signals.c.id == decisions.c.signal_id)
_ROWS: Final[Mapping[RowKind, list[tuple[Table, Select[Any]]]]] = {
    RowKind.SIGNALS: [(signals, _SIGNALS)],
    RowKind.UPDATES: [(signal_updates, _UPDATES.where(~_ITS_OWN_ALBUM))],
    RowKind.DECISIONS: [(signals, _SIGNALS), (signal_updates, _UPDATES), (decisions, _REFUSED)],
}
