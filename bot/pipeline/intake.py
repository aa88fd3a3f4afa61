"""The one door: every source message comes through here, live, caught up, imported or replayed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import structlog

from bot.models import Outcome, Reason
from bot.rules.policy import ALREADY_RECORDED, NOT_A_SIGNAL, UNKNOWN_PARENT, is_chatter, judge

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from bot.handlers.edit_handler import EditHandler
    from bot.handlers.signal_handler import SignalHandler
    from bot.handlers.update_handler import UpdateHandler
    from bot.models import AuthorId, ChatId, Decision, IncomingMessage, MessageId
    from bot.rules.markers import Markers

log = structlog.get_logger(__name__)


class RefusalTable(Protocol):
    async def add_decision(self, message: IncomingMessage, decision: Decision) -> bool: ...


class Intake:
    """Messages must come one at a time and in source order: a reply must not overtake its signal.

    When a call returns, the tables hold whatever there was to hold. `permitted` None: everyone
    whose identity can be told.
    """

    def __init__(
        self,
        table: RefusalTable,
        markers: Markers,
        signals: SignalHandler,
        updates: UpdateHandler,
        edits: EditHandler,
        *,
        permitted: AbstractSet[AuthorId] | None,
    ) -> None:
        self._table = table
        self._permitted = permitted
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
        alone = len(messages) == 1 and messages[0].album_id is None
        decide = self._decide_alone if alone else self._decide_all
        decisions = await decide(messages)
        for message, decision in zip(messages, decisions, strict=True):
            if decision.outcome is Outcome.DUPLICATE:
                await self.edited(message)
        return decisions

    async def edited(self, message: IncomingMessage) -> Decision | None:
        """Change what is posted of it. A decision: the edit brought a marker, and this became of it.

        A marker that is taken away changes the text and nothing else. What could not be read before
        is decided upon now. Of all else an edit that people are not shown, as of a reaction, makes no
        signal, and neither does one that was only read again: what it says is not new.
        """
        if await self._edits.changed(message):
            return None
        marker = self._markers.find(message.text)
        brought = marker is not None and message.edited_at is not None
        if not await self._edits.to_be_decided_anew(message, marked=brought) and not brought:
            return None
        # Decided before or not, the unique keys know.
        return await self._decide(message, marker)

    async def deleted(self, chat_id: ChatId, ids: Sequence[MessageId]) -> int:
        """Have the posts of deleted messages deleted; tells how many. The rows stay."""
        return await self._edits.deleted(chat_id, ids)

    async def _decide_alone(self, messages: Sequence[IncomingMessage]) -> list[Decision]:
        (message,) = messages
        return [await self._decide(message, self._markers.find(message.text))]

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
            first = await self._late_part(lead, first)
        return [
            first if part is lead else await self._other_part(part, found)
            for part, found in zip(parts, markers, strict=True)
        ]

    async def _other_part(self, part: IncomingMessage, marker: str | None) -> Decision:
        if part.reply_to is not None:  # it speaks for itself
            return await self._decide(part, marker)
        return await self._late_part(part, NOT_A_SIGNAL)

    async def _late_part(self, part: IncomingMessage, otherwise: Decision) -> Decision:
        found = await self._updates.late_part(part)
        if found is None:
            return otherwise
        message, in_flow = found
        return await self._judge(message, None, in_flow, ())

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
        return await self._judge(message, marker, await self._updates.in_flow(message), parts)

    async def _judge(
        self,
        message: IncomingMessage,
        marker: str | None,
        in_flow: Decision | None,
        parts: Sequence[IncomingMessage],
    ) -> Decision:
        marked = marker is not None
        decision = judge(message, marked=marked, permitted=self._permitted, in_flow=in_flow)
        decision = await self._record(message, decision, marker, parts)
        if decision is not UNKNOWN_PARENT:
            log.info(
                "decided",
                chat_id=message.chat_id,
                message_id=message.id,
                author=message.author,
                **decision._asdict(),
            )
        return decision

    async def _record(
        self,
        message: IncomingMessage,
        decision: Decision,
        marker: str | None,
        parts: Sequence[IncomingMessage],
    ) -> Decision:
        if decision is UNKNOWN_PARENT:  # chatter, which leaves no record
            return decision
        if decision.outcome is Outcome.SIGNAL:
            return await self._signals.record(message, decision, marker=marker, parts=parts)
        if decision.outcome is Outcome.UPDATE:
            return await self._updates.record(message, decision, parts=parts)
        recorded = await self._table.add_decision(message, decision)
        return decision if recorded else ALREADY_RECORDED
