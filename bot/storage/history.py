"""What the tables hold, as facts a picture is drawn of. Reads only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, literal, null, or_, select, union, union_all

from bot.models import Fact, Outcome, Reason
from bot.signal_fields import EventKind
from bot.storage.schema import decisions, signal_updates, signals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import CompoundSelect, Connection, Table

    from bot.models import ChatId

# Where a fact has one of few words; there may be a million facts, and these look-ups are quick.
NAMED: Final[tuple[tuple[int, dict[Any, Any]], ...]] = (
    (Fact._fields.index("outcome"), {each.value: each for each in Outcome}),
    (Fact._fields.index("reason"), {each.value: each for each in Reason}),
    (Fact._fields.index("event"), {None: None, **{each.value: each for each in EventKind}}),
)
TEXT: Final = 400  # characters; what a picture shows of a signal whose pair could not be read


def _facts_of(table: Table, **known: Any) -> tuple[Any, ...]:
    """The columns of `Fact` in their order, and the chat and topic of the flow."""
    columns = {
        "message_id": table.c.source_message_id,
        "at": table.c.at,
        "author": table.c.source_user_id,
        "chat": table.c.source_chat_id,
        **known,
    }
    its = (columns.get(name, null()).label(name) for name in Fact._fields)
    return (*its, func.coalesce(signals.c.source_chat_id, table.c.source_chat_id), signals.c.topic)


# A signal's own album belongs to the signal: its other parts stand in the table of updates, and are
# nobody's answer.
_PARTS: Final = (
    select(
        *_facts_of(
            signals,
            outcome=literal(Outcome.SIGNAL.value),
            reason=literal(Reason.NEW_SIGNAL.value),
            flow=signals.c.id,
            album=signals.c.album_id,
            text=func.substr(signals.c.text, 1, TEXT),
            pair=signals.c.pair,
            direction=signals.c.direction,
        )
    ),
    select(
        *_facts_of(
            signal_updates,
            outcome=literal(Outcome.UPDATE.value),
            reason=signal_updates.c.reason,
            flow=signal_updates.c.signal_id,
            album=signal_updates.c.album_id,
            text=literal(""),
            event=signal_updates.c.event,
        )
    )
    .join(signals, signals.c.id == signal_updates.c.signal_id)
    .where(
        or_(
            signal_updates.c.album_id.is_(None),
            signal_updates.c.album_id.is_distinct_from(signals.c.album_id),
        )
    ),
    select(
        *_facts_of(
            decisions,
            outcome=decisions.c.outcome,
            reason=decisions.c.reason,
            flow=decisions.c.signal_id,
            text=literal(""),
        )
    ).outerjoin_from(decisions, signals, signals.c.id == decisions.c.signal_id),
)


def facts(
    db: Connection, *, active_since: int | None = None
) -> Iterator[tuple[tuple[ChatId, int], Fact]]:
    """The messages the tables hold, in no order, with the chat and topic of its flow, or of itself.

    What belongs to no flow has no topic: 0. `active_since`: of the flows in which something was said
    since then, with all that was, and what was refused since then; None: everything.
    """
    query = union_all(*_PARTS)
    if active_since is not None:
        of_signals, of_updates, of_refusals = _PARTS
        flows = _active(active_since).subquery()
        active = signals.c.id.in_(select(flows.c[0]))
        recent = decisions.c.at >= active_since
        query = union_all(
            of_signals.where(active), of_updates.where(active), of_refusals.where(recent)
        )
    for *columns, chat, topic in db.execute(query):
        for place, names in NAMED:
            columns[place] = names[columns[place]]
        yield (chat, topic or 0), Fact._make(columns)


def _active(since: int) -> CompoundSelect[Any]:
    return union(
        select(signals.c.id).where(signals.c.at >= since),
        select(signal_updates.c.signal_id).where(signal_updates.c.at >= since),
        select(decisions.c.signal_id).where(decisions.c.at >= since, decisions.c.signal_id > 0),
    )


def begin_of(db: Connection, *, since: int, at_most: int) -> int:
    """`since`, or as much later as no kind of message is more than so many since then."""
    begins = [since]
    for table in (signals, signal_updates, decisions):
        dates = select(table.c.at).where(table.c.at >= since).order_by(table.c.at.desc())
        begins.append(db.scalar(dates.offset(at_most).limit(1)) or since)
    return max(begins)
