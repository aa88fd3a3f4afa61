"""Which lines of `bot` the tests run, for `coverage report`; a plugin of pytest.

SlipCover puts a probe before each line and takes it out once it was seen, so that a line costs
nothing the second time. `coverage` itself is called for each line and each function of every
package (before Python 3.12 it has no other way), which takes nearly as long again as the tests.
"""

from __future__ import annotations

import atexit
import json
import os
import time
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parent.parent
DIRECTORY = "LINES_DIRECTORY"  # where each process leaves what it saw; without it nobody looks


def watch() -> None:
    """Look at what is imported from now on, by this process and by what it forks."""
    if directory := os.environ.get(DIRECTORY):
        import slipcover  # noqa: PLC0415  # it takes time

        seen, ours = slipcover.Slipcover(immediate=True), slipcover.FileMatcher([ROOT / "bot"])
        slipcover.ImportManager(seen, ours).__enter__()
        slipcover.wrap_spec_from_file_location(seen, ours)  # the way Alembic imports
        atexit.register(leave, seen, Path(directory))


def leave(seen, directory: Path) -> None:
    lines = {name: [*numbers] for name, numbers in seen.newly_seen.items()}
    (directory / f"{os.getpid()}-{time.monotonic_ns()}.json").write_text(json.dumps(lines))


def gather(directory: Path, report: Path) -> None:
    """Put what all processes saw into the file that `coverage report` reads."""
    from coverage import CoverageData  # noqa: PLC0415  # as above

    seen: defaultdict[str, set[int]] = defaultdict(set)
    for path in directory.glob("*.json"):
        for name, numbers in json.loads(path.read_text()).items():
            seen[name].update(numbers)
    data = CoverageData(str(report))
    data.erase()
    data.add_lines(seen)  # all at once: each time takes it 6 ms
    data.touch_files(map(str, ROOT.glob("bot/**/*.py")))  # what nobody imported
    data.write()


watch()
