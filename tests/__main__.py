"""`python -m tests`: format, lint, borders, types, tests and coverage; stops at the first failure.

Arguments go to pytest, behind one of these: `--heavy` runs the rest, the attacks and the long live
tests; `--no-checks` the tests that are named, for a second library or Python; `--quick` those that
start no program and take no time; `--sabotage` breaks the program on purpose, see `sabotage.py`;
`--mutants` asks how much of that would be noticed, see `mutants.py`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from subprocess import PIPE, STDOUT

from tests import lines, mutants, sabotage

ROOT = Path(__file__).parent.parent
PYTHON = sys.executable
BIN = Path(PYTHON).parent

CHECKS = (
    (BIN / "ruff", "format", "--check", "."),
    (BIN / "ruff", "check", "."),
    (BIN / "lint-imports",),
    (BIN / "mypy", "--strict", "bot"),
)
# The whole, and what decides: no line of that goes untried.
COVERAGE = (
    ("report", "--fail-under=95"),
    ("report", "--fail-under=100", "--include=bot/state/*,bot/rules/policy.py"),
)
TOOLS = {"--sabotage": sabotage.main, "--mutants": mutants.main}
# Runs of the tests alone, and which.
ALONE = {
    "--heavy": ("-m", "heavy"),
    "--no-checks": (),
    "--quick": ("--hypothesis-profile=quick", "-m", "not heavy and not long and not played"),
}
# Processes for each core, 3 for the whole: tests that start the program wait more than they compute.
AT_ONCE = {"--quick": 1, "--heavy": 4, "--no-checks": 4}
MEMORY = 2**31  # bytes that the tests may need


def run(*command: object) -> None:
    with started(*command):
        pass


@contextmanager
def started(*command: object) -> Iterator[None]:
    """It goes on beside what is done meanwhile, and is ended where that fails; then it is waited for."""
    print(shown(command), flush=True)
    process = subprocess.Popen([str(word) for word in command], cwd=ROOT)
    try:
        yield
    except BaseException:
        process.terminate()
        process.wait()
        raise
    if code := process.wait():
        sys.exit(code)


def check(commands: Iterable[Sequence[object]]) -> None:
    """All at once; each says its last line, or all it has to say."""
    run_at_once = partial(subprocess.Popen, cwd=ROOT, stdout=PIPE, stderr=STDOUT, text=True)
    running = [(command, run_at_once([*map(str, command)])) for command in commands]
    failed = 0
    for command, process in running:
        said = process.communicate()[0].strip().splitlines()
        code = process.returncode
        print(shown(command), *(said if code else said[-1:]), sep="\n", flush=True)
        failed = failed or code
    if failed:
        sys.exit(failed)


def shown(command: Sequence[object]) -> str:
    named = (
        Path(str(word)).name if word in {PYTHON, command[0]} else str(word) for word in command
    )
    return " ".join(("→", *named))


def main() -> None:
    arguments = sys.argv[1:]
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else each run compiles all tests anew
    if sys.prefix != sys.base_prefix and os.access(sys.prefix, os.W_OK):
        # So a new checkout need not find out anew what there is in the libraries, in 16 s of a processor.
        os.environ.setdefault("MYPY_CACHE_DIR", str(Path(sys.prefix) / ".mypy_cache"))
    os.environ["HYPOTHESIS_NO_PLUGINS"] = "1"  # trio, which selenium needs, has one: 0.3 s a start
    if arguments and (tool := TOOLS.get(arguments[0])):
        tempfile.tempdir = memory()
        sys.exit(tool(arguments[1:]))
    each = AT_ONCE.get(arguments[0] if arguments else "", 3)
    processes = os.environ.get("TEST_PROCESSES", str(each * (os.cpu_count() or 1)))
    pytest = ("pytest", "-q", "-rs", "--processes", processes)
    with tempfile.TemporaryDirectory(dir=memory(), prefix="tests-") as directory:
        os.environ["TMPDIR"] = directory
        Path(directory).chmod(0o711)  # a database server in it runs as another user
        if arguments and (marked := ALONE.get(arguments[0])) is not None:
            return run(PYTHON, "-m", *pytest, *marked, *arguments[1:])
        with tempfile.TemporaryDirectory(dir=directory) as seen:
            os.environ[lines.DIRECTORY] = seen
            # One process collects the tests, so there is a processor left for the checks.
            with started(PYTHON, "-m", *pytest, "-p", "tests.lines", "-m", "not heavy", *arguments):
                check(CHECKS)
            lines.gather(Path(seen), ROOT / ".coverage")
        check([(PYTHON, "-m", "coverage", *report) for report in COVERAGE])
    return None


def memory() -> str | None:
    """Where files cost no disk: the tests write thousands of databases, and none is to outlive them."""
    directory = "/dev/shm"
    try:
        return directory if shutil.disk_usage(directory).free > MEMORY else None
    except OSError:
        return None


if __name__ == "__main__":
    main()
