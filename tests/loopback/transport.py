"""Telegram's side of the wire: TCP, encryption, message ids, salts, containers, pushes.

https://core.telegram.org/mtproto/description. What a query means is not decided here:
every one goes to the `answer` the server was built with, and what that returns is sent.

An auth key names who is speaking, a session is one client instance under that key and
outlives its connections, a connection is one TCP socket.
"""

import asyncio
import contextlib
import gzip
import logging
import os
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from mtproto.enums import ConnectionRole
from mtproto.transport import Connection as Wire
from mtproto.transport.packets import (
    DecryptedMessagePacket,
    EncryptedMessagePacket,
    ErrorPacket,
    UnencryptedMessagePacket,
)
from pyrogram import raw
from pyrogram.raw.core import Bytes, Int, Long, MsgContainer, TLObject

from tests.loopback.handshake import Handshake
from tests.loopback.tl import short_hash

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
RPC_RESULT = (0xF35C6D01).to_bytes(4, "little")
GZIP_PACKED = (0x3072CFA1).to_bytes(4, "little")
CONTAINER = (0x73F1F8DC).to_bytes(4, "little")
GZIP_FROM = 4096  # bytes; longer answers are packed
WRONG_SALT = 48  # error code of bad_server_salt
# Error codes of bad_msg_notification.
ID_TOO_LOW, ID_TOO_HIGH, ID_ODD, NUMBER_TOO_LOW, NUMBER_TOO_HIGH = 16, 17, 18, 32, 33
ID_TOO_OLD = 20
TOO_OLD, TOO_EARLY = 300, 30  # seconds
UNKNOWN_KEY = 404  # transport error: no such auth key


Packet = tuple[int, int, bytes]  # message id, sequence number, body


@dataclass(eq=False)
class AuthKey:
    """`account` is whoever logged in under this key; the transport only carries it."""

    value: bytes
    account: Any = None
    revoked: str | None = None  # the error every call of this key gets
    salt: int = field(default_factory=lambda: int.from_bytes(os.urandom(8), "little", signed=True))


@dataclass(eq=False)
class Session:
    """One client instance. `listening`: it asked for updates, so it is pushed them."""

    id: int
    key: AuthKey
    ids: "MessageIds"
    connection: "Connection | None" = None
    listening: bool = False
    announced: bool = False
    introduction: Any = None  # the `initConnection` that it began with
    content_sent: int = 0
    unacked: dict[int, Packet] = field(default_factory=dict)  # content not yet confirmed
    heard: set[int] = field(default_factory=set)  # the client's message ids
    newest: tuple[int, int] = (0, 0)  # of these, and its sequence number
    _queue: list[Packet] = field(default_factory=list)

    @property
    def account(self) -> Any:
        return self.key.account

    @property
    def connected(self) -> bool:
        return self.connection is not None

    def push(self, update: TLObject) -> None:
        """Send an update now; one that finds no connection is lost, as a push may be."""
        self.send(update.write(), message_id=self.ids.next(3))

    def result(self, message_id: int, answer: bytes) -> None:
        if len(answer) > GZIP_FROM:
            answer = GZIP_PACKED + Bytes(gzip.compress(answer))
        body = RPC_RESULT + Long(message_id) + answer
        self.send(body, message_id=self.ids.next(1))

    def acknowledge(self, message_id: int) -> None:
        """Confirm a query whose answer is not there yet, as Telegram does."""
        ack = raw.types.MsgsAck(msg_ids=[message_id])
        self.send(ack.write(), message_id=self.ids.next(1), content=False)

    def announce(self, message_id: int) -> None:
        """Tell a client once that its session is new on this side."""
        if self.announced:
            return
        self.announced = True
        news = raw.types.NewSessionCreated(
            first_msg_id=message_id,
            unique_id=short_hash(os.urandom(8)),
            server_salt=self.key.salt,
        )
        self.send(news.write(), message_id=self.ids.next(1))

    def send(self, body: bytes, *, message_id: int, content: bool = True) -> None:
        packet = (message_id, self._next_number(content=content), body)
        if content:
            self.unacked[message_id] = packet
        self._enqueue(packet)

    def resend(self) -> None:
        """On a new connection: https://core.telegram.org/mtproto/service_messages_about_messages."""
        for packet in self.unacked.values():
            self._enqueue(packet)

    def confirm(self, message_ids: list[int]) -> None:
        for message_id in message_ids:
            self.unacked.pop(message_id, None)

    def _enqueue(self, packet: Packet) -> None:
        if self.connection is None:
            return
        if not self._queue:
            asyncio.get_running_loop().call_soon(self._flush)
        self._queue.append(packet)

    def _next_number(self, *, content: bool) -> int:
        """https://core.telegram.org/mtproto/description#message-sequence-number-msg-seqno."""
        number = self.content_sent * 2 + (1 if content else 0)
        self.content_sent += 1 if content else 0
        return number

    def _flush(self) -> None:
        """What was queued in one turn of the loop leaves together, in one container."""
        queue, self._queue = self._queue, []
        if self.connection is None or not queue:
            return
        if len(queue) == 1:
            self.connection.write(self, *queue[0])
            return
        packed = b"".join(
            Long(message_id) + Int(number) + Int(len(body)) + body
            for message_id, number, body in queue
        )
        self.connection.write(
            self,
            self.ids.next(1),
            self._next_number(content=False),
            CONTAINER + Int(len(queue)) + packed,
        )


# session, message id, query → what the rpc_result holds, or None for no answer at all
Answer = Callable[[Session, int, TLObject], Awaitable[bytes | None]]


class MessageIds:
    """Server message ids: the real time, rising, 1 or 3 in the lowest two bits.

    Clients compare it with their own clock, so this is real time even where the world's clock is
    a test's; `offset` is by how much Telegram's clock is ahead of this machine's.
    """

    def __init__(self, offset: Callable[[], float]) -> None:
        self._offset = offset
        self._last = 0

    def now(self) -> float:
        return time.time() + self._offset()

    def next(self, kind: int) -> int:
        now = int(self.now() * 2**32) & ~3
        # Not after the last one where the clock was set back for a test.
        self._last = now if now < self._last - 2**32 else max(now, self._last + 4)
        return self._last | kind


class Connection:
    """One TCP socket of a client."""

    def __init__(self, server: "MtprotoServer", writer: asyncio.StreamWriter) -> None:
        self._server = server
        self._writer = writer
        self._wire = Wire(ConnectionRole.SERVER)
        self._handshake = Handshake(server.ids.now)
        self._packets = 0
        self._unsent: deque[bytes] = deque()
        self.session: Session | None = None
        self.pending: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader) -> None:
        if self._server.rules().cut_at == 0:
            self.cut()
        while data := await reader.read(65536):
            self._wire.data_received(data)
            while (packet := self._wire.next_event()) is not None:
                self._packets += 1
                if self._packets == self._server.rules().cut_at:
                    self.cut()
                    return
                if not self._server.frozen:
                    self._receive(packet)

    def _receive(self, packet: Any) -> None:
        if isinstance(packet, UnencryptedMessagePacket):
            self._shake_hands(packet)
        elif isinstance(packet, EncryptedMessagePacket):
            self._decrypt(packet)

    def _shake_hands(self, packet: UnencryptedMessagePacket) -> None:
        answer = self._handshake.answer(TLObject.read(BytesIO(packet.message_data)))
        if self._handshake.auth_key:
            self._server.add_key(self._handshake.auth_key)
        plain = UnencryptedMessagePacket(self._server.ids.next(1), answer.write())
        self._send(plain)

    def _decrypt(self, packet: EncryptedMessagePacket) -> None:
        key = self._server.keys.get(packet.auth_key_id)
        if key is None:
            self._send(ErrorPacket(UNKNOWN_KEY))
            return
        plain = packet.decrypt(key.value, ConnectionRole.CLIENT)
        session = self._attach(key, plain.session_id)
        query: Any = TLObject.read(BytesIO(plain.data))
        right_salt = int.from_bytes(plain.salt, "little", signed=True) == key.salt
        code = self._refusal(session, plain)
        if not right_salt and (code is None or self._server.rules().salt_first):
            self._refuse_salt(session, plain)
            return
        if code is not None:
            self._refuse_id(session, plain, code)
            return
        session.heard.add(plain.message_id)
        session.newest = max(session.newest, (plain.message_id, plain.seq_no))
        session.announce(plain.message_id)
        if isinstance(query, MsgContainer):
            for message in query.messages:
                self._handle(session, message.msg_id, message.body)
        else:
            self._handle(session, plain.message_id, query)

    def _attach(self, key: AuthKey, session_id: int) -> Session:
        session = self._server.session(key, session_id)
        if session.connection is not self:
            session.connection, self.session = self, session
            if self._server.rules().resend_unacked:
                session.resend()
            self._server.changed()
        return session

    def _refusal(self, session: Session, plain: DecryptedMessagePacket) -> int | None:
        """https://core.telegram.org/mtproto/service_messages_about_messages, bad_msg_notification."""
        if not self._server.rules().strict_message_ids:
            return None
        number, at = plain.message_id, plain.message_id / 2**32
        if number % 4:
            return ID_ODD
        if at < self._server.ids.now() - TOO_OLD:
            return ID_TOO_LOW
        if at > self._server.ids.now() + TOO_EARLY:
            return ID_TOO_HIGH
        if number in session.heard:
            return ID_TOO_OLD
        newest, sequence = session.newest
        if number < newest:
            return NUMBER_TOO_HIGH if plain.seq_no > sequence else None
        return NUMBER_TOO_LOW if plain.seq_no < sequence - 1 else None

    def _refuse_id(self, session: Session, plain: DecryptedMessagePacket, code: int) -> None:
        self._server.refusals.append(code)
        refusal = raw.types.BadMsgNotification(
            bad_msg_id=plain.message_id, bad_msg_seqno=plain.seq_no, error_code=code
        )
        session.send(refusal.write(), message_id=session.ids.next(1), content=False)

    def _refuse_salt(self, session: Session, plain: DecryptedMessagePacket) -> None:
        """A client starts with salt 0 and learns the right one from this refusal."""
        refusal = raw.types.BadServerSalt(
            bad_msg_id=plain.message_id,
            bad_msg_seqno=plain.seq_no,
            error_code=WRONG_SALT,
            new_server_salt=session.key.salt,
        )
        session.send(refusal.write(), message_id=session.ids.next(1), content=False)

    def _handle(self, session: Session, message_id: int, query: Any) -> None:
        if isinstance(query, raw.types.MsgsAck):
            session.confirm(query.msg_ids)
        elif isinstance(query, (raw.functions.Ping, raw.functions.PingDelayDisconnect)):
            pong = raw.types.Pong(msg_id=message_id, ping_id=query.ping_id)
            session.send(pong.write(), message_id=session.ids.next(1), content=False)
        else:
            # One task per query: they start in the order they came, and an answer that
            # a fault holds back does not hold up the next.
            task = asyncio.create_task(self._answer(session, message_id, query))
            self.pending.add(task)
            task.add_done_callback(self.pending.discard)

    async def _answer(self, session: Session, message_id: int, query: TLObject) -> None:
        try:
            answer = await self._server.answer(session, message_id, query)
        except Exception as problem:
            log.exception("the loopback server failed on %s", type(query).__name__)
            self._server.problems.append(problem)
            return
        if answer is not None:
            session.result(message_id, answer)

    def write(self, session: Session, message_id: int, number: int, body: bytes) -> None:
        salt = session.key.salt.to_bytes(8, "little", signed=True)
        packet = DecryptedMessagePacket(salt, session.id, message_id, number, body)
        encrypted = packet.encrypt(session.key.value, ConnectionRole.SERVER)
        self._send(encrypted)

    def _send(self, packet: Any) -> None:
        self._unsent.append(self._wire.send(packet))
        seconds = self._server.rules().answer_after
        if seconds:
            asyncio.get_running_loop().call_later(seconds, self._out)
        else:
            self._out()

    def _out(self) -> None:
        """What has waited longest: all take the same time."""
        data = self._unsent.popleft()
        if not self._writer.is_closing():
            self._writer.write(data)

    def cut(self) -> None:
        """End the connection at once, whatever is still unsent."""
        self._writer.transport.abort()

    async def close(self) -> None:
        if self.session is not None and self.session.connection is self:
            self.session.connection = None
        for task in self.pending:
            task.cancel()
        await asyncio.gather(*self.pending, return_exceptions=True)
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


class MtprotoServer:
    """Listens on a free port of 127.0.0.1 and hands every query to `answer`.

    `changed` is told when a client connects or leaves; `rules` are the world's.
    """

    def __init__(
        self, answer: Answer, changed: Callable[[], None], rules: Callable[[], Any]
    ) -> None:
        self.answer = answer
        self.changed = changed
        self.rules = rules
        self.ids = MessageIds(lambda: rules().clock_offset)
        self.refusals: list[int] = []  # codes of bad_msg_notification
        self.keys: dict[int, AuthKey] = {}
        self.sessions: dict[tuple[int, int], Session] = {}
        self.connections: set[Connection] = set()
        self.problems: list[Exception] = []  # what a handler raised that it should not have
        self.accepted = 0  # TCP connections so far
        self.frozen = False  # hears nothing, says nothing, keeps the connections
        self.port = 0
        self._listener: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()

    async def listen(self) -> None:
        """Start to accept connections, again on the same port after `refuse`."""
        self._listener = await asyncio.start_server(
            self._accept, HOST, self.port, reuse_address=True
        )
        self.port = self._listener.sockets[0].getsockname()[1]

    def refuse(self) -> None:
        """Stop to accept: new connections are refused by the operating system."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def close(self) -> None:
        self.refuse()
        for connection in list(self.connections):
            connection.cut()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A plain function, so that the task is ours to wait for at the end.
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(self, writer)
        self.connections.add(connection)
        self.accepted += 1
        try:
            await connection.serve(reader)
        except ConnectionError:
            pass
        except Exception as problem:
            log.exception("the loopback connection failed")
            self.problems.append(problem)
        finally:
            self.connections.discard(connection)
            await connection.close()
            self.changed()

    def add_key(self, value: bytes, account: Any = None) -> AuthKey:
        key = AuthKey(value, account)
        return self.keys.setdefault(short_hash(value), key)

    def session(self, key: AuthKey, session_id: int) -> Session:
        at = (short_hash(key.value), session_id)
        if at not in self.sessions:
            self.sessions[at] = Session(session_id, key, self.ids)
        return self.sessions[at]

    def sessions_of(self, account: Any) -> list[Session]:
        return [s for s in self.sessions.values() if s.account is account]
