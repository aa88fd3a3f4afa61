"""An ancestor that was deleted while the bot was away: what was said below it is not lost."""

from __future__ import annotations

import pytest
from pyrogram import raw

from tests.loopback import FloodWait

pytestmark = pytest.mark.heavy

READ = raw.functions.channels.GetMessages


def threads(seen):
    ids = [each.id for each in seen]
    return [None if each.reply_to is None else ids.index(each.reply_to) for each in seen]


def reads(stage):
    return stage.reads(stage.group)


async def why(stage, message):
    program = await stage.launch("why", f"{stage.group.id}:{message.id}", LOG_LEVEL="INFO")
    assert await program.wait(timeout=30) == 0, program.output
    return " ".join(program.stdout.split())


async def test_what_was_said_below_an_update_that_was_deleted_meanwhile_is_relayed(stage):
    """It hangs on the signal's post, as the nearest that stands, and `why` says how it came there."""
    alice, bob, group = stage.alice, stage.bob, stage.group
    async with stage.relay():
        signal_ = await alice.sends(group, "#idea BTC")
        await stage.shows("#idea BTC")
    first = await alice.sends(group, "U1", reply_to=signal_)
    second = await alice.sends(group, "U2", reply_to=first)
    stranger = await bob.sends(group, "closed?", reply_to=first)
    third = await alice.sends(group, "U3", reply_to=second)
    await alice.deletes(first)
    async with stage.relay():
        seen = await stage.shows("#idea BTC", "U2", "U3")
        assert threads(seen) == [None, 0, 1]
        await alice.sends(group, "U4", reply_to=third)
        await stage.shows("#idea BTC", "U2", "U3", "U4")
        asked = len(reads(stage))
    story, refused = await why(stage, second), await why(stage, stranger)

    assert asked == 1
    assert stage.rows("SELECT source_user_id, reason FROM decisions") == [(bob.id, "not_the_owner")]
    gone = "what it answers was deleted before the bot saw it: its thread says which flow it is"
    assert "decided update (owner)" in story
    assert gone in story
    assert gone in refused


async def test_several_ancestors_in_a_row_may_be_gone(stage):
    alice, group = stage.alice, stage.group
    async with stage.relay():
        signal_ = await alice.sends(group, "#idea BTC")
        await stage.shows("#idea BTC")
    lost = [signal_]
    for number in range(1, 4):
        lost.append(await alice.sends(group, f"U{number}", reply_to=lost[-1]))
    await alice.sends(group, "U4", reply_to=lost[-1])
    await alice.deletes(*lost[1:])
    async with stage.relay():
        seen = await stage.shows("#idea BTC", "U4")
        assert threads(seen) == [None, 0]


async def test_what_answers_chatter_in_a_signals_thread_stays_chatter(stage):
    """Whether the bot was there or not, and with nobody asked about what it has heard itself."""
    alice, bob, carol, group = stage.alice, stage.bob, stage.carol, stage.group

    async def talk():
        question = await bob.sends(group, "why?", reply_to=signal_)
        answer = await alice.sends(group, "because", reply_to=question)
        last = answer
        for number in range(6):
            last = await (bob, carol, alice)[number % 3].sends(group, f"{number}", reply_to=last)
        await alice.sends(group, "the end", reply_to=last)

    async with stage.relay():
        signal_ = await alice.sends(group, "#idea BTC")
        await talk()
        await alice.sends(group, "TP1", reply_to=signal_)
        await stage.shows("#idea BTC", "TP1")
    await talk()
    async with stage.relay():
        await alice.sends(group, "TP2", reply_to=signal_)
        await stage.shows("#idea BTC", "TP1", "TP2")

    assert reads(stage) == []


async def test_while_telegram_does_not_say_the_reply_waits_and_those_behind_it_keep_their_order(
    stage,
):
    alice, group = stage.alice, stage.group
    async with stage.relay():
        signal_ = await alice.sends(group, "#idea BTC")
        await stage.shows("#idea BTC")
    first = await alice.sends(group, "U1", reply_to=signal_)
    await alice.sends(group, "U2", reply_to=first)
    await alice.deletes(first)
    await alice.sends(group, "U3", reply_to=signal_)
    stage.telegram.faults.on(READ, FloodWait(2))
    async with stage.relay() as program:
        seen = await stage.shows("#idea BTC", "U2", "U3")
        assert threads(seen) == [None, 0, 0]
    assert "Telegram does not answer, intake waits" in program.output


async def test_below_a_signal_that_was_never_seen_nothing_is_told_from_chatter(stage):
    """The limit: the signal itself was deleted before the bot saw it. `why` names it."""
    alice, group = stage.alice, stage.group
    async with stage.relay():
        await alice.sends(group, "#idea ETH")
        await stage.shows("#idea ETH")
    signal_ = await alice.sends(group, "#idea BTC")
    first = await alice.sends(group, "U1", reply_to=signal_)
    await alice.deletes(signal_)
    async with stage.relay():
        await alice.sends(group, "#idea LTC")
        await stage.shows("#idea ETH", "#idea LTC")
    story = await why(stage, first)

    assert reads(stage) == []
    assert "its signal was not deleted before the bot saw it: the replies below such a" in story
