"""The disk tier under attack: whatever stands in `DATA_DIR/flows`, nothing runs and no answer changes.

Decisions are compared with those of a tracker that has no disk at all. What Python does meanwhile
is watched by an audit hook, what SQLite does by looking at every file beside the cache.
https://docs.python.org/3/library/audit_events.html
"""

from __future__ import annotations

import asyncio
import itertools
import os
import pickle
import shutil
import sqlite3
import struct
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from diskcache.core import DEFAULT_SETTINGS

from bot.state import flow_cache
from bot.state.disk_tier import DiskTier
from bot.state.flow_cache import open_flow_cache
from tests.audit import audited
from tests.conftest import SECRET
from tests.lag import BOUND, lag
from tests.people import CAROL, GROUP
from tests.spoiled_caches import (
    BODY,
    BUSY,
    ENDLESS,
    LATER,
    NOW,
    OTHER,
    QUIET,
    TRUTH,
    UNKNOWN,
    Table,
    answers,
    change,
    ruins,
    tell,
    track,
)


@pytest.fixture
def flows(tmp_path, outside):
    """A cache in which the truth was written, closed again."""
    cache = open_flow_cache(tmp_path / "flows", SECRET)
    tier = DiskTier(cache, clock=lambda: NOW)
    tell(tier)
    tier.close()
    cache.close()
    open_flow_cache(tmp_path / "flows", SECRET).close()
    return tmp_path / "flows"


# ── what is true ──────────────────────────────────────────────────────────────


# ── what must not happen ──────────────────────────────────────────────────────


HARM = frozenset(
    {
        "pickle.find_class",
        "os.system",
        "os.exec",
        "subprocess.Popen",
        "os.remove",
        "os.rmdir",
        "shutil.rmtree",
        "open",
    }
)


@contextmanager
def harmless(directory):
    """Fails if anything was run, removed, or opened outside of that directory."""
    seen = []

    def see(event, args):
        if event in HARM:
            seen.append((event, args))

    with audited(see):
        yield
    inside = str(directory / "flows")
    bad = [
        (event, args)
        for event, args in seen
        if event != "open" or (str(directory) in str(args[0]) and inside not in str(args[0]))
    ]
    assert bad == []


class Bomb:
    """Unpickled, it leaves a mark."""

    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return os.mkdir, (self.mark,)


@pytest.fixture
def outside(tmp_path):
    """Files beside the cache that an attacker would like to have read, run or removed."""
    place = tmp_path / "outside"
    place.mkdir()
    (place / "victim").write_bytes(b"precious")
    (place / "bomb").write_bytes(pickle.dumps(Bomb(place / "mark")))
    (tmp_path / "signals.db").write_bytes(b"the truth")
    return place


def surroundings(directory):
    """Everything but the cache itself: names, contents, dates."""
    return {
        path.relative_to(directory): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(directory.rglob("*"))
        if path.is_file()
        and not path.is_symlink()
        and not path.relative_to(directory).parts[0].startswith(("flows", "golden"))
    }


# ── rows ──────────────────────────────────────────────────────────────────────

MODES = [0, 1, 2, 3, 4, None, "4"]


def forged(number, owner, activity):
    """A value as it should be, but for the digest: that takes the key."""
    return struct.pack(">cqqq", b"f", number, owner, activity) + bytes(16)


def planted_values(outside):
    bomb = pickle.dumps(Bomb(outside / "mark"))
    return {
        "a forged owner": forged(1, CAROL, NOW),
        "another flow's row": "SELECT value FROM Cache WHERE key = 2",
        "a thread's row": f"SELECT value FROM Cache WHERE key = '{GROUP}:11'",
        "a bomb": bomb,
        "a bomb of another protocol": pickle.dumps(Bomb(outside / "mark"), 0),
        "text": "x" * 41,
        "a number": 41,
        "nothing": None,
        "nothing at all": b"",
        "too much": bytes(2**17),
    }


def planted_names(outside):
    return [
        None,
        "00/00/x.val",
        "../outside/victim",
        "../outside/bomb",
        str(outside / "bomb"),
        "../flows/cache.db",
        b"../outside/victim",
    ]


def plant(database, mode, name, value):
    """Into every row, and once more under a pickled key."""
    if isinstance(value, str) and value.startswith("SELECT"):
        ((value,),) = database.execute(value).fetchall()
    database.execute("UPDATE Cache SET mode = ?, filename = ?, value = ?", (mode, name, value))
    for key in (pickle.dumps(1), "1", -1):
        database.execute(
            "INSERT OR REPLACE INTO Cache (key, raw, expire_time, mode, filename, value)"
            " VALUES (?, 0, ?, ?, ?, ?)",
            (key, LATER, mode, name, value),
        )


async def read(tracker, cache):
    """Only read: `answers` does."""


async def write(tracker, cache):
    for number, flow in Table.flows.items():
        tracker.start_flow(number, flow.owner, at=flow.last_owner_activity)
    tracker.add_to_thread(BUSY, GROUP, OTHER)


async def delete(tracker, cache):
    tracker.end_flow(QUIET)
    tracker.end_flow(BUSY)


async def expire(tracker, cache):
    await asyncio.to_thread(cache.expire, 2 * LATER)
    await asyncio.to_thread(cache.close)


async def close_and_open(tracker, cache):
    cache.close()
    again = await asyncio.to_thread(open_flow_cache, Path(cache.directory), SECRET)
    assert again is not None
    again.close()


OPERATIONS = [read, write, delete, expire, close_and_open]


async def attack(flows, outside, mode, operation):
    """Tells how many rows were planted, none of which changed an answer, then or later."""
    planted = 0
    cache = open_flow_cache(flows, SECRET)
    with (
        closing(sqlite3.connect(flows / "cache.db", isolation_level=None)) as database,
        closing(sqlite3.connect(":memory:")) as intact,
    ):
        database.backup(intact)
        values, names = planted_values(outside), planted_names(outside)
        for (what, value), name in itertools.product(values.items(), names):
            database.execute("BEGIN IMMEDIATE")
            plant(database, mode, name, value)
            database.execute("COMMIT")
            tracker = track(cache)
            await operation(tracker, cache)
            assert await answers(tracker) == TRUTH, (what, name)
            await tracker.close()
            again = track(cache)
            assert await answers(again) == TRUTH, (what, name)
            await again.close()
            intact.backup(database)
            planted += 1
    cache.close()
    return planted


@pytest.mark.heavy
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.__name__)
@pytest.mark.parametrize("mode", MODES, ids=repr)
async def test_no_planted_row_is_run_followed_or_believed(
    flows, outside, tmp_path, mode, operation, capsys
):
    """7 modes, 5 operations, 10 values, 7 file names: 2,450 combinations, planted while it runs."""
    before = surroundings(tmp_path)

    with harmless(tmp_path):
        async with lag() as measured:
            assert await attack(flows, outside, mode, operation) == 70

    assert measured.worst < BOUND
    assert not (outside / "mark").exists()
    assert surroundings(tmp_path) == before


def test_the_matrix_is_as_large_as_it_says():
    values, names = planted_values(Path("x")), planted_names(Path("x"))
    assert len(MODES) * len(OPERATIONS) * len(values) * len(names) >= 2_000


# ── settings and schemas ──────────────────────────────────────────────────────


async def opened_in_a_thread(flows):
    """Open as the bot does, and see what is answered, and that the loop did not stand still."""
    async with lag() as measured:
        cache = await asyncio.to_thread(open_flow_cache, flows, SECRET)
        tracker = track(cache)
        assert await answers(tracker) == TRUTH
        await tracker.close()
    if cache is not None:
        cache.close()
    assert measured.worst < BOUND
    return cache


VALUES = ["x", -1, 10**9, None, b"", "1; DROP TABLE Cache"]
POISON = [
    *itertools.product(DEFAULT_SETTINGS, VALUES),
    *itertools.product(["count", "size", "hits", "misses"], ["x", None, b"", 1.5]),
    ("sqlite_temp_store_directory", "outside"),
    ("sqlite_writable_schema", 1),
    ("sqlite_journal_mode; DROP TABLE Cache; --", 1),
    ("sqlite_", "x"),
    ("disk_secret", b""),
    ("disk_filename", "outside/victim"),
    ("get", "x"),
    ("close", "x"),
    ("_directory", "outside"),
    ("_local", "x"),
    ("disk", "x"),
    (b"sqlite_x", 1),
    (17, 1),
]


@pytest.mark.long
async def test_no_poisoned_setting_is_obeyed(flows, outside, tmp_path, capsys):
    """Unknown names, known names with other values, values that are not numbers."""
    before = surroundings(tmp_path)
    kept = flows.with_name("golden")
    flows.rename(kept)
    for name, value in POISON:
        if (
            DEFAULT_SETTINGS | flow_cache.SETTINGS | {name: value}
            == DEFAULT_SETTINGS | flow_cache.SETTINGS
        ):
            continue  # as it should be
        shutil.copytree(kept, flows)
        statement = "INSERT OR REPLACE INTO Settings VALUES (?, ?)"
        change(flows / "cache.db", (statement, name, value))
        fresh = await asyncio.to_thread(open_flow_cache, flows, SECRET)
        assert len(fresh) == 0, (name, value)
        assert fresh.cull_limit == fresh.sqlite_mmap_size == 0
        fresh.close()
        for ruin in [flows, *ruins(tmp_path)]:
            shutil.rmtree(ruin)

    assert surroundings(tmp_path) == before


async def test_a_setting_poisoned_while_the_cache_runs_is_not_run_as_a_pragma(flows):
    cache = open_flow_cache(flows, SECRET)
    change(flows / "cache.db", ("INSERT INTO Settings VALUES ('sqlite_query_only', 1)",))
    tracker = track(cache)
    assert await answers(tracker) == TRUTH
    tracker.start_flow(UNKNOWN, CAROL, at=NOW)
    await tracker.close()

    assert len(cache) == 6
    cache.close()


SCHEMAS = {
    "a trigger": [(f"CREATE TRIGGER evil {BODY}",)],
    "a trigger of a good name": [(f"CREATE TRIGGER Settings_evil {BODY}",)],
    "a trigger replaced": [
        ("DROP TRIGGER Settings_count_insert",),
        (f"CREATE TRIGGER Settings_count_insert {BODY}",),
    ],
    "a trigger removed": [("DROP TRIGGER Settings_count_insert",)],
    "a view": [("CREATE VIEW evil AS SELECT 1",)],
    "a view for the table": [
        ("ALTER TABLE Cache RENAME TO Old",),
        (f"CREATE VIEW Cache AS SELECT *, ({ENDLESS}) AS endless FROM Old",),
    ],
    "a view for the settings": [
        ("DROP TABLE Settings",),
        (f"CREATE VIEW Settings AS SELECT 'count' AS key, ({ENDLESS}) AS value",),
    ],
    "a generated column": [("ALTER TABLE Cache ADD COLUMN evil AS (zeroblob(1000000000))",)],
    "a further column": [("ALTER TABLE Cache ADD COLUMN evil",)],
    "an index on an expression": [("CREATE INDEX evil ON Cache (abs(raw))",)],
    "a further table": [("CREATE TABLE evil (x)",)],
    "statistics": [("ANALYZE",)],
    "no table": [("DROP TABLE Cache",)],
    "no settings": [("DROP TABLE Settings",)],
    "no index": [("DROP INDEX Cache_key_raw",)],
    "a broken schema": [
        ("PRAGMA writable_schema = ON",),
        ("UPDATE sqlite_master SET sql = 'CREATE TABLE Cache (' WHERE name = 'Cache'",),
    ],
}


@pytest.mark.parametrize("statements", SCHEMAS.values(), ids=SCHEMAS)
async def test_a_foreign_schema_is_never_run(flows, tmp_path, statements, capsys):
    change(flows / "cache.db", *statements)

    assert await opened_in_a_thread(flows) is not None
    assert len(ruins(tmp_path)) == 1


LIVE = ["a view for the table", "a trigger replaced", "a view for the settings", "no table"]


@pytest.mark.long
@pytest.mark.parametrize("what", LIVE)
async def test_a_schema_planted_while_the_cache_runs_stalls_nobody(flows, what, capsys):
    """A table without end in place of ours: reads and writes give up, the loop goes on."""
    cache = open_flow_cache(flows, SECRET)
    tracker = track(cache)
    change(flows / "cache.db", *SCHEMAS[what])
    async with lag() as measured:
        assert await answers(tracker) == TRUTH
        tracker.start_flow(UNKNOWN, CAROL, at=NOW)
        assert await tracker.get_flow_owner(UNKNOWN, at=NOW) == CAROL
        await tracker.close()
    cache.close()

    assert measured.worst < BOUND
