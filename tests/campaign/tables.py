"""What the bot wrote down, read beside it while it runs, dies and starts again."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

RECORDED = (
    "SELECT source_chat_id, source_message_id FROM signals"
    " UNION SELECT source_chat_id, source_message_id FROM signal_updates"
)
REFUSED = "SELECT source_chat_id, source_message_id FROM decisions"
TO_DO = "SELECT count(*) FROM posts WHERE state IN ('pending', 'edit', 'delete')"


class Tables:
    """Before the first start there are none: then nothing is recorded."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def recorded(self, chat_id: int) -> set[int]:
        """Source messages that belong to a flow."""
        return {message_id for chat, message_id in self.ask(RECORDED) if chat == chat_id}

    def refused(self, chat_id: int) -> set[int]:
        return {message_id for chat, message_id in self.ask(REFUSED) if chat == chat_id}

    def knows(self, chat_id: int, message_id: int) -> bool:
        where = "(source_chat_id, source_message_id) = (?, ?)"
        known = f"SELECT 1 FROM ({RECORDED} UNION {REFUSED}) AS known WHERE {where}"
        return bool(self.ask(known, chat_id, message_id))

    def to_do(self) -> int:
        [[count]] = self.ask(TO_DO)
        return count

    def cursor(self, box: int) -> int | None:
        [[pts]] = self.ask("SELECT max(pts) FROM cursors WHERE box = ?", str(box))
        return pts

    def ask(self, query, *parameters):
        if not self._path.exists():
            return []
        with contextlib.closing(self._connect()) as db:
            return db.execute(query, parameters).fetchall()

    @contextlib.contextmanager
    def locked(self):
        with contextlib.closing(self._connect()) as db:
            db.execute("BEGIN IMMEDIATE")
            yield

    def _connect(self):
        return sqlite3.connect(self._path, isolation_level=None, timeout=5)
