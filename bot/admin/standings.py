"""How each source and each place stands by itself. Reads only."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bot.models import Address, AfterTtl, UnixTime
from bot.phrases import joined, phrase, plural
from bot.posts import PostState
from bot.rules.policy import live_since
from bot.storage import places, records
from bot.storage.records import FlowCounts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection

    from bot.models import ChatId
    from bot.routes import Routes, Source
    from bot.storage.places import PlaceRecord


class SourceStanding(NamedTuple):
    name: str  # empty: of chats that are no source's any more
    chat: ChatId | None
    topic: int | None  # None: the chat as a whole
    after_ttl: AfterTtl
    flows: FlowCounts

    @property
    def where(self) -> str:
        return "" if self.chat is None else str(Address(self.chat, self.topic or 0))


class PlaceStanding(NamedTuple):
    label: str
    source: str
    chat: ChatId
    topic: int
    listed: bool
    pending: int
    failed: int
    changes: int  # posts to be edited or deleted
    paused_at: UnixTime | None  # by its name, or its source's; None: it is not

    @property
    def waits(self) -> bool:
        return self.pending + self.failed + self.changes > 0


def source_standings(db: Connection, *, routes: Routes, now: UnixTime) -> list[SourceStanding]:
    """Each source by its own TTL, and the flows that are nobody's any more, if there are any."""
    found = [_standing(db, source, routes, now) for source in routes.sources]
    nobodys = records.count_flows(db, active_since=now)
    left = [each for where, each in nobodys.items() if routes.rules_for(*where) is None]
    if left:
        found.append(SourceStanding("", None, None, AfterTtl.RELEASE, _sum(left)))
    return found


def _standing(db: Connection, source: Source, routes: Routes, now: UnixTime) -> SourceStanding:
    counts = records.count_flows(db, active_since=live_since(now, int(source.ttl.total_seconds())))
    its = [each for where, each in counts.items() if routes.rules_for(*where) is source]
    return SourceStanding(source.name, source.chat, source.topic, source.after_ttl, _sum(its))


def sum_of(sources: Iterable[SourceStanding]) -> FlowCounts:
    return _sum(source.flows for source in sources)


def _sum(counts: Iterable[FlowCounts]) -> FlowCounts:
    return FlowCounts(*map(sum, zip((0, 0, 0), *counts, strict=True)))


def flows_of(source: SourceStanding) -> str:
    active, quiet, ended = source.flows
    if not source.name:
        return str(active + quiet + ended)
    if source.after_ttl is AfterTtl.RELEASE:
        each = [_released(quiet + ended)]
    else:
        held = plural(
            "{n} quiet and still their owners'", "{n} quiet and still their owners'", quiet
        )
        each = [held, _released(ended)]
    text = joined(", ", [plural("{n} live", "{n} live", active), *each])
    if not ended:
        return text
    by_hand = plural("{n} of them by hand", "{n} of them by hand", ended)
    return phrase("{flows} ({some})", flows=text, some=by_hand)


def _released(number: int) -> str:
    return plural("{n} released", "{n} released", number)


def place_standings(db: Connection) -> list[PlaceStanding]:
    """Those that the bot posts to, and others for which posts wait."""
    counts = records.count_posts_by_place(db)
    found = [_of_row(row, counts.get(row.id, {})) for row in places.recorded(db)]
    return [each for each in found if each.listed or each.waits or each.paused_at is not None]


def paused_at(source: SourceStanding, standings: Iterable[PlaceStanding]) -> UnixTime | None:
    """Since when nothing of it is posted anywhere, by the names of places; None: something is."""
    since = [each.paused_at for each in standings if each.listed and each.source == source.name]
    known = [at for at in since if at is not None]
    return max(known) if known and len(known) == len(since) else None


def _of_row(row: PlaceRecord, counts: Mapping[PostState, int]) -> PlaceStanding:
    return PlaceStanding(
        label=row.name,
        source=row.source,
        chat=row.chat_id,
        topic=row.topic,
        listed=row.listed,
        pending=counts.get(PostState.PENDING, 0),
        failed=counts.get(PostState.FAILED, 0),
        changes=counts.get(PostState.EDIT, 0) + counts.get(PostState.DELETE, 0),
        paused_at=row.paused_at,
    )
