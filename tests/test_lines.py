"""What `coverage report` is told that the tests ran."""

import subprocess
import sys

import pytest
from coverage import CoverageData

from tests import lines

BACKOFF = lines.ROOT / "bot" / "backoff.py"
STEP = lines.ROOT / "bot" / "storage" / "migrations" / "versions" / "0002_catching_up.py"
PROGRAM = f"""
import atexit, importlib.util, os
import tests.lines
from bot import backoff
step = importlib.util.spec_from_file_location("step", {str(STEP)!r})
step.loader.exec_module(importlib.util.module_from_spec(step))
if os.fork():
    os.wait()
else:
    backoff.doubled(1.0, 2.0, 0)
    atexit._run_exitfuncs()
    os._exit(0)
"""


def line(path, text):
    return path.read_text().splitlines().index(text) + 1


@pytest.mark.long
def test_what_a_process_its_forks_and_a_file_named_by_path_ran_counts_and_nothing_else(tmp_path):
    environment = {lines.DIRECTORY: str(tmp_path), "PYTHONPATH": str(lines.ROOT)}
    subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=True)

    lines.gather(tmp_path, tmp_path / "report")
    data = CoverageData(str(tmp_path / "report"))
    data.read()
    seen = data.lines(str(BACKOFF))
    assert line(BACKOFF, "    return min(pause, at_most)") in seen
    assert line(BACKOFF, "        self._works_since = self._clock()") not in seen
    assert line(STEP, 'revision, down_revision = "0002", "0001"') in data.lines(str(STEP))
    assert data.lines(str(lines.ROOT / "bot" / "app.py")) == []  # is in the report all the same
