"""Copies a bot's SQLite file into an empty database of PostgreSQL, all of it or nothing.

The copy is one transaction there, and is compared with the file row by row before it counts. The file is held all
the while, so that no order of an operator is written behind the copy, and is marked at the end: a bot
that is started on it by mistake would not know what the other one has done since.
"""

from __future__ import annotations

from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import Integer, column, delete, func, insert, select, table, tuple_

from bot.errors import DatabaseUnusable, UsageError
from bot.storage import engine
from bot.storage.messages import storable
from bot.storage.migration import MOVED_TO, OF_THIS_DATABASE, Migration
from bot.storage.schema import NEWEST, alembic_version, meta, metadata
from bot.storage.transactions import in_transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection, Select, Table

    from bot.storage.engine import Database
    from bot.storage.postgresql import Server

    Row = tuple[Any, ...]
    # Told how many rows are done of how many.
    Progress = Callable[[int, int], None]

PAGE: Final = 2_000  # rows
TABLES: Final = [each for each in metadata.sorted_tables if each is not alembic_version]


class Contents(NamedTuple):
    """What a table holds, whatever its order: the number of its rows, and the sum of their digests."""

    rows: int = 0
    digests: int = 0

    def and_these(self, rows: list[Row]) -> Contents:
        digests = (blake2b(repr(row).encode(), digest_size=16).digest() for row in rows)
        total = sum(map(int.from_bytes, digests), self.digests)
        return Contents(self.rows + len(rows), total % 2**128)


class Moved(NamedTuple):
    rows: int
    tables: int
    before: bool  # it was there already: an earlier copy was interrupted at its very end


async def move(source: Database, target: Server, progress: Progress) -> Moved:
    """Raises `UsageError` where that is not to be, and `DatabaseError`; then nothing is changed."""
    if not source.exists():
        raise UsageError(f"{source.name}: there is no database there to be copied")
    try:
        await source.open()
        await source.look_through()
        await target.open()
        return await source.run(
            partial(in_transaction, work=partial(_move, source, target, progress))
        )
    finally:
        await source.close()
        await target.close()


async def take_back(source: Database) -> bool:
    """Have the file be a bot's again; False: it was not moved."""
    mark = delete(meta).where(meta.c.name == MOVED_TO)
    try:
        await source.open()
        return await source.run(
            partial(in_transaction, work=lambda db: db.execute(mark).rowcount > 0)
        )
    finally:
        await source.close()


def _move(source: Database, target: Server, progress: Progress, here: Connection) -> Moved:
    Migration(source.name).refuse_outdated(here)
    copy = partial(_copy, here, target.name, progress)
    moved = target.run_here(partial(in_transaction, work=copy))
    # Behind the copy: whoever is interrupted in between does it again, and finds the same there.
    here.execute(insert(meta), {"name": MOVED_TO, "value": target.name.encode()})
    return moved


def _copy(here: Connection, name: str, progress: Progress, there: Connection) -> Moved:
    version = engine.marked(there)
    if version not in {0, NEWEST}:
        raise UsageError(f"{name} is no empty database: make a new one for the bot")
    if version == 0:
        Migration(name).bring_up_to_date(there)
    counts = [select(func.count()).select_from(_rows_of(each).subquery()) for each in TABLES]
    total = sum(here.scalar(count) or 0 for count in counts)
    done = 0
    for each in TABLES:
        contents = Contents()
        for rows in _pages(here, each):
            contents = contents.and_these(rows)
            if version == 0:
                engine.copy_rows(there, each, rows)
            done += len(rows)
            progress(done, total)
        _compare(there, each, contents, name, copied=version == 0)
        if version == 0:
            _go_on_counting(here, there, each)
    return Moved(done, len(TABLES), before=version != 0)


def _compare(there: Connection, of: Table, known: Contents, name: str, *, copied: bool) -> None:
    found = Contents()
    for rows in _pages(there, of):
        found = found.and_these(rows)
    if found == known:
        return
    if copied:
        raise DatabaseUnusable(
            f"{name}: table {of.name} has {found.rows} rows and they are not the {known.rows} that were"
            " copied: nothing was changed"
        )
    raise UsageError(f"{name} holds a bot's tables already, and not these: make a new database")


def _pages(db: Connection, of: Table) -> Iterator[list[Row]]:
    """All rows, by their key, as PostgreSQL would hold them."""
    keys = list(of.primary_key)
    query = _rows_of(of).order_by(*keys).limit(PAGE)
    page = db.execute(query).all()
    while page:
        yield [tuple(map(_storable, row)) for row in page]
        last = [getattr(page[-1], key.name) for key in keys]
        page = db.execute(query.where(tuple_(*keys) > tuple_(*last))).all()


def _rows_of(of: Table) -> Select[Any]:
    """But what is this database's own."""
    rows = select(of)
    return rows.where(meta.c.name.not_in(OF_THIS_DATABASE)) if of is meta else rows


def _storable(value: Any) -> Any:
    return storable(value) if isinstance(value, str) else value


def _go_on_counting(here: Connection, there: Connection, of: Table) -> None:
    """Behind the last number that was given out, even if what had it is gone."""
    key = of.primary_key.columns[0]
    if of.autoincrement_column is None or not isinstance(key.type, Integer):
        return
    last = here.scalar(select(func.max(key))) or 0
    if of.dialect_options["sqlite"]["autoincrement"]:
        counted: Select[Any] = select(column("seq")).select_from(table("sqlite_sequence"))
        last = max(last, here.scalar(counted.where(column("name") == of.name)) or 0)
    if last:
        there.execute(select(func.setval(func.pg_get_serial_sequence(of.name, key.name), last)))
