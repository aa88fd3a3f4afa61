"""Which flow a message belongs to, as the tables have it; see `FlowTable`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.models import Flow, Reason, RecordedAlbum, SignalId
from bot.storage import statements

if TYPE_CHECKING:
    from bot.models import ChatId, MessageId
    from bot.storage.outbox import Run


class KnownFlows:
    """`read` is the store's."""

    def __init__(self, read: Run) -> None:
        self._read = read
        self._flow = statements.flow()
        self._flow_at = statements.flow_at()

    async def flow(self, signal_id: SignalId) -> Flow | None:
        found = await self._read(lambda db: self._flow.run(db, {"signal_id": signal_id}).fetchone())
        return None if found is None else Flow(*found)

    async def flow_at(self, chat_id: ChatId, message_id: MessageId) -> tuple[SignalId, Flow] | None:
        """In one question: a server may be far away."""
        message = {"source_chat_id": chat_id, "source_message_id": message_id}
        found = await self._read(lambda db: self._flow_at.run(db, message).fetchone())
        return None if found is None else (SignalId(found[0]), Flow(*found[1:]))

    async def signal_at(self, chat_id: ChatId, message_id: MessageId) -> SignalId | None:
        found = await self.flow_at(chat_id, message_id)
        return None if found is None else found[0]

    async def album(self, chat_id: ChatId, album_id: int) -> RecordedAlbum | None:
        """What is recorded of this album; None: nothing."""
        album = {"source_chat_id": chat_id, "album_id": album_id}
        found = await self._read(lambda db: db.execute(statements.first_of_album(), album).first())
        if found is None:
            return None
        signal_id, message_id, author, reason = found
        return RecordedAlbum(signal_id, message_id, author, Reason(reason))
