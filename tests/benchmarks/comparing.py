"""Ratios of two things that are done in turns, so that a machine that slows down slows both."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

Work = Callable[[], Awaitable[object]]


class Ratio(NamedTuple):
    """Of all rounds: the median, and the quartiles as their spread."""

    median: float
    low: float
    high: float


def spread(ratios: Sequence[float]) -> Ratio:
    low, median, high = statistics.quantiles(ratios, n=4)
    return Ratio(median, low, high)


async def compare(
    measured: Work,
    floor: Work,
    *,
    rounds: int = 15,
    clock: Callable[[], float] = time.perf_counter,
) -> Ratio:
    """How much longer the one takes than the other, round by round in random order.

    `clock` in seconds: `time.thread_time` where nothing is waited for counts our own work alone.
    """
    ratios = []
    for _ in range(rounds):
        took = {}
        for work in random.sample([measured, floor], 2):
            began = clock()
            await work()
            took[work] = clock() - began
        ratios.append(took[measured] / took[floor])
    return spread(ratios)
