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

from tests.benchmarks.comparing import Ratio, spread
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


def against_reading(messages: int) -> Ratio:
    """A replay against ijson alone on the same file, both as processes, the start of Python less."""
    reading = (
        "import sys; from ijson.backends import yajl2_c as ijson\n"
        "for _ in ijson.items(open(sys.argv[1], 'rb'), 'messages.item'): pass"
    )
    with tempfile.TemporaryDirectory() as directory:
        export = str(generate(Path(directory) / "result.json", messages=messages))
        nothing = str(generate(Path(directory) / "short.json", messages=1))
        ratios = []
        for _ in range(3):
            took = [
                _seconds(*command, export) - _seconds(*command, nothing)
                for command in (("-m", "bot", "replay", "--json"), ("-c", reading))
            ]
            ratios.append(took[0] / took[1])
        return spread(ratios)


def _seconds(*args: str) -> float:
    began = time.perf_counter()
    _run(*args)
    return time.perf_counter() - began


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
