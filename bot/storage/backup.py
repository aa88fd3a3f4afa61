"""A copy of the database that is consistent, whatever the running bot writes meanwhile."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

from bot.errors import DatabaseUnavailable, DatabaseUnusable, UsageError
from bot.storage.schema import APPLICATION_ID

if TYPE_CHECKING:
    from pathlib import Path

WAIT: Final = 5.0  # seconds for a lock


def back_up(database: Path, copy: Path) -> None:
    """Write the copy, for its owner alone; a file that is there already is left as it is.

    The copy has a cache key of its own. A cache that has seen what happened after the backup is
    worth nothing to the bot that is started on it: it would know flows that never were.
    """
    try:
        # Not SQLite's own doing: it would ask the umask, and write over what is there.
        os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError as exc:
        raise UsageError(f"{copy} is there already: name a new file") from exc
    except OSError as exc:
        raise UsageError(f"{copy} cannot be made: {exc.strerror}") from exc
    try:
        _copy(database, copy)
    except BaseException as exc:
        copy.unlink()
        if isinstance(exc, sqlite3.Error):
            raise DatabaseUnavailable(f"{database} was not copied: {exc}") from exc
        raise


def _copy(database: Path, copy: Path) -> None:
    if not database.exists():
        raise DatabaseUnavailable(f"{database}: there is no database yet")
    with (
        closing(sqlite3.connect(database, timeout=WAIT, isolation_level=None)) as source,
        closing(sqlite3.connect(copy, isolation_level=None)) as target,
    ):
        if source.execute("PRAGMA application_id").fetchone() != (APPLICATION_ID,):
            raise DatabaseUnusable(f"{database} is another program's database")
        source.backup(target)  # in one step: in several, a writer would start it over
        target.execute("PRAGMA journal_mode = DELETE")  # one file, and none beside it
        target.execute("UPDATE meta SET value = randomblob(32) WHERE name = 'cache_key'")
        (verdict,) = target.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise DatabaseUnusable(f"{database} is damaged, and so would be its copy: {verdict}")
