"""The alerts of a bot, by a clock of their own, and what its operators have read of them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from types import SimpleNamespace

from bot.admin.alerts import Alerts
from bot.errors import DatabaseUnavailable
from bot.models import (
    ChatId,
)
from tests.people import HOUR, NOON

PROGRAM = ChatId(-(2**62) - 5)


class Forgetful:
    """A table that does not answer: alerts are told all the same."""

    async def told(self):
        raise DatabaseUnavailable("database is locked")

    async def tell_of(self, kind, about, at):
        raise DatabaseUnavailable("database is locked")


class Watch:
    """The alerts of a bot, and what its operators have read of them."""

    def __init__(self, *, silence=timedelta(hours=24), told=None, now=NOON):
        self.now = now
        self.sources = []
        self.names = {"main": (None, "the source")}
        self.troubles = []
        self.bot = SimpleNamespace(
            cache_disabled=False,
            connected_since=NOON,
            unreadable=lambda: self.sources,
            troubles=lambda: self.troubles,
            called=lambda target: "desk" if target == PROGRAM else str(target),
            source_called=str,
            sources=lambda: self.names,
        )
        self.read = []
        self.alerts = Alerts(
            self._tell,
            self.bot,
            told or Forgetful(),
            silence=silence,
            clock=lambda: self.now,
            sleep=self._sleep,
        )
        self.looks = []
        self.due = asyncio.Event()  # set: a look is due by the clock

    async def _tell(self, text):
        self.read.append(text)

    async def _sleep(self, seconds):
        self.looks.append(seconds)
        await self.due.wait()
        self.due.clear()

    async def after(self, hours=0):
        """What was read so far, so many hours later."""
        self.now += round(hours * HOUR)
        self.alerts.look()
        await self.alerts.last_words()
        return self.read
