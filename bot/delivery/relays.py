"""All relays together, one for each target, as orders and events set them in motion."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bot.delivery.progress import Places
    from bot.models import ChatId


class Queue(Protocol):
    """What is delivered to one chat or one program, in its order; a `Relay`, or a `Worker` alone."""

    async def run(self) -> None: ...
    def stop(self) -> None: ...
    def wake(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...


class Relays:
    """See `orders.Posting`; `reread` is called where something that failed is to be read again."""

    def __init__(
        self,
        relays: Sequence[Queue],
        places: Places,
        *,
        reread: Callable[[], None],
        paused: bool = False,
    ) -> None:
        self._relays = relays
        self._places = places
        self._reread = reread
        if paused:
            self.pause()

    def start(self) -> list[asyncio.Task[None]]:
        return [asyncio.create_task(relay.run()) for relay in self._relays]

    def stop(self) -> None:
        """Begin no further post; those in hand are finished, and the tasks end."""
        for relay in self._relays:
            relay.stop()

    def wake(self) -> None:
        for relay in self._relays:
            relay.wake()

    def pause(self) -> None:
        for relay in self._relays:
            relay.pause()

    def resume(self) -> None:
        self._places.resumed()
        for relay in self._relays:
            relay.resume()

    def reopened(self, chat: ChatId) -> None:
        self._places.resumed(chat)
        self.wake()

    def reread(self) -> None:
        self._reread()
