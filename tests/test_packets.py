"""What comes on a connection, packet by packet."""

from __future__ import annotations

import asyncio
import inspect
import os
import time
from hashlib import sha256

from pyrogram.crypto import aes, mtproto
from pyrogram.raw import core, types
from pyrogram.session.session import Session

from bot.telegram.server_time import ServerTime
from bot.telegram.session import RelaySession

KEY = os.urandom(256)


class Heard:
    """A client, as far as its session knows one."""

    def __init__(self):
        self.updates = asyncio.Queue()

    async def handle_updates(self, update):
        await self.updates.put(type(update))

    async def first(self, number):
        return [await asyncio.wait_for(self.updates.get(), 10) for _ in range(number)]


class Wire:
    """A connection on which these packets come, and then its end."""

    def __init__(self):
        self.packets = []

    async def recv(self):
        return self.packets.pop(0) if self.packets else None


def session(client):
    known = {"client": client, "dc_id": 2, "server_address": "", "port": 443, "auth_key": KEY}
    known["test_mode"] = False
    wanted = [each for each in inspect.signature(Session.__init__).parameters if each in known]
    one = RelaySession(ServerTime(), 15.0, *(known[each] for each in wanted))
    one.connection = Wire()
    return one


def sealed(one, update, number):
    """As Telegram encrypts. https://core.telegram.org/mtproto/description"""
    written = update.write()
    message = core.Message(update, int(time.time()) << 32 | (4 * number + 1), 0, len(written))
    data = core.Long(0) + one.session_id + message.write()
    data += os.urandom(-(len(data) + 12) % 16 + 12)
    message_key = sha256(KEY[96:128] + data).digest()[8:24]
    key = mtproto.kdf(KEY, message_key, False)
    return one.auth_key_id + message_key + aes.ige256_encrypt(data, *key)


async def test_a_large_packet_is_not_overtaken_by_those_behind_it():
    """Else what is new would be taken for what was missed, and asked for again."""
    client = Heard()
    one = session(client)
    large = types.UpdateShortMessage(
        id=1, user_id=1, message="x" * 200_000, pts=1, pts_count=1, date=int(time.time())
    )
    for number, update in enumerate([large, types.UpdatesTooLong()]):
        one.connection.packets.append(sealed(one, update, number))

    await one.recv_worker()

    assert await client.first(2) == [types.UpdateShortMessage, types.UpdatesTooLong]


async def test_a_packet_that_cannot_be_read_keeps_nobody_from_those_behind_it():
    client = Heard()
    one = session(client)
    one.connection.packets += [b"x" * 64, sealed(one, types.UpdatesTooLong(), 1)]

    await one.recv_worker()

    assert await client.first(1) == [types.UpdatesTooLong]
