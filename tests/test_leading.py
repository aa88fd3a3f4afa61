"""What a host does before it leads, and when it has to end: told to operators, and seen from outside."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys

import aiohttp
import pytest

from bot.admin.status import ToldHealth, status
from bot.admin.status_shown import as_json, as_rows
from bot.config import require
from bot.ending import Ending
from bot.errors import DatabaseUnavailable, Deposed, SettingsError
from bot.leading import hand_over_if_deaf, leading
from bot.monitoring.port import Port, listening
from bot.monitoring.standby import StandbyHealth
from bot.pipeline.patience import end
from tests import wiring
from tests.clock import Clock
from tests.conftest import ROOT
from tests.leases import Hosts, loses_its_session, turn
from tests.people import NOON

SERVER = "postgresql://relay:secret@db.example.org/bot"
LOGIN = {
    "api_id": "1",
    "api_hash": "0" * 32,
    "bot_token": "42:secret",
    "source_chat_id": "-1001",
    "target_chat_id": "-1002",
    "source_allowed_users": "everyone",
}


@pytest.fixture
async def host(postgresql):
    found = Hosts(postgresql.new_database())
    yield found
    await found.close()


# ── whether there are others ──────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("said", "several"),
    [
        ({}, False),
        ({"ha": "off"}, False),
        ({"database_url": SERVER}, True),
        ({"database_url": SERVER, "ha": "on"}, True),
        ({"database_url": SERVER, "ha": "off"}, False),
    ],
)
def test_hosts_on_one_server_elect_a_leader_unless_it_is_said_otherwise(said, several):
    settings = wiring.settings(**LOGIN, **said)
    require(settings)
    assert settings.several_hosts is several


def test_several_hosts_cannot_work_on_a_file():
    with pytest.raises(SettingsError, match=r"^HA: a file of SQLite .* DATABASE_URL=postgresql://"):
        require(wiring.settings(**LOGIN, ha="on"))


# ── waiting ───────────────────────────────────────────────────────────────────


class Waiting:
    leader = "alpha, pid 11"
    trouble = None


async def test_a_host_that_stands_by_is_well_as_long_as_it_could_take_over():
    lease = Waiting()
    async with (
        listening(Port(StandbyHealth(lease).pages.get, fresh_for=0), "127.0.0.1", 0) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
    ):
        async with session.get("/healthz") as answer:
            facts = await answer.json()
            assert (answer.status, facts["standby"], facts["healthy"]) == (200, True, True)
            assert facts["leader"] == "alpha, pid 11"
        async with session.get("/metrics") as answer:
            assert "signal_relay_leader 0.0\n" in await answer.text()
        lease.trouble = DatabaseUnavailable("postgresql://…: away")
        async with session.get("/healthz") as answer:
            assert answer.status == 503
            assert (await answer.json())["reasons"] == ["it cannot take over: postgresql://…: away"]


@pytest.fixture
def settings(host, tmp_path):
    return wiring.settings(**LOGIN, database_url=host.address.url, data_dir=tmp_path / "data")


async def test_a_host_that_waits_makes_no_login_and_ends_when_it_is_told_to(
    host,
    settings,
    tmp_path,
):
    """Nothing is there but its lock; a second start on the same directory is refused meanwhile."""
    leader = await host.leader("alpha, pid 11")
    ending = Ending(lambda: None)

    keeping = asyncio.create_task(leader.keep())

    async def wait():
        async with leading(settings, ending) as lease:
            return lease.is_sure

    waiting = asyncio.create_task(wait())
    while not leader.waiting:
        await asyncio.sleep(0)
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["lock"]
    ending.stopping.set()
    async with asyncio.timeout(30):
        assert not await waiting
    await end([keeping])


async def test_who_leads_has_the_fence_and_leaves_once_another_host_leads(
    host,
    settings,
    postgresql,
):
    left = asyncio.Queue()
    async with leading(settings, Ending(lambda: None), leave=left.put_nowait) as lease:
        assert lease.fence.epoch == 1
        loses_its_session(postgresql, lease.host)
        await host.leader("beta, pid 22")
        async with asyncio.timeout(30):
            deposed = await left.get()
    assert (deposed.exit_code, str(deposed)[:25]) == (4, "beta, pid 22 leads now: t")


# ── leading ───────────────────────────────────────────────────────────────────


class Deaf:
    """A Telegram that is out of reach until it is not, by the second in which it is asked."""

    def __init__(self, clock, reached=()):
        self._clock, self._reached = clock, reached

    @property
    def connected_since(self):
        return 1.0 if self._clock.now in self._reached else None


@pytest.mark.parametrize(
    ("waiting", "reached", "seconds"),
    [(["beta, pid 22"], (), 60), (["beta, pid 22"], (1_030,), 90), ([], (), None)],
    ids=["another waits", "it was reached in between", "nobody waits"],
)
async def test_a_leader_that_cannot_reach_telegram_for_a_minute_lets_another_try(
    waiting, reached, seconds
):
    clock, left = Clock(1_000), []
    lease = Waiting()
    lease.waiting = waiting

    async def sleep(seconds):
        clock.now += seconds
        if clock.now > 1_300:
            raise TimeoutError
        await turn(seconds)

    looking = hand_over_if_deaf(
        lease, Deaf(clock, reached), leave=left.append, clock=clock, sleep=sleep
    )
    if seconds is None:
        with pytest.raises(TimeoutError):
            await looking
        assert left == []
        return
    await looking
    assert clock.now == 1_000 + seconds
    assert [type(each) for each in left] == [Deposed]
    assert "beta, pid 22 may take over" in str(left[0])


LEAVES = """
import socket, sys
from bot.ending import leave
from bot.errors import Deposed
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
connection.sendall(b"an edit")
sys.stdin.readline()
leave(Deposed("another host leads"))
"""


def test_who_has_to_end_takes_back_what_the_network_has_not_delivered():
    """So that an edit that is cut off does not arrive when the network is back, after newer ones."""
    with socket.create_server(("127.0.0.1", 0)) as there:
        port = there.getsockname()[1]
        program = subprocess.Popen(
            [sys.executable, "-c", LEAVES, str(port)],
            env={"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        connection, _ = there.accept()
        with connection:
            assert connection.recv(7) == b"an edit"
            _, said = program.communicate("now\n")
            with pytest.raises(ConnectionResetError):
                connection.recv(1)
    assert (program.returncode, said) == (4, "error: another host leads\n")


# ── told to operators ─────────────────────────────────────────────────────────


async def test_status_tells_who_leads_since_when_and_who_waits(host, settings):
    await host.leader("alpha, pid 11")
    second = await host.host("beta, pid 22")
    waiting = asyncio.create_task(second.elected(host.made_ready))
    while second.leader is None:
        await asyncio.sleep(0)
    told = ToldHealth("127.0.0.1:8080", answered=True, facts={"standby": True})
    tables = await host.store()
    found = await status(tables, settings, 14, now=NOON + 7_200, health=told)

    waiting.cancel()
    rows = [row.text for row in as_rows(found)]
    assert "alpha, pid 11, for 2 h" in rows
    assert "beta, pid 22" in rows
    assert "stands by, ready to take over" in rows
    assert json.loads(json.dumps(as_json(found)))["hosts"] == {
        "leader": "alpha, pid 11",
        "since": NOON,
        "waiting": ["beta, pid 22"],
    }
