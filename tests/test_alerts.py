"""What operators are told without asking, by a clock of our own."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from types import SimpleNamespace

import pytest

from bot.admin.alerts import Alerts
from bot.admin.silence import heard_from
from bot.errors import DatabaseUnavailable, LoggedOut, RetryLater, TargetUnavailable
from bot.models import (
    ChatId,
    ChatTrouble,
    DeletedMessages,
    EditedMessage,
    MessageId,
    MessageRef,
    UnreadableChat,
)
from bot.monitoring.supervision import ToldTable
from bot.posts import PostState
from bot.routes import Routes, Source
from tests.alerts import PROGRAM, Forgetful, Watch
from tests.people import ALICE, GROUP, NOON, TARGET, says
from tests.posts import post

OTHER = ChatId(TARGET - 1)
FORUM = ChatId(-1003456789012)
SMALL_GROUP = ChatId(-5_000_001)
WAIT = timedelta(minutes=10)


@pytest.fixture
def watch():
    return Watch()


async def test_a_program_that_takes_nothing_is_named_by_its_place_and_not_by_a_number(watch):
    watch.alerts.delayed(TargetUnavailable("the webhook answered 404", PROGRAM), WAIT)
    (said,) = await watch.after()

    assert said.startswith("Target desk takes nothing: the webhook answered 404. ")


async def test_a_target_that_takes_nothing_is_told_once_an_hour(watch):
    for _ in range(3):
        watch.alerts.delayed(TargetUnavailable("refused: 400 CHANNEL_PRIVATE", TARGET), WAIT)
    (first,) = await watch.after()
    watch.now += 3599
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
    watch.alerts.delayed(RetryLater("flood", after=timedelta(hours=1)), WAIT)
    watch.alerts.set_aside(post(8))
    watch.bot.cache_disabled = True

    assert len(await watch.after()) == 5


async def test_two_targets_have_an_hour_each(watch):
    for target in (TARGET, OTHER, TARGET):
        watch.alerts.delayed(TargetUnavailable("refused", target), WAIT)

    assert [text.split()[1] for text in await watch.after()] == [str(TARGET), str(OTHER)]


# ── over restarts ──


async def test_a_bot_that_starts_again_does_not_repeat_itself_within_the_hour(store):
    """Nor is a new trouble kept back because of an old one."""
    first = Watch(told=ToldTable(store))
    first.alerts.delayed(TargetUnavailable("refused", TARGET), WAIT)
    assert len(await first.after()) == 1

    second = Watch(told=ToldTable(store), now=NOON + 1800)
    await second.alerts.begin()
    second.alerts.delayed(TargetUnavailable("refused", TARGET), WAIT)
    second.alerts.delayed(TargetUnavailable("refused", OTHER), WAIT)
    assert [text.split()[1] for text in await second.after()] == [str(OTHER)]
    second.alerts.delayed(TargetUnavailable("refused", TARGET), WAIT)
    second.now += 1800
    second.alerts.delayed(TargetUnavailable("refused", TARGET), WAIT)
    told = await second.after()
    assert told[-1].startswith(f"Target {TARGET}")
    assert told[-1].endswith("It is one of 3 such since the last alert.")


@pytest.mark.parametrize("years", [1, 30])
async def test_a_clock_that_was_fast_keeps_nobody_in_the_dark_for_more_than_an_hour(store, years):
    first = Watch(told=ToldTable(store), now=NOON + years * 365 * 86_400)
    first.alerts.delayed(TargetUnavailable("refused", TARGET), WAIT)
    await first.after()

    second = Watch(told=ToldTable(store))
    await second.alerts.begin()
    second.now += 3600
    second.alerts.delayed(TargetUnavailable("refused", TARGET), WAIT)
    assert len(await second.after()) == 1

    second.now -= 86_400  # and one that is put back while the bot runs
    second.alerts.delayed(TargetUnavailable("refused", TARGET), WAIT)
    second.now += 3600
    second.alerts.delayed(TargetUnavailable("refused", TARGET), WAIT)
    assert len(await second.after()) == 2


# ── sources ──


def closed(chat, *, lost=False):
    error = "not a member any more (removed or banned)"
    return UnreadableChat(chat, NOON, error, "add it to the chat again", None, lost=lost)


async def test_a_source_that_cannot_be_read_is_told_and_so_is_that_it_can_again(watch):
    watch.sources = [closed(GROUP)]
    assert await watch.after() == [
        (
            f"Source {GROUP} cannot be read: not a member any more (removed or banned); "
            "add it to the chat again."
        )
    ]
    assert len(await watch.after(hours=5)) == 1
    watch.sources = []
    _, again = await watch.after()
    assert again == f"Source {GROUP} can be read again; what was missed is caught up with."
    assert len(await watch.after(hours=5)) == 2


async def test_a_source_that_a_file_names_is_told_by_its_name_and_its_id(watch):
    watch.bot.source_called = lambda chat: f"majors ({chat})"
    watch.sources = [closed(GROUP)._replace(name="majors")]
    watch.troubles = [
        ChatTrouble(TARGET, NOON, "vip: may not post", False, False, True, name="vip")
    ]
    await watch.after()
    watch.sources, watch.troubles = [], []
    told = await watch.after()

    assert told[0].startswith(f"Source majors ({GROUP}) cannot be read: ")
    assert told[1] == "It does not work yet: vip: may not post."
    assert told[2].startswith(f"Source majors ({GROUP}) can be read again; ")
    assert told[3] == f"Chat vip ({TARGET}) is as it should be now."


async def test_of_a_basic_group_it_is_said_that_nothing_can_be_caught_up_with(watch):
    watch.sources = [closed(SMALL_GROUP, lost=True)]
    await watch.after()
    watch.sources = []
    _, again = await watch.after()
    assert again.endswith("what was said in this basic group meanwhile, Telegram does not tell.")


async def test_without_a_connection_nobody_says_that_a_source_can_be_read_again(watch):
    watch.sources = [closed(GROUP)]
    await watch.after()
    watch.sources, watch.bot.connected_since = [], None
    assert len(await watch.after()) == 1


async def test_a_source_that_can_be_read_after_a_restart_is_told_once_that_is_certain(store):
    first = Watch(told=ToldTable(store))
    first.sources = [closed(GROUP)]
    await first.after()

    second = Watch(told=ToldTable(store), now=NOON + 600)
    await second.alerts.begin()
    assert await second.after() == []
    second.now += 60
    assert await second.after() == [
        f"Source {GROUP} can be read again; what was missed is caught up with."
    ]
    third = Watch(told=ToldTable(store), now=NOON + 700)
    await third.alerts.begin()
    assert await third.after(hours=1) == []


async def test_what_could_not_be_dealt_with_is_told_with_its_link_and_the_error(watch):
    watch.alerts.event_failed(MessageRef(GROUP, MessageId(5)), "a message: ValueError: a bug")
    assert await watch.after() == [
        (
            "What happened to https://t.me/c/1234567890/5 could not be dealt with: a message: "
            "ValueError: a bug. /retry https://t.me/c/1234567890/5 reads it again."
        )
    ]


async def test_a_flood_wait_of_a_minute_is_no_trouble_and_a_longer_one_is_told(watch):
    minute = timedelta(seconds=60)
    watch.alerts.delayed(RetryLater("420 FLOOD_WAIT_60", after=minute), minute)
    watch.alerts.delayed(RetryLater("no answer"), WAIT)
    watch.alerts.delayed(DatabaseUnavailable("locked"), WAIT)
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
    watch.alerts.heard("main")
    assert await watch.after(hours=23.9) == []
    assert await watch.after(hours=0.1) == [
        "Nothing was heard from the source for 1 d. Is the bot still in it?"
    ]
    assert len(await watch.after(hours=23.9)) == 1
    _, second = await watch.after(hours=0.1)
    assert "for 2 d." in second
    watch.alerts.heard("main")
    assert len(await watch.after(hours=23.9)) == 2


async def test_each_source_is_silent_by_itself_and_is_named(watch):
    """The busy one hides nothing, and two that fall silent in one hour are both told, over a restart too."""
    watch.names = {
        "majors": (ChatId(-1), "source majors"),
        "scalps": (ChatId(-2), "source scalps"),
        "swings": (ChatId(-3), "source swings"),
    }
    await watch.after(hours=20)
    watch.alerts.heard("majors")
    told = await watch.after(hours=4)

    assert told == [
        "Nothing was heard from source scalps for 1 d. Is the bot still in it?",
        "Nothing was heard from source swings for 1 d. Is the bot still in it?",
    ]
    watch.alerts.heard("scalps")
    (*_, majors) = await watch.after(hours=20)
    assert majors.startswith("Nothing was heard from source majors for 1 d.")
    assert len(told) == 3


async def test_a_source_that_comes_later_is_not_silent_from_before(watch):
    await watch.after(hours=23)
    watch.names = {**watch.names, "late": (ChatId(-1), "source late")}
    await watch.after(hours=0.5)
    told = await watch.after(hours=23)

    assert [text.split(" for ")[0] for text in told] == ["Nothing was heard from the source"]


@pytest.mark.parametrize(
    ("event", "sources"),
    [
        (says(ALICE), ["majors"]),
        (EditedMessage(says(ALICE)), ["majors"]),
        (says(ALICE, chat_id=FORUM, topic=7), ["t7"]),
        (says(ALICE, chat_id=FORUM, topic=9), []),
        (DeletedMessages(FORUM, (MessageId(1),)), ["t5", "t7"]),
        (DeletedMessages(None, (MessageId(1),)), []),
        (says(ALICE, chat_id=ChatId(ALICE)), []),
    ],
)
def test_what_is_heard_is_of_the_source_whose_message_it_is(event, sources):
    routes = Routes(
        (Source("majors", GROUP), Source("t5", FORUM, topic=5), Source("t7", FORUM, topic=7)),
        named=True,
    )
    assert heard_from(event, routes) == sources


async def test_silence_is_golden_where_the_setting_says_so():
    assert await Watch(silence=None).after(hours=10_000) == []


async def test_a_login_that_is_lost_is_told_before_the_end(watch):
    watch.alerts.login_lost(LoggedOut("Telegram refused: 401 SESSION_REVOKED"))
    assert await watch.after() == ["The bot stops: Telegram refused: 401 SESSION_REVOKED"]


async def test_a_bot_that_ends_waits_for_nobody_to_be_told():
    async def tell(_text):
        await asyncio.Event().wait()

    alerts = Alerts(
        tell, SimpleNamespace(cache_disabled=False), Forgetful(), silence=None, patience=0
    )
    alerts.login_lost(LoggedOut("void"))
    await asyncio.wait_for(alerts.last_words(), timeout=5)


class Hasty(asyncio.SelectorEventLoop):
    """Waits for nothing, and knows how long it should have."""

    def __init__(self):
        super().__init__()
        self.waits = []

    def call_at(self, when, callback, *args, context=None):
        self.waits.append(when - self.time())
        return super().call_at(self.time(), callback, *args, context=context)


def test_the_last_words_take_three_seconds_at_the_most():
    """Whoever ends the bot waits for them."""

    async def tell(_text):
        await asyncio.Event().wait()

    async def ends():
        alerts = Alerts(tell, SimpleNamespace(cache_disabled=False), Forgetful(), silence=None)
        alerts.login_lost(LoggedOut("void"))
        await alerts.last_words()
        return asyncio.get_running_loop().waits

    with asyncio.Runner(loop_factory=Hasty) as runner:
        (wait,) = runner.run(ends())
    assert 2 < wait <= 3


async def test_alerts_are_told_as_they_come_and_the_rest_is_looked_for_every_few_seconds(watch):
    running = asyncio.create_task(watch.alerts.run())
    watch.alerts.failed(post(5))
    async with asyncio.timeout(5):
        while not (watch.read and watch.looks):
            await asyncio.sleep(0)
        watch.bot.cache_disabled = True
        watch.due.set()
        while len(watch.read) < 2:
            await asyncio.sleep(0)
    running.cancel()

    assert "The flow cache cannot be used" in watch.read[1]
    assert watch.looks == [5, 5]


async def test_a_chat_in_which_the_bot_may_not_work_is_told_once_and_so_is_that_it_may(watch):
    """What a start has found; in other words when something else is in the way."""
    hidden = ChatTrouble(GROUP, NOON, "cannot read", source=True, outside=False, stops=True)
    watch.troubles = [hidden]
    watch.alerts.look()
    await watch.after(hours=1)
    watch.troubles = []
    watch.alerts.look()

    assert await watch.after() == [
        "It does not work yet: cannot read.",
        f"Chat {GROUP} is as it should be now.",
    ]


async def test_what_is_no_source_any_more_is_not_said_to_be_well_again(watch):
    """It was taken out of the file, since it could not be read."""
    watch.sources = [UnreadableChat(GROUP, NOON, "banned", "ask there", None)]
    watch.troubles = [
        ChatTrouble(OTHER, NOON, "may not post", source=False, outside=False, stops=True)
    ]
    told = list(await watch.after())
    watch.alerts.follow({TARGET})
    watch.sources = watch.troubles = []
    assert await watch.after(hours=2) == told
    assert len(told) == 2
