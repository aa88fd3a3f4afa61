"""What waits to be written: refusals, and how far all is recorded.

Most of what is said in a group is refused, and a cursor follows each of it. A crash may take what
waits: it comes again, for no cursor is written before the refusals that it counts.
"""

from __future__ import annotations

from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import bindparam

from bot.models import Cursor
from bot.storage.engine import Prepared
from bot.storage.people import People, put
from bot.storage.schema import cursors, decisions
from bot.storage.transactions import in_transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlalchemy import Connection, UpdateBase

    from bot.models import ChatId, MessageRef
    from bot.storage.engine import Insert

T = TypeVar("T")


class Waiting:
    """Filled by the event loop, and emptied by the tables' thread. `insert` writes a refusal;
    `clock` is unix seconds.
    """

    def __init__(self, insert: Prepared, clock: Callable[[], float], people: People) -> None:
        self._insert = insert
        self._people = people
        self._clock = clock
        self.refusals: dict[MessageRef, dict[str, Any]] = {}  # rows
        # Decisions to be removed with what is decided anew, by their messages.
        self.outdated: dict[MessageRef, int] = {}
        self._cursors: dict[ChatId, Cursor] = {}
        self._turn = Lock()  # for what is replaced and not just added

    def __bool__(self) -> bool:
        return bool(self.refusals or self._cursors or self._people.waiting)

    def reach(self, cursor: Cursor) -> None:
        with self._turn:
            self._cursors[cursor.box] = cursor

    def write(self, db: Connection, work: Callable[[Connection], T]) -> T:
        """All of it in one transaction with `work`, or nothing. One at a time."""
        if not (self or self.outdated):
            return in_transaction(db, work)
        with self._turn:
            reached = self._cursors.copy()  # first: what they count was refused before
        refused, outdated = self.refusals.copy(), self.outdated.copy()
        heard = self._people.waiting.copy()

        def write(db: Connection) -> T:
            if outdated:
                _delete().run_many(db, [{"decision": number} for number in outdated.values()])
            if refused:
                self._insert.run_many(db, refused.values())
            if reached:
                put_cursors(db, reached.values(), now=int(self._clock()))
            put(db, heard.values())
            return work(db)

        result = in_transaction(db, write)
        for ref in refused:
            del self.refusals[ref]
        for ref in outdated:
            self.outdated.pop(ref, None)
        self._people.written(heard)
        with self._turn:
            for box, cursor in reached.items():
                if self._cursors[box] is cursor:
                    del self._cursors[box]
        return result


def put_cursors(db: Connection, reached: Iterable[Cursor], *, now: int) -> None:
    rows = [
        {**each._asdict(), "box": str(each.box), "again": int(each.again), "recorded_at": now}
        for each in reached
    ]
    _put().run_many(db, rows)


@cache
def _put() -> Prepared:
    def query(insert: type[Insert]) -> UpdateBase:
        names = (*Cursor._fields[1:], "recorded_at")
        new = insert(cursors).values({name: bindparam(name) for name in ("box", *names)})
        changes = {name: new.excluded[name] for name in names}
        return new.on_conflict_do_update(index_elements=[cursors.c.box], set_=changes)

    return Prepared(query)


@cache
def _delete() -> Prepared:
    return Prepared(decisions.delete().where(decisions.c.id == bindparam("decision")))
