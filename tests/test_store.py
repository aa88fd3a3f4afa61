"""The tables: what a database is taken for, how it grows, what its errors become."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from bot.errors import DatabaseUnavailable, DatabaseUnusable
from bot.models import (
    ChatId,
    Cursor,
    Decision,
    Flow,
    MessageId,
    MessageRef,
    Outcome,
    Reason,
    RefusedReply,
    Tier,
    UnreadableMessage,
)
from bot.routes import Place
from bot.signal_fields import SignalFields
from bot.storage import schema, statements
from bot.storage.engine import Database
from bot.storage.store import SignalStore
from tests.earlier import make_earlier
from tests.people import ALICE, BOB, GROUP, NOON, TARGET, at, says, signal_id
from tests.rows import add_signal, sql


@pytest.fixture
def database(tmp_path):
    return tmp_path / "signals.db"


@pytest.fixture(params=[False, True], ids=["in a thread", "in loop"])
async def opened(database, request):
    """A function that opens stores on the one database, in either way."""
    stores = []

    async def open_store(**options):
        stores.append(SignalStore(Database(database, in_loop=request.param), **options))
        await stores[-1].open()
        return stores[-1]

    yield open_store
    for opened in stores:
        await opened.close()


async def test_what_is_written_is_there_after_a_restart(opened):
    first = await opened()
    message = says(ALICE, "#idea", hours=3)
    added = await add_signal(first, message)
    await first.close()

    second = await opened()

    assert await second.flow(added) == Flow(ALICE, at(3))
    assert await second.signal_at(*message.ref) == added


async def test_a_new_database_has_the_newest_schema_and_opening_it_again_changes_nothing(
    opened, database
):
    await opened()
    before = sql(database, "SELECT sql FROM sqlite_master", "SELECT * FROM meta")
    await opened()

    assert sql(database, "SELECT sql FROM sqlite_master", "SELECT * FROM meta") == before
    assert sql(database, "PRAGMA user_version") == [[(schema.NEWEST,)]]


EVENTS = "SELECT event, event_target, event_stop FROM signal_updates ORDER BY id"


async def test_what_an_update_says_is_kept_beside_it_and_read_again_when_it_is_edited(
    opened, database
):
    """Exactly as it was written; what is not beyond doubt is NULL."""
    store = await opened()
    signal = says(ALICE, "#idea")
    added = await add_signal(store, signal)
    by_owner = Decision(Outcome.UPDATE, Reason.OWNER, Tier.TABLE, added)
    said = [says(ALICE, text, to=signal) for text in ("TP2 hit", "стоп на 0.00000010", "спасибо")]
    for update in said:
        await store.add_update(update, by_owner, author=ALICE)
    assert sql(database, EVENTS) == [
        [("target_reached", 2, None), ("stop_moved", None, "0.00000010"), (None, None, None)]
    ]

    await store.edit(replace(said[0], text="TP3 hit"), SignalFields())
    await store.edit(replace(said[2], text="закрыл"), SignalFields())
    await store.edit(replace(said[1], text="nothing"), SignalFields())

    assert sql(database, EVENTS) == [
        [("target_reached", 3, None), (None, None, None), ("closed", None, None)]
    ]


@pytest.mark.long
async def test_updates_of_an_earlier_version_have_no_event(database):
    make_earlier(database, 3)
    sql(
        database,
        "INSERT INTO signals VALUES (1, 1, 1, 1, 1, 1, 'm', 't', '[]', NULL, NULL, NULL,"
        " NULL, NULL, NULL, NULL, NULL, '[]', NULL, NULL, 1)",
        "INSERT INTO signal_updates VALUES (1, 1, 1, 2, 1, 1, 1, 'TP1 hit', '[]', NULL, NULL,"
        " NULL, 'owner', NULL, 1, NULL)",
    )

    now = SignalStore(Database(database))
    await now.open()
    await now.close()

    assert sql(database, EVENTS, "SELECT leverage FROM signals") == [
        [(None, None, None)],
        [(None,)],
    ]


async def test_two_processes_may_open_a_new_database_at_the_same_moment(database):
    stores = [SignalStore(Database(database)) for _ in range(4)]

    await asyncio.gather(*(each.open() for each in stores))

    assert len({await each.cache_key() for each in stores}) == 1
    for each in stores:
        await each.close()


async def test_every_new_database_has_a_cache_key_of_its_own(tmp_path):
    keys = set()
    for name in ("a.db", "b.db"):
        store = SignalStore(Database(tmp_path / name))
        await store.open()
        keys.add(await store.cache_key())
        await store.close()

    assert len(keys) == 2
    assert {len(key) for key in keys} == {32}


async def test_a_lost_cache_key_is_an_error_and_not_an_empty_key(opened, database):
    store = await opened()
    sql(database, "DELETE FROM meta")

    with pytest.raises(DatabaseUnusable, match="cache_key"):
        await store.cache_key()


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        pytest.param(
            lambda path: sql(path, "CREATE TABLE theirs (x)"), "another program's", id="foreign"
        ),
        pytest.param(
            lambda path: sql(path, "PRAGMA application_id = 77"), "another program's", id="marked"
        ),
        pytest.param(
            lambda path: sql(
                path,
                f"PRAGMA application_id = {0x5347524C}",
                "PRAGMA user_version = 999",
            ),
            "schema 999 and this program knows up to",
            id="newer",
        ),
        pytest.param(
            lambda path: path.write_bytes(b"garbage" * 999),
            "not a database .*put a backup in its place, or move it away",
            id="garbage",
        ),
    ],
)
async def test_a_database_that_is_not_for_us_is_refused_and_left_as_it_is(
    opened, database, spoil, complaint
):
    spoil(database)
    before = database.read_bytes()

    with pytest.raises(DatabaseUnusable, match=complaint):
        await opened()
    if not complaint.startswith("not a database"):
        assert sql(database, "SELECT name FROM sqlite_master WHERE name = 'signals'") == [[]]
    else:
        assert database.read_bytes() == before


async def test_a_database_that_cannot_be_opened_is_unavailable(tmp_path):
    store = SignalStore(Database(tmp_path / "missing" / "signals.db"))

    with pytest.raises(DatabaseUnavailable, match="unable to open"):
        await store.open()
    with pytest.raises(DatabaseUnavailable, match="not open"):
        await store.counts()
    await store.close()


async def test_an_error_names_the_file_and_sqlites_reason_and_no_text_of_a_message(
    opened, database
):
    store = await opened()
    sql(database, "DROP TABLE posts")

    with pytest.raises(DatabaseUnusable) as caught:
        await add_signal(store, says(ALICE, "private words"), places=[Place(TARGET)])

    assert str(caught.value) == f"{database}: no such table: posts"


async def test_nothing_of_a_message_is_recorded_if_a_part_of_it_fails(opened, database):
    store = await opened()
    sql(database, "DROP TABLE posts")

    with pytest.raises(DatabaseUnusable):
        await add_signal(store, places=[Place(TARGET)])
    assert (await store.counts()).signals == 0
    await add_signal(store)
    assert (await store.counts()).signals == 1


async def test_a_cancelled_recording_leaves_nothing_open(opened):
    store = await opened()
    task = asyncio.create_task(add_signal(store))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert await add_signal(store) is not None


async def test_whoever_is_cancelled_while_the_table_answers_spoils_it_for_nobody(opened):
    """At whatever moment: as when a bot is told to stop, or a look at its health takes too long."""
    store = await opened()
    for turns in range(30):
        for ask in (store.counts(), add_signal(store)):
            task = asyncio.create_task(ask)
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        assert await store.last_order() == 0
    keys = await store.ask(lambda db: db.exec_driver_sql("PRAGMA foreign_keys").scalar())
    assert keys == 1


async def test_a_store_is_closed_behind_what_is_still_under_way(opened):
    store = await opened()
    task = asyncio.create_task(add_signal(store))
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    await store.close()

    assert (await (await opened()).counts()).signals <= 1


async def test_a_store_that_was_closed_answers_nobody(opened):
    """Whoever asked it would hold the file open, and write behind the end."""
    store = await opened()
    await store.close()

    with pytest.raises(DatabaseUnavailable, match="not open"):
        await store.counts()


async def test_activity_never_moves_backwards(opened):
    store = await opened()
    signal = says(ALICE, "#idea", hours=5)
    added = await add_signal(store, signal)
    by_owner = Decision(Outcome.UPDATE, Reason.OWNER, Tier.MEMORY, added)

    await store.add_update(says(ALICE, to=signal, hours=9), by_owner, author=ALICE)
    await store.add_update(says(ALICE, to=signal, hours=7), by_owner, author=ALICE)

    assert await store.flow(added) == Flow(ALICE, at(9))


async def test_missing_activity_is_found_again_with_the_owners_next_reply(opened, database):
    store = await opened()
    signal = says(ALICE, "#idea")
    added = await add_signal(store, signal)
    sql(database, "UPDATE signals SET last_owner_activity = NULL")
    assert await store.flow(added) == Flow(ALICE, None)

    by_owner = Decision(Outcome.UPDATE, Reason.OWNER, Tier.TABLE, added)
    await store.add_update(says(ALICE, to=signal, hours=9), by_owner, author=ALICE)

    assert await store.flow(added) == Flow(ALICE, at(9))


REFUSED = Decision(Outcome.REJECTED, Reason.NOT_THE_OWNER, Tier.MEMORY, signal_id(1))


def refusals(database):
    return [number for (number,) in sql(database, "SELECT source_message_id FROM decisions")[0]]


async def test_no_cursor_is_in_the_table_before_the_refusals_it_has_passed(database):
    """Refusals wait for each other. What a crash takes comes again only behind the cursor."""
    file = Database(database, in_loop=True)
    store = SignalStore(file)
    await store.open()
    await store.add_decision(says(BOB, number=5), REFUSED)
    await store.move_cursors([Cursor(GROUP, pts=9)])
    await file.close()  # as a crash would: the store has no time to write what it holds

    assert refusals(database) == [5]


async def test_refusals_are_in_the_table_as_soon_as_it_is_idle_in_the_order_they_came(
    opened, database
):
    store = await opened()
    for number in range(1, 251):
        assert await store.add_decision(says(BOB, number=number), REFUSED)
    async with asyncio.timeout(10):
        while len(refusals(database)) < 250:
            await asyncio.sleep(0)

    assert refusals(database) == list(range(1, 251))


async def test_refusals_are_in_the_table_when_the_store_was_closed(opened, database):
    store = await opened()
    await store.add_decision(says(BOB, number=5), REFUSED)
    await store.close()

    assert refusals(database) == [5]


async def test_a_refused_message_that_comes_again_is_known_whether_it_waits_or_not(
    opened, database
):
    first, second, third = (says(BOB, number=number) for number in (5, 6, 7))
    before = await opened()
    await before.add_decision(second, REFUSED)
    await before.close()

    store = await opened()
    assert not await store.add_decision(second, REFUSED)
    assert await store.add_decision(third, REFUSED)
    assert not await store.add_decision(third, REFUSED)
    assert await store.add_decision(first, REFUSED)  # late, and yet never seen before
    await store.close()

    assert sorted(refusals(database)) == [5, 6, 7]


async def test_a_signal_is_no_new_refusal(opened, database):
    store = await opened()
    signal, update = says(ALICE, "#idea", number=5), says(ALICE, number=6)
    await store.add_decision(says(BOB, number=1), REFUSED)
    added = await add_signal(store, signal)
    by_owner = Decision(Outcome.UPDATE, Reason.OWNER, Tier.MEMORY, added)
    await store.add_update(replace(update, reply_to=signal.ref), by_owner, author=ALICE)

    assert not await store.add_decision(signal, REFUSED)
    assert not await store.add_decision(update, REFUSED)
    await store.close()
    assert refusals(database) == [1]


async def test_refusals_wait_for_a_table_that_does_not_answer_but_not_without_end(opened, database):
    store = await opened()
    await store.ask(lambda db: db.exec_driver_sql("PRAGMA busy_timeout = 0").close())
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        for number in range(1, 101):
            await store.add_decision(says(BOB, number=number), REFUSED)
        last = says(BOB, number=101)
        with pytest.raises(DatabaseUnavailable, match="locked"):
            await store.add_decision(last, REFUSED)
        with pytest.raises(DatabaseUnavailable, match="locked"):
            await store.move_cursors([Cursor(GROUP, pts=9)])
        db.execute("ROLLBACK")

    assert await store.add_decision(last, REFUSED)
    await store.close()
    assert refusals(database) == list(range(1, last.id + 1))


async def test_old_refusals_are_pruned_and_young_ones_kept(opened):
    store = await opened()
    for hours in (0, 1, 2, 3):
        await store.add_decision(says(BOB, hours=hours), REFUSED)

    assert await store.prune_decisions(before=at(2)) == 2
    assert (await store.counts()).decisions == 2


async def test_what_failed_is_kept_however_old_it_is(opened):
    """It waits for an operator, who may ask for it to be read again."""
    store = await opened()
    failed, refused = says(ALICE, "#idea"), says(BOB)
    await store.add_decision(failed, Decision(Outcome.IGNORED, Reason.FAILED))
    await store.add_decision(refused, REFUSED)

    assert await store.prune_decisions(before=at(1)) == 1
    assert await store.is_refused(failed.ref)
    assert not await store.is_refused(refused.ref)


async def test_a_signals_id_is_never_used_again(opened, database):
    store = await opened()
    first = await add_signal(store)
    sql(database, "DELETE FROM signals")

    assert await add_signal(store) > first


async def test_rows_are_dated_by_the_clock_that_was_handed_in(opened, database):
    await add_signal(await opened(clock=lambda: 1234.5))

    assert sql(database, "SELECT recorded_at FROM signals") == [[(1234,)]]


# ── what is read again, and what could not be read ──


async def test_what_is_read_again_are_the_messages_of_live_flows_page_by_page(opened):
    store = await opened()
    old, live = says(ALICE, "#idea 1", hours=0), says(ALICE, "#idea 2", hours=1)
    await add_signal(store, old)
    flow = await add_signal(store, live)
    updates = []
    for hours in range(90, 95):
        updates.append(says(ALICE, "TP", hours=hours, to=live))
        decision = Decision(Outcome.UPDATE, Reason.OWNER, None, flow)
        await store.add_update(updates[-1], decision, author=ALICE)

    assert await store.last_activity(GROUP) == at(94)
    assert await store.last_activity(TARGET) is None
    everything = [each.id for each in (old, live, *updates)]
    of_live = [each.id for each in (live, *updates)]
    assert await store.recorded(GROUP, limit=10) == everything
    assert await store.recorded(GROUP, active_since=at(22), limit=10) == of_live
    page = await store.recorded(GROUP, active_since=at(22), limit=4)
    assert page == of_live[2:]
    rest = await store.recorded(GROUP, active_since=at(22), before=page[0], limit=4)
    assert rest == of_live[:2]


async def test_an_update_leads_to_its_own_signal_whatever_others_there_are(opened):
    store = await opened()
    for number in (1, 2):
        signal = says(ALICE, "#idea", number=number, hours=number)
        flow = await add_signal(store, signal)
        update = says(ALICE, "TP", number=10 + number, hours=9, to=signal)
        await store.add_update(
            update, Decision(Outcome.UPDATE, Reason.OWNER, None, flow), author=ALICE
        )
        assert await store.signal_at(*update.ref) == flow


async def test_an_album_is_told_from_one_of_another_chat(opened):
    store = await opened()
    album = says(ALICE, "#idea", album_id=7)
    added = await add_signal(store, album)

    assert (await store.album(GROUP, 7)).signal_id == added
    assert await store.album(TARGET, 7) is None


async def test_the_date_of_what_was_recorded_last_is_known(opened):
    store = await opened()
    assert await store.newest() == 0
    await add_signal(store, says(ALICE, "#idea", hours=5))

    assert await store.newest() == at(5)


async def test_where_a_signal_was_said_is_known_in_a_forum(opened):
    store = await opened()
    general = await add_signal(store)
    topic = await add_signal(store, says(ALICE, "#idea", topic=5))

    assert [await store.topic_of(each) for each in (general, topic, signal_id(99))] == [0, 5, 0]


@pytest.mark.parametrize("written", [False, True], ids=["waiting", "written"])
async def test_a_reply_that_its_author_might_not_make_is_told_from_whatever_else_was_refused(
    opened, written
):
    store = await opened()
    chatter, reply, into_no_flow = (says(BOB, to=MessageRef(GROUP, MessageId(3))) for _ in "123")
    await store.add_decision(chatter, Decision(Outcome.IGNORED, Reason.UNKNOWN_PARENT, None, None))
    await store.add_decision(reply, REFUSED)
    await store.add_decision(into_no_flow, REFUSED._replace(signal_id=None))
    if written:
        await store.flush()

    told = RefusedReply(signal_id(1), MessageRef(GROUP, MessageId(3)))
    assert await store.refused_reply(reply.ref) == told
    assert await store.refused_reply(chatter.ref) is None
    assert await store.refused_reply(into_no_flow.ref) is None
    assert await store.refused_reply(says(BOB).ref) is None


async def test_an_unreadable_message_is_recorded_once_and_decided_upon_once_it_can_be_read(
    opened, database
):
    store = await opened()
    message = says(ALICE, "#idea")
    poison = UnreadableMessage(GROUP, message.id, message.at, "unknown constructor 0xdeadbeef")

    assert (await store.add_unreadable(poison))[:2] == (Outcome.IGNORED, Reason.UNREADABLE)
    assert (await store.add_unreadable(poison))[:2] == (Outcome.DUPLICATE, Reason.ALREADY_RECORDED)
    assert await add_signal(store, message) is None
    assert await store.to_be_decided_anew(message.ref)
    assert sql(database, "SELECT count(*) FROM decisions") == [[(1,)]]  # until it is decided upon
    assert await add_signal(store, message) is not None
    assert sql(database, "SELECT count(*) FROM decisions") == [[(0,)]]
    assert not await store.to_be_decided_anew(message.ref)
    assert (await store.add_unreadable(poison))[:2] == (Outcome.DUPLICATE, Reason.UNREADABLE)


@pytest.mark.parametrize(("date", "kept"), [(NOON, NOON), (None, 1_900_000_000)])
async def test_an_unreadable_message_has_its_own_date_and_the_clocks_where_not_even_that_is_known(
    opened, database, date, kept
):
    """By it the refusal is forgotten one day."""
    store = await opened(clock=lambda: 1_900_000_000.5)
    await store.add_unreadable(UnreadableMessage(GROUP, MessageId(5), date, "garbled"))

    assert sql(database, "SELECT at, recorded_at FROM decisions") == [[(kept, 1_900_000_000)]]


@pytest.mark.parametrize(("chat", "kept"), [(GROUP, None), (ChatId(-4242), -4242)])
def test_an_update_keeps_the_chat_of_what_it_answers_where_that_is_another(chat, kept):
    """As of a group that has become a supergroup since."""
    message = says(ALICE, to=MessageRef(chat, MessageId(5)))
    row = statements.update_row(message, Decision(Outcome.UPDATE, Reason.OWNER), ALICE, NOON)

    assert (row["reply_to_message_id"], row["reply_to_chat_id"]) == (5, kept)


@pytest.mark.parametrize(("chat", "kept"), [(GROUP, 5), (ChatId(-4242), None)])
def test_a_refusal_keeps_what_it_answers_in_its_own_chat(chat, kept):
    assert statements.answered_here(says(ALICE, to=MessageRef(chat, MessageId(5)))) == kept
    assert statements.answered_here(says(ALICE)) is None
