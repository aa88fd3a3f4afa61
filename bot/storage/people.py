"""What people call themselves, as it was last heard: for operators, who are shown ids otherwise.

Kept for a while, or not at all, as the settings say; nothing is decided by it.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, delete, select

from bot.storage.engine import Prepared
from bot.storage.messages import storable
from bot.storage.schema import people

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import timedelta

    from sqlalchemy import Connection, UpdateBase

    from bot.models import AuthorId, IncomingMessage, UnixTime
    from bot.storage.engine import Insert

DAY: Final = 86_400  # seconds
LONGEST: Final = 128  # characters: Telegram allows two names of 64
REMEMBERED: Final = 10_000  # people, so that a name is written once a day
AT_ONCE: Final = 500  # ids in one question


class People:
    """Gathers what waits to be written. `kept`: no time at all is never."""

    def __init__(self, kept: timedelta) -> None:
        self.kept = int(kept.total_seconds())
        self.waiting: dict[AuthorId, dict[str, Any]] = {}  # rows
        self._known: dict[AuthorId, tuple[str, int]] = {}

    def hear(self, messages: Iterable[IncomingMessage]) -> None:
        for message in messages if self.kept else ():
            author, name = message.author, (message.author_name or "").strip()[:LONGEST]
            if author is None or not name or self._known.get(author) == (name, message.at // DAY):
                continue
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[author] = name, message.at // DAY
            self.waiting[author] = {"id": author, "name": storable(name), "heard_at": message.at}

    def written(self, rows: Mapping[AuthorId, Mapping[str, Any]]) -> None:
        for author, row in rows.items():
            if self.waiting.get(author) is row:
                del self.waiting[author]


def put(db: Connection, rows: Collection[Mapping[str, Any]]) -> None:
    """The name that was heard last stays: an import comes late."""
    if rows:
        _put().run_many(db, rows)


@cache
def _put() -> Prepared:
    def query(insert: type[Insert]) -> UpdateBase:
        new = insert(people).values({column.name: bindparam(column.name) for column in people.c})
        latest = {name: new.excluded[name] for name in ("name", "heard_at")}
        newer = new.excluded.heard_at >= people.c.heard_at
        return new.on_conflict_do_update(index_elements=[people.c.id], set_=latest, where=newer)

    return Prepared(query)


def forget(db: Connection, *, before: UnixTime) -> None:
    """Those who were not heard since."""
    db.execute(delete(people).where(people.c.heard_at < before))


def names(db: Connection, ids: Iterable[AuthorId | None]) -> dict[AuthorId, str]:
    """Of those that there are names of."""
    wanted = sorted({each for each in ids if each is not None})
    found: dict[AuthorId, str] = {}
    for first in range(0, len(wanted), AT_ONCE):
        some = people.c.id.in_(wanted[first : first + AT_ONCE])
        found |= {row.id: row.name for row in db.execute(select(people).where(some))}
    return found
