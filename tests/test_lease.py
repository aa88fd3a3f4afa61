"""Of the hosts on one PostgreSQL one leads; what another has begun before is rolled back, and nothing of it is sent."""

from __future__ import annotations

import asyncio
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from bot.errors import DatabaseUnavailable, DatabaseUnusable, Deposed
from bot.pipeline.patience import end
from bot.routes import Place
from bot.storage import records
from bot.storage.hosts import hosts
from bot.storage.schema import lease as lease_table
from tests.hosts import Way
from tests.leases import Hosts, loses_its_session
from tests.people import ALICE, NOON, TARGET, says
from tests.rows import add_signal

pytest.importorskip("psycopg")


@pytest.fixture
async def host(postgresql):
    found = Hosts(postgresql.new_database())
    yield found
    await found.close()


# ── election ──────────────────────────────────────────────────────────────────


async def test_one_of_any_number_leads_and_the_next_one_once_it_is_gone(host):
    first, *others = [await host.host(f"host-{number}, pid 1") for number in range(4)]
    await first.elected(host.made_ready)
    waiting = {asyncio.create_task(each.elected(host.made_ready)): each for each in others}

    epochs = [first.fence.epoch]
    leading = first
    while waiting:
        done, _ = await asyncio.wait(waiting, timeout=0.3)
        assert not done
        assert leading.is_sure
        await leading.close()
        (task, *more), _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        assert more == []
        leading = waiting.pop(task)
        epochs.append(leading.fence.epoch)
    assert epochs == [1, 2, 3, 4]


async def test_bots_in_two_schemas_of_one_database_have_nothing_to_do_with_each_other(
    host, postgresql
):
    first, other = await host.leader("a, pid 1"), Hosts(postgresql.new_database())
    keeping = asyncio.create_task(first.keep())
    async with asyncio.timeout(30):
        await other.leader("b, pid 2")

    await end([keeping])
    await add_signal(await host.store(first))
    await other.close()


async def test_who_leads_since_when_and_who_waits_is_told_by_the_tables(host):
    first, second = await host.leader("alpha, pid 11"), await host.host("beta, pid 22")
    waiting = asyncio.create_task(second.elected(host.made_ready))
    operator = await host.store()
    while second.leader is None:
        await asyncio.sleep(0)

    told = await operator.ask(hosts)
    assert told == ("alpha, pid 11", NOON, ["beta, pid 22"])
    assert second.leader == "alpha, pid 11"
    await first.close()
    await waiting
    assert await operator.ask(hosts) == ("beta, pid 22", NOON, [])
    await second.close()
    async with asyncio.timeout(30):  # a server sees the end of a session in its own time
        while (await operator.ask(hosts)).leader is not None:
            await asyncio.sleep(0)
    assert await operator.ask(hosts) == (None, NOON, [])


async def test_tables_that_are_not_for_this_version_end_the_election(host, postgresql):
    await host.made_ready()
    name = host.address.url.rpartition("%3D")[2]
    postgresql.sql(f"UPDATE {name}.alembic_version SET version_num = '0999'")

    with pytest.raises(DatabaseUnusable, match="has schema 999"):
        await host.leader("a, pid 1")


async def test_making_the_tables_ready_may_take_longer_than_a_session_may_be_silent(host):
    """As to bring large ones up to date does: the lease is confirmed all the while."""
    beats, done = [], asyncio.Event()

    async def sleep(seconds):
        beats.append(seconds)
        if len(beats) == 20:
            done.set()
        await asyncio.sleep(0)

    async def made_ready():
        await host.made_ready()
        await done.wait()

    lease = await host.host("a, pid 1", sleep=sleep)
    async with asyncio.timeout(30):
        await lease.elected(made_ready)
    assert set(beats) == {1.0}


# ── the fence ─────────────────────────────────────────────────────────────────


async def test_a_deposed_host_writes_nothing_more(host, postgresql):
    first = await host.leader("a, pid 1")
    old = await host.store(first)
    await add_signal(old, says(ALICE, "#idea", number=5), places=[Place(TARGET)])
    (post,) = await old.take_posts(TARGET)
    loses_its_session(postgresql, "a, pid 1")
    new = await host.store(await host.leader("b, pid 2"))

    with pytest.raises(DatabaseUnavailable):
        await add_signal(old, says(ALICE, "#late", number=6))  # its session was ended
    with pytest.raises(Deposed, match="another host leads") as caught:
        await add_signal(old, says(ALICE, "#late", number=6))
    assert caught.value.exit_code == 4
    with pytest.raises(Deposed):
        await old.post_sent(post, 500)
    assert (await old.counts()).signals == 1  # it reads as anybody may
    assert [each.id for each in await new.take_posts(TARGET)] == [post.id]
    await add_signal(new, says(ALICE, "#next", number=7))


async def test_what_a_host_has_half_written_when_it_is_deposed_is_rolled_back(host, postgresql):
    first = await host.leader("a, pid 1")
    old = await host.store(first)
    written = threading.Event()

    def stopped_in_the_midst(db):
        """The server takes it for busy, as a client that stops in the midst of a pipeline."""
        db.execute(text("INSERT INTO orders (kind, subject, at) VALUES ('pause', 0, 1)"))
        written.set()
        db.execute(text("SELECT pg_sleep(25)"))

    writing = asyncio.create_task(old.change(stopped_in_the_midst))
    await asyncio.to_thread(written.wait, 30)
    loses_its_session(postgresql, "a, pid 1")
    second = await host.leader("b, pid 2")
    new = await host.store(second)

    await add_signal(new)  # it does not wait for the one that stopped
    with pytest.raises(DatabaseUnavailable):
        await writing
    assert await new.ask(records.paused_at) is None


async def test_an_operator_writes_whoever_leads(host):
    operator = await host.store()
    assert await operator.pause()
    await host.leader("a, pid 1")
    assert await operator.resume()


OPS = st.lists(
    st.tuples(st.sampled_from(["elect", "lose", "write"]), st.integers(0, 2)),
    min_size=5,
    max_size=25,
)


@pytest.mark.heavy
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ops=OPS)
def test_in_each_epoch_one_host_writes_and_no_other(ops, postgresql):
    asyncio.run(_write_by_turns(ops, postgresql))


async def _write_by_turns(ops, postgresql):
    found = Hosts(postgresql.new_database())
    stores = {}
    accepted = []  # epoch and host, of each transaction that was not rolled back

    async def write(number):
        def work(db):
            return db.execute(select(lease_table.c.epoch, lease_table.c.host)).one()

        try:
            epoch, host = await stores[number].change(work)
        except DatabaseUnavailable:
            return
        accepted.append((epoch, host, f"host-{number}, pid 1"))

    for what, number in [("elect", 0), *ops]:
        if what == "elect":
            for other in range(3):
                loses_its_session(postgresql, f"host-{other}, pid 1")
            stores[number] = await found.store(await found.leader(f"host-{number}, pid 1"))
        elif what == "lose":
            loses_its_session(postgresql, f"host-{number}, pid 1")
        elif number in stores:
            await write(number)
            await write(number)  # on a connection made anew, where the last one was ended
    for number in stores:
        await write(number)
    await found.close()
    assert accepted or len(ops) == 1
    assert all(leader == writer for _, leader, writer in accepted)


# ── keeping it ────────────────────────────────────────────────────────────────


async def test_a_host_that_slept_sends_nothing_before_it_is_sure_again(host):
    """Sleep counts: the server has counted it, too."""
    lease = await host.leader("a, pid 1")
    await lease.sure()
    host.clock.now += 4.5
    waiting = asyncio.create_task(lease.sure())
    await asyncio.sleep(0)
    assert not lease.is_sure
    assert not waiting.done()

    keeping = asyncio.create_task(lease.keep())
    await waiting
    assert lease.is_sure
    await end([keeping])


async def test_the_time_of_an_answer_is_that_of_its_question(host):
    """One that was long under way says nothing of now."""
    asked, again = asyncio.Event(), asyncio.Event()

    async def sleep(_seconds):
        if asked.is_set():
            again.set()
            await asyncio.Event().wait()
        asked.set()

    way = await Way(host.port).begin()
    lease = await host.leader("a, pid 1", address=host.through(way), sleep=sleep)
    asked.clear()  # as it beat before
    again.clear()
    way.cut()
    keeping = asyncio.create_task(lease.keep())
    await asked.wait()
    host.clock.now += 4.5
    way.mend()
    await again.wait()

    assert not lease.is_sure
    await end([keeping])
    await lease.close()
    await way.close()


async def test_a_leader_that_finds_another_one_is_deposed(host, postgresql):
    first = await host.leader("a, pid 1")
    loses_its_session(postgresql, "a, pid 1")
    await host.leader("b, pid 2")

    with pytest.raises(Deposed, match="b, pid 2 leads now"):
        async with asyncio.timeout(60):
            await first.keep()


async def test_a_leader_whom_nobody_has_replaced_goes_on_when_the_database_is_back(
    host, postgresql
):
    """Its epoch stays, so it goes on with what it had begun. One host alone need not end for that."""
    lease = await host.leader("a, pid 1")
    store = await host.store(lease)
    keeping = asyncio.create_task(lease.keep())
    await asyncio.to_thread(postgresql.stop)
    host.clock.now += 100
    waiting = asyncio.create_task(lease.sure())
    await asyncio.to_thread(postgresql.start)

    await asyncio.wait({waiting, keeping}, return_when=asyncio.FIRST_COMPLETED)
    assert not keeping.done()
    assert lease.fence.epoch == 1
    with pytest.raises(DatabaseUnavailable):
        await add_signal(store)
    assert await add_signal(store) is not None
    await end([keeping])
