"""The rule, row by row as the table of `bot.rules.policy` has it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.models import (
    AfterTtl,
    AuthorId,
    Decision,
    MessageRef,
    Outcome,
    Reason,
    SignalId,
    Tier,
    UnixTime,
)
from bot.rules.policy import (
    is_quiet,
    is_released,
    judge,
    judge_reply,
    live_since,
)
from tests.people import ALICE, BOB, CAROL, GROUP, NOON, TTL, says

PARENT = MessageRef(GROUP, 7)
OWNER = Decision(Outcome.UPDATE, Reason.OWNER, Tier.MEMORY, SignalId(3))
RELEASED = Decision(Outcome.UPDATE, Reason.RELEASED, Tier.MEMORY, SignalId(3))
STRANGER = Decision(Outcome.REJECTED, Reason.NOT_THE_OWNER, Tier.MEMORY, SignalId(3))
ENDED_BY_HAND = UnixTime(0)


@pytest.mark.parametrize(
    ("message", "marked", "in_flow", "expected"),
    [
        pytest.param({"service": True}, False, None, "ignored not_a_signal", id="1 service"),
        pytest.param(
            {"service": True, "to": PARENT}, True, OWNER, "ignored not_a_signal", id="1 pinned"
        ),
        pytest.param({}, False, None, "ignored not_a_signal", id="1 chatter"),
        pytest.param({"forwarded": True}, True, None, "ignored forwarded", id="2"),
        pytest.param({"author": None}, True, None, "ignored unknown_author", id="3 unknown"),
        pytest.param({"author": CAROL}, True, None, "ignored not_permitted", id="3 not permitted"),
        pytest.param({}, True, None, "signal new_signal", id="4"),
        pytest.param({"to": PARENT}, True, None, "signal new_signal", id="4 replying elsewhere"),
        pytest.param({"to": PARENT}, False, None, "ignored unknown_parent", id="5"),
        pytest.param(
            {"to": PARENT, "author": None}, False, STRANGER, "rejected unknown_author", id="6"
        ),
        pytest.param(
            {"to": PARENT, "author": CAROL}, False, OWNER, "rejected not_permitted", id="7 owner"
        ),
        pytest.param(
            {"to": PARENT, "author": CAROL}, False, RELEASED, "rejected not_permitted", id="7 late"
        ),
        pytest.param({"to": PARENT}, False, OWNER, "update owner", id="8"),
        pytest.param({"to": PARENT}, False, STRANGER, "rejected not_the_owner", id="9, 11"),
        pytest.param({"to": PARENT}, False, RELEASED, "update released", id="10"),
        pytest.param({"to": PARENT}, True, OWNER, "update owner", id="marked, by the owner"),
        pytest.param({"to": PARENT}, True, RELEASED, "update released", id="marked, released"),
        pytest.param({"to": PARENT}, True, STRANGER, "signal new_signal", id="marked, stranger"),
        pytest.param(
            {"to": PARENT, "forwarded": True}, True, STRANGER, "ignored forwarded", id="marked, 2"
        ),
        pytest.param(
            {"to": PARENT, "author": CAROL}, True, STRANGER, "ignored not_permitted", id="marked, 3"
        ),
        pytest.param(
            {"to": PARENT, "forwarded": True}, True, OWNER, "update owner", id="marked, 8 before 2"
        ),
    ],
)
def test_a_message_is_judged_by_the_first_row_that_fits(message, marked, in_flow, expected):
    permitted = frozenset({ALICE, BOB})
    judged = judge(
        says(**{"author": ALICE} | message), marked=marked, permitted=permitted, in_flow=in_flow
    )

    assert f"{judged.outcome} {judged.reason}" == expected


def test_a_refusal_of_a_marked_reply_still_names_the_flow_it_was_refused_in():
    judged = judge(says(None, to=PARENT), marked=True, permitted=None, in_flow=STRANGER)

    assert (judged.signal_id, judged.tier) == (STRANGER.signal_id, STRANGER.tier)


def test_a_new_signal_answers_into_no_flow():
    judged = judge(says(ALICE, to=PARENT), marked=True, permitted=None, in_flow=STRANGER)

    assert (judged.signal_id, judged.tier) == (None, None)


@pytest.mark.parametrize(
    ("author", "quiet_for", "after_ttl", "expected"),
    [
        pytest.param(None, 0, AfterTtl.RELEASE, "unknown_author", id="6"),
        pytest.param(None, TTL + 1, AfterTtl.RELEASE, "unknown_author", id="6 released or not"),
        pytest.param(ALICE, 0, AfterTtl.RELEASE, "owner", id="8"),
        pytest.param(ALICE, TTL * 100, AfterTtl.RELEASE, "owner", id="8 at any time"),
        pytest.param(ALICE, TTL * 100, AfterTtl.OWNER, "owner", id="8 always"),
        pytest.param(ALICE, None, AfterTtl.RELEASE, "owner", id="8 activity missing"),
        pytest.param(ALICE, -5, AfterTtl.RELEASE, "owner", id="8 activity in the future"),
        pytest.param(BOB, 0, AfterTtl.RELEASE, "not_the_owner", id="9 at once"),
        pytest.param(BOB, TTL, AfterTtl.RELEASE, "not_the_owner", id="9 at 72 hours"),
        pytest.param(BOB, None, AfterTtl.RELEASE, "not_the_owner", id="9 activity missing"),
        pytest.param(BOB, -TTL * 2, AfterTtl.RELEASE, "not_the_owner", id="9 in the future"),
        pytest.param(BOB, TTL + 1, AfterTtl.RELEASE, "released", id="10"),
        pytest.param(BOB, TTL + 1, AfterTtl.OWNER, "not_the_owner", id="11"),
    ],
)
def test_a_reply_into_alices_flow_is_judged_by_its_own_date(author, quiet_for, after_ttl, expected):
    activity = None if quiet_for is None else UnixTime(NOON - quiet_for)

    judged = judge_reply(ALICE, activity, author, NOON, ttl=TTL, after_ttl=after_ttl)
    accepted = expected in {"owner", "released"}
    assert (judged.reason, judged.accepted) == (expected, accepted)


@pytest.mark.parametrize("after_ttl", AfterTtl)
@pytest.mark.parametrize(("author", "expected"), [(ALICE, "owner"), (BOB, "released")])
def test_a_flow_that_an_operator_ended_is_everybodys_and_still_its_owners(
    author, after_ttl, expected
):
    judged = judge_reply(ALICE, ENDED_BY_HAND, author, NOON, ttl=TTL, after_ttl=after_ttl)

    assert (judged.reason, judged.accepted) == (expected, True)


ids = st.one_of(st.none(), st.sampled_from([1, 2, 3, -1]), st.integers(-(2**63), 2**63 - 1))
times = st.one_of(st.just(ENDED_BY_HAND), st.integers(0, 10 * TTL), st.integers(-(2**40), 2**40))


@given(
    author=ids,
    owner=ids.filter(lambda value: value is not None),
    activity=st.none() | times,
    at=times,
    permitted=st.none() | st.frozensets(ids.filter(bool)),
    after_ttl=st.sampled_from(AfterTtl),
    marked=st.booleans(),
    replies=st.booleans(),
    forwarded=st.booleans(),
    service=st.booleans(),
)
def test_nobody_is_relayed_who_is_not_known_permitted_and_owner_or_late_enough(
    author, owner, activity, at, permitted, after_ttl, marked, replies, forwarded, service
):
    in_flow = None
    if replies:
        said = judge_reply(
            AuthorId(owner), activity, author, UnixTime(at), ttl=TTL, after_ttl=after_ttl
        )
        in_flow = said._replace(tier=Tier.TABLE, signal_id=SignalId(1))
    message = says(author, to=PARENT if replies else None, forwarded=forwarded, service=service)
    judged = judge(message, marked=marked, permitted=permitted, in_flow=in_flow)

    if judged.accepted:
        assert not service
        assert author is not None
        assert permitted is None or author in permitted
    if judged.outcome is Outcome.UPDATE and author != owner:
        assert after_ttl is AfterTtl.RELEASE or activity == ENDED_BY_HAND
        assert activity is not None
        assert at - activity > TTL
    if judged.outcome is Outcome.SIGNAL:
        assert marked
        assert not forwarded


@given(activity=st.none() | times, at=times, later=st.integers(0, TTL))
def test_a_released_flow_stays_released_as_time_passes(activity, at, later):
    def released(moment):
        return is_released(activity, moment, ttl=TTL, after_ttl=AfterTtl.RELEASE)

    assert not released(at) or released(at + later)


@given(activity=times, at=times)
def test_a_table_is_asked_for_the_flows_that_are_not_quiet(activity, at):
    assert is_quiet(activity, at, TTL) == (activity < live_since(at, TTL))
