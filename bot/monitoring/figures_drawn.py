"""The figures of the live page, drawn by a process of their own: a post waits for none of it.

What is drawn is kept, and drawn anew only where somebody asks for it, at most once in five minutes, and never
for more than a twentieth of the time.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from bot.report.live import Drawing
from bot.report.page import body_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bot.routes import Routes, Source

log = structlog.get_logger(__name__)

ANEW: Final = 300.0  # seconds
SHARE: Final = 20  # as long as a drawing took, so many times it is left as it is
PATIENCE: Final = 120.0  # seconds for one drawing
NICE: Final = 19
LINE: Final = 240  # characters of an error


class DrawnFigures:
    """`draw` gives a page, and raises `OSError` with the reason. `clock` is seconds."""

    def __init__(
        self, draw: Callable[[], Awaitable[str]], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._draw = draw
        self._clock = clock
        self._drawing: asyncio.Task[None] | None = None
        self._again_at = clock()
        self._shown = Drawing()

    def look(self) -> Drawing:
        """As they were drawn last. If that is long ago, they are drawn anew for whoever looks next."""
        if self._clock() >= self._again_at and self._drawing is None:
            self._drawing = asyncio.create_task(self._anew())
        return self._shown

    async def settled(self) -> None:
        """Until nothing is being drawn."""
        if self._drawing is not None:
            await asyncio.wait([self._drawing])

    def give_up(self) -> None:
        if self._drawing is not None:
            self._drawing.cancel()

    async def close(self) -> None:
        self.give_up()
        await self.settled()

    async def _anew(self) -> None:
        began = self._clock()
        try:
            self._shown = Drawing(body_of(await self._draw()))
        except (OSError, TimeoutError) as exc:
            self._shown = self._shown._replace(failed=str(exc) or "it took too long")
            log.warning("figures could not be drawn", error=self._shown.failed)
        finally:
            ended = self._clock()
            self._again_at = ended + max(ANEW, SHARE * (ended - began))
            self._drawing = None


async def by_a_process(source: str | None = None) -> str:
    """What `report` draws of the tables, with the settings that this process has."""
    with tempfile.TemporaryDirectory(prefix="figures-") as directory:
        page = Path(directory, "page.html")
        more = [] if source is None else ["--source", source]
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bot", "report", "--html", str(page), *more),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            os.setpriority(os.PRIO_PROCESS, child.pid, NICE)
            async with asyncio.timeout(PATIENCE):
                _, said = await child.communicate()
        finally:
            with suppress(ProcessLookupError):
                child.kill()
            await child.wait()
        if child.returncode:
            raise OSError(_last_line(said))
        return await asyncio.to_thread(page.read_text, encoding="utf-8")


def _last_line(said: bytes) -> str:
    lines = said.decode(errors="replace").strip().splitlines() or ["it ended without a word"]
    return lines[-1].removeprefix("error: ")[:LINE]


class _Drawn(NamedTuple):
    """What figures are drawn of."""

    name: str | None  # None: of all sources
    of: tuple[object, ...]


class FiguresOf:
    """The figures of the routes of now: of all sources in one page, unless their flows do not last as long."""

    def __init__(
        self,
        routes: Callable[[], Routes],
        drawn: Callable[[str | None], DrawnFigures] = lambda name: DrawnFigures(
            partial(by_a_process, name)
        ),
    ) -> None:
        self._routes = routes
        self._drawn = drawn
        self._known: dict[_Drawn, DrawnFigures] = {}

    def pages(self) -> dict[str, tuple[str, DrawnFigures]]:
        """By the path of their page. What no page shows any more is not drawn to its end."""
        wanted, before = _wanted(self._routes().sources), self._known
        self._known = {key: before.get(key) or self._drawn(key.name) for key in wanted.values()}
        for key in before.keys() - self._known:
            before[key].give_up()
        return {path: (key.name or "all", self._known[key]) for path, key in wanted.items()}

    async def close(self) -> None:
        for each in self._known.values():
            await each.close()


def _wanted(sources: Sequence[Source]) -> dict[str, _Drawn]:
    if len({(each.ttl, each.after_ttl) for each in sources}) == 1:
        return {"/": _Drawn(None, tuple(map(_what_counts, sources)))}
    drawn = (_Drawn(each.name, (_what_counts(each),)) for each in sources)
    return {f"/{number}": each for number, each in enumerate(drawn, start=1)}


def _what_counts(source: Source) -> object:
    return source.name, source.chat, source.topic, source.ttl, source.after_ttl
