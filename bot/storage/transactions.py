"""Transactions: of one unit of work, or of many that are done for good together."""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final, TypeVar

from bot.storage.engine import driver_of, is_far
from bot.storage.schema import APPLICATION_ID

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from sqlalchemy import Connection

    from bot.storage.engine import AnyDatabase

T = TypeVar("T")

# One writer at a time, from its beginning on: who begins by reading may not get the lock later, and
# numbers given out in a sequence are in the order in which they are written for good.
BEGIN: Final = {
    "sqlite": ["BEGIN IMMEDIATE"],
    "postgresql": ["BEGIN", f"SELECT pg_advisory_xact_lock({APPLICATION_ID}, 1)"],
}
# Behind it, where several hosts work on the tables: no row, a division by zero, and nothing is written.
FENCE: Final = "SELECT 1 / (SELECT count(*) FROM lease WHERE epoch = {epoch})"


def in_transaction(db: Connection, work: Callable[[Connection], T]) -> T:
    """All of it or nothing. Raises `Deposed` where the connection has an epoch that is over.

    Within `at_once` it is a part of that transaction, and is done for good with it.
    """
    if not is_far(db) and driver_of(db).in_transaction:
        return _within_another(db, work)
    return _to_its_end(db, _beginning(db), work)


def _to_its_end(db: Connection, beginning: Iterable[str], work: Callable[[Connection], T]) -> T:
    """Nothing half-done may stay open."""
    driver = driver_of(db)
    try:
        for statement in beginning:
            driver.execute(statement)
        result = work(db)
        driver.commit()
    except BaseException:
        with suppress(Exception):  # on a connection that is gone, and the first error tells more
            driver.rollback()
        raise
    return result


def _within_another(db: Connection, work: Callable[[Connection], T]) -> T:
    driver = driver_of(db)
    driver.execute("SAVEPOINT part")
    try:
        return work(db)
    except BaseException:
        driver.execute("ROLLBACK TO part")
        raise
    finally:
        driver.execute("RELEASE part")


@asynccontextmanager
async def at_once(database: AnyDatabase) -> AsyncIterator[None]:
    """All that is written meanwhile is one transaction: for a history, which can be read again.

    On a server each is one of its own, as ever. Nobody else may work on the tables meanwhile.
    """
    await database.run(_begin)
    try:
        yield
    finally:
        await database.run(_commit)


def _begin(db: Connection) -> None:
    if not is_far(db):
        driver_of(db).execute(*_beginning(db))


def _commit(db: Connection) -> None:
    if not is_far(db):
        _to_its_end(db, (), lambda _: None)


def _beginning(db: Connection) -> list[str]:
    begin, epoch = BEGIN[db.dialect.name], db.get_execution_options().get("epoch")
    return begin if epoch is None else [*begin, FENCE.format(epoch=int(epoch))]
