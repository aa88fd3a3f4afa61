"""A signal that an edit has made begins when it was made, live, caught up and replayed alike."""

from __future__ import annotations

import json
import tempfile
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.app import open_core
from bot.config import Settings
from bot.history.export import Export
from bot.history.replay import Trial
from bot.models import IncomingMessage, MessageId, MessageRef, Outcome, Reason, Tier, UnixTime
from tests.exports import chat, message
from tests.people import ALICE, BOB, GROUP, HOUR, NOON, TTL
from tests.story import Story

EDITED_AFTER = st.one_of(
    st.sampled_from([0, 1, HOUR, TTL - 1, TTL, TTL + 1, 80 * HOUR, 400 * HOUR]),
    st.integers(0, 1000 * HOUR),
)
QUIET_FOR = st.one_of(st.sampled_from([1, HOUR, TTL - 1, TTL, TTL + 1]), st.integers(1, 2 * TTL))


class Heard:
    """A replay's decisions, by message."""

    def __init__(self):
        self.reasons = {}

    def show(self, decided):
        self.reasons[decided.message.id] = decided.decision.reason

    def finish(self, tally):
        pass


@asynccontextmanager
async def opened():
    with tempfile.TemporaryDirectory() as directory:
        given_ = Settings(_env_file=None, data_dir=Path(directory) / "data")
        async with open_core(given_, in_loop=True) as core:
            yield core


def chatter(**more):
    return IncomingMessage(GROUP, MessageId(1), ALICE, NOON, "BTC looks good", **more)


def made(edited_after):
    when = UnixTime(NOON + edited_after)
    return IncomingMessage(GROUP, MessageId(1), ALICE, NOON, "#idea BTC long", edited_at=when)


def answer(edited_after, quiet_for):
    at = UnixTime(NOON + edited_after + quiet_for)
    return IncomingMessage(
        GROUP, MessageId(2), BOB, at, "closed", reply_to=MessageRef(GROUP, MessageId(1))
    )


async def live(edited_after, quiet_for):
    """Heard as chatter first, then as an edit."""
    async with opened() as core:
        await core.intake.handle(chatter())
        decision = await core.intake.edited(made(edited_after))
        assert decision.outcome is Outcome.SIGNAL
        return (await core.intake.handle(answer(edited_after, quiet_for))).reason


async def caught_up(edited_after, quiet_for):
    """All that is seen of it is how it stands now."""
    async with opened() as core:
        await core.intake.handle(made(edited_after))
        return (await core.intake.handle(answer(edited_after, quiet_for))).reason


async def replayed(edited_after, quiet_for):
    when = str(NOON + edited_after)
    idea = message(1, f"user{ALICE}", "#idea BTC long", at=NOON, edited_unixtime=when)
    reply = message(2, f"user{BOB}", "closed", at=NOON + edited_after + quiet_for, reply_to=1)
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "result.json"
        file.write_text(json.dumps(chat([idea, reply])), encoding="utf-8")
        heard = Heard()
        trial = Trial(Settings(_env_file=None, data_dir=Path(directory)))
        await trial.run(Export(file).messages(), heard)
    return heard.reasons[2]


@pytest.mark.parametrize("tier", [Tier.MEMORY, Tier.TABLE])
async def test_every_tier_knows_that_it_began_with_the_edit(tier):
    """The table corrects a cache that knows it as older, and would have nothing to correct it by."""
    async with opened() as core:
        signal = await core.intake.handle(made(400 * HOUR))
        if tier is Tier.TABLE:
            core.flows.end_flow(signal.signal_id)
        decision = await core.intake.handle(answer(400 * HOUR, TTL))

    assert (decision.reason, decision.tier) == (Reason.NOT_THE_OWNER, tier)


@pytest.mark.heavy
@settings(max_examples=60)
@given(edited_after=EDITED_AFTER, quiet_for=QUIET_FOR)
async def test_it_is_its_authors_for_the_whole_ttl_from_the_edit_on(edited_after, quiet_for):
    """However old the message was that was edited: a flow is never born released."""
    reasons = {await way(edited_after, quiet_for) for way in (live, caught_up, replayed)}

    assert reasons == {Reason.RELEASED if quiet_for > TTL else Reason.NOT_THE_OWNER}


async def test_an_edit_that_nobody_is_shown_makes_no_signal():
    """Nor does a message that was only read again: its marker stood there when it was judged, or before our time."""
    async with opened() as core:
        hidden = replace(made(0), edited_at=None)
        assert await core.intake.edited(hidden) is None
        assert (await core.intake.handle(answer(0, 1))).reason is Reason.UNKNOWN_PARENT

        decision = await core.intake.edited(made(HOUR))
        assert decision.outcome is Outcome.SIGNAL


async def test_a_rejected_reply_that_is_edited_into_a_signal_is_one_live_as_caught_up():
    """It is its author's own then, whoever's flow it answers."""
    reply = replace(answer(0, HOUR), text="ETH looks better")
    edited = replace(reply, text="#idea ETH long", edited_at=UnixTime(NOON + 2 * HOUR))
    async with opened() as core:
        await core.intake.handle(replace(chatter(), text="#idea BTC long"))
        assert (await core.intake.handle(reply)).reason is Reason.NOT_THE_OWNER
        assert await core.intake.edited(replace(edited, text="ETH, really")) is None

        live_ = await core.intake.edited(edited)
        assert (await core.intake.edited(edited)).reason is Reason.ALREADY_RECORDED

        update = replace(reply, id=MessageId(3), text="TP1", reply_to=reply.ref)
        assert (await core.intake.handle(update)).reason is Reason.OWNER
        assert (await core.store.counts()).decisions == 0
    async with opened() as core:
        await core.intake.handle(replace(chatter(), text="#idea BTC long"))
        caught = await core.intake.handle(edited)
    assert (live_.outcome, live_.reason) == (caught.outcome, caught.reason)
    assert live_.outcome is Outcome.SIGNAL


async def test_an_edit_of_a_signal_that_was_known_before_moves_nothing():
    """Its flow counts from the message and its owner's updates, as ever."""
    async with opened() as core:
        await core.intake.handle(
            IncomingMessage(GROUP, MessageId(1), ALICE, NOON, "#idea BTC long")
        )
        await core.intake.edited(made(10 * HOUR))
        reply = answer(10 * HOUR, TTL - HOUR)

        assert (await core.intake.handle(reply)).reason is Reason.RELEASED


async def test_what_its_owner_said_below_it_before_the_edit_does_not_make_it_older():
    async with opened() as core:
        await core.intake.handle(made(80 * HOUR))
        before = IncomingMessage(
            GROUP,
            MessageId(2),
            ALICE,
            UnixTime(NOON + HOUR),
            "and?",
            reply_to=MessageRef(GROUP, MessageId(1)),
        )
        await core.intake.handle(before)

        assert (await core.store.flow(1)).last_owner_activity == NOON + 80 * HOUR


async def test_why_says_how_the_flow_stood(tmp_path, now):
    """By the edit, not by the message, which was too old for anybody to refuse a reply by."""
    story = Story(tmp_path, now)
    idea = story.says(ALICE, "#idea BTC", ago=81, number=1, edited_at=UnixTime(round(now - HOUR)))
    refused = story.says(BOB, "closed", ago=0.5, number=2, to=idea)
    async with story.bot() as core:
        for each in (idea, refused):
            await core.intake.handle(each)

    told = await story.why(2)

    assert any(line.startswith("flow then live: its owner was last active") for line in told)
