"""Whether what was opened still stands where it was opened.

A process goes on reading and writing files that have lost their name, and all of it is gone when it
ends. Who deletes, moves or replaces the data directory beside a running bot would not notice before.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from bot.errors import DataGone

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from pathlib import Path

log = structlog.get_logger(__name__)

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
