"""What the operators are told without asking: at most once an hour for each kind of trouble."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from bot.errors import AccountLimited, RetryLater, TargetUnavailable
from bot.models import PostState
from bot.operator.links import link
from bot.operator.wording import duration

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.models import Post, UnreadableMessage

log = structlog.get_logger(__name__)

AT_MOST_EVERY: Final = 3_600  # seconds, for each kind
LOOK_EVERY: Final = 60.0  # seconds
LONG_WAIT: Final = timedelta(minutes=1)
LAST_WORDS: Final = 3.0  # seconds
REFUSED: Final = {
    PostState.PENDING: "Telegram refused a post",
    PostState.EDIT: "Telegram refused an edit of a post, which stays as it is",
    PostState.DELETE: "Telegram refused to delete a post",
}


class Kind(StrEnum):
    TARGET = "target"  # takes nothing from us
    ACCOUNT = "account"  # ours may not post
    POSTS = "posts"  # fail
    ASIDE = "aside"  # posts that keep failing
    FLOOD = "flood"  # waits that Telegram asks for
    CACHE = "cache"  # is done without
    SILENCE = "silence"  # in the source
    LOGIN = "login"  # has ended
    UNREADABLE = "unreadable"  # messages that the library cannot parse


class Facts(Protocol):
    @property
    def cache_disabled(self) -> bool: ...


class Alerts:
    """A `worker.Watch` among others. `tell` reaches the operators and does not raise.

    `silence`: after how long without a word in the source they are told; None: never. `clock` is
    unix seconds, `sleep` takes seconds; `patience` is seconds for the last words.
    """

    def __init__(
        self,
        tell: Callable[[str], Awaitable[None]],
        facts: Facts,
        *,
        silence: timedelta | None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        patience: float = LAST_WORDS,
    ) -> None:
        self._patience = patience
        self._tell = tell
        self._facts = facts
        self._silence = silence
        self._clock = clock
        self._sleep = sleep
        self._heard_at = clock()  # something from the source, or that it is silent was told
        self._silent_since = self._heard_at
        self._cache_disabled = False
        self._told_at: dict[Kind, float] = {}
        self._untold = dict.fromkeys(Kind, 0)  # since then
        self._news: asyncio.Queue[str] = asyncio.Queue()  # one for each kind and hour

    # ── what happens ──

    def heard(self) -> None:
        """Something from the source."""
        self._heard_at = self._silent_since = self._clock()

    def done(self, post: Post) -> None: ...

    def delayed(self, error: Exception, wait: timedelta) -> None:
        again = duration(wait.total_seconds())
        if isinstance(error, AccountLimited):
            self._raise(
                Kind.ACCOUNT,
                f"Telegram limits our account: {error}. Posts are kept, and tried again in {again}. "
                "@SpamBot tells an account why and for how long.",
            )
        if isinstance(error, TargetUnavailable):
            self._raise(
                Kind.TARGET,
                f"Target {error.chat_id} takes nothing: {error}. Posts are kept, and tried again "
                f"in {again}.",
            )
        elif isinstance(error, RetryLater) and error.after is not None and error.after > LONG_WAIT:
            long = duration(error.after.total_seconds())
            self._raise(
                Kind.FLOOD,
                f"Telegram lets the bot do something again in {long} only: {error}. Whatever needs "
                "that waits in order, all else goes on.",
            )

    def set_aside(self, post: Post) -> None:
        where = f"post {post.id} of {link(post.source)}"
        self._raise(
            Kind.ASIDE,
            f"Telegram fails each time at {where} and gives no reason. It is set aside, others go "
            "before it, and it is tried again now and then.",
        )

    def failed(self, post: Post) -> None:
        what = REFUSED.get(post.state, "Telegram refused a post")
        where = f"post {post.id} of {link(post.source)}"
        self._raise(Kind.POSTS, f"{what}: {where}. /retry tries again.")

    def unreadable(self, message: UnreadableMessage) -> None:
        self._raise(
            Kind.UNREADABLE,
            f"A message cannot be read and was passed over: {link(message.ref)} ({message.error}). "
            "A newer version of the bot may know its kind.",
        )

    def login_lost(self, error: Exception) -> None:
        self._raise(Kind.LOGIN, f"The bot stops: {error}")

    # ── telling ──

    def look(self) -> None:
        """For what does not come by itself."""
        disabled = self._facts.cache_disabled
        if disabled and not self._cache_disabled:
            self._raise(
                Kind.CACHE, "The flow cache cannot be used. The bot goes on without it, slower."
            )
        self._cache_disabled = disabled
        silent = self._clock() - self._heard_at
        if self._silence is not None and silent >= self._silence.total_seconds():
            long = duration(self._clock() - self._silent_since)
            self._raise(
                Kind.SILENCE,
                f"Nothing was heard from the source for {long}. Is the bot still in it?",
            )
            self._heard_at = self._clock()  # the next comes after as long a time again

    async def run(self) -> None:
        """Tell what there is to tell, until cancelled."""
        looking = asyncio.ensure_future(self._look_now_and_then())
        try:
            while True:
                await self._tell(await self._news.get())
        finally:
            looking.cancel()

    async def last_words(self) -> None:
        """Tell what is left, if it can still be told."""
        try:
            async with asyncio.timeout(self._patience):
                while not self._news.empty():
                    await self._tell(self._news.get_nowait())
        except TimeoutError:
            log.warning("the operators could not be told any more")

    async def _look_now_and_then(self) -> None:
        while True:
            await self._sleep(LOOK_EVERY)
            self.look()

    def _raise(self, kind: Kind, text: str) -> None:
        now, told_at = self._clock(), self._told_at.get(kind)
        if told_at is not None and now - told_at < AT_MOST_EVERY:
            self._untold[kind] += 1
            return
        more = self._untold[kind]
        since = f" It is one of {more + 1} such since the last alert." if more else ""
        self._told_at[kind], self._untold[kind] = now, 0
        self._news.put_nowait(text + since)
