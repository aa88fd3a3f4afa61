"""`/healthz`: is the bot doing its work, for those who watch over it.

`HEALTH_PORT` turns it on. It answers without asking who asks, and so on the loopback address
unless `HEALTH_HOST` says otherwise.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from bot.admin.formatting import called, duration
from bot.errors import DatabaseError, words_of
from bot.monitoring.port import Resource, Response, as_json
from bot.phrases import phrase
from bot.posts import Backlog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bot.delivery.progress import Places
    from bot.models import ChatId, ChatTrouble, UnreadableChat
    from bot.monitoring.pulse import Pulse
    from bot.storage.places import PlaceRecord

TABLE_PATIENCE: Final = 2.0  # seconds


class Bot(Protocol):
    """What is asked of the running bot."""

    @property
    def connected_since(self) -> float | None:
        """Unix seconds; None: not connected."""

    @property
    def flows_in_memory(self) -> int: ...

    def flows_by_source(self) -> Mapping[str, int]: ...

    @property
    def cache_disabled(self) -> bool: ...

    @property
    def paused_at(self) -> float | None:
        """Since when an operator has had nothing posted, unix seconds; None: no pause."""

    @property
    def gaps_recovered(self) -> int:
        """Since the connection was made."""

    def unreadable(self) -> list[UnreadableChat]:
        """The followed chats that cannot be read."""

    def troubles(self) -> list[ChatTrouble]:
        """What stands in the way in chats, since the start."""

    async def backlogs(self) -> Mapping[ChatId, Backlog]:
        """Of every chat and program. Asks the table. Raises `DatabaseError`."""

    async def paused_places(self) -> Sequence[PlaceRecord]:
        """That an operator has paused by name. As above."""

    async def waiting(self) -> Mapping[int, Backlog]:
        """Of each place for which posts wait, by its row. As above."""


class HealthReport(NamedTuple):
    reasons: list[str]  # why it is not well; empty: it is
    backlogs: Mapping[ChatId, Backlog] | None  # of every place; None: the table does not answer
    paused: Sequence[PlaceRecord] | None  # as above

    @property
    def backlog(self) -> Backlog | None:
        """Of all places together."""
        if self.backlogs is None:
            return None
        each = self.backlogs.values()
        oldest = [backlog.oldest for backlog in each if backlog.oldest is not None]
        return Backlog(sum(backlog.pending for backlog in each), min(oldest, default=None))


class Health:
    """`clock`: unix seconds. What it looks at is there for others that tell of it."""

    def __init__(
        self,
        bot: Bot,
        pulse: Pulse,
        places: Places,
        *,
        clock: Callable[[], float] = time.time,
        table_patience: float = TABLE_PATIENCE,
    ) -> None:
        self.bot = bot
        self._pulse = pulse
        self.places = places
        self._clock = clock
        self._table_patience = table_patience

    @property
    def pages(self) -> dict[str, Resource]:
        return {"/healthz": Resource(self.healthz)}

    async def healthz(self) -> Response:
        """200 if the bot is connected, reads, its table answers and every place moves; else 503."""
        facts = await self.facts()
        return as_json(facts, 200 if facts["healthy"] else 503)

    async def report(self) -> HealthReport:
        reasons: list[str] = []
        if self.bot.connected_since is None:
            reasons.append(phrase("not connected to Telegram"))
        reasons += [in_words(each, self._clock()) for each in self.bot.unreadable()]
        reasons += [each.text for each in self.bot.troubles() if each.stops]
        backlogs, paused = None, None
        try:
            async with asyncio.timeout(self._table_patience):
                paused = await self.bot.paused_places()
                backlogs = await self.bot.backlogs()
        except DatabaseError as exc:
            reasons.append(phrase("the table does not answer: {error}", error=words_of(exc)))
        except TimeoutError:
            patience = f"{self._table_patience:g}"
            reasons.append(phrase("the table does not answer within {seconds} s", seconds=patience))
        if backlogs is not None and self.bot.paused_at is None:
            reasons += self.places.stalled(backlogs)
        return HealthReport(reasons, backlogs, paused)

    async def facts(self) -> dict[str, Any]:
        """What `/healthz` says. Dates are unix seconds; None is what is not known."""
        report = await self.report()
        backlog, pulse = report.backlog, self._pulse
        return {
            "healthy": not report.reasons,
            "standby": False,
            "reasons": report.reasons,
            "pid": os.getpid(),
            "started_at": pulse.started_at,
            "connected_since": self.bot.connected_since,
            "last_update_at": pulse.heard_at,
            "relay_moved_at": pulse.moved_at,
            "paused_at": self.bot.paused_at,
            "paused": None if report.paused is None else list(map(_paused, report.paused)),
            "unreadable": [each._asdict() for each in self.bot.unreadable()],
            "warnings": [each.text for each in self.bot.troubles() if not each.stops],
            "places": self.places.facts(report.backlogs or {}),
            "pending_posts": backlog and backlog.pending,
            "oldest_pending_at": backlog and backlog.oldest,
            "flows_in_memory": self.bot.flows_in_memory,
            "cache_disabled": self.bot.cache_disabled,
            "tier_hits": {tier.value: number for tier, number in pulse.hits.items()},
        }


def _paused(place: PlaceRecord) -> dict[str, object]:
    return {"place": place.name, "source": place.source, "since": place.paused_at}


def in_words(chat: UnreadableChat, now: float) -> str:
    error = chat.error
    if chat.again_at is not None and chat.again_at > now:
        again = duration(chat.again_at - now)
        error = phrase("{error} (tried again in {time})", error=error, time=again)
    return phrase(
        "source {chat} cannot be read for {time}: {error}; {advice}",
        chat=called(chat.chat, chat.name),
        time=duration(now - chat.since),
        error=error,
        advice=chat.advice,
    )
