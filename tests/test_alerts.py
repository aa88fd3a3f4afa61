"""What operators are told without asking, by a clock of our own."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from types import SimpleNamespace

import pytest

from bot.alerts import AT_MOST_EVERY, LOOK_EVERY, Alerts
from bot.errors import LoggedOut, RetryLater, TargetUnavailable
from bot.models import PostState
from tests.people import NOON, TARGET
from tests.test_relay import post

HOUR = 3600
WAIT = timedelta(minutes=10)


class Watch:
    """The alerts of a bot, and what its operators have read of them."""

    def __init__(self, *, silence=timedelta(hours=24)):
        self.now = NOON
        self.bot = SimpleNamespace(cache_disabled=False)
        self.read = []
        self.alerts = Alerts(
            self._tell, self.bot, silence=silence, clock=lambda: self.now, sleep=self._sleep
        )
        self.looks = []

    async def _tell(self, text):
        self.read.append(text)

    async def _sleep(self, seconds):
        self.looks.append(seconds)
        await asyncio.Event().wait()

    async def after(self, hours=0):
        """What was read so far, so many hours later."""
        self.now += round(hours * HOUR)
        self.alerts.look()
        await self.alerts.last_words()
        return self.read


@pytest.fixture
def watch():
    return Watch()


async def test_a_target_that_takes_nothing_is_told_once_an_hour(watch):
    for _ in range(3):
        watch.alerts.delayed(TargetUnavailable("refused: 400 CHANNEL_PRIVATE", TARGET), WAIT)
    (first,) = await watch.after()
    watch.now += AT_MOST_EVERY - 1
    watch.alerts.delayed(TargetUnavailable("refused", TARGET), WAIT)
    assert await watch.after() == [first]
    watch.now += 1
    watch.alerts.delayed(TargetUnavailable("refused", TARGET), WAIT)
    _, second = await watch.after()

    assert first == (
        f"Target {TARGET} takes nothing: refused: 400 CHANNEL_PRIVATE. "
        "Posts are kept, and tried again in 10 min."
    )
    assert second.endswith("It is one of 4 such since the last alert.")


async def test_each_kind_has_an_hour_of_its_own(watch):
    watch.alerts.delayed(TargetUnavailable("refused", TARGET), WAIT)
    watch.alerts.failed(post(5))
    watch.alerts.failed(post(6))
    watch.bot.cache_disabled = True

    assert len(await watch.after()) == 3


async def test_a_flood_wait_of_a_minute_is_no_trouble_and_a_longer_one_is_told(watch):
    minute = timedelta(seconds=60)
    watch.alerts.delayed(RetryLater("420 FLOOD_WAIT_60", after=minute), minute)
    watch.alerts.delayed(RetryLater("no answer"), WAIT)
    watch.alerts.done(post(1))
    assert await watch.after() == []

    watch.alerts.delayed(RetryLater("420 FLOOD_WAIT_600", after=WAIT), WAIT)
    (told,) = await watch.after()
    assert told.startswith("Telegram lets the bot do something again in 10 min only: ")
    assert "FLOOD_WAIT_600" in told


async def test_a_post_that_is_set_aside_is_told_with_its_number_and_its_source(watch):
    watch.alerts.set_aside(post(5))
    (told,) = await watch.after()
    assert "post 5 of https://t.me/c/1234567890/5" in told
    assert "set aside" in told


@pytest.mark.parametrize(
    ("state", "what"),
    [
        (PostState.PENDING, "Telegram refused a post: "),
        (PostState.EDIT, "Telegram refused an edit of a post, which stays as it is: "),
        (PostState.DELETE, "Telegram refused to delete a post: "),
    ],
)
async def test_a_post_that_fails_is_told_with_its_number_and_its_source(watch, state, what):
    watch.alerts.failed(post(5, state=state))
    assert await watch.after() == [
        f"{what}post 5 of https://t.me/c/1234567890/5. /retry tries again."
    ]


async def test_a_cache_that_goes_is_told_and_not_that_it_is_still_gone(watch):
    assert await watch.after() == []
    watch.bot.cache_disabled = True
    told = await watch.after()
    assert told == ["The flow cache cannot be used. The bot goes on without it, slower."]
    assert len(await watch.after(hours=5)) == 1
    watch.bot.cache_disabled = False
    await watch.after()
    watch.bot.cache_disabled = True

    assert len(await watch.after()) == 2


async def test_a_silent_source_is_told_every_so_many_hours(watch):
    await watch.after(hours=20)
    watch.alerts.heard()
    assert await watch.after(hours=23.9) == []
    assert await watch.after(hours=0.1) == [
        "Nothing was heard from the source for 1 d. Is the bot still in it?"
    ]
    assert len(await watch.after(hours=23.9)) == 1
    _, second = await watch.after(hours=0.1)
    assert "for 2 d." in second
    watch.alerts.heard()
    assert len(await watch.after(hours=23.9)) == 2


async def test_silence_is_golden_where_the_setting_says_so():
    assert await Watch(silence=None).after(hours=10_000) == []


async def test_a_login_that_is_lost_is_told_before_the_end(watch):
    watch.alerts.login_lost(LoggedOut("Telegram refused: 401 SESSION_REVOKED"))
    assert await watch.after() == ["The bot stops: Telegram refused: 401 SESSION_REVOKED"]


async def test_a_bot_that_ends_waits_for_nobody_to_be_told():
    async def tell(_text):
        await asyncio.Event().wait()

    alerts = Alerts(tell, SimpleNamespace(cache_disabled=False), silence=None, patience=0)
    alerts.login_lost(LoggedOut("void"))
    await asyncio.wait_for(alerts.last_words(), timeout=5)


async def test_alerts_are_told_as_they_come_and_the_rest_is_looked_for_every_minute(watch):
    running = asyncio.create_task(watch.alerts.run())
    watch.alerts.failed(post(5))
    while not (watch.read and watch.looks):
        await asyncio.sleep(0)
    running.cancel()

    assert watch.looks == [LOOK_EVERY]
    assert LOOK_EVERY == 60
