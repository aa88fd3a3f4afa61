"""The breaks on purpose: what is said of one that finds nothing, hangs, or no longer fits."""

from __future__ import annotations

from functools import cache
from itertools import groupby
from operator import attrgetter

import pytest

from tests.sabotage import BREAKS, ROOT, Break, Stale, chosen, read_breaks, tried
from tests.warm import WarmPytest

FILE = attrgetter("file")
TEST = """
from bot.rule import answer

def test_the_answer():
    assert answer() == 42

def test_nothing():
    pass

def test_that_waits():
    while answer() != 42:
        pass

def test_whether_it_would_end_by_itself():
    import resource
    assert resource.getrlimit(resource.RLIMIT_CPU)[0] == resource.RLIM_INFINITY
"""


@pytest.fixture
def tree(tmp_path):
    files = {"bot/rule.py": "def answer():\n    return 42\n", "test_it.py": TEST}
    # Without it, the package that is installed for development goes before.
    for name, text in {"bot/__init__.py": "", **files}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture(scope="module")
def warm():
    with WarmPytest() as warm:
        yield warm


def broken(test, *, old="return 42", new="return 41"):
    return Break("wrong answer", "bot/rule.py", old, new, f"test_it.py::{test}")


@pytest.mark.long
@pytest.mark.parametrize(
    ("test", "word", "patience"),
    [
        ("test_the_answer", "red", 60),
        ("test_nothing", "GREEN", 60),
        ("test_that_waits", "hangs for 2 s", 2),
        # Red: there is a limit, for whoever looks after it may be killed.
        ("test_whether_it_would_end_by_itself", "red", 20),
        ("test_that_is_not_there", "cannot run (exit code 4)", 60),
    ],
)
def test_a_break_is_good_for_something_only_if_its_test_fails(tree, warm, test, word, patience):
    before = (tree / "bot/rule.py").read_text()

    assert tried(broken(test), tree, warm, patience=patience).word == word
    assert (tree / "bot/rule.py").read_text() == before


@pytest.mark.long
@pytest.mark.parametrize("old", ["return 43", "n"])
def test_a_break_that_fits_nowhere_or_in_two_places_is_an_error(tree, warm, old):
    assert tried(broken("test_the_answer", old=old), tree, warm).word.startswith("stale: ")


# A file at a time: there are more breaks than tests of anything else.
OF_FILES = {
    file: list(each) for file, each in groupby(sorted(read_breaks(BREAKS), key=FILE), key=FILE)
}


@pytest.mark.parametrize("file", OF_FILES)
def test_every_break_fits_the_code_of_today(file):
    """So whoever moves the code moves its breaks, too."""
    text = (ROOT / file).read_text("utf-8")

    assert [each.name for each in OF_FILES[file] if text.count(each.old) != 1] == []
    assert [each.name for each in OF_FILES[file] if each.applied(text) == text] == []


@pytest.mark.parametrize("file", OF_FILES)
def test_every_break_names_tests_that_are_there(file):
    """Of a test that was renamed nothing would be run."""
    named = {(name, each.name) for each in OF_FILES[file] for name in each.test.split()}
    assert {(test, name) for test, name in named if not is_there(test)} == set()


@cache
def is_there(named):
    file, _, test = named.partition("::")
    name = test.partition("[")[0]
    text = source_of(file)
    return not name or f"def {name}(" in text


@cache
def source_of(file):
    return (ROOT / file).read_text("utf-8")


def test_two_breaks_of_one_name_are_refused(tmp_path):
    file = tmp_path / "breaks.toml"
    file.write_text('[[break]]\nname="a"\nfile="b"\nold="c"\nnew="d"\ntest="e"\n' * 2)

    with pytest.raises(ValueError, match="two breaks are called a"):
        read_breaks(file)


def test_breaks_are_chosen_by_words_and_sampled():
    breaks = [Break(name, "", "", "", "") for name in ("a one", "b two", "c two", "d two")]

    assert [each.name for each in chosen(breaks, ["two"], None, 0)] == ["b two", "c two", "d two"]
    assert len(chosen(breaks, [], 2, 5)) == 2
    assert chosen(breaks, [], 2, 5) == chosen(breaks, [], 2, 5)
    assert len({chosen(breaks, [], 1, seed)[0].name for seed in range(30)}) == 4
    with pytest.raises(Stale):
        breaks[0].applied("nothing of it")


@pytest.mark.parametrize(("since", "wanted"), [((3, 11), True), ((3, 99), False)])
def test_what_an_older_python_cannot_show_is_left_out(since, wanted):
    """Such as a connection that nobody closed: before 3.13 nothing is said of it."""
    later = Break("later", "", "", "", "", since)

    assert bool(chosen([later], [], None, 0)) == wanted
