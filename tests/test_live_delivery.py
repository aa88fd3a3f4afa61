"""The order of work in a target, threads that hold, and what is ours, with the real program."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from pyrogram import raw

from tests.loopback import Delay, FloodWait, RpcError, Swallow
from tests.stage import SEND

pytestmark = pytest.mark.heavy

EDIT = raw.functions.messages.EditMessage
DELETE = raw.functions.channels.DeleteMessages


def states(stage):
    return stage.rows("SELECT state, refused FROM posts ORDER BY id")


async def becomes(stage, *expected):
    """The table is another process's, and nobody tells when it changes."""
    async with asyncio.timeout(40):
        while states(stage) != list(expected):
            await asyncio.sleep(0.02)


async def seconds_to(stage, text):
    began = time.monotonic()
    await stage.telegram.wait_for(
        lambda: text in [seen.text for seen in stage.posted()], timeout=60, what=text
    )
    return time.monotonic() - began


# ── edits ──


async def test_an_edit_of_a_caption_sends_no_photo_and_is_not_refused_for_one(stage):
    photo = stage.telegram.photo()
    refused = RpcError(400, "MEDIA_INVALID")
    stage.telegram.faults.on(
        EDIT, refused, times=None, when=lambda call: call.query.media is not None
    )
    async with stage.relay():
        signal = await stage.alice.sends(stage.group, "#idea stop 90", photo=photo)
        await stage.shows("#idea stop 90")
        for stop in (95, 97):
            await stage.alice.edits(signal, f"#idea stop {stop}")
            (seen,) = await stage.shows(f"#idea stop {stop}")
    assert seen.photo == photo
    assert states(stage) == [("sent", None)]


async def test_a_refused_edit_is_counted_shown_and_retried(stage):
    script = stage.telegram.faults.on(EDIT, RpcError(400, "MESSAGE_INVALID"), times=None)
    async with stage.relay() as program:
        signal = await stage.alice.sends(stage.group, "#idea stop 90")
        await stage.shows("#idea stop 90")
        await stage.alice.edits(signal, "#idea stop 95")
        await program.wait_output("post refused by Telegram", timeout=20)
        await becomes(stage, ("failed", "edit"))
        status = await stage.launch("status", "--json")
        assert await status.wait(timeout=30) == 0
        assert json.loads(status.stdout)["posts"]["failed"] == 1
        why = await stage.launch("why", str(signal.id))
        assert await why.wait(timeout=30) == 0
        assert "its edit FAILED" in why.stdout

        await stage.alice.sends(stage.group, "TP1", reply_to=signal)
        first, update = await stage.shows("#idea stop 90", "TP1")
        assert update.reply_to == first.id
        script.cancel()
        retried = await stage.launch("retry")
        assert await retried.wait(timeout=30) == 0, retried.output
        await stage.shows("#idea stop 95", "TP1")
    assert states(stage) == [("sent", None)] * 2


async def test_a_refused_deletion_is_counted_and_retried(stage):
    script = stage.telegram.faults.on(DELETE, RpcError(400, "MESSAGE_INVALID"), times=None)
    async with stage.relay():
        signal = await stage.alice.sends(stage.group, "#idea")
        await stage.shows("#idea")
        await stage.alice.deletes(signal)
        await becomes(stage, ("failed", "delete"))
        script.cancel()
        retried = await stage.launch("retry", "1")
        assert await retried.wait(timeout=30) == 0, retried.output
        await stage.shows()
    assert states(stage) == [("deleted", None)]


async def test_an_edit_of_a_post_that_a_moderator_deleted_ends_quietly(stage):
    async with stage.relay() as program:
        signal = await stage.alice.sends(stage.group, "#idea 1")
        (post,) = await stage.shows("#idea 1")
        await stage.carol.deletes(post)
        await stage.alice.edits(signal, "#idea 1, edited")
        await becomes(stage, ("gone", None))
        await stage.alice.edits(signal, "#idea 1, edited again")
        await stage.alice.deletes(signal)
        await stage.alice.sends(stage.group, "#idea 2")
        await stage.shows("#idea 2")
        assert "refused" not in program.output
    assert len(stage.telegram.calls.of(EDIT)) == 1


# ── a new signal waits for nothing ──


async def test_a_flood_wait_for_edits_holds_no_new_signal_and_no_deletion(stage):
    stage.telegram.faults.on(EDIT, FloodWait(30), times=None)
    async with stage.relay() as program:
        edited = await stage.alice.sends(stage.group, "#idea 1")
        deleted = await stage.alice.sends(stage.group, "#idea 2")
        await stage.shows("#idea 1", "#idea 2")
        await stage.alice.edits(edited, "#idea 1, edited")
        await program.wait_output("FLOOD_WAIT_30", timeout=20)
        await stage.alice.sends(stage.group, "#idea 3")
        assert await seconds_to(stage, "#idea 3") < 5
        await stage.alice.deletes(deleted)
        await stage.shows("#idea 1", "#idea 3")
    assert len(stage.telegram.calls.of(EDIT)) == 1


async def test_a_storm_of_edits_delays_no_new_signal_and_ends_with_the_newest_words(stage):
    """Eight signals are edited in turn, and Telegram takes three seconds for each edit."""
    stage.telegram.faults.on(EDIT, Delay(3), times=None)
    async with stage.relay():
        signals = [await stage.alice.sends(stage.group, f"#idea {n}") for n in range(8)]
        await stage.shows(*[f"#idea {n}" for n in range(8)])

        async def storm():
            for turn in range(8):
                for n, signal in enumerate(signals):
                    await stage.alice.edits(signal, f"#idea {n}, edit {turn}")
                await asyncio.sleep(0.5)

        storming, delays = asyncio.create_task(storm()), []
        for number in range(3):
            await asyncio.sleep(1)
            await stage.bob.sends(stage.group, f"#idea of Bob {number}")
            delays.append(await seconds_to(stage, f"#idea of Bob {number}"))
        await storming
        expected = {f"#idea {n}, edit 7" for n in range(8)}
        await stage.telegram.wait_for(
            lambda: expected <= {seen.text for seen in stage.posted()}, timeout=80, what="edits"
        )
    assert max(delays) < 2, delays  # seconds
    assert len(stage.telegram.calls.of(EDIT)) <= 24  # of 64


async def test_a_post_at_which_telegram_always_fails_holds_its_target_up_for_two_minutes(stage):
    """Then it is set aside, over restarts too, and comes when Telegram takes it."""
    script = stage.telegram.faults.on(
        SEND,
        RpcError(500, "INTERNAL_SERVER_ERROR"),
        times=None,
        when=lambda call: "poison" in call.query.message,
    )
    async with stage.relay() as program:
        signal = await stage.alice.sends(stage.group, "#idea")
        await stage.shows("#idea")
        poison = await stage.alice.sends(stage.group, "poison", reply_to=signal)
        await stage.alice.sends(stage.group, "TP1", reply_to=poison)
        await stage.telegram.wait_for(
            lambda: len(stage.posted()) == 2, timeout=170, what="what stands behind it"
        )
        first, update = stage.posted()
        assert (update.text, update.reply_to) == ("TP1", first.id)
        await program.wait_output("post set aside", timeout=20)
    async with stage.relay():
        await stage.alice.sends(stage.group, "#idea 2")
        assert await seconds_to(stage, "#idea 2") < 10
    script.cancel()
    async with stage.relay():
        *_, late = await stage.shows("#idea", "TP1", "#idea 2", "poison")
        assert late.reply_to == first.id


# ── threads ──


@pytest.mark.parametrize("told", [True, False], ids=["refused", "taken without a word"])
async def test_below_a_post_that_a_moderator_deleted_the_thread_holds(stage, told):
    stage.telegram.rules.missing_reply_is_error = told
    async with stage.relay():
        await stage.alice.sends(stage.group, "#idea 1")
        signal = await stage.alice.sends(stage.group, "#idea 2")
        update = await stage.alice.sends(stage.group, "tp1", reply_to=signal)
        deeper = await stage.alice.sends(stage.group, "tp2", reply_to=update)
        *_, second, one, two = await stage.shows("#idea 1", "#idea 2", "tp1", "tp2")
        await stage.carol.deletes(two)
        await stage.alice.sends(stage.group, "tp3", reply_to=deeper)
        await stage.shows("#idea 1", "#idea 2", "tp1", "tp3")
        await stage.carol.deletes(one)
        await stage.alice.sends(stage.group, "tp4", reply_to=deeper)
        *_, three, four = await stage.shows("#idea 1", "#idea 2", "tp3", "tp4")

    assert three.reply_to == one.id
    assert four.reply_to == second.id


# ── only what is ours, and once ──


async def test_another_admins_post_with_the_same_words_is_never_taken_for_ours(stage):
    """Ours was deleted by a moderator before we knew which one it was."""
    stage.telegram.rules.duplicates = "error"
    script = stage.telegram.faults.on(SEND, Swallow(), times=1)
    async with stage.relay() as program:
        signal = await stage.alice.sends(stage.group, "#idea BTC")
        await stage.telegram.wait_for(lambda: script.hits, timeout=20, what="the sending")
        (ours,) = await stage.shows("#idea BTC")
        await stage.carol.deletes(ours)
        theirs = await stage.carol.sends(stage.target, "#idea BTC")
        await program.wait_output("not to be found yet", count=2, timeout=60)
        await stage.alice.deletes(signal)
        await program.wait_output("not to be found yet", count=3, timeout=60)
        assert stage.rows("SELECT target_message_id FROM posts") == [(None,)]
    assert [seen.id for seen in stage.posted()] == [theirs.id]
    assert stage.telegram.calls.of(DELETE) == []


async def test_our_own_post_is_found_beside_another_admins_with_the_same_words(stage):
    stage.telegram.rules.duplicates = "error"
    script = stage.telegram.faults.on(SEND, Swallow(), times=1)
    async with stage.relay():
        await stage.alice.sends(stage.group, "#idea 0")
        signal = await stage.alice.sends(stage.group, "#idea BTC")
        await stage.telegram.wait_for(lambda: script.hits, timeout=20, what="the sending")
        for text in ("#idea 0", "#idea BTC"):
            await stage.carol.sends(stage.target, text)
        await becomes(stage, ("sent", None), ("sent", None))
        await stage.alice.deletes(signal)
        await becomes(stage, ("sent", None), ("deleted", None))
        left = [(seen.text, seen.sender) for seen in stage.posted()]
    assert sorted(text for text, _ in left) == ["#idea 0", "#idea 0", "#idea BTC"]
    ours = [call.query for call in stage.telegram.calls.of(DELETE)]
    assert len(ours) == 1


@pytest.mark.parametrize("went", [True, False], ids=["went through", "was lost"])
async def test_a_doubt_is_settled_in_the_group_before_it_is_sent_to_the_supergroup(stage, went):
    """The answer is lost, and the group becomes a supergroup: it stands in one of the two."""
    small = stage.telegram.group("Readers", members=[stage.bob, stage.bot])
    script = stage.telegram.faults.on(SEND, Swallow() if went else Lost(), times=1)
    async with stage.relay(targets=[small]) as program:
        signal = await stage.alice.sends(stage.group, "#idea BTC")
        await stage.telegram.wait_for(lambda: script.hits, timeout=20, what="the sending")
        large = await stage.bob.upgrades(small)
        await program.wait_output('"started"', count=2, timeout=60)
        await stage.alice.sends(stage.group, "TP1", reply_to=signal)
        await stage.telegram.wait_for(
            lambda: "TP1" in texts(stage, large), timeout=60, what="TP1 in the supergroup"
        )
    assert texts(stage, small).count("#idea BTC") == went
    assert texts(stage, large) == (["TP1"] if went else ["#idea BTC", "TP1"])


class Lost:
    """Confirmed as received, and neither executed nor answered."""

    async def answer(self, call, _execute):
        call.session.acknowledge(call.message_id)


def texts(stage, chat):
    return [seen.text for seen in stage.posted(chat)]
