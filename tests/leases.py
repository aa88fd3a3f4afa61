"""Leases and stores of several hosts on one PostgreSQL, whose clock a test moves."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from bot.server_address import ServerAddress
from bot.storage.store import SignalStore
from tests.clock import Clock
from tests.people import NOON


async def turn(_seconds):
    """No time passes for those who wait, but the others get on."""
    await asyncio.sleep(0)


class Hosts:
    """Leases and stores on one database, closed at the end."""

    def __init__(self, address):
        self.address = address
        self.clock = Clock(1_000)
        self._opened = []

    async def host(self, name, *, address=None, sleep=turn):
        from bot.storage.lease import Lease  # noqa: PLC0415  # not everywhere

        lease = Lease(
            address or self.address, host=name, clock=self.clock, now=lambda: NOON, sleep=sleep
        )
        await lease.open()
        self._opened.append(lease)
        return lease

    async def leader(self, name, **how):
        lease = await self.host(name, **how)
        await lease.elected(self.made_ready)
        return lease

    @property
    def port(self):
        return urlsplit(self.address.url).port

    def through(self, way):
        return ServerAddress(self.address.url.replace(f":{self.port}/", f":{way.port}/"))

    async def store(self, lease=None):
        """What that host writes with; None: an operator."""
        from bot.storage.postgresql import Server  # noqa: PLC0415  # not everywhere

        store = SignalStore(Server(self.address, fence=lease and lease.fence), clock=lambda: NOON)
        await store.open()
        self._opened.append(store)
        return store

    async def made_ready(self):
        await (await self.store()).close()

    async def close(self):
        for each in self._opened:
            await each.close()


def loses_its_session(postgresql, name):
    """As it does when it is silent, dies or is cut off: it is for the server to end it."""
    postgresql.sql(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        f" WHERE application_name LIKE 'signal-relay % leads {name}'"
    )
