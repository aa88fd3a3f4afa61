"""Posting, editing and deleting in target chats: once each, and one meaning per error.

Telegram drops a second message with the same `random_id` from the same account and answers with
the first one, so a call that failed half-way may always be repeated with the same arguments.
Every call ends within a bounded number of seconds, and none waits out a flood.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol

from pyrogram import raw
from pyrogram.errors.rpc_error import RPCError

from bot.errors import (
    MediumRefused,
    PostGone,
    PostRefused,
    RetryLater,
    TargetUnavailable,
    Unparsable,
    words_of,
)
from bot.models import ChatId, Entity, Media, MessageId, MessageRef
from bot.phrases import phrase
from bot.telegram.entities import entities_to_raw
from bot.telegram.extras import answering, as_fields, is_dressed, preview_to_input
from bot.telegram.layers import build
from bot.telegram.messages import media, media_to_input
from bot.telegram.reading import input_channel, read
from bot.telegram.rpc_errors import Subject, is_about, said, translated

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from bot.extras import Extras
    from bot.posts import AlbumPart

functions: Final[Any] = raw.functions
types: Final[Any] = raw.types

DELETE_MAX, READ_MAX = 100, 100  # messages in one call
FOUND_WITHIN: Final = 1_000  # messages, between the last known one of ours and the next


class Connection(Protocol):
    """A logged in client. What it raises is the library's own."""

    @property
    def is_bot(self) -> bool: ...

    async def call(self, query: Any) -> Any: ...
    async def peer(self, chat_id: ChatId) -> Any: ...
    async def meet_again(self, chat_id: ChatId) -> bool: ...
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
        extras: Extras | None = None,
        topic: int = 0,
    ) -> MessageId:
        dressed = is_dressed(entities, extras)
        with translated(target, reply=reply_to is not None, dress=dressed, topic=topic):
            preview = preview_to_input(extras)
            method = (
                functions.messages.SendMessage if preview is None else functions.messages.SendMedia
            )
            query = build(
                method,
                peer=await self._connection.peer(target),
                media=preview,
                message=text,
                entities=await self._raw(entities),
                random_id=random_id,
                **answering(reply_to, extras, topic=topic),
                **as_fields(extras, is_bot=self._connection.is_bot),
            )
            answer = await self._call(target, query)
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
        extras: Extras | None = None,
        topic: int = 0,
    ) -> MessageId:
        dressed = is_dressed(entities, extras)
        with translated(
            target, reply=reply_to is not None, medium=True, dress=dressed, topic=topic
        ):
            peer, formatting = await self._connection.peer(target), await self._raw(entities)
            more = as_fields(extras, is_bot=self._connection.is_bot)

            def query(inputs: list[Any]) -> Any:
                return build(
                    functions.messages.SendMedia,
                    peer=peer,
                    media=inputs[0],
                    message=text,
                    entities=formatting,
                    random_id=random_id,
                    **answering(reply_to, extras, topic=topic),
                    **more,
                )

            answer = await self._with_media(target, [(media, source)], query)
        return _posted(answer, random_id)

    async def send_album(
        self,
        target: ChatId,
        parts: Sequence[AlbumPart],
        *,
        reply_to: MessageId | None = None,
        extras: Extras | None = None,
        topic: int = 0,
    ) -> list[MessageId]:
        """The ids in the order of the parts. `extras`: of the album as a whole."""
        with translated(target, reply=reply_to is not None, medium=True, topic=topic):
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
                more = answering(reply_to, extras, topic=topic) | as_fields(extras, is_bot=True)
                return build(multi, peer=peer, multi_media=singles, **more)

            media = [(part.media, part.source) for part in parts]
            answer = await self._with_media(target, media, query)
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
        extras: Extras | None = None,
    ) -> None:
        """Without `media` the message keeps what it has. An edit that changes nothing is fine.

        Silence and quotes are of the sending, and nothing can change them. Raises `PostGone` if
        somebody has deleted the message.
        """
        asked = {"medium": media is not None, "dress": is_dressed(entities, extras)}
        with translated(target, **asked), _gone(), _granted("MESSAGE_NOT_MODIFIED"):
            peer, formatting = await self._connection.peer(target), await self._raw(entities)
            more = as_fields(extras, is_bot=self._connection.is_bot)
            preview = preview_to_input(extras)

            def query(inputs: list[Any]) -> Any:
                return build(
                    functions.messages.EditMessage,
                    peer=peer,
                    id=message_id,
                    message=text,
                    entities=formatting,
                    media=inputs[0] if inputs else preview,
                    **more,
                )

            await self._with_media(target, [] if media is None else [(media, source)], query)

    async def delete(self, target: ChatId, ids: Sequence[MessageId]) -> None:
        """For everybody. Messages that are gone already are fine."""
        with translated(target), _granted("MESSAGE_ID_INVALID"):
            peer = await self._connection.peer(target)
            for first in range(0, len(ids), DELETE_MAX):
                some = list(ids[first : first + DELETE_MAX])
                await self._call(target, _deletion(peer, some))

    async def find(
        self,
        target: ChatId,
        text: str,
        media: Media | None,
        *,
        after: MessageId,
        known: Collection[MessageId] = (),
    ) -> MessageId | None:
        """The message of ours behind that one that says this and is none of the `known` ones.

        None: there is none, or it cannot be told which of several it is.
        """
        found: list[MessageId] = []
        with translated(target):
            peer = await self._connection.peer(target)
            for first in range(after + 1, after + 1 + FOUND_WITHIN, READ_MAX):
                shown = await read(self._connection, peer, range(first, first + READ_MAX))
                ours = [m for m in shown.messages if _is_in(peer, m) and _says(m, text, media)]
                found += [MessageId(message.id) for message in ours]
                if isinstance(peer, types.InputPeerChannel) and not shown.ids:
                    break  # behind the newest
        unknown = [message_id for message_id in found if message_id not in known]
        return unknown[0] if len(unknown) == 1 else None

    async def standing(self, target: ChatId, ids: Sequence[MessageId]) -> set[MessageId]:
        """Those of these messages that have not been deleted."""
        there: set[int] = set()
        with translated(target):
            peer = await self._connection.peer(target)
            for first in range(0, len(ids), READ_MAX):
                there |= (await read(self._connection, peer, ids[first : first + READ_MAX])).ids
        return {each for each in ids if each in there}

    async def _call(self, target: ChatId, query: Any) -> Any:
        """Once more, if what we knew of the chat is out of date (a session that came from elsewhere)."""
        try:
            return await self._connection.call(query)
        except RPCError as exc:
            if not is_about(exc, Subject.PEER) or not await self._connection.meet_again(target):
                raise
        peer = await self._connection.peer(target)
        if hasattr(query, "channel"):
            query.channel = input_channel(peer)
        else:
            query.peer = peer
        return await self._connection.call(query)

    async def _raw(self, entities: Sequence[Entity]) -> list[Any] | None:
        """None and not an empty list: Pyrogram 2.0.106 writes that where nothing is expected."""
        mentioned = {e.user_id for e in entities if e.type == "text_mention" and e.user_id}
        users = {user_id: await self._connection.known_user(user_id) for user_id in mentioned}
        return entities_to_raw(entities, users) or None

    # ── media ──

    async def _with_media(
        self,
        target: ChatId,
        media: Sequence[tuple[Media, MessageRef]],
        query: Callable[[list[Any]], Any],
    ) -> Any:
        """Make the call; once more with fresh file references, if one was stale.

        Once more, too, with a poll of whose voters nobody is told: in channels there are no others.
        """
        inputs = [_input(medium) for medium, _source in media]
        try:
            return await self._call(target, query(inputs))
        except RPCError as exc:
            if said(exc)[1] == "BROADCAST_PUBLIC_VOTERS_FORBIDDEN":
                inputs = [_input(medium, anonymous=True) for medium, _source in media]
            elif is_about(exc, Subject.FILE):
                inputs = [_input(await self._fresh(*one)) for one in media]
            else:
                raise
        return await self._call(target, query(inputs))

    async def _fresh(self, old: Media, source: MessageRef) -> Media:
        """The medium as its message shows it now, with a file reference of today."""
        try:
            with translated(source.chat_id):
                peer = await self._connection.peer(source.chat_id)
                found = await read(self._connection, peer, [source.message_id])
        except (TargetUnavailable, PostRefused) as exc:  # the source is closed, not the target
            closed = phrase(
                "the {kind} expired, and its source is closed: {error}",
                kind=old.kind,
                error=words_of(exc),
            )
            raise MediumRefused(closed) from exc
        if found.unreadable:
            raise MediumRefused(
                phrase("the {kind} expired, and its source message cannot be read", kind=old.kind)
            )
        shown = [media(getattr(message, "media", None)) for message in found.messages]
        if not shown or shown[0] is None:
            raise MediumRefused(
                phrase("the {kind} expired, and its source message is gone", kind=old.kind)
            )
        return shown[0]


def _says(message: Any, text: str, expected: Media | None) -> bool:
    """Whether it is ours and says this.

    `out` is the proof: Telegram sets it on what the account that asks has written, on its posts in
    a channel, too, where all admins' posts look alike otherwise. Its own clients go by that flag
    when they tell which posts one who may only post can edit.
    https://core.telegram.org/constructor/message
    """
    words = getattr(message, "message", None) or ""
    if not getattr(message, "out", None) or words.strip() != text.strip():
        return False  # stripped, since Telegram trims what it is given
    there = media(getattr(message, "media", None))
    return (there and there.identity) == (expected and expected.identity)


def _is_in(peer: Any, message: Any) -> bool:
    """Private chats and basic groups share one sequence of ids."""
    where = getattr(message, "peer_id", None)
    for name in ("channel_id", "chat_id", "user_id"):
        expected = getattr(peer, name, None)
        if expected is not None:
            return bool(getattr(where, name, None) == expected)
    return False


def _input(medium: Media, *, anonymous: bool = False) -> Any:
    if medium.file_id is None:
        raise MediumRefused(phrase("{kind} media cannot be posted again", kind=medium.kind))
    try:
        return media_to_input(medium.file_id, anonymous=anonymous)
    except ValueError as exc:
        raise MediumRefused(words_of(exc)) from exc


# ── queries that differ by layer or by kind of chat ──


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
    raise RetryLater(phrase("Telegram did not say which message it posted"))


@contextmanager
def _gone() -> Iterator[None]:
    """Of an edit, these say that there is no such message (any more)."""
    try:
        yield
    except RPCError as exc:
        name = said(exc)[1]
        if name not in {"MESSAGE_ID_INVALID", "MSG_ID_INVALID"}:
            raise
        raise PostGone(phrase("Telegram knows no such message: {name}", name=name)) from exc


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
