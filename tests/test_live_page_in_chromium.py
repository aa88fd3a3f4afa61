"""The running bot's page as a browser shows it: with a full queue and a broken place, on a desk and a phone."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from bot.errors import TargetUnavailable
from bot.models import Failure, UnreadableChat
from bot.monitoring.port import listening
from bot.posts import Backlog
from bot.storage import failures
from tests.chromium import TOO_WIDE, found_fault_with, requested, show
from tests.live_page import OTHER, Live
from tests.people import ALICE, GROUP, NOON, TARGET, says
from tests.pictures import season

pytestmark = pytest.mark.heavy


@pytest.fixture
async def troubled(store):
    """A bot of which much is wrong at once, and whose figures are drawn."""
    live = Live(store)
    live.drawer.facts = tuple(season(100_000))
    live.bot.table, live.bot.others = Backlog(123_456, NOON), {OTHER: Backlog(3, NOON + 3_500)}
    live.bot.sources = [
        UnreadableChat(GROUP, NOON, "not a member any more (removed)", "add it again", None)
    ]
    live.clock.now += 3_600
    closed = TargetUnavailable("Telegram refused: 400 CHANNEL_PRIVATE", TARGET)
    live.places[TARGET].delayed(closed, timedelta(minutes=10))
    for _ in range(4):
        message = says(ALICE, "#idea")
        failure = Failure(message.ref, ALICE, message.at, "ValueError: " + "unexpected " * 30)
        await store.change(lambda db, it=failure: failures.record(db, [it], now=NOON))
    await live.shows()
    await live.figures.settled()
    live.clock.now += 10  # what was shown before is kept for 5 s
    yield live
    await live.figures.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
async def test_the_live_page_is_quiet_asks_for_nothing_and_fits(browser, troubled, width, scheme):
    async with listening(troubled.port, "127.0.0.1", 0) as number:
        address = f"http://127.0.0.1:{number}/"
        await asyncio.to_thread(show, browser, address, width=width, scheme=scheme)

    assert "Not well, for 2 reasons" in browser.find_element("class name", "verdict").text
    assert browser.find_elements("css selector", "section.voices")
    assert browser.get_log("browser") == []
    assert requested(browser) == [address]
    assert browser.execute_script(TOO_WIDE) == []
    assert found_fault_with(browser) == {}
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
