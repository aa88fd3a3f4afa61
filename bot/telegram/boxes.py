"""Telegram's update boxes: how far each was heard, and what comes next in it. See `catch_up`."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from pyrogram import raw

from bot.errors import RetryLater
from bot.models import CHANNELS, ChatId, Cursor, MessageId, Reached, UnixTime, has_own_box
from bot.phrases import phrase
from bot.telegram.messages import DELETED, EDITED, LARGEST_ID, NEW, people_of
from bot.telegram.parsing import Unreadable
from bot.telegram.reading import as_edited, as_new

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

functions: Final[Any] = raw.functions
types: Final[Any] = raw.types

QUEUE_MAX: Final = 2_000  # updates that wait to be dealt with
SHORT: Final = (types.UpdateShortMessage, types.UpdateShortChatMessage)
# An update that asks for the channel's difference, with or without its pts.
TOO_LONG: Final = types.UpdateChannelTooLong
# Of an empty message it is not told in which.
OF_A_CHANNEL: Final = (types.UpdateNewChannelMessage, types.UpdateEditChannelMessage)
AT_ONCE: Final = 1_000  # updates in one difference
NOWHERE_AT_ONCE: Final = 3  # answers in a row that lead nowhere, without a pause
KEPT_AT_MOST: Final = 500  # updates of a box that are pushed while it is being asked for
A_MOMENT: Final = 3  # failures in a row, after the first of which there are pauses of seconds


class StandsStill(RetryLater):
    """Telegram says that there is more, and shows none of it. `final`: others say so, in between."""

    def __init__(self, *, final: bool) -> None:
        super().__init__(phrase("Telegram says that there is more, and gives nothing of it"))
        self.final = final


@dataclass
class Box:
    """`pts` is what was fed so far; None: not known yet. `promised` is what there is to come."""

    id: ChatId
    pts: int | None = None
    anew: bool = False  # it begins now, whatever is stored of it
    qts: int | None = None
    date: UnixTime | None = None
    message_id: MessageId | None = None  # the newest that was fed
    dealt_with: MessageId | None = None  # the newest that an earlier run dealt with; None: none
    behind: bool = True
    promised: int = 0
    failures: int = 0  # in a row
    nowhere: int = 0  # answers in a row that led nowhere
    rest: asyncio.Task[None] | None = None  # until it is to be asked for again
    patient: bool = False  # the rest is Telegram's wish
    limit: int = AT_ONCE  # changes in one difference; fewer around what cannot be parsed
    # Each is told which messages are edited or deleted, while others are read by their ids.
    watching: list[set[int]] = field(default_factory=list)
    again: bool = False  # what is recorded of it is to be read again
    went_back: bool = False  # its numbers did: they are others than ours
    # What is pushed while it is being asked for: where no answer comes, it may be what comes next.
    kept: list[tuple[Any, ...]] = field(default_factory=list)

    @property
    def is_unanswered(self) -> bool:
        """What is pushed now cannot be fed, and it may be that no answer will tell of it."""
        return self.pts is None or (self.behind and self.rest is None)

    def begins(self, now: int, date: UnixTime | None) -> None:
        """At the number of now; but what was pushed while that was asked for is to be told, too."""
        pushed = [update.pts - update.pts_count for update, _, _ in self.kept]
        self.pts, self.date = min([now, *pushed]), date

    @property
    def more_to_come(self) -> bool:
        """It is being asked for, or will be in a moment. Not after a pause that Telegram has wished for,
        which may last until tomorrow.
        """
        soon = not self.patient and self.failures <= A_MOMENT
        return self.behind and (self.rest is None or soon)

    @property
    def place(self) -> tuple[int | None, int | None]:
        return self.pts, self.qts

    def answered(self, since: tuple[int | None, int | None], limit: int, *, final: bool) -> None:
        """It stood there when it was asked for. Raises `StandsStill` where that leads nowhere.

        Fewer changes at once are a step towards the one that cannot be parsed.
        """
        self.behind = not final or self.promised > (self.pts or 0)
        if not self.behind:
            self.kept.clear()
        if not self.behind or self.place != since or self.limit < limit:
            self.nowhere = 0
            return
        self.nowhere += 1
        if self.nowhere >= NOWHERE_AT_ONCE:
            raise StandsStill(final=final)

    def stands_at(self, cursor: Cursor) -> None:
        _, self.pts, self.qts, self.date, self.message_id, self.again = cursor
        self.dealt_with = self.message_id

    def has_gone_back(self, new: Any) -> bool:
        """An old number for a message that is newer than any before: Telegram has begun to count anew."""
        known = self.pts is not None and self.message_id is not None
        return known and new.pts <= self.pts and new.message.id > self.message_id

    @contextmanager
    def changes(self) -> Iterator[set[int]]:
        """The messages of which an edit or a deletion is fed meanwhile."""
        changed: set[int] = set()
        self.watching.append(changed)
        try:
            yield changed
        finally:
            self.watching = [each for each in self.watching if each is not changed]

    def has_changed(self, ids: Iterable[int]) -> None:
        for changed in self.watching:
            changed.update(ids)

    def saw(self, message: Any) -> None:
        self.message_id = MessageId(max(self.message_id or 0, message.id))

    def cursor(self) -> Cursor:
        """What may be stored: whoever begins there misses nothing."""
        return Cursor(self.id, self.pts or 0, self.qts, self.date, self.message_id, self.again)


class Queue(Protocol):
    """Where updates wait for their one reader."""

    def feed(self, update: Any, users: Mapping[int, Any], chats: Mapping[int, Any]) -> None: ...
    def __len__(self) -> int: ...


class Boxes:
    """The account's box and those of the followed chats. What comes next in one is fed; what is
    further ahead calls it behind, of which `news` tells.
    """

    def __init__(self, queue: Queue, account: ChatId, chats: Iterable[ChatId]) -> None:
        self._queue = queue
        self.account = Box(account)
        self.of_chats = {chat: Box(chat) for chat in chats if has_own_box(chat)}
        self.seq = 0  # of containers; 0: not known
        self.news = asyncio.Event()

    def let_go(self, chats: Collection[ChatId]) -> list[Box]:
        """Of all chats but these. Gives the boxes that were theirs."""
        gone = [self.of_chats.pop(chat) for chat in set(self.of_chats).difference(chats)]
        for box in gone:
            if box.rest is not None:
                box.rest.cancel()
        return gone

    def add(self, box: Box) -> None:
        """Follow another chat. What was missed since the box stood where it does is asked for."""
        self.of_chats[box.id] = box
        self.news.set()

    def __iter__(self) -> Iterator[Box]:
        yield self.account
        yield from self.of_chats.values()

    def hear(self, pushed: Any) -> None:
        """A container as Telegram pushes it, or as it answers a call with one."""
        if isinstance(pushed, Unreadable):
            for box in self:  # whichever it was about
                self.fall_behind(box)
        elif isinstance(pushed, types.UpdatesTooLong):
            self.fall_behind(self.account)
        elif isinstance(pushed, SHORT):
            # It names people that we may never have met. The difference brings them along.
            self.fall_behind(self.account, pushed.pts)
        elif isinstance(pushed, types.UpdateShortSentMessage):
            if self._step(self.account, pushed.pts, pushed.pts_count):
                self.account.saw(pushed)
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
            if not isinstance(answer, Unreadable) or "Updates" in (answer.kind or ""):
                self.hear(answer)
            return
        box = self.account
        if isinstance(query, functions.channels.DeleteMessages):
            found = self.of_chats.get(ChatId(CHANNELS - query.channel.channel_id))
            if found is None:
                return
            box = found
        self._step(box, answer.pts, answer.pts_count)

    def _sort(self, update: Any, users: Mapping[int, Any], chats: Mapping[int, Any]) -> None:
        box = self._of(update)
        if isinstance(update, TOO_LONG):
            if box is not None:
                self.fall_behind(box, getattr(update, "pts", None) or LARGEST_ID)
            return
        pts, count = getattr(update, "pts", None), getattr(update, "pts_count", None)
        if pts is None or count is None:
            self.account.qts = max(self.account.qts or 0, getattr(update, "qts", None) or 0)
            self._queue.feed(update, users, chats)
        elif box is None:
            return
        elif self._step(box, pts, count):
            self._feed_one(box, update, users, chats)
            self._queue.feed(Reached(box.cursor()), {}, {})
        elif isinstance(update, NEW) and box.has_gone_back(update):
            box.went_back = True
            self.fall_behind(box)
        elif box.is_unanswered and len(box.kept) < KEPT_AT_MOST:
            box.kept.append((update, users, chats))

    def feed_kept(self, box: Box) -> None:
        """It is not asked for now. What was pushed meanwhile goes on from where it stands."""
        if box.pts is None:
            return  # it begins with what is kept
        kept, box.kept = box.kept, []
        for update, users, chats in kept:
            self._sort(update, users, chats)

    def _feed_one(
        self, box: Box, update: Any, users: Mapping[int, Any], chats: Mapping[int, Any]
    ) -> None:
        if isinstance(update, NEW):
            box.saw(update.message)
        elif isinstance(update, DELETED):
            box.has_changed(update.messages)
        elif isinstance(update, EDITED):
            box.has_changed([update.message.id])
        self._queue.feed(update, users, chats)

    def _of(self, update: Any) -> Box | None:
        """None: of a chat that is not followed."""
        message = getattr(update, "message", None)
        channel = getattr(getattr(message, "peer_id", None), "channel_id", None)
        channel = channel or getattr(update, "channel_id", None)
        if channel is None:
            return None if isinstance(update, OF_A_CHANNEL) else self.account
        return self.of_chats.get(ChatId(CHANNELS - channel))

    def _step(self, box: Box, pts: int, count: int) -> bool:
        """Whether this is what comes next in the box; then it has moved on."""
        if box.pts is None or box.is_unanswered:
            box.promised = max(box.promised, pts)
            return False
        if pts - count > box.pts or len(self._queue) > QUEUE_MAX:
            self.fall_behind(box, pts)
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
        if self.seq and first > self.seq + 1:
            self.fall_behind(self.account)
        self.seq = max(self.seq, last)

    def fall_behind(self, box: Box, promised: int = LARGEST_ID) -> None:
        """Without a number there is no telling whether an answer on its way holds it: ask again."""
        box.promised = max(box.promised, promised)
        if not box.behind:
            box.behind = True
            self.news.set()

    def feed(self, box: Box, difference: Any) -> None:
        """Edits of older messages first: one may have made a signal of what the new ones answer.

        Behind each message comes a cursor. What an earlier run has dealt with before it was cut short is not
        new any more: chatter leaves no record, and is not to be judged by what stands in the chat by now.
        """
        users, chats = people_of(difference)
        messages = sorted(difference.new_messages, key=lambda message: message.id)
        new = [
            (as_new if message.id > (box.dealt_with or 0) else as_edited)(box.id, message)
            for message in messages
        ]
        ids = {message.id for message in messages}
        edits: list[Any] = []
        others: list[Any] = []
        for update in difference.other_updates:
            older = isinstance(update, EDITED) and update.message.id not in ids
            (edits if older else others).append(update)
        for update in (*edits, *new, *others):
            if self._of(update) is not box or isinstance(update, TOO_LONG):
                self._sort(update, users, chats)  # a channel's, in the account's difference
                continue
            self._feed_one(box, update, users, chats)
            if isinstance(update, NEW):
                self._queue.feed(Reached(box.cursor()), {}, {})
