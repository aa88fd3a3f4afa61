"""What the running bot counts and measures, for `/metrics`.

Names and units follow https://prometheus.io/docs/practices/naming/; `docs/grafana.json` shows them.
"""

from __future__ import annotations

import asyncio
import time
from math import nan
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from bot.errors import RetryLater
from bot.models import PostState, Tier

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import timedelta

    from bot.models import Backlog, Decision, Post

PREFIX: Final = "signal_relay"
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


class Metrics:
    """One per bot, with a registry of its own. `clock`: unix seconds."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self.registry = CollectorRegistry()
        self._clock = clock
        self.started_at = clock()
        self.moved_at = self.started_at  # when the relay last got something done
        self.heard_at: float | None = None  # when the last update came; None: none yet
        self.hits = dict.fromkeys(Tier, 0)
        self._gaps_seen = 0
        self._make_counters()
        self._make_histograms()
        self._make_gauges()

    def _make_counters(self) -> None:
        def counter(name: str, what: str, *labels: str) -> Counter:
            return Counter(f"{PREFIX}_{name}", what, labels, registry=self.registry)

        self._decisions = counter(
            "decisions", "Source messages by what became of them.", "outcome", "reason"
        )
        self._hits = counter("tier_hits", "Replies by the tier that knew their flow.", "tier")
        self._posts = counter("posts", "Posts by what was done to them.", "done")
        self._floods = counter("flood_waits", "How often Telegram told the relay to wait.")
        self._flood_seconds = counter("flood_wait_seconds", "For how long it was told to, in all.")
        self._gaps = counter("gaps_recovered", "Gaps in the updates that were asked for again.")
        for tier in Tier:
            self._hits.labels(tier)

    def _make_histograms(self) -> None:
        def histogram(name: str, what: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(
                f"{PREFIX}_{name}_seconds", what, buckets=buckets, registry=self.registry
            )

        self._decision_seconds = histogram(
            "decision", "From hearing a message to its record in the table.", DECISION_BUCKETS
        )
        self._post_seconds = histogram(
            "post", "From a message's record to its post in the target.", POST_BUCKETS
        )
        self._lag = histogram("loop_lag", "How late the event loop wakes up.", LAG_BUCKETS)

    def _make_gauges(self) -> None:
        def gauge(name: str, what: str) -> Gauge:
            return Gauge(f"{PREFIX}_{name}", what, registry=self.registry)

        self._leader = leader_gauge(self.registry)
        self._connected = gauge("connected", "1: connected to Telegram.")
        self._pending = gauge("pending_posts", "Posts that wait to be sent.")
        self._oldest = gauge("oldest_pending_seconds", "For how long the first of them has waited.")
        self._heard = gauge("last_update_timestamp_seconds", "When Telegram last told us anything.")
        self._flows = gauge("memory_flows", "Flows in memory.")
        self._paused = gauge("paused", "1: an operator has had the relay post nothing.")
        self._unreadable = gauge("unreadable_sources", "Followed chats that cannot be read.")
        self._cache_disabled = gauge("cache_disabled", "1: the bot goes on without the disk cache.")

    # ── what happens ──

    def heard(self) -> None:
        """An update came, of whatever kind."""
        self.heard_at = self._clock()

    def decided(self, decision: Decision, seconds: float) -> None:
        """`seconds`: from hearing the message to its record."""
        self._decisions.labels(decision.outcome, decision.reason).inc()
        self._decision_seconds.observe(seconds)
        if decision.tier is not None:
            self.hits[decision.tier] += 1
            self._hits.labels(decision.tier).inc()

    # ── what the relay does (see `worker.Watch`) ──

    def done(self, post: Post) -> None:
        self.moved_at = self._clock()
        self._posts.labels(DONE[post.state]).inc()
        if post.state is PostState.PENDING and post.part == 0:
            self._post_seconds.observe(max(0.0, self.moved_at - post.recorded_at))

    def delayed(self, error: Exception, wait: timedelta) -> None:
        if isinstance(error, RetryLater) and error.after is not None:
            self._floods.inc()
            self._flood_seconds.inc(wait.total_seconds())

    def failed(self, _post: Post) -> None:
        self.moved_at = self._clock()
        self._posts.labels("failed").inc()

    def set_aside(self, _post: Post) -> None:
        self.moved_at = self._clock()
        self._posts.labels("set_aside").inc()

    # ── what is so ──

    def show(
        self,
        *,
        connected: bool,
        backlog: Backlog | None,
        flows: int,
        cache_disabled: bool,
        gaps_recovered: int,
        paused: bool,
        unreadable: int,
    ) -> bytes:
        """The text of `/metrics`. `backlog` None: the table does not answer.

        `gaps_recovered` may begin anew with a new connection.
        """
        now = self._clock()
        self._leader.set(1)
        self._connected.set(connected)
        self._pending.set(nan if backlog is None else backlog.pending)
        waited = now - backlog.oldest if backlog and backlog.oldest is not None else 0
        self._oldest.set(nan if backlog is None else max(0.0, waited))
        self._heard.set(nan if self.heard_at is None else self.heard_at)
        self._flows.set(flows)
        self._cache_disabled.set(cache_disabled)
        self._paused.set(paused)
        self._unreadable.set(unreadable)
        begun_anew = gaps_recovered < self._gaps_seen
        self._gaps.inc(gaps_recovered - (0 if begun_anew else self._gaps_seen))
        self._gaps_seen = gaps_recovered
        return generate_latest(self.registry)

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
