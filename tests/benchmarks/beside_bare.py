"""Our relay beside the smallest one, a few signals in turns: what else the machine does slows both."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.benchmarks.comparing import Ratio, spread
from tests.loopback import LoopbackTelegram
from tests.stage import SEND, Stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

# Started as users start them: a fork of a warm process would share its memory.
OURS = ("-X", "utf8", "-m", "bot")
BARE = (str(Path(__file__).with_name("bare_relay.py")),)
SMALL_ID, OTHER_SMALL_ID = 1880553977, 1990000001  # the library takes larger ones for impossible
SETTLED = 0.02  # seconds after a post in which what follows it is done
IDLE = 3.0  # seconds after the start in which its memory settles
IN_TURN = 10  # signals
ROOT = Path(__file__).parent.parent.parent


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


class Running(NamedTuple):
    """A relay of either kind, and the Telegram that it has to itself."""

    stage: Stage
    pid: int

    async def one_by_one(self, signals: int) -> list[float]:
        """How many seconds each took from its push to its post."""
        took = []
        for number in range(signals):
            pushed = self.stage.telegram.world.clock()
            await self._posted(f"#idea {number}")
            took.append(self.stage.telegram.calls.of(*SEND)[-1].at - pushed)
            await asyncio.sleep(SETTLED)
        return took

    async def all_at_once(self, burst: int) -> float:
        """Posts per second."""
        stage, posts = self.stage, len(self.stage.target.messages)
        began = asyncio.get_running_loop().time()
        for number in range(burst):
            await stage.alice.sends(stage.group, f"#idea {number}")
        await stage.telegram.wait_for(
            lambda: len(stage.target.messages) >= posts + burst, timeout=120, what="all of them"
        )
        return burst / (asyncio.get_running_loop().time() - began)

    async def _posted(self, text: str) -> None:
        stage, posts = self.stage, len(self.stage.target.messages)
        await stage.alice.sends(stage.group, text)
        await stage.telegram.wait_for(
            lambda: len(stage.target.messages) > posts, timeout=60, what=text
        )


@asynccontextmanager
async def _running(arguments: Sequence[str]) -> AsyncIterator[Running]:
    """From when it is idle on."""
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
            yield Running(stage, program.pid)
            program.kill()
            await program.wait()


async def _round(ours: Figures, bare: Figures, signals: int, burst: int) -> None:
    """Each alone for its memory, of which they would share some; then both, a few signals in turns."""
    async with _running(BARE) as alone:
        bare.memory.append(_resident(alone.pid))
    async with _running(OURS) as one:
        ours.memory.append(_resident(one.pid))
        async with _running(BARE) as other:
            turns = ((ours, one), (bare, other))
            took: dict[int, list[float]] = {one.pid: [], other.pid: []}
            spent = dict.fromkeys(took, 0.0)
            for _ in range(0, signals, IN_TURN):
                for _figures, relay in turns:
                    before = _cpu(relay.pid)
                    took[relay.pid] += await relay.one_by_one(IN_TURN)
                    spent[relay.pid] += _cpu(relay.pid) - before
            for figures, relay in turns:
                figures.latency.append(statistics.median(took[relay.pid]))
                figures.cpu.append(spent[relay.pid] / len(took[relay.pid]))
                figures.burst.append(await relay.all_at_once(burst))


def _cpu(pid: int) -> float:
    """Seconds that the process has computed; its clock is named as by clock_getcpuclockid(3)."""
    return time.clock_gettime(~pid << 3 | 2)


def _resident(pid: int) -> int:
    """Bytes of memory that are its own, or its part of what it shares."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("Pss:")))


def beside_bare(signals: int, burst: int, rounds: int) -> Beside:
    ours, bare = Figures(), Figures()
    for _ in range(rounds):
        asyncio.run(_round(ours, bare, signals, burst))
    return Beside(
        _ratio(ours.latency, bare.latency),
        _ratio(ours.cpu, bare.cpu),
        _ratio(ours.burst, bare.burst),
        _ratio(ours.memory, bare.memory),
    )


def _ratio(ours: list[float], bare: list[float]) -> Ratio:
    return spread([one / other for one, other in zip(ours, bare, strict=True)])
