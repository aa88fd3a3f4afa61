"""Files that lose their name, and others in their place."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from bot.errors import DataGone
from bot.storage.data_directory import Presence
from bot.storage.engine import Database
from bot.storage.store import SignalStore
from tests.people import ALICE, says


@pytest.fixture
def data(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "signals.db").write_text("a table")
    return data


def test_what_is_where_it_was_is_fine_whatever_is_written_in_it(data):
    presence = Presence([data, data / "signals.db", data / "never there"])
    (data / "signals.db").write_text("more")
    (data / "never there").write_text("new")
    presence.check()


@pytest.mark.parametrize(
    ("change", "culprit", "what"),
    [
        (shutil.rmtree, "", "is gone"),
        (lambda data: data.rename(data.with_name("elsewhere")), "", "is gone"),
        (lambda data: (data.rename(data.with_name("old")), data.mkdir()), "", "was replaced"),
        (lambda data: (data / "signals.db").unlink(), "signals.db", "is gone"),
        (
            lambda data: Path(shutil.copy(data / "signals.db", data / "copy")).replace(
                data / "signals.db"
            ),
            "signals.db",
            "was replaced",
        ),
    ],
    ids=["deleted", "renamed", "made anew", "file deleted", "file replaced"],
)
def test_what_is_gone_is_one_line_that_names_it_and_what_to_do(data, change, culprit, what):
    keep = (data / "signals.db").open()  # so that its number is not given to another file
    presence = Presence([data, data / "signals.db"])
    change(data)
    with keep, pytest.raises(DataGone, match=f"^{data / culprit} {what}.*put back") as caught:
        presence.check()
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 1


async def test_it_is_looked_for_every_two_seconds(data):
    naps = []

    async def sleep(seconds):
        naps.append(seconds)
        if len(naps) == 3:
            shutil.rmtree(data)
        await asyncio.sleep(0)

    with pytest.raises(DataGone):
        await Presence([data]).watch(sleep=sleep)
    assert naps == [2, 2, 2]


async def test_a_table_without_a_name_takes_and_gives_nothing_more(tmp_path):
    """Not even for the two seconds until the bot ends."""
    store = SignalStore(Database(tmp_path / "signals.db", in_loop=True))
    await store.open()
    (tmp_path / "signals.db").rename(tmp_path / "elsewhere.db")
    with pytest.raises(DataGone):
        await store.signal_at(says(ALICE, "hello").chat_id, says(ALICE, "hello").id)
    await store.close()
