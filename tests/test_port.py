"""The health port under people who mean it no good: over real sockets, with a clock of our own where time counts."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest
from structlog.testing import capture_logs

from bot.monitoring.port import Patience, Port, Request, Resource, is_address, listening, plain

ASK = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
LINE = "requests on the health port went unanswered"
FOR_EVER = Patience(asking=3_600.0, answering=3_600.0)  # but for those who crowd others out
HANGS = 20.0  # seconds


class Tale:
    """A page that counts how often it was made; it is made when told to, once `held`."""

    def __init__(self):
        self.made = 0
        self.held = None
        self.error = None

    async def make(self):
        self.made += 1
        if self.held is not None:
            await self.held.wait()
        if self.error is not None:
            raise self.error
        return plain(f"well, {self.made}")


@pytest.fixture
def tale():
    return Tale()


@asynccontextmanager
async def opened(tale, other=None, **more):
    """`other`: the page for people."""
    people = Resource((other or tale).make, private=True)
    port = Port({"/healthz": Resource(tale.make), "/": people}.get, **more)
    async with listening(port, "127.0.0.1", 0) as number:
        yield port, number


async def ask(number, request=ASK):
    """All that comes until the other side ends it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", number)
    try:
        writer.write(request)
        with suppress(ConnectionError):
            return await reader.read()
        return b""
    finally:
        writer.close()


def status(answer):
    return int(answer.split(b" ", 2)[1])


# ── many at once ──


@pytest.mark.long
async def test_260_connections_that_say_nothing_keep_nobody_from_an_answer(tale):
    """Of all that are open, no more than 32 are the bot's; the rest wait in the kernel."""
    most = 0
    async with (
        asyncio.timeout(HANGS),
        opened(tale, fresh_for=0, patience=FOR_EVER) as (port, number),
        AsyncExitStack() as stack,
    ):
        for _ in range(260):
            stack.enter_context(socket.create_connection(("127.0.0.1", number)))
        asking = asyncio.create_task(ask(number))
        while not asking.done():
            most = max(most, port.connections)
            await asyncio.sleep(0)
        answer = await asking

    assert status(answer) == 200
    assert most == 32


async def test_who_says_nothing_makes_room_and_who_has_asked_does_not(tale):
    """However long they wait for their answer."""
    tale.held = asyncio.Event()
    async with (
        asyncio.timeout(HANGS),
        opened(tale, other=Tale(), patience=FOR_EVER) as (port, number),
        AsyncExitStack() as stack,
    ):
        answers = [asyncio.create_task(ask(number)) for _ in range(31)]
        while port.connections < 31:
            await asyncio.sleep(0)
        for _ in range(20):
            stack.enter_context(socket.create_connection(("127.0.0.1", number)))
        assert status(await ask(number, ASK.replace(b"/healthz", b"/"))) == 200
        tale.held.set()
        assert {status(each) for each in await asyncio.gather(*answers)} == {200}


@pytest.mark.parametrize(
    ("begin", "lines"),
    [(b"", []), (b"GET /healthz HTTP/1.1\r\nHost: x", [(LINE, 1)])],
    ids=["nothing", "half"],
)
async def test_who_sends_no_whole_request_is_let_go_in_time(tale, begin, lines):
    """It is said only of who sent a part of one: browsers hold connections ready that say nothing."""
    with capture_logs() as logged:
        async with (
            asyncio.timeout(HANGS),
            opened(tale, patience=Patience(asking=0.05)) as (port, number),
        ):
            assert await ask(number, begin) == b""
            assert port.connections == 0

    assert [(line["event"], line["too_slow"]) for line in logged] == lines


async def test_who_does_not_take_their_answer_is_let_go_in_time(tale):
    async def long():
        return plain("x" * 10_000_000)

    port = Port({"/healthz": Resource(long)}.get, patience=Patience(answering=0.05))
    async with asyncio.timeout(HANGS), listening(port, "127.0.0.1", 0) as number:
        with socket.create_connection(("127.0.0.1", number)) as idle:
            idle.setblocking(False)
            await asyncio.get_running_loop().sock_sendall(idle, ASK)
            while port.connections == 0:
                await asyncio.sleep(0)
            while port.connections:
                await asyncio.sleep(0.001)


async def test_one_page_is_made_for_all_who_ask_at_a_time(tale):
    """And for whoever asks within half a second after them: it asks the table."""
    now = [0.0]
    tale.held = asyncio.Event()
    async with opened(tale, clock=lambda: now[0]) as (port, number):
        asking = [asyncio.create_task(ask(number)) for _ in range(20)]
        while port.connections < 20:
            await asyncio.sleep(0)
        tale.held.set()
        answers = await asyncio.gather(*asking)
        assert {answer.rpartition(b"\r\n\r\n")[2] for answer in answers} == {b"well, 1\n"}

        now[0] = 0.4
        assert (await ask(number)).endswith(b"well, 1\n")
        now[0] = 0.6
        assert (await ask(number)).endswith(b"well, 2\n")


async def test_who_hammers_gets_a_hundred_answers_a_second(tale):
    """After the first 21 each waits for its turn, whatever is done by way of connections."""
    naps = []

    async def sleep(seconds):
        naps.append(round(seconds, 3))

    async with opened(tale, clock=lambda: 5.0, sleep=sleep) as (_, number):
        for _ in range(24):
            await ask(number)

    assert naps == [0.01, 0.02, 0.03]


# ── what is said of it ──


async def test_the_log_has_one_line_a_minute_however_many_come(tale):
    now = [0.0]

    async def at_once(_seconds): ...

    with capture_logs() as lines:
        async with opened(tale, clock=lambda: now[0], sleep=at_once) as (_, number):
            for _ in range(200):
                assert status(await ask(number, b"\x16\x03\x01 rubbish\r\n\r\n")) == 400
            now[0] = 59.0
            await ask(number, b"rubbish\r\n\r\n")
            assert [line["event"] for line in lines] == [LINE]
            now[0] = 61.0
            await ask(number, b"rubbish\r\n\r\n")

    assert [(line["event"], line["not_understood"]) for line in lines] == [(LINE, 1), (LINE, 201)]


async def test_a_page_that_fails_is_said_so_and_made_again(tale):
    tale.error = ZeroDivisionError("oops")
    with capture_logs() as lines:
        async with opened(tale, fresh_for=0) as (_, number):
            assert status(await ask(number)) == 500
            tale.error = None
            assert status(await ask(number)) == 200

    assert [line["error"] for line in lines] == ["ZeroDivisionError: oops"]


# ── what is understood ──


@pytest.mark.parametrize(
    ("request_", "wanted"),
    [
        (b"GET /healthz?x=1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 200),
        (b"GET /healthz HTTP/1.0\r\n\r\n", 200),
        (b"GET /healthz HTTP/1.1\r\nHost: relay:8080\r\n\r\n", 200),
        (b"HEAD /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 200),
        (b"POST /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 3\r\n\r\nabc", 405),
        (b"DELETE /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 405),
        (b"GET /../etc/passwd HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 404),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET /healthz\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"GET /healthz HTTP/2\r\n\r\n", 400),
        (b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nHost: localhost:8080\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1.evil.example\r\n\r\n", 421),
        (b"GET / HTTP/1.1\r\n\r\n", 421),
    ],
)
async def test_each_request_has_its_answer(tale, request_, wanted):
    """The page for people is for those who ask by an address: a name may lead anywhere."""
    with capture_logs():
        async with opened(tale) as (_, number):
            answer = await ask(number, request_)

    head, _, body = answer.partition(b"\r\n\r\n")
    assert status(answer) == wanted
    assert b"Connection: close" in head
    assert b"X-Content-Type-Options: nosniff" in head
    assert b"Content-Security-Policy: default-src 'none'" in head
    assert (body == b"") is request_.startswith(b"HEAD")


async def test_the_page_for_people_is_told_to_this_machine_alone(tale):
    port = Port({"/": Resource(tale.make, private=True), "/healthz": Resource(tale.make)}.get)

    assert (await port.answer(Request("GET", "/", "10.0.0.5:8080", local=False))).status == 403
    assert (await port.answer(Request("GET", "/healthz", "x", local=False))).status == 200
    assert (await port.answer(Request("GET", "/", "10.0.0.5:8080", local=True))).status == 200


@pytest.mark.parametrize("host", ["", "[::1", "127.0.0.1.", "0x7f000001", "a@127.0.0.1", "::1"])
def test_what_is_not_quite_an_address_is_none(host):
    assert not is_address(host)


async def test_ipv6_is_listened_on(tale):
    async with AsyncExitStack() as stack:
        try:
            number = await stack.enter_async_context(
                listening(Port({"/": Resource(tale.make, private=True)}.get), "::1", 0)
            )
        except Exception as exc:  # noqa: BLE001
            pytest.skip(f"no IPv6 here: {json.dumps(str(exc))}")
        reader, writer = await asyncio.open_connection("::1", number)
        writer.write(b"GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n")
        assert status(await reader.read()) == 200
        writer.close()
