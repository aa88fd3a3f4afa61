"""All flows at once, as little of each as a list shows: there may be tens of thousands. Reads only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import and_, case, func, or_, select

from bot.models import ENDED_BY_HAND, AuthorId, ChatId, Outcome, SignalId, UnixTime
from bot.storage.schema import decisions, signal_updates, signals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

TEXT: Final = 100  # characters
COLUMNS: Final = (
    *("id", "source_user_id", "at", "last_owner_activity", "pair", "direction"),
    *("source_chat_id", "topic"),
)


class FlowRecord(NamedTuple):
    id: SignalId
    owner: AuthorId
    at: UnixTime
    last_owner_activity: UnixTime | None
    pair: str | None
    direction: str | None
    chat: ChatId  # that its signal stands in
    topic: int  # there; 0: none, or General
    text: str  # its beginning, where no pair could be read
    updates: int
    refused: int


def flows(
    db: Connection,
    *,
    active_since: UnixTime | None = None,
    owner: AuthorId | None = None,
    pair: str | None = None,
) -> Iterator[FlowRecord]:
    """The flows, the most lately active first. `active_since`: no older ones, none ended by hand.

    `pair` is compared without case and without what stands between its halves.
    """
    its = signals.c
    updates = select(func.count()).where(signal_updates.c.signal_id == its.id)
    refused = select(func.count()).where(
        decisions.c.signal_id == its.id, decisions.c.outcome == Outcome.REJECTED
    )
    activity = its.last_owner_activity
    query = select(
        *(its[name] for name in COLUMNS),
        case((its.pair.is_(None), func.substr(its.text, 1, TEXT)), else_=""),
        updates.scalar_subquery(),
        refused.scalar_subquery(),
    ).order_by(activity.desc().nulls_first(), its.id.desc())
    if active_since is not None:
        fresh = and_(activity >= active_since, activity != ENDED_BY_HAND)
        query = query.where(or_(activity.is_(None), fresh))
    if owner is not None:
        query = query.where(its.source_user_id == owner)
    wanted = _letters(pair or "")
    for row in db.execute(query):
        found = FlowRecord._make(row)
        if not wanted or _letters(found.pair or "").startswith(wanted):
            yield found


def _letters(pair: str) -> str:
    return "".join(filter(str.isalnum, pair)).upper()
