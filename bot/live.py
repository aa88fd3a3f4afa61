"""The live bot: from Telegram through the intake into the tables, and from there to the targets."""

from __future__ import annotations

import asyncio
import signal
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import structlog

from bot.app import Core, forget_old_refusals, open_core
from bot.errors import DatabaseError, RetryLater, SettingsError
from bot.models import (
    DeletedMessages,
    EditedMessage,
    IncomingMessage,
    MigratedChat,
    Outcome,
    Reached,
)
from bot.relay import Relay
from bot.telegram.client import Following, Telegram
from bot.telegram.messages import CHANNELS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from pathlib import Path

    from bot.config import Settings
    from bot.models import ChatId, Cursor, Decision, Event
    from bot.telegram.client import Me

log = structlog.get_logger(__name__)

T = TypeVar("T")


class BookmarkTable(Protocol):
    async def move_cursors(self, reached: Iterable[Cursor]) -> None: ...


STOPPING: Final = 10.0  # seconds for what is in hand
LOGIN_RETRY: Final = 10.0  # seconds
TABLE_RETRY, TABLE_RETRY_AT_MOST = 1.0, 30.0  # seconds
TRIES: Final = 5  # of an event that fails by itself
ALBUM_SILENCE: Final = 0.3  # seconds after a part of an album
BOOKMARKS_EVERY: Final = 1.0  # seconds
# What a live bot needs, and where it comes from.
NEEDED: Final = {
    "API_ID": "from https://my.telegram.org",
    "API_HASH": "from https://my.telegram.org",
    "BOT_TOKEN": "from @BotFather (or SESSION_STRING, to run as a user)",
    "SOURCE_CHAT_ID": "the id of the group to read, such as -1001234567890",
    "TARGET_CHAT_ID": "the id of the chat to post to",
}


def require(settings: Settings) -> ChatId:
    """The source chat; raises `SettingsError` with all that is missing and where it comes from."""
    given = {
        "API_ID": settings.api_id,
        "API_HASH": settings.api_hash,
        "BOT_TOKEN": settings.bot_token or settings.session_string,
        "SOURCE_CHAT_ID": settings.source_chat_id,
        "TARGET_CHAT_ID": settings.target_chat_id,
    }
    missing = [f"  {name:<16}{NEEDED[name]}" for name, value in given.items() if not value]
    if missing or settings.source_chat_id is None:
        raise SettingsError(
            "\n".join(
                [
                    "these settings are missing, in the environment or in .env:",
                    *missing,
                    "`python -m bot replay result.json` works without any of them",
                ]
            )
        )
    if settings.bot_token and settings.session_string:
        raise SettingsError("BOT_TOKEN and SESSION_STRING are both set: keep one of them")
    return settings.source_chat_id


def telegram_of(
    settings: Settings,
    directory: Path,
    on_event: Callable[[Event], Awaitable[None]],
    following: Following | None = None,
) -> Telegram:
    """The connection for settings that passed `require`; its session file is in `directory`."""
    return Telegram(
        api_id=settings.api_id or 0,
        api_hash=_secret(settings.api_hash) or "",
        bot_token=_secret(settings.bot_token),
        session_string=_secret(settings.session_string),
        directory=directory,
        on_event=on_event,
        following=following,
    )


async def run(settings: Settings) -> None:
    """Relay until SIGTERM or SIGINT. Raises `BotError` where it cannot go on."""
    source = require(settings)
    again = True
    while again:
        async with open_core(settings, targets=settings.target_chat_id) as core:
            await forget_old_refusals(core)
            again = await Live(settings, source, core).run()


class Live:
    """`source` is the configured one: what became of it is in the core's `moved`."""

    def __init__(self, settings: Settings, source: ChatId, core: Core) -> None:
        self._settings = settings
        self._core = core
        self._source = core.now(source)
        self._targets = core.targets
        self._telegram = telegram_of(
            settings,
            settings.data_dir,
            self.hear,
            Following(core.store, [self._source], from_the_start=tuple(core.moved.values())),
        )
        self._relays = [
            Relay(core.store, self._telegram.sender, target) for target in self._targets
        ]
        self._ours: set[int] = set(self._targets)  # authors of what comes back to us
        self._bookmarks = Bookmarks(core.store)
        self._albums = Albums(self._take, self._bookmarks.move)
        self._stopping = asyncio.Event()
        self._moved = False

    async def run(self) -> bool:
        """Until told to stop; True: a chat of ours has moved, and all is to begin anew."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)
        try:
            if not await self._log_in():
                return self._moved
        except BaseException:
            await self._telegram.stop()
            raise
        relays = [asyncio.create_task(relay.run()) for relay in self._relays]
        hearing = [
            asyncio.create_task(self._telegram.listen()),
            asyncio.create_task(self._bookmarks.run()),
        ]
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({*relays, *hearing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._stopping.set()
            await self._shut_down(relays, hearing)
        for task in (*relays, *hearing):
            if task.done() and not task.cancelled():
                task.result()  # what ended one of them ends the bot
        return self._moved

    async def hear(self, event: Event) -> None:
        """Deal with one event; when this returns, the tables hold what there was to hold."""
        if self._stopping.is_set():
            self._bookmarks.freeze()  # it comes again at the next start
            return
        if isinstance(event, Reached):
            await self._albums.reached(event.cursor)
            return
        if not isinstance(event, IncomingMessage):
            await self._albums.finish()  # what came before it is dealt with before it
        match event:
            case IncomingMessage() if self._is_heard(event):
                await self._albums.hear(event)
            case EditedMessage(message) if self._is_heard(message):
                await self._record(lambda: self._core.edits.edited(message))
                self._wake()
            case DeletedMessages():
                await self._delete(event)
            case MigratedChat(old, new) if old in {self._source, *self._targets}:
                await self._record(lambda: self._move(old, new))
            case _:
                pass

    def _is_heard(self, message: IncomingMessage) -> bool:
        """What a target's link to the source brings back is no news."""
        return message.chat_id == self._source and message.author not in self._ours

    async def _delete(self, event: DeletedMessages) -> None:
        # Of basic groups the ids alone are told, and no chat; no other chat shares them.
        before = [old for old, new in self._core.moved.items() if new == self._source]
        for chat in (self._source, *before):
            if event.chat_id == chat or (event.chat_id is None and chat > CHANNELS):
                await self._record(partial(self._core.edits.deleted, chat, event.ids))
        self._wake()

    async def _move(self, old: ChatId, new: ChatId) -> None:
        await self._core.store.move_chat(old, new)
        log.warning("a group has become a supergroup", old=old, new=new)
        self._moved = True
        self._stopping.set()

    async def _take(self, messages: Sequence[IncomingMessage]) -> None:
        decisions = await self._record(lambda: self._decide(messages))
        if any(decision.accepted for decision in decisions or ()):
            self._wake()

    async def _decide(self, messages: Sequence[IncomingMessage]) -> Sequence[Decision]:
        if messages[0].album_id is None:
            decisions = [await self._core.intake.handle(messages[0])]
        else:
            decisions = await self._core.intake.handle_album(messages)
        for message, decision in zip(messages, decisions, strict=True):
            if decision.outcome is Outcome.DUPLICATE:
                # It comes again, and a difference shows a message as it was edited last.
                await self._core.edits.edited(message)
        return decisions

    async def _record(self, work: Callable[[], Awaitable[T]]) -> T | None:
        """None: it was not to be done. If that is for now only, no cursor passes it."""
        try:
            return await patiently(work, self._stopping)
        except NotRecorded:
            self._bookmarks.freeze()
            return None

    def _wake(self) -> None:
        for relay in self._relays:
            relay.wake()

    async def _log_in(self) -> bool:
        """False: told to stop before it came to that, or not where we thought to be."""
        while not self._stopping.is_set():
            try:
                me = await self._telegram.start()
                await self._look_where_chats_are()
            except RetryLater as exc:
                log.warning("not connected yet", error=str(exc), retry_in=LOGIN_RETRY)
                wait = exc.after.total_seconds() if exc.after else LOGIN_RETRY
                await self._telegram.stop()
                await _unless(self._stopping, wait)
                continue
            if self._moved:
                await self._telegram.stop()
                return False
            if me.is_bot:
                self._ours.add(me.id)
            await self._say_started(me)
            return True
        return False

    async def _look_where_chats_are(self) -> None:
        """A group may have moved so long ago that nobody tells any more."""
        for chat in {self._source, *self._targets}:
            new = await self._telegram.moved_to(chat)
            if new is not None:
                await self._move(chat, new)

    async def _say_started(self, me: Me) -> None:
        counts = await self._core.store.counts()
        log.info(
            "started",
            account=me.name,
            username=me.username,
            source=self._source,
            targets=self._targets,
            ttl_hours=self._settings.flow_ttl_hours.total_seconds() / 3600,
            after_ttl=self._settings.flow_after_ttl,
            **counts._asdict(),
        )

    def _stop(self, number: int) -> None:
        if self._stopping.is_set():
            # Asked twice: nothing is lost by stopping here, every row is committed or not begun.
            raise KeyboardInterrupt
        log.info("stopping", signal=signal.Signals(number).name)
        self._stopping.set()

    async def _shut_down(
        self, relays: Iterable[asyncio.Task[None]], hearing: Iterable[asyncio.Task[None]]
    ) -> None:
        """Stop hearing, then finish the posts in hand. What is pending stays pending."""
        for relay in self._relays:
            relay.stop()
        running = {task for task in relays if not task.done()}
        late = set(hearing)
        if running:
            _, overdue = await asyncio.wait(running, timeout=STOPPING / 2)
            late |= overdue
        await end(late)
        await self._telegram.stop()
        self._albums.forget()
        await self._bookmarks.close()
        log.info("stopped")


class Bookmarks:
    """How far all is recorded, written down now and then.

    What is not written down when the process dies comes again, and is recognised. `every` is
    seconds.
    """

    def __init__(
        self,
        table: BookmarkTable,
        *,
        every: float = BOOKMARKS_EVERY,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._table = table
        self._every = every
        self._sleep = sleep
        self._reached: dict[ChatId, Cursor] = {}
        self._frozen = False

    def move(self, cursor: Cursor) -> None:
        """All before it is recorded."""
        if not self._frozen:
            self._reached[cursor.box] = cursor

    def freeze(self) -> None:
        """Something was not recorded: nothing moves beyond it."""
        self._frozen = True

    async def run(self) -> None:
        while True:
            await self._sleep(self._every)
            await self._write()

    async def close(self) -> None:
        await self._write()

    async def _write(self) -> None:
        reached, self._reached = self._reached, {}
        if not reached:
            return
        try:
            await self._table.move_cursors(list(reached.values()))
        except DatabaseError as exc:
            log.warning("cursors were not written", error=str(exc))
            self._reached = reached | self._reached


class Albums:
    """Holds the parts of an album back until the next message, or a moment's silence, ends it.

    Telegram sends an album as messages of their own and does not say how many there will be.
    """

    def __init__(
        self,
        take: Callable[[Sequence[IncomingMessage]], Awaitable[None]],
        move: Callable[[Cursor], None],
    ) -> None:
        self._take = take
        self._move = move
        self._parts: list[IncomingMessage] = []
        self._cursors: list[Cursor] = []  # behind the parts that are held
        self._silence: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()

    async def hear(self, message: IncomingMessage) -> None:
        async with self._turn:
            if self._parts and message.album_id != self._parts[0].album_id:
                await self._give()
            if message.album_id is None:
                await self._take([message])
                return
            self._parts.append(message)
        self._await_silence()

    async def reached(self, cursor: Cursor) -> None:
        """No cursor moves past parts that are held."""
        async with self._turn:
            if self._parts:
                self._cursors.append(cursor)
            else:
                self._move(cursor)

    async def finish(self) -> None:
        """Give out what is held."""
        async with self._turn:
            await self._give()

    def forget(self) -> None:
        """Let go of what is held: no cursor has passed it, so it comes again."""
        if self._silence is not None:
            self._silence.cancel()

    async def _give(self) -> None:
        parts, self._parts = self._parts, []
        cursors, self._cursors = self._cursors, []
        if parts:
            await self._take(parts)
        for cursor in cursors:
            self._move(cursor)

    def _await_silence(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
        self._silence = asyncio.create_task(self._finish_after_silence())

    async def _finish_after_silence(self) -> None:
        await asyncio.sleep(ALBUM_SILENCE)
        # Shielded: a further part may come now, and what is being recorded must not be cut off.
        await asyncio.shield(asyncio.ensure_future(self.finish()))


class NotRecorded(Exception):
    """Told to stop before the tables had taken it: it is to come again."""


async def patiently(
    work: Callable[[], Awaitable[T]], stopping: asyncio.Event, *, pause: float = TABLE_RETRY
) -> T | None:
    """Do it, however long the tables take to answer. Raises `NotRecorded`.

    Tried at least once: what is in hand when the bot is told to stop is still recorded. None: it
    fails for a reason of its own, again and again, and those behind it must not wait for ever.
    """
    tries = 0
    while True:
        tries += 1
        try:
            return await work()
        except DatabaseError as exc:
            log.warning("table does not answer, intake waits", error=str(exc), retry_in=pause)
        except Exception:
            log.exception("an event cannot be dealt with", tries=tries)
            if tries == TRIES:
                return None
        if stopping.is_set():
            log.error("stopped before an event was recorded")
            raise NotRecorded
        await _unless(stopping, pause)
        pause = min(2 * pause, TABLE_RETRY_AT_MOST)


async def end(tasks: Iterable[asyncio.Task[None]], *, patience: float = 0.5) -> None:
    """Cancel them and wait until they are done. `patience` is seconds between two attempts.

    Once is not enough: `wait_for`, in the library's calls, swallows a cancellation that comes
    together with its result. https://github.com/python/cpython/issues/86296, mended in 3.12
    """
    running = {task for task in tasks if not task.done()}
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=patience)


async def _unless(event: asyncio.Event, seconds: float) -> None:
    """Wait, but no longer than until the event."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass


def _secret(value: object) -> str | None:
    get = getattr(value, "get_secret_value", None)
    return None if get is None else str(get())
