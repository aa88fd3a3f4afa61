"""A lost connection comes back, whatever stands in its way, or it is known that it cannot.

Both libraries restart a session in a task that nobody awaits. What that task dies of, a login that
is void or a session file that is locked, leaves the session dead without a word. So the restart is
ours, and theirs is not used.
"""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import structlog
from pyrogram.errors.rpc_error import RPCError

from bot.backoff import Backoff
from bot.errors import BotError, LoggedOut, RetryLater
from bot.telegram.rpc_errors import refusal
from bot.telegram.session import cancelled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = structlog.get_logger(__name__)

RETRY, RETRY_AT_MOST = 1.0, 30.0  # seconds, doubled with each attempt
LASTING: Final = 60.0  # seconds; a connection that ends sooner is as good as none


class Reconnecting:
    """Restarts a session that was started.

    `lost` is called when the connection is gone, `back` when there is a new one, and `void` when
    there will be none: Telegram does not know this login any more. `sleep` takes seconds, `clock`
    gives them. A connection that ended before it was `lasting` seconds old shortens no pause.
    """

    def __init__(
        self,
        session: Any,
        *,
        lost: Callable[[], None],
        back: Callable[[], None],
        void: Callable[[LoggedOut], None],
        lasting: float = LASTING,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session = session
        self._lost = lost
        self._back = back
        self._void = void
        self._backoff = Backoff(RETRY, RETRY_AT_MOST, lasting=lasting, clock=clock)
        self._sleep = sleep
        self._task: asyncio.Task[Any] | None = None  # the restart under way
        self._ended = False
        self._restarting: asyncio.Future[None] | None = None  # one that is ours
        session.restart = self.restart  # the name that the libraries call
        self._started()

    async def restart(self) -> None:
        """Until the session is started again or never can be. One at a time."""
        if self._task is not None or self._ended:
            return
        self._task = asyncio.current_task()
        try:
            await self._until_started()
        finally:
            self._task = None

    async def close(self) -> None:
        """From now on the session stays as it is."""
        self._ended = True
        if self._task is not None:
            await cancelled(self._task)

    async def _until_started(self) -> None:
        error: Exception | None = None
        while True:
            self._lost()
            await self._rest(error)
            error = await self._start_again()
            if error is None:
                break
            if isinstance(error, LoggedOut):
                self._ended = True
                self._void(error)
                return
        self._started()
        self._back()

    async def _rest(self, error: Exception | None) -> None:
        """Before an attempt. `error` None: it is the first one since there was a connection."""
        pause = self._backoff.pause()
        if isinstance(error, RetryLater) and error.after is not None:
            pause = max(pause, error.after.total_seconds())
        if error is not None:
            log.warning("not connected again yet", error=_words(error), retry_in=pause)
        elif pause:
            log.warning("connection did not last", retry_in=pause)
        if pause:
            await self._session.stop()
            await self._sleep(pause)

    async def _start_again(self) -> Exception | None:
        """What was in the way; None: the session is started."""
        try:
            await self._session.stop()
            await self._session.start()
        except RPCError as exc:
            return refusal(exc, None)
        except Exception as exc:  # noqa: BLE001 - whatever it is, the next attempt may do better
            return exc
        return None

    def _started(self) -> None:
        self._backoff.works()
        self._watch_reader()
        self._send_at_once()

    def _send_at_once(self) -> None:
        """The libraries leave Nagle's algorithm on. A query behind an acknowledgement of theirs would
        wait for one of Telegram's, which may be 40 ms late (RFC 896, and RFC 1122, 4.2.3.2).
        """
        writer = getattr(getattr(self._session.connection, "protocol", None), "writer", None)
        connection = writer and writer.get_extra_info("socket")
        if connection is not None:
            with suppress(OSError):  # it is gone already
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _watch_reader(self) -> None:
        reader: asyncio.Task[None] | None = self._session.recv_task
        if reader is not None:
            reader.add_done_callback(self._reader_ended)

    def _reader_ended(self, reader: asyncio.Task[None]) -> None:
        if not reader.cancelled():
            reader.exception()  # looked at: it is not for the interpreter to complain of
        session = self._session
        if session.recv_task is reader and session.is_started.is_set():
            self._restarting = asyncio.ensure_future(self.restart())


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, BotError) else str(error) or repr(error)
