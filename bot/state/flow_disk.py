"""The disk tier: a `diskcache.Cache` that can be lost, damaged, planted or locked without harm.

diskcache unpickles what it reads (CVE-2025-69872) and removes files by a path that stands in the
row. `FlowDisk` knows one kind of row instead: a native key and one fixed-length value with a keyed
digest, in the database itself. It refuses every other row and never touches a file. The value
names the key it belongs to, so a row copied to another key is found out as well.

The event loop only reads. All writing is done by one thread, in batches, because a lock held by
another process would otherwise stop the loop for as long as it lasts.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import sqlite3
import struct
import threading
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

import diskcache
import structlog
from diskcache.core import DBNAME, DEFAULT_SETTINGS, METADATA, MODE_RAW, UNKNOWN

from bot.models import AuthorId, Flow, MessageRef, SignalId, UnixTime

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

log = structlog.get_logger(__name__)

Key = int | str  # a signal's id, or "chat:message"

# kind, then (signal, owner, last activity) or (chat, message, signal).
_PAYLOAD: Final = struct.Struct(">cqqq")
_FLOW, _THREAD = b"f", b"t"
_DIGEST_SIZE: Final = 16  # bytes
_MAX_KEY_LENGTH: Final = 41  # two signed 64-bit numbers and a colon

READ_TIMEOUT: Final = 0.1  # seconds the loop may wait for a lock
LINGER: Final = 0.02  # seconds a write waits for others to share its transaction
RETRY_AFTER: Final = 0.25  # seconds
RETRIES_AT_CLOSE: Final = 20
QUIET: Final = 600.0  # seconds without a write, after which expired rows are removed
EXPIRE_EVERY: Final = 1_000  # batches, where it is never quiet
MAX_UNWRITTEN: Final = 200_000  # facts; with more waiting the disk has been gone for long


class FlowDisk(diskcache.Disk):  # type: ignore[misc]  # diskcache is untyped
    """Rows of one shape. Anything else raises `ValueError`, which readers take for a miss."""

    secret: bytes  # set by `open_flow_cache`; diskcache would write constructor arguments to disk

    def put(self, key: object) -> tuple[Key, bool]:
        if type(key) is int or (type(key) is str and len(key) <= _MAX_KEY_LENGTH):
            return key, True
        raise ValueError("not a key of this cache")

    def get(self, key: object, raw: object) -> Key:
        if raw != 1:
            raise ValueError("not a native key")
        return self.put(key)[0]

    def store(
        self,
        value: object,
        read: object,
        key: object = UNKNOWN,  # noqa: ARG002  # diskcache's
    ) -> tuple[int, int, None, memoryview]:
        if read or type(value) is not bytes or len(value) != _PAYLOAD.size:
            raise ValueError("not a value of this cache")
        return 0, MODE_RAW, None, sqlite3.Binary(value + self._digest(value))

    def fetch(self, mode: object, filename: object, value: object, read: object) -> bytes:
        if mode != MODE_RAW or filename is not None or read or type(value) is not bytes:
            raise ValueError("a row of a foreign shape")
        payload, digest = value[: _PAYLOAD.size], value[_PAYLOAD.size :]
        if not hmac.compare_digest(digest, self._digest(payload)):
            raise ValueError("a row that was not written here")
        return payload

    def filename(self, *_args: object, **_kwargs: object) -> NoReturn:
        raise ValueError("this cache has no files")

    def remove(self, file_path: object) -> None:
        """Do nothing: diskcache asks this for a path it found in a row."""

    def _digest(self, payload: bytes) -> bytes:
        return hashlib.blake2b(payload, key=self.secret, digest_size=_DIGEST_SIZE).digest()


class _Row(NamedTuple):
    payload: bytes
    until: float  # unix seconds by this machine's clock, as diskcache counts


SETTINGS: Final[dict[str, Any]] = {
    "disk": FlowDisk,
    "timeout": READ_TIMEOUT,
    "eviction_policy": "none",  # the default evicts live flows once the cache is large
    "cull_limit": 0,  # nothing is removed in passing; the writer calls `expire()`
    "size_limit": 2**40,
    "sqlite_mmap_size": 0,  # a truncated file under mmap is a SIGBUS, not an exception
    "statistics": 0,  # would turn every read into a write
    "tag_index": 0,
}


def open_flow_cache(directory: Path, secret: bytes) -> diskcache.Cache | None:
    """Open the cache, or a fresh one in place of a damaged one, or None: go on without it.

    Blocking; call it in a thread. A damaged cache is renamed to `<directory>.bad-<time>` for the
    operator to look at. A locked one is left alone: its owner may be alive.
    """
    for last_try in (False, True):
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            _probe(directory / DBNAME)
            cache = diskcache.Cache(str(directory), **SETTINGS)
        except Exception as exc:  # noqa: BLE001  # the table answers without a cache
            if last_try or _is_lock(exc):
                log.warning("flow cache unusable, going on without it", error=str(exc))
                return None
            _quarantine(directory, exc)
        else:
            cache.disk.secret = secret
            cache.close()  # this thread's connection; others open their own
            return cache
    return None  # pragma: no cover  # the loop returns on its last round


def _probe(database: Path) -> None:
    """Raise what diskcache would hang or stumble over; its own open waits 60 s for a lock."""
    connection = sqlite3.connect(database, timeout=READ_TIMEOUT, isolation_level=None)
    with contextlib.closing(connection):
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        objects = dict(connection.execute("SELECT name, type FROM sqlite_master").fetchall())
        if not objects:
            return
        foreign = {
            name
            for name, kind in objects.items()
            if kind == "view" or (kind == "trigger" and not name.startswith("Settings_"))
        }
        if foreign or objects.get("Settings") != "table":
            raise sqlite3.DatabaseError("not a database of diskcache")
        # Unknown settings named sqlite_… would be run as PRAGMA statements.
        known = {*DEFAULT_SETTINGS, *METADATA}
        if not known.issuperset(key for (key,) in connection.execute("SELECT key FROM Settings")):
            raise sqlite3.DatabaseError("unknown settings in the cache")


def _is_lock(exc: Exception) -> bool:
    return isinstance(exc, sqlite3.OperationalError) and "locked" in str(exc)


def _quarantine(directory: Path, exc: Exception) -> None:
    quarantine = directory.with_name(f"{directory.name}.bad-{time.time_ns()}")
    with contextlib.suppress(OSError):
        directory.rename(quarantine)
        log.warning("damaged flow cache set aside", moved_to=str(quarantine), error=str(exc))


class DiskTier:
    """Threads and flows on disk. Reads see a write at once; the disk sees it a moment later.

    A read that fails is a miss. A write that fails is tried again until it goes through.
    `clock` (unix seconds) tells how much of a fact's time is left when it is written. Expired rows
    are removed after `quiet` seconds without a write, or after every `expire_every` batches.
    """

    def __init__(
        self,
        cache: diskcache.Cache,
        *,
        clock: Callable[[], float] = time.time,
        expire_every: int = EXPIRE_EVERY,
        quiet: float = QUIET,
        retry_after: float = RETRY_AFTER,
    ) -> None:
        self._cache = cache
        self._clock = clock
        self._expire_every = expire_every
        self._quiet = quiet
        self._retry_after = retry_after
        self._lock = threading.Lock()  # held while the two dicts change places
        self._unwritten: dict[Key, _Row | None] = {}  # None: to be deleted
        self._in_hand: dict[Key, _Row | None] = {}
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._warned = False
        self._writer = threading.Thread(target=self._keep_writing, name="flow-cache", daemon=True)
        self._writer.start()

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
        self._writer.join()

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
            fields: tuple[bytes, int, int, int] | None = payload and _PAYLOAD.unpack(payload)
        except Exception as exc:  # noqa: BLE001  # what cannot be read is a miss
            self._warn("flow cache not readable", exc)
            return None
        return fields

    def _payload(self, key: Key) -> Any:
        # In this order: the writer fills the second before it empties the first.
        for waiting in (self._unwritten, self._in_hand):
            if key in waiting:
                row = waiting[key]
                return None if row is None else row.payload
        return self._cache.get(key)

    def _keep_writing(self) -> None:
        batches = 0
        while not self._closing.is_set():
            if not self._wake.wait(self._quiet):
                self._expire()
                continue
            self._closing.wait(LINGER)
            if not self._write_waiting():
                self._closing.wait(self._retry_after)
            batches += 1
            if batches % self._expire_every == 0:
                self._expire()
        self._drain()
        self._cache.close()  # this thread's connection

    def _drain(self) -> None:
        for _ in range(RETRIES_AT_CLOSE):
            if self._write_waiting():
                return
            threading.Event().wait(self._retry_after)
        log.warning("flow cache closed with facts unwritten", facts=len(self._unwritten))

    def _write_waiting(self) -> bool:
        with self._lock:
            self._wake.clear()
            batch = self._in_hand = self._unwritten
            self._unwritten = {}
        try:
            self._write(batch)
        except Exception as exc:  # noqa: BLE001  # this thread must live
            # Waiting loses nothing: reads see what waits, and the table holds it all.
            self._warn("flow cache not writable", exc)
            with self._lock:
                self._unwritten = batch | self._unwritten
                self._wake.set()
            return False
        finally:
            self._in_hand = {}
        return True

    def _write(self, batch: dict[Key, _Row | None]) -> None:
        if not batch:
            return
        now = time.time()
        with self._cache.transact():
            for key, row in batch.items():
                if row is None:
                    self._cache.delete(key)
                else:
                    self._cache.set(key, row.payload, expire=row.until - now)

    def _expire(self) -> None:
        try:
            self._cache.expire()
        except Exception as exc:  # noqa: BLE001  # this thread must live
            # Housekeeping: a row that stays is found expired when it is read.
            self._warn("flow cache not writable", exc)

    def _warn(self, event: str, exc: Exception) -> None:
        if not self._warned:
            self._warned = True
            log.warning(event, error=str(exc))


def _thread_key(ref: MessageRef) -> str:
    return f"{ref.chat_id}:{ref.message_id}"
