"""What CONTRIBUTING says of how the code reads, counted."""

from __future__ import annotations

import ast
import re
from collections import Counter
from itertools import chain
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "bot").rglob("*.py"))
TESTS = sorted(path for path in (ROOT / "tests").rglob("*.py") if "benchmarks" not in path.parts)
# What tests may import of the program's constants, for none of them is what is watched there.
NOT_WATCHED = {
    "CHUNK": "a test puts something just where one chunk of an export ends",
    "KEYS": "the page about routes is held against the keys that are read",
    "NAMES": "the table of errors is looked through for what stands in it twice",
    "NEEDS": "each kind of post to be taken is compiled",
    "NEWEST": "of the schema there is always another one",
    "RECORDS": "each place where a message may stand is compiled",
    "SETTINGS": "what an attack must differ from to be one",
}
IMPORT = re.compile(r"^[ \t]*(?:from[^#\n]+)?\bimport\b(?:\s*\([^)]*\)|[^#\n]*)", re.MULTILINE)


@pytest.fixture(scope="module")
def nodes():
    """Module by module, all that it is made of."""
    return {path: [*ast.walk(ast.parse(path.read_text("utf-8")))] for path in MODULES}


def functions(nodes):
    return [each for each in nodes if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]


def parameters(function):
    named = function.args
    return [each.arg for each in (*named.posonlyargs, *named.args, *named.kwonlyargs)]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_longer_than_five_hundred_lines(path):
    lines = len(path.read_text("utf-8").splitlines())

    assert lines <= 500


@pytest.mark.long
def test_functions_are_short(nodes):
    lengths = sorted(
        each.end_lineno - each.lineno + 1
        for each in chain.from_iterable(map(functions, nodes.values()))
    )

    assert median(lengths) <= 8
    assert lengths[len(lengths) * 95 // 100] <= 25
    assert lengths[-1] <= 50


@pytest.mark.long
def test_no_constructor_takes_more_than_eight_things(nodes):
    wide = {
        f"{path.relative_to(ROOT)}:{each.lineno}": len(parameters(each)) - 1
        for path, of_module in nodes.items()
        for each in functions(of_module)
        if each.name == "__init__"
    }

    assert {where: number for where, number in wide.items() if number > 8} == {}


@pytest.mark.long
def test_no_two_classes_have_one_name(nodes):
    """But for protocols: what one room asks of another may be called as the other calls itself."""
    seen = Counter(
        each.name
        for each in chain.from_iterable(nodes.values())
        if isinstance(each, ast.ClassDef)
        and "Protocol" not in {ast.unparse(base) for base in each.bases}
    )

    assert [name for name, times in seen.items() if times > 1] == []


@pytest.mark.long
def test_tests_name_numbers_themselves():
    """A test that imports the constant it watches over moves along with the mistake."""
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in TESTS
        for name in constants(ast.parse(path.read_text("utf-8")))
        if name not in NOT_WATCHED
    }

    assert found == set()


def constants(tree):
    """Those of `bot` that this imports, or reaches for in a module of it."""
    imported = {
        each.asname or each.name: each.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "bot"
        for each in node.names
    }
    reached = [
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in imported
        and node.value.id.islower()
    ]
    return [
        name for name in (*imported.values(), *reached) if re.fullmatch("_?[A-Z][A-Z0-9_]+", name)
    ]


def test_no_module_of_tests_is_imported_from():
    """What two of them need has a module of its own; so it is for the programs that they start."""
    found = {
        f"{path.relative_to(ROOT)}: {statement}"
        for path in TESTS
        for statement in IMPORT.findall(path.read_text("utf-8"))
        if re.search(r"\btest_", statement)
    }

    assert found == set()
