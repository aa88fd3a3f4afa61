"""What the live bot makes of trouble, of orders to stop, and of the end of its login."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from pyrogram import raw

from tests.loopback import Delay, FloodWait, Hold, Member, Role, Swallow
from tests.stage import SEND

pytestmark = pytest.mark.heavy

EDIT = raw.functions.messages.EditMessage
DELETE = raw.functions.channels.DeleteMessages
NEEDED = (
    "API_ID", "API_HASH", "BOT_TOKEN", "SOURCE_CHAT_ID", "TARGET_CHAT_ID", "SOURCE_ALLOWED_USERS",
)  # fmt: skip


# ── the start ──


async def test_all_that_is_missing_is_told_at_once_and_where_it_comes_from(stage):
    program = await stage.launch(**dict.fromkeys(NEEDED, None))

    assert await program.wait(timeout=15) == 2
    first, *missing, last = program.stderr.splitlines()
    assert first == "error: these settings are missing, in the environment or in .env:"
    assert [line.split()[0] for line in missing] == list(NEEDED)
    assert "https://my.telegram.org" in missing[0]
    assert "@BotFather" in missing[2]
    assert "replay" in last
    assert not (stage.directory / "data").exists()


@pytest.mark.parametrize("command", [(), ("check",)], ids=["run", "check"])
async def test_who_may_post_is_said_and_never_assumed(stage, command):
    """An earlier version let everybody post where nothing was said: the line tells how to go on."""
    program = await stage.launch(*command, SOURCE_ALLOWED_USERS=None)

    assert await program.wait(timeout=15) == 2
    assert program.stderr == (
        "error: SOURCE_ALLOWED_USERS is not set: list the ids of those who may post, or write "
        "SOURCE_ALLOWED_USERS=everyone to let everybody in the source post signals\n"
    )
    assert not (stage.directory / "data").exists()


@pytest.mark.parametrize("name", ["SOURCE_ALLOWED_USER", "ALLOWED_USERS"])
async def test_a_misspelt_allow_list_lets_nobody_in(stage, name):
    """Whether a file of ours or the environment has it, as systemd and compose pass it."""
    in_environment = await stage.launch(**{name: str(stage.alice.id)})
    assert await in_environment.wait(timeout=15) == 2
    assert f"error: {name} in the environment is not a setting" in in_environment.stderr

    env = stage.directory / ".env"
    env.write_text(f"{name}={stage.alice.id}\n")
    env.chmod(0o600)
    in_file = await stage.launch()
    assert await in_file.wait(timeout=15) == 2
    assert f"error: {name} in .env is not a setting: did you mean SOURCE_" in in_file.stderr
    assert not (stage.directory / "data").exists()


async def test_the_start_is_one_line_with_who_where_and_how_much(stage):
    """After a restart the counts say that nothing was lost."""
    for counts in ({"signals": 0, "updates": 0}, {"signals": 1, "updates": 1}):
        async with stage.relay(FLOW_TTL_HOURS="24", FLOW_AFTER_TTL="owner") as program:
            if not counts["signals"]:
                signal_ = await stage.alice.sends(stage.group, "#idea")
                await stage.alice.sends(stage.group, "TP1", reply_to=signal_)
            await stage.shows("#idea", "TP1")
        (line,) = (line for line in program.output.splitlines() if '"started"' in line)
        said = json.loads(line)
        assert said.items() >= counts.items()
        assert said["account"] == said["username"] == "relay_bot"
        assert (said["source"], said["targets"]) == (stage.group.id, [stage.target.id])
        assert (said["ttl_hours"], said["after_ttl"]) == (24, "owner")
        assert said["tiers"] == ["memory", "disk", "table"]


# ── trouble in the target ──


async def test_a_flood_wait_delays_edits_and_deletions_and_loses_none(stage):
    async with stage.relay():
        sent = [await stage.alice.sends(stage.group, f"#idea {number}") for number in range(3)]
        await stage.shows("#idea 0", "#idea 1", "#idea 2")
        floods = [stage.telegram.faults.on(kind, FloodWait(1)) for kind in (EDIT, DELETE)]
        await stage.alice.edits(sent[0], "#idea 0, edited")
        await stage.alice.deletes(sent[1])
        await stage.alice.edits(sent[2], "#idea 2, edited")
        await stage.shows("#idea 0, edited", "#idea 2, edited")

    assert [flood.hits for flood in floods] == [1, 1]


async def test_a_target_that_throws_the_bot_out_gets_all_in_order_when_it_comes_back(stage):
    """One that is gone for good keeps its posts, and neither keeps a third one waiting."""
    back, gone = stage.target, stage.telegram.channel("Gone", admins=[stage.bot])
    third = stage.telegram.channel("Third", admins=[stage.bot])
    async with stage.relay(targets=[back, gone, third]) as program:
        signal_ = await stage.alice.sends(stage.group, "#idea")
        for target in (back, gone, third):
            await stage.shows("#idea", where=target)
        await stage.alice.removes(stage.bot, back)
        del stage.telegram.world.chats[gone.id]
        for number in range(3):
            await stage.alice.sends(stage.group, f"TP{number}", reply_to=signal_)
        await stage.shows("#idea", "TP0", "TP1", "TP2", where=third)
        await program.wait_output("takes nothing", count=2)
        await stage.alice.adds(stage.bot, to=back)
        back.members[stage.bot.account] = Member(Role.ADMIN)
        seen = await stage.shows("#idea", "TP0", "TP1", "TP2", where=back)

    assert {each.reply_to for each in seen[1:]} == {seen[0].id}
    assert f'"target": {gone.id}' in program.output
    waiting = "SELECT target_chat_id, count(*) FROM posts WHERE state = 'pending'"
    assert stage.rows(waiting) == [(gone.id, 3)]


async def test_what_changes_before_it_is_posted_is_posted_as_it_is_by_then(stage):
    """Edited: in its last words. Deleted: not at all. Under way: sent, and then changed."""
    hold = Hold()
    stage.telegram.faults.on(SEND, hold)
    async with stage.relay() as program:
        under_way = await stage.alice.sends(stage.group, "#idea under way")
        edited = await stage.alice.sends(stage.group, "#idea to be edited")
        deleted = await stage.alice.sends(stage.group, "#idea to be deleted")
        marked = await stage.alice.sends(stage.group, "no idea yet")
        await stage.alice.sends(stage.group, "TP1", reply_to=edited)
        await program.wait_output('"decided"', count=4)
        await stage.alice.edits(edited, "#idea edited")
        await stage.alice.edits(edited, "#idea edited twice")
        await stage.alice.deletes(deleted)
        await stage.alice.edits(marked, "#idea at last")
        await stage.alice.edits(under_way, "#idea that was under way")
        await program.wait_output('"decided"', count=5)
        await stage.alice.sends(stage.group, "#idea that is all")
        await program.wait_output('"decided"', count=6)
        hold.release()
        await stage.shows(
            "#idea that was under way",
            "#idea edited twice",
            "TP1",
            "#idea at last",
            "#idea that is all",
        )

    assert len(stage.telegram.calls.of(EDIT)) == 1
    assert stage.telegram.calls.of(DELETE) == []


async def test_an_author_who_answers_within_5_ms_is_relayed_and_in_order_200_times(stage):
    """Most of his signals are not posted yet when he answers them."""
    async with stage.relay():
        texts = []
        for number in range(200):
            signal_ = await stage.alice.sends(stage.group, f"#idea {number}")
            await asyncio.sleep(0.005)  # the 5 ms of the sentence; nothing is waited for
            await stage.alice.sends(stage.group, f"update {number}", reply_to=signal_)
            texts += [f"#idea {number}", f"update {number}"]
        seen = await stage.shows(*texts)

    assert [update.reply_to for update in seen[1::2]] == [signal_.id for signal_ in seen[::2]]


# ── the end ──


async def test_told_to_stop_with_a_send_under_way_it_ends_in_time_and_sends_once(stage):
    """The answer never comes; whether it was posted, only Telegram knows."""
    stage.telegram.faults.on(SEND, Swallow())
    program = await stage.launch()
    await program.wait_output('"started"')
    await stage.alice.sends(stage.group, "#idea 1")
    await stage.alice.sends(stage.group, "#idea 2")
    await program.wait_output('"decided"', count=2)
    await stage.shows("#idea 1")
    program.terminate()

    assert await program.wait(timeout=10) == 0
    assert stage.rows("SELECT state FROM posts") == [("pending",), ("pending",)]
    async with stage.relay():
        await stage.shows("#idea 1", "#idea 2")


async def test_the_post_in_hand_is_finished_and_none_is_begun_when_told_to_stop(stage):
    """Its answer has five seconds to come, and is noted; what waits behind it stays pending."""
    stage.telegram.faults.on(SEND, Delay(2.5))
    async with stage.relay() as program:
        await stage.alice.sends(stage.group, "#idea 1")
        await stage.alice.sends(stage.group, "#idea 2")
        await program.wait_output('"decided"', count=2)
        await stage.shows("#idea 1")
        program.terminate()
        assert await program.wait(timeout=10) == 0

    assert stage.rows("SELECT state FROM posts ORDER BY id") == [("sent",), ("pending",)]
    assert [seen.text for seen in stage.posted()] == ["#idea 1"]


async def test_told_to_stop_while_another_program_holds_the_table_it_ends_within_ten_seconds(stage):
    """There is more to write down than one may wait for, five seconds for each."""
    answer = Hold()
    stage.telegram.faults.on(SEND, answer)
    program = await stage.launch()
    await program.wait_output('"started"', timeout=30)
    signal_ = await stage.alice.sends(stage.group, "#idea")
    await stage.shows("#idea")
    with closing(
        sqlite3.connect(stage.directory / "data" / "signals.db", isolation_level=None)
    ) as db:
        db.execute("BEGIN IMMEDIATE")
        await stage.bob.sends(stage.group, "what is noted down when the table is free")
        await program.wait_output("wait to be written")
        for text in ("a refusal", "and another"):
            await stage.bob.sends(stage.group, text, reply_to=signal_)
        await program.wait_output('"rejected"', count=2)
        program.terminate()
        await program.wait_output('"stopping"')
        answer.release()
        assert await program.wait(timeout=10) == 0

    assert stage.rows("SELECT state FROM posts") == [("pending",)]
    async with stage.relay():
        await stage.alice.sends(stage.group, "#idea 2")
        await stage.shows("#idea", "#idea 2")


HANGS = """
import threading
from bot.ending import in_time
with in_time(0.2) as told_to_stop:
    told_to_stop()
    told_to_stop()
    {inside}
{behind}
"""


@pytest.mark.parametrize("hangs", ["inside", "behind"])
def test_a_stop_that_hangs_is_ended_and_one_that_is_over_is_not(hangs):
    """Whatever it hangs in, the event loop itself or a thread."""
    wait = "print(threading.Event().wait(0.6))"
    script = HANGS.format(**{"inside": "", "behind": "", hangs: wait})
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True
    )

    if hangs == "inside":
        assert "stopped without closing everything" in ended.stdout + ended.stderr
        assert "False" not in ended.stdout
    else:
        assert ended.stdout == "False\n"


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
async def test_told_to_stop_a_second_time_it_ends_at_once_and_loses_nothing(stage, first):
    """Even at the same moment, as a supervisor and a terminal may tell it."""
    stage.telegram.faults.on(SEND, Swallow(), times=None)
    program = await stage.launch()
    await program.wait_output('"started"')
    signal_ = await stage.alice.sends(stage.group, "#idea")
    await stage.alice.sends(stage.group, "TP1", reply_to=signal_)
    await program.wait_output('"decided"', count=2)
    await stage.shows("#idea")
    program.signal(first)
    if first is signal.SIGINT:  # two of one kind may arrive as one
        await program.wait_output('"stopping"')
    program.signal(signal.SIGINT)

    assert await program.wait(timeout=4.5) == 130  # told once, it waits 5 seconds for the answer
    assert "Traceback" not in program.output
    assert stage.rows("SELECT state FROM posts") == [("pending",), ("pending",)]
    stage.telegram.faults.clear()
    async with stage.relay():
        first_post, second_post = await stage.shows("#idea", "TP1")
    assert second_post.reply_to == first_post.id


async def revoked(stage, program):
    """Post, and let an answer find the login revoked."""
    await program.wait_output('"started"', timeout=30)
    signal_ = await stage.alice.sends(stage.group, "#idea")
    await stage.shows("#idea")
    for account in (stage.bot, stage.carol):
        stage.telegram.faults.revoke(account, "SESSION_REVOKED")
    await stage.alice.sends(stage.group, "TP1", reply_to=signal_)


async def test_a_bot_whose_login_is_revoked_makes_a_new_one_and_posts_the_rest(stage):
    async with stage.relay() as program:
        await revoked(stage, program)
        first, second = await stage.shows("#idea", "TP1")
        assert second.reply_to == first.id
        assert "401 SESSION_REVOKED: data/relay.session is void" in program.output
        assert "logging in anew" in program.output


async def test_a_person_whose_session_is_revoked_is_told_so_and_a_new_one_posts_the_rest(stage):
    program = await stage.launch(**stage.login_of_carol())
    await revoked(stage, program)
    assert await program.wait(timeout=15) == 1
    assert stage.rows("SELECT state FROM posts ORDER BY id") == [("sent",), ("pending",)]
    assert "Traceback" not in program.output
    (line,) = (line for line in program.stderr.splitlines() if line.startswith("error:"))
    assert "401 SESSION_REVOKED: SESSION_STRING is void, log in anew" in line
    async with stage.relay(**stage.login_of_carol()):
        await stage.shows("#idea", "TP1")
