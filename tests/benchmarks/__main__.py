"""`python -m tests.benchmarks [--short]`: one table of figures, each beside its bound.

A ratio is the median of ratios of interleaved rounds, so that a machine that slows down slows
both sides. Some bounds are absolute because the issue they come from says so; they are marked.
`--short` runs a tenth of the work with bounds loosened fourfold, for machines that are shared.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.benchmarks import latency, replaying, tiers

LOOSE = 4


@dataclass(frozen=True)
class Row:
    what: str
    measured: float
    bound: float
    unit: str = "×"
    at_least: bool = False  # the bound is a floor and not a ceiling

    def holds(self, slack: float) -> bool:
        if self.at_least:
            return self.measured >= self.bound / slack
        return self.measured <= self.bound * slack


def rows(*, short: bool) -> Iterator[Row]:
    yield Row("is_allowed, memory hit / awaited dict.get", tiers.is_allowed_ratio(), 2.5)
    yield Row("signal_at + decide, warm flow / the same", tiers.whole_decision_ratio(), 5)
    yield Row("memory per flow with one thread entry", tiers.bytes_per_flow(), 400, "bytes")
    messages = 10_000 if short else 100_000
    replayed = replaying.replay(messages)
    yield Row(
        f"replay, {messages:,} messages (absolute)", replayed.per_second, 3_000, "/s", at_least=True
    )
    yield Row("replay, peak RSS (absolute)", replayed.peak_mb, 200, "MB")
    if not short:
        yield Row(
            "replay, peak RSS at 10× the size", replaying.replay(10 * messages).peak_mb, 200, "MB"
        )
    live = latency.latency(50 if short else 300)
    yield Row("signal pushed → its post asked for (absolute)", live.median, 10, "ms")
    yield Row("the same, 95th percentile", live.p95, 50, "ms")
    yield Row("--help / python -c pass, seconds more", replaying.help_seconds(), 0.5, "s")


def main(show: Callable[[str], None] = print) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("--short", action="store_true")
    short = parser.parse_args().short
    slack = LOOSE if short else 1
    failed = 0
    for row in rows(short=short):
        holds = row.holds(slack)
        failed += not holds
        sign = "≥" if row.at_least else "≤"
        show(
            f"{row.what:<48}{row.measured:>12,.2f} {row.unit:<6}"
            f"bound {sign} {row.bound:,g}{'' if holds else '   MISSED'}"
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
