"""The one door: every source message comes through here, live, caught up, imported or replayed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from bot.models import Outcome, Reason
from bot.policy import NOT_A_SIGNAL, UNKNOWN_PARENT, is_chatter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.handlers.edit_handler import EditHandler
    from bot.handlers.signal_handler import SignalHandler
    from bot.handlers.update_handler import UpdateHandler
    from bot.models import ChatId, Decision, IncomingMessage, MessageId
    from bot.signals import Markers

log = structlog.get_logger(__name__)


class Intake:
    """Messages must come one at a time and in source order: a reply must not overtake its signal.

    When a call returns, the tables hold whatever there was to hold.
    """

    def __init__(
        self,
        markers: Markers,
        signals: SignalHandler,
        updates: UpdateHandler,
        edits: EditHandler,
    ) -> None:
        self._markers = markers
        self._signals = signals
        self._updates = updates
        self._edits = edits

    async def handle(self, message: IncomingMessage) -> Decision:
        """A message that stands alone."""
        (decision,) = await self.take([message])
        return decision

    async def take(self, messages: Sequence[IncomingMessage]) -> list[Decision]:
        """Decide on one message, or on the parts of one album together, in source order.

        One that is recorded already is taken for an edit: a difference shows it as it was edited
        last.
        """
        decisions = await self._decide_all(messages)
        for message, decision in zip(messages, decisions, strict=True):
            if decision.outcome is Outcome.DUPLICATE:
                await self.edited(message)
        return decisions

    async def edited(self, message: IncomingMessage) -> Decision | None:
        """Change what is posted of it. A decision: the edit brought a marker, and this became of it.

        A marker that is taken away changes the text and nothing else. What could not be read before
        is decided upon now.
        """
        if await self._edits.changed(message):
            return None
        marker = self._markers.find(message.text)
        if not await self._edits.readable_again(message) and marker is None:
            return None
        # Decided before or not, the unique keys know.
        return await self._decide(message, marker)

    async def deleted(self, chat_id: ChatId, ids: Sequence[MessageId]) -> int:
        """Have the posts of deleted messages deleted; tells how many. The rows stay."""
        return await self._edits.deleted(chat_id, ids)

    async def _decide_all(self, parts: Sequence[IncomingMessage]) -> list[Decision]:
        """People write the marker under one picture and mean them all.

        So the part that has it is decided first, and the others go where it goes; so they do behind
        the first part of a reply. Parts that were heard apart from the others are put to what is
        recorded of them.
        """
        markers = [self._markers.find(part.text) for part in parts]
        number, marker = next(
            ((number, found) for number, found in enumerate(markers) if found is not None),
            (0, None),
        )
        lead, others = parts[number], [*parts[:number], *parts[number + 1 :]]
        first = await self._decide(lead, marker, others)
        if first.accepted:
            rest = first._replace(outcome=Outcome.UPDATE)
            if first.reason is Reason.NEW_SIGNAL:
                rest = rest._replace(reason=Reason.OWNER)
            return [first if part is lead else rest for part in parts]
        if lead.reply_to is None:
            first = await self._updates.add_late_part(lead) or first
        return [
            first if part is lead else await self._late_part(part, found)
            for part, found in zip(parts, markers, strict=True)
        ]

    async def _late_part(self, part: IncomingMessage, marker: str | None) -> Decision:
        if part.reply_to is not None:  # it speaks for itself
            return await self._decide(part, marker)
        return await self._updates.add_late_part(part) or NOT_A_SIGNAL

    async def _decide(
        self,
        message: IncomingMessage,
        marker: str | None,
        parts: Sequence[IncomingMessage] = (),
    ) -> Decision:
        """Decide and record.

        `parts`: the others of the message's album. Where it is accepted they are recorded with
        it, in the same transaction; where it is not, nothing becomes of them here.
        """
        if is_chatter(message, marked=marker is not None):
            return NOT_A_SIGNAL
        decision = await self._judged(message, marker, parts)
        if decision is not UNKNOWN_PARENT:
            log.info(
                "decided",
                chat_id=message.chat_id,
                message_id=message.id,
                author=message.author,
                **decision._asdict(),
            )
        return decision

    async def _judged(
        self, message: IncomingMessage, marker: str | None, parts: Sequence[IncomingMessage]
    ) -> Decision:
        if message.reply_to is not None:
            decision = await self._updates.handle(message, marked=marker is not None, parts=parts)
            if marker is None or decision.signal_id is not None:
                return decision
        assert marker is not None  # noqa: S101  # neither reply nor marker came no further
        return await self._signals.handle(message, marker=marker, parts=parts)
