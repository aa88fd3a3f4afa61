"""What Telegram, the network and the group's owner do to the bot while it works.

Each hardship lasts for a while and passes; in the end all of them are over, and then the target must
show what it would have shown without any.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from dataclasses import dataclass, field

from pyrogram import raw

from tests import loopback
from tests.loopback import CutAfter, CutBefore, Delay, Drop, FloodWait, Sometimes
from tests.loopback.world import Role
from tests.stage import SEND, Stage

functions = raw.functions
EDIT = (functions.messages.EditMessage,)
DELETE = (functions.channels.DeleteMessages,)
READ = (functions.updates.GetChannelDifference, functions.channels.GetMessages)
CALLS = (*SEND, *EDIT, *DELETE, *READ)


@dataclass
class Limit:
    """One call each `seconds`; who comes sooner waits, as the server says in whole seconds."""

    seconds: float
    refused: int = 0
    _free_at: float = field(default=0.0)

    async def answer(self, call, execute):
        now = time.monotonic()
        if now < self._free_at:
            self.refused += 1
            return await FloodWait(max(1, round(self._free_at - now))).answer(call, execute)
        self._free_at = now + self.seconds
        return await execute()


class Hardships:
    """By name, each a context that is left when it is over."""

    def __init__(self, stage: Stage, chance: random.Random) -> None:
        self._stage, self._chance = stage, chance
        self._faults = stage.telegram.faults
        self.all = {
            "cuts": self._cuts,
            "slow": self._slow,
            "floods": self._floods,
            # Those two need what this server may not have yet.
            **({"bans": self._ban} if hasattr(stage.alice, "bans") else {}),
            **({"unparsable": self._unparsable} if hasattr(loopback, "Unknown") else {}),
        }

    @contextlib.contextmanager
    def unreliable_server(self):
        """Connections that end before or after a call is executed, and answers held back."""
        chances = {CutBefore(): 0.04, CutAfter(): 0.04, Delay(0.2): 0.1, Drop(): 0.002}
        with self._on((*SEND, *EDIT, *DELETE), Sometimes(chances, self._chance.random())):
            yield

    @contextlib.contextmanager
    def _on(self, calls, fault):
        script = self._faults.on(calls, fault, times=None)
        try:
            yield script
        finally:
            script.cancel()

    @contextlib.asynccontextmanager
    async def _cuts(self):
        """Every connection ends at one method."""
        self._faults.kill_connections()
        with self._on(self._chance.choice(CALLS), CutBefore()):
            yield

    @contextlib.asynccontextmanager
    async def _slow(self):
        with self._on(None, Delay(self._chance.uniform(0.3, 3.0))):
            yield

    @contextlib.asynccontextmanager
    async def _floods(self):
        """Sends and edits are counted each by itself."""
        with self._on(SEND, Limit(0.5)), self._on(EDIT, Limit(2)):
            yield

    @contextlib.asynccontextmanager
    async def _ban(self):
        """Out of the source, and in again: what was said meanwhile is to be caught up with."""
        owner, bot, group = self._stage.alice, self._stage.bot, self._stage.group
        owner.bans(bot, chat=group)
        try:
            yield
        finally:
            owner.returns(bot, to=group, role=Role.ADMIN)

    @contextlib.asynccontextmanager
    async def _unparsable(self):
        """Chatter that no library can read, and all that is said around it."""
        await self._stage.bob.sends(self._stage.group, "look at this", media=loopback.Unknown())
        yield

    async def come_and_go(self, names):
        """Until cancelled: one of them for a while, then none for a while."""
        while names:
            async with self.all[self._chance.choice(names)]():
                await asyncio.sleep(self._chance.uniform(0.3, 3.0))
            await asyncio.sleep(self._chance.uniform(0.2, 1.5))
