"""What is done next in a target, and what waits for what. Time is played, Telegram as well."""

from __future__ import annotations

import asyncio
import itertools
from datetime import timedelta

import pytest

from bot.delivery.relay import Relay
from bot.errors import RetryLater, TopicUnavailable
from bot.models import MessageId
from bot.posts import Method, PostState
from tests.people import TARGET
from tests.posts import FakeOutbox, FakeTelegram, post

FAILS = RetryLater("500 INTERNAL")


def flood(seconds):
    return RetryLater("420 FLOOD_WAIT", after=timedelta(seconds=seconds))


def posted(number, state, text="text"):
    return post(number, text, state=state, target_message_id=MessageId(number))


class Clock:
    """Stands still, unless somebody sleeps or moves it."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        until = self.now + seconds
        while self.now < until:
            await asyncio.sleep(0)


class Telegram(FakeTelegram):
    """Fails at what it is told to, each time, and tells when what was asked."""

    def __init__(self, clock, **fails):
        super().__init__()
        self.clock, self.fails, self.times = clock, fails, []
        self.slow = {}  # what is asked: until then it takes

    def _answer(self, what, *asked):
        self.times.append((self.clock.now - 1000, what, *asked[:1]))
        error = self.fails.get(what) or self.fails.get(str(asked[0]))
        if error is not None:
            self.asked.append((what, *asked))
            raise error
        return super()._answer(what, *asked)

    async def send_text(self, *what, topic=0, **more):
        for _ in range(5):  # others have their turns meanwhile
            await asyncio.sleep(0)
        return await super().send_text(*what, **more)

    async def edit(self, target, message_id, *more, source):
        while self.clock.now < self.slow.get("edit", 0):
            await asyncio.sleep(0)
        await super().edit(target, message_id, *more, source=source)


class Watch:
    def __init__(self):
        self.aside = []

    def done(self, post): ...

    def delayed(self, error, wait): ...

    def failed(self, post): ...

    def set_aside(self, post):
        self.aside.append(post.id)


class Scene:
    def __init__(self, *posts, outbox=None, **fails):
        self.clock, self.outbox, self.watch = Clock(), outbox or FakeOutbox(*posts), Watch()
        self.telegram = Telegram(self.clock, **fails)
        self.relay = Relay(
            self.outbox,
            self.telegram,
            TARGET,
            watch=self.watch,
            sleep=self.clock.sleep,
            jitter=lambda: 0.0,
            clock=self.clock,
        )

    async def __aenter__(self):
        self._running = asyncio.create_task(self.relay.run())
        await self.quiet()
        return self

    async def __aexit__(self, *_exc):
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)

    async def quiet(self):
        for _ in range(100):
            await asyncio.sleep(0)

    async def passes(self, seconds):
        for _ in range(seconds):
            self.clock.now += 1
            await self.quiet()

    async def gets(self, *posts):
        self.outbox.posts |= {each.id: each for each in posts}
        self.relay.wake()
        await self.quiet()

    def asked(self):
        return [asked[:2] for asked in self.telegram.asked]


@pytest.mark.parametrize("state", [PostState.EDIT, PostState.DELETE])
async def test_a_flood_wait_for_changes_of_one_kind_holds_neither_sends_nor_the_other_kind(state):
    what = state.value
    other = PostState.DELETE if state is PostState.EDIT else PostState.EDIT
    async with Scene(posted(1, state), **{what: flood(30)}) as scene:
        await scene.gets(post(2, "new"))
        await scene.gets(posted(3, other))
        assert scene.asked() == [(what, 1), ("text", "new"), (other.value, 3)]

        scene.telegram.fails.clear()
        await scene.passes(29)
        assert len(scene.asked()) == 3
        await scene.passes(1)
        assert scene.asked()[3:] == [(what, 1)]


async def test_a_flood_wait_for_sends_holds_no_edit_and_no_deletion_and_keeps_the_order():
    async with Scene(post(1, "one"), post(2, "two"), text=flood(30)) as scene:
        await scene.gets(posted(3, PostState.EDIT), posted(4, PostState.DELETE))
        assert scene.asked() == [("text", "one"), ("delete", 4), ("edit", 3)]

        scene.telegram.fails.clear()
        await scene.passes(30)
        assert scene.asked()[3:] == [("text", "one"), ("text", "two")]


async def test_a_new_message_does_not_wait_for_an_edit_that_is_under_way():
    async with Scene() as scene:
        scene.telegram.slow["edit"] = scene.clock.now + 3
        await scene.gets(posted(1, PostState.EDIT))
        await scene.gets(post(2, "new"))
        assert scene.asked() == [("text", "new")]

        await scene.passes(3)
        assert scene.asked() == [("text", "new"), ("edit", 1)]


async def test_while_new_messages_wait_one_change_is_made_for_four_of_them():
    new = [post(number, f"new {number}") for number in range(1, 13)]
    edits = [posted(number, PostState.EDIT) for number in range(20, 25)]
    async with Scene(*new, *edits) as scene:
        kinds = [what for what, *_ in scene.asked()]

    first = kinds[: kinds.index("edit") + 1]
    assert first.count("text") >= 4
    assert "edit" in kinds[: 4 + 2]  # and it does not wait for all of them
    assert kinds[:10].count("edit") <= 2
    assert kinds.count("edit") == 5


async def test_while_deletions_wait_every_fifth_change_is_an_edit():
    deletions = [posted(number, PostState.DELETE) for number in range(1, 13)]
    edits = [posted(number, PostState.EDIT) for number in range(20, 22)]
    async with Scene(*deletions, *edits) as scene:
        kinds = [what for what, *_ in scene.asked()]

    assert [number for number, kind in enumerate(kinds) if kind == "edit"] == [4, 9]


async def test_what_fails_for_two_minutes_while_others_go_through_is_set_aside_and_told():
    async with Scene(post(1, "poison"), post(2, "next"), poison=FAILS) as scene:
        await scene.passes(119)
        assert ("text", "next") not in scene.asked()
        await scene.passes(2)
        assert ("text", "next") in scene.asked()
        assert scene.outbox.aside == {1}
        assert scene.watch.aside == [1]

        await scene.gets(post(3, "newer"))
        assert scene.asked()[-1] == ("text", "newer")


@pytest.mark.long
async def test_what_is_set_aside_is_tried_again_with_growing_pauses_until_it_goes_through():
    async with Scene(post(1, "poison"), post(2, "next"), poison=FAILS) as scene:
        await scene.passes(200)
        asked = len(scene.telegram.times)
        await scene.passes(600)
        times = [at for at, *_ in scene.telegram.times[asked - 1 :]]
        pauses = [later - sooner for sooner, later in itertools.pairwise(times)]
        assert pauses == sorted(pauses)
        assert 2 <= len(pauses) <= 5

        scene.telegram.fails.clear()
        await scene.passes(1000)
        assert scene.outbox.states() == [PostState.SENT, PostState.SENT]


@pytest.mark.long
async def test_where_telegram_fails_at_everything_nothing_is_set_aside_and_the_order_stays():
    posts = [post(number, f"text {number}") for number in range(1, 6)]
    async with Scene(*posts, text=FAILS) as scene:
        await scene.passes(900)
        assert scene.outbox.aside == set()
        scene.telegram.fails.clear()
        scene.telegram.asked.clear()
        await scene.passes(120)

    assert [text for _, text in scene.asked()] == [f"text {number}" for number in range(1, 6)]
    assert scene.watch.aside == []


@pytest.mark.long
async def test_several_that_fail_are_all_set_aside():
    posts = [post(1, "poison"), post(2, "poison"), post(3, "good")]
    async with Scene(*posts, poison=FAILS) as scene:
        await scene.passes(400)
        assert scene.outbox.aside == {1, 2}
        assert scene.outbox.states()[2] is PostState.SENT


async def test_an_edit_that_always_fails_holds_no_other_edit_up_and_is_set_aside():
    bad, good = posted(1, PostState.EDIT), posted(2, PostState.EDIT, "good")
    async with Scene(bad, good, **{"1": FAILS}) as scene:
        await scene.passes(2)
        assert scene.outbox.states()[1] is PostState.SENT
        await scene.passes(120)
        await scene.gets(posted(3, PostState.EDIT))
        await scene.passes(120)
        assert scene.outbox.aside == {1}
        assert scene.outbox.states()[2] is PostState.SENT


async def test_a_flood_wait_for_sends_holds_what_is_set_aside_as_well():
    async with Scene(post(2, "flooded"), flooded=flood(30)) as scene:
        scene.outbox.aside.add(1)
        await scene.gets(post(1, "aside"))
        await scene.passes(20)
        assert ("text", "aside") not in scene.asked()

        scene.telegram.fails.clear()
        await scene.passes(20)
        assert scene.outbox.states() == [PostState.SENT, PostState.SENT]


async def test_a_flood_wait_of_what_is_set_aside_holds_sends_as_well():
    """Telegram told it for all of them."""
    async with Scene(flooded=flood(30)) as scene:
        scene.outbox.aside.add(1)
        await scene.gets(post(1, "flooded"))
        await scene.gets(post(2, "new"))
        await scene.passes(20)
        assert scene.asked() == [("text", "flooded")]

        scene.telegram.fails.clear()
        await scene.passes(11)
        assert scene.asked() == [("text", "flooded"), ("text", "new")]  # nobody has to wake it
        await scene.passes(60)
        assert scene.outbox.states() == [PostState.SENT, PostState.SENT]


class Forum(FakeOutbox):
    """Its posts have topics."""

    def _shut(self, closed, but):
        return {*but, *(each.id for each in self.posts.values() if each.topic in closed)}

    async def take_posts(self, target, method=None, *, but=(), closed=(), **which):
        return await super().take_posts(target, method, but=self._shut(closed, but), **which)

    async def take_aside(self, target, *, but=(), closed=()):
        return await super().take_aside(target, but=self._shut(closed, but))


async def test_a_topic_that_takes_nothing_is_tried_again_by_itself_and_holds_no_other_up():
    """Nothing of it is in doubt: Telegram has refused it."""
    closed = TopicUnavailable("400 TOPIC_CLOSED", TARGET, 5)
    forum = Forum(post(1, "one", topic=5), post(2, "two", topic=5), post(3, "three", topic=6))
    async with Scene(outbox=forum, one=closed) as scene:
        assert scene.asked() == [("text", "one"), ("text", "three")]
        assert forum.posts[1].sent_version is None
        await scene.passes(4)
        assert len(scene.asked()) == 2

        scene.telegram.fails.clear()
        await scene.passes(1)
        assert scene.asked()[2:] == [("text", "one"), ("text", "two")]


class Asked(FakeOutbox):
    """Notes what it is asked for, and lets a message be edited while it is being sent."""

    def __init__(self, *posts):
        super().__init__(*posts)
        self.looks, self.edited = [], {}

    async def take_posts(self, target, method=None, **which):
        self.looks.append(method)
        return await super().take_posts(target, method, **which)

    async def take_aside(self, target, **which):
        self.looks.append("aside")
        return await super().take_aside(target, **which)

    async def post_sent(self, post, message_id):
        await super().post_sent(post, message_id)
        if post.id in self.edited:
            self._set(post, state=PostState.EDIT, text=self.edited[post.id])


async def test_for_a_new_message_nobody_looks_for_anything_but_new_messages():
    async with Scene(outbox=Asked()) as scene:
        for number in range(1, 8):
            scene.outbox.posts[number] = post(number, "new")
            scene.outbox.looks.clear()
            scene.relay.wake(new_only=True)
            await scene.quiet()
            assert len(scene.asked()) == number
            assert set(scene.outbox.looks) == {Method.SEND}

        scene.outbox.looks.clear()
        scene.relay.wake()
        await scene.quiet()
        assert set(scene.outbox.looks) == {*Method, "aside"}


async def test_after_the_last_message_that_waits_nobody_looks_for_another():
    async with Scene(outbox=Asked(post(1, "old"), post(2, "old"))) as scene:
        await scene.quiet()
        assert scene.outbox.looks.count(Method.SEND) == 2

        scene.outbox.looks.clear()
        scene.outbox.posts |= {number: post(number, "new") for number in (3, 4)}
        scene.relay.wake(new_only=True)
        await scene.quiet()
        assert len(scene.asked()) == 4
        assert scene.outbox.looks == [Method.SEND] * 2


async def test_what_is_heard_of_while_the_last_one_is_being_sent_is_looked_for():
    async with Scene(outbox=Asked()) as scene:
        scene.outbox.posts[1] = post(1, "last")
        scene.relay.wake(new_only=True)
        while scene.outbox.posts[1].sent_version is None:  # it is not in hand yet
            await asyncio.sleep(0)
        scene.outbox.posts[2] = post(2, "next")
        scene.relay.wake(new_only=True)
        await scene.quiet()
        assert scene.asked() == [("text", "last"), ("text", "next")]


async def test_an_edit_that_is_heard_of_while_its_message_is_being_sent_is_made_behind_it():
    """Those who change messages look in vain then, and are not told again."""
    async with Scene(outbox=Asked(*(post(number, "old") for number in range(1, 5)))) as scene:
        scene.outbox.posts[5] = post(5, "new")
        scene.outbox.edited[5] = "edited"
        scene.relay.wake(new_only=True)
        while scene.outbox.posts[5].sent_version is None:  # it is not in hand yet
            await asyncio.sleep(0)
        scene.relay.wake()
        await scene.quiet()
        assert scene.asked()[4:] == [("text", "new"), ("edit", 704)]


async def test_what_was_in_doubt_is_looked_at_again_once_it_is_sent():
    """It may have been edited since it was taken first."""
    async with Scene(outbox=Asked()) as scene:
        scene.outbox.posts[1] = post(1, "new", sent_version=0)
        scene.outbox.edited[1] = "edited"
        scene.relay.wake(new_only=True)
        await scene.quiet()
        assert scene.asked() == [("text", "new"), ("edit", 700)]
