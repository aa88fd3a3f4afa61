"""Work for the one thread that has the tables."""

from __future__ import annotations

import asyncio
from threading import Event, get_ident

import pytest

from bot.storage.own_thread import OwnThread


@pytest.fixture
def own():
    thread = OwnThread("test")
    yield thread
    thread.end()


async def test_work_is_done_in_the_order_of_asking_and_in_one_other_thread(own):
    done = []

    def work(number):
        done.append(number)
        return number, get_ident()

    found = await asyncio.gather(*(own.do(lambda n=n: work(n)) for n in range(50)))

    assert done == [*range(50)]
    assert [number for number, _ in found] == done
    assert {thread for _, thread in found} != {get_ident()}
    assert len({thread for _, thread in found}) == 1


async def test_what_goes_wrong_is_raised_where_it_is_waited_for_and_nowhere_else(own):
    with pytest.raises(ZeroDivisionError):
        await own.do(lambda: 1 // 0)

    assert await own.do(lambda: 1) == 1


async def test_what_was_asked_for_is_done_even_if_nobody_waits_any_more(own):
    """Whether it goes well or not, those behind it are answered."""
    let_go, done = Event(), []
    waiting = [
        asyncio.create_task(own.do(let_go.wait)),
        asyncio.create_task(own.do(lambda: done.append(1))),
        asyncio.create_task(own.do(lambda: 1 // 0)),
    ]
    await asyncio.sleep(0)
    for each in waiting:
        each.cancel()
    await asyncio.wait(waiting)
    let_go.set()

    assert await own.do(lambda: 2) == 2
    assert done == [1]
    assert all(each.cancelled() for each in waiting)


def test_a_loop_that_was_closed_meanwhile_does_not_end_the_thread(own):
    """As where a test, or a command, is cut off."""
    let_go = Event()

    async def ask_and_go():
        asked = asyncio.create_task(own.do(let_go.wait))
        await asyncio.sleep(0)
        asked.cancel()

    asyncio.run(ask_and_go())
    let_go.set()

    async def ask():
        return await asyncio.wait_for(own.do(lambda: 3), 10)

    assert asyncio.run(ask()) == 3


async def test_the_end_comes_behind_what_was_asked_before():
    own, done = OwnThread("test"), []
    asked = asyncio.create_task(own.do(lambda: done.append(1)))
    await asyncio.sleep(0)
    own.end()

    await asked

    assert done == [1]
