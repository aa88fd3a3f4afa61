"""All queues together, one for each target, as orders and events set them in motion."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from bot.delivery.progress import Places
    from bot.models import ChatId
    from bot.routes import Routes


class Queue(Protocol):
    """What is delivered to one chat or one program, in its order; a `Relay`, or a `Worker` alone."""

    async def run(self) -> None: ...
    def stop(self) -> None: ...
    def wake(self, *, new_only: bool = False) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...


class WantedQueue(NamedTuple):
    key: Hashable  # what it delivers to
    made_by: object  # what it is made by, besides: where that has changed another takes its place
    make: Callable[[], Queue]
    stays: bool = True  # also where it is wanted no more, with what it was told to wait for


class _Running(NamedTuple):
    queue: Queue
    made_by: object
    stays: bool


class Relays:
    """See `orders.Posting`; `reread` is called where something that failed is to be read again.

    `wanted`: which there are to be. Those of chats come before what wakes them.
    """

    def __init__(
        self,
        routes: Routes,
        wanted: Callable[[Routes], Iterable[WantedQueue]],
        places: Places,
        *,
        reread: Callable[[], None],
        paused: bool = False,
    ) -> None:
        self._wanted = wanted
        self._places = places
        self._reread = reread
        self._paused = paused
        self._queues: dict[Hashable, _Running] = {}
        self._tasks: dict[Hashable, asyncio.Task[None]] = {}
        self._news = asyncio.Event()
        self._stopping = False
        self._began = False
        self.follow(routes)

    def follow(self, routes: Routes) -> None:
        """Deliver to these targets. One that is none any more finds nothing to do, until it is again, or ends.

        What is in hand is finished: where a program's address has changed, before the new one is told
        of anything.
        """
        self._places.follow(routes.queues, routes.place_names)
        wanted = set()
        for key, made_by, make, stays in self._wanted(routes):
            wanted.add(key)
            before = self._queues.get(key)
            if before is None or before.made_by != made_by:
                self._add(key, _Running(make(), made_by, stays), before)
        for key in [key for key, each in self._queues.items() if not each.stays]:
            if key not in wanted:
                self._queues.pop(key).queue.stop()
        self.wake()

    def _add(self, key: Hashable, added: _Running, before: _Running | None) -> None:
        self._queues[key] = added
        if self._paused:
            added.queue.pause()
        if before is not None:
            before.queue.stop()
        if self._began and not self._stopping:
            self._start(key)

    def _start(self, key: Hashable) -> None:
        queue, before = self._queues[key].queue, self._tasks.get(key)
        self._tasks[key] = asyncio.create_task(_behind(before, queue))
        self._news.set()

    async def run(self) -> None:
        """Until all have stopped. What ends one of them ends the others, and is raised."""
        self._began = True
        for key in self._queues:
            self._start(key)
        try:
            while not self._stopping or any(not task.done() for task in self._tasks.values()):
                await self._next()
        finally:
            for task in self._tasks.values():
                task.cancel()
            # Cancelled again as often as we are: a library's call may swallow a cancellation.
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _next(self) -> None:
        """Until one has ended, or another has begun, or all are to end."""
        self._news.clear()
        news = asyncio.create_task(self._news.wait())
        running = [task for task in self._tasks.values() if not task.done()]
        try:
            await asyncio.wait([news, *running], return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()
        for task in self._tasks.values():
            if task.done():
                task.result()

    def stop(self) -> None:
        """Begin no further post; those in hand are finished, and `run` ends."""
        self._stopping = True
        self._news.set()
        for each in self._queues.values():
            each.queue.stop()

    def wake(self, *, new_only: bool = False) -> None:
        for each in self._queues.values():
            each.queue.wake(new_only=new_only)

    def pause(self) -> None:
        self._paused = True
        for each in self._queues.values():
            each.queue.pause()

    def resume(self) -> None:
        self._paused = False
        self._places.resumed()
        for each in self._queues.values():
            each.queue.resume()

    def reopened(self, chat: ChatId) -> None:
        self._places.resumed(chat)
        self.wake()

    def reread(self) -> None:
        self._reread()


async def _behind(before: asyncio.Task[None] | None, queue: Queue) -> None:
    """Run it once that has ended, which it was told to."""
    if before is not None:
        await before
    await queue.run()
