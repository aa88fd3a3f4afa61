"""What an operator orders, in the tables: the running bot hears of it there."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import and_, func, insert, select, update

from bot.models import ENDED_BY_HAND, Order, OrderKind, SignalId
from bot.storage import readdress, records
from bot.storage.schema import orders, signals

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from sqlalchemy import Connection

    from bot.models import UnixTime
    from bot.storage.outbox import Run


class Control:
    """`write` and `read` are the store's; each order is one transaction with its row in `orders`."""

    def __init__(self, write: Run, read: Run, *, clock: Callable[[], float]) -> None:
        self._write = write
        self._read = read
        self._clock = clock

    async def release(self, signal_id: SignalId) -> None:
        """End a flow: from now on others may continue it, until its owner does."""
        ended = (
            update(signals)
            .where(signals.c.id == signal_id)
            .values(last_owner_activity=ENDED_BY_HAND)
        )

        def write(db: Connection) -> None:
            db.execute(ended)
            self._add_order(db, OrderKind.RELEASE, signal_id)

        await self._write(write)

    async def retry(
        self, post_id: int | None = None, *, places: Collection[int] | None = None
    ) -> list[int]:
        """Put failed posts back in line, or the one; tells which. See `readdress.put_back`."""

        def write(db: Connection) -> list[int]:
            ids = readdress.put_back(db, post_id, places)
            for each in ids:
                self._add_order(db, OrderKind.RETRY, each)
            return ids

        return await self._write(write)

    async def pause(self) -> bool:
        """Have nothing posted until `resume`, over restarts, too; False: it was so already."""
        return await self._write(partial(self._set_paused, paused=True))

    async def resume(self) -> bool:
        """Have posted what waits; False: there was no pause."""
        return await self._write(partial(self._set_paused, paused=False))

    async def paused_at(self) -> UnixTime | None:
        return await self._read(records.paused_at)

    def _set_paused(self, db: Connection, *, paused: bool) -> bool:
        if (records.paused_at(db) is not None) is paused:
            return False
        self._add_order(db, OrderKind.PAUSE if paused else OrderKind.RESUME, 0)
        return True

    async def orders_after(self, last: int) -> list[Order]:
        query = select(orders).where(orders.c.id > last).order_by(orders.c.id)
        rows = await self._read(lambda db: db.execute(query).all())
        return [Order(*row) for row in rows]

    async def last_order(self) -> int:
        query = select(func.coalesce(func.max(orders.c.id), 0))
        return int(await self._read(lambda db: db.execute(query).scalar_one()))

    async def ended_flows(self) -> list[SignalId]:
        """The flows that an operator has ended and their owners have not taken back."""
        # By way of the orders, which are few.
        of_order = and_(orders.c.kind == OrderKind.RELEASE, orders.c.subject == signals.c.id)
        query = select(signals.c.id).distinct().join(orders, of_order)
        query = query.where(signals.c.last_owner_activity == ENDED_BY_HAND)
        return await self._read(lambda db: list(map(SignalId, db.scalars(query))))

    def _add_order(self, db: Connection, kind: OrderKind, subject: int) -> None:
        row = {"kind": kind, "subject": subject, "at": int(self._clock())}
        db.execute(insert(orders), row)
