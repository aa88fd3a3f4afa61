"""A lost connection comes back, whatever stands in its way, or it is known that it cannot.

Both libraries restart a session in a task that nobody awaits. What that task dies of, a login that
is void or a session file that is locked, leaves the session dead without a word; and Pyrogram
2.0.106 repeats some refusals at once and for ever. So the restart is ours, and theirs is not used.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import structlog
from pyrogram.errors.rpc_error import RPCError

from bot.errors import BotError, LoggedOut, RetryLater
from bot.telegram.rpc_errors import refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = structlog.get_logger(__name__)

RETRY, RETRY_AT_MOST = 1.0, 30.0  # seconds, doubled with each failure
CANCELLED_AGAIN: Final = 0.5  # seconds


class Reconnecting:
    """Restarts a library's session that was started.

    `lost` is called when the connection is gone, `back` when there is a new one, and `void` when
    there will be none: Telegram does not know this login any more. `sleep` takes seconds.
    """

    def __init__(
        self,
        session: Any,
        *,
        lost: Callable[[], None],
        back: Callable[[], None],
        void: Callable[[LoggedOut], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._session = session
        self._send = session.send
        self._lost = lost
        self._back = back
        self._void = void
        self._sleep = sleep
        self._task: asyncio.Task[Any] | None = None  # the restart under way
        self._refused: Exception | None = None  # what its last attempt was answered
        self._ended = False
        self._restarting: asyncio.Future[None] | None = None  # one that is ours
        # By these names the library calls them, in tasks of its own.
        session.restart = self.restart
        session.send = self._sent
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
        self._forget_ended_tasks()

    async def _until_started(self) -> None:
        failures = 0
        while True:
            self._lost()
            error = await self._start_again()
            if error is None:
                break
            if isinstance(error, LoggedOut):
                self._ended = True
                self._void(error)
                return
            pause = _pause_after(error, failures)
            failures += 1
            log.warning("not connected again yet", error=_words(error), retry_in=pause)
            await self._sleep(pause)
        self._started()
        self._back()

    async def _start_again(self) -> Exception | None:
        """What was in the way; None: the session is started."""
        self._refused = None
        try:
            self._forget_ended_tasks()
            await self._session.stop()
            await self._session.start()
        except Exception as exc:  # noqa: BLE001 - whatever it is, the next attempt may do better
            error = self._refused or exc
        else:
            if self._session.is_started.is_set():
                return None
            # Kurigram has left the rest to a restart, which is this one.
            error = self._refused or ConnectionError("no connection")
        return refusal(error, None) if isinstance(error, RPCError) else error

    def _forget_ended_tasks(self) -> None:
        """The library awaits them when it stops, and would itself die of what they died of."""
        for name in ("ping_task", "recv_task"):
            task = getattr(self._session, name)
            if task is not None and task.done():
                setattr(self._session, name, None)

    async def _sent(self, data: Any, wait_response: bool = True, *args: Any, **more: Any) -> Any:  # noqa: FBT001, FBT002 - the library's own signature
        """As the library sends, but what refuses a restart is not for the library to repeat."""
        try:
            return await self._send(data, wait_response, *args, **more)
        except (OSError, RPCError) as exc:
            if asyncio.current_task() is not self._task:
                raise
            self._refused = exc
            raise _Refused from exc

    def _started(self) -> None:
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
        """A connection that ended in the very moment of its start ends without a restart."""
        reader: asyncio.Task[None] | None = self._session.recv_task
        if reader is not None:  # else the library has noticed, and restarts
            reader.add_done_callback(self._reader_ended)

    def _reader_ended(self, reader: asyncio.Task[None]) -> None:
        if not reader.cancelled():
            reader.exception()  # looked at: it is not for the interpreter to complain of
        session = self._session
        if session.recv_task is reader and session.is_started.is_set():
            self._restarting = asyncio.ensure_future(self.restart())


class _Refused(Exception):
    """Neither of the errors that the libraries repeat."""


async def cancelled(task: asyncio.Future[Any]) -> None:
    """Cancel it until it is done: `wait_for`, in the library, may swallow a cancellation."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=CANCELLED_AGAIN)


def _pause_after(error: Exception, failures: int) -> float:
    doubled: float = min(RETRY * 2 ** min(failures, 20), RETRY_AT_MOST)
    asked = error.after if isinstance(error, RetryLater) else None
    return doubled if asked is None else max(doubled, asked.total_seconds())


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, BotError) else repr(error)
