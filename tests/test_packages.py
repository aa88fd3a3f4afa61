"""What is installed beside the program: each package has its reason in docs/INSTALL.md."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib

import pytest
from packaging.requirements import Requirement

from tests.conftest import ROOT

PAGE = (
    (ROOT / "docs" / "INSTALL.md").read_text(encoding="utf-8").partition("## What is installed")[2]
)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ONE_OF = {"tgcrypto", "tgcrypto-pyrofork"}  # one import name, one for each Python


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def wanted(requirements, extras=()):
    """Names of what this Python has to have, each with its own extras."""
    for text in requirements:
        one = Requirement(text)
        if one.marker is None or any(
            one.marker.evaluate({"extra": extra}) for extra in extras or [""]
        ):
            yield canonical(one.name), frozenset(one.extras)


def installed():
    """Whatever `pip install .` brings: what is needed, what that needs, and so on."""
    found, waiting = set(), list(wanted(PROJECT["dependencies"]))
    while waiting:
        each = waiting.pop()
        if each not in found:
            found.add(each)
            waiting += wanted(importlib.metadata.requires(each[0]) or (), each[1])
    return {name for name, _ in found}


def listed(part):
    """The packages of a table: the names in its first column."""
    rows = re.findall(r"^\| (`.*?) \|", part, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([a-z0-9-]+)`", row)}


OURS, THEIRS = map(listed, PAGE.split("And what those bring:"))


def test_each_package_that_it_uses_has_its_reason():
    assert {canonical(Requirement(each).name) for each in PROJECT["dependencies"]} == OURS


def test_each_package_that_those_bring_is_named():
    """One more, or one less, is worth a look: who brings it, and is it wanted?"""
    try:
        found = installed()
    except importlib.metadata.PackageNotFoundError as missing:
        pytest.skip(f"{missing} is not installed here: another library stands in its place")

    assert found - ONE_OF == (OURS | THEIRS) - ONE_OF


def test_their_number_is_stated():
    numbers = re.search(r"(\d+) packages: (\d+) that it uses, and (\d+) that those bring", PAGE)

    ours, theirs = len(OURS) - 1, len(THEIRS)  # of the two of one name there is one
    assert tuple(map(int, numbers.groups())) == (ours + theirs, ours, theirs)
