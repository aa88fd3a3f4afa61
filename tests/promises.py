"""What documents promise, and the tests that they name for it."""

from __future__ import annotations

import re

from tests.conftest import ROOT

SECURITY = re.findall(
    r"^\| (?!promise|-)(.+?) \| (.+) \|$", (ROOT / "SECURITY.md").read_text("utf-8"), re.MULTILINE
)


def named(cell: str) -> list[tuple[str, str | None]]:
    """File and test of each reference; "…" is the file before."""
    found, file = [], ""
    for reference in re.findall(r"`([^`]*(?:\.py|…)[^`]*)`", cell):
        path, _, test = reference.partition("::")
        file = file if path == "…" else path
        found.append((file, test or None))
    return found
