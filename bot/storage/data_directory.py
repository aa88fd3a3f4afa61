"""Whether what was opened still stands where it was opened, and who may read or write it.

A process goes on reading and writing files that have lost their name, and all of it is gone when it
ends. Who deletes, moves or replaces the data directory beside a running bot would not notice before.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from bot.env_text import refuse_readable
from bot.errors import BotError, DatabaseUnavailable, DataGone, SettingsError
from bot.server_address import ServerAddress

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from bot.config import Settings

PASSING: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO})  # no setting's fault
LOOK_EVERY: Final = 2.0  # seconds
BESIDE: Final = ("-wal", "-shm", "-journal")  # what SQLite opens by a database's own name
WRITTEN: Final = ("lock", "*.session*", "access.*", "chats.json*")  # in DATA_DIR, by the bot


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
        found = os.stat(path)  # noqa: PTH116  # half of what `Path.stat` takes, before each question
    except OSError:
        return None
    return Identity(found.st_dev, found.st_ino)


def ordinary(path: Path) -> Identity | None:
    """Which file it is; None: there is none. Raises `DatabaseUnavailable` for a link or no file."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise DatabaseUnavailable(f"{path}: {exc.strerror}") from exc
    if stat.S_ISREG(found.st_mode):
        return Identity(found.st_dev, found.st_ino)
    what = "a link, and none is followed" if stat.S_ISLNK(found.st_mode) else "no file"
    raise DatabaseUnavailable(f"{path} is {what}: put the file itself there")


def identified(database: Path, *, make: bool = False) -> Identity:
    """Which file it is, if nothing that SQLite opens by its name is a link. Raises
    `DatabaseUnavailable`, also where there is none, unless it is to be made.
    """
    for more in BESIDE:
        ordinary(database.with_name(f"{database.name}{more}"))
    try:
        found = ordinary(database) or (made(database) if make else None)
    except FileExistsError:  # another was faster
        found = ordinary(database)
    except OSError as exc:
        raise DatabaseUnavailable(f"{database}: unable to open: {exc.strerror}") from exc
    if found is None:
        raise DatabaseUnavailable(f"{database}: there is no database yet")
    return found


def made(path: Path) -> Identity:
    """A new file, its owner's alone: SQLite would ask the umask. Raises `OSError`."""
    new = os.open(path, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(new, 0o600)
        found = os.fstat(new)
    finally:
        os.close(new)  # before SQLite opens it: to close it later would give up SQLite's locks
    return Identity(found.st_dev, found.st_ino)


# ── who may read it ──────────────────────────────────────────────────────────


def what_must_stay(settings: Settings) -> list[Path]:
    """All but the flow cache, which is made anew; the lock, since another bot could take another."""
    directory, database = settings.data_dir, settings.database
    if isinstance(database, ServerAddress):
        return [directory, directory / "lock"]
    beside = [database.with_name(f"{database.name}{more}") for more in ("-wal", "-shm")]
    return [directory, database.parent, database, *beside, directory / "lock"]


def keep_private(settings: Settings) -> Identity | None:
    """Make what is missing, and see that nobody else reads what the bot writes, whatever the umask.

    Gives the file that is the database; None: it is a server.

    Raises `SettingsError` for a directory in which others may write, for a link under a name of the
    bot's, and for a session file that others may have read already: it is a login.
    """
    file = None
    try:
        keep_directory_private(settings)
        if isinstance(settings.database, Path):
            file = _keep_file_private(settings.database, own=settings.database_url is None)
    except OSError as exc:
        raise _not_to_be_had(settings, exc) from exc
    for session in settings.sessions:
        refuse_readable(session)
    return file


def keep_directory_private(settings: Settings) -> None:
    """`DATA_DIR`, before anything is written in it. Raises `SettingsError`, and `OSError`."""
    directory = settings.data_dir
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    refuse_shared("DATA_DIR", directory)
    directory.chmod(0o700)
    for path in directory.iterdir():
        if any(fnmatch(path.name, each) for each in WRITTEN):
            _refuse_link(path)


def refuse_shared(setting: str, directory: Path, *, user: int | None = None) -> None:
    """Raise `SettingsError` where others may put files in the place of the bot's.

    It is not ours to change: it may be /tmp. `user` None: whoever this process is.
    """
    found, user = directory.stat(), os.geteuid() if user is None else user
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid != user:
        raise SettingsError(
            f"{setting}: {directory} belongs to user {found.st_uid}, and the bot runs as {user}: "
            f"name a directory of its own, or chown {user} it with all that is in it"
        )
    if mode & 0o022:
        raise SettingsError(
            f"{setting}: others may write in {directory} ({mode:o}), and could put their files in "
            "the place of the bot's: name a directory of its own, or look at what is in it and "
            f"chmod 700 {directory}"
        )


def _refuse_link(path: Path, setting: str = "DATA_DIR") -> None:
    try:
        ordinary(path)
    except DatabaseUnavailable as exc:
        raise SettingsError(f"{setting}: {exc}") from exc


def _keep_file_private(database: Path, *, own: bool) -> Identity | None:
    """`own`: it lies in `DATA_DIR`, which was looked at."""
    if not own:
        database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        refuse_shared("DATABASE_URL", database.parent)
    for more in ("", *BESIDE):
        path = database.with_name(f"{database.name}{more}")
        _refuse_link(path, "DATA_DIR" if own else "DATABASE_URL")
    with suppress(FileExistsError):
        made(database)
    for path in database.parent.glob(f"{database.name}*"):
        with suppress(FileNotFoundError):  # SQLite takes its own away, with whoever read last
            found = path.lstat().st_mode
            if found & 0o077 and stat.S_ISREG(found):
                path.chmod(0o600)
    return ordinary(database)


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
