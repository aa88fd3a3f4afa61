"""One connection: wrong clocks, slow links, cut connections, and what is said of each."""

from __future__ import annotations

import asyncio
import gc
from contextlib import suppress
from itertools import pairwise

import pytest
from pyrogram import raw

from bot.errors import LoggedOut, RetryLater
from bot.telegram.connection import ConnectionCut
from bot.telegram.rpc_errors import translated
from bot.telegram.server_time import ServerTime
from bot.telegram.session import cancelled
from tests.accounts import connection
from tests.loopback import CutBefore, Drop, RpcError

HOUR, DAY = 3600, 86_400
ASK = raw.functions.updates.GetState
LOGIN = raw.functions.auth.ImportBotAuthorization


class Pauses:
    """Sleeps that take no time, and a clock that they move."""

    def __init__(self):
        self.now = 0.0
        self.at = []

    async def sleep(self, seconds):
        self.now += seconds
        self.at.append(self.now)
        await asyncio.sleep(0)


@pytest.fixture
async def connect(telegram, bot, tmp_path):
    """Makes connections, not started, and closes them in the end."""
    made = []

    def connect(**options):
        login = {"directory": tmp_path / "data"}
        if "session_string" not in options:
            login["bot_token"] = bot.token
        made.append(connection(**{**login, **options}))
        return made[-1]

    yield connect
    for one in made:
        await one.stop()


# ── the clock ──


@pytest.mark.parametrize("salt_first", [True, False], ids=["salt", "id"])
@pytest.mark.parametrize("offset", [-DAY, -HOUR, -420, -120, -40, 100, 310, HOUR, DAY])
async def test_any_clock_of_the_machine_will_do(connect, telegram, alice, offset, salt_first):
    """Whatever Telegram refuses first, with a new login and with one that is kept."""
    telegram.rules.clock_offset, telegram.rules.salt_first = offset, salt_first
    relay = connect()
    assert (await relay.start()).is_bot
    await relay.stop()
    assert (await connect().start()).is_bot
    person = connect(session_string=telegram.session_string(alice))
    assert (await person.start()).id == alice.id
    assert person.now() == pytest.approx(telegram.server.ids.now(), abs=5)
    assert not set(telegram.server.refusals) - {16, 17}


async def test_the_clock_that_is_wrong_is_named(connect, telegram):
    telegram.rules.clock_offset = HOUR
    relay = connect()
    assert relay.now() is None
    assert relay.clock_off is None
    await relay.start()
    assert relay.clock_off == "the machine's clock is 3600 s slow"


async def test_a_clock_that_is_right_is_not_spoken_of(connect):
    relay = connect()
    await relay.start()
    assert relay.clock_off is None


@pytest.mark.parametrize("jump", [-DAY, -HOUR, -60, 60, 400, HOUR, DAY])
async def test_a_clock_that_is_set_under_a_connection_changes_nothing(connect, telegram, jump):
    """No message is refused for it, and none of Telegram's is thrown away."""
    wrong_by = [0.0]
    real = ServerTime().now
    relay = connect(time=ServerTime(machine=lambda: real() + wrong_by[0]))
    await relay.start()
    wrong_by[0] = jump
    for _ in range(3):
        assert await relay.call(ASK())
    assert telegram.server.refusals == []


@pytest.mark.parametrize("slept", [400, HOUR, DAY])
async def test_a_machine_that_slept_goes_on_where_it_was(connect, telegram, slept):
    """Its own seconds stood still. The query that is refused for it is asked again by itself."""
    relay = connect()
    await relay.start()
    telegram.rules.clock_offset = slept
    assert await relay.call(ASK())
    assert telegram.server.refusals in ([], [16])
    assert telegram.server.accepted == 2  # one of them for the key


async def test_a_connection_whose_ids_ran_ahead_is_made_anew(connect, telegram):
    """Within a session ids must rise, so there has to be another session."""
    relay = connect()
    await relay.start()
    telegram.rules.clock_offset = -HOUR
    with pytest.raises(ConnectionError):
        await relay.call(ASK())
    assert await relay.call(ASK())
    assert await relay.call(ASK())
    assert 17 in telegram.server.refusals


async def test_who_waits_for_an_answer_is_told_at_once_that_the_connection_has_ended(
    connect, telegram
):
    """And not after the seconds that an answer may take: it is asked again on the next one."""
    relay = connect()
    await relay.start()
    telegram.faults.on(ASK, CutBefore())
    async with asyncio.timeout(10):
        with pytest.raises(ConnectionError):
            await relay.call(ASK())
        assert await relay.call(ASK())


# ── slow links ──


@pytest.mark.heavy
async def test_a_link_that_is_slow_from_the_first_packet_on_is_waited_for(connect, telegram):
    """With answers that take longer than the 2 s after which the libraries give up."""
    telegram.rules.answer_after = 2.5
    relay = connect()
    assert (await relay.start()).is_bot
    assert await relay.call(ASK())


async def test_an_answer_that_does_not_come_is_told_with_its_seconds(connect, telegram):
    relay = connect(silence=0.5)
    telegram.faults.on(LOGIN, Drop())
    with pytest.raises(RetryLater, match=r"^not logged in yet: no answer in 0\.5 s$"):
        await relay.start()


async def test_a_handshake_that_is_not_answered_is_told_with_its_seconds(connect, telegram):
    relay = connect(silence=0.5)
    with telegram.faults.freeze(), pytest.raises(RetryLater, match=r"no answer in 0\.5 s$"):
        await relay.start()


async def test_trouble_of_a_login_names_a_clock_that_is_wrong_as_well(connect, telegram):
    telegram.rules.clock_offset = -HOUR
    telegram.faults.on(LOGIN, RpcError(500, "INTERNAL"))
    with pytest.raises(RetryLater, match=r"500 INTERNAL; the machine's clock is 3600 s fast$"):
        await connect().start()


@pytest.mark.parametrize("cut_at", range(6))
async def test_a_connection_that_is_cut_says_nothing_of_the_login(connect, telegram, cut_at):
    """Wherever it happens in a first login: that is known at once, and it is not void."""
    telegram.rules.cut_at = cut_at
    relay = connect()
    async with asyncio.timeout(5):
        with pytest.raises(RetryLater) as caught:
            await relay.start()
    assert "the connection was cut" in str(caught.value)
    assert "void" not in str(caught.value)
    telegram.rules.cut_at = None
    assert (await relay.start()).is_bot


# ── keys and data centres ──


async def test_a_key_that_was_agreed_on_is_kept_when_the_login_then_fails(connect, telegram):
    """So the next attempt makes one connection and not two."""
    telegram.faults.on(LOGIN, RpcError(500, "INTERNAL"))
    relay = connect()
    with pytest.raises(RetryLater):
        await relay.start()
    assert telegram.server.accepted == 2
    await relay.start()
    assert telegram.server.accepted == 3


async def test_a_key_without_a_login_that_telegram_forgot_is_replaced(connect, telegram):
    telegram.faults.on(LOGIN, RpcError(500, "INTERNAL"))
    relay = connect()
    with pytest.raises(RetryLater):
        await relay.start()
    telegram.faults.forget_keys()
    with pytest.raises(RetryLater, match="404"):
        await relay.start()
    assert (await relay.start()).is_bot


async def test_a_bot_that_is_at_home_in_another_data_centre_is_followed_there(connect, telegram):
    home = raw.functions.help.GetConfig  # the only one that there is, but the bot cannot know
    telegram.faults.on(LOGIN, RpcError(303, "USER_MIGRATE_2"))
    relay = connect()
    assert (await relay.start()).is_bot
    await relay.stop()
    assert (await connect().start()).is_bot
    assert len(telegram.calls.of(LOGIN)) == 2
    assert len(telegram.calls.of(home)) >= 3


async def test_a_refusal_is_told_as_it_is_although_the_connection_ends_with_it(connect, telegram):
    telegram.faults.on(LOGIN, RpcError(400, "ACCESS_TOKEN_INVALID"))
    with pytest.raises(LoggedOut, match="BOT_TOKEN is wrong"):
        await connect().start()


# ── cut again and again ──


async def test_what_fails_when_it_is_cancelled_is_no_news_to_the_loop():
    """As a call does whose connection goes at that moment. What had failed before is another matter."""
    told = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))

    async def fails(words):
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        raise ConnectionCut(words)

    under_way, over = (asyncio.ensure_future(fails(words)) for words in ("now", "before"))
    await asyncio.sleep(0)
    over.cancel()
    await asyncio.wait({over})
    for task in (under_way, over):
        await cancelled(task)
    del task, under_way, over
    gc.collect()

    assert [str(context["exception"]) for context in told] == ["before"]


@pytest.mark.parametrize("cut_at", [0, 1, 2, 3])
async def test_a_server_that_cuts_every_connection_is_asked_ever_more_seldom(
    connect, telegram, cut_at
):
    """At most 30 times in the first minute, and once in 30 s later, however far each one gets."""
    pauses = Pauses()
    relay = connect(sleep=pauses.sleep, clock=lambda: pauses.now, call_timeout=0.2)
    await relay.start()
    before = telegram.server.accepted
    telegram.rules.cut_at = cut_at
    telegram.faults.kill_connections()

    async with asyncio.timeout(20):
        while telegram.server.accepted < before + 12:
            with suppress(ConnectionError, TimeoutError):
                await relay.call(ASK())

    attempts = [0.0, *pauses.at]
    assert len([at for at in attempts if at < 60]) <= 30
    late = [at for at in attempts if at >= 60]
    assert len(late) >= 3
    assert all(later - sooner >= 30 for sooner, later in pairwise(late))
    assert telegram.server.accepted - before <= len(attempts)


async def test_a_call_that_gets_no_answer_or_no_connection_says_so(connect, telegram):
    """And for how many seconds it waited."""
    relay = connect(call_timeout=0.5)
    await relay.start()
    telegram.faults.on(ASK, Drop())
    with pytest.raises(TimeoutError, match=r"^no answer in 0\.5 s$"):
        await relay.call(ASK())
    telegram.faults.refuse_connections()
    telegram.faults.kill_connections()
    with suppress(ConnectionError):
        await relay.call(ASK())
    with pytest.raises(RetryLater, match=r"\(no connection in 0\.5 s\)$"), translated():
        await relay.call(ASK())
