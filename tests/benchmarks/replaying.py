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


def imported(messages: int) -> Ratio:
    """An import into new tables against a replay."""
    with tempfile.TemporaryDirectory() as directory:
        export = str(generate(Path(directory) / "result.json", messages=messages))
        ratios = []
        for number in range(3):
            replayed = _seconds("-m", "bot", "replay", export, "--json")
            began = time.perf_counter()
            _import(export, Path(directory, str(number)))
            ratios.append((time.perf_counter() - began) / replayed)
        return spread(ratios)


def import_peak_mb(messages: int) -> float:
    with tempfile.TemporaryDirectory() as directory:
        export = str(generate(Path(directory) / "result.json", messages=messages))
        return _import(export, Path(directory, "data")) / 1024


def _import(export: str, data: Path) -> int:
    return _run("-m", "bot", "import", export, DATA_DIR=str(data))


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


def _run(*args: str, **env: str) -> int:
    """Run Python and return the peak memory of that one process, in KB."""
    process = subprocess.Popen(
        [sys.executable, *args], stdout=subprocess.DEVNULL, env={**os.environ, **env}
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{args} failed with {process.returncode}")
    return usage.ru_maxrss
