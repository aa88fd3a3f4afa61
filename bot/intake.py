"""The one door: every source message comes through here, live, caught up, imported or replayed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from bot.models import Outcome, Reason
from bot.policy import NOT_A_SIGNAL, UNKNOWN_PARENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.handlers.signal_handler import SignalHandler
    from bot.handlers.update_handler import UpdateHandler
    from bot.models import Decision, IncomingMessage
    from bot.signals import Markers

log = structlog.get_logger(__name__)


class Intake:
    """Messages must come one at a time and in source order: a reply must not overtake its signal."""

    def __init__(self, markers: Markers, signals: SignalHandler, updates: UpdateHandler) -> None:
        self._markers = markers
        self._signals = signals
        self._updates = updates

    async def handle(
        self, message: IncomingMessage, *, parts: Sequence[IncomingMessage] = ()
    ) -> Decision:
        """Decide and record. When this returns, the tables hold whatever there was to hold.

        `parts`: the others of the message's album. Where it is accepted they are recorded with
        it, in the same transaction; where it is not, nothing becomes of them here.
        """
        if message.service:
            return NOT_A_SIGNAL
        marker = self._markers.find(message.text)
        if message.reply_to is None and marker is None:
            return NOT_A_SIGNAL
        decision = await self._decide(message, marker, parts)
        if decision is not UNKNOWN_PARENT:
            log.info(
                "decided",
                chat_id=message.chat_id,
                message_id=message.id,
                author=message.author,
                **decision._asdict(),
            )
        return decision

    async def handle_album(self, parts: Sequence[IncomingMessage]) -> list[Decision]:
        """Decide on the parts of one album together. In source order, as are the decisions.

        People write the marker under one picture and mean them all. So the part that has it is
        decided first, and the others go where it goes; so they do behind the first part of a
        reply. Parts that were heard apart from the others are put to what is recorded of them.
        """
        lead = next((part for part in parts if self._markers.find(part.text) is not None), parts[0])
        others = [part for part in parts if part is not lead]
        first = await self.handle(lead, parts=others)
        if first.accepted:
            rest = first._replace(outcome=Outcome.UPDATE)
            if first.reason is Reason.NEW_SIGNAL:
                rest = rest._replace(reason=Reason.OWNER)
            return [first if part is lead else rest for part in parts]
        if lead.reply_to is None:
            first = await self._late_part(lead, first)
        return [
            first if part is lead else await self._late_part(part, NOT_A_SIGNAL) for part in parts
        ]

    async def _late_part(self, part: IncomingMessage, otherwise: Decision) -> Decision:
        if part.reply_to is not None:  # it speaks for itself
            return await self.handle(part)
        return await self._updates.add_late_part(part) or otherwise

    async def _decide(
        self, message: IncomingMessage, marker: str | None, parts: Sequence[IncomingMessage]
    ) -> Decision:
        if message.reply_to is not None:
            decision = await self._updates.handle(message, marked=marker is not None, parts=parts)
            if marker is None or decision.signal_id is not None:
                return decision
        assert marker is not None  # noqa: S101  # neither reply nor marker came no further
        return await self._signals.handle(message, marker=marker, parts=parts)
