"""A bot moves from its file to a server: all of it, proven, or nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import select

from bot.errors import DatabaseUnusable, SettingsError, UsageError
from bot.lock import locked
from bot.models import ChatId
from bot.storage.engine import Database
from bot.storage.schema import metadata
from bot.storage.store import SignalStore
from bot.storage.transfer import move, take_back
from tests.asked import all_of_it
from tests.people import ALICE, NOON, TARGET, says
from tests.rows import add_signal, sql

OF_ONE_DATABASE = {"cache_key", "moved_to"}


@pytest.fixture
async def file(tmp_path):
    """With posts in every state, orders, cursors, refusals, and numbers that were given out and are gone."""
    path = tmp_path / "signals.db"
    store = SignalStore(Database(path, in_loop=True), clock=lambda: NOON)
    await store.open()
    await all_of_it(store)
    await store.pause()
    await store.move_chat(ChatId(-5), ChatId(-1005))
    await store.refuse_edit(says(ALICE, "#changed", number=10))
    await add_signal(store, says(ALICE, "#forgotten", number=990))
    await store.close()
    # As earlier versions recorded it; and the newest signal and order are gone.
    sql(
        path,
        "UPDATE posts SET text = 'a' || char(0) || 'b' WHERE id = 2",
        "DELETE FROM signals WHERE source_message_id = 990",
        "DELETE FROM orders WHERE id = (SELECT max(id) FROM orders)",
        "INSERT INTO places (name, source, source_topic, chat_id, topic, listed)"
        " VALUES ('Цель', 'main', 0, -1009876543210, 0, 1)",
    )
    return path


@pytest.fixture
def address(postgresql):
    return postgresql.new_database()


def server(address):
    from bot.storage.postgresql import Server  # noqa: PLC0415  # not everywhere

    return Server(address, in_loop=True)


async def moved(file, address, progress=lambda _done, _total: None):
    return await move(Database(file, in_loop=True), server(address), progress)


async def rows_of(database):
    """Of all tables, but what is a database's own."""

    def read(db):
        found = {
            table.name: sorted(map(repr, db.execute(select(table)).all()))
            for table in metadata.sorted_tables
        }
        meta = found["meta"]
        found["meta"] = [row for row in meta if not any(name in row for name in OF_ONE_DATABASE)]
        return found

    await database.open()
    try:
        return await database.run(read)
    finally:
        await database.close()


def tables_in(postgresql, address):
    schema = address.url.rpartition("%3D")[2]
    query = f"SELECT count(*) FROM information_schema.tables WHERE table_schema = '{schema}'"
    return postgresql.sql(query)[0][0]


async def test_all_rows_of_all_tables_are_there(file, address):
    before = await rows_of(Database(file, in_loop=True))
    seen = []

    found = await moved(file, address, lambda *both: seen.append(both))

    there = await rows_of(server(address))
    before["posts"] = [row.replace("a\\x00b", "a\ufffdb") for row in before["posts"]]
    assert there == before
    assert {name for name, rows in there.items() if not rows} <= {
        "lease",
        "meta",
        "people",
        "refused_edits",
    }
    assert (found.rows, found.before) == (sum(map(len, there.values())) - 1, False)
    assert seen[-1] == (found.rows, found.rows)


async def test_numbers_that_were_given_out_are_not_given_out_again(file, address):
    """Caches are keyed by them, and the running bot asks for newer orders than the last it heard."""
    (((signals, orders),),) = sql(
        file,
        "SELECT (SELECT seq FROM sqlite_sequence WHERE name = 'signals'),"
        " (SELECT seq FROM sqlite_sequence WHERE name = 'orders')",
    )
    await moved(file, address)

    store = SignalStore(server(address), clock=lambda: NOON)
    await store.open()
    assert await add_signal(store, says(ALICE, "#next", number=991)) == signals + 1
    await store.pause()
    assert await store.last_order() == orders + 1
    assert len(await store.take_posts(TARGET)) == 1
    await store.close()


async def test_a_bot_goes_on_with_the_copy_and_is_refused_on_the_file(file, address):
    await moved(file, address)

    for opening in ("open", "open_existing"):
        store = SignalStore(Database(file, in_loop=True))
        with pytest.raises(SettingsError, match=r"was moved to postgresql://relay@127.0.0.1:\d+"):
            await getattr(store, opening)()
        await store.close()
    assert await take_back(Database(file, in_loop=True))
    store = SignalStore(Database(file, in_loop=True))
    await store.open()
    await store.close()
    assert not await take_back(Database(file, in_loop=True))


@pytest.mark.parametrize("after", [1, 3, None], ids=["at first", "in the midst", "at the end"])
async def test_a_copy_that_is_interrupted_changes_nothing(postgresql, file, address, after):
    calls = []

    def interrupt(done, total):
        calls.append(done)
        if len(calls) == after or (after is None and done == total):
            raise KeyboardInterrupt

    before = await rows_of(Database(file, in_loop=True))
    with pytest.raises(KeyboardInterrupt):
        await moved(file, address, interrupt)

    assert tables_in(postgresql, address) == 0
    store = SignalStore(Database(file, in_loop=True))
    await store.open()
    await store.close()
    assert await rows_of(Database(file, in_loop=True)) == before
    assert (await moved(file, address)).rows > 0


async def test_a_copy_that_is_not_the_same_is_none(postgresql, file, address):
    """Such as where a trigger of the server's changes what is written there."""
    postgresql.sql(
        "CREATE OR REPLACE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN NEW.text = 'spoilt'; RETURN NEW; END $$"
    )
    database = server(address)
    trigger = (
        "CREATE TRIGGER spoil BEFORE INSERT ON posts FOR EACH ROW EXECUTE FUNCTION public.spoil()"
    )

    def spoils(done, _total):
        if not done_before:
            done_before.append(done)
            database.run_here(lambda db: db.exec_driver_sql(trigger))

    done_before = []
    with pytest.raises(DatabaseUnusable, match="table posts has"):
        await move(Database(file, in_loop=True), database, spoils)
    assert tables_in(postgresql, address) == 0


async def test_only_into_an_empty_database(postgresql, file, address):
    schema = address.url.rpartition("%3D")[2]
    postgresql.sql(f"CREATE TABLE {schema}.theirs (x int)")
    with pytest.raises(UsageError, match="is no empty database"):
        await moved(file, address)

    in_use = postgresql.new_database()
    store = SignalStore(server(in_use))
    await store.open()
    await add_signal(store, says(ALICE, "#other", number=5))
    await store.close()
    with pytest.raises(UsageError, match="holds a bot's tables already, and not these"):
        await moved(file, in_use)


async def test_a_copy_whose_last_step_was_interrupted_is_found_to_be_there(file, address):
    """The copy counts before the file is marked, so that no crash leaves a bot without any database."""
    await moved(file, address)
    await take_back(Database(file, in_loop=True))

    found = await moved(file, address)

    assert found.before
    with pytest.raises(SettingsError):
        await SignalStore(Database(file, in_loop=True)).open()


async def test_orders_wait_for_the_copy_and_are_then_refused(file, address):
    """Whoever orders something of a bot that moves must not believe that it was heard."""

    def order(done, total):
        if done == total:
            with closing(sqlite3.connect(file, timeout=0)) as db, pytest.raises(sqlite3.Error):
                db.execute("INSERT INTO orders (kind, subject, at) VALUES ('pause', 0, 0)")

    await moved(file, address, order)


# ── the program ──


def test_a_bot_moves_by_one_command(file, address, run, tmp_path):
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    file.rename(data / "signals.db")
    env = {
        "SOURCE_CHAT_ID": "-1001234567890",
        "TARGET_CHAT_ID": "-1009876543210",
        "SOURCE_ALLOWED_USERS": "everyone",
    }
    with locked(data / "lock"):
        in_use = run("migrate-to", address.url, env=env)
    assert (in_use.returncode, in_use.stdout, len(in_use.stderr.splitlines())) == (3, "", 1)

    done = run("migrate-to", address.url, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert "each checked: postgresql://relay@127.0.0.1:" in done.stdout
    assert "not-so-secret" not in done.stdout
    refused = run("pause", env=env)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert "name that one in DATABASE_URL" in refused.stderr
    on_server = run("flows", "--all", env={**env, "DATABASE_URL": address.url})
    assert on_server.returncode == 0, on_server.stderr

    back = run("migrate-to", "--undo", env=env)
    assert (back.returncode, back.stderr) == (0, "")
    in_file = run("flows", "--all", env=env).stdout
    assert in_file == on_server.stdout
    wrong = run("migrate-to", "sqlite:///x.db", env=env)
    assert (wrong.returncode, len(wrong.stderr.splitlines())) == (2, 1)
