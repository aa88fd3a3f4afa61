"""What an operator orders, from a shell or in Telegram, as the running bot hears of it.

`release`, `retry`, `pause` and `resume` write to the tables and nowhere else: a second writer of
the flow cache would be one too many. Each leaves a row in the table `orders`; here the running bot
looks for new ones, forgets what its caches know of an ended flow, and holds or wakes the relays.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from bot.errors import DatabaseError
from bot.models import ChatId, OrderKind, SignalId

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bot.models import Order, UnixTime

log = structlog.get_logger(__name__)

LOOK_EVERY: Final = 0.5  # seconds


class OrderTable(Protocol):
    async def ended_flows(self) -> Sequence[SignalId]: ...

    async def last_order(self) -> int: ...

    async def orders_after(self, last: int) -> Sequence[Order]: ...

    async def paused_at(self) -> UnixTime | None: ...


class Flows(Protocol):
    def end_flow(self, signal_id: SignalId) -> None: ...


class Posting(Protocol):
    """The relays."""

    def wake(self) -> None:
        """There is something to post."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def reopened(self, chat: ChatId) -> None:
        """A place there was paused, or goes on: the table says which."""

    def reread(self) -> None:
        """Something that failed is to be read again."""


class Orders:
    """`begin` before the first message is decided, then `run` beside the others."""

    def __init__(
        self,
        table: OrderTable,
        flows: Flows,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._table = table
        self._flows = flows
        self._sleep = sleep
        self._last = 0
        self.paused_at: UnixTime | None = None  # None: no pause

    async def begin(self) -> None:
        """Have the caches forget every ended flow, whenever it was ended.

        They may know it as live: the order came while no bot ran, the bot died before it heard
        of it, or the cache is an older copy.
        """
        self._last = await self._table.last_order()
        self.paused_at = await self._table.paused_at()
        for signal_id in await self._table.ended_flows():
            self._flows.end_flow(signal_id)

    async def run(self, posting: Posting) -> None:
        """Act on orders as they come, until cancelled."""
        while True:
            try:
                await self.look(posting)
            except DatabaseError as exc:
                # The order stays in the table; intake and relay complain of it loudly enough.
                log.debug("table does not answer, orders wait", error=str(exc))
            await self._sleep(LOOK_EVERY)

    async def look(self, posting: Posting) -> None:
        """Act on the orders that are new since the last look."""
        for order in await self._table.orders_after(self._last):
            self._act_on(order, posting)
            self._last = order.id
            log.info("order heard", order=order.kind, subject=order.subject)

    def _act_on(self, order: Order, posting: Posting) -> None:
        match order.kind:
            case OrderKind.RELEASE:
                self._flows.end_flow(SignalId(order.subject))
            case OrderKind.PAUSE:
                self.paused_at = order.at
                posting.pause()
            case OrderKind.RESUME:
                self.paused_at = None
                posting.resume()
            case OrderKind.PLACE:
                posting.reopened(ChatId(order.subject))
            case OrderKind.REREAD:
                posting.reread()
            case _:
                posting.wake()
