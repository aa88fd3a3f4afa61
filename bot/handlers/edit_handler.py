"""What becomes of a recorded message when its author changes or removes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import structlog

from bot.rules.markers import parse
from bot.rules.policy import why_not_permitted

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from collections.abc import Set as AbstractSet

    from bot.models import (
        AuthorId,
        ChatId,
        IncomingMessage,
        MessageId,
        MessageRef,
    )
    from bot.signal_fields import SignalFields


log = structlog.get_logger(__name__)


class EditTable(Protocol):
    async def edit(self, message: IncomingMessage, fields: SignalFields) -> bool: ...

    async def refuse_edit(self, message: IncomingMessage) -> bool: ...
    async def to_be_decided_anew(self, ref: MessageRef, *, marked: bool) -> bool: ...

    async def delete(
        self, chat_id: ChatId, ids: Sequence[MessageId], *, places: Collection[int] | None
    ) -> int: ...


class EditHandler:
    """Off: `relay_edits`, `relay_deletes`.

    `permitted` None: everyone whose identity can be told. An edit is judged as a message is, by who
    is permitted now; whose flow it is was decided with the message. A deletion is no words of
    anybody: it is relayed, whoever the author was. `places`: whose posts are deleted; None: all.
    """

    def __init__(
        self,
        table: EditTable,
        *,
        permitted: AbstractSet[AuthorId] | None,
        relay_edits: bool,
        relay_deletes: bool,
        places: Collection[int] | None = None,
    ) -> None:
        self._table = table
        self._permitted = permitted
        self._relay_edits = relay_edits
        self._relay_deletes = relay_deletes
        self._places = places

    async def changed(self, message: IncomingMessage) -> bool:
        """Whether it is recorded, and what was to become of the edit has."""
        if not self._relay_edits:
            return False
        why_not = why_not_permitted(message.author, self._permitted)
        if why_not is None:
            return await self._table.edit(message, parse(message.text))
        refused = await self._table.refuse_edit(message)
        if refused:
            log.warning(
                "an edit is not relayed",
                chat_id=message.chat_id,
                message_id=message.id,
                author=message.author,
                reason=why_not,
            )
        return refused

    async def to_be_decided_anew(self, message: IncomingMessage, *, marked: bool) -> bool:
        """Whether it could not be read before, or was rejected as a reply that carried no marker yet."""
        return await self._table.to_be_decided_anew(message.ref, marked=marked)

    async def deleted(self, chat_id: ChatId, ids: Sequence[MessageId]) -> int:
        """Have the posts of deleted messages deleted; tells how many. The rows stay."""
        if not self._relay_deletes:
            return 0
        return await self._table.delete(chat_id, ids, places=self._places)
