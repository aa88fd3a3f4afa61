"""Growing pauses between attempts at what does not work, and when they may be short again."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Pause = TypeVar("Pause", float, timedelta)


def doubled(first: Pause, at_most: Pause, failures: int) -> Pause:
    """How long to wait after so many earlier failures in a row: `first`, twice that, and so on."""
    pause: Pause = first * 2 ** min(failures, 20)
    return min(pause, at_most)


class Backoff:
    """Pauses of `first` seconds, doubled with each attempt, up to `at_most`.

    They begin anew only after something has worked for `lasting` seconds. What breaks again at once
    is a failure like any other: otherwise a server that cuts each connection would be asked without
    a pause. `clock` is seconds, of any beginning.
    """

    def __init__(
        self,
        first: float,
        at_most: float,
        *,
        lasting: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._first = first
        self._at_most = at_most
        self._lasting = lasting
        self._clock = clock
        self._attempts = 0  # since something lasted
        self._works_since: float | None = None  # None: it does not work

    def works(self) -> None:
        """From now on, until the next `pause`."""
        self._works_since = self._clock()

    def pause(self) -> float:
        """Seconds to wait before the next attempt; 0 for the first one."""
        since, self._works_since = self._works_since, None
        if since is not None and self._clock() - since >= self._lasting:
            self._attempts = 0
        attempts, self._attempts = self._attempts, self._attempts + 1
        return doubled(self._first, self._at_most, attempts - 1) if attempts else 0.0
