"""What becomes of an event: it is recorded, and only then may a cursor pass it.

Events come one at a time and in order. The tables may be slow, locked or full; then intake waits,
and nothing is passed over. Albums are held together on the way, and cursors with them.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import structlog

from bot.errors import DatabaseError, TelegramError
from bot.models import (
    Decision,
    DeletedMessages,
    EditedMessage,
    Failure,
    IncomingMessage,
    MessageRef,
    MigratedChat,
    Outcome,
    Reached,
    Reason,
    UnixTime,
    UnreadableMessage,
    is_basic_group,
)
from bot.operator.wording import excerpt
from bot.storage import failures

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
    from collections.abc import Set as AbstractSet
    from datetime import timedelta

    from sqlalchemy import Connection

    from bot.handlers.edit_handler import EditHandler
    from bot.intake import Intake
    from bot.models import AuthorId, ChatId, Cursor, Event, MessageId, Route

log = structlog.get_logger(__name__)

HAS_FAILED: Final = Decision(Outcome.IGNORED, Reason.FAILED)

T = TypeVar("T")

TABLE_RETRY, TABLE_RETRY_AT_MOST = 1.0, 30.0  # seconds
TRIES: Final = 5  # of an event that fails by itself
ERROR_MAX: Final = 200  # characters of an error that are kept
DELETIONS_NAMED: Final = 100  # of one event, where it fails
ALBUM_SILENCE: Final = 0.3  # seconds after a part of an album
BOOKMARKS_EVERY: Final = 1.0  # seconds


class Table(Protocol):
    async def move_cursors(self, reached: Iterable[Cursor]) -> None: ...

    async def move_chat(self, old: ChatId, new: ChatId) -> None: ...

    async def add_unreadable(self, message: UnreadableMessage) -> Decision: ...

    async def change(self, work: Callable[[Connection], T]) -> T: ...


class Meter(Protocol):
    """Told of what is heard and decided."""

    def heard(self) -> None: ...

    def decided(self, decision: Decision, seconds: float) -> None: ...


class Hearing:
    """`ours` are the authors of what comes back to us and is no news. `wake` is called when there may
    be something new to post, `begin_anew` when a chat of ours has become another one, `failed` when
    something could not be dealt with and was recorded as such, `unreadable` when something was
    passed over. `pause` is seconds before the second try of an event, and `clock` unix seconds.
    `more_to_come`: further events are known to follow. Once `stopping` is set nothing more is
    heard: it comes again at the next start.
    """

    def __init__(
        self,
        table: Table,
        intake: Intake,
        edits: EditHandler,
        *,
        route: Route,
        wake: Callable[[], None],
        begin_anew: Callable[[], None],
        stopping: asyncio.Event,
        meter: Meter,
        more_to_come: Callable[[], bool] = lambda: False,
        failed: Callable[[Failure], None] = lambda _failure: None,
        unreadable: Callable[[UnreadableMessage], None] = lambda _message: None,
        pause: float = TABLE_RETRY,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._pause = pause
        self._failed = failed
        self._failures: set[MessageRef] = set()  # recorded ones that may be dealt with after all
        self._clock = clock
        self._unreadable = unreadable
        self._table = table
        self._intake = intake
        self._edits = edits
        self._source = route.source
        self._targets = frozenset(route.targets)
        before = (old for old, new in route.moved.items() if new == route.source)
        self._basic_groups = [chat for chat in (route.source, *before) if is_basic_group(chat)]
        # A person who is a target may be an author as well.
        self.ours: set[AuthorId | ChatId] = {target for target in self._targets if target < 0}
        self._wake = wake
        self._begin_anew = begin_anew
        self._stopping = stopping
        self._meter = meter
        self.bookmarks = Bookmarks(table, sleep=sleep)
        self._albums = Albums(
            self._take, self.bookmarks.move, more_to_come=more_to_come, sleep=sleep
        )

    async def hear(self, event: Event) -> None:
        """Deal with one event; when this returns, the tables hold what there was to hold."""
        if self._stopping.is_set():
            self.bookmarks.freeze()
            return
        if isinstance(event, Reached):
            await self._albums.reached(event.cursor)
            return
        self._meter.heard()
        match event:
            case IncomingMessage() if self._is_heard(event):
                await self._albums.hear(event)
            case EditedMessage(message) if self._is_heard(message):
                await self._albums.finish_before({message.id})
                await self._record(
                    lambda: self._edits.edited(message), _concerning("an edit", [message])
                )
                self._wake()
            case DeletedMessages(chat_id, ids) if chat_id in {None, self._source}:
                await self._albums.finish_before(set(ids))
                await self._delete(event)
            case UnreadableMessage():
                await self._pass_over(event)
            case MigratedChat(old, new) if old in {self._source, *self._targets}:
                await self._albums.finish()
                await self._record(lambda: self.move(old, new))
            case _:
                pass

    async def move(self, old: ChatId, new: ChatId) -> None:
        """A chat of ours has become another one."""
        await self._table.move_chat(old, new)
        log.warning("a group has become a supergroup", old=old, new=new)
        self._begin_anew()

    async def close(self) -> None:
        """Let go of what is held: no cursor has passed it, so it comes again."""
        self._albums.forget()
        await self.bookmarks.close()

    def _is_heard(self, message: IncomingMessage) -> bool:
        """What a target's link to the source brings back is no news."""
        return message.chat_id == self._source and message.author not in self.ours

    async def _delete(self, event: DeletedMessages) -> None:
        # Of basic groups the ids alone are told, and no chat; no other chat shares them.
        chats = self._basic_groups if event.chat_id is None else [event.chat_id]
        for chat in chats:
            gone = self._concerning_deleted(chat, event.ids)
            await self._record(partial(self._edits.deleted, chat, event.ids), gone)
        self._wake()

    async def _pass_over(self, message: UnreadableMessage) -> None:
        """Of whatever chat: in the account's box another's message stood in the way of the source."""
        began = time.perf_counter()
        decision = await self._record(lambda: self._table.add_unreadable(message))
        if decision is None:
            return
        self._meter.decided(decision, time.perf_counter() - began)
        if decision.reason is Reason.UNREADABLE:
            log.warning(
                "a message cannot be read",
                chat_id=message.chat_id,
                message_id=message.id,
                error=message.error,
            )
            if decision.outcome is not Outcome.DUPLICATE:
                self._unreadable(message)
                return
            ref, at = MessageRef(message.chat_id, message.id), message.at or int(self._clock())
            edit = f"its edit cannot be read: {message.error}"
            await self._note([Failure(ref, None, UnixTime(at), edit)])

    async def _take(self, messages: Sequence[IncomingMessage]) -> None:
        began = time.perf_counter()
        concerning = _concerning("a message", messages)
        decisions = await self._record(lambda: self._decide(messages), concerning) or ()
        for decision in decisions:
            self._meter.decided(decision, time.perf_counter() - began)
        await self._keep_answers(messages, decisions)
        # One that comes again may have been edited meanwhile.
        if any(each.accepted or each.outcome is Outcome.DUPLICATE for each in decisions):
            self._wake()

    async def _decide(self, messages: Sequence[IncomingMessage]) -> Sequence[Decision]:
        if messages[0].album_id is None:
            decisions = [await self._intake.handle(messages[0])]
        else:
            decisions = await self._intake.handle_album(messages)
        for message, decision in zip(messages, decisions, strict=True):
            if decision.outcome is Outcome.DUPLICATE:
                # It comes again, and a difference shows a message as it was edited last.
                await self._edits.edited(message)
        return decisions

    async def _record(
        self, work: Callable[[], Awaitable[T]], concerning: Sequence[Failure] = ()
    ) -> T | None:
        """None: it was not done. If that is for now only, no cursor passes it; else it is recorded
        as what `concerning` says.
        """
        try:
            result = await patiently(work, self._stopping, pause=self._pause)
        except NotRecorded:
            self.bookmarks.freeze()
            return None
        except GivenUp as exc:
            await self._give_up(concerning, exc)
            return None
        await self._settle({each.ref for each in concerning} & self._failures)
        return result

    # ── what could not be dealt with ──

    def expect(self, ref: MessageRef) -> None:
        """It is recorded as a failure, and the record goes once it was dealt with after all."""
        self._failures.add(ref)

    async def _keep_answers(
        self, messages: Sequence[IncomingMessage], decisions: Sequence[Decision]
    ) -> None:
        """What answers a failure belongs to no flow yet, and does once that is made good."""
        lost = [
            message
            for message, decision in zip(messages, decisions, strict=False)
            if decision.reason is Reason.UNKNOWN_PARENT and message.reply_to in self._failures
        ]
        for message in lost:
            log.warning("what a message answers could not be dealt with", message_id=message.id)
            await self._note(_concerning("it answers what could not be dealt with", [message]))

    async def _give_up(self, concerning: Sequence[Failure], exc: GivenUp) -> None:
        await self._note([each._replace(error=f"{each.error}: {exc}") for each in concerning])

    async def _note(self, found: Sequence[Failure]) -> None:
        record = partial(failures.record, failures=found, now=int(self._clock()))
        write = partial(self._table.change, record)
        try:
            await patiently(write, self._stopping, pause=self._pause)
        except NotRecorded:
            self.bookmarks.freeze()
            return
        except GivenUp:
            log.exception("a failure is not recorded", failures=[each.ref for each in found])
        for each in found:
            self._failures.add(each.ref)
            self._meter.decided(HAS_FAILED, 0.0)
            self._failed(each)

    async def _settle(self, refs: Collection[MessageRef]) -> None:
        if not refs:
            return
        try:
            await self._table.change(partial(failures.settle, refs=refs))
        except DatabaseError as exc:
            log.warning("a failure that was made good is not forgotten", error=str(exc))
        else:
            self._failures.difference_update(refs)

    def _concerning_deleted(self, chat: ChatId, ids: Sequence[MessageId]) -> list[Failure]:
        now = UnixTime(int(self._clock()))  # nobody tells when they were written, or by whom
        refs = [MessageRef(chat, each) for each in ids[:DELETIONS_NAMED]]
        return [Failure(ref, None, now, "its deletion") for ref in refs]


def _concerning(what: str, messages: Sequence[IncomingMessage]) -> list[Failure]:
    return [Failure(each.ref, each.author, each.at, what, _in_its_chat(each)) for each in messages]


def _in_its_chat(message: IncomingMessage) -> MessageRef | None:
    """What it answers, if that stands in the same chat."""
    answered = message.reply_to
    return answered if answered is not None and answered.chat_id == message.chat_id else None


class Bookmarks:
    """How far all is recorded, written down now and then.

    What is not written down when the process dies comes again, and is recognised. `every` is
    seconds.
    """

    def __init__(
        self,
        table: Table,
        *,
        every: float = BOOKMARKS_EVERY,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._table = table
        self._every = every
        self._sleep = sleep
        self._reached: dict[ChatId, Cursor] = {}
        self._frozen = False

    def move(self, cursor: Cursor) -> None:
        """All before it is recorded."""
        if not self._frozen:
            self._reached[cursor.box] = cursor

    def freeze(self) -> None:
        """Something was not recorded: nothing moves beyond it."""
        self._frozen = True

    async def run(self) -> None:
        while True:
            await self._sleep(self._every)
            await self._write()

    async def close(self) -> None:
        if not self._frozen:  # else the table is in trouble, and we are not to wait for it
            await self._write()

    async def _write(self) -> None:
        reached, self._reached = self._reached, {}
        if not reached:
            return
        try:
            await self._table.move_cursors(list(reached.values()))
        except DatabaseError as exc:
            log.warning("cursors were not written", error=str(exc))
            self._reached = reached | self._reached


class Albums:
    """Holds the parts of an album back until the next message, or a moment's silence, ends it.

    Telegram sends an album as messages of their own and does not say how many there will be.
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


class NotRecorded(Exception):
    """Told to stop before the tables had taken it: it is to come again."""


class GivenUp(Exception):
    """It fails for a reason of its own, again and again. The text is one line that tells which."""


async def unless(event: asyncio.Event, seconds: float) -> None:
    """Wait, but no longer than until the event."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass


async def patiently(
    work: Callable[[], Awaitable[T]],
    stopping: asyncio.Event,
    *,
    pause: float = TABLE_RETRY,
    rest: Callable[[asyncio.Event, float], Awaitable[None]] = unless,
) -> T:
    """Do it, however long the tables, or Telegram, take to answer. Raises `NotRecorded`, `GivenUp`.

    Tried at least once: what is in hand when the bot is told to stop is still recorded. Given up
    for a reason of its own only, since those behind it must not wait for ever.
    """
    tries = 0
    while True:
        tries += 1
        try:
            return await work()
        except DatabaseError as exc:
            log.warning("table does not answer, intake waits", error=str(exc), retry_in=pause)
        except TelegramError as exc:
            # It was asked about a parent. Without an answer the reply would be decided wrongly.
            pause = max(pause, _wished(exc))
            log.warning("Telegram does not answer, intake waits", error=str(exc), retry_in=pause)
        except Exception as exc:
            log.exception("an event cannot be dealt with", tries=tries)
            if tries == TRIES:
                raise GivenUp(_in_words(exc)) from exc
        await rest(stopping, pause)
        if stopping.is_set():
            log.error("stopped before an event was recorded")
            raise NotRecorded
        pause = min(2 * pause, TABLE_RETRY_AT_MOST)  # Telegram's wish is for once


def _wished(exc: TelegramError) -> float:
    """The seconds that Telegram wants us to wait; 0: it does not say."""
    after: timedelta | None = getattr(exc, "after", None)
    return 0.0 if after is None else after.total_seconds()


def _in_words(exc: Exception) -> str:
    """One line without SQL, whose parameters may be what somebody wrote."""
    said = str(getattr(exc, "orig", None) or exc).encode("utf-8", "replace").decode()
    return excerpt(f"{type(exc).__name__}: {said}", ERROR_MAX)
