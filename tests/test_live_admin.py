"""The operator's commands in Telegram, from end to end: the real program, and Carol's telephone."""

from __future__ import annotations

import time

import pytest
from rich.cells import cell_len

from tests.loopback import Member, Role, RpcError
from tests.stage import SEND
from tests.telephone import Telephone, relay, words

pytestmark = pytest.mark.heavy

COLUMNS = 40
WORDS = [
    "/start",
    "/help",
    "/status",
    "/flows",
    "/flows 1",
    "/why 2",
    "/release 1",
    "/retry",
    "/pause",
    "/resume",
    "hello",
    "https://t.me/c/2880553977/2",
]


@pytest.fixture
def carol(stage):
    return Telephone(stage, stage.carol)


def fits(seen):
    """Whether it can be read on a telephone."""
    return all(
        cell_len(line) <= COLUMNS or line.startswith("https://") for line in seen.text.splitlines()
    )


def live(seen):
    """The lines that are no code, and so hold whatever Telegram makes of them."""
    units = seen.text.encode("utf-16-le")
    for code in seen.entities:
        blank = b"\n\0" * code.length
        units = units[: 2 * code.offset] + blank + units[2 * (code.offset + code.length) :]
    return units.decode("utf-16-le").split()


async def test_an_operator_is_answered_and_a_stranger_is_not(stage, carol):
    stage.telegram.faults.on(SEND, RpcError(400, "MESSAGE_EMPTY"), times=1)
    news = stage.telegram.channel("News", admins=[stage.carol])
    async with relay(stage) as program:
        failed = await stage.alice.sends(stage.group, "#идея ETH/USDT ШОРТ, стоп 2400")
        await carol.answer(0)  # the alert of it
        signal_ = await stage.alice.sends(stage.group, "#idea BTC/USDT LONG /pause @bob")
        await stage.bob.sends(stage.group, "closed?", reply_to=signal_)
        await program.wait_output("not_the_owner", timeout=10)
        link = f"https://t.me/c/2880553977/{signal_.id}"

        helped = await carol.says("/start")
        status, flows = await carol.says("/status"), await carol.says("/flows")
        one, told = await carol.says("/flows 2"), await carol.says(f"/why {link}")
        russian = await carol.says(f"https://t.me/c/2880553977/{failed.id}")
        of_channel = await carol.forwards(await stage.carol.sends(news, "news"))
        of_group = await carol.forwards(signal_)
        forward = stage.telegram.messages(stage.carol, stage.bot)[-4]
        assert forward.forwarded_from == news.id
        replied = await carol.says("/why", reply_to=forward)
        wrong = [await carol.says(text) for text in ("/why x", "/retry x", "/release", "/frob")]

        before = len(stage.telegram.calls)
        for text in WORDS:
            await stage.bob.sends(stage.bot, text)
            await stage.carol.sends(stage.group, text)  # where an order is none
        with pytest.raises(TimeoutError):
            await stage.bob.presses(flows, "Release 2", timeout=0.1)
        await carol.says("/help")
        names = stage.telegram.calls.names()[before:]

    offered = stage.bot.account.commands_of[stage.carol.account]
    assert {"status", "flows", "why", "release", "retry", "pause", "resume", "reload", "help"} == {
        each.command for each in offered
    }
    # For Carol's /help; a difference is asked for whoever writes.
    assert [name for name in names if not name.startswith("updates.")] == ["messages.SendMessage"]
    assert stage.telegram.messages(stage.bob, stage.bot)[-1].sender == stage.bob.id
    answers = [status, flows, one, told, russian, of_channel, of_group, replied, *wrong]
    assert [seen.text for seen in (helped, *answers) if not fits(seen)] == []
    assert helped.text.startswith("/status  how the bot is doing")
    assert "telegram: connected for " in status.text
    assert "1 failed" in status.text
    assert status.buttons == ("Retry 1 post",)
    assert flows.text.splitlines()[0] == f"2  BTC/USDT LONG by Alice ({stage.alice.id})"
    assert flows.buttons == ("Release 2", "Release 1")
    assert "rejected: not_the_owner" in words(one)
    assert told.text.splitlines()[:2] == ["message:", link]
    assert (told.buttons, russian.buttons) == (
        ("Release 2",),
        ("Retry post 1", "Release 1"),
    )
    assert "“#идея ETH/USDT ШОРТ, стоп 2400”" in words(russian)
    assert of_channel.text == replied.text
    assert "the source chat is" in words(of_channel)
    assert words(of_group).startswith("Telegram does not say which message of a group")
    # What is live in an answer is a link of ours; commands and names that others wrote are not.
    (posted,) = stage.posted()
    assert live(told) == [link, f"https://t.me/c/2990000001/{posted.id}"]
    assert [live(seen) for seen in (status, flows, one)] == [[], [], []]
    assert [words(seen)[:34] for seen in wrong] == [
        "'x' names no message: give a link ",
        "'x' is not the number of a post, s",
        "which flow? /release 3, or /releas",
        "There is no /frob. /help shows wha",
    ]


async def test_a_flow_is_released_and_a_post_is_tried_again_by_button(stage, carol):
    stage.telegram.faults.on(SEND, RpcError(400, "MESSAGE_EMPTY"), times=1)
    async with relay(stage) as program:
        first = await stage.alice.sends(stage.group, "#idea once more")
        alert = await carol.answer(0)
        assert alert.text.startswith("Telegram refused a post: post 1 of")
        signal_ = await stage.alice.sends(stage.group, "#idea BTC/USDT LONG")
        await stage.shows("#idea BTC/USDT LONG")

        asked = await carol.presses_and_is_asked(await carol.says("/flows"), "Release 2")
        assert "BTC/USDT LONG" in asked.text
        done = await carol.presses(asked, "Yes, release it")
        assert done.text.startswith("released: signal 2, BTC/USDT LONG by ")
        ended = await carol.becomes(asked, "released: signal 2,")
        assert ended.buttons == ()
        await program.wait_output('"order heard"', timeout=2)
        await stage.bob.sends(stage.group, "closed", reply_to=signal_)
        await stage.shows("#idea BTC/USDT LONG", "closed")

        story = await carol.says(f"/why {first.id}")
        asked = await carol.presses_and_is_asked(story, "Retry post 1")
        kept = await carol.presses(asked, "No")
        assert kept.text == "Nothing was done."
        asked = await carol.says("/retry")
        retried = await carol.presses(asked, "Yes, retry")
        assert retried.text == "back in line: 1 post (1)"
        await stage.shows("#idea BTC/USDT LONG", "closed", "#idea once more")


async def test_a_pause_holds_back_until_it_is_ended_over_a_restart(stage, carol):
    async with relay(stage) as program:
        await stage.alice.sends(stage.group, "#idea 1")
        await stage.shows("#idea 1")
        asked = await carol.says("/release 1")
        paused = await carol.says("/pause")
        await program.wait_output('"order heard"', timeout=2)
        signal_ = await stage.alice.sends(stage.group, "#idea 2")
        await stage.alice.sends(stage.group, "TP1", reply_to=signal_)
        await program.wait_output('"decided"', count=3, timeout=10)
        assert "relay: PAUSED" in (await carol.says("/status")).text
    (line,) = (line for line in program.output.splitlines() if '"started"' in line)
    assert '"paused": false' in line
    assert words(paused) == "paused: all is recorded, and nothing is posted until /resume"

    # Nobody waits for an answer any more that he asked for ten minutes ago.
    said, clock = len(carol.shown), stage.telegram.world.clock
    stage.telegram.world.clock = lambda: time.time() - 600
    await stage.carol.sends(stage.bot, "/status")
    await stage.carol.sends(stage.bot, "/resume")
    stage.telegram.world.clock = clock
    async with relay(stage) as program:
        await program.wait_output("an old command is not obeyed", count=2, timeout=10)
        (line,) = (line for line in program.output.splitlines() if '"started"' in line)
        assert '"paused": true' in line
        assert (await carol.presses(asked, "Yes, release it")).text.startswith(
            "This button is too old"
        )
        assert [seen.text for seen in stage.posted()] == ["#idea 1"]
        assert len(carol.shown) == said
        by_shell = await stage.launch("resume")
        assert await by_shell.wait(timeout=30) == 0
        await program.wait_output('"order heard"', timeout=1)
        await stage.shows("#idea 1", "#idea 2", "TP1")
        assert words(await carol.says("/resume")) == "there is no pause"
    assert by_shell.stdout == "resumed: 2 posts to be sent or changed\n"


async def test_operators_are_told_of_each_target_that_throws_the_bot_out_and_once(stage, carol):
    other = stage.telegram.channel("Other", admins=[stage.bot, stage.carol])
    async with relay(stage, targets=[stage.target, other]) as program:
        await carol.says("/start")
        for target in (stage.target, other):
            target.members[stage.bot.account] = Member(Role.KICKED)
        await stage.alice.sends(stage.group, "#idea")
        await program.wait_output("target chat takes nothing", count=2, timeout=20)
        await carol.answer(2)
        told = carol.shown[1:]
        status = await carol.says("/status")
        # The first void login is made anew; of what has ended all telling, only the log tells.
        for number in (1, 2):
            await program.wait_output('"started"', count=number, timeout=20)
            assert "The bot stops" not in program.output
            if number == 2:  # the same trouble again, which was told within the hour
                await stage.telegram.wait_for(
                    lambda: program.output.split('"started"')[2].count("takes nothing") >= 2,
                    timeout=20,
                )
                assert "resume" in (await carol.says("/help")).text
            stage.telegram.faults.revoke(stage.bot, "SESSION_REVOKED")
            stage.telegram.faults.kill_connections()
        assert await program.wait(timeout=30) == 1

    assert "an operator was not told" in program.output
    assert "The bot stops: Telegram refused: 401 SESSION_REVOKED" in program.output
    about = {
        each.id
        for each in (other, stage.target)
        for text in map(words, told)
        if text.startswith(f"Target {each.id} takes nothing: ")
    }
    assert about == {other.id, stage.target.id}
    assert all(map(fits, told))
    assert "2 pending" in status.text
    assert len(carol.shown) == 5
