"""A hundred sources of ten places each, beside one source of one place."""

from __future__ import annotations

import asyncio
import itertools
import os
import statistics
import tempfile
import time
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from bot.app import open_core
from bot.models import ChatId
from bot.routes import Place, Routes, Source
from tests import wiring
from tests.benchmarks.comparing import Ratio, compare, spread
from tests.loopback import LoopbackTelegram
from tests.people import ALICE, BOB, says
from tests.stage import SEND, Stage

SOURCES, PLACES = 100, 10
FLOWS = 1_000  # warm ones, in all sources together
ASKED = 2_000
PAUSE = 0.005  # seconds between two messages of the busy source
SIGNALS = 20  # in a round
TICK = os.sysconf("SC_CLK_TCK")
WITHOUT = {"SOURCE_CHAT_ID": None, "TARGET_CHAT_ID": None, "SOURCE_ALLOWED_USERS": None}


# ── a decision ──


def decision(rounds: int) -> Ratio:
    """A stranger's reply into a warm flow, from the door to its refusal, over all sources in turn."""
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as many:
        return asyncio.run(_decision(Path(one), Path(many), rounds))


async def _decision(one: Path, many: Path, rounds: int) -> Ratio:
    async with AsyncExitStack() as opened:
        floor = await opened.enter_async_context(_asked(one, 1, 1))
        measured = await opened.enter_async_context(_asked(many, SOURCES, PLACES))
        return await compare(measured, floor, rounds=rounds, clock=time.thread_time)


@asynccontextmanager
async def _asked(directory: Path, sources: int, places: int):
    settings = wiring.settings(data_dir=directory)
    async with open_core(settings, _routes(sources, places)) as core:
        numbers = itertools.count(1)
        signals = []
        for chat, _ in zip(itertools.cycle(core.routes.chats), range(FLOWS), strict=False):
            signals.append(says(ALICE, "#idea BTC/USDT LONG", chat_id=chat, number=next(numbers)))
            await core.intake.handle(signals[-1])

        async def ask():
            for signal, _ in zip(itertools.cycle(signals), range(ASKED), strict=False):
                reply = says(
                    BOB, "thanks!", chat_id=signal.chat_id, number=next(numbers), to=signal
                )
                await core.intake.handle(reply)

        await ask()
        yield ask


def _routes(sources: int, places: int) -> Routes:
    targets = tuple(Place(ChatId(-1_009_000_000_000 - number)) for number in range(places))
    named = (
        Source(f"source-{number}", ChatId(-1_001_000_000_000 - number), places=targets)
        for number in range(sources)
    )
    return Routes(tuple(named), named=True)


# ── the program ──


class Figures(NamedTuple):
    first_start: float  # seconds until it says so, and the chats are new to it
    start: float  # the same, later
    more_memory: float  # MB, than with one source of one place
    busy: float  # ms, that another's signal comes later while one source is busy
    ten_places: Ratio  # CPU of a signal


def program(rounds: int) -> Figures:
    return asyncio.run(_program(rounds))


async def _program(rounds: int) -> Figures:
    with tempfile.TemporaryDirectory() as directory:
        async with LoopbackTelegram() as telegram:
            stage = Stage(telegram, Path(directory))
            async with stage.relay() as running:
                small = _memory_mb(running.pid)
            sources, targets = _file(stage)
            async with _started(stage) as (first, _):
                pass
            async with _started(stage) as (start, running):
                bench = _Bench(stage, running, sources, targets)
                more = _memory_mb(running.pid) - small
                ratios = [await bench.ten_places() for _ in range(rounds)]
                return Figures(first, start, more, await bench.busy(rounds), spread(ratios))


@asynccontextmanager
async def _started(stage: Stage):
    began = time.perf_counter()
    async with stage.relay(**WITHOUT, LOG_LEVEL="INFO") as running:
        yield time.perf_counter() - began, running


def _file(stage: Stage):
    """The first source has one place, all others ten."""
    telegram = stage.telegram
    groups = [
        telegram.supergroup(f"Group {number}", members=[stage.alice, stage.bob], admins=[stage.bot])
        for number in range(SOURCES)
    ]
    targets = [telegram.channel(f"Place {number}", admins=[stage.bot]) for number in range(PLACES)]
    lines = []
    for number, group in enumerate(groups):
        lines += ["[[source]]", f'name = "s{number}"', f"chat = {group.id}"]
        lines += ['allowed_users = "everyone"']
        for target in targets if number else targets[:1]:
            lines += ["[[source.place]]", f"chat = {target.id}"]
    (stage.directory / "routes.toml").write_text("\n".join(lines), "utf-8")
    return groups, targets


class _Bench:
    def __init__(self, stage, running, sources, targets):
        self.stage, self.running = stage, running
        self.alone, *self.others = sources
        self.posted = 0
        self.numbers = itertools.count(1)

    async def signals(self, group, places):
        """CPU seconds of the bot for `SIGNALS` of them, each once the one before is everywhere."""
        before = _cpu(self.running.pid)
        for _ in range(SIGNALS):
            await self.signal(group, places)
        return _cpu(self.running.pid) - before

    async def signal(self, group, places):
        await self.stage.alice.sends(group, f"#idea {next(self.numbers)}")
        self.posted += places
        await self.running.wait_output('"posted"', count=self.posted, timeout=60)

    async def ten_places(self):
        many = await self.signals(self.others[0], PLACES)
        return many / max(await self.signals(self.alone, 1), 1 / TICK)

    async def busy(self, rounds):
        """Milliseconds. The busy one's members talk, and answer a signal of its."""
        idle = [await self.latency() for _ in range(4 * rounds)]
        talking = asyncio.create_task(self.talk(self.others[1]))
        late = [await self.latency() for _ in range(4 * rounds)]
        talking.cancel()
        return 1000 * (statistics.median(late) - statistics.median(idle))

    async def talk(self, group):
        signal = await self.stage.alice.sends(group, "#idea of the busy one")
        self.posted += PLACES
        for number in itertools.count():
            await self.stage.bob.sends(group, f"nice {number}", reply_to=signal)
            await asyncio.sleep(PAUSE)

    async def latency(self):
        pushed = time.time()  # the clock of the server's log of calls
        await self.signal(self.alone, 1)
        return self.stage.telegram.calls.of(*SEND)[-1].at - pushed


def _memory_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def _cpu(pid: int) -> float:
    """Seconds, of all its threads."""
    used = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(used[11]) + int(used[12])) / TICK
