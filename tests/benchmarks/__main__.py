"""`python -m tests.benchmarks [--short] [PART ...]`: one table of figures, each beside its bound.

A ratio is the median of interleaved rounds, so that a machine that slows down slows both sides;
behind it stand its quartiles. Only what is marked as absolute is compared with a time or a size.
`--short` does less of the work and loosens the bounds fourfold, for machines that are shared.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

from bot import logs
from tests.benchmarks import (
    behind,
    beside_bare,
    disk,
    dispatcher,
    distant,
    latency,
    port,
    replaying,
    routes,
    tables,
    tiers,
)
from tests.benchmarks.comparing import Ratio

LOOSE = 4


@dataclass(frozen=True)
class Row:
    """`known`: why the bound is not reached; then it is shown and fails nothing."""

    what: str
    measured: Ratio | float
    bound: float
    unit: str = "×"
    at_least: bool = False  # the bound is a floor and not a ceiling
    known: str | None = None

    @property
    def figure(self) -> float:
        return self.measured.median if isinstance(self.measured, Ratio) else self.measured

    def holds(self, slack: float) -> bool:
        if self.at_least:
            return self.figure >= self.bound / slack
        return self.figure <= self.bound * slack

    def line(self, slack: float) -> str:
        spread = ""
        if isinstance(self.measured, Ratio):
            spread = f"{self.measured.low:,.2f} to {self.measured.high:,.2f}"
        bound = f"{'≥' if self.at_least else '≤'} {self.bound:,g}"
        missed = "" if self.holds(slack) else f"MISSED{(self.known and f': {self.known}') or ''}"
        return (
            f"{self.what:<58}{self.figure:>9,.2f} {self.unit:<6}{spread:<17}{bound:<8}{missed}"
        ).rstrip()


def parts(*, short: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """Replays first: a process begins with the memory of the one that starts it."""
    return {
        "replays": lambda: _replays(10_000 if short else 100_000, short=short),
        "live": lambda: _live(50 if short else 300, 5 if short else 15),
        "routes": lambda: _routes(5 if short else 15),
        "beside": lambda: _beside_the_smallest(short=short),
        "behind": lambda: _behind(short=short),
        "disk": lambda: _disk(10**4 if short else 10**6, 5 if short else 15),
        "memory": lambda: _memory(10**5 if short else 10**6, 7 if short else 31),
    }


def _memory(flows: int, rounds: int) -> Iterator[Row]:
    yield Row("is_allowed, memory hit / awaited dict.get", tiers.is_allowed(rounds), 6)
    yield Row("decide_at, warm flow / the same", tiers.whole_decision(rounds), 8)
    yield Row(f"start_flow at {flows:,} flows / at 10,000", tiers.start_flow_at(flows, rounds), 4)
    cleanup = tiers.cleanup_at(flows, rounds)
    yield Row(f"operations at {flows:,}, flows expiring / none", cleanup.ratio, 2)
    yield Row("worst stall when all of them expire (absolute)", cleanup.worst_stall, 5, "ms")
    yield Row("memory per flow with one thread entry", tiers.bytes_per_flow(), 400, "bytes")
    yield Row(f"RSS after {flows:,} flows / a tenth, 10,000 held", tiers.rss_growth(flows), 1.1)


def _disk(flows: int, rounds: int) -> Iterator[Row]:
    yield Row(
        "first decision in a flow, from disk / two diskcache.get", disk.first_decision(rounds), 3
    )
    table = disk.from_table(rounds)
    known = "see docs/PERFORMANCE.md"
    yield Row("decision from the table / from disk", table.ratio, 5, known=known)
    yield Row("decision from the table (absolute)", table.microseconds, 90, "µs", known=known)
    yield Row(
        "start_flow/s until on disk / a Cache.set each",
        disk.durable_throughput(min(flows, 50_000)),
        4,
        at_least=True,
    )
    lag = disk.lag_while_locked()
    yield Row("loop lag, 2,000 flows/s, cache locked: more than idle", lag.more, 20, "ms")
    restart = disk.restart(flows)
    yield Row(f"restart to first decision, {flows:,} flows / 1,000", restart.ratio, 3)
    yield Row("the same, without imports (absolute)", restart.milliseconds, 100, "ms")


def _live(signals: int, rounds: int) -> Iterator[Row]:
    pushed = dispatcher.throughputs(rounds)
    yield Row("chatter/s: our intake / dispatcher alone", pushed.chatter, 0.7, at_least=True)
    yield Row("refused replies/s / the same", pushed.refused, 0.5, at_least=True)
    yield Row("replies/s, parent not cached / cached", pushed.uncached, 0.9, at_least=True)
    yield Row("calls to Telegram for all of these", pushed.calls, 0, "")
    yield Row(
        "accepted update recorded / bare insert and commit", tables.recorded_update(rounds), 2
    )
    yield from _server(rounds)
    live = latency.latency(signals)
    yield Row("signal pushed → its post asked for (absolute)", live.median, 10, "ms")
    yield Row("the same, 95th percentile (absolute)", live.p95, 50, "ms")
    hammered = port.delay(signals)
    yield Row("what a post takes more, 300 people at the health port", hammered.median, 20, "ms")
    yield Row("an answer of /healthz among them (absolute)", hammered.answer, 3_000, "ms")


def _server(rounds: int) -> Iterator[Row]:
    found = distant.ratios(rounds)
    if found is None:
        return  # there is no PostgreSQL here
    yield Row("updates recorded/s: PostgreSQL / SQLite", found.recorded, 0.5, at_least=True)
    known = "its processes and ours share the cores"
    yield Row("decision from the table: PostgreSQL / SQLite", found.decided, 2, known=known)
    yield Row("accepted update, PostgreSQL 1 ms away / one round trip", found.far, 3)


def _routes(rounds: int) -> Iterator[Row]:
    """A hundred sources of ten places each."""
    yield Row("decision, 100 sources × 10 places / one of one", routes.decision(rounds), 1.2)
    program = routes.program(rounds)
    yield Row("CPU of a signal to ten places / to one", program.ten_places, 4)
    yield Row("its delay while another source is busy (absolute)", program.busy, 50, "ms")
    yield Row("100 × 10: memory more than one of one", program.more_memory, 100, "MB")
    yield Row("100 × 10: first start (absolute)", program.first_start, 2, "s")
    yield Row("the same with known chats (absolute)", program.start, 2, "s")


def _beside_the_smallest(*, short: bool) -> Iterator[Row]:
    """Our relay beside `bare_relay`, the smallest that one can write."""
    signals, burst, rounds = (30, 200, 2) if short else (200, 1_000, 5)
    beside = beside_bare.beside_bare(signals, burst, rounds)
    known = "see docs/PERFORMANCE.md"
    yield Row("signal pushed → its post asked for / the smallest", beside.latency, 1.8, known=known)
    yield Row("CPU of a relayed signal / the smallest", beside.cpu, 2, known=known)
    yield Row(
        f"burst of {burst:,}, posts/s / the smallest", beside.burst, 2, at_least=True, known=known
    )
    yield Row("memory of the idle bot / the smallest", beside.memory, 1.4, known=known)


def _behind(*, short: bool) -> Iterator[Row]:
    missed, recorded, edits, rounds = (2_000, 10**5, 100, 2) if short else (20_000, 10**6, 500, 5)
    yield Row(
        f"{missed:,} missed messages recorded / heard and no more",
        behind.backlog(missed, rounds),
        2,
        known="see docs/PERFORMANCE.md",
    )
    yield Row(
        f"start → started, {recorded:,} messages recorded / none",
        behind.start(recorded, rounds),
        1.2,
    )
    yield Row(f"a signal waits longer, {edits:,} edits", behind.storm(edits, rounds), 1, "s")


def _replays(messages: int, *, short: bool) -> Iterator[Row]:
    yield Row(
        f"replay of {messages:,} messages / ijson alone",
        replaying.against_reading(messages),
        4,
        known="see docs/PERFORMANCE.md",
    )
    yield Row(f"import of {messages:,} messages / their replay", replaying.imported(messages), 1.2)
    yield Row("import, peak RSS (absolute)", replaying.import_peak_mb(messages), 100, "MB")
    replayed = replaying.replay(messages)
    yield Row("replay (absolute)", replayed.per_second, 3_000, "/s", at_least=True)
    yield Row("replay, peak RSS (absolute)", replayed.peak_mb, 200, "MB")
    if not short:
        larger = replaying.replay(10 * messages)
        yield Row("replay, peak RSS at 10× the size", larger.peak_mb, 200, "MB")
        peak = replaying.import_peak_mb(10 * messages)
        yield Row("import, peak RSS at 10× the size", peak, 100, "MB")
    yield Row("--help / python -c pass, seconds more", replaying.help_seconds(), 0.5, "s")


def main(show: Callable[[str], None] = print) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("part", nargs="*", help=f"of {', '.join(parts(short=True))}; else all")
    asked = parser.parse_args()
    short, known = asked.short, parts(short=asked.short)
    if unknown := set(asked.part) - known.keys():
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    logs.configure("ERROR", "json")
    slack = LOOSE if short else 1
    failed = 0
    for row in chain.from_iterable(known[name]() for name in asked.part or known):
        failed += not row.holds(slack) and row.known is None
        show(row.line(slack))
        sys.stdout.flush()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
