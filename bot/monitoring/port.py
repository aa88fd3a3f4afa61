"""A small HTTP server for pages that only tell: nobody who asks can hold up the bot.

At most so many connections are open at once; all others wait in the kernel, at no cost to us. Who has sent no
whole request gives way to those behind them. Answers are paced, and one page is made once for all who ask for it
at a time. https://www.rfc-editor.org/rfc/rfc9112
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
from collections import Counter
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from ipaddress import ip_address
from math import inf
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from bot.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

log = structlog.get_logger(__name__)

AT_ONCE: Final = 32  # connections
WAITING: Final = 512  # connections in the kernel
PACE: Final = 0.01  # seconds between two answers
BURST: Final = 20  # answers that come without a pause
FRESH_FOR: Final = 0.5  # seconds for which a page is given to whoever asks
SAID_EVERY: Final = 60.0  # seconds between two lines in the log
LARGEST: Final = 8_192  # bytes of a request
END: Final = b"\r\n\r\n"
CHUNK: Final = 4_096
HOST: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:@]+)(?::[0-9]+)?")
HEADERS: Final = (
    "Cache-Control: no-store",
    "Connection: close",
    "Cross-Origin-Resource-Policy: same-origin",
    "Referrer-Policy: no-referrer",
    "X-Content-Type-Options: nosniff",
    "X-Frame-Options: DENY",
)


class Patience(NamedTuple):
    """In seconds."""

    crowded: float = 0.1  # for a request to come whole when others wait
    asking: float = 5.0  # for it to come else
    answering: float = 15.0  # for its answer to be made and taken


PATIENT: Final = Patience()


class Response(NamedTuple):
    body: bytes
    kind: str  # as a Content-Type
    status: int = 200
    policy: str = "default-src 'none'"  # as a Content-Security-Policy


class Resource(NamedTuple):
    """`private`: for people on this machine alone, who ask by its address and not by any name."""

    make: Callable[[], Awaitable[Response]]
    private: bool = False
    fresh_for: float | None = None  # seconds; None: as long as others


class Request(NamedTuple):
    method: str
    path: str
    host: str | None  # None: not said
    local: bool  # it comes from this machine


def as_json(facts: Mapping[str, object], status: int) -> Response:
    return Response(json.dumps(facts).encode(), "application/json; charset=utf-8", status)


def plain(text: str, status: int = 200) -> Response:
    return Response(f"{text}\n".encode(), "text/plain; charset=utf-8", status)


class Port:
    """`page_at`: of a path; None: there is none. `clock` and what `sleep` takes are seconds.

    `fresh_for`: how long a page that was made is given.
    """

    def __init__(
        self,
        page_at: Callable[[str], Resource | None],
        *,
        fresh_for: float = FRESH_FOR,
        patience: Patience = PATIENT,
        clock: Callable[[], float] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._page_at = page_at
        self._clock = clock or asyncio.get_running_loop().time
        self._sleep = sleep
        self._fresh_for = fresh_for
        self._patience = patience
        self._made: dict[str, tuple[float, asyncio.Future[Response]]] = {}
        self._open: dict[asyncio.Task[None], float] = {}  # since when, the oldest first
        self._asking: set[asyncio.Task[None]] = set()  # those that have sent no whole request yet
        self._next_at = -inf  # when the next answer is due
        self._unanswered: Counter[str] = Counter()
        self._said_at = -SAID_EVERY

    @property
    def connections(self) -> int:
        return len(self._open)

    async def run(self, listener: socket.socket) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                while len(self._open) >= AT_ONCE:
                    await self._make_room()
                try:
                    connection, (address, *_) = await loop.sock_accept(listener)
                except OSError as exc:  # too many files, or they are gone already
                    self._note(os.strerror(exc.errno or 0))
                    await self._sleep(self._patience.crowded)
                else:
                    self._begin(connection, address)
        finally:
            for task in self._open:
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)

    def _begin(self, connection: socket.socket, address: str) -> None:
        connection.setblocking(False)  # noqa: FBT003  # it is the socket's own way to say so
        task = asyncio.create_task(self._serve(connection, address))
        self._open[task] = self._clock()
        self._asking.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._open.pop(task, None)
        self._asking.discard(task)

    async def _make_room(self) -> None:
        """Wait for one to end; the oldest that has not asked for anything yet is ended."""
        oldest = next((task for task in self._open if task in self._asking), None)
        left = None
        if oldest is not None:
            left = max(0.0, self._open[oldest] + self._patience.crowded - self._clock())
        await asyncio.wait(self._open, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if oldest in self._asking and len(self._open) >= AT_ONCE:
            self._note("gave way")
            oldest.cancel()
            await asyncio.wait([oldest])

    async def _serve(self, connection: socket.socket, address: str) -> None:
        try:
            with connection:
                begin = await self._begin_of(connection)
                if not begin:
                    return
                async with asyncio.timeout(self._patience.asking):
                    local = ip_address(address).is_loopback
                    request = await _request(connection, begin, local=local)
                self._asking.discard(asyncio.current_task())
                async with asyncio.timeout(self._patience.answering):
                    await self._keep_pace()
                    await self._tell(connection, request)
        except TimeoutError:
            self._note("too slow")
        except OSError:
            self._note("broke off")

    async def _begin_of(self, connection: socket.socket) -> bytes:
        """Empty: nothing came. Browsers hold such connections ready, and it is no trouble."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience.asking):
                return await asyncio.get_running_loop().sock_recv(connection, CHUNK)
        return b""

    async def _tell(self, connection: socket.socket, request: Request | None) -> None:
        if request is None:
            self._note("not understood")
            answer = plain("this is not HTTP as it is spoken here", 400)
        else:
            answer = await self.answer(request)
        only_head = request is not None and request.method == "HEAD"
        whole = _head(answer) + (b"" if only_head else answer.body)
        await asyncio.get_running_loop().sock_sendall(connection, whole)
        connection.shutdown(socket.SHUT_WR)
        with suppress(OSError):
            connection.recv(CHUNK)  # what is unread would have the kernel take the answer back

    async def _keep_pace(self) -> None:
        now = self._clock()
        self._next_at = max(self._next_at + PACE, now - BURST * PACE)
        if self._next_at > now:
            await self._sleep(self._next_at - now)

    async def answer(self, request: Request) -> Response:
        page = self._page_at(request.path)
        if page is None:
            return plain("there is nothing here", 404)
        if request.method not in {"GET", "HEAD"}:
            return plain("this can only be read", 405)
        if page.private and not request.local:
            return plain("this page is for those on the machine itself: ssh -L leads to it", 403)
        if page.private and not is_address(request.host):
            # A page elsewhere could have its own name lead here, and read it in the reader's browser.
            return plain("ask by an address, such as 127.0.0.1, or by localhost", 421)
        return await self._page(request.path, page)

    async def _page(self, path: str, page: Resource) -> Response:
        """Made once for all who ask at a time."""
        until, made = self._made.get(path, (0.0, None))
        if made is None or (made.done() and self._clock() >= until):
            made = asyncio.ensure_future(page.make())
            fresh_for = self._fresh_for if page.fresh_for is None else page.fresh_for
            self._made[path] = (self._clock() + fresh_for, made)
        try:
            return await asyncio.shield(made)
        except Exception as exc:  # noqa: BLE001  # whoever asks must not end the bot, nor fill its log
            self._note("failed", error=f"{type(exc).__name__}: {exc}")
            return plain("this page could not be made; the log says why", 500)

    def _note(self, what: str, **more: object) -> None:
        """In a line of the log, but for one a minute at most."""
        self._unanswered[what] += 1
        if self._clock() - self._said_at < SAID_EVERY:
            return
        self._said_at = self._clock()
        counts = {name.replace(" ", "_"): number for name, number in self._unanswered.items()}
        log.warning("requests on the health port went unanswered", **counts, **more)
        self._unanswered.clear()


async def _request(connection: socket.socket, read: bytes, *, local: bool) -> Request | None:
    """`read`: its begin. None: it is none that we understand. Raises `OSError`."""
    loop = asyncio.get_running_loop()
    while END not in read and len(read) <= LARGEST:
        more = await loop.sock_recv(connection, CHUNK)
        if not more:
            raise ConnectionResetError
        read += more
    if len(read) > LARGEST:
        return None
    first, *lines = read.partition(END)[0].decode("latin-1").split("\r\n")
    words = first.split(" ")
    pairs = [line.partition(":") for line in lines]
    hosts = [value.strip() for name, _, value in pairs if name.lower() == "host"]
    if len(words) != 3 or not words[2].startswith("HTTP/1.") or len(hosts) > 1:  # noqa: PLR2004  # RFC
        return None
    return Request(words[0], words[1].partition("?")[0], next(iter(hosts), None), local)


def is_address(host: str | None) -> bool:
    """A name other than localhost may lead anywhere, and to here in the midst of a visit."""
    found = HOST.fullmatch(host or "")
    if found is None:
        return False
    if found["host"].lower() == "localhost":
        return True
    try:
        ip_address(found["host"].strip("[]"))
    except ValueError:
        return False
    return True


def _head(answer: Response) -> bytes:
    said = (
        f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}",
        f"Content-Type: {answer.kind}",
        f"Content-Length: {len(answer.body)}",
        f"Content-Security-Policy: {answer.policy}",
        *HEADERS,
    )
    return "\r\n".join(said).encode("ascii") + END


@asynccontextmanager
async def listening(port: Port, host: str, number: int) -> AsyncIterator[int]:
    """Response until the context ends; gives the number, which for 0 is one that was free.

    Raises `SettingsError` if the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, number), family=family, backlog=WAITING)
    except OSError as exc:
        reason = os.strerror(exc.errno) if exc.errno else str(exc)
        raise SettingsError(f"HEALTH_PORT: cannot listen on {host}:{number}: {reason}") from exc
    with listener:
        listener.setblocking(False)  # noqa: FBT003  # as above
        running = asyncio.create_task(port.run(listener))
        try:
            yield int(listener.getsockname()[1])
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
