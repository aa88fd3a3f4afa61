"""Tests run in a tree that is not ours, without the seconds that pytest and the libraries take to start.

A process that has imported both, but nothing of this project, forks a child for each run. The child
imports `bot` and `tests` of its tree, so it sees whatever was changed there a moment ago. Started as
a file of its own, for as a module of `tests` it would bring ours along.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

# What the project and its tests import, imported as pytest would have it: by a file that it collects.
LIBRARIES = """
import asyncio
asyncio.set_event_loop(loop := asyncio.new_event_loop())  # pyrogram asks for one when it is imported
import pyrogram, pyrogram.raw.all, pyrogram.errors.exceptions.all
asyncio.set_event_loop(None)
loop.close()
import aiohttp.web, dotenv, hypothesis.strategies, ijson, jinja2, mtproto.transport, prometheus_client.parser
import pydantic_settings, pygal, re2, rich.console, rich.progress, rich.table, sqlalchemy.dialects.sqlite
import structlog.testing, typer.core
import diskcache

def test_nothing():
    pass
"""
STARTED = "ready"
LOOKED_FOR = 0.01  # seconds between two looks at a child
GRACE = 10  # seconds of a processor beyond its patience


@dataclass(frozen=True)
class Run:
    """`code` is pytest's, minus the signal that ended it, or None where it was still running."""

    code: int | None
    seconds: float
    processor: float  # seconds, of the child and of what it started and waited for
    output: str


class WarmPytest:
    """Runs one after another. Raises `RuntimeError` where it cannot be started."""

    def __init__(self) -> None:
        self._temporary = tempfile.mkdtemp(prefix="warm-")
        self._server = subprocess.Popen(
            [sys.executable, __file__, self._temporary],
            # What is measured is our tree, and not what is tried in another.
            env={name: value for name, value in os.environ.items() if not name.startswith("COV")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if self._server.stdout.readline().strip() != STARTED:
            raise RuntimeError("pytest does not start")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._server.communicate()
        shutil.rmtree(self._temporary, ignore_errors=True)

    def run(self, tree: Path, tests: Iterable[str], *, patience: float) -> Run:
        """These tests of the tree until one fails; `patience` are seconds."""
        request = {"tree": str(tree), "tests": list(tests), "patience": patience}
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        return Run(**json.loads(self._server.stdout.readline()))


# ── the server ──


def serve(temporary: Path) -> None:
    """Answer each line of the standard input, until it ends."""
    answers = os.fdopen(os.dup(1), "w")
    with open(os.devnull, "w", encoding="utf-8") as nothing:  # noqa: PTH123 - no path of ours
        os.dup2(nothing.fileno(), 1)
    warm_up(temporary)
    gc.freeze()  # what is here is never garbage, and looking for it would copy each page
    print(STARTED, file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(answered(json.loads(line), temporary)), file=answers, flush=True)


def warm_up(temporary: Path) -> None:
    import pytest  # noqa: PLC0415 - only the server needs it

    (temporary / "pytest.ini").write_text(
        "[pytest]\nasyncio_default_fixture_loop_scope = function\n", "utf-8"
    )
    file = temporary / "test_libraries.py"
    file.write_text(LIBRARIES, "utf-8")
    if pytest.main(["-q", "-p", "no:cacheprovider", "--rootdir", str(temporary), str(file)]):
        sys.exit(1)


def answered(request: dict, temporary: Path) -> dict:
    began = time.monotonic()
    place = Path(tempfile.mkdtemp(dir=temporary))
    if not (pid := os.fork()):
        os._exit(played(request, place))
    code, processor = waited_for(pid, began + request["patience"])
    output = (place / "output").read_text("utf-8", "replace") if (place / "output").exists() else ""
    shutil.rmtree(place, ignore_errors=True)
    seconds = time.monotonic() - began
    return {"code": code, "seconds": seconds, "processor": processor, "output": output[-20_000:]}


def waited_for(pid: int, until: float) -> tuple[int | None, float]:
    """Its code, and the processor's time. It and whatever it started are gone when this returns."""
    ended = 0
    while not ended and time.monotonic() < until:
        ended, status, used = os.wait4(pid, os.WNOHANG)
        if not ended:
            time.sleep(LOOKED_FOR)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    if not ended:
        _, status, used = os.wait4(pid, 0)
    code = os.waitstatus_to_exitcode(status) if ended else None
    return code, used.ru_utime + used.ru_stime


def played(request: dict, place: Path) -> int:
    import pytest  # noqa: PLC0415 - as above

    os.setsid()
    # One that loops without end may have lost who would end it.
    most = int(request["patience"]) + GRACE
    resource.setrlimit(resource.RLIMIT_CPU, (most, most))
    with (place / "output").open("wb") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    tree = request["tree"]
    os.chdir(tree)
    sys.path[0] = tree
    os.environ.update(PYTHONPATH=tree, TMPDIR=str(place), SABOTAGE="1")
    tempfile.tempdir = None
    code = pytest.main(["-q", "-x", *request["tests"]])
    sys.stdout.flush()
    sys.stderr.flush()
    return int(code)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
