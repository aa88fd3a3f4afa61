"""Two running bots on one PostgreSQL: one relays, the other takes over, whatever becomes of the first."""

from __future__ import annotations

import shutil
import signal

import aiohttp
import pytest

from tests.hosts import Host
from tests.server import free_port


@pytest.fixture
async def hosts(stage, postgresql):
    """One leads and the other waits."""
    address = postgresql.new_database()
    both = [
        await Host(name, stage, address, HEALTH_PORT=str(free_port())).connect()
        for name in ("a", "b")
    ]
    first, second = both
    await first.start()
    await first.leads()
    await second.start()
    await second.waits()
    yield both
    for each in both:
        await each.close()


async def told(host):
    """The status and the text of `/healthz`, and whether it leads by `/metrics`."""
    address = f"http://127.0.0.1:{host.settings()['HEALTH_PORT']}"
    async with aiohttp.ClientSession(address) as session:
        async with session.get("/healthz") as answer:
            facts = await answer.json()
        async with session.get("/metrics") as metrics:
            leads = "signal_relay_leader 1.0\n" in await metrics.text()
    return answer.status, facts["standby"], leads


async def test_a_killed_leader_is_replaced_and_comes_back_as_the_one_that_waits(stage, hosts):
    """What it had recorded and not posted is posted, and nothing twice; an order hands over as well."""
    first, second = hosts
    assert (await told(first), await told(second)) == ((200, False, True), (200, True, False))
    signal_ = await stage.alice.sends(stage.group, "#idea BTC")
    await stage.shows("#idea BTC")
    first.program.kill()
    await stage.alice.sends(stage.group, "stop to entry", reply_to=signal_)
    await stage.shows("#idea BTC", "stop to entry")
    await second.leads()
    assert await told(second) == (200, False, True)

    await first.program.wait()
    await first.start()
    await first.waits()
    assert await second.end() == 0
    await first.leads()
    await stage.alice.sends(stage.group, "closed", reply_to=signal_)
    await stage.shows("#idea BTC", "stop to entry", "closed")
    assert await first.end() == 0


@pytest.mark.heavy
async def test_a_host_that_is_stopped_or_cut_off_is_replaced_and_ends_once_it_is_back(stage, hosts):
    """With exit code 4, and a line that says who leads: it is to be started again, and then waits."""
    first, second = hosts
    signal_ = await stage.alice.sends(stage.group, "#idea BTC")
    await stage.shows("#idea BTC")
    first.program.signal(signal.SIGSTOP)
    await stage.alice.sends(stage.group, "stop to entry", reply_to=signal_)
    await second.leads()
    first.program.signal(signal.SIGCONT)
    assert await first.program.wait() == 4
    assert f", pid {second.program.pid} leads now" in first.program.stderr.splitlines()[-1]

    await first.start()
    await first.waits()
    second.cut_off()
    await stage.alice.sends(stage.group, "closed", reply_to=signal_)
    await first.leads()
    second.back()
    assert await second.program.wait() == 4
    await stage.shows("#idea BTC", "stop to entry", "closed")
    assert await first.end() == 0


@pytest.mark.heavy
@pytest.mark.parametrize(
    "copied", [True, False], ids=["a copied session file", "one session string"]
)
async def test_one_login_on_two_hosts_is_refused_with_the_mend(stage, postgresql, copied):
    """Whoever had it goes on: the other one ends before it meets Telegram, and never takes over."""
    login = {} if copied else stage.login_of_carol()
    address = postgresql.new_database()
    first, second = [await Host(name, stage, address, **login).connect() for name in ("a", "b")]
    for _ in range(1 + copied):  # a login that is new is held some seconds later
        if first.program is not None:
            assert await first.end() == 0
        await first.start()
        await first.leads()
    if copied:
        for each in first.directory.glob("data/relay.session*"):
            (second.directory / "data").mkdir(mode=0o700, exist_ok=True)
            shutil.copy(each, second.directory / "data")
    await second.start()

    assert await second.program.wait(timeout=60) == 2
    line = second.program.stderr.splitlines()[-1]
    assert "another host works on the same tables with this login" in line
    assert ("remove it here" if copied else "`python -m bot setup` makes it") in line
    assert "standing by" not in second.program.output
    await stage.alice.sends(stage.group, "#idea BTC")
    await stage.shows("#idea BTC")
    assert await first.end() == 0
    for host in (first, second):
        await host.close()
