"""What becomes of events, one after the other: with the real tables and everything in between."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from bot.errors import DatabaseUnavailable
from bot.models import (
    ChatId,
    Cursor,
    DeletedMessages,
    EditedMessage,
    Media,
    MigratedChat,
    Outcome,
    Reached,
)
from bot.pipeline.patience import NotRecorded, patiently
from bot.posts import PostState
from bot.state.flow_tracker import FlowTracker
from tests import wiring
from tests.people import ALICE, BOB, CAROL, GROUP, TARGET, at, says

PHOTO = Media("photo", "photo:1:2:3")
ELSEWHERE = ChatId(-1005555555555)
PRIVATE = ChatId(1001)  # Alice's chat with the bot


class Heard:
    """A `Meter` that keeps what it was told."""

    def __init__(self):
        self.events = 0
        self.decisions = []

    def heard(self):
        self.events += 1

    def decided(self, decision, seconds, chat, topic=None):
        self.decisions.append(decision)


class StubbornTable:
    """The real tables, but for so many attempts they take no signal. `asking`: called at each."""

    def __init__(self, store, failures):
        self._store = store
        self._failures = failures
        self.asking = lambda: None
        self.asked = 0

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def add_signal(self, *args, **more):
        self.asked += 1
        self.asking()
        if self.asked <= self._failures:
            raise DatabaseUnavailable("locked")
        return await self._store.add_signal(*args, **more)


class House:
    """Everything between an event and the tables."""

    def __init__(self, store, cache, *, table=None, route=None):
        self.store = store
        self.stopping = asyncio.Event()
        self.meter = Heard()
        self.woken = self.anew = 0
        self.flows = FlowTracker(store, cache, clock=lambda: at(0))
        self.hearing = wiring.hearing(
            store,
            wiring.intake(table or store, self.flows, targets=[TARGET]),
            route or wiring.route(GROUP, TARGET),
            wake=self.wake,
            begin_anew=self.begin_anew,
            stopping=self.stopping,
            meter=self.meter,
        )

    def wake(self, **_):
        self.woken += 1

    def begin_anew(self):
        self.anew += 1

    async def hear(self, *events):
        for event in events:
            await self.hearing.hear(event)

    async def close(self):
        self.hearing.close()
        await self.flows.close()

    async def posts(self):
        return [(post.source.message_id, post.text) for post in await self._taken()]

    async def _taken(self):
        return await self.store.take_posts(TARGET)


@pytest.fixture
async def house(store, cache):
    house = House(store, cache)
    yield house
    await house.close()


@pytest.fixture
def stubborn(store, cache):
    """A function that gives a house whose tables fail so often; `then` happens at each attempt."""

    def build(failures, *, then):
        table = StubbornTable(store, failures)
        house = House(store, cache, table=table)
        table.asking = lambda: then(house)
        return house, table

    return build


# ── whose message it is ──


@pytest.mark.parametrize("chat", [ELSEWHERE, PRIVATE, TARGET])
async def test_a_signal_that_stands_in_another_chat_is_nobodys(house, chat):
    """A stranger's private `#idea` to the bot is not relayed, nor is one of any other group."""
    await house.hear(says(ALICE, "#idea BTC", chat_id=chat))

    assert await house.store.counts() == (0, 0, 0)
    assert house.meter.decisions == []


@pytest.mark.parametrize("chat", [ELSEWHERE, PRIVATE])
async def test_an_edit_and_a_deletion_in_another_chat_change_nothing_here(house, chat):
    """Ids are unique within a chat only: the same number elsewhere is another message."""
    signal = says(ALICE, "#idea BTC")
    await house.hear(signal)
    await house.hear(
        EditedMessage(replace(signal, chat_id=chat, text="#idea ETH")),
        DeletedMessages(chat, (signal.id,)),
    )

    assert await house.posts() == [(signal.id, "#idea BTC")]


async def test_a_deletion_without_a_chat_is_none_of_a_supergroup(house):
    """Telegram leaves the chat out for basic groups and people only."""
    signal = says(ALICE, "#idea BTC")
    await house.hear(signal, DeletedMessages(None, (signal.id,)))

    assert await house.posts() == [(signal.id, "#idea BTC")]


async def test_what_the_target_brings_back_is_no_news(house):
    await house.hear(says(TARGET, "#idea BTC"))

    assert await house.store.counts() == (0, 0, 0)


async def test_an_edit_wakes_the_relay_and_is_posted_as_it_stands(house):
    signal = says(ALICE, "#idea BTC")
    await house.hear(signal)
    woken = house.woken
    await house.hear(EditedMessage(replace(signal, text="#idea BTC, stop 90")))

    assert house.woken == woken + 1
    assert await house.posts() == [(signal.id, "#idea BTC, stop 90")]


async def test_a_message_that_comes_again_is_taken_as_it_was_edited_meanwhile(house):
    signal = says(ALICE, "#idea BTC")
    await house.hear(signal, replace(signal, text="#idea BTC, stop 90"))

    assert [decision.outcome for decision in house.meter.decisions] == [
        Outcome.SIGNAL,
        Outcome.DUPLICATE,
    ]
    assert await house.posts() == [(signal.id, "#idea BTC, stop 90")]


async def test_a_deleted_message_that_was_never_posted_is_not_posted(house):
    signal = says(ALICE, "#idea BTC")
    await house.hear(signal, DeletedMessages(GROUP, (signal.id,)))

    assert await house.posts() == []


# ── albums ──


async def test_a_deletion_that_comes_while_an_album_is_held_still_deletes_its_part(house, store):
    first, second = (says(ALICE, text, media=PHOTO, album_id=9) for text in ("#idea", ""))
    await house.hear(first, second, DeletedMessages(GROUP, (second.id,)))

    assert await house.posts() == [(first.id, "#idea")]
    assert (await store.counts()).updates == 1


async def test_a_migration_finds_the_album_recorded(house, store):
    """What is held when the group moves would be lost with the old group."""
    part = says(ALICE, "#idea", media=PHOTO, album_id=9)
    await house.hear(part, MigratedChat(GROUP, ELSEWHERE))

    assert (await store.counts()).signals == 1


# ── chats that move ──


@pytest.mark.parametrize("moved", [GROUP, TARGET])
async def test_a_chat_of_ours_that_moves_is_written_down_and_all_begins_anew(house, store, moved):
    await house.hear(MigratedChat(moved, ELSEWHERE))

    assert await store.moved_chats() == {moved: ELSEWHERE}
    assert house.anew == 1


async def test_anothers_chat_that_moves_is_nothing_to_us(house, store):
    await house.hear(MigratedChat(ELSEWHERE, GROUP))

    assert await store.moved_chats() == {}
    assert house.anew == 0


# ── how far all is recorded ──


async def test_a_cursor_is_written_once_all_before_it_is_recorded(house, store):
    await house.hear(says(ALICE, "#idea"), Reached(Cursor(GROUP, 7)))
    await house.close()

    assert await store.cursor(GROUP) == Cursor(GROUP, 7)


async def test_no_cursor_passes_an_album_that_is_held(house, store):
    part = says(ALICE, "#idea", media=PHOTO, album_id=9)
    await house.hear(part, Reached(Cursor(GROUP, 7)))
    await house.close()

    assert await store.cursor(GROUP) is None


async def test_once_told_to_stop_nothing_more_is_heard_and_no_cursor_moves(house, store):
    """It comes again at the next start, so what lies behind the last recorded one must stay there."""
    await house.hear(says(ALICE, "#idea"), Reached(Cursor(GROUP, 7)))
    house.stopping.set()
    await house.hear(says(ALICE, "#idea, too"), Reached(Cursor(GROUP, 8)))
    await house.close()

    assert (await store.counts()).signals == 1
    assert await store.cursor(GROUP) != Cursor(GROUP, 8)


async def test_what_is_in_hand_when_told_to_stop_is_still_recorded(stubborn, store):
    house, _table = stubborn(0, then=lambda house: house.stopping.set())
    await house.hear(says(ALICE, "#idea"))
    await house.close()

    assert (await store.counts()).signals == 1


async def test_what_was_not_recorded_when_told_to_stop_is_passed_by_no_cursor(stubborn, store):
    """So it comes again at the next start; an order to stop waits for no table."""
    house, table = stubborn(99, then=lambda house: house.stopping.set())
    await house.hear(says(ALICE, "#idea"), Reached(Cursor(GROUP, 8)))
    await house.close()

    assert table.asked == 1
    assert (await store.counts()).signals == 0
    assert await store.cursor(GROUP) is None


async def test_no_cursor_passes_an_album_that_was_not_recorded_when_told_to_stop(stubborn, store):
    house, _table = stubborn(99, then=lambda house: house.stopping.set())
    part = says(ALICE, "#idea", media=PHOTO, album_id=9)
    await house.hear(part, Reached(Cursor(GROUP, 8)), says(BOB))
    await house.close()

    assert (await store.counts()).signals == 0
    assert await store.cursor(GROUP) is None


# ── tables in trouble ──


async def test_a_table_that_does_not_answer_is_asked_until_it_does():
    """However often: nothing is passed over because a disk was full for an hour."""
    asked = 0

    async def work():
        nonlocal asked
        asked += 1
        if asked <= 12:
            raise DatabaseUnavailable("locked")
        return "recorded"

    assert await patiently(work, asyncio.Event(), pause=0) == "recorded"
    assert asked == 13


async def test_told_to_stop_while_the_table_does_not_answer_it_is_said_that_it_was_not_recorded():
    stopping = asyncio.Event()
    asked = 0

    async def work():
        nonlocal asked
        asked += 1
        stopping.set()
        if asked == 1:
            raise DatabaseUnavailable("locked")

    with pytest.raises(NotRecorded):
        await patiently(work, stopping, pause=0)


async def test_an_event_is_recorded_even_if_the_order_to_stop_came_first():
    stopping = asyncio.Event()
    stopping.set()

    async def work():
        return "recorded"

    assert await patiently(work, stopping) == "recorded"


# ── what is not the event's alone ──


async def test_the_parts_of_an_album_are_recorded_below_their_own_signal_only(house, store):
    """An author's unmarked album joins no flow, whatever albums there were before."""
    first = [says(ALICE, text, media=PHOTO, album_id=9) for text in ("#idea", "")]
    other = [says(ALICE, text, media=PHOTO, album_id=10) for text in ("our flat", "")]
    await house.hear(*first, *other, says(BOB))

    assert await store.counts() == (1, 1, 0)
    assert [number for number, _ in await house.posts()] == [part.id for part in first]


async def test_a_part_that_comes_late_joins_its_album_and_no_other(house, store):
    albums = {
        number: says(ALICE, f"#idea {number}", media=PHOTO, album_id=number) for number in (9, 10)
    }
    await house.hear(*albums.values(), says(BOB))
    late = says(ALICE, media=PHOTO, album_id=10)
    await house.hear(late, says(BOB))

    signal = await store.signal_at(*albums[10].ref)
    assert signal is not None
    assert await store.signal_at(*late.ref) == signal


async def test_anothers_part_does_not_join_an_album(house, store):
    """Least of all where the flow is released: then the table would take it from anybody."""
    signal = says(ALICE, "#idea")
    pictures = says(BOB, "TP1", media=PHOTO, album_id=9, to=signal, hours=100)
    await house.hear(signal, pictures, says(BOB))
    await house.hear(says(CAROL, media=PHOTO, album_id=9, hours=100), says(BOB))

    assert await store.counts() == (1, 1, 0)


async def test_all_parts_of_an_albums_reply_are_recorded_and_posted(house, store):
    signal = says(ALICE, "#idea")
    reply = [says(ALICE, text, media=PHOTO, album_id=9, to=signal) for text in ("TP1", "")]
    await house.hear(signal, *reply, says(BOB))

    (taken,) = await store.take_posts(TARGET)
    await store.post_sent(taken, taken.source.message_id)
    assert (await store.counts()).updates == 2
    assert [number for number, _ in await house.posts()] == [part.id for part in reply]
    assert taken.state is PostState.PENDING
