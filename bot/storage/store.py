"""Every query. One transaction per message; a message recorded anywhere is not recorded again."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import structlog
from sqlalchemy import false, func, select

from bot.errors import DatabaseError, UnknownFlow
from bot.models import (
    Decision,
    MessageId,
    MessageRef,
    Outcome,
    Reason,
    SignalId,
    UnixTime,
)
from bot.routes import Place, plain_place
from bot.rules.signal_parser.events import event_of
from bot.storage import cached, engine, outbox, places, statements
from bot.storage.control import Control
from bot.storage.cursors import Cursors
from bot.storage.existing import ExistingTables
from bot.storage.known_flows import KnownFlows
from bot.storage.messages import content_row, is_message, key_of, same_content
from bot.storage.migration import Migration
from bot.storage.parts import told_in
from bot.storage.people import DAY, People
from bot.storage.schema import NEWEST, decisions, signal_updates, signals
from bot.storage.transactions import at_once
from bot.storage.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from sqlalchemy import Connection

    from bot.models import AuthorId, ChatId, IncomingMessage, UnreadableMessage
    from bot.routes import Routes
    from bot.signal_fields import SignalFields
    from bot.storage.engine import AnyDatabase

log = structlog.get_logger(__name__)

T = TypeVar("T")

REFUSALS_AT_ONCE: Final = 100  # in one transaction, at the most
CURSORS_EVERY: Final = 1.0  # seconds
UNREADABLE: Final = Decision(Outcome.IGNORED, Reason.UNREADABLE)
ALREADY_RECORDED: Final = Decision(Outcome.DUPLICATE, Reason.ALREADY_RECORDED)
# What was accepted before, and was edited since into what cannot be read.
NO_LONGER_READABLE: Final = Decision(Outcome.DUPLICATE, Reason.UNREADABLE)


class Counts(NamedTuple):
    signals: int
    updates: int
    decisions: int


class SignalStore:
    """The tables, behind one connection. Raises `DatabaseError` and nothing of SQLAlchemy's.

    Refusals and cursors wait for each other; see `waiting`. They are written with whatever else is
    written next: refusals as soon as the table is idle, cursors once a second at the latest.

    `clock` (unix seconds) dates the rows and decides nothing. `place`: how posts look in a chat.
    `names_kept`: see `People`.
    """

    def __init__(
        self,
        database: AnyDatabase,
        *,
        clock: Callable[[], float] = time.time,
        place: outbox.PlaceOf = plain_place,
        names_kept: timedelta = timedelta(days=90),
    ) -> None:
        self._database = database
        self._clock = clock
        self._migration = Migration(database.name)
        self._insert = {table: statements.insert_once(table) for table in statements.RECORDS}
        self._insert_new_update = statements.insert_new_update()
        self._recorded_before = statements.recorded_before()
        self._move_activity = statements.move_activity()
        self._outbox = outbox.Outbox(self._write, self._read, clock=clock, place=place)
        self._parts = self._outbox.parts
        self._control = Control(self._write, self._read, clock=clock)
        self._flows = KnownFlows(self._read)
        self.people = People(names_kept)
        self._waiting = Waiting(self._insert[decisions], clock, self.people)
        self._cursors = Cursors(self._write, self._read, self.ask, self._waiting, clock=clock)
        self._writing: asyncio.Task[None] | None = None  # of those refusals
        self._newest: dict[ChatId, MessageId] = {}  # all beyond it is not recorded yet
        self._in_trouble = False
        self._hand_out()

    def _hand_out(self) -> None:
        """What parts of their own do: each is asked for here by whoever knows the tables as one."""
        # What the relays ask, and the intake of deletions.
        self.take_posts = self._outbox.take_posts
        self.take_aside = self._outbox.take_aside
        self.last_posted = self._outbox.last_posted
        self.posted_after = self._outbox.posted_after
        self.ancestors = self._outbox.ancestors
        self.post_sent = self._outbox.post_sent
        self.post_edited = self._outbox.post_edited
        self.post_deleted = self._outbox.post_deleted
        self.post_unsent = self._outbox.post_unsent
        self.messages_gone = self._outbox.messages_gone
        self.post_failed = self._outbox.post_failed
        self.post_delayed = self._outbox.post_delayed
        self.post_lightened = self._outbox.post_lightened
        self.set_aside = self._outbox.set_aside
        self.translated = self._outbox.translated
        self.delete = self._outbox.delete
        self.schema_version = self._migration.version
        # What reads a history, see `transactions`.
        self.at_once = partial(at_once, self._database)
        # What the tracker asks, and the intake of albums.
        self.flow = self._flows.flow
        self.flow_at = self._flows.flow_at
        self.signal_at = self._flows.signal_at
        self.album = self._flows.album
        # What operators order.
        self.release = self._control.release
        self.retry = self._control.retry
        self.pause = self._control.pause
        self.resume = self._control.resume
        self.paused_at = self._control.paused_at
        self.orders_after = self._control.orders_after
        self.last_order = self._control.last_order
        self.ended_flows = self._control.ended_flows
        # What the reader of Telegram's updates asks.
        self.cursor = self._cursors.cursor
        self.reached = self._cursors.reached
        self.move_cursors = self._cursors.move_cursors
        self.recorded = self._cursors.recorded
        self.topic_of = self._cursors.topic_of
        self.refused_reply = self._cursors.refused_reply
        self.last_activity = self._cursors.last_activity
        self.move_chat = self._cursors.move_chat
        self.moved_chats = self._cursors.moved_chats

    async def open(self) -> None:
        """Connect, and bring the database to the newest schema, all at once or not at all."""
        await self._database.open()
        version = await self._write(self._migration.version)
        await self._database.glance()
        if version < NEWEST:
            await self._write(self._bring_up_to_date)

    async def open_existing(self) -> None:
        """Connect to a database that a bot of this version keeps, maybe right now."""
        await ExistingTables(self._database).open()

    def _bring_up_to_date(self, db: Connection) -> None:
        self._migration.bring_up_to_date(db)
        self._parts.carry_over(db)

    async def list_places(self, routes: Routes) -> Routes:
        """From now on posts go to these places; gives them with their rows."""
        rows = await self._write(partial(places.take_list, routes=routes))
        listed = routes.with_rows(rows)
        self._parts.place = listed.place
        as_it_is = {each.id for each in listed.places if not each.presentation.translate}
        await self._write(partial(self._parts.leave_untranslated, places=as_it_is))
        return listed

    async def look_through(self) -> None:
        """Look for damage everywhere, however long that takes. Raises `DatabaseUnusable`."""
        await self._database.look_through()

    async def ask(self, query: Callable[[Connection], T]) -> T:
        """Run one of the queries of `bot.storage.records`."""
        await self.flush()
        return await self._read(query)

    async def change(self, work: Callable[[Connection], T]) -> T:
        """Run one of the changes of `bot.storage.failures`, in a transaction."""
        return await self._write(work)

    async def flush(self) -> None:
        """Write what waits."""
        if self._waiting:
            await self._write(lambda _: None)

    async def keep_writing(
        self, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        """Write what waits once a second, until cancelled."""
        while True:
            await sleep(CURSORS_EVERY)
            await self._flush_or_say_so()

    async def close(self) -> None:
        """Behind whatever was asked before."""
        if not self._in_trouble:  # else it would not answer now, either
            await self._flush_or_say_so()
        await self._database.close()

    # ── what a message becomes: one transaction each ──────────────────────────

    async def add_signal(
        self,
        message: IncomingMessage,
        *,
        author: AuthorId,
        marker: str,
        fields: SignalFields,
        places: Iterable[Place] = (),
        parts: Sequence[IncomingMessage] = (),
    ) -> SignalId | None:
        """Record a signal, its flow and its pending posts; None: recorded before.

        `parts`: the others of its album, which are recorded with it as its first updates.
        """
        self._pass((message, *parts))
        self.people.hear([message])
        places = tuple(places)
        row = statements.signal_row(message, self._now())
        row |= {**statements.fields_row(fields), "source_user_id": author, "marker": marker}

        def write(db: Connection) -> SignalId | None:
            inserted = self._insert[signals].ask(db, row)
            told = told_in(places, db, message.ref)
            if not (found := inserted()):
                return None
            signal_id = SignalId(found[0]["id"])
            alone = message if message.reply_to is None else replace(message, reply_to=None)
            self._parts.add(db, alone, places, told)
            answering = [replace(part, reply_to=message.ref) for part in parts]
            decision = Decision(Outcome.UPDATE, Reason.OWNER, None, signal_id)
            self._add_updates(db, answering, decision, author, places)
            return signal_id

        return await self._write(write)

    async def add_update(
        self,
        message: IncomingMessage,
        decision: Decision,
        *,
        author: AuthorId,
        places: Iterable[Place] = (),
        parts: Sequence[IncomingMessage] = (),
    ) -> bool:
        """Record an accepted reply and its pending posts; False: recorded before.

        The owner's reply also moves his flow's `last_owner_activity`, never backwards. `parts`:
        the others of its album; one that says nothing of what it answers answers this one. Raises
        `UnknownFlow`, having written nothing, if the table holds no such flow of that owner.
        """
        self.people.hear([message])
        if message.id <= await self._newest_in(message.chat_id) and await self._stands(message.ref):
            return False
        self._pass((message, *parts))
        places, owner = tuple(places), author if decision.reason is Reason.OWNER else None
        row = statements.update_row(message, decision, author, self._now()) | {"owner": owner}
        others = [replace(part, reply_to=part.reply_to or message.ref) for part in parts]

        def write(db: Connection) -> None:
            self._insert_new_update.run(db, row)
            self._parts.add(db, message, places, told_in(places, db, message.ref))
            if owner is not None:
                self._move_activity.run(db, {**row, "activity": message.at})
            self._add_updates(db, others, decision, author, places)

        try:
            await self._write(write)
        except engine.INTEGRITY as exc:
            if await self._stands(message.ref):
                return False  # somebody else has recorded it meanwhile
            raise UnknownFlow(f"no signal {decision.signal_id} of {owner or 'anybody'}") from exc
        return True

    def _add_updates(
        self,
        db: Connection,
        messages: Iterable[IncomingMessage],
        decision: Decision,
        author: AuthorId,
        places: Sequence[Place],
    ) -> bool:
        """Those that are not recorded yet; tells whether there was one."""
        asked = []
        for message in messages:
            row = statements.update_row(message, decision, author, self._now())
            inserted = self._insert[signal_updates].run(db, row)
            asked.append((message, inserted, told_in(places, db, message.ref)))
        new = [(message, told) for message, inserted, told in asked if inserted.rowcount]
        for message, told in new:
            self._parts.add(db, message, places, told)
        return bool(new)

    async def add_decision(self, message: IncomingMessage, decision: Decision) -> bool:
        """Record why a message was refused; False: the message was recorded before."""
        self.people.hear([message])
        row = {
            "source_chat_id": message.chat_id,
            "source_message_id": message.id,
            "source_user_id": message.author,
            "signal_id": decision.signal_id,
            "reply_to_message_id": statements.answered_here(message),
            "outcome": decision.outcome,
            "reason": decision.reason,
            "tier": decision.tier,
            "at": message.at,
            "recorded_at": int(self._clock()),
        }
        if message.id > await self._newest_in(message.chat_id):
            if len(self._waiting.refusals) >= REFUSALS_AT_ONCE:
                await self.flush()
            self._waiting.refusals[message.ref] = row
            self._newest[message.chat_id] = message.id
            if self._writing is None or self._writing.done():
                self._writing = asyncio.create_task(self._flush_or_say_so())
            return True
        inserted = await self._write(lambda db: self._insert[decisions].run(db, row))
        return inserted.rowcount > 0

    async def add_unreadable(self, message: UnreadableMessage) -> Decision:
        """Record that it is passed over, once; what was decided before stands."""
        row = {
            "source_chat_id": message.chat_id,
            "source_message_id": message.id,
            "source_user_id": None,
            "signal_id": None,
            "reply_to_message_id": None,
            "outcome": UNREADABLE.outcome,
            "reason": UNREADABLE.reason,
            "tier": None,
            "at": message.at or int(self._clock()),
            "recorded_at": int(self._clock()),
        }
        key = {"source_chat_id": message.chat_id, "source_message_id": message.id}

        def write(db: Connection) -> Decision:
            if self._insert[decisions].run(db, row).rowcount:
                return UNREADABLE
            accepted = statements.flow_at().run(db, key).fetchone()
            return ALREADY_RECORDED if accepted is None else NO_LONGER_READABLE

        return await self._write(write)

    async def to_be_decided_anew(self, ref: MessageRef, *, marked: bool = False) -> bool:
        """Whether it is recorded as unreadable, or, `marked` by now, as a rejected reply; then it is no
        more, once it is decided upon.
        """
        rejected = decisions.c.outcome == Outcome.REJECTED
        why = (decisions.c.reason == Reason.UNREADABLE) | (rejected if marked else false())
        query = select(decisions.c.id).where(is_message(decisions), why)
        read = self.ask if marked else self._read  # a rejection may wait to be written
        found = await read(lambda db: db.scalar(query, key_of(ref)))
        if found is not None:
            self._waiting.outdated[ref] = found
        return found is not None

    async def _newest_in(self, chat_id: ChatId) -> MessageId:
        newest = self._newest.get(chat_id)
        if newest is None:
            found = await self._read(lambda db: db.scalar(statements.newest(chat_id)))
            newest = self._newest.setdefault(chat_id, MessageId(found))
        return newest

    async def _stands(self, ref: MessageRef) -> bool:
        """Whether it is recorded, whatever it was taken for, and is not to be decided upon anew."""
        known = partial(self._recorded_before.value, row=key_of(ref))
        return ref not in self._waiting.outdated and bool(await self.ask(known))

    def _pass(self, messages: Iterable[IncomingMessage]) -> None:
        """They are about to be recorded."""
        for message in messages:
            if message.id > self._newest.get(message.chat_id, message.id):
                self._newest[message.chat_id] = message.id

    async def _flush_or_say_so(self) -> None:
        try:
            await self.flush()
            while self._waiting.refusals:
                await self.flush()
        except DatabaseError as exc:
            number = len(self._waiting.refusals)
            log.warning("refusals and cursors wait to be written", error=str(exc), refusals=number)

    async def is_refused(self, ref: MessageRef) -> bool:
        """Whether there is a refusal of this message. It may wait to be written."""
        if ref in self._waiting.refusals:
            return True
        message = {"source_chat_id": ref.chat_id, "source_message_id": ref.message_id}
        refusal = select(decisions.c.id).where(is_message(decisions))
        return await self._read(lambda db: db.scalar(refusal, message)) is not None

    async def prune_decisions(self, *, before: UnixTime) -> int:
        """Delete the refusals of older messages, see `REFUSALS_KEPT`; tell how many there were."""
        # What failed waits for an operator, however old.
        kept = decisions.c.reason == Reason.FAILED
        query = decisions.delete().where(decisions.c.at < before, ~kept)
        return (await self._write(lambda db: db.execute(query))).rowcount

    async def newest(self) -> UnixTime:
        """The date of the newest recorded message; 0: there is none. One yet to come is an export's mistake."""
        query = statements.newest_date(UnixTime(self._now() + DAY))
        return UnixTime(await self.ask(lambda db: db.scalar(query)) or 0)

    # ── what becomes of a recorded message later ──────────────────────────────

    async def edit(self, message: IncomingMessage, fields: SignalFields) -> bool:
        """Take over an edit by the message's author, for its posts too; False: not recorded.

        An edit that changes nothing that is relayed (a reaction, a link preview) changes nothing.
        """
        return await self._write(partial(self._edit, message=message, fields=fields))

    def _edit(self, db: Connection, *, message: IncomingMessage, fields: SignalFields) -> bool:
        found = statements.recorded_by(db, message)
        if found is None:
            return False
        (table, row), content = found, content_row(message.content)
        if not same_content(row, content):
            read = (
                statements.fields_row(fields)
                if table is signals
                else statements.event_row(event_of(message.text))
            )
            statements.rewrite(table).run(db, {**content, **read, "record": row["id"]})
            self._parts.edit(db, message.ref, message.content)
        return True

    async def refuse_edit(self, message: IncomingMessage) -> bool:
        """Leave what is recorded as it is, and keep that its author tried; False: nothing to refuse.

        That is where the message is not recorded as theirs, or nothing that is relayed has changed.
        """
        row = {**key_of(message.ref), "at": message.edited_at, "recorded_at": int(self._clock())}

        def write(db: Connection) -> bool:
            found = statements.recorded_by(db, message)
            if found is None or same_content(found[1], content_row(message.content)):
                return False
            statements.keep_refused_edit(db, row)
            return True

        return await self._write(write)

    # ── the rest ──────────────────────────────────────────────────────────────

    async def cache_key(self) -> bytes:
        return await self._read(partial(cached.cache_key, name=self._database.name))

    async def counts(self) -> Counts:
        query = select(
            *(select(func.count()).select_from(t).scalar_subquery() for t in statements.RECORDS)
        )
        await self.flush()
        return Counts(*await self._read(lambda db: db.execute(query).one()))

    def _now(self) -> UnixTime:
        return UnixTime(int(self._clock()))

    async def _write(self, work: Callable[[Connection], T]) -> T:
        """In one transaction, with what waits."""
        try:
            result = await self._database.run(partial(self._waiting.write, work=work))
        except DatabaseError:
            self._in_trouble = True
            raise
        self._in_trouble = False
        return result

    async def _read(self, work: Callable[[Connection], T]) -> T:
        return await self._database.run(work)
