"""A database that an earlier version left in the midst of everything goes on where that one was."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from bot.storage.database import Database
from bot.storage.store import SignalStore
from tests.carried_over import Target, go_on

DATA = Path(__file__).parent / "data"
OPEN = ("pending", "held", "edit", "delete", "failed")


def taken_over(path, database):
    """The database as a file, what Telegram shows then, and what it showed in the end."""
    with closing(sqlite3.connect(path)) as db:
        db.executescript((DATA / database).read_text("utf-8"))
        shown, end, taken = (
            db.execute(f"SELECT * FROM {name}").fetchall()
            for name in ("shown_then", "shown", "taken")
        )
        for name in ("shown_then", "shown", "taken"):
            db.execute(f"DROP TABLE {name}")
        db.commit()
    return Target(shown, taken), end


def as_shown(rows):
    """In order, with the words of what each answers: only Telegram counts its messages."""
    texts = {(chat, number): text for chat, number, text, *_ in rows}
    return [(chat, *what, texts.get((chat, reply_to))) for chat, _, *what, reply_to in sorted(rows)]


async def test_posts_in_whatever_state_end_as_they_would_have(tmp_path):
    """Pending, in doubt, edited, failed, set aside and in parts: nothing is lost, nothing doubled."""
    path = tmp_path / "signals.db"
    target, end = taken_over(path, "posts_of_schema_9.sql")
    store = SignalStore(Database(path, in_loop=True))
    await store.open()

    await go_on(store, target)
    await store.close()

    assert as_shown(target.rows()) == as_shown(end)
    with closing(sqlite3.connect(path)) as db:
        marks = ", ".join("?" * len(OPEN))
        left = db.execute(f"SELECT * FROM posts WHERE state IN ({marks})", OPEN).fetchall()
    assert left == []
