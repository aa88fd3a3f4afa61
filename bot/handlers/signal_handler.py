"""A marked message that is no update: is it a signal, and if so, open its flow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from bot.models import Outcome
from bot.policy import ALREADY_RECORDED, judge
from bot.signals import parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from collections.abc import Set as AbstractSet

    from bot.models import AuthorId, ChatId, Decision, IncomingMessage, SignalFields, SignalId
    from bot.state.flow_tracker import FlowTracker


class SignalTable(Protocol):
    async def add_signal(
        self,
        message: IncomingMessage,
        *,
        author: AuthorId,
        marker: str,
        fields: SignalFields,
        targets: Iterable[ChatId],
        parts: Sequence[IncomingMessage],
    ) -> SignalId | None: ...

    async def add_decision(self, message: IncomingMessage, decision: Decision) -> bool: ...


class SignalHandler:
    """`permitted` None: everyone whose identity can be told. `targets`: where signals are posted."""

    def __init__(
        self,
        table: SignalTable,
        flows: FlowTracker,
        *,
        permitted: AbstractSet[AuthorId] | None = None,
        targets: Iterable[ChatId] = (),
    ) -> None:
        self._table = table
        self._flows = flows
        self._permitted = permitted
        self._targets = tuple(targets)

    async def handle(
        self, message: IncomingMessage, *, marker: str, parts: Sequence[IncomingMessage] = ()
    ) -> Decision:
        """Judge rows 2 to 4 and record a signal or a refusal in one transaction.

        `parts`: the others of the message's album, recorded with a signal and not with a refusal.
        """
        decision = judge(message, marked=True, permitted=self._permitted, in_flow=None)
        if decision.outcome is not Outcome.SIGNAL or message.author is None:
            recorded = await self._table.add_decision(message, decision)
            return decision if recorded else ALREADY_RECORDED
        signal_id = await self._table.add_signal(
            message,
            author=message.author,
            marker=marker,
            fields=parse(message.text),
            targets=self._targets,
            parts=parts,
        )
        if signal_id is None:
            return ALREADY_RECORDED
        self._flows.start_flow(signal_id, message.author, at=message.begun_at)
        for each in (message, *parts):
            self._flows.add_to_thread(signal_id, each.chat_id, each.id)
        return decision._replace(signal_id=signal_id)
