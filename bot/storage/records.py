"""What an operator asks the tables: what became of a message, a flow, the posts. Reads only.

Each is run by `SignalStore.ask`, within the bot or beside it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import and_, func, literal, null, or_, select, union_all

from bot.extras import loaded
from bot.models import (
    ENDED_BY_HAND,
    AuthorId,
    ChatId,
    MessageId,
    MessageRef,
    OrderKind,
    Outcome,
    Reason,
    SignalId,
    Tier,
    UnixTime,
)
from bot.posts import Backlog, PostState
from bot.signal_fields import EventKind, SignalEvent
from bot.storage.places import SHUT
from bot.storage.post_records import OPEN
from bot.storage.schema import (
    cursors,
    decisions,
    moved_chats,
    orders,
    posts,
    refused_edits,
    signal_updates,
    signals,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import ColumnElement, Connection, Row, Select, Table

    from bot.extras import Extras

REFUSALS_KEPT: Final = 30 * 86_400  # seconds


class Recorded(NamedTuple):
    """What a source message was taken for. Of a refused one the tables keep no text."""

    ref: MessageRef
    outcome: Outcome
    reason: Reason
    tier: Tier | None
    answers: MessageRef | None
    signal_id: SignalId | None
    author: AuthorId | None
    text: str | None
    at: UnixTime
    recorded_at: UnixTime
    event: SignalEvent | None  # what an update says has become of its signal


class SignalRecord(NamedTuple):
    """A signal, what it says, and how its flow stands."""

    id: SignalId
    ref: MessageRef
    owner: AuthorId
    at: UnixTime
    last_owner_activity: UnixTime | None
    marker: str
    text: str
    fields: Mapping[str, Any]  # the columns that say what was read in it
    updates: int
    refused: int
    topic: int  # of a forum; 0: none, or General


class Heard(NamedTuple):
    """How far all that Telegram told of a box (see `models.Cursor`) is dealt with."""

    box: ChatId
    message_id: MessageId | None  # the newest message; None: none was seen yet
    recorded_at: UnixTime


FIELDS: Final = (
    *("pair", "direction", "timeframe", "entry_low", "entry_high"),
    *("take_profits", "stop", "risk", "leverage"),
)


# ── messages ──────────────────────────────────────────────────────────────────


def recorded(db: Connection, ref: MessageRef) -> Recorded | None:
    for query in _RECORDED:
        of_message = and_(
            query.selected_columns.source_chat_id == ref.chat_id,
            query.selected_columns.source_message_id == ref.message_id,
        )
        row = db.execute(query.where(of_message)).first()
        if row is not None:
            return _recorded(row)
    return None


def replies(db: Connection, signal_id: SignalId) -> list[Recorded]:
    """The updates of a signal and the refused replies into its flow, in their order."""
    _, updates, refused = _RECORDED
    query = union_all(
        updates.where(signal_updates.c.signal_id == signal_id),
        refused.where(decisions.c.signal_id == signal_id),
    )
    found = map(_recorded, db.execute(query))
    return sorted(found, key=lambda reply: (reply.at, reply.ref.message_id))


def messages_with_id(db: Connection, message_id: MessageId) -> list[MessageRef]:
    """The messages of that number that the tables know, in whatever chat."""
    queries = [
        select(table.c.source_chat_id).where(table.c.source_message_id == message_id)
        for table in (signals, signal_updates, decisions)
    ]
    posted = select(posts.c.target_chat_id).where(posts.c.target_message_id == message_id)
    chats = {ChatId(chat_id) for chat_id in db.scalars(union_all(*queries, posted))}
    return [MessageRef(chat_id, message_id) for chat_id in sorted(chats)]


def neighbours(db: Connection, ref: MessageRef) -> tuple[Recorded | None, Recorded | None]:
    """The nearest recorded messages of the chat before and after that one."""
    before: list[Row[Any]] = []
    after: list[Row[Any]] = []
    for query in _RECORDED:
        number = query.selected_columns.source_message_id
        here = query.where(query.selected_columns.source_chat_id == ref.chat_id)
        before += db.execute(here.where(number < ref.message_id).order_by(number.desc()).limit(1))
        after += db.execute(here.where(number > ref.message_id).order_by(number).limit(1))
    return (
        max(map(_recorded, before), key=_number, default=None),
        min(map(_recorded, after), key=_number, default=None),
    )


def extras_of(db: Connection, ref: MessageRef) -> Extras | None:
    """How a signal or an update is shown; None: as any other."""
    queries = [
        select(table.c.extras).where(
            table.c.source_chat_id == ref.chat_id, table.c.source_message_id == ref.message_id
        )
        for table in (signals, signal_updates)
    ]
    return loaded(db.scalar(union_all(*queries)))


# ── flows ─────────────────────────────────────────────────────────────────────


def signal(db: Connection, signal_id: SignalId) -> SignalRecord | None:
    row = db.execute(_signals().where(signals.c.id == signal_id)).first()
    return None if row is None else _signal(row)


def owner_activity(
    db: Connection, signal_id: SignalId, *, at: UnixTime, but: MessageRef
) -> UnixTime | None:
    """When the owner had last continued the flow at that date, not counting message `but`."""
    began = func.coalesce(signals.c.begun_at, signals.c.at).label("at")
    its = select(began, signals.c.source_message_id).where(signals.c.id == signal_id)
    by_owner = select(signal_updates.c.at, signal_updates.c.source_message_id).where(
        signal_updates.c.signal_id == signal_id, signal_updates.c.reason == Reason.OWNER
    )
    both = union_all(its, by_owner).subquery()
    query = select(func.max(both.c.at)).where(
        both.c.at <= at, both.c.source_message_id != but.message_id
    )
    found = db.scalar(query)
    return None if found is None else UnixTime(found)


class RefusedEdit(NamedTuple):
    at: UnixTime | None  # None: Telegram did not say
    recorded_at: UnixTime


def refused_edit(db: Connection, ref: MessageRef) -> RefusedEdit | None:
    """The latest edit of a recorded message whose author was permitted no more; None: none was."""
    query = select(refused_edits.c.at, refused_edits.c.recorded_at).where(
        refused_edits.c.source_chat_id == ref.chat_id,
        refused_edits.c.source_message_id == ref.message_id,
    )
    row = db.execute(query).first()
    return None if row is None else RefusedEdit(*row)


def ended_by_hand(
    db: Connection, signal_id: SignalId, *, before: UnixTime | None = None
) -> UnixTime | None:
    """When an operator last ended the flow, by the local clock; None: never."""
    query = select(func.max(orders.c.at)).where(
        orders.c.kind == OrderKind.RELEASE, orders.c.subject == signal_id
    )
    if before is not None:
        query = query.where(orders.c.at <= before)
    found = db.scalar(query)
    return None if found is None else UnixTime(found)


def all_ended_by_hand(db: Connection) -> dict[SignalId, UnixTime]:
    """The same of each flow."""
    query = select(orders.c.subject, func.max(orders.c.at)).where(
        orders.c.kind == OrderKind.RELEASE
    )
    return {SignalId(one): UnixTime(at) for one, at in db.execute(query.group_by(orders.c.subject))}


class FlowCounts(NamedTuple):
    active: int
    quiet: int
    ended_by_hand: int


def count_flows(db: Connection, *, active_since: UnixTime) -> dict[tuple[ChatId, int], FlowCounts]:
    """Of each chat and topic that had a signal."""
    where, activity = (signals.c.source_chat_id, signals.c.topic), signals.c.last_owner_activity
    query = select(
        *where,
        func.count(),
        func.count().filter(activity == ENDED_BY_HAND),
        func.count().filter(or_(activity.is_(None), activity >= active_since)),
    ).group_by(*where)
    return {
        (ChatId(chat), topic): FlowCounts(active, total - ended - active, ended)
        for chat, topic, total, ended, active in db.execute(query)
    }


# ── posts and the rest ────────────────────────────────────────────────────────


def posted_from(db: Connection, target: MessageRef) -> MessageRef | None:
    """The source message of a message that we posted."""
    query = select(posts.c.source_chat_id, posts.c.source_message_id).where(
        posts.c.target_chat_id == target.chat_id, posts.c.target_message_id == target.message_id
    )
    row = db.execute(query).first()
    return None if row is None else MessageRef(*row)


def count_posts(db: Connection) -> dict[PostState, int]:
    found = db.execute(select(posts.c.state, func.count()).group_by(posts.c.state)).all()
    counts = {PostState(state): number for state, number in found}
    return {state: counts.get(state, 0) for state in PostState}


def count_posts_by_place(db: Connection) -> dict[int, dict[PostState, int]]:
    """Of what is not done yet, by the row of the place; 0: of none. What is done may be millions."""
    found: dict[int, dict[PostState, int]] = {}
    undone = posts.c.state.in_([*OPEN, PostState.FAILED])
    query = select(posts.c.place, posts.c.state, func.count()).where(undone)
    query = query.group_by(posts.c.place, posts.c.state)
    for place, state, number in db.execute(query):
        found.setdefault(place, {})[PostState(state)] = number
    return found


def count_aside(db: Connection) -> int:
    """Posts that keep failing without a reason, and wait apart from the line."""
    aside = and_(posts.c.aside_at.is_not(None), posts.c.state.in_(OPEN))
    return int(db.scalar(select(func.count()).select_from(posts).where(aside)) or 0)


def backlogs(db: Connection, targets: Iterable[ChatId]) -> dict[ChatId, Backlog]:
    """What waits in line for each target that there still is; the rest waits for the operator.

    So does what is for places that are paused, or that are listed no more though their chat is.
    """
    targets = list(targets)
    here = posts.c.target_chat_id
    in_line = and_(posts.c.state == PostState.PENDING, posts.c.aside_at.is_(None), ~SHUT)
    query = select(here, func.count(), func.min(posts.c.recorded_at))
    query = query.where(in_line, here.in_(targets))
    found = {target: Backlog(*more) for target, *more in db.execute(query.group_by(here))}
    return {target: found.get(target, Backlog(0, None)) for target in targets}


def backlogs_of_places(db: Connection) -> dict[int, Backlog]:
    """The same by place, whether anything is taken from it now or not; of those that have anything."""
    query = select(posts.c.place, func.count(), func.min(posts.c.recorded_at)).where(
        posts.c.state == PostState.PENDING, posts.c.aside_at.is_(None)
    )
    return {place: Backlog(*more) for place, *more in db.execute(query.group_by(posts.c.place))}


def paused_at(db: Connection) -> UnixTime | None:
    """Since when an operator has had nothing posted, by the local clock; None: no pause."""
    query = select(orders.c.kind, orders.c.at).where(
        orders.c.kind.in_([OrderKind.PAUSE, OrderKind.RESUME])
    )
    last = db.execute(query.order_by(orders.c.id.desc()).limit(1)).first()
    return UnixTime(last.at) if last is not None and last.kind == OrderKind.PAUSE else None


def tier_hits(db: Connection) -> dict[Tier, int]:
    """How many recorded replies each tier knew the flow of."""
    tiers = union_all(
        *(select(table.c.tier).where(table.c.tier.is_not(None)) for table in _WITH_TIER)
    ).subquery()
    found = db.execute(select(tiers.c.tier, func.count()).group_by(tiers.c.tier)).all()
    counts = {Tier(tier): number for tier, number in found}
    return {tier: counts.get(tier, 0) for tier in Tier}


def heard(db: Connection) -> list[Heard]:
    query = select(cursors.c.box, cursors.c.message_id, cursors.c.recorded_at)
    found = db.execute(query.order_by(cursors.c.box)).all()
    return [Heard(ChatId(int(box)), message_id, at) for box, message_id, at in found]


def moved(db: Connection) -> dict[ChatId, ChatId]:
    """Basic groups that became supergroups: old id to new."""
    query = select(moved_chats.c.old_chat_id, moved_chats.c.new_chat_id)
    return {ChatId(old): ChatId(new) for old, new in db.execute(query)}


# ── rows ──────────────────────────────────────────────────────────────────────

_WITH_TIER: Final = (signal_updates, decisions)


def _record_of(
    table: Table,
    *,
    outcome: Any,
    reason: Any,
    signal_id: Any,
    tier: Any = None,
    answers: Any = None,
    answered_in: Any = None,
    text: Any = None,
    event: tuple[Any, Any, Any] = (None, None, None),
) -> Select[Any]:
    def named(name: str, column: Any) -> Any:
        return (null() if column is None else column).label(name)

    return select(
        table.c.source_chat_id,
        table.c.source_message_id,
        outcome.label("outcome"),
        reason.label("reason"),
        named("tier", tier),
        named("answered_in", answered_in),
        named("answers", answers),
        signal_id.label("signal_id"),
        table.c.source_user_id,
        named("text", text),
        table.c.at,
        table.c.recorded_at,
        *map(named, ("event", "event_target", "event_stop"), event),
    )


_RECORDED: Final = (
    _record_of(
        signals,
        outcome=literal(Outcome.SIGNAL),
        reason=literal(Reason.NEW_SIGNAL),
        signal_id=signals.c.id,
        text=signals.c.text,
    ),
    _record_of(
        signal_updates,
        outcome=literal(Outcome.UPDATE),
        reason=signal_updates.c.reason,
        tier=signal_updates.c.tier,
        answers=signal_updates.c.reply_to_message_id,
        answered_in=signal_updates.c.reply_to_chat_id,
        signal_id=signal_updates.c.signal_id,
        text=signal_updates.c.text,
        event=(
            *(signal_updates.c.event, signal_updates.c.event_target),
            signal_updates.c.event_stop,
        ),
    ),
    _record_of(
        decisions,
        outcome=decisions.c.outcome,
        reason=decisions.c.reason,
        tier=decisions.c.tier,
        answers=decisions.c.reply_to_message_id,
        signal_id=decisions.c.signal_id,
    ),
)


def _recorded(row: Row[Any]) -> Recorded:
    answered_in = row.answered_in or row.source_chat_id
    return Recorded(
        ref=MessageRef(row.source_chat_id, row.source_message_id),
        outcome=Outcome(row.outcome),
        reason=Reason(row.reason),
        tier=None if row.tier is None else Tier(row.tier),
        answers=None if row.answers is None else MessageRef(answered_in, row.answers),
        signal_id=row.signal_id,
        author=row.source_user_id,
        text=row.text,
        at=row.at,
        recorded_at=row.recorded_at,
        event=row.event and event_from(row.event, row.event_target, row.event_stop),
    )


def event_from(kind: str, target: int | None, stop: str | None) -> SignalEvent:
    return SignalEvent(EventKind(kind), target, None if stop is None else Decimal(stop))


def _number(record: Recorded) -> int:
    return record.ref.message_id


def _signals() -> Select[Any]:
    return select(
        signals,
        _count(signal_updates, signal_updates.c.signal_id).label("updates"),
        _count(decisions, decisions.c.signal_id, Outcome.REJECTED).label("refused"),
    )


def _count(table: Table, signal_id: Any, outcome: Outcome | None = None) -> Any:
    where: ColumnElement[bool] = signal_id == signals.c.id
    if outcome is not None:
        where = and_(where, table.c.outcome == outcome)
    return select(func.count()).select_from(table).where(where).scalar_subquery()


def _signal(row: Row[Any]) -> SignalRecord:
    found = row._mapping  # noqa: SLF001  # SQLAlchemy's public name for it
    return SignalRecord(
        id=found["id"],
        ref=MessageRef(found["source_chat_id"], found["source_message_id"]),
        owner=found["source_user_id"],
        at=found["at"],
        last_owner_activity=found["last_owner_activity"],
        marker=found["marker"],
        text=found["text"],
        fields={name: found[name] for name in FIELDS},
        updates=found["updates"],
        refused=found["refused"],
        topic=found["topic"],
    )
