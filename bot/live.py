"""The live bot: from Telegram through the intake into the tables, and from there to the targets."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from bot.app import Core, forget_old_refusals, open_core
from bot.errors import DatabaseUnavailable, RetryLater, SettingsError
from bot.models import AuthorId, DeletedMessages, EditedMessage, IncomingMessage
from bot.relay import Relay
from bot.telegram.client import Telegram
from bot.telegram.messages import CHANNELS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from pathlib import Path

    from bot.config import Settings
    from bot.models import ChatId, Decision, Event

log = structlog.get_logger(__name__)

T = TypeVar("T")

STOPPING: Final = 10.0  # seconds for what is in hand
INTERRUPTED: Final = 130  # as a shell counts a process ended by SIGINT
LOGIN_RETRY: Final = 10.0  # seconds
TABLE_RETRY, TABLE_RETRY_AT_MOST = 1.0, 30.0  # seconds
ALBUM_SILENCE: Final = 0.3  # seconds after a part of an album
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
    if settings.source_chat_id in settings.target_chat_id:
        raise SettingsError(f"TARGET_CHAT_ID: {settings.source_chat_id} is SOURCE_CHAT_ID, too")
    return settings.source_chat_id


def telegram_of(
    settings: Settings, directory: Path, on_event: Callable[[Event], Awaitable[None]]
) -> Telegram:
    """The connection for settings that passed `require`; its session file is in `directory`."""
    return Telegram(
        api_id=settings.api_id or 0,
        api_hash=_secret(settings.api_hash) or "",
        bot_token=_secret(settings.bot_token),
        session_string=_secret(settings.session_string),
        directory=directory,
        on_event=on_event,
    )


async def run(settings: Settings) -> None:
    """Relay until SIGTERM or SIGINT. Raises `BotError` where it cannot go on."""
    source = require(settings)
    async with open_core(settings, targets=settings.target_chat_id) as core:
        await forget_old_refusals(core)
        await Live(settings, source, core).run()


class Live:
    def __init__(self, settings: Settings, source: ChatId, core: Core) -> None:
        self._settings = settings
        self._source = source
        # Telegram does not name a basic group in which something was deleted, nor a private chat.
        self._deletions_in = None if source > CHANNELS else source
        # A person may be a target and an author.
        self._target_chats = {AuthorId(chat) for chat in settings.target_chat_id if chat < 0}
        self._core = core
        self._telegram = telegram_of(settings, settings.data_dir, self.hear)
        self._relays = [
            Relay(core.store, self._telegram.sender, target) for target in settings.target_chat_id
        ]
        self._albums = Albums(self._take)
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)
        if not await self._log_in():
            return
        tasks = [asyncio.create_task(relay.run()) for relay in self._relays]
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({*tasks, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            await self._shut_down(tasks)
        for task in tasks:
            if task.done() and not task.cancelled():
                task.result()  # what ended a relay ends the bot

    async def hear(self, event: Event) -> None:
        """Deal with one event; when this returns, the tables hold what there was to hold."""
        if not isinstance(event, IncomingMessage):
            await self._albums.finish()  # what came before it is dealt with before it
        match event:
            case IncomingMessage(author=author) | EditedMessage(IncomingMessage(author=author)) if (
                author in self._target_chats
            ):
                pass  # our own posts: a target that is linked to the source sends them back
            case IncomingMessage() if event.chat_id == self._source:
                await self._albums.hear(event)
            case EditedMessage() if event.message.chat_id == self._source:
                edited = event.message
                await patiently(lambda: self._core.edits.edited(edited), self._stopping)
                self._wake()
            case DeletedMessages(chat_id, ids) if chat_id == self._deletions_in:
                await patiently(lambda: self._core.edits.deleted(self._source, ids), self._stopping)
                self._wake()
            case _:
                pass

    async def _take(self, messages: Sequence[IncomingMessage]) -> None:
        decisions = await patiently(lambda: self._decide(messages), self._stopping)
        if any(decision.accepted for decision in decisions or ()):
            self._wake()

    async def _decide(self, messages: Sequence[IncomingMessage]) -> Sequence[Decision]:
        # Most messages are no album; for those, markers are looked for once and not twice.
        if len(messages) == 1:
            return [await self._core.intake.handle(messages[0])]
        return await self._core.intake.handle_album(messages)

    def _wake(self) -> None:
        for relay in self._relays:
            relay.wake()

    async def _log_in(self) -> bool:
        """False: told to stop before it came to that."""
        while not self._stopping.is_set():
            try:
                me = await self._telegram.start()
            except RetryLater as exc:
                log.warning("not connected yet", error=str(exc), retry_in=LOGIN_RETRY)
                wait = exc.after.total_seconds() if exc.after else LOGIN_RETRY
                await _unless(self._stopping, wait)
                continue
            counts = await self._core.store.counts()
            log.info(
                "started",
                account=me.name,
                username=me.username,
                source=self._source,
                targets=self._settings.target_chat_id,
                ttl_hours=self._settings.flow_ttl_hours.total_seconds() / 3600,
                after_ttl=self._settings.flow_after_ttl,
                **counts._asdict(),
            )
            return True
        return False

    def _stop(self, number: int) -> None:
        if self._stopping.is_set():
            # Asked twice: nothing is lost by ending here, every row is committed or not begun.
            # Not by an exception: the library's tasks may take ten seconds to be cancelled.
            os._exit(INTERRUPTED)
        log.info("stopping", signal=signal.Signals(number).name)
        self._stopping.set()

    async def _shut_down(self, tasks: Iterable[asyncio.Task[None]]) -> None:
        """Stop hearing, then finish the posts in hand. What is pending stays pending."""
        for relay in self._relays:
            relay.stop()
        running = {task for task in tasks if not task.done()}
        if running:
            _, late = await asyncio.wait(running, timeout=STOPPING / 2)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._telegram.stop()
        await self._albums.finish()
        log.info("stopped")


class Albums:
    """Holds the parts of an album back until the next message, or a moment's silence, ends it.

    Telegram sends an album as messages of their own and does not say how many there will be.
    """

    def __init__(self, take: Callable[[Sequence[IncomingMessage]], Awaitable[None]]) -> None:
        self._take = take
        self._parts: list[IncomingMessage] = []
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

    async def finish(self) -> None:
        """Give out what is held."""
        async with self._turn:
            await self._give()

    async def _give(self) -> None:
        parts, self._parts = self._parts, []
        if parts:
            await self._take(parts)

    def _await_silence(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
        self._silence = asyncio.create_task(self._finish_after_silence())

    async def _finish_after_silence(self) -> None:
        await asyncio.sleep(ALBUM_SILENCE)
        # Shielded: a further part may come now, and what is being recorded must not be cut off.
        await asyncio.shield(asyncio.ensure_future(self.finish()))


async def patiently(
    work: Callable[[], Awaitable[T]], stopping: asyncio.Event, *, pause: float = TABLE_RETRY
) -> T | None:
    """Do it, however long the tables take to answer; None: told to stop before they did.

    Tried at least once: what is in hand when the bot is told to stop is still recorded.
    """
    while True:
        try:
            return await work()
        except DatabaseUnavailable as exc:
            if stopping.is_set():
                log.error("stopped before an event was recorded", error=str(exc))  # noqa: TRY400  # one line is enough
                return None
            log.warning("table does not answer, intake waits", error=str(exc), retry_in=pause)
            await _unless(stopping, pause)
            pause = min(2 * pause, TABLE_RETRY_AT_MOST)


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
