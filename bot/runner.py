"""The live bot: from Telegram through the intake into the tables, and from there to the targets."""

from __future__ import annotations

import asyncio
import gc
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

import structlog

from bot.app import open_bot, open_core
from bot.backoff import doubled
from bot.config import Settings
from bot.ending import Ending, Renewals, in_time, watch_hangups
from bot.errors import RetryLater, VoidLogin
from bot.leading import hand_over_if_deaf, leading
from bot.models import Address, AuthorId
from bot.monitoring.housekeeping import forget_old_refusals
from bot.naming import with_routes
from bot.pipeline.patience import end, unless
from bot.reloading import Reloading
from bot.server_address import ServerAddress
from bot.telegram.chats import moved_to

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from bot.app import Bot, Core
    from bot.models import Event
    from bot.routes import Place, Routes
    from bot.telegram.client import Me

log = structlog.get_logger(__name__)

EVENTS_IN_HAND: Final = 4.0  # seconds, as for those of the one source that there may be
POSTS_IN_HAND: Final = 5.0  # seconds, when it stops
LOGIN_RETRY, LOGIN_RETRY_AT_MOST = 1.0, 30.0  # seconds, doubled with each failure


async def run(settings: Settings) -> None:
    """Relay until SIGTERM or SIGINT. Raises `BotError` where it cannot go on."""
    asked = asyncio.Event()
    watch_hangups(asked.set)
    async with _sole_login(settings):
        await _run(settings, asked)


@asynccontextmanager
async def _sole_login(settings: Settings) -> AsyncIterator[None]:
    """Raises `SettingsError` if another host on the same tables has the same login."""
    if not isinstance(settings.database, ServerAddress):
        yield
        return
    from bot.storage.logins import LoginLock, held  # noqa: PLC0415  # they need psycopg

    async with held(LoginLock(settings, settings.database)):
        yield


async def _run(settings: Settings, asked: asyncio.Event) -> None:
    settings, routes = await with_routes(settings)
    reloading = Reloading(settings, asked, load=partial(Settings.load, {}))
    renewals = Renewals(allowed=settings.bot_token is not None)
    with in_time() as told_to_stop:
        ending = Ending(told_to_stop)
        async with leading(settings, ending) as lease:
            again = not ending.signalled
            while again:
                ending = Ending(told_to_stop)
                async with open_core(settings, routes, lease=lease) as core:
                    reloading.begin()
                    try:
                        again = await _live(settings, core, ending, renewals, reloading)
                    finally:
                        reloading.close()
                        routes = core.routes  # if all begins anew, by what was read last


async def _live(
    settings: Settings, core: Core, ending: Ending, renewals: Renewals, reloading: Reloading
) -> bool:
    """Whether all is to begin anew."""
    # At the start it also tells that a table cannot be written.
    await forget_old_refusals(core.store)
    async with AsyncExitStack() as stack:
        bot = await stack.enter_async_context(open_bot(settings, core, ending, reloading.order))
        if core.lease is not None:
            deaf = asyncio.create_task(hand_over_if_deaf(core.lease, bot.telegram))
            stack.push_async_callback(end, [deaf])
        return await Runner(settings, bot, ending, renewals, reloading).run()


def _said_of(routes: Routes) -> dict[str, object]:
    """For the log. Of several sources each has its own rule."""
    one, *others = routes.sources
    targets = list(dict.fromkeys(_where(each) for each in routes.places))
    if others:
        return {"sources": {each.name: each.where for each in routes.sources}, "targets": targets}
    return {
        "source": one.chat if one.topic is None else one.where,
        "targets": [
            each.label if each.topic or each.endpoint else each.chat for each in one.places
        ],
        "ttl_hours": one.ttl.total_seconds() / 3600,
        "after_ttl": one.after_ttl,
    }


def _where(place: Place) -> str:
    return place.label if place.endpoint else str(Address(place.chat, place.topic))


class Runner:
    """One life of a bot: log in, run, stop."""

    def __init__(
        self,
        settings: Settings,
        bot: Bot,
        ending: Ending,
        renewals: Renewals,
        reloading: Reloading,
    ) -> None:
        self._reloading = reloading
        self._settings = settings
        self._bot = bot
        self._ending = ending
        self._renewals = renewals

    async def run(self) -> bool:
        """Until told to stop; True: all is to begin anew, in chats that moved or a new login."""
        try:
            return await self._run()
        except VoidLogin as exc:
            if self._ending.signalled or not self._renewals.take():
                raise
            log.warning("the login has become void, beginning anew", error=str(exc))
            return True

    async def _run(self) -> bool:
        self._ending.watch_signals()
        posting: list[asyncio.Task[None]] = []
        hearing: list[asyncio.Task[None]] = []
        stopping = asyncio.create_task(self._ending.stopping.wait())
        try:
            if await self._logged_in(stopping):
                # The libraries stay. To look through them for garbage again and again would stop
                # the loop for 50 ms each time.
                gc.collect()
                gc.freeze()
                posting = [asyncio.create_task(self._bot.relays.run())]
                hearing = [
                    asyncio.create_task(self._bot.telegram.listen(self._hear)),
                    *(asyncio.create_task(each()) for each in self._bot.beside),
                    asyncio.create_task(self._reloading.run(self._bot)),
                ]
                await asyncio.wait(
                    {*posting, *hearing, stopping}, return_when=asyncio.FIRST_COMPLETED
                )
        finally:
            self._ending.stopping.set()
            await end([stopping])
            await self._say_why([task for task in (*posting, *hearing) if task.done()])
            await self._shut_down(posting, hearing)
        for task in (*posting, *hearing):
            if not task.cancelled():
                task.result()  # what ended one of them ends the bot
        return self._ending.again

    async def _hear(self, event: Event) -> None:
        if self._bot.admins is not None:
            self._bot.admins.hear(event, self._bot.core.routes)
        self._bot.access.heard(event)
        await self._bot.dispatcher.hear(event)

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
        while not self._ending.stopping.is_set():
            try:
                me = await self._bot.telegram.start()
                await self._look_where_chats_are()
                if not self._ending.again:
                    await self._look_at_access()
            except RetryLater as exc:
                asked = exc.after.total_seconds() if exc.after else 0.0
                wait = max(doubled(LOGIN_RETRY, LOGIN_RETRY_AT_MOST, failures), asked)
                failures += 1
                log.warning("not connected yet", error=str(exc), retry_in=wait)
                await self._bot.telegram.stop()
                await unless(self._ending.stopping, wait)
            else:
                if me.is_bot:
                    self._bot.dispatcher.ours.add(AuthorId(me.id))
                if not self._ending.again:
                    await self._say_started(me)
                return not self._ending.again
        return False

    async def _look_where_chats_are(self) -> None:
        """A group may have moved so long ago that nobody tells any more."""
        routes = self._bot.core.routes
        for chat in {*routes.chats, *routes.targets}:
            new = await moved_to(self._bot.telegram, chat)
            if new is not None:
                await self._bot.dispatcher.move(chat, new)

    async def _look_at_access(self) -> None:
        """Raises `SettingsError` for what cannot work."""
        routes = self._bot.core.routes
        await self._bot.access.begin(routes.chats, routes.targets)

    async def _say_started(self, me: Me) -> None:
        core, routes = self._bot.core, self._bot.core.routes
        counts = await core.store.counts()
        log.info(
            "started",
            account=me.name,
            username=me.username,
            **_said_of(routes),
            tiers=["memory", *(["disk"] if core.flows.disk_works else []), "table"],
            paused=core.orders.paused_at is not None,
            not_ready=[each.chat for each in self._bot.access.troubles()],
            **counts._asdict(),
        )

    async def _say_why(self, ended: Iterable[asyncio.Task[None]]) -> None:
        if self._bot.admins is not None:
            await self._bot.admins.say_why(ended, renewing=self._renewals.left)

    async def _shut_down(
        self, posting: Iterable[asyncio.Task[None]], hearing: Iterable[asyncio.Task[None]]
    ) -> None:
        """Stop hearing, then finish the posts in hand. What is pending stays pending."""
        self._bot.relays.stop()
        await end(hearing)
        if running := {task for task in posting if not task.done()}:
            await asyncio.wait(running, timeout=POSTS_IN_HAND)
        await end(posting)
        await self._bot.telegram.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(EVENTS_IN_HAND):
                await self._bot.dispatcher.drain()
        self._bot.dispatcher.close()
        self._bot.access.close()
        log.info("stopped")
