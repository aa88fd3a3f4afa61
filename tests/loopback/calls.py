"""Every query a client made, in the order it came."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.loopback.tl import name_of
from tests.loopback.transport import Session
from tests.loopback.world import Account


class RpcFailure(Exception):
    """An rpc_error on its way to the client. https://core.telegram.org/api/errors."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text


@dataclass(eq=False)
class Call:
    """`at` is the world's time in seconds; `answer` is what the handler returned, if it ran."""

    at: float
    session: Session
    message_id: int
    query: Any
    account: Account | None = None
    executed: bool = False
    answer: Any = None
    error: str | None = None

    @property
    def name(self) -> str:
        return name_of(self.query)


class CallLog:
    """`violations`: calls that no bot may make. `unknown`: calls this server cannot answer."""

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self.violations: list[Call] = []
        self.unknown: list[Call] = []

    def add(self, call: Call) -> None:
        self._calls.append(call)

    def __iter__(self) -> Iterator[Call]:
        return iter(self._calls)

    def __len__(self) -> int:
        return len(self._calls)

    def of(self, *kinds: type, account: Account | None = None) -> list[Call]:
        """The calls of these raw functions, of one account or of all."""
        found = [call for call in self._calls if isinstance(call.query, kinds)]
        return [call for call in found if account is None or call.account is account]

    def names(self) -> list[str]:
        return [call.name for call in self._calls]

    def clear(self) -> None:
        for calls in (self._calls, self.violations, self.unknown):
            calls.clear()
