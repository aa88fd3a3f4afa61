"""Telegram's own time, and message ids made by it.

The upper 32 bits of a message id are unix seconds. Telegram refuses ids that are more than 300 s
behind its own clock or 30 s ahead of it. https://core.telegram.org/mtproto/description
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from pyrogram import raw

if TYPE_CHECKING:
    from collections.abc import Callable

core: Final[Any] = raw.core
functions: Final[Any] = raw.functions
types: Final[Any] = raw.types

SECOND: Final = 2**32  # in message ids
CLIENTS: Final = ~0b11  # the two lowest bits of a client's message id are 0
STEP: Final = 4  # to the next such id
# What has no place in the row of numbered messages, as both libraries have it.
UNNUMBERED: Final = (functions.Ping, types.HttpWait, types.MsgsAck, core.MsgContainer)


def steady() -> float:
    """Seconds that no change of the machine's clock touches, and a suspended machine still counts."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)  # Linux
    return time.monotonic() if boot is None else time.clock_gettime(boot)


class ServerTime:
    """What time it is for Telegram, in unix seconds: the machine's until Telegram has said its own.

    `machine` is the machine's idea of the time, asked once at first; `clock` counts seconds from
    any beginning.
    """

    def __init__(
        self,
        *,
        machine: Callable[[], float] = time.time,
        clock: Callable[[], float] = steady,
    ) -> None:
        self._machine = machine
        self._clock = clock
        self._offset = machine() - clock()
        self.known = False  # Telegram has said it

    def now(self) -> float:
        return self._clock() + self._offset

    @property
    def machine_is_ahead(self) -> float:
        """Seconds that the machine's clock is fast; below 0: slow. 0 until the time is known."""
        return self._machine() - self.now() if self.known else 0.0

    def hear(self, message_id: int, *, answers: int | None = None) -> None:
        """Telegram's message id, and that of our own message which it answers.

        It was made before it came here and after what it answers was made. So the time is not
        before the first, and what was taken for the time of the second was not after it. Within
        these bounds nothing is changed: how long the way took cannot be told.
        """
        said = message_id / SECOND
        if said > self.now():
            self._offset += said - self.now()
        elif answers is not None and answers > message_id:
            self._offset -= (answers - message_id) / SECOND
        self.known = True


class MessageFactory:
    """Makes the messages of one session: ids that rise, and numbers in sequence.

    Pyrogram calls it, kurigram calls `create`.
    """

    def __init__(self, clock: ServerTime) -> None:
        self._clock = clock
        self._last = 0
        self._numbered = 0  # messages so far

    @property
    def ahead(self) -> float:
        """Seconds that the last id is ahead of Telegram's time, as after a clock that was fast."""
        return max(0.0, self._last / SECOND - self._clock.now())

    def message_id(self) -> int:
        now = int(self._clock.now() * SECOND) & CLIENTS
        self._last = max(now, self._last + STEP)
        return self._last

    def __call__(self, body: Any) -> Any:
        numbered = not isinstance(body, UNNUMBERED)
        number = 2 * self._numbered + numbered
        self._numbered += numbered
        return core.Message(body, self.message_id(), number, len(body))

    async def create(self, body: Any) -> Any:
        return self(body)
