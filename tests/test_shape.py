"""What CONTRIBUTING says of how the code reads, counted."""

from __future__ import annotations

import ast
from itertools import chain
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "bot").rglob("*.py"))
# Their turn comes: nobody adds a name here.
LONG = {
    "bot/state/flow_cache.py",
}


def functions(path):
    tree = ast.parse(path.read_text("utf-8"))
    return [
        each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def parameters(function):
    named = function.args
    return [each.arg for each in (*named.posonlyargs, *named.args, *named.kwonlyargs)]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_longer_than_five_hundred_lines(path):
    lines = len(path.read_text("utf-8").splitlines())

    assert lines <= 500 or str(path.relative_to(ROOT)) in LONG


def test_functions_are_short():
    lengths = sorted(
        each.end_lineno - each.lineno + 1 for each in chain.from_iterable(map(functions, MODULES))
    )

    assert median(lengths) <= 8
    assert lengths[len(lengths) * 95 // 100] <= 25
    assert lengths[-1] <= 50


def test_no_constructor_takes_more_than_eight_things():
    wide = {
        f"{path.relative_to(ROOT)}:{each.lineno}": len(parameters(each)) - 1
        for path in MODULES
        for each in functions(path)
        if each.name == "__init__"
    }

    assert {where: number for where, number in wide.items() if number > 8} == {}
