"""Refusals and cursors wait for each other, and are written together or not at all."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

import pytest

from bot.models import ChatId, Cursor, Decision, MessageId, Outcome, Reason, UnixTime
from tests.people import BOB, GROUP, says

REFUSED = Decision(Outcome.REJECTED, Reason.NOT_THE_OWNER)
ACCOUNT = ChatId(42)


@pytest.fixture
def written(tmp_path):
    """What another program sees in the tables: the cursors by box, and who was refused."""

    def written():
        with closing(sqlite3.connect(tmp_path / "signals.db")) as db:
            cursors = dict(db.execute("SELECT box, pts FROM cursors"))
            refusals = [
                number for (number,) in db.execute("SELECT source_message_id FROM decisions")
            ]
        return cursors, refusals

    return written


async def test_cursors_are_written_once_a_second_while_the_bot_runs(store, written):
    slept = []

    async def sleep(seconds):
        slept.append(seconds)
        if len(slept) > 1:
            await asyncio.Event().wait()

    store.reached(Cursor(GROUP, 7))
    running = asyncio.create_task(store.keep_writing(sleep=sleep))
    while len(slept) < 2:
        await asyncio.sleep(0)
    running.cancel()

    assert slept == [1.0, 1.0]
    assert written() == ({str(GROUP): 7}, [])


async def test_the_newest_cursor_of_each_box_is_written(store, written):
    for cursor in (Cursor(GROUP, 7), Cursor(ACCOUNT, 3), Cursor(GROUP, 9)):
        store.reached(cursor)
    assert written() == ({}, [])

    await store.flush()

    assert written() == ({str(GROUP): 9, str(ACCOUNT): 3}, [])


async def test_whoever_asks_how_far_all_is_recorded_is_told_what_waits_as_well(store):
    store.reached(Cursor(GROUP, 7))

    assert await store.cursor(GROUP) == Cursor(GROUP, 7)


async def test_a_cursor_is_found_as_it_was_given(store):
    """That there are messages to read again is told with it, until they are read."""
    for again in (True, False):
        given = Cursor(GROUP, 7, 3, UnixTime(1_770_000_000), MessageId(5), again=again)
        store.reached(given)
        assert await store.cursor(GROUP) == given


async def test_whatever_is_written_next_takes_them_along(store, written):
    await store.add_decision(says(BOB, number=5), REFUSED)
    store.reached(Cursor(GROUP, 7))

    await store.change(lambda _db: None)

    assert written() == ({str(GROUP): 7}, [5])


async def test_what_a_failed_transaction_did_not_write_is_written_later(store, written):
    def fails(_db):
        raise ZeroDivisionError

    await store.add_decision(says(BOB, number=5), REFUSED)
    store.reached(Cursor(GROUP, 7))
    with pytest.raises(ZeroDivisionError):
        await store.change(fails)
    assert written() == ({}, [])

    await store.flush()

    assert written() == ({str(GROUP): 7}, [5])


async def test_a_cursor_that_moves_on_while_it_is_written_is_not_lost(store, written):
    store.reached(Cursor(GROUP, 7))

    await store.change(lambda _db: store.reached(Cursor(GROUP, 8)))
    assert written() == ({str(GROUP): 7}, [])
    await store.flush()

    assert written() == ({str(GROUP): 8}, [])


async def test_all_is_written_when_the_store_was_closed(store, written):
    await store.add_decision(says(BOB, number=5), REFUSED)
    store.reached(Cursor(GROUP, 7))
    await store.close()

    assert written() == ({str(GROUP): 7}, [5])
