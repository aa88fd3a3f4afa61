"""Whether a message stands in its chat, read by its id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import structlog
from pyrogram import raw

from bot.errors import PostRefused
from bot.telegram.messages import chat_id
from bot.telegram.rpc_errors import translated
from bot.telegram.sender import reading

if TYPE_CHECKING:
    from bot.models import MessageRef
    from bot.telegram.sender import Connection

log = structlog.get_logger(__name__)

types: Final[Any] = raw.types


class ExistingMessages:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def exists(self, ref: MessageRef) -> bool:
        """False: it was deleted, or never was. Raises `TelegramError` where it is to be asked again.

        What Telegram refuses to read will be refused again, and is not known to be gone.
        """
        try:
            with translated(ref.chat_id):
                peer = await self._connection.peer(ref.chat_id)
                answer = await self._connection.call(reading(peer, [ref.message_id]))
        except PostRefused as exc:
            log.warning("a message cannot be looked for", **ref._asdict(), error=str(exc))
            return True
        # A deleted one is a `MessageEmpty`, which may name its chat all the same. Outside of
        # channels the ids are the account's, and so may be of another chat.
        return any(
            not isinstance(message, types.MessageEmpty)
            and getattr(message, "id", None) == ref.message_id
            and chat_id(getattr(message, "peer_id", None)) == ref.chat_id
            for message in getattr(answer, "messages", None) or ()
        )
