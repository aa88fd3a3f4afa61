"""A connection that is lost: whatever its restart ends in, the bot comes back or says why not."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
import struct
from types import SimpleNamespace

import pytest
from pyrogram.errors import AuthKeyDuplicated, FloodWait, InternalServerError, Unauthorized

from bot.errors import LoggedOut
from bot.telegram.reconnecting import Reconnecting


class Session:
    """As `RelaySession`: a start is one attempt, and each meets the next of `troubles`."""

    def __init__(self, *troubles):
        self.troubles = list(troubles)
        self.is_started = asyncio.Event()
        self.ping_task = None
        self.asked = 0
        self.sockets = []
        self._read()

    def _read(self):
        self.lost = asyncio.get_running_loop().create_future()
        self.recv_task = asyncio.ensure_future(self._reads(self.lost))
        self.sockets.append(socket.socket())
        writer = SimpleNamespace(get_extra_info={"socket": self.sockets[-1]}.get)
        self.connection = SimpleNamespace(protocol=SimpleNamespace(writer=writer))
        self.is_started.set()

    async def _reads(self, lost):
        if await lost is not None:
            raise lost.result()

    async def start(self):
        self.asked += 1
        if self.troubles:
            raise self.troubles.pop(0)
        self._read()

    async def stop(self):
        self.is_started.clear()
        if not self.lost.done():
            self.lost.set_result(None)
        if self.recv_task is not None:
            await asyncio.wait({self.recv_task})


class Witness:
    """What a `Reconnecting` reports, and its pauses, which take no time."""

    def __init__(self, session):
        self.session = session
        self.said = []
        self.pauses = []
        self.patience = 10  # pauses; the next one takes for ever
        self.asleep = asyncio.Event()
        self.reconnecting = Reconnecting(
            session,
            lost=lambda: self.said.append("lost"),
            back=lambda: self.said.append("back"),
            void=self.said.append,
            sleep=self.sleep,
        )

    async def sleep(self, seconds):
        self.pauses.append(seconds)
        if len(self.pauses) > self.patience:
            self.asleep.set()
            await asyncio.Event().wait()


@pytest.fixture
async def witness():
    """Makes witnesses of sessions, and ends those in the end."""
    made = []

    def witness(session):
        made.append(Witness(session))
        return made[-1]

    yield witness
    for one in made:
        await one.reconnecting.close()
        await one.session.stop()
        for each in one.session.sockets:
            each.close()


@pytest.mark.parametrize(
    "trouble",
    [
        TimeoutError("Request timed out"),
        ConnectionResetError(),
        InternalServerError(),
        struct.error("unpack requires a buffer of 4 bytes"),
        ValueError("msg_key mismatch"),
        sqlite3.OperationalError("database is locked"),
        KeyError(12),
    ],
    ids=repr,
)
async def test_whatever_a_restart_ends_in_it_is_made_again_with_growing_pauses(witness, trouble):
    session = Session(*[trouble] * 7)
    seen = witness(session)

    await session.restart()

    assert session.is_started.is_set()
    assert seen.pauses == [1, 2, 4, 8, 16, 30, 30]
    assert seen.said == ["lost"] * 8 + ["back"]


async def test_a_flood_wait_on_the_way_is_waited_out(witness):
    session = Session(FloodWait(70))
    seen = witness(session)

    await session.restart()

    assert seen.pauses == [70]


@pytest.mark.parametrize("refusal", [AuthKeyDuplicated(), Unauthorized()], ids=["406", "401"])
async def test_a_login_that_is_void_is_told_and_not_tried_again(witness, refusal):
    session = Session(refusal)
    seen = witness(session)

    await session.restart()
    await session.restart()

    lost, void = seen.said
    assert lost == "lost"
    assert isinstance(void, LoggedOut)
    assert session.asked == 1
    assert seen.pauses == []


@pytest.mark.parametrize("death", [None, struct.error("cut short")], ids=["ended", "died"])
async def test_a_reader_that_ends_unseen_is_missed(witness, death):
    """Where the library looks it is not started yet, or the reader dies of what it read."""
    session = Session()
    seen = witness(session)

    session.lost.set_result(death)
    while "back" not in seen.said:
        await asyncio.sleep(0)

    assert seen.said == ["lost", "back"]


async def test_the_new_connection_is_watched_as_the_old_one_was(witness):
    session = Session()
    seen = witness(session)
    await session.restart()

    session.lost.set_result(None)
    while seen.said.count("back") < 2:
        await asyncio.sleep(0)

    assert seen.said == ["lost", "back"] * 2


async def test_a_query_does_not_wait_for_an_acknowledgement_on_any_connection(witness):
    session = Session()
    witness(session)
    await session.restart()

    assert len(session.sockets) == 2
    for each in session.sockets:
        assert each.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_a_connection_that_is_gone_already_stops_nothing(witness):
    session = Session()
    session.sockets[0].close()
    witness(session)

    assert session.is_started.is_set()


async def test_two_restarts_at_once_are_one(witness):
    session = Session(TimeoutError(), TimeoutError())
    seen = witness(session)

    await asyncio.gather(session.restart(), session.restart())

    assert seen.said == ["lost", "lost", "lost", "back"]


async def test_once_closed_nothing_is_restarted_and_what_was_under_way_has_ended(witness):
    session = Session(*[TimeoutError()] * 100)
    seen = witness(session)
    seen.patience = 0
    restart = asyncio.ensure_future(session.restart())
    await seen.asleep.wait()

    await seen.reconnecting.close()
    await session.restart()

    assert restart.cancelled()
    assert session.asked == 1
