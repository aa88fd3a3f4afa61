"""Events as lines of a file, each whole or not at all, and each once.

A crash may leave half a line at the end. Nobody was told that it was there: it is taken away, and told
again. Whoever reads along takes a line once its line break is there.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import stat
from typing import TYPE_CHECKING, Final

from bot.errors import RetryLater, TargetUnavailable, TelegramError
from bot.faults import named
from bot.phrases import phrase

if TYPE_CHECKING:
    from pathlib import Path

    from bot.delivery.events import Event
    from bot.models import ChatId

TAIL: Final = 1 << 20  # bytes of the file's end in which ids are looked for
# A link may be led to another file by whoever may write where it is; a pipe may wait without end.
FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
UNTIL_MENDED: Final = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
NO_FILE: Final = {errno.ELOOP, errno.ENXIO, errno.ENODEV}


class EventFile:
    """`path` is opened for each line, so that it may be moved away at any time."""

    def __init__(self, path: Path, target: ChatId) -> None:
        self._path = path
        self._target = target

    async def close(self) -> None: ...

    async def look(self) -> str:
        """What a look finds: it is or could be made. Raises as `tell`."""
        try:
            await asyncio.to_thread(self._look)
        except OSError as exc:
            raise self._in_words(exc) from exc
        return phrase("{file} can be written", file=str(self._path))

    async def tell(self, event: Event) -> None:
        try:
            await asyncio.to_thread(self._append, event)
        except OSError as exc:
            raise self._in_words(exc) from exc

    def _in_words(self, exc: OSError) -> TelegramError:
        if exc.errno in NO_FILE:
            told = phrase("this is a link or no file, and is not written to")
            return TargetUnavailable(named(str(self._path), told), self._target)
        told = named(str(self._path), exc.strerror or type(exc).__name__)
        if isinstance(exc, UNTIL_MENDED):
            return TargetUnavailable(told, self._target)
        return RetryLater(told)

    def _look(self) -> None:
        try:
            file = os.open(self._path, FLAGS & ~os.O_CREAT)
        except FileNotFoundError:
            if not os.access(self._path.parent, os.W_OK | os.X_OK):
                raise
        else:
            try:
                _refuse_no_file(file)
            finally:
                os.close(file)

    def _append(self, event: Event) -> None:
        file = os.open(self._path, FLAGS, 0o600)
        try:
            if _refuse_no_file(file) & 0o077:
                os.fchmod(file, 0o600)
            end, tail = _whole_lines(file)
            if _holds(tail, event.id):
                return  # written before, and that was not noted
            _write(file, end, f"{event.body()}\n".encode())
        finally:
            os.close(file)


def _refuse_no_file(file: int) -> int:
    """The mode of what is one; else raises `OSError`."""
    mode = os.fstat(file).st_mode
    if not stat.S_ISREG(mode):
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
    return mode


def _whole_lines(file: int) -> tuple[int, bytes]:
    """Where the last of them ends, and the last of them. What is behind it is taken away."""
    size = os.fstat(file).st_size
    start = max(0, size - TAIL)
    tail = os.pread(file, size - start, start)
    whole = tail.rfind(b"\n") + 1
    if whole < len(tail):
        os.ftruncate(file, start + whole)
    return start + whole, tail[:whole]


def _holds(tail: bytes, event_id: str) -> bool:
    """Quotation marks in what people wrote are escaped there, so that nobody can write this."""
    return f'"id":{json.dumps(event_id)},'.encode() in tail


def _write(file: int, end: int, line: bytes) -> None:
    try:
        _write_whole(file, line)
    except OSError:
        os.ftruncate(file, end)
        raise


def _write_whole(file: int, line: bytes) -> None:
    if os.write(file, line) < len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.fsync(file)
