"""Whether what was opened still stands where it was opened, and who may read it.

A process goes on reading and writing files that have lost their name, and all of it is gone when it
ends. Who deletes, moves or replaces the data directory beside a running bot would not notice before.
"""

from __future__ import annotations

import asyncio
import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from bot.env_text import refuse_readable
from bot.errors import BotError, DatabaseUnavailable, DataGone, SettingsError
from bot.server_address import ServerAddress

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from bot.config import Settings

log = structlog.get_logger(__name__)

PASSING: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO})  # no setting's fault
LOOK_EVERY: Final = 2.0  # seconds


class Identity(NamedTuple):
    device: int
    inode: int


class Presence:
    """Of the paths that are there now; of others it does not care."""

    def __init__(self, paths: Iterable[Path]) -> None:
        known = {path: _identity(path) for path in paths}
        self._known = {path: found for path, found in known.items() if found is not None}

    def check(self) -> None:
        """Raises `DataGone`."""
        for path, known in self._known.items():
            found = _identity(path)
            if found != known:
                what = "is gone" if found is None else "was replaced by another"
                raise DataGone(
                    f"{path} {what} while the bot ran, which stops before it forgets all: put back "
                    "what was there, or a backup, and start it again"
                )

    async def watch(
        self,
        *,
        every: float = LOOK_EVERY,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Look every so many seconds, until cancelled. Raises `DataGone`."""
        while True:
            await sleep(every)
            # Not in the loop: a mount that hangs must not hold up the rest.
            await asyncio.to_thread(self.check)


def _identity(path: Path) -> Identity | None:
    """None: there is nothing, or nothing that can be reached."""
    try:
        found = path.stat()
    except OSError:
        return None
    return Identity(found.st_dev, found.st_ino)


# ── who may read it ──────────────────────────────────────────────────────────


def what_must_stay(settings: Settings) -> list[Path]:
    """All but the flow cache, which is made anew; the lock, since another bot could take another."""
    directory, database = settings.data_dir, settings.database
    if isinstance(database, ServerAddress):
        return [directory, directory / "lock"]
    beside = [database.with_name(f"{database.name}{more}") for more in ("-wal", "-shm")]
    return [directory, database.parent, database, *beside, directory / "lock"]


def keep_private(settings: Settings) -> None:
    """Make what is missing, and see that nobody else reads what the bot writes, whatever the umask.

    Raises `SettingsError` for a session file that others may have read already: it is a login.
    """
    try:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings.data_dir.chmod(0o700)
        if isinstance(settings.database, Path):
            _keep_file_private(settings.database)
    except OSError as exc:
        raise _not_to_be_had(settings, exc) from exc
    for session in settings.sessions:
        refuse_readable(session)


def _keep_file_private(database: Path) -> None:
    database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not database.exists():
        # SQLite would ask the umask; the files beside it take over this one's mode.
        os.close(os.open(database, os.O_CREAT | os.O_CLOEXEC, 0o600))
    for path in database.parent.glob(f"{database.name}*"):
        with suppress(FileNotFoundError):  # SQLite takes its own away, with whoever read last
            if path.stat().st_mode & 0o077 and path.is_file():
                path.chmod(0o600)


def _not_to_be_had(settings: Settings, exc: OSError) -> BotError:
    """What `_keep_private` failed at, by the setting that names it."""
    where = Path(exc.filename)
    elsewhere = isinstance(settings.database_url, Path) and settings.data_dir not in {
        where,
        *where.parents,
    }
    name = "DATABASE_URL" if elsewhere else "DATA_DIR"
    text = f"{name}: {where} cannot be made or written: {exc.strerror}"
    if exc.errno in PASSING:
        return DatabaseUnavailable(f"{text}: make room there")
    text += ": name a directory that the bot may write to"
    chosen = name.lower() in settings.model_fields_set
    return SettingsError(text) if chosen else DatabaseUnavailable(text)
