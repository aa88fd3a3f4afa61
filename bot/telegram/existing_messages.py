"""Whether a message stands in its chat, read by its id."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from bot.errors import PostRefused, Unparsable
from bot.telegram.messages import chat_id
from bot.telegram.reading import read
from bot.telegram.rpc_errors import translated

if TYPE_CHECKING:
    from bot.models import MessageRef
    from bot.telegram.sender import Connection

log = structlog.get_logger(__name__)


class ExistingMessages:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def exists(self, ref: MessageRef) -> bool:
        """False: it was deleted, or never was. Raises `TelegramError` where it is to be asked again.

        What Telegram refuses to read, or the library cannot, will be so again, and is not known to be
        gone.
        """
        try:
            with translated(ref.chat_id):
                peer = await self._connection.peer(ref.chat_id)
                found = await read(self._connection, peer, [ref.message_id])
        except (PostRefused, Unparsable) as exc:
            log.warning("a message cannot be looked for", **ref._asdict(), error=str(exc))
            return True
        # Outside of channels the ids are the account's, and so may be of another chat.
        return bool(found.unreadable) or any(
            message.id == ref.message_id
            and chat_id(getattr(message, "peer_id", None)) == ref.chat_id
            for message in found.messages
        )
