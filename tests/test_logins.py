"""Several hosts on one database: each has a login and a flow cache of its own."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import closing

import pytest

from bot.app import open_core
from bot.config import Settings
from bot.errors import SettingsError
from bot.models import Tier
from tests.people import ALICE, BOB, GROUP, NOON, TARGET, says

KEY = bytes(range(256))
CHATS = {"source_chat_id": GROUP, "target_chat_id": str(TARGET), "source_allowed_users": "everyone"}


@pytest.fixture
def address(postgresql):
    return postgresql.new_database()


@pytest.fixture
def host(tmp_path, address):
    def host(name, key=KEY, **more):
        directory = tmp_path / name
        directory.mkdir(exist_ok=True)
        settings = Settings(
            _env_file=None, data_dir=directory, database_url=address.url, **CHATS, **more
        )
        if key is not None:
            made(directory, key)
        return settings

    return host


def made(directory, key):
    """A session file, as far as both libraries agree."""
    with closing(sqlite3.connect(directory / "relay.session")) as db, db:
        db.execute("CREATE TABLE sessions (dc_id INTEGER, auth_key BLOB)")
        db.execute("INSERT INTO sessions VALUES (2, ?)", (key,))
    (directory / "relay.session").chmod(0o600)


class Sleep:
    """Counts, and lets others work."""

    def __init__(self):
        self.slept = []
        self.may = asyncio.Event()
        self.may.set()

    async def __call__(self, seconds):
        self.slept.append(seconds)
        await asyncio.sleep(0)
        await self.may.wait()


def login(settings):
    from bot.storage.logins import LoginLock  # noqa: PLC0415  # not everywhere

    sleep = Sleep()
    return LoginLock(settings, settings.database, sleep=sleep), sleep


STRING = "A" * 350


@pytest.mark.parametrize(
    ("how", "mend"),
    [
        ({}, r"b/relay.session: another host .* remove it here, and a bot logs in by its token"),
        (
            {"session_string": STRING, "key": None},
            r"SESSION_STRING: another host .* `python -m bot setup`",
        ),
    ],
    ids=["a copied session file", "one session string"],
)
async def test_one_login_on_two_hosts_is_refused_with_the_mend(host, how, mend):
    """After 15 s: until then it may be a process of this host that ends just now."""
    first, _ = login(host("a", **how))
    await first.open()
    second, sleep = login(host("b", **how))

    with pytest.raises(SettingsError, match=mend) as caught:
        await second.open()
    assert sum(sleep.slept) == 15.0
    assert "\n" not in str(caught.value)
    assert STRING not in str(caught.value)
    await first.close()
    await second.open()
    await second.close()


async def test_hosts_with_a_login_of_their_own_do_not_meet(host):
    logins = [login(host("a"))[0], login(host("b", KEY[::-1]))[0], login(host("c", None))[0]]
    for each in logins:
        await each.open()
    for each in logins:
        await each.close()


async def test_a_login_that_is_copied_later_ends_whoever_was_not_the_first(host):
    """It may be that there is none yet when a host starts, or that the server starts again."""
    from bot.storage.logins import held  # noqa: PLC0415  # as above

    one = host("a")
    first, _ = login(one)
    await first.open()
    late = host("b", None)
    second, sleep = login(late)
    sleep.may.clear()
    ended = []

    async def lives():
        async with held(second):
            shutil.copy(one.data_dir / "relay.session", late.data_dir)
            sleep.may.set()
            try:
                async with asyncio.timeout(10):
                    await asyncio.Event().wait()
            finally:
                ended.append(True)

    with pytest.raises(SettingsError, match="another host"):
        await lives()
    assert ended == [True]
    await first.close()


async def test_a_server_that_starts_again_gives_the_login_back_to_whoever_had_it(postgresql, host):
    first, sleep = login(host("a"))
    sleep.may.clear()
    await first.open()
    keeping = asyncio.create_task(first.keep())
    await asyncio.to_thread(postgresql.stop)
    await asyncio.to_thread(postgresql.start)
    sleep.may.set()
    while not postgresql.sql("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'"):
        await asyncio.sleep(0.01)

    second, _ = login(host("b"))
    with pytest.raises(SettingsError):
        await second.open()
    keeping.cancel()
    await asyncio.wait({keeping})
    await first.close()
    await second.close()


async def test_nothing_of_a_login_is_in_the_database(postgresql, host):
    first, _ = login(host("a"))
    await first.open()
    ((number,),) = postgresql.sql(
        "SELECT classid::bigint << 32 | objid::bigint FROM pg_locks WHERE locktype = 'advisory'"
    )
    assert number.to_bytes(8, "big", signed=True) not in KEY
    await first.close()


# ── the flow cache ──


async def tier_of(settings, signal):
    """By which tier a reply is judged, of a host that has just started."""
    async with open_core(settings, in_loop=True, clock=lambda: NOON) as core:
        (flows,) = core.flows
        found = await flows.decide_at(*signal.ref, BOB, at=signal.at)
        return found and found.tier


@pytest.fixture
async def signal(host):
    """Known to the cache of host a."""
    said = says(ALICE, "#idea BTC/USDT LONG", number=1)
    async with open_core(host("a"), in_loop=True, clock=lambda: NOON) as core:
        await core.intake.take([said])
    return said


async def test_a_host_that_starts_again_knows_its_flows_and_another_asks_the_table(host, signal):
    assert await tier_of(host("b", None), signal) is Tier.TABLE
    assert await tier_of(host("a", None), signal) is Tier.DISK
    assert await tier_of(host("b", None), signal) is Tier.DISK


async def test_a_restored_dump_is_another_history(postgresql, address, host, signal):
    """The same rows in other tables: whatever was recorded since the dump is not in them."""
    schema = address.url.rpartition("%3D")[2]
    for table in ("meta", "signals"):
        postgresql.sql(
            f"ALTER TABLE {schema}.{table} RENAME TO old_{table};"
            f"CREATE TABLE {schema}.{table} (LIKE {schema}.old_{table} INCLUDING ALL);"
            f"INSERT INTO {schema}.{table} SELECT * FROM {schema}.old_{table}"
        )

    assert await tier_of(host("a", None), signal) is Tier.TABLE


async def test_a_promoted_replica_is_another_history(postgresql, address):
    """It may lack what the cache has seen. That is told by its timeline."""
    from bot.storage import engine  # noqa: PLC0415  # as above
    from bot.storage.postgresql import Server  # noqa: PLC0415  # as above

    name = address.url.rpartition("%3D")[2]
    postgresql.sql(f"CREATE TABLE {name}.meta (x int)")
    database = Server(address, in_loop=True)
    await database.open()
    before = await database.run(engine.history)
    assert await database.run(engine.history) == before
    await database.close()
    with postgresql.promoted():
        await database.open()
        after = await database.run(engine.history)
        await database.close()

    assert after != before


@pytest.mark.parametrize(
    "earlier",
    [
        "DELETE FROM {}.posts; DELETE FROM {}.signals",
        "UPDATE {}.signals SET source_user_id = 7",
        "UPDATE {}.signals SET last_owner_activity = last_owner_activity - 60",
    ],
    ids=["the signal is gone", "its number is another's", "the owner was not heard of yet"],
)
async def test_a_cache_that_is_ahead_of_the_tables_is_made_anew(
    postgresql, address, host, signal, earlier
):
    """The disk of the server was put back to an earlier moment; then it is the same by its key."""
    schema = address.url.rpartition("%3D")[2]
    postgresql.sql(earlier.replace("{}", schema))

    found = await tier_of(host("a", None), signal)

    assert found in {None, Tier.TABLE}
    assert list((host("a", None).data_dir).glob("flows.bad-*"))


async def test_a_flow_that_was_ended_on_another_host_makes_no_cache_anew(host, signal):
    async with open_core(host("b", None), in_loop=True, clock=lambda: NOON) as core:
        await core.store.release(1)

    async with open_core(host("a", None), in_loop=True, clock=lambda: NOON) as core:
        (flows,) = core.flows
        assert (await flows.decide_at(*signal.ref, BOB, at=signal.at)).accepted
    assert not list((host("a", None).data_dir).glob("flows.bad-*"))
