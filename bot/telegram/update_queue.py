"""Where updates wait for their one reader: in the order they came, one at a time.

Not the libraries' own queue: their dispatcher parses what it reads, and asks Telegram for the parent
of every reply before anybody hears of it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    Deal = Callable[[Any, Mapping[int, Any], Mapping[int, Any]], Awaitable[None]]

log = structlog.get_logger(__name__)


class UpdateQueue:
    """Is of no use any more once it was drained."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[tuple[Any, ...] | None] = asyncio.Queue()  # None: the end
        self._reader: asyncio.Task[None] | None = None  # None: nobody reads, or no more

    def feed(self, update: Any, users: Mapping[int, Any], chats: Mapping[int, Any]) -> None:
        """`users` and `chats` are those that it names."""
        self._waiting.put_nowait((update, users, chats))

    def __len__(self) -> int:
        """How many wait; what is being dealt with does not."""
        return self._waiting.qsize()

    def read(self, deal: Deal) -> None:
        """Deal with what waits and with what comes, until drained."""
        if self._reader is None:
            self._reader = asyncio.create_task(self._read(deal))

    async def drain(self) -> None:
        """Have all dealt with that waits. Cancelled, it cuts off what is under way."""
        reader, self._reader = self._reader, None
        if reader is not None:
            self._waiting.put_nowait(None)
            await reader

    async def _read(self, deal: Deal) -> None:
        while (waiting := await self._waiting.get()) is not None:
            try:
                await deal(*waiting)
            except Exception:
                # Those behind it are not to wait for ever.
                log.exception("an update was not dealt with")
