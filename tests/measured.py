"""What a command takes: the time it computes, and the most memory that it holds.

A child counts what its parent held when it was forked, so a small program stands between pytest and the command.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

from tests.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

LAUNCHER = """
import json, os, sys
child = os.posix_spawn(sys.executable, [sys.executable, "-m", "bot", *sys.argv[1:]], os.environ)
_, status, used = os.wait4(child, 0)
code = os.waitstatus_to_exitcode(status)
print(json.dumps([code, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]), file=sys.stderr)
"""


class Measured(NamedTuple):
    lines: list[str]
    seconds: float  # of computing
    megabytes: float


def measured(directory: Path, *args: object) -> Measured:
    env = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    done = subprocess.run(
        [sys.executable, "-c", LAUNCHER, *map(str, args)],
        cwd=directory,
        env=env | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        check=True,
    )
    code, seconds, megabytes = json.loads(done.stderr)
    assert code == 0
    return Measured(done.stdout.decode("utf-8").split("\n")[:-1], seconds, megabytes)
