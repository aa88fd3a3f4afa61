"""The promise everything rests on: caches never change an answer.

After any mix of messages, waiting, restarts, crashes, wiped, damaged and outdated caches and
eviction from memory, every decision equals the rule applied to the table. The rule is written
once more here, from its table in `bot.rules.policy` and by other means: plain SQL and plain Python.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
)

from bot.admin.control import Orders
from bot.models import AfterTtl, IncomingMessage, MessageId, MessageRef
from bot.pipeline.intake import Intake
from bot.state.flow_cache import open_flow_cache
from bot.state.flow_tracker import FlowTracker
from bot.storage.databases import database_at
from bot.storage.store import SignalStore
from tests import wiring
from tests.people import ALICE, BOB, CAROL, GROUP, HOUR, NOON, TARGET, TTL

# A hundred restarts an example: on a loaded machine it takes longer than others may.
pytestmark = [pytest.mark.heavy, pytest.mark.timeout(600)]

ENDED = 0  # what an operator's release leaves as the last activity
PERMITTED = (ALICE, BOB)
AUTHORS = st.sampled_from([ALICE, BOB, CAROL, None])
WAITS = st.sampled_from([0, 1, HOUR, TTL - 1, TTL, TTL + 1, 3 * TTL])


DISTURBANCES = [
    "restart",
    "restart",
    "crash",
    "crash",
    "wipe",
    "clean up",
    "UPDATE Cache SET value = zeroblob(41)",
    "UPDATE Cache SET value = (SELECT value FROM Cache ORDER BY rowid DESC LIMIT 1)",
    "UPDATE Cache SET mode = 4",
    "DELETE FROM Cache WHERE rowid % 2",
    "DROP TABLE Cache",
]


class Bot(NamedTuple):
    store: SignalStore
    flows: FlowTracker
    intake: Intake
    orders: Orders


async def start(where, directory: Path, after_ttl: AfterTtl, max_in_memory: int, clock) -> Bot:
    store = SignalStore(database_at(where, in_loop=True))
    await store.open()
    cache = open_flow_cache(directory / "flows", await store.cache_key())
    flows = FlowTracker(store, cache, after_ttl=after_ttl, max_in_memory=max_in_memory, clock=clock)
    orders = Orders(store, flows)
    await orders.begin()
    return Bot(store, flows, wiring.intake(store, flows, source_allowed_users=PERMITTED), orders)


def expected(db: sqlite3.Connection, message: IncomingMessage, after_ttl: AfterTtl) -> str:
    """What the rule says to the table as it is before the message."""
    here = (message.chat_id, message.id)
    marked = "#idea" in message.text
    if message.service or not (marked or message.reply_to):
        return "ignored not_a_signal"
    flow = None
    if message.reply_to and message.reply_to.chat_id == message.chat_id:
        flow = db.execute(
            """
            SELECT source_user_id, last_owner_activity FROM signals WHERE id IN (
                SELECT id FROM signals WHERE (source_chat_id, source_message_id) = (:chat_id, :message_id)
                UNION SELECT signal_id FROM signal_updates
                WHERE (source_chat_id, source_message_id) = (:chat_id, :message_id))
            """,
            message.reply_to._asdict(),
        ).fetchone()
    answer = judged(message, flow, marked, after_ttl)
    recorded = any(
        db.execute(
            f"SELECT 1 FROM {table} WHERE (source_chat_id, source_message_id) = (?, ?)", here
        ).fetchone()
        for table in ("signals", "signal_updates", "decisions")
    )
    # An ignored message leaves no record, unless it was marked or answered into a flow.
    return "duplicate already_recorded" if recorded and (flow or marked) else answer


def judged(message: IncomingMessage, flow, marked: bool, after_ttl: AfterTtl) -> str:
    if message.author is None:
        why_not = "unknown_author"
    else:
        why_not = None if message.author in PERMITTED else "not_permitted"
    if flow is not None:
        owner, activity = flow
        quiet = activity is not None and message.at > activity + TTL
        if not why_not and message.author == owner:
            return "update owner"
        if not why_not and quiet and (after_ttl is AfterTtl.RELEASE or activity == ENDED):
            return "update released"
        if not marked:
            return f"rejected {why_not or 'not_the_owner'}"
    if not marked:
        return "ignored unknown_parent"
    if message.forwarded:
        return "ignored forwarded"
    return f"ignored {why_not}" if why_not else "signal new_signal"


class OneAnswer(RuleBasedStateMachine):
    @initialize(
        after_ttl=st.sampled_from(AfterTtl),
        max_in_memory=st.integers(1, 3),
        clock_goes=st.booleans(),
    )
    def begin(self, after_ttl, max_in_memory, clock_goes):
        """A machine whose clock stands still keeps in its cache what has expired long ago."""
        self.clock_goes = clock_goes
        self.runner = asyncio.Runner()
        self.directory = Path(tempfile.mkdtemp(prefix="one-answer-"))
        self.where = self.new_database()
        self.after_ttl, self.max_in_memory = after_ttl, max_in_memory
        self.now = NOON
        self.said: list[IncomingMessage] = []
        self.accepted: list[IncomingMessage] = []
        self.start()
        self.somebody_posts_a_signal(ALICE)

    def new_database(self):
        return self.directory / "signals.db"

    @property
    def flows_directory(self) -> Path:
        return self.directory / "flows"

    @property
    def copy(self) -> Path:
        """The cache as it was at the last start."""
        return self.directory / "flows-copy"

    def clock(self) -> int:
        return self.now if self.clock_goes else NOON

    def start(self):
        self.bot = self.runner.run(
            start(self.where, self.directory, self.after_ttl, self.max_in_memory, self.clock)
        )
        shutil.rmtree(self.copy, ignore_errors=True)
        shutil.copytree(self.flows_directory, self.copy)

    def stop(self):
        self.runner.run(self.bot.flows.close())
        self.runner.run(self.bot.store.close())

    def query(self, sql, *parameters):
        with closing(self.connected()) as db:
            return db.execute(sql, parameters).fetchone()

    def connected(self):
        return sqlite3.connect(self.where)

    def hear(self, message: IncomingMessage):
        with closing(self.connected()) as db:
            answer = expected(db, message, self.after_ttl)
        decision = self.runner.run(self.bot.intake.handle(message))
        assert f"{decision.outcome} {decision.reason}" == answer
        if answer == "signal new_signal":
            begun = self.query(
                "SELECT last_owner_activity FROM signals WHERE source_message_id = ?", message.id
            )
            assert begun == (message.edited_at or message.at,)
        if decision.accepted:
            self.accepted.append(message)

    def say(self, author, at, **more):
        self.now = max(self.now, at)
        message = IncomingMessage(GROUP, MessageId(len(self.said) + 1), author, at, **more)
        self.said.append(message)
        self.hear(message)

    def somebody_posts_a_signal(self, author):
        self.say(author, self.now, text="#idea ETH short")

    @rule(
        data=st.data(),
        author=st.sampled_from(["the owner", "the owner", ALICE, BOB, CAROL, None]),
        quiet_for=st.sampled_from([1, HOUR, TTL - HOUR, TTL, TTL + 1, TTL + HOUR, 3 * TTL]),
        marked=st.sampled_from([False, False, False, True]),
        forwarded=st.sampled_from([False, False, False, True]),
    )
    def somebody_answers_into_a_flow(self, data, author, quiet_for, marked, forwarded):
        parent = data.draw(st.sampled_from(self.accepted), label="parent")
        text = "#idea BTC long" if marked else "thanks"
        self.answer(parent, author, quiet_for, text=text, forwarded=forwarded)

    def answer(self, parent, author, quiet_for, **more):
        owner, activity = self.query(
            """
            SELECT source_user_id, last_owner_activity FROM signals
            WHERE source_message_id = ?
            OR id = (SELECT signal_id FROM signal_updates WHERE source_message_id = ?)
            """,
            parent.id,
            parent.id,
        )
        another = BOB if owner == ALICE else ALICE
        self.say(
            {"the owner": owner, "another": another}.get(author, author),
            (activity or self.now) + quiet_for,
            reply_to=parent.ref,
            **more,
        )

    @rule(
        data=st.data(),
        author=AUTHORS,
        wait=WAITS,
        marked=st.booleans(),
        forwarded=st.booleans(),
        service=st.sampled_from([False, False, False, True]),
        edited_after=st.sampled_from([None, None, 0, HOUR, TTL, 3 * TTL]),
    )
    def somebody_says_anything(self, data, author, wait, marked, forwarded, service, edited_after):
        """Or said it long ago, and has edited it since."""
        at = self.now + wait
        chat = data.draw(st.sampled_from([GROUP, GROUP, GROUP, TARGET]), label="answers in")
        number = data.draw(st.integers(0, len(self.said) + 1), label="answers to")
        self.say(
            author,
            at,
            edited_at=None if edited_after is None else at + edited_after,
            text="#idea BTC long" if marked else "thanks",
            reply_to=MessageRef(chat, MessageId(number)) if number else None,
            forwarded=forwarded,
            service=service,
        )

    @rule(data=st.data())
    def telegram_delivers_a_message_again(self, data):
        self.hear(data.draw(st.sampled_from(self.said), label="again"))

    @rule(data=st.data(), quiet_for=st.sampled_from([HOUR, TTL - HOUR, TTL + 1]))
    def the_process_dies_before_the_disk_hears_of_an_update(self, data, quiet_for):
        """Somebody else, who may continue by what the disk has heard, may not by the table."""
        parent = data.draw(st.sampled_from(self.accepted), label="parent")
        self.something_happens_to_the_cache("restart")
        self.answer(parent, "the owner", quiet_for)
        self.something_happens_to_the_cache("crash")
        self.answer(parent, "another", 2 * HOUR)

    @rule(data=st.data(), then=st.sampled_from(["heard", "restart", "crash", "answered"]))
    def an_operator_ends_a_flow(self, data, then):
        parent = data.draw(st.sampled_from(self.accepted), label="parent")
        signal_id = self.runner.run(self.bot.store.signal_at(*parent.ref))
        self.runner.run(self.bot.store.release(signal_id))
        if then in {"restart", "crash"}:
            self.something_happens_to_the_cache(then)
        elif then == "answered":  # by the owner, before the running bot has heard of it
            self.answer(parent, "the owner", 1)
        self.runner.run(self.bot.orders.look(lambda: None))
        self.answer(parent, BOB, 1)

    @rule(what=st.sampled_from(DISTURBANCES))
    def something_happens_to_the_cache(self, what):
        if what == "clean up":
            self.bot.flows.cleanup_expired(now=self.now)
            return
        self.stop()
        if what == "crash":
            # The table is where it was, but the cache falls back to what it was at the start.
            shutil.rmtree(self.flows_directory)
            shutil.copytree(self.copy, self.flows_directory)
        elif what == "wipe":
            shutil.rmtree(self.flows_directory)
        elif what != "restart":
            with closing(sqlite3.connect(self.flows_directory / "cache.db")) as db, db:
                db.execute(what)
        self.start()

    @rule(data=st.data(), author=st.sampled_from([ALICE, BOB, CAROL]), wait=WAITS)
    def ask(self, data, author, wait):
        """The tracker's short answers agree with the table as well, and change nothing."""
        number = data.draw(st.integers(1, len(self.said)), label="signal id")
        moment = self.now + wait
        flow = self.query(
            "SELECT source_user_id, last_owner_activity FROM signals WHERE id = ?", number
        )
        may_be = flow and (self.after_ttl is AfterTtl.RELEASE or flow[1] == ENDED)
        released = bool(may_be and moment > flow[1] + TTL)
        allowed = bool(flow and (author == flow[0] or released))
        flows = self.bot.flows
        assert self.runner.run(flows.is_allowed(number, author, at=moment)) == allowed
        owner = self.runner.run(flows.get_flow_owner(number, at=moment))
        assert owner == (flow[0] if flow and not released else None)

    def teardown(self):
        if hasattr(self, "bot"):
            self.stop()
            self.runner.close()
            shutil.rmtree(self.directory)


OneAnswer.TestCase.settings = settings(
    max_examples=80, stateful_step_count=30, deadline=None, print_blob=True
)
TestOneAnswer = OneAnswer.TestCase


class InItsWords:
    """A connection of psycopg's that is asked as one of SQLite's is."""

    def __init__(self, address):
        import psycopg  # noqa: PLC0415  # not everywhere

        self._db = psycopg.connect(address.url, autocommit=True)
        self.close = self._db.close

    def execute(self, sql, values):
        named = re.sub(r":(\w+)", r"%(\1)s", sql).replace("?", "%s")
        return self._db.execute(named, values)


class OneAnswerOfAServer(OneAnswer):
    server = None  # the tests' own

    def new_database(self):
        return self.server.new_database()

    def connected(self):
        return InItsWords(self.where)


@pytest.fixture
def _of_a_server(postgresql):
    OneAnswerOfAServer.server = postgresql


OneAnswerOfAServer.TestCase.settings = settings(
    max_examples=10, stateful_step_count=20, deadline=None, print_blob=True
)
TestOneAnswerOfAServer = pytest.mark.usefixtures("_of_a_server")(OneAnswerOfAServer.TestCase)
