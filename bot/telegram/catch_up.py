"""Nothing missed and nothing out of order: Telegram's update boxes.

Every change has a number, its `pts`, and the numbers run without a gap within their box: the
account has one box, every supergroup and channel has its own. A change that is next is fed on, one
that was there before is dropped, and one from further ahead says that something was missed: its box
is *behind*, and the difference is asked for. https://core.telegram.org/api/updates

While a box is behind, what is pushed for it is part of the difference, and only kept. So whatever may
have been lost, in a cut connection, while we were down or in a burst too large, is mended by one
thing, to call the box behind. Where the difference is not given, or leads nowhere, what is pushed and
comes next goes on in the pauses between the questions. Behind all that is fed comes a `Reached`: the cursor
that may be stored once all before it has been dealt with.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from bot.backoff import doubled
from bot.errors import (
    BotError,
    DatabaseError,
    PostRefused,
    RetryLater,
    TargetUnavailable,
)
from bot.models import (
    ChatId,
    Cursor,
    MessageId,
    Reached,
    has_own_box,
)
from bot.telegram.boxes import (
    NOWHERE_AT_ONCE,
    QUEUE_MAX,
    Box,
    Boxes,
    StandsStill,
)
from bot.telegram.differences import Differences
from bot.telegram.reread import RecordTable, Rereading
from bot.telegram.rpc_errors import translated

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
    from datetime import timedelta

    from bot.telegram.boxes import Queue
    from bot.telegram.reread import Connection

log = structlog.get_logger(__name__)

EVERY: Final = 180.0  # seconds; then the difference is asked for without being told to
RETRY, RETRY_AT_MOST = 1.0, 60.0  # seconds, doubled with each failure
BEGUN_AT_ONCE: Final = 8  # chats that are asked where they stand
ROOM_AGAIN: Final = 0.05  # seconds
# Nothing to end the hearing for.
SOMETHING_LATER: Final = (RetryLater, TargetUnavailable, PostRefused, DatabaseError)


class CursorTable(RecordTable, Protocol):
    """How far all was dealt with, and what there is to look at again. Raises `DatabaseError`."""

    async def cursor(self, box: ChatId) -> Cursor | None: ...
    async def move_cursors(self, reached: Iterable[Cursor]) -> None: ...


class Answers(Protocol):
    """Told how what is asked of a box goes; see `Reachability`."""

    def asked(self, box: ChatId) -> None: ...
    def answered(self, box: ChatId) -> None: ...
    def failed(self, box: ChatId, error: BotError, pause: float) -> None: ...


class Unheard:
    """`Answers` that nobody listens to."""

    def asked(self, box: ChatId) -> None: ...
    def answered(self, box: ChatId) -> None: ...
    def failed(self, box: ChatId, error: BotError, pause: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Following:
    """What is to be heard without a gap.

    A chat that is new to the table is followed from now on, one of `from_the_start` from its first
    message.
    """

    table: CursorTable
    chats: Sequence[ChatId]
    from_the_start: Sequence[ChatId] = ()
    every: float = EVERY  # seconds
    # Seconds after which the flows of a chat are released; None, and of a chat not named: never.
    ttls: Mapping[ChatId, float | None] = field(default_factory=dict)


class CatchUp:
    """Feeds every change of the followed chats once and in order, beginning with what was missed.

    `account` is our own id; of chats that are not followed nothing is fed but what is in its box.
    """

    def __init__(
        self,
        connection: Connection,
        queue: Queue,
        following: Following,
        *,
        account: ChatId,
        answers: Answers | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._answers = answers or Unheard()
        self._connection = connection
        self._table = table = following.table
        self._queue = queue
        self._every = following.every
        self._sleep = sleep
        self._chats = tuple(following.chats)
        self._boxes = Boxes(queue, account, self._chats)
        self._from_the_start = frozenset(following.from_the_start)
        self._again = Rereading(
            connection,
            table,
            queue,
            chats=self._chats,
            ttls=following.ttls,
            room=self._room,
            sleep=sleep,
        )
        self._differences = Differences(connection, queue, self._boxes, self._again)
        # What is pushed, and what our own calls are answered.
        self.hear, self.answered = self._boxes.hear, self._boxes.answered
        self._recovering: dict[ChatId, asyncio.Task[None]] = {}
        self.recovered = 0  # gaps, for whoever counts them

    @property
    def current(self) -> bool:
        """Whether all that happened up to now was fed, as far as we were told."""
        return not any(box.behind for box in self._boxes)

    @property
    def rereading(self) -> bool:
        """Whether older messages are still being looked at again."""
        return self._again.under_way

    def more_to_come(self, chat: ChatId | None) -> bool:
        """Whether there is something that waits for the reader, or is to be asked for in that chat; None:
        in any basic group.
        """
        box = self._boxes.account if chat is None else self._boxes.of_chats.get(chat)
        return len(self._queue) > 0 or (box is not None and box.more_to_come)

    def lost(self) -> None:
        """There may be anything that we were not told of: in a new connection, or after hours."""
        for box in self._boxes:
            self._boxes.fall_behind(box)
            if box.rest is not None and not box.patient:
                box.rest.cancel()
                self._rested(box)

    async def read_again(self, chat: ChatId, message_id: MessageId) -> None:
        """Feed the message as it is now, as if it were new, or else that it is gone.

        Raises `TelegramError`.
        """
        await self._again.feed_one(chat, message_id)

    async def follow(self, following: Following) -> None:
        """From now on these chats are followed; those that are followed already notice nothing.

        One that was not begins now, also if it was followed long ago. What cannot be asked now is asked
        again by `run`. Raises `LoggedOut`.
        """
        self._chats = tuple(following.chats)
        self._from_the_start = frozenset(following.from_the_start)
        self._again.follow(self._chats, following.ttls)
        for gone in self._boxes.let_go(self._chats):
            if (recovering := self._recovering.pop(gone.id, None)) is not None:
                recovering.cancel()
        new = [
            each for each in self._chats if has_own_box(each) and each not in self._boxes.of_chats
        ]
        boxes = [Box(chat, anew=True) for chat in new]
        await self._begin_all(boxes, later=SOMETHING_LATER)
        for box in boxes:  # begun before `run` sees them: two who begin one would skip something
            self._boxes.add(box)

    # ── what was missed ──

    async def begin(self) -> None:
        """Find where every box stands: all that comes from now on will be fed by `run`.

        Raises `RetryLater` and `LoggedOut`. A chat that is closed or put off is tried again by `run`.
        """
        later = (TargetUnavailable, PostRefused)
        account, *others = self._boxes
        await self._begin_all([account], later=later)  # the others take its date
        await self._begin_all(others, later=later)

    async def _begin_all(self, boxes: Iterable[Box], *, later: tuple[type[BotError], ...]) -> None:
        """A few at a time. `later`: what is no reason not to begin the others."""
        some = asyncio.Semaphore(BEGUN_AT_ONCE)
        begun = [asyncio.ensure_future(self._begin_or_say(box, some, later)) for box in boxes]
        try:
            await asyncio.gather(*begun)
        finally:
            for each in begun:
                each.cancel()
            await asyncio.gather(*begun, return_exceptions=True)

    async def _begin_or_say(
        self, box: Box, some: asyncio.Semaphore, later: tuple[type[BotError], ...]
    ) -> None:
        try:
            async with some:
                with translated(box.id):
                    await self._begin(box)
        except BotError as exc:
            put_off = box is not self._boxes.account and getattr(exc, "after", None) is not None
            if not (put_off or isinstance(exc, later)):
                raise
            log.warning("chat cannot be read", chat=box.id, error=str(exc))
            self._answers.failed(box.id, exc, 0)

    async def run(self) -> None:
        """Recover whatever falls behind. Raises `LoggedOut`; every other trouble is waited out."""
        beside = [
            asyncio.ensure_future(self._look_now_and_then()),
            asyncio.ensure_future(self._again.run()),
        ]
        for each in beside:
            each.add_done_callback(lambda _: self._boxes.news.set())
        try:
            while True:
                self._boxes.news.clear()
                self._recover_all()
                await self._boxes.news.wait()
                for each in (*beside, *self._recovering.values()):
                    if each.done():
                        each.result()  # what ended it ends the hearing
        finally:
            running = [*beside, *self._recovering.values()]
            for each in running:
                each.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            self._recovering.clear()
            for box in self._boxes:
                if box.rest is not None:
                    box.rest.cancel()

    async def _look_now_and_then(self) -> None:
        """However much or little is heard: silence may be a connection that is dead."""
        while True:
            await self._sleep(self._every)
            self.lost()

    def _recover_all(self) -> None:
        """Every box that is behind; what stands in the way of one is nothing to the others."""
        self._recovering = {box: task for box, task in self._recovering.items() if not task.done()}
        for box in self._boxes:
            if box.behind and box.rest is None and box.id not in self._recovering:
                task = asyncio.ensure_future(self._recover_or_rest(box))
                task.add_done_callback(lambda _: self._boxes.news.set())
                self._recovering[box.id] = task

    async def _recover_or_rest(self, box: Box) -> None:
        try:
            await self._recover(box)
        except SOMETHING_LATER as exc:
            self._let_rest(box, exc)
        else:
            box.failures = 0

    def _let_rest(self, box: Box, exc: BotError) -> None:
        asked: timedelta | None = getattr(exc, "after", None)
        again = isinstance(exc, StandsStill) and box.nowhere > NOWHERE_AT_ONCE
        if isinstance(exc, StandsStill) and exc.final:
            box.failures = 0  # it is not Telegram's answer that lacks
        failures = box.failures
        pause = doubled(RETRY, RETRY_AT_MOST, failures) if asked is None else asked.total_seconds()
        box.failures += 1
        box.patient = asked is not None
        if not again:
            log.warning(
                "updates cannot be asked for yet", box=box.id, error=str(exc), retry_in=pause
            )
        self._answers.failed(box.id, exc, pause)
        box.rest = asyncio.ensure_future(self._rest(box, pause))
        self._boxes.feed_kept(box)

    async def _rest(self, box: Box, seconds: float) -> None:
        await self._sleep(seconds)
        self._rested(box)

    def _rested(self, box: Box) -> None:
        box.rest = None
        self._boxes.news.set()

    async def _recover(self, box: Box) -> None:
        with translated(box.id):
            if box.pts is None:
                await self._begin(box)
            before = box.pts
            while box.behind:
                await self._room()
                box.promised = 0  # what was promised before is in the answer, or was no promise
                await self._ask_once(box)
        self.recovered += box.pts != before

    async def _ask_once(self, box: Box) -> None:
        """Raises `StandsStill`, among others."""
        self._answers.asked(box.id)
        since, limit = box.place, box.limit
        final = await self._differences.ask(box)
        self._queue.feed(Reached(box.cursor()), {}, {})
        try:
            box.answered(since, limit, final=final)
        except StandsStill:
            if final:
                self._answers.answered(box.id)
            raise
        self._answers.answered(box.id)

    async def _begin(self, box: Box) -> None:
        """Where the last run left off, or here and now, which is written down at once."""
        known = None if box.anew else await self._table.cursor(box.id)
        if known is not None:
            box.stands_at(known)
            if box.again:
                self._again.want(box)
            return
        if box.id in self._from_the_start:
            box.pts = 1
        else:
            await self._differences.begin(box)
        await self._table.move_cursors([box.cursor()])

    async def _room(self) -> None:
        """A difference is asked for once most of what came before has been dealt with."""
        while len(self._queue) > QUEUE_MAX // 2:
            await self._sleep(ROOM_AGAIN)
