"""What failed and is wanted again is read again: once, and not before somebody answers."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from bot.errors import DatabaseUnavailable, LoggedOut, RetryLater
from bot.models import MessageRef
from bot.pipeline.rereading import RetriedEvents
from bot.storage import failures
from tests.people import GROUP


def failed(number, *, again=7):
    """A failure; `again` is the order that wants it."""
    return SimpleNamespace(ref=MessageRef(GROUP, number), again=again)


class Scene:
    def __init__(self, *, known=(), wanted=(), trouble=()):
        self.known, self.wanted, self.trouble = list(known), list(wanted), list(trouble)
        self.said, self.asked, self.slept, self.known_at_most = [], 0, [], None
        self.events = RetriedEvents(self, self.read, self.expect, sleep=self.sleep)

    async def ask(self, query):
        if query is failures.wanted:
            self.asked += 1
            return self.wanted
        self.known_at_most = query.keywords["at_most"]
        if isinstance(self.known[0], Exception) if self.known else False:
            raise self.known[0]
        return self.known

    async def read(self, ref):
        if self.trouble:
            raise self.trouble.pop(0)
        self.said.append(("read", ref.message_id))

    def expect(self, ref):
        self.said.append(("expect", ref.message_id))

    async def sleep(self, seconds):
        self.slept.append(seconds)

    async def runs(self, *, and_then=lambda: None):
        running = asyncio.create_task(self.events.run())
        for _ in range(20):
            await asyncio.sleep(0)
        and_then()
        for _ in range(20):
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_what_failed_before_is_expected_from_the_start_a_thousand_at_most():
    scene = Scene(known=[failed(1), failed(2)])
    await scene.runs()

    assert scene.said == [("expect", 1), ("expect", 2)]
    assert scene.known_at_most == 1_000


async def test_where_it_is_not_known_what_failed_it_goes_on():
    scene = Scene(known=[DatabaseUnavailable("locked")], wanted=[failed(3)])
    await scene.runs()

    assert scene.said == [("expect", 3), ("read", 3)]


async def test_the_table_is_asked_at_the_start_and_once_whenever_something_is_wanted():
    scene = Scene()
    await scene.runs()
    assert scene.asked == 1

    woken = Scene()
    await woken.runs(and_then=woken.events.wake)
    assert woken.asked == 2


async def test_an_order_is_obeyed_once_and_another_one_again():
    scene = Scene(wanted=[failed(3)])
    await scene.runs(and_then=scene.events.wake)
    assert scene.said == [("expect", 3), ("read", 3)]

    anew = Scene(wanted=[failed(3)])
    await anew.runs(and_then=lambda: (anew.wanted.append(failed(3, again=8)), anew.events.wake()))
    assert anew.said == [("expect", 3), ("read", 3)] * 2


@pytest.mark.parametrize("trouble", [RetryLater("no answer"), DatabaseUnavailable("locked")])
async def test_what_cannot_be_read_yet_is_tried_again_in_half_a_minute(trouble):
    scene = Scene(wanted=[failed(3)], trouble=[trouble])
    await scene.runs()

    assert scene.slept == [30.0]
    assert scene.said == [("expect", 3), ("expect", 3), ("read", 3)]


async def test_a_login_that_is_void_ends_it():
    with pytest.raises(LoggedOut):
        await Scene(wanted=[failed(3)], trouble=[LoggedOut("revoked")]).events.run()
