"""What is pushed, through our queue into our intake, and through the library's real dispatcher into a
handler that does nothing.

Both clients are logged in to a loopback Telegram and are then handed containers as Telegram pushes
them. Time ends when the last message was dealt with; for refusals, when they are in the table.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import tempfile
import time
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from pyrogram import raw
from pyrogram.client import Client
from pyrogram.handlers.message_handler import MessageHandler
from pyrogram.raw.core import TLObject

from bot import logs
from bot.app import open_core
from bot.config import Settings
from bot.models import IncomingMessage
from bot.telegram.catch_up import Following
from bot.telegram.layers import build
from bot.telegram.messages import incoming
from tests import wiring
from tests.accounts import connection
from tests.benchmarks.comparing import Ratio, compare
from tests.loopback import API_HASH, API_ID, LoopbackTelegram
from tests.loopback.tl import make
from tests.loopback.views import View

types = raw.types
MESSAGES = 500  # in a round: fewer than the queue takes before it asks for a difference
FLOWS = 50
PATIENCE = 120  # seconds for a round


class Throughputs(NamedTuple):
    """Messages a second, as shares of what the floor gets through."""

    chatter: Ratio
    refused: Ratio
    uncached: Ratio  # parents the library never saw, against parents it has cached
    calls: int  # that ours made to Telegram while all that was pushed


def throughputs(rounds: int) -> Throughputs:
    nowhere = Path(os.devnull).open("w")  # noqa: SIM115  # loggers keep it: it stays open
    with tempfile.TemporaryDirectory() as directory:
        logs.configure("INFO", "json", stream=nowhere)
        try:
            return asyncio.run(_throughputs(Path(directory), rounds))
        finally:
            logs.configure("ERROR", "json")


async def _throughputs(directory: Path, rounds: int) -> Throughputs:
    async with LoopbackTelegram() as telegram, contextlib.AsyncExitStack() as opened:
        crowd = Crowd(telegram)
        floor = await opened.enter_async_context(_floor(telegram, directory / "floor", crowd))
        ours = await opened.enter_async_context(_ours(telegram, directory / "data", crowd))
        for push in (floor, ours):
            await push(crowd.signals(FLOWS))
        before = len(telegram.calls.of(TLObject, account=crowd.bots[1].account))
        chatter = await compare(
            partial(_pushed, floor, crowd.chatter),
            partial(_pushed, ours, crowd.chatter),
            rounds=rounds,
        )
        refused = await compare(
            # Not replies: of each of them the library asks Telegram for the parent.
            partial(_pushed, floor, crowd.chatter),
            partial(_pushed, ours, crowd.replies),
            rounds=rounds,
        )
        uncached = await compare(
            partial(_pushed, ours, crowd.replies),
            partial(_pushed, ours, crowd.replies_to_the_unseen),
            rounds=rounds,
        )
        calls = len(telegram.calls.of(TLObject, account=crowd.bots[1].account)) - before
        return Throughputs(chatter, refused, uncached, calls)


async def _pushed(push, containers):
    await push(containers(MESSAGES))


class Crowd:
    """A supergroup with a caller and a talker, and what they say as Telegram would push it."""

    def __init__(self, telegram) -> None:
        self.telegram = telegram
        self.alice, self.bob = telegram.user("Alice"), telegram.user("Bob")
        self.bots = [
            telegram.bot(f"bot{number}", token=f"{42 + number}:secret") for number in (0, 1)
        ]
        self.group = telegram.supergroup(
            "Signals", members=[self.alice, self.bob], admins=self.bots
        )
        self.ids = itertools.count(1_000)
        self.opened: list[int] = []  # signals that were pushed
        self.unseen: list[int] = []  # signals that were recorded, but never pushed

    def signals(self, count):
        said = [self._says(self.alice, "#idea BTC/USDT LONG 100-110 TP 120") for _ in range(count)]
        self.opened = [message.id for message in said]
        return said

    def chatter(self, count):
        return [self._says(self.bob, "what do you think of it?") for _ in range(count)]

    def replies(self, count):
        parents = itertools.cycle(self.opened)
        return [self._says(self.bob, "thanks!", to=next(parents)) for _ in range(count)]

    def replies_to_the_unseen(self, count):
        parents = itertools.cycle(self.unseen)
        return [self._says(self.bob, "thanks!", to=next(parents)) for _ in range(count)]

    def pushed(self, message, viewer, pts):
        """The container as that account would be sent it."""
        view = View(self.telegram.world, viewer.account)
        view.peer(self.telegram.world.accounts[message.from_id.user_id])
        view.peer(self.group)
        container = make(
            types.Updates,
            updates=[types.UpdateNewChannelMessage(message=message, pts=pts, pts_count=1)],
            users=view.users(),
            chats=view.chats(),
            date=message.date,
            seq=0,
        )
        return TLObject.read(BytesIO(container.write()))  # as it is read from the wire

    def _says(self, who, text, *, to=None):
        reply_to = to and make(types.MessageReplyHeader, reply_to_msg_id=to)
        return make(
            types.Message,
            id=next(self.ids),
            peer_id=types.PeerChannel(channel_id=self.group.bare_id),
            from_id=types.PeerUser(user_id=who.id),
            date=int(time.time()),
            message=text,
            reply_to=reply_to,
        )


class Meter:
    """Counts what was dealt with, and lets wait for it."""

    def __init__(self) -> None:
        self.done = 0
        self._wanted = 0
        self._reached = asyncio.Event()

    def count(self) -> None:
        self.done += 1
        if self.done >= self._wanted:
            self._reached.set()

    async def until(self, number: int) -> None:
        self._wanted = number
        if self.done < number:
            self._reached.clear()
            # What is pushed while the connection is made anew never arrives: it is recorded nowhere.
            async with asyncio.timeout(PATIENCE):
                await self._reached.wait()


@contextlib.asynccontextmanager
async def _floor(telegram, directory, crowd):
    directory.mkdir()
    viewer, meter = crowd.bots[0], Meter()
    client = build(
        Client,
        name="floor",
        api_id=API_ID,
        api_hash=API_HASH,
        bot_token=viewer.token,
        workdir=str(directory),
        workers=1,
        skip_updates=True,
    )

    async def nothing(_client, _message):
        meter.count()

    client.add_handler(MessageHandler(nothing))
    await client.start()
    numbers = itertools.count(1)

    async def push(messages):
        containers = [crowd.pushed(message, viewer, next(numbers)) for message in messages]
        wanted = meter.done + len(containers)
        for container in containers:
            await client.handle_updates(container)
        await meter.until(wanted)

    yield push
    await client.stop()


@contextlib.asynccontextmanager
async def _ours(telegram, directory, crowd):
    viewer, meter = crowd.bots[1], Meter()
    settings = Settings(data_dir=directory, source_chat_id=crowd.group.id, _env_file=None)
    async with open_core(settings) as core:
        hearing = wiring.hearing(core.store, core.intake, wiring.route(crowd.group.id))

        async def hear(event):
            await hearing.hear(event)
            if isinstance(event, IncomingMessage):
                meter.count()

        client = connection(
            bot_token=viewer.token,
            directory=directory,
            following=Following(core.store, [crowd.group.id]),
        )
        await client.start()
        for message in crowd.signals(FLOWS):
            await core.intake.handle(incoming(message))
        crowd.unseen = crowd.opened
        tasks = [
            asyncio.create_task(client.listen(hear)),
            asyncio.create_task(core.store.keep_writing()),
        ]
        while not client.current:
            await asyncio.sleep(0)
        numbers = itertools.count(crowd.group.box.pts + 1)

        async def push(messages):
            containers = [crowd.pushed(message, viewer, next(numbers)) for message in messages]
            wanted = meter.done + len(containers)
            for container in containers:
                await client._client.handle_updates(container)  # noqa: SLF001  # as the library does
            await meter.until(wanted)
            await core.store.flush()

        yield push
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await client.stop()
        hearing.close()
