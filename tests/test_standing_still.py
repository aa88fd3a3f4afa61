"""Differences that lead nowhere: however often Telegram says "ask again", signals go on."""

from __future__ import annotations

import asyncio

import pytest
import structlog
from pyrogram import raw
from pyrogram.errors import (
    ChannelPrivate,
    FloodWait,
    InternalServerError,
    PersistentTimestampInvalid,
)

from bot.errors import Unparsable
from bot.models import ChatId
from bot.telegram.parsing import Unreadable
from tests.boxes import BARE, CHANNEL, ME, NOW, PEER, FakeTelegram, SmallGroup, container
from tests.catching_up import Life, Notes, Sleeps, knows_all, until
from tests.loopback.tl import make

functions, types = raw.functions, raw.types
GROUP = ChatId(-77)
LOGGED = "updates cannot be asked for yet"


@pytest.fixture
async def alive():
    lives = []

    async def alive(telegram, notes=None, **options):
        lives.append(Life(telegram, notes or Notes(), **options))
        await lives[-1].catch_up.begin()
        lives[-1].task = asyncio.create_task(lives[-1].catch_up.run())
        return lives[-1]

    yield alive
    for life in lives:
        await life.end()


class Answers:
    """Told how what was asked went; see `Reachability`."""

    def __init__(self):
        self.told = []

    def asked(self, box): ...

    def answered(self, box):
        self.told.append((box, "well"))

    def failed(self, box, _error, pause):
        self.told.append((box, pause))


class Basic(SmallGroup):
    """A basic group whose messages are pushed as they are said."""

    def say(self, text, **more):
        super().say(text, **more)
        self.dates[self.messages[-1].id] = NOW
        message = self.messages[-1].raw()
        message.peer_id = types.PeerChat(chat_id=-GROUP)
        return types.UpdateNewMessage(message=message, pts=self.pts, pts_count=1)


# ── what Telegram answers, always the same ──


def state(telegram):
    return types.updates.State(pts=telegram.pts, qts=0, date=NOW, seq=0, unread_count=0)


def slice_of_nothing(telegram):
    return make(types.updates.DifferenceSlice, intermediate_state=state(telegram))


def unparsable(_telegram):
    answer = Unreadable("unknown constructor")
    answer.kind = "Difference"
    raise Unparsable("it cannot be read", answer)


def refused(_telegram):
    raise PersistentTimestampInvalid


OF_THE_ACCOUNT = {
    "a slice that ends where it began": slice_of_nothing,
    "too long, and no further": lambda telegram: types.updates.DifferenceTooLong(pts=telegram.pts),
    "not to be read": unparsable,
    "a cursor that is refused": refused,
}


def channel_part_of_nothing(telegram):
    return make(types.updates.ChannelDifference, pts=telegram.pts)


def channel_too_long(telegram):
    newest = telegram.messages[-1].id if telegram.messages else 0
    dialog = make(types.Dialog, peer=PEER, top_message=newest, pts=telegram.pts)
    return make(types.updates.ChannelDifferenceTooLong, dialog=dialog, messages=[])


OF_A_CHANNEL = {
    "a part that ends where it began": channel_part_of_nothing,
    "nothing, and more to come": lambda telegram: make(
        types.updates.ChannelDifferenceEmpty, pts=telegram.pts
    ),
    "too long, and more to come": channel_too_long,
    "a cursor that is refused": refused,
}


class Fallen:
    """A box whose difference leads nowhere, pause by pause."""

    def __init__(self, telegram, life, sleeps):
        self.telegram = telegram
        self.life = life
        self.sleeps = sleeps
        self.said = 0

    async def signals_go_on(self):
        """Those that are pushed in the pauses, each of which is twice as long as the one before."""
        for pause in (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0):
            await until(lambda pause=pause: pause in self.sleeps.begun)
            self.said += 1
            pushed = self.telegram.say(f"#idea {self.said}")
            self.life.catch_up.hear(container(pushed))
            self.life.work()
            assert self.life.notes.texts[self.said] == f"#idea {self.said}"
            if pause < 60:
                self.sleeps.end(pause)


@pytest.mark.parametrize("what", OF_A_CHANNEL)
async def test_a_channels_difference_that_has_no_end_is_asked_for_ever_more_seldom(alive, what):
    """It is said once, signals that are pushed go on, and whoever looks after the bot is told."""
    telegram, sleeps, answers = FakeTelegram(), Sleeps(), Answers()
    life = await alive(telegram, sleep=sleeps, answers=answers)
    await until(lambda: life.catch_up.current)
    telegram.asked.clear()
    difference = functions.updates.GetChannelDifference
    telegram.answers[difference] = lambda _query: OF_A_CHANNEL[what](telegram)

    with structlog.testing.capture_logs() as logs:
        life.catch_up.lost()
        await Fallen(telegram, life, sleeps).signals_go_on()

    assert [each["box"] for each in logs if each["event"] == LOGGED] == [CHANNEL]
    assert telegram.asked.count("GetChannelDifference") < 12
    assert (CHANNEL, "well") not in answers.told[answers.told.index((CHANNEL, 1.0)) :]


@pytest.mark.parametrize("what", OF_THE_ACCOUNT)
async def test_the_accounts_difference_that_has_no_end_is_asked_for_ever_more_seldom(alive, what):
    telegram, sleeps = Basic(), Sleeps()
    life = await alive(telegram, chats=[GROUP], sleep=sleeps)
    await until(lambda: life.catch_up.current)
    telegram.asked.clear()
    difference = functions.updates.GetDifference
    telegram.answers[difference] = lambda _query: OF_THE_ACCOUNT[what](telegram)

    with structlog.testing.capture_logs() as logs:
        life.catch_up.lost()
        await Fallen(telegram, life, sleeps).signals_go_on()

    assert [each["box"] for each in logs if each["event"] == LOGGED] == [ME]
    assert telegram.asked.count("GetDifference") < 12


async def test_once_there_is_an_end_to_it_all_is_as_before(alive):
    telegram, sleeps = FakeTelegram(), Sleeps()
    life = await alive(telegram, sleep=sleeps)
    difference = functions.updates.GetChannelDifference
    sound = telegram.answers[difference]
    telegram.answers[difference] = lambda _query: channel_part_of_nothing(telegram)
    life.catch_up.lost()
    await until(lambda: 1.0 in sleeps.begun)
    telegram.say("missed")

    telegram.answers[difference] = sound
    sleeps.end(1.0)
    await life.settle()
    life.work()

    assert knows_all(life.notes, telegram)


async def test_whoever_is_told_again_and_again_that_there_is_more_asks_once_a_second(alive):
    """`updatesTooLong` says no number: while an answer is on its way, it may be about what is not in it."""
    telegram = FakeTelegram()
    life = await alive(telegram)
    await life.settle()
    telegram.asked.clear()
    storm = telegram.answers[functions.updates.GetDifference]

    def and_again(query):
        if len(life.slept) < 5:
            life.catch_up.hear(types.UpdatesTooLong())
        return storm(query)

    telegram.answers[functions.updates.GetDifference] = and_again
    life.catch_up.hear(types.UpdatesTooLong())
    await life.settle()

    assert life.slept == [1.0] * 5
    assert telegram.asked.count("GetDifference") < 12


async def test_a_chat_that_is_closed_at_the_start_is_told_of_and_tried_again_at_once(alive):
    telegram, answers = FakeTelegram(), Answers()
    telegram.errors.extend([None, ChannelPrivate()])

    life = await alive(telegram, answers=answers)
    assert answers.told[0] == (CHANNEL, 0)

    await life.settle()
    assert answers.told[-1] == (CHANNEL, "well")


async def test_what_is_pushed_while_nobody_answers_goes_on_once_that_is_known(alive):
    """In its order, and once: what the answer holds after all is no news."""
    telegram, sleeps = FakeTelegram(), Sleeps()
    life = await alive(telegram, sleep=sleeps)
    await until(lambda: life.catch_up.current)
    difference = functions.updates.GetChannelDifference
    sound = telegram.answers[difference]

    def pushes_and_fails(_query):
        life.catch_up.hear(container(telegram.say("#idea 1"), telegram.say("#idea 2")))
        raise InternalServerError("PERSISTENT_TIMESTAMP_OUTDATED")

    telegram.answers[difference] = pushes_and_fails
    life.catch_up.lost()
    await until(lambda: 1.0 in sleeps.begun)
    life.work()
    assert life.notes.texts == {1: "#idea 1", 2: "#idea 2"}

    telegram.answers[difference] = sound
    telegram.say("missed")
    sleeps.end(1.0)
    await life.settle()
    life.work()
    assert knows_all(life.notes, telegram)
    assert life.notes.said_again == []


# ── numbers that went back ──


async def test_where_a_channels_numbers_went_back_what_was_said_since_is_read(alive):
    """As after Telegram has restored it, or a whole history was cleared: pushes look like old ones then."""
    telegram = FakeTelegram()
    life = await alive(telegram)
    for number in range(9):
        life.catch_up.hear(container(telegram.say(f"text {number}")))
    await life.settle()
    del telegram.log[3:]
    life.catch_up.hear(container(telegram.say("#idea BTC")))

    life.catch_up.lost()
    await life.settle()
    life.catch_up.hear(container(telegram.say("TP1")))
    life.work()

    assert knows_all(life.notes, telegram)
    assert life.notes.said_again == []


async def test_where_the_accounts_numbers_went_back_what_was_said_since_is_read(alive):
    telegram = Basic()
    life = await alive(telegram, chats=[GROUP])
    for number in range(9):
        life.catch_up.hear(container(telegram.say(f"text {number}")))
    await life.settle()
    sound = telegram.answers[functions.updates.GetDifference]
    telegram.answers[functions.updates.GetDifference] = lambda query: (
        sound(query) if query.pts < telegram.pts else types.updates.DifferenceEmpty(date=NOW, seq=0)
    )
    del telegram.log[3:]
    life.catch_up.hear(container(telegram.say("#idea BTC")))

    life.catch_up.lost()
    await life.settle()
    life.catch_up.hear(container(telegram.say("TP1")))
    life.work()

    assert knows_all(life.notes, telegram)


async def test_an_empty_message_of_a_channel_is_nothing_of_the_accounts(alive):
    """It does not say where it is. Its number is the channel's."""
    telegram = FakeTelegram()
    life = await alive(telegram)
    await life.settle()
    life.work()
    telegram.asked.clear()
    empty = types.MessageEmpty(id=7)
    pushed = telegram.say("#idea BTC")

    life.catch_up.hear(
        container(
            types.UpdateEditChannelMessage(message=empty, pts=2, pts_count=1),
            types.UpdateNewChannelMessage(message=empty, pts=80, pts_count=1),
            pushed,
        )
    )
    await life.settle()
    life.work()

    assert telegram.asked == []
    assert life.notes.texts == {1: "#idea BTC"}


async def test_what_was_said_while_a_channels_numbers_went_back_unseen_is_read(alive):
    telegram = FakeTelegram()
    life = await alive(telegram)
    for number in range(9):
        life.catch_up.hear(container(telegram.say(f"text {number}")))
    await life.settle()
    del telegram.log[3:]
    telegram.say("#idea BTC")

    life.catch_up.lost()
    await life.settle()
    life.work()

    assert knows_all(life.notes, telegram)


async def test_what_is_pushed_while_the_answer_is_on_its_way_is_fed_once(alive):
    """The answer holds it, or does not: which of the two, only the answer tells."""
    telegram = FakeTelegram()
    life = await alive(telegram)
    await life.settle()
    life.work()
    difference = functions.updates.GetChannelDifference
    sound = telegram.answers[difference]

    def pushes_what_it_holds(query):
        if not telegram.messages:
            life.catch_up.hear(container(telegram.say("#idea BTC")))
            assert [type(each).__name__ for each, *_ in life.queue] == []
        return sound(query)

    telegram.answers[difference] = pushes_what_it_holds
    life.catch_up.hear(container(types.UpdateChannelTooLong(channel_id=BARE)))
    await life.settle()
    life.work()

    assert knows_all(life.notes, telegram)
    assert life.notes.said_again == []


async def test_of_a_flood_of_pushes_to_which_no_answer_comes_some_hundreds_are_kept(alive):
    telegram, sleeps = FakeTelegram(slice_=5_000, too_long_after=9_000), Sleeps()
    life = await alive(telegram, sleep=sleeps)
    await until(lambda: life.catch_up.current)
    difference = functions.updates.GetChannelDifference
    sound = telegram.answers[difference]

    def pushes_and_fails(_query):
        for number in range(1_500):
            life.catch_up.hear(container(telegram.say(f"text {number}")))
        raise InternalServerError("PERSISTENT_TIMESTAMP_OUTDATED")

    telegram.answers[difference] = pushes_and_fails
    life.catch_up.lost()
    await until(lambda: 1.0 in sleeps.begun)
    life.work()
    assert len(life.notes.texts) == 500

    telegram.answers[difference] = sound
    sleeps.end(1.0)
    await life.settle()
    life.work()
    assert knows_all(life.notes, telegram)
    assert life.notes.said_again == []


async def test_a_first_start_does_not_wait_for_the_one_source_that_telegram_puts_off(alive):
    """What is said there meanwhile is not passed: it begins with what was pushed."""
    telegram, sleeps = FakeTelegram(), Sleeps()
    full = functions.channels.GetFullChannel
    sound, put_off = telegram.answers[full], [FloodWait(900)] * 2

    def one_is_put_off(query):
        if query.channel.channel_id == BARE and put_off:
            raise put_off.pop()
        return sound(query)

    telegram.answers[full] = one_is_put_off
    other = ChatId(CHANNEL - 1)
    life = await alive(telegram, chats=[CHANNEL, other], sleep=sleeps)
    await until(lambda: 900 in sleeps.begun)
    life.work()
    assert set(life.notes.cursors) == {ME, other}

    life.catch_up.hear(container(telegram.say("#idea BTC")))
    sleeps.end(900)
    await life.settle()
    life.work()
    assert life.notes.texts == {1: "#idea BTC"}
