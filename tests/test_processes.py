"""What comes out of tests that run in several processes is what comes out of them in one."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.processes import in_their_order

TESTS = """
import os
import pytest

@pytest.fixture(scope="module")
def made():
    with open("made", "a") as file:
        file.write("made\\n")

@pytest.mark.parametrize("number", range(9))
def test_shares(made, number): ...

@pytest.fixture(scope="session")
def session():
    yield "given"
    raise RuntimeError("this session ends badly")

@pytest.mark.parametrize("number", range(20))
def test_of_many(number, tmp_path):
    (tmp_path / "file").write_text(str(number))
    assert number != 7, "seven is wrong"

def test_prints(capsys):
    print("said aloud")
    assert capsys.readouterr().out == "said aloud\\n"

def test_says_what_it_printed():
    print("the last words")
    assert False

@pytest.mark.skip(reason="no reason")
def test_skipped(): ...

def test_asks(session):
    assert session == "given"

def test_asks_again(session):
    assert session == "given"
"""
DIES = """
import os

def test_dies():
    os._exit(3)
"""

COMPLAINTS = "error::pytest.PytestUnraisableExceptionWarning"
LITTERS = """
class Litter:
    def __init__(self):
        self.kept_by = self

    def __del__(self):
        raise RuntimeError("left behind")

def test_litters():
    Litter()
"""


def played(directory, text, *options):
    (directory / "test_it.py").write_text(text)
    (directory / "pytest.ini").write_text("[pytest]\n")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "tests.processes", *options],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(directory)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.long
def test_all_run_once_and_what_failed_is_shown(tmp_path):
    ended = played(tmp_path, TESTS, "--processes", "3")

    assert ended.returncode == 1
    assert "2 failed, 31 passed, 1 skipped" in ended.stdout
    assert "seven is wrong" in ended.stdout
    assert "the last words" in ended.stdout
    assert "this session ends badly" in ended.stdout
    assert "said aloud" not in ended.stdout
    assert (tmp_path / "made").read_text() == "made\n"  # once, for whoever shares it
    assert re.findall(r"SKIPPED \[1\] .*no reason", ended.stdout)


@pytest.mark.long
def test_what_nobody_ran_is_no_success(tmp_path):
    """Nor is a process that dies."""
    text = DIES + DIES.replace("dies", "dies_too") + "def test_left(): ...\n"
    ended = played(tmp_path, text, "--processes", "2")

    assert ended.returncode == 1
    assert "its process ended with 3" in ended.stdout


@pytest.mark.long
def test_what_a_test_leaves_behind_is_noticed_there(tmp_path):
    text = LITTERS + LITTERS.replace("litters", "litters_too")
    ended = played(tmp_path, text, "--processes", "2", "-W", COMPLAINTS)

    assert ended.returncode == 1
    assert re.search("2 passed, 2 errors in", ended.stdout)
    assert "left behind" in ended.stdout


class Item:
    def __init__(self, *marks):
        self.marks = marks

    def get_closest_marker(self, name):
        return name if name in self.marks else None


def test_what_takes_long_is_first_and_what_waits_before_what_computes():
    items = [Item(), Item("long"), Item("played"), Item("heavy"), Item("long", "played"), Item()]

    assert [group.start for group in in_their_order(items)] == [4, 1, 3, 2, 0, 5]


@pytest.mark.heavy
def test_after_the_first_failure_it_may_stop(tmp_path):
    many = "import pytest\n@pytest.mark.parametrize('n', range(3000))\ndef test_n(n): assert n\n"
    ended = played(tmp_path, many, "--processes", "2", "-x")

    assert ended.returncode == 1
    assert "stopping after 1 failure" in ended.stdout
    assert int(re.search(r"(\d+) passed", ended.stdout)[1]) < 2999
