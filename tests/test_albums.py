"""Albums: messages of their own that people mean as one."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select

from bot.models import Cursor, Media, Reason
from bot.pipeline.albums import Albums
from bot.state.flow_tracker import FlowTracker
from bot.storage.schema import signal_updates
from tests import wiring
from tests.people import ALICE, BOB, GROUP, TARGET, at, says

PHOTO = Media("photo", "photo:1:2:3")
ROWS = select(signal_updates).order_by(signal_updates.c.id)


@pytest.fixture
async def intake(store, cache):
    flows = FlowTracker(store, cache, clock=lambda: at(0))
    yield wiring.intake(store, flows)
    await flows.close()


def part(author=ALICE, text="", **more):
    return says(author, text, media=PHOTO, album_id=9, **more)


def reasons(decisions):
    return [decision.reason for decision in decisions]


@pytest.mark.parametrize("captioned", [0, 1, 2])
async def test_the_marker_under_one_picture_means_them_all(intake, store, captioned):
    parts = [part(text="#idea" if number == captioned else "") for number in range(3)]

    decisions = await intake.take(parts)

    assert [decision.accepted for decision in decisions] == [True] * 3
    assert reasons(decisions)[captioned] is Reason.NEW_SIGNAL
    assert len({decision.signal_id for decision in decisions}) == 1
    assert await store.counts() == (1, 2, 0)


async def test_a_reply_to_any_picture_is_a_reply_into_the_flow(intake):
    parts = [part(text="#idea"), part()]
    await intake.take(parts)

    assert (await intake.handle(says(ALICE, "TP1", to=parts[1]))).reason is Reason.OWNER
    assert (await intake.handle(says(BOB, "TP1", to=parts[1]))).reason is Reason.NOT_THE_OWNER


async def test_an_album_without_a_marker_is_chatter(intake, store):
    assert reasons(await intake.take([part(), part()])) == [Reason.NOT_A_SIGNAL] * 2
    assert await store.counts() == (0, 0, 0)


async def test_an_album_that_is_refused_is_refused_as_a_whole(intake, store):
    parts = [part(), part(text="#idea", forwarded=True)]

    assert reasons(await intake.take(parts)) == [Reason.NOT_A_SIGNAL, Reason.FORWARDED]
    assert await store.counts() == (0, 0, 1)


async def test_the_pictures_of_a_reply_speak_for_themselves(intake):
    signal = says(ALICE, "#idea")
    await intake.handle(signal)

    by_alice = await intake.take([part(to=signal, text="#idea"), part(to=signal)])
    by_bob = await intake.take([part(BOB, to=signal), part(BOB, to=signal)])

    assert reasons(by_alice) == [Reason.OWNER] * 2
    assert reasons(by_bob) == [Reason.NOT_THE_OWNER] * 2


async def test_of_an_albums_reply_the_first_part_leads_and_all_are_rows_in_their_order(
    store, cache
):
    """Whatever its others answer: as Telegram sends it, only the first may say what that is."""
    flows = FlowTracker(store, cache, clock=lambda: at(0))
    intake = wiring.intake(store, flows, targets=[TARGET])
    signal = says(ALICE, "#idea")
    await intake.handle(signal)
    reply = [part(text="TP1", to=signal), part(), part()]

    decisions = await intake.take(reply)

    assert reasons(decisions) == [Reason.OWNER] * 3
    rows = await store.ask(lambda db: [*db.execute(ROWS)])
    assert [row.source_message_id for row in rows] == [each.id for each in reply]
    await flows.close()


async def test_the_same_album_a_second_time_changes_nothing(intake, store):
    parts = [part(text="#idea"), part()]
    await intake.take(parts)
    before = await store.counts()

    again = await intake.take(parts)

    assert not any(decision.accepted for decision in again)
    assert await store.counts() == before


@pytest.fixture
def taken():
    return []


@pytest.fixture
def albums(taken):
    async def take(messages):
        taken.append([message.id for message in messages])

    return Albums(take, lambda _cursor: None)


async def test_parts_are_held_until_another_message_ends_the_album(albums, taken):
    for message in (
        part(number=1),
        part(number=2),
        says(BOB, number=3),
        says(ALICE, album_id=10, number=4),
        part(number=5),
    ):
        await albums.hear(message)
    await albums.finish()

    assert taken == [[1, 2], [3], [4], [5]]


async def test_a_moments_silence_ends_an_album_too(taken):
    done = asyncio.Event()

    async def take(messages):
        taken.append([message.id for message in messages])
        done.set()

    albums = Albums(take, lambda _cursor: None)
    await albums.hear(part(number=1))
    await albums.hear(part(number=2))
    async with asyncio.timeout(5):
        await done.wait()

    assert taken == [[1, 2]]


async def test_what_happens_to_a_part_that_is_being_recorded_waits_until_it_is(taken):
    """Else a deletion would find nothing to delete, and the album would be posted after it."""
    may_go_on = asyncio.Event()

    async def take(messages):
        await may_go_on.wait()
        taken.append([message.id for message in messages])

    albums = Albums(take, lambda _cursor: None)
    await albums.hear(part(number=1))
    recording = asyncio.create_task(albums.finish())
    await asyncio.sleep(0)
    waiting = asyncio.create_task(albums.finish_before({1}))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()

    may_go_on.set()
    await waiting
    assert taken == [[1]]
    await recording


async def test_albums_of_two_sources_do_not_end_each_other_and_cursors_wait_for_both():
    """As two topics of a forum, or two basic groups, which share one update box."""
    taken, moved = [], []

    async def take(messages):
        taken.append([message.id for message in messages])

    albums = Albums(take, moved.append)
    await albums.hear(part(number=1), "one")
    await albums.hear(says(BOB, album_id=11, number=2), "two")
    await albums.hear(part(number=3), "one")
    cursor = Cursor(GROUP, 7)
    await albums.reached(cursor)
    await albums.hear(says(ALICE, number=4), "one")
    assert (taken, moved) == ([[1, 3], [4]], [])

    await albums.finish_before({2}, {GROUP})
    assert (taken, moved) == ([[1, 3], [4], [2]], [cursor])


class Gates:
    """A `sleep` that lasts until it is told to end."""

    def __init__(self):
        self.open, self.seconds = [], []

    async def sleep(self, seconds):
        self.seconds.append(seconds)
        self.open.append(asyncio.get_running_loop().create_future())
        await self.open[-1]

    async def end(self, number=-1):
        self.open[number].set_result(None)
        await turns()


async def turns():
    for _ in range(6):
        await asyncio.sleep(0)


class Held:
    """Albums whose time is played, what they gave, and which cursors moved."""

    def __init__(self, *, more_to_come=lambda: False):
        self.gates, self.said = Gates(), []
        self.albums = Albums(
            self.take, self.said.append, more_to_come=more_to_come, sleep=self.gates.sleep
        )

    async def take(self, messages):
        self.said.append([message.id for message in messages])


@pytest.fixture
def held():
    return Held()


async def test_an_album_ends_after_a_third_of_a_second_without_a_further_part(held):
    await held.albums.hear(part(number=1))
    await turns()
    await held.albums.hear(part(number=2))
    await turns()
    assert held.said == []

    await held.gates.end()

    assert held.said == [[1, 2]]
    assert held.gates.seconds == [0.3, 0.3]


async def test_a_part_that_comes_as_the_silence_ends_still_joins(held):
    await held.albums.hear(part(number=1))
    await turns()
    held.gates.open[0].set_result(None)
    await asyncio.sleep(0)  # the silence is over, and it is not the album's turn yet

    await held.albums.hear(part(number=2))
    await turns()
    assert held.said == []

    await held.gates.end()
    assert held.said == [[1, 2]]


async def test_while_more_is_to_come_silence_ends_nothing():
    """A difference may be cut in the midst of an album."""
    more = [True, True, False]
    held = Held(more_to_come=lambda: more.pop(0))
    await held.albums.hear(part(number=1))
    await turns()
    for said in ([], [], [[1]]):
        await held.gates.end()
        assert held.said == said


async def test_an_album_is_held_for_half_a_minute_at_most_whatever_is_to_come():
    held = Held(more_to_come=lambda: True)
    await held.albums.hear(part(number=1))
    await turns()
    while held.said == []:
        await held.gates.end()

    assert 29 < sum(held.gates.seconds) < 31


async def test_cursors_wait_for_the_album_before_them_and_move_behind_it(held):
    await held.albums.reached("before")
    await held.albums.hear(part(number=1))
    await held.albums.reached("first")
    await held.albums.reached("second")
    assert held.said == ["before"]

    await held.albums.finish()
    await held.albums.reached("after")

    assert held.said == ["before", [1], "first", "second", "after"]


async def test_only_what_happens_to_a_part_of_it_ends_an_album(held):
    await held.albums.hear(part(number=1))
    await held.albums.finish_before({2, 3})
    assert held.said == []

    await held.albums.finish_before({3, 1})
    assert held.said == [[1]]


async def test_what_was_let_go_is_given_to_nobody_when_its_silence_ends(held):
    """Its cursors have not moved, so it comes again."""
    await held.albums.hear(part(number=1))
    await turns()
    held.albums.forget()
    await turns()

    assert held.gates.open[0].cancelled()
    assert held.said == []
    Held().albums.forget()  # nothing was held
