"""Replies whose parent was deleted before the bot saw it are judged by their thread's first message."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from bot.errors import RetryLater
from bot.handlers.lost_parents import LostParents
from bot.models import ChatId, MessageId, MessageRef, Outcome, Reason, Tier
from bot.pipeline.patience import NotRecorded, patiently
from bot.state.flow_tracker import FlowTracker
from tests import wiring
from tests.people import ALICE, BOB, CAROL, GROUP, TARGET, at, says

DELETED = MessageRef(GROUP, MessageId(900_001))
STANDING = MessageRef(GROUP, MessageId(900_002))


class FakeTelegram:
    """Knows which messages stand; answers with what it is scripted to first."""

    def __init__(self, *script):
        self.script = list(script)
        self.deleted = {DELETED}
        self.asked = []

    async def exists(self, ref):
        self.asked.append(ref)
        if self.script:
            raise self.script.pop(0)
        return ref not in self.deleted


@pytest.fixture
def telegram():
    return FakeTelegram()


@pytest.fixture
async def flows(store, cache):
    flows = FlowTracker(store, cache, clock=lambda: at(0))
    yield flows
    await flows.close()


@pytest.fixture
def parents(store, telegram):
    parents = LostParents(store, remembered=50)
    parents.ask(telegram)
    return parents


@pytest.fixture
def intake(store, flows, parents):
    return wiring.intake(store, flows, parents=parents)


@pytest.fixture
async def signal(intake):
    message = says(ALICE, "#idea BTC long")
    await intake.handle(message)
    return message


def below(signal, author, text="TP1", *, to=DELETED, **more):
    """A reply in the signal's thread to something else than the signal."""
    return says(author, text, to=to, reply_to_top=signal.id, **more)


async def test_the_owner_is_not_cut_off_by_a_message_that_was_lost(store, intake, signal):
    """Neither are those who answer below: what continues the flow is recorded as part of it."""
    update = below(signal, ALICE, hours=1)
    first = await intake.handle(update)
    second = await intake.handle(below(signal, ALICE, "TP2", to=update, hours=2))
    stranger = await intake.handle(below(signal, BOB, "closed?", to=update, hours=3))

    assert (first.outcome, first.reason) == (Outcome.UPDATE, Reason.OWNER)
    assert (second.reason, stranger.reason) == (Reason.OWNER, Reason.NOT_THE_OWNER)
    assert {first.signal_id, second.signal_id, stranger.signal_id} == {1}
    assert (await store.flow(first.signal_id)).last_owner_activity == at(2)


async def test_below_a_lost_parent_the_rule_is_the_same_for_everybody(intake, signal):
    reasons = [
        (await intake.handle(below(signal, author, hours=hours))).reason
        for author, hours in [(BOB, 1), (None, 2), (BOB, 73), (ALICE, 74), (CAROL, 75)]
    ]

    assert reasons == [
        Reason.NOT_THE_OWNER,
        Reason.UNKNOWN_AUTHOR,
        Reason.RELEASED,
        Reason.OWNER,
        Reason.NOT_THE_OWNER,
    ]


async def test_a_parent_that_stands_and_is_of_no_flow_is_chatter_and_so_is_what_answers_it(
    store, intake, signal, telegram
):
    by_owner = await intake.handle(below(signal, ALICE, to=STANDING))

    assert (by_owner.outcome, by_owner.reason) == (Outcome.IGNORED, Reason.UNKNOWN_PARENT)
    assert await store.counts() == (1, 0, 0)
    assert telegram.asked == [STANDING]


async def test_a_parent_that_was_refused_stays_refused_when_it_is_deleted(
    store, flows, intake, signal, telegram
):
    """Also after a restart, which forgets all that is not in the table."""
    question = says(BOB, "why?", to=signal)
    await intake.handle(question)
    telegram.deleted.add(question.ref)
    again = LostParents(store)
    again.ask(telegram)
    after_a_restart = wiring.intake(store, flows, parents=again)

    for handle in (intake.handle, after_a_restart.handle):
        answer = await handle(below(signal, ALICE, "because", to=question))
        assert answer.reason is Reason.UNKNOWN_PARENT
    assert telegram.asked == []


async def test_a_thread_that_began_with_no_signal_is_none_of_our_business(intake, signal, telegram):
    chatter = says(BOB, "lunch?")
    await intake.handle(chatter)

    decision = await intake.handle(below(chatter, ALICE))

    assert decision.reason is Reason.UNKNOWN_PARENT
    assert telegram.asked == []


async def test_a_reply_that_quotes_another_chat_is_no_part_of_the_thread(intake, signal, telegram):
    elsewhere = MessageRef(TARGET, DELETED.message_id)

    decision = await intake.handle(below(signal, ALICE, to=elsewhere))

    assert decision.reason is Reason.UNKNOWN_PARENT
    assert telegram.asked == []


async def test_a_parent_of_the_group_that_moved_is_looked_for_nowhere(
    store, flows, parents, signal, telegram
):
    """The thread's first message is told by a number of the new group, which says nothing of the old."""
    old = ChatId(-77)
    updates = wiring.intake(store, flows, moved={old: GROUP}, parents=parents)
    reply = below(signal, ALICE, to=MessageRef(old, DELETED.message_id))

    assert (await updates.handle(reply)).reason is Reason.UNKNOWN_PARENT
    assert telegram.asked == []


async def test_people_who_talk_below_a_signal_cost_no_call(intake, signal, telegram):
    """A question that was refused, and a long talk below it: all in the signal's thread."""
    last = says(BOB, "why?", to=signal)
    await intake.handle(last)
    for number in range(40):
        last = below(signal, (ALICE, BOB, CAROL)[number % 3], f"talk {number}", to=last)
        assert (await intake.handle(last)).reason is Reason.UNKNOWN_PARENT

    assert telegram.asked == []


async def test_of_a_parent_that_was_never_heard_telegram_is_asked_once(intake, signal, telegram):
    for to in (STANDING, DELETED):
        for _ in range(5):
            await intake.handle(below(signal, BOB, to=to))

    assert telegram.asked == [STANDING, DELETED]


async def test_what_is_remembered_is_bounded_and_the_latest(store, telegram):
    parents = LostParents(store, remembered=3)
    parents.ask(telegram)
    refs = [MessageRef(GROUP, MessageId(number)) for number in range(1, 6)]
    for ref in refs:
        parents.heard(ref)
    for ref in refs:
        assert not await parents.is_lost(ref)

    assert telegram.asked == refs  # the first is asked, forgets the third, and so on
    telegram.asked.clear()
    assert not await parents.is_lost(refs[-1])
    assert telegram.asked == []


@pytest.mark.parametrize("recall", ["asked for", "heard"])
async def test_what_comes_up_again_is_remembered_for_longer(store, telegram, recall):
    parents = LostParents(store, remembered=2)
    parents.ask(telegram)
    first, second, third = (MessageRef(GROUP, MessageId(number)) for number in (1, 2, 3))
    parents.heard(first)
    parents.heard(second)
    if recall == "heard":
        parents.heard(first)
    else:
        await parents.is_lost(first)
    parents.heard(third)

    assert not await parents.is_lost(first)
    assert telegram.asked == []
    assert not await parents.is_lost(second)
    assert telegram.asked == [second]


async def test_ten_thousand_answers_are_remembered(store, telegram):
    parents = LostParents(store)
    parents.ask(telegram)
    refs = [MessageRef(GROUP, MessageId(number)) for number in range(1, 10_002)]
    for ref in refs:
        parents.heard(ref)

    assert not await parents.is_lost(refs[1])
    assert telegram.asked == []
    assert not await parents.is_lost(refs[0])
    assert telegram.asked == [refs[0]]


async def test_before_there_is_somebody_to_ask_nothing_is_known_to_be_lost(store):
    assert await LostParents(store).is_lost(DELETED) is False


async def test_a_marked_reply_of_the_owner_is_an_update_here_as_well(intake, signal):
    by_owner = await intake.handle(below(signal, ALICE, "#idea BTC again", hours=1))
    by_stranger = await intake.handle(below(signal, BOB, "#idea ETH", hours=1))

    assert (by_owner.outcome, by_owner.signal_id) == (Outcome.UPDATE, 1)
    assert (by_stranger.outcome, by_stranger.signal_id) == (Outcome.SIGNAL, 2)


async def test_where_nobody_is_to_be_asked_no_parent_is_lost(store, flows, signal):
    """An export does not say to which thread a reply belongs, and a trial asks nobody."""
    trial = wiring.intake(store, flows, parents=LostParents(store))

    assert (await trial.handle(below(signal, ALICE))).reason is Reason.UNKNOWN_PARENT


async def test_the_tier_that_knew_the_flow_is_told(store, intake, signal):
    assert (await intake.handle(below(signal, ALICE))).tier is Tier.MEMORY


async def test_while_telegram_does_not_answer_the_reply_waits_and_is_decided_rightly(
    intake, signal, telegram
):
    """However often: it is not passed over as an event that fails by itself."""
    telegram.script = [RetryLater("no answer from Telegram")] * 8

    decision = await patiently(
        lambda: intake.handle(below(signal, ALICE)), asyncio.Event(), pause=0.0001
    )

    assert decision.reason is Reason.OWNER
    assert len(telegram.asked) == 9


async def test_a_flood_wait_is_waited_out_and_holds_up_no_stop(intake, signal, telegram):
    """What was not decided then comes again at the next start."""
    telegram.script = [RetryLater("FLOOD_WAIT", after=timedelta(seconds=600))]
    stopping = asyncio.Event()

    async def stop():
        while not telegram.asked:
            await asyncio.sleep(0)
        stopping.set()

    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        tasks.create_task(stop())
        with pytest.raises(NotRecorded):
            await patiently(lambda: intake.handle(below(signal, ALICE)), stopping, pause=0.0001)
    assert len(telegram.asked) == 1
