"""What an earlier version left behind is taken up where it would have wanted it to be."""

from __future__ import annotations

import asyncio
import hashlib
import runpy
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from sqlalchemy import create_engine, inspect

from bot.errors import DatabaseUnavailable, DatabaseUnusable
from bot.storage import schema
from bot.storage.engine import Database
from bot.storage.store import SignalStore
from tests.earlier import REVISIONS, make_earlier
from tests.rows import sql

pytestmark = pytest.mark.long

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
    make_earlier(path, 3)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(POST, (7, 8, state, version, version, error))

    now = SignalStore(Database(path))
    await now.open()
    await now.close()

    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT state FROM posts").fetchall() == [(then,)]


OPEN = [  # state, target_message_id, attempts, error
    ("pending", None, 0, None),
    ("pending", None, 3, "no answer"),
    ("edit", 8, 0, None),
    ("delete", 9, 1, "no answer"),
    ("failed", None, 1, "Telegram refused: 400 MEDIA_INVALID"),
    ("failed", 10, 1, "Telegram refused: 403 CHAT_WRITE_FORBIDDEN"),
    ("sent", 11, 0, None),
]


@pytest.mark.parametrize("number", range(1, 11))
async def test_what_is_to_be_done_is_still_to_be_done_whatever_the_version(tmp_path, number):
    """In the state in which it was left, and with the words of the message it is made of."""
    path = tmp_path / "signals.db"
    make_earlier(path, number)
    with closing(sqlite3.connect(path)) as db, db:
        for message, (state, *more) in enumerate(OPEN, 1):
            db.execute(
                "INSERT INTO signals (source_chat_id, source_message_id, source_user_id, at, marker,"
                " text, entities, take_profits, recorded_at) VALUES (-1001, ?, 5, 1, '#', ?, '[]',"
                " '[]', 1)",
                (message, f"#идея {message}"),
            )
            db.execute(
                "INSERT INTO posts (source_chat_id, source_message_id, part, target_chat_id, state,"
                " target_message_id, attempts, error, version, recorded_at)"
                " VALUES (-1001, ?, 0, -1002, ?, ?, ?, ?, 0, 1)",
                (message, state, *more),
            )
        if number >= 2:  # in doubt
            db.execute("UPDATE posts SET sent_version = version WHERE source_message_id = 2")

    now = SignalStore(Database(path))
    await now.open()
    await now.close()

    left, texts, doubts = sql(
        path,
        "SELECT state, target_message_id, attempts, error FROM posts ORDER BY source_message_id",
        "SELECT text FROM posts WHERE state != 'sent' ORDER BY source_message_id",
        "SELECT sent_version FROM posts WHERE source_message_id = 2",
    )
    assert left == OPEN
    if number < 10:  # the tenth keeps its words itself
        assert texts == [(f"#идея {message}",) for message in range(1, 7)]
    assert doubts == [(0 if number >= 2 else None,)]


# ── the schema ────────────────────────────────────────────────────────────────

# Of what stood in `sqlite_master` after so many steps, in the versions that took them.
MADE = {
    1: "9361099a011f1d40",
    2: "bb15992b182c216e",
    3: "96edeece7828783a",
    4: "f471e7aedd526419",
    5: "3eee94a0a31b9d97",
    6: "f4aee690b24211f1",
    7: "91711ba9758ed5cb",
    8: "f511f4e09799e08b",
    9: "f511f4e09799e08b",
    10: "0938c576a687a701",
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "signals.db"


async def opened_once(path):
    store = SignalStore(Database(path))
    try:
        await store.open()
    finally:
        await store.close()


def described(path):
    """All that a query may rely on, whatever the order of the columns."""
    engine = create_engine(f"sqlite:///{path}")
    found = inspect(engine)
    tables = {
        table: {
            "columns": {
                (each["name"], str(each["type"]), each["nullable"], each["primary_key"] > 0)
                for each in found.get_columns(table)
            },
            "key": found.get_pk_constraint(table)["constrained_columns"],
            "unique": {tuple(each["column_names"]) for each in found.get_unique_constraints(table)},
            "foreign": {
                (*each["constrained_columns"], each["referred_table"], *each["referred_columns"])
                for each in found.get_foreign_keys(table)
            },
        }
        for table in found.get_table_names()
    }
    engine.dispose()
    indexes, counted, stamped = sql(
        path,
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY name",
        "SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%' ORDER BY name",
        "SELECT version_num FROM alembic_version",
    )
    said = [(name, " ".join(statement.split())) for name, statement in indexes]
    return {"tables": tables, "indexes": said, "never used again": counted, "stamped": stamped}


@pytest.mark.parametrize("number", MADE)
def test_what_a_revision_says_is_never_changed(path, number):
    make_earlier(path, number)

    (found,) = sql(path, "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY 1, 2")
    assert hashlib.sha256(repr(found).encode()).hexdigest()[:16] == MADE[number]


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
@pytest.mark.parametrize("number", MADE)
async def test_a_database_of_any_earlier_version_ends_with_the_tables_of_a_new_one(
    path, tmp_path, number
):
    """Column by column and index by index; its key stays its own."""
    make_earlier(path, number)
    (before,) = sql(path, "SELECT value FROM meta")
    await opened_once(path)
    await opened_once(tmp_path / "new.db")

    if number < schema.NEWEST:
        assert described(path) == described(tmp_path / "new.db")
    assert sql(path, "PRAGMA user_version", "SELECT value FROM meta") == [
        [(schema.NEWEST,)],
        before,
    ]


def test_the_newest_revision_is_the_one_that_new_databases_are_marked_with():
    revisions = [runpy.run_path(str(file)) for file in sorted(REVISIONS.glob("*.py"))]

    ids = [each["revision"] for each in revisions]
    assert ids == [f"{number:04}" for number in range(1, schema.NEWEST + 1)]
    assert [each["down_revision"] for each in revisions] == [None, *ids[:-1]]


async def test_an_upgrade_that_breaks_off_changes_nothing_at_all(path):
    """The steps before the one that fails are taken back as well."""
    make_earlier(path, 4)
    sql(path, POST_OF_4, "CREATE TABLE alerts (another)")  # which the seventh makes
    with closing(sqlite3.connect(path)) as db:
        before = list(db.iterdump())

    with pytest.raises(DatabaseUnavailable, match="alerts already exists"):
        await opened_once(path)

    with closing(sqlite3.connect(path)) as db:
        assert list(db.iterdump()) == before
        assert db.execute("PRAGMA user_version").fetchone() == (4,)
    sql(path, "DROP TABLE alerts")
    await opened_once(path)
    assert sql(path, "SELECT state FROM posts") == [[("pending",)]]


POST_OF_4 = (
    "INSERT INTO posts (source_chat_id, source_message_id, part, target_chat_id, state, version,"
    " attempts, recorded_at) VALUES (-1001, 7, 0, -1002, 'pending', 0, 0, 1)"
)


async def test_two_processes_may_upgrade_the_same_database_at_the_same_moment(path):
    make_earlier(path, 2)

    await asyncio.gather(*(opened_once(path) for _ in range(4)))

    assert sql(path, "SELECT version_num FROM alembic_version") == [[(f"{schema.NEWEST:04}",)]]


async def test_a_newer_database_is_refused_by_this_version_and_by_those_before_alembic(path):
    """Those look for the number in the header of the file."""
    await opened_once(path)
    assert sql(path, "PRAGMA user_version") == [[(schema.NEWEST,)]]
    sql(path, "PRAGMA user_version = 999", "UPDATE alembic_version SET version_num = '0999'")

    with pytest.raises(DatabaseUnusable, match="has schema 999 and this program knows up to"):
        await opened_once(path)


START = """
import asyncio, sys
from pathlib import Path
from bot.storage.engine import Database
from bot.storage.store import SignalStore

async def start():
    store = SignalStore(Database(Path(sys.argv[1])))
    await store.open()
    await store.close()

asyncio.run(start())
print("alembic" in sys.modules)
"""


@pytest.mark.long
def test_a_start_does_without_alembic_unless_there_is_something_to_upgrade(path):
    """To import it takes as long as the rest of the start."""

    def start():
        done = subprocess.run(
            [sys.executable, "-c", START, path], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    new, again = start(), start()
    path.unlink()
    make_earlier(path, 9)
    assert (new, again, start(), start()) == ("False", "False", "True", "False")
