"""Signals: who may open a flow, and what is recorded when he does."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from bot.models import Entity, Media, Outcome, Reason, Tier
from bot.state.flow_tracker import FlowTracker
from tests import wiring
from tests.people import ALICE, BOB, TARGET, at, says

TEXT = "#idea BTC/USDT LONG 4H\nEntry: 64200-64500\nTP1: 65500\nTP2: 66800.50\nSL: 63100\nRisk: 2%"


@pytest.fixture
async def flows(store, cache):
    flows = FlowTracker(store, cache, clock=lambda: at(0))
    yield flows
    await flows.close()


@pytest.fixture
def handle(store, flows):
    async def handle(message, **options):
        return await wiring.intake(store, flows, **options).handle(message)

    return handle


@pytest.fixture
def rows(tmp_path):
    def rows(query):
        with closing(sqlite3.connect(tmp_path / "signals.db")) as db:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute(query)]

    return rows


async def test_a_signal_opens_a_flow_that_its_author_owns(handle, store, flows):
    message = says(ALICE, TEXT)

    decision = await handle(message)

    assert (decision.outcome, decision.reason) == (Outcome.SIGNAL, Reason.NEW_SIGNAL)
    assert await store.flow(decision.signal_id) == (ALICE, at(0))
    reply = await flows.decide_at(*message.ref, ALICE, at=at(1))
    assert (reply.signal_id, reply.tier) == (decision.signal_id, Tier.MEMORY)


async def test_what_a_signal_says_is_in_its_row(handle, rows):
    await handle(
        says(
            ALICE,
            TEXT,
            entities=(Entity("bold", 0, 5), Entity("text_link", 6, 3, url="https://x.example")),
            media=Media("photo", "file-1"),
            album_id=5,
        )
    )

    (row,) = rows("SELECT * FROM signals")
    assert (row["pair"], row["direction"], row["timeframe"]) == ("BTC/USDT", "LONG", "4H")
    assert (row["entry_low"], row["entry_high"]) == ("64200", "64500")
    assert json.loads(row["take_profits"]) == ["65500", "66800.50"]
    assert (row["stop"], row["risk"]) == ("63100", "2")
    assert (row["source_user_id"], row["last_owner_activity"]) == (ALICE, at(0))
    assert (row["text"], row["marker"]) == (TEXT, "#idea")
    assert json.loads(row["entities"]) == [
        {"type": "bold", "offset": 0, "length": 5},
        {"type": "text_link", "offset": 6, "length": 3, "url": "https://x.example"},
    ]
    assert (row["media_kind"], row["media_file_id"], row["album_id"]) == ("photo", "file-1", 5)


async def test_a_signal_that_says_nothing_is_recorded_all_the_same(handle, rows):
    await handle(says(ALICE, "#idea"))

    (row,) = rows("SELECT * FROM signals")
    assert [row[name] for name in ("pair", "direction", "entry_low", "stop", "risk")] == [None] * 5
    assert row["take_profits"] == "[]"


async def test_a_post_is_pending_for_every_target_with_the_signal_itself(handle, rows):
    message = says(ALICE, TEXT)
    await handle(message, targets=[TARGET, TARGET - 1])

    assert [
        (row["source_message_id"], row["target_chat_id"], row["state"])
        for row in rows("SELECT * FROM posts ORDER BY id")
    ] == [(message.id, TARGET, "pending"), (message.id, TARGET - 1, "pending")]


async def test_an_update_is_pending_for_every_target_too(handle, store, flows, rows):
    signal = says(ALICE, TEXT)
    await handle(signal)
    updates = wiring.intake(store, flows, targets=[TARGET])
    await updates.handle(says(ALICE, "TP1", to=signal))
    await updates.handle(says(BOB, "thanks", to=signal))

    assert len(rows("SELECT * FROM posts")) == 1


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        pytest.param({"author": ALICE, "forwarded": True}, Reason.FORWARDED, id="a forward"),
        pytest.param({"author": None}, Reason.UNKNOWN_AUTHOR, id="an unknown author"),
        pytest.param({"author": BOB}, Reason.NOT_PERMITTED, id="somebody not on the list"),
    ],
)
async def test_a_marked_message_that_is_refused_leaves_a_reason_and_no_flow(
    handle, store, rows, message, reason
):
    decision = await handle(says(text=TEXT, **message), source_allowed_users=(ALICE,))

    assert (decision.outcome, decision.reason) == (Outcome.IGNORED, reason)
    assert await store.counts() == (0, 0, 1)
    assert rows("SELECT reason FROM decisions") == [{"reason": reason}]


@pytest.mark.parametrize("author", [ALICE, None])
async def test_the_same_message_a_second_time_changes_nothing(handle, store, rows, author):
    message = says(author, TEXT)
    await handle(message, targets=[TARGET])
    before = await store.counts(), rows("SELECT * FROM posts")

    assert (await handle(message, targets=[TARGET])).outcome is Outcome.DUPLICATE
    assert (await store.counts(), rows("SELECT * FROM posts")) == before


async def test_the_same_message_id_in_another_chat_is_another_message(handle, store):
    await handle(says(ALICE, TEXT, number=5))
    await handle(says(ALICE, TEXT, number=5, chat_id=TARGET))

    assert (await store.counts()).signals == 2
