"""How a bot ends: when it is told to, in time, or to begin anew."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bot.errors import BotError

log = structlog.get_logger(__name__)

STOPPING: Final = 10.0  # seconds for all of it
LAST_MOMENT: Final = 0.5  # of those, for the end of the process
INTERRUPTED: Final = 130  # as a shell counts a process ended by SIGINT
RENEWED_ONCE_IN: Final = 3600.0  # seconds; a login that becomes void more often has a reason


class Ending:
    """`told_to_stop` is called at the first signal. `again`: all is to begin anew."""

    def __init__(self, told_to_stop: Callable[[], None]) -> None:
        self._told_to_stop = told_to_stop
        self.stopping = asyncio.Event()
        self.signalled = False
        self.again = False

    def begin_anew(self) -> None:
        self.again = not self.signalled
        self.stopping.set()

    def watch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)

    def _stop(self, number: int) -> None:
        if self.signalled:
            # Asked twice: nothing is lost by ending here, every row is committed or not begun.
            # Not by an exception: the library's tasks may take ten seconds to be cancelled.
            os._exit(INTERRUPTED)
        log.info("stopping", signal=signal.Signals(number).name)
        self.signalled = True
        self._told_to_stop()
        self.again = False
        self.stopping.set()


def watch_hangups(ask: Callable[[], None], *, stderr: int = 2) -> None:
    """SIGHUP calls `ask`; where it says that the terminal was closed, the bot ends as by SIGTERM."""
    on_terminal = os.isatty(stderr)

    def hung_up() -> None:
        if on_terminal and not os.isatty(stderr):
            signal.raise_signal(signal.SIGTERM)
        else:
            ask()

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hung_up)


@contextmanager
def in_time(seconds: float = STOPPING - LAST_MOMENT) -> Iterator[Callable[[], None]]:
    """Once what it gives is called the process ends after so many seconds, if it has not by itself.

    Each step has its own bounds, but a table that another program holds may make many of them wait.
    A thread, since it is not for the event loop to come to an end when the loop is what hangs.
    """
    timer = threading.Timer(seconds, _leave)
    timer.daemon = True

    def told_to_stop() -> None:
        if timer.ident is None:
            timer.start()

    try:
        yield told_to_stop
    finally:
        timer.cancel()


def leave(exc: BotError) -> NoReturn:
    """End at once, with its line and its code: nothing more may be sent, and rows are written or not.

    What the kernel still holds for a network that is cut must not arrive once it is whole again.
    """
    log.error("ending at once", error=str(exc))
    sys.stdout.flush()
    sys.stderr.write(f"error: {exc}\n")
    sys.stderr.flush()
    for each in Path("/dev/fd").iterdir():
        with suppress(OSError), socket.socket(fileno=os.dup(int(each.name))) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os._exit(exc.exit_code)


def _leave() -> None:
    log.warning("stopped without closing everything: what is pending stays pending")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # as safe as after a second signal; see there


class Renewals:
    """Whether a login that has become void is made anew: a bot's token can, now and then."""

    def __init__(self, *, allowed: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._allowed = allowed
        self._clock = clock
        self._last: float | None = None

    @property
    def left(self) -> bool:
        long_ago = self._last is None or self._clock() - self._last >= RENEWED_ONCE_IN
        return self._allowed and long_ago

    def take(self) -> bool:
        taken = self.left
        if taken:
            self._last = self._clock()
        return taken
