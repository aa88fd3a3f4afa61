"""How long the event loop did not come round, measured from inside.

A thread beside it does the same. What holds up both is the machine, busy with something else, and
is not counted; a loop that waits for a lock or for a statement holds up nobody but itself.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

BOUND = 0.3  # seconds
EVERY = 0.002
WORTH_A_LOOK = 0.05  # seconds


def since(began: float) -> float:
    return time.perf_counter() - began - EVERY


class Lag:
    worst = 0.0  # seconds

    def __init__(self) -> None:
        self._over = threading.Event()
        self._elsewhere = 0.0  # the longest the thread was held up since it was asked
        self._thread = threading.Thread(target=self._compare, daemon=True)

    def _compare(self) -> None:
        while not self._over.is_set():
            began = time.perf_counter()
            time.sleep(EVERY)
            self._elsewhere = max(self._elsewhere, since(began))

    async def watch(self) -> None:
        while True:
            self._elsewhere = 0.0
            began = time.perf_counter()
            await asyncio.sleep(EVERY)
            stood = since(began)
            if stood > WORTH_A_LOOK:
                await asyncio.sleep(10 * EVERY)  # the thread may only just have come round
                self.worst = max(self.worst, stood - self._elsewhere)

    def begin(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._over.set()
        self._thread.join()


@asynccontextmanager
async def lag() -> AsyncIterator[Lag]:
    """`worst` is the longest the loop stood still inside the block."""
    found = Lag()
    found.begin()
    watching = asyncio.create_task(found.watch())
    await asyncio.sleep(0)
    try:
        yield found
        await asyncio.sleep(20 * EVERY)  # a stall that ended just now is still to be noticed
    finally:
        watching.cancel()
        found.end()
