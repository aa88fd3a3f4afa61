"""Two running bots on one PostgreSQL: one relays, the other takes over, whatever becomes of the first."""

from __future__ import annotations

import pytest

from tests.hosts import Host


@pytest.fixture
async def hosts(stage, postgresql):
    """One leads and the other waits."""
    address = postgresql.new_database()
    both = [await Host(name, stage, address).connect() for name in ("a", "b")]
    first, second = both
    await first.start()
    await first.leads()
    await second.start()
    await second.waits()
    yield both
    for each in both:
        await each.close()


async def test_a_killed_leader_is_replaced_and_comes_back_as_the_one_that_waits(stage, hosts):
    """What it had recorded and not posted is posted, and nothing twice; an order hands over as well."""
    first, second = hosts
    signal_ = await stage.alice.sends(stage.group, "#idea BTC")
    await stage.shows("#idea BTC")
    first.program.kill()
    await stage.alice.sends(stage.group, "stop to entry", reply_to=signal_)
    await stage.shows("#idea BTC", "stop to entry")
    await second.leads()

    await first.program.wait()
    await first.start()
    await first.waits()
    assert await second.end() == 0
    await first.leads()
    await stage.alice.sends(stage.group, "closed", reply_to=signal_)
    await stage.shows("#idea BTC", "stop to entry", "closed")
    assert await first.end() == 0
