"""SQLite answering in the event loop itself, for work that nothing else waits beside.

aiosqlite runs every call in a thread. That keeps a live bot's loop free while a statement waits
for a lock or the disk, and costs eleven thread hops per recorded message. A replay or an import
has no loop to keep free and hundreds of thousands of messages.

This is as much of aiosqlite's interface as SQLAlchemy's dialect calls, without the threads.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Sequence


class Connection:
    def __init__(self, database: str, *, timeout: float, uri: bool = False) -> None:
        self._connection = sqlite3.connect(database, timeout=timeout, isolation_level=None, uri=uri)

    def cursor(self) -> Cursor:
        return Cursor(self._connection.cursor())

    async def commit(self) -> None:
        self._connection.commit()

    async def rollback(self) -> None:
        self._connection.rollback()

    async def close(self) -> None:
        self._connection.close()

    def stop(self) -> None:
        """What aiosqlite calls closing without waiting for its thread."""
        self._connection.close()

    async def create_function(self, *args: Any, **kwargs: Any) -> None:
        self._connection.create_function(*args, **kwargs)


class Cursor:
    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor

    async def __aenter__(self) -> Self:
        return self

    @property
    def description(self) -> Any:
        return self._cursor.description

    @property
    def rowcount(self) -> int:
        return self._cursor.rowcount

    @property
    def lastrowid(self) -> int | None:
        return self._cursor.lastrowid

    async def execute(self, operation: str, parameters: Sequence[Any] = ()) -> None:
        self._cursor.execute(operation, parameters)

    async def executemany(self, operation: str, parameters: Sequence[Sequence[Any]]) -> None:
        self._cursor.executemany(operation, parameters)

    async def fetchall(self) -> list[Any]:
        return self._cursor.fetchall()

    async def close(self) -> None:
        self._cursor.close()
