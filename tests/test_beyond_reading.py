"""Update boxes, further: what cannot be read in a difference, who is followed when, and who is told."""

from __future__ import annotations

import asyncio

import pytest
from pyrogram import raw
from pyrogram.errors import FloodWait

from bot.errors import Unparsable
from bot.models import ChatId, Cursor, Reached, UnreadableMessage
from bot.telegram.catch_up import Following
from bot.telegram.parsing import Unreadable
from tests.boxes import BARE, CHANNEL, ME, NOW, PEER, FakeTelegram, SmallGroup, container
from tests.catching_up import Life, Notes, Sleeps, knows_all, long_ago, until
from tests.loopback.tl import make

functions, types = raw.functions, raw.types
SMALL = ChatId(-77)


@pytest.fixture
async def alive():
    lives = []

    async def alive(telegram, notes=None, **options):
        lives.append(Life(telegram, notes or Readers(), **options))
        await lives[-1].begin()
        lives[-1].work()
        telegram.asked.clear()
        return lives[-1]

    yield alive
    for life in lives:
        await life.end()


class Readers(Notes):
    """Who reads the queue, and notes what could not be read, too."""

    def __init__(self):
        super().__init__()
        self.unreadable = []

    def deal_with(self, update):
        if isinstance(update, UnreadableMessage):
            self.unreadable.append(update.ref.message_id)
        else:
            super().deal_with(update)


def left(kind, **read):
    """What the library's reading of an answer of that kind leaves."""
    found = Unreadable("unknown constructor 0xdeadbeef")
    found.kind = kind
    for name, value in read.items():
        setattr(found, name, value)
    return Unparsable(f"Telegram's answer cannot be read: {found.error}", found)


class Poisoned(FakeTelegram):
    """Messages of these numbers cannot be parsed, and no answer that holds one."""

    def __init__(self, *poison, garbled=False, pts_told=True, **more):
        super().__init__(**more)
        self.poison = poison
        self.garbled = garbled  # only within a difference
        self.pts_told = pts_told

    def _difference(self, query):
        self.slice = query.limit
        answer = super()._difference(query)
        if not isinstance(answer, types.updates.ChannelDifference):
            return answer
        new = [each for each in answer.new_messages if each.id in self.poison]
        edited = [
            update.message
            for update in answer.other_updates
            if isinstance(update, types.UpdateEditChannelMessage)
            and update.message.id in self.poison
        ]
        if not new and not edited:
            return answer
        if not self.pts_told:
            raise left(None)
        raise left(
            "ChannelDifference",
            pts=answer.pts,
            final=bool(answer.final),
            known=("final", "pts") if new else ("final", "pts", "new_messages"),
            garbled=self.garbled,
            message_id=(new or edited)[0].id,
            peer=PEER,
            date=NOW,
        )

    def _read(self, query):
        answer = super()._read(query)
        found = [each for each in answer.messages if each.id in self.poison]
        if found and not self.garbled:
            raise left("Messages", message_id=found[0].id, peer=PEER, date=NOW)
        return answer


# ── what cannot be read ──


@pytest.mark.parametrize("poison", [(1,), (3,), (2, 3), (5,), (1, 2, 3, 4, 5)])
async def test_a_message_that_cannot_be_read_is_told_as_such_and_no_other_is_lost(alive, poison):
    telegram = Poisoned(*poison)
    life = await alive(telegram)
    for number in range(1, 6):
        telegram.say(str(number))
    life.catch_up.lost()
    await life.settle()
    life.work()

    assert life.notes.order == [each for each in range(1, 6) if each not in poison]
    assert life.notes.unreadable == [*poison]
    assert life.notes.cursors[CHANNEL].pts == telegram.pts


@pytest.mark.parametrize("edit", [False, True], ids=["new", "edited"])
async def test_where_only_the_difference_cannot_be_read_the_message_is_and_as_what_it_was(
    alive, edit
):
    telegram = Poisoned(garbled=True)
    life = await alive(telegram)
    update = telegram.say("first")
    if edit:
        life.catch_up.hear(container(update))
        life.work()
        telegram.edit(telegram.messages[0], "edited")
    telegram.poison = (1,)
    life.catch_up.lost()
    await life.settle()

    told = [each for each in life.queue if not isinstance(each, Reached)]
    kind = types.UpdateEditChannelMessage if edit else types.UpdateNewChannelMessage
    assert [type(each) for each in told] == [kind]
    life.work()
    assert life.notes.texts == {1: "edited" if edit else "first"}


@pytest.mark.parametrize("garbled", [False, True])
async def test_an_update_of_no_message_is_passed_where_it_cannot_be_read(alive, garbled):
    """Where the bytes are others than they seem, it may have been anything: messages are looked for."""
    telegram = FakeTelegram()
    life = await alive(telegram)
    telegram.log.append(("something", None))
    known = ("pts", "new_messages")
    trouble = left("ChannelDifference", pts=2, final=True, known=known, garbled=garbled)
    telegram.errors.append(trouble)
    life.catch_up.hear(container(types.UpdateChannelTooLong(channel_id=BARE)))
    await life.settle()
    life.work()

    assert ("GetMessages" in telegram.asked) == garbled
    assert life.notes.unreadable == []
    assert life.notes.cursors[CHANNEL].pts == 2


async def test_what_does_not_even_tell_how_far_it_goes_is_read_by_its_ids_and_then_asked_for_again(
    alive,
):
    """As many messages as the numbers say: nothing else has happened, and nothing else is read."""
    telegram = Poisoned(3, pts_told=False)
    life = await alive(telegram)
    for number in (1, 2):
        life.catch_up.hear(container(telegram.say(str(number))))
    for number in (3, 4):
        telegram.say(str(number))
    life.catch_up.hear(container(types.UpdateChannelTooLong(channel_id=BARE)))
    await life.settle()
    life.work()

    assert life.notes.order == [1, 2, 4]
    assert life.notes.unreadable == [3]
    asked = [each for each in telegram.asked if each != "GetChannelDifference"]
    assert asked == ["GetFullChannel", "GetMessages", "GetMessages"]  # that one, and all but it
    assert telegram.asked[-1] == "GetChannelDifference"  # something may have happened meanwhile
    assert life.notes.said_again == []


async def test_an_accounts_difference_that_cannot_be_read_is_read_by_its_ids_once(alive):
    telegram = SmallGroup()
    life = await alive(telegram, chats=[SMALL])
    telegram.says("seen")
    life.catch_up.lost()
    await life.settle()
    life.work()
    telegram.asked.clear()
    telegram.says("new")
    telegram.errors.append(left(None))
    life.catch_up.lost()
    await life.settle()
    life.work()

    assert life.notes.texts == {1: "seen", 2: "new"}
    assert telegram.asked == ["GetDifference", "GetState", "GetMessages", "GetDifference"]
    assert life.notes.cursors[ME].pts == telegram.pts


@pytest.mark.parametrize(
    ("kind", "asked"), [("Updates", True), ("AffectedMessages", False), (None, False)]
)
async def test_what_our_own_call_brought_along_unreadably_is_asked_for(alive, kind, asked):
    telegram = FakeTelegram()
    life = await alive(telegram)
    telegram.say("brought along")
    query = functions.messages.SendMessage(peer=PEER, message="x", random_id=1)
    life.catch_up.answered(query, left(kind).answer)
    await life.settle()
    life.work()

    assert life.notes.order == [1] * asked


async def test_what_our_own_call_brought_along_is_fed(alive):
    telegram = FakeTelegram()
    life = await alive(telegram)
    query = functions.messages.SendMessage(peer=PEER, message="x", random_id=1)
    life.catch_up.answered(query, container(telegram.say("brought along")))
    life.work()

    assert life.notes.order == [1]
    assert telegram.asked == []


# ── the order within a difference, and how often one is asked for ──


async def test_edits_of_older_messages_come_first_and_those_of_new_ones_behind_them(alive):
    """One of the former may have made a signal of what the new ones answer."""
    telegram = FakeTelegram()
    life = await alive(telegram)
    first, second = telegram.say("1"), telegram.say("2")
    life.catch_up.hear(container(first))
    life.work()
    messages = [each.raw() for each in telegram.messages]
    edits = [
        types.UpdateEditChannelMessage(message=message, pts=0, pts_count=0) for message in messages
    ]
    telegram.answers[functions.updates.GetChannelDifference] = lambda _query: make(
        types.updates.ChannelDifference,
        pts=5,
        final=True,
        new_messages=[second.message],
        other_updates=[*reversed(edits)],
    )
    life.catch_up.hear(container(types.UpdateChannelTooLong(channel_id=BARE)))
    await life.settle()

    told = [each for each in life.queue if not isinstance(each, Reached)]
    assert [(type(each).__name__, each.message.id) for each in told] == [
        ("UpdateEditChannelMessage", 1),
        ("UpdateNewChannelMessage", 2),
        ("UpdateEditChannelMessage", 2),
    ]


@pytest.mark.parametrize("how", ["pushed", "too long"])
async def test_what_the_answer_on_its_way_holds_already_is_not_asked_for_again(alive, how):
    telegram = FakeTelegram()
    life = await alive(telegram)
    ask = telegram.answers[functions.updates.GetChannelDifference]

    def while_it_is_asked(query):
        telegram.answers[functions.updates.GetChannelDifference] = ask
        update = telegram.say("said before it was answered")
        if how == "too long":
            update = types.UpdateChannelTooLong(channel_id=BARE, pts=telegram.pts)
        life.catch_up.hear(container(update))
        return ask(query)

    telegram.answers[functions.updates.GetChannelDifference] = while_it_is_asked
    telegram.say("missed")
    life.catch_up.hear(container(types.UpdateChannelTooLong(channel_id=BARE)))
    await life.settle()
    life.work()

    assert life.notes.order == [1, 2]
    assert telegram.asked == ["GetChannelDifference"]


async def test_two_thousand_wait_for_the_reader_and_more_are_left_to_the_difference(alive):
    telegram = FakeTelegram()
    life = await alive(telegram)
    for number in range(1_001):  # each with its cursor
        assert len(life.queue) <= 2_000
        life.catch_up.hear(container(telegram.say(str(number))))
    assert len(life.queue) == 2_002

    life.catch_up.hear(container(telegram.say("one too many")))
    assert len(life.queue) == 2_002
    assert not life.catch_up.current


@pytest.mark.parametrize("before", [0, 1_000])
async def test_messages_from_before_our_start_are_passed_without_reading_them(alive, before):
    """There may be a million of them: few calls find where ours begin."""
    telegram = FakeTelegram(too_long_after=5)
    for number in range(before):
        telegram.say(f"old {number}")
    life = await alive(telegram)
    await life.end()
    read = telegram.answers[functions.channels.GetMessages]

    def dated(query):
        answer = read(query)
        for message in answer.messages:
            if message.id <= before:
                message.date = NOW - 1
        return answer

    telegram.answers[functions.channels.GetMessages] = dated
    for number in range(7):
        telegram.say(f"new {number}")
    life = Life(telegram, life.notes)
    await life.begin()
    life.work()
    await life.end()

    assert knows_all(life.notes, telegram, since=before)
    assert telegram.asked.count("GetMessages") <= 3


@pytest.mark.parametrize(("texts", "gone"), [(49, 49), (50, 0)])
async def test_of_fifty_at_once_of_which_none_is_shown_none_counts_as_deleted(alive, texts, gone):
    """Their history is hidden from us, rather than all of it deleted."""
    telegram, notes = await long_ago(alive, texts=texts)
    for _ in range(7):
        telegram.say("new")
    read = telegram.answers[functions.channels.GetMessages]

    def hidden(query):
        answer = read(query)
        answer.messages = [each for each in answer.messages if each.id > texts]
        return answer

    telegram.answers[functions.channels.GetMessages] = hidden
    life = await alive(telegram, notes)
    await life.settle()
    life.work()

    assert len(notes.gone) == gone


# ── who is followed when ──


async def test_a_chat_that_is_added_is_followed_from_then_on_whenever_it_was_before(alive):
    telegram, notes = FakeTelegram(), Readers()
    telegram.say("in the time before")
    notes.cursors[CHANNEL] = Cursor(CHANNEL, 1)
    life = await alive(telegram, notes, chats=[])
    life.catch_up.hear(container(telegram.say("not followed")))

    await life.catch_up.follow(Following(notes, [CHANNEL]))
    assert notes.cursors[CHANNEL].pts == 3
    life.catch_up.hear(container(telegram.say("followed")))
    await life.settle()
    life.work()

    assert notes.texts == {3: "followed"}


async def test_a_chat_that_is_followed_already_notices_nothing_of_others(alive):
    telegram = FakeTelegram()
    life = await alive(telegram)
    await life.catch_up.follow(Following(life.notes, [CHANNEL, SMALL]))
    life.catch_up.hear(container(telegram.say("heard")))
    life.work()

    assert life.notes.texts == {1: "heard"}
    assert telegram.asked == []


@pytest.mark.parametrize("asked", [False, True], ids=["at rest", "being asked"])
async def test_of_a_chat_that_is_taken_out_nothing_more_is_fed(alive, asked):
    telegram = FakeTelegram()
    life = await alive(telegram)
    update = telegram.say("too late")
    if asked:
        life.catch_up.hear(container(types.UpdateChannelTooLong(channel_id=BARE)))
        await until(lambda: telegram.asked == ["GetChannelDifference"])
    await life.catch_up.follow(Following(life.notes, []))
    life.catch_up.hear(container(update))
    for _ in range(20):
        await asyncio.sleep(0)

    assert not life.queue
    assert life.catch_up.current


# ── what is told ──


class Told:
    def __init__(self):
        self.of = []

    def asked(self, box):
        self.of.append(("asked", box))

    def answered(self, box):
        self.of.append(("answered", box))

    def failed(self, box, error, pause):
        self.of.append(("failed", box, pause))


async def test_how_it_goes_with_a_box_is_told(alive):
    told, telegram = Told(), FakeTelegram()
    life = await alive(telegram, answers=told)
    told.of.clear()
    telegram.errors.append(ConnectionError("cut"))
    life.catch_up.hear(container(types.UpdateChannelTooLong(channel_id=BARE)))
    await life.settle()

    assert told.of == [
        ("asked", CHANNEL),
        ("failed", CHANNEL, 1.0),
        ("asked", CHANNEL),
        ("answered", CHANNEL),
    ]


async def test_more_is_to_come_while_somebody_has_to_read_or_to_ask(alive):
    """What Telegram has put off is not waited for: it may be for tomorrow."""
    telegram, sleeps = FakeTelegram(), Sleeps()
    life = await alive(telegram, sleep=sleeps)
    assert not life.catch_up.more_to_come(CHANNEL)
    life.catch_up.hear(container(telegram.say("1")))
    assert life.catch_up.more_to_come(CHANNEL)
    life.work()
    assert not life.catch_up.more_to_come(CHANNEL)

    too_long = container(types.UpdateChannelTooLong(channel_id=BARE))
    telegram.errors.append(ConnectionError("cut"))
    life.catch_up.hear(too_long)
    await until(lambda: 1.0 in sleeps.begun)
    assert life.catch_up.more_to_come(CHANNEL)
    sleeps.end(1.0)
    await life.settle()
    life.work()

    telegram.errors.append(FloodWait(30))
    life.catch_up.hear(too_long)
    await until(lambda: 30 in sleeps.begun)
    assert not life.catch_up.current
    assert not life.catch_up.more_to_come(CHANNEL)


async def test_each_box_is_waited_for_where_something_of_it_is_held(alive):
    """A basic group is in the account's; what is missing of one channel is nothing to another."""
    telegram, sleeps = FakeTelegram(), Sleeps()
    life = await alive(telegram, sleep=sleeps, chats=[CHANNEL, CHANNEL - 1, SMALL])
    life.work()
    telegram.errors.append(ConnectionError("cut"))
    life.catch_up.hear(types.UpdatesTooLong())
    await until(lambda: 1.0 in sleeps.begun)

    assert life.catch_up.more_to_come(None)
    assert not life.catch_up.more_to_come(CHANNEL)

    sleeps.end(1.0)
    await life.settle()
    life.work()
    telegram.errors.extend([ConnectionError("cut"), ConnectionError("cut")])
    life.catch_up.hear(container(types.UpdateChannelTooLong(channel_id=BARE)))
    await until(lambda: 2.0 in sleeps.begun)

    assert life.catch_up.more_to_come(CHANNEL)
    assert not life.catch_up.more_to_come(ChatId(CHANNEL - 1))
    assert not life.catch_up.more_to_come(None)


async def test_what_keeps_failing_is_waited_for_some_seconds_and_no_longer(alive):
    telegram, sleeps = FakeTelegram(), Sleeps()
    life = await alive(telegram, sleep=sleeps)
    life.work()
    telegram.errors.extend([ConnectionError("cut")] * 4)
    life.catch_up.hear(container(types.UpdateChannelTooLong(channel_id=BARE)))
    for pause in (1.0, 2.0, 4.0):
        await until(lambda pause=pause: pause in sleeps.begun)
        assert life.catch_up.more_to_come(CHANNEL)
        sleeps.end(pause)
    await until(lambda: 8.0 in sleeps.begun)

    assert not life.catch_up.more_to_come(CHANNEL)
