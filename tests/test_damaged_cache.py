"""The disk tier damaged: 3,000 corruptions of 31 kinds, and what breaks while the bot runs.

Every time the answers are those of the table, the loop goes on, and the damaged cache is set aside
for a fresh one; where none can be had the tier does without, says so once, and comes back later.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sqlite3
import struct
import threading
import time
from contextlib import closing, contextmanager
from functools import partial

import pytest

from bot.app import open_core
from bot.config import Settings
from bot.state.disk_tier import DiskTier
from bot.state.flow_cache import open_flow_cache
from tests.audit import audited
from tests.conftest import SECRET
from tests.lag import BOUND, lag
from tests.people import ALICE, CAROL, GROUP, at, signal_id
from tests.spoiled_caches import (
    BODY,
    BUSY,
    NOW,
    OTHER,
    TRUTH,
    UNKNOWN,
    answers,
    change,
    ruins,
    tell,
    track,
)

EACH = 97  # times 31 kinds: 3,007

# ── 31 ways to spoil a cache that is closed ───────────────────────────────────


def scribble(path, chance, times, length, within=None):
    size = within or path.stat().st_size
    with path.open("r+b") as file:
        for _ in range(times):
            file.seek(chance.randrange(size))
            file.write(chance.randbytes(length))


def sql(*statements):
    return lambda flows, chance: change(flows / "cache.db", *statements)


def replaced(make):
    def damage(flows, chance):
        (flows / "cache.db").unlink()
        make(flows / "cache.db")

    return damage


def another_database(path):
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE Settings (key, value)")


def stray(name):
    return lambda flows, chance: (flows / name).write_bytes(
        chance.randbytes(chance.randrange(9999))
    )


def elsewhere(flows):
    return flows.with_name("outside") / "victim"


def linked_directory(flows, chance):
    flows.rename(flows.with_name("outside") / "flows")
    flows.symlink_to(flows.with_name("outside") / "flows")


def linked_to_nowhere(flows, chance):
    shutil.rmtree(flows)
    flows.symlink_to(flows.with_name("nowhere"))


def file_for_the_directory(flows, chance):
    shutil.rmtree(flows)
    flows.write_bytes(chance.randbytes(100))


def journal_that_names_a_victim(flows, chance):
    """A rollback journal as SQLite leaves one: of a transaction over several files.

    SQLite deletes the file that it names, when it finds nothing more to do for it.
    https://www.sqlite.org/fileformat.html#the_rollback_journal
    """
    name = str(elsewhere(flows)).encode()
    header = struct.pack(">8sIIIII", bytes.fromhex("d9d505f920a163d7"), 0, 7, 9, 512, 4096)
    trailer = struct.pack(">III", 2**18 + 1, len(name), sum(name)) + header[:8]
    trailer = trailer[:4] + name + trailer[4:]
    (flows / "cache.db-journal").write_bytes(header.ljust(512, b"\0") + trailer)


def forge_owners(flows, chance):
    payload = struct.pack(">cqqq", b"f", 1, CAROL, NOW) + chance.randbytes(16)
    change(flows / "cache.db", ("UPDATE Cache SET value = ?", payload))


def drop_rows(flows, chance):
    change(flows / "cache.db", (f"DELETE FROM Cache WHERE rowid % 2 = {chance.randrange(2)}",))


def shuffle_values(flows, chance):
    number = chance.randint(1, 5)
    change(
        flows / "cache.db",
        ("UPDATE Cache SET value = (SELECT value FROM Cache WHERE rowid = ?)", number),
    )


def shuffle_keys(flows, chance):
    change(
        flows / "cache.db",
        ("UPDATE Cache SET key = -rowid",),
        ("UPDATE Cache SET key = 1 + (? - rowid) % 5 WHERE rowid < 6", chance.randint(6, 99)),
    )


KINDS = {
    "zero length": lambda flows, chance: os.truncate(flows / "cache.db", 0),
    "truncated": lambda flows, chance: os.truncate(flows / "cache.db", chance.randrange(36_000)),
    "flipped bytes": lambda flows, chance: scribble(
        flows / "cache.db", chance, chance.randint(1, 40), 1
    ),
    "a garbled header": lambda flows, chance: scribble(flows / "cache.db", chance, 1, 8, 100),
    "garbled pages": lambda flows, chance: scribble(flows / "cache.db", chance, 1, 2_000),
    "all garbage": lambda flows, chance: (flows / "cache.db").write_bytes(chance.randbytes(9_999)),
    "zeroes at the end": lambda flows, chance: os.truncate(flows / "cache.db", 40_000),
    "text": lambda flows, chance: (flows / "cache.db").write_text("see you\n" * 999),
    "the database deleted": lambda flows, chance: (flows / "cache.db").unlink(),
    "the directory deleted": lambda flows, chance: shutil.rmtree(flows),
    "another database": replaced(another_database),
    "a directory for the database": replaced(lambda path: path.mkdir()),
    "a pipe for the database": replaced(os.mkfifo),
    "a link to a victim": lambda flows, chance: replaced(
        lambda path: path.symlink_to(elsewhere(flows))
    )(flows, chance),
    "a second name of a victim": lambda flows, chance: replaced(
        lambda path: path.hardlink_to(elsewhere(flows))
    )(flows, chance),
    "a directory elsewhere": linked_directory,
    "a directory nowhere": linked_to_nowhere,
    "a file for the directory": file_for_the_directory,
    "a foreign file": stray("x.val"),
    "a junk journal": stray("cache.db-journal"),
    "a journal that names a victim": journal_that_names_a_victim,
    "a junk WAL": stray("cache.db-wal"),
    "a junk WAL index": stray("cache.db-shm"),
    "a directory for the WAL": lambda flows, chance: (flows / "cache.db-wal").mkdir(),
    "no table": sql(("DROP TABLE Cache",)),
    "no settings": sql(("DELETE FROM Settings",)),
    "forged owners": forge_owners,
    "rows gone": drop_rows,
    "values under other keys": shuffle_values,
    "keys of other rows": shuffle_keys,
    "read-only": lambda flows, chance: ((flows / "cache.db").chmod(0o400), flows.chmod(0o500)),
}
HARMLESS = {  # answered without making the cache anew
    "zero length", "the database deleted", "the directory deleted", "a junk WAL",
    "a junk WAL index", "forged owners", "rows gone", "values under other keys",
    "keys of other rows", "read-only", "zeroes at the end", "flipped bytes", "garbled pages",
    "truncated", "a garbled header",
}  # fmt: skip


@pytest.fixture
def golden(tmp_path):
    """A cache in which the truth was written."""
    place = tmp_path / "golden"
    cache = open_flow_cache(place, SECRET)
    tier = DiskTier(cache, clock=lambda: NOW)
    tell(tier)
    tier.close()
    cache.close()
    return place


def damaged_copy(golden, number, damage, chance):
    """A copy in a directory of its own, beside a file that is none of the cache's business."""
    place = golden.with_name(f"copy{number}")
    (place / "outside").mkdir(parents=True)
    (place / "outside" / "victim").write_bytes(b"precious")
    shutil.copytree(golden, place / "flows")
    damage(place / "flows", chance)
    return place / "flows"


@pytest.mark.heavy
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.replace(" ", "-"))
async def test_no_damage_changes_an_answer_or_stalls_the_loop(golden, kind, capsys):
    chance = random.Random(kind)
    async with lag() as measured:
        for number in range(EACH):
            flows = await asyncio.to_thread(damaged_copy, golden, number, KINDS[kind], chance)
            cache = await asyncio.to_thread(open_flow_cache, flows, SECRET)
            tracker = track(cache)
            assert await answers(tracker) == TRUTH
            await tracker.close()
            assert cache is not None
            cache.close()
            assert elsewhere(flows).read_bytes() == b"precious"
            assert kind in HARMLESS or len(ruins(flows.parent)) == 1
            assert not flows.is_symlink()
            assert flows.stat().st_mode & 0o777 == 0o700
            await asyncio.to_thread(shutil.rmtree, flows.parent)
    assert measured.worst < BOUND


def test_there_are_as_many_corruptions_as_it_says():
    assert len(KINDS) >= 15
    assert EACH * len(KINDS) >= 3_000


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
@pytest.mark.parametrize("what", [".", "cache.db"])
def test_a_cache_of_another_user_is_set_aside(golden, what):
    os.chown(golden / what, 65534, 65534)

    open_flow_cache(golden, SECRET).close()

    assert len(list(golden.parent.glob("golden.bad-*"))) == 1


def test_a_cache_with_a_file_that_is_none_of_its_own_is_set_aside(golden):
    """SQLite deletes whatever a planted rollback journal names."""
    (golden / "cache.db-journal").write_bytes(b"")

    open_flow_cache(golden, SECRET).close()

    assert not (golden / "cache.db-journal").exists()
    assert len(list(golden.parent.glob("golden.bad-*"))) == 1


def test_a_cache_with_a_page_that_is_damaged_is_set_aside_before_anybody_reads_it(golden):
    """One that few statements ever come to."""
    with closing(sqlite3.connect(golden / "cache.db")) as db:
        of_index = "SELECT max(rootpage) FROM sqlite_master WHERE type = 'index'"
        ((page,),), ((size,),) = db.execute(of_index), db.execute("PRAGMA page_size")
    with (golden / "cache.db").open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)

    open_flow_cache(golden, SECRET).close()

    assert len(list(golden.parent.glob("golden.bad-*"))) == 1


def test_a_cache_too_large_to_be_checked_is_set_aside(golden):
    os.truncate(golden / "cache.db", 2**31 + 1)

    open_flow_cache(golden, SECRET).close()

    assert len(list(golden.parent.glob("golden.bad-*"))) == 1


# ── while it runs ─────────────────────────────────────────────────────────────


def soon(happens):
    """Wait until it does, but not for ever."""
    give_up_at = time.monotonic() + 10
    while not happens() and time.monotonic() < give_up_at:
        time.sleep(0.001)  # give the writer's thread the interpreter
    return happens()


@pytest.fixture
def running(golden):
    """A tier that opens its cache anew after a moment, as the real one does after a minute."""
    cache = open_flow_cache(golden, SECRET)
    reopen = partial(open_flow_cache, golden, SECRET, again=True)
    tier = DiskTier(cache, reopen=reopen, clock=lambda: NOW, retry_after=0.001, reopen_after=0.001)
    yield tier
    tier.close()
    tier.close_reader()
    cache.close()


def holds(directory, number):
    """Whether that flow is on disk, for whoever opens the cache next."""
    found = f"SELECT 1 FROM Cache WHERE key = {number}"
    try:
        with closing(sqlite3.connect(f"file:{directory}/cache.db?mode=ro", uri=True)) as db:
            return db.execute(found).fetchone() is not None
    except sqlite3.Error:
        return False


BREAKS = {
    "the directory deleted": shutil.rmtree,
    "the table dropped": lambda place: change(place / "cache.db", ("DROP TABLE Cache",)),
    "garbage written over it": lambda place: scribble(
        place / "cache.db", random.Random(1), 200, 100
    ),
    "an endless trigger": lambda place: change(
        place / "cache.db",
        (f"CREATE TRIGGER evil {BODY}",),
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("break_", BREAKS.values(), ids=BREAKS)
def test_a_cache_that_breaks_while_it_runs_is_made_anew(golden, running, break_, capsys):
    running.flow(BUSY)
    break_(golden)
    running.put_flow(UNKNOWN, CAROL, at(79), until=4e9)

    assert running.flow(UNKNOWN).owner == CAROL
    assert soon(lambda: running.works and holds(golden, UNKNOWN))
    assert running.flow(UNKNOWN).owner == CAROL
    assert "flow cache works again" in capsys.readouterr().out


def test_a_read_that_finds_the_damage_has_the_cache_made_anew(golden, running):
    change(golden / "cache.db", ("DROP TABLE Cache",))

    assert running.flow(BUSY) is None
    assert soon(lambda: len(list(golden.parent.glob("golden.bad-*"))) == 1)
    assert soon(lambda: running.works)


def test_where_there_is_no_cache_at_first_it_is_asked_for_again(golden, capsys):
    """As when another process locks it at the start. One warning, and another line at its end."""
    with closing(sqlite3.connect(golden / "cache.db", isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        assert open_flow_cache(golden, SECRET) is None
        asked = []

        def reopen():
            asked.append(time.monotonic())
            return open_flow_cache(golden, SECRET, again=True)

        tier = DiskTier(None, reopen=reopen, clock=lambda: NOW, reopen_after=0.001)
        tier.put_flow(UNKNOWN, CAROL, at(79), until=4e9)
        assert tier.flow(UNKNOWN).owner == CAROL
        assert tier.flow(BUSY) is None
        assert soon(lambda: asked)
        assert not tier.works
    assert soon(lambda: tier.works)
    assert tier.flow(BUSY) is not None
    tier.close()
    tier.close_reader()

    assert holds(golden, UNKNOWN)
    assert capsys.readouterr().out.count("warning") == 1


def test_a_tier_that_never_had_a_cache_closes_at_once(golden, capsys):
    tier = DiskTier(None, reopen=lambda: None, clock=lambda: NOW)
    tier.put_flow(UNKNOWN, CAROL, at(79), until=4e9)
    began = time.monotonic()
    tier.close()

    assert time.monotonic() - began < 1
    assert "closed with facts unwritten" in capsys.readouterr().out


def test_a_full_disk_costs_the_cache_and_makes_no_ruins(golden, running):
    """The file may not grow any more: writes fail, and no fresh cache would help."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        for number in range(100, 400):
            running.put_flow(signal_id(number), ALICE, at(79), until=4e9)
        assert soon(lambda: not running.works)
        assert running.flow(signal_id(399)).owner == ALICE
        assert open_flow_cache(golden.with_name("another"), SECRET) is None
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert soon(lambda: holds(golden, 399))
    assert list(golden.parent.glob("*.bad-*")) == []


async def test_a_foreign_lock_at_run_time_stalls_nobody(golden):
    """Forty facts told in one step, and questions, while another process holds the whole file."""
    cache = open_flow_cache(golden, SECRET)
    tracker = track(cache)
    with closing(sqlite3.connect(golden / "cache.db", isolation_level=None)) as db:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("BEGIN EXCLUSIVE")
        db.execute("DELETE FROM Settings WHERE key = 'hits'")
        async with lag() as measured:
            for number in range(100, 120):
                tracker.start_flow(signal_id(number), ALICE, at=NOW)
                tracker.add_to_thread(signal_id(number), GROUP, number)
            assert await answers(tracker) == TRUTH
        db.execute("ROLLBACK")
    assert await asyncio.to_thread(soon, lambda: tracker.disk_works)
    await tracker.close()
    cache.close()

    assert measured.worst < BOUND
    assert holds(golden, 119)


@contextmanager
def connects():
    """Which threads of this process opened which databases."""
    seen = []

    def see(event, args):
        if event == "sqlite3.connect":
            seen.append((threading.current_thread(), str(args[0])))

    with audited(see):
        yield seen


async def test_the_cache_is_opened_in_a_thread(tmp_path):
    settings = Settings(data_dir=tmp_path, _env_file=None)
    with connects() as seen:
        async with open_core(settings) as core:
            assert core.flows.disk_works

    opened_by = {thread for thread, name in seen if name.endswith("cache.db")}
    assert opened_by
    assert threading.current_thread() not in opened_by


async def test_the_cache_is_written_in_a_thread(golden):
    cache = open_flow_cache(golden, SECRET)
    tracker = track(cache)
    with connects() as seen:
        for number in range(100, 120):
            tracker.start_flow(signal_id(number), ALICE, at=NOW)
            tracker.add_to_thread(signal_id(number), GROUP, OTHER + number)
        await tracker.close()
        cache.close()

    writers = {thread for thread, name in seen if name.endswith("cache.db")}
    assert len(writers) == 1
    assert threading.current_thread() not in writers
    assert holds(golden, 119)


def test_a_damaged_cache_that_cannot_be_set_aside_is_done_without(golden, capsys):
    """Its name is too long for a longer one."""
    place = golden.with_name("f" * 250)
    golden.rename(place)
    (place / "cache.db").write_text("see you")

    assert open_flow_cache(place, SECRET) is None
    assert (place / "cache.db").read_text() == "see you"
    assert "going on without it" in capsys.readouterr().out
