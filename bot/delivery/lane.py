"""A loop that deals with one thing after the other, until it is told to stop."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog

from bot.errors import DatabaseError, LoggedOut

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

log = structlog.get_logger(__name__)

AT_ONCE: Final = timedelta(0)
AFTER_A_FAILURE: Final = timedelta(seconds=5)


class Lane:
    """`step` deals with one thing and tells how long to wait for the next; None: until woken.

    `patient`: a wait is not cut short when there is something new, for that is behind what waits.
    `sleep` takes seconds; `jitter` gives 0 to 1, so that lanes do not knock in step.
    """

    def __init__(
        self,
        step: Callable[[], Awaitable[timedelta | None]],
        *,
        patient: bool,
        sleep: Callable[[float], Awaitable[None]],
        jitter: Callable[[], float],
    ) -> None:
        self._step = step
        self._patient = patient
        self._sleep = sleep
        self._jitter = jitter
        self._woken = asyncio.Event()
        self._stopping = asyncio.Event()

    def wake(self) -> None:
        """There may be something new to do."""
        self._woken.set()

    def stop(self) -> None:
        """End `run` after the thing in hand."""
        self._stopping.set()
        self._woken.set()

    async def run(self) -> None:
        """Raises `LoggedOut`; every other trouble is waited out."""
        while not self._stopping.is_set():
            self._woken.clear()
            pause = await self._next()
            if pause is None:
                await self._woken.wait()
            elif pause > AT_ONCE:
                await self._rest(pause)

    async def _next(self) -> timedelta | None:
        try:
            return await self._step()
        except LoggedOut:
            raise
        except DatabaseError as exc:
            log.warning("table does not answer, posting waits", error=str(exc))
        except Exception:
            # The row is as it was, so the next round tries it again.
            log.exception("relay round failed")
        return AFTER_A_FAILURE

    async def _rest(self, pause: timedelta) -> None:
        seconds = pause.total_seconds() * (1 + self._jitter() / 10)
        end = self._stopping if self._patient else self._woken
        waiting = {
            asyncio.ensure_future(self._sleep(seconds)),
            asyncio.ensure_future(end.wait()),
        }
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()


class Lanes:
    """Several that run, are woken, paused and ended together. What a step does in a pause is its own."""

    def __init__(self) -> None:
        self._lanes: Sequence[Lane] = ()
        self._paused = False

    async def run(self) -> None:
        await run_all(self._lanes)

    def wake(self, *, new_only: bool = False) -> None:  # noqa: ARG002  # all look, as usual
        """`new_only`: what there may be is new messages to send, and nothing else."""
        for lane in self._lanes:
            lane.wake()

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        self.wake()

    def stop(self) -> None:
        for lane in self._lanes:
            lane.stop()


async def run_all(lanes: Iterable[Lane]) -> None:
    """Until all have stopped. What ends one of them ends the others, and is raised."""
    running = [asyncio.ensure_future(lane.run()) for lane in lanes]
    try:
        await asyncio.wait(running, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for each in running:
            each.cancel()
        # Cancelled again as often as we are: a library's call may swallow a cancellation.
        await asyncio.gather(*running, return_exceptions=True)
    for each in running:
        if not each.cancelled():
            each.result()
