"""Has what could not be dealt with read from Telegram again, once an operator wants it.

What is wanted stands in the table, so an order that was given while no bot ran is obeyed, too, and
one that a crash cut short is begun anew. Messages that were dealt with before change nothing.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from bot.errors import DatabaseError, LoggedOut, TelegramError
from bot.storage import failures

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.models import MessageRef
    from bot.storage.failures import FailureRecord
    from bot.storage.store import SignalStore

log = structlog.get_logger(__name__)

RETRY: Final = 30.0  # seconds
KNOWN_MAX: Final = 1_000


class RetriedEvents:
    """`read` has a message heard anew, `expect` says beforehand of which that is."""

    def __init__(
        self,
        table: SignalStore,
        read: Callable[[MessageRef], Awaitable[None]],
        expect: Callable[[MessageRef], None],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._table = table
        self._read = read
        self._expect = expect
        self._sleep = sleep
        self._wanted = asyncio.Event()
        self._obeyed: set[int | None] = set()  # orders

    def wake(self) -> None:
        """Something is wanted."""
        self._wanted.set()

    async def run(self) -> None:
        """Until cancelled. Raises `LoggedOut`; every other trouble is waited out."""
        await self._know_all()
        while True:
            self._wanted.clear()
            if not await self._read_all():
                await self._sleep(RETRY)
                continue
            await self._wanted.wait()

    async def _know_all(self) -> None:
        """One that failed in an earlier run may come again, or be edited, or be answered."""
        try:
            for each in await self._table.ask(partial(failures.newest, at_most=KNOWN_MAX)):
                self._expect(each.ref)
        except DatabaseError as exc:
            log.warning("what failed before is not known", error=str(exc))

    async def _read_all(self) -> bool:
        """Whether all that is wanted was read."""
        try:
            wanted = await self._table.ask(failures.wanted)
            for each in wanted:
                await self._read_one(each)
        except LoggedOut:
            raise
        except (TelegramError, DatabaseError) as exc:
            log.warning("what failed cannot be read again yet", error=str(exc), retry_in=RETRY)
            return False
        return True

    async def _read_one(self, each: FailureRecord) -> None:
        if each.again in self._obeyed:
            return
        self._expect(each.ref)
        await self._read(each.ref)
        self._obeyed.add(each.again)
        log.info("what failed was read again", chat=each.ref.chat_id, message=each.ref.message_id)
