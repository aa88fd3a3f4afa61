"""What was missed in one update box, asked for and fed; see `catch_up`, which says when.

Where a difference cannot be parsed, or is too long, or its numbers are no longer those that we kept, the messages are read by their ids.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import structlog
from pyrogram import raw
from pyrogram.errors.rpc_error import RPCError

from bot.errors import Unparsable
from bot.models import MessageId, UnixTime
from bot.telegram.boxes import AT_ONCE, Box, Boxes
from bot.telegram.layers import build
from bot.telegram.reading import Poison, input_channel, reading, unreadable
from bot.telegram.rpc_errors import said

if TYPE_CHECKING:
    from bot.telegram.boxes import Queue
    from bot.telegram.parsing import Unreadable
    from bot.telegram.reread import Connection, Rereading

log = structlog.get_logger(__name__)

functions: Final[Any] = raw.functions
types: Final[Any] = raw.types

LESS: Final = 8  # times fewer, where a difference cannot be parsed and does not say how long it is
LARGEST_MESSAGE: Final = 2**31 - 1  # an id that no message has
# What we keep is not a number of this box, whatever we believed.
NO_CURSOR: Final = frozenset({"PERSISTENT_TIMESTAMP_EMPTY", "PERSISTENT_TIMESTAMP_INVALID"})


class Differences:
    """Raises the library's own errors, and `Unparsable`."""

    def __init__(
        self, connection: Connection, queue: Queue, boxes: Boxes, again: Rereading
    ) -> None:
        self._connection = connection
        self._queue = queue
        self._boxes = boxes
        self._again = again

    async def ask(self, box: Box) -> bool:
        """One difference; whether it is the last for now."""
        if box.went_back:
            return await self._numbered_anew(box)
        if box is self._boxes.account:
            return await self._account_difference(box)
        return await self._channel_difference(box)

    async def _numbered_anew(self, box: Box) -> bool:
        """What we keep is no number of this box: what came since is read by its ids."""
        account = box is self._boxes.account
        now = await (self._state() if account else self._pts_now(box))
        await self._again.look(box)
        if account:
            self._take_state(box, now)
        else:
            box.pts = now
        box.went_back = False
        return False

    async def begin(self, box: Box) -> None:
        """Here and now."""
        if box is self._boxes.account:
            self._take_state(box, await self._state())
        else:
            box.begins(await self._pts_now(box), self._boxes.account.date)

    async def _pts_now(self, box: Box) -> int:
        channel = input_channel(await self._connection.peer(box.id))
        try:
            answer = await self._connection.call(functions.channels.GetFullChannel(channel=channel))
            pts: int = answer.full_chat.pts
        except Unparsable:
            # Whatever is written there, a message that is not told the number as well.
            nothing = reading(await self._connection.peer(box.id), [LARGEST_MESSAGE])
            pts = (await self._connection.call(nothing)).pts
        return pts

    # ── a channel ──

    async def _channel_difference(self, box: Box) -> bool:
        query = functions.updates.GetChannelDifference(
            channel=input_channel(await self._connection.peer(box.id)),
            filter=types.ChannelMessagesFilterEmpty(),
            pts=box.pts,
            limit=box.limit,
            force=False,
        )
        try:
            answer = await self._connection.call(query)
        except Unparsable as exc:
            return await self._channel_around(box, exc)
        except RPCError as exc:
            if said(exc)[1] not in NO_CURSOR:
                raise
            return await self._numbered_anew(box)
        box.limit = min(2 * box.limit, AT_ONCE)
        if isinstance(answer, types.updates.ChannelDifferenceTooLong):
            await self._again.look(box, newest=MessageId(answer.dialog.top_message))
            box.pts = answer.dialog.pts
            return bool(answer.final)
        if isinstance(answer, types.updates.ChannelDifference):
            self._boxes.feed(box, answer)
        elif answer.pts < (box.pts or 0):
            return await self._numbered_anew(box)
        box.pts = answer.pts
        return bool(answer.final)

    async def _channel_around(self, box: Box, exc: Unparsable) -> bool:
        """Fewer changes at once until one is left, which is what cannot be parsed: pass it."""
        answer: Unreadable = exc.answer
        begun = answer.kind == "ChannelDifference" and answer.pts is not None
        changes = (answer.pts or 0) - (box.pts or 0) if begun else None
        if changes != 1 and box.limit > 1 and answer.kind != "ChannelDifferenceTooLong":
            box.limit = max(1, min(box.limit, changes or box.limit) // (2 if changes else LESS))
            return False
        if changes == 1 and answer.message_id is not None:
            await self._feed_by_itself(box, Poison(answer.message_id, answer))
        elif changes == 1 and "new_messages" in answer.known and not answer.garbled:
            log.warning("an update cannot be read", box=box.id, error=answer.error)
        else:
            return await self._channel_by_ids(box, answer.pts if begun else None)
        box.pts = answer.pts
        return answer.final

    async def _feed_by_itself(self, box: Box, poison: Poison) -> None:
        """Where bytes were garbled, it may be only the difference that cannot be read."""
        box.saw(poison)
        box.has_changed([poison.id])
        edited = "new_messages" in poison.answer.known
        if poison.answer.garbled and await self._again.feed_readable(box, poison.id, edited=edited):
            return
        self._queue.feed(unreadable(box.id, poison), {}, {})

    async def _channel_by_ids(self, box: Box, pts: int | None) -> bool:
        """Not even where its one message begins can be told, or it is more than the one."""
        if pts is None:
            pts = await self._pts_now(box)
        if pts == box.pts:
            return True  # whatever it is, it has no number
        log.info("a channel's difference cannot be parsed", box=box.id)
        await self._by_ids(box, pts)
        box.pts = pts
        return False

    async def _by_ids(self, box: Box, pts: int) -> None:
        """What happened up to `pts`. A new message counts one, and whatever else does, too."""
        changes = max(0, pts - (box.pts or 0))
        if not await self._again.look_at_new(box, changes):
            await self._again.look(box, at_most=changes)

    # ── the account ──

    async def _account_difference(self, box: Box) -> bool:
        query = build(
            functions.updates.GetDifference, pts=box.pts, date=box.date or 0, qts=box.qts or 0
        )
        try:
            answer = await self._connection.call(query)
        except Unparsable as exc:
            log.info("the account's difference cannot be parsed", error=str(exc))
            await self._account_by_ids(box)
            return False
        except RPCError as exc:
            if said(exc)[1] not in NO_CURSOR:
                raise
            return await self._numbered_anew(box)
        if isinstance(answer, types.updates.DifferenceEmpty):
            box.date, self._boxes.seq = UnixTime(answer.date), answer.seq
            return True
        if isinstance(answer, types.updates.DifferenceTooLong):
            await self._again.look(box, newest=None)
            box.pts = answer.pts
            return False
        self._boxes.feed(box, answer)
        final = isinstance(answer, types.updates.Difference)
        self._take_state(box, answer.state if final else answer.intermediate_state)
        return final

    async def _account_by_ids(self, box: Box) -> None:
        """Telegram gives this difference whole, so its messages are read by their ids.

        What else it may hold is that channels have news.
        """
        state = await self._state()
        await self._by_ids(box, state.pts)
        for other in self._boxes.of_chats.values():
            self._boxes.fall_behind(other)
        self._take_state(box, state)

    async def _state(self) -> Any:
        return await self._connection.call(functions.updates.GetState())

    def _take_state(self, box: Box, state: Any) -> None:
        box.pts, box.qts, box.date = state.pts, state.qts, UnixTime(state.date)
        self._boxes.seq = state.seq
