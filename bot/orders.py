"""What an operator orders from a shell, as the running bot hears of it.

`python -m bot release` and `retry` write to the tables and nowhere else: a second writer of the
flow cache would be one too many. Each leaves a row in the table `orders`; here the running bot
looks for new ones, forgets what its caches know of an ended flow and wakes the relay.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from bot.errors import DatabaseError
from bot.models import OrderKind, SignalId

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bot.models import Order

log = structlog.get_logger(__name__)

LOOK_EVERY: Final = 0.5  # seconds


class OrderTable(Protocol):
    async def ended_flows(self) -> Sequence[SignalId]: ...

    async def last_order(self) -> int: ...

    async def orders_after(self, last: int) -> Sequence[Order]: ...


class Flows(Protocol):
    def end_flow(self, signal_id: SignalId) -> None: ...


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

    async def begin(self) -> None:
        """Have the caches forget every ended flow, whenever it was ended.

        They may know it as live: the order came while no bot ran, the bot died before it heard
        of it, or the cache is an older copy.
        """
        self._last = await self._table.last_order()
        for signal_id in await self._table.ended_flows():
            self._flows.end_flow(signal_id)

    async def run(self, wake: Callable[[], None]) -> None:
        """Act on orders as they come, until cancelled. `wake`: there is something to post."""
        while True:
            try:
                await self.look(wake)
            except DatabaseError as exc:
                # The order stays in the table; intake and relay complain of it loudly enough.
                log.debug("table does not answer, orders wait", error=str(exc))
            await self._sleep(LOOK_EVERY)

    async def look(self, wake: Callable[[], None]) -> None:
        """Act on the orders that are new since the last look."""
        for order in await self._table.orders_after(self._last):
            if order.kind == OrderKind.RELEASE:
                self._flows.end_flow(SignalId(order.subject))
            else:
                wake()
            self._last = order.id
            log.info("order heard", order=order.kind, subject=order.subject)
