"""A message is recorded once, whoever brings it again, and whatever was recorded meanwhile."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import update

from bot.errors import UnknownFlow
from bot.models import Decision, Flow, Outcome, Reason, Tier, UnreadableMessage
from bot.routes import Place
from bot.storage.people import names
from bot.storage.schema import decisions, signal_updates
from tests.people import ALICE, BOB, TARGET, says
from tests.rows import add_signal

PLACES = [Place(TARGET)]


def into(flow, reason=Reason.OWNER):
    return Decision(Outcome.UPDATE, reason, Tier.TABLE, flow)


def refused(flow):
    return Decision(Outcome.REJECTED, Reason.NOT_THE_OWNER, Tier.TABLE, flow)


@pytest.fixture
async def signal(store):
    return says(ALICE, "#idea", number=1)


@pytest.fixture
async def flow(store, signal):
    return await add_signal(store, signal)


async def renumber(store, table, message):
    """As if another process had recorded what this one recorded last, and as this message."""
    newest = update(table).where(table.c.source_message_id == message.id - 10)
    await store.change(lambda db: db.execute(newest.values(source_message_id=message.id)))


async def test_what_comes_again_takes_back_no_released_flow(store, signal, flow):
    """It comes again after a crash, or from a difference, whatever an operator did meanwhile."""
    update = says(ALICE, to=signal, number=2, hours=9)
    assert await store.add_update(update, into(flow), author=ALICE, places=PLACES)
    await store.release(flow)

    assert not await store.add_update(update, into(flow), author=ALICE, places=PLACES)
    assert await store.flow(flow) == Flow(ALICE, 0)
    assert len(await store.take_posts(TARGET)) == 1


async def test_what_another_process_has_recorded_meanwhile_is_not_recorded_again(
    store, signal, flow
):
    """An import, for one: of it this process knows only once it asks the tables."""
    before = await store.flow(flow)
    await store.add_update(says(ALICE, to=signal, number=3), into(flow), author=ALICE)
    await store.add_decision(says(BOB, to=signal, number=4), refused(flow))
    await store.flush()
    accepted, denied = (says(ALICE, to=signal, number=n, hours=n) for n in (13, 14))
    await renumber(store, signal_updates, accepted)
    await renumber(store, decisions, denied)

    for message in (accepted, denied):
        assert not await store.add_update(message, into(flow), author=ALICE, places=PLACES)

    assert await store.flow(flow) == before
    assert (await store.counts())[1:] == (1, 1)
    assert await store.take_posts(TARGET) == []


async def test_who_says_again_what_is_recorded_is_heard_all_the_same(store, signal, flow):
    """The first of a day counts. Else a second import would have a later one count."""
    update = says(ALICE, to=signal, number=2, author_name="Alice")
    await store.add_update(update, into(flow), author=ALICE, places=PLACES)
    renamed = replace(update, author_name="Алиса")

    assert not await store.add_update(renamed, into(flow), author=ALICE, places=PLACES)
    assert await store.ask(partial(names, ids=[ALICE])) == {ALICE: "Алиса"}


async def test_what_could_not_be_read_and_now_can_is_recorded_though_newer_ones_are(
    store, signal, flow
):
    update = says(ALICE, to=signal, number=2)
    await store.add_unreadable(UnreadableMessage(*update.ref, update.at, "a kind of its own"))
    await store.add_update(says(ALICE, to=signal, number=3), into(flow), author=ALICE)

    assert await store.to_be_decided_anew(update.ref)
    assert await store.add_update(update, into(flow), author=ALICE, places=PLACES)
    assert (await store.counts())[1:] == (2, 0)
    assert not await store.add_update(update, into(flow), author=ALICE, places=PLACES)


async def test_a_message_whose_refusal_waits_to_be_written_stays_refused(store, signal, flow):
    update = says(ALICE, to=signal, number=2)
    await store.add_decision(update, refused(flow))

    assert not await store.add_update(update, into(flow), author=ALICE, places=PLACES)
    assert (await store.counts())[1:] == (0, 1)
    assert await store.take_posts(TARGET) == []


@pytest.mark.parametrize("reason", [Reason.OWNER, Reason.RELEASED])
async def test_an_update_of_a_flow_that_the_table_does_not_hold_is_none(
    store, signal, flow, reason
):
    """With what waited to be written, which is written next time."""
    await store.add_decision(says(BOB, to=signal, number=2), refused(flow))
    update = says(ALICE, to=signal, number=3)

    with pytest.raises(UnknownFlow):
        await store.add_update(update, into(flow + 1, reason), author=ALICE, places=PLACES)

    assert (await store.counts())[1:] == (0, 1)
    assert await store.take_posts(TARGET) == []


async def test_an_owners_update_of_anothers_flow_is_none(store, signal, flow):
    update = says(BOB, to=signal, number=3)

    with pytest.raises(UnknownFlow):
        await store.add_update(update, into(flow), author=BOB, places=PLACES)

    assert await store.flow(flow) == Flow(ALICE, signal.at)
    assert await store.add_update(update, into(flow, Reason.RELEASED), author=BOB, places=PLACES)
