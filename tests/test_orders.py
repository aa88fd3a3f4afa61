"""An operator's orders: written by a shell, heard by the running bot."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from bot.admin.control import Orders
from bot.errors import DatabaseUnavailable
from bot.models import (
    AfterTtl,
    Failure,
    Flow,
    MessageId,
    MessageRef,
    OrderKind,
    Outcome,
    Reason,
    Tier,
)
from bot.posts import PostState
from bot.signal_fields import SignalFields
from bot.state.flow_cache import open_flow_cache
from bot.state.flow_tracker import FlowTracker
from bot.storage import failures, places
from bot.storage.engine import Database
from bot.storage.store import SignalStore
from tests import wiring
from tests.people import ALICE, BOB, GROUP, TARGET, at, says


class Posting:
    """The relays: what they were told."""

    def __init__(self):
        self.told = []

    def wake(self):
        self.told.append("wake")

    def pause(self):
        self.told.append("pause")

    def resume(self):
        self.told.append("resume")

    def reopened(self, chat):
        self.told.append(chat)

    def reread(self):
        self.told.append("reread")


class Bot:
    """The running bot, as far as it decides on replies."""

    def __init__(self, store, cache, **options):
        self.store = store
        self.flows = FlowTracker(store, cache, clock=lambda: at(0), **options)
        self.intake = wiring.intake(store, self.flows, targets=[TARGET])
        self.orders = Orders(store, self.flows)
        self.posting = Posting()

    async def signal(self):
        message = says(ALICE, "#idea")
        return message, (await self.intake.handle(message)).signal_id

    async def verdict(self, author, signal, hours):
        return (await self.intake.handle(says(author, to=signal, hours=hours))).reason

    async def look(self):
        await self.orders.look(self.posting)


@pytest.fixture
async def start(store, tmp_path):
    bots = []

    async def start(**options):
        cache = open_flow_cache(tmp_path / "flows", bytes(32))
        bots.append(Bot(store, cache, **options))
        await bots[-1].orders.begin()
        return bots[-1]

    yield start
    for bot in bots:
        await bot.flows.close()


@pytest.fixture
async def shell(tmp_path, store):
    """The tables as another process sees them."""
    other = SignalStore(Database(tmp_path / "signals.db", in_loop=True), clock=lambda: at(1))
    await other.open_existing()
    yield other
    await other.close()


@pytest.mark.parametrize("after_ttl", AfterTtl)
async def test_a_running_bot_hears_of_a_release_and_lets_others_continue(start, shell, after_ttl):
    bot = await start(after_ttl=after_ttl)
    signal, signal_id = await bot.signal()
    assert await bot.verdict(BOB, signal, 1) is Reason.NOT_THE_OWNER

    await shell.release(signal_id)
    await bot.look()

    assert await bot.verdict(BOB, signal, 2) is Reason.RELEASED
    assert await bot.verdict(BOB, signal, 3) is Reason.RELEASED


async def test_the_owners_next_reply_takes_a_released_flow_back(start, shell):
    bot = await start()
    signal, signal_id = await bot.signal()
    await shell.release(signal_id)
    await bot.look()

    assert await bot.verdict(ALICE, signal, 2) is Reason.OWNER
    await bot.look()

    assert await bot.verdict(BOB, signal, 3) is Reason.NOT_THE_OWNER
    assert await shell.flow(signal_id) == Flow(ALICE, at(2))


async def test_a_release_given_while_no_bot_ran_holds_from_the_start(start, shell):
    bot = await start()
    signal, signal_id = await bot.signal()
    await bot.flows.close()
    await shell.release(signal_id)

    restarted = await start()
    decision = await restarted.intake.handle(says(BOB, to=signal, hours=1))

    assert (decision.outcome, decision.tier) == (Outcome.UPDATE, Tier.TABLE)


async def test_an_order_is_heard_once(start, shell):
    bot = await start()
    _, signal_id = await bot.signal()
    await fail_post(shell)
    await shell.release(signal_id)
    await shell.retry()
    await bot.look()
    await bot.look()

    assert bot.posting.told == ["wake"]


async def test_an_order_of_before_the_start_is_not_carried_out_again(start, shell):
    bot = await start()
    await bot.signal()
    await fail_post(shell)
    await shell.retry()
    await shell.pause()
    await shell.resume()
    await bot.flows.close()

    restarted = await start()
    await restarted.look()

    assert restarted.posting.told == []


async def test_a_running_bot_hears_what_is_to_be_read_again(start, shell):
    bot = await start()
    lost = Failure(MessageRef(GROUP, MessageId(9)), ALICE, at(0), "a bug")
    await shell.change(partial(failures.record, failures=[lost], now=at(0)))

    await shell.change(partial(failures.want, number=None, now=at(1)))
    await bot.look()

    assert bot.posting.told == ["reread"]


async def fail_post(store):
    (post,) = await store.take_posts(TARGET)
    await store.post_delayed(post, "flood", in_doubt=False)
    await store.post_failed(post, "MESSAGE_EMPTY")
    return post


async def test_a_failed_post_is_put_back_in_line_and_the_relay_is_woken(start, shell):
    bot = await start()
    await bot.signal()
    failed = await fail_post(bot.store)

    assert await shell.retry(failed.id) == [failed.id]
    await bot.look()

    (post,) = await bot.store.take_posts(TARGET)
    assert (post.id, post.state, post.attempts) == (failed.id, PostState.PENDING, 0)
    assert bot.posting.told == ["wake"]


async def test_what_was_refused_is_what_is_tried_again(start, shell):
    bot = await start()
    signal, _ = await bot.signal()
    (post,) = await bot.store.take_posts(TARGET)
    await bot.store.post_sent(post, MessageId(7))
    await bot.store.delete(signal.chat_id, [signal.id])
    await fail_post(bot.store)

    await shell.retry()

    (post,) = await bot.store.take_posts(TARGET)
    assert (post.state, post.target_message_id) == (PostState.DELETE, 7)


async def test_what_was_refused_for_certain_is_in_no_doubt_when_it_is_tried_again(start, shell):
    """So what its author has changed since is sent as it is now, and not edited at once."""
    bot = await start()
    signal, _ = await bot.signal()
    await fail_post(bot.store)
    await bot.store.edit(says(ALICE, "#idea, changed", number=signal.id), SignalFields())
    await shell.retry()

    (post,) = await bot.store.take_posts(TARGET)
    await bot.store.post_sent(post, MessageId(7))

    assert (post.text, post.in_doubt) == ("#idea, changed", False)
    assert await bot.store.take_posts(TARGET) == []


async def test_only_failed_posts_are_retried(start, shell):
    bot = await start()
    await bot.signal()
    (post,) = await bot.store.take_posts(TARGET)

    assert await shell.retry(post.id) == []
    assert await shell.retry() == []
    assert await shell.last_order() == 0


async def test_a_table_that_does_not_answer_delays_an_order_and_loses_none(start, shell):
    """Looked for twice a second, and the bot lives on if the table is locked or full."""
    bot = await start()
    signal, signal_id = await bot.signal()
    await shell.release(signal_id)
    naps = []

    class Locked:
        async def orders_after(self, last):
            if not naps:
                raise DatabaseUnavailable("database is locked")
            return await bot.store.orders_after(last)

    async def sleep(seconds):
        naps.append(seconds)
        if len(naps) == 3:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await Orders(Locked(), bot.flows, sleep=sleep).run(bot.posting)

    assert naps == [0.5] * 3
    assert await bot.verdict(BOB, signal, 1) is Reason.RELEASED


async def test_a_release_is_written_with_its_order_and_its_date(start, shell):
    bot = await start()
    _, signal_id = await bot.signal()
    await shell.release(signal_id)

    (order,) = await bot.store.orders_after(0)
    assert order[1:] == (OrderKind.RELEASE, signal_id, at(1))
    assert await bot.store.ended_flows() == [signal_id]
    assert await bot.store.flow(signal_id) == Flow(ALICE, 0)


# ── pause and resume ──────────────────────────────────────────────────────────


async def test_a_running_bot_hears_of_a_pause_and_of_its_end(start, shell):
    bot = await start()
    assert await shell.pause()
    assert not await shell.pause()  # which is no second order
    await bot.look()
    assert (bot.posting.told, bot.orders.paused_at) == (["pause"], at(1))

    assert await shell.resume()
    assert not await shell.resume()
    await bot.look()

    assert (bot.posting.told, bot.orders.paused_at) == (["pause", "resume"], None)


async def test_a_pause_outlives_the_bot(start, shell):
    bot = await start()
    await shell.pause()
    await bot.flows.close()

    assert (await start()).orders.paused_at == at(1)
    await shell.resume()
    assert (await start()).orders.paused_at is None


async def test_a_running_bot_hears_of_a_place_that_is_paused_and_that_goes_on(start, shell):
    bot = await start()
    await shell.change(partial(places.take_list, routes=wiring.route(GROUP, TARGET)))
    for paused in (True, False):
        order = partial(places.set_paused, name=str(TARGET), paused=paused, now=at(1))
        await shell.change(order)
        await bot.look()

    assert bot.posting.told == [TARGET, TARGET]
    assert bot.orders.paused_at is None  # of all
