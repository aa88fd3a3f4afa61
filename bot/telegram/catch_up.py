"""Nothing missed and nothing out of order: Telegram's update boxes.

Every change has a number, its `pts`, and the numbers run without a gap within their box: the
account has one box, every supergroup and channel has its own. A change that is next is fed on, one
that was there before is dropped, and one from further ahead says that something was missed: its box
is *behind*, and the difference is asked for. https://core.telegram.org/api/updates

While a box is behind, what is pushed for it is only counted: it is part of the difference. So
whatever may have been lost, in a cut connection, while we were down or in a burst too large, is
mended by one thing, to call the box behind. Behind all that is fed comes a `Reached`: the cursor
that may be stored once all before it has been dealt with.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import structlog
from pyrogram import raw
from pyrogram.errors.rpc_error import RPCError

from bot.errors import BotError, DatabaseError, PostRefused, RetryLater, TargetUnavailable
from bot.models import (
    CHANNELS,
    ChatId,
    Cursor,
    MessageId,
    Reached,
    UnixTime,
    has_own_box,
    is_basic_group,
)
from bot.telegram.messages import EDITED, LARGEST_ID, NEW, build, people_of
from bot.telegram.sender import input_channel, reading, said, translated

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
    from datetime import timedelta

log = structlog.get_logger(__name__)

functions: Final[Any] = raw.functions
types: Final[Any] = raw.types

EVERY: Final = 180.0  # seconds; then the difference is asked for without being told to
RETRY, RETRY_AT_MOST = 1.0, 60.0  # seconds, doubled with each failure
AT_ONCE: Final = 1_000  # updates in one difference
BATCH: Final = 100  # messages in one call
QUEUE_MAX: Final = 2_000  # updates that wait to be dealt with
ROOM_AGAIN: Final = 0.05  # seconds
GONE_IN_A_ROW: Final = 1_000  # ids; so many messages deleted in one go are hardly ever seen
# Messages that are looked at again where Telegram does not say what has changed: those that are
# recorded, and the newest ones, since an edit may make a signal of them.
RECORDED_AGAIN, NEWEST_AGAIN = 1_000, 200
HIDDEN: Final = 50  # messages at once

SHORT: Final = (types.UpdateShortMessage, types.UpdateShortChatMessage)
# An update that asks for the channel's difference, with or without its pts.
TOO_LONG: Final = types.UpdateChannelTooLong
# Nothing to end the hearing for.
SOMETHING_LATER: Final = (RetryLater, TargetUnavailable, PostRefused, DatabaseError)
# What we keep is not a number of this box, whatever we believed.
NO_CURSOR: Final = frozenset({"PERSISTENT_TIMESTAMP_EMPTY", "PERSISTENT_TIMESTAMP_INVALID"})


class Connection(Protocol):
    """A logged in client that keeps the peers it meets. Raises the library's own errors."""

    async def call(self, query: Any) -> Any: ...
    async def peer(self, chat_id: ChatId) -> Any: ...


class CursorTable(Protocol):
    """How far all was dealt with, and what there is to look at again. Raises `DatabaseError`."""

    async def cursor(self, box: ChatId) -> Cursor | None: ...
    async def move_cursors(self, reached: Iterable[Cursor]) -> None: ...
    async def recorded(self, chat_id: ChatId, *, limit: int) -> Sequence[MessageId]: ...


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


class Queue(Protocol):
    """Where updates wait for their one reader."""

    def feed(self, update: Any, users: Mapping[int, Any], chats: Mapping[int, Any]) -> None: ...
    def __len__(self) -> int: ...


@dataclass
class Box:
    """`pts` is what was fed so far; None: not known yet. `promised` is what there is to come."""

    id: ChatId
    pts: int | None = None
    qts: int | None = None
    date: UnixTime | None = None
    message_id: MessageId | None = None  # the newest that was fed
    behind: bool = True
    promised: int = 0
    failures: int = 0  # in a row
    rest: asyncio.Task[None] | None = None  # until it is to be asked for again
    patient: bool = False  # the rest is Telegram's wish

    @property
    def resting(self) -> bool:
        """Telegram has said when to ask again, and that may be tomorrow."""
        return self.rest is not None and self.patient

    def stands_at(self, cursor: Cursor) -> None:
        _, self.pts, self.qts, self.date, self.message_id = cursor

    def saw(self, message: Any) -> None:
        self.message_id = MessageId(max(self.message_id or 0, message.id))

    def cursor(self) -> Cursor:
        return Cursor(self.id, self.pts or 0, self.qts, self.date, self.message_id)


class CatchUp:
    """Feeds every change of the followed chats once and in order, beginning with what was missed.

    `account` is our own id, `chats` are the followed ones; of others nothing is fed but what is in
    the account's own box. A chat that is new to the table is followed from now on, one of
    `from_the_start` from its first message. `every` is seconds.
    """

    def __init__(
        self,
        connection: Connection,
        table: CursorTable,
        queue: Queue,
        *,
        account: ChatId,
        chats: Iterable[ChatId],
        from_the_start: Iterable[ChatId] = (),
        answers: Answers | None = None,
        every: float = EVERY,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._answers = answers or Unheard()
        self._connection = connection
        self._table = table
        self._queue = queue
        self._every = every
        self._sleep = sleep
        self._account = Box(account)
        self._chats = tuple(chats)
        self._boxes = {chat: Box(chat) for chat in self._chats if has_own_box(chat)}
        self._from_the_start = frozenset(from_the_start)
        self._seq = 0  # of containers; 0: not known
        self._news = asyncio.Event()
        self.recovered = 0  # gaps, for whoever counts them

    @property
    def current(self) -> bool:
        """Whether all that happened up to now was fed, as far as we were told."""
        return not any(box.behind for box in (self._account, *self._boxes.values()))

    @property
    def more_to_come(self) -> bool:
        """Whether there is something that waits for the reader, or that is still to be asked for.

        The account's box counts only where a followed chat is in it.
        """
        boxes = list(self._boxes.values())
        if any(map(is_basic_group, self._chats)):
            boxes.append(self._account)
        return len(self._queue) > 0 or any(box.behind and not box.resting for box in boxes)

    # ── what is pushed ──

    def hear(self, pushed: Any) -> None:
        """A container as Telegram pushes it, or as it answers a call with one."""
        if isinstance(pushed, types.UpdatesTooLong):
            self._fall_behind(self._account)
        elif isinstance(pushed, SHORT):
            # It names people that we may never have met. The difference brings them along.
            self._fall_behind(self._account, pushed.pts)
        elif isinstance(pushed, types.UpdateShortSentMessage):
            self._step(self._account, pushed.pts, pushed.pts_count)
        elif isinstance(pushed, types.UpdateShort):
            self._sort(pushed.update, {}, {})
        elif isinstance(pushed, (types.Updates, types.UpdatesCombined)):
            users, chats = people_of(pushed)
            for update in pushed.updates:
                self._sort(update, users, chats)
            self._count(pushed)

    def answered(self, query: Any, answer: Any) -> None:
        """What we do ourselves advances boxes too, and is told in the answer alone."""
        if not isinstance(answer, types.messages.AffectedMessages):
            self.hear(answer)
            return
        box = self._account
        if isinstance(query, functions.channels.DeleteMessages):
            found = self._boxes.get(ChatId(CHANNELS - query.channel.channel_id))
            if found is None:
                return
            box = found
        self._step(box, answer.pts, answer.pts_count)

    def lost(self) -> None:
        """There may be anything that we were not told of: in a new connection, or after hours."""
        for box in (self._account, *self._boxes.values()):
            self._fall_behind(box)
            if box.rest is not None and not box.patient:
                box.rest.cancel()
                self._rested(box)

    def _sort(self, update: Any, users: Mapping[int, Any], chats: Mapping[int, Any]) -> None:
        box = self._box_of(update)
        if isinstance(update, TOO_LONG):
            if box is not None:
                self._fall_behind(box, getattr(update, "pts", None) or LARGEST_ID)
            return
        pts, count = getattr(update, "pts", None), getattr(update, "pts_count", None)
        if pts is None or count is None:
            self._account.qts = max(self._account.qts or 0, getattr(update, "qts", None) or 0)
            self._queue.feed(update, users, chats)
        elif box is not None and self._step(box, pts, count):
            if isinstance(update, NEW):
                box.saw(update.message)
            self._queue.feed(update, users, chats)
            self._queue.feed(Reached(box.cursor()), {}, {})

    def _box_of(self, update: Any) -> Box | None:
        """None: of a chat that is not followed."""
        message = getattr(update, "message", None)
        channel = getattr(getattr(message, "peer_id", None), "channel_id", None)
        channel = channel or getattr(update, "channel_id", None)
        if channel is None:
            return self._account
        return self._boxes.get(ChatId(CHANNELS - channel))

    def _step(self, box: Box, pts: int, count: int) -> bool:
        """Whether this is what comes next in the box; then it has moved on."""
        if (box.behind and not box.resting) or box.pts is None:
            box.promised = max(box.promised, pts)
            return False
        if pts - count > box.pts or len(self._queue) > QUEUE_MAX:
            self._fall_behind(box, pts)
            return False
        if pts - count < box.pts:
            return False
        box.pts = pts
        return True

    def _count(self, container: Any) -> None:
        """https://core.telegram.org/api/updates#update-sequence: 0 is an unordered container."""
        last = getattr(container, "seq", 0)
        first = getattr(container, "seq_start", last)
        if not last:
            return
        if self._seq and first > self._seq + 1:
            self._fall_behind(self._account)
        self._seq = max(self._seq, last)

    def _fall_behind(self, box: Box, promised: int = LARGEST_ID) -> None:
        """Without a number there is no telling whether an answer on its way holds it: ask again."""
        box.promised = max(box.promised, promised)
        if not box.behind:
            box.behind = True
            self._news.set()

    async def read_again(self, chat: ChatId, message_id: MessageId) -> None:
        """Feed the message as it is now, as if it were new, or else that it is gone.

        Raises `TelegramError`.
        """
        with translated(chat):
            found = await self._read(chat, [message_id])
        for message in found.messages:
            self._queue.feed(_new(chat, message), found.users, found.chats)
        if not found.messages:
            self._queue.feed(_deleted(chat, [message_id]), {}, {})

    # ── what was missed ──

    async def begin(self) -> None:
        """Find where every box stands: all that comes from now on will be fed by `run`.

        Raises `RetryLater` and `LoggedOut`. A chat that is closed to us is tried again by `run`.
        """
        for box in (self._account, *self._boxes.values()):
            try:
                with translated(box.id):
                    await self._begin(box)
            except (TargetUnavailable, PostRefused) as exc:
                log.warning("chat cannot be read", chat=box.id, error=str(exc))
                self._answers.failed(box.id, exc, 0)

    async def run(self) -> None:
        """Recover whatever falls behind. Raises `LoggedOut`; every other trouble is waited out."""
        by_the_clock = asyncio.ensure_future(self._look_now_and_then())
        try:
            while True:
                self._news.clear()
                await self._recover_all()
                await self._news.wait()
        finally:
            by_the_clock.cancel()
            for box in (self._account, *self._boxes.values()):
                if box.rest is not None:
                    box.rest.cancel()

    async def _look_now_and_then(self) -> None:
        """However much or little is heard: silence may be a connection that is dead."""
        while True:
            await self._sleep(self._every)
            self.lost()

    async def _recover_all(self) -> None:
        """Every box that is behind; what stands in the way of one is nothing to the others."""
        for box in (self._account, *self._boxes.values()):
            if box.behind and box.rest is None:
                try:
                    await self._recover(box)
                except SOMETHING_LATER as exc:
                    self._let_rest(box, exc)
                else:
                    box.failures = 0

    def _let_rest(self, box: Box, exc: BotError) -> None:
        asked: timedelta | None = getattr(exc, "after", None)
        doubled = min(RETRY * 2 ** min(box.failures, 20), RETRY_AT_MOST)
        pause = doubled if asked is None else asked.total_seconds()
        box.failures += 1
        box.patient = asked is not None
        log.warning("updates cannot be asked for yet", box=box.id, error=str(exc), retry_in=pause)
        self._answers.failed(box.id, exc, pause)
        box.rest = asyncio.ensure_future(self._rest(box, pause))

    async def _rest(self, box: Box, seconds: float) -> None:
        await self._sleep(seconds)
        self._rested(box)

    def _rested(self, box: Box) -> None:
        box.rest = None
        self._news.set()

    async def _recover(self, box: Box) -> None:
        with translated(box.id):
            if box.pts is None:
                await self._begin(box)
            before = box.pts
            while box.behind:
                await self._room()
                box.promised = 0  # what was promised before is in the answer, or was no promise
                self._answers.asked(box.id)
                final = await self._ask(box)
                self._answers.answered(box.id)
                self._queue.feed(Reached(box.cursor()), {}, {})
                box.behind = not final or box.promised > (box.pts or 0)
        self.recovered += box.pts != before

    async def _ask(self, box: Box) -> bool:
        """One difference; whether it is the last for now."""
        if box is self._account:
            return await self._account_difference(box)
        return await self._channel_difference(box)

    async def _begin(self, box: Box) -> None:
        """Where the last run left off, or here and now, which is written down at once."""
        known = await self._table.cursor(box.id)
        if known is not None:
            box.stands_at(known)
            return
        if box is self._account:
            self._take_state(box, await self._connection.call(functions.updates.GetState()))
        elif box.id in self._from_the_start:
            box.pts = 1
        else:
            box.pts, box.date = await self._pts_now(box), self._account.date
        await self._table.move_cursors([box.cursor()])

    async def _pts_now(self, box: Box) -> int:
        channel = input_channel(await self._connection.peer(box.id))
        answer = await self._connection.call(functions.channels.GetFullChannel(channel=channel))
        pts: int = answer.full_chat.pts
        return pts

    async def _room(self) -> None:
        """A difference is asked for once most of what came before has been dealt with."""
        while len(self._queue) > QUEUE_MAX // 2:
            await self._sleep(ROOM_AGAIN)

    # ── a channel ──

    async def _channel_difference(self, box: Box) -> bool:
        query = functions.updates.GetChannelDifference(
            channel=input_channel(await self._connection.peer(box.id)),
            filter=types.ChannelMessagesFilterEmpty(),
            pts=box.pts,
            limit=AT_ONCE,
            force=False,
        )
        try:
            answer = await self._connection.call(query)
        except RPCError as exc:
            if said(exc)[1] not in NO_CURSOR:
                raise
            pts = await self._pts_now(box)
            await self._look_at_messages(box, newest=None)
            box.pts = pts
            return False
        if isinstance(answer, types.updates.ChannelDifferenceTooLong):
            await self._look_at_messages(box, newest=MessageId(answer.dialog.top_message))
            box.pts = answer.dialog.pts
            return bool(answer.final)
        if isinstance(answer, types.updates.ChannelDifference):
            self._feed(box, answer)
        box.pts = answer.pts
        return bool(answer.final)

    # ── the account ──

    async def _account_difference(self, box: Box) -> bool:
        query = build(
            functions.updates.GetDifference, pts=box.pts, date=box.date or 0, qts=box.qts or 0
        )
        try:
            answer = await self._connection.call(query)
        except RPCError as exc:
            if said(exc)[1] not in NO_CURSOR:
                raise
            state = await self._connection.call(functions.updates.GetState())
            await self._look_at_messages(box, newest=None)
            self._take_state(box, state)
            return False
        if isinstance(answer, types.updates.DifferenceEmpty):
            box.date, self._seq = UnixTime(answer.date), answer.seq
            return True
        if isinstance(answer, types.updates.DifferenceTooLong):
            await self._look_at_messages(box, newest=None)
            box.pts = answer.pts
            return False
        self._feed(box, answer)
        final = isinstance(answer, types.updates.Difference)
        self._take_state(box, answer.state if final else answer.intermediate_state)
        return final

    def _take_state(self, box: Box, state: Any) -> None:
        box.pts, box.qts, box.date = state.pts, state.qts, UnixTime(state.date)
        self._seq = state.seq

    def _feed(self, box: Box, difference: Any) -> None:
        """Edits of older messages first: one may have made a signal of what the new ones answer."""
        users, chats = people_of(difference)
        messages = sorted(difference.new_messages, key=lambda message: message.id)
        new = [_new(box.id, message) for message in messages]
        ids = {message.id for message in messages}
        edits: list[Any] = []
        others: list[Any] = []
        for update in difference.other_updates:
            older = isinstance(update, EDITED) and update.message.id not in ids
            (edits if older else others).append(update)
        for update in (*edits, *new, *others):
            if self._box_of(update) is not box or isinstance(update, TOO_LONG):
                self._sort(update, users, chats)  # a channel's, in the account's difference
                continue
            if isinstance(update, NEW):
                box.saw(update.message)
            self._queue.feed(update, users, chats)

    # ── where no difference helps ──

    async def _look_at_messages(self, box: Box, *, newest: MessageId | None) -> None:
        """What is recorded, as it is now, and all that came since; `newest` None: not told.

        Bots may read messages by id. Without the newest id, `GONE_IN_A_ROW` ids without a message
        are the end. Basic groups have no box: their messages are read as the account's.
        """
        log.warning("too far behind, looking at messages one by one", box=box.id)
        basic_groups = [chat for chat in self._chats if is_basic_group(chat)]
        for chat in basic_groups if box is self._account else [box.id]:
            await self._look_again(chat, box.message_id or 0)
        last, since = box.message_id, 0
        if last is None:  # none was seen yet, so it begins with when we began to follow
            since = box.date or 0
            last = await (
                self._last_before(box, newest) if newest else self._last_found_before(box)
            )
        gone = 0
        while gone < GONE_IN_A_ROW and (newest is None or last < newest):
            ids = range(last + 1, min(last + BATCH, newest or LARGEST_ID) + 1)
            found = await self._read(box.id, ids)
            for message in found.messages:
                if message.date >= since:
                    self._queue.feed(_new(box.id, message), found.users, found.chats)
            last = MessageId(ids[-1])
            gone = gone + BATCH if newest is None and not found.messages else 0
            if newest is not None or found.messages:
                box.message_id = last if newest else MessageId(found.messages[-1].id)
                # The box is where it was, but these need not be asked for again.
                self._queue.feed(Reached(box.cursor()), {}, {})
            await self._room()

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

    async def _look_again(self, chat: ChatId, newest: int) -> None:
        """Feed messages that were fed before as edits, those that are gone as deletions."""
        recorded = await self._table.recorded(chat, limit=RECORDED_AGAIN)
        again = sorted({*recorded, *range(max(1, newest - NEWEST_AGAIN), newest + 1)})
        for first in range(0, len(again), BATCH):
            ids = again[first : first + BATCH]
            found = await self._read(chat, ids)
            for message in found.messages:
                self._queue.feed(_edited(chat, message), found.users, found.chats)
            gone = sorted(set(ids) - {message.id for message in found.messages})
            # Of many none is shown: the history is hidden from us, rather than all of it deleted.
            if gone and (found.messages or len(gone) < HIDDEN):
                self._queue.feed(_deleted(chat, gone), {}, {})

    async def _read(self, chat: ChatId, ids: Sequence[int]) -> Messages:
        """Messages of a channel, or of the account, whose chats share one row of ids."""
        peer = await self._connection.peer(chat) if has_own_box(chat) else None
        answer = await self._connection.call(reading(peer, ids))
        there = [each for each in answer.messages if not isinstance(each, types.MessageEmpty)]
        return Messages(sorted(there, key=lambda message: message.id), *people_of(answer))


class Messages(NamedTuple):
    """Raw messages, the oldest first, and who and what they name."""

    messages: list[Any]
    users: Mapping[int, Any]
    chats: Mapping[int, Any]


# An update that was made here counts nothing.
UNCOUNTED: Final = {"pts": 0, "pts_count": 0}


def _new(box: ChatId, message: Any) -> Any:
    wrap = types.UpdateNewChannelMessage if has_own_box(box) else types.UpdateNewMessage
    return wrap(message=message, **UNCOUNTED)


def _edited(box: ChatId, message: Any) -> Any:
    wrap = types.UpdateEditChannelMessage if has_own_box(box) else types.UpdateEditMessage
    return wrap(message=message, **UNCOUNTED)


def _deleted(box: ChatId, ids: Sequence[int]) -> Any:
    if not has_own_box(box):
        return types.UpdateDeleteMessages(messages=list(ids), **UNCOUNTED)
    channel = types.UpdateDeleteChannelMessages
    return channel(channel_id=CHANNELS - box, messages=list(ids), **UNCOUNTED)
