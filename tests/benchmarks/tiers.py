"""The memory tier against the least that an awaited answer from a dict can cost."""

from __future__ import annotations

import asyncio
import gc
import itertools
import multiprocessing
import random
import time
import tracemalloc
from typing import NamedTuple

from bot.state.flow_tracker import FlowTracker
from tests.benchmarks.comparing import Ratio, compare, spread
from tests.people import GROUP, at
from tests.soak import memory_mb

FLOWS = 10_000
ASKED = 20_000
OWNERS = 50


class NoTable:
    """Memory must be enough: to ask the table is an error here."""

    async def flow(self, signal_id):
        raise AssertionError(signal_id)

    async def flow_at(self, chat_id, message_id):
        raise AssertionError(message_id)


def _tracker(flows: int = FLOWS) -> FlowTracker:
    tracker = FlowTracker(NoTable(), None, max_in_memory=2 * flows)
    for number in range(flows):
        tracker.start_flow(number, 1000 + number % OWNERS, at=at(0))
        tracker.add_to_thread(number, GROUP, number)
    return tracker


def _pairs() -> list[tuple[int, int]]:
    """Flows and who asks, owners and strangers alike."""
    choose = random.Random(1)
    return [
        (n := choose.randrange(FLOWS), 1000 + (n + choose.randrange(2)) % OWNERS)
        for _ in range(ASKED)
    ]


def _floor(pairs):
    owners = {number: 1000 + number % OWNERS for number in range(FLOWS)}

    async def ask(signal_id, user_id):
        return owners.get(signal_id) == user_id

    async def run():
        for signal_id, user_id in pairs:
            await ask(signal_id, user_id)

    return run


def is_allowed(rounds: int) -> Ratio:
    tracker, pairs, moment = _tracker(), _pairs(), at(1)

    async def run():
        for signal_id, user_id in pairs:
            await tracker.is_allowed(signal_id, user_id, at=moment)

    return asyncio.run(compare(run, _floor(pairs), rounds=rounds, clock=time.thread_time))


def whole_decision(rounds: int) -> Ratio:
    tracker, pairs, moment = _tracker(), _pairs(), at(1)

    async def run():
        for message_id, user_id in pairs:
            await tracker.decide_at(GROUP, message_id, user_id, at=moment)

    return asyncio.run(compare(run, _floor(pairs), rounds=rounds, clock=time.thread_time))


def bytes_per_flow() -> float:
    """With ids and dates that are objects of their own, as those of real messages are."""
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    tracker = FlowTracker(NoTable(), None, max_in_memory=FLOWS)
    for number in range(FLOWS):
        signal_id = 10**6 + number
        tracker.start_flow(signal_id, 10**9 + number, at=at(0) + number)
        tracker.add_to_thread(signal_id, GROUP, 10**7 + number)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert tracker.cleanup_expired(now=at(10**6)) == FLOWS
    return (after - before) / FLOWS


def start_flow_at(many: int, rounds: int, few: int = 10_000) -> Ratio:
    """A new flow among many, against one among few."""
    fresh = range(10**9, 10**9 + 2_000)

    def starting(tracker):
        async def run():
            for number in fresh:
                tracker.start_flow(number, number, at=at(1))

        return run

    async def measure():
        trackers = [_tracker(many), _tracker(few)]
        runs = [starting(tracker) for tracker in trackers]
        ratios = []
        for _ in range(rounds):
            ratios.append(await compare(*runs, rounds=2, clock=time.thread_time))
            for tracker in trackers:
                for number in fresh:
                    tracker.end_flow(number)
        return spread([ratio.median for ratio in ratios])

    return _without_collector(lambda: asyncio.run(measure()))


class Cleanup(NamedTuple):
    ratio: Ratio
    worst_stall: float  # milliseconds


def cleanup_at(flows: int, rounds: int) -> Cleanup:
    """Operations while flows expire all the time, against operations while none does.

    The worst stall is the longest operation that cleaned up when every flow had expired at once.
    """
    tracker = FlowTracker(NoTable(), None, max_in_memory=2 * flows)
    for number in range(flows):
        tracker.start_flow(number, number, at=at(0) + number)
    numbers = itertools.count(flows)

    def starting(date):
        async def run():
            for number in itertools.islice(numbers, 1_000):
                tracker.start_flow(number, number, at=date(number))

        return run

    # One flow begins, and one that began `flows` seconds before has been quiet for the TTL.
    expiring = starting(lambda number: at(72) + number - flows)
    expiring_not = starting(lambda number: at(72) + 1 - flows)

    def measure() -> Cleanup:
        ratio = asyncio.run(compare(expiring, expiring_not, rounds=rounds, clock=time.thread_time))
        worst, all_expired = 0.0, at(10**7)
        for number in itertools.islice(numbers, tracker.in_memory):
            before = tracker.in_memory
            # Of this thread alone: what else the machine does is no stall of ours.
            began = time.thread_time()
            tracker.start_flow(number, number, at=all_expired)
            if tracker.in_memory < before:  # else it may have been a dict that grew
                worst = max(worst, time.thread_time() - began)
        return Cleanup(ratio, 1000 * worst)

    return _without_collector(measure)


def _without_collector(measure):
    """Python's own pauses among a million objects are not what is looked for."""
    gc.collect()
    gc.disable()
    try:
        return measure()
    finally:
        gc.enable()


def rss_growth(flows: int) -> float:
    """Memory of a process after so many flows, against after a tenth of them; 10,000 are held."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_rss_growth, (flows,))


def _rss_growth(flows: int) -> float:
    tracker = FlowTracker(NoTable(), None, max_in_memory=FLOWS)
    first = 0.0
    for number in range(flows):
        tracker.start_flow(10**6 + number, 10**9 + number, at=at(0) + number // 10)
        tracker.add_to_thread(10**6 + number, GROUP, 10**7 + number)
        if number == flows // 10:
            first = memory_mb()
    assert tracker.in_memory == FLOWS
    return memory_mb() / first
