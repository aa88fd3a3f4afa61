"""The parts of an album, which Telegram sends as messages of their own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from collections.abc import Set as AbstractSet

    from bot.models import Cursor, IncomingMessage, MessageId

ALBUM_SILENCE: Final = 0.3  # seconds after a part of an album


class Albums:
    """Holds the parts of an album back until the next message, or a moment's silence, ends it.

    Telegram does not say how many there will be.
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
        self._parts: list[IncomingMessage] = []
        self._heard = 0  # parts so far
        self._cursors: list[Cursor] = []  # behind the parts that are held
        self._silence: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()

    async def hear(self, message: IncomingMessage) -> None:
        async with self._turn:
            if self._parts and message.album_id != self._parts[0].album_id:
                await self._give()
            if message.album_id is None:
                await self._take([message])
                return
            self._parts.append(message)
            self._heard += 1
        self._await_silence()

    async def reached(self, cursor: Cursor) -> None:
        """No cursor moves past parts that are held."""
        async with self._turn:
            if self._parts:
                self._cursors.append(cursor)
            else:
                self._move(cursor)

    async def finish_before(self, ids: AbstractSet[MessageId]) -> None:
        """Give out what is held if it is one of these that something happens to next.

        What is being given out has its turn already, and is waited for in any case.
        """
        async with self._turn:
            if any(part.id in ids for part in self._parts):
                await self._give()

    async def finish(self) -> None:
        """Give out what is held."""
        async with self._turn:
            await self._give()

    def forget(self) -> None:
        """Let go of what is held: no cursor has passed it, so it comes again."""
        if self._silence is not None:
            self._silence.cancel()

    async def _give(self) -> None:
        parts, self._parts = self._parts, []
        cursors, self._cursors = self._cursors, []
        if parts:
            await self._take(parts)
        for cursor in cursors:
            self._move(cursor)

    def _await_silence(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
        self._silence = asyncio.create_task(self._finish_after_silence(self._heard))

    async def _finish_after_silence(self, heard: int) -> None:
        await self._sleep(ALBUM_SILENCE)
        while self._more_to_come():  # a difference may be cut in the midst of an album
            await self._sleep(ALBUM_SILENCE)
        # Shielded: a further part may come now, and what is being recorded must not be cut off.
        await asyncio.shield(asyncio.ensure_future(self._finish_if_still(heard)))

    async def _finish_if_still(self, heard: int) -> None:
        """Unless another part came while this one waited for its turn."""
        async with self._turn:
            if self._heard == heard:
                await self._give()
