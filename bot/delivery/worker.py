"""What is done next in one target chat, and when.

A new message waits for nothing but those before it. Changes of what is posted (deletions first, then
edits, each to its newest version) are made beside it and not after it, since an edit may take
Telegram seconds. While new messages wait, one change is made for every four of them, so that
changes neither starve nor use up what Telegram lets us send. One post is only ever in one lane:
whoever was not sent yet is in the line, and what is to be changed has been sent.

A flood wait is told for a method (https://core.telegram.org/api/errors#420-flood), and holds that
one. Texts, media and albums count as one: they are one line in source order, and Telegram counts
them together for a chat.

What keeps failing without a reason, while others of its kind go through, is set aside and tried
again apart from the line.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import structlog

from bot.backoff import doubled
from bot.delivery.lane import AT_ONCE, Lane, Lanes
from bot.errors import AccountLimited, RetryLater, TargetUnavailable, TopicUnavailable
from bot.posts import Method, PostState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence

    from bot.models import ChatId
    from bot.posts import Post

log = structlog.get_logger(__name__)

RETRY: Final = timedelta(seconds=1)  # doubled with each attempt
RETRY_AT_MOST: Final = timedelta(minutes=1)
UNAVAILABLE: Final = timedelta(seconds=5)  # doubled with each attempt
UNAVAILABLE_AT_MOST: Final = timedelta(minutes=10)
LIMITED: Final = timedelta(minutes=1)  # doubled with each attempt
LIMITED_AT_MOST: Final = timedelta(hours=1)
OVERDUE: Final = 120.0  # seconds of failing, then others are let by
ASIDE: Final = timedelta(minutes=1)  # doubled with each attempt
ASIDE_AT_MOST: Final = timedelta(hours=1)
BEFORE_A_CHANGE: Final = 4  # new messages, while such wait; deletions, while an edit waits


class Line(Protocol):
    """The outbox, as far as order goes. Raises `DatabaseError`."""

    async def take_posts(
        self,
        target: ChatId,
        method: Method | None = None,
        *,
        but: Collection[int] = (),
        after: int = 0,
        closed: Collection[int] = (),
    ) -> list[Post]: ...

    async def take_aside(
        self, target: ChatId, *, but: Collection[int] = (), closed: Collection[int] = ()
    ) -> list[Post]: ...

    async def post_delayed(self, post: Post, error: str, *, in_doubt: bool) -> None: ...

    async def set_aside(self, post: Post) -> None: ...


class Watch(Protocol):
    """Told what becomes of posts."""

    def done(self, post: Post) -> None:
        """It was sent, edited or deleted, as its state asked for."""

    def delayed(self, error: Exception, wait: timedelta) -> None: ...

    def failed(self, post: Post) -> None: ...

    def set_aside(self, post: Post) -> None:
        """It keeps failing without a reason; others go before it now."""


class Unwatched:
    """A `Watch` that looks away."""

    def done(self, post: Post) -> None: ...

    def delayed(self, error: Exception, wait: timedelta) -> None: ...

    def failed(self, post: Post) -> None: ...

    def set_aside(self, post: Post) -> None: ...


class Watches:
    """Several that are told what becomes of posts: `own` of this target, `shared` of all targets."""

    def __init__(self, shared: Iterable[Watch], *own: Watch) -> None:
        self._shared = shared  # others may join while it runs
        self._own = own

    def done(self, post: Post) -> None:
        for watch in (*self._own, *self._shared):
            watch.done(post)

    def delayed(self, error: Exception, wait: timedelta) -> None:
        for watch in (*self._own, *self._shared):
            watch.delayed(error, wait)

    def failed(self, post: Post) -> None:
        for watch in (*self._own, *self._shared):
            watch.failed(post)

    def set_aside(self, post: Post) -> None:
        for watch in (*self._own, *self._shared):
            watch.set_aside(post)


class Trouble(NamedTuple):
    wait: timedelta
    told: bool  # Telegram gave a reason, or a time: it is not this post's own


UNKNOWN: Final = Trouble(timedelta(0), told=False)  # what it ended in, if in an error of our own


class Worker(Lanes):
    """`deliver` does what is to be done with one post, or with the parts of an album. It raises
    `RetryLater`, `TargetUnavailable` and `LoggedOut`. `clock` is monotonic, in seconds. `in_order`:
    nothing goes before what fails, for however long it does.
    """

    def __init__(
        self,
        line: Line,
        deliver: Callable[[Sequence[Post]], Awaitable[None]],
        target: ChatId,
        *,
        watch: Watch,
        sleep: Callable[[float], Awaitable[None]],
        jitter: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
        in_order: bool = False,
    ) -> None:
        super().__init__()
        self._line = line
        self._in_order = in_order
        self._deliver = deliver
        self._target = target
        self._watch = watch
        self._clock = clock
        self._sends = Lane(self._send_next, patient=True, sleep=sleep, jitter=jitter)
        self._changes = Lane(self._change_next, patient=False, sleep=sleep, jitter=jitter)
        self._aside = Lane(self._aside_next, patient=False, sleep=sleep, jitter=jitter)
        self._topics = Lane(self._topics_next, patient=False, sleep=sleep, jitter=jitter)
        self._lanes = (self._sends, self._changes, self._aside, self._topics)
        self._closed: dict[int, float] = {}  # topics that take nothing, until when
        self._idle: set[Method] = set()  # of which nothing waits, unless we were told since
        self._told = 0  # times of what is more than new messages
        self._sending = True  # there is something new to send, as far as we know
        self._sent = 0  # since the last change
        self._deleted = 0  # since the last edit
        self._held: dict[Method, float] = {}  # until when
        self._sends_held = 0.0  # until when, for what is set aside
        self._turn: dict[Method, int] = {}  # the post that was changed last
        self._failing: dict[int, float] = {}  # post to since when
        self._worked: dict[Method, float] = {}  # when it last did
        self._again: dict[int, tuple[int, float]] = {}  # set aside: attempts, when to try next

    def wake(self, *, new_only: bool = False) -> None:
        if new_only:
            self._idle.discard(Method.SEND)
            self._sends.wake()
        else:
            self._told += 1
            self._idle.clear()
            super().wake()

    async def post_next(self) -> timedelta | None:
        """One step of one lane, of the first that has something to do or to wait for."""
        self._idle.clear()
        for step in (self._send_next, self._change_next, self._aside_next, self._topics_next):
            pause = await step()
            if pause is not None:
                return pause
        return None

    # ── the lanes ──

    async def _send_next(self) -> timedelta | None:
        """The next in source order, whatever else there is to do."""
        if self._paused:
            return None
        if held := self._held_for(Method.SEND):
            self._let_changes_by()
            return held
        told = self._told
        posts = await self._take(Method.SEND)
        self._sending = bool(posts)
        if not posts:
            self._let_changes_by()
            return None
        trouble: Trouble | None = UNKNOWN
        try:
            trouble = await self._attempt(posts)
        finally:
            if self._told != told or trouble is not None or not all(map(_is_new, posts)):
                self._idle.clear()  # there may be more to do with them now
        if trouble is None or await self._give_way(posts, trouble):
            self._sent += 1
            self._changes.wake()
            return AT_ONCE
        if trouble.told:
            self._sends_held = self._clock() + trouble.wait.total_seconds()
        self._let_changes_by()
        return min(trouble.wait, self._until_overdue(posts))

    def _let_changes_by(self) -> None:
        self._sending = False
        self._changes.wake()

    async def _change_next(self) -> timedelta | None:
        """The next deletion, or the next edit."""
        if self._paused or (self._sending and self._sent < BEFORE_A_CHANGE):
            return None
        posts = await self._next_change()
        if not posts:
            waits = [self._held_for(method) for method in (Method.EDIT, Method.DELETE)]
            return min((wait for wait in waits if wait), default=None)
        post, method = posts[0], posts[0].method
        self._sent = 0
        self._deleted = 0 if method is Method.EDIT else self._deleted + 1
        self._turn[method] = post.id
        trouble = await self._attempt(posts)
        self._idle.clear()
        self._sends.wake()  # a text may have become longer
        if trouble is not None and not await self._give_way(posts, trouble):
            # Not a rest: a change of the other kind is not to wait for it.
            self._hold(method, trouble.wait)
        return AT_ONCE

    async def _next_change(self) -> list[Post]:
        methods = [Method.DELETE, Method.EDIT]
        if self._deleted >= BEFORE_A_CHANGE:
            methods.reverse()
        for method in methods:
            if self._held_for(method):
                continue
            after = self._turn.get(method, 0)
            posts = await self._take(method, after=after)
            if posts:
                return posts
        return []

    async def _aside_next(self) -> timedelta | None:
        """What is set aside and due; each after pauses of its own."""
        now = self._clock()
        if self._paused:
            return None
        if now < self._sends_held:
            return timedelta(seconds=self._sends_held - now)
        early = {post: due for post, (_, due) in self._again.items() if due > now}
        posts = await self._line.take_aside(self._target, but=early.keys(), **self._but_closed())
        if not posts:
            self._again = {post: self._again[post] for post in early}
            return timedelta(seconds=min(early.values()) - now) if early else None
        trouble = await self._attempt(posts)
        if trouble is None:
            self.wake()
        else:
            self._put_off(posts, trouble)
        return AT_ONCE

    async def _topics_next(self) -> timedelta | None:
        """A topic that took nothing is tried again after a while; the others do not wait for it."""
        now = self._clock()
        for topic in [topic for topic, until in self._closed.items() if until <= now]:
            del self._closed[topic]
            self.wake()
        return timedelta(seconds=min(self._closed.values()) - now) if self._closed else None

    async def _take(self, method: Method, **which: Any) -> list[Post]:
        """Nothing is asked where the answer is known."""
        if method in self._idle:
            return []
        self._idle.add(method)  # before it is asked: of what comes meanwhile we are told
        more = True
        try:
            posts = await self._ask(method, **which)
            more = any(post.more for post in posts)
        finally:
            if more:
                self._idle.discard(method)
        return posts

    async def _ask(self, method: Method, **which: Any) -> list[Post]:
        return await self._line.take_posts(self._target, method, **which, **self._but_closed())

    def _but_closed(self) -> dict[str, Any]:
        """As an argument, where there are any."""
        return {"closed": tuple(self._closed)} if self._closed else {}

    def _put_off(self, posts: Sequence[Post], trouble: Trouble) -> None:
        if trouble.told and posts[0].method is Method.SEND:
            self._hold(Method.SEND, trouble.wait)
        for post in posts:
            tries = self._again.get(post.id, (0, 0.0))[0]
            wait = max(trouble.wait, doubled(ASIDE, ASIDE_AT_MOST, tries))
            self._again[post.id] = tries + 1, self._clock() + wait.total_seconds()

    # ── one thing ──

    async def _attempt(self, posts: Sequence[Post]) -> Trouble | None:
        """None: it is done, or will never be."""
        tries = posts[0].attempts
        try:
            await self._deliver(posts)
        except AccountLimited as exc:
            log.warning("our account may not post for now, posts are kept", error=str(exc))
            return await self._refused(posts, exc, doubled(LIMITED, LIMITED_AT_MOST, tries))
        except RetryLater as exc:
            return await self._delay(posts, exc)
        except TopicUnavailable as exc:
            await self._close_topic(posts, exc)
            return None
        except TargetUnavailable as exc:
            log.warning(
                "target chat takes nothing, posts are kept", target=self._target, error=str(exc)
            )
            return await self._refused(posts, exc, doubled(UNAVAILABLE, UNAVAILABLE_AT_MOST, tries))
        self._worked[posts[0].method] = self._clock()
        for post in posts:
            self._failing.pop(post.id, None)
            self._again.pop(post.id, None)
        return None

    async def _close_topic(self, posts: Sequence[Post], exc: TopicUnavailable) -> None:
        """Keep what is for that topic, in its order, and go on with the others."""
        wait = doubled(UNAVAILABLE, UNAVAILABLE_AT_MOST, posts[0].attempts)
        log.warning(
            "topic takes nothing, its posts are kept",
            target=self._target,
            topic=exc.topic,
            error=str(exc),
        )
        await self._put_down(posts, exc, wait, in_doubt=False)
        self._closed[exc.topic] = self._clock() + wait.total_seconds()
        self._topics.wake()

    async def _refused(self, posts: Sequence[Post], exc: Exception, wait: timedelta) -> Trouble:
        """For now, and for a reason that is not these posts' own."""
        await self._put_down(posts, exc, wait, in_doubt=False)
        return Trouble(wait, told=True)

    async def _delay(self, posts: Sequence[Post], exc: RetryLater) -> Trouble:
        wait = exc.after or doubled(RETRY, RETRY_AT_MOST, posts[0].attempts)
        # A flood wait is a refusal. All else may have gone through without our knowing.
        await self._put_down(posts, exc, wait, in_doubt=exc.after is None)
        if exc.after is None:
            for post in posts:
                self._failing.setdefault(post.id, self._clock())
        return Trouble(wait, told=exc.after is not None)

    async def _put_down(
        self, posts: Sequence[Post], exc: Exception, wait: timedelta, *, in_doubt: bool
    ) -> None:
        seconds, method = wait.total_seconds(), posts[0].method
        log.info(
            "post delayed", post_id=posts[0].id, method=method, seconds=seconds, error=str(exc)
        )
        for post in posts:
            await self._line.post_delayed(post, str(exc), in_doubt=in_doubt)
        self._watch.delayed(exc, wait)

    async def _give_way(self, posts: Sequence[Post], trouble: Trouble) -> bool:
        """Whether others may go on at once. What fails for long lets the next one try.

        If that goes through, the trouble is this post's own, and it is set aside. If nothing goes
        through, all stay in line, in their order.
        """
        since, method = self._failing.get(posts[0].id), posts[0].method
        if self._in_order or trouble.told or since is None or self._clock() - since < OVERDUE:
            return False
        if self._worked.get(method, since) > since:
            await self._set_aside(posts)
            return True
        if method is not Method.SEND:
            return False  # changes take turns already
        others = await self._ask(method, but=self._overdue())
        return bool(others) and await self._attempt(others) is None

    def _until_overdue(self, posts: Sequence[Post]) -> timedelta:
        """Nobody is to wait for longer than that behind it. The greatest wait, if it is already."""
        left = self._failing.get(posts[0].id, 0.0) + OVERDUE - self._clock()
        return timedelta(seconds=left) if left > 0 else timedelta.max

    def _overdue(self) -> set[int]:
        now = self._clock()
        return {post for post, since in self._failing.items() if now - since >= OVERDUE}

    async def _set_aside(self, posts: Sequence[Post]) -> None:
        for post in posts:
            await self._line.set_aside(post)
            self._again[post.id] = 0, self._clock() + ASIDE.total_seconds()
        log.error("post set aside, others go before it", post_id=posts[0].id)
        self._watch.set_aside(posts[0])
        self._aside.wake()

    def _hold(self, method: Method, wait: timedelta) -> None:
        self._held[method] = self._clock() + wait.total_seconds()

    def _held_for(self, method: Method) -> timedelta | None:
        """None: it may be called."""
        left = self._held.get(method, 0.0) - self._clock()
        return timedelta(seconds=left) if left > 0 else None


def _is_new(post: Post) -> bool:
    """Once it is sent nothing is left to do, unless we are told."""
    return post.state is PostState.PENDING and post.sent_version is None
