"""The flow cache: a `diskcache.Cache` that can be lost, damaged, planted or locked without harm.

diskcache unpickles what it reads (CVE-2025-69872) and removes files by a path that stands in the
row. `FlowDisk` knows one kind of row instead: a native key and one fixed-length value with a keyed
digest, in the database itself. It refuses every other row and never touches a file. The value
names the key it belongs to, so a row copied to another key is found out as well.

A file is opened by SQLite only when it is what diskcache itself would have made: ordinary files
of our own, the schema to the letter, the settings to the value. Everything else is set aside, for
a schema is a program (triggers, views), settings are run as PRAGMAs, and a rollback journal may
name a file to be deleted.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import hmac
import itertools
import os
import sqlite3
import stat
import struct
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

import diskcache
import structlog
from diskcache.core import DBNAME, DEFAULT_SETTINGS, METADATA, MODE_RAW, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

log = structlog.get_logger(__name__)

Key = int | str  # a signal's id, or "chat:message"

# kind, then (signal, owner, last activity) or (chat, message, signal).
PAYLOAD: Final = struct.Struct(">cqqq")
_DIGEST_SIZE: Final = 16  # bytes
_MAX_KEY_LENGTH: Final = 41  # two signed 64-bit numbers and a colon

READ_TIMEOUT: Final = 0.1  # seconds the loop may wait for a lock, or for a statement
WRITE_PATIENCE: Final = 1.0  # seconds for some rows
ROWS_AT_ONCE: Final = 200


NOT_READABLE = "flow cache not readable"

FILES: Final = frozenset({DBNAME, f"{DBNAME}-wal", f"{DBNAME}-shm"})
SMALL: Final = 4 * 2**20  # bytes; a file of this size is looked through in 20 ms or so
LARGEST_FILE: Final = 2**31  # bytes; a million flows take a tenth of that
CHECK_PATIENCE: Final = 5.0  # seconds for the check at open
LARGEST_VALUE: Final = 2**16  # bytes; ours have 41, the longest statement of diskcache a thousand
STEPS: Final = 10_000  # of SQLite's machine between two looks at the clock; a read takes fifty

# What SQLite says of the disk, the rights or the moment, and not of the file's content.
PASSING: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
    }
)


class NotOurs(ValueError):
    """A row, or a file, that this cache did not write."""


class FlowDisk(diskcache.Disk):  # type: ignore[misc]  # diskcache is untyped
    """Rows of one shape. Anything else raises `NotOurs`, which readers take for a miss."""

    _keyed: Any  # a hash that has taken in its key, to be copied: half the time of another one

    def use(self, secret: bytes) -> None:
        """The key of the digests. No constructor argument: diskcache would write it to disk."""
        self._keyed = hashlib.blake2b(key=secret, digest_size=_DIGEST_SIZE)

    def put(self, key: object) -> tuple[Key, bool]:
        if type(key) is int or (type(key) is str and len(key) <= _MAX_KEY_LENGTH):
            return key, True
        raise NotOurs("not a key of this cache")

    def get(self, key: object, raw: object) -> Key:
        if raw != 1:
            raise NotOurs("not a native key")
        return self.put(key)[0]

    def store(
        self,
        value: object,
        read: object,
        key: object = UNKNOWN,  # noqa: ARG002  # diskcache's
    ) -> tuple[int, int, None, memoryview]:
        if read or type(value) is not bytes or len(value) != PAYLOAD.size:
            raise NotOurs("not a value of this cache")
        return 0, MODE_RAW, None, sqlite3.Binary(self.signed(value))

    def fetch(self, mode: object, filename: object, value: object, read: object) -> bytes:
        if mode != MODE_RAW or filename is not None or read or type(value) is not bytes:
            raise NotOurs("a row of a foreign shape")
        payload, digest = value[: PAYLOAD.size], value[PAYLOAD.size :]
        if not hmac.compare_digest(digest, self._digest(payload)):
            raise NotOurs("a row that was not written here")
        return payload

    def filename(self, *_args: object, **_kwargs: object) -> NoReturn:
        raise NotOurs("this cache has no files")

    def remove(self, file_path: object) -> None:
        """Do nothing: diskcache asks this for a path it found in a row."""

    def signed(self, payload: bytes) -> bytes:
        """As it stands in the row."""
        return payload + self._digest(payload)

    def _digest(self, payload: bytes) -> bytes:
        keyed = self._keyed.copy()
        keyed.update(payload)
        return bytes(keyed.digest())


class CacheRow(NamedTuple):
    payload: bytes
    until: float  # unix seconds by this machine's clock, as diskcache counts


# The columns that diskcache writes, in the table that `_probe` has compared to the letter.
_UPSERT: Final = """
    INSERT INTO Cache (
        key, raw, store_time, expire_time, access_time, access_count, size, mode, filename, value
    ) VALUES (?, 1, ?, ?, ?, 0, 0, 1, NULL, ?)
    ON CONFLICT (key, raw) DO UPDATE SET
        store_time = excluded.store_time, expire_time = excluded.expire_time,
        access_time = excluded.access_time, access_count = 0, tag = NULL, size = excluded.size,
        mode = excluded.mode, filename = excluded.filename, value = excluded.value
"""


class FlowCache(diskcache.Cache):  # type: ignore[misc]  # diskcache is untyped
    """Its connections run no setting as a PRAGMA and let no statement run on.

    Whatever was planted since the cache was opened: a view in place of the table may have no end,
    or a value fill the memory.
    """

    looked_through = False  # for damage

    def __init__(self, directory: str, **how: Any) -> None:
        try:
            super().__init__(directory, **how)
        except BaseException:
            self.close()  # diskcache would leave its connection to the garbage collector
            raise

    def look_through(self) -> None:
        """Look for damage everywhere. Raises `NotOurs`. Blocking, for seconds."""
        self.looked_through = True
        with contextlib.closing(sqlite3.connect(Path(self._directory) / DBNAME)) as connection:
            _check_pages(connection)

    def allow(self, seconds: float) -> None:
        """Give this thread's statements so long from now on, until it is called again."""
        self._local.give_up_at = time.monotonic() + seconds

    def set_many(self, rows: Iterable[tuple[Key, CacheRow]], *, now: float) -> None:
        """What `set` does, for many rows and in a tenth of the time: it would look for the row that
        is replaced, and for the file of that, one by one. `now`: unix seconds. Within `transact`.
        """
        sign = self._disk.signed
        values = ((key, now, row.until, now, sign(row.payload)) for key, row in rows)
        while chunk := list(itertools.islice(values, ROWS_AT_ONCE)):
            self.allow(WRITE_PATIENCE)
            self._con.executemany(_UPSERT, chunk)

    def newest(self, at_most: int) -> list[bytes]:
        """The payloads of flows, the newest first. Rows that were not written here are left out."""
        # Numbers stand before all text.
        query = "SELECT value FROM Cache WHERE key < '' ORDER BY key DESC LIMIT ?"
        self.allow(CHECK_PATIENCE)
        found = []
        for (value,) in self._con.execute(query, (at_most,)):
            with contextlib.suppress(NotOurs):
                found.append(self._disk.fetch(MODE_RAW, None, value, False))  # noqa: FBT003  # diskcache's
        return found

    @property
    def _con(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "con", None)
        if connection is None:
            connection = self._local.con = self._connected()
        return connection

    def _connected(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            Path(self._directory) / DBNAME, timeout=self._timeout, isolation_level=None
        )
        local = self._local
        local.give_up_at = getattr(local, "give_up_at", time.monotonic() + CHECK_PATIENCE)
        with _closed_if_it_fails(connection):
            connection.set_progress_handler(lambda: time.monotonic() > local.give_up_at, STEPS)
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST_VALUE)
            for name in ("mmap_size", "synchronous"):
                connection.execute(f"PRAGMA {name} = {SETTINGS[f'sqlite_{name}']}")
        return connection


@contextlib.contextmanager
def _closed_if_it_fails(connection: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.close()
        raise


# All of them, so that none is taken from the file.
SETTINGS: Final[dict[str, Any]] = {
    **DEFAULT_SETTINGS,
    "eviction_policy": "none",  # the default evicts live flows once the cache is large
    "cull_limit": 0,  # nothing is removed in passing; the writer calls `expire()`
    "size_limit": 2**40,
    "sqlite_synchronous": 0,  # a power cut may cost the cache, which is then made anew
    "sqlite_mmap_size": 0,  # a truncated file under mmap is a SIGBUS, not an exception
}


def open_flow_cache(directory: Path, secret: bytes, *, again: bool = False) -> FlowCache | None:
    """Open the cache, or a fresh one in place of a damaged one, or None: go on without it.

    Blocking; call it in a thread. A damaged cache is renamed to `<directory>.bad-<time>` for the
    operator to look at. A locked one is left alone: its owner may be alive. `again`: that it
    cannot be opened is no news, and it is looked through however large it is.
    """
    for first_try in (True, False):
        try:
            return _opened(directory, secret, again=again)
        except Exception as exc:  # noqa: BLE001  # the table answers without a cache
            if first_try and is_damage(exc) and _set_aside(directory, exc):
                continue
            say = log.debug if again else log.warning
            say("flow cache unusable, going on without it", error=str(exc))
            return None
    return None  # pragma: no cover  # the second try continues nowhere


def made_anew(directory: Path, secret: bytes, why: str) -> FlowCache | None:
    """In place of one that knows another history; that is left for the operator to look at."""
    _set_aside(directory, NotOurs(why))
    return open_flow_cache(directory, secret)


def _opened(directory: Path, secret: bytes, *, again: bool) -> FlowCache:
    database = directory / DBNAME
    _claim(directory)
    if not database.exists():
        # SQLite would ask the umask; the files beside it take over this one's mode.
        os.close(os.open(database, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    # Looking through a million flows takes a second, and a bot that starts again must not wait.
    thoroughly = again or database.stat().st_size <= SMALL
    _probe(database, thoroughly=thoroughly)
    cache = FlowCache(str(directory), timeout=READ_TIMEOUT, disk=FlowDisk, **SETTINGS)
    cache.disk.use(secret)
    cache.looked_through = thoroughly
    cache.close()  # this thread's connection; others open their own
    return cache


def _claim(directory: Path) -> None:
    """Make the directory, or make sure that it and its files are ours and nobody else's.

    Links would lead out of it, and a rollback journal can name any file for SQLite to delete.
    """
    if not os.path.lexists(directory):
        directory.mkdir(mode=0o700, parents=True)
    _keep_private(directory, stat.S_ISDIR, 0o700)
    for path in directory.iterdir():
        if path.name not in FILES:
            raise NotOurs(f"{path.name} does not belong into a flow cache")
        _keep_private(path, stat.S_ISREG, 0o600)
        if path.lstat().st_nlink > 1 or path.lstat().st_size > LARGEST_FILE:
            raise NotOurs(f"{path.name} has a second name, or is too large")


def _keep_private(path: Path, is_right_kind: Callable[[int], bool], mode: int) -> None:
    found = path.lstat()
    if not is_right_kind(found.st_mode) or found.st_uid != os.geteuid():
        raise NotOurs(f"{path.name} is another kind of file, or another user's")
    if stat.S_IMODE(found.st_mode) != mode:
        path.chmod(mode)


def _probe(database: Path, *, thoroughly: bool) -> None:
    """Raise what diskcache would hang, stumble or be fooled over; its own open waits 60 s."""
    connection = sqlite3.connect(database, timeout=READ_TIMEOUT, isolation_level=None)
    with contextlib.closing(connection):
        give_up_at = time.monotonic() + CHECK_PATIENCE
        connection.set_progress_handler(lambda: time.monotonic() > give_up_at, STEPS)
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
        schema = _schema(connection)
        if not schema:
            return
        # Before the check, which runs what a foreign schema has in it.
        if schema != _diskcache_schema():
            raise NotOurs("not a database of diskcache")
        _check_settings(connection)
        if thoroughly:
            _check_pages(connection)


def _check_pages(connection: sqlite3.Connection) -> None:
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise NotOurs(verdict)


def _schema(connection: sqlite3.Connection) -> frozenset[tuple[Any, ...]]:
    return frozenset(connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master"))


@functools.cache
def _diskcache_schema() -> frozenset[tuple[Any, ...]]:
    """What diskcache makes of an empty directory, in the version that is installed."""
    with tempfile.TemporaryDirectory(prefix="flows-") as directory:
        diskcache.Cache(directory, disk=FlowDisk, **SETTINGS).close()
        with contextlib.closing(sqlite3.connect(Path(directory) / DBNAME)) as connection:
            return _schema(connection)


def _check_settings(connection: sqlite3.Connection) -> None:
    """A setting called sqlite_… is run as a PRAGMA: by diskcache, when it opens."""
    found = dict(connection.execute("SELECT key, value FROM Settings"))
    counters = {name: found.pop(name, None) for name in METADATA}
    if found != SETTINGS or not all(isinstance(number, int) for number in counters.values()):
        raise NotOurs("settings that are not this cache's")


def is_damage(exc: Exception) -> bool:
    """Whether a fresh cache would help."""
    if isinstance(exc, (OSError, diskcache.Timeout)):
        return False
    code = getattr(exc, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    return code & 0xFF not in PASSING


def _set_aside(directory: Path, exc: Exception) -> bool:
    ruin = directory.with_name(f"{directory.name}.bad-{time.time_ns()}")
    try:
        directory.rename(ruin)
    except OSError:
        return False
    log.warning("damaged flow cache set aside", moved_to=str(ruin), error=str(exc))
    return True
