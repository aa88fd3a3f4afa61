"""The library's client: how it logs in, and what of it is not used.

A login is one attempt: a connection for the exchange of keys where there is none yet, and one for
the session. A key that was agreed on is kept even if the login failed then, so that the next attempt
makes one connection, not two.
"""

from __future__ import annotations

import functools
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from pyrogram import raw, utils
from pyrogram.client import Client
from pyrogram.errors import UserMigrate
from pyrogram.errors.rpc_error import RPCError
from pyrogram.storage import sqlite_storage

from bot.models import CHANNELS
from bot.telegram.connection import AuthKey, KeyUnknown
from bot.telegram.layers import build
from bot.telegram.parsing import make_tolerant
from bot.telegram.session import RelaySession

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.telegram.server_time import ServerTime

functions: Final[Any] = raw.functions

FIRST: Final = 2  # the data centre that a login without one begins at, as the libraries do
# https://core.telegram.org/api/datacenter: by IPv4 and by IPv6.
ADDRESSES: Final = {
    1: ("149.154.175.53", "2001:b28:f23d:f001::a"),
    2: ("149.154.167.51", "2001:67c:4e8:f002::a"),
    3: ("149.154.175.100", "2001:b28:f23d:f003::a"),
    4: ("149.154.167.91", "2001:67c:4e8:f004::a"),
    5: ("91.108.56.130", "2001:b28:f23f:f005::a"),
}
PORT: Final = 443


class RelayClient(Client):
    """`prepared` before it is started. The funnel that all updates pass leads to `on_pushed`."""

    storage: Any
    session: Any
    on_pushed: Callable[[Any], Awaitable[None]]
    clock: ServerTime
    silence: float  # seconds that an answer may take

    def prepared(
        self, on_pushed: Callable[[Any], Awaitable[None]], clock: ServerTime, silence: float
    ) -> RelayClient:
        self.on_pushed, self.clock, self.silence = on_pushed, clock, silence
        return self

    async def handle_updates(self, updates: Any) -> None:
        await self.on_pushed(updates)

    async def updates_watchdog(self) -> None:
        """Asks for nothing: `CatchUp` does, and this one's failures would come up when we stop."""

    # ── logging in: called by the library's `start` ──

    async def connect(self) -> bool:
        """Whether there is a login already."""
        await self.storage.open()
        authorized = await self.storage.user_id() is not None
        if not authorized or not await self.storage.api_id():
            await self.storage.api_id(self.api_id)
        if await self.storage.auth_key() is None:
            await self.storage.test_mode(False)  # noqa: FBT003 - the library's own signature
            await self._agree_on_key(FIRST, (ADDRESSES[FIRST][self.ipv6], PORT))
        try:
            await self._open_session()
        except KeyUnknown:
            if not authorized:
                await self.storage.auth_key(None)  # so the next attempt agrees on another
            raise
        self.is_connected = True
        return authorized

    async def sign_in_bot(self, bot_token: str) -> Any:
        query = build(
            functions.auth.ImportBotAuthorization,
            flags=0,
            api_id=self.api_id,
            api_hash=self.api_hash,
            bot_auth_token=bot_token,
        )
        try:
            answer = await self.invoke(query)
        except UserMigrate as exc:
            await self._move_to(int(exc.value))
            answer = await self.invoke(query)
        await self.storage.user_id(answer.user.id)
        await self.storage.is_bot(True)  # noqa: FBT003 - as above

    async def _move_to(self, data_centre: int) -> None:
        """Each account is at home in one data centre, and is served by no other."""
        where = ("", 0)  # Pyrogram knows the address
        if hasattr(self, "get_dc_option"):
            option = await self.get_dc_option(data_centre, ipv6=self.ipv6)
            where = (option.ip_address, option.port)
        await self.session.stop()
        await self._agree_on_key(data_centre, where)
        await self._open_session()

    async def _agree_on_key(self, data_centre: int, where: tuple[str, int]) -> None:
        given = where if self._knows_addresses else ()
        exchange: Any = AuthKey(self.clock, self.silence, self, data_centre, *given, False)  # noqa: FBT003 - no test server
        key = await exchange.create()
        await self.storage.dc_id(data_centre)
        if self._knows_addresses:
            await self.storage.server_address(where[0])
            await self.storage.port(where[1])
        await self.storage.auth_key(key)

    async def _open_session(self) -> None:
        storage = self.storage
        where = [await storage.dc_id()]
        if self._knows_addresses:
            where += await self._address(where[0])
        key, test = await storage.auth_key(), await storage.test_mode()
        self.session = RelaySession(self.clock, self.silence, self, *where, key, test)
        await self.session.start()

    async def _address(self, data_centre: int) -> list[Any]:
        """The one that is kept with the login, unless it is of the other kind of network."""
        address, port = await self.storage.server_address(), await self.storage.port()
        if (":" in address) is not bool(self.ipv6) and data_centre in ADDRESSES:
            return [ADDRESSES[data_centre][bool(self.ipv6)], PORT]
        return [address, port]

    @property
    def _knows_addresses(self) -> bool:
        """Kurigram keeps them with the login; Pyrogram has a table of them."""
        return hasattr(self.storage, "server_address")


async def close(client: Any) -> None:
    try:
        await _disconnect(client)
    finally:
        # A start that was given up before there was a connection leaves the session file open;
        # closed already, it does not mind.
        with suppress(Exception):
            await client.storage.close()


async def _disconnect(client: Any) -> None:
    if client.is_initialized:
        await client.stop()
    elif client.is_connected:
        await client.disconnect()
    elif client.session is not None:  # given up while it was connecting
        await client.session.stop()


def prepare_library() -> None:
    make_tolerant()
    library: Any = utils
    if hasattr(library, "MIN_CHANNEL_ID"):
        # Pyrogram 2.0.106 stops at 32 bits, and Telegram went past them. As TDLib has it:
        library.MIN_CHANNEL_ID = CHANNELS - 997_852_516_352
        library.MIN_CHAT_ID = CHANNELS + 1
    if not hasattr(RPCError.__init__, "__wrapped__"):
        errors: Any = RPCError
        errors.__init__ = _without_file(errors.__init__)
    if hasattr(sqlite_storage, "inspect"):
        for column in ("dc_id", "api_id", "test_mode", "auth_key", "date", "user_id", "is_bot"):
            setattr(sqlite_storage.SQLiteStorage, column, _column(column))


def _column(name: str) -> Any:
    """A column of the login, read or written.

    Pyrogram 2.0.106 finds its name by looking through the source of all callers: a second a start.
    """
    reading = f"SELECT {name} FROM sessions"  # noqa: S608 - one of the names above
    writing = f"UPDATE sessions SET {name} = ?"  # noqa: S608

    async def accessor(storage: Any, value: Any = object) -> Any:
        if value is object:
            return storage.conn.execute(reading).fetchone()[0]
        with storage.conn:
            storage.conn.execute(writing, (value,))
        return None

    return accessor


def _without_file(init: Any) -> Any:
    """Errors that the library does not know it would write to a file in the working directory."""

    @functools.wraps(init)
    def quiet(self: RPCError, *args: Any, **more: Any) -> None:
        init(self, *args, **{**more, "is_unknown": False})

    return quiet
