"""What it costs to record an accepted update, against the least that a durable row can cost."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from pathlib import Path

from sqlalchemy import Column, Integer, MetaData, Table, Text, insert

from bot.models import Decision, Outcome, Reason, Tier
from bot.routes import Place
from bot.rules.markers import parse
from bot.storage.engine import Database
from bot.storage.store import SignalStore
from tests.benchmarks.comparing import Ratio, compare
from tests.people import ALICE, TARGET, says

AT_ONCE = 100

bare = Table(
    "bare",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("author", Integer),
    Column("text", Text),
)


def recorded_update(rounds: int) -> Ratio:
    """One transaction with row, activity and post, against an insert and a commit."""
    with tempfile.TemporaryDirectory() as directory:
        return asyncio.run(_recorded_update(Database(Path(directory) / "signals.db"), rounds))


async def _recorded_update(database: Database, rounds: int) -> Ratio:
    store = SignalStore(database)
    await store.open()
    await database.run(bare.create)
    signal = says(ALICE, "#idea BTC/USDT LONG", number=1)
    signal_id = await store.add_signal(
        signal, author=ALICE, marker="#idea", fields=parse(signal.text), places=[Place(TARGET)]
    )
    assert signal_id is not None
    decision = Decision(Outcome.UPDATE, Reason.OWNER, Tier.MEMORY, signal_id)
    numbers = itertools.count(2)

    def insert_and_commit(db):
        db.execute(insert(bare), {"author": ALICE, "text": "TP1, stop to entry"})
        db.commit()

    async def floor():
        for _ in range(AT_ONCE):
            await database.run(insert_and_commit)

    async def updates():
        for number in itertools.islice(numbers, AT_ONCE):
            message = says(ALICE, "TP1, stop to entry", number=number, to=signal, hours=number)
            assert await store.add_update(message, decision, author=ALICE, places=[Place(TARGET)])

    ratio = await compare(updates, floor, rounds=rounds)
    await store.close()
    return ratio
