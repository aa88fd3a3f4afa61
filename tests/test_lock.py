"""The lock on the data directory, and looking at it without coming into a bot's way."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys

import pytest

from bot.errors import AlreadyRunning, DatabaseUnavailable
from bot.lock import holder, locked


@pytest.fixture
def lock(tmp_path):
    return tmp_path / "lock"


def test_who_holds_the_lock_can_be_told_while_it_is_held_and_not_after(lock):
    assert holder(lock) is None
    with locked(lock):
        held = holder(lock)
        assert held is not None
        assert held.pid == os.getpid()
        assert held.since == lock.stat().st_mtime

    assert holder(lock) is None


def test_a_lock_given_up_in_order_is_looked_at_without_being_tried(lock):
    """Trying would take it for a moment, and just then a bot may want to start."""
    with locked(lock):
        pass
    assert lock.read_text() == ""
    with lock.open() as starting:
        fcntl.flock(starting, fcntl.LOCK_EX)

        assert holder(lock) is None


def test_a_lock_of_one_who_died_is_nobodys(lock):
    dying = f"""
import os, pathlib, bot.lock
with bot.lock.locked(pathlib.Path({str(lock)!r})):
    os._exit(1)
"""
    subprocess.run([sys.executable, "-c", dying], check=False)

    assert lock.read_text().strip().isdecimal()
    assert holder(lock) is None
    with locked(lock):
        pass


def test_looking_at_the_lock_gives_nobody_elses_away(lock):
    with locked(lock):
        holder(lock)
        with pytest.raises(AlreadyRunning, match=f"pid {os.getpid()}"), locked(lock):
            pass


def test_a_lock_that_cannot_be_made_names_its_file(tmp_path):
    with (
        pytest.raises(DatabaseUnavailable, match="missing/lock"),
        locked(tmp_path / "missing/lock"),
    ):
        pass
