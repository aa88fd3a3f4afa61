"""What a PostgreSQL server costs against a file, and what the way to it costs."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import select

from bot.app import database_at
from bot.models import Decision, Outcome, Reason, SignalId, Tier
from bot.routes import Place
from bot.state.flow_tracker import FlowTracker
from bot.storage.store import SignalStore
from tests.benchmarks.comparing import Ratio, compare
from tests.distance import far_from
from tests.people import ALICE, BOB, TARGET, says
from tests.rows import add_signal
from tests.server import server

AT_ONCE = 50
RTT = 0.001  # seconds
SIGNAL = says(ALICE, "#idea BTC/USDT LONG", number=1)
INTO = Decision(Outcome.UPDATE, Reason.OWNER, Tier.MEMORY, SignalId(1))

Work = Callable[[], Coroutine[Any, Any, None]]


class Ratios(NamedTuple):
    recorded: Ratio  # per second: PostgreSQL's to SQLite's
    decided: Ratio  # time for one
    far: Ratio  # an accepted message to a round trip of a millisecond


def ratios(rounds: int) -> Ratios | None:
    """None: there is no PostgreSQL on this machine."""
    with tempfile.TemporaryDirectory() as directory, server() as cluster:
        return None if cluster is None else asyncio.run(_ratios(Path(directory), cluster, rounds))


async def _ratios(directory: Path, cluster: Any, rounds: int) -> Ratios:
    file = await _opened(directory / "signals.db")
    near = await _opened(cluster.new_database())
    with far_from(cluster.port, seconds=RTT) as way:
        far = await _opened(way.of(cluster.new_database()))

        async def round_trips() -> None:
            for _ in range(AT_ONCE):
                await far.ask(lambda db: db.scalar(select(1)))

        found = Ratios(
            await compare(_recording(file), _recording(near), rounds=rounds),
            await compare(_deciding(near), _deciding(file), rounds=rounds),
            await compare(_recording(far), round_trips, rounds=rounds),
        )
        for store in (file, near, far):
            await store.close()
    return found


async def _opened(where: Any) -> SignalStore:
    store = SignalStore(database_at(where))
    await store.open()
    await add_signal(store, SIGNAL, places=[Place(TARGET)])
    return store


def _recording(store: SignalStore) -> Work:
    numbers = itertools.count(2)

    async def run() -> None:
        for number in itertools.islice(numbers, AT_ONCE):
            message = says(ALICE, "TP1, stop to entry", number=number, to=SIGNAL, hours=number)
            assert await store.add_update(message, INTO, author=ALICE, places=[Place(TARGET)])

    return run


def _deciding(store: SignalStore) -> Work:
    async def run() -> None:
        for _ in range(AT_ONCE):
            flows = FlowTracker(store, None)
            assert await flows.decide_at(*SIGNAL.ref, BOB, at=SIGNAL.at) is not None

    return run
