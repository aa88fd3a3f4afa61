"""Whether a message stands in its chat, by what Telegram answers to its id."""

from __future__ import annotations

import pytest
from pyrogram import raw
from pyrogram.errors import BadRequest, ChannelPrivate, FloodWait, InternalServerError

from bot.errors import RetryLater, TargetUnavailable, Unparsable
from bot.models import ChatId, MessageId, MessageRef
from bot.telegram.existing_messages import ExistingMessages
from bot.telegram.parsing import Unreadable
from tests.loopback.tl import make

types, functions = raw.types, raw.functions

CHANNEL, GROUP = ChatId(-1001234567890), ChatId(-50)
PEERS = {
    CHANNEL: types.InputPeerChannel(channel_id=1234567890, access_hash=7),
    GROUP: types.InputPeerChat(chat_id=50),
}
NUMBER = MessageId(12)


class Connection:
    """Answers with these messages, or raises."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = []

    async def peer(self, chat_id):
        return PEERS[chat_id]

    async def known_user(self, user_id):
        return None

    async def call(self, query):
        self.asked.append(query)
        if isinstance(self.answer, Exception):
            raise self.answer
        return make(types.messages.Messages, messages=self.answer, chats=[], users=[], topics=[])


def standing(number=NUMBER, chat=CHANNEL, kind=types.Message):
    peers = {
        CHANNEL: types.PeerChannel(channel_id=1234567890),
        GROUP: types.PeerChat(chat_id=50),
    }
    return make(
        kind,
        id=number,
        peer_id=peers[chat],
        date=1_770_000_000,
        message="TP1",
        action=types.MessageActionHistoryClear(),
    )


@pytest.mark.parametrize(
    ("chat", "answer", "exists"),
    [
        (CHANNEL, [standing()], True),
        (CHANNEL, [standing(kind=types.MessageService)], True),
        (CHANNEL, [types.MessageEmpty(id=NUMBER)], False),
        (CHANNEL, [make(types.MessageEmpty, id=NUMBER, peer_id=standing().peer_id)], False),
        (CHANNEL, [], False),
        (CHANNEL, [standing(number=13)], False),
        (GROUP, [standing(chat=GROUP)], True),
        (GROUP, [standing(chat=CHANNEL)], False),
    ],
)
async def test_a_message_stands_if_it_is_shown_in_its_chat(chat, answer, exists):
    connection = Connection(answer)

    assert await ExistingMessages(connection).exists(MessageRef(chat, NUMBER)) is exists
    (asked,) = connection.asked
    in_channel = isinstance(asked, functions.channels.GetMessages)
    assert in_channel is (chat == CHANNEL)
    assert [each.id for each in asked.id] == [NUMBER]


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (FloodWait(30), RetryLater),
        (InternalServerError(), RetryLater),
        (TimeoutError(), RetryLater),
        (ConnectionError("connection lost"), RetryLater),
        (ChannelPrivate(), TargetUnavailable),
    ],
)
async def test_without_an_answer_it_is_to_be_asked_again(error, raised):
    with pytest.raises(raised):
        await ExistingMessages(Connection(error)).exists(MessageRef(CHANNEL, NUMBER))


@pytest.mark.parametrize(
    "error",
    [
        BadRequest("MSG_ID_INVALID"),
        Unparsable("unknown constructor 0xdeadbeef", Unreadable("unknown constructor 0xdeadbeef")),
    ],
    ids=["refused", "unparsable"],
)
async def test_what_cannot_be_read_is_not_known_to_be_gone(error):
    """It would be refused again and again, and the intake would wait for ever."""
    assert await ExistingMessages(Connection(error)).exists(MessageRef(CHANNEL, NUMBER))
