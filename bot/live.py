"""The live bot: from Telegram through the intake into the tables, and from there to the targets."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import threading
import time
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import structlog

from bot.alerts import Alerts
from bot.app import Core, open_core, open_tables
from bot.backoff import doubled
from bot.errors import LoggedOut, RetryLater, SettingsError, VoidLogin
from bot.handlers.admin_handler import AdminHandler
from bot.health import Health, serve
from bot.hearing import Hearing, unless
from bot.housekeeping import forget_old_refusals, keep_forgetting, look_for_damage
from bot.metrics import Metrics
from bot.models import (
    AfterTtl,
    AuthorId,
    DeletedMessages,
    EditedMessage,
    IncomingMessage,
    Route,
)
from bot.places import Places
from bot.relay import Relay
from bot.rereading import RetriedEvents
from bot.supervision import Facts, ToldTable
from bot.telegram.admin import AdminChat
from bot.telegram.client import Following, Telegram
from bot.telegram.existing import ExistingMessages
from bot.worker import Watches

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
    from pathlib import Path

    from bot.config import Settings
    from bot.models import ChatId, Event, Failure, UnreadableMessage
    from bot.telegram.client import Me
    from bot.worker import Watch

log = structlog.get_logger(__name__)

STOPPING: Final = 10.0  # seconds for all of it
POSTS_IN_HAND: Final = 5.0  # of those
LAST_MOMENT: Final = 0.5  # of those, for the end of the process
INTERRUPTED: Final = 130  # as a shell counts a process ended by SIGINT
LOGIN_RETRY, LOGIN_RETRY_AT_MOST = 1.0, 30.0  # seconds, doubled with each failure
RENEWED_ONCE_IN: Final = 3600.0  # seconds; a login that becomes void more often has a reason
# What a live bot needs, and where it comes from.
NEEDED: Final = {
    "API_ID": "from https://my.telegram.org",
    "API_HASH": "from https://my.telegram.org",
    "BOT_TOKEN": "from @BotFather (or SESSION_STRING, to run as a user)",
    "SOURCE_CHAT_ID": "the id of the group to read, such as -1001234567890",
    "TARGET_CHAT_ID": "the id of the chat to post to",
    "SOURCE_ALLOWED_USERS": "the ids of those who may post signals, or the word everyone",
}
WHO_MAY_POST: Final = (
    "SOURCE_ALLOWED_USERS is not set: list the ids of those who may post, or write "
    "SOURCE_ALLOWED_USERS=everyone to let everybody in the source post signals"
)


def require(settings: Settings) -> ChatId:
    """The source chat; raises `SettingsError` with all that is missing and where it comes from."""
    given = {
        "API_ID": settings.api_id,
        "API_HASH": settings.api_hash,
        "BOT_TOKEN": settings.bot_token or settings.session_string,
        "SOURCE_CHAT_ID": settings.source_chat_id,
        "TARGET_CHAT_ID": settings.target_chat_id,
        "SOURCE_ALLOWED_USERS": settings.source_allowed_users,
    }
    missing = [name for name, value in given.items() if not value]
    if missing == ["SOURCE_ALLOWED_USERS"]:  # what worked with an earlier version
        raise SettingsError(WHO_MAY_POST)
    if missing or settings.source_chat_id is None:
        raise SettingsError(
            "\n".join(
                [
                    "these settings are missing, in the environment or in .env:",
                    *(f"  {name:<22}{NEEDED[name]}" for name in missing),
                    "`setup` asks for them, and `replay result.json` works without any",
                ]
            )
        )
    if settings.bot_token and settings.session_string:
        raise SettingsError("BOT_TOKEN and SESSION_STRING are both set: keep one of them")
    if settings.source_chat_id in settings.target_chat_id:
        raise SettingsError(f"TARGET_CHAT_ID: {settings.source_chat_id} is SOURCE_CHAT_ID, too")
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
    renewals = Renewals(allowed=settings.bot_token is not None)
    again = True
    with in_time() as told_to_stop:
        while again:
            async with open_core(settings, targets=settings.target_chat_id) as core:
                # At the start it also tells that a table cannot be written.
                await forget_old_refusals(core.store)
                forgetting = asyncio.create_task(keep_forgetting(core.store))
                try:
                    again = await Live(settings, source, core, renewals, told_to_stop).run()
                finally:
                    await end([forgetting])


@contextmanager
def in_time(seconds: float = STOPPING - LAST_MOMENT) -> Iterator[Callable[[], None]]:
    """Once what it gives is called the process ends after so many seconds, if it has not by itself.

    Each step has its own bounds, but a table that another program holds may make many of them wait.
    A thread, since it is not for the event loop to come to an end when the loop is what hangs.
    """
    timer = threading.Timer(seconds, _leave)
    timer.daemon = True

    def told_to_stop() -> None:
        if timer.ident is None:
            timer.start()

    try:
        yield told_to_stop
    finally:
        timer.cancel()


def _leave() -> None:
    log.warning("stopped without closing everything: what is pending stays pending")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # as safe as after a second signal; see there


class Renewals:
    """Whether a login that has become void is made anew: a bot's token can, now and then."""

    def __init__(self, *, allowed: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._allowed = allowed
        self._clock = clock
        self._last: float | None = None

    @property
    def left(self) -> bool:
        long_ago = self._last is None or self._clock() - self._last >= RENEWED_ONCE_IN
        return self._allowed and long_ago

    def take(self) -> bool:
        taken = self.left
        if taken:
            self._last = self._clock()
        return taken


class Live:
    """`source` is the configured one: what became of it is in the core's `moved`."""

    def __init__(
        self,
        settings: Settings,
        source: ChatId,
        core: Core,
        renewals: Renewals,
        told_to_stop: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._renewals = renewals
        self._told_to_stop = told_to_stop
        self._core = core
        self._source = core.now(source)
        self._stopping = asyncio.Event()
        self._again = False
        self._signalled = False
        self._metrics = Metrics()
        self._admins: Admins | None = None  # None: nobody may give orders
        self._hearing = Hearing(
            core.store,
            core.intake,
            core.edits,
            route=Route(self._source, core.targets, core.moved),
            wake=self.wake,
            begin_anew=self._begin_anew,
            stopping=self._stopping,
            more_to_come=lambda: self._telegram.more_to_come,
            unreadable=self._tell_of_unreadable,
            failed=self._has_failed,
            meter=self._metrics,
        )
        self._telegram = telegram_of(
            settings,
            settings.data_dir,
            self._hear,
            Following(
                core.store,
                [self._source],
                from_the_start=tuple(core.moved.values()),
                ttl=_ttl(settings),
            ),
        )
        core.parents.ask(ExistingMessages(self._telegram))
        self._facts = Facts(self._telegram, core)
        self._places = Places(core.targets)
        self._health = Health(self._facts, self._metrics, self._places)
        self._watches: list[Watch] = [self._metrics]
        self._rereading = RetriedEvents(core.store, self._telegram.read_again, self._hearing.expect)
        self._relays = [
            Relay(
                core.store,
                self._telegram.sender,
                target,
                watch=Watches(self._watches, self._places[target]),
            )
            for target in core.targets
        ]
        if core.orders.paused_at is not None:
            self.pause()

    async def run(self) -> bool:
        """Until told to stop; True: all is to begin anew, in chats that moved or a new login."""
        async with self._watched(), self._administered():
            try:
                return await self._run()
            except VoidLogin as exc:
                if self._signalled or not self._renewals.take():
                    raise
                log.warning("the login has become void, beginning anew", error=str(exc))
                return True

    async def _hear(self, event: Event) -> None:
        if self._admins is not None:
            self._admins.hear(event, self._source)
        await self._hearing.hear(event)

    def _tell_of_unreadable(self, message: UnreadableMessage) -> None:
        if self._admins is not None:
            self._admins.alerts.unreadable(message)

    @asynccontextmanager
    async def _administered(self) -> AsyncIterator[None]:
        """Take orders of `ADMIN_USERS` in private chats, and tell them of trouble."""
        settings = self._settings
        if settings.admin_users and settings.session_string:
            log.warning("a user account has no commands: ADMIN_USERS give orders from a shell")
        if not settings.admin_users or settings.session_string:
            yield
            return
        async with open_tables(settings, read_only=False, in_loop=False) as tables:
            chat = AdminChat(self._telegram)
            orders = AdminHandler(
                tables, settings, chat, facts=self._health.facts, clock=self._telegrams_time
            )
            alerts = Alerts(
                orders.tell, self._facts, ToldTable(tables), silence=settings.alert_silence_hours
            )
            await alerts.begin()
            self._admins = Admins(orders, alerts)
            self._watches.append(alerts)
            yield

    @asynccontextmanager
    async def _watched(self) -> AsyncIterator[None]:
        """Answer on `HEALTH_PORT`, if that is set."""
        port = self._settings.health_port
        if port is None:
            yield
            return
        async with serve(self._health, self._settings.health_host, port):
            yield

    async def _run(self) -> bool:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)
        posting: list[asyncio.Task[None]] = []
        hearing: list[asyncio.Task[None]] = []
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            if await self._logged_in(stopping):
                # The libraries stay. To look through them for garbage again and again would stop
                # the loop for 50 ms each time.
                gc.collect()
                gc.freeze()
                posting = [asyncio.create_task(relay.run()) for relay in self._relays]
                hearing = [
                    asyncio.create_task(self._telegram.listen()),
                    asyncio.create_task(self._hearing.bookmarks.run()),
                    asyncio.create_task(self._core.orders.run(self)),
                    asyncio.create_task(self._rereading.run()),
                    asyncio.create_task(self._metrics.measure_lag()),
                    asyncio.create_task(look_for_damage(self._core.store)),
                    asyncio.create_task(self._core.presence.watch()),
                ]
                if self._admins is not None:
                    hearing += self._admins.tasks()
                await asyncio.wait(
                    {*posting, *hearing, stopping}, return_when=asyncio.FIRST_COMPLETED
                )
        finally:
            self._stopping.set()
            await end([stopping])
            if self._admins is not None:
                ended = [task for task in (*posting, *hearing) if task.done()]
                await self._admins.say_why(ended, renewing=self._renewals.left)
            await self._shut_down(posting, hearing)
        for task in (*posting, *hearing):
            if not task.cancelled():
                task.result()  # what ended one of them ends the bot
        return self._again

    # ── what orders do to the relays (see `orders.Posting`) ──

    def wake(self) -> None:
        for relay in self._relays:
            relay.wake()

    def pause(self) -> None:
        for relay in self._relays:
            relay.pause()

    def resume(self) -> None:
        self._places.resumed()
        for relay in self._relays:
            relay.resume()

    def reread(self) -> None:
        self._rereading.wake()

    def _telegrams_time(self) -> float:
        """Unix seconds; the machine's, where Telegram's is not known."""
        told = self._telegram.now()
        return time.time() if told is None else told

    def _has_failed(self, failure: Failure) -> None:
        if self._admins is not None:
            self._admins.alerts.event_failed(failure.ref, failure.error)

    def _begin_anew(self) -> None:
        self._again = not self._signalled
        self._stopping.set()

    async def _logged_in(self, stopping: asyncio.Task[Literal[True]]) -> bool:
        """Whether it came to that: a login may take a minute, and an order to stop may not."""
        login = asyncio.create_task(self._log_in())
        await asyncio.wait({login, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not login.done():
            await end([login])
            return False
        return login.result()

    async def _log_in(self) -> bool:
        """False: told to stop before it came to that, or not where we thought to be."""
        failures = 0
        while not self._stopping.is_set():
            try:
                me = await self._telegram.start()
                await self._look_where_chats_are()
            except RetryLater as exc:
                asked = exc.after.total_seconds() if exc.after else 0.0
                wait = max(doubled(LOGIN_RETRY, LOGIN_RETRY_AT_MOST, failures), asked)
                failures += 1
                log.warning("not connected yet", error=str(exc), retry_in=wait)
                await self._telegram.stop()
                await unless(self._stopping, wait)
            else:
                if me.is_bot:
                    self._hearing.ours.add(AuthorId(me.id))
                if not self._again:
                    await self._say_started(me)
                return not self._again
        return False

    async def _look_where_chats_are(self) -> None:
        """A group may have moved so long ago that nobody tells any more."""
        for chat in {self._source, *self._core.targets}:
            new = await self._telegram.moved_to(chat)
            if new is not None:
                await self._hearing.move(chat, new)

    async def _say_started(self, me: Me) -> None:
        counts = await self._core.store.counts()
        log.info(
            "started",
            account=me.name,
            username=me.username,
            source=self._source,
            targets=self._core.targets,
            tiers=["memory", *(["disk"] if self._core.flows.disk_works else []), "table"],
            ttl_hours=self._settings.flow_ttl_hours.total_seconds() / 3600,
            after_ttl=self._settings.flow_after_ttl,
            paused=self._core.orders.paused_at is not None,
            **counts._asdict(),
        )

    def _stop(self, number: int) -> None:
        if self._signalled:
            # Asked twice: nothing is lost by ending here, every row is committed or not begun.
            # Not by an exception: the library's tasks may take ten seconds to be cancelled.
            os._exit(INTERRUPTED)
        log.info("stopping", signal=signal.Signals(number).name)
        self._signalled = True
        self._told_to_stop()
        self._again = False
        self._stopping.set()

    async def _shut_down(
        self, posting: Iterable[asyncio.Task[None]], hearing: Iterable[asyncio.Task[None]]
    ) -> None:
        """Stop hearing, then finish the posts in hand. What is pending stays pending."""
        for relay in self._relays:
            relay.stop()
        await end(hearing)
        if running := {task for task in posting if not task.done()}:
            await asyncio.wait(running, timeout=POSTS_IN_HAND)
        await end(posting)
        await self._telegram.stop()
        await self._hearing.close()
        log.info("stopped")


class Admins(NamedTuple):
    """What there is for those who may give orders."""

    orders: AdminHandler
    alerts: Alerts

    def hear(self, event: Event, source: ChatId) -> None:
        self.orders.hear(event)
        match event:
            case IncomingMessage(chat_id=chat) | DeletedMessages(chat_id=chat):
                pass
            case EditedMessage(message):
                chat = message.chat_id
            case _:
                return
        if chat == source:
            self.alerts.heard()

    def tasks(self) -> list[asyncio.Task[None]]:
        return [asyncio.create_task(self.orders.run()), asyncio.create_task(self.alerts.run())]

    async def say_why(self, ended: Iterable[asyncio.Task[None]], *, renewing: bool) -> None:
        """Tell of a login that was lost, as far as it still lets us, and is not made anew."""
        for task in ended:
            lost = None if task.cancelled() else task.exception()
            if isinstance(lost, LoggedOut) and not (renewing and isinstance(lost, VoidLogin)):
                self.alerts.login_lost(lost)
                await self.alerts.last_words()


async def end(tasks: Iterable[asyncio.Task[Any]], *, patience: float = 0.5) -> None:
    """Cancel them and wait until they are done. `patience` is seconds between two attempts.

    Once is not enough: `wait_for`, in the library's calls, swallows a cancellation that comes
    together with its result. https://github.com/python/cpython/issues/86296, mended in 3.12
    """
    running = {task for task in tasks if not task.done()}
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=patience)


def _ttl(settings: Settings) -> float | None:
    """Seconds after which a flow is released; None: never."""
    released = settings.flow_after_ttl is AfterTtl.RELEASE
    return settings.flow_ttl_hours.total_seconds() if released else None


def _secret(value: object) -> str | None:
    get = getattr(value, "get_secret_value", None)
    return None if get is None else str(get())
