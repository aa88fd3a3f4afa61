"""Whose directory `DATA_DIR` is, and what stands in it under the bot's names before the bot does."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing

import pytest

from bot import chat_names
from bot.app import open_core, open_tables
from bot.config import Settings
from bot.errors import BotError, DataGone, SettingsError
from bot.lock import holder, locked
from bot.naming import keep_names
from bot.storage import data_directory
from bot.storage.engine import Database, open_by_name
from bot.storage.store import SignalStore
from tests.people import ALICE, says


def settings(tmp_path, **more):
    return Settings(data_dir=tmp_path / "data", _env_file=None, **more)


async def begins(tmp_path, **more):
    """A start and its end, in one sentence of what went wrong."""
    async with open_core(settings(tmp_path, **more), in_loop=True) as core:
        await core.intake.handle(says(ALICE, "#idea"))


@pytest.fixture
def data(tmp_path):
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    return data


# ── a directory of others ──


@pytest.mark.parametrize("mode", [0o1777, 0o777, 0o775, 0o770, 0o720, 0o702, 0o3775])
async def test_a_directory_that_others_may_write_in_is_refused_and_left_as_it_is(
    tmp_path, data, mode
):
    """It may be /tmp, or somebody else's way to their own files."""
    data.chmod(mode)
    with pytest.raises(SettingsError) as caught:
        await begins(tmp_path)

    assert str(caught.value).startswith(f"DATA_DIR: others may write in {data} ({mode:o})")
    assert "\n" not in str(caught.value)
    assert stat.S_IMODE(data.stat().st_mode) == mode
    assert list(data.iterdir()) == []


async def test_a_directory_that_others_may_only_read_becomes_the_bots_alone(tmp_path, data):
    data.chmod(0o755)
    await begins(tmp_path)

    assert stat.S_IMODE(data.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
async def test_a_directory_of_another_owner_is_refused_and_left_as_it_is(tmp_path, data):
    os.chown(data, 12345, -1)
    data.chmod(0o755)
    with pytest.raises(SettingsError, match=rf"^DATA_DIR: {data} belongs to user 12345, .*chown"):
        await begins(tmp_path)

    assert stat.S_IMODE(data.stat().st_mode) == 0o755
    assert list(data.iterdir()) == []


async def test_whose_it_is_is_told_by_the_directory_and_not_by_the_user_who_asks(tmp_path, data):
    """As on a machine where the tests are nobody's root."""
    with pytest.raises(SettingsError, match="belongs to user"):
        data_directory.refuse_shared("DATA_DIR", data, user=os.geteuid() + 1)
    data_directory.refuse_shared("DATA_DIR", data, user=os.geteuid())


async def test_the_directory_of_a_database_elsewhere_is_looked_at_too(tmp_path, data):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    elsewhere.chmod(0o1777)
    with pytest.raises(SettingsError, match=f"^DATABASE_URL: others may write in {elsewhere}"):
        await begins(tmp_path, database_url=elsewhere / "signals.db")

    assert list(elsewhere.iterdir()) == []


def test_names_are_not_kept_in_a_directory_of_others(tmp_path, data):
    data.chmod(0o1777)
    with pytest.raises(SettingsError, match=r"^DATA_DIR: others may write in"):
        keep_names(settings(tmp_path), {chat_names.ChatName("signals"): 5})

    assert list(data.iterdir()) == []


# ── links ──

NAMES = [
    "lock",
    "signals.db",
    "signals.db-wal",
    "signals.db-shm",
    "signals.db-journal",
    "relay.session",
    "relay.session-journal",
    "access.json",
    "access.new",
    "chats.json",
    "chats.json.new",
]


@pytest.mark.parametrize("leads_to", ["a file", "nothing", "a directory"])
@pytest.mark.parametrize("name", NAMES)
async def test_a_link_under_a_name_of_the_bots_is_refused_and_not_followed(
    tmp_path, data, name, leads_to
):
    victim = tmp_path / "victim"
    if leads_to == "a file":
        victim.write_text("precious")
        victim.chmod(0o644)
    elif leads_to == "a directory":
        victim.mkdir()
    (data / name).symlink_to(victim)
    with pytest.raises(BotError) as caught:
        await begins(tmp_path)

    assert f"{data / name} is a link" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
    if leads_to == "a file":
        assert (victim.read_text(), victim.stat().st_mode & 0o777) == ("precious", 0o644)
    assert victim.exists() is (leads_to != "nothing")


def test_the_lock_follows_no_link_by_itself(tmp_path):
    """Also where nobody has looked before: it is emptied when it is given up."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "lock").symlink_to(victim)
    with pytest.raises(BotError, match="lock is a link"), locked(tmp_path / "lock"):
        pass

    assert holder(tmp_path / "lock") is None
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("name", ["signals.db", "signals.db-wal", "signals.db-journal"])
async def test_a_look_beside_the_bot_follows_no_link_either(tmp_path, data, name):
    """`status` and the like only read; what they read must be the bot's."""
    await begins(tmp_path)
    (data / "signals.db").replace(tmp_path / "real.db")
    target = tmp_path / "real.db"
    if name != "signals.db":
        target.replace(data / "signals.db")
    (data / name).symlink_to(target)
    with pytest.raises(BotError, match=f"{name} is a link"):
        async with open_tables(settings(tmp_path)):
            pass


def test_names_are_written_to_no_link(tmp_path, data):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (data / "chats.json.new").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic link"):
        chat_names.keep(data, {chat_names.ChatName("signals"): 5})

    assert victim.read_text() == "precious"


async def test_a_data_directory_that_is_itself_reached_by_a_link_is_fine(tmp_path):
    """A disk of its own is often mounted so."""
    (tmp_path / "disk").mkdir(mode=0o700)
    (tmp_path / "data").symlink_to(tmp_path / "disk")
    await begins(tmp_path)

    assert (tmp_path / "disk" / "signals.db").is_file()


# ── the same file ──


@pytest.mark.parametrize("umask", [0o000, 0o777])
async def test_a_table_is_its_owners_alone_from_its_first_moment_on(tmp_path, umask):
    before = os.umask(umask)
    try:
        data_directory.made(tmp_path / "signals.db")
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "signals.db").stat().st_mode) == 0o600


def database_in(path, text):
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE t (text)")
        db.execute("INSERT INTO t VALUES (?)", (text,))
    path.chmod(0o600)
    return path


def test_what_is_opened_by_name_is_what_was_closed(tmp_path):
    """Whoever puts another in its place between the two is found out."""
    path = database_in(tmp_path / "signals.db", "ours")
    known = data_directory.ordinary(path)
    other = database_in(tmp_path / "other.db", "theirs")
    other.replace(path)

    with pytest.raises(DataGone, match="was replaced by another"):
        open_by_name(path, known)


async def test_a_table_that_was_closed_is_not_another_one_when_it_is_opened_again(tmp_path):
    store = SignalStore(Database(tmp_path / "signals.db"))
    await store.open()
    await store.close()
    other = SignalStore(Database(tmp_path / "other.db"))
    await other.open()
    await other.close()
    (tmp_path / "signals.db").rename(tmp_path / "kept.db")
    (tmp_path / "other.db").replace(tmp_path / "signals.db")
    with pytest.raises(DataGone, match="was replaced by another"):
        await store.open()


async def test_what_is_looked_through_is_the_table_that_is_open(tmp_path):
    store = SignalStore(Database(tmp_path / "signals.db"))
    await store.open()
    database_in(tmp_path / "copy.db", "theirs").replace(tmp_path / "signals.db")
    with pytest.raises(DataGone):
        await store.look_through()
    await store.close()


async def test_the_file_that_a_start_made_is_the_one_that_it_opens(tmp_path, data):
    file = data_directory.keep_private(settings(tmp_path))
    database_in(data / "other.db", "theirs").replace(data / "signals.db")
    with pytest.raises(DataGone):
        await SignalStore(Database(data / "signals.db", file=file)).open()
