"""What the tables hold, read beside a running bot. Nothing is written, migrated or locked for long."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from bot.errors import DatabaseUnavailable, DatabaseUnusable
from bot.models import Fact, Outcome, Reason
from bot.signal_fields import EventKind
from bot.storage.schema import APPLICATION_ID, MIGRATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUSY_TIMEOUT: Final = 5.0  # seconds

# The columns of `Fact` in their order. A signal's own album belongs to the signal: its other parts
# stand in the table of updates, and are nobody's answer.
_FACTS: Final = """
    SELECT source_message_id, at, source_user_id, 'signal', 'new_signal', id,
           NULL, album_id, substr(text, 1, 400), pair, direction, NULL
    FROM signals
    UNION ALL
    SELECT u.source_message_id, u.at, u.source_user_id, 'update', u.reason, u.signal_id,
           NULL, u.album_id, '', NULL, NULL, u.event
    FROM signal_updates AS u JOIN signals AS s ON s.id = u.signal_id
    WHERE u.album_id IS NOT s.album_id OR u.album_id IS NULL
    UNION ALL
    SELECT source_message_id, at, source_user_id, outcome, reason, signal_id,
           NULL, NULL, '', NULL, NULL, NULL
    FROM decisions
"""


def facts(database: Path) -> Iterator[Fact]:
    """Every message the tables hold, in no order. Raises `DatabaseError`."""
    if not database.exists():
        raise DatabaseUnavailable(f"{database}: there is none yet; the bot or `import` makes it")
    try:
        # Not mode=ro: that would leave the files of a write-ahead log behind. `query_only` refuses
        # whatever would write.
        address = f"file:{quote(str(database))}?mode=rw"
        with closing(sqlite3.connect(address, timeout=BUSY_TIMEOUT, uri=True)) as db:
            db.execute("PRAGMA query_only = ON")
            _refuse_foreign(db, database)
            for row in db.execute(_FACTS):
                yield _fact(row)
    except sqlite3.Error as exc:
        unusable = "malformed" in str(exc) or "not a database" in str(exc)
        raise (DatabaseUnusable if unusable else DatabaseUnavailable)(f"{database}: {exc}") from exc


def _fact(row: tuple[Any, ...]) -> Fact:
    fact = Fact._make(row)
    return fact._replace(
        outcome=Outcome(fact.outcome),
        reason=Reason(fact.reason),
        event=None if fact.event is None else EventKind(fact.event),
    )


def _refuse_foreign(db: sqlite3.Connection, database: Path) -> None:
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise DatabaseUnusable(f"{database} is another program's database")
    if version > len(MIGRATIONS):
        raise DatabaseUnusable(
            f"{database} has schema {version} and this program knows up to {len(MIGRATIONS)}: "
            "run the newer version that wrote it"
        )
    if version < len(MIGRATIONS):
        raise DatabaseUnusable(
            f"{database} has schema {version} and this program works on {len(MIGRATIONS)}: "
            "start the bot once, that brings it up to date"
        )
