"""What is done beside the work: old refusals are forgotten, and damage is looked for."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from bot.errors import DatabaseError, DatabaseUnavailable
from bot.models import UnixTime
from bot.storage.people import forget
from bot.storage.records import REFUSALS_KEPT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy import Connection

    from bot.storage.people import People

log = structlog.get_logger(__name__)

FORGET_EVERY: Final = 86_400.0  # seconds
ASK_AGAIN: Final = 600.0  # seconds, where the time or the table was not to be had


class Prunable(Protocol):
    async def prune_decisions(self, *, before: UnixTime) -> int: ...
    async def newest(self) -> UnixTime: ...

    async def change(self, work: Callable[[Connection], None]) -> None: ...

    @property
    def people(self) -> People: ...


class Searchable(Protocol):
    async def look_through(self) -> None: ...


async def forget_old_refusals(table: Prunable, *, now: float | None = None) -> None:
    """And names of people who left long ago.

    `now`: Telegram's time, in unix seconds; None: that of the newest recorded message. Never the
    machine's: a clock that runs fast would have all forgotten. Raises `DatabaseError`.
    """
    date = await table.newest() if now is None else int(now)
    await table.prune_decisions(before=UnixTime(date - REFUSALS_KEPT))
    await table.change(partial(forget, before=UnixTime(date - table.people.kept)))


async def keep_forgetting(
    table: Prunable,
    *,
    clock: Callable[[], float | None],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Each day, until cancelled: a bot may run for years. `clock` is Telegram's; None: not told yet.

    Not at once: a start has just done it, and messages are not to wait for it.
    """
    pause = ASK_AGAIN
    while True:
        await sleep(pause)
        now, pause = clock(), ASK_AGAIN
        if now is None:
            continue
        try:
            await forget_old_refusals(table, now=now)
            pause = FORGET_EVERY
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
