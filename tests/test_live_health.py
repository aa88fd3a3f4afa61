"""A bot that cannot do its work says so: the real program, while chats, places and files go."""

from __future__ import annotations

import json
import shutil
import socket
import sqlite3
import time
from contextlib import closing

import aiohttp
import pytest
from pyrogram import raw

from tests.loopback import FloodWait, Hold, Role
from tests.telephone import Telephone, relay, words

pytestmark = pytest.mark.heavy

DIFFERENCE = raw.functions.updates.GetChannelDifference


@pytest.fixture
def port():
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return server.getsockname()[1]


class Health:
    """`/healthz` of the running bot."""

    def __init__(self, stage, port):
        self.stage = stage
        self.address = f"http://127.0.0.1:{port}/healthz"

    async def now(self):
        async with aiohttp.ClientSession() as session, session.get(self.address) as answer:
            return answer.status, (await answer.json())["reasons"]

    async def becomes(self, wanted, *, within):
        """The reasons, once the status is that; `within` is seconds."""
        ends = time.monotonic() + within
        while True:
            status, reasons = await self.now()
            if status == wanted:
                return reasons
            assert time.monotonic() < ends, (status, reasons)
            await self.stage.telegram.pause(0.5)


@pytest.fixture
def health(stage, port):
    return Health(stage, port)


@pytest.fixture
def carol(stage):
    return Telephone(stage, stage.carol)


async def no_failure_is_left(stage):
    ends = time.monotonic() + 20
    while stage.rows("SELECT * FROM decisions"):
        assert time.monotonic() < ends
        await stage.telegram.pause(0.5)


async def command(stage, *words_, **env):
    done = await stage.launch(*words_, **env)
    assert await done.wait(timeout=60) == 0, done.output
    return " ".join(done.stdout.split())


def told(carol):
    return [words(seen) for seen in carol.shown]


async def is_told(stage, carol, start, *, within):
    await stage.telegram.wait_for(
        lambda: any(text.startswith(start) for text in told(carol)), timeout=within, what=start
    )
    return next(text for text in told(carol) if text.startswith(start))


# ── deaf ──


@pytest.mark.parametrize("pushed", [True, False], ids=["told", "not told"])
async def test_a_ban_from_the_source_is_seen_told_and_its_end_caught_up_with(
    stage, health, port, carol, pushed
):
    """Pushes just stop. Where Telegram does not even push that, a look every 30 s finds out."""
    alice, group = stage.alice, stage.group
    async with relay(stage, HEALTH_PORT=str(port)):
        await carol.says("/start")
        signal_ = await alice.sends(group, "#idea BTC")
        await stage.shows("#idea BTC")
        assert await health.now() == (200, [])

        if pushed:
            alice.bans(stage.bot, chat=group)
        else:
            with stage.telegram.faults.no_pushes():
                alice.bans(stage.bot, chat=group)
        (reason,) = await health.becomes(503, within=60)
        alert = await is_told(stage, carol, "Source", within=60)
        shell = await command(stage, "status", HEALTH_PORT=str(port))
        phone = words(await carol.says("/status"))
        await alice.sends(group, "TP1", reply_to=signal_)

        with stage.telegram.faults.no_pushes():
            alice.returns(stage.bot, to=group)
        await health.becomes(200, within=60)
        await stage.shows("#idea BTC", "TP1")
        again = await is_told(stage, carol, f"Source {group.id} can be read again", within=60)

    for text in (reason, shell, phone):
        assert f"source {group.id} cannot be read for" in text
    for text in (reason, alert, shell, phone):
        assert "not a member any more (removed or banned)" in text
        assert "add it to the chat again" in text
    assert again.endswith("what was missed is caught up with.")
    assert len([text for text in told(carol) if text.startswith("Source")]) == 2


async def test_a_refused_difference_is_no_health_and_what_is_pushed_goes_on(
    stage, health, port, carol
):
    """Telegram wants a day's rest. What is pushed in order meanwhile has no gap."""
    alice, group = stage.alice, stage.group
    async with relay(stage, HEALTH_PORT=str(port)):
        await carol.says("/start")
        signal_ = await alice.sends(group, "#idea BTC")
        await stage.shows("#idea BTC")
        stage.telegram.faults.on(DIFFERENCE, FloodWait(86_400), times=None)
        (reason,) = await health.becomes(503, within=60)
        alert = await is_told(stage, carol, "Source", within=60)
        await alice.sends(group, "TP1", reply_to=signal_)
        await alice.sends_album(
            group, [stage.telegram.photo() for _ in range(2)], reply_to=signal_, caption="TP2"
        )
        await stage.shows("#idea BTC", "TP1", "TP2", "")

    for text in (reason, alert):
        assert "FLOOD_WAIT_86400" in text
        assert "Telegram said to wait" in text
    assert "(tried again in 23 h 59 min)" in reason or "(tried again in 1 d)" in reason


async def test_a_difference_that_is_not_answered_is_no_health_and_its_answer_is(
    stage, health, port
):
    """As where it cannot be parsed, or Telegram keeps silent."""
    async with stage.relay(HEALTH_PORT=str(port)):
        await stage.alice.sends(stage.group, "#idea BTC")
        await stage.shows("#idea BTC")
        held = Hold()
        script = stage.telegram.faults.on(DIFFERENCE, held, times=None)
        with stage.telegram.faults.no_pushes():
            await stage.alice.sends(stage.group, "#idea ETH")
        (reason,) = await health.becomes(503, within=60)
        assert "no answer from Telegram" in reason
        script.cancel()
        held.release()
        await health.becomes(200, within=60)
        await stage.shows("#idea BTC", "#idea ETH")


@pytest.mark.parametrize("how", ["removed", "deleted"])
async def test_a_basic_group_that_is_lost_is_seen_and_told(stage, health, port, how):
    """The account's box says nothing of it: the bot is left, and the box goes on."""
    small = stage.telegram.group("Small", members=[stage.alice, stage.bob, stage.bot])
    async with stage.relay(source=small, HEALTH_PORT=str(port)):
        await stage.alice.sends(small, "#idea BTC")
        await stage.shows("#idea BTC")
        if how == "removed":
            await stage.alice.removes(stage.bot, small)
        else:
            stage.alice.destroys(small)
        (reason,) = await health.becomes(503, within=60)
        assert f"source {small.id} cannot be read" in reason
        if how == "removed":
            assert "not a member any more (removed or banned)" in reason
            await stage.alice.adds(stage.bot, to=small)
            await health.becomes(200, within=60)
            await stage.alice.sends(small, "#idea ETH")
            await stage.shows("#idea BTC", "#idea ETH")
        else:
            assert "not a member any more (the group was deleted)" in reason


async def test_a_public_source_that_the_bot_has_left_is_seen(stage, health, port):
    """Whoever is no member may still ask for its difference, and is pushed nothing."""
    stage.group.username = "public_signals"
    async with stage.relay(HEALTH_PORT=str(port)):
        await stage.alice.sends(stage.group, "#idea BTC")
        await stage.shows("#idea BTC")
        stage.group.members[stage.bot.account].role = Role.LEFT
        (reason,) = await health.becomes(503, within=60)
        assert "not a member any more (left)" in reason
        stage.alice.makes_private(stage.group)
        await stage.alice.sends(stage.group, "#idea ETH")
        stage.alice.returns(stage.bot, to=stage.group)
        await health.becomes(200, within=60)
        await stage.shows("#idea BTC", "#idea ETH")


@pytest.mark.parametrize("kind", ["supergroup", "basic group", "target"])
async def test_check_says_who_is_no_member_any_more(stage, kind):
    """And does not blame group privacy for it."""
    small = stage.telegram.group("Small", members=[stage.alice, stage.bot])
    if kind == "target":
        stage.alice.bans(stage.bot, chat=stage.target)
        chat, done = stage.target, await stage.launch("check")
    else:
        chat = small if kind == "basic group" else stage.group
        stage.alice.bans(stage.bot, chat=chat)
        done = await stage.launch("check", source=chat)

    assert await done.wait(timeout=60) == 1
    (line,) = (each for each in done.stderr.splitlines() if "FAILURE" in each)
    assert "not a member any more" in line
    assert str(chat.id) in line
    assert "setprivacy" not in done.output


# ── data that is gone ──


@pytest.mark.parametrize("how", ["deleted", "renamed", "replaced", "database", "log", "lock"])
async def test_data_that_is_gone_ends_the_bot_with_one_line(stage, how):
    """Nothing is relayed into files without a name, which are forgotten with the process."""
    data = stage.directory / "data"
    async with stage.relay() as program:
        await stage.alice.sends(stage.group, "#idea BTC")
        await stage.shows("#idea BTC")
        began = time.monotonic()
        if how == "deleted":
            shutil.rmtree(data)
        elif how in {"renamed", "replaced"}:
            data.rename(stage.directory / "elsewhere")
            if how == "replaced":
                shutil.copytree(stage.directory / "elsewhere", data)
        else:
            names = {"database": "signals.db", "log": "signals.db-wal", "lock": "lock"}
            (data / names[how]).unlink()
        if how not in {"log", "lock"}:
            await stage.alice.sends(stage.group, "#idea into the void")
        assert await program.wait(timeout=30) == 1
        took = time.monotonic() - began

    assert took < 10
    (line,) = (each for each in program.stderr.splitlines() if each.startswith("error: "))
    assert str(data) in line or "data" in line
    assert "put back" in line
    assert "Traceback" not in program.output
    assert [seen.text for seen in stage.posted()] == ["#idea BTC"]


async def test_a_flow_cache_that_is_deleted_ends_nothing(stage):
    async with stage.relay() as program:
        signal_ = await stage.alice.sends(stage.group, "#idea BTC")
        await stage.shows("#idea BTC")
        shutil.rmtree(stage.directory / "data" / "flows")
        looked_at_twice = time.monotonic() + 5
        while time.monotonic() < looked_at_twice:
            await stage.telegram.pause(0.5)
        await stage.alice.sends(stage.group, "TP1", reply_to=signal_)
        await stage.shows("#idea BTC", "TP1")
        assert program.returncode is None


# ── what fails inside ──


def change(stage, statement):
    with closing(sqlite3.connect(stage.directory / "data" / "signals.db", timeout=10)) as db:
        db.execute(statement)
        db.commit()


async def test_what_cannot_be_dealt_with_is_recorded_told_and_tried_again(stage, port, carol):
    """Here the table refuses one text, which no waiting mends. Those behind it go on."""
    alice, group = stage.alice, stage.group
    async with relay(stage, HEALTH_PORT=str(port)) as program:
        await carol.says("/start")
        first = await alice.sends(group, "#idea BTC")
        await stage.shows("#idea BTC")
        for table in ("signals", "signal_updates"):
            for event in ("INSERT", "UPDATE"):
                change(
                    stage,
                    f"CREATE TRIGGER no_{table}_{event} BEFORE {event} ON {table} "
                    "WHEN NEW.text LIKE '%беда%' BEGIN SELECT RAISE(ABORT, 'no trouble'); END",
                )
        broken = await alice.sends(group, "#idea беда")
        await alice.edits(first, "#idea BTC, беда")
        await alice.sends(group, "#idea ETH")
        await program.wait_output("an event cannot be dealt with", count=10, timeout=90)
        await stage.shows("#idea BTC", "#idea ETH")

        link = f"https://t.me/c/2880553977/{broken.id}"
        alert = await is_told(stage, carol, "What happened to", within=20)
        why = await command(stage, "why", link)
        of_the_edit = await command(stage, "why", f"https://t.me/c/2880553977/{first.id}")
        shell, phone = await command(stage, "status"), words(await carol.says("/status"))

        for table in ("signals", "signal_updates"):
            for event in ("INSERT", "UPDATE"):
                change(stage, f"DROP TRIGGER no_{table}_{event}")
        asked = await carol.says(f"/retry {link}")
        await carol.presses(asked, "Yes, retry")
        await stage.shows_in_any_order("#idea BTC", "#idea ETH", "#idea беда")
        by_shell = await command(stage, "retry")
        await stage.shows_in_any_order("#idea BTC, беда", "#idea ETH", "#idea беда")
        await no_failure_is_left(stage)
        assert "could not be dealt with" not in await command(stage, "status")

    assert alert.startswith(f"What happened to {link} could not be dealt with: a message: ")
    assert "IntegrityError: no trouble" in alert
    assert "decided ignored (failed): the bot could not deal with it" in why
    assert f"a message: IntegrityError: no trouble `retry {link}` reads it again" in why
    assert "decided signal (new_signal)" in of_the_edit
    assert "an edit: IntegrityError: no trouble" in of_the_edit
    for text in (shell, phone):
        assert "2 messages could not be dealt with" in text
    assert by_shell == f"to be read again: 1 message (https://t.me/c/2880553977/{first.id})"


async def test_a_failure_is_tried_again_by_a_bot_that_was_down_when_that_was_ordered(stage):
    """And what was deleted meanwhile is a deletion."""
    alice, group = stage.alice, stage.group
    async with stage.relay() as program:
        await alice.sends(group, "#idea BTC")
        await stage.shows("#idea BTC")
        change(
            stage,
            "CREATE TRIGGER no BEFORE INSERT ON signals "
            "WHEN NEW.text LIKE '%беда%' BEGIN SELECT RAISE(ABORT, 'no trouble'); END",
        )
        kept = await alice.sends(group, "#idea беда 1")
        gone = await alice.sends(group, "#idea беда 2")
        await program.wait_output("an event cannot be dealt with", count=10, timeout=90)
        await alice.sends(group, "#idea ETH")
        await stage.shows("#idea BTC", "#idea ETH")
    with stage.telegram.faults.no_pushes():
        await alice.edits(kept, "#idea as it is now")
        await alice.deletes(gone)
    change(stage, "DROP TRIGGER no")
    assert "to be read again: 2 messages" in await command(stage, "retry")
    async with stage.relay():
        await stage.shows("#idea BTC", "#idea ETH", "#idea as it is now")
        await no_failure_is_left(stage)
    assert json.loads(await command(stage, "status", "--json"))["failed_messages"] == 0
