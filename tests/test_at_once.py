"""A history is written many messages at a time: what that may cost, and what it may not."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.errors import ExportError
from bot.history.export import ExportedChat
from bot.history.replay import import_history
from bot.models import UnixTime
from bot.storage.engine import Database
from bot.storage.store import SignalStore
from tests import wiring
from tests.people import ALICE, GROUP, says
from tests.rows import add_signal

CHAT = ExportedChat(GROUP, "Signals", "private_supergroup")


def recorded(database):
    """As another program sees it."""
    with closing(sqlite3.connect(database)) as db:
        return [number for (number,) in db.execute("SELECT source_message_id FROM signals")]


@pytest.fixture
async def store(tmp_path):
    opened = SignalStore(Database(tmp_path / "signals.db", in_loop=True))
    await opened.open()
    yield opened
    await opened.close()


async def test_what_is_written_together_is_there_at_the_end_all_at_once(store, tmp_path):
    async with store.at_once():
        for number in (1, 2, 3):
            await add_signal(store, says(ALICE, "#idea", number=number))
        assert recorded(tmp_path / "signals.db") == []
    assert recorded(tmp_path / "signals.db") == [1, 2, 3]


async def test_one_that_fails_leaves_nothing_and_takes_no_other_with_it(store, tmp_path):
    def half(db):
        db.exec_driver_sql("DELETE FROM signals")
        raise ValueError("in its midst")

    async with store.at_once():
        await add_signal(store, says(ALICE, "#idea", number=1))
        with pytest.raises(ValueError, match="in its midst"):
            await store.change(half)
        await add_signal(store, says(ALICE, "#idea", number=2))
    assert recorded(tmp_path / "signals.db") == [1, 2]


class Told:
    def show(self, decided):
        pass

    def finish(self, tally):
        self.tally = tally


async def imported(directory, messages, **more):
    made = wiring.settings(source_chat_id=GROUP, data_dir=directory, **more)
    await import_history(made, wiring.routes(made), CHAT, messages, Told(), tell=lambda _line: None)


async def test_an_import_keeps_of_a_damaged_history_all_that_is_before_the_damage(tmp_path):
    def damaged():
        yield from (says(ALICE, "#idea", number=number) for number in range(1, 6))
        raise ExportError("damaged")

    with pytest.raises(ExportError):
        await imported(tmp_path, damaged())
    assert recorded(tmp_path / "signals.db") == [1, 2, 3, 4, 5]


async def test_a_flow_that_the_caches_may_hold_is_in_the_table_first(tmp_path):
    """After a crash its number would be another signal's, and the cache would know whose it was."""
    seen = []

    def history():
        forever = UnixTime(2**32 - 1)  # it is live, whenever this is read
        old = [says(ALICE, "#idea", number=number) for number in (1, 2)]
        live = replace(says(ALICE, "#idea", number=3), at=forever)
        later = says(ALICE, "#idea", number=4)  # its clock was wrong, but its flow comes behind
        for each in (*old, live, later):
            yield each
            seen.append(len(recorded(tmp_path / "signals.db")))

    await imported(tmp_path, history(), flow_ttl_hours=timedelta(hours=1))
    assert seen == [0, 0, 3, 4]
