"""An operator of two groups: what he asks from a shell, and his telephone."""

from __future__ import annotations

import io
from contextlib import asynccontextmanager
from datetime import timedelta

from rich.console import Console

from bot.admin.explain import why
from bot.admin.flows import find_signal, none_found, overview, thread
from bot.admin.status import ToldHealth, status
from bot.admin.status_shown import as_rows
from bot.admin.views import show_flows, show_rows, show_thread
from bot.app import open_core, open_tables
from bot.models import ChatId
from bot.routes import Place, Routes, Source
from bot.rules.presentation import Presentation
from tests import wiring
from tests.people import ALICE, BOB, GROUP, NOON, TARGET, says
from tests.story import told

SCALPS, FORUM = ChatId(-1002345678901), ChatId(-1003456789012)
MAJORS = Source("majors", GROUP, places=(Place(TARGET, name="vip"),), ttl=timedelta(hours=72))
QUICK = Source(
    "scalps",
    SCALPS,
    places=(
        Place(TARGET),
        Place(FORUM, 12, name="quiet", presentation=Presentation(skip=("LONG",))),
    ),
    ttl=timedelta(hours=4),
    permitted=frozenset({ALICE, BOB}),
)
BOTH = Routes((MAJORS, QUICK), named=True)


class Operator:
    """Of two groups. An hour ago is `ago=1`."""

    def __init__(self, directory, now):
        self.directory, self.now = directory, now
        self.settings = wiring.settings(data_dir=directory / "data")

    def says(self, author, text, *, ago, **more):
        return says(author, text, hours=(self.now - NOON) / 3600 - ago, **more)

    async def hears(self, *messages, routes=BOTH):
        async with open_core(self.settings, routes, in_loop=True) as core:
            return [(await core.intake.handle(message)).reason for message in messages]

    @asynccontextmanager
    async def asks(self):
        console = Console(width=120, file=io.StringIO())
        lines = []
        async with open_tables(self.settings) as tables:
            yield tables, console, lines
        lines += told(console.file.getvalue())

    async def why(self, text, routes=BOTH):
        async with self.asks() as (tables, console, lines):
            rows = await why(tables, self.settings, text, now=self.now, routes=routes)
            show_rows(console, rows)
        return lines

    async def flows(self, routes=BOTH, **filters):
        async with self.asks() as (tables, console, lines):
            found = await overview(tables, self.settings, now=self.now, routes=routes, **filters)
            asked = {"owner": None, "pair": None, "everything": False, **filters}
            show_flows(console, found, none=none_found(**asked))
        return lines

    async def thread(self, which, routes=BOTH):
        async with self.asks() as (tables, console, lines):
            signal = await find_signal(tables, self.settings, which, routes=routes)
            found = await thread(tables, self.settings, signal, now=self.now, routes=routes)
            show_thread(console, found)
        return lines

    async def looks(self, routes=BOTH, facts=None):
        health = None if facts is None else ToldHealth("here", answered=True, facts=facts)
        async with open_tables(self.settings) as tables:
            return await status(
                tables, self.settings, 2, now=self.now, routes=routes, health=health
            )

    async def status(self, **more):
        rows = as_rows(await self.looks(**more))
        return [f"{row.label} {row.text}".strip() for row in rows]


class Phone:
    """Telegram's side of a private chat."""

    def __init__(self):
        self.sent = []

    async def send(self, to, text, entities=(), buttons=()):
        self.sent.append((" ".join(text.split()), [each.text for row in buttons for each in row]))

    async def offer(self, user, commands):
        return True
