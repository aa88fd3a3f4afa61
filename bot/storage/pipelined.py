"""A connection to PostgreSQL that waits for an answer only where somebody looks at it.

What is asked in between goes out one behind the other, so that a distant server costs one round trip
for all of it. https://www.psycopg.org/psycopg3/docs/advanced/pipeline.html
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterator

DRAINED: Final = 5  # tries; what failed in a line is told once for each statement behind it


class Pipelined(psycopg.Connection[Any]):
    """Errors are raised where the answer is waited for, or by a later statement."""

    def start(self) -> None:
        self._entered = ExitStack()
        self._line = self._entered.enter_context(self.pipeline())
        self.waiting = False

    def settle(self) -> None:
        """Have all that was asked be done. Raises the first error; nothing behind it was done."""
        if not self.waiting:
            return
        self.waiting = False
        try:
            self._line.sync()
        except psycopg.Error:
            self._drain()
            raise

    def commit(self) -> None:
        super().commit()  # which settles
        self.waiting = False

    def rollback(self) -> None:
        self._drain()
        super().rollback()

    def close(self) -> None:
        with suppress(psycopg.Error):
            self._entered.close()
        super().close()

    @contextmanager
    def copying(self, statement: str) -> Iterator[psycopg.Copy]:
        """Which cannot be done in a line with others."""
        self.settle()
        self._entered.close()
        try:
            with self.cursor() as cursor, cursor.copy(statement) as copy:
                yield copy
        finally:
            self.start()

    def _drain(self) -> None:
        """So that an error which was told is not told again to whoever asks next."""
        self.waiting = False
        for _ in range(DRAINED):
            with suppress(psycopg.Error):
                self._line.sync()
                return
        self.close()


class PipelinedCursor(psycopg.Cursor[Any]):
    """What was asked on a `Pipelined` connection."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> PipelinedCursor:
        self._connection.waiting = True
        return super().execute(query, params, **options)

    def executemany(self, query: Any, params_seq: Any, *, returning: bool = False) -> None:
        self._connection.waiting = True
        super().executemany(query, params_seq, returning=returning)

    @property
    def _connection(self) -> Pipelined:
        found = self.connection
        assert isinstance(found, Pipelined)  # noqa: S101  # see `connect`
        return found

    def _wait(self) -> None:
        """For what was asked here; what was asked behind it may still wait."""
        if self.pgresult is None:
            self._connection.settle()

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
    connection = Pipelined.connect(**parameters, autocommit=True, cursor_factory=PipelinedCursor)
    connection.start()
    return connection
