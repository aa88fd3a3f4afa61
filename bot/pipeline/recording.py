"""What happens is put through the door, and it is seen that it comes to be recorded.

The tables may be slow, locked or full; then whoever brings an event waits, and nothing is passed
over. What fails for a reason of its own is recorded as a failure, and those behind it go on.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import structlog

from bot.errors import DatabaseError, words_of
from bot.faults import named
from bot.models import Decision, Failure, MessageRef, Outcome, Reason, UnixTime
from bot.phrases import later, phrase
from bot.pipeline.patience import GivenUp, NotRecorded, Pace, patiently
from bot.storage import failures

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Collection, Sequence

    from sqlalchemy import Connection

    from bot.models import ChatId, Cursor, IncomingMessage, MessageId, UnreadableMessage

log = structlog.get_logger(__name__)

T = TypeVar("T")

HAS_FAILED: Final = Decision(Outcome.IGNORED, Reason.FAILED)
A_MESSAGE, AN_EDIT, A_DELETION = later("a message"), later("an edit"), later("its deletion")
AN_ANSWER: Final = later("it answers what could not be dealt with")
DELETIONS_NAMED: Final = 100  # of one event, where it fails


class RecordTable(Protocol):
    def reached(self, cursor: Cursor) -> None: ...

    async def add_unreadable(self, message: UnreadableMessage) -> Decision: ...

    async def change(self, work: Callable[[Connection], T]) -> T: ...


class Door(Protocol):
    """See `Intake`."""

    async def take(self, messages: Sequence[IncomingMessage]) -> Sequence[Decision]: ...

    async def edited(self, message: IncomingMessage) -> Decision | None: ...

    async def deleted(self, chat_id: ChatId, ids: Sequence[MessageId]) -> int: ...


class Wake(Protocol):
    def __call__(self, *, new_only: bool = False) -> None: ...


class Meter(Protocol):
    """Told of what is decided, and how many seconds that took."""

    def decided(
        self, decision: Decision, seconds: float, chat: ChatId, topic: int | None = None
    ) -> None:
        """`topic` None: that is not known."""


@dataclass(frozen=True, slots=True)
class Listeners:
    """Told of what follows from events.

    `wake` when there may be something to post (`new_only`: and nothing to change), `begin_anew` when a chat of ours has become
    another one, `failed` when something could not be dealt with and was recorded as such,
    `unreadable` when something was passed over.
    """

    wake: Wake
    begin_anew: Callable[[], None]
    failed: Callable[[Failure], None] = lambda _failure: None
    unreadable: Callable[[UnreadableMessage], None] = lambda _message: None


class Recorder:
    """Each returns once the tables hold what there was to hold, or, `stopping` set, without that:
    then no cursor moves any more, and it comes again. `known` are failures that are recorded: the
    record goes once such a one was dealt with after all.
    """

    def __init__(
        self,
        table: RecordTable,
        door: Door,
        *,
        known: set[MessageRef],
        stopping: asyncio.Event,
        listeners: Listeners,
        meter: Meter,
        pace: Pace,
    ) -> None:
        self._table = table
        self._door = door
        self._stopping = stopping
        self._listeners = listeners
        self._meter = meter
        self._pace = pace
        self._failures = known
        self._frozen = False

    async def take(self, messages: Sequence[IncomingMessage]) -> None:
        """One message, or the parts of one album."""
        began = time.perf_counter()
        concerning = partial(_concerning, A_MESSAGE, messages)
        decisions = await self.record(lambda: self._door.take(messages), concerning) or ()
        where = messages[0].chat_id, messages[0].topic
        for decision in decisions:
            self._meter.decided(decision, time.perf_counter() - began, *where)
        await self._keep_answers(messages, decisions)
        # One that comes again may have been edited meanwhile.
        again = any(each.outcome is Outcome.DUPLICATE for each in decisions)
        if again or any(each.accepted for each in decisions):
            self._listeners.wake(new_only=not again)

    async def edited(self, message: IncomingMessage) -> None:
        concerning = partial(_concerning, AN_EDIT, [message])
        await self.record(lambda: self._door.edited(message), concerning)
        self._listeners.wake()

    async def deleted(self, chat: ChatId, ids: Sequence[MessageId]) -> None:
        gone = partial(self._concerning_deleted, chat, ids)
        await self.record(lambda: self._door.deleted(chat, ids), gone)
        self._listeners.wake()

    async def pass_over(self, message: UnreadableMessage) -> None:
        """Of whatever chat: in the account's box another's message stood in the way of the source."""
        began = time.perf_counter()
        decision = await self.record(lambda: self._table.add_unreadable(message))
        if decision is None:
            return
        self._meter.decided(decision, time.perf_counter() - began, message.chat_id)
        if decision.reason is Reason.UNREADABLE:
            log.warning(
                "a message cannot be read",
                chat_id=message.chat_id,
                message_id=message.id,
                error=message.error,
            )
            if decision.outcome is not Outcome.DUPLICATE:
                self._listeners.unreadable(message)
                return
            at = UnixTime(message.at or self._now)
            edit = phrase("its edit cannot be read: {error}", error=message.error)
            await self._note([Failure(message.ref, None, at, edit)])

    async def record(
        self, work: Callable[[], Awaitable[T]], concerning: Callable[[], Sequence[Failure]] = tuple
    ) -> T | None:
        """None: it was not done. If that is for now only, no cursor passes it; else it is recorded
        as what `concerning` says.
        """
        try:
            result = await patiently(work, self._stopping, pause=self._pace.pause)
        except NotRecorded:
            self.freeze()
            return None
        except GivenUp as exc:
            await self._give_up(concerning(), exc)
            return None
        if self._failures:
            await self._settle({each.ref for each in concerning()} & self._failures)
        return result

    def move(self, cursor: Cursor) -> None:
        """All before it is recorded, or waits to be written before it is."""
        if not self._frozen:
            self._table.reached(cursor)

    def freeze(self) -> None:
        """Something was not recorded: no cursor moves beyond it."""
        self._frozen = True

    # ── what could not be dealt with ──

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
            await self._note(_concerning(AN_ANSWER, [message]))

    async def _give_up(self, concerning: Sequence[Failure], exc: GivenUp) -> None:
        why = words_of(exc)
        await self._note(
            [each._replace(error=named(phrase(each.error), why)) for each in concerning]
        )

    async def _note(self, found: Sequence[Failure]) -> None:
        record = partial(failures.record, failures=found, now=self._now)
        write = partial(self._table.change, record)
        try:
            await patiently(write, self._stopping, pause=self._pace.pause)
        except NotRecorded:
            self.freeze()
            return
        except GivenUp:
            log.exception("a failure is not recorded", failures=[each.ref for each in found])
        for each in found:
            self._failures.add(each.ref)
            self._meter.decided(HAS_FAILED, 0.0, each.ref.chat_id)
            self._listeners.failed(each)

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
        now = UnixTime(self._now)  # nobody tells when they were written, or by whom
        refs = [MessageRef(chat, each) for each in ids[:DELETIONS_NAMED]]
        return [Failure(ref, None, now, A_DELETION) for ref in refs]

    @property
    def _now(self) -> int:
        return int(self._pace.clock())


def _concerning(what: str, messages: Sequence[IncomingMessage]) -> list[Failure]:
    return [Failure(each.ref, each.author, each.at, what, _in_its_chat(each)) for each in messages]


def _in_its_chat(message: IncomingMessage) -> MessageRef | None:
    """What it answers, if that stands in the same chat."""
    answered = message.reply_to
    return answered if answered is not None and answered.chat_id == message.chat_id else None
