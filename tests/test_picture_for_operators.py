"""What an operator reads of a picture: one measure, weeks side by side, what was left, and where it stands."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from bot.models import AuthorId, ChatId
from bot.report import periods
from bot.report.figures import Figures, stretches
from bot.report.words import short, wrapped
from tests.pages import table, tiles
from tests.people import BOB, CAROL, HOUR, NOON
from tests.pictures import CALLERS, STORY, drawn, refused, season, signal, update

pytestmark = pytest.mark.long

GROUP = ChatId(-1001234567890)
WEEK = 7 * 24


@pytest.mark.long
def test_the_headline_and_the_bars_are_of_one_measure():
    """Shares of replies both, and signals that run at once both."""
    page = drawn(*season(1_000, days=9))
    voices, flows = page.one("section", "voices"), page.one("section", "flows")
    ticks = [text.text for text in voices.one("div", "wide").all("text")[-5:]]
    assert ticks == ["0%", "25%", "50%", "75%", "100%"]
    assert tiles(page)["of replies not the author's"] == voices.one("h2").text.split()[0]

    tops = {}
    for number in (0, 1):
        group = flows.one("figure", "occupation").one("div", "wide").all("g", f"serie-{number}")
        for bar in (each for part in group for each in part.all("g", "bar")):
            when, _, count = bar.one("title").text.rpartition(": ")
            tops[when] = tops.get(when, 0) + int(count.replace(",", ""))
    assert flows.one("h2").text == f"At most {max(tops.values())} signals were running at once"


def test_a_bar_shows_the_moment_of_its_hours_at_which_most_signals_were_running():
    """Not how many were left at their end: two are over by then, for an hour is all they have here."""
    figures = Figures(timedelta(hours=1))
    for number in (1, 2):
        figures.add(signal(number, flow=number, hours=2 + number / 10))

    bar, after = stretches(figures.stories(), figures.ttl, NOON, NOON + 24 * HOUR, 12 * HOUR)

    assert (bar.at_work + bar.tails, after.at_work + after.tails) == (2, 0)


def test_the_last_week_stands_beside_the_one_before():
    facts = [
        *(signal(n, flow=n, hours=n) for n in range(1, 5)),
        *(signal(n, flow=n, hours=WEEK + n) for n in range(5, 11)),
        update(20, flow=5, hours=WEEK + 20),
        refused(21, BOB, flow=1, hours=2),
        refused(22, BOB, flow=5, hours=2 * WEEK),
    ]
    section = drawn(*facts).one("section", "periods")

    title = section.one("h2").text
    assert title == "6 signals in the last 7 days, 4 in the 7 days before"
    assert table(section) == [
        ["", "last 7 days", "7 days before", "change"],
        ["signals", "6", "4", "+50%"],
        ["updates relayed", "1", "0", "–"],
        ["replies kept back", "1", "1", "±0%"],
    ]


@pytest.mark.parametrize(
    ("last", "before", "change"),
    [
        (7_561, 7_532, "+0.4%"),
        (997, 1_000, "−0.3%"),
        (1, 1_000, "−99.9%"),
        (1, 10_000, "−99.9%"),
        (0, 10, "−100%"),
        (10_001, 10_000, "≈0%"),
        (5, 2, "+150%"),
        (99, 100, "−1%"),
        (0, 0, "–"),
        (3, None, "–"),
    ],
)
def test_a_small_change_is_neither_none_nor_put_in_words(last, before, change):
    assert periods.change(last, before) == change


def test_where_there_was_no_week_before_none_is_made_up():
    section = drawn(*STORY[:3]).one("section", "periods")

    assert section.one("h2").text == "1 signal in the last 7 days"
    assert [row[2] for row in table(section)[1:]] == ["–", "–", "–"]


@pytest.mark.long
def test_signals_without_a_follow_up_are_named_and_lead_to_their_messages():
    """By their authors, that is: what others said of them is no follow-up. The newest first."""
    section = drawn(
        signal(1, pair="BTC/USDT", direction="LONG", chat=GROUP),
        update(2, hours=1),
        signal(3, CAROL, flow=3, pair="ETH/USDT", hours=2, chat=GROUP, author_name="Carol"),
        refused(4, BOB, flow=3, hours=3),
        signal(5, flow=5, pair="SOL/USDT", hours=90, chat=GROUP),
    ).one("section", "left")

    assert section.one("h2").text == "2 of 3 signals had no follow-up"
    assert "For 1 the 72 h rule still waits" in section.text
    assert [row[0] for row in table(section)[1:]] == ["SOL/USDT", "ETH/USDT"]
    assert [a.attributes["href"] for a in section.all("a")] == [
        "https://t.me/c/1234567890/5",
        "https://t.me/c/1234567890/3",
    ]


def test_a_row_of_the_newest_signals_leads_to_its_message():
    page = drawn(signal(7, pair="BTC/USDT", chat=GROUP), update(8, hours=1))
    for size in ("wide", "narrow"):
        (label,) = page.one("figure", "timeline").one("div", size).all("a")
        assert label.attributes["href"] == "https://t.me/c/1234567890/7"
        assert label.text == "BTC/USDT"


def test_a_message_of_a_basic_group_has_no_link():
    page = drawn(signal(7, pair="BTC/USDT", chat=ChatId(-5)))

    assert page.all("a") == []


@pytest.mark.long
def test_the_page_has_no_word_of_developers():
    words = drawn(*season(1_000), *STORY).one("body").text.lower()

    for word in ("ttl", "flow", "tail", "outcome", "tier", "released", "rejected"):
        assert not re.search(rf"\b{word}s?\b", words), word


@pytest.mark.parametrize("size", ["wide", "narrow"])
def test_the_names_of_twelve_authors_stand_whole_beside_their_bars(size):
    facts = []
    for number, name in enumerate(CALLERS, start=1):
        facts += [
            signal(number, AuthorId(number), flow=number, author_name=name),
            refused(100 + number, BOB, flow=number),
        ]
    page = drawn(*facts)
    labels = page.one("figure", "voices").one("div", size).one("g", "y").all("text")
    shown = " ".join(label.text for label in labels)

    assert "…" not in page.one("section", "voices").text
    for name in CALLERS:
        assert re.sub(r"[\s-]", "", name) in re.sub(r"[\s-]", "", shown), name


@pytest.mark.parametrize(
    ("text", "cells", "lines"),
    [
        ("BTC", 5, ["BTC"]),
        ("Марк Вершинин", 10, ["Марк", "Вершинин"]),
        ("Достоевский-Карамазов", 14, ["Достоевский-", "Карамазов"]),
        ("W" * 12, 5, ["WWWWW", "WWWWW", "WW"]),
        ("a b c d e f", 3, ["a b", "c d", "e f"]),
        ("a b c d e f g h", 3, ["a b", "c d", "e…"]),
    ],
)
def test_long_names_are_in_lines(text, cells, lines):
    assert wrapped(text, cells, 3) == lines


@pytest.mark.parametrize(
    ("count", "shown"), [(99_999, "99,999"), (100_000, "100k"), (1_234_567, "1,235k")]
)
def test_large_numbers_fit_a_narrow_column(count, shown):
    assert short(count) == shown
