"""Posting, editing and deleting in target chats: once each, and one meaning per error.

Telegram drops a second message with the same `random_id` from the same account and answers with
the first one, so a call that failed half-way may always be repeated with the same arguments.
Every call ends within a bounded number of seconds, and none waits out a flood.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from pyrogram import raw
from pyrogram.errors.rpc_error import RPCError

from bot.errors import (
    LoggedOut,
    ParentGone,
    PostRefused,
    RetryLater,
    SentBefore,
    TargetUnavailable,
    TelegramError,
    Unparsable,
)
from bot.models import AlbumPart, ChatId, Entity, Media, MessageId, MessageRef
from bot.telegram.messages import build, entities_to_raw, media, media_to_input
from bot.telegram.reading import input_channel, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

functions: Final[Any] = raw.functions
types: Final[Any] = raw.types

DELETE_MAX, READ_MAX = 100, 100  # messages in one call
FOUND_WITHIN: Final = 1_000  # messages, between the last known one of ours and the next
FLOOD, INTERNAL, UNAUTHORIZED, FORBIDDEN = 420, 500, 401, 403

# By Telegram's own names: each library knows some of them as classes, and a name that it does not
# know comes as the bare class of its code. https://core.telegram.org/api/errors
VOID_LOGINS: Final = frozenset(
    {  # and all of 401
        "ACCESS_TOKEN_EXPIRED",
        "ACCESS_TOKEN_INVALID",
        "API_ID_INVALID",
        "API_ID_PUBLISHED_FLOOD",
        "AUTH_KEY_DUPLICATED",
        "CONNECTION_API_ID_INVALID",
        "FROZEN_METHOD_INVALID",
    }
)
CLOSED_CHATS: Final = frozenset(
    {  # and all of 403 but the next
        "CHANNEL_INVALID",
        "CHANNEL_PRIVATE",
        "CHANNEL_PUBLIC_GROUP_NA",
        "CHAT_ADMIN_REQUIRED",
        "CHAT_FORBIDDEN",
        "CHAT_ID_INVALID",
        "CHAT_RESTRICTED",
        "CHAT_WRITE_FORBIDDEN",
        "INPUT_USER_DEACTIVATED",
        "PEER_ID_INVALID",
        "PEER_ID_NOT_SUPPORTED",
        "TOPIC_CLOSED",
        "USER_BANNED_IN_CHANNEL",
        "USER_ID_INVALID",
        "USER_IS_BLOCKED",
        "USER_IS_BOT",
        "USER_KICKED",
        "USER_NOT_PARTICIPANT",
        "USER_RESTRICTED",
        "YOU_BLOCKED_USER",
    }
)
NOT_OURS: Final = frozenset(
    {  # the message is another's; the chat is as open as ever
        "INLINE_BOT_REQUIRED",
        "MESSAGE_AUTHOR_REQUIRED",
        "MESSAGE_DELETE_FORBIDDEN",
    }
)
LOST_PARENTS: Final = frozenset(
    {
        "MESSAGE_ID_INVALID",
        "MSG_ID_INVALID",
        "REPLY_MESSAGE_ID_INVALID",
        "REPLY_TO_INVALID",
        "TOPIC_DELETED",
    }
)
PASSING: Final = frozenset(
    {
        "CONNECTION_NOT_INITED",
        "MSG_WAIT_FAILED",
        "MSG_WAIT_TIMEOUT",
    }
)


class Connection(Protocol):
    """A logged in client. What it raises is the library's own."""

    async def call(self, query: Any) -> Any: ...
    async def peer(self, chat_id: ChatId) -> Any: ...
    async def known_user(self, user_id: int) -> Any | None: ...


class Sender:
    """`random_id` is 63 bits and positive, and says which post it is.

    `source` is the message that media came from: it is read again when Telegram finds the file
    reference stale.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def send_text(
        self,
        target: ChatId,
        text: str,
        entities: Sequence[Entity] = (),
        *,
        reply_to: MessageId | None = None,
        random_id: int,
    ) -> MessageId:
        with translated(target, reply=reply_to is not None):
            query = build(
                functions.messages.SendMessage,
                peer=await self._connection.peer(target),
                message=text,
                entities=await self._raw(entities),
                random_id=random_id,
                **_answering(reply_to),
            )
            answer = await self._connection.call(query)
        return _posted(answer, random_id)

    async def send_media(
        self,
        target: ChatId,
        media: Media,
        text: str = "",
        entities: Sequence[Entity] = (),
        *,
        source: MessageRef,
        reply_to: MessageId | None = None,
        random_id: int,
    ) -> MessageId:
        with translated(target, reply=reply_to is not None):
            peer, formatting = await self._connection.peer(target), await self._raw(entities)

            def query(inputs: list[Any]) -> Any:
                return build(
                    functions.messages.SendMedia,
                    peer=peer,
                    media=inputs[0],
                    message=text,
                    entities=formatting,
                    random_id=random_id,
                    **_answering(reply_to),
                )

            answer = await self._with_media([(media, source)], query)
        return _posted(answer, random_id)

    async def send_album(
        self,
        target: ChatId,
        parts: Sequence[AlbumPart],
        *,
        reply_to: MessageId | None = None,
    ) -> list[MessageId]:
        """The ids in the order of the parts."""
        with translated(target, reply=reply_to is not None):
            peer = await self._connection.peer(target)
            formatting = [await self._raw(part.entities) for part in parts]

            def query(inputs: list[Any]) -> Any:
                singles = [
                    types.InputSingleMedia(
                        media=medium,
                        random_id=part.random_id,
                        message=part.text,
                        entities=formats,
                    )
                    for medium, part, formats in zip(inputs, parts, formatting, strict=True)
                ]
                multi = functions.messages.SendMultiMedia
                return build(multi, peer=peer, multi_media=singles, **_answering(reply_to))

            answer = await self._with_media([(part.media, part.source) for part in parts], query)
        return [_posted(answer, part.random_id) for part in parts]

    async def edit(
        self,
        target: ChatId,
        message_id: MessageId,
        text: str,
        entities: Sequence[Entity] = (),
        media: Media | None = None,
        *,
        source: MessageRef,
    ) -> None:
        """Without `media` the message keeps what it has. An edit that changes nothing is fine."""
        with translated(target), _granted("MESSAGE_NOT_MODIFIED"):
            peer, formatting = await self._connection.peer(target), await self._raw(entities)

            def query(inputs: list[Any]) -> Any:
                return build(
                    functions.messages.EditMessage,
                    peer=peer,
                    id=message_id,
                    message=text,
                    entities=formatting,
                    media=inputs[0] if inputs else None,
                )

            await self._with_media([] if media is None else [(media, source)], query)

    async def delete(self, target: ChatId, ids: Sequence[MessageId]) -> None:
        """For everybody. Messages that are gone already are fine."""
        with translated(target), _granted("MESSAGE_ID_INVALID"):
            peer = await self._connection.peer(target)
            for first in range(0, len(ids), DELETE_MAX):
                some = list(ids[first : first + DELETE_MAX])
                await self._connection.call(_deletion(peer, some))

    async def find(
        self, target: ChatId, text: str | None, media: Media | None, *, after: MessageId
    ) -> MessageId | None:
        """The first message of ours behind that one that says this; None: there is none yet.

        `text` None: whatever it says.
        """
        with translated(target):
            peer = await self._connection.peer(target)
            for first in range(after + 1, after + 1 + FOUND_WITHIN, READ_MAX):
                found = await read(self._connection, peer, range(first, first + READ_MAX))
                for message in found.messages:
                    if _says(message, text, media):
                        return MessageId(message.id)
        return None

    async def _raw(self, entities: Sequence[Entity]) -> list[Any] | None:
        """None and not an empty list: Pyrogram 2.0.106 writes that where nothing is expected."""
        mentioned = {e.user_id for e in entities if e.type == "text_mention" and e.user_id}
        users = {user_id: await self._connection.known_user(user_id) for user_id in mentioned}
        return entities_to_raw(entities, users) or None

    # ── media ──

    async def _with_media(
        self, media: Sequence[tuple[Media, MessageRef]], query: Callable[[list[Any]], Any]
    ) -> Any:
        """Make the call; once more with fresh file references, if one was stale."""
        inputs = [_input(medium) for medium, _source in media]
        try:
            return await self._connection.call(query(inputs))
        except RPCError as exc:
            if not said(exc)[1].startswith(("FILE_REFERENCE", "FILEREF")):
                raise
        inputs = [_input(await self._fresh(*one)) for one in media]
        return await self._connection.call(query(inputs))

    async def _fresh(self, old: Media, source: MessageRef) -> Media:
        """The medium as its message shows it now, with a file reference of today."""
        try:
            with translated(source.chat_id):
                peer = await self._connection.peer(source.chat_id)
                found = await read(self._connection, peer, [source.message_id])
        except TargetUnavailable as exc:  # it is the source that is closed, not the target
            raise PostRefused(f"the {old.kind} expired, and its source is closed: {exc}") from exc
        if found.unreadable:
            raise PostRefused(f"the {old.kind} expired, and its source message cannot be read")
        shown = [media(getattr(message, "media", None)) for message in found.messages]
        if not shown or shown[0] is None:
            raise PostRefused(f"the {old.kind} expired, and its source message is gone")
        return shown[0]


def _says(message: Any, text: str | None, expected: Media | None) -> bool:
    ours = getattr(message, "out", None) or getattr(message, "post", None)
    words = getattr(message, "message", None) or ""
    if not ours or (text is not None and words.strip() != text.strip()):
        return False  # stripped, since Telegram trims what it is given
    return _file(media(getattr(message, "media", None))) == _file(expected)


def _file(medium: Media | None) -> str | None:
    """Which file it is, without the reference that differs each time it is told."""
    return None if medium is None else (medium.file_id or "").rpartition(":")[0]


def _input(medium: Media) -> Any:
    if medium.file_id is None:
        raise PostRefused(f"a {medium.kind} cannot be posted again")
    try:
        return media_to_input(medium.file_id)
    except ValueError as exc:
        raise PostRefused(str(exc)) from exc


# ── queries that differ by layer or by kind of chat ──


def _answering(message_id: MessageId | None) -> dict[str, Any]:
    """Up to layer 160 a reply was two fields of the query, since then it is an object."""
    if message_id is None:
        return {}
    newer = getattr(types, "InputReplyToMessage", None)
    reply = None if newer is None else newer(reply_to_msg_id=message_id)
    return {"reply_to_msg_id": message_id, "reply_to": reply}


def _deletion(peer: Any, ids: list[MessageId]) -> Any:
    if isinstance(peer, types.InputPeerChannel):
        return functions.channels.DeleteMessages(channel=input_channel(peer), id=ids)
    return functions.messages.DeleteMessages(id=ids, revoke=True)


def _posted(answer: Any, random_id: int) -> MessageId:
    if isinstance(answer, types.UpdateShortSentMessage):
        return MessageId(answer.id)
    for update in getattr(answer, "updates", None) or ():
        if isinstance(update, types.UpdateMessageID) and update.random_id == random_id:
            return MessageId(update.id)
    raise RetryLater("Telegram did not say which message it posted")


# ── errors ──


@contextmanager
def translated(chat_id: ChatId | None = None, *, reply: bool = False) -> Iterator[None]:
    """Let nothing of the library's out. `reply`: the call answers a message, which may be gone."""
    try:
        yield
    except RPCError as exc:
        raise refusal(exc, chat_id, reply=reply) from exc
    except OSError as exc:  # TimeoutError and lost connections among them
        raise RetryLater(f"no answer from Telegram ({type(exc).__name__})") from exc


@contextmanager
def _granted(name: str) -> Iterator[None]:
    """This refusal says that what was asked for is so already; what is no refusal says so, too."""
    try:
        yield
    except Unparsable:
        pass
    except RPCError as exc:
        if said(exc)[1] != name:
            raise


def said(exc: RPCError) -> tuple[int, str]:
    """Telegram's own code and name of an error, on one line."""
    value = getattr(exc, "value", None)
    unknown = re.fullmatch(r"\[(\d+) (.*)\]", str(value), re.DOTALL)
    if exc.ID is None and unknown is not None:
        return int(unknown[1]), " ".join(unknown[2].split())
    name = str(exc.ID or exc.NAME)
    return int(exc.CODE or 0), re.sub(r"_X\b", f"_{value}", name)


def refusal(exc: RPCError, chat_id: ChatId | None, *, reply: bool = False) -> TelegramError:
    code, name = said(exc)
    text = f"Telegram refused: {code} {name}"
    if code == UNAUTHORIZED or name in VOID_LOGINS:
        return LoggedOut(text)
    if name == "RANDOM_ID_DUPLICATE":
        return SentBefore(text)
    if code == FLOOD or code >= INTERNAL or name in PASSING:
        seconds = re.search(r"_(\d+)$", name) if code == FLOOD else None
        return RetryLater(text, after=timedelta(seconds=int(seconds[1])) if seconds else None)
    if reply and name in LOST_PARENTS:
        return ParentGone(text)
    if chat_id is not None and _is_closed(code, name):
        return TargetUnavailable(text, chat_id)
    return PostRefused(text)


def _is_closed(code: int, name: str) -> bool:
    """Whether the chat takes nothing at all; where it is a kind of message, others may be taken."""
    if name in NOT_OURS or re.fullmatch(r"CHAT_SEND_(?!PLAIN_)\w+_FORBIDDEN", name):
        return False
    return code == FORBIDDEN or name in CLOSED_CHATS
