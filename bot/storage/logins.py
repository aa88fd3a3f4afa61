"""One login is one host's: whoever runs a bot with a login holds a lock of it in the database.

Two hosts with one login would each be told of half of what Telegram tells. The lock lives as long as the
process, so a host that is made anew is the same one, wherever it runs.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager, closing
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import structlog
from sqlalchemy import func, select

from bot.errors import DatabaseError, SettingsError
from bot.storage.postgresql import Server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from sqlalchemy import Connection

    from bot.config import Settings
    from bot.server_address import ServerAddress

log = structlog.get_logger(__name__)

LOOK_EVERY: Final = 5.0  # seconds
PATIENCE: Final = 4  # looks, for a process of this host that ends just now


class LoginLock:
    """`address` is where the lock is. `sleep` takes seconds. Raises `SettingsError`."""

    def __init__(
        self,
        settings: Settings,
        address: ServerAddress,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._settings = settings
        self._session = Server(address)
        self._sleep = sleep
        self._held: int | None = None

    async def open(self) -> None:
        """Hold the login, if there is one by now."""
        await self._session.open()
        for tried in range(PATIENCE):
            if await self._session.run(self._hold):
                return
            if tried + 1 < PATIENCE:
                await self._sleep(LOOK_EVERY)
        raise SettingsError(self._refusal())

    async def close(self) -> None:
        await self._session.close()

    async def keep(self) -> None:
        """Until another host has it, too. A login that is new is held as soon as it is there."""
        while True:
            await self._sleep(LOOK_EVERY)
            try:
                held = await self._session.run(self._hold)
            except DatabaseError as exc:
                log.debug("whether another host has this login is not known", error=str(exc))
                continue
            if not held:
                raise SettingsError(self._refusal())

    def _hold(self, db: Connection) -> bool:
        """A session that is new holds nothing; one that held it before holds it once more."""
        name = fingerprint(self._settings)
        if name is None:
            return True
        taken: bool = db.execute(select(func.pg_try_advisory_lock(name))).scalar_one()
        return taken

    def _refusal(self) -> str:
        if self._settings.session_string:
            return (
                "SESSION_STRING: another host works on the same tables with this login:"
                " each needs one of its own, `python -m bot setup` makes it"
            )
        files = " and ".join(map(str, self._settings.sessions))
        return (
            f"{files}: another host works on the same tables with this login, the file is a copy:"
            " remove it here, and a bot logs in by its token anew"
        )


def fingerprint(settings: Settings) -> int | None:
    """63 bits that tell nothing of the login; None: there is none yet."""
    if settings.session_string is not None:
        key = settings.session_string.get_secret_value().encode()
    else:
        keys = filter(None, map(_key_in, settings.sessions))
        key = next(keys, b"")
    return (
        int.from_bytes(blake2b(key, digest_size=8, person=b"relay login").digest()) >> 1
        if key
        else None
    )


def _key_in(file: Path) -> bytes | None:
    """As both libraries keep it. What cannot be read is for them to complain of."""
    if file.suffix != ".session":
        return None
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as db:
            (key,) = db.execute("SELECT auth_key FROM sessions").fetchone()
    except (sqlite3.Error, TypeError, ValueError):
        return None
    return key if isinstance(key, bytes) else None


@asynccontextmanager
async def held(login: LoginLock) -> AsyncIterator[None]:
    """Ends what is done meanwhile, by the error, if another host turns up with the login."""
    task, lost = asyncio.current_task(), list[SettingsError]()
    assert task is not None  # noqa: S101  # it is a coroutine

    async def keep() -> None:
        try:
            await login.keep()
        except SettingsError as exc:
            lost.append(exc)
            task.cancel()

    keeping = None
    try:
        await login.open()
        keeping = asyncio.create_task(keep())
        yield
    except asyncio.CancelledError:
        if lost:
            raise lost[0] from None
        raise
    finally:
        if keeping is not None:
            keeping.cancel()
            await asyncio.wait({keeping})
        await login.close()
