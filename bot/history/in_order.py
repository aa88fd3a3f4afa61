"""Messages in the order of their ids, whatever the order of the file, in a memory that does not grow.

A reply may stand before its signal: exports are newest first, or merged of several. What is decided of
them must not depend on that.
"""

from __future__ import annotations

import marshal
import sqlite3
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bot.errors import BotError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.history.exported_message import SortKey

AT_ONCE: Final = 250  # rows
ALIKE: Final = 2  # a version of marshal: from 3 on what is the same may be written in two ways


class InOrder:
    """Takes them in any order, and gives them back in theirs."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._waiting: list[tuple[int, int, bytes]] = []
        self._last: int | None = None
        self._sorted = True
        self.count = 0

    def add(self, key: SortKey, item: dict[str, Any]) -> None:
        self._sorted = self._sorted and (self._last is None or self._last < key.id)
        self._last = key.id
        self.count += 1
        self._waiting.append((*key, marshal.dumps(item, ALIKE)))
        if len(self._waiting) == AT_ONCE:
            self._write()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        self._write()
        order = "rowid" if self._sorted else "id, edited, item"
        with closing(self._db.execute(f"SELECT item FROM messages ORDER BY {order}")) as rows:  # noqa: S608  # ours
            for (item,) in rows:
                yield marshal.loads(item)  # noqa: S302  # we wrote it

    def _write(self) -> None:
        self._db.executemany("INSERT INTO messages VALUES (?, ?, ?)", self._waiting)
        self._waiting.clear()


@contextmanager
def in_order() -> Iterator[InOrder]:
    """Its file is a temporary one. Raises `BotError` where there is no room for it."""
    with tempfile.TemporaryDirectory(prefix="export-") as directory:
        try:
            with closing(sqlite3.connect(Path(directory) / "messages", isolation_level=None)) as db:
                db.execute("PRAGMA journal_mode = OFF")
                db.execute("PRAGMA synchronous = OFF")
                db.execute("BEGIN")  # all of it: one transaction for each row takes longer
                db.execute("CREATE TABLE messages (id INTEGER, edited INTEGER, item BLOB)")
                yield InOrder(db)
        except sqlite3.Error as exc:
            raise BotError(
                f"{directory}: the messages cannot be put in order there: {exc}; "
                "TMPDIR may name another directory"
            ) from exc
