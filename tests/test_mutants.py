"""The small mistakes: which are made, what is said of them, and that the table beside them fits."""

from __future__ import annotations

import ast
from collections import Counter

import pytest

from tests.mutants import (
    ROOT,
    Module,
    hunted,
    mutants_of,
    read_table,
    sampled,
    told,
    unknown_equivalents,
)
from tests.warm import WarmPytest

RULE = """
def answer(number, wanted=None):
    if wanted is not None and number not in wanted:
        raise ValueError("none of them")
    return number > 3
"""
TESTS = """
import pytest
from bot.rule import answer

def test_more_than_three():
    assert answer(4) is True
    assert answer(3) is False

def test_wanted():
    assert answer(4, {4}) is True
    with pytest.raises(ValueError):
        answer(5, {4})
"""


def names(source):
    return [mutant.name for mutant in mutants_of("bot/rule.py", source)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = a < b", ["a < b → (a <= b)", "a < b → (a >= b)"]),
        ("x = a is b", ["a is b → (a is not b)"]),
        ("x = a and b", ["a and b → (a or b)", "a and b → (b)", "a and b → (a)"]),
        ("x = not a", ["not a → (a)"]),
        ("x = 3", ["3 → (4)", "3 → (2)"]),
        ("x = 300", ["300 → (600)", "300 → (150)"]),
        ("x = True", ["True → False"]),
        ("x = a + b", ["a + b → (a - b)"]),
        ("say()", ["say() → pass"]),
        ("await_ = 0", ["0 → (1)", "0 → (-1)"]),
        (
            "query.where(a, b)",
            [
                "query.where(a, b) → pass",
                "query.where(a, b) → (query.where(b))",
                "query.where(a, b) → (query.where(a))",
            ],
        ),
        ("x = query.where(a)", ["query.where(a) → (query)"]),
        ("x = [y for y in z if y]", ["y → True"]),
        ("x.y = z", ["x.y = z → pass"]),
        ("if a:\n    raise b", ["a → (not a)", "raise b → pass"]),
        ("while a:\n    break", ["a → (not a)", "break → continue"]),
        ("match a:\n    case 1 if b:\n        c()", ["b → True", "c() → pass"]),
        ("log.info('heard')", []),
        ("assert a", []),
        ("x: Literal[1] = y", []),
        ("class A(Protocol):\n    x = 1", []),
        ("'''A text.'''", []),
        ("x = f'{a + 1}'", []),
    ],
)
def test_each_kind_of_mistake_is_made(source, expected):
    assert [name.partition(": ")[2] for name in names(source)] == expected


def test_a_mistake_is_named_by_its_function_and_counted_where_several_read_alike():
    source = "class A:\n    def b(self):\n        return f(True, True)\n"

    assert names(source) == [
        "A.b: return f(True, True) → return None",
        "A.b: True → False",
        "A.b: True → False (2)",
    ]


def test_each_mistake_is_one_change_of_the_text_and_still_python():
    source = RULE.encode()
    for mutant in mutants_of("bot/rule.py", RULE):
        changed = mutant.applied(source)
        ast.parse(changed)
        begin, end = mutant.span
        assert changed[:begin] == source[:begin]
        assert changed.endswith(source[end:])


def test_a_sample_is_the_same_for_the_same_seed_and_in_the_order_of_the_file():
    found = mutants_of("bot/rule.py", RULE)

    assert sampled(found, 0, 1) == found
    assert sampled(found, 4, 1) == sampled(found, 4, 1)
    assert len({tuple(sampled(found, 4, seed)) for seed in range(9)}) > 1
    assert [each for each in found if each in sampled(found, 4, 1)] == sampled(found, 4, 1)


@pytest.mark.heavy
def test_what_no_test_notices_survives_and_is_told(tmp_path, capsys):
    for name, text in {"bot/rule.py": RULE, "bot/__init__.py": "", "test_rule.py": TESTS}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    found = mutants_of("bot/rule.py", RULE)
    half = Module("bot/rule.py", ["test_rule.py::test_wanted"], {})
    whole = Module("bot/rule.py", ["test_rule.py"], {found[0].name: "nobody can tell"})

    with WarmPytest() as warm:
        assert hunted(half, found, tmp_path, warm)["survived"] > 0
        said = capsys.readouterr().out
        assert "bot/rule.py:5 survives: answer: number > 3 → (number >= 3)" in said
        count = hunted(whole, found, tmp_path, warm)
        with pytest.raises(SystemExit, match="fail without any mutant"):
            hunted(Module("bot/rule.py", ["test_none.py"], {}), found, tmp_path, warm)

    assert count == Counter(killed=len(found) - 1, equivalent=1)
    assert told("bot/rule.py", count).startswith("bot/rule.py: 100 % (")
    assert (tmp_path / "bot/rule.py").read_text() == RULE


@pytest.mark.parametrize("module", read_table(), ids=lambda module: module.file)
def test_what_is_called_equivalent_is_a_mistake_that_could_be_made(module):
    """Once the code has changed, nobody knows whether it still is."""
    assert unknown_equivalents(module) == []
    assert all(len(reason) > 10 for reason in module.equivalent.values())
    assert all((ROOT / test.partition("::")[0]).exists() for test in module.tests)
