"""Replays of generated exports, as processes of their own."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tests.exports import generate


class Replayed(NamedTuple):
    per_second: float
    peak_mb: float


def replay(messages: int) -> Replayed:
    with tempfile.TemporaryDirectory() as directory:
        export = generate(Path(directory) / "result.json", messages=messages)
        began = time.perf_counter()
        peak_kb = _run("-m", "bot", "replay", str(export), "--json")
        return Replayed(messages / (time.perf_counter() - began), peak_kb / 1024)


def help_seconds() -> float:
    """How much longer `--help` takes than starting Python."""
    more = []
    for _ in range(5):
        times = []
        for command in (["-m", "bot", "--help"], ["-c", "pass"]):
            began = time.perf_counter()
            _run(*command)
            times.append(time.perf_counter() - began)
        more.append(times[0] - times[1])
    return statistics.median(more)


def _run(*args: str) -> int:
    """Run Python and return the peak memory of that one process, in KB."""
    process = subprocess.Popen([sys.executable, *args], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{args} failed with {process.returncode}")
    return usage.ru_maxrss
