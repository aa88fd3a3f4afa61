"""From the push of a signal to the request that posts it, through the program itself."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tests.loopback import LoopbackTelegram
from tests.stage import SEND, Stage


class Latency(NamedTuple):
    """Milliseconds."""

    median: float
    p95: float


def latency(signals: int) -> Latency:
    """Of an idle bot: it is told of a signal when it has done with the one before.

    Both moments are taken in the loopback server, so its encryption and the socket are in it.
    """
    with tempfile.TemporaryDirectory() as directory:
        took = asyncio.run(_measure(Path(directory), signals))
    return Latency(1000 * statistics.median(took), 1000 * statistics.quantiles(took, n=20)[-1])


async def _measure(directory: Path, signals: int) -> list[float]:
    took = []
    async with LoopbackTelegram() as telegram:
        stage = Stage(telegram, directory)
        async with stage.relay() as program:
            for number in range(1, signals + 1):
                pushed = time.time()  # the clock of the server's log of calls
                await stage.alice.sends(stage.group, f"#idea {number}")
                await program.wait_output('"posted"', count=number)
                took.append(telegram.calls.of(*SEND)[-1].at - pushed)
    return took
