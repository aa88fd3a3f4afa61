"""Messages read by their ids, where Telegram tells of none: which are asked for, and as what they are fed."""

from __future__ import annotations

import asyncio

import pytest
from pyrogram import raw

from bot.errors import Unparsable
from bot.models import ChatId, MessageId, Reached, UnreadableMessage
from bot.telegram.boxes import Box
from bot.telegram.parsing import Unreadable
from bot.telegram.reread import Rereading
from tests.boxes import BARE, CHANNEL, ME, NOW, PEER
from tests.catching_up import Notes
from tests.loopback.tl import make

types = raw.types
SMALL, SMALLER, OTHER = ChatId(-77), ChatId(-78), ChatId(-(10**12) - 5)


class Chat:
    """Telegram, of which messages are read by their ids: those of `there`, up to `before` from before our time."""

    def __init__(self, there, *, before=0, poison=()):
        self.there, self.before, self.poison = there, before, poison
        self.asked = []  # the first and the last id of each call

    async def peer(self, _chat_id):
        return types.InputPeerChannel(channel_id=BARE, access_hash=1)

    async def call(self, query):
        ids = [each.id for each in query.id]
        self.asked.append((ids[0], ids[-1]))
        if set(ids) & set(self.poison):
            answer = Unreadable("unknown constructor 0xdeadbeef")
            answer.kind = "Messages"
            raise Unparsable("Telegram's answer cannot be read", answer)
        return make(types.messages.Messages, messages=[self._message(each) for each in ids])

    def _message(self, number):
        if number not in self.there:
            return types.MessageEmpty(id=number)
        date = NOW - (number <= self.before)
        return make(types.Message, id=number, peer_id=PEER, date=date, message=str(number))


class Scene:
    def __init__(self, chat, *chats):
        self.fed = []
        self.rereading = Rereading(
            chat,
            Notes(),
            self,
            chats=chats or [CHANNEL],
            ttls={},
            room=lambda: asyncio.sleep(0),
            sleep=lambda _seconds: asyncio.sleep(0),
        )

    def feed(self, update, _users, _chats):
        self.fed.append(update)

    def ids(self, kind):
        return [each.message.id for each in self.fed if isinstance(each, kind)]

    @property
    def new(self):
        return self.ids((types.UpdateNewChannelMessage, types.UpdateNewMessage))

    @property
    def edited(self):
        return self.ids(types.UpdateEditChannelMessage)

    async def runs(self):
        running = asyncio.create_task(self.rereading.run())
        async with asyncio.timeout(20):
            while self.rereading.under_way:
                await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_the_newest_two_hundred_are_read_again_at_once_and_then_what_came_since():
    """The end are a thousand ids without a message."""
    chat = Chat(range(1, 254))
    scene = Scene(chat)

    await scene.rereading.look(Box(CHANNEL, date=NOW, message_id=MessageId(250)))

    assert scene.edited == [*range(51, 251)]
    assert scene.new == [251, 252, 253]
    since = [(first, first + 99) for first in range(251, 1351, 100)]
    assert chat.asked == [(51, 150), (151, 250), *since]


async def test_of_a_young_chat_there_are_fewer_to_read_again():
    chat = Chat(range(1, 4))
    await Scene(chat).rereading.look(Box(CHANNEL, message_id=MessageId(3)), newest=MessageId(3))

    assert chat.asked == [(1, 3)]


async def test_where_the_newest_is_told_it_is_read_behind_however_many_that_are_gone():
    chat = Chat({1, 1_500})
    scene = Scene(chat)

    await scene.rereading.look(Box(CHANNEL, message_id=MessageId(1)), newest=MessageId(1_500))

    assert scene.new == [1_500]
    assert chat.asked[-1] == (1_402, 1_500)


@pytest.mark.parametrize("newest", [None, MessageId(3)])
async def test_a_chat_that_is_followed_since_no_date_is_read_from_its_first_message(newest):
    scene = Scene(Chat(range(1, 4)))
    await scene.rereading.look(Box(CHANNEL), newest=newest)

    assert scene.new == [1, 2, 3]


async def test_of_a_hundred_thousand_from_before_our_time_few_are_asked_for():
    chat = Chat(range(1, 100_004), before=100_000)
    scene = Scene(chat)

    await scene.rereading.look(Box(CHANNEL, date=NOW))

    assert scene.new == [100_001, 100_002, 100_003]
    assert chat.asked[:3] == [(1, 100), (201, 300), (601, 700)]
    assert len(chat.asked) < 50


@pytest.mark.parametrize(
    ("there", "told", "fed"), [(100, 100, True), (101, 101, False), (99, 100, False)]
)
async def test_up_to_a_hundred_that_are_told_of_are_read_if_that_many_are_there(there, told, fed):
    chat = Chat(range(1, 8 + there))
    scene = Scene(chat)

    assert await scene.rereading.look_at_new(Box(CHANNEL, message_id=MessageId(7)), told) is fed

    assert scene.new == ([*range(8, 108)] if fed else [])
    assert chat.asked == ([(8, 107)] if told == 100 else [])


async def test_what_is_wanted_is_under_way_until_it_was_read_again():
    scene = Scene(Chat(()))
    assert not scene.rereading.under_way
    scene.rereading.want(Box(CHANNEL))
    assert scene.rereading.under_way

    await scene.runs()

    assert [each.cursor.again for each in scene.fed] == [False]


async def test_what_is_wanted_of_a_chat_that_is_followed_no_more_is_not_read_again():
    """The account's box is no chat's, and stays."""
    scene = Scene(Chat(()), CHANNEL, OTHER)
    for each in (CHANNEL, OTHER, ME):
        scene.rereading.want(Box(each))

    scene.rereading.follow([CHANNEL], {})
    await scene.runs()

    assert {each.cursor.box for each in scene.fed} == {CHANNEL, ME}


@pytest.mark.parametrize(
    ("chats", "where"), [([SMALL], SMALL), ([SMALL, SMALLER], ME), ([CHANNEL, SMALL], SMALL)]
)
async def test_what_does_not_even_say_where_it_stands_is_told_of_the_one_group_that_it_can_be_of(
    chats, where
):
    scene = Scene(Chat((), poison=[8]), *chats)

    await scene.rereading.look(Box(ME, message_id=MessageId(7)), newest=MessageId(8))

    (found,) = [each for each in scene.fed if isinstance(each, UnreadableMessage)]
    assert found.ref == (where, 8)
    reached = [each.cursor.message_id for each in scene.fed if isinstance(each, Reached)]
    assert reached == [8, 8]
