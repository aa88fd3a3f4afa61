"""What is done beside the work, by a clock of our own."""

from __future__ import annotations

import asyncio

import pytest

from bot.errors import DatabaseUnavailable
from bot.models import Decision, Outcome, Reason
from bot.monitoring.housekeeping import forget_old_refusals, keep_forgetting
from bot.signal_fields import SignalFields
from tests.people import ALICE, BOB, NOON, says

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
    """Looked for each day: nobody has to start the bot anew for that."""
    refused = says(BOB, "TP1", number=1)
    await store.add_decision(refused, REFUSED)

    naps = await keeps_forgetting(store, Hours(31, now=refused.at))
    assert (naps[0], set(naps[1:])) == (600, {86_400})  # a start has forgotten them already
    assert await store.is_refused(refused.ref)
    await keeps_forgetting(store, Hours(2, now=refused.at + 30 * DAY))
    assert not await store.is_refused(refused.ref)


async def test_before_telegram_has_told_the_time_nothing_is_forgotten(store):
    """And soon it is asked again: the first look is not to wait for a day."""
    refused = says(BOB, "TP1", number=1)
    await store.add_decision(refused, REFUSED)
    told = iter([None, None, refused.at + 31 * DAY])
    hours = Hours(4)
    with pytest.raises(asyncio.CancelledError):
        await keep_forgetting(store, clock=lambda: next(told), sleep=hours.sleep)

    assert hours.naps == [600, 600, 600, 86_400]
    assert not await store.is_refused(refused.ref)


async def test_a_start_forgets_by_the_newest_message_whatever_the_machine_says(store):
    """The machine of the tests is years ahead of these messages."""
    old, new = says(BOB, "TP1", number=1), says(BOB, "TP2", number=2, hours=29 * 24)
    for each in (old, new):
        await store.add_decision(each, REFUSED)
    await forget_old_refusals(store)
    assert await store.is_refused(old.ref)

    await store.add_signal(
        says(ALICE, "#idea", number=3, hours=31 * 24),
        author=ALICE,
        marker="#idea",
        fields=SignalFields(),
    )
    await forget_old_refusals(store)
    assert not await store.is_refused(old.ref)
    assert await store.is_refused(new.ref)


async def test_a_table_that_does_not_answer_is_asked_again_ten_minutes_later(store):
    class Locked:
        asked = 0

        async def prune_decisions(self, *, before):
            self.asked += 1
            raise DatabaseUnavailable("database is locked")

    table = Locked()
    assert await keeps_forgetting(table, Hours(3)) == [600, 600, 600]
    assert table.asked == 2
