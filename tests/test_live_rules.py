"""Who may say what, and from when on, seen in the running program."""

from __future__ import annotations

import time
from contextlib import contextmanager

import pytest

from tests.telephone import Telephone

pytestmark = pytest.mark.heavy

HOURS = 3600


@contextmanager
def hours_ago(stage, hours):
    """What is done meanwhile was done then, by Telegram's clock."""
    world = stage.telegram.world
    clock, world.clock = world.clock, lambda: time.time() - hours * HOURS
    yield
    world.clock = clock


# ── a signal that an edit has made ──


@pytest.mark.parametrize("running", [True, False], ids=["running", "down"])
@pytest.mark.parametrize("known", [True, False], ids=["known as chatter", "never seen before"])
async def test_a_signal_made_by_an_edit_is_not_born_released(stage, running, known):
    """Chatter of 80 hours ago: a stranger's answer is refused, its author's is relayed."""
    async with stage.relay():
        with hours_ago(stage, 81):
            await stage.alice.sends(stage.group, "#idea first")
        await stage.shows("#idea first")
        with hours_ago(stage, 80):
            chatter = await stage.alice.sends(stage.group, "BTC looks good") if known else None
    if chatter is None:
        with hours_ago(stage, 80):
            chatter = await stage.alice.sends(stage.group, "BTC looks good")

    async def happens():
        await stage.alice.edits(chatter, "#idea BTC LONG")
        await stage.bob.sends(stage.group, "closed", reply_to=chatter)
        await stage.alice.sends(stage.group, "TP1", reply_to=chatter)

    if not running:
        await happens()
    async with stage.relay():
        if running:
            await happens()
        await stage.shows("#idea first", "#idea BTC LONG", "TP1")
    assert stage.rows("SELECT source_user_id, reason FROM decisions") == [
        (stage.bob.id, "not_the_owner")
    ]


# ── edits by whoever is permitted no more ──


@pytest.mark.parametrize("running", [True, False], ids=["running", "down"])
async def test_whoever_is_permitted_no_more_changes_nothing_that_stands(stage, running):
    """But what they delete is deleted."""
    alice, bob, group = stage.alice, stage.bob, stage.group
    async with stage.relay(SOURCE_ALLOWED_USERS=f"{alice.id},{bob.id}"):
        signal_ = await alice.sends(group, "#idea BTC LONG")
        update = await alice.sends(group, "TP1", reply_to=signal_)
        await stage.shows("#idea BTC LONG", "TP1")

    async def happens():
        await alice.edits(signal_, "#idea BUY MY COURSE")
        await alice.edits(update, "t.me/mycourse")
        await bob.sends(group, "#idea ETH")

    if not running:
        await happens()
    async with stage.relay(SOURCE_ALLOWED_USERS=str(bob.id)) as program:
        if running:
            await happens()
        await stage.shows("#idea BTC LONG", "TP1", "#idea ETH")
        await program.wait_output("an edit is not relayed", count=2, timeout=10)
        await alice.deletes(update)
        await stage.shows("#idea BTC LONG", "#idea ETH")
    story = await stage.launch("why", f"{group.id}:{signal_.id}", LOG_LEVEL="INFO")
    assert await story.wait(timeout=30) == 0, story.output
    assert f"not relayed: Alice ({alice.id}) was not in" in story.output


# ── commands ──


@pytest.fixture
def carol(stage):
    return Telephone(stage, stage.carol)


async def test_only_a_command_that_was_typed_as_it_stands_is_obeyed(stage, carol):
    """Live and caught up: not what an inline bot or a clock sent, and not what was edited."""
    fun = stage.telegram.bot("fun_bot", token="43:fun")
    admin = {"ADMIN_USERS": str(stage.carol.id)}
    async with stage.relay(**admin) as program:
        for how in ({"via_bot": fun}, {"scheduled": True}, {"photo": stage.telegram.photo()}):
            before = len(carol.shown)
            await stage.carol.sends(stage.bot, "/pause", **how)
            assert (await carol.answer(before)).text.startswith("Not obeyed: ")
        before = len(carol.shown)
        typed = await stage.carol.sends(stage.bot, "/pausw")
        await carol.answer(before)
        await stage.carol.edits(typed, "/pause")
        await program.wait_output("a command is not obeyed", count=4, timeout=10)
    before = len(carol.shown)
    typed = await stage.carol.sends(stage.bot, "/stats")
    await stage.carol.edits(typed, "/pause")
    async with stage.relay(**admin) as program:
        await program.wait_output("a command is not obeyed", timeout=10)
        assert (await carol.answer(before)).text.startswith("Not obeyed: it was edited.")
        await stage.alice.sends(stage.group, "#idea BTC")
        await stage.shows("#idea BTC")
        assert "paused: all is recorded" in (await carol.says("/pause")).text.replace("\n  ", " ")
    assert stage.rows("SELECT kind FROM orders") == [("pause",)]


async def test_whether_a_command_is_late_is_told_by_telegrams_time(stage, carol):
    """On a machine whose clock is an hour fast a new one is obeyed, and one of five minutes ago is not."""
    admin = {"ADMIN_USERS": str(stage.carol.id)}
    stage.telegram.rules.clock_offset = -3600
    async with stage.relay(**admin):
        assert "/resume" in (await carol.says("/help")).text
    await stage.carol.sends(stage.bot, "/pause")
    stage.telegram.rules.clock_offset += 301
    async with stage.relay(**admin) as program:
        await program.wait_output("an old command is not obeyed", timeout=10)

    assert stage.rows("SELECT kind FROM orders") == []
