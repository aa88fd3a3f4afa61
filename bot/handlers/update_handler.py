"""A reply: does it continue a flow, and may its author do that?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from bot.errors import UnknownFlow
from bot.models import Decision, MessageRef, Outcome, Reason
from bot.policy import ALREADY_RECORDED, UNKNOWN_PARENT, judge

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from bot.handlers.lost_parents import LostParents
    from bot.models import AuthorId, ChatId, IncomingMessage, RecordedAlbum, SignalId
    from bot.state.flow_tracker import FlowTracker


class UpdateTable(Protocol):
    async def add_update(
        self,
        message: IncomingMessage,
        decision: Decision,
        *,
        author: AuthorId,
        targets: Iterable[ChatId],
        parts: Sequence[IncomingMessage],
    ) -> bool: ...

    async def add_decision(self, message: IncomingMessage, decision: Decision) -> bool: ...

    async def album(self, chat_id: ChatId, album_id: int) -> RecordedAlbum | None: ...


class UpdateHandler:
    """`permitted` None: everyone whose identity can be told. `targets`: where updates are posted.

    `moved`: basic groups that became supergroups, old id to new id. `parents` None: no parent is lost.
    """

    def __init__(
        self,
        table: UpdateTable,
        flows: FlowTracker,
        *,
        permitted: AbstractSet[AuthorId] | None = None,
        targets: Iterable[ChatId] = (),
        moved: Mapping[ChatId, ChatId] | None = None,
        parents: LostParents | None = None,
    ) -> None:
        self._table = table
        self._flows = flows
        self._permitted = permitted
        self._targets = tuple(targets)
        self._moved = moved or {}
        self._parents = parents

    async def handle(
        self,
        message: IncomingMessage,
        *,
        marked: bool = False,
        parts: Sequence[IncomingMessage] = (),
    ) -> Decision:
        """Judge rows 1 to 11 and record an update or a refusal in one transaction.

        A marked message that answers into no flow, or may not continue the flow but is a signal
        of its own, comes back without `signal_id` and unrecorded: it is the signal handler's.
        `parts`: the others of the message's album, recorded with an update and not with a refusal.
        """
        in_flow = await self._in_flow(message)
        decision = judge(message, marked=marked, permitted=self._permitted, in_flow=in_flow)
        if decision.outcome is Outcome.UPDATE:
            return await self._accept(message, decision, parts)
        if decision.signal_id is None or decision.outcome is Outcome.SIGNAL:
            return decision
        recorded = await self._table.add_decision(message, decision)
        return decision if recorded else ALREADY_RECORDED

    async def add_late_part(self, message: IncomingMessage) -> Decision | None:
        """Record a part of an album of which others are recorded; None: none of them is."""
        if message.album_id is None:
            return None
        album = await self._table.album(message.chat_id, message.album_id)
        if album is None or album.author != message.author:
            return None
        decision = Decision(Outcome.UPDATE, album.reason, None, album.signal_id)
        lead = MessageRef(message.chat_id, album.message_id)
        return await self._accept(replace(message, reply_to=lead), decision)

    async def _in_flow(self, message: IncomingMessage) -> Decision | None:
        parent = message.reply_to
        # A reply into another chat quotes it; it continues nothing here, whatever it quotes.
        if parent is None or message.chat_id not in {
            parent.chat_id,
            self._moved.get(parent.chat_id),
        }:
            return None
        signal_id = await self._flows.signal_at(*parent)
        if signal_id is None:
            signal_id = await self._of_thread(message, parent)
        if signal_id is None:
            return None
        decision = await self._flows.decide(signal_id, message.author, at=message.at)
        return None if decision.signal_id is None else decision

    async def _of_thread(self, message: IncomingMessage, parent: MessageRef) -> SignalId | None:
        """The flow of the thread's first message, where the parent itself is lost."""
        top = message.reply_to_top
        if self._parents is None or top is None or parent.chat_id != message.chat_id:
            return None
        # The flow first: most threads are none of ours, and nobody is to be asked about them.
        signal_id = await self._flows.signal_at(message.chat_id, top)
        if signal_id is None or await self._parents.is_lost(parent):
            return signal_id
        self._parents.heard(message.ref)
        return None

    async def _accept(
        self,
        message: IncomingMessage,
        decision: Decision,
        parts: Sequence[IncomingMessage] = (),
    ) -> Decision:
        author, signal_id = message.author, decision.signal_id
        assert author is not None  # noqa: S101  # `judge` accepts nobody unknown
        assert signal_id is not None  # noqa: S101  # `decide` names the flow it accepts into
        try:
            recorded = await self._table.add_update(
                message, decision, author=author, targets=self._targets, parts=parts
            )
        except UnknownFlow:
            # The caches come from another table, such as one before a restored backup.
            self._flows.end_flow(signal_id)
            return UNKNOWN_PARENT
        if not recorded:
            return ALREADY_RECORDED
        if decision.reason is Reason.OWNER:
            self._flows.start_flow(signal_id, author, at=message.at)
        for each in (message, *parts):
            self._flows.add_to_thread(signal_id, each.chat_id, each.id)
        return decision
