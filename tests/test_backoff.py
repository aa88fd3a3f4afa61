"""Pauses grow until something has worked for a while."""

from __future__ import annotations

from bot.backoff import Backoff, doubled


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_pauses_are_doubled_up_to_their_cap_however_often():
    assert [doubled(1, 30, n) for n in (0, 1, 2, 3, 4, 5, 6, 10_000)] == [
        1,
        2,
        4,
        8,
        16,
        30,
        30,
        30,
    ]


def test_the_first_attempt_is_made_at_once_and_each_further_one_later():
    backoff = Backoff(1, 30, lasting=60, clock=Clock())

    assert [backoff.pause() for _ in range(8)] == [0, 1, 2, 4, 8, 16, 30, 30]


def test_what_works_but_not_for_long_shortens_no_pause():
    clock = Clock()
    backoff = Backoff(1, 30, lasting=60, clock=clock)
    pauses = []
    for _ in range(7):
        backoff.works()
        clock.now += 59.9
        pauses.append(backoff.pause())

    assert pauses == [0, 1, 2, 4, 8, 16, 30]


def test_what_has_worked_for_a_while_begins_anew():
    clock = Clock()
    backoff = Backoff(1, 30, lasting=60, clock=clock)
    for _ in range(5):
        backoff.pause()
    backoff.works()
    clock.now += 60

    assert [backoff.pause(), backoff.pause()] == [0, 1]


def test_to_have_worked_once_counts_once():
    """Hours of failing attempts are not hours of work."""
    clock = Clock()
    backoff = Backoff(1, 30, lasting=60, clock=clock)
    backoff.works()
    backoff.pause()
    clock.now += 3600

    assert backoff.pause() == 1
