"""Who may continue a signal: the three tiers behind the one tracker."""

from __future__ import annotations

import contextlib
import time
from datetime import timedelta
from pathlib import Path

import pytest

from bot.models import AfterTtl, Flow, MessageId, Reason, Tier
from bot.routes import Source
from bot.state.flow_cache import open_flow_cache
from bot.state.flow_tracker import FlowTracker
from bot.state.flow_trackers import FlowTrackers
from tests.conftest import SECRET
from tests.people import ALICE, BOB, CAROL, GROUP, TTL, at, signal_id

FIRST, SECOND, THIRD = map(signal_id, (1, 2, 3))


class FakeTable:
    """The `signals` table as the tracker knows it, counting what it is asked."""

    def __init__(self, flows=None, threads=None):
        self.flows = flows or {}
        self.threads = threads or {}
        self.asked = []

    async def flow(self, signal_id):
        self.asked.append(signal_id)
        return self.flows.get(signal_id)

    async def flow_at(self, chat_id, message_id):
        self.asked.append((chat_id, message_id))
        found = self.threads.get((chat_id, message_id))
        return None if found is None else (found, self.flows[found])


async def signal_of(tracker, number):
    """Where a reply to that message belongs."""
    decision = await tracker.decide_at(GROUP, MessageId(number), BOB, at=at(1))
    return decision and decision.signal_id


@pytest.fixture
def table():
    return FakeTable()


@pytest.fixture
async def make(cache, table):
    """Make trackers over one cache; dates are the story's, so the story's clock ages the rows."""
    made = []

    def make(*, disk=cache, **options):
        made.append(FlowTracker(table, disk, clock=lambda: at(0), **options))
        return made[-1]

    yield make
    for tracker in made:
        await tracker.close()


@pytest.fixture
def tracker(make):
    return make()


async def test_a_started_flow_is_registered(tracker):
    tracker.start_flow(FIRST, ALICE, at=at(0))

    assert await tracker.get_flow_owner(FIRST, at=at(1)) == ALICE


async def test_the_owner_passes(tracker):
    tracker.start_flow(FIRST, ALICE, at=at(0))

    assert await tracker.is_allowed(FIRST, ALICE, at=at(71))
    assert await tracker.is_allowed(FIRST, ALICE, at=at(500))


async def test_another_does_not_pass(tracker):
    tracker.start_flow(FIRST, ALICE, at=at(0))

    assert not await tracker.is_allowed(FIRST, BOB, at=at(0))
    assert not await tracker.is_allowed(FIRST, BOB, at=at(72))


async def test_another_passes_after_the_ttl(tracker):
    tracker.start_flow(FIRST, ALICE, at=at(0))

    assert await tracker.is_allowed(FIRST, BOB, at=at(0) + TTL + 1)
    assert await tracker.get_flow_owner(FIRST, at=at(0) + TTL + 1) is None


async def test_nobody_else_ever_passes_where_flows_stay_with_their_owner(make):
    tracker = make(after_ttl=AfterTtl.OWNER)
    tracker.start_flow(FIRST, ALICE, at=at(0))

    assert not await tracker.is_allowed(FIRST, BOB, at=at(10_000))
    assert await tracker.get_flow_owner(FIRST, at=at(10_000)) == ALICE


async def test_the_ttl_is_a_setting(make):
    tracker = make(ttl=timedelta(hours=1))
    tracker.start_flow(FIRST, ALICE, at=at(0))

    assert not await tracker.is_allowed(FIRST, BOB, at=at(1))
    assert await tracker.is_allowed(FIRST, BOB, at=at(1.01))


async def test_the_ttl_counts_from_the_owners_latest_activity(tracker):
    tracker.start_flow(FIRST, ALICE, at=at(0))
    tracker.start_flow(FIRST, ALICE, at=at(50))

    assert not await tracker.is_allowed(FIRST, BOB, at=at(122))
    assert await tracker.is_allowed(FIRST, BOB, at=at(122.01))


async def test_activity_told_late_never_shortens_a_flow(tracker, make):
    tracker.start_flow(FIRST, ALICE, at=at(50))
    tracker.start_flow(FIRST, ALICE, at=at(0))

    assert not await tracker.is_allowed(FIRST, BOB, at=at(122))
    await tracker.close()
    assert (await make().decide(FIRST, BOB, at=at(122))).reason is Reason.NOT_THE_OWNER


async def test_somebody_unknown_never_passes(tracker):
    tracker.start_flow(FIRST, ALICE, at=at(0))

    decision = await tracker.decide(FIRST, None, at=at(1000))

    assert decision.reason is Reason.UNKNOWN_AUTHOR
    assert not decision.accepted


async def test_nobody_owns_or_continues_a_flow_no_tier_has(tracker):
    assert await tracker.get_flow_owner(FIRST, at=at(0)) is None
    assert not await tracker.is_allowed(FIRST, ALICE, at=at(0))
    assert (await tracker.decide(FIRST, ALICE, at=at(0))).reason is Reason.UNKNOWN_PARENT


async def test_ending_a_flow_makes_both_caches_forget_it(tracker, make, table):
    tracker.start_flow(FIRST, ALICE, at=at(0))
    tracker.add_to_thread(FIRST, GROUP, MessageId(10))
    tracker.end_flow(FIRST)

    assert await tracker.get_flow_owner(FIRST, at=at(1)) is None
    await tracker.close()
    assert await make().get_flow_owner(FIRST, at=at(1)) is None
    assert table.asked == [FIRST, FIRST]


async def test_ending_a_flow_counts_before_the_disk_has_heard_of_it(tracker, table):
    """An operator's release holds from this moment on, whatever the writer is doing."""
    tracker.start_flow(FIRST, ALICE, at=at(0))
    table.flows[FIRST] = Flow(ALICE, at(-1000))
    tracker.end_flow(FIRST)

    assert await tracker.is_allowed(FIRST, BOB, at=at(1))


async def test_it_tells_how_much_it_holds_and_where(tracker, table):
    tracker.start_flow(FIRST, ALICE, at=at(0))

    assert (tracker.in_memory, tracker.without_disk) == (1, False)
    assert FlowTracker(table, None).without_disk


async def test_cleanup_counts_what_it_removed(tracker):
    tracker.start_flow(FIRST, ALICE, at=at(0))
    tracker.start_flow(SECOND, BOB, at=at(10))
    tracker.start_flow(THIRD, CAROL, at=at(20))

    assert tracker.cleanup_expired(now=at(82)) == 1
    assert tracker.cleanup_expired(now=at(82)) == 0
    assert tracker.cleanup_expired(now=at(200)) == 2


async def test_cleanup_changes_no_answer(tracker):
    tracker.start_flow(FIRST, ALICE, at=at(0))
    tracker.cleanup_expired(now=at(1000))

    assert (await tracker.decide(FIRST, BOB, at=at(1))).reason is Reason.NOT_THE_OWNER
    assert (await tracker.decide(FIRST, ALICE, at=at(1))).reason is Reason.OWNER


async def test_expired_flows_leave_memory_without_being_asked_for(make):
    tracker = make(disk=None)
    tracker.start_flow(FIRST, ALICE, at=at(0))
    tracker.start_flow(SECOND, BOB, at=at(100))
    for _ in range(100):
        await tracker.decide(SECOND, BOB, at=at(100))

    assert tracker.cleanup_expired(now=at(100)) == 0
    assert tracker.cleanup_expired(now=at(1000)) == 1


async def test_memory_holds_no_more_flows_than_it_may(make):
    tracker = make(max_in_memory=2)
    for number in range(1, 11):
        tracker.start_flow(signal_id(number), ALICE, at=at(number))

    assert tracker.cleanup_expired(now=at(10_000)) == 2


async def test_the_flow_quiet_for_longest_leaves_memory_first_and_the_disk_still_knows_it(make):
    tracker = make(max_in_memory=2)
    tracker.start_flow(FIRST, ALICE, at=at(1))
    tracker.start_flow(SECOND, ALICE, at=at(2))
    tracker.start_flow(FIRST, ALICE, at=at(3))
    tracker.start_flow(THIRD, ALICE, at=at(4))

    assert (await tracker.decide(FIRST, ALICE, at=at(5))).tier is Tier.MEMORY
    assert (await tracker.decide(THIRD, ALICE, at=at(5))).tier is Tier.MEMORY
    assert (await tracker.decide(SECOND, ALICE, at=at(5))).tier is Tier.DISK


async def test_a_message_of_a_flow_leads_to_its_signal(tracker):
    tracker.start_flow(FIRST, ALICE, at=at(0))
    for number in (10, 11, 12):
        tracker.add_to_thread(FIRST, GROUP, MessageId(number))

    assert [await signal_of(tracker, n) for n in (10, 11, 12)] == [FIRST] * 3
    assert await signal_of(tracker, 13) is None


async def test_a_warm_flow_asks_no_table(tracker, table):
    tracker.start_flow(FIRST, ALICE, at=at(0))
    tracker.add_to_thread(FIRST, GROUP, MessageId(10))

    for author in (ALICE, BOB, None):
        await tracker.decide_at(GROUP, MessageId(10), author, at=at(1))

    assert table.asked == []


async def test_after_a_restart_the_disk_answers_first_and_memory_from_then_on(make, table):
    before = make()
    before.start_flow(FIRST, ALICE, at=at(0))
    before.add_to_thread(FIRST, GROUP, MessageId(10))
    await before.close()
    after = make()

    first, second = [await after.decide_at(GROUP, MessageId(10), BOB, at=at(1)) for _ in range(2)]

    assert (first.tier, second.tier) == (Tier.DISK, Tier.MEMORY)
    assert table.asked == []


async def test_when_both_caches_miss_the_table_answers_and_fills_them(make, table):
    table.flows[FIRST] = Flow(ALICE, at(0))
    table.threads[GROUP, 10] = FIRST
    tracker = make()

    async def ask(tracker):
        decision = await tracker.decide_at(GROUP, MessageId(10), BOB, at=at(1))
        assert decision.signal_id == FIRST
        return decision.tier

    assert [await ask(tracker), await ask(tracker)] == [Tier.TABLE, Tier.MEMORY]
    assert table.asked == [(GROUP, 10)]
    await tracker.close()
    assert await ask(make()) is Tier.DISK
    assert table.asked == [(GROUP, 10)]


async def test_a_miss_is_not_remembered(tracker, table):
    assert await signal_of(tracker, 10) is None
    assert not await tracker.is_allowed(FIRST, ALICE, at=at(0))
    table.threads[GROUP, 10] = FIRST
    table.flows[FIRST] = Flow(ALICE, at(0))

    assert await signal_of(tracker, 10) == FIRST
    assert await tracker.is_allowed(FIRST, ALICE, at=at(0))


async def test_a_flow_gone_quiet_is_answered_from_the_table_and_kept_nowhere(make, table):
    table.flows[FIRST] = Flow(ALICE, at(-100))
    tracker = make()

    decision = await tracker.decide(FIRST, BOB, at=at(0))

    assert (decision.reason, decision.tier) == (Reason.RELEASED, Tier.TABLE)
    assert tracker.cleanup_expired(now=at(1000)) == 0
    tracker.add_to_thread(FIRST, GROUP, MessageId(10))
    assert await signal_of(tracker, 10) is None


async def test_a_flow_whose_activity_is_missing_is_its_owners_alone(make, table):
    table.flows[FIRST] = Flow(ALICE, None)
    tracker = make()

    assert not await tracker.is_allowed(FIRST, BOB, at=at(1000))
    assert await tracker.is_allowed(FIRST, ALICE, at=at(1000))
    assert await tracker.get_flow_owner(FIRST, at=at(1000)) == ALICE


async def test_an_old_copy_of_the_cache_releases_nothing_early(make, table):
    """The process may die after the table's commit and before the cache's."""
    crashed = make()
    crashed.start_flow(FIRST, ALICE, at=at(0))
    await crashed.close()
    table.flows[FIRST] = Flow(ALICE, at(60))
    tracker = make()

    decision = await tracker.decide(FIRST, BOB, at=at(80))

    assert (decision.reason, decision.tier) == (Reason.NOT_THE_OWNER, Tier.TABLE)
    assert (await tracker.decide(FIRST, BOB, at=at(81))).tier is Tier.MEMORY
    await tracker.close()
    assert (await make().decide(FIRST, BOB, at=at(81))).tier is Tier.DISK


async def test_a_release_that_the_table_confirms_is_the_finding_tiers(make, table):
    before = make()
    before.start_flow(FIRST, ALICE, at=at(0))
    table.flows[FIRST] = Flow(ALICE, at(0))

    assert (await before.decide(FIRST, BOB, at=at(80))).tier is Tier.MEMORY
    await before.close()
    assert (await make().decide(FIRST, BOB, at=at(80))).tier is Tier.DISK
    assert table.asked == [FIRST, FIRST]


async def test_the_disk_keeps_a_flow_no_longer_than_it_lives(make, cache):
    tracker = make()
    tracker.start_flow(FIRST, ALICE, at=at(-73))
    tracker.start_flow(SECOND, ALICE, at=at(-71))
    await tracker.close()

    assert cache.get(int(FIRST)) is None
    _, expires_at = cache.get(int(SECOND), expire_time=True)
    assert 0 < expires_at - time.time() <= 3600
    assert len(cache) == 1


async def test_without_a_disk_the_table_takes_its_place(make, table):
    tracker = make(disk=None, max_in_memory=1)
    table.flows |= {FIRST: Flow(ALICE, at(0)), SECOND: Flow(BOB, at(0))}

    tiers = [
        (await tracker.decide(signal, CAROL, at=at(1))).tier
        for signal in (FIRST, FIRST, SECOND, FIRST)
    ]

    assert tiers == [Tier.TABLE, Tier.MEMORY, Tier.TABLE, Tier.TABLE]


LEAVING = {
    "another takes its place": lambda tracker: tracker.start_flow(SECOND, ALICE, at=at(1)),
    "its time is over": lambda tracker: tracker.cleanup_expired(now=at(1000)),
    "an operator ends it": lambda tracker: tracker.end_flow(FIRST),
}


@pytest.mark.parametrize("leave", LEAVING.values(), ids=LEAVING)
async def test_threads_leave_memory_with_their_flow(make, table, leave):
    tracker = make(disk=None, max_in_memory=1)
    tracker.start_flow(FIRST, ALICE, at=at(0))
    for number in (10, 11, 12):
        tracker.add_to_thread(FIRST, GROUP, MessageId(number))
    leave(tracker)

    assert [await signal_of(tracker, n) for n in (10, 11, 12)] == [None] * 3
    assert table.asked == [(GROUP, 10), (GROUP, 11), (GROUP, 12)]


async def test_when_the_last_flow_has_expired_it_goes_on(make, table):
    """In the midst of a decision: then memory is cleaned, every hundredth time."""
    table.flows[FIRST] = Flow(ALICE, at(0))
    tracker = make(disk=None)
    tracker.start_flow(FIRST, ALICE, at=at(0))

    decisions = [await tracker.decide(FIRST, BOB, at=at(1000)) for _ in range(100)]

    assert {each.reason for each in decisions} == {Reason.RELEASED}
    assert tracker.in_memory == 0


async def test_everything_is_on_disk_when_close_returns(make, tmp_path, table):
    tracker = make(max_in_memory=5_000)
    for number in range(1, 2_001):
        tracker.start_flow(signal_id(number), ALICE, at=at(1))
        tracker.add_to_thread(signal_id(number), GROUP, MessageId(number))
    await tracker.close()

    reopened = FlowTracker(table, open_flow_cache(tmp_path / "flows", SECRET), clock=lambda: at(0))
    for number in range(1, 2_001):
        decision = await reopened.decide_at(GROUP, MessageId(number), ALICE, at=at(1))
        assert (decision.signal_id, decision.tier) == (number, Tier.DISK)
    await reopened.close()
    assert table.asked == []


async def test_what_waits_to_be_written_is_read_at_once(make):
    tracker = make(max_in_memory=1)
    for number in range(1, 101):
        tracker.start_flow(signal_id(number), ALICE, at=at(1))

    assert (await tracker.decide(FIRST, ALICE, at=at(1))).tier is Tier.DISK


# ── housekeeping, to the number ───────────────────────────────────────────────


async def test_memory_holds_ten_thousand_flows(make):
    tracker = make(disk=None)
    for number in range(1, 10_101):
        tracker.start_flow(signal_id(number), ALICE, at=at(0))

    assert tracker.in_memory == 10_000


async def test_memory_is_cleaned_with_every_hundredth_operation(make):
    """A flow that begins is one, and so is a question; of what nobody knows as well."""
    tracker = make(disk=None)
    tracker.start_flow(FIRST, ALICE, at=at(0))
    for _ in range(98):
        await tracker.decide(SECOND, BOB, at=at(1000))
    assert tracker.in_memory == 1

    await tracker.decide(SECOND, BOB, at=at(1000))

    assert tracker.in_memory == 0


async def test_no_more_than_250_flows_leave_memory_at_once(make):
    """However many have expired, the loop is not stalled."""
    tracker = make(disk=None)
    for number in range(1, 301):
        tracker.start_flow(signal_id(number), ALICE, at=at(0))
    for _ in range(100):
        await tracker.decide(signal_id(999), BOB, at=at(1000))

    assert tracker.in_memory == 50


async def test_a_cleanup_that_finds_nothing_leaves_the_order_as_it_was(make):
    tracker = make(max_in_memory=2)
    tracker.start_flow(FIRST, ALICE, at=at(1))
    tracker.start_flow(SECOND, ALICE, at=at(2))
    assert tracker.cleanup_expired(now=at(3)) == 0

    tracker.start_flow(THIRD, ALICE, at=at(4))

    assert (await tracker.decide(SECOND, ALICE, at=at(5))).tier is Tier.MEMORY
    assert (await tracker.decide(FIRST, ALICE, at=at(5))).tier is Tier.DISK


async def test_activity_that_is_told_twice_is_no_newer(make):
    tracker = make(max_in_memory=2)
    for signal in (FIRST, SECOND, FIRST):
        tracker.start_flow(signal, ALICE, at=at(1))

    tracker.start_flow(THIRD, ALICE, at=at(2))

    assert (await tracker.decide(SECOND, ALICE, at=at(2))).tier is Tier.MEMORY


async def test_memory_alone_leads_from_a_message_to_its_flow(make, table):
    tracker = make(disk=None)
    tracker.start_flow(FIRST, ALICE, at=at(0))
    tracker.add_to_thread(FIRST, GROUP, MessageId(10))

    decision = await tracker.decide_at(GROUP, MessageId(10), BOB, at=at(1))

    assert (decision.reason, decision.tier) == (Reason.NOT_THE_OWNER, Tier.MEMORY)
    assert table.asked == []


async def test_a_message_of_a_flow_that_is_released_meanwhile_leads_to_it_still(make, table):
    table.flows[FIRST] = Flow(ALICE, at(0))
    tracker = make(disk=None)
    tracker.start_flow(FIRST, ALICE, at=at(0))
    tracker.add_to_thread(FIRST, GROUP, MessageId(10))

    decision = await tracker.decide_at(GROUP, MessageId(10), BOB, at=at(1000))

    assert (decision.reason, decision.signal_id) == (Reason.RELEASED, FIRST)
    assert table.asked == [FIRST]


async def test_a_thread_that_the_disk_knew_is_in_memory_from_then_on(make, table, cache):
    before = make()
    before.start_flow(FIRST, ALICE, at=at(0))
    before.add_to_thread(FIRST, GROUP, MessageId(10))
    await before.close()
    tracker = make()
    assert await signal_of(tracker, 10) == FIRST

    cache.clear()

    assert await signal_of(tracker, 10) == FIRST
    assert table.asked == []


async def test_where_the_table_knows_another_owner_memory_forgets_the_one_it_had(make, table):
    """As where the caches come from another table."""
    table.flows[FIRST] = Flow(BOB, at(900))
    tracker = make(disk=None)
    tracker.start_flow(FIRST, ALICE, at=at(0))

    assert (await tracker.decide(FIRST, CAROL, at=at(910))).reason is Reason.NOT_THE_OWNER
    assert (await tracker.decide(FIRST, BOB, at=at(910))).reason is Reason.OWNER
    assert (await tracker.decide(FIRST, ALICE, at=at(910))).reason is Reason.NOT_THE_OWNER


async def test_it_tells_whether_its_disk_works(make):
    nothing = make(disk=None)
    hoping = make(disk=None, reopen=lambda: None)
    whole = make()

    assert [each.without_disk for each in (nothing, hoping, whole)] == [True, False, False]
    assert [each.disk_works for each in (nothing, hoping, whole)] == [False, False, True]


async def test_no_file_of_the_cache_is_open_when_close_returns(make, tmp_path):
    tracker = make()
    tracker.start_flow(FIRST, ALICE, at=at(0))
    assert await signal_of(tracker, 10) is None
    await tracker.close()

    assert [name for name in open_files() if name.startswith(str(tmp_path / "flows"))] == []


def open_files():
    found = []
    for each in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(str(each.readlink()))
    return found


async def test_the_trackers_of_all_sources_tell_of_themselves_together(make):
    """Each source by its name; and where one has no disk, that is told of all."""
    found = {"majors": make(disk=None), "scalps": make()}
    sources = [Source(name=name, topic=topic) for topic, name in enumerate(found, 1)]
    trackers = FlowTrackers(lambda source: found[source.name], sources)
    trackers["scalps"].start_flow(FIRST, ALICE, at=at(0))

    assert (trackers.in_memory, trackers.by_source()) == (1, {"majors": 0, "scalps": 1})
    assert (trackers.without_disk, trackers.disk_works) == (True, False)
