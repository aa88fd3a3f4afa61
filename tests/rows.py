"""Rows, as SQL sees them."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from bot.signal_fields import SignalFields
from tests.people import ALICE, says


def sql(database, *statements):
    with closing(sqlite3.connect(database)) as db, db:
        return [db.execute(statement).fetchall() for statement in statements]


async def add_signal(store, message=None, **options):
    message = message or says(ALICE, "#idea")
    return await store.add_signal(
        message, author=ALICE, marker="#idea", fields=SignalFields(), **options
    )
