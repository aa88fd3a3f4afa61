"""The disk tier: threads and flows in a flow cache, beside the event loop.

The event loop only reads. All writing is done by one thread, in batches, because a lock held by
another process would otherwise stop the loop for as long as it lasts. The same thread opens a
cache anew that broke, or could not be opened at first.
"""

from __future__ import annotations

import contextlib
import sqlite3
import struct
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
from diskcache.core import DBNAME

from bot.models import AuthorId, Flow, MessageRef, SignalId, UnixTime
from bot.state.flow_cache import (
    NOT_READABLE,
    PAYLOAD,
    READ_TIMEOUT,
    WRITE_PATIENCE,
    CacheRow,
    FlowCache,
    Key,
    NotOurs,
    is_damage,
)

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger(__name__)

_FLOW, _THREAD = b"f", b"t"
REST: Final = 1.0  # seconds without reading, after a read that failed
LINGER: Final = 0.2  # seconds a write waits for others to share its transaction
RETRY_AFTER: Final = 0.25  # seconds
RETRIES_AT_CLOSE: Final = 20
QUIET: Final = 600.0  # seconds without a write, after which expired rows are removed
EXPIRE_EVERY: Final = 1_000  # batches, where it is never quiet
MAX_UNWRITTEN: Final = 200_000  # facts; with more waiting the disk has been gone for long
EXPIRE_PATIENCE: Final = 10.0  # seconds for removing what has expired; the rest is for next time
REOPEN_AFTER: Final = 60.0  # seconds, doubled each time, so that a bad disk fills with no ruins
REOPEN_AT_MOST: Final = 3600.0
NOT_WRITABLE = "flow cache not writable"
OUTAGES: Final = frozenset({NOT_READABLE, NOT_WRITABLE})
FOREIGN_ROW: Final = "flow cache holds what was not written here"


class DiskTier:
    """Threads and flows on disk. Reads see a write at once; the disk sees it a moment later.

    A read that fails is a miss. A write that fails is tried again until it goes through. A cache
    that breaks is given up, and `reopen` is asked for another after `reopen_after` seconds, then
    after twice as many, and so on; where there is no `reopen`, the old one is all there is.

    `clock` (unix seconds) tells how much of a fact's time is left when it is written. Expired rows
    are removed behind the first batch, then after every `expire_every` batches, or after `quiet` seconds
    without a write: a bot that is begun anew now and then is not to collect them.
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
        self._unwritten: dict[Key, CacheRow | None] = {}  # None: to be deleted
        self._in_hand: dict[Key, CacheRow | None] = {}
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
            payload = PAYLOAD.pack(*fields)
        except struct.error:
            return  # an id beyond 64 bits; the table answers for it
        self._hand_over(key, CacheRow(payload, time.time() + seconds_left))

    def _hand_over(self, key: Key, row: CacheRow | None) -> None:
        with self._lock:
            self._unwritten[key] = row
        if not self._wake.is_set():
            self._wake.set()

    def _read(self, key: Key) -> tuple[bytes, int, int, int] | None:
        try:
            payload = self._payload(key)
            return None if payload is None else PAYLOAD.unpack(payload)
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
        if is_damage(exc):
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
        if self._batches % self._expire_every == 0:
            self._expire(cache)
        self._batches += 1

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
    def _write(cache: FlowCache, batch: dict[Key, CacheRow | None]) -> None:
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


def newest_flows(cache: FlowCache, at_most: int) -> list[tuple[SignalId, Flow]]:
    """What a cache says of its newest flows; of one that cannot be read, nothing. Blocking."""
    try:
        rows = [PAYLOAD.unpack(payload) for payload in cache.newest(at_most)]
    except Exception as exc:  # noqa: BLE001  # whoever reads it next finds that out, too
        log.debug(NOT_READABLE, error=str(exc))
        return []
    finally:
        cache.close()
    return [
        (SignalId(number), Flow(AuthorId(owner), UnixTime(activity)))
        for kind, number, owner, activity in rows
        if kind == _FLOW
    ]
