"""The bot as whoever asks for its health sees it."""

from __future__ import annotations

import asyncio

from bot.posts import Backlog
from tests.people import NOON, TARGET


class FakeBot:
    """A bot that is well, until a test says otherwise."""

    def __init__(self):
        self.connected_since = NOON - 60.0
        self.flows_in_memory = 3
        self.cache_disabled = False
        self.gaps_recovered = 0
        self.paused_at = None
        self.table = Backlog(0, None)
        self.others = {}
        self.sources = []
        self.paused_by_name = []

    def troubles(self):
        return []

    def flows_by_source(self):
        return {"main": self.flows_in_memory}

    async def paused_places(self):
        return self.paused_by_name

    async def waiting(self):
        return {0: (await self.backlogs())[TARGET]}

    def unreadable(self):
        return self.sources

    async def backlogs(self):
        if isinstance(self.table, Exception):
            raise self.table
        if self.table is None:
            await asyncio.Event().wait()
        return {TARGET: self.table, **self.others}
