"""Which of the hosts that work on the same tables relays. The others wait, and one of them takes over."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Final

import structlog

from bot.ending import leave
from bot.errors import Deposed
from bot.lock import locked
from bot.pipeline.patience import end
from bot.server_address import ServerAddress
from bot.storage.data_directory import keep_private
from bot.storage.databases import database_at
from bot.storage.store import SignalStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from bot.config import Settings
    from bot.ending import Ending
    from bot.storage.lease import Lease
    from bot.telegram.client import Telegram

log = structlog.get_logger(__name__)

DEAF: Final = 60.0  # seconds without Telegram, after which another host may do better
LOOK_EVERY: Final = 1.0  # seconds
# What a bot loads when it begins: a host that waits has the time.
LATER: Final = (
    "bot.delivery.sinks",
    "bot.monitoring.access",
    "bot.monitoring.health",
    "bot.telegram.client",
    "bot.telegram.existing_messages",
)


@asynccontextmanager
async def leading(
    settings: Settings, ending: Ending, *, leave: Callable[[Deposed], object] = leave
) -> AsyncIterator[Lease | None]:
    """Wait until this host leads, or is told to stop. None: it is the only one.

    Meanwhile it meets Telegram in no way: a second login of a bot would be told of all that the
    first one is told, and a login takes a fraction of a second. `leave` is called once another host
    leads.
    """
    several = settings.several_hosts
    # Whoever has a file and says nothing of hosts need not read of them.
    say = log.info if several or settings.ha is not None else log.debug
    say("high availability", ha="on" if several else "off", because=_why(settings))
    if not (several and isinstance(settings.database, ServerAddress)):
        yield None
        return
    from bot.storage.lease import Lease, this_host  # noqa: PLC0415  # it needs psycopg

    lease = Lease(settings.database, host=this_host())
    keeping: list[asyncio.Task[None]] = []
    try:
        await lease.open()
        if await _elected(lease, settings, ending):
            keeping = [asyncio.create_task(_kept(lease, leave))]
        yield lease
    finally:
        await end(keeping)
        await lease.close()


def _why(settings: Settings) -> str:
    if settings.ha is not None:
        return "HA says so"
    server = isinstance(settings.database, ServerAddress)
    return f"the tables are in {'PostgreSQL' if server else 'a file of SQLite'}"


async def _elected(lease: Lease, settings: Settings, ending: Ending) -> bool:
    """False: told to stop."""
    ending.watch_signals()
    keep_private(settings)
    for name in LATER:
        await asyncio.to_thread(import_module, name)
    async with AsyncExitStack() as stack:
        stack.enter_context(locked(settings.data_dir / "lock"))
        await stack.enter_async_context(_answering(lease, settings))
        election = asyncio.create_task(lease.elected(lambda: _made_ready(settings)))
        stopping = asyncio.create_task(ending.stopping.wait())
        try:
            await asyncio.wait({election, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await end([election, stopping])
    return False if election.cancelled() else election.result() is None


async def _made_ready(settings: Settings) -> None:
    store = SignalStore(database_at(settings.database))
    try:
        await store.open()
    finally:
        await store.close()


@asynccontextmanager
async def _answering(lease: Lease, settings: Settings) -> AsyncIterator[None]:
    if settings.health_port is None:
        yield
        return
    from bot.monitoring.port import Port, listening  # noqa: PLC0415  # much to load
    from bot.monitoring.standby import StandbyHealth  # noqa: PLC0415  # as well

    port = Port(StandbyHealth(lease).pages.get)
    async with listening(port, settings.health_host, settings.health_port):
        yield


async def _kept(lease: Lease, leave: Callable[[Deposed], object]) -> None:
    try:
        await lease.keep()
    except Deposed as exc:
        leave(exc)
    except Exception:  # whatever it was, nothing is sent without it
        log.exception("the lease cannot be kept")
        leave(Deposed("the lease cannot be kept, and so another host may lead"))


async def hand_over_if_deaf(
    lease: Lease,
    telegram: Telegram,
    *,
    leave: Callable[[Deposed], object] = leave,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Once Telegram was out of reach for a minute while another host waits: that one may reach it."""
    heard = clock()
    while True:
        await sleep(LOOK_EVERY)
        if telegram.connected_since is not None:
            heard = clock()
        if clock() - heard >= DEAF and lease.waiting:
            leave(
                Deposed(
                    f"Telegram is out of reach for {DEAF:.0f} s: {lease.waiting[0]} may take over"
                )
            )
            return
