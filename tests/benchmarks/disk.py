"""The disk tier: against plain `diskcache`, against the table, locked by others, and after a restart."""

from __future__ import annotations

import asyncio
import multiprocessing
import sqlite3
import statistics
import tempfile
import time
from contextlib import ExitStack, asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

import diskcache

from bot.app import open_core
from bot.config import Settings
from bot.models import Reason, Tier
from bot.rules.markers import parse
from bot.state.flow_cache import SETTINGS, open_flow_cache
from bot.state.flow_tracker import FlowTracker
from bot.storage.engine import Database
from bot.storage.store import SignalStore
from tests.benchmarks.comparing import Ratio, spread
from tests.benchmarks.tiers import NoTable
from tests.people import ALICE, BOB, GROUP, says

SECRET = b"benchmarks, and nothing worth it"
FLOWS = 500
VALUE = b"x" * 41  # as long as one of ours
IDLE, LOCKED = 1.0, 3.0  # seconds of measuring


def first_decision(rounds: int) -> Ratio:
    """Decisions into flows that memory does not know yet, against two plain reads each."""
    with tempfile.TemporaryDirectory() as directory:
        return asyncio.run(_first_decision(Path(directory), rounds))


async def _first_decision(directory: Path, rounds: int) -> Ratio:
    now = int(time.time())
    await _fill(FlowTracker(NoTable(), open_flow_cache(directory / "flows", SECRET)), now)
    plain = diskcache.Cache(str(directory / "plain"), **SETTINGS)
    for number in range(FLOWS):
        plain.set(number, VALUE, expire=3600)
        plain.set(f"{GROUP}:{number}", VALUE, expire=3600)

    async def floor():
        for number in range(FLOWS):
            plain.get(f"{GROUP}:{number}")
            plain.get(number)

    ratios = []
    for _ in range(rounds):
        tracker = FlowTracker(NoTable(), open_flow_cache(directory / "flows", SECRET))
        decide_all = _deciding(tracker, now)
        took = []
        for work in (floor, decide_all):
            began = time.thread_time()
            await work()
            took.append(time.thread_time() - began)
        ratios.append(took[1] / took[0])
        await tracker.close()
    plain.close()
    return spread(ratios)


async def _fill(tracker, now):
    for number in range(FLOWS):
        tracker.start_flow(number, ALICE, at=now)
        tracker.add_to_thread(number, GROUP, number)
    await tracker.close()


def _deciding(tracker, now):
    async def run():
        for number in range(FLOWS):
            decision = await tracker.decide_at(GROUP, number, BOB, at=now)
            assert decision.reason is Reason.NOT_THE_OWNER

    return run


class FromTable(NamedTuple):
    """A decision that only the table can make."""

    ratio: Ratio  # of its time to one from the disk
    microseconds: float


def from_table(rounds: int) -> FromTable:
    with tempfile.TemporaryDirectory() as directory:
        return asyncio.run(_from_table(Path(directory), rounds))


async def _from_table(directory: Path, rounds: int) -> FromTable:
    now = int(time.time())
    store = SignalStore(Database(directory / "signals.db"))
    await store.open()
    first = FlowTracker(store, open_flow_cache(directory / "flows", SECRET))
    for number in range(FLOWS):
        message = says(ALICE, "#idea", number=number, hours=(now - says(ALICE).at) / 3600)
        signal_id = await store.add_signal(
            message, author=ALICE, marker="#idea", fields=parse(message.text)
        )
        first.start_flow(signal_id, ALICE, at=message.at)
        first.add_to_thread(signal_id, *message.ref)
    await first.close()

    ratios, took = [], []
    for _ in range(rounds):
        by_disk = FlowTracker(NoTable(), open_flow_cache(directory / "flows", SECRET))
        # Once each: from then on they know it by heart.
        seconds = [
            await _seconds(_deciding(each, now)) for each in (FlowTracker(store, None), by_disk)
        ]
        ratios.append(seconds[0] / seconds[1])
        took.append(seconds[0] / FLOWS)
        await by_disk.close()
    await store.close()
    return FromTable(spread(ratios), 1e6 * statistics.median(took))


async def _seconds(work) -> float:
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began


def durable_throughput(flows: int) -> Ratio:
    """`start_flow` until all is on disk, in flows per second, against a `Cache.set` each."""
    with tempfile.TemporaryDirectory() as directory:
        return asyncio.run(_durable_throughput(Path(directory), flows))


async def _durable_throughput(directory: Path, flows: int) -> Ratio:
    now, ratios = int(time.time()), []
    for number in range(5):
        tracker = FlowTracker(NoTable(), open_flow_cache(directory / f"flows{number}", SECRET))
        began = time.perf_counter()
        for signal_id in range(flows):
            tracker.start_flow(signal_id, ALICE, at=now)
        await tracker.close()
        ours = time.perf_counter() - began
        with closing(open_flow_cache(directory / f"flows{number}", SECRET)) as written:
            assert len(written) == flows
        with closing(diskcache.Cache(str(directory / f"plain{number}"), **SETTINGS)) as plain:
            began = time.perf_counter()
            for signal_id in range(flows):
                plain.set(signal_id, VALUE, expire=3600)
            ratios.append((time.perf_counter() - began) / ours)
    return spread(ratios)


class Lag(NamedTuple):
    """Milliseconds by which a sleep of one was too long, at the worst."""

    idle: float
    locked: float

    @property
    def more(self) -> float:
        return max(0.0, self.locked - self.idle)


def lag_while_locked() -> Lag:
    """2,000 flows a second while another process holds the cache's lock, 250 ms at a time."""
    with tempfile.TemporaryDirectory() as directory:
        return asyncio.run(_lag_while_locked(Path(directory)))


async def _lag_while_locked(directory: Path) -> Lag:
    now = int(time.time())
    tracker = FlowTracker(NoTable(), open_flow_cache(directory / "flows", SECRET))
    idle = await _worst_lag(IDLE)
    async with _locker(directory / "flows" / "cache.db"):
        numbers = iter(range(10**9))

        def start_two():
            for _ in range(2):
                tracker.start_flow(next(numbers), ALICE, at=now)

        locked = await _worst_lag(LOCKED, every_millisecond=start_two)
    await tracker.close()
    return Lag(1000 * idle, 1000 * locked)


async def _worst_lag(seconds, *, every_millisecond=lambda: None):
    worst, end = 0.0, time.monotonic() + seconds
    while (began := time.monotonic()) < end:
        every_millisecond()
        await asyncio.sleep(0.001)
        worst = max(worst, time.monotonic() - began - 0.001)
    return worst


@asynccontextmanager
async def _locker(database: Path):
    """Another process that locks and lets go, in turns."""
    context = multiprocessing.get_context("spawn")
    stop, begun = context.Event(), context.Event()
    process = context.Process(target=lock_in_turns, args=(database, begun, stop), daemon=True)
    process.start()
    await asyncio.to_thread(begun.wait, 30)
    yield
    stop.set()
    await asyncio.to_thread(process.join, 30)


def lock_in_turns(database, begun, stop):
    with closing(sqlite3.connect(database, timeout=5, isolation_level=None)) as db:
        while not stop.is_set():
            db.execute("BEGIN IMMEDIATE")
            begun.set()
            stop.wait(0.25)
            db.execute("ROLLBACK")
            stop.wait(0.01)


class Restart(NamedTuple):
    ratio: Ratio
    milliseconds: float  # of the larger one


def restart(many: int, few: int = 1_000) -> Restart:
    """From nothing open to the first decision, imports excepted, with as many flows on disk."""
    with ExitStack() as stack:
        directories = [
            Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in (many, few)
        ]
        return asyncio.run(_restart(directories, many, few))


async def _restart(directories, many, few) -> Restart:
    restarts = []
    for directory, flows in zip(directories, (many, few), strict=True):
        settings = Settings(data_dir=directory / "data", _env_file=None)
        now = int(time.time())
        await _live_flows(settings, flows, now)
        restarts.append(partial(_seconds_to_first_decision, settings, flows, now))
    for seconds in restarts:
        await seconds()  # the disk's own cache is no part of it
    took = [[await seconds() for seconds in restarts] for _ in range(9)]
    ratio = spread([large / small for large, small in took])
    return Restart(ratio, 1000 * statistics.median(large for large, _ in took))


async def _seconds_to_first_decision(settings, flows, now) -> float:
    began = time.perf_counter()
    async with open_core(settings) as core:
        (tracker,) = core.flows
        decision = await tracker.decide_at(GROUP, flows // 2, BOB, at=now)
        took = time.perf_counter() - began
    assert (decision.reason, decision.tier) == (Reason.NOT_THE_OWNER, Tier.DISK)
    return took


async def _live_flows(settings, flows, now):
    """In the table by SQL alone; the cache is written as the bot does it, but for its patience."""
    async with open_core(settings):
        pass
    with closing(sqlite3.connect(settings.database)) as db:
        db.execute(_SIGNALS, {"flows": flows, "chat": GROUP, "author": ALICE, "now": now})
        db.commit()
        (secret,) = db.execute("SELECT value FROM meta WHERE name = 'cache_key'").fetchone()
    begin = 1
    while begin <= flows:
        end = min(begin + 50_000, flows + 1)
        tracker = FlowTracker(
            NoTable(), open_flow_cache(settings.flow_cache, secret), max_in_memory=flows
        )
        for number in range(begin, end):
            tracker.start_flow(number, ALICE, at=now)
            tracker.add_to_thread(number, GROUP, number)
        await tracker.close()
        begin = end


_SIGNALS = """
    INSERT INTO signals (source_chat_id, source_message_id, source_user_id, at,
                         last_owner_activity, marker, text, entities, take_profits, recorded_at)
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :flows)
    SELECT :chat, i, :author, :now, :now, '#idea', '#idea BTC/USDT LONG', '[]', '[]', :now FROM n
"""
