"""What the library cannot parse costs that one message and nothing else, wherever it turns up."""

from __future__ import annotations

import json

import pytest
from pyrogram import raw

from tests.loopback import Garble, Truncate, Unknown
from tests.loopback.tl import UNKNOWN
from tests.stage import SEND

pytestmark = pytest.mark.heavy

functions = raw.functions
SOON = 10  # seconds; a call that waits for its time-out takes 15
PASSED = "a message cannot be read"
HEAD = 28  # bytes of an answer to a post: what it is, and which message it became


@pytest.fixture
def small(stage):
    """A basic group as the source: it shares its box with private chats."""
    stage.group = stage.telegram.group("Small", members=[stage.alice, stage.bob, stage.bot])
    return stage


@pytest.fixture(params=["supergroup", "basic group"])
def somewhere(request, stage):
    return stage if request.param == "supergroup" else request.getfixturevalue("small")


async def soon(stage, *texts):
    await stage.telegram.wait_for(
        lambda: [seen.text for seen in stage.posted()] == list(texts),
        timeout=SOON,
        what=f"{texts} in the target",
    )
    return stage.posted()


def passed_over(stage):
    return stage.rows(
        "SELECT source_chat_id, source_message_id FROM decisions"
        " WHERE outcome = 'ignored' AND reason = 'unreadable' ORDER BY source_message_id"
    )


def number(stage, message):
    """As the bot counts."""
    return message.place.id, message.id_for(stage.bot.account)


POISON = [
    Unknown(),
    Unknown(whole=True),
    Unknown(UNKNOWN + b"\xff" * 6_000),
    Unknown(b""),
    Unknown(b"\x00\x00"),
]


@pytest.mark.parametrize(
    "poison", POISON, ids=["medium", "message", "long", "nothing", "cut short"]
)
async def test_one_that_cannot_be_parsed_holds_up_nothing_that_comes_behind_it(somewhere, poison):
    stage = somewhere
    async with stage.relay():
        signal_ = await stage.alice.sends(stage.group, "#idea BTC")
        await soon(stage, "#idea BTC")
        bad = await stage.bob.sends(stage.group, "look", media=poison)
        await stage.alice.sends(stage.group, "TP1", reply_to=signal_)
        seen = await soon(stage, "#idea BTC", "TP1")
        assert seen[1].reply_to == seen[0].id
    async with stage.relay():
        await stage.alice.sends(stage.group, "TP2", reply_to=signal_)
        await soon(stage, "#idea BTC", "TP1", "TP2")

    assert passed_over(stage) == [number(stage, bad)]


async def test_what_came_while_the_bot_was_down_with_poison_in_it_is_all_dealt_with(somewhere):
    """New, edited and deleted messages of one difference, with several among them unreadable."""
    stage = somewhere
    alice, bob, group = stage.alice, stage.bob, stage.group
    async with stage.relay():
        first = await alice.sends(group, "#idea BTC")
        second = await alice.sends(group, "#idea ETH")
        plain = await alice.sends(group, "SOL LONG")
        gone = await alice.sends(group, "ETH TP1", reply_to=second)
        await soon(stage, "#idea BTC", "#idea ETH", "ETH TP1")
    poison = [await bob.sends(group, "look", media=Unknown()) for _ in range(3)]
    await alice.edits(first, "#idea BTC, risk 1%")
    await alice.sends(group, "BTC TP1", reply_to=first)
    poison.append(await bob.sends(group, media=Unknown(), reply_to=first))
    await alice.deletes(gone)
    await alice.edits(plain, "#idea SOL LONG")
    await alice.sends(group, "SOL TP1", reply_to=plain)
    for text in range(30):
        await bob.sends(group, f"chatter {text}")
    await alice.sends(group, "#idea the last")
    poison.append(await bob.sends(group, media=Unknown()))

    async with stage.relay() as program:
        seen = await stage.shows_in_any_order(
            "#idea BTC, risk 1%",
            "#idea ETH",
            "BTC TP1",
            "#idea SOL LONG",
            "SOL TP1",
            "#idea the last",
        )
        await program.wait_output(PASSED, count=len(poison), timeout=SOON)

    texts = [each.text for each in seen]
    assert texts.index("BTC TP1") < texts.index("#idea the last")
    assert texts.index("#idea SOL LONG") < texts.index("SOL TP1")
    assert passed_over(stage) == [number(stage, each) for each in poison]


async def test_a_difference_that_holds_nothing_else_is_passed(somewhere):
    stage = somewhere
    async with stage.relay():
        await stage.alice.sends(stage.group, "#idea 1")
        await soon(stage, "#idea 1")
    bad = await stage.bob.sends(stage.group, media=Unknown())
    async with stage.relay() as program:
        await program.wait_output(PASSED, timeout=SOON)
        await stage.alice.sends(stage.group, "#idea 2")
        await soon(stage, "#idea 1", "#idea 2")
    assert passed_over(stage) == [number(stage, bad)]
    assert program.output.count(PASSED) == 1


async def test_poison_as_the_very_first_thing_the_bot_hears_of(somewhere):
    stage = somewhere
    async with stage.relay():
        await stage.bob.sends(stage.group, media=Unknown())
        await stage.bob.sends(stage.group, media=Unknown(whole=True))
        await stage.alice.sends(stage.group, "#idea 1")
        await soon(stage, "#idea 1")
    assert len(passed_over(stage)) == 2


async def test_a_stranger_who_writes_to_the_bot_in_private_stops_no_basic_group(small):
    stage = small
    mallory = stage.telegram.user("Mallory")
    async with stage.relay():
        signal_ = await stage.alice.sends(stage.group, "#idea BTC")
        await soon(stage, "#idea BTC")
        await mallory.sends(stage.bot, media=Unknown())
        await stage.alice.sends(stage.group, "TP1", reply_to=signal_)
        await soon(stage, "#idea BTC", "TP1")
        calls = len(stage.telegram.calls)
        for _ in range(20):
            await mallory.sends(stage.bot, media=Unknown())
        await stage.alice.sends(stage.group, "TP2", reply_to=signal_)
        await soon(stage, "#idea BTC", "TP1", "TP2")
        assert len(stage.telegram.calls) - calls < 150
    await mallory.sends(stage.bot, media=Unknown())
    await stage.alice.edits(signal_, "#idea BTC, edited")
    async with stage.relay() as program:
        await soon(stage, "#idea BTC, edited", "TP1", "TP2")
        await program.wait_output(PASSED, timeout=SOON)

    assert len(passed_over(stage)) == 22


async def test_fifty_in_a_row_cost_a_bounded_number_of_calls_and_hide_none_between_them(stage):
    async with stage.relay():
        await stage.alice.sends(stage.group, "#idea 0")
        await soon(stage, "#idea 0")
    for each in range(50):
        await stage.bob.sends(stage.group, media=Unknown())
        if each % 10 == 0:
            await stage.alice.sends(stage.group, f"#idea {each + 1}")
    stage.telegram.calls.clear()
    async with stage.relay() as program:
        await stage.shows("#idea 0", *(f"#idea {each + 1}" for each in range(0, 50, 10)))
        await program.wait_output(PASSED, count=50, timeout=SOON)
    assert len(passed_over(stage)) == 50
    asked = stage.telegram.calls.of(functions.updates.GetChannelDifference)
    assert len(asked) < 150


async def test_beyond_what_a_difference_reaches_poison_is_passed_as_well(somewhere):
    stage = somewhere
    stage.telegram.rules.channel_too_long_after = 20
    stage.telegram.rules.common_too_long_after = 20
    async with stage.relay():
        signal_ = await stage.alice.sends(stage.group, "#idea BTC")
        await soon(stage, "#idea BTC")
    bad = [await stage.bob.sends(stage.group, media=Unknown()) for _ in range(5)]
    for text in range(150):
        await stage.bob.sends(stage.group, f"chatter {text}")
    bad.append(await stage.bob.sends(stage.group, media=Unknown(whole=True)))
    await stage.alice.edits(signal_, "#idea BTC, edited")
    await stage.alice.sends(stage.group, "TP1", reply_to=signal_)
    bad.append(await stage.bob.sends(stage.group, media=Unknown()))
    async with stage.relay() as program:
        await stage.shows("#idea BTC, edited", "TP1")
        await program.wait_output(PASSED, count=len(bad), timeout=SOON)
    assert passed_over(stage) == [number(stage, each) for each in bad]


@pytest.mark.parametrize("who", ["author", "talker", "chat", "target"])
@pytest.mark.parametrize("running", [True, False], ids=["running", "down"])
async def test_what_is_strange_about_people_and_chats_costs_no_message(somewhere, who, running):
    """Their names and faces come behind the messages, and are done without."""
    stage = somewhere

    def turns_strange():
        strange = {
            "author": stage.alice.account,
            "talker": stage.bob.account,
            "chat": stage.group,
            "target": stage.target,
        }
        strange[who].strange = True

    async def goes_on():
        await stage.bob.sends(stage.group, "chatter", reply_to=signal_)
        await stage.alice.sends(stage.group, "TP1", reply_to=signal_)

    async with stage.relay():
        signal_ = await stage.alice.sends(stage.group, "#idea BTC")
        await soon(stage, "#idea BTC")
        if running:
            turns_strange()
            await goes_on()
            await soon(stage, "#idea BTC", "TP1")
    if not running:
        turns_strange()
        await goes_on()
    async with stage.relay():
        await soon(stage, "#idea BTC", "TP1")
        await stage.alice.sends(stage.group, "TP2", reply_to=signal_)
        await soon(stage, "#idea BTC", "TP1", "TP2")
    everything = stage.telegram.messages(stage.target, deleted=True)
    assert [seen.text for seen in everything] == ["#idea BTC", "TP1", "TP2"]
    assert passed_over(stage) == []


async def test_a_bot_that_comes_to_a_strange_chat_starts_there(stage):
    stage.group.strange = stage.target.strange = True
    async with stage.relay():
        await stage.alice.sends(stage.group, "#idea BTC")
        await soon(stage, "#idea BTC")


@pytest.mark.parametrize("running", [True, False], ids=["running", "down"])
async def test_updates_of_an_unknown_kind_are_passed(somewhere, running):
    stage = somewhere
    box = stage.group if stage.group.has_own_box else stage.bot.account

    async def happens():
        for text in ("TP1", "TP2"):
            stage.telegram.world.happens_unknown(box)
            await stage.alice.sends(stage.group, text, reply_to=signal_)
        stage.telegram.world.happens_unknown(box)

    async with stage.relay():
        signal_ = await stage.alice.sends(stage.group, "#idea BTC")
        await soon(stage, "#idea BTC")
        if running:
            await happens()
            await soon(stage, "#idea BTC", "TP1", "TP2")
    if not running:
        await happens()
    async with stage.relay():
        await soon(stage, "#idea BTC", "TP1", "TP2")
        await stage.alice.edits(signal_, "#idea BTC, edited")
        await soon(stage, "#idea BTC, edited", "TP1", "TP2")
    assert passed_over(stage) == []


async def test_an_edit_that_cannot_be_read_is_told_until_the_message_can_be_read_again(somewhere):
    """What is posted shows outdated words: `why` names the edit, and `status` counts it."""
    stage = somewhere
    async with stage.relay() as program:
        signal_ = await stage.alice.sends(stage.group, "#idea BTC")
        update = await stage.alice.sends(stage.group, "TP1", reply_to=signal_)
        await soon(stage, "#idea BTC", "TP1")
        for message in (signal_, update):
            await stage.alice.edits(message, f"{message.text}!", media=Unknown())
        await program.wait_output(PASSED, count=2, timeout=SOON)
        await stage.alice.sends(stage.group, "TP2", reply_to=signal_)
        await soon(stage, "#idea BTC", "TP1", "TP2")
        for message in (signal_, update):
            why = await stage.launch("why", ":".join(map(str, number(stage, message))))
            assert await why.wait(timeout=20) == 0
            assert "its edit cannot be read: unknown constructor 0xdeadbeef" in why.output
        for message in (signal_, update):
            message.media = None
            await stage.alice.edits(message, f"{message.text}!")
        await soon(stage, "#idea BTC!!", "TP1!!", "TP2")
    assert stage.rows("SELECT * FROM decisions") == []


async def test_a_reply_that_becomes_readable_by_an_edit_is_relayed(somewhere):
    stage = somewhere
    async with stage.relay() as program:
        signal_ = await stage.alice.sends(stage.group, "#idea BTC")
        reply = await stage.alice.sends(stage.group, "TP1", reply_to=signal_, media=Unknown())
        idea = await stage.alice.sends(stage.group, "#idea ETH", media=Unknown())
        strange = await stage.bob.sends(stage.group, "buy!", reply_to=signal_, media=Unknown())
        await program.wait_output(PASSED, count=3)
        for message in (reply, idea, strange):
            message.media = None
            await stage.alice.edits(message, f"{message.text}.")
        await soon(stage, "#idea BTC", "TP1.", "#idea ETH.")
        await program.wait_output("not_the_owner")
    assert passed_over(stage) == []


async def test_a_signal_that_is_edited_into_poison_stays_and_is_edited_back(somewhere):
    stage = somewhere
    async with stage.relay() as program:
        signal_ = await stage.alice.sends(stage.group, "#idea BTC")
        await soon(stage, "#idea BTC")
        await stage.alice.edits(signal_, "#idea BTC?", media=Unknown())
        await program.wait_output(PASSED, timeout=SOON)
        await stage.alice.sends(stage.group, "TP1", reply_to=signal_)
        await soon(stage, "#idea BTC", "TP1")
        signal_.media = None
        await stage.alice.edits(signal_, "#idea BTC!")
        await soon(stage, "#idea BTC!", "TP1")


@pytest.mark.parametrize("after", [HEAD, 0, 12, 100], ids=["ids told", "nothing", "vector", "some"])
@pytest.mark.parametrize("duplicates", ["first", "error"])
async def test_a_post_whose_answer_cannot_be_parsed_stands_once(stage, after, duplicates):
    """By the ids at its head it is known which message it is; else it is looked for."""
    stage.telegram.rules.duplicates = duplicates
    stage.telegram.faults.on(SEND, Garble(after), times=None)
    async with stage.relay() as program:
        signal_ = await stage.alice.sends(stage.group, "#idea BTC")
        photos = [stage.telegram.photo() for _ in range(2)]
        await stage.alice.sends_album(stage.group, photos, caption="TP1", reply_to=signal_)
        await stage.alice.sends(stage.group, "TP2", reply_to=signal_)
        seen = await soon(stage, "#idea BTC", "TP1", "", "TP2")
        await program.wait_output('"posted"', count=4)
        assert {each.reply_to for each in seen[1:]} == {seen[0].id}
        await stage.alice.edits(signal_, "#idea BTC, edited")
        await soon(stage, "#idea BTC, edited", "TP1", "", "TP2")
    everything = stage.telegram.messages(stage.target, deleted=True)
    assert len(everything) == 4


async def test_an_edit_and_a_deletion_whose_answers_cannot_be_parsed_are_done_once(stage):
    kinds = (functions.messages.EditMessage, functions.channels.DeleteMessages)
    stage.telegram.faults.on(kinds, Garble(), times=None)
    async with stage.relay():
        signal_ = await stage.alice.sends(stage.group, "#idea BTC")
        other = await stage.alice.sends(stage.group, "#idea ETH")
        await soon(stage, "#idea BTC", "#idea ETH")
        await stage.alice.edits(signal_, "#idea BTC, edited")
        await stage.alice.deletes(other)
        await soon(stage, "#idea BTC, edited")
        await stage.alice.sends(stage.group, "TP1", reply_to=signal_)
        await soon(stage, "#idea BTC, edited", "TP1")
    assert len(stage.telegram.calls.of(*kinds)) == 2


@pytest.mark.parametrize(
    "kind",
    [
        functions.updates.GetState,
        functions.updates.GetDifference,
        functions.channels.GetFullChannel,
        functions.updates.GetChannelDifference,
        functions.messages.GetChats,
    ],
)
async def test_an_answer_that_cannot_be_parsed_at_all_is_known_at_once(somewhere, kind):
    """No call waits for its time-out: it is asked for in another way, or again."""
    stage = somewhere
    async with stage.relay():
        signal_ = await stage.alice.sends(stage.group, "#idea BTC")
        await soon(stage, "#idea BTC")
    await stage.alice.sends(stage.group, "TP1", reply_to=signal_)
    stage.telegram.faults.on(kind, Garble(), times=1)
    async with stage.relay():
        await stage.shows("#idea BTC", "TP1")
        stage.telegram.faults.on(kind, Garble(), times=1)
        with stage.telegram.faults.no_pushes():
            await stage.alice.sends(stage.group, "TP2", reply_to=signal_)
        await stage.alice.sends(stage.group, "TP3", reply_to=signal_)
        await soon(stage, "#idea BTC", "TP1", "TP2", "TP3")


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.9])
async def test_differences_that_always_end_too_early_cost_no_message_that_can_be_read_by_itself(
    stage, share
):
    stage.telegram.faults.on(
        functions.updates.GetChannelDifference,
        Truncate(share),
        times=None,
        when=lambda call: call.query.pts < stage.group.box.pts,
    )
    async with stage.relay():
        signal_ = await stage.alice.sends(stage.group, "#idea BTC")
        await soon(stage, "#idea BTC")
    await stage.alice.sends(stage.group, "TP1", reply_to=signal_)
    await stage.alice.edits(signal_, "#idea BTC, edited")
    async with stage.relay():
        await soon(stage, "#idea BTC, edited", "TP1")
        await stage.alice.sends(stage.group, "TP2", reply_to=signal_)
        await soon(stage, "#idea BTC, edited", "TP1", "TP2")
    assert passed_over(stage) == []


async def test_only_the_part_of_a_container_that_cannot_be_parsed_is_lost(stage):
    """What is pushed in one turn leaves together; nothing of it has to be sent again."""
    stage.telegram.rules.resend_unacked = True
    async with stage.relay():
        signal_ = await stage.alice.sends(stage.group, "#idea BTC")
        await stage.bob.sends(stage.group, media=Unknown())
        await stage.alice.sends(stage.group, "TP1", reply_to=signal_)
        await soon(stage, "#idea BTC", "TP1")
        for text in range(12):  # so many are acknowledged at once
            await stage.bob.sends(stage.group, f"chatter {text}")
        await stage.alice.sends(stage.group, "TP2", reply_to=signal_)
        await soon(stage, "#idea BTC", "TP1", "TP2")
        sessions = stage.telegram.server.sessions_of(stage.bot.account)
        waiting = [body for each in sessions for _, _, body in each.unacked.values()]
        assert not any(UNKNOWN in body for body in waiting)


async def test_a_user_account_passes_it_as_well(stage):
    env = stage.login_of_carol()
    async with stage.relay(**env):
        signal_ = await stage.alice.sends(stage.group, "#idea BTC")
        await soon(stage, "#idea BTC")
        await stage.bob.sends(stage.group, media=Unknown())
        await stage.bob.sends(stage.carol, media=Unknown())
        await stage.alice.sends(stage.group, "TP1", reply_to=signal_)
        await soon(stage, "#idea BTC", "TP1")
    await stage.bob.sends(stage.group, media=Unknown())
    await stage.alice.sends(stage.group, "TP2", reply_to=signal_)
    async with stage.relay(**env):
        await soon(stage, "#idea BTC", "TP1", "TP2")


async def test_whoever_looks_after_the_bot_is_told(stage):
    """Once: in the log, by an alert, by `why` and in the metrics."""
    boss = stage.telegram.user("Boss")
    await boss.sends(stage.bot, "/start")
    async with stage.relay(ADMIN_USERS=str(boss.id)) as program:
        await boss.sends(stage.bot, "/start")
        bad = await stage.bob.sends(stage.group, "look", media=Unknown())
        await stage.bob.sends(stage.group, "look", media=Unknown())
        await program.wait_output(PASSED, count=2)
        link = f"https://t.me/c/{stage.group.bare_id}/{bad.id}"

        def told():
            return [seen.text for seen in stage.telegram.messages(boss, stage.bot)]

        await stage.telegram.wait_for(lambda: any(link in text for text in told()), timeout=SOON)
        assert sum("cannot be read" in text for text in told()) == 1
        why = await stage.launch("why", link)
        assert await why.wait(timeout=20) == 0
        assert "ignored (unreadable)" in why.output
    logged = [json.loads(line) for line in program.output.splitlines() if "cannot be read" in line]
    assert logged[0]["message_id"] == bad.id
    assert "0xdeadbeef" in logged[0]["error"]
