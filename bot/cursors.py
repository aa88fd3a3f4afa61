"""How far Telegram's updates are dealt with."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from bot.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from bot.models import ChatId, Cursor

log = structlog.get_logger(__name__)

BOOKMARKS_EVERY: Final = 1.0  # seconds


class CursorTable(Protocol):
    async def move_cursors(self, reached: Iterable[Cursor]) -> None: ...


class Bookmarks:
    """How far all is recorded, written down now and then.

    What is not written down when the process dies comes again, and is recognised. `every` is
    seconds.
    """

    def __init__(
        self,
        table: CursorTable,
        *,
        every: float = BOOKMARKS_EVERY,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._table = table
        self._every = every
        self._sleep = sleep
        self._reached: dict[ChatId, Cursor] = {}
        self._frozen = False

    def move(self, cursor: Cursor) -> None:
        """All before it is recorded."""
        if not self._frozen:
            self._reached[cursor.box] = cursor

    def freeze(self) -> None:
        """Something was not recorded: nothing moves beyond it."""
        self._frozen = True

    async def run(self) -> None:
        while True:
            await self._sleep(self._every)
            await self._write()

    async def close(self) -> None:
        if not self._frozen:  # else the table is in trouble, and we are not to wait for it
            await self._write()

    async def _write(self) -> None:
        reached, self._reached = self._reached, {}
        if not reached:
            return
        try:
            await self._table.move_cursors(list(reached.values()))
        except DatabaseError as exc:
            log.warning("cursors were not written", error=str(exc))
            self._reached = reached | self._reached
