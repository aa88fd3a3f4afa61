"""Brings a database to the schema that the code knows, one step at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from bot.errors import DatabaseUnusable
from bot.storage.schema import APPLICATION_ID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sqlalchemy import Connection


class Migration:
    """`steps`: the statements of each. How many a database has taken stands in its header."""

    def __init__(self, path: Path, steps: Sequence[Sequence[str]]) -> None:
        self._path = path
        self._steps = steps

    @property
    def newest(self) -> int:
        return len(self._steps)

    def version(self, db: Connection) -> int:
        """How many steps this database has taken. Raises `DatabaseUnusable` if it is not for us."""
        application = db.scalar(text("PRAGMA application_id"))
        version = int(db.scalar(text("PRAGMA user_version")) or 0)
        if application != APPLICATION_ID:
            tables = db.scalar(text("SELECT count(*) FROM sqlite_master"))
            if application or version or tables:
                raise DatabaseUnusable(f"{self._path} is another program's database")
        if version > self.newest:
            raise DatabaseUnusable(
                f"{self._path} has schema {version} and this program knows up to {self.newest}: "
                "run the newer version that wrote it"
            )
        return version

    def take(self, db: Connection, number: int) -> bool:
        """Take that step; False: another process took it while this one waited for the lock."""
        if self.version(db) >= number:
            return False
        for statement in self._steps[number - 1]:
            db.execute(text(statement))
        db.execute(text(f"PRAGMA application_id = {APPLICATION_ID}"))
        db.execute(text(f"PRAGMA user_version = {number}"))
        return True
