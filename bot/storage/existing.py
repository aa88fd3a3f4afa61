"""A database that a bot of this version keeps, maybe right now: for whoever asks it something and leaves.

Apart from the store, whose statements for what a message becomes take as long to load as an answer.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from bot.errors import DatabaseUnavailable
from bot.storage.databases import database_at
from bot.storage.migration import Migration

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from sqlalchemy import Connection

    from bot.server_address import ServerAddress
    from bot.storage.engine import AnyDatabase

T = TypeVar("T")


class ExistingTables:
    """Makes nothing and brings nothing up to date: that is for the bot, which holds the lock."""

    def __init__(self, database: AnyDatabase) -> None:
        self._database = database
        self._migration = Migration(database.name)
        self.schema_version = self._migration.version

    async def open(self) -> None:
        if not self._database.exists():
            raise DatabaseUnavailable(
                f"{self._database.name}: no database there, the bot has not run here yet"
                " (or with another DATA_DIR)"
            )
        await self._database.open()
        await self.ask(self._migration.refuse_outdated)

    async def ask(self, query: Callable[[Connection], T]) -> T:
        """Run one of the queries of `bot.storage.records`."""
        return await self._database.run(query)

    async def close(self) -> None:
        await self._database.close()


@asynccontextmanager
async def open_to_read(where: Path | ServerAddress) -> AsyncIterator[ExistingTables]:
    """For a look, beside a running bot or without one. It works in the event loop."""
    tables = ExistingTables(database_at(where, in_loop=True, read_only=True))
    try:
        await tables.open()
        yield tables
    finally:
        await tables.close()
