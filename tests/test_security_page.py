"""SECURITY.md names a test for every promise, and the tests it names are there."""

from __future__ import annotations

import pytest

from tests.conftest import ROOT
from tests.promises import SECURITY, named


def test_there_are_promises():
    assert len(SECURITY) > 10


@pytest.mark.parametrize(("promise", "tests"), SECURITY, ids=[text for text, _ in SECURITY])
def test_every_promise_names_a_test_that_is_there(promise, tests):
    references = named(tests)
    assert references
    for file, test in references:
        source = (ROOT / file).read_text(encoding="utf-8")
        assert test is None or f"def {test}(" in source
