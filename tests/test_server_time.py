"""Telegram's time, as its message ids tell it, and the ids that we make by it."""

from __future__ import annotations

import time

import pytest

from bot.telegram.server_time import MessageFactory, ServerTime, steady

DAY = 86_400
SECOND = 2**32


class Clocks:
    """The machine's idea of the time, which may be wrong and jump, and seconds that just pass."""

    def __init__(self, machine_is_ahead=0.0):
        self.telegram = 1_790_000_000.0
        self.wrong_by = machine_is_ahead

    def machine(self):
        return self.telegram + self.wrong_by

    def passed(self):
        return self.telegram - 1_789_999_000.0

    def time(self):
        return ServerTime(machine=self.machine, clock=self.passed)

    def its_id(self):
        return int(self.telegram * SECOND) | 1


@pytest.mark.parametrize("wrong_by", [-DAY, -3600, -100, -1, 0, 1, 120, 420, 3600, DAY])
def test_one_answer_tells_the_time_whatever_the_clock_of_the_machine_says(wrong_by):
    clocks = Clocks(wrong_by)
    telegram = clocks.time()
    asked = MessageFactory(telegram).message_id()
    clocks.telegram += 8  # the way there

    telegram.hear(clocks.its_id(), answers=asked)

    clocks.telegram += 8  # the way back, of which nobody knows how long it took
    assert abs(telegram.now() - clocks.telegram) <= 16
    assert telegram.machine_is_ahead == pytest.approx(wrong_by, abs=16)


def test_a_clock_that_is_set_while_we_run_changes_nothing():
    clocks = Clocks()
    telegram = clocks.time()
    telegram.hear(clocks.its_id())

    for jump in (3600, -7200, DAY):
        clocks.wrong_by += jump
        assert telegram.now() == pytest.approx(clocks.telegram, abs=0.001)


def test_time_that_passed_unseen_is_made_up_for_by_the_next_word():
    """As after the machine was suspended: the seconds that pass stood still."""
    clocks = Clocks()
    telegram = ServerTime(machine=clocks.machine, clock=lambda: 5.0)
    clocks.telegram += 3600

    telegram.hear(clocks.its_id())

    assert telegram.now() == pytest.approx(clocks.telegram, abs=0.001)


def test_an_old_message_that_comes_again_does_not_set_the_time_back():
    clocks = Clocks()
    telegram = clocks.time()
    old = clocks.its_id()
    clocks.telegram += 500
    telegram.hear(clocks.its_id())

    telegram.hear(old)

    assert telegram.now() == pytest.approx(clocks.telegram, abs=0.001)


def test_how_wrong_the_machine_is_is_not_said_before_telegram_was_heard():
    assert Clocks(3600).time().machine_is_ahead == 0
    assert not Clocks(3600).time().known


def test_ids_rise_within_a_session_even_while_the_time_goes_back():
    clocks = Clocks(3600)
    telegram = clocks.time()
    factory = MessageFactory(telegram)
    first = factory.message_id()
    telegram.hear(clocks.its_id(), answers=first)

    ids = [factory.message_id() for _ in range(1000)]

    assert ids == sorted({first, *ids})[1:]
    assert all(number % 4 == 0 for number in ids)
    assert factory.ahead == pytest.approx(3600, abs=1)
    assert MessageFactory(telegram).ahead == 0


def test_the_seconds_that_pass_are_counted_from_the_start_of_the_machine():
    """And not by the clock on its wall, which may be set; a suspended machine goes on counting."""
    assert time.monotonic() - 1 <= steady() < time.time() / 2
