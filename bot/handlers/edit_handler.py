"""What becomes of a recorded message when its author changes or removes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from bot.signals import parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.models import (
        ChatId,
        Decision,
        IncomingMessage,
        MessageId,
        MessageRef,
        SignalFields,
    )
    from bot.signals import Markers


class EditTable(Protocol):
    async def edit(self, message: IncomingMessage, fields: SignalFields) -> bool: ...

    async def readable_again(self, ref: MessageRef) -> bool: ...

    async def delete(self, chat_id: ChatId, ids: Sequence[MessageId]) -> int: ...


class Door(Protocol):
    async def handle(self, message: IncomingMessage) -> Decision: ...


class EditHandler:
    """`intake` takes what an edit has made a signal. Off: `relay_edits`, `relay_deletes`."""

    def __init__(
        self,
        table: EditTable,
        markers: Markers,
        intake: Door,
        *,
        relay_edits: bool = True,
        relay_deletes: bool = True,
    ) -> None:
        self._table = table
        self._markers = markers
        self._intake = intake
        self._relay_edits = relay_edits
        self._relay_deletes = relay_deletes

    async def edited(self, message: IncomingMessage) -> Decision | None:
        """Change what is posted of it. A decision: the edit brought a marker, and this became of it.

        A marker that is taken away changes the text and nothing else. What could not be read before
        is decided upon now.
        """
        if self._relay_edits and await self._table.edit(message, parse(message.text)):
            return None
        new = await self._table.readable_again(message.ref)
        if not new and self._markers.find(message.text) is None:
            return None
        # Decided before or not, the unique keys know.
        return await self._intake.handle(message)

    async def deleted(self, chat_id: ChatId, ids: Sequence[MessageId]) -> int:
        """Have the posts of deleted messages deleted; tells how many. The rows stay."""
        return await self._table.delete(chat_id, ids) if self._relay_deletes else 0
