"""Databases as earlier versions left them."""

from __future__ import annotations

import runpy
import sqlite3
from contextlib import closing
from pathlib import Path

import bot.storage

REVISIONS = Path(bot.storage.__file__).parent / "migrations" / "versions"


def make_earlier(path, number):
    """One that has taken so many steps, up to ten. Those knew nothing of Alembic."""
    with closing(sqlite3.connect(path)) as db, db:
        for file in sorted(REVISIONS.glob("*.py"))[:number]:
            for step in runpy.run_path(str(file))["STEPS"]:
                db.execute(step)
        db.execute("PRAGMA application_id = 1397183052")
        db.execute(f"PRAGMA user_version = {number}")
