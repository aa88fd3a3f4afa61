"""Our relay beside the smallest one, on the same server and in turns."""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.comparing import Ratio, spread
from tests.loopback import LoopbackTelegram
from tests.stage import SEND, Stage

# Started as users start them: a fork of a warm process would share its memory.
OURS = ("-X", "utf8", "-m", "bot")
BARE = (str(Path(__file__).with_name("bare_relay.py")),)
SMALL_ID, OTHER_SMALL_ID = 1880553977, 1990000001  # the library takes larger ones for impossible
SETTLED = 0.02  # seconds after a post in which what follows it is done
IDLE = 3.0  # seconds after the start in which its memory settles
ROOT = Path(__file__).parent.parent.parent
TICKS = os.sysconf("SC_CLK_TCK")


class Beside(NamedTuple):
    """Ratios to the smallest relay."""

    latency: Ratio
    cpu: Ratio
    burst: Ratio  # of posts per second
    memory: Ratio


@dataclass
class Figures:
    latency: list[float] = field(default_factory=list)  # seconds, a median for each round
    cpu: list[float] = field(default_factory=list)  # seconds for each signal
    burst: list[float] = field(default_factory=list)  # posts per second
    memory: list[float] = field(default_factory=list)  # bytes, of an idle one

    async def play(self, arguments, signals: int, burst: int) -> None:
        """One life of a program: idle, then signals one after another, then a burst."""
        async with LoopbackTelegram() as telegram:
            with tempfile.TemporaryDirectory() as directory:
                stage = Stage(telegram, Path(directory))
                people = {"members": [stage.alice], "admins": [stage.bot]}
                stage.group = telegram.supergroup("Source", **people, id=SMALL_ID)
                stage.target = telegram.channel("Place", admins=[stage.bot], id=OTHER_SMALL_ID)
                env = stage.env(LOG_LEVEL="INFO", PYTHONPATH=str(ROOT))
                program = await telegram.run([*arguments], cwd=directory, env=env)
                await program.wait_output('"started"', timeout=60)
                await asyncio.sleep(IDLE)
                self.memory.append(_resident(program.pid))
                await self._one_by_one(stage, program.pid, signals)
                await self._all_at_once(stage, burst)
                program.kill()
                await program.wait()

    async def _one_by_one(self, stage: Stage, pid: int, signals: int) -> None:
        took = []
        spent = _cpu(pid)
        for number in range(signals):
            pushed = stage.telegram.world.clock()
            await self._posted(stage, f"#idea {number}")
            took.append(stage.telegram.calls.of(*SEND)[-1].at - pushed)
            await asyncio.sleep(SETTLED)
        self.latency.append(statistics.median(took))
        self.cpu.append((_cpu(pid) - spent) / signals)

    async def _all_at_once(self, stage: Stage, burst: int) -> None:
        posts = len(stage.target.messages)
        began = asyncio.get_running_loop().time()
        for number in range(burst):
            await stage.alice.sends(stage.group, f"#idea {number}")
        await stage.telegram.wait_for(
            lambda: len(stage.target.messages) >= posts + burst, timeout=120, what="all of them"
        )
        self.burst.append(burst / (asyncio.get_running_loop().time() - began))

    @staticmethod
    async def _posted(stage: Stage, text: str) -> None:
        posts = len(stage.target.messages)
        await stage.alice.sends(stage.group, text)
        await stage.telegram.wait_for(
            lambda: len(stage.target.messages) > posts, timeout=60, what=text
        )


def _cpu(pid: int) -> float:
    """Seconds that the process has computed; see proc(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _resident(pid: int) -> int:
    """Bytes of memory that are its own, or its part of what it shares."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("Pss:")))


def beside_bare(signals: int, burst: int, rounds: int) -> Beside:
    ours, bare = Figures(), Figures()
    for _ in range(rounds):
        asyncio.run(ours.play(OURS, signals, burst))
        asyncio.run(bare.play(BARE, signals, burst))
    return Beside(
        _ratio(ours.latency, bare.latency),
        _ratio(ours.cpu, bare.cpu),
        _ratio(ours.burst, bare.burst),
        _ratio(ours.memory, bare.memory),
    )


def _ratio(ours: list[float], bare: list[float]) -> Ratio:
    return spread([one / other for one, other in zip(ours, bare, strict=True)])
