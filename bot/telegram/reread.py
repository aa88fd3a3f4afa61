"""Messages read by their ids, where Telegram does not tell what has changed, or tells it unreadably.

What came since, and the newest ones that came before, are read while the box stands still: an edit may
have made a signal of what others answer. All else that can still change, the recorded messages of live
flows, is read behind the box as it goes on: there may be very many of them, and a new signal does not
wait for them.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import structlog

from bot.backoff import doubled
from bot.errors import DatabaseError, PostRefused, RetryLater, TargetUnavailable, Unparsable
from bot.models import ChatId, MessageId, Reached, UnixTime, has_own_box, is_basic_group
from bot.rules.policy import live_since
from bot.telegram.reading import Poison, as_deleted, as_edited, as_new, read, unreadable
from bot.telegram.rpc_errors import translated

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from bot.telegram.boxes import Box, Queue
    from bot.telegram.reading import ReadMessages

log = structlog.get_logger(__name__)

T = TypeVar("T")

BATCH: Final = 100  # messages in one call
GONE_IN_A_ROW: Final = 1_000  # ids; so many messages deleted in one go are hardly ever seen
NEWEST_AGAIN: Final = 200  # ids; an edit may make a signal of a message that is not recorded
HIDDEN: Final = 50  # messages at once
# Between two batches of what is read again: 500 messages a second, and Telegram allows some thirty
# calls in it, of which the posts are to have the most.
PAUSE: Final = 0.2  # seconds
RETRY, RETRY_AT_MOST = 1.0, 60.0  # seconds, doubled with each failure
SOMETHING_LATER: Final = (RetryLater, TargetUnavailable, PostRefused, DatabaseError)


class Connection(Protocol):
    """A logged in client that keeps the peers it meets. Raises the library's own errors, and
    `Unparsable` for an answer that holds what the library does not know.
    """

    async def call(self, query: Any) -> Any: ...
    async def peer(self, chat_id: ChatId) -> Any: ...


class RecordTable(Protocol):
    """What is recorded, and so what an edit or a deletion changes. Raises `DatabaseError`."""

    async def last_activity(self, chat_id: ChatId) -> UnixTime | None:
        """When the owner of any of the chat's flows was last active; None: never."""

    async def recorded(
        self,
        chat_id: ChatId,
        *,
        active_since: UnixTime | None,
        before: MessageId | None,
        limit: int,
    ) -> Sequence[MessageId]:
        """The newest before that one, of flows whose owner was active since then, or of all."""


class Rereading:
    """`chats` are the followed ones. `ttls`: seconds after which flows of a chat are released; None, or
    a chat that is not named: never.

    `room` waits until most of what was fed before has been dealt with.
    """

    def __init__(
        self,
        connection: Connection,
        table: RecordTable,
        queue: Queue,
        *,
        chats: Sequence[ChatId],
        ttls: Mapping[ChatId, float | None],
        room: Callable[[], Awaitable[None]],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._connection = connection
        self._table = table
        self._queue = queue
        self._chats = chats
        self._ttls = ttls
        self._room = room
        self._sleep = sleep
        self._wanted: dict[ChatId, Box] = {}
        self._news = asyncio.Event()
        self._reading = False
        self._hidden: set[ChatId] = set()  # the few that remain of these are hidden as well

    def follow(self, chats: Sequence[ChatId], ttls: Mapping[ChatId, float | None]) -> None:
        """These instead. What is wanted of others is not read again."""
        self._chats = chats
        self._ttls = ttls
        for box in [box for box in self._wanted if has_own_box(box) and box not in chats]:
            del self._wanted[box]

    async def look(
        self, box: Box, *, newest: MessageId | None = None, at_most: int | None = None
    ) -> None:
        """Feed what came since and what has changed before; `newest` None: not told.

        `at_most` as many messages have come since; None: not told. The flows' messages are read
        again later on. Until then each cursor of the box says so, for a later run.
        """
        log.warning("too far behind, looking at messages one by one", box=box.id)
        await self._look_again(box)
        await self._look_at_new(box, newest, at_most)

    async def look_at_new(self, box: Box, number: int) -> bool:
        """Feed what came since, if it is that many messages; False: it is not, and nothing was fed."""
        if box.message_id is None or number > BATCH:
            return False
        ids = range(box.message_id + 1, box.message_id + 1 + BATCH)
        found = await self._read(box.id, ids)
        if len(found.ids) != number:
            return False
        self._feed_new(box, found)
        return True

    async def feed_one(self, chat: ChatId, message_id: MessageId) -> None:
        """The message as it is now, as if it were new, or else that it is gone."""
        found = await self._read(chat, [message_id])
        for message in found.messages:
            self._queue.feed(as_new(chat, message), found.users, found.chats)
        for poison in found.unreadable:
            self._queue.feed(unreadable(chat, poison), found.users, found.chats)
        if not found.ids:
            self._queue.feed(as_deleted(chat, [message_id]), {}, {})

    async def feed_readable(self, box: Box, message_id: int, *, edited: bool) -> bool:
        """Feed the message, if it can be read. Whether it could."""
        try:
            found = await self._read(box.id, [message_id])
        except Unparsable:
            return False
        for message in found.messages:
            event = as_edited(box.id, message) if edited else as_new(box.id, message)
            self._queue.feed(event, found.users, found.chats)
        return bool(found.messages)

    @property
    def under_way(self) -> bool:
        return self._reading or bool(self._wanted)

    def want(self, box: Box) -> None:
        """The recorded messages of its live flows."""
        box.again = True
        self._wanted[box.id] = box
        self._news.set()

    async def _look_again(self, box: Box) -> None:
        """The newest ones at once, and the others later."""
        for chat in self._chats_in(box):
            newest = box.message_id or 0
            await self._feed_again(chat, range(max(1, newest - NEWEST_AGAIN + 1), newest + 1), box)
        self.want(box)

    def _chats_in(self, box: Box) -> list[ChatId]:
        """Basic groups have no box: their messages are read as the account's."""
        return [box.id] if has_own_box(box.id) else [*filter(is_basic_group, self._chats)]

    # ── what came since ──

    async def _look_at_new(self, box: Box, newest: MessageId | None, at_most: int | None) -> None:
        """Bots may read messages by id. Without the newest id, `GONE_IN_A_ROW` ids without a message
        are the end, or the first such behind `at_most` ids.
        """
        gone, last, since = 0, box.message_id, 0
        if last is None:  # none was seen yet, so it begins with when we began to follow
            since, at_most = box.date or since, None
            last = await (
                self._last_before(box, newest) if newest else self._last_found_before(box)
            )
        end = None if at_most is None else last + at_most
        while gone < GONE_IN_A_ROW and (newest is None or last < newest):
            ids = range(last + 1, min(last + BATCH, newest or last + BATCH) + 1)
            found = await self._read(box.id, ids)
            self._feed_new(box, found, since)
            last = MessageId(ids[-1])
            gone = gone + BATCH if newest is None and not found.ids else 0
            if newest is not None:
                # The box is where it was, but these need not be asked for again, also where none is left.
                box.message_id = last
                self._queue.feed(Reached(box.cursor()), {}, {})
            if end is not None and end <= last and last not in found.ids:
                break
            await self._room()

    def _feed_new(self, box: Box, found: ReadMessages, since: int = 0) -> None:
        """In the order in which they were said."""
        for message in found.in_order():
            if isinstance(message, Poison):
                event = unreadable(self._where(box), message)
                date = event.at
            else:
                event, date = as_new(box.id, message), message.date
            box.saw(message)
            if date is None or date >= since:
                self._queue.feed(event, found.users, found.chats)
                self._queue.feed(Reached(box.cursor()), {}, {})

    def _where(self, box: Box) -> ChatId:
        """The chat of a message of which not even that could be read."""
        chats = self._chats_in(box)
        return chats[0] if len(chats) == 1 else box.id

    async def _last_found_before(self, box: Box) -> MessageId:
        """A message from before we began to follow, and few others between it and the first since.

        None tells where the newest is: dates rise with ids, so ever longer steps are made, and
        shorter ones where they lead beyond.
        """
        last, step = 0, BATCH
        while True:
            found = await self._read(box.id, range(last + step - BATCH + 1, last + step + 1))
            old = [each.id for each in found.messages if each.date < (box.date or 0)]
            if old:
                last, step = old[-1], 2 * step
            elif step > BATCH:
                step = max(BATCH, step // 2)
            else:
                return MessageId(last)

    async def _last_before(self, box: Box, newest: MessageId) -> MessageId:
        """The newest message from before we began to follow the chat."""
        first = newest + 1
        while first > 1:
            first, last = max(1, first - BATCH), first - 1
            for message in reversed((await self._read(box.id, range(first, last + 1))).messages):
                if message.date < (box.date or 0):
                    return MessageId(message.id)
        return MessageId(0)

    # ── what was there before ──

    async def run(self) -> None:
        """Read again what is wanted, whatever is in the way. Raises `LoggedOut`."""
        while True:
            self._news.clear()
            while self._wanted:
                _, box = self._wanted.popitem()
                self._reading = True
                for chat in self._chats_in(box):
                    await self._read_flows_again(chat, box)
                self._reading = False
                if box.id not in self._wanted:  # else something was missed again meanwhile
                    box.again = False
                    self._queue.feed(Reached(box.cursor()), {}, {})
            await self._news.wait()

    async def _read_flows_again(self, chat: ChatId, box: Box) -> None:
        since = await self._patiently(lambda: self._live_since(chat), box)
        before: MessageId | None = None
        while True:
            step = partial(self._some_again, chat, box, since, before)
            before = await self._patiently(step, box)
            if before is None:
                return
            await self._room()
            await self._sleep(PAUSE)

    async def _some_again(
        self, chat: ChatId, box: Box, since: UnixTime | None, before: MessageId | None
    ) -> MessageId | None:
        """Where it is to go on; None: these were the last."""
        ids = await self._table.recorded(chat, active_since=since, before=before, limit=BATCH)
        await self._feed_again(chat, sorted(ids), box)
        return min(ids, default=None)

    async def _live_since(self, chat: ChatId) -> UnixTime | None:
        """By Telegram's own dates: what was live when we last heard of the chat. None: for ever."""
        ttl = self._ttls.get(chat)
        if ttl is None:
            return None
        last = await self._table.last_activity(chat)
        return live_since(last or UnixTime(0), int(ttl))

    async def _patiently(self, work: Callable[[], Awaitable[T]], box: Box) -> T:
        failures = 0
        while True:
            try:
                return await work()
            except SOMETHING_LATER as exc:
                pause = _pause_after(exc, failures)
                failures += 1
                log.warning(
                    "messages cannot be read again yet",
                    box=box.id,
                    error=str(exc),
                    retry_in=pause,
                )
                await self._sleep(pause)

    async def _feed_again(self, chat: ChatId, ids: Sequence[int], box: Box) -> None:
        """Feed messages that were fed before as edits, those that are gone as deletions.

        Not what an edit was fed of meanwhile: it may be newer than what was read.
        """
        for first in range(0, len(ids), BATCH):
            some = ids[first : first + BATCH]
            with box.changes() as changed:
                found = await self._read(chat, some)
            for message in found.in_order():
                if message.id in changed:
                    continue
                poison = isinstance(message, Poison)
                event = unreadable(chat, message) if poison else as_edited(chat, message)
                self._queue.feed(event, found.users, found.chats)
            gone = sorted(set(some) - found.ids - changed)
            if found.ids:
                self._hidden.discard(chat)
            elif len(gone) >= HIDDEN:
                # Of many none is shown: the history is hidden, rather than all of it deleted.
                self._hidden.add(chat)
            if gone and chat not in self._hidden:
                self._queue.feed(as_deleted(chat, gone), {}, {})

    async def _read(self, chat: ChatId, ids: Sequence[int]) -> ReadMessages:
        """Messages of a channel, or of the account, whose chats share one row of ids."""
        with translated(chat):
            peer = await self._connection.peer(chat) if has_own_box(chat) else None
            return await read(self._connection, peer, ids)


def _pause_after(error: Exception, failures: int) -> float:
    asked = error.after if isinstance(error, RetryLater) else None
    return doubled(RETRY, RETRY_AT_MOST, failures) if asked is None else asked.total_seconds()
