"""Each update box is dealt with in a line of its own: what one source waits for holds up no other.

Events of one box come in order and one at a time, and so do the cursors behind them.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import structlog

from bot.models import (
    DeletedMessages,
    EditedMessage,
    IncomingMessage,
    Reached,
    UnreadableMessage,
    has_own_box,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bot.models import AuthorId, ChatId, Event
    from bot.pipeline.dispatch import Dispatcher
    from bot.routes import Routes

    Make = Callable[[ChatId | None, Callable[[], bool]], Dispatcher]

log = structlog.get_logger(__name__)

# Events that wait in one line. A source in which so many do holds up the others, for the memory's sake.
WAITING_MAX: Final = 10_000


class _Line:
    """Of one box: that of a chat; None: the account's."""

    def __init__(self, chat: ChatId | None, make: Make) -> None:
        self._waiting: asyncio.Queue[Event | None] = asyncio.Queue(WAITING_MAX)  # None: the end
        self._task: asyncio.Task[None] | None = None
        self.dispatcher = make(chat, lambda: not self._waiting.empty())

    async def put(self, event: Event) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        await self._waiting.put(event)

    async def idle(self) -> None:
        """Wait until all that was put is dealt with."""
        await self._waiting.join()

    async def drain(self) -> None:
        if self._task is not None:
            await self._waiting.put(None)
            await self._task

    async def _run(self) -> None:
        while (event := await self._waiting.get()) is not None:
            try:
                await self.dispatcher.hear(event)
            except Exception:
                # Those behind it are not to wait for ever.
                log.exception("an event was not dealt with")
            finally:
                self._waiting.task_done()

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self.dispatcher.close()


class Lines:
    """`make` gives the dispatcher of a chat, or of the account's box; it is handed a way to ask whether
    further events wait for it.
    """

    def __init__(self, routes: Routes, make: Make) -> None:
        self._make = make
        self._turn = asyncio.Lock()
        self._account = _Line(None, make)
        self.ours: set[AuthorId | ChatId] = self._account.dispatcher.ours
        self._of_chats: dict[ChatId | None, _Line] = {}
        self._direct = True
        self._add(routes)

    def _add(self, routes: Routes) -> None:
        self._direct = self._direct and len(routes.chats) == 1
        for chat in filter(has_own_box, routes.chats):
            if chat not in self._of_chats:
                line = self._of_chats[chat] = _Line(chat, self._make)
                line.dispatcher.ours = self.ours

    async def hear(self, event: Event) -> None:
        """Where there has been one source only, the tables hold what there was to hold when this returns."""
        async with self._turn:
            line = self._of_chats.get(_chat_of(event), self._account)
            if self._direct:
                await line.dispatcher.hear(event)
            else:
                await line.put(event)

    @asynccontextmanager
    async def between_events(self) -> AsyncIterator[None]:
        """All that was heard before is dealt with; what comes meanwhile waits. Albums stay held."""
        async with self._turn:
            for line in self._all():
                await line.idle()
            yield

    def follow(self, routes: Routes) -> None:
        """Hear these from now on. A line of a chat that is no source's any more is there for its return."""
        self._add(routes)
        for line in self._all():
            line.dispatcher.follow(routes)

    def _all(self) -> list[_Line]:
        return [self._account, *self._of_chats.values()]

    async def move(self, old: ChatId, new: ChatId) -> None:
        """A chat of ours has become another one."""
        await self._account.dispatcher.move(old, new)

    async def drain(self) -> None:
        """Finish what is in hand. Once the bot is told to stop, what waits is let go of."""
        for line in self._all():
            await line.drain()

    def close(self) -> None:
        """Let go of what is held: no cursor has passed it, so it comes again."""
        for line in self._all():
            line.close()


def _chat_of(event: Event) -> ChatId | None:
    """None: it is in the account's box, as all that is of no channel or supergroup."""
    match event:
        case IncomingMessage(chat_id=chat) | EditedMessage(IncomingMessage(chat_id=chat)):
            return chat
        case DeletedMessages(chat_id=chat) | UnreadableMessage(chat_id=chat):
            return chat
        case Reached(cursor):
            return cursor.box
        case _:
            return None
