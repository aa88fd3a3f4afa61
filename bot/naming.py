"""Names in the settings become ids: looked up once, before the bot is built, and kept."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bot import chat_names
from bot.config import require
from bot.connecting import telegram_of
from bot.errors import SettingsError, UsageError, words_of
from bot.known_routes import read_routes
from bot.phrases import joined, phrase
from bot.routes import Routes
from bot.storage.data_directory import keep_directory_private
from bot.telegram.peer_names import id_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from bot.chat_names import ChatName
    from bot.config import Settings
    from bot.routes_file import Listed
    from bot.telegram.peer_names import Account


async def with_ids(settings: Settings) -> Settings:
    """The settings, with no name left in them. Raises `SettingsError` for one that nobody has, a line each,
    and `TelegramError` where Telegram cannot be asked.
    """
    require(settings)
    unknown = settings.unknown_names
    if not unknown:
        return settings
    found = await _found(settings, unknown)
    keep_names(settings, found)
    return settings.with_names(found)


def keep_names(settings: Settings, found: Mapping[ChatName, int]) -> None:
    """Raises `SettingsError` where `DATA_DIR` is not the bot's alone, or cannot be written."""
    try:
        keep_directory_private(settings)
        chat_names.keep(settings.data_dir, found)
    except OSError as exc:
        raise SettingsError(
            phrase(
                "DATA_DIR: {directory} cannot be written: {error}: name a directory that the bot may "
                "write to",
                directory=settings.data_dir,
                error=exc.strerror,
            )
        ) from exc


async def with_routes(settings: Settings) -> tuple[Settings, Routes]:
    """The same, and what is read and where it goes, by the settings or by a file."""
    settings = await with_ids(settings)
    listed = read_routes(settings)
    if isinstance(listed, Routes):
        return settings, listed
    return settings, await routes_of(listed, settings, partial(_found, settings))


async def routes_of(
    listed: Listed,
    settings: Settings,
    find: Callable[[dict[ChatName, str]], Awaitable[dict[ChatName, int]]],
) -> Routes:
    """`find` is asked for names that are new, each with where it stands. Raises as `with_ids`."""
    known = chat_names.kept(settings.data_dir)
    unknown = {name: listed.where(name) for name in listed.names if name not in known}
    if unknown:
        found = await find(unknown)
        keep_names(settings, found)
        known |= found
    return listed.known(known)


async def _found(settings: Settings, names: dict[ChatName, str]) -> dict[ChatName, int]:
    """`names`: with the setting that each stands in."""
    # A session of its own: another bot may be running on the one in DATA_DIR.
    with tempfile.TemporaryDirectory(prefix="names-") as directory:
        telegram = telegram_of(settings, Path(directory))
        try:
            await telegram.start()
            return await found_by(telegram, names)
        finally:
            await telegram.stop()


async def found_by(telegram: Account, names: dict[ChatName, str]) -> dict[ChatName, int]:
    """Raises `SettingsError` with a line for each that nobody has."""
    found: dict[ChatName, int] = {}
    wrong = []
    for name, setting in names.items():
        try:
            found[name] = await id_of(telegram, name)
        except UsageError as exc:
            wrong.append(joined(": ", [setting, words_of(exc)]))
    if wrong:
        raise SettingsError(joined("\n", wrong))
    return found
