"""How far Telegram's updates are dealt with, and what of a chat is recorded; see `CursorTable`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select

from bot.models import Cursor, MessageRef, Outcome, RefusedReply
from bot.storage import places, readdress, statements
from bot.storage.engine import insert
from bot.storage.messages import is_message, key_of
from bot.storage.schema import cursors, decisions, moved_chats, signals
from bot.storage.waiting import Waiting, put_cursors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlalchemy import Connection

    from bot.models import ChatId, MessageId, SignalId, UnixTime
    from bot.storage.outbox import Run


REFUSED: Final = ("outcome", "signal_id", "reply_to_message_id")


class Cursors:
    """`ask` reads behind what waits, `write` and `read` are the store's."""

    def __init__(
        self, write: Run, read: Run, ask: Run, waiting: Waiting, *, clock: Callable[[], float]
    ) -> None:
        self._write = write
        self._read = read
        self._ask = ask
        self._waiting = waiting
        self._clock = clock

    async def cursor(self, box: ChatId) -> Cursor | None:
        columns = (cursors.c[name] for name in Cursor._fields[1:])
        query = select(*columns).where(cursors.c.box == str(box))
        found = await self._ask(lambda db: db.execute(query).first())
        return None if found is None else Cursor(box, *found)._replace(again=bool(found.again))

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
        query = statements.recorded(chat_id, active_since, before, limit)
        return sorted(await self._read(lambda db: list(db.scalars(query))))

    async def topic_of(self, signal_id: SignalId) -> int:
        """Where a signal was said; 0: in General, or in no forum."""
        query = select(signals.c.topic).where(signals.c.id == signal_id)
        return await self._read(lambda db: db.scalar(query)) or 0

    async def refused_reply(self, ref: MessageRef) -> RefusedReply | None:
        """None: that message is no refused reply into a flow. A refusal may wait to be written."""
        row = self._waiting.refusals.get(ref)
        if row is None:
            query = select(*(decisions.c[name] for name in REFUSED)).where(is_message(decisions))
            found = await self._read(lambda db: db.execute(query, key_of(ref)).first())
            row = None if found is None else dict(zip(REFUSED, found, strict=True))
        if row is None or row["outcome"] != Outcome.REJECTED or row["signal_id"] is None:
            return None
        answers = row["reply_to_message_id"]
        return answers and RefusedReply(row["signal_id"], MessageRef(ref.chat_id, answers))

    async def last_activity(self, chat_id: ChatId) -> UnixTime | None:
        """When the owner of any flow of the chat was last active; None: never."""
        activity = func.max(signals.c.last_owner_activity)
        query = select(activity).where(signals.c.source_chat_id == chat_id)
        return await self._read(lambda db: db.scalar(query))

    # ── chats that moved ──────────────────────────────────────────────────────

    async def move_chat(self, old: ChatId, new: ChatId) -> None:
        """A basic group became a supergroup; see `readdress.move`.

        Recorded messages stay under the old id: the new group counts its own from 1.
        """

        def write(db: Connection) -> None:
            moved = insert(db, moved_chats).on_conflict_do_nothing()
            db.execute(moved, {"old_chat_id": old, "new_chat_id": new})
            readdress.move(db, old, new)
            places.move(db, old, new)

        await self._write(write)

    async def moved_chats(self) -> dict[ChatId, ChatId]:
        """Old id to new id."""
        query = select(moved_chats.c.old_chat_id, moved_chats.c.new_chat_id)
        return dict(await self._read(lambda db: [tuple(row) for row in db.execute(query)]))
