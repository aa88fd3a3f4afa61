"""Caches that somebody spoils, and what must be answered all the same."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import ClassVar

from bot.models import Flow, MessageId, MessageRef
from bot.state.flow_tracker import FlowTracker
from tests.people import ALICE, BOB, CAROL, GROUP, at, signal_id

QUIET, BUSY, UNKNOWN = signal_id(1), signal_id(2), signal_id(3)

ROOT, REPLY, OTHER = (MessageId(number) for number in (10, 11, 12))

NOW = at(80)

LATER = 4_000_000_000.0


class Table:
    """The truth: Alice's flow went quiet 80 hours ago, Bob's is an hour old."""

    flows: ClassVar = {QUIET: Flow(ALICE, at(0)), BUSY: Flow(BOB, at(79))}
    threads: ClassVar = {(GROUP, ROOT): QUIET, (GROUP, REPLY): QUIET, (GROUP, OTHER): BUSY}

    async def flow(self, number):
        return self.flows.get(number)

    async def flow_at(self, chat_id, message_id):
        found = self.threads.get((chat_id, message_id))
        return None if found is None else (found, self.flows[found])


async def answers(tracker):
    """Every question a reply can put: where does it belong, and may its author go on?"""
    said = []
    for message_id in (ROOT, REPLY, OTHER, MessageId(13)):
        for author in (ALICE, BOB, CAROL, None):
            decision = await tracker.decide_at(GROUP, message_id, author, at=NOW)
            said.append((author, decision and decision._replace(tier=None)))
    for number in (QUIET, BUSY, UNKNOWN):
        said.append(await tracker.get_flow_owner(number, at=NOW))
        said.append(await tracker.is_allowed(number, CAROL, at=NOW))
    return said


TRUTH = asyncio.run(answers(FlowTracker(Table(), None)))


def tell(tier):
    for number, flow in Table.flows.items():
        tier.put_flow(number, *flow, until=LATER)
    for ref, number in Table.threads.items():
        tier.put_thread(MessageRef(*ref), number, until=LATER)


def track(cache):
    return FlowTracker(Table(), cache, clock=lambda: NOW)


def change(database, *statements):
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        for statement, *parameters in statements:
            db.execute(statement, parameters)


def ruins(directory):
    return list(directory.glob("flows.bad-*"))


ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT sum(x) FROM n"

BODY = f"AFTER INSERT ON Cache BEGIN {ENDLESS}; END"
