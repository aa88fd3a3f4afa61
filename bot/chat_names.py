"""Chats that `routes.toml` names by @name: looked up once, and kept by their ids from then on.

A name may go to another chat, and to another's; whoever takes it over must not be posted to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from bot.app import telegram_of
from bot.config import require
from bot.errors import DatabaseError, RetryLater, SettingsError, TargetUnavailable, TelegramError
from bot.lock import locked
from bot.routes import Routes
from bot.routes_file import read_routes
from bot.storage import chat_names
from bot.storage.engine import Database
from bot.storage.store import SignalStore
from bot.telegram.chats import named_chat

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from bot.config import Settings
    from bot.models import ChatId
    from bot.routes_file import Listed
    from bot.telegram.client import Telegram

log = structlog.get_logger(__name__)


async def known_routes(settings: Settings, *, instead: Collection[str] = ()) -> Routes:
    """The routes, as far as that is known without Telegram. Raises `SettingsError`."""
    listed = read_routes(settings, instead=instead)
    if isinstance(listed, Routes):
        return listed
    names = await _kept(settings) if listed.names else {}
    unknown = [name for name in listed.names if name not in names]
    if unknown:
        raise SettingsError(
            f"{listed.where(unknown[0])}: which chat {unknown[0]} is has not been looked up yet: "
            "start the bot once, or write its id"
        )
    return listed.known(names)


async def found_routes(settings: Settings) -> Routes:
    """The same, with names looked up that are new. Raises `SettingsError` and `TelegramError`."""
    require(settings)
    listed = read_routes(settings)
    if isinstance(listed, Routes):
        return listed
    names = dict(await _kept(settings)) if listed.names else {}
    if any(name not in names for name in listed.names):
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(settings.data_dir / "lock"):
            new = await look_up(settings, settings.data_dir, listed, names)
            await _keep(settings, new)
        names |= new
    return listed.known(names)


async def look_up(
    settings: Settings, directory: Path, listed: Listed, known: Mapping[str, ChatId]
) -> dict[str, ChatId]:
    """Those that are not known, by a login whose session is in `directory`."""
    telegram = telegram_of(settings, directory)
    try:
        await telegram.start()
        return await names_by(telegram, listed, known)
    finally:
        await telegram.stop()


async def names_by(
    telegram: Telegram, listed: Listed, known: Mapping[str, ChatId]
) -> dict[str, ChatId]:
    """By a connection that is there. Raises `SettingsError` for a name that no chat has."""
    found: dict[str, ChatId] = {}
    for name in listed.names:
        if name in known:
            continue
        try:
            found[name] = await named_chat(telegram, name)
        except RetryLater:
            raise
        except (TargetUnavailable, TelegramError) as exc:
            raise SettingsError(f"{listed.where(name)}: {name} is no chat: {exc}") from exc
        log.info("looked up", name=name, chat=found[name])
    return found


async def _kept(settings: Settings) -> Mapping[str, ChatId]:
    if not settings.database.exists():
        return {}
    store = SignalStore(Database(settings.database, in_loop=True, read_only=True))
    try:
        await store.open_existing()
        return await store.ask(chat_names.kept)
    except DatabaseError:
        return {}  # whoever opens it next says why
    finally:
        await store.close()


async def _keep(settings: Settings, names: Mapping[str, ChatId]) -> None:
    store = SignalStore(Database(settings.database, in_loop=True))
    try:
        await store.open()
        await store.change(lambda db: chat_names.keep(db, names))
    finally:
        await store.close()
