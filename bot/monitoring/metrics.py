"""What the running bot counts and measures, and `/metrics`, which tells it. Loaded for `HEALTH_PORT` alone.

Names and units follow https://prometheus.io/docs/practices/naming/; `docs/grafana.json` shows them.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from functools import cache
from math import nan
from typing import TYPE_CHECKING, Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

from bot.errors import DatabaseError, RetryLater
from bot.models import Tier
from bot.monitoring.health import TABLE_PATIENCE
from bot.monitoring.labels import Labels, PlaceLabels
from bot.monitoring.port import Resource, Response
from bot.monitoring.pulse import Pulse
from bot.posts import Backlog, PostState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping
    from datetime import timedelta

    from bot.models import ChatId, Decision
    from bot.monitoring.health import Bot
    from bot.posts import Post
    from bot.routes import Routes

PREFIX: Final = "signal_relay"
PLACE: Final = PlaceLabels._fields
NOTHING: Final = Backlog(0, None)
LAG_EVERY: Final = 1.0  # seconds
DECISION_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 30)
POST_BUCKETS: Final = (0.5, 1, 2, 3, 5, 10, 30, 60, 300, 1_800, 7_200)
LAG_BUCKETS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 5)
DONE: Final = {
    PostState.PENDING: "sent",
    PostState.EDIT: "edited",
    PostState.DELETE: "deleted",
}


def leader_gauge(registry: CollectorRegistry) -> Gauge:
    return Gauge(f"{PREFIX}_leader", "1: this host relays. 0: it stands by.", registry=registry)


class Metrics(Pulse):
    """One per bot, with a registry of its own. `routes`: see `Labels`. `clock`: unix seconds."""

    def __init__(
        self,
        routes: Callable[[], Routes] | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(clock=clock)
        self.registry = CollectorRegistry()
        self._labels = Labels(routes)
        self._gaps_seen = 0
        self._make_counters()
        self._make_histograms()
        self._make_gauges()
        self._begin_at_nothing()
        # With each message: the library looks for the same one again, with a lock.
        self._decided_as = cache(self._decisions.labels)
        self._decided_in = cache(self._decision_seconds.labels)
        self._known_by = cache(self._hits.labels)

    def _make_counters(self) -> None:
        def counter(name: str, what: str, *labels: str) -> Counter:
            return Counter(f"{PREFIX}_{name}", what, labels, registry=self.registry)

        self._decisions = counter(
            "decisions", "Source messages by what became of them.", "outcome", "reason", "source"
        )
        self._hits = counter(
            "tier_hits", "Replies by the tier that knew their flow.", "tier", "source"
        )
        self._posts = counter("posts", "Posts by what was done to them.", "done", *PLACE)
        self._floods = counter("flood_waits", "How often Telegram told the relay to wait.", "chat")
        self._flood_seconds = counter(
            "flood_wait_seconds", "For how long it was told to, in all.", "chat"
        )
        self._gaps = counter("gaps_recovered", "Gaps in the updates that were asked for again.")

    def _make_histograms(self) -> None:
        def histogram(name: str, what: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(
                f"{PREFIX}_{name}_seconds", what, labels, buckets=buckets, registry=self.registry
            )

        self._decision_seconds = histogram(
            "decision",
            "From hearing a message to its record in the table.",
            DECISION_BUCKETS,
            "source",
        )
        self._post_seconds = histogram(
            "post", "From a message's record to its post in the target.", POST_BUCKETS, *PLACE
        )
        self._lag = histogram("loop_lag", "How late the event loop wakes up.", LAG_BUCKETS)

    def _begin_at_nothing(self) -> None:
        """Or the first of each would be no increase."""
        for source in self._labels.sources():
            self._decision_seconds.labels(source)
            for tier in Tier:
                self._hits.labels(tier, source)
        for place in self._labels.rows():
            self._post_seconds.labels(*place)
            self._posts.labels(DONE[PostState.PENDING], *place)
        for chat in self._labels.chats():
            self._floods.labels(chat)
            self._flood_seconds.labels(chat)

    def _make_gauges(self) -> None:
        def gauge(name: str, what: str, *labels: str) -> Gauge:
            return Gauge(f"{PREFIX}_{name}", what, labels, registry=self.registry)

        self._leader = leader_gauge(self.registry)
        self._connected = gauge("connected", "1: connected to Telegram.")
        self._pending = gauge("pending_posts", "Posts that wait to be sent.", *PLACE)
        self._oldest = gauge(
            "oldest_pending_seconds", "For how long the first of them has waited.", *PLACE
        )
        self._heard = gauge("last_update_timestamp_seconds", "When Telegram last told us anything.")
        self._flows = gauge("memory_flows", "Flows in memory.", "source")
        self._paused = gauge("paused", "1: an operator has had the relay post nothing.")
        self._place_paused = gauge(
            "place_paused", "1: an operator has paused it, or its source, by name.", *PLACE
        )
        self._unreadable = gauge("unreadable_sources", "Followed chats that cannot be read.")
        self._source = gauge("source_unreadable", "1: the source cannot be read.", "source")
        self._cache_disabled = gauge("cache_disabled", "1: the bot goes on without the disk cache.")

    # ── what happens ──

    def decided(
        self, decision: Decision, seconds: float, chat: ChatId, topic: int | None = None
    ) -> None:
        """`seconds`: from hearing the message to its record. See `Labels.source`."""
        super().decided(decision, seconds, chat, topic)
        source = self._labels.source(chat, topic)
        self._decided_as(decision.outcome, decision.reason, source).inc()
        self._decided_in(source).observe(seconds)
        if decision.tier is not None:
            self._known_by(decision.tier, source).inc()

    # ── what the relays do (see `Posting`) ──

    def of(self, chat: ChatId) -> Posting:
        """A `worker.Watch` for the queue of that chat."""
        return Posting(self, chat)

    def moved(self, post: Post, what: str) -> None:
        self.moved_at = self._clock()
        place = self._labels.place(post.place, post.target, post.topic)
        self._posts.labels(what, *place).inc()
        if what == DONE[PostState.PENDING] and post.part == 0:
            waited = max(0.0, self.moved_at - post.recorded_at)
            self._post_seconds.labels(*place).observe(waited)

    def flooded(self, chat: ChatId, seconds: float) -> None:
        name = self._labels.chat(chat)
        self._floods.labels(name).inc()
        self._flood_seconds.labels(name).inc(seconds)

    # ── what is so ──

    def show(
        self,
        *,
        connected: bool,
        waiting: Mapping[int, Backlog] | None,
        paused_places: Collection[int] | None,
        flows: Mapping[str, int],
        cache_disabled: bool,
        gaps_recovered: int,
        paused: bool,
        unreadable: Collection[ChatId],
    ) -> bytes:
        """The text of `/metrics`. `waiting`: for each place, by its row, as are `paused_places`; None: the
        table does not answer. `flows`: in memory, by their source.

        `gaps_recovered` may begin anew with a new connection.
        """
        self._leader.set(1)
        self._connected.set(connected)
        self._show_waiting(waiting)
        self._heard.set(nan if self.heard_at is None else self.heard_at)
        self._flows.clear()
        for source, number in flows.items():
            self._flows.labels(source).set(number)
        self._cache_disabled.set(cache_disabled)
        self._paused.set(paused)
        self._show_paused(paused_places)
        self._show_unreadable(unreadable)
        begun_anew = gaps_recovered < self._gaps_seen
        self._gaps.inc(gaps_recovered - (0 if begun_anew else self._gaps_seen))
        self._gaps_seen = gaps_recovered
        return generate_latest(self.registry)

    def _show_waiting(self, waiting: Mapping[int, Backlog] | None) -> None:
        now = self._clock()
        self._pending.clear()
        self._oldest.clear()
        for place, row in self._labels.rows().items():
            backlog = (waiting or {}).get(row, NOTHING)
            waited = 0.0 if backlog.oldest is None else max(0.0, now - backlog.oldest)
            self._pending.labels(*place).set(nan if waiting is None else backlog.pending)
            self._oldest.labels(*place).set(nan if waiting is None else waited)

    def _show_paused(self, rows: Collection[int] | None) -> None:
        self._place_paused.clear()
        for place, row in self._labels.rows().items():
            self._place_paused.labels(*place).set(nan if rows is None else row in rows)

    def _show_unreadable(self, chats: Collection[ChatId]) -> None:
        self._unreadable.set(len(chats))
        self._source.clear()
        unreadable = {source for chat in chats for source in self._labels.sources_of(chat)}
        for source in self._labels.sources():
            self._source.labels(source).set(source in unreadable)

    async def measure_lag(
        self,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Once a second, until cancelled."""
        while True:
            due = timer() + LAG_EVERY
            await sleep(LAG_EVERY)
            self._lag.observe(max(0.0, timer() - due))


class Posting:
    """What becomes of the posts of one queue; a `worker.Watch`."""

    def __init__(self, metrics: Metrics, chat: ChatId) -> None:
        self._metrics = metrics
        self._chat = chat

    def done(self, post: Post) -> None:
        self._metrics.moved(post, DONE[post.state])

    def delayed(self, error: Exception, wait: timedelta) -> None:
        if isinstance(error, RetryLater) and error.after is not None:
            self._metrics.flooded(self._chat, wait.total_seconds())

    def failed(self, post: Post) -> None:
        self._metrics.moved(post, "failed")

    def set_aside(self, post: Post) -> None:
        self._metrics.moved(post, "set_aside")


class MetricsPage:
    """`/metrics` of the running bot. `table_patience`: seconds."""

    def __init__(self, bot: Bot, metrics: Metrics, table_patience: float = TABLE_PATIENCE) -> None:
        self._bot = bot
        self._metrics = metrics
        self._table_patience = table_patience

    @property
    def pages(self) -> dict[str, Resource]:
        return {"/metrics": Resource(self.page)}

    async def page(self) -> Response:
        waiting, paused = None, None
        with suppress(DatabaseError, TimeoutError):
            async with asyncio.timeout(self._table_patience):
                paused = {each.id for each in await self._bot.paused_places()}
                waiting = await self._bot.waiting()
        text = self._metrics.show(
            connected=self._bot.connected_since is not None,
            waiting=waiting,
            paused_places=paused,
            flows=self._bot.flows_by_source(),
            cache_disabled=self._bot.cache_disabled,
            gaps_recovered=self._bot.gaps_recovered,
            paused=self._bot.paused_at is not None,
            unreadable=[each.chat for each in self._bot.unreadable()],
        )
        return Response(text, CONTENT_TYPE_LATEST)
