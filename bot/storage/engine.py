"""One connection to a database. What is asked of it is done whole, and not in the event loop.

SQLAlchemy's asynchronous drivers hop to a thread and back for every step of every statement, eleven
times for a recorded message. Here a unit of work, such as a whole transaction, is handed over once:
a third of the time, and it cannot be cancelled in its midst.
"""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
import threading
from abc import ABC, abstractmethod
from concurrent.futures import Future
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeVar

from sqlalchemy import ClauseElement, create_engine, func, inspect, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.pool import NullPool

from bot.errors import DatabaseUnavailable, DatabaseUnusable, DataGone
from bot.storage.data_directory import Presence, identified, ordinary
from bot.storage.own_thread import OwnThread
from bot.storage.schema import APPLICATION_ID, alembic_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from sqlalchemy import Connection, Dialect, Engine, Table
    from sqlalchemy.dialects import postgresql

    from bot.storage.data_directory import Identity

    Insert = sqlite.Insert | postgresql.Insert

T = TypeVar("T")

INTEGRITY: Final = (IntegrityError, sqlite3.IntegrityError)
# How the drivers want what a statement is filled with.
NUMBERED: Final[dict[str, Any]] = {"sqlite": "qmark", "postgresql": "numeric_dollar"}
OURS: Final = {"alembic_version", "meta", "signals"}  # tables
BUSY_TIMEOUT: Final = 5.0  # seconds a statement waits for another process's lock
WAL_TRIES, WAL_RETRY = 5, 0.1  # seconds
TIMELINE: Final = 8  # digits, with which the name of each file of a write-ahead log begins
SMALL: Final = 8 * 2**20  # bytes; a database of this size is looked through in 20 ms or so
HINTS: Final = {
    "locked": "another program holds it: close that one",
    "readonly": "the bot's user must be allowed to write it and its directory",
    "is full": "make room on its disk",
    "I/O error": "its disk is full or failing",
    "malformed": "it is damaged: put a backup in its place",
    "not a database": "it is damaged, or something else: put a backup in its place, or move it away",
}
UNUSABLE: Final = ("malformed", "not a database", "no such")


class Cursor(Protocol):
    """As far as the drivers agree."""

    rowcount: int

    @property
    def description(self) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> list[Any]: ...


class AnyDatabase(ABC):
    """May be opened again after it was closed. Raises `DatabaseError`, and `IntegrityError`s as they are.

    Work is done one after the other, in the order in which it was asked for. `in_loop`: in the
    event loop itself, for work that nothing else waits beside. `name` is for people.
    """

    def __init__(self, name: str, engine: Engine, *, in_loop: bool) -> None:
        self.name = name
        self._in_loop = in_loop
        self._engine = engine
        self._thread: OwnThread | None = None
        self._connection: Connection | None = None

    async def open(self) -> None:
        if not self._in_loop:
            self._thread = OwnThread("tables")
        await self._do(self._open)

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Once it was asked for it is done, whatever becomes of whoever asked."""
        return await self._do(partial(self._run, work))

    def run_here(self, work: Callable[[Connection], T]) -> T:
        """`run` for whoever waits for it anyway, on a database that works in the loop."""
        return self._run(work)

    async def close(self) -> None:
        """Behind whatever was asked before."""
        await self._do(self._close)
        if self._thread is not None:
            self._thread.end()
            self._thread = None

    async def _do(self, work: Callable[[], T]) -> T:
        return work() if self._thread is None else await self._thread.do(work)

    def _run(self, work: Callable[[Connection], T]) -> T:
        if self._connection is None:
            raise DatabaseUnavailable(f"{self.name}: not open")
        with self._errors():
            return work(self._connection)

    def _open(self) -> None:
        with self._errors():
            made = self._engine.connect()
            # At hand: SQLAlchemy's own way to it is five calls, for each statement.
            self._connection = made.execution_options(driver=made.connection.driver_connection)

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    @abstractmethod
    def exists(self) -> bool:
        """False: nothing was ever written there."""

    @abstractmethod
    async def glance(self) -> None:
        """Look for damage, unless that would take long. Raises `DatabaseUnusable`."""

    @abstractmethod
    async def look_through(self) -> None:
        """Look for damage everywhere, beside whatever else is done. Raises `DatabaseUnusable`."""

    @abstractmethod
    def _errors(self) -> AbstractContextManager[None]:
        """Raise ours for the driver's, in its words but without the statement and its parameters."""


class Database(AnyDatabase):
    """A SQLite file. `read_only` works in the loop, and beside a bot that writes.

    `file`: which one it is; None: whatever is there when it is opened first, or is made then.
    """

    def __init__(
        self,
        path: Path,
        *,
        in_loop: bool = False,
        read_only: bool = False,
        file: Identity | None = None,
    ) -> None:
        engine = create_engine("sqlite://", creator=self._connect, poolclass=NullPool)
        super().__init__(str(path), engine, in_loop=in_loop or read_only)
        self.path = path
        self._read_only = read_only
        self._file = file
        self._presence = Presence([])

    async def open(self) -> None:
        self._presence = Presence([])  # whatever was there when it was open before
        await super().open()
        if not self._read_only:
            await self._prepare()
            self._presence = Presence([self.path])

    def _connect(self) -> sqlite3.Connection:
        if self._file is None:
            self._file = identified(self.path, make=not self._read_only)
        return open_by_name(self.path, self._file, read_only=self._read_only)

    def exists(self) -> bool:
        return self.path.exists()

    async def glance(self) -> None:
        """Look for damage, unless that would take long. Raises `DatabaseUnusable`.

        Large databases take seconds to look through, and a bot that starts again must not wait for
        that: see `look_through`. In the loop nothing waits, so there all are looked at.
        """
        if self._in_loop:
            self._look()
        elif self.path.stat().st_size <= SMALL:
            await asyncio.to_thread(self._look)

    async def look_through(self) -> None:
        """Look for damage everywhere, beside whatever else is done. Raises `DatabaseUnusable`."""
        found: Future[None] = Future()
        found.set_running_or_notify_cancel()

        def look() -> None:
            try:
                self._look()
            except Exception as exc:  # noqa: BLE001  # it is raised where it is waited for
                found.set_exception(exc)
            else:
                found.set_result(None)

        # Before 3.41 SQLite cannot be interrupted in this, and the bot's end must not wait.
        threading.Thread(target=look, name="look-through", daemon=True).start()
        await asyncio.wrap_future(found)

    def _look(self) -> None:
        file = self._file or identified(self.path)
        with self._errors(), closing(open_by_name(self.path, file, read_only=True)) as db:
            (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            problem = " ".join(verdict.split())
            raise DatabaseUnusable(f"{self.path} is damaged: put a backup in its place ({problem})")

    def _run(self, work: Callable[[Connection], T]) -> T:
        self._presence.check()  # what is written to a file without a name is written to nowhere
        return super()._run(work)

    async def _prepare(self) -> None:
        """Two that turn a new file to WAL at once are refused at once, whatever their time-out."""
        for _ in range(WAL_TRIES - 1):
            try:
                return await self.run(_prepare)
            except DatabaseUnavailable as exc:
                if "locked" not in str(exc):
                    raise
            await asyncio.sleep(WAL_RETRY)
        return await self.run(_prepare)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except INTEGRITY:
            raise
        except (DBAPIError, sqlite3.Error) as exc:
            said = str(exc.orig if isinstance(exc, DBAPIError) else exc)
            unusable = any(sign in said for sign in UNUSABLE)
            kind = DatabaseUnusable if unusable else DatabaseUnavailable
            raise kind(f"{self.path}: {said}{_hint(said)}") from exc


def open_by_name(path: Path, file: Identity, *, read_only: bool = False) -> sqlite3.Connection:
    """SQLite opens no descriptor, and a name may lead to another file by now: then `DataGone`.

    Python's own handling of transactions is off (`isolation_level` None).
    It would begin late and deferred, so that two writers could both read first and then fail.
    """
    connection = sqlite3.connect(
        # Not mode=ro: that would leave the files of a write-ahead log behind.
        f"{(path.parent.resolve() / path.name).as_uri()}?mode=rw",
        uri=True,
        timeout=BUSY_TIMEOUT,
        isolation_level=None,
        check_same_thread=False,  # `Database` sees to it that one thread at a time uses it
    )
    if ordinary(path) != file:
        connection.close()
        raise DataGone(
            f"{path} was replaced by another while it was opened: who else writes there?"
        )
    if read_only:
        connection.execute("PRAGMA query_only = ON")  # it refuses whatever would write
    return connection


def _prepare(db: Connection) -> None:
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
        db.exec_driver_sql(f"PRAGMA {pragma}")


def is_far(db: Connection) -> bool:
    """Whether each question takes a round trip, so that one more is worth avoiding."""
    return db.dialect.name != "sqlite"


def insert(db: Connection, table: Table) -> Insert:
    """An INSERT that can be told what to do about a conflict."""
    return _insert_of(db.dialect)(table)


def _insert_of(dialect: Dialect) -> type[Insert]:
    if dialect.name == "sqlite":
        return sqlite.Insert
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415  # as long as half a start

    return postgresql.Insert


class Compiled(NamedTuple):
    sql: str
    names: Sequence[str]  # of what it is filled with
    said: Mapping[str, object]  # by the statement itself; all else comes with the row

    def filled(self, row: Mapping[str, object]) -> list[object]:
        all_of_it = {**self.said, **row}
        return [all_of_it[name] for name in self.names]


class Prepared:
    """A statement for every message: compiled once, and run by the driver itself.

    SQLAlchemy spends more time on making and running a statement than SQLite does. A recorded
    update is held to twice the time of a bare insert, and a replay to four times that of reading
    the file.

    `statement`: what makes it of the database's own `insert`, where it needs that one.
    """

    def __init__(self, statement: ClauseElement | Callable[[type[Insert]], ClauseElement]) -> None:
        self._statement = statement
        self._compiled: dict[str, Compiled] = {}  # by the dialect's name

    def compiled(self, dialect: Dialect) -> Compiled:
        made = self._statement
        if not isinstance(made, ClauseElement):
            made = made(_insert_of(dialect))
        numbered: Any = type(dialect)
        compiled: Any = made.compile(dialect=numbered(paramstyle=NUMBERED[dialect.name]))
        named = compiled.bind_names.items()
        said = {name: bind.value for bind, name in named if not bind.required}
        return Compiled(str(compiled), compiled.positiontup, said)

    def _for(self, db: Connection) -> Compiled:
        found = self._compiled.get(db.dialect.name)
        if found is None:
            found = self._compiled[db.dialect.name] = self.compiled(db.dialect)
        return found

    def run(self, db: Connection, row: Mapping[str, object]) -> Cursor:
        compiled = self._for(db)
        found: Cursor = driver_of(db).execute(compiled.sql, compiled.filled(row))
        return found

    def value(self, db: Connection, row: Mapping[str, object]) -> Any:
        """What the statement returns, of one row and column; None: it found or did nothing."""
        found = self.run(db, row).fetchall()  # to the end: until then it is not done
        return found[0][0] if found else None

    def rows(self, db: Connection, row: Mapping[str, object]) -> list[dict[str, Any]]:
        """What a SELECT finds, by the names of its columns."""
        return _rows_of(self.run(db, row))

    def ask(self, db: Connection, row: Mapping[str, object]) -> Callable[[], list[dict[str, Any]]]:
        """`rows`, for when they are needed: what is asked of a server before that goes along with it.

        SQLite is not far away, and is to be done with a statement before it commits.
        """
        found = partial(_rows_of, self.run(db, row))
        if db.dialect.name != "sqlite":
            return found
        rows = found()
        return lambda: rows

    def run_many(self, db: Connection, rows: Iterable[Mapping[str, object]]) -> None:
        compiled = self._for(db)
        driver_of(db).executemany(compiled.sql, [*map(compiled.filled, rows)])


def _rows_of(found: Cursor) -> list[dict[str, Any]]:
    names = [name for name, *_ in found.description]
    return [dict(zip(names, each, strict=True)) for each in found]


def marked(db: Connection) -> int | None:
    """The revision of a database; 0: it is empty. None: it is another program's."""
    if db.dialect.name != "sqlite":
        tables = set(inspect(db).get_table_names())
        if tables >= OURS:
            return int(db.scalars(select(alembic_version)).one())
        return None if tables else 0
    application, version = _pragma(db, "application_id"), _pragma(db, "user_version")
    if application == APPLICATION_ID:
        return version
    tables = db.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one()
    return None if application or version or tables else 0


def mark(db: Connection, version: int) -> None:
    """In the header, too, where versions before Alembic look: they are to refuse what is newer."""
    if db.dialect.name != "sqlite":
        return  # no version before Alembic knew it
    db.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
    db.exec_driver_sql(f"PRAGMA user_version = {version}")


def _pragma(db: Connection, name: str) -> int:
    return int(db.exec_driver_sql(f"PRAGMA {name}").scalar_one())


def copy_rows(db: Connection, table: Table, rows: Iterable[Iterable[object]]) -> None:
    """All columns of rows into a table on a server, as fast as it takes them."""
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    with driver_of(db).copying(f'COPY "{table.name}" ({columns}) FROM STDIN') as copy:
        for row in rows:
            copy.write_row(row)


def history(db: Connection) -> bytes:
    """What tells a server's database from its copies, and from another future of its own past.

    A restored dump has other tables, another cluster another identifier, and one that was promoted or
    restored to a moment another timeline. Empty: a file, whose copies are told apart when they are made.
    """
    if db.dialect.name == "sqlite":
        return b""
    asked = ["pg_walfile_name(pg_current_wal_lsn())", "'meta'::regclass::oid"]
    may = "SELECT has_function_privilege('pg_control_system()', 'execute')"
    if db.exec_driver_sql(may).scalar_one():
        asked.append("(SELECT system_identifier FROM pg_control_system())")
    wal, *others = db.exec_driver_sql(f"SELECT {', '.join(asked)}").one()
    return repr((wal[:TIMELINE], *others)).encode()


def size_on_server(db: Connection) -> int:
    """In bytes."""
    return int(db.scalar(select(func.pg_database_size(func.current_database()))) or 0)


def back_up(path: Path, copy: Path, file: Identity) -> None:
    """Over what `copy`, which is that file, holds. In one step: in several, a writer would start it over."""
    if not path.exists():
        raise DatabaseUnavailable(f"{path}: there is no database yet")
    with (
        closing(open_by_name(path, identified(path), read_only=True)) as source,
        closing(open_by_name(copy, file)) as target,
    ):
        if source.execute("PRAGMA application_id").fetchone() != (APPLICATION_ID,):
            raise DatabaseUnusable(f"{path} is another program's database")
        source.backup(target)
        target.execute("PRAGMA journal_mode = DELETE")  # one file, and none beside it
        new_key = (secrets.token_bytes(32),)
        target.execute("UPDATE meta SET value = ? WHERE name = 'cache_key'", new_key)
        (verdict,) = target.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise DatabaseUnusable(f"{path} is damaged, and so would be its copy: {verdict}")


def driver_of(db: Connection) -> Any:
    return db.get_execution_options()["driver"]


def _hint(said: str) -> str:
    """What the operator can do about it, where SQLite's own words leave that open."""
    return next((f" ({hint})" for sign, hint in HINTS.items() if sign in said), "")
