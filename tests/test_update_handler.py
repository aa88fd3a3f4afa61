"""Replies: recorded when they continue a flow, refused when their author may not, and why."""

from __future__ import annotations

import pytest

from bot.models import (
    Decision,
    IncomingMessage,
    MessageId,
    MessageRef,
    Outcome,
    Reason,
    SignalId,
    Tier,
)
from bot.signal_fields import SignalFields
from bot.state.flow_tracker import FlowTracker
from tests import wiring
from tests.people import ALICE, BOB, CAROL, GROUP, TARGET, at, says


class CountingTable:
    """The real table; it only counts what the tracker asks it."""

    def __init__(self, store):
        self._store = store
        self.asked = 0

    async def flow(self, signal_id):
        self.asked += 1
        return await self._store.flow(signal_id)

    async def flow_at(self, chat_id, message_id):
        self.asked += 1
        return await self._store.flow_at(chat_id, message_id)


@pytest.fixture
def table(store):
    return CountingTable(store)


@pytest.fixture
async def flows(table, cache):
    flows = FlowTracker(table, cache, clock=lambda: at(0))
    yield flows
    await flows.close()


@pytest.fixture
def intake(store, flows):
    return wiring.intake(store, flows)


async def post_signal(intake, author=ALICE, **more) -> tuple[IncomingMessage, SignalId]:
    message = says(author, "#idea BTC/USDT LONG", **more)
    decision = await intake.handle(message)
    assert decision.signal_id is not None
    return message, decision.signal_id


async def record_signal_behind_the_caches(store, author=ALICE) -> tuple[IncomingMessage, SignalId]:
    message = says(author, "#idea BTC/USDT LONG")
    signal_id = await store.add_signal(
        message, author=author, marker="#idea", fields=SignalFields()
    )
    return message, signal_id


async def test_the_authors_reply_is_recorded(store, intake):
    signal, signal_id = await post_signal(intake)

    decision = await intake.handle(says(ALICE, "TP1 done", to=signal, hours=5))

    assert decision == Decision(Outcome.UPDATE, Reason.OWNER, Tier.MEMORY, signal_id)
    assert (await store.counts()).updates == 1
    assert (await store.flow(signal_id)).last_owner_activity == at(5)


async def test_anothers_reply_is_ignored_and_the_operator_can_find_out_why(store, intake):
    signal, signal_id = await post_signal(intake)

    decision = await intake.handle(says(BOB, "closed!", to=signal, hours=5))

    assert decision == Decision(Outcome.REJECTED, Reason.NOT_THE_OWNER, Tier.MEMORY, signal_id)
    assert await store.counts() == (1, 0, 1)
    assert (await store.flow(signal_id)).last_owner_activity == at(0)


async def test_a_cache_hit_asks_no_table(table, intake):
    signal, _ = await post_signal(intake)

    await intake.handle(says(ALICE, to=signal))
    await intake.handle(says(BOB, to=signal))

    assert table.asked == 0


async def test_what_the_owner_said_last_is_known_without_the_table(table, intake):
    signal, _ = await post_signal(intake)
    await intake.handle(says(ALICE, to=signal, hours=60))

    decision = await intake.handle(says(BOB, to=signal, hours=100))

    assert (decision.reason, decision.tier) == (Reason.NOT_THE_OWNER, Tier.MEMORY)
    assert table.asked == 0


async def test_a_cache_miss_asks_the_table_and_fills_the_cache(store, table, intake):
    signal, signal_id = await record_signal_behind_the_caches(store)

    decisions = [await intake.handle(says(BOB, to=signal)) for _ in range(2)]

    assert [decision.tier for decision in decisions] == [Tier.TABLE, Tier.MEMORY]
    assert {decision.signal_id for decision in decisions} == {signal_id}
    assert table.asked == 1


async def test_a_signal_its_flow_and_the_replies_to_it(store, intake):
    """A posts, A answers and passes, B answers and is ignored, 72 quiet hours later B passes."""
    signal, signal_id = await post_signal(intake, ALICE)

    by_alice = await intake.handle(says(ALICE, "stop to entry", to=signal, hours=10))
    by_bob = await intake.handle(says(BOB, "I am out", to=signal, hours=11))
    still_quiet = await intake.handle(says(BOB, "and now?", to=signal, hours=82))
    by_bob_later = await intake.handle(says(BOB, "still in?", to=signal, hours=82.01))

    assert [by_alice.reason, by_bob.reason, still_quiet.reason, by_bob_later.reason] == [
        Reason.OWNER,
        Reason.NOT_THE_OWNER,
        Reason.NOT_THE_OWNER,
        Reason.RELEASED,
    ]
    assert await store.counts() == (1, 2, 2)
    assert await store.flow(signal_id) == (ALICE, at(10))


async def test_a_releasing_reply_neither_owns_nor_refreshes_the_flow(store, intake):
    signal, signal_id = await post_signal(intake)

    await intake.handle(says(BOB, to=signal, hours=100))
    by_carol = await intake.handle(says(CAROL, to=signal, hours=101))

    assert by_carol.reason is Reason.RELEASED
    assert await store.flow(signal_id) == (ALICE, at(0))


async def test_the_owners_reply_takes_an_expired_flow_back(intake):
    signal, _ = await post_signal(intake)

    await intake.handle(says(BOB, to=signal, hours=100))
    await intake.handle(says(ALICE, to=signal, hours=101))
    by_bob = await intake.handle(says(BOB, to=signal, hours=102))

    assert by_bob.reason is Reason.NOT_THE_OWNER


async def test_a_reply_to_an_update_belongs_to_the_root_signals_flow(intake):
    message, signal_id = await post_signal(intake)
    for hours in range(1, 6):
        message = says(ALICE, f"update {hours}", to=message, hours=hours)
        decision = await intake.handle(message)
        assert (decision.reason, decision.signal_id) == (Reason.OWNER, signal_id)

    by_bob = await intake.handle(says(BOB, to=message, hours=6))

    assert (by_bob.reason, by_bob.signal_id) == (Reason.NOT_THE_OWNER, signal_id)


async def test_it_does_where_the_table_alone_knows_the_update(store, intake):
    """As after a start with an empty cache."""
    signal, signal_id = await post_signal(intake)
    update = says(ALICE, "TP1", to=signal)
    await intake.handle(update)

    anew = FlowTracker(store, None, clock=lambda: at(0))
    decision = await wiring.intake(store, anew).handle(says(BOB, to=update, hours=1))

    assert (decision.reason, decision.signal_id) == (Reason.NOT_THE_OWNER, signal_id)
    assert decision.tier is Tier.TABLE


async def test_a_refused_reply_is_no_part_of_the_flow(intake):
    signal, _ = await post_signal(intake)
    question = says(BOB, "why?", to=signal)
    await intake.handle(question)

    answer = await intake.handle(says(ALICE, "because", to=question))

    assert answer == Decision(Outcome.IGNORED, Reason.UNKNOWN_PARENT)


async def test_a_reply_that_quotes_another_chat_continues_nothing(intake):
    signal, _ = await post_signal(intake)

    quoting = says(ALICE, to=signal, chat_id=TARGET)

    assert (await intake.handle(quoting)).reason is Reason.UNKNOWN_PARENT


async def test_a_message_that_replies_to_nothing_is_no_update(intake):
    assert (await intake.handle(says(ALICE))).reason is Reason.NOT_A_SIGNAL


async def test_somebody_who_cannot_be_told_is_refused(store, intake):
    signal, _ = await post_signal(intake)

    decision = await intake.handle(says(None, to=signal))

    assert (decision.outcome, decision.reason) == (Outcome.REJECTED, Reason.UNKNOWN_AUTHOR)
    assert await store.counts() == (1, 0, 1)


async def test_an_owner_no_longer_permitted_is_refused(store, flows, intake):
    signal, _ = await post_signal(intake)
    bobs = wiring.intake(store, flows, source_allowed_users=(BOB,))

    assert (await bobs.handle(says(ALICE, to=signal))).reason is Reason.NOT_PERMITTED
    assert (await bobs.handle(says(BOB, to=signal, hours=99))).reason is Reason.RELEASED


@pytest.mark.parametrize("author", [ALICE, BOB, None])
async def test_the_same_reply_a_second_time_changes_nothing(store, intake, author):
    signal, signal_id = await post_signal(intake)
    reply = says(author, to=signal, hours=1)
    await intake.handle(reply)
    before = await store.counts(), await store.flow(signal_id)

    again = await intake.handle(reply)

    assert (again.outcome, again.reason) == (Outcome.DUPLICATE, Reason.ALREADY_RECORDED)
    assert (await store.counts(), await store.flow(signal_id)) == before


async def test_a_refusal_is_final_even_if_the_flow_is_released_later(store, intake):
    """Telegram may deliver a message again; by then an operator may have released the flow."""
    signal, signal_id = await post_signal(intake)
    reply = says(BOB, to=signal, hours=1)
    await intake.handle(reply)

    accepted_now = Decision(Outcome.UPDATE, Reason.RELEASED, Tier.TABLE, signal_id)

    assert not await store.add_update(reply, accepted_now, author=BOB)


async def test_an_accepted_reply_stays_accepted_when_the_owner_has_taken_the_flow_back(
    store, intake
):
    signal, _ = await post_signal(intake)
    reply = says(BOB, to=signal, hours=100)
    await intake.handle(reply)
    await intake.handle(says(ALICE, to=signal, hours=101))

    assert (await intake.handle(reply)).outcome is Outcome.DUPLICATE
    assert await store.counts() == (1, 2, 0)


async def test_caches_made_from_another_table_are_found_out_and_forgotten(store, flows, intake):
    """Somebody put an older copy of the database in place and left the cache as it was."""
    ghost = MessageRef(GROUP, MessageId(10))
    flows.start_flow(SignalId(99), ALICE, at=at(0))
    flows.add_to_thread(SignalId(99), *ghost)

    decisions = [await intake.handle(says(ALICE, to=ghost)) for _ in range(2)]

    assert {decision.reason for decision in decisions} == {Reason.UNKNOWN_PARENT}
    assert await store.counts() == (0, 0, 0)


async def test_a_flow_that_the_table_says_is_anothers_is_not_continued(store, flows, intake):
    signal, signal_id = await record_signal_behind_the_caches(store, author=BOB)
    flows.start_flow(signal_id, ALICE, at=at(0))

    by_alice = [await intake.handle(says(ALICE, to=signal, hours=1)) for _ in range(2)]

    assert [decision.accepted for decision in by_alice] == [False, False]
    assert (await intake.handle(says(BOB, to=signal, hours=1))).reason is Reason.OWNER
    assert await store.flow(signal_id) == (BOB, at(1))


async def test_a_marked_reply_by_a_stranger_is_a_signal_of_its_own(store, intake):
    signal, _ = await post_signal(intake)

    decision = await intake.handle(says(BOB, "#idea", to=signal))

    assert decision == Decision(Outcome.SIGNAL, Reason.NEW_SIGNAL, None, SignalId(2))
    assert await store.counts() == (2, 0, 0)
