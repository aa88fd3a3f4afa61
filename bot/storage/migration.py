"""Brings a database to the schema that the code knows.

Alembic takes a second to be imported, so that is left to databases that need it: a new one is made of
the tables as they are now, and of one that is up to date no more is asked than its number.
"""

from __future__ import annotations

import secrets
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import create_mock_engine, delete, insert, select

from bot.errors import DatabaseUnusable, SettingsError
from bot.storage import engine
from bot.storage.schema import NEWEST, alembic_version, meta, metadata

if TYPE_CHECKING:
    from sqlalchemy import Connection

MOVED_TO: Final = "moved_to"  # in `meta` of a file: which database it was copied to
OF_THIS_DATABASE: Final = ("cache_key", MOVED_TO)  # in `meta`; of no copy
REVISIONS: Final = Path(__file__).parent / "migrations"


class Migration:
    """Of the database of that name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def version(self, db: Connection) -> int:
        """Its revision; 0: it is new. Raises `DatabaseUnusable` if it is not for us."""
        version = engine.marked(db)
        if version is None:
            raise DatabaseUnusable(f"{self._name} is another program's database")
        if version > NEWEST:
            raise DatabaseUnusable(
                f"{self._name} has schema {version} and this program knows up to {NEWEST}: "
                "run the newer version that wrote it"
            )
        if version:
            self._refuse_moved(db)
        return version

    def _refuse_moved(self, db: Connection) -> None:
        """Two bots, one on the file and one on its copy, would post all twice."""
        moved = db.scalar(select(meta.c.value).where(meta.c.name == MOVED_TO))
        if moved is not None:
            raise SettingsError(
                f"{self._name} was moved to {moved.decode()}: name that one in DATABASE_URL"
                " (to go back to the file, without what was recorded since: migrate-to --undo)"
            )

    def refuse_outdated(self, db: Connection) -> None:
        """Raises `DatabaseUnusable`, for whoever may not bring it up to date."""
        version = self.version(db)
        if version < NEWEST:
            raise DatabaseUnusable(
                f"{self._name} has schema {version} and this program works on {NEWEST}: "
                "start the bot once, that brings it up to date"
            )

    def bring_up_to_date(self, db: Connection) -> None:
        """Within the caller's transaction. Another process may have done it by now."""
        version = self.version(db)
        if version == 0:
            _make(db)
        elif version < NEWEST:
            _upgrade(db, version)


def _make(db: Connection) -> None:
    for statement in _tables(f"{db.dialect.name}+{db.dialect.driver}"):
        engine.driver_of(db).execute(statement)
    # Outside what an attacker with the cache directory can read: a new database has a new key,
    # so no cache outlives the table it was made from.
    db.execute(insert(meta), {"name": "cache_key", "value": secrets.token_bytes(32)})
    _mark(db, NEWEST)


@cache
def _tables(dialect: str) -> list[str]:
    """What makes them. To say it takes SQLAlchemy four times as long as SQLite takes to do it."""
    said: list[str] = []

    def say(statement: Any, *_: object) -> None:
        said.append(str(statement.compile(dialect=nobody.dialect)))

    nobody = create_mock_engine(f"{dialect}://", say)
    metadata.create_all(nobody, checkfirst=False)
    return said


def _upgrade(db: Connection, version: int) -> None:
    from alembic import command  # noqa: PLC0415  # see above
    from alembic.config import Config  # noqa: PLC0415

    config = Config(attributes={"connection": db})
    config.set_main_option("script_location", str(REVISIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    alembic_version.create(db, checkfirst=True)
    _mark(db, version)  # versions before Alembic told it in the header of the file alone
    command.upgrade(config, "head")
    engine.mark(db, NEWEST)


def _mark(db: Connection, version: int) -> None:
    db.execute(delete(alembic_version))
    db.execute(insert(alembic_version), {"version_num": f"{version:04}"})
    engine.mark(db, version)
