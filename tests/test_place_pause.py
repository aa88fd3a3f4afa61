"""A place, or a source, is paused by its name: nothing is lost there, and the others go on."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from bot.admin.chat_commands import AdminHandler, Running
from bot.admin.status_shown import as_json
from bot.errors import UsageError
from bot.monitoring.health import Health
from bot.monitoring.metrics import Metrics, MetricsPage
from bot.monitoring.supervision import Facts
from bot.storage import records
from tests import wiring
from tests.bots import BOTH, MAJORS, QUICK, QUIET, Bots, idea, say
from tests.operators import SCALPS, Phone
from tests.people import ALICE, CAROL, GROUP, TARGET, says


@pytest.fixture
def bots(tmp_path, now):
    return Bots(tmp_path, now)


async def test_what_is_for_a_paused_place_waits_and_goes_out_in_order_and_the_others_go_on(bots):
    async with bots.runs() as bot:
        assert await bots.pauses("vip") == (
            "vip is paused: all is recorded, and nothing is posted until `resume vip`"
        )
        first = idea(1)
        await say(bot, first, idea(7, SCALPS), says(ALICE, "closed", number=2, to=first))
        shown = await bot.post()
        assert shown[TARGET] == ["#idea BTC/USDT LONG 7"]  # another source's, in the same chat
        assert shown[QUIET] == ["#idea BTC/USDT LONG 1", "closed"]

        assert await bots.resumes("vip") == "vip goes on: 2 posts to be sent or changed"
        assert (await bot.post())[TARGET][1:] == ["#idea BTC/USDT LONG 1", "closed"]


async def test_a_place_that_goes_on_is_posted_to_at_once_though_nothing_new_comes(bots):
    async with bots.runs() as bot:
        await bots.pauses("vip")
        await say(bot, idea(1), idea(7, SCALPS))
        shown = bot.sides[TARGET].asked
        running = asyncio.create_task(bot.relays.run())
        await until(lambda: len(shown) == 1)
        for _ in range(100):  # until it waits to be woken
            await asyncio.sleep(0)

        await bots.resumes("vip")
        await bot.core.orders.look(bot.relays)
        await until(lambda: len(shown) == 2)
        bot.relays.stop()
        await running

    assert [what[1] for what in shown] == ["#idea BTC/USDT LONG 7", "#idea BTC/USDT LONG 1"]


async def until(so):
    async with asyncio.timeout(20):
        while not so():
            await asyncio.sleep(0.001)


async def test_a_source_that_is_paused_is_decided_upon_and_posted_nowhere(bots):
    async with bots.runs() as bot:
        assert await bots.pauses("majors") == (
            "majors is paused: all is recorded, and nothing is posted to vip, quiet until "
            "`resume majors`"
        )
        await say(bot, idea(1), idea(7, SCALPS))
        assert await bot.post() == {TARGET: ["#idea BTC/USDT LONG 7"], QUIET: []}
        assert (await bot.core.store.counts()).signals == 2

        assert await bots.resumes("majors") == "majors goes on: 2 posts to be sent or changed"
        assert (await bot.post())[QUIET] == ["#idea BTC/USDT LONG 1"]


async def test_a_place_stays_paused_over_restarts_and_while_the_bot_is_down(bots):
    async with bots.runs() as bot:
        await say(bot, idea(1))
    await bots.pauses("vip")
    for _ in range(2):
        async with bots.runs() as bot:
            assert (await bot.post())[TARGET] == []
            assert bot.core.orders.paused_at is None  # of all
    await bots.resumes("vip")
    async with bots.runs() as bot:
        assert (await bot.post())[TARGET] == ["#idea BTC/USDT LONG 1"]


async def test_an_end_of_the_pause_of_all_ends_none_that_was_given_by_name(bots):
    """Else a week of what was held back on purpose would go out by the way."""
    async with bots.runs() as bot:
        await bots.pauses("vip")
        assert await bots.resumes() == ("there is no pause of all; by name are paused still: vip")
        await bots.pauses()
        await say(bot, idea(1))
        assert await bots.resumes("quiet") == (
            "quiet is not paused; but all is paused: nothing is posted until `resume`"
        )
        assert await bots.resumes() == (
            "resumed: 2 posts to be sent or changed; by name are paused still: vip"
        )
        shown = await bot.post()

    assert (shown[TARGET], shown[QUIET]) == ([], ["#idea BTC/USDT LONG 1"])


async def test_what_is_so_already_is_said_and_is_no_order(bots):
    async with bots.runs() as bot:
        await bots.pauses("VIP")  # as a phone writes it
        orders = await bot.core.store.last_order()
        assert await bots.pauses("vip") == (
            "vip is paused already: nothing is posted there until `resume vip`"
        )
        assert await bots.resumes("quiet") == "quiet is not paused"
        assert await bot.core.store.last_order() == orders


@pytest.mark.parametrize(
    ("name", "mend"),
    [
        ("vpi", "there is no source or place vpi: did you mean vip?"),
        ("scalp", "there is no source or place scalp: did you mean scalps?"),
        ("x", f"there is no source or place x: there are {TARGET}, majors, quiet, scalps, vip"),
    ],
)
async def test_a_name_that_nothing_has_is_one_line_with_the_nearest(bots, name, mend):
    async with bots.runs():
        pass
    for order in (bots.pauses, bots.resumes):
        with pytest.raises(UsageError) as refused:
            await order(name)
        assert str(refused.value) == mend


async def test_without_a_file_a_target_goes_by_its_id_and_the_source_is_main(bots):
    routes = wiring.route(GROUP, TARGET, QUIET)
    async with bots.runs(routes) as bot:
        await bots.pauses(str(TARGET))
        await say(bot, idea(1))
        assert await bot.post() == {TARGET: [], QUIET: ["#idea BTC/USDT LONG 1"]}
        await bots.pauses("main")
        assert (await bots.resumes("main")).startswith("main goes on: 1 post ")
        assert (await bot.post())[TARGET] == ["#idea BTC/USDT LONG 1"]


async def test_a_place_that_comes_back_to_the_file_is_paused_still(bots):
    async with bots.runs() as bot:
        await bots.pauses("vip")
        await say(bot, idea(1))
    without = replace(BOTH, sources=(replace(MAJORS, places=MAJORS.places[1:]), QUICK))
    async with bots.runs(without):
        pass
    async with bots.runs() as bot:
        assert (await bot.post())[TARGET] == []


# ── where it is told ──────────────────────────────────────────────────────────


async def test_status_and_why_say_what_is_paused_and_how_it_goes_on(bots):
    async with bots.runs() as bot:
        await say(bot, idea(1))
    await bots.pauses("vip")
    lines = await bots.status(routes=BOTH)
    assert lines[lines.index("places vip: 1 pending, 0 failed") + 1].startswith("PAUSED ")
    assert not any("`resume majors`" in line for line in lines)
    await bots.pauses("majors")
    lines = await bots.status(routes=BOTH)
    (source,) = [line for line in lines if "`resume majors`" in line]
    assert source.startswith("PAUSED ")
    found = as_json(await bots.looks(routes=BOTH))
    assert [each["paused_at"] is None for each in found["sources"]] == [False, True]
    assert [each["paused_at"] is None for each in found["places"]] == [False, False, True]
    (waits,) = [line for line in await bots.why("majors:1", routes=BOTH) if "vip" in line]
    assert waits.endswith("waits to be posted, 0 tries so far; vip is paused: `resume vip`")


async def test_a_place_that_is_paused_by_name_is_told_on_healthz_and_is_no_trouble(bots):
    """Nor is its end: what was held back has a while to get on."""
    async with bots.runs() as bot:
        facts = Facts(None, bot.core, None)
        await say(bot, idea(1))
        await bots.pauses("vip")
        await bot.post()
        bots.now += 3600

        def clock():
            return float(bots.now)

        async def looks():
            metrics = Metrics(lambda: bot.core.routes, clock=clock)
            health = Health(WellConnected(facts), metrics, bot.progress, clock=clock)
            text = (await MetricsPage(health.bot, metrics).page()).body.decode()
            return await health.facts(), text

        found, text = await looks()
        (paused,) = found["paused"]
        assert (found["healthy"], paused["place"], paused["source"]) == (True, "vip", "majors")
        assert 'place_paused{place="vip",source="majors"} 1.0' in text
        assert 'place_paused{place="quiet",source="majors"} 0.0' in text
        assert 'pending_posts{place="vip",source="majors"} 1.0' in text

        await bots.resumes("vip")
        assert not (await looks())[0]["healthy"]
        await bot.core.orders.look(bot.relays)
        assert (await looks())[0]["healthy"]
        assert (await looks())[0]["paused"] == []


class WellConnected:
    """`Facts` of a bot with a connection, of which nothing else is asked."""

    def __init__(self, facts):
        self._facts = facts
        self.connected_since = 1.0
        self.gaps_recovered = 0

    def __getattr__(self, name):
        return list if name in {"unreadable", "troubles"} else getattr(self._facts, name)


async def test_what_waits_for_a_place_that_is_listed_no_more_makes_nobody_unwell(bots):
    """Though its chat is still posted to."""
    async with bots.runs() as bot:
        await say(bot, idea(1))
    async with bots.runs(replace(BOTH, sources=(QUICK,))) as bot:
        found = await bot.core.store.ask(lambda db: records.backlogs(db, [TARGET]))
        assert found[TARGET].pending == 0


async def test_operators_in_telegram_pause_and_resume_by_name(bots):
    phone = Phone()
    settings = bots.settings.model_copy(update={"admin_users": (CAROL,)})
    async with bots.runs() as bot:
        await say(bot, idea(1))
        async with bots.shell() as tables:
            handler = AdminHandler(
                *(tables, settings, phone),
                Running(dict, str),
                routes=BOTH,
                clock=lambda: bots.now,
            )
            for text in ("/pause vip", "/resume vpi", "/resume vip"):
                await handler.handle(bots.says(CAROL, text, ago=0, chat_id=CAROL))
            assert (await bot.post())[TARGET] == ["#idea BTC/USDT LONG 1"]

    assert [text for text, _ in phone.sent] == [
        "vip is paused: all is recorded, and nothing is posted until /resume vip",
        "there is no source or place vpi: did you mean vip?",
        "vip goes on: 1 post to be sent or changed",
    ]
