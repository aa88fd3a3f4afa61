"""What is done beside the work: old refusals are forgotten, and damage is looked for."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from bot.errors import DatabaseError, DatabaseUnavailable
from bot.models import UnixTime
from bot.storage.people import forget
from bot.storage.store import REFUSALS_KEPT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy import Connection

    from bot.storage.people import People

log = structlog.get_logger(__name__)

FORGET_EVERY: Final = 3_600.0  # seconds


class Prunable(Protocol):
    async def prune_decisions(self, *, before: UnixTime) -> int: ...

    async def change(self, work: Callable[[Connection], None]) -> None: ...

    @property
    def people(self) -> People: ...


class Searchable(Protocol):
    async def look_through(self) -> None: ...


async def forget_old_refusals(table: Prunable, *, clock: Callable[[], float] = time.time) -> None:
    """And names of people who left long ago. `clock` is unix seconds. Raises `DatabaseError`."""
    now = UnixTime(int(clock()))
    await table.prune_decisions(before=UnixTime(now - REFUSALS_KEPT))
    await table.change(partial(forget, before=UnixTime(now - table.people.kept)))


async def keep_forgetting(
    table: Prunable,
    *,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Each hour, until cancelled: a bot may run for years. `sleep` takes seconds."""
    while True:
        await sleep(FORGET_EVERY)
        try:
            await forget_old_refusals(table, clock=clock)
        except DatabaseError as exc:
            log.warning("old refusals are not forgotten yet", error=str(exc))


async def look_for_damage(table: Searchable) -> None:
    """Until cancelled: a bot whose table is not to be trusted must end. Raises `DatabaseUnusable`.

    Not before the first message is heard: a large table takes seconds to look through.
    """
    try:
        await table.look_through()
    except DatabaseUnavailable as exc:
        log.warning("table was not looked through for damage", error=str(exc))
    await asyncio.Event().wait()
