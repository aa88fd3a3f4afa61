"""What an earlier version left behind is taken up where it would have wanted it to be."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from bot.storage import schema
from bot.storage.engine import Database
from bot.storage.store import SignalStore

POST = (
    "INSERT INTO posts (source_chat_id, source_message_id, part, target_chat_id,"
    " target_message_id, state, version, sent_version, attempts, error, recorded_at)"
    " VALUES (-1001, ?, 0, -1002, ?, ?, ?, ?, 0, ?, 1)"
)


@pytest.mark.parametrize(
    ("state", "version", "error", "then"),
    [
        ("sent", 1, "Telegram refused: 400 MEDIA_EMPTY", "edit"),
        ("sent", 1, "Telegram refused: 403 CHAT_SEND_PHOTOS_FORBIDDEN", "edit"),
        ("sent", 1, None, "sent"),
        ("sent", 1, "Telegram refused: 420 FLOOD_WAIT_30", "sent"),
        ("sent", 0, "Telegram refused: 400 MEDIA_EMPTY", "sent"),
        ("failed", 1, "Telegram refused: 400 MEDIA_EMPTY", "failed"),
    ],
)
async def test_an_edit_that_was_refused_and_counted_as_done_is_tried_again(
    tmp_path, state, version, error, then
):
    """It shows outdated words, and an earlier version told nobody. Refused again, it is a failure."""
    path = tmp_path / "signals.db"
    earlier = SignalStore(Database(path), migrations=schema.MIGRATIONS[:3])
    await earlier.open()
    await earlier.close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(POST, (7, 8, state, version, version, error))

    now = SignalStore(Database(path))
    await now.open()
    await now.close()

    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT state FROM posts").fetchall() == [(then,)]
