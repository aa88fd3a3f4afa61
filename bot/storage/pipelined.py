"""A connection to PostgreSQL that, within a transaction, waits for an answer only where somebody looks at it.

What is asked in between goes out one behind the other, so that a distant server costs one round trip
for all of it. https://www.psycopg.org/psycopg3/docs/advanced/pipeline.html
"""

from __future__ import annotations

from collections import Counter
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, Final

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterator

BEGIN: Final = "BEGIN"
OFTEN: Final = 5  # times
NEVER: Final = 2**31  # by psycopg itself
DRAINED: Final = 5  # tries; what failed in a line is told once for each statement behind it


class Pipelined(psycopg.Connection[Any]):
    """From a BEGIN to its end. Errors are raised where the answer is waited for, or by a later statement."""

    _asked: Counter[str]
    _entered: AbstractContextManager[psycopg.Pipeline] | None = None
    _line: psycopg.Pipeline | None = None  # None: each statement by itself

    def execute(self, query: Any, params: Any = None, **options: Any) -> psycopg.Cursor[Any]:
        """What is asked often is prepared. By itself that would take a way of its own."""
        if query == BEGIN:
            self._entered = self.pipeline()
            self._line = self._entered.__enter__()
        self._asked[query] += 1
        if self._asked[query] < OFTEN:
            return super().execute(query, params, **options)
        if self._line is None and self._asked[query] > OFTEN:
            return super().execute(query, params, **options)  # it is prepared
        with nullcontext() if self._line else self.pipeline():
            return super().execute(query, params, prepare=True, **options)

    def settle(self) -> None:
        """Have all that was asked be done. Raises the first error; nothing behind it was done."""
        if self._line is not None:
            self._line.sync()

    def commit(self) -> None:
        """By the last of the line, so that it takes no way of its own."""
        self.execute("COMMIT")
        self._leave()

    def rollback(self) -> None:
        """An error that was told is not told again."""
        for _ in range(DRAINED):
            with suppress(psycopg.Error):
                self.settle()
                break
        with suppress(psycopg.Error):
            self._leave()
        super().rollback()

    def close(self) -> None:
        with suppress(psycopg.Error):
            self._leave()
        super().close()

    def _leave(self) -> None:
        entered, self._entered, self._line = self._entered, None, None
        if entered is not None:
            entered.__exit__(None, None, None)

    @contextmanager
    def copying(self, statement: str) -> Iterator[psycopg.Copy]:
        """Which cannot be done in a line with others."""
        self._leave()
        with self.cursor() as cursor, cursor.copy(statement) as copy:
            yield copy


class PipelinedCursor(psycopg.Cursor[Any]):
    """What was asked on a `Pipelined` connection."""

    def _wait(self) -> None:
        """For what was asked here; what was asked behind it may still wait."""
        if self.pgresult is None:
            self.connection.settle()  # type: ignore[attr-defined]  # see `connect`

    @property
    def description(self) -> Any:
        self._wait()
        return super().description

    @property
    def rowcount(self) -> int:
        self._wait()
        return super().rowcount

    def fetchone(self) -> Any:
        self._wait()
        return super().fetchone()

    def fetchmany(self, size: int = 0) -> list[Any]:
        self._wait()
        return super().fetchmany(size)

    def fetchall(self) -> list[Any]:
        self._wait()
        return super().fetchall()

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        return iter(self.fetchall())


def connect(**parameters: Any) -> Pipelined:
    """By libpq's parameters; each statement is a transaction of its own until a BEGIN."""
    connection = Pipelined.connect(
        **parameters,
        autocommit=True,
        cursor_factory=PipelinedCursor,
        prepare_threshold=NEVER,
    )
    connection._asked = Counter()  # noqa: SLF001  # psycopg calls the constructor
    return connection
