"""What the operators are told without asking: at most once an hour for each kind and what it is about.

When they were told last is in the table, so that a bot that starts again and again does not repeat
itself.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import structlog

from bot.admin.formatting import called, duration
from bot.admin.links import link
from bot.admin.silence import Silence
from bot.errors import AccountLimited, DatabaseError, RetryLater, TargetUnavailable, words_of
from bot.phrases import joined, later, phrase, plural
from bot.posts import PostState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

    from bot.models import ChatId, ChatTrouble, MessageRef, UnreadableChat, UnreadableMessage
    from bot.posts import Post

log = structlog.get_logger(__name__)

AT_MOST_EVERY: Final = 3_600  # seconds, for each kind and subject
LOOK_EVERY: Final = 5.0  # seconds
SETTLED: Final = 60.0  # seconds after the start; then what is not known to be so is not so
LONG_WAIT: Final = timedelta(minutes=1)
LAST_WORDS: Final = 3.0  # seconds
REFUSED: Final = {
    PostState.PENDING: later("Telegram refused a post"),
    PostState.EDIT: later("Telegram refused an edit of a post, which stays as it is"),
    PostState.DELETE: later("Telegram refused to delete a post"),
}


class AlertKind(StrEnum):
    TARGET = "target"  # takes nothing from us
    ACCOUNT = "account"  # ours may not post
    POSTS = "posts"  # fail
    ASIDE = "aside"  # posts that keep failing
    FLOOD = "flood"  # waits that Telegram asks for
    CACHE = "cache"  # is done without
    SILENCE = "silence"  # in a source
    LOGIN = "login"  # has ended
    UNREADABLE = "unreadable"  # messages that the library cannot parse
    SOURCE = "source"  # cannot be read
    READABLE = "readable"  # again
    EVENT = "event"  # could not be dealt with
    ACCESS = "access"  # the bot may not do all that it is for in a chat
    READY = "ready"  # now it may
    ROUTES = "routes"  # read again, and refused
    TRANSLATION = "translation"  # the original was posted in its place


class AlertSubject(NamedTuple):
    """What is told of at most once an hour."""

    kind: AlertKind
    about: ChatId | None = None  # None: there is only one such thing


class Facts(Protocol):
    @property
    def cache_disabled(self) -> bool: ...

    @property
    def connected_since(self) -> float | None: ...

    def unreadable(self) -> Sequence[UnreadableChat]:
        """The followed chats that cannot be read, while there is a connection."""

    def troubles(self) -> Sequence[ChatTrouble]:
        """Chats in which the bot may not do all that it is for, since the start."""

    def called(self, target: ChatId) -> str:
        """The chat, or the program, with what its places are called."""

    def source_called(self, chat: ChatId) -> str:
        """The chat, with what its sources are called."""

    def sources(self) -> Mapping[str, tuple[ChatId | None, str]]:
        """By their names: what stands for each in the table of what was told, and how people read it."""


class Told(Protocol):
    """When the operators were told of what, in unix seconds. Raises `DatabaseError`."""

    async def told(self) -> Mapping[tuple[str, ChatId | None], float]: ...

    async def tell_of(self, kind: str, about: ChatId | None, at: float) -> None: ...


class Alerts:
    """A `worker.Watch` among others. `tell` reaches the operators and does not raise.

    `silence`: after how long without a word in a source they are told; None: never. `clock` is
    unix seconds, `sleep` takes seconds; `patience` is seconds for the last words.
    """

    def __init__(
        self,
        tell: Callable[[str], Awaitable[None]],
        facts: Facts,
        told: Told,
        *,
        silence: timedelta | None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        patience: float = LAST_WORDS,
    ) -> None:
        self._patience = patience
        self._tell = tell
        self._facts = facts
        self._silence = Silence(silence, clock=clock)
        self._clock = clock
        self._sleep = sleep
        self._cache_disabled = False
        self._began_at = clock()
        self._unreadable: dict[
            ChatId, UnreadableChat | None
        ] = {}  # told of; None: by an earlier run
        self._troubles: dict[ChatId, ChatTrouble] = {}  # told of
        self._told = told
        self._told_at: dict[AlertSubject, float] = {}
        self._untold: Counter[AlertSubject] = Counter()  # since then
        self._news: asyncio.Queue[News] = asyncio.Queue()  # one for each subject and hour

    async def begin(self) -> None:
        """Learn what was told before the last start."""
        try:
            found = await self._told.told()
        except DatabaseError as exc:
            log.warning("what the operators were told is not known", error=str(exc))
            return
        for (kind, about), at in found.items():
            if kind in set(AlertKind):  # else of a newer version
                # A clock that was fast keeps them in the dark for an hour at most.
                self._told_at[AlertSubject(AlertKind(kind), about)] = min(at, self._clock())
        for kind, about in self._told_at:
            ended = self._told_at.get(AlertSubject(AlertKind.READABLE, about), 0)
            if (
                kind is AlertKind.SOURCE
                and about
                and self._told_at[AlertSubject(kind, about)] > ended
            ):
                self._unreadable[about] = None

    def follow(self, chats: Collection[ChatId]) -> None:
        """Of others nothing is told any more, least of all that they are well again."""
        self._unreadable = {chat: how for chat, how in self._unreadable.items() if chat in chats}
        self._troubles = {chat: text for chat, text in self._troubles.items() if chat in chats}

    # ── what happens ──

    def heard(self, source: str) -> None:
        """Something from the source of that name."""
        self._silence.heard(source)

    def done(self, post: Post) -> None: ...

    def delayed(self, error: Exception, wait: timedelta) -> None:
        again = duration(wait.total_seconds())
        if isinstance(error, AccountLimited):
            self._raise(
                AlertKind.ACCOUNT,
                phrase(
                    "Telegram limits our account: {error}. Posts are kept, and tried again in "
                    "{time}. @SpamBot tells an account why and for how long.",
                    error=words_of(error),
                    time=again,
                ),
            )
        if isinstance(error, TargetUnavailable):
            self._raise(
                AlertKind.TARGET,
                phrase(
                    "Target {chat} takes nothing: {error}. Posts are kept, and tried again in {time}.",
                    chat=self._facts.called(error.chat_id),
                    error=words_of(error),
                    time=again,
                ),
                error.chat_id,
            )
        elif isinstance(error, RetryLater) and error.after is not None and error.after > LONG_WAIT:
            long = duration(error.after.total_seconds())
            self._raise(
                AlertKind.FLOOD,
                phrase(
                    "Telegram lets the bot do something again in {time} only: {error}. Whatever "
                    "needs that waits in order, all else goes on.",
                    time=long,
                    error=words_of(error),
                ),
            )

    def set_aside(self, post: Post) -> None:
        self._raise(
            AlertKind.ASIDE,
            phrase(
                "Telegram fails each time at post {post} of {message} and gives no reason. It is "
                "set aside, others go before it, and it is tried again now and then.",
                post=post.id,
                message=link(post.source),
            ),
        )

    def failed(self, post: Post) -> None:
        text = phrase(
            "{what}: post {post} of {message}. /retry tries again.",
            what=phrase(REFUSED.get(post.state, REFUSED[PostState.PENDING])),
            post=post.id,
            message=link(post.source),
        )
        self._raise(AlertKind.POSTS, text, post.target)

    def event_failed(self, ref: MessageRef, error: str) -> None:
        """It was recorded as such, and those behind it go on."""
        self._raise(
            AlertKind.EVENT,
            phrase(
                "What happened to {message} could not be dealt with: {error}. /retry {message} "
                "reads it again.",
                message=link(ref),
                error=error,
            ),
            ref.chat_id,
        )

    def unreadable(self, message: UnreadableMessage) -> None:
        self._raise(
            AlertKind.UNREADABLE,
            phrase(
                "A message cannot be read and was passed over: {message} ({error}). A newer version "
                "of the bot may know its kind.",
                message=link(message.ref),
                error=message.error,
            ),
        )

    def routes_refused(self, why: str) -> None:
        self._raise(
            AlertKind.ROUTES,
            phrase("routes.toml was read again, and nothing of it taken over: {why}.", why=why),
        )

    def untranslated(self, target: ChatId, place: str, why: str) -> None:
        self._raise(
            AlertKind.TRANSLATION,
            phrase(
                "What goes to {place} is not translated: {why}. The original is posted, and says so.",
                place=place,
                why=why,
            ),
            target,
        )

    def login_lost(self, error: Exception) -> None:
        self._raise(AlertKind.LOGIN, phrase("The bot stops: {error}", error=words_of(error)))

    # ── telling ──

    def look(self) -> None:
        """For what does not come by itself."""
        disabled = self._facts.cache_disabled
        if disabled and not self._cache_disabled:
            self._raise(
                AlertKind.CACHE,
                phrase("The flow cache cannot be used. The bot goes on without it, slower."),
            )
        self._cache_disabled = disabled
        self._look_at_sources()
        self._look_at_access()
        self._look_for_silence()

    def _look_for_silence(self) -> None:
        sources = self._facts.sources()
        for name, seconds in self._silence.look(sources):
            about, source = sources[name]
            text = phrase(
                "Nothing was heard from {source} for {time}. Is the bot still in it?",
                source=source,
                time=duration(seconds),
            )
            self._raise(AlertKind.SILENCE, text, about)

    def _look_at_sources(self) -> None:
        if self._facts.connected_since is None:  # then nothing is known of them
            return
        found = {each.chat: each for each in self._facts.unreadable()}
        for chat, each in found.items():
            if self._unreadable.get(chat) is None:
                self._unreadable[chat] = each
                text = phrase(
                    "Source {chat} cannot be read: {error}; {advice}.",
                    chat=called(chat, each.name),
                    error=each.error,
                    advice=each.advice,
                )
                self._raise(AlertKind.SOURCE, text, chat)
        settled = self._clock() - self._began_at >= SETTLED
        for chat, trouble in list(self._unreadable.items()):
            if chat not in found and (trouble is not None or settled):
                del self._unreadable[chat]
                told = _readable_again(self._facts.source_called(chat), trouble)
                self._raise(AlertKind.READABLE, told, chat)

    def _look_at_access(self) -> None:
        found = {each.chat: each for each in self._facts.troubles()}
        for chat, each in found.items():
            told = self._told_at.get(AlertSubject(AlertKind.TARGET, chat))
            known = told is not None and self._clock() - told < AT_MOST_EVERY
            before = self._troubles.get(chat)
            said = before is not None and before.text == each.text
            if not said and not (each.outside and known):
                text = phrase("It does not work yet: {problem}.", problem=each.text)
                self._raise(AlertKind.ACCESS, text, chat)
        for chat in [chat for chat in self._troubles if chat not in found]:
            name = called(chat, self._troubles[chat].name)
            text = phrase("Chat {chat} is as it should be now.", chat=name)
            self._raise(AlertKind.READY, text, chat)
        self._troubles = found

    async def run(self) -> None:
        """Tell what there is to tell, until cancelled."""
        looking = asyncio.ensure_future(self._look_now_and_then())
        try:
            while True:
                await self._pass_on(await self._news.get())
        finally:
            looking.cancel()

    async def last_words(self) -> None:
        """Tell what is left, if it can still be told."""
        try:
            async with asyncio.timeout(self._patience):
                while not self._news.empty():
                    await self._pass_on(self._news.get_nowait())
        except TimeoutError:
            log.warning("the operators could not be told any more")

    async def _look_now_and_then(self) -> None:
        while True:
            await self._sleep(LOOK_EVERY)
            self.look()

    async def _pass_on(self, news: News) -> None:
        try:
            await self._told.tell_of(news.of.kind, news.of.about, news.at)
        except DatabaseError as exc:
            log.warning("that the operators are told is not written down", error=str(exc))
        await self._tell(news.text)

    def _raise(self, kind: AlertKind, text: str, about: ChatId | None = None) -> None:
        of, now = AlertSubject(kind, about), self._clock()
        told_at = self._told_at.get(of)
        if told_at is not None and now < told_at:  # the clock was put back
            told_at = self._told_at[of] = now
        if told_at is not None and now - told_at < AT_MOST_EVERY:
            self._untold[of] += 1
            return
        more = self._untold[of]
        if more:
            since = plural(
                "It is one of {n} such since the last alert.",
                "It is one of {n} such since the last alert.",
                more + 1,
            )
            text = joined(" ", [text, since])
        self._told_at[of], self._untold[of] = now, 0
        self._news.put_nowait(News(of, text, now))


class News(NamedTuple):
    of: AlertSubject
    text: str
    at: float  # unix seconds


def _readable_again(source: str, trouble: UnreadableChat | None) -> str:
    """`trouble` None: it was told by an earlier run."""
    if trouble is not None and trouble.lost:
        return phrase(
            "Source {chat} can be read again; what was said in this basic group meanwhile, "
            "Telegram does not tell.",
            chat=source,
        )
    return phrase(
        "Source {chat} can be read again; what was missed is caught up with.", chat=source
    )
