"""A TCP connection to Telegram with our patience, and the exchange that ends in a key.

The libraries try to connect three times and the exchange six times, wait 10 s for whatever comes
next, and do not say what it was that ended a connection.
"""

from __future__ import annotations

import asyncio
import functools
from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from pyrogram import raw
from pyrogram.connection.connection import Connection
from pyrogram.connection.transport.tcp.tcp import TCP
from pyrogram.connection.transport.tcp.tcp_abridged import TCPAbridged
from pyrogram.session.auth import Auth

from bot.phrases import phrase
from bot.telegram.layers import build
from bot.telegram.server_time import MessageFactory

if TYPE_CHECKING:
    from bot.telegram.server_time import ServerTime

core: Final[Any] = raw.core

# Seconds. An answer takes 8 on a very slow link, and is asked for by a ping each 5. A connection on
# which nothing comes for longer is dead.
SILENCE: Final = 15.0
CHUNK: Final = 2**16  # bytes
KEY_UNKNOWN: Final = 404  # a transport error, as in HTTP


class NoAnswer(TimeoutError):
    """Its text says within how many seconds."""


class ConnectionCut(ConnectionError):
    """The other side, or the network, has ended it."""


class KeyUnknown(ConnectionError):
    """Telegram does not know the key of this login. It may have trouble: it has been so before."""


class _Patient(TCP):
    """Reads with our patience. In the order of bases it comes before the library's own reading."""

    reader: Any
    silence: float = SILENCE
    silent = False  # that was why it ended
    _ahead = b""  # has come, and was not asked for yet

    async def recv(self, length: int = 0) -> bytes | None:
        """None: the connection is over."""
        if hasattr(TCP, "_recv_from_socket"):  # kurigram's, which may have to decrypt
            plain: bytes | None = await super().recv(length)
            return plain
        return await self._recv_from_socket(length)

    async def _recv_from_socket(self, length: int) -> bytes | None:
        """None: the connection is over. A large packet may take its time, as long as it comes."""
        while len(self._ahead) < length:
            try:
                async with asyncio.timeout(self.silence):
                    some: bytes = await self.reader.read(CHUNK)
            except TimeoutError:
                self.silent = True
                return None
            except OSError:
                return None
            if not some:
                return None
            self._ahead += some
        data, self._ahead = self._ahead[:length], self._ahead[length:]
        return data


class PatientProtocol(TCPAbridged, _Patient):
    pass


@functools.cache
def _patient(framing: type[TCP]) -> type[TCP]:
    """The secret of an mtproxy may ask for another framing."""
    if framing is TCPAbridged:
        return PatientProtocol
    return type("PatientFraming", (framing, _Patient), {})


class PatientConnection(Connection):
    """Connects once. The libraries try three times, and leave the sockets of the failed ones open."""

    address: Any  # Pyrogram's
    server_address: Any  # kurigram's, and the next two
    port: Any
    loop: Any
    protocol: Any
    silence: float = SILENCE

    @classmethod
    def like(cls, made: Any, silence: float) -> PatientConnection:
        """To where the library's own one leads."""
        connection = cls.__new__(cls)
        vars(connection).update(vars(made))
        connection.silence = silence
        return connection

    async def connect(self) -> None:
        own = {
            "ipv6": self.ipv6,
            "proxy": self.proxy,
            "loop": getattr(self, "loop", None),
            "dc_id": getattr(self, "_protocol_dc_id", None),
        }
        framing = getattr(self, "protocol_factory", TCPAbridged)
        protocol: Any = build(_patient(framing), **own)
        where = getattr(self, "address", None) or (self.server_address, self.port)
        protocol.silence = self.silence
        self.protocol = protocol
        try:
            await protocol.connect(where)
        except TimeoutError as exc:
            await self._give_up(protocol)
            raise NoAnswer(
                phrase("no connection to Telegram in {seconds} s", seconds=f"{TCP.TIMEOUT:g}")
            ) from exc
        except Exception as exc:
            await self._give_up(protocol)
            if self.proxy is None:
                raise
            why = phrase("the proxy does not lead to Telegram: {why}", why=_said(exc))
            raise ConnectionCut(why) from exc
        except BaseException:
            await self._give_up(protocol)
            raise

    @staticmethod
    async def _give_up(protocol: Any) -> None:
        with suppress(OSError):
            await protocol.close()
        if getattr(protocol, "socket", None) is not None:  # Pyrogram's, which close() forgets
            protocol.socket.close()

    async def close(self) -> None:
        if self.protocol is not None:
            await self.protocol.close()


def _said(exc: Exception) -> str:
    """By whatever library speaks to the proxy; it does not repeat what it was told."""
    return " ".join(str(exc).split()) or type(exc).__name__


class AuthKey(Auth):
    """The exchange that ends in a new auth key, tried once. Telegram tells its time in it."""

    MAX_RETRIES = 0

    def __init__(self, clock: ServerTime, silence: float, client: Any, *where: Any) -> None:
        self._clock = clock
        self._silence = silence
        self._messages = MessageFactory(clock)
        self._connection: PatientConnection | None = None
        super().__init__(client, *where)

    @property
    def connection(self) -> Any:
        return self._connection

    @connection.setter
    def connection(self, made: Any) -> None:
        # Both libraries make one in the midst of `create`, and Pyrogram asks nobody of what kind.
        self._connection = None if made is None else PatientConnection.like(made, self._silence)

    async def invoke(self, data: Any) -> Any:
        body, ours = data.write(), self._messages.message_id()
        header = bytes(8) + ours.to_bytes(8, "little") + len(body).to_bytes(4, "little")
        try:
            await self.connection.send(header + body)
        except OSError as exc:
            raise ConnectionCut("the connection was cut") from exc
        packet = await self.connection.recv()
        if packet is None or len(packet) == 4:  # noqa: PLR2004 - an error code alone
            raise ended(self.connection, packet)
        self._clock.hear(int.from_bytes(packet[8:16], "little"), answers=ours)
        return self.unpack(BytesIO(packet))


def ended(connection: Any, packet: bytes | None) -> Exception:
    """Why nothing more will come: an error code was the last packet, or there is none."""
    if packet:
        code = -core.Int.read(BytesIO(packet))
        if code == KEY_UNKNOWN:
            return KeyUnknown("Telegram does not know the key of this login (404)")
        return ConnectionCut(f"Telegram ended the connection with code {code}")
    protocol: Any = getattr(connection, "protocol", None)
    if getattr(protocol, "silent", False):
        return NoAnswer(f"no answer in {protocol.silence:g} s")
    return ConnectionCut("the connection was cut")
