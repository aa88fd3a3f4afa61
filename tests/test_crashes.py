"""The process dies at every await between Telegram and the target, and the target never knows."""

from __future__ import annotations

import asyncio
import itertools
import random
import sqlite3
from collections import deque
from contextlib import closing

import pytest
from structlog.testing import capture_logs

from bot.delivery.relay import Relay
from bot.models import ChatId, MessageId, Reached
from bot.pipeline.patience import Pace
from bot.state.flow_tracker import FlowTracker
from bot.storage.engine import Database
from bot.storage.store import SignalStore
from bot.telegram.catch_up import CatchUp, Following
from bot.telegram.messages import events
from tests import wiring
from tests.boxes import CHANNEL, ME, FakeTelegram, container
from tests.fuse import Crash, Fuse

pytestmark = pytest.mark.heavy

TARGET = ChatId(-1009876543210)
ALICE, BOB = 1001, 1002
CRASHES, AT_ONCE = 2_000, 250
HAPPENINGS = 6  # in one afternoon


class FakeTarget:
    """The target chat, in which a `random_id` is taken once."""

    def __init__(self):
        self.shown = {}  # message id → [text, reply_to, album]
        self.taken = {}
        self.numbers = itertools.count(500)

    def _take(self, random_id, text, reply_to, album=None):
        if random_id not in self.taken:
            self.taken[random_id] = MessageId(next(self.numbers))
            self.shown[self.taken[random_id]] = [text, reply_to, album]
        return self.taken[random_id]

    async def send_text(self, _target, text, _entities, *, reply_to, random_id):
        return self._take(random_id, text, reply_to)

    async def send_media(self, _target, _media, text, _entities, *, source, reply_to, random_id):
        return self._take(random_id, text, reply_to)

    async def send_album(self, _target, parts, *, reply_to):
        album = parts[0].random_id
        return [self._take(part.random_id, part.text, reply_to, album) for part in parts]

    async def edit(self, _target, message_id, text, _entities, _media, *, source):
        self.shown[message_id][0] = text

    async def standing(self, _target, ids):
        return set(ids) & set(self.shown)

    async def delete(self, _target, ids):
        for message_id in ids:
            self.shown.pop(message_id, None)


class Queue(deque):
    def feed(self, *item):
        self.append(item)


class Process:
    """The bot's parts, as `app` puts them together, over fakes on Telegram's side."""

    def __init__(self, telegram, target, database, fuse):
        self.database, self.fuse = database, fuse
        self.store = SignalStore(database)
        table = fuse.around(self.store)
        self.relay = Relay(table, fuse.around(target), TARGET, sleep=self._sleep, jitter=lambda: 0)
        self.hearing = wiring.hearing(
            table,
            wiring.intake(table, FlowTracker(table, None), targets=[TARGET]),
            wiring.route(CHANNEL, TARGET),
            wake=self.relay.wake,
            more_to_come=lambda: self.catch_up.more_to_come(CHANNEL),
            pace=Pace(sleep=self._sleep),
        )
        self.queue = Queue()
        self.catch_up = CatchUp(
            fuse.around(telegram),
            self.queue,
            Following(table, [CHANNEL]),
            account=ME,
            sleep=self._sleep,
        )
        self.tasks = []
        self.busy = False

    @staticmethod
    async def _sleep(seconds):
        await (asyncio.Event().wait() if seconds == 180 else asyncio.sleep(0))

    async def start(self):
        await self.store.open()
        await self.catch_up.begin()
        writing = self.store.keep_writing(sleep=self._sleep)
        parts = (self.catch_up.run(), self._read(), self.relay.run(), writing)
        self.tasks = [asyncio.create_task(part) for part in parts]

    async def _read(self):
        while True:
            while self.queue:
                self.busy = True
                update, users, chats = self.queue.popleft()
                if isinstance(update, Reached):
                    await self.hearing.hear(update)
                else:
                    for event in events(update, users, chats):
                        await self.hearing.hear(event)
            self.busy = False
            await asyncio.sleep(0)

    @property
    def dead(self):
        return self.fuse.burnt or any(task.done() for task in self.tasks)

    async def quiet(self, telegram):
        """Until all is dealt with and written down, or the process is dead."""
        while not self.dead:
            await asyncio.sleep(0)
            if not self.catch_up.current or self.queue or self.busy:
                continue
            cursor = await self.store.cursor(CHANNEL)
            if cursor.pts == telegram.pts and not self._to_do():
                return

    def _to_do(self):
        query = "SELECT count(*) FROM posts WHERE state IN ('pending', 'edit', 'delete')"
        with closing(sqlite3.connect(self.database.path)) as db:
            return db.execute(query).fetchone()[0]

    async def end(self):
        """Whatever was under way goes no further."""
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await self.database.close()  # and not the store, which would write what it holds


class Afternoon:
    """A few things that happen in a group, the same ones for the same seed."""

    def __init__(self, seed):
        self.chance = random.Random(seed)
        self.telegram, self.target = FakeTelegram(slice_=4), FakeTarget()
        self.expected = {}  # source message id → [text, parent], in source order
        self.strangers = {}  # what others said: message id → parent
        self.albums = itertools.count(1)

    def next(self):
        """Something happens; the updates that it would be pushed as."""
        if not self.expected:
            return self._signal()
        return self.chance.choice(
            [self._signal, self._update, self._update, self._album, self._edit, self._delete]
        )()

    def _say(self, text, author=ALICE, parent=None, **more):
        update = self.telegram.say(text, author=author, reply_to=parent, **more)
        return update, self.telegram.messages[-1]

    def _signal(self):
        update, message = self._say(f"#idea {len(self.telegram.messages)}")
        self.expected[message.id] = [message.text, None]
        return [update]

    def _update(self):
        parent = self.chance.choice(list(self.expected))
        stranger, said = self._say("and now?", BOB, parent)
        self.strangers[said.id] = parent
        update, message = self._say(f"update {len(self.telegram.messages)}", parent=parent)
        self.expected[message.id] = [message.text, parent]
        return [stranger, update]

    def _album(self):
        album, updates = next(self.albums), []
        for text in (f"#idea in pictures {len(self.telegram.messages)}", ""):
            update, message = self._say(text, album=album)
            self.expected[message.id] = [text, None]
            updates.append(update)
        return updates

    def _edit(self):
        number = self.chance.choice([n for n, (text, _) in self.expected.items() if text])
        message = self.telegram.messages[number - 1]
        self.expected[number][0] = f"{message.text}, edited"
        return [self.telegram.edit(message, f"{message.text}, edited")]

    def _delete(self):
        answered = {parent for _, parent in self.expected.values()}
        leaves = [n for n, (_, parent) in self.expected.items() if parent and n not in answered]
        if not leaves:
            return self._signal()
        number = self.chance.choice(leaves)
        del self.expected[number]
        return [self.telegram.delete(self.telegram.messages[number - 1])]

    # ── what subscribers are to see, and what they see ──

    def should_show(self):
        order = list(self.expected)
        return [
            (text, None if parent is None else order.index(parent))
            for text, parent in self.expected.values()
        ]

    def shows(self):
        order = list(self.target.shown)
        return [
            (text, order.index(reply_to) if reply_to in order else None)
            for text, reply_to, _ in self.target.shown.values()
        ]

    def should_refuse(self):
        """Unless the message they answered was deleted: it may never have been heard of."""
        return [said for said, parent in self.strangers.items() if parent in self.expected]

    def torn_albums(self):
        groups = [group for text, _, group in self.target.shown.values() if not text]
        leads = [group for text, _, group in self.target.shown.values() if "pictures" in text]
        return None in groups or groups != leads


def refusals(database):
    with closing(sqlite3.connect(database.path)) as db:
        return [number for (number,) in db.execute("SELECT source_message_id FROM decisions")]


async def first_start(database):
    """What it leaves, which is the same for every afternoon: it decides from when on something can be missed."""
    afternoon = Afternoon(seed=0)
    process = Process(afternoon.telegram, afternoon.target, database, Fuse())
    await process.start()
    await process.quiet(afternoon.telegram)
    await process.end()
    return database.path.read_bytes()


async def lives_through(seed, database, begun, steps=None):
    """An afternoon, with a crash after so many steps; how many there were.

    The database is as it was `begun`. It is no new object: compiling its statements takes longer
    than all the rest, and it opens no other file by its name.
    """
    for file in database.path.parent.glob("signals.db?*"):
        file.unlink()
    database.path.write_bytes(begun)
    afternoon, fuse = Afternoon(seed), Fuse(steps)
    process = Process(afternoon.telegram, afternoon.target, database, fuse)
    try:
        await process.start()
        for _ in range(HAPPENINGS):
            for update in afternoon.next():
                process.catch_up.hear(container(update))
            for _ in range(3):
                await asyncio.sleep(0)
        await process.quiet(afternoon.telegram)
    except Crash:
        for _ in range(HAPPENINGS):  # it died in its start: the afternoon goes on without it
            afternoon.next()
    await process.end()
    if steps is None:
        return fuse.passed, afternoon

    process = Process(afternoon.telegram, afternoon.target, database, Fuse())
    await process.start()
    await process.quiet(afternoon.telegram)
    await process.end()
    return fuse.passed, afternoon


@pytest.mark.parametrize("share", range(CRASHES // AT_ONCE))
async def test_a_crash_at_every_await_loses_doubles_and_disorders_nothing(tmp_path, share):
    with capture_logs():
        await crash_at_every_await(tmp_path, share)


async def crash_at_every_await(tmp_path, share):
    crashes, database = 0, Database(tmp_path / "signals.db", in_loop=True)
    begun = await first_start(database)
    for seed in itertools.count(1_000 * share):
        steps, undisturbed = await lives_through(seed, database, begun)
        assert undisturbed.shows() == undisturbed.should_show()
        for step in range(steps):
            async with asyncio.timeout(20):
                _, afternoon = await lives_through(seed, database, begun, step)
            assert afternoon.shows() == afternoon.should_show(), (seed, step)
            assert not afternoon.torn_albums(), (seed, step)
            refused = refusals(database)
            assert set(afternoon.should_refuse()) <= set(refused), (seed, step)
            assert set(refused) <= set(afternoon.strangers), (seed, step)
            crashes += 1
            if crashes == AT_ONCE:
                return


@pytest.mark.parametrize("seed", range(3))
async def test_an_afternoon_is_the_same_one_each_time(seed):
    first, second = Afternoon(seed), Afternoon(seed)
    for _ in range(20):
        first.next()
        second.next()
    assert first.should_show() == second.should_show()
