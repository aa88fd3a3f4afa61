"""When a followed chat counts as one that cannot be read, by a clock of our own."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from pyrogram import raw
from pyrogram.errors import ChannelPrivate

from bot.errors import RetryLater, TargetUnavailable
from bot.models import ChatId
from bot.telegram.reachability import Reachability
from tests.boxes import BARE, CHANNEL, ME, NOW, container
from tests.loopback.tl import make

types = raw.types
SMALL = ChatId(-77)
CLOSED = TargetUnavailable("Telegram refused: 400 CHANNEL_PRIVATE", CHANNEL)
SILENT = RetryLater("no answer from Telegram (TimeoutError)")


def channel(**more):
    return make(types.Channel, id=BARE, title="Signals", photo=None, date=NOW, **more)


def group(**more):
    return make(
        types.Chat,
        id=77,
        title="Small",
        photo=None,
        date=NOW,
        version=1,
        participants_count=2,
        **more,
    )


class Watch:
    """Looks that are taken when a test says so, at the chats as Telegram shows them."""

    def __init__(self):
        self.now = float(NOW)
        self.shown = {"GetChannels": channel(), "GetChats": group()}
        self.asked_for_news = 0
        self.naps = []
        self.due = asyncio.Event()
        self.reachability = Reachability(
            self,
            [CHANNEL, SMALL],
            account=ME,
            ask=self.ask,
            clock=lambda: self.now,
            sleep=self._sleep,
        )

    def ask(self):
        self.asked_for_news += 1

    async def _sleep(self, seconds):
        self.naps.append(seconds)
        await self.due.wait()
        self.due.clear()

    async def peer(self, chat_id):
        return types.InputPeerChannel(channel_id=-(10**12) - chat_id, access_hash=1)

    async def call(self, query):
        found = self.shown[type(query).__name__]
        if isinstance(found, Exception):
            raise found
        return types.messages.Chats(chats=[found])

    async def looks(self):
        """One more look at all chats."""
        before = len(self.naps)
        self.due.set()
        while len(self.naps) == before:
            await asyncio.sleep(0)

    @property
    def unreadable(self):
        return [(each.chat, each.error) for each in self.reachability.unreadable()]


@pytest.fixture
async def watch():
    watch = Watch()
    task = asyncio.create_task(watch.reachability.run())
    while not watch.naps:
        await asyncio.sleep(0)
    yield watch
    assert not task.done()
    task.cancel()


OUTSIDE = {
    "banned": make(types.ChannelForbidden, id=BARE, access_hash=1, title="Signals"),
    "left": channel(left=True),
    "refused": ChannelPrivate(),
}


@pytest.mark.parametrize("how", OUTSIDE)
async def test_a_channel_that_we_are_not_in_any_more_cannot_be_read_until_we_are(watch, how):
    """It is looked at every 30 seconds, and as often asked for what is new."""
    assert watch.unreadable == []
    watch.shown["GetChannels"] = OUTSIDE[how]
    await watch.looks()
    ((chat, error),) = watch.unreadable
    assert (chat, error.startswith("not a member any more (")) == (CHANNEL, True)
    assert watch.asked_for_news == 1

    watch.shown["GetChannels"] = channel()
    await watch.looks()
    assert watch.unreadable == []
    assert watch.asked_for_news == 3  # once more by the clock, and at once for what was missed
    assert set(watch.naps) == {30}


@pytest.mark.parametrize(
    "gone",
    [
        make(types.ChatForbidden, id=77, title="Small"),
        types.ChatEmpty(id=77),
        group(deactivated=True),
        group(left=True),
    ],
    ids=["removed", "unknown", "deleted", "left"],
)
async def test_a_basic_group_that_we_are_not_in_any_more_cannot_be_read(watch, gone):
    """What is said there meanwhile is lost to us."""
    watch.shown["GetChats"] = gone
    await watch.looks()
    (found,) = watch.reachability.unreadable()
    assert (found.chat, found.lost) == (SMALL, True)


async def test_a_basic_group_that_became_a_supergroup_is_no_trouble(watch):
    moved = types.InputChannel(channel_id=BARE, access_hash=1)
    watch.shown["GetChats"] = group(deactivated=True, migrated_to=moved)
    await watch.looks()
    assert watch.unreadable == []


FORBIDDEN = types.ChatParticipantsForbidden(chat_id=77)
REMOVED = make(
    types.MessageService,
    id=1,
    peer_id=types.PeerChat(chat_id=77),
    date=NOW,
    action=types.MessageActionChatDeleteUser(user_id=ME),
)


@pytest.mark.parametrize(
    "update",
    [
        types.UpdateChannel(channel_id=BARE),
        types.UpdateChatParticipants(participants=FORBIDDEN),
        types.UpdateNewMessage(message=REMOVED, pts=2, pts_count=1),
    ],
    ids=lambda update: type(update).__name__,
)
async def test_what_is_pushed_of_our_coming_and_going_is_looked_into_at_once(watch, update):
    for other in (types.UpdateChannel(channel_id=BARE + 1), types.UpdateConfig()):
        watch.reachability.hear(container(other))
        await asyncio.sleep(0)
        assert len(watch.naps) == 1
    watch.shown = {"GetChannels": OUTSIDE["banned"], "GetChats": group(left=True)}
    watch.reachability.hear(container(update))
    async with asyncio.timeout(5):
        while len(watch.naps) == 1:
            await asyncio.sleep(0)
    assert len(watch.unreadable) == 2


async def test_a_look_that_is_not_answered_says_nothing(watch):
    watch.shown["GetChannels"] = TimeoutError()
    await watch.looks()
    assert watch.unreadable == []


async def test_a_look_that_fails_inside_is_not_the_last_one(watch):
    watch.shown["GetChannels"] = ValueError("a bug")
    await watch.looks()
    watch.shown["GetChannels"] = OUTSIDE["banned"]
    await watch.looks()
    assert len(watch.unreadable) == 1


# ── what was asked for news ──


async def test_news_that_are_refused_are_trouble_at_once_until_they_are_given(watch):
    watch.reachability.failed(CHANNEL, CLOSED, 2)
    assert watch.unreadable == [(CHANNEL, "Telegram refused: 400 CHANNEL_PRIVATE")]
    assert watch.reachability.unreadable()[0].again_at == NOW + 2
    watch.reachability.answered(CHANNEL)
    assert watch.unreadable == []


async def test_what_goes_wrong_once_is_no_trouble_and_what_lasts_is(watch):
    """It has lasted since it was asked for first, however often it was asked for again."""
    watch.reachability.asked(CHANNEL)
    for _ in range(3):
        watch.now += 4
        watch.reachability.failed(CHANNEL, SILENT, 2)
        assert watch.unreadable == []
        watch.reachability.asked(CHANNEL)
    watch.now += 3
    assert watch.unreadable == [(CHANNEL, "no answer from Telegram (TimeoutError)")]
    assert watch.reachability.unreadable()[0].since == NOW

    watch.reachability.connected()
    assert watch.unreadable == []


async def test_a_clock_that_is_put_back_hides_no_trouble(watch):
    """Once it is known not to pass by itself."""
    watch.reachability.failed(CHANNEL, SILENT, 2)
    watch.now -= 86_400
    assert watch.unreadable == []
    watch.now += 14
    watch.reachability.failed(CHANNEL, SILENT, 2)
    assert watch.unreadable == []
    watch.now += 2
    assert watch.unreadable == [(CHANNEL, "no answer from Telegram (TimeoutError)")]


@pytest.mark.parametrize(("seconds", "troubled"), [(3, 0), (86_400, 1)])
async def test_a_long_flood_wait_is_trouble_and_a_short_one_is_not(watch, seconds, troubled):
    wait = RetryLater("Telegram refused: 420 FLOOD_WAIT", after=timedelta(seconds=seconds))
    watch.reachability.failed(CHANNEL, wait, seconds)
    assert len(watch.unreadable) == troubled


async def test_the_accounts_box_counts_for_the_basic_groups_in_it(watch):
    watch.reachability.failed(ME, CLOSED, 2)
    assert [chat for chat, _ in watch.unreadable] == [SMALL]
    other = Reachability(watch, [CHANNEL], account=ME, ask=watch.ask)
    other.failed(ME, CLOSED, 2)
    assert other.unreadable() == []
