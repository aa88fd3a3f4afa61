"""The page of a running bot with two places, and whoever draws its figures."""

from __future__ import annotations

import asyncio

from bot.delivery.progress import Places
from bot.models import ChatId
from bot.monitoring.figures_drawn import DrawnFigures, FiguresOf
from bot.monitoring.health import Health
from bot.monitoring.live_page import LivePage
from bot.monitoring.metrics import Metrics
from bot.monitoring.port import Port, Request
from bot.report.page import page
from bot.routes import Place, Routes, Source
from tests.clock import Clock
from tests.health import FakeBot
from tests.pages import read
from tests.people import GROUP, TARGET
from tests.pictures import ABOUT, STORY
from tests.pictures import figures_of as figures_of_facts

OTHER = ChatId(TARGET - 1)


class Drawer:
    """Draws when told to."""

    def __init__(self):
        self.drawn = 0
        self.error = None
        self.facts = STORY
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self):
        self.drawn += 1
        await self.go.wait()
        if self.error is not None:
            raise self.error
        return page(figures_of_facts(self.facts), ABOUT)


class Live:
    """The page of a bot with two places."""

    def __init__(self, store):
        self.clock, self.bot, self.drawer = Clock(), FakeBot(), Drawer()
        self.places = Places([TARGET, OTHER], clock=self.clock)
        source = Source("majors", GROUP, places=(Place(TARGET), Place(OTHER)))
        health = Health(self.bot, Metrics(clock=self.clock), self.places, clock=self.clock)
        self.figures = DrawnFigures(self.drawer, clock=self.clock)
        live_page = LivePage(
            health,
            lambda: Routes((source,)),
            store.ask,
            FiguresOf(lambda: Routes((source,)), lambda _: self.figures),
            clock=self.clock,
        )
        self.port = Port(live_page.resource, clock=self.clock)

    async def answer(self):
        self.clock.now += 10
        return await self.port.answer(Request("GET", "/", "127.0.0.1:8080", local=True))

    async def shows(self):
        return read((await self.answer()).body.decode())
