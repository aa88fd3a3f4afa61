"""A connection to PostgreSQL that, within a transaction, waits for an answer only where somebody looks at it.

What is asked in between goes out together, so that a distant server costs one round trip for all of it,
and a near one is woken once. It is said to libpq itself: psycopg takes four times as long to send a
statement as the server takes to do it. https://www.postgresql.org/docs/current/libpq-pipeline-mode.html
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg.adapt import Transformer
from psycopg.generators import fetch, send
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
    # What is not asked yet; None: each statement by itself.
    _line: list[ServerAnswer] | None = None

    def begin_anew(self) -> None:
        self._asked, self._named, self._numbers = Counter(), {}, count()
        self.rows = Transformer(self)

    def execute(self, query: Any, params: Any = (), **_options: Any) -> Any:
        alone = self._line is None
        if alone and query != BEGIN and query in self._named:
            return self._answered_alone(query, params)
        if self._line is None:
            self.pgconn.enter_pipeline_mode()
            self._line = []
        self._line.append(answer := ServerAnswer(self, query, [*map(_written, params)]))
        if alone and query != BEGIN:
            self._leave()
        return answer

    def _answered_alone(self, query: str, params: Iterable[object]) -> ServerAnswer:
        """To begin and end a pipeline takes a third of the time in which one statement is answered."""
        answer = ServerAnswer(self, query, [*map(_written, params)])
        answer.result = self.pgconn.exec_prepared(self._named[query], answer.params)
        if not answer.is_done:
            raise answer.error
        return answer

    def executemany(self, query: str, rows: Iterable[Sequence[object]]) -> None:
        for row in rows:
            self.execute(query, row)

    def settle(self) -> None:
        """Have all that was asked be done. Raises the first error; nothing behind it was done."""
        if self._line:
            line, self._line = self._line, []
            asked = [each for answer in line for each in self._send(answer)]
            self.pgconn.pipeline_sync()
            errors = self.wait(self._answers(asked))
            for each in asked:
                if each.prepares and not each.is_done:
                    del self._named[each.query], self._asked[each.query]
            if errors:
                raise errors[0]

    def _send(self, answer: ServerAnswer) -> Iterator[ServerAnswer]:
        """What is asked often enough is prepared first."""
        query = answer.query
        self._asked[query] += 1
        if self._asked[query] == OFTEN:
            self._named[query] = f"asked {next(self._numbers)}".encode()
            self.pgconn.send_prepare(self._named[query], query.encode())
            yield ServerAnswer(self, query, [], prepares=True)
        if query in self._named:
            self.pgconn.send_query_prepared(self._named[query], answer.params)
        else:
            self.pgconn.send_query_params(query.encode(), answer.params)
        yield answer

    def _answers(self, asked: Iterable[ServerAnswer]) -> PQGen[list[psycopg.Error]]:
        """Errors there may be at the very end, too, where a transaction is done for good."""
        yield from send(self.pgconn)
        for each in asked:
            each.result = yield from self._next()
            if each.result is not None:
                yield from self._next()  # None: there is no other
        errors = [each.error for each in asked if not each.is_done]
        end = yield from self._next()
        if end is None or end.status != ExecStatus.PIPELINE_SYNC:
            errors.append(_error_of(end))
        return errors

    def _next(self) -> PQGen[PGresult | None]:
        """Most have come with the first of them, and need no waiting."""
        busy = self.pgconn.is_busy()
        result: PGresult | None = (
            (yield from fetch(self.pgconn)) if busy else self.pgconn.get_result()
        )
        return result

    def commit(self) -> None:
        """With the last of the line, so that it takes no way of its own.

        What goes out together is one transaction by itself: a BEGIN and a COMMIT around it are two statements more.
        https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-PIPELINING
        """
        if self._line and self._line[0].query == BEGIN:
            del self._line[0]
        else:
            self.execute("COMMIT")
        self._leave()

    def rollback(self) -> None:
        """What was not asked yet never is."""
        if self._line:
            self._line.clear()
        self._leave()
        super().rollback()

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

    def __init__(
        self,
        connection: Pipelined,
        query: str,
        params: Any,  # a list of bytes and None; psycopg says that there is no None in it
        *,
        prepares: bool = False,
    ) -> None:
        self.query = query
        self.params = params
        self.prepares = prepares
        self._connection = connection
        self._left: list[Any] | None = None  # rows

    @property
    def is_done(self) -> bool:
        return self.result is not None and self.result.status in DONE

    @property
    def error(self) -> psycopg.Error:
        return _error_of(self.result)

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


def _error_of(result: PGresult | None) -> psycopg.Error:
    if result is None:
        return psycopg.OperationalError("the connection was lost")
    return psycopg.errors.error_from_result(result)


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
