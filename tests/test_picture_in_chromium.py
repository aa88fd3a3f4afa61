"""The picture as a browser shows it: quiet, self-sufficient, and no wider than a phone.

Without Chromium and chromedriver these are skipped, unless CHROMIUM_REQUIRED is set.
"""

from __future__ import annotations

import re

import pytest

from bot.report.page import page
from tests.chromium import CUT_OFF, TOO_WIDE, requested, show
from tests.pictures import ABOUT, SAMPLE, STORY, command, crowd, evil_facts, figures_of, season

pytestmark = pytest.mark.heavy

# Words of a table of which a part is not shown, and numbers that are broken over lines.
CLIPPED = """
    const broken = element => {
        const range = document.createRange();
        range.selectNodeContents(element);
        return new Set([...range.getClientRects()].map(each => Math.round(each.top))).size > 1;
    };
    return [...document.querySelectorAll("th, td")].filter(cell =>
        cell.scrollWidth > cell.clientWidth + 1 || cell.scrollHeight > cell.clientHeight + 1 ||
        (cell.closest("tbody") && /^[0-9.,%+−±k]+$/.test(cell.innerText.trim()) && broken(cell))
    ).map(cell => cell.innerText);
"""
# How many elements would cut off what they hold.
ELLIPSES = """
    return [...document.querySelectorAll("body *")].filter(
        element => getComputedStyle(element).textOverflow === "ellipsis").length;
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Pages of the sample, of hostile people, of next to nothing, of a large group."""
    folder = tmp_path_factory.mktemp("pages")
    command(folder, "replay", SAMPLE, "--html", "sample.html")
    evil = ABOUT._replace(title="W" * 500)
    for name, facts, about in (
        ("hostile", evil_facts(), evil),
        ("empty", (), ABOUT),
        ("short", STORY, ABOUT._replace(until=0)),
        ("large", crowd(20_000), ABOUT),
        ("season", season(10_000), ABOUT),
    ):
        html = page(figures_of(facts), about)
        (folder / f"{name}.html").write_text(html, encoding="utf-8")
    return sorted(folder.glob("*.html"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_page_is_quiet_asks_for_nothing_and_fits(browser, pages, width, scheme):
    assert len(pages) == 6
    for file in pages:
        show(browser, file.as_uri(), width=width, scheme=scheme)

        assert browser.get_log("browser") == [], file
        assert requested(browser) == [file.as_uri()]
        assert browser.execute_script(TOO_WIDE) == [], file
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [390, 1280])
def test_every_word_of_a_chart_is_whole(browser, pages, width):
    """Where people have ordinary names, that is, in whatever alphabet."""
    for file in pages:
        show(browser, file.as_uri(), width=width, scheme="light")

        assert file.stem == "hostile" or browser.execute_script(CUT_OFF) == [], file


@pytest.mark.parametrize("width", [390, 1280])
def test_every_name_and_number_of_a_table_is_whole(browser, pages, width):
    for file in pages:
        show(browser, file.as_uri(), width=width, scheme="light")

        assert file.stem == "hostile" or browser.execute_script(CLIPPED) == [], file
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
