"""Which queues there are to be by the routes, and how each is made: for a chat, a program, a translation."""

from __future__ import annotations

import asyncio
import random
from functools import partial
from typing import TYPE_CHECKING

from bot.delivery.relay import Relay
from bot.delivery.relays import WantedQueue
from bot.delivery.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from contextlib import AsyncExitStack

    from bot.delivery.relay import Sender
    from bot.delivery.relays import Queue
    from bot.delivery.translations import Translations, Untold
    from bot.delivery.worker import Watch
    from bot.endpoints import Endpoint, FileEndpoint, Translation
    from bot.models import ChatId
    from bot.posts import Post
    from bot.routes import Place, Routes
    from bot.storage.store import SignalStore


class Queues:
    """`services` closes what they are told by; `told` hears of what is not translated. `permit`: see
    `sink_queue`.
    """

    def __init__(
        self,
        store: SignalStore,
        sender: Sender,
        *,
        watch: Callable[[ChatId], Watch],
        told: Untold,
        services: AsyncExitStack,
        permit: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._store = store
        self._sender = sender
        self._watch = watch
        self._told = told
        self._services = services
        self._permit = permit
        self._relays: dict[ChatId, Relay] = {}

    def wanted(self, routes: Routes) -> Iterator[WantedQueue]:
        """One for each chat and each program, and for each place that is translated."""
        for target in routes.targets:
            yield WantedQueue(target, None, partial(self._of_chat, target))
        for place in routes.places:
            if (how := place.presentation.translate) is not None:
                told = (how, place.chat, place.label)
                make = partial(self._of_translation, place, how)
                yield WantedQueue(("translation", place.id), told, make, stays=False)
        for target, endpoint in routes.sinks.items():
            yield WantedQueue(target, endpoint, partial(self._of_program, target, endpoint))

    def _of_chat(self, target: ChatId) -> Queue:
        self._relays[target] = Relay(self._store, self._sender, target, watch=self._watch(target))
        return self._relays[target]

    def _of_translation(self, place: Place, how: Translation) -> Queue:
        wake = self._relays[place.chat].wake
        return translation_queue(self._store, place, how, wake, self._told)

    def _of_program(self, target: ChatId, endpoint: Endpoint | FileEndpoint) -> Queue:
        watch, permit = self._watch(target), self._permit
        return sink_queue(self._store, target, endpoint, watch, self._services, permit=permit)


def translation_queue(
    table: SignalStore,
    place: Place,
    how: Translation,
    done: Callable[[], None],
    told: Untold,
) -> Translations:
    """Loaded only where there is one."""
    from bot.delivery.libretranslate import LibreTranslate  # noqa: PLC0415  # as said
    from bot.delivery.translations import Translations  # noqa: PLC0415  # as said

    return Translations(table, LibreTranslate(how), place, how, done=done, told=told)


def sink_queue(
    table: SignalStore,
    target: ChatId,
    endpoint: Endpoint | FileEndpoint,
    watch: Watch,
    stack: AsyncExitStack,
    *,
    permit: Callable[[], Awaitable[None]] | None = None,
) -> Worker:
    """`permit` is awaited before anything is told; None: nobody else may tell it."""
    from bot.delivery.events import EventRelay  # noqa: PLC0415  # only where there is one
    from bot.delivery.sinks import sink_of  # noqa: PLC0415  # as above

    sink = sink_of(endpoint, target)
    stack.push_async_callback(sink.close)
    events = EventRelay(
        table,
        sink,
        watch=watch,
        fresh_for=endpoint.fresh_for,
        skip_late=endpoint.skip_late,
    )

    async def deliver(posts: Sequence[Post]) -> None:
        if permit is not None:
            await permit()
        await events.deliver(posts)

    return Worker(
        table,
        deliver,
        target,
        watch=watch,
        sleep=asyncio.sleep,
        jitter=random.random,
        in_order=True,
    )
