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
    case,
    exists,
    func,
    insert,
    literal,
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
    Cursor,
    Decision,
    Entity,
    Flow,
    Media,
    MessageId,
    MessageRef,
    Order,
    OrderKind,
    Outcome,
    Post,
    PostState,
    Reason,
    RecordedAlbum,
    SignalId,
    decimal_text,
)
from bot.signal_parser.events import event_of
from bot.storage import records
from bot.storage.database import Prepared, in_transaction
from bot.storage.schema import (
    APPLICATION_ID,
    MIGRATIONS,
    cursors,
    decisions,
    meta,
    moved_chats,
    orders,
    posts,
    signal_updates,
    signals,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sqlalchemy import (
        ColumnElement,
        CompoundSelect,
        Connection,
        RowMapping,
        Select,
        Table,
    )

    from bot.models import (
        AuthorId,
        ChatId,
        IncomingMessage,
        SignalFields,
        UnixTime,
    )
    from bot.storage.database import Database

log = structlog.get_logger(__name__)

T = TypeVar("T")

TO_DO: Final = frozenset({PostState.PENDING, PostState.EDIT, PostState.DELETE})
REFUSALS_KEPT: Final = 30 * 86_400  # seconds
REFUSALS_AT_ONCE: Final = 100  # in one transaction, at the most
PART: Final = ("source_chat_id", "source_message_id", "part", "target_chat_id")  # is one post
RECORDS: Final = (signals, signal_updates, decisions)  # a message is in one of them at most


class Counts(NamedTuple):
    signals: int
    updates: int
    decisions: int


class SignalStore:
    """The tables, behind one connection. Raises `DatabaseError` and nothing of SQLAlchemy's.

    Refusals wait for each other, for most of what is said in a group is refused. They are written
    as soon as the table is idle, and at the latest with whatever else is written next. So no cursor
    is in the table before them, and those that are lost in a crash come again.

    `clock` (unix seconds) dates the rows and decides nothing.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], float] = time.time,
        migrations: Sequence[Sequence[str]] = MIGRATIONS,
    ) -> None:
        self._database = database
        self._clock = clock
        self._migrations = migrations
        self._insert = {table: _insert_once(table) for table in RECORDS}
        self._insert_posts = _insert_posts()
        self._move_activity = _move_activity()
        self._signal_at = _signal_at()
        self._flow = _flow()
        self._refusals: dict[MessageRef, dict[str, Any]] = {}  # rows that wait to be written
        self._writing: asyncio.Task[None] | None = None  # of those
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

    async def flush(self) -> None:
        """Write the refusals that wait."""
        if self._refusals:
            await self._write(lambda _: None)

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
            "last_owner_activity": message.at,
            "marker": marker,
        }

        def write(db: Connection) -> SignalId | None:
            inserted = self._insert[signals].run(db, row)
            if inserted.rowcount == 0:
                return None
            signal_id = SignalId(inserted.lastrowid or 0)
            self._add_posts(db, [message], targets)
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
        self._add_posts(db, new, targets)
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
            if len(self._refusals) >= REFUSALS_AT_ONCE:
                await self.flush()
            self._refusals[message.ref] = row
            self._newest[message.chat_id] = message.id
            if self._writing is None or self._writing.done():
                self._writing = asyncio.create_task(self._flush_or_say_so())
            return True
        inserted = await self._write(lambda db: self._insert[decisions].run(db, row))
        return inserted.rowcount > 0

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
            while self._refusals:
                await self.flush()
        except DatabaseError as exc:
            log.warning("refusals wait to be recorded", error=str(exc), number=len(self._refusals))

    async def prune_decisions(self, *, before: UnixTime) -> int:
        """Delete the refusals of messages older than that; tell how many there were.

        How old they may become is `REFUSALS_KEPT`.
        """
        query = decisions.delete().where(decisions.c.at < before)
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

    # ── what the relay asks (see `Outbox`) ────────────────────────────────────

    async def take_posts(self, target: ChatId) -> list[Post]:
        """What is to be done next in that chat: one post, or the pending parts of an album.

        In source order. Empty: nothing. Posts to be sent are noted as such, so that a crash leaves
        a doubt and no error; what comes back tells of doubts that there were before.
        """

        def write(db: Connection) -> list[Post]:
            taken = self._next_posts(db, target=target)
            fresh = [post.id for post in taken if post.sent_version is None]
            if fresh:
                noted = update(posts).where(posts.c.id.in_(fresh))
                db.execute(noted.values(sent_version=posts.c.version))
            return taken

        return await self._write(write)

    async def last_posted(self, target: ChatId) -> MessageId:
        """The newest message that is known to be ours there; 0 if there is none."""
        query = select(func.coalesce(func.max(posts.c.target_message_id), 0))
        ours = query.where(posts.c.target_chat_id == target)
        return MessageId(await self._read(lambda db: db.execute(ours).scalar_one()))

    def _next_posts(self, db: Connection, *, target: ChatId) -> list[Post]:
        line = (
            select(posts)
            .where(posts.c.target_chat_id == target, posts.c.state.in_(TO_DO))
            .order_by(func.coalesce(posts.c.first_id, posts.c.id), posts.c.part)
        )
        row = db.execute(line.limit(1)).mappings().first()
        if row is None:
            return []
        post = _post(db, row)
        if post.album_id is None or post.state is not PostState.PENDING:
            return [post]
        album = [_post(db, each) for each in db.execute(_album(line, post)).mappings()]
        return sorted(album, key=lambda part: part.source.message_id)

    async def add_parts(self, post: Post, parts: int) -> None:
        """Make rows for the parts after the first, in the first one's place in the line.

        Parts that were taken back, as the text was shorter for a while, are to be sent again. None
        of a text whose source was deleted meanwhile.
        """
        rows = [
            {
                "source_chat_id": post.source.chat_id,
                "source_message_id": post.source.message_id,
                "part": part,
                "target_chat_id": post.target,
                "first_id": post.id,
                "state": PostState.PENDING,
                "version": post.version,
                "attempts": 0,
                "recorded_at": int(self._clock()),
            }
            for part in range(1, parts)
        ]
        again = {
            "state": PostState.PENDING,
            "target_message_id": None,
            "sent_version": None,
            "attempts": 0,
            "error": None,
        }
        query = on_conflict_insert(posts).on_conflict_do_update(
            index_elements=PART, set_=again, where=posts.c.state == PostState.DELETED
        )
        first = select(posts.c.state).where(posts.c.id == post.id)

        def write(db: Connection) -> None:
            if db.scalar(first) not in {PostState.DELETE, PostState.DELETED}:
                db.execute(query, rows)

        await self._write(write)

    async def post_sent(self, post: Post, message_id: MessageId) -> None:
        """It stands in the target chat, as the version that was noted when it was taken first."""
        await self._post_shows(post, posts.c.sent_version, message_id)

    async def post_edited(self, post: Post) -> None:
        """What stands in the target chat is now as `post` shows it."""
        await self._post_shows(post, literal(post.version), post.target_message_id)

    async def _post_shows(
        self,
        post: Post,
        version: ColumnElement[int],
        message_id: MessageId | None,
        **more: object,
    ) -> None:
        """Unless it changed meanwhile: then there is more to do."""
        deleted = posts.c.state.in_({PostState.DELETE, PostState.DELETED})
        state = case(
            (deleted, PostState.DELETE),
            (posts.c.version != version, PostState.EDIT),
            else_=PostState.SENT,
        )
        # Of what was done the attempts are kept, to be told; what is left to do begins anew.
        done = and_(~deleted, posts.c.version == version)
        changes = {
            "state": state,
            "sent_version": version,
            "target_message_id": message_id,
            "attempts": case((done, posts.c.attempts), else_=0),
        }
        await self._change_post(post, **changes, **more)

    async def post_deleted(self, post: Post) -> None:
        await self._change_post(post, state=PostState.DELETED)

    async def post_failed(self, post: Post, error: str) -> None:
        """Telegram will never do it. An edit that fails leaves the post as it stands."""
        if post.state is PostState.EDIT:
            await self._post_shows(post, literal(post.version), post.target_message_id, error=error)
        else:
            await self._change_post(
                post, state=PostState.FAILED, error=error, refused=post.state, **_certain(post)
            )

    async def post_delayed(self, post: Post, error: str, *, in_doubt: bool) -> None:
        """Count an attempt that is to be made again. `in_doubt`: it may have gone through."""
        certain = {} if in_doubt else _certain(post)
        await self._change_post(post, attempts=posts.c.attempts + 1, error=error, **certain)

    async def _change_post(self, post: Post, **changes: object) -> None:
        query = update(posts).where(posts.c.id == post.id).values(**changes)
        await self._write(lambda db: db.execute(query))

    # ── what becomes of a recorded message later ──────────────────────────────

    async def edit(self, message: IncomingMessage, fields: SignalFields) -> bool:
        """Take over an edit by the message's author, for its posts too; False: not recorded.

        An edit that changes nothing that is relayed (a reaction, a link preview) changes nothing.
        """
        return await self._write(partial(self._edit, message=message, fields=fields))

    def _edit(self, db: Connection, *, message: IncomingMessage, fields: SignalFields) -> bool:
        key = {"source_chat_id": message.chat_id, "source_message_id": message.id}
        content = _content_row(message)
        for table in (signals, signal_updates):
            row = db.execute(select(table).where(_is_message(table)), key).mappings().first()
            if row is None or row["source_user_id"] != message.author:
                continue
            if not _same_content(row, content):
                content |= _fields_row(fields) if table is signals else _event_row(message)
                db.execute(update(table).where(table.c.id == row["id"]).values(content))
                _mark_edited(db, message.ref)
            return True
        return False

    async def delete(self, chat_id: ChatId, ids: Sequence[MessageId]) -> int:
        """Have the posts of deleted source messages deleted, the pending ones never sent.

        The rows stay. Tells how many posts that concerned.
        """
        of_messages = and_(
            posts.c.source_chat_id == chat_id, posts.c.source_message_id.in_(list(ids))
        )
        there = posts.c.sent_version.is_not(None)
        state = case((there, PostState.DELETE), else_=PostState.DELETED)
        # A failed one would be sent by an operator's `retry`.
        living = {PostState.SENT, PostState.EDIT, PostState.PENDING, PostState.FAILED}
        done = posts.c.state.in_({PostState.SENT, PostState.FAILED})
        attempts = case((done, 0), else_=posts.c.attempts)
        query = update(posts).where(of_messages, posts.c.state.in_(living))
        query = query.values(state=state, attempts=attempts)
        return (await self._write(lambda db: db.execute(query))).rowcount

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
        """Put failed posts back in line, or the one; tells which.

        One that was never sent, to a group that has moved since, goes where the group is now.
        """
        failed = posts.c.state == PostState.FAILED
        which = failed if post_id is None else and_(failed, posts.c.id == post_id)
        # What was refused before that was written down had been either sent or not.
        guess = case((posts.c.target_message_id.is_(None), PostState.PENDING), else_=PostState.EDIT)
        state = func.coalesce(posts.c.refused, guess)
        moved = select(moved_chats.c.new_chat_id).where(
            moved_chats.c.old_chat_id == posts.c.target_chat_id
        )
        here = posts.c.target_chat_id
        now = func.coalesce(moved.scalar_subquery(), here)
        again = {
            "state": state,
            "target_chat_id": case((state == PostState.PENDING, now), else_=here),
            "refused": None,
            "attempts": 0,
        }

        def write(db: Connection) -> list[int]:
            ids = list(db.scalars(select(posts.c.id).where(which).order_by(posts.c.id)))
            db.execute(update(posts).where(which).values(again))
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
        found = await self._read(lambda db: db.execute(query).first())
        return None if found is None else Cursor(box, *found)

    async def move_cursors(self, reached: Iterable[Cursor]) -> None:
        rows = [
            {**each._asdict(), "box": str(each.box), "recorded_at": int(self._clock())}
            for each in reached
        ]
        query = on_conflict_insert(cursors)
        changes = {name: query.excluded[name] for name in (*Cursor._fields[1:], "recorded_at")}
        query = query.on_conflict_do_update(index_elements=[cursors.c.box], set_=changes)
        await self._write(lambda db: db.execute(query, rows))

    async def recorded(self, chat_id: ChatId, *, limit: int) -> list[MessageId]:
        """The newest signals and updates of a chat, in source order."""
        ids = union_all(
            *(
                select(table.c.source_message_id).where(table.c.source_chat_id == chat_id)
                for table in (signals, signal_updates)
            )
        ).subquery()
        query = select(ids).order_by(ids.c.source_message_id.desc()).limit(limit)
        return sorted(await self._read(lambda db: list(db.scalars(query))))

    # ── chats that moved ──────────────────────────────────────────────────────

    async def move_chat(self, old: ChatId, new: ChatId) -> None:
        """A basic group became a supergroup. What is pending for the old one goes to the new one.

        Recorded messages stay under the old id: the new group counts its own from 1.
        """

        def write(db: Connection) -> None:
            moved = on_conflict_insert(moved_chats).on_conflict_do_nothing()
            db.execute(moved, {"old_chat_id": old, "new_chat_id": new})
            pending = and_(posts.c.target_chat_id == old, posts.c.state == PostState.PENDING)
            db.execute(update(posts).where(pending).values(target_chat_id=new))

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

    def _add_posts(
        self, db: Connection, messages: Iterable[IncomingMessage], targets: Iterable[ChatId]
    ) -> None:
        rows = [
            {
                "source_chat_id": message.chat_id,
                "source_message_id": message.id,
                "part": 0,
                "target_chat_id": target,
                "state": PostState.PENDING,
                "version": 0,
                "attempts": 0,
                "recorded_at": int(self._clock()),
            }
            for message in messages
            for target in targets
        ]
        if rows:
            self._insert_posts.run_many(db, rows)

    def _message_row(self, message: IncomingMessage) -> dict[str, Any]:
        return {
            "source_chat_id": message.chat_id,
            "source_message_id": message.id,
            "at": message.at,
            **_content_row(message),
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
            **_event_row(message),
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
        db.execute(text(f"PRAGMA application_id = {APPLICATION_ID}"))
        db.execute(text(f"PRAGMA user_version = {number}"))

    async def _write(self, work: Callable[[Connection], T]) -> T:
        """In one transaction, with the refusals that wait."""
        try:
            result = await self._database.run(partial(self._with_refusals, work=work))
        except DatabaseError:
            self._in_trouble = True
            raise
        self._in_trouble = False
        return result

    def _with_refusals(self, db: Connection, *, work: Callable[[Connection], T]) -> T:
        """In the tables' thread, where one comes after the other: they are written once."""
        waiting = self._refusals.copy()

        def write(db: Connection) -> T:
            if waiting:
                self._insert[decisions].run_many(db, waiting.values())
            return work(db)

        result = in_transaction(db, write)
        for ref in waiting:
            del self._refusals[ref]
        return result

    async def _read(self, work: Callable[[Connection], T]) -> T:
        return await self._database.run(work)


def _certain(post: Post) -> dict[str, None]:
    """Telegram refused it, so it does not stand there, unless there was a doubt before."""
    return {} if post.sent_version is not None else {"sent_version": None}


def _is_message(table: Table) -> ColumnElement[bool]:
    return and_(
        table.c.source_chat_id == bindparam("source_chat_id"),
        table.c.source_message_id == bindparam("source_message_id"),
    )


# What runs for every message, each compiled once: a bot that begins anew opens another store.


@cache
def _insert_once(table: Table) -> Prepared:
    """An INSERT of named columns that does nothing if the message stands in any of `RECORDS`."""
    columns = [column for column in table.c if column.name != "id"]
    recorded = or_(*(exists().where(_is_message(record)) for record in RECORDS))
    values = select(*(bindparam(column.name, type_=column.type) for column in columns))
    return Prepared(insert(table).from_select(columns, values.where(~recorded)))


@cache
def _insert_posts() -> Prepared:
    """Of new messages, so nothing is known of the post but where it is to go."""
    unknown = {"id", "first_id", "target_message_id", "error", "refused", "sent_version"}
    columns = [column.name for column in posts.c if column.name not in unknown]
    return Prepared(insert(posts).values({name: bindparam(name) for name in columns}))


@cache
def _flow() -> Prepared:
    columns = (signals.c.source_user_id, signals.c.last_owner_activity)
    return Prepared(select(*columns).where(signals.c.id == bindparam("signal_id")))


@cache
def _signal_at() -> Prepared:
    of_signal = select(signals.c.id).where(_is_message(signals))
    of_update = select(signal_updates.c.signal_id).where(_is_message(signal_updates))
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


def _event_row(message: IncomingMessage) -> dict[str, str | int | None]:
    event = event_of(message.text)
    return {
        "event": event and event.kind,
        "event_target": event and event.target,
        "event_stop": decimal_text(event and event.stop),
    }


def _entities_json(entities: tuple[Entity, ...]) -> str:
    """A list of objects that name only what an entity has; `Entity(**item)` reads one back."""
    if not entities:
        return "[]"
    return json.dumps(
        [
            {
                name: value
                for name in entity.__slots__
                if (value := getattr(entity, name)) is not None
            }
            for entity in entities
        ],
        ensure_ascii=False,
    )


def _storable(text: str) -> str:
    """The text as SQLite takes it: half a surrogate pair, as an export may hold, becomes "\ufffd"."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _content_row(message: IncomingMessage) -> dict[str, Any]:
    """What is relayed of a message, and what an edit can change."""
    return {
        "text": _storable(message.text),
        "entities": _storable(_entities_json(message.entities)),
        "media_kind": message.media and message.media.kind,
        "media_file_id": message.media and message.media.file_id,
    }


def _same_content(row: RowMapping, content: Mapping[str, Any]) -> bool:
    """A file's reference, the last part of its id, is another one each time it is told."""

    def comparable(of: RowMapping | Mapping[str, Any]) -> tuple[object, ...]:
        file = (of["media_file_id"] or "").rpartition(":")[0]
        return of["text"], of["entities"], of["media_kind"], file

    return comparable(row) == comparable(content)


def _mark_edited(db: Connection, ref: MessageRef) -> None:
    of_message = and_(
        posts.c.source_chat_id == ref.chat_id, posts.c.source_message_id == ref.message_id
    )
    done = posts.c.state == PostState.SENT
    changes = {
        "version": posts.c.version + 1,
        "state": case((done, PostState.EDIT), else_=posts.c.state),
        "attempts": case((done, 0), else_=posts.c.attempts),
    }
    db.execute(update(posts).where(of_message).values(changes))


def _post(db: Connection, row: RowMapping) -> Post:
    source = MessageRef(row["source_chat_id"], row["source_message_id"])
    content, parent = _content_and_parent(db, source)
    kind = content["media_kind"]
    return Post(
        id=row["id"],
        state=PostState(row["state"]),
        version=row["version"],
        source=source,
        part=row["part"],
        target=row["target_chat_id"],
        target_message_id=row["target_message_id"],
        sent_version=row["sent_version"],
        reply_to=_reply_to(db, row, parent),
        text=content["text"],
        entities=tuple(Entity(**entity) for entity in json.loads(content["entities"])),
        media=None if kind is None else Media(kind, content["media_file_id"]),
        album_id=content["album_id"],
        attempts=row["attempts"],
        recorded_at=row["recorded_at"],
    )


def _content_and_parent(db: Connection, source: MessageRef) -> tuple[RowMapping, list[MessageRef]]:
    """The recorded message, and whose posts it may answer, the nearest first."""
    key = {"source_chat_id": source.chat_id, "source_message_id": source.message_id}
    signal = db.execute(select(signals).where(_is_message(signals)), key).mappings().first()
    if signal is not None:
        return signal, []
    found = db.execute(select(signal_updates).where(_is_message(signal_updates)), key)
    content = found.mappings().one()
    root = select(signals.c.source_chat_id, signals.c.source_message_id)
    chat_id, message_id = db.execute(root.where(signals.c.id == content["signal_id"])).one()
    answered = MessageRef(
        content["reply_to_chat_id"] or source.chat_id, content["reply_to_message_id"]
    )
    return content, [answered, MessageRef(chat_id, message_id)]


def _reply_to(db: Connection, row: RowMapping, parents: Iterable[MessageRef]) -> MessageId | None:
    """Later parts of a long text answer its first one."""
    own = MessageRef(row["source_chat_id"], row["source_message_id"])
    for ref in [own] if row["part"] else parents:
        found = db.scalar(
            select(posts.c.target_message_id).where(
                posts.c.source_chat_id == ref.chat_id,
                posts.c.source_message_id == ref.message_id,
                posts.c.target_chat_id == row["target_chat_id"],
                posts.c.part == 0,
                posts.c.state.in_({PostState.SENT, PostState.EDIT}),
            )
        )
        if found is not None:
            return MessageId(found)
    return None


def _album(line: Select[Any], post: Post) -> Select[Any]:
    """The posts of the line that are parts of the same album."""
    is_part = or_(
        *(
            exists().where(
                table.c.source_chat_id == posts.c.source_chat_id,
                table.c.source_message_id == posts.c.source_message_id,
                table.c.album_id == post.album_id,
            )
            for table in (signals, signal_updates)
        )
    )
    return line.where(
        posts.c.state == PostState.PENDING, posts.c.source_chat_id == post.source.chat_id, is_part
    )
