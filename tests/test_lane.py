"""A loop that deals with one thing after the other: its rests, its failures and its end."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from bot.delivery.lane import Lane, Lanes, run_all
from bot.errors import DatabaseUnavailable, LoggedOut

LONG = timedelta(seconds=40)


class Steps:
    """What each step leads to, and how long it was slept for; a sleep ends when the test says so."""

    def __init__(self, *results, patient=False, chance=0.0):
        self.results, self.taken, self.slept = list(results), 0, []
        self.slept_enough, self.ended = asyncio.Event(), False
        self.lane = Lane(self._step, patient=patient, sleep=self._sleep, jitter=lambda: chance)

    async def _step(self):
        self.taken += 1
        result = self.results.pop(0) if self.results else None
        if isinstance(result, Exception):
            raise result
        return result

    async def _sleep(self, seconds):
        self.slept.append(seconds)
        try:
            await self.slept_enough.wait()
        finally:
            self.ended = True


async def turns():
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
async def runs():
    running = []

    async def runs(steps):
        running.append(asyncio.create_task(steps.lane.run()))
        await turns()
        return running[-1]

    yield runs
    for each in running:
        each.cancel()
    await asyncio.gather(*running, return_exceptions=True)


@pytest.mark.parametrize(("chance", "seconds"), [(0.0, 40.0), (0.5, 42.0), (1.0, 44.0)])
async def test_a_rest_is_up_to_a_tenth_longer_by_chance_so_that_lanes_do_not_knock_in_step(
    runs, chance, seconds
):
    steps = Steps(LONG, chance=chance)
    await runs(steps)

    assert steps.slept == pytest.approx([seconds])
    assert steps.taken == 1
    steps.slept_enough.set()
    await turns()
    assert steps.taken == 2


@pytest.mark.parametrize("trouble", [DatabaseUnavailable("locked"), ZeroDivisionError()])
async def test_after_a_failure_the_same_is_tried_again_in_five_seconds(runs, trouble):
    steps = Steps(trouble, timedelta(0))
    await runs(steps)
    assert (steps.taken, steps.slept) == (1, [5.0])

    steps.slept_enough.set()
    await turns()
    assert (steps.taken, steps.slept) == (3, [5.0])


async def test_a_login_that_is_void_ends_it(runs):
    task = await runs(Steps(LoggedOut("revoked")))

    with pytest.raises(LoggedOut):
        await task


@pytest.mark.parametrize("patient", [True, False])
async def test_what_is_new_cuts_a_rest_short_unless_it_is_behind_what_waits(runs, patient):
    steps = Steps(LONG, patient=patient)
    await runs(steps)
    steps.lane.wake()
    await turns()

    assert steps.taken == (1 if patient else 2)
    assert steps.ended != patient


@pytest.mark.parametrize("patient", [True, False])
@pytest.mark.parametrize("result", [LONG, None], ids=["resting", "waiting"])
async def test_told_to_stop_it_ends_whatever_it_waits_for(runs, patient, result):
    steps = Steps(result, patient=patient)
    task = await runs(steps)
    steps.lane.stop()
    await turns()

    assert task.done()
    assert steps.taken == 1


async def test_with_nothing_to_do_it_waits_until_there_may_be_something(runs):
    steps = Steps()
    await runs(steps)
    assert (steps.taken, steps.slept) == (1, [])
    steps.lane.wake()
    await turns()

    assert steps.taken == 2


# ── several ──


async def test_what_ends_one_of_them_ends_the_others_first_and_is_raised():
    waits, fails = Steps(LONG), Steps(LoggedOut("revoked"))
    with pytest.raises(LoggedOut):
        await run_all([waits.lane, fails.lane])

    assert waits.ended


async def test_who_is_cancelled_leaves_none_of_them_running():
    steps = [Steps(LONG), Steps(LONG)]
    before = asyncio.all_tasks()
    running = asyncio.create_task(run_all([each.lane for each in steps]))
    await turns()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert asyncio.all_tasks() == before
    assert all(each.ended for each in steps)


class Two(Lanes):
    def __init__(self, *steps):
        super().__init__()
        self._lanes = tuple(each.lane for each in steps)

    @property
    def paused(self):
        return self._paused


async def test_they_are_woken_paused_and_stopped_together():
    steps = [Steps(), Steps()]
    both = Two(*steps)
    running = asyncio.create_task(both.run())
    await turns()
    both.pause()
    assert both.paused
    both.resume()
    assert not both.paused
    await turns()
    assert [each.taken for each in steps] == [2, 2]  # there may be something to do
    both.wake()
    await turns()
    assert [each.taken for each in steps] == [3, 3]
    both.stop()
    await running
