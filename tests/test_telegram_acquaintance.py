"""How `setup` finds chats and people that the account has not met yet."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from pyrogram import raw

from bot.errors import TargetUnavailable, UsageError
from bot.telegram.chats import resolve
from bot.telegram.peer_names import (
    Human,
    Overheard,
    administrators,
    dialogs,
    find,
    overheard,
)
from tests.accounts import connection, key_kept_in
from tests.boxes import NOW, container
from tests.loopback.tl import make

types = raw.types
CHANNEL = -1000001234567


class Answering:
    """Telegram, which has one answer."""

    def __init__(self, answer=None):
        self.answer = answer

    async def call(self, _query):
        return self.answer

    async def peer(self, _chat):
        return types.InputPeerChannel(channel_id=1, access_hash=2)


@pytest.fixture
async def account(telegram, bot, tmp_path):
    """The bot's account, which follows nothing; what it overhears is in `heard`."""
    heard = []

    def hear(news):
        heard.append(news)
        telegram.notify()

    account = connection(
        bot_token=bot.token,
        directory=await key_kept_in(tmp_path, telegram),
        on_overheard=hear,
    )
    await account.start()
    account.heard = heard
    yield account
    await account.stop()


@pytest.mark.parametrize(
    ("text", "chat"),
    [
        ("-1001234567", -1001234567),
        ("7000000001", 7000000001),
        ("-5000001", -5000001),
        ("https://web.telegram.org/a/#-1001234567", -1001234567),
        ("https://web.telegram.org/k/#-1234567_15", -1234567),
        ("https://t.me/c/1234567/15", CHANNEL),
        ("t.me/c/1234567", CHANNEL),
        ("https://telegram.me/c/1234567/3/15?single", CHANNEL),
    ],
)
async def test_an_id_says_which_chat_it_is_and_so_do_the_addresses_that_hold_one(text, chat):
    assert await find(Answering(), text) == chat


@pytest.mark.parametrize("text", ["@the_group", "t.me/the_group", "https://t.me/s/the_group/15"])
async def test_a_public_name_is_looked_up(telegram, account, text):
    group = telegram.supergroup("Signals", username="the_group")

    assert await find(account, text) == group.id


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "that is not a chat"),
        ("the group", "that is not a chat"),
        ("-100", "nothing"),
        ("0", "that is not a chat"),
        ("@ab", "that is not a chat"),
        ("https://example.org/c/1/2", "that is not a chat"),
        ("@nobody_there", "@nobody_there: nobody has that name"),
        ("https://t.me/+AbCdEf", "an invitation does not say"),
        ("t.me/joinchat/AbCdEf", "an invitation does not say"),
    ],
)
async def test_what_names_no_chat_is_refused_with_the_reason(account, text, why):
    if text == "-100":
        assert await find(account, text) == -100  # a basic group may have any number
        return
    with pytest.raises(UsageError, match=why):
        await find(account, text)


async def test_a_bot_overhears_who_speaks_and_where_it_is_brought(telegram, account, alice, bot):
    group = telegram.supergroup("Signals", members=[alice, bot])
    small = telegram.group("Small", members=[alice, bot])
    new = telegram.supergroup("New", members=[alice])

    await alice.sends(group, "hello")
    await alice.sends(small, "hello")
    await alice.sends(bot, "hello")
    await alice.adds(bot, to=new)
    human = Human(alice.id, "Alice")
    expected = {
        Overheard(group.id, human),
        Overheard(small.id, human),
        Overheard(alice.id, human),
        Overheard(new.id),
    }
    await telegram.wait_for(lambda: set(account.heard) == expected, what=str(expected))

    assert [(await resolve(account, chat.id)).title for chat in (group, small, new)] == [
        "Signals",
        "Small",
        "New",
    ]


@pytest.mark.parametrize(
    ("pushed", "heard"),
    [
        (make(types.UpdateShortMessage, user_id=7, id=1, date=NOW), [(7, Human(7, ""))]),
        (make(types.UpdateShortChatMessage, chat_id=8, from_id=7, id=1, date=NOW), [(-8, None)]),
        (
            types.UpdateShort(update=types.UpdateChannel(channel_id=1234567), date=NOW),
            [(CHANNEL, None)],
        ),
        (container(make(types.UpdateChannelParticipant, channel_id=1234567)), [(CHANNEL, None)]),
        (container(make(types.UpdateChatParticipant, chat_id=8)), [(-8, None)]),
        (container(make(types.UpdateConfig)), []),
        (types.UpdatesTooLong(), []),
    ],
)
def test_whatever_is_pushed_of_a_chat_names_it(pushed, heard):
    assert list(overheard(pushed)) == [Overheard(*each) for each in heard]


async def test_the_administrators_of_a_group_are_named_and_bots_are_not(
    telegram, account, alice, bot
):
    group = telegram.supergroup("Signals", admins=[alice, bot], members=[telegram.user("Bob")])

    assert await administrators(account, group.id) == [Human(alice.id, "Alice")]


async def test_the_administrators_of_a_basic_group_are_its_creator_and_whom_he_made_one():
    people = [
        make(types.User, id=number, first_name=name, last_name="X", access_hash=1)
        for number, name in enumerate(["Anna", "Boris", "Carla"], 1)
    ]
    members = [
        types.ChatParticipantCreator(user_id=1),
        types.ChatParticipantAdmin(user_id=2, inviter_id=1, date=NOW),
        types.ChatParticipant(user_id=3, inviter_id=1, date=NOW),
    ]
    full = SimpleNamespace(participants=SimpleNamespace(participants=members))
    answer = SimpleNamespace(full_chat=full, users=people, chats=[])

    found = await administrators(Answering(answer), -8)

    assert found == [Human(1, "Anna X"), Human(2, "Boris X")]


async def test_of_a_chat_that_is_closed_to_us_nothing_is_told(telegram, account, alice):
    closed = telegram.supergroup("Closed", admins=[alice])

    with pytest.raises(TargetUnavailable):
        await administrators(account, closed.id)


async def test_a_person_lists_the_chats_he_is_in(telegram, alice, tmp_path):
    inside = [telegram.supergroup("A", members=[alice]), telegram.group("B", members=[alice])]
    telegram.channel("C")
    account = connection(
        session_string=telegram.session_string(alice),
        directory=tmp_path,
    )
    await account.start()
    try:
        assert await dialogs(account) == [chat.id for chat in inside]
    finally:
        await account.stop()
