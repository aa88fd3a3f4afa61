"""docs/PROMISES.md: each promise has its test, and a break that turns this test red."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from bot.cli import app
from tests.mutants import read_table
from tests.promises import SECURITY, named
from tests.sabotage import read_breaks

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "PROMISES.md").read_text("utf-8")
BREAKS = {each.name: each for each in read_breaks()}


def table(heading):
    """The rows of all tables with these columns."""
    rows, wanted = [], False
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if cells == heading:
            wanted = True
        elif not line.startswith("|"):
            wanted = False
        elif wanted and not line.startswith("|-"):
            rows.append(cells)
    return rows


ROWS = table(["promise", "test", "break"])
TELEGRAMS = table(["what we rely on", "source"])
SCORES = table(["module", "killed", "tried", "equivalent"])


def told_of(broken):
    """File and test of each reference, without what a test is parametrized with."""
    found = (reference.partition("[")[0].partition("::") for reference in broken.test.split())
    return {(file, test or None) for file, _, test in found}


def test_there_are_promises():
    assert len(ROWS) > 100
    assert all(len(row) == 3 for row in ROWS)


@pytest.mark.parametrize(("promise", "tests", "breaks"), ROWS, ids=[row[0] for row in ROWS])
def test_each_promise_has_a_break_that_turns_its_test_red(promise, tests, breaks):
    """That it does is for `python -m tests --sabotage` to see."""
    promised = set(named(tests))
    broken = [BREAKS[name] for name in re.findall(r"`([^`]+)`", breaks)]

    assert promised
    assert broken
    for file, test in promised:
        source = (ROOT / file).read_text("utf-8")
        assert test is None or f"def {test}(" in source
    for each in broken:
        assert told_of(each) & promised
    assert promised <= set().union(*map(told_of, broken))


@pytest.mark.parametrize(("promise", "tests"), SECURITY, ids=[text for text, _ in SECURITY])
def test_each_promise_of_the_security_page_can_be_broken(promise, tests):
    """Where a whole file is named, by a break of one of its tests."""
    tried = [each for broken in BREAKS.values() for each in told_of(broken)]
    assert any(
        file == other and (test is None or name is None or test == name)
        for file, test in named(tests)
        for other, name in tried
    )


def test_each_setting_has_a_row():
    example = (ROOT / ".env.example").read_text("utf-8")
    settings = set(re.findall(r"^#?([A-Z][A-Z_]+)=", example, re.MULTILINE))

    assert len(settings) > 15
    assert {name for name in settings if f"`{name}`" not in PAGE} == set()


def test_each_command_and_option_has_a_row():
    commands = typer.main.get_command(app).commands
    names = {
        option
        for command in commands.values()
        for parameter in command.params
        for option in parameter.opts
        if option.startswith("--")
    }

    assert {name for name in (*commands, *names) if not re.search(rf"`{name}\b", PAGE)} == set()


def test_what_is_telegrams_doing_has_a_source():
    assert TELEGRAMS
    assert all(re.search(r"https://\S+", source) for _, source in TELEGRAMS)


def test_the_score_is_told_of_each_module_that_decides():
    assert [row[0].strip("`") for row in SCORES] == [each.file for each in read_table()]


@pytest.mark.parametrize("page", ["README.md", "SECURITY.md", "docs/OPERATING.md"])
def test_the_pages_that_promise_lead_there(page):
    assert "PROMISES.md" in (ROOT / page).read_text("utf-8")
