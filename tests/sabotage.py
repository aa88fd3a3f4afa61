"""Break the program on purpose, one line at a time, and see that the promised test goes red.

    python -m tests --sabotage                          every break of `breaks.toml`
    python -m tests --sabotage deaf album               those whose names hold one of these words
    python -m tests --sabotage --sample 8 --seed 3      eight by chance, for CI

A break is a piece of text of one file and what is put in its place. It is made in a copy of the
tree, and the test that is named beside it runs there. A test that stays green watches over nothing;
one that hangs tells nobody what is wrong; a break that no longer applies, or that applies in two
places, says nothing any more. Each of these is a failure here.
"""

from __future__ import annotations

import argparse
import compileall
import os
import py_compile
import random
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

from tests.warm import Run, WarmPytest

ROOT = Path(__file__).parent.parent
BREAKS = Path(__file__).parent / "breaks.toml"
COPIED = ("bot", "tests", "docs", "data", "pyproject.toml", "README.md", ".env.example")
COPIED_TOO = (
    ".ci",
    "README.ru.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "Dockerfile",
    ".dockerignore",
    "compose.yaml",
    "compose.ha.yaml",
    "LICENSE",
)
COMPILED = ("bot", "tests")
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
    run: Run | None = None


def read_breaks(path: Path = BREAKS) -> list[Break]:
    """Raises `ValueError` for two of one name."""
    found = [Break(**each) for each in tomllib.loads(path.read_text("utf-8"))["break"]]
    names = [each.name for each in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"two breaks are called {', '.join(sorted(twice))}")
    return found


def copy_tree(to: Path) -> Path:
    """What was compiled there is believed by its source's content: its time may be that of before."""
    for name in (*COPIED, *COPIED_TOO):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, to / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, to / name)
    by_content = py_compile.PycInvalidationMode.CHECKED_HASH
    for name in COMPILED:
        compileall.compile_dir(to / name, quiet=2, invalidation_mode=by_content)
    return to


@contextmanager
def changed(file: Path, text: str) -> Iterator[None]:
    whole = file.read_text("utf-8")
    file.write_text(text, "utf-8")
    try:
        yield
    finally:
        file.write_text(whole, "utf-8")


def tried(broken: Break, tree: Path, pytest: WarmPytest, *, patience: float = PATIENCE) -> Verdict:
    """Whether its test goes red in this tree, which is as before when this returns."""
    file = tree / broken.file
    try:
        text = broken.applied(file.read_text("utf-8"))
    except Stale as exc:
        return Verdict(broken, f"stale: {exc}")
    with changed(file, text):
        run = pytest.run(tree, broken.test.split(), patience=patience)
    return Verdict(broken, _word(run.code, patience), run)


def _word(code: int | None, patience: float) -> str:
    if code is None:
        return f"hangs for {patience:g} s"
    words = {0: "GREEN", FAILED: "red"}
    return words.get(code, f"cannot run (exit code {code})")


def sabotage(breaks: Sequence[Break], *, workers: int) -> list[Verdict]:
    """Every break in a copy of the tree, several copies side by side."""
    with tempfile.TemporaryDirectory() as directory:
        places: Queue[tuple[Path, WarmPytest]] = Queue()
        for number in range(workers):
            places.put((copy_tree(Path(directory, str(number))), WarmPytest()))

        def one(broken: Break) -> Verdict:
            tree, pytest = places.get()
            try:
                verdict = tried(broken, tree, pytest)
            finally:
                places.put((tree, pytest))
            _tell(verdict)
            return verdict

        try:
            with ThreadPoolExecutor(workers) as pool:
                return list(pool.map(one, breaks))
        finally:
            while not places.empty():
                places.get()[1].close()


def _tell(verdict: Verdict) -> None:
    run = verdict.run or Run(None, 0, 0, "")
    print(f"{verdict.word:8} {run.seconds:5.1f} s  {verdict.broken.name}", flush=True)


def chosen(breaks: Iterable[Break], words: Sequence[str], sample: int | None, seed: int):
    named = [
        each
        for each in breaks
        if not words or any(word in each.name or word in each.file for word in words)
    ]
    possible = [each for each in named if sys.version_info >= tuple(each.python)]
    if sample is None or sample >= len(possible):
        return possible
    return random.Random(seed).sample(possible, sample)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests --sabotage")
    parser.add_argument("words", nargs="*", help="of their names, or of the files they break")
    parser.add_argument("--sample", type=int, help="so many, by chance")
    parser.add_argument("--seed", type=int, default=0, help="of the chance")
    parser.add_argument(
        "--workers",
        type=int,
        default=3 * (os.cpu_count() or 1),
        help="side by side; a test of a broken program mostly waits for what does not come",
    )
    given = parser.parse_args(arguments)
    breaks = chosen(read_breaks(), given.words, given.sample, given.seed)
    if not breaks:
        parser.error(f"no break is called so, and none is of such a file: {' '.join(given.words)}")
    verdicts = sabotage(breaks, workers=min(given.workers, len(breaks)))
    wrong = [verdict for verdict in verdicts if verdict.word != "red"]
    for verdict in wrong:
        print(f"\n── {verdict.broken.name}: {verdict.word}\n   {verdict.broken.test}")
        print(verdict.run.output[-2_000:] if verdict.run else "")
    used = sum(verdict.run.processor for verdict in verdicts if verdict.run)
    print(
        f"{len(verdicts) - len(wrong)} of {len(verdicts)} breaks turn their test red; {used:.0f} s of a processor"
    )
    return bool(wrong) or not verdicts
