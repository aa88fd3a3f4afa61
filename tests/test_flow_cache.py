"""The disk tier on its own: what it writes, what it refuses to read, how it opens."""

from __future__ import annotations

import pickle
import sqlite3
import threading
import time
from contextlib import closing

import diskcache
import pytest

from bot.models import Flow, MessageId, MessageRef
from bot.state.disk_tier import DiskTier, newest_flows
from bot.state.flow_cache import FlowDisk, open_flow_cache
from tests.conftest import SECRET
from tests.people import ALICE, BOB, GROUP, at, signal_id

FIRST, SECOND = signal_id(1), signal_id(2)
MESSAGE = MessageRef(GROUP, MessageId(10))
LATER = 4_000_000_000.0


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "flows"


@pytest.fixture
def tier(cache):
    tier = DiskTier(cache, clock=lambda: at(0))
    yield tier
    tier.close()


@pytest.fixture
def written(tier):
    """A cache that holds one flow and one thread."""
    tier.put_flow(FIRST, ALICE, at(1), until=LATER)
    tier.put_thread(MESSAGE, FIRST, until=LATER)
    tier.close()


def rows(directory):
    with closing(sqlite3.connect(directory / "cache.db")) as db:
        return db.execute("SELECT key, raw, mode, filename, value FROM Cache").fetchall()


def change(directory, statement, *parameters):
    with closing(sqlite3.connect(directory / "cache.db")) as db, db:
        db.execute(statement, parameters)


class Bomb:
    """Unpickled, it leaves a mark."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (open, (str(self.mark), "w"))


def test_what_was_written_is_read_back(written, tier, cache):
    assert tier.flow(FIRST) == Flow(ALICE, at(1))
    assert tier.signal_at(MESSAGE) == FIRST
    assert tier.flow(SECOND) is None
    assert tier.signal_at(MessageRef(GROUP, MessageId(11))) is None


def test_a_row_is_a_native_key_and_one_short_value(written, directory):
    for key, raw, mode, filename, value in rows(directory):
        assert type(key) in {int, str}
        assert (raw, mode, filename) == (1, 1, None)
        assert len(value) == 41


@pytest.mark.parametrize(
    "tampering",
    [
        pytest.param("value = zeroblob(41)", id="a value of the right length"),
        pytest.param("value = zeroblob(40)", id="a value of another length"),
        pytest.param("value = 'text'", id="text"),
        pytest.param("value = 17", id="a number"),
        pytest.param("value = NULL", id="nothing"),
        pytest.param("mode = 2, filename = 'x'", id="binary mode"),
        pytest.param("mode = 3, filename = 'x'", id="text mode"),
        pytest.param("mode = 4", id="pickle mode"),
        pytest.param("mode = 0", id="no mode"),
        pytest.param("filename = '../../etc/passwd'", id="a file name"),
    ],
)
def test_a_row_that_was_tampered_with_is_a_miss(written, tier, directory, tampering):
    change(directory, f"UPDATE Cache SET {tampering}")

    assert tier.flow(FIRST) is None
    assert tier.signal_at(MESSAGE) is None


def test_a_planted_pickle_is_never_run(written, tier, directory, tmp_path):
    mark = tmp_path / "mark"
    change(directory, "UPDATE Cache SET mode = 4, value = ?", pickle.dumps(Bomb(mark)))

    assert tier.flow(FIRST) is None
    assert not mark.exists()


def test_a_value_moved_to_another_key_is_a_miss(tier, directory):
    """Alice's row under Bob's signal would hand her his flow."""
    tier.put_flow(FIRST, ALICE, at(1), until=LATER)
    tier.put_flow(SECOND, BOB, at(1), until=LATER)
    tier.put_thread(MESSAGE, FIRST, until=LATER)
    tier.put_thread(MessageRef(GROUP, MessageId(11)), SECOND, until=LATER)
    tier.close()
    for mine, theirs in ((1, 2), (f"{GROUP}:10", f"{GROUP}:11"), (2, f"{GROUP}:10")):
        change(
            directory,
            "UPDATE Cache SET value = (SELECT value FROM Cache WHERE key = ?) WHERE key = ?",
            mine,
            theirs,
        )

    assert tier.flow(SECOND) is None
    assert tier.signal_at(MessageRef(GROUP, MessageId(11))) is None
    assert tier.signal_at(MESSAGE) is None


def test_a_row_written_with_another_key_is_a_miss(written, directory, cache):
    """A new database has a new key: no cache outlives its table."""
    cache.close()
    other = open_flow_cache(directory, bytes(32))
    tier = DiskTier(other)

    assert tier.flow(FIRST) is None
    tier.close()
    other.close()


def test_the_file_named_in_a_planted_row_is_not_removed(written, cache, directory, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    change(directory, "UPDATE Cache SET filename = '../victim'")
    cache.delete(1)
    cache.expire(now=LATER * 2)
    cache.clear()

    assert victim.read_text() == "precious"


@pytest.mark.parametrize("key", [1.5, b"x", None, ("a",), "x" * 42, True])
def test_no_key_is_pickled(key):
    with pytest.raises(ValueError, match="not a key"):
        FlowDisk("unused").put(key)


def test_no_stored_key_is_unpickled():
    with pytest.raises(ValueError, match="not a native key"):
        FlowDisk("unused").get(pickle.dumps(Bomb("mark")), 0)


@pytest.mark.parametrize("value", ["text", 17, None, b"short", b"x" * 26, ["x"]])
def test_no_value_is_pickled_or_put_into_a_file(cache, value):
    with pytest.raises(ValueError, match="not a value"):
        cache.set(1, value)
    with pytest.raises(ValueError, match="no files"):
        cache.disk.filename()


def test_an_id_beyond_64_bits_is_left_to_the_table(tier):
    tier.put_flow(FIRST, ALICE + 2**64, at(1), until=LATER)

    assert tier.flow(FIRST) is None


def test_a_deleted_flow_is_gone_at_once_and_for_good(written, tier, cache):
    again = DiskTier(cache, clock=lambda: at(0))
    again.delete_flow(FIRST)

    assert again.flow(FIRST) is None
    again.close()
    assert len(cache) == 1


def test_a_foreign_lock_delays_the_disk_and_nobody_else(tier, cache, directory):
    """2,000 flows are told while another process sits on the cache; then all are on disk."""
    with closing(sqlite3.connect(directory / "cache.db", isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        began = time.perf_counter()
        for number in range(1, 2_001):
            tier.put_flow(signal_id(number), ALICE, at(1), until=LATER)
            tier.flow(signal_id(number))
        took = time.perf_counter() - began
        # The lock goes when this block ends.
    tier.close()

    # Had each waited for the lock, even once, it would have been ten times that.
    assert took < 2_000 * 0.1 / 10
    assert len(cache) == 2_000


def test_closing_waits_for_a_lock_to_go_away_and_then_the_last_word_is_on_disk(cache, directory):
    tier = DiskTier(cache, clock=lambda: at(0), expire_every=1, retry_after=0.01)
    with closing(sqlite3.connect(directory / "cache.db", isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        tier.put_flow(FIRST, ALICE, at(1), until=LATER)
        closer = threading.Thread(target=tier.close)
        closer.start()
        closer.join(timeout=0.3)
        assert closer.is_alive()
        tier.put_flow(FIRST, ALICE, at(2), until=LATER)
    closer.join()

    assert list(cache) == [FIRST]
    assert tier.flow(FIRST) == Flow(ALICE, at(2))


@pytest.mark.long
def test_closing_does_not_wait_for_a_lock_for_ever(cache, directory, capsys):
    tier = DiskTier(cache, clock=lambda: at(0), retry_after=0.001)
    with closing(sqlite3.connect(directory / "cache.db", isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        tier.put_flow(FIRST, ALICE, at(1), until=LATER)
        tier.close()

    assert len(cache) == 0
    assert tier.flow(FIRST) == Flow(ALICE, at(1))
    assert "closed with facts unwritten" in capsys.readouterr().out


def test_expired_rows_are_removed_when_it_is_quiet(cache):
    cache.set(7, b"x" * 25, expire=-1)
    tier = DiskTier(cache, quiet=0.001)
    give_up_at = time.monotonic() + 10
    while len(cache) and time.monotonic() < give_up_at:
        pass
    tier.close()

    assert len(cache) == 0


def test_what_expired_in_an_earlier_life_is_removed_with_the_first_write(cache):
    """Else a bot that is begun anew every few minutes, and is never quiet, would collect it."""
    cache.set(7, b"x" * 25, expire=-1)
    tier = DiskTier(cache, clock=lambda: at(0))
    tier.put_flow(FIRST, ALICE, at(1), until=LATER)
    give_up_at = time.monotonic() + 10
    while list(cache) != [FIRST] and time.monotonic() < give_up_at:
        pass
    tier.close()

    assert list(cache) == [FIRST]


def test_housekeeping_that_fails_stops_nothing(cache, directory):
    cache.close()
    change(directory, "DROP TABLE Cache")
    tier = DiskTier(cache, clock=lambda: at(0), quiet=0.001, retry_after=0.001)
    tier.put_flow(FIRST, ALICE, at(1), until=LATER)

    assert tier.flow(FIRST) == Flow(ALICE, at(1))
    tier.close()


def test_expired_rows_are_removed_in_the_background(cache):
    tier = DiskTier(cache, clock=lambda: at(0), expire_every=1)
    cache.set(7, b"x" * 25, expire=-1)
    tier.put_flow(FIRST, ALICE, at(1), until=LATER)
    tier.close()

    assert list(cache) == [FIRST]


# ── opening ───────────────────────────────────────────────────────────────────


def replace_with_garbage(database):
    database.write_bytes(b"garbage" * 1000)


def truncate(database):
    database.write_bytes(database.read_bytes()[:5000])


def blank_a_page(database):
    with database.open("r+b") as file:
        file.seek(4096 * 5)
        file.write(bytes(4096))


def put_a_directory(database):
    database.unlink()
    database.mkdir()


def put_another_database(database):
    database.unlink()
    with closing(sqlite3.connect(database)) as db, db:
        db.execute("CREATE TABLE something (else_ TEXT)")


def plant_a_trigger(database):
    with closing(sqlite3.connect(database)) as db, db:
        db.execute("CREATE TRIGGER evil AFTER INSERT ON Cache BEGIN DELETE FROM Cache; END")


def plant_a_view(database):
    with closing(sqlite3.connect(database)) as db, db:
        db.execute("CREATE VIEW evil AS SELECT 1")


def poison_the_settings(database):
    with closing(sqlite3.connect(database)) as db, db:
        db.execute("INSERT INTO Settings VALUES ('sqlite_evil', 1)")


def put_a_file_in_place_of_the_directory(database):
    for file in database.parent.iterdir():
        file.unlink()
    database.parent.rmdir()
    database.parent.write_text("a file")


@pytest.mark.parametrize(
    "damage",
    [
        replace_with_garbage,
        truncate,
        blank_a_page,
        put_a_directory,
        put_another_database,
        plant_a_trigger,
        plant_a_view,
        poison_the_settings,
        put_a_file_in_place_of_the_directory,
    ],
)
def test_a_damaged_cache_is_set_aside_and_a_fresh_one_opened(written, directory, cache, damage):
    cache.close()
    damage(directory / "cache.db")

    fresh = open_flow_cache(directory, SECRET)

    assert fresh is not None
    assert len(fresh) == 0
    assert len(list(directory.parent.glob("flows.bad-*"))) == 1
    fresh.close()


@pytest.mark.long
def test_a_large_cache_is_looked_through_behind_the_start(directory, cache):
    """Damage that no read has met is found all the same, and mended."""
    first = DiskTier(cache, clock=lambda: at(0))
    for number in range(50_000):
        first.put_flow(signal_id(number), ALICE, at(1), until=LATER)
    first.close()
    with closing(sqlite3.connect(directory / "cache.db")) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    pages = bytearray((directory / "cache.db").read_bytes())
    table_leaf = max(at for at in range(0, len(pages), 4096) if pages[at] == 0x0D)
    pages[table_leaf : table_leaf + 4096] = b"\xa5" * 4096
    (directory / "cache.db").write_bytes(pages)

    opened = open_flow_cache(directory, SECRET)
    assert list(directory.parent.glob("flows.bad-*")) == []
    mended = DiskTier(
        opened,
        clock=lambda: at(0),
        reopen=lambda: open_flow_cache(directory, SECRET, again=True),
        reopen_after=0.01,
    )
    for _ in range(1_000):
        if list(directory.parent.glob("flows.bad-*")) and mended.works:
            break
        threading.Event().wait(0.01)
    mended.put_flow(FIRST, BOB, at(2), until=LATER)
    mended.close()

    assert len(list(directory.parent.glob("flows.bad-*"))) == 1
    assert len(rows(directory)) == 1


def test_a_locked_cache_is_left_alone_and_opening_does_not_wait_for_it(directory, cache):
    with closing(sqlite3.connect(directory / "cache.db", isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        began = time.perf_counter()

        assert open_flow_cache(directory, SECRET) is None
        assert time.perf_counter() - began < 1
    assert list(directory.parent.glob("flows.bad-*")) == []


def test_where_no_cache_can_be_made_there_is_none(tmp_path):
    (tmp_path / "file").write_text("in the way")

    assert open_flow_cache(tmp_path / "file" / "flows", SECRET) is None


def test_the_cache_is_private_to_its_owner(cache, directory):
    assert directory.stat().st_mode & 0o777 == 0o700


def test_the_settings_that_evict_or_unpickle_are_off(cache):
    assert isinstance(cache, diskcache.Cache)
    assert (cache.eviction_policy, cache.cull_limit, cache.statistics) == ("none", 0, 0)
    assert isinstance(cache.disk, FlowDisk)


def test_a_cache_that_breaks_while_running_is_a_miss_and_one_warning(
    written, tier, cache, directory, capsys
):
    cache.close()
    (directory / "cache.db").unlink()
    (directory / "cache.db").mkdir()

    assert tier.flow(FIRST) is None
    assert tier.flow(FIRST) is None
    assert capsys.readouterr().out.count("not readable") == 1
    (directory / "cache.db").rmdir()


def test_a_cache_that_cannot_be_read_says_nothing_of_its_newest_flows(cache):
    """Whoever compares it with the tables of a server goes on without."""
    cache._con.execute("DROP TABLE Cache")  # noqa: SLF001  # as somebody who damages the file
    assert newest_flows(cache, 10) == []
