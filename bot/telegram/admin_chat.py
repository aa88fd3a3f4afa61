"""Private chats with the bot's operators: plain text, buttons below it, and their answers.

Every call is made once: who gives an order can give it again. Raises `TelegramError`.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

from pyrogram import raw

from bot.telegram.entities import entities_to_raw
from bot.telegram.layers import build
from bot.telegram.messages import incoming
from bot.telegram.reading import reading
from bot.telegram.rpc_errors import translated

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bot.models import AuthorId, Button, ChatId, Entity, IncomingMessage, MessageId
    from bot.telegram.sender import Connection

functions: Final[Any] = raw.functions
types: Final[Any] = raw.types


class AdminChat:
    """`random_bits` gives that many of them."""

    def __init__(
        self,
        connection: Connection,
        *,
        random_bits: Callable[[int], int] = secrets.randbits,
    ) -> None:
        self._connection = connection
        self._random_bits = random_bits

    async def send(
        self,
        to: ChatId,
        text: str,
        entities: Sequence[Entity] = (),
        buttons: Sequence[Sequence[Button]] = (),
    ) -> None:
        with translated(to):
            query = build(
                functions.messages.SendMessage,
                peer=await self._connection.peer(to),
                message=text,
                no_webpage=True,
                entities=entities_to_raw(entities) or None,
                reply_markup=_keyboard(buttons),
                random_id=self._random_bits(63),
            )
            await self._connection.call(query)

    async def edit(
        self, chat_id: ChatId, message_id: MessageId, text: str, entities: Sequence[Entity] = ()
    ) -> None:
        """Put this in the place of a message of ours, and take its buttons away."""
        with translated(chat_id):
            query = build(
                functions.messages.EditMessage,
                peer=await self._connection.peer(chat_id),
                id=message_id,
                message=text,
                entities=entities_to_raw(entities) or None,
            )
            await self._connection.call(query)

    async def answer(self, query_id: int, text: str, *, alert: bool = False) -> None:
        """Stop a pressed button from waiting. `text` is up to 200 characters; "" shows nothing."""
        with translated():
            query = functions.messages.SetBotCallbackAnswer(
                query_id=query_id, cache_time=0, message=text or None, alert=alert or None
            )
            await self._connection.call(query)

    async def read(self, message_id: MessageId) -> IncomingMessage | None:
        """A message of a private chat; None: it is gone."""
        with translated():
            answer = await self._connection.call(reading(None, [message_id]))
        return incoming(answer.messages[0]) if answer.messages else None

    async def offer(self, user: AuthorId, commands: Mapping[str, str]) -> bool:
        """Have Telegram show him the commands, with a line on each; False: we never met."""
        with translated():
            met = await self._connection.known_user(user)
            if met is None:
                return False
            peer = types.InputPeerUser(user_id=met.user_id, access_hash=met.access_hash)
            query = functions.bots.SetBotCommands(
                scope=types.BotCommandScopePeer(peer=peer),
                lang_code="",
                commands=[
                    types.BotCommand(command=name, description=what)
                    for name, what in commands.items()
                ],
            )
            await self._connection.call(query)
        return True


def _keyboard(rows: Sequence[Sequence[Button]]) -> Any:
    """None: no buttons."""
    if not rows:
        return None
    row = getattr(types, "KeyboardInlineButtonRow", None) or types.KeyboardButtonRow
    shown = [row(buttons=[_button(button) for button in each]) for each in rows]
    return types.ReplyInlineMarkup(rows=shown)


def _button(button: Button) -> Any:
    text, data = button.text, button.data.encode()
    newer = getattr(types, "InlineButtonTypeCallback", None)
    if newer is None:
        return types.KeyboardButtonCallback(text=text, data=data)
    return types.KeyboardInlineButton(text=text, type=newer(data=data))
