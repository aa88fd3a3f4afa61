"""The one door: every source message comes through here, live, caught up, imported or replayed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from bot.policy import NOT_A_SIGNAL, UNKNOWN_PARENT

if TYPE_CHECKING:
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

    async def _decide(self, message: IncomingMessage, marker: str | None) -> Decision:
        if message.reply_to is not None:
            decision = await self._updates.handle(message, marked=marker is not None)
            if marker is None or decision.signal_id is not None:
                return decision
        assert marker is not None  # noqa: S101  # neither reply nor marker came no further
        return await self._signals.handle(message, marker=marker)
