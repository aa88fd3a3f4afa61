"""SECURITY.md names a test for every promise, and the tests it names are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
PROMISES = re.findall(r"^\| (?!promise|-)(.+?) \| (.+) \|$", PAGE, re.MULTILINE)


def named(cell: str) -> list[tuple[str, str | None]]:
    """File and test of each reference; "…" is the file before."""
    found, file = [], ""
    for reference in re.findall(r"`([^`]*(?:\.py|…)[^`]*)`", cell):
        path, _, test = reference.partition("::")
        file = file if path == "…" else path
        found.append((file, test or None))
    return found


def test_there_are_promises():
    assert len(PROMISES) > 10


@pytest.mark.parametrize(("promise", "tests"), PROMISES, ids=[text for text, _ in PROMISES])
def test_every_promise_names_a_test_that_is_there(promise, tests):
    references = named(tests)
    assert references
    for file, test in references:
        source = (ROOT / file).read_text(encoding="utf-8")
        assert test is None or f"def {test}(" in source
