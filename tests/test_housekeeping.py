"""What is done beside the work, by a clock of our own."""

from __future__ import annotations

import asyncio

import pytest

from bot.errors import DatabaseUnavailable
from bot.models import Decision, Outcome, Reason
from bot.monitoring.housekeeping import keep_forgetting
from tests.people import BOB, NOON, says

DAY = 86_400
REFUSED = Decision(Outcome.REJECTED, Reason.NOT_THE_OWNER)


class Hours:
    """A clock that goes on when somebody sleeps. Ends the work after so many naps."""

    def __init__(self, naps, *, now=NOON):
        self.now = now
        self.left = naps
        self.naps = []

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        self.naps.append(seconds)
        self.now += seconds
        self.left -= 1
        if not self.left:
            raise asyncio.CancelledError


async def keeps_forgetting(table, hours):
    with pytest.raises(asyncio.CancelledError):
        await keep_forgetting(table, clock=hours, sleep=hours.sleep)
    return hours.naps


@pytest.mark.long
async def test_refusals_are_forgotten_after_thirty_days_while_the_bot_runs(store):
    """Looked for each hour: nobody has to start the bot anew for that."""
    refused = says(BOB, "TP1", number=1)
    await store.add_decision(refused, REFUSED)

    naps = await keeps_forgetting(store, Hours(30 * 24 + 1, now=refused.at))
    assert set(naps) == {3600}
    assert await store.is_refused(refused.ref)
    await keeps_forgetting(store, Hours(3, now=refused.at + 30 * DAY))
    assert not await store.is_refused(refused.ref)


async def test_a_table_that_does_not_answer_is_asked_again_an_hour_later(store):
    class Locked:
        asked = 0

        async def prune_decisions(self, *, before):
            self.asked += 1
            raise DatabaseUnavailable("database is locked")

    table = Locked()
    assert await keeps_forgetting(table, Hours(3)) == [3600, 3600, 3600]
    assert table.asked == 2
