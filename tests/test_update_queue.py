"""The queue between Telegram and the bot: in order, one at a time, and nothing of it is lost."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from bot.telegram.update_queue import UpdateQueue


class Reader:
    """Deals with what it is given; with what is `hard` only once it is `let`."""

    def __init__(self, *hard):
        self.hard = set(hard)
        self.let = asyncio.Event()
        self.begun, self.done = [], []

    async def __call__(self, update, _users, _chats):
        self.begun.append(update)
        if update in self.hard:
            await self.let.wait()
        self.done.append(update)


def fed(*updates):
    queue = UpdateQueue()
    for update in updates:
        queue.feed(update, {}, {})
    return queue


async def turns(number=9):
    for _ in range(number):
        await asyncio.sleep(0)


async def test_what_came_before_anybody_reads_is_read_first():
    queue, reader = fed("a", "b"), Reader()
    assert len(queue) == 2

    queue.read(reader)
    queue.feed("c", {}, {})
    await turns()

    assert reader.done == ["a", "b", "c"]
    assert len(queue) == 0


async def test_the_next_is_not_begun_before_the_last_is_done_with():
    """A reply must not overtake its signal."""
    queue, reader = fed("signal", "reply"), Reader("signal")
    queue.read(reader)
    await turns()
    assert reader.begun == ["signal"]

    reader.let.set()
    await turns()

    assert reader.done == ["signal", "reply"]


async def test_people_and_chats_come_with_the_update_that_names_them():
    queue, seen = UpdateQueue(), []

    async def deal(*update):
        seen.append(update)

    queue.feed("update", {1: "Alice"}, {-5: "Signals"})
    queue.read(deal)
    await queue.drain()

    assert seen == [("update", {1: "Alice"}, {-5: "Signals"})]


async def test_when_it_is_drained_all_that_waits_is_dealt_with_and_nothing_more():
    queue, reader = fed("a", "b", "c"), Reader("a")
    queue.read(reader)
    await turns()
    draining = asyncio.create_task(queue.drain())
    await turns()
    assert not draining.done()

    reader.let.set()
    await draining
    queue.feed("d", {}, {})
    await turns()

    assert reader.done == ["a", "b", "c"]
    assert len(queue) == 1


async def test_draining_that_takes_too_long_can_be_cut_off():
    queue, reader = fed("a", "b"), Reader("a")
    queue.read(reader)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await queue.drain()
    await turns()

    assert reader.begun == ["a"]
    assert reader.done == []


async def test_what_nobody_ever_read_is_drained_at_once():
    await fed("a").drain()


async def test_an_update_that_fails_is_told_and_holds_up_none_behind_it():
    done = []

    async def deal(update, _users, _chats):
        if update == "poison":
            raise ValueError(update)
        done.append(update)

    queue = fed("a", "poison", "b")
    queue.read(deal)
    with capture_logs() as logs:
        await queue.drain()

    assert done == ["a", "b"]
    assert [line["event"] for line in logs] == ["an update was not dealt with"]
