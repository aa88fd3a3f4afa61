"""A process of the bot that follows update boxes, and what whoever reads its queue has come to know."""

from __future__ import annotations

import asyncio
from collections import deque

from pyrogram import raw

from bot.models import MessageId, Reached
from bot.telegram.catch_up import CatchUp, Following
from tests.boxes import CHANNEL, ME, FakeTelegram

types = raw.types


class Notes:
    """The tables, as far as this goes, and what whoever reads the queue has come to know."""

    def __init__(self):
        self.cursors = {}
        self.texts = {}
        self.gone = set()
        self.order = []
        self.active_at = None
        self.wanted_since = set()
        self.said = set()  # as new
        self.said_again = []

    async def cursor(self, box):
        return self.cursors.get(box)

    async def move_cursors(self, reached):
        for cursor in reached:
            self.cursors[cursor.box] = cursor

    async def last_activity(self, _chat_id):
        return self.active_at

    async def recorded(self, _chat_id, *, active_since, before, limit):
        self.wanted_since.add(active_since)
        known = [number for number in sorted(self.texts) if before is None or number < before]
        return [MessageId(number) for number in known[-limit:]]

    def deal_with(self, update):
        if isinstance(update, Reached):
            self.cursors[update.cursor.box] = update.cursor
        elif isinstance(update, types.UpdateDeleteChannelMessages):
            self.gone.update(update.messages)
        else:
            message = update.message
            if isinstance(update, types.UpdateNewChannelMessage):
                (self.said_again.append if message.id in self.said else self.said.add)(message.id)
            if message.id not in self.texts:
                self.order.append(message.id)
            self.texts[message.id] = message.message


FOLLOWS = ("chats", "from_the_start", "every", "ttls")


class Queue(deque):
    def feed(self, update, _users, _chats):
        self.append(update)


class Life:
    """A bot's process. What is in the queue when it dies is gone."""

    def __init__(self, telegram, notes, **options):
        self.notes = notes
        self.queue = Queue()
        self.slept = []
        self.time = asyncio.Event()  # set: the next difference is due by the clock
        follows = {each: options.pop(each) for each in FOLLOWS if each in options}
        self.catch_up = CatchUp(
            telegram,
            self.queue,
            Following(notes, **{"chats": [CHANNEL], **follows}),
            account=ME,
            **{"sleep": self._sleep, **options},
        )
        self.task = None

    async def _sleep(self, seconds):
        if seconds == 180:
            await self.time.wait()
            self.time.clear()
        else:
            self.slept.append(seconds)
            await asyncio.sleep(0)

    async def begin(self):
        await self.catch_up.begin()
        self.task = asyncio.create_task(self.catch_up.run())
        await self.settle()

    async def settle(self):
        """Until nothing is known to be missing."""
        async with asyncio.timeout(10):
            while not self.catch_up.current or self.catch_up.rereading:
                await asyncio.sleep(0)
                assert not self.task.done(), self.task.result()

    def work(self, count=None):
        """Deal with what waits, or with so much of it."""
        for _ in range(len(self.queue) if count is None else min(count, len(self.queue))):
            self.notes.deal_with(self.queue.popleft())

    async def end(self):
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)


def knows_all(notes, telegram, *, since=0):
    """The reader knows every message as it is now, and knew them in the order they were said."""
    there = {m.id: m.text for m in telegram.messages if not m.deleted and m.id > since}
    known = {number: text for number, text in notes.texts.items() if number not in notes.gone}
    return known == there and notes.order == sorted(notes.order)


async def long_ago(alive, *, texts=2_500):
    """A channel whose messages are all known, of which the difference tells nothing any more."""
    telegram, notes = FakeTelegram(slice_=1_000, too_long_after=10_000), Notes()
    life = await alive(telegram, notes)
    for number in range(texts):
        telegram.say(f"text {number}")
    life.catch_up.lost()
    while not life.catch_up.current:
        life.work()
        await asyncio.sleep(0)
    life.work()
    await life.end()
    telegram.too_long_after = 5
    return telegram, notes


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


class Sleeps:
    """Pauses that end when the test says so, by their length."""

    def __init__(self):
        self.begun = []
        self._ends = {}

    async def __call__(self, seconds):
        self.begun.append(seconds)
        await self._ends.setdefault(seconds, asyncio.Event()).wait()

    def end(self, seconds):
        self._ends[seconds].set()
