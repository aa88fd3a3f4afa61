"""Every query. One transaction per message; a message recorded anywhere is not recorded again."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import structlog
from sqlalchemy import (
    BigInteger,
    and_,
    bindparam,
    exists,
    func,
    insert,
    literal,
    literal_column,
    null,
    or_,
    select,
    text,
    union_all,
    update,
)
from sqlalchemy.dialects.sqlite import insert as on_conflict_insert

from bot.errors import DatabaseError, DatabaseUnavailable, DatabaseUnusable, UnknownFlow
from bot.models import (
    ENDED_BY_HAND,
    Content,
    Cursor,
    Decision,
    Flow,
    MessageId,
    MessageRef,
    Order,
    OrderKind,
    Outcome,
    Reason,
    RecordedAlbum,
    SignalId,
)
from bot.rules.render import Place
from bot.rules.signal_parser.events import event_of
from bot.signal_fields import SignalFields, decimal_text
from bot.storage import outbox, records
from bot.storage.engine import Prepared
from bot.storage.messages import content_row, is_message, record, same_content
from bot.storage.schema import (
    APPLICATION_ID,
    MIGRATIONS,
    cursors,
    decisions,
    meta,
    moved_chats,
    orders,
    refused_edits,
    signal_updates,
    signals,
)
from bot.storage.waiting import Waiting, put_cursors

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from sqlalchemy import (
        ColumnElement,
        CompoundSelect,
        Connection,
        Select,
        Table,
    )

    from bot.models import (
        AuthorId,
        ChatId,
        IncomingMessage,
        UnixTime,
        UnreadableMessage,
    )
    from bot.signal_fields import SignalEvent
    from bot.storage.engine import Database

log = structlog.get_logger(__name__)

T = TypeVar("T")

REFUSALS_KEPT: Final = 30 * 86_400  # seconds
REFUSALS_AT_ONCE: Final = 100  # in one transaction, at the most
CURSORS_EVERY: Final = 1.0  # seconds
UNREADABLE: Final = Decision(Outcome.IGNORED, Reason.UNREADABLE)
ALREADY_RECORDED: Final = Decision(Outcome.DUPLICATE, Reason.ALREADY_RECORDED)
# What was accepted before, and was edited since into what cannot be read.
NO_LONGER_READABLE: Final = Decision(Outcome.DUPLICATE, Reason.UNREADABLE)
RECORDS: Final = (signals, signal_updates, decisions)  # a message is in one of them at most


class Counts(NamedTuple):
    signals: int
    updates: int
    decisions: int


class SignalStore:
    """The tables, behind one connection. Raises `DatabaseError` and nothing of SQLAlchemy's.

    Refusals and cursors wait for each other; see `waiting`. They are written with whatever else is
    written next: refusals as soon as the table is idle, cursors once a second at the latest.

    `clock` (unix seconds) dates the rows and decides nothing. `place`: how posts look in a chat.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], float] = time.time,
        place: Callable[[ChatId], Place] = Place,
        migrations: Sequence[Sequence[str]] = MIGRATIONS,
    ) -> None:
        self._database = database
        self._clock = clock
        self._migrations = migrations
        self._insert = {table: _insert_once(table) for table in RECORDS}
        self._move_activity = _move_activity()
        self._signal_at = _signal_at()
        self._flow = _flow()
        self._outbox = outbox.Outbox(self._write, self._read, clock=clock, place=place)
        self._parts = self._outbox.parts
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
        self.delete = self._outbox.delete
        self._waiting = Waiting(self._insert[decisions], clock)
        self._writing: asyncio.Task[None] | None = None  # of those refusals
        self._newest: dict[ChatId, MessageId] = {}  # all beyond it is not recorded yet
        self._in_trouble = False

    async def open(self) -> None:
        """Connect, and bring the database to the newest schema, one step at a time."""
        await self._database.open()
        version = await self._write(self.schema_version)
        await self._database.glance()
        for number in range(version + 1, len(self._migrations) + 1):
            await self._write(partial(self._migrate_to, number=number))

    async def open_existing(self) -> None:
        """Connect to a database that a bot of this version keeps, maybe right now.

        Makes nothing and brings nothing up to date: that is for the bot, which holds the lock.
        """
        name = self._database.path
        if not name.exists():
            raise DatabaseUnavailable(f"{name}: no database there, the bot has not run here yet")
        await self._database.open()
        version = await self._read(self.schema_version)
        if version < len(self._migrations):
            raise DatabaseUnusable(
                f"{name} has schema {version} and this program works on {len(self._migrations)}: "
                "start the bot once, that brings it up to date"
            )

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
        targets: Iterable[ChatId] = (),
        parts: Sequence[IncomingMessage] = (),
    ) -> SignalId | None:
        """Record a signal, its flow and its pending posts; None: recorded before.

        `parts`: the others of its album, which are recorded with it as its first updates.
        """
        self._pass((message, *parts))
        row = {
            **self._message_row(message),
            **_fields_row(fields),
            "source_user_id": author,
            "last_owner_activity": message.begun_at,
            "begun_at": message.begun_at if message.begun_at > message.at else None,
            "marker": marker,
        }

        def write(db: Connection) -> SignalId | None:
            inserted = self._insert[signals].run(db, row)
            if inserted.rowcount == 0:
                return None
            signal_id = SignalId(inserted.lastrowid or 0)
            self._parts.add(db, [replace(message, reply_to=None)], targets)
            answering = [replace(part, reply_to=message.ref) for part in parts]
            decision = Decision(Outcome.UPDATE, Reason.OWNER, None, signal_id)
            self._add_updates(db, answering, decision, author, targets)
            return signal_id

        return await self._write(write)

    async def add_update(
        self,
        message: IncomingMessage,
        decision: Decision,
        *,
        author: AuthorId,
        targets: Iterable[ChatId] = (),
        parts: Sequence[IncomingMessage] = (),
    ) -> bool:
        """Record an accepted reply and its pending posts; False: recorded before.

        The owner's reply also moves his flow's `last_owner_activity`, never backwards. `parts`:
        the others of its album. Raises `UnknownFlow`, having written nothing, if the table holds
        no such flow of that owner.
        """
        self._pass((message, *parts))

        def write(db: Connection) -> bool:
            if not self._add_updates(db, [message], decision, author, targets):
                return False
            if decision.reason is Reason.OWNER:
                moved = self._move_activity.run(
                    db,
                    {"flow": decision.signal_id, "owner": author, "activity": message.at},
                )
                if moved.rowcount == 0:
                    raise UnknownFlow(f"signal {decision.signal_id} is not {author}'s in the table")
            self._add_updates(db, parts, decision, author, targets)
            return True

        try:
            return await self._write(write)
        except sqlite3.IntegrityError as exc:
            raise UnknownFlow(f"signal {decision.signal_id} is not in the table") from exc

    def _add_updates(
        self,
        db: Connection,
        messages: Iterable[IncomingMessage],
        decision: Decision,
        author: AuthorId,
        targets: Iterable[ChatId],
    ) -> bool:
        """Those that are not recorded yet; tells whether there was one."""
        new = [
            message
            for message in messages
            if self._insert[signal_updates]
            .run(db, self._update_row(message, decision, author))
            .rowcount
        ]
        self._parts.add(db, new, targets)
        return bool(new)

    async def add_decision(self, message: IncomingMessage, decision: Decision) -> bool:
        """Record why a message was refused; False: the message was recorded before."""
        row = {
            "source_chat_id": message.chat_id,
            "source_message_id": message.id,
            "source_user_id": message.author,
            "signal_id": decision.signal_id,
            "reply_to_message_id": _answered_here(message),
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
            accepted = self._signal_at.run(db, key).fetchone()
            return ALREADY_RECORDED if accepted is None else NO_LONGER_READABLE

        return await self._write(write)

    async def readable_again(self, ref: MessageRef) -> bool:
        """Whether it is recorded as unreadable; then it is no more, once it is decided upon."""
        query = select(decisions.c.id).where(
            decisions.c.source_chat_id == ref.chat_id,
            decisions.c.source_message_id == ref.message_id,
            decisions.c.reason == Reason.UNREADABLE,
        )
        found = await self._read(lambda db: db.scalar(query))
        if found is not None:
            self._waiting.outdated.add(found)
        return found is not None

    async def _newest_in(self, chat_id: ChatId) -> MessageId:
        newest = self._newest.get(chat_id)
        if newest is None:
            found = await self._read(lambda db: db.scalar(_newest(chat_id)))
            newest = self._newest.setdefault(chat_id, MessageId(found))
        return newest

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
        """Delete the refusals of messages older than that; tell how many there were.

        How old they may become is `REFUSALS_KEPT`.
        """
        # What failed waits for an operator, however old.
        kept = decisions.c.reason == Reason.FAILED
        query = decisions.delete().where(decisions.c.at < before, ~kept)
        return (await self._write(lambda db: db.execute(query))).rowcount

    # ── what the tracker asks (see `FlowTable`) ───────────────────────────────

    async def flow(self, signal_id: SignalId) -> Flow | None:
        found = await self._read(lambda db: self._flow.run(db, {"signal_id": signal_id}).fetchone())
        return None if found is None else Flow(*found)

    async def signal_at(self, chat_id: ChatId, message_id: MessageId) -> SignalId | None:
        message = {"source_chat_id": chat_id, "source_message_id": message_id}
        found = await self._read(lambda db: self._signal_at.run(db, message).fetchone())
        return None if found is None else SignalId(found[0])

    async def album(self, chat_id: ChatId, album_id: int) -> RecordedAlbum | None:
        """What is recorded of this album; None: nothing."""
        album = {"source_chat_id": chat_id, "album_id": album_id}
        found = await self._read(lambda db: db.execute(_first_of_album(), album).first())
        if found is None:
            return None
        signal_id, message_id, author, reason = found
        return RecordedAlbum(signal_id, message_id, author, Reason(reason))

    # ── what becomes of a recorded message later ──────────────────────────────

    async def edit(self, message: IncomingMessage, fields: SignalFields) -> bool:
        """Take over an edit by the message's author, for its posts too; False: not recorded.

        An edit that changes nothing that is relayed (a reaction, a link preview) changes nothing.
        """
        return await self._write(partial(self._edit, message=message, fields=fields))

    def _edit(self, db: Connection, *, message: IncomingMessage, fields: SignalFields) -> bool:
        found = _recorded_by(db, message)
        if found is None:
            return False
        (table, row), content = found, content_row(message.content)
        if not same_content(row, content):
            read = _fields_row(fields) if table is signals else _event_row(event_of(message.text))
            _rewrite(table).run(db, {**content, **read, "record": row["id"]})
            self._parts.edit(db, message.ref, message.content)
        return True

    async def refuse_edit(self, message: IncomingMessage) -> bool:
        """Leave what is recorded as it is, and keep that its author tried; False: nothing to refuse.

        That is where the message is not recorded as theirs, or nothing that is relayed has changed.
        """
        key = {"source_chat_id": message.chat_id, "source_message_id": message.id}
        row = {**key, "at": message.edited_at, "recorded_at": int(self._clock())}
        query = on_conflict_insert(refused_edits)
        latest = {name: query.excluded[name] for name in ("at", "recorded_at")}
        query = query.on_conflict_do_update(index_elements=list(key), set_=latest)

        def write(db: Connection) -> bool:
            found = _recorded_by(db, message)
            if found is None or same_content(found[1], content_row(message.content)):
                return False
            db.execute(query, row)
            return True

        return await self._write(write)

    # ── what an operator orders ───────────────────────────────────────────────

    async def release(self, signal_id: SignalId) -> None:
        """End a flow: from now on others may continue it, until its owner does."""
        ended = (
            update(signals)
            .where(signals.c.id == signal_id)
            .values(last_owner_activity=ENDED_BY_HAND)
        )

        def write(db: Connection) -> None:
            db.execute(ended)
            self._add_order(db, OrderKind.RELEASE, signal_id)

        await self._write(write)

    async def retry(self, post_id: int | None = None) -> list[int]:
        """Put failed posts back in line, or the one; tells which. See `outbox.put_back`."""

        def write(db: Connection) -> list[int]:
            ids = outbox.put_back(db, post_id)
            for each in ids:
                self._add_order(db, OrderKind.RETRY, each)
            return ids

        return await self._write(write)

    async def pause(self) -> bool:
        """Have nothing posted until `resume`, over restarts, too; False: it was so already."""
        return await self._write(partial(self._set_paused, paused=True))

    async def resume(self) -> bool:
        """Have posted what waits; False: there was no pause."""
        return await self._write(partial(self._set_paused, paused=False))

    async def paused_at(self) -> UnixTime | None:
        return await self._read(records.paused_at)

    def _set_paused(self, db: Connection, *, paused: bool) -> bool:
        if (records.paused_at(db) is not None) is paused:
            return False
        self._add_order(db, OrderKind.PAUSE if paused else OrderKind.RESUME, 0)
        return True

    async def orders_after(self, last: int) -> list[Order]:
        query = select(orders).where(orders.c.id > last).order_by(orders.c.id)
        rows = await self._read(lambda db: db.execute(query).all())
        return [Order(*row) for row in rows]

    async def last_order(self) -> int:
        query = select(func.coalesce(func.max(orders.c.id), 0))
        return int(await self._read(lambda db: db.execute(query).scalar_one()))

    async def ended_flows(self) -> list[SignalId]:
        """The flows that an operator has ended and their owners have not taken back."""
        # By way of the orders, which are few.
        of_order = and_(orders.c.kind == OrderKind.RELEASE, orders.c.subject == signals.c.id)
        query = select(signals.c.id).distinct().join(orders, of_order)
        query = query.where(signals.c.last_owner_activity == ENDED_BY_HAND)
        return await self._read(lambda db: list(map(SignalId, db.scalars(query))))

    def _add_order(self, db: Connection, kind: OrderKind, subject: int) -> None:
        row = {"kind": kind, "subject": subject, "at": int(self._clock())}
        db.execute(insert(orders), row)

    # ── how far Telegram's updates are dealt with (see `CursorTable`) ─────────

    async def cursor(self, box: ChatId) -> Cursor | None:
        columns = (cursors.c[name] for name in Cursor._fields[1:])
        query = select(*columns).where(cursors.c.box == str(box))
        found = await self.ask(lambda db: db.execute(query).first())
        return None if found is None else Cursor(box, *found)

    def reached(self, cursor: Cursor) -> None:
        """All before it is recorded, or waits: the cursor is written soon, and not before that."""
        self._waiting.reach(cursor)

    async def move_cursors(self, reached: Iterable[Cursor]) -> None:
        await self._write(partial(put_cursors, reached=list(reached), now=int(self._clock())))

    async def recorded(
        self,
        chat_id: ChatId,
        *,
        active_since: UnixTime | None = None,
        before: MessageId | None = None,
        limit: int,
    ) -> list[MessageId]:
        """The newest signals and updates of a chat, in source order: those before that one, and of
        flows whose owner was active since then.
        """
        query = _recorded(chat_id, active_since, before, limit)
        return sorted(await self._read(lambda db: list(db.scalars(query))))

    async def last_activity(self, chat_id: ChatId) -> UnixTime | None:
        """When the owner of any flow of the chat was last active; None: never."""
        activity = func.max(signals.c.last_owner_activity)
        query = select(activity).where(signals.c.source_chat_id == chat_id)
        return await self._read(lambda db: db.scalar(query))

    # ── chats that moved ──────────────────────────────────────────────────────

    async def move_chat(self, old: ChatId, new: ChatId) -> None:
        """A basic group became a supergroup; see `outbox.move`.

        Recorded messages stay under the old id: the new group counts its own from 1.
        """

        def write(db: Connection) -> None:
            moved = on_conflict_insert(moved_chats).on_conflict_do_nothing()
            db.execute(moved, {"old_chat_id": old, "new_chat_id": new})
            outbox.move(db, old, new)

        await self._write(write)

    async def moved_chats(self) -> dict[ChatId, ChatId]:
        """Old id to new id."""
        query = select(moved_chats.c.old_chat_id, moved_chats.c.new_chat_id)
        return dict(await self._read(lambda db: [tuple(row) for row in db.execute(query)]))

    # ── the rest ──────────────────────────────────────────────────────────────

    async def cache_key(self) -> bytes:
        """The key of the disk cache's digests: 32 bytes, made once with the database."""
        query = select(meta.c.value).where(meta.c.name == "cache_key")
        key = await self._read(lambda db: db.scalar(query))
        if not isinstance(key, bytes):
            raise DatabaseUnusable(f"{self._database.path}: no cache_key in table meta")
        return key

    async def counts(self) -> Counts:
        query = select(*(select(func.count()).select_from(t).scalar_subquery() for t in RECORDS))
        await self.flush()
        return Counts(*await self._read(lambda db: db.execute(query).one()))

    def _message_row(self, message: IncomingMessage) -> dict[str, Any]:
        return {
            "source_chat_id": message.chat_id,
            "source_message_id": message.id,
            "at": message.at,
            **content_row(message.content),
            "album_id": message.album_id,
            "recorded_at": int(self._clock()),
        }

    def _update_row(
        self, message: IncomingMessage, decision: Decision, author: AuthorId
    ) -> dict[str, Any]:
        parent = message.reply_to
        elsewhere = parent is not None and parent.chat_id != message.chat_id
        return {
            **self._message_row(message),
            "source_user_id": author,
            "signal_id": decision.signal_id,
            "reply_to_message_id": parent and parent.message_id,
            "reply_to_chat_id": parent.chat_id if parent and elsewhere else None,
            "reason": decision.reason,
            "tier": decision.tier,
            **_event_row(event_of(message.text)),
        }

    def schema_version(self, db: Connection) -> int:
        """How many steps this database has taken. Raises `DatabaseUnusable` if it is not for us."""
        name = self._database.path
        application = db.scalar(text("PRAGMA application_id"))
        version = int(db.scalar(text("PRAGMA user_version")) or 0)
        if application != APPLICATION_ID:
            tables = db.scalar(text("SELECT count(*) FROM sqlite_master"))
            if application or version or tables:
                raise DatabaseUnusable(f"{name} is another program's database")
        if version > len(self._migrations):
            raise DatabaseUnusable(
                f"{name} has schema {version} and this program knows up to {len(self._migrations)}: "
                "run the newer version that wrote it"
            )
        return version

    def _migrate_to(self, db: Connection, *, number: int) -> None:
        if self.schema_version(db) >= number:
            return  # another process took the step while this one waited for the lock
        for statement in self._migrations[number - 1]:
            db.execute(text(statement))
        if number == len(MIGRATIONS):  # the tables are now as the code knows them
            self._parts.carry_over(db)
        db.execute(text(f"PRAGMA application_id = {APPLICATION_ID}"))
        db.execute(text(f"PRAGMA user_version = {number}"))

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


# What runs for every message, each compiled once: a bot that begins anew opens another store.


@cache
def _insert_once(table: Table) -> Prepared:
    """An INSERT of named columns that does nothing if the message stands in any of `RECORDS`.

    What failed is no record: the message may be tried again, and what becomes of it takes its place.
    """
    late = {"id", "error", "again"}  # of what failed; see `failures`
    columns = [column for column in table.c if column.name not in late]
    has_failed = decisions.c.reason == literal_column(f"'{Reason.FAILED}'")
    recorded = or_(
        *(
            exists().where(is_message(record), *([~has_failed] if record is decisions else []))
            for record in RECORDS
        )
    )
    values = select(*(bindparam(column.name, type_=column.type) for column in columns))
    query = on_conflict_insert(table).from_select(columns, values.where(~recorded))
    if table is decisions:
        changes = {column.name: query.excluded[column.name] for column in columns}
        query = query.on_conflict_do_update(
            index_elements=[decisions.c.source_chat_id, decisions.c.source_message_id],
            set_={**changes, "error": null(), "again": null()},
        )
    return Prepared(query)


@cache
def _flow() -> Prepared:
    columns = (signals.c.source_user_id, signals.c.last_owner_activity)
    return Prepared(select(*columns).where(signals.c.id == bindparam("signal_id")))


@cache
def _signal_at() -> Prepared:
    of_signal = select(signals.c.id).where(is_message(signals))
    of_update = select(signal_updates.c.signal_id).where(is_message(signal_updates))
    return Prepared(union_all(of_signal, of_update))


def _newest(chat_id: ChatId) -> Select[Any]:
    """The newest message of that chat that is recorded; 0: none is."""
    newest = [
        select(func.max(table.c.source_message_id))
        .where(table.c.source_chat_id == chat_id)
        .scalar_subquery()
        for table in RECORDS
    ]
    # SQLite's max of several is NULL if one of them is.
    return select(func.max(*(func.coalesce(each, 0) for each in newest)))


def _recorded(
    chat_id: ChatId, active_since: UnixTime | None, before: MessageId | None, limit: int
) -> Select[Any]:
    flows = select(signals.c.id)
    if active_since is not None:
        activity = signals.c.last_owner_activity
        flows = flows.where(or_(activity.is_(None), activity >= active_since))

    def newest(table: Table, flow: ColumnElement[Any]) -> Select[Any]:
        number = table.c.source_message_id
        query = select(number).where(table.c.source_chat_id == chat_id)
        if active_since is not None:
            query = query.where(flow.in_(flows))
        if before is not None:
            query = query.where(number < before)
        of_table = query.order_by(number.desc()).limit(limit).subquery()
        return select(of_table)

    both = union_all(
        newest(signals, signals.c.id), newest(signal_updates, signal_updates.c.signal_id)
    )
    ids = both.subquery()
    return select(ids).order_by(ids.c.source_message_id.desc()).limit(limit)


def _first_of_album() -> CompoundSelect[Any]:
    def parts(table: Table, signal: ColumnElement[Any], reason: ColumnElement[Any]) -> Select[Any]:
        wanted = (signal, table.c.source_message_id, table.c.source_user_id, reason)
        return select(*wanted).where(
            table.c.source_chat_id == bindparam("source_chat_id"),
            table.c.album_id == bindparam("album_id"),
        )

    lead = parts(signals, signals.c.id, literal(Reason.OWNER))
    others = parts(signal_updates, signal_updates.c.signal_id, signal_updates.c.reason)
    return union_all(lead, others).limit(1)


@cache
def _move_activity() -> Prepared:
    """Never backwards: replies may be recorded late, in an import for one."""
    activity = bindparam("activity", type_=BigInteger)
    latest = func.max(func.coalesce(signals.c.last_owner_activity, activity), activity)
    is_flow = and_(
        signals.c.id == bindparam("flow"), signals.c.source_user_id == bindparam("owner")
    )
    return Prepared(update(signals).where(is_flow).values(last_owner_activity=latest))


def _answered_here(message: IncomingMessage) -> MessageId | None:
    """What it answers; None: nothing, or a message of another chat."""
    answered = message.reply_to
    if answered is None or answered.chat_id != message.chat_id:
        return None
    return answered.message_id


def _fields_row(fields: SignalFields) -> dict[str, str | None]:
    return {
        "pair": fields.pair,
        "direction": fields.direction,
        "timeframe": fields.timeframe,
        "entry_low": decimal_text(fields.entry and fields.entry.low),
        "entry_high": decimal_text(fields.entry and fields.entry.high),
        "take_profits": json.dumps(list(map(decimal_text, fields.take_profits))),
        "stop": decimal_text(fields.stop),
        "risk": decimal_text(fields.risk),
        "leverage": decimal_text(fields.leverage),
    }


def _event_row(event: SignalEvent | None) -> dict[str, str | int | None]:
    return {
        "event": event and event.kind,
        "event_target": event and event.target,
        "event_stop": decimal_text(event and event.stop),
    }


def _recorded_by(
    db: Connection, message: IncomingMessage
) -> tuple[Table, Mapping[str, Any]] | None:
    """Where the message is recorded as one of this author's; None: nowhere."""
    found = record(db, message.ref)
    return found if found and found[1]["source_user_id"] == message.author else None


@cache
def _rewrite(table: Table) -> Prepared:
    """What an edit can change of a record."""
    read = _fields_row(SignalFields()) if table is signals else _event_row(None)
    names = (*content_row(Content("")), *read)
    changes = {name: bindparam(name, type_=table.c[name].type) for name in names}
    return Prepared(update(table).where(table.c.id == bindparam("record")).values(changes))
