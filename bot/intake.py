"""The one door: every source message comes through here, live, caught up, imported or replayed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

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

    async def handle(self, message: IncomingMessage) -> Decision:
        """Decide and record. When this returns, the tables hold whatever there was to hold."""
        if message.service:
            return NOT_A_SIGNAL
        marker = self._markers.find(message.text)
        if message.reply_to is None and marker is None:
            return NOT_A_SIGNAL
        decision = await self._decide(message, marker)
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
        decided first, and the others go where it goes; parts that are replies speak for themselves.
        """
        lead = next((part for part in parts if self._markers.find(part.text) is not None), None)
        if lead is None or lead.reply_to is not None:
            return [await self.handle(part) for part in parts]
        first = await self.handle(lead)
        if first.signal_id is None:
            return [first if part is lead else NOT_A_SIGNAL for part in parts]
        return [
            first
            if part is lead
            else await self._updates.add_album_part(replace(part, reply_to=lead.ref), first)
            for part in parts
        ]

    async def _decide(self, message: IncomingMessage, marker: str | None) -> Decision:
        if message.reply_to is not None:
            decision = await self._updates.handle(message, marked=marker is not None)
            if marker is None or decision.signal_id is not None:
                return decision
        assert marker is not None  # noqa: S101  # neither reply nor marker came no further
        return await self._signals.handle(message, marker=marker)
