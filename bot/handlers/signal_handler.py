"""Opens the flow of what was decided to be a signal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from bot.rules.markers import parse
from bot.rules.policy import ALREADY_RECORDED

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bot.models import (
        AuthorId,
        Decision,
        IncomingMessage,
        SignalId,
    )
    from bot.routes import Place
    from bot.signal_fields import SignalFields
    from bot.state.flow_tracker import FlowTracker


class SignalTable(Protocol):
    async def add_signal(
        self,
        message: IncomingMessage,
        *,
        author: AuthorId,
        marker: str,
        fields: SignalFields,
        places: Iterable[Place],
        parts: Sequence[IncomingMessage],
    ) -> SignalId | None: ...


class SignalHandler:
    """`places`: where signals are posted."""

    def __init__(
        self, table: SignalTable, flows: FlowTracker, *, places: Iterable[Place] = ()
    ) -> None:
        self._table = table
        self._flows = flows
        self._places = tuple(places)

    async def record(
        self,
        message: IncomingMessage,
        decision: Decision,
        *,
        marker: str | None,
        parts: Sequence[IncomingMessage],
    ) -> Decision:
        """In one transaction with `parts`, the others of the message's album."""
        assert message.author is not None  # noqa: S101  # `judge` accepts nobody unknown
        assert marker is not None  # noqa: S101  # nor a signal without one
        signal_id = await self._table.add_signal(
            message,
            author=message.author,
            marker=marker,
            fields=parse(message.text),
            places=self._places,
            parts=parts,
        )
        if signal_id is None:
            return ALREADY_RECORDED
        self._flows.start_flow(signal_id, message.author, at=message.begun_at)
        for each in (message, *parts):
            self._flows.add_to_thread(signal_id, each.chat_id, each.id)
        return decision._replace(signal_id=signal_id)
