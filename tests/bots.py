"""A running bot of two groups, and the shell from which its places are paused."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial

from bot.admin.pause import pause, resume
from bot.app import open_core, open_tables
from bot.delivery.progress import Places
from bot.delivery.relay import Relay
from bot.delivery.relays import Relays, WantedQueue
from bot.models import ChatId
from bot.routes import Place, Routes, Source
from tests.operators import SCALPS, Operator
from tests.people import ALICE, GROUP, TARGET, says
from tests.posts import FakeTelegram

QUIET = ChatId(-1003456789012)
MAJORS = Source("majors", GROUP, places=(Place(TARGET, name="vip"), Place(QUIET, name="quiet")))
QUICK = Source("scalps", SCALPS, places=(Place(TARGET),))
BOTH = Routes((MAJORS, QUICK), named=True)


class Queues:
    """Of a running bot: what stands in each chat by now."""

    def __init__(self, core, clock):
        self.core = core
        self.progress = Places(core.routes.queues, clock=clock)
        self.sides = {chat: FakeTelegram() for chat in core.routes.targets}
        self.queues = {
            chat: Relay(core.store, side, chat, watch=self.progress[chat])
            for chat, side in self.sides.items()
        }
        wanted = [WantedQueue(chat, None, partial(self.queues.get, chat)) for chat in self.queues]
        self.relays = Relays(
            core.routes, lambda _routes: wanted, self.progress, reread=lambda: None
        )

    async def post(self):
        """All that there is to post, once the bot has heard its orders."""
        await self.core.orders.look(self.relays)
        for queue in self.queues.values():
            while await queue.post_next() is not None:
                pass
        return {chat: [what[1] for what in side.asked] for chat, side in self.sides.items()}


class Bots(Operator):
    @asynccontextmanager
    async def runs(self, routes=BOTH):
        async with open_core(self.settings, routes, in_loop=True, clock=lambda: self.now) as core:
            yield Queues(core, lambda: float(self.now))

    @asynccontextmanager
    async def shell(self):
        async with open_tables(self.settings, read_only=False) as tables:
            yield tables

    async def pauses(self, name=None):
        async with self.shell() as tables:
            return await pause(tables, name)

    async def resumes(self, name=None):
        async with self.shell() as tables:
            return await resume(tables, name)


def idea(number, chat=GROUP, text="#idea BTC/USDT LONG"):
    return says(ALICE, f"{text} {number}", number=number, chat_id=chat)


async def say(queues, *messages):
    for message in messages:
        await queues.core.intake.handle(message)
