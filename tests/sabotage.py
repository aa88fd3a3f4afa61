"""Break the program on purpose, one line at a time, and see that the promised test goes red.

    python -m tests --sabotage                 every break of `breaks.toml`
    python -m tests --sabotage deaf album      those whose names hold one of these words
    python -m tests --sabotage --every 10      one in ten, for CI

A break is a piece of text of one file and what is put in its place. It is made in a copy of the
tree, and the test that is named beside it runs there. A test that stays green watches over nothing;
one that hangs tells nobody what is wrong; a break that no longer applies, or that applies in two
places, says nothing any more. Each of these is a failure here.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

ROOT = Path(__file__).parent.parent
BREAKS = Path(__file__).parent / "breaks.toml"
COPIED = ("bot", "tests", "docs", "data", "pyproject.toml", "README.md", ".env.example")
COPIED_TOO = (
    ".ci",
    "SECURITY.md",
    "CHANGELOG.md",
    "Dockerfile",
    ".dockerignore",
    "compose.yaml",
    "LICENSE",
)
PATIENCE = 120  # seconds for one test
FAILED = 1  # pytest's exit code for tests that ran and failed


class Stale(Exception):
    """A break that does not fit the code any more."""


@dataclass(frozen=True)
class Break:
    name: str
    file: str
    old: str
    new: str
    test: str  # as pytest takes it
    python: Sequence[int] = ()  # the first version on which it shows

    def applied(self, text: str) -> str:
        found = text.count(self.old)
        if found != 1:
            raise Stale(f"its text stands {found} times in {self.file}")
        return text.replace(self.old, self.new)


@dataclass(frozen=True)
class Verdict:
    broken: Break
    word: str  # "red", or what is wrong
    seconds: float
    output: str = ""


def read_breaks(path: Path = BREAKS) -> list[Break]:
    """Raises `ValueError` for two of one name."""
    found = [Break(**each) for each in tomllib.loads(path.read_text("utf-8"))["break"]]
    names = [each.name for each in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"two breaks are called {', '.join(sorted(twice))}")
    return found


def copy_tree(to: Path) -> Path:
    for name in (*COPIED, *COPIED_TOO):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, to / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, to / name)
    return to


def tried(broken: Break, tree: Path, *, patience: float = PATIENCE) -> Verdict:
    """Whether its test goes red in this tree, which is as before when this returns."""
    began = time.monotonic()
    file = tree / broken.file
    whole = file.read_text("utf-8")
    try:
        file.write_text(broken.applied(whole), "utf-8")
        word, output = _run(broken.test, tree, patience)
    except Stale as exc:
        word, output = f"stale: {exc}", ""
    finally:
        file.write_text(whole, "utf-8")
    return Verdict(broken, word, time.monotonic() - began, output)


def _run(test: str, tree: Path, patience: float) -> tuple[str, str]:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:xdist", *test.split()]
    # What was compiled of the whole file must not be run for the broken one.
    env = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "SABOTAGE": "1"}
    try:
        done = subprocess.run(
            command,
            cwd=tree,
            env=env,
            capture_output=True,
            text=True,
            timeout=patience,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        return f"hangs for {patience:g} s", str(exc.stdout or "")
    if done.returncode == FAILED:
        return "red", ""
    word = "GREEN" if done.returncode == 0 else f"cannot run (exit code {done.returncode})"
    return word, done.stdout + done.stderr


def sabotage(breaks: Sequence[Break], *, workers: int) -> list[Verdict]:
    """Every break in a copy of the tree, several copies side by side."""
    with tempfile.TemporaryDirectory() as directory:
        trees: Queue[Path] = Queue()
        for number in range(workers):
            trees.put(copy_tree(Path(directory, str(number))))

        def one(broken: Break) -> Verdict:
            tree = trees.get()
            try:
                verdict = tried(broken, tree)
            finally:
                trees.put(tree)
            print(f"{verdict.word:8} {verdict.seconds:5.1f} s  {broken.name}", flush=True)
            return verdict

        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(one, breaks))


def chosen(breaks: Iterable[Break], words: Sequence[str], every: int) -> list[Break]:
    named = [each for each in breaks if not words or any(word in each.name for word in words)]
    return [each for each in named if sys.version_info >= tuple(each.python)][::every]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests --sabotage")
    parser.add_argument("words", nargs="*")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args(arguments)
    breaks = chosen(read_breaks(), given.words, given.every)
    verdicts = sabotage(breaks, workers=given.workers)
    wrong = [verdict for verdict in verdicts if verdict.word != "red"]
    for verdict in wrong:
        print(f"\n── {verdict.broken.name}: {verdict.word}\n   {verdict.broken.test}")
        print(verdict.output[-2_000:])
    print(f"{len(verdicts) - len(wrong)} of {len(verdicts)} breaks turn their test red")
    return bool(wrong) or not verdicts
