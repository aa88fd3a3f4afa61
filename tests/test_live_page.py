"""`/` of the health port: what it says of the running bot, and that nobody waits for its figures."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from bot.delivery.progress import Places
from bot.errors import DatabaseUnavailable, TargetUnavailable
from bot.models import Failure, UnreadableChat
from bot.monitoring.figures_drawn import DrawnFigures, FiguresOf
from bot.monitoring.health import Health
from bot.monitoring.live_page import LivePage
from bot.monitoring.metrics import Metrics
from bot.monitoring.port import Port, Request
from bot.posts import Backlog
from bot.routes import Routes, Source
from bot.storage import failures
from bot.storage.places import PlaceRecord
from tests.clock import Clock
from tests.health import FakeBot
from tests.live_page import OTHER, Drawer, Live
from tests.pages import read
from tests.people import ALICE, GROUP, NOON, TARGET, says

pytestmark = pytest.mark.long


def place_rows(page):
    return [row.text for row in page.one("table", "places").all("tr")[1:]]


@pytest.fixture
async def live(store):
    live = Live(store)
    yield live
    await live.figures.close()


async def test_a_bot_that_is_well_says_so_with_its_sources_and_places(live):
    page = await live.shows()

    assert page.one("p", "verdict").text == "Well, connected for 1 min"
    assert "majors" in page.one("table", "sources").text
    assert "72 h rule" in page.one("table", "sources").text
    assert page.one("table", "places").text.count("nothing waits") == 1
    assert str(TARGET) in page.one("table", "places").text
    assert "There are none." in page.one("section", "state").text


async def test_a_full_queue_and_a_broken_place_are_told_with_the_reason(live):
    live.bot.table, live.bot.others = Backlog(12_345, NOON), {OTHER: Backlog(0, None)}
    closed = TargetUnavailable("Telegram refused: 400 CHANNEL_PRIVATE", TARGET)
    live.clock.now += 3600
    live.places[TARGET].delayed(closed, timedelta(minutes=10))
    page = await live.shows()

    assert page.one("p", "verdict").text == "Not well, for 1 reason"
    assert "CHANNEL_PRIVATE" in page.one("ul", "reasons").text
    assert "Places: 12,345 posts wait" in page.one("section", "state").text
    row = page.one("table", "places").all("tr")[1].text
    assert re.search(r"12,345 1 h ago Telegram refused: 400 CHANNEL_PRIVATE, tried again in", row)


async def test_a_place_that_was_paused_by_its_name_does_not_move(live):
    """Of two that share a chat the other one goes on."""
    record = PlaceRecord(1, "", "majors", GROUP, 0, OTHER, 0, True, NOON)
    live.bot.paused_by_name = [record]
    assert place_rows(await live.shows())[1].endswith("paused")

    live.bot.paused_by_name = [record._replace(name="digest")]
    assert place_rows(await live.shows())[1].endswith("digest: paused")


async def test_of_places_whose_tables_do_not_answer_nothing_is_known(live):
    live.bot.table = DatabaseUnavailable("signals.db: database is locked")

    assert all(row.endswith("not known – not known") for row in place_rows(await live.shows()))


async def test_a_source_that_cannot_be_read_is_named_where_it_stands(live):
    live.bot.sources = [UnreadableChat(GROUP, NOON - 60, "not a member", "add it again", None)]
    page = await live.shows()

    assert "not read for 1 min: not a member" in page.one("table", "sources").text


async def test_the_last_errors_are_shown_and_lead_to_their_messages(live, store):
    """What people wrote is text, also in an error."""
    message = says(ALICE, "#idea")
    failure = Failure(message.ref, ALICE, message.at, "ValueError: <script>alert(1)</script>")
    await store.change(lambda db: failures.record(db, [failure], now=NOON))
    page = await live.shows()

    assert "<script>alert(1)</script>" in page.one("table", "errors").text
    assert page.all("script") == []
    (link,) = page.one("table", "errors").all("a")
    assert link.attributes["href"] == message.ref.link


async def test_without_a_table_the_page_says_what_is_left(live):
    live.bot.table = DatabaseUnavailable("signals.db: database is locked")
    page = await live.shows()

    assert "the table does not answer" in page.one("ul", "reasons").text
    assert "not known" in page.one("table", "places").text


async def test_the_page_waits_for_no_figures_and_looks_again_until_they_are_there(live):
    live.drawer.go.clear()
    first = await live.shows()
    assert "being drawn" in first.one("p", "drawing").text
    assert refresh(first) == "5"

    live.drawer.go.set()
    await live.figures.settled()
    then = await live.shows()
    assert then.all("section", "voices")
    assert refresh(then) == "60"


def refresh(page):
    (found,) = (m for m in page.all("meta") if m.attributes.get("http-equiv") == "refresh")
    return found.attributes["content"]


@pytest.mark.long
async def test_figures_are_drawn_anew_after_five_minutes_and_only_for_who_looks(live):
    await live.shows()
    await live.figures.settled()
    for _ in range(28):
        await live.shows()
    assert live.drawer.drawn == 1

    live.clock.now += 3_600
    assert live.drawer.drawn == 1
    await live.shows()
    await live.figures.settled()
    assert live.drawer.drawn == 2


@pytest.mark.long
async def test_what_takes_long_to_draw_is_drawn_a_twentieth_of_the_time(live):
    live.drawer.go.clear()
    await live.shows()
    await asyncio.sleep(0)
    live.clock.now += 60
    live.drawer.go.set()
    await live.figures.settled()

    live.clock.now += 1_000
    await live.shows()
    assert live.drawer.drawn == 1
    live.clock.now += 200
    await live.shows()
    await live.figures.settled()
    assert live.drawer.drawn == 2


async def test_figures_that_could_not_be_drawn_say_why_and_the_older_ones_stay(live):
    await live.shows()
    await live.figures.settled()
    live.drawer.error = OSError("signals.db: disk I/O error")
    live.clock.now += 1_000
    with capture_logs():
        await live.shows()
        await live.figures.settled()
    page = await live.shows()

    assert "disk I/O error" in page.one("p", "drawing").text
    assert page.all("section", "voices")


async def test_no_script_runs_and_nothing_is_asked_for_elsewhere(live):
    """The header says what the page says, so that neither can be left out alone."""
    answer = await live.answer()

    for rule in ("default-src 'none'", "script-src 'none'", "frame-ancestors 'none'"):
        assert rule in answer.policy
    assert "unsafe" not in answer.policy
    assert "\n" not in answer.policy
    assert set(re.findall(r'(?:src|href)="([^"]*)"', answer.body.decode())) == {"data:,"}


MAJORS, ALTS = Source("majors", GROUP), Source("alts", OTHER, ttl=timedelta(hours=5))


class Pages:
    """The pages of a bot whose routes may change."""

    def __init__(self, store, *sources):
        self.sources, self.drawn = sources, {}
        bot, clock, places = FakeBot(), Clock(), Places([])
        health = Health(bot, Metrics(clock=clock), places, clock=clock)
        figures = FiguresOf(self.routes, self.draw)
        self.page = LivePage(health, self.routes, store.ask, figures, clock=clock)
        self.port = Port(self.page.resource, fresh_for=0, clock=clock)
        self.clock = clock

    def routes(self):
        return Routes(self.sources)

    def draw(self, name):
        self.drawn.setdefault(name, []).append(Drawer())
        return DrawnFigures(self.drawn[name][-1], clock=self.clock)

    async def at(self, path):
        self.clock.now += 10
        answer = await self.port.answer(Request("GET", path, "127.0.0.1:8080", local=True))
        return answer.status, answer.body.decode()


@pytest.fixture
async def pages(store):
    pages = Pages(store, MAJORS)
    yield pages
    await pages.page.close()


@pytest.mark.long
async def test_sources_whose_rules_last_differently_have_a_page_each(pages):
    assert [(await pages.at(path))[0] for path in ("/", "/1")] == [200, 404]
    assert list(pages.drawn) == [None]

    pages.sources = MAJORS, ALTS
    assert [(await pages.at(path))[0] for path in ("/", "/1", "/2", "/3")] == [200, 200, 200, 404]
    _, html = await pages.at("/2")
    assert [link.attributes["href"] for link in read(html).one("p", "others").all("a")] == [
        "/1",
        "/2",
    ]


@pytest.mark.long
async def test_pages_of_sources_follow_a_file_that_is_read_again(pages):
    """What is other there is drawn anew, a source that is heard no more is not, all else stays as it is."""
    pages.sources = MAJORS, ALTS
    await pages.at("/2")
    pages.drawn["alts"][0].go.clear()
    pages.clock.now += 3600
    await pages.at("/2")

    pages.sources = MAJORS, Source("scalps", OTHER, ttl=timedelta(hours=9))
    status, html = await pages.at("/2")
    assert status == 200
    assert "scalps" in html
    assert "alts" not in html
    for hours in (6, 7):
        pages.sources = (MAJORS, replace(ALTS, ttl=timedelta(hours=hours)))
        await pages.at("/2")
    assert {name: len(made) for name, made in pages.drawn.items()} == {
        "majors": 1,
        "alts": 3,
        "scalps": 1,
    }

    pages.sources = (MAJORS,)
    assert [(await pages.at(path))[0] for path in ("/", "/2")] == [200, 404]
    assert "Figures of" not in (await pages.at("/"))[1]
