"""A copy of the database that is consistent, whatever the running bot writes meanwhile."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from bot.errors import DatabaseUnavailable, UsageError
from bot.storage import engine
from bot.storage.data_directory import made

if TYPE_CHECKING:
    from pathlib import Path


def back_up(database: Path, copy: Path) -> None:
    """Write the copy, for its owner alone; a file that is there already is left as it is.

    The copy has a cache key of its own. A cache that has seen what happened after the backup is
    worth nothing to the bot that is started on it: it would know flows that never were.
    """
    try:
        # Not SQLite's own doing: it would ask the umask, and write over what is there.
        file = made(copy)
    except FileExistsError as exc:
        raise UsageError(f"{copy} is there already: name a new file") from exc
    except OSError as exc:
        raise UsageError(f"{copy} cannot be made: {exc.strerror}") from exc
    try:
        engine.back_up(database, copy, file)
    except BaseException as exc:
        copy.unlink()
        if isinstance(exc, sqlite3.Error):
            raise DatabaseUnavailable(f"{database} was not copied: {exc}") from exc
        raise
