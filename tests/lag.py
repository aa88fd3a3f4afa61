"""How long the event loop did not come round, measured from inside."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

BOUND = 0.3  # seconds
EVERY = 0.002


class Lag:
    worst = 0.0  # seconds

    async def watch(self) -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(EVERY)
            self.worst = max(self.worst, time.perf_counter() - began - EVERY)


@asynccontextmanager
async def lag() -> AsyncIterator[Lag]:
    """`worst` is the longest the loop stood still inside the block."""
    found = Lag()
    watching = asyncio.create_task(found.watch())
    await asyncio.sleep(0)
    try:
        yield found
        await asyncio.sleep(2 * EVERY)  # a stall that ended just now is still to be noticed
    finally:
        watching.cancel()
