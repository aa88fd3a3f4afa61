"""A database that an earlier version left in the midst of everything goes on where that one was."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bot.models import Content
from bot.routes import Place
from bot.rules.render import render
from bot.storage.engine import Database
from bot.storage.store import SignalStore
from tests.carried_over import PHOTO, Scene, Target, go_on, long
from tests.people import ALICE, GROUP, TARGET, says

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


@pytest.fixture
async def carried(tmp_path):
    """The store, what Telegram shows, and what it showed in the end."""
    path = tmp_path / "signals.db"
    target, end = taken_over(path, "posts_of_schema_9.sql")
    store = SignalStore(Database(path, in_loop=True))
    await store.open()
    yield store, target, end
    await store.close()


@pytest.mark.long
async def test_posts_in_whatever_state_end_as_they_would_have(carried, tmp_path):
    """Pending, in doubt, edited, failed, set aside and in parts: nothing is lost, nothing doubled."""
    store, target, end = carried

    await go_on(store, target)

    assert as_shown(target.rows()) == as_shown(end)
    with closing(sqlite3.connect(tmp_path / "signals.db")) as db:
        marks = ", ".join("?" * len(OPEN))
        left = db.execute(f"SELECT * FROM posts WHERE state IN ({marks})", OPEN).fetchall()
    assert left == []


def shown(target, word):
    found = [row for row in target.rows() if row[2].startswith(word)]
    return [(row[2].strip(), row[4]) for row in found]


@pytest.mark.long
async def test_what_stood_there_before_is_edited_deleted_and_answered_like_any_other(carried):
    """Of the photo that stands there nothing is sent again with its new caption."""
    store, target, _ = carried
    scene = Scene(store, target)
    plain, photo, long_one = (says(ALICE, number=number) for number in (1, 3, 4))
    assert [text for text, _ in shown(target, "#longsent")] == [
        part.text.strip() for part in render(Content(long("#longsent")), Place(TARGET))
    ]

    edits = target.edit = Recorded(target.edit)
    await scene.edits(photo, "#photo after", media=PHOTO)
    await scene.edits(long_one, "#longsent short")
    await store.delete(GROUP, [plain.id])
    await go_on(store, target)

    assert shown(target, "#plain") == []
    assert shown(target, "#photo") == [("#photo after", PHOTO.identity)]
    assert shown(target, "#longsent") == [("#longsent short", None)]
    assert [media for text, media in edits.asked if text == "#photo after"] == [None]


class Recorded:
    """An edit, and which medium it was to put there."""

    def __init__(self, edit):
        self._edit, self.asked = edit, []

    async def __call__(self, chat, number, text, entities, media, **more):
        self.asked.append((text, media))
        await self._edit(chat, number, text, entities, media, **more)
