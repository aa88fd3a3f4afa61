"""A program that the tests fork is the one that a person starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests import forkserver
from tests.conftest import ROOT
from tests.loopback.launch import environment

SAMPLE = str(ROOT / "data" / "sample_export.json")
HERE = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}


@pytest.mark.long
@pytest.mark.parametrize(
    "command",
    [
        ["replay", SAMPLE],
        ["replay", SAMPLE, "--json"],
        ["replay", "missing.json"],
        ["--wrong"],
        ["status"],
        [],
    ],
    ids=" ".join,
)
def test_it_says_the_same_and_ends_the_same(tmp_path, command):
    started = subprocess.run(
        [sys.executable, "-m", "bot", *command],
        cwd=tmp_path,
        env=HERE,
        capture_output=True,
        text=True,
        check=False,
    )

    forked = forkserver.run(["-m", "bot", *command], cwd=tmp_path, env=HERE, timeout=30)

    assert forkserver.forkable(["-m", "bot", *command], HERE)
    assert (forked.stdout, forked.stderr) == (started.stdout, started.stderr)
    assert forked.returncode == started.returncode


@pytest.mark.long
def test_it_knows_nothing_of_the_program_before_it(tmp_path):
    command = ["-m", "bot", "replay", SAMPLE, "--json"]
    wrong = {**HERE, "FLOW_TTL_HOURS": "wrong"}

    refused = forkserver.run(command, cwd=tmp_path, env=wrong, timeout=30)
    done = forkserver.run(command, cwd=tmp_path, env=HERE, timeout=30)

    assert (refused.returncode, refused.stdout) == (2, "")
    assert json.loads(done.stdout)["signals"] == 7


@pytest.mark.parametrize(
    "more", [{"LC_ALL": "C"}, {"PYTHONUTF8": "0"}, {"PYTHONPATH": "/elsewhere"}]
)
def test_what_python_reads_at_its_start_is_never_forked(more):
    assert not forkserver.forkable(["-m", "bot"], {**HERE, **more})


def test_what_the_loopback_telegram_starts_is_forked():
    """Else each live test takes a second longer, and nobody sees which lines it ran."""
    assert forkserver.forkable(["-m", "bot"], environment(443))
