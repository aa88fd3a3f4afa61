"""The parts of an album, which Telegram sends as messages of their own."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from collections.abc import Set as AbstractSet

    from bot.models import ChatId, Cursor, IncomingMessage, MessageId

ALBUM_SILENCE: Final = 0.3  # seconds after a part of an album
# Times of silence, some half a minute, for parts that are known to follow. One that comes later joins
# its album by itself.
SILENCES_AT_MOST: Final = 100


class _HeldAlbum:
    """Of one source."""

    def __init__(self) -> None:
        self.parts: list[IncomingMessage] = []
        self.heard = 0  # parts so far
        self.silence: asyncio.Task[None] | None = None


class Albums:
    """Holds the parts of an album back until the next message of its source, or a moment's silence,
    ends it.

    Telegram does not say how many there will be. What other sources of the same update box say
    meanwhile ends nothing.
    """

    def __init__(
        self,
        take: Callable[[Sequence[IncomingMessage]], Awaitable[None]],
        move: Callable[[Cursor], None],
        *,
        more_to_come: Callable[[], bool] = lambda: False,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._take = take
        self._move = move
        self._more_to_come = more_to_come
        self._sleep = sleep
        self._held: defaultdict[str, _HeldAlbum] = defaultdict(_HeldAlbum)  # by source
        self._cursors: list[Cursor] = []  # behind the parts that are held
        self._turn = asyncio.Lock()

    async def hear(self, message: IncomingMessage, source: str = "") -> None:
        held = self._held[source]
        async with self._turn:
            if held.parts and message.album_id != held.parts[0].album_id:
                await self._give(held)
            if message.album_id is None:
                await self._take([message])
                return
            held.parts.append(message)
            held.heard += 1
        self._await_silence(held)

    async def reached(self, cursor: Cursor) -> None:
        """No cursor moves past parts that are held."""
        async with self._turn:
            if self._holds_any:
                self._cursors.append(cursor)
            else:
                self._move(cursor)

    async def finish_before(
        self, ids: AbstractSet[MessageId], chats: AbstractSet[ChatId] | None = None
    ) -> None:
        """Give out what is held if it is one of these that something happens to next.

        What is being given out has its turn already, and is waited for in any case. `chats` None:
        of whichever chat.
        """
        async with self._turn:
            for held in self._held.values():
                if any(_is_one(part, ids, chats) for part in held.parts):
                    await self._give(held)

    async def finish(self) -> None:
        """Give out what is held."""
        async with self._turn:
            for held in self._held.values():
                await self._give(held)

    def forget(self) -> None:
        """Let go of what is held: no cursor has passed it, so it comes again."""
        for held in self._held.values():
            if held.silence is not None:
                held.silence.cancel()

    @property
    def _holds_any(self) -> bool:
        return any(held.parts for held in self._held.values())

    async def _give(self, held: _HeldAlbum) -> None:
        parts, held.parts = held.parts, []
        if parts:
            await self._take(parts)
        if not self._holds_any:
            cursors, self._cursors = self._cursors, []
            for cursor in cursors:
                self._move(cursor)

    def _await_silence(self, held: _HeldAlbum) -> None:
        if held.silence is not None:
            held.silence.cancel()
        held.silence = asyncio.create_task(self._finish_after_silence(held, held.heard))

    async def _finish_after_silence(self, held: _HeldAlbum, heard: int) -> None:
        await self._sleep(ALBUM_SILENCE)
        for _ in range(SILENCES_AT_MOST):
            if not self._more_to_come():  # a difference may be cut in the midst of an album
                break
            await self._sleep(ALBUM_SILENCE)
        # Shielded: a further part may come now, and what is being recorded must not be cut off.
        await asyncio.shield(asyncio.ensure_future(self._finish_if_still(held, heard)))

    async def _finish_if_still(self, held: _HeldAlbum, heard: int) -> None:
        """Unless another part came while this one waited for its turn."""
        async with self._turn:
            if held.heard == heard:
                await self._give(held)


def _is_one(
    part: IncomingMessage, ids: AbstractSet[MessageId], chats: AbstractSet[ChatId] | None
) -> bool:
    return part.id in ids and (chats is None or part.chat_id in chats)
