"""The memory tier against the least that an awaited answer from a dict can cost."""

from __future__ import annotations

import asyncio
import gc
import random
import statistics
import time
import tracemalloc

from bot.state.flow_tracker import FlowTracker
from tests.people import GROUP, at

FLOWS = 10_000
ROUNDS = 15
ASKED = 20_000
OWNERS = 50


class NoTable:
    """Memory must be enough: to ask the table is an error here."""

    async def flow(self, signal_id):
        raise AssertionError(signal_id)

    async def signal_at(self, chat_id, message_id):
        raise AssertionError(message_id)


def _tracker() -> FlowTracker:
    tracker = FlowTracker(NoTable(), None, max_in_memory=FLOWS)
    for number in range(FLOWS):
        tracker.start_flow(number, 1000 + number % OWNERS, at=at(0))
        tracker.add_to_thread(number, GROUP, number)
    return tracker


def _ratio(measured, floor) -> float:
    """The median ratio of two coroutine functions' times, round by round in random order."""

    async def compare() -> float:
        ratios = []
        for _ in range(ROUNDS):
            took = {}
            for function in random.sample([measured, floor], 2):
                began = time.perf_counter()
                await function()
                took[function] = time.perf_counter() - began
            ratios.append(took[measured] / took[floor])
        return statistics.median(ratios)

    return asyncio.run(compare())


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


def is_allowed_ratio() -> float:
    tracker, pairs, moment = _tracker(), _pairs(), at(1)

    async def run():
        for signal_id, user_id in pairs:
            await tracker.is_allowed(signal_id, user_id, at=moment)

    return _ratio(run, _floor(pairs))


def whole_decision_ratio() -> float:
    tracker, pairs, moment = _tracker(), _pairs(), at(1)

    async def run():
        for message_id, user_id in pairs:
            signal_id = await tracker.signal_at(GROUP, message_id)
            await tracker.decide(signal_id, user_id, at=moment)

    return _ratio(run, _floor(pairs))


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
