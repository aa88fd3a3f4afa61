"""How it goes in each place, by a clock of our own: what moves, what stands in the way, and of whom."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.delivery.progress import Places
from bot.errors import RetryLater
from bot.models import ChatId
from bot.posts import Backlog, PostState
from tests.clock import Clock
from tests.people import NOON, TARGET
from tests.posts import post

OTHER = ChatId(TARGET - 1)
PROGRAM = ChatId(-(2**62) - 5)
FLOOD = RetryLater("420 FLOOD_WAIT_600", after=timedelta(minutes=10))


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def places(clock):
    return Places([TARGET, OTHER, PROGRAM], names={PROGRAM: "desk"}, clock=clock)


def of(places, target):
    facts = dict(zip((TARGET, OTHER, PROGRAM), places.facts({}), strict=True))
    return facts[target]["moved_at"], facts[target]["delayed_until"], facts[target]["error"]


@pytest.mark.parametrize("what", ["done", "failed", "set_aside"])
def test_a_line_moves_whatever_becomes_of_its_first_one(clock, places, what):
    """Those behind it have their turn. What stood in the way does so no more."""
    places[TARGET].delayed(FLOOD, timedelta(minutes=10))
    clock.now += 60
    assert of(places, TARGET) == (NOON, NOON + 600, "420 FLOOD_WAIT_600")
    getattr(places[TARGET], what)(post())

    assert of(places, TARGET) == (NOON + 60, None, None)
    assert of(places, OTHER) == (NOON, None, None)


def test_a_clock_that_is_put_back_hides_no_place_that_stands_still(clock, places):
    """It is told as late as if nothing had got done since then."""
    waits = {TARGET: Backlog(2, NOON + 1)}
    clock.now -= 86_400
    assert list(places.stalled(waits)) == []
    clock.now += 301
    assert len(list(places.stalled(waits))) == 1


@pytest.mark.parametrize("what", ["done", "failed"])
@pytest.mark.parametrize("state", [PostState.EDIT, PostState.DELETE])
def test_changes_move_no_line(clock, places, what, state):
    clock.now += 60
    getattr(places[TARGET], what)(replace(post(), state=state))

    assert of(places, TARGET)[0] == NOON


def test_one_that_goes_on_begins_anew_and_no_other_does(clock, places):
    clock.now += 60
    places.resumed(OTHER)
    assert [of(places, each)[0] for each in (TARGET, OTHER)] == [NOON, NOON + 60]

    clock.now += 60
    places.resumed()
    assert [of(places, each)[0] for each in (TARGET, OTHER)] == [NOON + 120] * 2


def test_what_is_known_of_a_place_that_stays_is_known_still_when_others_come_and_go(clock, places):
    places[TARGET].delayed(FLOOD, timedelta(minutes=10))
    clock.now += 60
    new = ChatId(OTHER - 1)
    places.follow([TARGET, new], {new: "vip"})

    kept, begun = places.facts({TARGET: Backlog(7, NOON)})
    assert kept == {
        "chat": TARGET,
        "name": None,
        "moved_at": NOON,
        "pending": 7,
        "oldest_pending_at": NOON,
        "delayed_until": NOON + 600,
        "error": "420 FLOOD_WAIT_600",
    }
    assert (begun["chat"], begun["name"], begun["moved_at"]) == (new, "vip", NOON + 60)
    assert (begun["pending"], begun["error"]) == (None, None)


def test_a_program_has_a_name_and_no_chat(places):
    told = [(each["chat"], each["name"]) for each in places.facts({})]

    assert told == [(TARGET, None), (OTHER, None), (None, "desk")]


def test_a_line_stands_still_after_five_minutes_in_which_posts_wait_and_none_is_sent(clock, places):
    waits = {TARGET: Backlog(2, NOON), OTHER: Backlog(0, None), ChatId(-5): Backlog(1, NOON)}

    def told():
        return [line.partition(": ")[2] for line in places.stalled(waits)]

    clock.now += 300
    assert told() == []

    clock.now += 1
    (line,) = places.stalled(waits)
    assert line == f"target {TARGET}: nothing got done for 5 min, posts that wait: 2"
    places[TARGET].delayed(FLOOD, timedelta(minutes=10))
    why = "nothing got done for 5 min: 420 FLOOD_WAIT_600, tried again in 10 min"
    assert told() == [f"{why}, posts that wait: 2"]
    clock.now += 600
    why = "nothing got done for 15 min: 420 FLOOD_WAIT_600, being tried again"
    assert told() == [f"{why}, posts that wait: 2"]
