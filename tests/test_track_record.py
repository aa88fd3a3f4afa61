"""What a picture tells of authors: how often they post, come back, and what they say became of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.signal_fields import EventKind
from tests.pages import bars, number, table
from tests.people import ALICE, BOB, CAROL, NOON
from tests.pictures import SAMPLE, drawn, fact, names, refused, replayed, signal, update

pytestmark = pytest.mark.long

DAYS = 24
REACHED, STOPPED = EventKind.TARGET_REACHED, EventKind.STOPPED
CLOSED, CANCELLED = EventKind.CLOSED, EventKind.CANCELLED


def outcomes(page):
    """Row by row: signals, continued, target reached, stopped, closed, cancelled, not told."""
    _, *rows = table(page.one("section", "outcomes"))
    return {name: [number(cell or "0") for cell in cells] for name, *cells in rows}


def weeks(page):
    (_, *heads), *rows = table(page.one("section", "weeks"))
    return heads, {name: [number(cell or "0") for cell in cells] for name, *cells in rows}


@pytest.mark.long
def test_the_sample_is_counted_as_the_json_report_has_it(tmp_path):
    page, report = replayed(tmp_path)

    signals = {row["message_id"]: row for row in report["decisions"] if row["outcome"] == "signal"}
    kinds = defaultdict(set)
    for row in report["decisions"]:
        own = signals.get(row["signal_message_id"], {}).get("author") == row["author"]
        if own and row["outcome"] == "update":
            kinds[row["signal_message_id"]].add(row["event"] and row["event"]["kind"])
    expected = defaultdict(lambda: [0] * 7)
    for id_, row in signals.items():
        first = [kind for kind in (REACHED, STOPPED, CLOSED, CANCELLED) if kind in kinds[id_]]
        place = 2 + [REACHED, STOPPED, CLOSED, CANCELLED].index(first[0]) if first else 6
        for name in (names(SAMPLE)[row["message_id"]], "all"):
            expected[name][0] += 1
            expected[name][1] += bool(kinds[id_])
            expected[name][place] += 1
    assert outcomes(page) == expected
    assert expected["all"] == [7, 7, 3, 0, 2, 0, 2]
    by_week = Counter(
        datetime.fromtimestamp(row["at"], UTC).strftime("%G-%V") for row in signals.values()
    )
    heads, rows = weeks(page)
    assert heads == ["3 Mar", "10 Mar"]
    assert [sum(cells) for cells in zip(*rows.values(), strict=True)] == [*by_week.values()]
    assert bars(page, "weekly", 0) == {"3 Mar 2025": 6, "10 Mar 2025": 1}


@pytest.mark.long
@pytest.mark.parametrize(
    ("events", "place"),
    [
        ([], 6),
        ([None], 6),
        ([EventKind.STOP_MOVED, EventKind.ENTRY_FILLED, EventKind.PARTIALLY_CLOSED], 6),
        ([CLOSED], 4),
        ([CANCELLED], 5),
        ([STOPPED], 3),
        ([REACHED, STOPPED], 2),
        ([CLOSED, STOPPED], 3),
        ([None, CANCELLED, CLOSED], 4),
    ],
)
def test_a_signal_counts_once_and_a_target_goes_before_a_stop(events, place):
    """In whatever order they were told."""
    for told in (events, events[::-1]):
        updates = [update(2 + n, hours=n, event=event) for n, event in enumerate(told)]
        counts = outcomes(drawn(signal(), *updates))[str(ALICE)]
        assert counts[:2] == [1, int(bool(events))]
        assert counts[2:] == [int(column == place) for column in range(2, 7)]


def test_only_an_authors_own_relayed_words_count():
    """Not what Bob said in a released flow, nor what was refused, nor what Alice said in Carol's."""
    page = drawn(
        signal(1),
        fact(2, BOB, "update", "released", event=CLOSED),
        refused(3),
        signal(4, CAROL, flow=2),
        fact(5, ALICE, "update", "released", flow=2, event=REACHED),
    )

    assert outcomes(page)[str(ALICE)] == outcomes(page)[str(CAROL)] == [1, 0, 0, 0, 0, 0, 1]


@pytest.mark.long
def test_how_many_cannot_be_told_is_said_with_the_reason():
    page = drawn(signal(1), signal(2, flow=2), update(3, flow=2), signal(4, flow=3))

    text = page.one("section", "outcomes").all("p")[0].text
    assert "What became of 3 cannot be told: 2 were never continued" in text
    assert "of 1 nothing was said that is beyond doubt" in text
    told = drawn(signal(1), update(2, event=CLOSED)).one("section", "outcomes").all("p")[0].text
    assert told.startswith("What became of each of them was told.")


def test_a_week_begins_on_monday_and_older_ones_are_summed_up():
    """NOON is a Monday, 2 February 2026, 02:40 UTC."""
    monday = datetime.fromtimestamp(NOON, UTC)
    assert (monday.isoweekday(), monday.hour) == (1, 2)
    days = (-3 / DAYS, 0, 6.8, 7, 55, 62)  # the first is the Sunday before
    page = drawn(*(signal(n, flow=n, hours=day * DAYS) for n, day in enumerate(days, start=1)))

    heads, rows = weeks(page)

    begins = [monday + timedelta(weeks=week) for week in range(3, 9)]
    assert heads == ["earlier", *(f"{day.day} {day:%b}" for day in begins)]
    assert rows == {str(ALICE): [4, 0, 0, 0, 0, 1, 1]}
    shown = bars(page, "weekly", 1)
    assert (shown["26 Jan 2026"], shown["2 Feb 2026"], shown["9 Feb 2026"]) == (1, 2, 1)


@pytest.mark.long
def test_the_busiest_authors_have_a_row_and_all_others_one_together():
    facts = []
    for author in range(1, 19):
        for each in range(20 - author):
            number_ = 100 * author + each
            facts.append(signal(number_, author, flow=number_))
    page = drawn(*facts)

    assert list(outcomes(page)) == [*map(str, range(1, 16)), "3 others", "all"]
    assert outcomes(page)["3 others"][0] == 4 + 3 + 2
    assert outcomes(page)["all"][0] == sum(range(2, 20))
    assert page.one("section", "weeks").one("h2").text == "1 posts most: 19 of 189 signals"


def test_what_is_older_than_the_window_has_no_week():
    page = drawn(signal(1), signal(2, flow=2, hours=200), since=NOON + 100 * 3600)

    assert outcomes(page) == {str(ALICE): [1, 0, 0, 0, 0, 0, 1]}


@pytest.mark.long
@given(
    st.lists(
        st.tuples(
            st.sampled_from([ALICE, BOB, CAROL]),
            st.integers(0, 4000),
            st.lists(st.sampled_from([None, *EventKind]), max_size=3),
        ),
        min_size=1,
        max_size=12,
    )
)
@settings(max_examples=40)
def test_every_signal_is_in_one_week_and_has_one_outcome(stories):
    facts = []
    for flow, (author, hours, events) in enumerate(stories, start=1):
        facts.append(signal(10 * flow, author, flow=flow, hours=hours))
        facts += (
            fact(10 * flow + n, author, "update", "owner", flow=flow, hours=hours, event=event)
            for n, event in enumerate(events, start=1)
        )
    page = drawn(*facts)

    posted = Counter(str(author) for author, *_ in stories)
    counts = {name: row for name, row in outcomes(page).items() if name != "all"}
    assert {name: row[0] for name, row in counts.items()} == posted
    assert all(sum(row[2:]) == row[0] for row in counts.values())
    _, by_week = weeks(page)
    assert {name: sum(row) for name, row in by_week.items()} == posted
    drawn_weeks = [bars(page, "weekly", series, "wide") for series in (0, 1)]
    assert sum(map(sum, (each.values() for each in drawn_weeks))) == len(stories)
