"""The tables in a PostgreSQL server. What the store promises is tested over both; see `conftest`."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import pytest
from sqlalchemy.exc import IntegrityError

from bot.config import Settings
from bot.errors import DatabaseUnavailable, DatabaseUnusable, UnknownFlow
from bot.models import Decision, Outcome, Reason, SignalId, Tier
from bot.routes import Place
from bot.server_address import ServerAddress
from bot.storage import schema, statements
from bot.storage.store import SignalStore
from tests.asked import all_of_it
from tests.conftest import ROOT
from tests.exports import SAMPLE
from tests.people import ALICE, GROUP, NOON, TARGET, says
from tests.rows import add_signal

PASSWORDS = ("not-so-secret:@/%", "not-so-secret%3A%40%2F%25", "not-so-secret")


@pytest.fixture
def address(postgresql):
    return postgresql.new_database()


@pytest.fixture
async def opened(address):
    """A function that opens stores on the one database."""
    from bot.storage.postgresql import Server  # noqa: PLC0415  # not everywhere

    stores = []

    async def opened(where=address, **options):
        stores.append(SignalStore(Server(where, **options), clock=lambda: NOON))
        await stores[-1].open()
        return stores[-1]

    yield opened
    for store in stores:
        await store.close()


def schema_of(address):
    return address.url.rpartition("%3D")[2]


async def test_all_that_a_bot_and_its_operators_ask_is_answered(opened):
    await all_of_it(await opened())


async def test_what_was_written_is_there_after_a_restart_and_in_another_process(opened):
    first, other = await opened(), await opened()
    added = await add_signal(first, says(ALICE, "#idea"), places=[Place(TARGET)])
    await first.close()

    assert (await (await opened()).flow(added)).owner == ALICE
    assert (await other.flow(added)).owner == ALICE
    assert len(await other.take_posts(TARGET)) == 1


async def test_one_message_is_looked_for_alone_even_in_tables_that_the_server_knows_nothing_of_yet(
    opened,
):
    """Else each update would read all updates of its chat, until the server looks at its tables anew."""
    message = {"source_chat_id": GROUP, "source_message_id": 1}

    def plan(db):
        asked = statements.flow_at().compiled(db.dialect)
        driver = db.connection.driver_connection
        return driver.execute(f"EXPLAIN {asked.sql}", asked.filled(message)).fetchall()

    lines = [line.strip() for (line,) in await (await opened()).ask(plan)]
    both = "Index Cond: ((source_chat_id = '-1001234567890'::bigint) AND (source_message_id = '1'::bigint))"
    assert lines.count(both) == 2


async def test_an_update_of_no_signal_is_no_update(opened):
    store = await opened()
    decision = Decision(Outcome.UPDATE, Reason.RELEASED, Tier.DISK, SignalId(99))

    with pytest.raises(UnknownFlow):
        await store.add_update(
            says(ALICE, "TP1", to=says(ALICE, "#idea")),
            decision,
            author=ALICE,
            places=[Place(TARGET)],
        )
    assert (await store.counts()).updates == 0


async def test_a_text_may_hold_whatever_people_send(opened):
    """Of a NUL and of half a pair a sign is left that something was there."""
    store = await opened()
    await add_signal(store, says(ALICE, "#идея \0 \ud83d 🚀 %s %(x)s"), places=[Place(TARGET)])

    (post,) = await store.take_posts(TARGET)
    assert post.text == "#идея \ufffd \ufffd 🚀 %s %(x)s"


async def test_what_is_refused_when_it_is_done_for_good_raises(opened):
    """By a constraint or a trigger that somebody has added, behind all that was asked."""
    store = await opened()

    def late_constraint(db):
        db.exec_driver_sql("CREATE TABLE late (id bigint PRIMARY KEY)")
        db.exec_driver_sql("CREATE TABLE of_late (id bigint REFERENCES late INITIALLY DEFERRED)")

    def breaks_it(db):
        db.connection.driver_connection.execute("INSERT INTO of_late VALUES ($1::bigint)", [1])

    await store.change(late_constraint)
    for _ in range(6):  # prepared or not
        with pytest.raises(IntegrityError, match="of_late"):
            await store.change(breaks_it)
    kept = "SELECT count(*) FROM of_late"
    assert await store.ask(lambda db: db.exec_driver_sql(kept).scalar()) == 0


# ── the schema ────────────────────────────────────────────────────────────────


def columns(postgresql, address):
    return postgresql.sql(
        "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns"
        f" WHERE table_schema = '{schema_of(address)}' ORDER BY 1, 2"
    )


async def test_an_upgrade_that_breaks_off_changes_nothing(postgresql, address, opened):
    """Of several revisions, too: the twelfth is SQLite's alone, and no server was ever without it."""
    await (await opened()).close()
    name = schema_of(address)
    for table, column in (
        *(("signals", "author_name"), ("signal_updates", "author_name")),
        *(("posts", "hidden"), ("posts", "returns")),
    ):
        postgresql.sql(f"ALTER TABLE {name}.{table} DROP COLUMN {column}")
    postgresql.sql(f"UPDATE {name}.alembic_version SET version_num = '0010'")
    before = columns(postgresql, address)

    with pytest.raises(DatabaseUnusable):
        await opened()
    assert columns(postgresql, address) == before
    assert postgresql.sql(f"SELECT * FROM {name}.alembic_version") == [("0010",)]


async def test_several_processes_may_open_a_new_database_at_the_same_moment(address, opened):
    stores = await asyncio.gather(*(opened() for _ in range(4)))

    assert len({await each.cache_key() for each in stores}) == 1


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        ("CREATE TABLE {}.theirs (x int)", "is another program's database"),
        ("UPDATE {}.alembic_version SET version_num = '0999'", "has schema 999 and this program"),
    ],
)
async def test_what_is_not_for_us_is_refused_in_one_line(
    postgresql, address, opened, spoil, complaint
):
    if "UPDATE" in spoil:
        await (await opened()).close()
    postgresql.sql(spoil.format(schema_of(address)))

    with pytest.raises(DatabaseUnusable, match=complaint) as caught:
        await opened()
    assert "\n" not in str(caught.value)


# ── trouble ───────────────────────────────────────────────────────────────────


def with_password(address, password):
    return ServerAddress(address.url.replace(PASSWORDS[1], password))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda at: with_password(at, "wrong"),
            r"password authentication failed for user \"relay\" \(correct the user and the password",
        ),
        (
            lambda at: ServerAddress(at.url.replace("/postgres?", "/nowhere?")),
            r"database \"nowhere\" does not exist \(make the database first",
        ),
        (
            lambda at: ServerAddress(at.url + "%20-cdefault_transaction_read_only%3Don"),
            r"takes no writes \(it is a standby or set read-only: name the server that takes",
        ),
        (
            lambda at: ServerAddress("postgresql://relay:not-so-secret@127.0.0.1:1/postgres"),
            r"Connection refused.*\(start it, or correct its address in DATABASE_URL\)",
        ),
    ],
    ids=["wrong password", "no such database", "read-only", "away"],
)
async def test_a_server_that_cannot_serve_is_one_clear_line(address, opened, change, words):
    with pytest.raises((DatabaseUnavailable, DatabaseUnusable), match=words) as caught:
        await opened(change(address))

    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("postgresql://relay@127.0.0.1:")
    assert not any(word in str(caught.value) for word in PASSWORDS)


async def test_a_server_that_is_too_old_is_refused(opened):
    with pytest.raises(DatabaseUnusable, match=r"is PostgreSQL \d+: 99 or a newer one is needed"):
        await opened(oldest=99)


async def test_a_lost_connection_is_made_anew_for_the_next_who_asks(postgresql, opened):
    """Nothing that was confirmed is lost, nothing that was not is half there."""
    store = await opened()
    added = await add_signal(store)
    postgresql.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'telegram-signal-relay'"
    )

    with pytest.raises(DatabaseUnavailable) as caught:
        await add_signal(store, says(ALICE, "#lost", number=77))
    assert "\n" not in str(caught.value)
    assert (await store.flow(added)).owner == ALICE
    assert await add_signal(store, says(ALICE, "#lost", number=77)) is not None


async def test_a_server_that_restarts_is_waited_for(postgresql, opened):
    store = await opened()
    await add_signal(store)
    postgresql.stop()
    with pytest.raises(DatabaseUnavailable):
        await store.counts()
    with pytest.raises(DatabaseUnavailable, match="start it, or correct its address"):
        await store.counts()

    postgresql.start()
    assert (await store.counts()).signals == 1
    await add_signal(store, says(ALICE, "#later", number=5))


async def test_an_error_tells_nothing_of_what_was_written(postgresql, address, opened):
    store = await opened()
    postgresql.sql(f"DROP TABLE {schema_of(address)}.posts")

    with pytest.raises(DatabaseUnusable) as caught:
        await add_signal(store, says(ALICE, "private words"), places=[Place(TARGET)])
    assert 'relation "posts" does not exist' in str(caught.value)
    assert "private" not in str(caught.value)
    assert "INSERT" not in str(caught.value)
    assert (await store.counts()).signals == 0


# ── the program ───────────────────────────────────────────────────────────────


def test_the_password_is_in_nothing_that_is_shown():
    address = ServerAddress(
        f"postgresql://relay:{PASSWORDS[1]}@db.example.org:5433/bot?sslmode=require"
    )
    settings = Settings(_env_file=None, database_url=address.url)

    assert str(address) == "postgresql://relay@db.example.org:5433/bot"
    assert settings.database == address
    assert set(settings.secrets) >= set(PASSWORDS[:2])
    assert not any(word in repr((address, settings)) for word in PASSWORDS)


def test_its_commands_work_on_it_as_on_a_file(address, run, tmp_path):
    env = {
        "DATABASE_URL": address.url,
        "SOURCE_CHAT_ID": "-1001934507216",
        "TARGET_CHAT_ID": "-1009876543210",
        "SOURCE_ALLOWED_USERS": "everyone",
    }
    shown = str(address)
    first = run("import", SAMPLE, env=env)
    assert (first.returncode, first.stderr) == (0, "")
    assert shown in first.stdout
    again = run("import", SAMPLE, env=env)
    assert "wrote 0 signals, 0 updates" in again.stdout

    status = json.loads(run("status", "--json", env=env).stdout)
    assert (status["database"]["path"], status["database"]["schema"]) == (shown, schema.NEWEST)
    assert status["database"]["size"] > 0
    for command in (("flows", "--all"), ("report", "--html", "page.html"), ("export", "signals")):
        done = run(*command, env=env)
        assert done.returncode == 0, done.stderr
    backup = run("backup", "copy.db", env=env)
    assert (backup.returncode, len(backup.stderr.splitlines())) == (2, 1)
    assert f"pg_dump -Fc -f copy.db -d {shown}" in backup.stderr
    assert not list((tmp_path / "data").glob("signals.db*"))
    wrong = {**env, "DATABASE_URL": with_password(address, "wrong-and-secret").url}
    refused = run("status", env=wrong)
    assert (refused.returncode, refused.stdout, len(refused.stderr.splitlines())) == (1, "", 1)
    assert "password authentication failed" in refused.stderr
    assert "wrong-and-secret" not in refused.stderr


@pytest.mark.long
def test_without_its_driver_it_says_what_to_install(tmp_path):
    program = "import sys; sys.modules['psycopg'] = None; sys.argv = ['bot', 'status']\nfrom bot.cli import main\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(ROOT), "DATABASE_URL": "postgresql://u:secret@127.0.0.1:1/x"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "pip install 'telegram-signal-relay[postgresql]'" in done.stderr
    assert "secret" not in done.stderr


def test_a_bot_on_a_file_imports_nothing_of_it(run):
    done = subprocess.run(
        [sys.executable, "-c", "import bot.app, sys; print('psycopg' in sys.modules)"],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "False\n"
