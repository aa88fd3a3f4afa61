"""Which events are ours, and to whom each goes: the reader by itself, its neighbours played."""

from __future__ import annotations

import asyncio

import pytest

from bot.models import (
    ChatId,
    Cursor,
    DeletedMessages,
    EditedMessage,
    MigratedChat,
    Reached,
    UnreadableMessage,
)
from bot.pipeline.dispatch import Dispatcher
from tests import wiring
from tests.people import ALICE, GROUP, TARGET, says

ELSEWHERE = ChatId(-1005555555555)
BASIC = ChatId(-4242)
PERSON = ChatId(777)


class Said(list):
    """Writes down what is called, and with what. Takes the place of all neighbours."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)

        async def later(*what):
            self.append((name, *what))

        def now(*what):
            self.append((name, *what))

        return now if name in {"heard", "freeze", "forget"} else later

    async def record(self, work):
        self.append(("record",))
        await work()


class Reader:
    def __init__(self, *, route=None):
        self.said = Said()
        self.anew = 0
        self.stopping = asyncio.Event()
        self.dispatcher = Dispatcher(
            self.said,
            self.said,
            self.said,
            routes=route or wiring.route(GROUP, TARGET),
            begin_anew=self.begin_anew,
            stopping=self.stopping,
            meter=self.said,
        )

    def begin_anew(self):
        self.anew += 1

    async def hears(self, event):
        self.said.clear()
        await self.dispatcher.hear(event)
        return list(self.said)


@pytest.fixture
def reader():
    return Reader()


async def test_a_message_of_the_source_goes_to_the_albums(reader):
    message = says(ALICE)
    assert await reader.hears(message) == [("heard",), ("hear", message, str(GROUP))]


@pytest.mark.parametrize("chat", [ELSEWHERE, TARGET, BASIC, ChatId(ALICE)])
async def test_a_message_of_another_chat_goes_nowhere(reader, chat):
    """That something was heard still counts: the connection lives."""
    for event in (
        says(ALICE, "#idea", chat_id=chat),
        EditedMessage(says(ALICE, "#idea", chat_id=chat)),
        DeletedMessages(chat, (1, 2)),
    ):
        assert await reader.hears(event) == [("heard",)]


async def test_what_a_target_or_the_bot_itself_says_in_the_source_goes_nowhere(reader):
    reader.dispatcher.ours.add(ALICE)
    for author in (TARGET, ALICE):
        assert await reader.hears(says(author, "#idea")) == [("heard",)]
        assert await reader.hears(EditedMessage(says(author, "#idea"))) == [("heard",)]


@pytest.mark.parametrize(
    ("target", "heard"), [(PERSON, True), (ChatId(0), True), (ChatId(-1), False)]
)
async def test_a_person_who_is_a_target_may_be_an_author_as_well(target, heard):
    reader = Reader(route=wiring.route(GROUP, target))
    assert (await reader.hears(says(target, "#idea")) != [("heard",)]) is heard


async def test_an_edit_comes_behind_the_album_that_its_message_is_a_part_of(reader):
    message = says(ALICE)
    assert await reader.hears(EditedMessage(message)) == [
        ("heard",),
        ("finish_before", {message.id}, {GROUP}),
        ("edited", message),
    ]


async def test_a_deletion_comes_behind_the_albums_that_it_concerns(reader):
    assert await reader.hears(DeletedMessages(GROUP, (1, 2))) == [
        ("heard",),
        ("finish_before", {1, 2}, {GROUP}),
        ("deleted", GROUP, (1, 2)),
    ]


async def test_of_a_deletion_in_no_chat_only_basic_groups_are_meant(reader):
    """Of them, and of those that the source was before, the ids are told without a chat."""
    assert await reader.hears(DeletedMessages(None, (1,))) == [
        ("heard",),
        ("finish_before", {1}, set()),
    ]

    basic = Reader(route=wiring.route(BASIC, TARGET))
    assert ("deleted", BASIC, (1,)) in await basic.hears(DeletedMessages(None, (1,)))

    other = ChatId(-4343)
    moved = Reader(route=wiring.route(GROUP, TARGET, moved={BASIC: GROUP, other: ELSEWHERE}))
    said = await moved.hears(DeletedMessages(None, (1,)))
    assert [each for each in said if each[0] == "deleted"] == [("deleted", BASIC, (1,))]


async def test_what_cannot_be_read_is_passed_over_whatever_chat_it_is_of(reader):
    for chat in (GROUP, ELSEWHERE):
        event = UnreadableMessage(chat, 5, None, "unknown constructor")
        assert await reader.hears(event) == [("heard",), ("pass_over", event)]


@pytest.mark.parametrize("chat", [GROUP, TARGET])
async def test_once_a_chat_of_ours_has_moved_all_begins_anew(reader, chat):
    assert await reader.hears(MigratedChat(chat, ELSEWHERE)) == [
        ("heard",),
        ("finish",),
        ("record",),
        ("move_chat", chat, ELSEWHERE),
    ]
    assert reader.anew == 1


async def test_anothers_chat_that_moves_is_nothing_to_us(reader):
    assert await reader.hears(MigratedChat(BASIC, ELSEWHERE)) == [("heard",)]
    assert reader.anew == 0


async def test_how_far_it_has_come_is_no_news(reader):
    cursor = Cursor(GROUP, 5)
    assert await reader.hears(Reached(cursor)) == [("reached", cursor)]


async def test_once_told_to_stop_it_hears_nothing_and_no_cursor_moves_any_more(reader):
    reader.stopping.set()
    for event in (says(ALICE), Reached(Cursor(GROUP, 5)), DeletedMessages(GROUP, (1,))):
        assert await reader.hears(event) == [("freeze",)]


async def test_when_it_is_closed_the_albums_let_go(reader):
    reader.dispatcher.close()
    assert reader.said == [("forget",)]
