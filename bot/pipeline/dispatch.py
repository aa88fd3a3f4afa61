"""Which events are ours, and who deals with them: they come one at a time and in order.

Only when an event is recorded may a cursor pass it. Albums are held together on the way, and
cursors with them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import structlog

from bot.models import (
    DeletedMessages,
    EditedMessage,
    IncomingMessage,
    MigratedChat,
    Reached,
    UnreadableMessage,
)

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from bot.models import AuthorId, ChatId, Event, MessageId
    from bot.pipeline.albums import Albums
    from bot.pipeline.recording import Recorder
    from bot.routes import Routes, Source

log = structlog.get_logger(__name__)


class ChatTable(Protocol):
    async def move_chat(self, old: ChatId, new: ChatId) -> None: ...


class Meter(Protocol):
    """Told that something was heard."""

    def heard(self) -> None: ...


class Dispatcher:
    """`ours` are the authors of what comes back to us and is no news. `begin_anew` is called when a
    chat of ours has become another one. Once `stopping` is set nothing more is heard: it comes
    again at the next start.
    """

    def __init__(
        self,
        table: ChatTable,
        recorder: Recorder,
        albums: Albums,
        *,
        routes: Routes,
        begin_anew: Callable[[], None],
        stopping: asyncio.Event,
        meter: Meter,
    ) -> None:
        self._table = table
        self._recorder = recorder
        self._albums = albums
        self.ours: set[AuthorId | ChatId] = set()  # besides the targets
        self.follow(routes)
        self._begin_anew = begin_anew
        self._stopping = stopping
        self._meter = meter

    def follow(self, routes: Routes) -> None:
        """Hear these from now on. What is held is given out by them."""
        self._routes = routes
        self._chats = frozenset((*routes.chats, *routes.targets))
        # A person who is a target may be an author as well.
        self._posted_to: frozenset[AuthorId | ChatId] = frozenset(
            target for target in routes.targets if target < 0
        )

    async def hear(self, event: Event) -> None:
        """Deal with one event; when this returns, the tables hold what there was to hold."""
        if self._stopping.is_set():
            self._recorder.freeze()
            return
        if isinstance(event, Reached):
            await self._albums.reached(event.cursor)
            return
        self._meter.heard()
        match event:
            case IncomingMessage() if source := self._source_of(event):
                await self._albums.hear(event, source.where)
            case EditedMessage(message) if self._source_of(message):
                await self._albums.finish_before({message.id}, {message.chat_id})
                await self._recorder.edited(message)
            case DeletedMessages(None, ids):
                # Of basic groups the ids alone are told, and no chat; no other chat shares them.
                await self._deleted(self._routes.basic_groups, ids)
            case DeletedMessages(chat, ids) if chat in self._routes.chats:
                await self._deleted([chat], ids)
            case UnreadableMessage():
                await self._recorder.pass_over(event)
            case MigratedChat(old, new) if old in self._chats:
                await self._albums.finish()
                await self._recorder.record(lambda: self.move(old, new))
            case _:
                pass

    async def move(self, old: ChatId, new: ChatId) -> None:
        """A chat of ours has become another one."""
        await self._table.move_chat(old, new)
        log.warning("a group has become a supergroup", old=old, new=new)
        self._begin_anew()

    def close(self) -> None:
        """Let go of what is held: no cursor has passed it, so it comes again."""
        self._albums.forget()

    async def _deleted(self, chats: Sequence[ChatId], ids: Sequence[MessageId]) -> None:
        await self._albums.finish_before(set(ids), set(chats))
        for chat in chats:
            await self._recorder.deleted(chat, ids)

    def _source_of(self, message: IncomingMessage) -> Source | None:
        """None: it is nobody's. What a target's link to a source brings back is no news."""
        found = self._routes.source_of(message.chat_id, message.topic)
        ours = message.author in self.ours or message.author in self._posted_to
        return None if ours else found
