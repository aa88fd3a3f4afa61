"""Work for one thread, handed over at little cost."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class _Asked(NamedTuple):
    work: Callable[[], Any]
    answer: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop


class OwnThread:
    """Does one thing after the other, in the order in which they were asked for.

    An executor takes a result through two futures and their locks: twice the processor time, and more
    than most questions to the tables take themselves.
    """

    def __init__(self, name: str) -> None:
        self._asked: SimpleQueue[_Asked | None] = SimpleQueue()  # None: the end
        # What a process that ends in disorder had asked for is not waited for: it comes again.
        Thread(target=self._run, name=name, daemon=True).start()

    async def do(self, work: Callable[[], T]) -> T:
        """Once it was asked for it is done, whatever becomes of whoever asked."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self._asked.put(_Asked(work, answer, loop))
        return await answer

    def end(self) -> None:
        """Behind whatever was asked before."""
        self._asked.put(None)

    def _run(self) -> None:
        while (asked := self._asked.get()) is not None:
            told = _done(asked)
            with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
                asked.loop.call_soon_threadsafe(told)
            del asked, told  # not to be kept until something else is asked


def _done(asked: _Asked) -> Callable[[], None]:
    """What is then told in the loop."""
    try:
        return partial(_tell, asked.answer, asked.work())
    except BaseException as exc:  # noqa: BLE001  # it is raised where it is waited for
        return partial(_tell, asked.answer, None, exc)


def _tell(answer: asyncio.Future[Any], result: object, error: BaseException | None = None) -> None:
    if answer.done():  # cancelled
        return
    if error is None:
        answer.set_result(result)
    else:
        answer.set_exception(error)
