"""Builds every object from the settings, starts and stops them. No decisions."""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from bot.config import refuse_readable
from bot.errors import AlreadyRunning, DatabaseUnavailable
from bot.handlers.edit_handler import EditHandler
from bot.handlers.signal_handler import SignalHandler
from bot.handlers.update_handler import UpdateHandler
from bot.intake import Intake
from bot.models import UnixTime
from bot.signals import Markers
from bot.state.flow_disk import open_flow_cache
from bot.state.flow_tracker import FlowTracker
from bot.storage.store import SignalStore, connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from pathlib import Path

    from bot.config import Settings
    from bot.models import ChatId


REFUSALS_KEPT: Final = 30 * 86_400  # seconds


class Core(NamedTuple):
    """What turns a message into a decision."""

    store: SignalStore
    flows: FlowTracker
    intake: Intake
    edits: EditHandler


@asynccontextmanager
async def open_core(
    settings: Settings,
    *,
    targets: Iterable[ChatId] = (),
    clock: Callable[[], float] = time.time,
    in_loop: bool = False,
) -> AsyncIterator[Core]:
    """Open the tables and the caches under `DATA_DIR`, and leave both complete on disk at exit.

    `in_loop`: the tables answer in the event loop, for work that nothing else waits beside.
    """
    markers = Markers(settings.signal_markers, settings.signal_patterns)
    _keep_private(settings)
    store = SignalStore(connect(settings.database, in_loop=in_loop), clock=clock)
    lock = _lock(settings.data_dir / "lock")
    try:
        await store.open()
        cache_key = await store.cache_key()
        open_cache = partial(open_flow_cache, settings.flow_cache, cache_key)
        cache = await asyncio.to_thread(open_cache)
        flows = FlowTracker(
            store,
            cache,
            ttl=settings.flow_ttl_hours,
            after_ttl=settings.flow_after_ttl,
            clock=clock,
            reopen=partial(open_cache, again=True),
        )
        try:
            intake = _intake(settings, markers, store, flows, targets)
            edits = EditHandler(
                store,
                markers,
                intake,
                relay_edits=settings.relay_edits,
                relay_deletes=settings.relay_deletes,
            )
            yield Core(store, flows, intake, edits)
        finally:
            await flows.close()
    finally:
        await store.close()
        os.close(lock)


async def forget_old_refusals(core: Core) -> None:
    await core.store.prune_decisions(before=UnixTime(int(time.time()) - REFUSALS_KEPT))


def _keep_private(settings: Settings) -> None:
    """Make what is missing, and see that nobody else reads what the bot writes, whatever the umask.

    Raises `SettingsError` for a session file that others may have read already: it is a login.
    """
    try:
        for directory in (settings.data_dir, settings.database.parent):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings.data_dir.chmod(0o700)
        if not settings.database.exists():
            # SQLite would ask the umask; the files beside it take over this one's mode.
            os.close(os.open(settings.database, os.O_CREAT | os.O_CLOEXEC, 0o600))
        for path in settings.database.parent.glob(f"{settings.database.name}*"):
            if path.is_file() and path.stat().st_mode & 0o077:
                path.chmod(0o600)
    except OSError as exc:
        raise DatabaseUnavailable(f"{exc.filename}: {exc.strerror}") from exc
    for session in settings.sessions:
        refuse_readable(session)


def _lock(path: Path) -> int:
    """Hold the data directory until the descriptor is closed, or the kernel does that for us.

    Raises `AlreadyRunning` with the holder's pid.
    """
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise DatabaseUnavailable(f"{path}: {exc.strerror}") from exc
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        holder = os.read(lock, 20).decode(errors="replace").strip() or "unknown"
        os.close(lock)
        raise AlreadyRunning(f"{path.parent} is in use by another instance (pid {holder})") from exc
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def _intake(
    settings: Settings,
    markers: Markers,
    store: SignalStore,
    flows: FlowTracker,
    targets: Iterable[ChatId],
) -> Intake:
    users = settings.source_allowed_users
    permitted = None if users is None else frozenset(users)
    return Intake(
        markers,
        SignalHandler(store, flows, permitted=permitted, targets=targets),
        UpdateHandler(store, flows, permitted=permitted, targets=targets),
    )
