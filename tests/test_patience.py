"""What the live bot does with an event while the tables do not answer."""

from __future__ import annotations

import asyncio

from bot.errors import DatabaseUnavailable
from bot.live import patiently


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


async def test_a_table_that_does_not_answer_holds_up_no_stop():
    stopping = asyncio.Event()
    stopping.set()
    table = Table(LOCKED)

    assert await patiently(table.work, stopping) is None
    assert table.asked == 1
