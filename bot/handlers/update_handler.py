"""A reply: into which flow, and what becomes of one that continues it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

from bot.errors import UnknownFlow
from bot.models import GENERAL, Answers, Decision, MessageRef, Outcome, Reason
from bot.rules.policy import ALREADY_RECORDED, UNKNOWN_PARENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bot.handlers.lost_parents import LostParents
    from bot.models import AuthorId, ChatId, IncomingMessage, RecordedAlbum, RefusedReply, SignalId
    from bot.routes import Place
    from bot.state.flow_tracker import FlowTracker


REMEMBERED: Final = 10_000  # flows, whether they are of another topic


class UpdateTable(Protocol):
    async def add_update(
        self,
        message: IncomingMessage,
        decision: Decision,
        *,
        author: AuthorId,
        places: Iterable[Place],
        parts: Sequence[IncomingMessage],
    ) -> bool: ...

    async def refused_reply(self, ref: MessageRef) -> RefusedReply | None: ...

    async def topic_of(self, signal_id: SignalId) -> int: ...

    async def album(self, chat_id: ChatId, album_id: int) -> RecordedAlbum | None: ...


class UpdateHandler:
    """`places`: where updates are posted.

    `moved`: basic groups that became supergroups, old id to new id. `parents` None: no parent is lost.
    `answers`: what becomes of owners' answers to strangers in their own flows.
    `topic`: the one of a forum that is read; None: all of the chat.
    """

    def __init__(
        self,
        table: UpdateTable,
        flows: FlowTracker,
        *,
        places: Iterable[Place] = (),
        moved: Mapping[ChatId, ChatId] | None = None,
        parents: LostParents | None = None,
        topic: int | None = None,
        answers: Answers = Answers.IGNORE,
    ) -> None:
        self._table = table
        self._flows = flows
        self._places = tuple(places)
        self._moved = moved or {}
        self._parents = parents
        self._topic = topic
        self._answers = answers
        self._flows_of_others: dict[SignalId, bool] = {}

    async def in_flow(self, message: IncomingMessage) -> Decision | None:
        """What is decided of it as a reply into a flow; None: it is none, as far as is known."""
        parent = message.reply_to
        # A reply into another chat quotes it; it continues nothing here, whatever it quotes.
        if parent is None or message.chat_id not in {
            parent.chat_id,
            self._moved.get(parent.chat_id),
        }:
            return None
        found = await self._flows.decide_at(*parent, message.author, at=message.at)
        if found is not None and await self._is_elsewhere(found.signal_id):
            return None
        return (
            found
            or await self._of_thread(message, parent)
            or await self._of_an_answer(message, parent)
        )

    async def _of_an_answer(self, message: IncomingMessage, parent: MessageRef) -> Decision | None:
        """As the owner's own, where they answer a reply that was refused in their flow."""
        refused = await self._refused(parent)
        if refused is None:
            return None
        found = await self._flows.decide(refused.signal_id, message.author, at=message.at)
        return found if found.reason is Reason.OWNER else None

    async def _refused(self, parent: MessageRef | None) -> RefusedReply | None:
        if self._answers is Answers.IGNORE or parent is None:
            return None
        return await self._table.refused_reply(parent)

    async def _is_elsewhere(self, signal_id: SignalId | None) -> bool:
        """Whether the flow is another topic's. One who answers it from here quotes it."""
        if self._topic is None or signal_id is None:
            return False
        known = self._flows_of_others.get(signal_id)
        if known is None:
            if len(self._flows_of_others) >= REMEMBERED:
                self._flows_of_others.clear()
            known = (await self._table.topic_of(signal_id) or GENERAL) != self._topic
            self._flows_of_others[signal_id] = known
        return known

    async def late_part(self, message: IncomingMessage) -> tuple[IncomingMessage, Decision] | None:
        """A part of an album of which others are recorded: as a reply to the first of them, and
        what is decided of it as such. None: none of them is.
        """
        if message.album_id is None:
            return None
        album = await self._table.album(message.chat_id, message.album_id)
        if album is None or album.author != message.author:
            return None
        lead = MessageRef(message.chat_id, album.message_id)
        into = Decision(Outcome.UPDATE, album.reason, None, album.signal_id)
        return replace(message, reply_to=lead), into

    async def _of_thread(self, message: IncomingMessage, parent: MessageRef) -> Decision | None:
        """As a reply to the thread's first message, where the parent itself is lost."""
        top = message.reply_to_top
        if self._parents is None or top is None or parent.chat_id != message.chat_id:
            return None
        # The flow first: most threads are none of ours, and nobody is to be asked about them.
        found = await self._flows.decide_at(message.chat_id, top, message.author, at=message.at)
        if found is None or await self._parents.is_lost(parent):
            return found
        self._parents.heard(message.ref)
        return None

    async def record(
        self,
        message: IncomingMessage,
        decision: Decision,
        *,
        parts: Sequence[IncomingMessage],
    ) -> Decision:
        """In one transaction with `parts`, the others of the message's album."""
        author, signal_id = message.author, decision.signal_id
        assert author is not None  # noqa: S101  # `judge` accepts nobody unknown
        assert signal_id is not None  # noqa: S101  # `decide` names the flow it accepts into
        if (refused := await self._refused(message.reply_to)) is not None:
            # The refused one has no post: it is threaded below what that answered.
            message = replace(message, reply_to=refused.answers)
        try:
            recorded = await self._table.add_update(
                message, decision, author=author, places=self._places, parts=parts
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
