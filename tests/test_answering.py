"""What the health port answers, all of it together, and that nothing is left of it in the end."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace

import aiohttp
import pytest

from bot.delivery.progress import Places
from bot.monitoring.answering import answering
from bot.monitoring.health import Health
from bot.monitoring.metrics import Metrics
from bot.routes import Place, Routes, Source
from tests.clock import Clock
from tests.health import FakeBot
from tests.people import GROUP, TARGET
from tests.server import free_port

ROUTES = Routes((Source("majors", GROUP, places=(Place(TARGET),)),))


@pytest.fixture
def answers(store):
    """Answer on such a port."""

    def answers(port):
        clock = Clock()
        metrics = Metrics(lambda: ROUTES, clock=clock)
        health = Health(FakeBot(), metrics, Places([TARGET]), clock=clock)
        settings = SimpleNamespace(health_port=port, health_host="127.0.0.1")
        return answering(settings, health, metrics, lambda: ROUTES, store.ask)

    return answers


@pytest.fixture
async def get():
    async with aiohttp.ClientSession() as session:

        async def get(port, path, host="127.0.0.1"):
            async with session.get(f"http://{host}:{port}{path}") as answer:
                return answer.status, await answer.text()

        yield get


async def test_scripts_and_people_are_answered_on_one_port_as_long_as_the_bot_runs(answers, get):
    port = free_port()
    async with answers(port):
        assert json.loads((await get(port, "/healthz"))[1])["healthy"] in {True, False}
        status, figures = await get(port, "/metrics")
        assert (status, "signal_relay_" in figures) == (200, True)
        status, page = await get(port, "/")
        assert (status, "majors" in page) == (200, True)
        assert (await get(port, "/nothing"))[0] == 404
        with pytest.raises(aiohttp.ClientConnectionError):
            await get(port, "/healthz", host="127.0.0.2")  # it is not told to everybody

    with pytest.raises(aiohttp.ClientConnectionError):
        await get(port, "/healthz")


async def test_a_drawing_that_is_under_way_does_not_outlive_the_port(answers, get):
    """It is a process of its own; the bot's end is not to leave it behind."""
    port, before = free_port(), asyncio.all_tasks()
    async with answers(port):
        await get(port, "/")

    left = {each.get_coro().__qualname__ for each in asyncio.all_tasks() - before}
    assert not {name for name in left if "DrawnFigures" in name}


async def test_without_a_port_nobody_listens(answers):
    tasks = asyncio.all_tasks()
    async with answers(None):
        assert asyncio.all_tasks() == tasks
