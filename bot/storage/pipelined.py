"""A connection to PostgreSQL that, within a transaction, waits for an answer only where somebody looks at it.

What is asked in between goes out together, so that a distant server costs one round trip for all of it,
and a near one is woken once. It is said to libpq itself: psycopg takes four times as long to send a
statement as the server takes to do it. https://www.postgresql.org/docs/current/libpq-pipeline-mode.html
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg.adapt import Transformer
from psycopg.generators import fetch_many, send
from psycopg.pq import ExecStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from psycopg.abc import PQGen
    from psycopg.pq.abc import PGresult

BEGIN: Final = "BEGIN"
OFTEN: Final = 5  # times, then it is prepared
DONE: Final = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK)


class Pipelined(psycopg.Connection[Any]):
    """From a BEGIN to its end. Errors are raised where the answer is waited for, or by a later statement.

    `execute` takes $1, $2, …; what asks by a cursor takes a way of its own, as ever.
    """

    _asked: Counter[str]
    _named: dict[str, bytes]  # what is prepared
    _numbers: Iterator[int]
    # A Transformer, of the answer that is being read; it knows the types from the one before.
    rows: Any
    _line: list[ServerAnswer] | None = (
        None  # what is not answered yet; None: each statement by itself
    )

    def begin_anew(self) -> None:
        self._asked, self._named, self._numbers = Counter(), {}, count()
        self.rows = Transformer(self)

    def execute(self, query: Any, params: Any = (), **_options: Any) -> Any:
        alone = self._line is None
        if alone and query != BEGIN and query in self._named:
            return self._answered_alone(query, params)
        answer = ServerAnswer(self, query)
        if alone:
            self.pgconn.enter_pipeline_mode()
            self._line = []
        self._ask(answer, [*map(_written, params)])
        if alone and query != BEGIN:
            self._leave()
        return answer

    def _answered_alone(self, query: str, params: Iterable[object]) -> ServerAnswer:
        """To begin and end a pipeline takes a third of the time in which one statement is answered."""
        answer = ServerAnswer(self, query)
        filled: Any = [*map(_written, params)]
        answer.result = self.pgconn.exec_prepared(self._named[query], filled)
        if not answer.is_done:
            raise answer.error
        return answer

    def executemany(self, query: str, rows: Iterable[Sequence[object]]) -> None:
        for row in rows:
            self.execute(query, row)

    def _ask(self, answer: ServerAnswer, params: Sequence[bytes | None]) -> None:
        assert self._line is not None  # noqa: S101  # see `execute`
        query = answer.query
        self._asked[query] += 1
        if self._asked[query] == OFTEN:
            self._named[query] = f"asked {next(self._numbers)}".encode()
            self.pgconn.send_prepare(self._named[query], query.encode())
            self._line.append(ServerAnswer(self, query, prepares=True))
        if query in self._named:
            self.pgconn.send_query_prepared(self._named[query], params)
        else:
            self.pgconn.send_query_params(query.encode(), params)
        self._line.append(answer)

    def settle(self) -> None:
        """Have all that was asked be done. Raises the first error; nothing behind it was done."""
        if self._line:
            line, self._line = self._line, []
            self.pgconn.pipeline_sync()
            self.wait(self._answered(line))
            failed = [each for each in line if not each.is_done]
            for each in failed:
                if each.prepares:
                    del self._named[each.query], self._asked[each.query]
            if failed:
                raise failed[0].error

    def _answered(self, line: Sequence[ServerAnswer]) -> PQGen[None]:
        yield from send(self.pgconn)
        for each in line:
            each.result = next(iter((yield from fetch_many(self.pgconn))), None)
        yield from fetch_many(self.pgconn)  # of the sync

    def commit(self) -> None:
        """By the last of the line, so that it takes no way of its own."""
        self.execute("COMMIT")
        self._leave()

    def rollback(self) -> None:
        """An error that was told is not told again."""
        with suppress(psycopg.Error):
            self._leave()
        super().rollback()

    def close(self) -> None:
        with suppress(psycopg.Error):
            self._leave()
        super().close()

    def cursor(self, *which: Any, **options: Any) -> Any:
        self._leave()
        return super().cursor(*which, **options)

    def _leave(self) -> None:
        """What is asked next takes a way of its own."""
        try:
            self.settle()
        finally:
            if self._line is not None:
                self._line = None
                try:
                    self.pgconn.exit_pipeline_mode()
                except psycopg.OperationalError:
                    self.pgconn.finish()  # there is an answer in it that nobody has read

    @contextmanager
    def copying(self, statement: str) -> Iterator[psycopg.Copy]:
        with self.cursor() as cursor, cursor.copy(statement) as copy:
            yield copy


class ServerAnswer:
    """To what was asked on a `Pipelined` connection."""

    result: PGresult | None = None

    def __init__(self, connection: Pipelined, query: str, *, prepares: bool = False) -> None:
        self.query = query
        self.prepares = prepares
        self._connection = connection
        self._left: list[Any] | None = None  # rows

    @property
    def is_done(self) -> bool:
        return self.result is not None and self.result.status in DONE

    @property
    def error(self) -> psycopg.Error:
        if self.result is None:
            return psycopg.OperationalError("the connection was lost")
        return psycopg.errors.error_from_result(self.result)

    def _awaited(self) -> PGresult:
        """For what was asked here; what was asked behind it may still wait."""
        if self.result is None:
            self._connection.settle()
        if self.result is None:
            raise psycopg.InterfaceError("it was not done")
        return self.result

    @property
    def description(self) -> Sequence[Sequence[Any]]:
        result = self._awaited()
        return [((result.fname(number) or b"").decode(),) for number in range(result.nfields)]

    @property
    def rowcount(self) -> int:
        return self._awaited().command_tuples or 0

    def fetchone(self) -> Any:
        rows = self._rows()
        return rows.pop(0) if rows else None

    def fetchall(self) -> list[Any]:
        rows, self._left = self._rows(), []
        return rows

    def __iter__(self) -> Iterator[Any]:
        return iter(self.fetchall())

    def _rows(self) -> list[Any]:
        if self._left is None:
            read = self._connection.rows
            read.set_pgresult(result := self._awaited())
            self._left = read.load_rows(0, result.ntuples, tuple)
        return self._left


def _written(value: object) -> bytes | None:
    """As text, whose type the statement says."""
    if value is None:
        return None
    return (value if isinstance(value, str) else str(value)).encode()


def connect(**parameters: Any) -> Pipelined:
    """By libpq's parameters; each statement is a transaction of its own until a BEGIN."""
    connection = Pipelined.connect(
        **{**parameters, "client_encoding": "utf8"}, autocommit=True, prepare_threshold=None
    )
    connection.begin_anew()  # psycopg calls the constructor
    return connection
