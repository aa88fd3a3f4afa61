"""What an operator asks about: a story of two signals in the tables."""

from __future__ import annotations

import io
import shutil
import sqlite3
from contextlib import asynccontextmanager, closing

from rich.console import Console

from bot.admin.explain import why
from bot.admin.flows import find_signal, none_found, overview, thread
from bot.admin.status import status
from bot.admin.status_shown import as_rows
from bot.admin.views import show_flows, show_rows, show_thread
from bot.app import open_core, open_tables
from bot.config import Settings
from bot.models import Cursor, MessageId
from bot.storage.engine import Database
from bot.storage.store import SignalStore
from tests import wiring
from tests.people import ALICE, BOB, CAROL, GROUP, NOON, TARGET, says


class Story:
    """What was said in the group, how long ago, and what became of it."""

    def __init__(self, directory, now):
        self.directory = directory
        self.now = now

    def settings(self, **more):
        given = {"source_chat_id": GROUP, "target_chat_id": ((TARGET, 0),), **more}
        return Settings(_env_file=None, data_dir=self.directory / "data", **given)

    @asynccontextmanager
    async def bot(self):
        settings = self.settings()
        async with open_core(settings, wiring.routes(settings, TARGET), in_loop=True) as core:
            yield core

    def says(self, author, text, *, ago, **more):
        """A message of so many hours ago."""
        return says(author, text, hours=(self.now - NOON) / 3600 - ago, **more)

    async def is_told(self):
        idea = self.says(ALICE, "#idea BTC/USDT LONG 4H x10\nstop 58000", ago=10, number=1)
        tp1 = self.says(ALICE, "TP1 взят", ago=9, number=2, to=idea)
        closed = self.says(BOB, "closed!", ago=8, number=3, to=idea)
        what = self.says(CAROL, "what?", ago=7, number=4, to=tp1)
        other = self.says(BOB, "#идея ETH/USDT SHORT", ago=5, number=6)
        old = self.says(ALICE, "#idea SOL LONG", ago=100, number=7)
        late = self.says(BOB, "sold", ago=1, number=8, to=old)
        async with self.bot() as core:
            for message in (idea, tp1, closed, what, other, old, late):
                await core.intake.handle(message)
            await self._is_posted(core.store)
        return self

    def copied(self, directory):
        """The same, to go on in another way."""
        shutil.copytree(self.directory / "data", directory / "data")
        return Story(directory, self.now)

    async def _is_posted(self, store):
        """The first three; the next is refused, and what follows waits."""
        for number in (701, 702, 703):
            (post,) = await store.take_posts(TARGET)
            await store.post_sent(post, MessageId(number))
        (post,) = await store.take_posts(TARGET)
        await store.post_delayed(post, "no answer from Telegram", in_doubt=False)
        await store.post_failed(post, "Telegram refused: 400 MESSAGE_EMPTY")

    async def is_heard_of(self, box, message_id):
        store = SignalStore(
            Database(self.settings().database, in_loop=True), clock=lambda: self.now - 7200
        )
        await store.open_existing()
        await store.move_cursors([Cursor(box, 7, message_id=message_id)])
        await store.close()

    async def verdict(self, author, text, **more):
        """What the bot, started again, makes of one more message."""
        async with self.bot() as core:
            return (await core.intake.handle(self.says(author, text, ago=0, **more))).reason

    async def why(self, text, **settings):
        async with self.asked(settings) as (tables, given, now, console):
            show_rows(console, await why(tables, given, str(text), now=now))
        return told(console.file.getvalue())

    async def flows(self, *, settings=None, **filters):
        async with self.asked(settings or {}) as (tables, given, now, console):
            none = none_found(**{"owner": None, "pair": None, "everything": False} | filters)
            show_flows(console, await overview(tables, given, now=now, **filters), none=none)
        return told(console.file.getvalue())

    async def thread(self, which):
        async with self.asked({}) as (tables, given, now, console):
            signal_id = await find_signal(tables, given, which)
            show_thread(console, await thread(tables, given, signal_id, now=now))
        return told(console.file.getvalue())

    async def status(self, **settings):
        async with self.asked(settings) as (tables, given, now, console):
            show_rows(console, as_rows(await status(tables, given, 2, now=now)))
        return told(console.file.getvalue())

    @asynccontextmanager
    async def asked(self, settings, columns=100):
        """What a command does, without the second that it takes Python to start."""
        given = self.settings(**settings)
        async with open_tables(given) as tables:
            yield tables, given, self.now, Console(width=columns, file=io.StringIO())

    def rows(self, query):
        with closing(sqlite3.connect(self.directory / "data" / "signals.db")) as db:
            return db.execute(query).fetchall()


def told(text):
    """The lines of an answer, without what sets them in columns."""
    return [" ".join(line.split()) for line in text.splitlines()]
