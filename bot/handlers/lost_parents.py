"""Replies whose parent is lost: deleted before the bot had seen it, as while it was away.

Whoever owns the flow would be cut off from it: what they answered is in no table, and all that is
said below would hang on nothing. Such a reply is judged by the first message of its thread. A
parent that exists, or is recorded as refused, is no part of a flow, and neither is what answers it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final, Protocol

import structlog

if TYPE_CHECKING:
    from bot.models import MessageRef

log = structlog.get_logger(__name__)

REMEMBERED: Final = 10_000  # messages


class RefusalTable(Protocol):
    async def is_refused(self, ref: MessageRef) -> bool: ...


class Messages(Protocol):
    async def exists(self, ref: MessageRef) -> bool:
        """Whether it stands in its chat now. Raises `TelegramError` where nobody answers."""
        ...


class LostParents:
    """Says of a parent that belongs to no flow whether it is lost.

    Telegram is asked once for each, and for none that was heard here: people who talk below a
    signal cost no call. `remembered` is how many answers are kept, the latest ones.
    """

    def __init__(self, table: RefusalTable, *, remembered: int = REMEMBERED) -> None:
        self._table = table
        self._telegram: Messages | None = None
        self._most = remembered
        self._known: OrderedDict[MessageRef, bool] = OrderedDict()  # whether it is lost

    def ask(self, telegram: Messages) -> None:
        """Whom to ask from now on. Before that, as in a trial or an import, no parent is lost."""
        self._telegram = telegram

    def heard(self, ref: MessageRef) -> None:
        """This message exists and is no part of a flow."""
        self._keep(ref, lost=False)

    async def is_lost(self, ref: MessageRef) -> bool:
        """Raises `TelegramError` and `DatabaseError`: then it is to be asked again."""
        known = self._known.get(ref)
        if known is not None:
            self._known.move_to_end(ref)
            return known
        if self._telegram is None:
            return False
        refused = await self._table.is_refused(ref)
        lost = not refused and not await self._telegram.exists(ref)
        self._keep(ref, lost=lost)
        if lost:
            log.info("parent is lost", chat_id=ref.chat_id, message_id=ref.message_id)
        return lost

    def _keep(self, ref: MessageRef, *, lost: bool) -> None:
        self._known[ref] = lost
        self._known.move_to_end(ref)
        if len(self._known) > self._most:
            self._known.popitem(last=False)
