"""What a post is delayed by people who hammer the health port, through the program itself."""

from __future__ import annotations

import asyncio
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from tests.loopback import LoopbackTelegram
from tests.stage import SEND, Stage

# In a process of its own: connections that say nothing, and clients that ask without end.
HAMMER = """
import asyncio, os, socket, sys
number, idle, clients = map(int, sys.argv[1:])
os.nice(10)
async def ask(path):
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", number)
            writer.write(f"GET {path} HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\n\\r\\n".encode())
            await reader.read()
            writer.close()
        except OSError:
            await asyncio.sleep(0.01)
async def silent():
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", number)
            await reader.read()
            writer.close()
        except OSError:
            await asyncio.sleep(0.01)
async def main():
    print("begun", flush=True)
    paths = ["/", "/healthz", "/metrics"]
    await asyncio.gather(*(silent() for _ in range(idle)), *(ask(paths[n % 3]) for n in range(clients)))
asyncio.run(main())
"""


class Delay(NamedTuple):
    """Milliseconds that a post takes more, and an answer of `/healthz` while others hammer."""

    median: float
    p95: float
    answer: float


def delay(signals: int, *, idle: int = 260, clients: int = 40) -> Delay:
    with tempfile.TemporaryDirectory() as directory:
        return asyncio.run(_measure(Path(directory), signals, idle, clients))


async def _measure(directory: Path, signals: int, idle: int, clients: int) -> Delay:
    calm: list[float] = []
    hammered: list[float] = []
    answers: list[float] = []
    async with LoopbackTelegram() as telegram:
        stage = Stage(telegram, directory)
        number = _free()
        async with stage.relay(HEALTH_PORT=str(number)) as program:
            said = 0
            for rest, took in ((0, calm), (1, hammered), (0, calm), (1, hammered)):
                async with _hammered(number, idle, clients) if rest else _nobody():
                    for _ in range(signals // 4):
                        said += 1
                        pushed = time.time()  # the clock of the server's log of calls
                        await stage.alice.sends(stage.group, f"#idea {said}")
                        await program.wait_output('"posted"', count=said)
                        took.append(telegram.calls.of(*SEND)[-1].at - pushed)
                    if rest:
                        answers.append(await _asked(number))
    more = [1000 * (each(hammered) - each(calm)) for each in (statistics.median, _p95)]
    return Delay(*more, 1000 * statistics.median(answers))


def _p95(took: list[float]) -> float:
    return statistics.quantiles(took, n=20)[-1]


async def _asked(number: int) -> float:
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", number)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 200")
    writer.close()
    return time.perf_counter() - began


def _free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@asynccontextmanager
async def _nobody() -> AsyncIterator[None]:
    yield


@asynccontextmanager
async def _hammered(number: int, idle: int, clients: int) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HAMMER, *map(str, (number, idle, clients)),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        await process.stdout.readline()
        await asyncio.sleep(1)
        yield
    finally:
        process.kill()
        await process.wait()
