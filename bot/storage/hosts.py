"""Who leads and who waits, of the hosts that work on these tables: by their sessions in the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import select

from bot.models import UnixTime
from bot.storage.schema import lease

if TYPE_CHECKING:
    from sqlalchemy import Connection

LEADS, WAITS, WRITES = "leads", "waits", "writes"
# The tables of one bot are those of one schema, and several may be in one database.
HERE: Final = "coalesce((SELECT oid::bigint FROM pg_namespace WHERE nspname = current_schema()), 0)"
SESSIONS: Final = f"""
    SELECT application_name FROM pg_stat_activity
    WHERE datname = current_database()
      AND starts_with(application_name, 'signal-relay ' || {HERE} || ' ')
    ORDER BY backend_start
"""  # noqa: S608  # constants


class Hosts(NamedTuple):
    """Each as "name, pid 42"."""

    leader: str | None  # None: nobody leads at the moment
    since: UnixTime  # of whoever leads or led last
    waiting: list[str]


def session_name(place: int, what: str, host: str = "") -> str:
    """Of a session, as PostgreSQL shows it. `place` is the id of the schema. 63 bytes at most."""
    return f"signal-relay {place} {what} {host}".rstrip()[:63]


def hosts(db: Connection) -> Hosts | None:
    """None: there was never more than one."""
    if db.dialect.name != "postgresql":
        return None
    since = db.scalar(select(lease.c.since))
    if since is None:
        return None
    found = who(db)
    leaders = [host for what, host in found if what == LEADS]
    return Hosts(
        next(iter(leaders), None),
        UnixTime(since),
        [host for what, host in found if what == WAITS],
    )


def who(db: Connection) -> list[tuple[str, str]]:
    """What each of them does, and its name; whoever came first is first."""
    names = db.exec_driver_sql(SESSIONS).scalars()
    return [
        (what, host) for what, _, host in (name.split(" ", 2)[2].partition(" ") for name in names)
    ]
