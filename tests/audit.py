"""What Python itself tells of what is done in this process."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Listener = Callable[[str, tuple[object, ...]], None]  # called in the thread that does it


@contextmanager
def audited(listener: Listener) -> Iterator[None]:
    listeners = _listeners()
    listeners.append(listener)
    try:
        yield
    finally:
        listeners.remove(listener)


@functools.cache
def _listeners() -> list[Listener]:
    """Of the one hook. There is none before anybody listens: it stays for good.

    It is called for every file that is opened and for much more.
    """
    listeners: list[Listener] = []

    def hook(event: str, args: tuple[object, ...]) -> None:
        for listener in listeners:
            listener(event, args)

    sys.addaudithook(hook)
    return listeners
