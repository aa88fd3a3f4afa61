"""Builds every object from the settings, starts and stops them. No decisions."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from bot.config import refuse_readable
from bot.errors import DatabaseUnavailable
from bot.handlers.edit_handler import EditHandler
from bot.handlers.lost_parents import LostParents
from bot.handlers.signal_handler import SignalHandler
from bot.handlers.update_handler import UpdateHandler
from bot.intake import Intake
from bot.lock import locked
from bot.orders import Orders
from bot.presence import Presence
from bot.render import Place
from bot.signals import Markers
from bot.state.flow_disk import open_flow_cache
from bot.state.flow_tracker import FlowTracker
from bot.storage.database import Database
from bot.storage.store import SignalStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping
    from pathlib import Path

    from bot.config import Settings
    from bot.models import ChatId


class Core(NamedTuple):
    """What turns a message into a decision."""

    store: SignalStore
    flows: FlowTracker
    intake: Intake
    edits: EditHandler
    parents: LostParents
    orders: Orders
    moved: Mapping[ChatId, ChatId]  # basic groups that became supergroups, old id to new
    targets: tuple[ChatId, ...]  # as they are now
    presence: Presence  # of the files that must not go

    def now(self, chat: ChatId) -> ChatId:
        """What has become of a chat."""
        return self.moved.get(chat, chat)


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
    store = SignalStore(
        Database(settings.database, in_loop=in_loop),
        clock=clock,
        place=partial(Place, mentions=settings.relay_mentions),
    )
    with locked(settings.data_dir / "lock"):
        try:
            await store.open()
            async with _flows(settings, store, clock) as flows:
                moved = await store.moved_chats()
                targets = tuple(dict.fromkeys(moved.get(target, target) for target in targets))
                parents = LostParents(store)
                intake = _intake(settings, markers, store, flows, targets, moved, parents)
                edits = EditHandler(
                    store,
                    markers,
                    intake,
                    permitted=settings.permitted,
                    relay_edits=settings.relay_edits,
                    relay_deletes=settings.relay_deletes,
                )
                orders = Orders(store, flows)
                await orders.begin()
                presence = Presence(_what_must_stay(settings))
                yield Core(store, flows, intake, edits, parents, orders, moved, targets, presence)
        finally:
            await store.close()


@asynccontextmanager
async def open_tables(
    settings: Settings, *, read_only: bool = True, in_loop: bool = True
) -> AsyncIterator[SignalStore]:
    """The tables alone, for a look at them or an order, beside a running bot or without one."""
    store = SignalStore(Database(settings.database, in_loop=in_loop, read_only=read_only))
    try:
        await store.open_existing()
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def _flows(
    settings: Settings, store: SignalStore, clock: Callable[[], float]
) -> AsyncIterator[FlowTracker]:
    cache_key = await store.cache_key()
    open_cache = partial(open_flow_cache, settings.flow_cache, cache_key)
    flows = FlowTracker(
        store,
        await asyncio.to_thread(open_cache),
        ttl=settings.flow_ttl_hours,
        after_ttl=settings.flow_after_ttl,
        clock=clock,
        reopen=partial(open_cache, again=True),
    )
    try:
        yield flows
    finally:
        await flows.close()


def _what_must_stay(settings: Settings) -> list[Path]:
    """All but the flow cache, which is made anew; the lock, since another bot could take another."""
    directory, database = settings.data_dir, settings.database
    beside = [database.with_name(f"{database.name}{more}") for more in ("-wal", "-shm")]
    return [directory, database.parent, database, *beside, directory / "lock"]


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


def _intake(
    settings: Settings,
    markers: Markers,
    store: SignalStore,
    flows: FlowTracker,
    targets: Iterable[ChatId],
    moved: Mapping[ChatId, ChatId],
    parents: LostParents,
) -> Intake:
    permitted = settings.permitted
    return Intake(
        markers,
        SignalHandler(store, flows, permitted=permitted, targets=targets),
        UpdateHandler(
            store, flows, permitted=permitted, targets=targets, moved=moved, parents=parents
        ),
    )
