"""Waiting, and an end to it: for tables and Telegram until they answer, for tasks until they are done."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import structlog

from bot.admin.formatting import excerpt
from bot.errors import DatabaseError, TelegramError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from datetime import timedelta

log = structlog.get_logger(__name__)

T = TypeVar("T")

TABLE_RETRY, TABLE_RETRY_AT_MOST = 1.0, 30.0  # seconds
TRIES: Final = 5  # of an event that fails by itself
ERROR_MAX: Final = 200  # characters of an error that are kept


@dataclass(frozen=True, slots=True)
class Pace:
    """`pause` is seconds before the second try of an event, and `clock` unix seconds."""

    pause: float = TABLE_RETRY
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class NotRecorded(Exception):
    """Told to stop before the tables had taken it: it is to come again."""


class GivenUp(Exception):
    """It fails for a reason of its own, again and again. The text is one line that tells which."""


async def unless(event: asyncio.Event, seconds: float) -> None:
    """Wait, but no longer than until the event."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass


async def patiently(
    work: Callable[[], Awaitable[T]],
    stopping: asyncio.Event,
    *,
    pause: float = TABLE_RETRY,
    rest: Callable[[asyncio.Event, float], Awaitable[None]] = unless,
) -> T:
    """Do it, however long the tables, or Telegram, take to answer. Raises `NotRecorded`, `GivenUp`.

    Tried at least once: what is in hand when the bot is told to stop is still recorded. Given up
    for a reason of its own only, since those behind it must not wait for ever.
    """
    tries = 0
    while True:
        tries += 1
        try:
            return await work()
        except DatabaseError as exc:
            log.warning("table does not answer, intake waits", error=str(exc), retry_in=pause)
        except TelegramError as exc:
            # It was asked about a parent. Without an answer the reply would be decided wrongly.
            pause = max(pause, _wished(exc))
            log.warning("Telegram does not answer, intake waits", error=str(exc), retry_in=pause)
        except Exception as exc:
            log.exception("an event cannot be dealt with", tries=tries)
            if tries == TRIES:
                raise GivenUp(_in_words(exc)) from exc
        await rest(stopping, pause)
        if stopping.is_set():
            log.error("stopped before an event was recorded")
            raise NotRecorded
        pause = min(2 * pause, TABLE_RETRY_AT_MOST)  # Telegram's wish is for once


def _wished(exc: TelegramError) -> float:
    """The seconds that Telegram wants us to wait; 0: it does not say."""
    after: timedelta | None = getattr(exc, "after", None)
    return 0.0 if after is None else after.total_seconds()


def _in_words(exc: Exception) -> str:
    """One line without SQL, whose parameters may be what somebody wrote."""
    said = str(getattr(exc, "orig", None) or exc).encode("utf-8", "replace").decode()
    return excerpt(f"{type(exc).__name__}: {said}", ERROR_MAX)


async def end(tasks: Iterable[asyncio.Task[Any]], *, patience: float = 0.5) -> None:
    """Cancel them and wait until they are done. `patience` is seconds between two attempts.

    Once is not enough: `wait_for`, in the library's calls, swallows a cancellation that comes
    together with its result. https://github.com/python/cpython/issues/86296, mended in 3.12
    """
    running = {task for task in tasks if not task.done()}
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=patience)
