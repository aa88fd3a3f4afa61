"""The picture as a browser shows it: quiet, self-sufficient, and no wider than a phone.

Without Chromium and chromedriver these are skipped, unless CHROMIUM_REQUIRED is set.
"""

from __future__ import annotations

import re

import pytest

from bot.report.page import page
from tests.chromium import FAINT, TOO_WIDE, found_fault_with, requested, show
from tests.pictures import ABOUT, SAMPLE, STORY, command, crowd, evil_facts, figures_of, season

pytestmark = pytest.mark.heavy

# How many elements would cut off what they hold.
ELLIPSES = """
    return [...document.querySelectorAll("body *")].filter(
        element => getComputedStyle(element).textOverflow === "ellipsis").length;
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Pages of the sample, of hostile people, of next to nothing, of two weeks, of large groups."""
    folder = tmp_path_factory.mktemp("pages")
    command(folder, "replay", SAMPLE, "--html", "sample.html")
    evil = ABOUT._replace(title="W" * 500)
    for name, facts, about in (
        ("hostile", evil_facts(), evil),
        ("empty", (), ABOUT),
        ("short", STORY, ABOUT._replace(until=0)),
        ("large", crowd(20_000), ABOUT),
        ("fortnight", season(900, days=10), ABOUT),
        ("season", season(100_000), ABOUT),
    ):
        html = page(figures_of(facts), about)
        (folder / f"{name}.html").write_text(html, encoding="utf-8")
    return sorted(folder.glob("*.html"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_page_is_quiet_asks_for_nothing_and_fits(browser, pages, width, scheme):
    assert len(pages) == 7
    for file in pages:
        show(browser, file.as_uri(), width=width, scheme=scheme)

        assert browser.get_log("browser") == [], file
        assert requested(browser) == [file.as_uri()]
        assert browser.execute_script(TOO_WIDE) == [], file
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_every_word_is_whole_and_can_be_read(browser, pages, width, scheme):
    """Where people have ordinary names, that is, in whatever alphabet."""
    for file in pages:
        show(browser, file.as_uri(), width=width, scheme=scheme)

        assert file.stem == "hostile" or found_fault_with(browser) == {}, file
        assert browser.execute_script(FAINT) == [], file
        assert browser.execute_script(ELLIPSES) == 0


def test_a_page_is_dark_where_the_device_is(browser, pages):
    grounds = []
    for scheme in ("light", "dark"):
        show(browser, pages[0].as_uri(), width=1280, scheme=scheme)
        script = "return getComputedStyle(document.body).backgroundColor"
        grounds.append(browser.execute_script(script))

    light, dark = (sum(map(int, re.findall(r"\d+", ground))) for ground in grounds)
    assert dark < 150
    assert light > 600
