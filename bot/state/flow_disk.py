"""The disk tier: a `diskcache.Cache` that can be lost, damaged, planted or locked without harm.

diskcache unpickles what it reads (CVE-2025-69872) and removes files by a path that stands in the
row. `FlowDisk` knows one kind of row instead: a native key and one fixed-length value with a keyed
digest, in the database itself. It refuses every other row and never touches a file. The value
names the key it belongs to, so a row copied to another key is found out as well.

A file is opened by SQLite only when it is what diskcache itself would have made: ordinary files
of our own, the schema to the letter, the settings to the value. Everything else is set aside, for
a schema is a program (triggers, views), settings are run as PRAGMAs, and a rollback journal may
name a file to be deleted.

The event loop only reads. All writing is done by one thread, in batches, because a lock held by
another process would otherwise stop the loop for as long as it lasts. The same thread opens a
cache anew that broke, or could not be opened at first.
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
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

import diskcache
import structlog
from diskcache.core import DBNAME, DEFAULT_SETTINGS, METADATA, MODE_RAW, UNKNOWN

from bot.models import AuthorId, Flow, MessageRef, SignalId, UnixTime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

log = structlog.get_logger(__name__)

Key = int | str  # a signal's id, or "chat:message"

# kind, then (signal, owner, last activity) or (chat, message, signal).
_PAYLOAD: Final = struct.Struct(">cqqq")
_FLOW, _THREAD = b"f", b"t"
_DIGEST_SIZE: Final = 16  # bytes
_MAX_KEY_LENGTH: Final = 41  # two signed 64-bit numbers and a colon

READ_TIMEOUT: Final = 0.1  # seconds the loop may wait for a lock, or for a statement
REST: Final = 1.0  # seconds without reading, after a read that failed
LINGER: Final = 0.02  # seconds a write waits for others to share its transaction
RETRY_AFTER: Final = 0.25  # seconds
RETRIES_AT_CLOSE: Final = 20
QUIET: Final = 600.0  # seconds without a write, after which expired rows are removed
EXPIRE_EVERY: Final = 1_000  # batches, where it is never quiet
MAX_UNWRITTEN: Final = 200_000  # facts; with more waiting the disk has been gone for long
WRITE_PATIENCE: Final = 1.0  # seconds for some rows
ROWS_AT_ONCE: Final = 200
EXPIRE_PATIENCE: Final = 10.0  # seconds for removing what has expired; the rest is for next time
REOPEN_AFTER: Final = 60.0  # seconds, doubled each time, so that a bad disk fills with no ruins
REOPEN_AT_MOST: Final = 3600.0

NOT_READABLE, NOT_WRITABLE = "flow cache not readable", "flow cache not writable"
OUTAGES: Final = frozenset({NOT_READABLE, NOT_WRITABLE})
FOREIGN_ROW: Final = "flow cache holds what was not written here"

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
        if read or type(value) is not bytes or len(value) != _PAYLOAD.size:
            raise NotOurs("not a value of this cache")
        return 0, MODE_RAW, None, sqlite3.Binary(self.signed(value))

    def fetch(self, mode: object, filename: object, value: object, read: object) -> bytes:
        if mode != MODE_RAW or filename is not None or read or type(value) is not bytes:
            raise NotOurs("a row of a foreign shape")
        payload, digest = value[: _PAYLOAD.size], value[_PAYLOAD.size :]
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


class _Row(NamedTuple):
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

    def set_many(self, rows: Iterable[tuple[Key, _Row]], *, now: float) -> None:
        """What `set` does, for many rows and in a tenth of the time: it would look for the row that
        is replaced, and for the file of that, one by one. `now`: unix seconds. Within `transact`.
        """
        sign = self._disk.signed
        values = ((key, now, row.until, now, sign(row.payload)) for key, row in rows)
        while chunk := list(itertools.islice(values, ROWS_AT_ONCE)):
            self.allow(WRITE_PATIENCE)
            self._con.executemany(_UPSERT, chunk)

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
            if first_try and _is_damage(exc) and _set_aside(directory, exc):
                continue
            say = log.debug if again else log.warning
            say("flow cache unusable, going on without it", error=str(exc))
            return None
    return None  # pragma: no cover  # the second try continues nowhere


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


def _is_damage(exc: Exception) -> bool:
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


class DiskTier:
    """Threads and flows on disk. Reads see a write at once; the disk sees it a moment later.

    A read that fails is a miss. A write that fails is tried again until it goes through. A cache
    that breaks is given up, and `reopen` is asked for another after `reopen_after` seconds, then
    after twice as many, and so on; where there is no `reopen`, the old one is all there is.

    `clock` (unix seconds) tells how much of a fact's time is left when it is written. Expired rows
    are removed after `quiet` seconds without a write, or after every `expire_every` batches.
    """

    def __init__(
        self,
        cache: FlowCache | None,
        *,
        reopen: Callable[[], FlowCache | None] | None = None,
        clock: Callable[[], float] = time.time,
        expire_every: int = EXPIRE_EVERY,
        quiet: float = QUIET,
        retry_after: float = RETRY_AFTER,
        reopen_after: float = REOPEN_AFTER,
    ) -> None:
        self._cache = cache  # None: there is none at present
        self._reopen = reopen
        self._clock = clock
        self._expire_every = expire_every
        self._quiet = quiet
        self._retry_after = retry_after
        self._reopen_after = reopen_after
        self._lock = threading.Lock()  # held while the two dicts change places
        self._unwritten: dict[Key, _Row | None] = {}  # None: to be deleted
        self._in_hand: dict[Key, _Row | None] = {}
        self._read_from: FlowCache | None = None  # whose connection the reader holds
        self._read_again_at = 0.0  # by the monotonic clock
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._broken = False
        self._told: set[str] = set()  # what was warned of, and has not passed since
        self._batches = 0
        self._writer = threading.Thread(target=self._keep_writing, name="flow-cache", daemon=True)
        self._writer.start()

    @property
    def works(self) -> bool:
        """Whether there is a cache that answers. For people to look at; decides nothing."""
        return self._cache is not None and self._told.isdisjoint(OUTAGES)

    def flow(self, signal_id: SignalId) -> Flow | None:
        found = self._read(signal_id)
        if found is None:
            return None
        kind, named, owner, activity = found
        if kind != _FLOW or named != signal_id:
            return None
        return Flow(AuthorId(owner), UnixTime(activity))

    def signal_at(self, ref: MessageRef) -> SignalId | None:
        found = self._read(_thread_key(ref))
        if found is None:
            return None
        kind, chat_id, message_id, signal_id = found
        if kind != _THREAD or (chat_id, message_id) != ref:
            return None
        return SignalId(signal_id)

    def put_flow(self, signal_id: SignalId, owner: AuthorId, at: UnixTime, *, until: float) -> None:
        """Keep it until that moment, unix seconds; a moment that has passed keeps nothing."""
        self._put(signal_id, (_FLOW, signal_id, owner, at), until)

    def put_thread(self, ref: MessageRef, signal_id: SignalId, *, until: float) -> None:
        self._put(_thread_key(ref), (_THREAD, *ref, signal_id), until)

    def delete_flow(self, signal_id: SignalId) -> None:
        self._hand_over(signal_id, None)

    def close(self) -> None:
        """Write what waits, trying for some seconds if the cache is locked. Blocking."""
        self._closing.set()
        self._wake.set()
        self._writer.join(2 * EXPIRE_PATIENCE)

    def close_reader(self) -> None:
        """Close the reader's own connection; call it where the reading was done."""
        cache, self._read_from = self._read_from, None
        if cache is not None:
            self._close_connection(cache)

    def _put(self, key: Key, fields: tuple[bytes, int, int, int], until: float) -> None:
        seconds_left = until - self._clock()
        if seconds_left <= 0 or len(self._unwritten) >= MAX_UNWRITTEN:
            return
        try:
            payload = _PAYLOAD.pack(*fields)
        except struct.error:
            return  # an id beyond 64 bits; the table answers for it
        self._hand_over(key, _Row(payload, time.time() + seconds_left))

    def _hand_over(self, key: Key, row: _Row | None) -> None:
        with self._lock:
            self._unwritten[key] = row
        if not self._wake.is_set():
            self._wake.set()

    def _read(self, key: Key) -> tuple[bytes, int, int, int] | None:
        try:
            payload = self._payload(key)
            return None if payload is None else _PAYLOAD.unpack(payload)
        except NotOurs as exc:
            self._warn(FOREIGN_ROW, exc)
        except Exception as exc:  # noqa: BLE001  # what cannot be read is a miss
            self._warn(NOT_READABLE, exc)
            self._read_again_at = time.monotonic() + REST
            self._suspect(exc)
        return None

    def _payload(self, key: Key) -> bytes | None:
        # In this order: the writer fills the second before it empties the first.
        for waiting in (self._unwritten, self._in_hand):
            if key in waiting:
                row = waiting[key]
                return None if row is None else row.payload
        cache = self._cache
        if cache is None or time.monotonic() < self._read_again_at:
            return None
        self._read_with(cache)
        value: bytes | None = cache.get(key)
        return value

    def _read_with(self, cache: FlowCache) -> None:
        if self._read_from is not cache:
            self.close_reader()
            self._read_from = cache
        cache.allow(READ_TIMEOUT)

    def _suspect(self, exc: Exception) -> None:
        if _is_damage(exc):
            self._broken = True
            self._wake.set()

    # ── the writer's thread ──

    def _keep_writing(self) -> None:
        while not self._closing.is_set():
            cache = self._cache
            if cache is None:
                self._closing.wait(self._reopen_after)
                self._open_again()
            elif self._broken and self._reopen is not None:
                self._cache = None
                self._close_connection(cache)
            elif not cache.looked_through:
                self._look_through(cache)
            elif self._wake.wait(self._quiet):
                self._closing.wait(LINGER)
                self._write_or_rest(cache)
            else:
                self._expire(cache)
        self._drain()

    def _look_through(self, cache: FlowCache) -> None:
        try:
            cache.look_through()
        except Exception as exc:  # noqa: BLE001  # this thread must live
            self._warn(NOT_READABLE, exc)
            self._suspect(exc)

    def _open_again(self) -> None:
        if self._closing.is_set() or self._reopen is None:
            return
        self._reopen_after = min(2 * self._reopen_after, REOPEN_AT_MOST)
        cache = self._reopen()
        if cache is not None:
            self._broken = False
            self._told.clear()
            self._cache = cache
            log.info("flow cache works again")

    @staticmethod
    def _close_connection(cache: FlowCache) -> None:
        """This thread's; every thread has its own."""
        with contextlib.suppress(sqlite3.Error):
            cache.close()

    def _write_or_rest(self, cache: FlowCache) -> None:
        if not self._write_waiting(cache):
            self._closing.wait(self._retry_after)
        self._batches += 1
        if self._batches % self._expire_every == 0:
            self._expire(cache)

    def _drain(self) -> None:
        cache = self._cache
        if cache is not None:
            self._write_at_last(cache)
            self._close_connection(cache)
        if self._unwritten:
            # The table has them all.
            log.warning("flow cache closed with facts unwritten", facts=len(self._unwritten))

    def _write_at_last(self, cache: FlowCache) -> None:
        for _ in range(RETRIES_AT_CLOSE):
            if self._write_waiting(cache) or self._broken:
                return
            threading.Event().wait(self._retry_after)

    def _write_waiting(self, cache: FlowCache) -> bool:
        with self._lock:
            self._wake.clear()
            batch = self._in_hand = self._unwritten
            self._unwritten = {}
        try:
            self._write(cache, batch)
        except Exception as exc:  # noqa: BLE001  # this thread must live
            # Waiting loses nothing: reads see what waits, and the table holds it all.
            self._warn(NOT_WRITABLE, exc)
            with self._lock:
                self._unwritten = batch | self._unwritten
                self._wake.set()
            self._suspect(exc)
            return False
        finally:
            self._in_hand = {}
        if batch:
            self._told -= OUTAGES
        return True

    @staticmethod
    def _write(cache: FlowCache, batch: dict[Key, _Row | None]) -> None:
        if not batch:
            return
        if not Path(cache.directory, DBNAME).exists():
            # SQLite would go on writing to the file that has no name any more.
            raise NotOurs("it was deleted")
        now = time.time()
        cache.allow(WRITE_PATIENCE)
        with cache.transact():
            for key in [key for key, row in batch.items() if row is None]:
                cache.allow(WRITE_PATIENCE)
                cache.delete(key)
            cache.set_many(((key, row) for key, row in batch.items() if row is not None), now=now)

    def _expire(self, cache: FlowCache) -> None:
        cache.allow(EXPIRE_PATIENCE)
        try:
            cache.expire()
        except Exception as exc:  # noqa: BLE001  # this thread must live
            # Housekeeping: a row that stays is found expired when it is read.
            self._warn(NOT_WRITABLE, exc)

    def _warn(self, event: str, exc: Exception) -> None:
        if event not in self._told:
            self._told.add(event)
            with contextlib.suppress(Exception):  # a log that is closed ends no thread
                log.warning(event, error=str(exc) or type(exc).__name__)


def _thread_key(ref: MessageRef) -> str:
    return f"{ref.chat_id}:{ref.message_id}"
