"""The lock on the data directory: one bot in it at a time."""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from bot.errors import AlreadyRunning, DatabaseUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


# The file is emptied and written to. A pipe in its place would have whoever looks at it wait.
FLAGS: Final = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class Holder(NamedTuple):
    pid: int | None  # None: somebody, but who cannot be told
    since: float  # unix seconds


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock. The kernel lets go of it, too, if we die.

    Raises `AlreadyRunning` with the holder's pid.
    """
    lock = _take(path)
    try:
        yield
    finally:
        # Who finds a pid here looks further, and for that must try the lock; see `holder`.
        os.ftruncate(lock, 0)
        os.close(lock)


def holder(path: Path) -> Holder | None:
    """Who holds the lock; None: nobody. Does not come into the way of a bot that starts."""
    try:
        lock = os.open(path, os.O_RDONLY | FLAGS)
    except FileNotFoundError:
        return None
    except OSError as exc:
        if exc.errno == errno.ELOOP:  # no bot of ours has made it
            return None
        raise
    try:
        # Trying a lock takes it for a moment, in which a bot could not start. An empty file is
        # one that was given up in order, so a moment is left only after a crash.
        named = os.read(lock, 20).decode(errors="replace").strip()
        if not named or not _is_held(lock):
            return None
        return Holder(int(named) if named.isdecimal() else None, os.fstat(lock).st_mtime)
    finally:
        os.close(lock)


def _take(path: Path) -> int:
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | FLAGS, 0o600)
    except OSError as exc:
        if exc.errno == errno.ELOOP:
            raise DatabaseUnavailable(f"{path} is a link, and none is followed: remove it") from exc
        raise DatabaseUnavailable(f"{path}: {exc.strerror}") from exc
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        pid = os.read(lock, 20).decode(errors="replace").strip() or "unknown"
        os.close(lock)
        raise AlreadyRunning(f"{path.parent} is in use by another instance (pid {pid})") from exc
    with suppress(OSError):  # a full disk: it is held without a name
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def _is_held(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    return False
