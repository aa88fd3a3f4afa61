"""The one door: what every kind of message becomes, with all real parts behind it."""

from __future__ import annotations

import pytest
import structlog

from bot.models import Outcome, Reason
from bot.state.flow_tracker import FlowTracker
from tests import wiring
from tests.people import ALICE, BOB, at, says


@pytest.fixture
async def intake(store, cache):
    flows = FlowTracker(store, cache, clock=lambda: at(0))
    yield wiring.intake(store, flows)
    await flows.close()


@pytest.fixture
async def signal(intake):
    message = says(ALICE, "#IDEA btc long")
    assert (await intake.handle(message)).outcome is Outcome.SIGNAL
    return message


@pytest.mark.parametrize(
    "message",
    [
        pytest.param({}, id="chatter"),
        pytest.param({"text": ""}, id="a sticker"),
        pytest.param({"text": "#idea", "service": True}, id="a service message"),
    ],
)
async def test_chatter_is_not_a_signal_and_leaves_no_trace(intake, store, message):
    decision = await intake.handle(says(BOB, **message))

    assert (decision.outcome, decision.reason) == (Outcome.IGNORED, Reason.NOT_A_SIGNAL)
    assert await store.counts() == (0, 0, 0)


async def test_a_reply_to_chatter_leaves_no_trace(intake, store):
    decision = await intake.handle(says(ALICE, to=says(BOB)))

    assert decision.reason is Reason.UNKNOWN_PARENT
    assert await store.counts() == (0, 0, 0)


async def test_pinning_a_signal_is_not_answering_it(intake, signal):
    assert (await intake.handle(says(ALICE, to=signal, service=True))).reason is (
        Reason.NOT_A_SIGNAL
    )


async def test_a_marked_reply_of_the_owner_is_an_update(intake, store, signal):
    decision = await intake.handle(says(ALICE, "#idea, part two", to=signal))

    assert decision.outcome is Outcome.UPDATE
    assert await store.counts() == (1, 1, 0)


async def test_a_marked_reply_of_a_stranger_is_a_signal_of_his_own(intake, store, signal):
    own = says(BOB, "#idea: short instead", to=signal)

    assert (await intake.handle(own)).outcome is Outcome.SIGNAL
    assert (await intake.handle(says(BOB, "closed", to=own))).reason is Reason.OWNER
    assert (await intake.handle(says(ALICE, "closed?", to=own))).reason is Reason.NOT_THE_OWNER
    assert await store.counts() == (2, 1, 1)


async def test_a_marked_reply_to_chatter_is_a_signal(intake):
    assert (await intake.handle(says(ALICE, "#idea", to=says(BOB)))).outcome is Outcome.SIGNAL


@pytest.mark.parametrize("to_the_signal", [True, False])
async def test_a_marked_reply_that_is_refused_leaves_its_reason(
    intake, store, signal, to_the_signal
):
    parent = signal if to_the_signal else says(BOB)
    message = says(BOB, "#idea", to=parent, forwarded=True)

    decisions = [await intake.handle(message) for _ in range(2)]

    assert [decision.reason for decision in decisions] == [
        Reason.FORWARDED,
        Reason.ALREADY_RECORDED,
    ]
    assert await store.counts() == (1, 0, 1)


async def test_one_line_is_logged_for_a_decision_and_none_for_chatter(intake, signal):
    with structlog.testing.capture_logs() as lines:
        reply = says(BOB, "secret text", to=signal)
        await intake.handle(reply)
        await intake.handle(says(BOB))
        await intake.handle(says(BOB, to=says(ALICE)))

    (line,) = lines
    assert (line["event"], line["message_id"], line["reason"]) == (
        "decided",
        reply.id,
        "not_the_owner",
    )
    assert "secret text" not in str(line)
