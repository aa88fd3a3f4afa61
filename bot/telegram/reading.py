"""Messages by their ids, where some of them cannot be parsed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from pyrogram import raw

from bot.errors import Unparsable
from bot.models import CHANNELS, ChatId, MessageId, UnixTime, UnreadableMessage, has_own_box
from bot.telegram.messages import chat_id, people_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bot.telegram.parsing import Unreadable

functions: Final[Any] = raw.functions
types: Final[Any] = raw.types


class Connection(Protocol):
    """A logged in client. Raises the library's own errors, and `Unparsable`."""

    async def call(self, query: Any) -> Any: ...


class Poison(NamedTuple):
    """A message that there is, and what reading it led to."""

    id: int
    answer: Unreadable


class ReadMessages(NamedTuple):
    """Raw messages, the oldest first, and who and what they name."""

    messages: list[Any]
    users: Mapping[int, Any]
    chats: Mapping[int, Any]
    unreadable: Sequence[Poison] = ()

    @property
    def ids(self) -> set[int]:
        """Of what is there, whether it can be read or not."""
        return {message.id for message in self.in_order()}

    def in_order(self) -> list[Any]:
        """The raw messages, and what cannot be read among them."""
        return sorted([*self.messages, *self.unreadable], key=lambda message: message.id)


async def read(connection: Connection, peer: Any, ids: Sequence[int]) -> ReadMessages:
    """Those that there are. Raises `Unparsable` where it is not the messages that are in the way."""
    try:
        answer = await connection.call(reading(peer, ids))
    except Unparsable as exc:
        return await _around(connection, peer, ids, exc)
    there = [each for each in answer.messages if not isinstance(each, types.MessageEmpty)]
    return ReadMessages(sorted(there, key=lambda message: message.id), *people_of(answer))


async def _around(
    connection: Connection, peer: Any, ids: Sequence[int], exc: Unparsable
) -> ReadMessages:
    """Without the one that is in the way, or in halves where it is not known which one that is."""
    answer: Unreadable = exc.answer
    if "Messages" not in str(answer.kind) or "messages" in answer.known:
        raise exc
    one = ids[0] if len(ids) == 1 else answer.message_id
    if one is not None and one in ids:
        others = [each for each in ids if each != one]
        rest = await read(connection, peer, others) if others else ReadMessages([], {}, {})
        return rest._replace(unreadable=[Poison(one, answer), *rest.unreadable])
    middle = len(ids) // 2
    first = await read(connection, peer, ids[:middle])
    last = await read(connection, peer, ids[middle:])
    return ReadMessages(
        [*first.messages, *last.messages],
        {**first.users, **last.users},
        {**first.chats, **last.chats},
        [*first.unreadable, *last.unreadable],
    )


def unreadable(where: ChatId, poison: Poison) -> UnreadableMessage:
    """`where`: the chat it is in, unless it says itself."""
    answer = poison.answer
    known = answer.message_id == poison.id
    return UnreadableMessage(
        (chat_id(answer.peer) if known else None) or where,
        MessageId(poison.id),
        UnixTime(answer.date) if known and answer.date else None,
        answer.error,
    )


def reading(peer: Any, ids: Sequence[int]) -> Any:
    """A query for messages by their ids. In anything but a channel the peer does not matter."""
    wanted = [types.InputMessageID(id=message_id) for message_id in ids]
    if isinstance(peer, types.InputPeerChannel):
        return functions.channels.GetMessages(channel=input_channel(peer), id=wanted)
    return functions.messages.GetMessages(id=wanted)


def input_channel(peer: Any) -> Any:
    return types.InputChannel(channel_id=peer.channel_id, access_hash=peer.access_hash)


# ── what was read, as the update that would tell of it ──

UNCOUNTED: Final = {"pts": 0, "pts_count": 0}


def as_new(box: ChatId, message: Any) -> Any:
    wrap = types.UpdateNewChannelMessage if has_own_box(box) else types.UpdateNewMessage
    return wrap(message=message, **UNCOUNTED)


def as_edited(box: ChatId, message: Any) -> Any:
    wrap = types.UpdateEditChannelMessage if has_own_box(box) else types.UpdateEditMessage
    return wrap(message=message, **UNCOUNTED)


def as_deleted(box: ChatId, ids: Sequence[int]) -> Any:
    if not has_own_box(box):
        return types.UpdateDeleteMessages(messages=list(ids), **UNCOUNTED)
    channel = types.UpdateDeleteChannelMessages
    return channel(channel_id=CHANNELS - box, messages=list(ids), **UNCOUNTED)
