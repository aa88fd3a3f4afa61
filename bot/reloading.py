"""`routes.toml` read again by a running bot: all that it says is taken over, or nothing of it.

Whatever may fail comes first: reading, names and chats that only Telegram knows, the list of places in
the tables. What is left then is done between two events; see `Bot.follow`.
"""

from __future__ import annotations

import asyncio
import os
import time
from functools import partial
from typing import TYPE_CHECKING

import structlog

from bot.admin.reload import (
    PATIENCE,
    ReadAgain,
    check_file,
    digest_of,
    file_of,
    keep,
    no_file,
    text_of,
)
from bot.admin.route_changes import changes
from bot.config import Settings
from bot.errors import BotError, LoggedOut, SettingsError, words_of
from bot.known_routes import read_routes
from bot.naming import found_by, routes_of
from bot.phrases import joined, lines_of, phrase
from bot.routes import Routes
from bot.telegram.chats import moved_to

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.app import Bot
    from bot.routes_file import Listed

log = structlog.get_logger(__name__)


class NothingToRead(SettingsError):
    """The bot goes by `.env`, which is read at a start only."""


class Reloading:
    """Over all lives of a process. `asked` is set to have it read again.

    `load` reads the settings as a start would, `clock` is unix seconds, `patience` is seconds for an answer.
    """

    def __init__(
        self,
        settings: Settings,
        asked: asyncio.Event,
        *,
        load: Callable[[], Settings],
        clock: Callable[[], float] = time.time,
        patience: float = PATIENCE,
    ) -> None:
        self._patience = patience
        self._orders: list[asyncio.Future[ReadAgain]] = []  # that nobody has begun to obey
        self._settings = settings
        self._load = load
        self._clock = clock
        self._asked = asked
        path = settings.routes
        self._last = ReadAgain(os.getpid(), str(path.resolve()), in_force=text_of(path))

    def begin(self) -> None:
        """From now on orders are heard: `reload` looks for that."""
        keep(file_of(self._settings), self._last)

    def close(self) -> None:
        file_of(self._settings).unlink(missing_ok=True)

    async def order(self) -> str:
        """What has changed, a line each, of a bot that runs. Raises `SettingsError` where nothing is taken over."""
        await asyncio.to_thread(check_file, self._settings)
        answer = asyncio.get_running_loop().create_future()
        self._orders.append(answer)
        self._asked.set()
        try:
            async with asyncio.timeout(self._patience):
                found = await answer
        except TimeoutError:
            seconds = f"{self._patience:.0f}"
            raise BotError(
                phrase(
                    "no answer within {seconds} s: the log says what it waits for", seconds=seconds
                )
            ) from None
        said = joined("\n", found.said)
        if not found.taken:
            raise SettingsError(said)
        return said

    async def run(self, bot: Bot) -> None:
        """Obey, until cancelled. Raises `LoggedOut`; whatever else is wrong changes nothing."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            try:
                await self.obey(bot)
            except asyncio.CancelledError:
                self._asked.set()  # for the next life
                raise

    async def obey(self, bot: Bot) -> None:
        orders, self._orders = self._orders, []
        text = text_of(self._settings.routes)
        try:
            found = await self._take_over(bot)
        except LoggedOut:
            raise
        except BotError as exc:
            self._refuse(bot, exc, text)
        except Exception as exc:
            log.exception("routes could not be read again")
            self._refuse(bot, exc, text)
        else:
            log.info("routes read again", changes=found, routes=self._last.file)
            said = found or [phrase("nothing in it has changed")]
            self._last = self._last._replace(in_force=text)
            self._say([*said, *self._for_a_start()], text, taken=True)
        for each in orders:
            if not each.done():
                each.set_result(self._last)

    async def _take_over(self, bot: Bot) -> list[str]:
        listed, before = self._read(bot), bot.core.routes
        routes = await routes_of(listed, self._settings, partial(found_by, bot.telegram))
        routes = await self._where_chats_are(bot, routes)
        try:
            await bot.follow(routes)
        except SettingsError as exc:
            said = map(listed.in_its_line, lines_of(words_of(exc)))
            raise SettingsError(joined("\n", said)) from exc
        return changes(before, bot.core.routes)

    def _read(self, bot: Bot) -> Listed:
        path = self._settings.routes
        if not bot.core.routes.named and not path.exists():
            raise NothingToRead(no_file(path))
        listed = read_routes(self._settings)  # says what is wrong with a file beside the one route
        if isinstance(listed, Routes):
            raise SettingsError(
                phrase("there is no {file} any more: put it back, or stop the bot", file=str(path))
            )
        return listed

    async def _where_chats_are(self, bot: Bot, routes: Routes) -> Routes:
        """A group that is new to the file may have moved long ago."""
        before, store = bot.core.routes, bot.core.store
        for chat in {*routes.chats, *routes.targets}.difference(before.chats, before.targets):
            new = await moved_to(bot.telegram, chat)
            if new is not None:
                await store.move_chat(chat, new)
        return routes.where_chats_are(await store.moved_chats())

    def _refuse(self, bot: Bot, exc: Exception, text: str) -> None:
        log.error("routes are as they were", error=str(exc), routes=self._last.file)
        said = lines_of(words_of(exc) or type(exc).__name__)
        if bot.admins is not None and not isinstance(exc, NothingToRead):
            bot.admins.alerts.routes_refused(joined("; ", said))
        self._say([*said, *self._for_a_start()], text, taken=False)

    def _say(self, said: list[str], text: str, *, taken: bool) -> None:
        self._last = self._last._replace(
            number=self._last.number + 1,
            at=self._clock(),
            digest=digest_of(text),
            taken=taken,
            said=tuple(said),
        )
        keep(file_of(self._settings), self._last)

    def _for_a_start(self) -> list[str]:
        """What `.env` says otherwise by now, by the names of settings: that takes a start."""
        try:
            new = self._load()
        except SettingsError as exc:
            said = lines_of(words_of(exc))[0]
            return [phrase("and .env would stop a start now: {error}", error=said)]
        old = self._settings
        names = [name for name in Settings.model_fields if getattr(new, name) != getattr(old, name)]
        secrets = {**old.place_secrets, **new.place_secrets}
        names += [
            name for name in secrets if new.place_secrets.get(name) != old.place_secrets.get(name)
        ]
        listed = ", ".join(map(str.upper, names))
        said = phrase("and {settings} changed in .env: a restart takes that over", settings=listed)
        return [said] if names else []
