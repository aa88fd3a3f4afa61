"""A database in another room is asked seldom: each question costs the way there and back."""

from __future__ import annotations

import pytest
from sqlalchemy import column, select, table

from bot.errors import DatabaseUnusable, UnknownFlow
from bot.models import ChatId, Cursor, Decision, Outcome, Reason, SignalId, Tier
from bot.posts import Method, PostState
from bot.routes import Place
from bot.rules.presentation import Presentation
from bot.signal_fields import SignalFields
from bot.state.flow_tracker import FlowTracker
from bot.storage.engine import Prepared
from bot.storage.store import SignalStore
from tests.distance import far_from
from tests.people import ALICE, BOB, GROUP, NOON, TARGET, says
from tests.rows import add_signal

INTO = Decision(Outcome.UPDATE, Reason.OWNER, Tier.MEMORY, SignalId(1))
PLAIN = [Place(TARGET)]
DRESSED = Presentation(footer="by {author}")
MANY = [
    Place(TARGET),
    Place(TARGET, 12, presentation=DRESSED),
    Place(ChatId(-1007), presentation=DRESSED),
]


class Counted:
    def __init__(self, store, way):
        self.store = store
        self._way = way

    async def trips(self, asked):
        before = self._way.trips
        found = await asked
        return self._way.trips - before, found


@pytest.fixture
async def counted(postgresql):
    from bot.storage.postgresql import Server  # noqa: PLC0415  # not everywhere

    with far_from(postgresql.port) as way:
        address = way.of(postgresql.new_database())
        store = SignalStore(Server(address, in_loop=True), clock=lambda: NOON)
        await store.open()
        await add_signal(store, says(ALICE, "#idea BTC/USDT LONG", number=1), places=MANY)
        yield Counted(store, way)
        await store.close()


@pytest.mark.parametrize("places", [PLAIN, MANY], ids=["one place", "three, two of them dressed"])
@pytest.mark.parametrize("text", ["TP1", "long " * 2000], ids=["short", "in parts"])
async def test_an_accepted_message_its_activity_and_its_posts_take_two(counted, places, text):
    """Whoever sent it, wherever it goes, and with the refusals and cursors that waited. An update takes one
    where nothing must be known for its posts; the first message of a chat takes one more.
    """
    store = counted.store
    first = says(ALICE, "TP0", number=9, to=says(ALICE, "#idea", number=1))
    await store.add_update(first, INTO, author=ALICE)
    signal = says(ALICE, f"#idea {text}", number=10)
    update = says(ALICE, text, number=11, to=says(ALICE, "#idea", number=1), hours=1)
    stranger = says(BOB, text, number=12, to=says(ALICE, "#idea", number=1), hours=100)
    store.reached(Cursor(GROUP, 5, None, None, 9))

    told = await counted.trips(add_signal(store, signal, places=places))
    owners = await counted.trips(store.add_update(update, INTO, author=ALICE, places=places))
    released = INTO._replace(reason=Reason.RELEASED)
    others = await counted.trips(store.add_update(stranger, released, author=BOB, places=places))

    its = 1 if places is PLAIN else 2
    assert [told, owners, others] == [(2, 2), (its, True), (its, True)]
    assert (await store.flow(SignalId(1))).last_owner_activity == update.at
    assert (await store.cursor(GROUP)).pts == 5


async def test_what_was_recorded_before_is_looked_up_in_one_and_fails_nothing(counted):
    """A server would write an error with the message's text into its log."""
    update = says(ALICE, "TP1", number=11, to=says(ALICE, "#idea", number=1), hours=1)
    await counted.store.add_update(update, INTO, author=ALICE, places=PLAIN)

    again = counted.store.add_update(update, INTO, author=ALICE, places=PLAIN)

    assert await counted.trips(again) == (1, False)


async def test_an_album_takes_three(counted):
    store = counted.store
    lead = says(ALICE, "#album", number=20, album_id=7)
    parts = [says(ALICE, "", number=number, album_id=7) for number in range(21, 30)]

    assert await counted.trips(add_signal(store, lead, places=MANY, parts=parts)) == (3, 2)


async def test_a_decision_from_the_table_takes_one(counted):
    """By a signal or by an update of it, for its owner or for others."""
    signal = says(ALICE, "#idea BTC/USDT LONG", number=1)
    update = says(ALICE, "TP1", number=2, to=signal)
    await counted.store.add_update(update, INTO, author=ALICE, places=PLAIN)

    for answered in (signal, update):
        for author, at in ((ALICE, NOON), (BOB, NOON), (BOB, NOON + 100 * 3600)):
            flows = FlowTracker(counted.store, None)
            took, found = await counted.trips(flows.decide_at(*answered.ref, author, at=at))
            assert (took, found.tier) == (1, Tier.TABLE)


async def test_taking_and_finishing_a_delivery_take_two(counted):
    store = counted.store
    answer = says(ALICE, "TP1", number=2, to=says(ALICE, "#idea BTC/USDT LONG", number=1))
    await store.add_update(answer, INTO, author=ALICE, places=PLAIN)

    for number in range(3):
        taking, (post,) = await counted.trips(store.take_posts(TARGET, Method.SEND))
        finishing, _ = await counted.trips(store.post_sent(post, 500 + number))
        assert taking + finishing == 2
    assert post.reply_to == 500  # the signal's


async def test_an_edit_and_a_deletion_of_a_post_take_two_each(counted):
    store = counted.store
    (post,) = await store.take_posts(TARGET, Method.SEND)
    await store.post_sent(post, 500)
    await store.edit(says(ALICE, "#idea ETH", number=1), SignalFields())
    taking, (edit,) = await counted.trips(store.take_posts(TARGET, Method.EDIT))
    finishing, _ = await counted.trips(store.post_edited(edit))
    assert (edit.state, taking + finishing) == (PostState.EDIT, 2)

    await store.delete(GROUP, [1])
    taking, (deletion,) = await counted.trips(store.take_posts(TARGET, Method.DELETE))
    finishing, _ = await counted.trips(store.post_deleted(deletion))
    assert (deletion.state, taking + finishing) == (PostState.DELETE, 2)


async def test_an_error_is_told_to_whoever_asked_and_to_nobody_else(counted, postgresql):
    """Whatever else went along with what failed is undone, or was never done."""
    store = counted.store
    answer = says(ALICE, "TP1", number=2, to=says(ALICE, "#idea BTC/USDT LONG", number=1))
    with pytest.raises(UnknownFlow):
        await store.add_update(answer, INTO._replace(signal_id=99), author=ALICE, places=PLAIN)
    with pytest.raises(DatabaseUnusable):
        await store.ask(lambda db: db.exec_driver_sql("SELECT nonsense"))

    assert (await store.counts()).updates == 0
    assert await store.add_update(answer, INTO, author=ALICE, places=PLAIN)
    assert (await store.counts()).updates == 1


async def test_an_error_that_nobody_waited_for_hides_none_of_ours(counted):
    def asks_and_thinks_better_of_it(db):
        db.connection.driver_connection.execute("SELECT nonsense")
        raise UnknownFlow

    with pytest.raises(UnknownFlow):
        await counted.store.change(asks_and_thinks_better_of_it)
    assert (await counted.store.counts()).updates == 0


async def test_what_could_not_be_prepared_is_asked_anew(counted):
    """A statement that is asked often is prepared, which fails as the statement itself does."""
    late = Prepared(select(table("late", column("id"))))
    for _ in range(5):
        with pytest.raises(DatabaseUnusable, match="late"):
            await counted.store.ask(lambda db: late.rows(db, {}))
    await counted.store.change(lambda db: db.exec_driver_sql("CREATE TABLE late (id bigint)"))

    for _ in range(10):
        assert await counted.store.ask(lambda db: late.rows(db, {})) == []

    await counted.store.change(lambda db: db.exec_driver_sql("DROP TABLE late"))
    for _ in range(2):  # prepared or not
        with pytest.raises(DatabaseUnusable, match="late"):
            await counted.store.ask(lambda db: late.rows(db, {}))
    assert (await counted.store.counts()).signals == 1
