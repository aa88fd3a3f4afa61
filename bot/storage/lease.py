"""Who relays: one of any number of hosts on the same tables, elected by a lock in PostgreSQL.

The lock lives as long as a session that is used for nothing else. The server ends that session when
it was silent for 4.5 s, so a host that is stopped, hangs or is cut off loses the lock as surely as one
that dies. A leader counts its time from before each beat was sent, by a clock that runs on while the
machine sleeps, and holds still earlier than the server acts. Each writing transaction asks for the
leader's epoch (`transactions.FENCE`), so whatever a deposed leader still does is rolled back.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from typing import TYPE_CHECKING, Final, NoReturn

import structlog
from sqlalchemy import select

from bot.errors import DatabaseError, DatabaseUnavailable, Deposed
from bot.storage.engine import insert
from bot.storage.hosts import HERE, LEADS, WAITS, WRITES, session_name, who
from bot.storage.postgresql import Fence, Server
from bot.storage.schema import APPLICATION_ID, lease
from bot.storage.transactions import in_transaction

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy import Connection

    from bot.server_address import ServerAddress

log = structlog.get_logger(__name__)

GIVE_UP: Final = 3.5  # seconds without an answer, after which a leader holds still: less than 4.5
BEAT, TRY = 1.0, 0.25  # seconds
# What the server does by itself: it ends a session that is silent, and a client that is away.
LIMITS: Final = (
    "-c idle_session_timeout=4500ms -c statement_timeout=5s -c lock_timeout=3s"
    " -c tcp_keepalives_idle=2 -c tcp_keepalives_interval=1 -c tcp_keepalives_count=3"
    " -c tcp_user_timeout=5s"
)
# Tried again and again: a session that waits for a lock holds a snapshot, and for as long as it waits
# the server could clean up no table.
TAKE: Final = f"""
    SELECT place, pg_try_advisory_lock({APPLICATION_ID}::bigint << 32 | place)
    FROM (SELECT {HERE} AS place) AS here
"""  # noqa: S608  # constants
CALL: Final = "SELECT set_config('application_name', %(name)s, false)"
# No time-out of the server ends a session whose client stopped in the midst of a pipeline: it counts
# as active. Milliseconds to wait for each.
END: Final = """
    SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity
    WHERE application_name = %(name)s AND datname = current_database() AND usename = current_user
"""


def since_boot() -> float:
    """Seconds, those included in which the machine slept."""
    # Elsewhere than on Linux the plain one counts them, too.
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def this_host() -> str:
    """With as much of its name as goes into the name of a session."""
    return f"{socket.gethostname()[:25]}, pid {os.getpid()}"


class Lease:
    """`open`, then `elected`, then `keep` for as long as this host leads.

    `clock`: seconds, of which none may be left out; `now`: unix seconds.
    """

    def __init__(
        self,
        address: ServerAddress,
        *,
        host: str,
        clock: Callable[[], float] = since_boot,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.host = host
        self._session = Server(address, limits=LIMITS)
        self._clock = clock
        self._now = now
        self._sleep = sleep
        self._confirmed = float("-inf")
        self._news = asyncio.Event()  # set by each confirmation
        self._fence: Fence | None = None
        self._place = 0
        self._said = False
        self.leader: str | None = None  # another host, as far as known
        self.waiting: list[str] = []  # hosts that could take over
        self.trouble: DatabaseUnavailable | None = None  # why this host cannot be elected

    async def open(self) -> None:
        """Raises `DatabaseError` where the server cannot serve at all."""
        await self._session.open()

    async def close(self) -> None:
        """Whoever waits may lead at once."""
        await self._session.close()

    @property
    def fence(self) -> Fence:
        """What writes for this host must pass it."""
        assert self._fence is not None  # noqa: S101  # not before it was elected
        return self._fence

    # ── waiting ──

    async def elected(self, prepare: Callable[[], Awaitable[None]]) -> None:
        """Wait until this host leads. `prepare` makes the tables ready, while nobody else does.

        Raises `DatabaseUnusable` where they are not for this version.
        """
        while True:
            try:
                if await self._session.run(self._take):
                    return await self._begin(prepare)
            except DatabaseUnavailable as exc:
                self._say_trouble(exc)
            else:
                self._say_that_it_waits()
            await self._sleep(TRY)

    def _take(self, db: Connection) -> bool:
        """Whether this session has the lock now; it may have had it before."""
        place, taken = db.exec_driver_sql(TAKE).one()
        self._place = int(place)
        if not taken:
            db.exec_driver_sql(CALL, {"name": session_name(self._place, WAITS, self.host)})
            self._look(db)
        return bool(taken)

    def _look(self, db: Connection) -> None:
        others = [(what, host) for what, host in who(db) if host != self.host]
        self.leader = next((host for what, host in others if what == LEADS), None)
        self.waiting = [host for what, host in others if what == WAITS]

    def _say_trouble(self, exc: DatabaseUnavailable) -> None:
        if self.trouble is None:
            log.warning("the database does not answer, no election", error=str(exc))
        self.trouble = exc

    def _say_that_it_waits(self) -> None:
        self.trouble = None
        if not self._said:
            self._said = True
            log.info("standing by", host=self.host, leader=self.leader)

    async def _begin(self, prepare: Callable[[], Awaitable[None]]) -> None:
        await self._session.run(self._end_last)
        await self._while_beating(prepare)
        asked = self._clock()
        epoch = await self._session.run(self._next_epoch)
        self._fence = Fence(epoch, session_name(self._place, WRITES))
        self._confirm(asked)
        self.trouble = self.leader = None
        log.info("leading", host=self.host, epoch=epoch)

    async def _while_beating(self, work: Callable[[], Awaitable[None]]) -> None:
        """To bring large tables up to date may take longer than a session may be silent."""
        tasks = {asyncio.ensure_future(work()), asyncio.ensure_future(self._beats())}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in tasks:
                each.cancel()
            await asyncio.wait(tasks)
        for each in done:
            each.result()

    async def _beats(self) -> None:
        while True:
            await self._sleep(BEAT)
            await self._session.run(self._look)

    def _end_last(self, db: Connection) -> None:
        db.exec_driver_sql(END, {"name": session_name(self._place, WRITES)})

    def _next_epoch(self, db: Connection) -> int:
        """Behind what the last leader has in hand, and before all that it might still begin."""
        self._end_last(db)  # it may have come back
        db.exec_driver_sql(CALL, {"name": session_name(self._place, LEADS, self.host)})
        said = {"host": self.host, "since": int(self._now())}
        query = insert(db, lease).values(id=1, epoch=1, **said)
        again = query.on_conflict_do_update(
            index_elements=[lease.c.id], set_={"epoch": lease.c.epoch + 1, **said}
        )
        taken = again.returning(lease.c.epoch)
        return int(in_transaction(db, lambda db: db.execute(taken).scalar_one()))

    # ── leading ──

    async def keep(self) -> NoReturn:
        """Confirm the lease, again and again. Raises `Deposed` once another host was elected."""
        while True:
            await self._sleep(BEAT)
            asked = self._clock()
            try:
                await self._session.run(self._look)
            except DatabaseError as exc:
                log.warning("the lease is not confirmed, nothing is sent", error=str(exc))
                await self._regain()
            else:
                self._confirm(asked)

    async def _regain(self) -> None:
        """Until the lock is held once more, and nobody else had it in between."""
        while True:
            await self._sleep(TRY)
            asked = self._clock()
            try:
                taken, epoch, host = await self._session.run(self._take_again)
            except DatabaseError:
                continue
            if epoch != self.fence.epoch:
                raise Deposed(f"{host} leads now: this host was not heard of for some seconds")
            if taken:
                self._confirm(asked)
                log.info("leading again", host=self.host, epoch=epoch)
                return

    def _take_again(self, db: Connection) -> tuple[bool, int, str]:
        taken = self._take(db)
        # Asked behind it: whoever holds the lock alone may count on.
        epoch, host = db.execute(select(lease.c.epoch, lease.c.host)).one()
        if taken and epoch == self.fence.epoch:
            db.exec_driver_sql(CALL, {"name": session_name(self._place, LEADS, self.host)})
        return taken, int(epoch), str(host)

    @property
    def is_sure(self) -> bool:
        """It is certain that no other host leads."""
        return self._clock() - self._confirmed <= GIVE_UP

    async def sure(self) -> None:
        """Return once it is. To be awaited before whatever cannot be rolled back."""
        while not self.is_sure:
            self._news.clear()
            await self._news.wait()

    def _confirm(self, asked: float) -> None:
        self._confirmed = asked
        self._news.set()
