"""Tables in a PostgreSQL server, by psycopg 3 and the rules of its libpq: `sslmode`, `PGPASSFILE` and all.

Imported only where it is asked for.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.pool import NullPool

from bot.errors import DatabaseUnavailable, DatabaseUnusable, Deposed, SettingsError
from bot.storage.engine import AnyDatabase

try:
    import psycopg

    from bot.storage.pipelined import connect
except ImportError as exc:
    raise SettingsError(
        "DATABASE_URL: PostgreSQL needs one package more: pip install 'telegram-signal-relay[postgresql]'"
    ) from exc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection

    from bot.server_address import ServerAddress

T = TypeVar("T")

OLDEST: Final = 15  # major version
# A peer that is away is noticed within these, in a connect and in the midst of a statement. Seconds,
# and milliseconds in the last. What the URL says goes before.
PATIENCE: Final = {
    "connect_timeout": "5",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
LIMITS: Final = (
    "-c statement_timeout=30s -c lock_timeout=5s -c idle_in_transaction_session_timeout=10s"
)
READ_ONLY: Final = " -c default_transaction_read_only=on"
NAME: Final = "telegram-signal-relay"  # of its sessions, where people look at them
FENCED_OFF: Final = "22012"  # division by zero; see `transactions.FENCE`
# By the beginning of an SQLSTATE. https://www.postgresql.org/docs/current/errcodes-appendix.html
HINTS: Final = {
    "25006": "it is a standby or set read-only: name the server that takes writes",
    "28": "correct the user and the password, in DATABASE_URL or in the file that PGPASSFILE names",
    "3D": "make the database first, or correct its name in DATABASE_URL",
    "42501": "the bot's user must own its tables, or may make them in its schema",
    "53100": "make room on the server's disk",
    "53300": "it allows no more connections: raise max_connections",
    "55P03": "another program holds it: close that one",
    "XX": "it is damaged: restore a backup",
}
UNUSABLE: Final = ("28", "3D", "42", "XX")
NOT_REACHED: Final = "start it, or correct its address in DATABASE_URL"


class Fence(NamedTuple):
    """What each of a leader's transactions must pass; see `lease`."""

    epoch: int
    sessions: str  # what they are named, for the next leader to find and end them


class Server(AnyDatabase):
    """A lost connection is made anew for the next who asks. Damage is the server's own care.

    `limits`: settings of its sessions. `fence` None: it writes whoever leads, as operators do.
    """

    def __init__(
        self,
        address: ServerAddress,
        *,
        in_loop: bool = False,
        read_only: bool = False,
        oldest: int = OLDEST,
        limits: str = LIMITS,
        fence: Fence | None = None,
    ) -> None:
        self._read_only = read_only
        self._oldest = oldest
        engine = create_engine(
            "postgresql+psycopg://",
            creator=partial(
                _connect,
                address.url,
                limits=limits + (READ_ONLY if read_only else ""),
                name=NAME if fence is None else fence.sessions,
            ),
            isolation_level="AUTOCOMMIT",  # `in_transaction` begins and ends them
            poolclass=NullPool,
            use_native_hstore=False,  # it would be looked for at every connect
            execution_options={} if fence is None else {"epoch": fence.epoch},
        )
        super().__init__(str(address), engine, in_loop=in_loop or read_only)
        self._wanted = False

    async def open(self) -> None:
        self._wanted = True
        await super().open()
        await self.run(self._refuse_unfit)

    async def close(self) -> None:
        self._wanted = False
        await super().close()

    def exists(self) -> bool:
        return True  # the server says more

    async def glance(self) -> None:
        pass

    async def look_through(self) -> None:
        pass

    def _refuse_unfit(self, db: Connection) -> None:
        version = db.connection.driver_connection.info.server_version // 10_000  # type: ignore[union-attr]
        if version < self._oldest:
            raise DatabaseUnusable(
                f"{self.name} is PostgreSQL {version}: {self._oldest} or a newer one is needed"
            )
        if (
            not self._read_only
            and db.exec_driver_sql("SHOW transaction_read_only").scalar() == "on"
        ):
            raise DatabaseUnavailable(f"{self.name} takes no writes ({HINTS['25006']})")

    def _run(self, work: Callable[[Connection], T]) -> T:
        if self._connection is None and self._wanted:
            self._open()
        try:
            return super()._run(work)
        finally:
            self._let_go_if_broken()

    def _let_go_if_broken(self) -> None:
        connection = self._connection
        if connection is None:
            return
        if connection.invalidated or connection.connection.driver_connection.closed:  # type: ignore[union-attr]
            self._connection = None
            with suppress(Exception):  # there is nothing left to be closed
                connection.invalidate()
                connection.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except psycopg.IntegrityError as exc:
            raise IntegrityError("", None, exc) from exc
        except IntegrityError:
            raise
        except (DBAPIError, psycopg.Error) as exc:
            raise self._raised(exc.orig if isinstance(exc, DBAPIError) else exc) from exc

    def _raised(self, exc: Any) -> DatabaseUnavailable | DatabaseUnusable:
        """In one line. Of a connect that failed, libpq tells why in words alone."""
        said, state = _first_words(exc), getattr(exc, "sqlstate", None) or ""
        if state == FENCED_OFF:
            return Deposed(f"{self.name}: another host leads, and nothing was written")
        state = state or next((code for word, code in REFUSALS.items() if word in said), "")
        hint = next((hint for code, hint in HINTS.items() if state.startswith(code)), "")
        if not state and isinstance(exc, psycopg.OperationalError):
            hint = NOT_REACHED
        kind = DatabaseUnusable if state.startswith(UNUSABLE) else DatabaseUnavailable
        return kind(f"{self.name}: {said}" + (f" ({hint})" if hint else ""))


REFUSALS: Final = {
    "password authentication failed": "28P01",
    "no password supplied": "28P01",
    "no pg_hba.conf entry": "28000",
    "does not exist": "3D000",
    "too many": "53300",
}


def _first_words(exc: Any) -> str:
    """Without the statement, which a server quotes below them, and without what was in a row."""
    diagnosed = getattr(getattr(exc, "diag", None), "message_primary", None)
    return (
        " ".join((diagnosed or str(exc)).splitlines()[0].split())
        if str(exc)
        else type(exc).__name__
    )


def _connect(url: str, *, limits: str, name: str) -> Any:
    known: dict[str, Any] = psycopg.conninfo.conninfo_to_dict(url)
    more = {**PATIENCE, "application_name": name, **known}
    more["options"] = f"{known.get('options', '')} {limits}"
    return connect(**more)
