"""One session with Telegram, over one connection at a time, as both libraries lack it.

The libraries start theirs with attempts that follow each other without a pause, give an answer 2 s,
take the machine's clock for Telegram's, and hand each packet to a thread.
Here a start is one attempt that fails with its cause, and whoever starts it decides on the next.
https://core.telegram.org/mtproto/service_messages_about_messages
"""

from __future__ import annotations

import asyncio
import bisect
import logging
import os
from contextlib import suppress
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

import structlog
from pyrogram import raw
from pyrogram.connection.connection import Connection
from pyrogram.crypto import mtproto
from pyrogram.errors.rpc_error import RPCError
from pyrogram.raw.all import layer
from pyrogram.session.session import Session

from bot.phrases import phrase
from bot.telegram.connection import SILENCE, ConnectionCut, NoAnswer, PatientConnection, ended
from bot.telegram.layers import build
from bot.telegram.server_time import MessageFactory

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.telegram.server_time import ServerTime

log = structlog.get_logger(__name__)
library_log = logging.getLogger(Session.__module__)  # whose own `send` says it there

functions: Final[Any] = raw.functions
types: Final[Any] = raw.types
core: Final[Any] = raw.core

PING: Final = 5.0  # seconds
GONE_AFTER: Final = 60  # seconds without a ping; then Telegram ends the connection by itself
OLD: Final = 300.0  # seconds; a message of Telegram's from so long ago is a repeated one
AHEAD: Final = 20.0  # seconds, of our ids; Telegram takes 30
ID_TOO_LOW, ID_TOO_HIGH = 16, 17  # codes of bad_msg_notification
OUT_OF_SEQUENCE: Final = (ID_TOO_HIGH, 32, 33)  # a new session has another sequence
TRIES: Final = 3  # of one query that is refused for its id alone
SEEN_AT_MOST: Final = 2_000  # ids of messages
ACKNOWLEDGED_AT: Final = 10  # messages
SMALL: Final = 2**15  # bytes of a packet; a text has 16 KB at most, a difference may have 1 MB
CANCELLED_AGAIN: Final = 0.5  # seconds


class RelaySession(Session):
    """`silence` is seconds. `start` after `stop` goes on with the same session on a new connection.

    Whoever restarts it watches `recv_task`, which ends with the connection, and finds the cause in
    `ended_by`.
    """

    client: Any
    connection: Any
    msg_factory: Any
    recv_task: Any
    ping_task: Any

    def __init__(self, clock: ServerTime, silence: float, *args: Any) -> None:
        super().__init__(*args)
        self._clock = clock
        self._silence = silence
        self._tasks: set[asyncio.Task[Any]] = set()
        self.ended_by: Exception | None = None
        self._begin()

    def _begin(self) -> None:
        """A new session: other ids than before may be used, and nothing of the old one comes."""
        self.session_id = os.urandom(8)
        self.msg_factory = MessageFactory(self._clock)
        self.stored_msg_ids = []
        self._forgotten = 0  # ids up to this one
        self.pending_acks = set()

    # ── coming and going ──

    async def start(self) -> None:
        """Connect and introduce ourselves: one attempt. Raises whatever was in the way."""
        if self.msg_factory.ahead > AHEAD:
            self._begin()
        self.ended_by = None
        try:
            self.connection = self._new_connection()
            await self.connection.connect()
            self.recv_task = asyncio.create_task(self.recv_worker())
            await self.invoke(await self._introduction())
            self.ping_task = asyncio.create_task(self.ping_worker())
        except BaseException:
            await self.stop()
            raise
        self.is_started.set()

    async def stop(self) -> None:
        self.is_started.clear()
        for task in (self.ping_task, self.recv_task):
            if task is not None:
                await cancelled(task)
        self.ping_task = self.recv_task = None
        if self.connection is not None:
            await self.connection.close()

    async def restart(self) -> None:
        """For whoever looks after the connection. Until there is somebody, it just ends."""

    def _new_connection(self) -> Any:
        where = {
            "dc_id": self.dc_id,
            "server_address": getattr(self, "server_address", None),
            "port": getattr(self, "port", None),
            "test_mode": self.test_mode,
            "ipv6": self.client.ipv6,
            "proxy": self.client.proxy,
            "loop": self.client.loop,
        }
        return PatientConnection.like(build(Connection, **where), self._silence)

    async def _introduction(self) -> Any:
        client = self.client
        query = build(
            functions.InitConnection,
            api_id=await client.storage.api_id(),
            app_version=client.app_version,
            device_model=client.device_model,
            system_version=client.system_version,
            system_lang_code=getattr(client, "system_lang_code", client.lang_code),
            lang_pack=getattr(client, "lang_pack", ""),
            lang_code=client.lang_code,
            query=functions.help.GetConfig(),
        )
        return functions.InvokeWithLayer(layer=layer, query=query)

    # ── asking ──

    async def invoke(self, query: Any, *_args: Any, **_more: Any) -> Any:
        """Its answer. One try, which ends with the connection; the libraries make ten."""
        asking = asyncio.create_task(self.send(query, timeout=self._silence))
        reader = self.recv_task
        try:
            waiting = {asking} if reader is None else {asking, reader}
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                raise self.ended_by or ConnectionCut(phrase("the connection was cut"))
            return asking.result()
        finally:
            await cancelled(asking)

    async def send(
        self,
        data: Any,
        wait_response: bool = True,  # noqa: FBT001, FBT002 - the library's own signature
        timeout: float = SILENCE,  # noqa: ASYNC109 - as well
    ) -> Any:
        """Its answer. What Telegram refused for its id alone is sent again, with another."""
        started = self.is_started.is_set()
        for _ in range(TRIES):
            try:
                answer = await self._sent(data, timeout if wait_response else None)
            except TimeoutError as exc:
                raise NoAnswer(phrase("no answer in {seconds} s", seconds=f"{timeout:g}")) from exc
            except OSError as exc:
                raise self.ended_by or ConnectionCut(phrase("the connection was cut")) from exc
            if not isinstance(answer, types.BadMsgNotification):
                return answer
            if started and answer.error_code != ID_TOO_LOW:
                break  # and the connection is ended, see `_look_at_refusal`
        raise ConnectionCut(f"refused by MTProto with code {answer.error_code}")

    async def _sent(self, data: Any, patience: float | None) -> Any:
        """What is answered within so many seconds; None: that is not waited for."""
        message = self.msg_factory(data)
        library_log.debug("Sent: %s", message)
        packet = await self._done(
            partial(mtproto.pack, message, self.salt, *self._keys), message.length
        )
        if patience is None:
            return await self.connection.send(packet)
        answered = self.results[message.msg_id] = asyncio.get_running_loop().create_future()
        try:
            await self.connection.send(packet)
            async with asyncio.timeout(patience):
                answer = await answered
        finally:
            del self.results[message.msg_id]
        if isinstance(answer, types.RpcError):
            RPCError.raise_it(answer, type(data))
        if isinstance(answer, types.BadServerSalt):
            self.salt = answer.new_server_salt
            return await self._sent(data, patience)
        return answer

    async def ping_worker(self) -> None:
        """So that something comes, and Telegram knows that we are there."""
        while True:
            await asyncio.sleep(PING)
            ping = functions.PingDelayDisconnect(
                ping_id=int.from_bytes(os.urandom(7), "little"), disconnect_delay=GONE_AFTER
            )
            with suppress(OSError):  # the reader will know
                await self.send(ping, wait_response=False)

    # ── hearing ──

    async def recv_worker(self) -> None:
        """Until the connection ends."""
        connection = self.connection
        while True:
            packet = await connection.recv()
            if packet is None or len(packet) == 4:  # noqa: PLR2004 - an error code alone
                self.ended_by = ended(connection, packet)
                return
            await self.handle_packet(packet)

    def _keep(self, coroutine: Any) -> None:
        """The loop holds no reference to a task of its own."""
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def handle_packet(self, packet: bytes) -> None:
        """In their order: a small one does not overtake a large one."""
        try:
            self._hear(await self.unpacked(packet))
        except Exception as exc:  # noqa: BLE001 - what one packet holds is nothing to the others
            log.warning("packet cannot be read", error=type(exc).__name__)

    def _hear(self, data: Any) -> None:
        self._clock.hear(data.msg_id)
        contained = isinstance(data.body, core.MsgContainer)
        for message in data.body.messages if contained else [data]:
            if self._is_new(message):
                self._take(message)
        if len(self.pending_acks) >= ACKNOWLEDGED_AT:
            acknowledged, self.pending_acks = list(self.pending_acks), set()
            self._keep(self._acknowledge(acknowledged))

    async def _acknowledge(self, ids: list[int]) -> None:
        with suppress(OSError):
            await self.send(types.MsgsAck(msg_ids=ids), wait_response=False)

    async def unpacked(self, packet: bytes) -> Any:
        """Decrypted, checked and parsed. Raises what the library raises."""
        work = partial(mtproto.unpack, BytesIO(packet), *self._keys)
        return await self._done(work, len(packet))

    @property
    def _keys(self) -> tuple[bytes, bytes, bytes]:
        return self.session_id, self.auth_key, self.auth_key_id

    @staticmethod
    async def _done(work: Callable[[], Any], size: int) -> Any:
        """In a thread, as the libraries do it, only what is large: the way there is longer than the work."""
        return work() if size <= SMALL else await asyncio.to_thread(work)

    def _is_new(self, message: Any) -> bool:
        """https://core.telegram.org/mtproto/security_guidelines#checking-msg-id."""
        number, seen = message.msg_id, self.stored_msg_ids
        if message.seq_no % 2:
            self.pending_acks.add(number)
        where = bisect.bisect_left(seen, number)
        if number <= self._forgotten or (where < len(seen) and seen[where] == number):
            return False
        seen.insert(where, number)
        if len(seen) > SEEN_AT_MOST:
            self._forgotten = seen[SEEN_AT_MOST // 2]
            del seen[: SEEN_AT_MOST // 2 + 1]
        return True

    def _take(self, message: Any) -> None:
        body = message.body
        answered = _answered(body)
        self._clock.hear(message.msg_id, answers=answered)
        if message.msg_id / 2**32 < self._clock.now() - OLD:
            log.debug("message is too old")
            return
        if isinstance(body, (types.MsgDetailedInfo, types.MsgNewDetailedInfo)):
            self.pending_acks.add(body.answer_msg_id)
        elif answered is None and not isinstance(body, types.NewSessionCreated):
            self._keep(self.client.handle_updates(body))
        if isinstance(body, types.BadMsgNotification):
            self._keep(self._look_at_refusal(body))
        elif answered is not None:
            self._answer(answered, body)

    def _answer(self, number: int, body: Any) -> None:
        waiting = self.results.get(number)
        if waiting is not None and not waiting.done():
            waiting.set_result(getattr(body, "result", body))

    async def _look_at_refusal(self, body: Any) -> None:
        """Ids must rise within a session: where they were too high, as by a fast clock, another begins."""
        log.warning("refused by MTProto", code=body.error_code)
        if body.error_code in OUT_OF_SEQUENCE:
            if self.is_started.is_set():
                # Other queries are under way. They will be asked again on the next connection.
                await self.connection.close()
            self._begin()
        self._answer(body.bad_msg_id, body)


def _answered(body: Any) -> int | None:
    """The id of the message of ours that this is the answer to."""
    if isinstance(body, (types.BadMsgNotification, types.BadServerSalt)):
        found = body.bad_msg_id
    elif isinstance(body, (core.FutureSalts, types.RpcResult)):
        found = body.req_msg_id
    elif isinstance(body, types.Pong):
        found = body.msg_id
    else:
        return None
    return int(found)


async def cancelled(task: asyncio.Future[Any]) -> None:
    """Cancel it until it is done: `wait_for`, in the library, may swallow a cancellation.

    Nobody asks what it fails with then; else the loop would complain of that some time later.
    """
    if task.done():
        return
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=CANCELLED_AGAIN)
    if not task.cancelled():
        task.exception()
