"""What the live bot does with an event while the tables do not answer."""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from bot.errors import DatabaseUnavailable, DatabaseUnusable, RetryLater
from bot.pipeline.patience import GivenUp, NotRecorded, end, patiently


class Table:
    def __init__(self, *script):
        self.script = list(script)
        self.asked = 0

    async def work(self):
        self.asked += 1
        answer = self.script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


LOCKED = DatabaseUnavailable("database is locked")


async def test_an_event_waits_until_the_table_answers():
    table = Table(LOCKED, LOCKED, "recorded")

    assert await patiently(table.work, asyncio.Event(), pause=0.001) == "recorded"


async def test_what_is_in_hand_when_the_bot_is_told_to_stop_is_still_recorded():
    stopping = asyncio.Event()
    stopping.set()

    assert await patiently(Table("recorded").work, stopping) == "recorded"


async def test_a_table_that_does_not_answer_holds_up_no_stop_and_the_event_is_to_come_again():
    stopping = asyncio.Event()
    stopping.set()
    table = Table(LOCKED)

    with pytest.raises(NotRecorded):
        await patiently(table.work, stopping)
    assert table.asked == 1


async def test_a_damaged_table_is_waited_for_as_well():
    table = Table(DatabaseUnusable("malformed"), "recorded")

    assert await patiently(table.work, asyncio.Event(), pause=0.001) == "recorded"


async def test_a_task_that_misses_its_cancellation_is_cancelled_again():
    """As one does in a library's call that is answered at the same moment."""
    told = []

    async def stubborn():
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                told.append("once more")
                if len(told) == 2:
                    raise

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await end([task], patience=0.01)

    assert task.cancelled()


@pytest.mark.long
async def test_an_event_that_fails_by_itself_does_not_hold_up_the_others_for_ever():
    """It is given up with the error on one line, without control characters or broken letters."""
    table = Table(*[ValueError("a bug\n\x1b[31m\ud800")] * 5)

    with pytest.raises(GivenUp, match=r"^ValueError: a bug \[31m\?$"):
        await patiently(table.work, asyncio.Event(), pause=0.001)
    assert table.asked == 5


@pytest.mark.long
async def test_of_a_long_error_two_hundred_characters_are_kept():
    table = Table(*[ValueError("x" * 500)] * 5)

    with pytest.raises(GivenUp) as caught:
        await patiently(table.work, asyncio.Event(), pause=0.001)
    assert len(str(caught.value)) == 200


@pytest.mark.long
async def test_an_error_of_the_table_is_told_without_what_somebody_wrote():
    written = {"text": "what Alice wrote"}
    error = IntegrityError("INSERT", written, sqlite3.IntegrityError("UNIQUE constraint failed"))

    with pytest.raises(GivenUp, match=r"^IntegrityError: UNIQUE constraint failed$"):
        await patiently(Table(*[error] * 5).work, asyncio.Event(), pause=0.001)


@pytest.mark.long
@pytest.mark.parametrize(
    ("trouble", "pauses"),
    [
        ([ValueError("a bug")] * 4, [1, 2, 4, 8]),
        ([LOCKED] * 7, [1, 2, 4, 8, 16, 30, 30]),
        ([RetryLater("flood", after=timedelta(seconds=40)), LOCKED], [40, 30]),
    ],
    ids=["of its own", "the table's", "Telegram's"],
)
async def test_an_event_is_tried_again_after_pauses_that_grow_to_half_a_minute(trouble, pauses):
    """A bug that shows for a moment has passed by the fifth try; Telegram's wish is obeyed."""
    rests = []

    async def rest(_stopping, seconds):
        rests.append(seconds)

    table = Table(*trouble, "recorded")
    assert await patiently(table.work, asyncio.Event(), rest=rest) == "recorded"
    assert rests == pauses
