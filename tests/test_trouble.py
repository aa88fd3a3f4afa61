"""The table in trouble, and files that others may read: what the operator sees, and what is left.

The real program in a process of its own. Before each fault it has posted one signal, and after it
goes on where it was: nothing lost, nothing doubled.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import stat
import subprocess
from contextlib import closing, contextmanager

import pytest

from bot.app import open_core
from bot.config import Settings
from bot.errors import DatabaseUnavailable, DatabaseUnusable, UsageError
from bot.routes import Place
from bot.storage.backup import back_up
from bot.storage.engine import Database
from bot.storage.store import SignalStore
from tests.lag import BOUND, lag
from tests.loopback import LoopbackTelegram
from tests.people import ALICE, TARGET, says
from tests.rows import add_signal
from tests.stage import Stage

pytestmark = pytest.mark.heavy


@pytest.fixture
async def stage(tmp_path):
    async with LoopbackTelegram() as telegram:
        yield Stage(telegram, tmp_path)
        assert telegram.calls.violations == []


@pytest.fixture
async def begun(stage):
    """A bot that has posted a signal, and was stopped."""
    async with stage.relay():
        await stage.alice.sends(stage.group, "#idea before")
        await stage.shows("#idea before")
    return stage


def database(stage):
    return stage.directory / "data" / "signals.db"


async def refusal(stage, *command, **env):
    """The one line, of a program that ends with exit code 1."""
    program = await stage.launch(*command, LOG_LEVEL="INFO", **env)
    assert await program.wait(timeout=30) == 1, program.output
    (line,) = program.output.splitlines()
    assert line.startswith("error: ")
    assert str(database(stage).name) in line
    return line


async def goes_on(stage):
    """It is started again, posts what is said now, and has lost and doubled nothing."""
    async with stage.relay():
        await stage.alice.sends(stage.group, "#idea after")
        await stage.shows("#idea before", "#idea after")
    assert stage.rows("SELECT text FROM signals ORDER BY id") == [
        ("#idea before",),
        ("#idea after",),
    ]


# ── at start ──────────────────────────────────────────────────────────────────


async def test_a_locked_table_at_start_is_one_line_and_exit_code_1(begun):
    with closing(sqlite3.connect(database(begun), isolation_level=None)) as db:
        db.execute("BEGIN EXCLUSIVE")
        line = await refusal(begun)

    assert "database is locked (another program holds it: close that one)" in line
    await goes_on(begun)


# Root may write anything, until it gives up the right to.
UNPRIVILEGED = """
import ctypes, os, sys
for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP
os.execv(sys.executable, [sys.executable, "-m", "bot"])
"""


async def test_a_read_only_table_at_start_is_one_line_and_exit_code_1(begun):
    database(begun).chmod(0o400)
    program = await begun.telegram.run(
        ["-c", UNPRIVILEGED], cwd=begun.directory, env={**begun.env(), "LOG_LEVEL": "INFO"}
    )

    assert await program.wait(timeout=30) == 1
    assert "readonly database (the bot's user must be allowed to write it" in program.output
    assert len(program.output.splitlines()) == 1
    database(begun).chmod(0o600)
    await goes_on(begun)


def scribble(path, start):
    with path.open("r+b") as file:
        file.seek(start)
        file.write(b"\xa5" * 3_000)


async def test_a_damaged_table_at_start_is_one_line_and_a_backup_helps(begun):
    copy = begun.directory / "copy.db"
    done = await begun.launch("backup", str(copy))
    assert await done.wait() == 0, done.output
    whole = database(begun).read_bytes()
    for page in (1, 3, 5):
        database(begun).write_bytes(whole)
        scribble(database(begun), 4096 * page)
        assert "put a backup in its place" in await refusal(begun)

    shutil.copy(copy, database(begun))
    await goes_on(begun)


# More than a bot that starts again may wait for to be looked through.
MANY_REFUSALS = """
    INSERT INTO decisions (source_chat_id, source_message_id, outcome, reason, at, recorded_at)
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400000)
    SELECT -1, i, 'rejected', 'not_the_owner', 4000000000, 0 FROM n
"""


async def test_damage_deep_in_a_large_table_ends_the_bot_soon_after_its_start(begun):
    with closing(sqlite3.connect(database(begun))) as db:
        db.execute(MANY_REFUSALS)
        db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    scribble(database(begun), database(begun).stat().st_size - 100 * 4096)
    program = await begun.launch(LOG_LEVEL="INFO")

    assert await program.wait(timeout=30) == 1
    assert "started" in program.output
    assert "put a backup in its place" in program.output.splitlines()[-1]


async def test_a_table_that_is_no_database_is_one_line(begun):
    whole = database(begun).read_bytes()
    database(begun).write_bytes(b"see you\n" * 1_000)

    assert "not a database" in await refusal(begun)
    assert database(begun).read_bytes() == b"see you\n" * 1_000
    database(begun).write_bytes(whole)
    await goes_on(begun)


@contextmanager
def small_disk(directory):
    """A disk of its own, of half a megabyte, with the directory's files on it."""
    kept = directory.with_name("kept")
    directory.rename(kept)
    directory.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(directory)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        pytest.skip("no disk may be mounted here")
    try:
        shutil.copytree(kept, directory, dirs_exist_ok=True)
        yield directory / "filler"
        shutil.rmtree(kept)
        shutil.copytree(directory, kept)
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=True)
        directory.rmdir()
        kept.rename(directory)


def fill(filler):
    with filler.open("wb", buffering=0) as file:
        for size in (4096, 1):
            while True:
                try:
                    file.write(bytes(size))
                except OSError:
                    break


async def test_a_full_disk_at_start_is_one_line_and_exit_code_1(begun):
    with small_disk(begun.directory / "data") as filler:
        fill(filler)
        line = await refusal(begun)
        filler.unlink()
        assert "its disk is full" in line or "make room" in line
        await goes_on(begun)


# ── at run time ───────────────────────────────────────────────────────────────


async def test_a_full_disk_at_run_time_delays_decisions_and_loses_none(begun):
    """Nothing is accepted meanwhile, and nothing posted that was not recorded."""
    with small_disk(begun.directory / "data") as filler:
        async with begun.relay() as program:
            fill(filler)
            first = await begun.alice.sends(begun.group, "#idea full")
            await begun.bob.sends(begun.group, "me too", reply_to=first)
            await program.wait_output("intake waits", timeout=20)
            assert [seen.text for seen in begun.posted()] == ["#idea before"]
            filler.unlink()
            await begun.shows("#idea before", "#idea full")
            await begun.alice.sends(begun.group, "TP1", reply_to=first)
            await begun.shows("#idea before", "#idea full", "TP1")
        outcomes = begun.rows("SELECT outcome, reason FROM decisions")
    assert outcomes == [("rejected", "not_the_owner")]


async def test_a_disk_that_fails_at_run_time_delays_decisions_and_loses_none(begun):
    resource = pytest.importorskip("resource")
    async with begun.relay() as program:
        unlimited = resource.prlimit(program.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(program.pid, resource.RLIMIT_FSIZE, (0, unlimited[1]))
        await begun.alice.sends(begun.group, "#idea failing")
        await program.wait_output("intake waits", timeout=20)
        assert "its disk is full or failing" in program.output
        resource.prlimit(program.pid, resource.RLIMIT_FSIZE, unlimited)
        await begun.shows("#idea before", "#idea failing")


async def test_a_table_damaged_at_run_time_delays_decisions_until_it_is_mended(begun):
    """A reply must not be answered from the caches alone, nor a signal from nothing."""
    async with begun.relay() as program:
        with closing(sqlite3.connect(database(begun))) as db:
            db.execute("ALTER TABLE signals RENAME TO out_of_reach")
            signal_ = await begun.alice.sends(begun.group, "#idea damaged")
            await begun.bob.sends(begun.group, "me too", reply_to=signal_)
            await program.wait_output("intake waits", timeout=20)
            assert [seen.text for seen in begun.posted()] == ["#idea before"]
            db.execute("ALTER TABLE out_of_reach RENAME TO signals")
        await begun.alice.sends(begun.group, "TP1", reply_to=signal_)
        await begun.shows("#idea before", "#idea damaged", "TP1")
        assert "no such table" in program.output


async def test_a_table_that_does_not_answer_stalls_nobody(tmp_path):
    """A lock held for as long as the bot waits for one: the loop goes round all the while."""
    store = SignalStore(Database(tmp_path / "signals.db"))
    await store.open()
    with closing(sqlite3.connect(tmp_path / "signals.db", isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        async with lag() as measured:
            with pytest.raises(DatabaseUnavailable, match="locked"):
                await add_signal(store)
        db.execute("ROLLBACK")
    assert await add_signal(store) is not None
    await store.close()

    assert measured.worst < BOUND


# ── backup ────────────────────────────────────────────────────────────────────


def key(path):
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT value FROM meta WHERE name = 'cache_key'").fetchone()


async def test_a_backup_of_the_running_bot_is_whole_and_runs_in_its_place(stage):
    copy = stage.directory / "copy.db"
    async with stage.relay():
        signal_ = await stage.alice.sends(stage.group, "#idea before")
        await stage.shows("#idea before")
        done = await stage.launch("backup", str(copy))
        assert await done.wait() == 0, done.output
        await stage.alice.sends(stage.group, "too late for the copy", reply_to=signal_)
        await stage.shows("#idea before", "too late for the copy")

    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert sorted(path.name for path in stage.directory.glob("copy*")) == ["copy.db"]
    assert key(copy) != key(database(stage))
    for beside in stage.directory.glob("data/signals.db-*"):
        beside.unlink()
    shutil.copy(copy, database(stage))
    async with stage.relay():
        await stage.alice.sends(stage.group, "TP1", reply_to=signal_)
        await stage.shows("#idea before", "too late for the copy", "TP1")


async def test_a_backup_while_thousands_are_written_is_consistent(tmp_path):
    """As of one moment: every update's signal is there, and every post's message."""
    store = SignalStore(Database(tmp_path / "signals.db"))
    await store.open()

    async def write():
        for number in range(300):
            await add_signal(store, says(ALICE, f"#idea {number}"), places=[Place(TARGET)])

    writing = asyncio.create_task(write())
    for number in range(3):
        copy = tmp_path / f"copy{number}.db"
        await asyncio.to_thread(back_up, tmp_path / "signals.db", copy)
        with closing(sqlite3.connect(copy)) as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            counts = "SELECT (SELECT count(*) FROM signals), (SELECT count(*) FROM posts)"
            signals, posts = db.execute(counts).fetchone()
            assert signals == posts
    await writing
    await store.close()


async def test_a_backup_writes_over_nothing_and_leaves_nothing_half_done(tmp_path):
    there = tmp_path / "there"
    there.write_text("mine")
    with pytest.raises(UsageError, match="is there already"):
        back_up(tmp_path / "signals.db", there)
    with pytest.raises(UsageError, match="No such file or directory"):
        back_up(tmp_path / "signals.db", tmp_path / "nowhere" / "copy.db")
    with pytest.raises(DatabaseUnavailable, match="no database yet"):
        back_up(tmp_path / "signals.db", tmp_path / "copy.db")
    with closing(sqlite3.connect(tmp_path / "other.db")) as db, db:
        db.execute("CREATE TABLE x (y)")
    with pytest.raises(DatabaseUnusable, match="another program's"):
        back_up(tmp_path / "other.db", tmp_path / "copy.db")
    with pytest.raises(DatabaseUnavailable, match="not a database"):
        back_up(there, tmp_path / "copy.db")

    assert there.read_text() == "mine"
    assert not (tmp_path / "copy.db").exists()


# ── files ─────────────────────────────────────────────────────────────────────


def readable_by_others(directory):
    return [path for path in directory.rglob("*") if stat.S_IMODE(path.stat().st_mode) & 0o077]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
async def test_what_the_bot_writes_is_its_owners_alone_whatever_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        async with open_core(Settings(data_dir=tmp_path / "data", _env_file=None)) as core:
            await core.intake.handle(says(ALICE, "#idea"))
            found = readable_by_others(tmp_path)
    finally:
        os.umask(before)

    assert found == []
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    assert readable_by_others(tmp_path) == []


async def test_files_that_were_open_to_others_are_closed_to_them(begun):
    data = begun.directory / "data"
    data.chmod(0o755)
    for path in [*data.glob("signals.db*"), *(data / "flows").iterdir(), data / "flows"]:
        path.chmod(0o755)
    await goes_on(begun)

    assert readable_by_others(begun.directory) == []


@pytest.mark.parametrize("command", [[], ["check"]])
async def test_a_session_file_that_others_can_read_is_refused(begun, command):
    session = begun.directory / "data" / "relay.session"
    session.chmod(0o640)
    program = await begun.launch(*command, LOG_LEVEL="INFO")

    assert await program.wait() == (1 if command else 2)
    assert "can read data/relay.session: chmod 600 data/relay.session" in program.output
    session.chmod(0o600)
    await goes_on(begun)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
@pytest.mark.parametrize("command", [["run"], ["check"], ["replay", "x"], ["backup", "copy.db"]])
def test_an_env_file_that_others_can_read_is_refused(run, tmp_path, mode, command):
    (tmp_path / ".env").write_text("BOT_TOKEN=42:secret\n")
    (tmp_path / ".env").chmod(mode)
    done = run(*command)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: others on this machine can read .env: chmod 600 .env\n"
