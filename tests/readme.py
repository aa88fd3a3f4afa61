"""README in both languages, and the commands in it."""

from __future__ import annotations

import re

from tests.conftest import ROOT

ENGLISH = (ROOT / "README.md").read_text(encoding="utf-8")
RUSSIAN = (ROOT / "README.ru.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^( *)```sh\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


def commands(text):
    found = (line.strip() for _, block in BLOCK.findall(text) for line in block.splitlines())
    return [line for line in found if line]
