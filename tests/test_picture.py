"""The picture: its numbers against an independent count, its text against hostile people."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import sqlite3
import time
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

from bot.config import Settings
from bot.errors import BotError
from bot.history.export import Export
from bot.history.replay import Trial
from bot.models import Outcome, Reason, UnixTime
from bot.report.drawing import PageFile
from bot.report.page import page
from bot.report.words import cut, lasting, readable, share
from tests.exports import message, write
from tests.pages import bars, matrix, number, read, table, tiles
from tests.people import ALICE, BOB, HOUR, NOON
from tests.pictures import (
    ABOUT,
    EVIL,
    SAMPLE,
    STORY,
    command,
    crowd,
    drawn,
    evil_facts,
    fact,
    figures_of,
    names,
    refused,
    replayed,
    signal,
    update,
)

pytestmark = pytest.mark.long


@pytest.fixture
def run(tmp_path):
    return partial(command, tmp_path)


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return replayed(tmp_path_factory.mktemp("sample"))


def replies(report):
    """Who answered whom, and what became of it, told from the decisions alone."""
    by_id = {row["message_id"]: row for row in report["decisions"]}
    for row in report["decisions"]:
        if row["outcome"] in {"update", "rejected"}:
            yield row, by_id[row["signal_message_id"]]


# ── the numbers ───────────────────────────────────────────────────────────────


@pytest.mark.long
def test_the_sums_are_those_of_the_json_report(sample):
    drawn, report = sample

    answers = list(replies(report))
    others = sum(row["author"] != signal["author"] for row, signal in answers)
    assert tiles(drawn) == {
        "of replies not the author's": f"{round(100 * others / len(answers))}%",
        "messages": str(report["messages"]),
        "signals": str(report["signals"]),
        "updates relayed": str(report["updates"]),
        "replies kept back": str(report["rejected"]),
    }
    assert (
        f"{round(100 * others / len(answers))}% of the replies"
        in drawn.one("section", "voices").one("h2").text
    )


@pytest.mark.parametrize("size", ["wide", "narrow"])
def test_the_shares_are_told_for_every_author(sample, size):
    drawn, report = sample

    by_voice = [Counter(), Counter(), Counter()]
    for row, its in replies(report):
        relayed = row["outcome"] == "update"
        voice = 0 if row["author"] == its["author"] else 1 if relayed else 2
        by_voice[voice][names()[its["message_id"]]] += 1
    assert [bars(drawn, "voices", series, size) for series in range(3)] == by_voice
    assert sum(map(Counter.total, by_voice)) == 34


def test_who_answers_whom_is_counted_pair_by_pair(sample):
    drawn, report = sample

    def name(row):
        return names()[row["message_id"]] or str(row["author"] or "unknown sender")

    expected = Counter((name(row), name(signal)) for row, signal in replies(report))
    shown = Counter({(who.rstrip("…"), whom): n for (who, whom), n in matrix(drawn).items()})
    assert shown == expected


def test_the_load_of_every_hour_is_counted(sample):
    drawn, report = sample

    expected = [Counter() for _ in range(4)]
    for row in report["decisions"]:
        kind = ["signal", "update", "rejected", "ignored"].index(row["outcome"])
        hour = datetime.fromtimestamp(row["at"], UTC).hour
        expected[kind][f"{hour:02}:00–{hour:02}:59 UTC"] += 1
    assert [bars(drawn, "hours", kind) for kind in range(4)] == expected


def test_the_busiest_hour_is_named(sample):
    drawn, report = sample

    hours = Counter(datetime.fromtimestamp(row["at"], UTC).hour for row in report["decisions"])
    hour, most = hours.most_common(1)[0]
    section = drawn.one("section", "hours")
    assert f"{hour:02}:00–{hour + 1:02}:00 UTC" in section.one("h2").text
    assert f"{most} of {report['messages']} messages" in section.text


def pauses_of(report):
    """How long each author had been silent in his flow when he updated it."""
    last = {}
    for row in report["decisions"]:
        flow = row["signal_message_id"]
        if row["outcome"] == "signal":
            last[flow] = row["at"]
        elif row["reason"] == "owner":
            yield row["at"] - last[flow]
            last[flow] = row["at"]


def test_the_pauses_of_authors_are_sorted_by_length(sample):
    drawn, report = sample

    expected = [Counter(), Counter()]
    limits = {5 / 60: "5m", 0.25: "15m", 1: "1h", 3: "3h", 6: "6h", 12: "12h", 24: "1d", 48: "2d"}
    limits |= {72: "3d", 168: "7d"}
    for pause in pauses_of(report):
        label = next(label for limit, label in limits.items() if pause <= limit * HOUR)
        expected[pause > 72 * HOUR][f"within {label}"] += 1
    assert [bars(drawn, "pauses", late) for late in (0, 1)] == expected
    assert sum(map(Counter.total, expected)) == report["by_reason"]["owner"]


def released_after(hours):
    class Tallied:
        def show(self, decided):
            pass

        def finish(self, tally):
            self.released = tally.reasons[Outcome.UPDATE][Reason.RELEASED]

    tallied = Tallied()
    settings = Settings.load({"flow_ttl_hours": timedelta(hours=hours)}, env_file=Path("none"))
    asyncio.run(Trial(settings).run(Export(SAMPLE).messages(), tallied))
    return tallied.released


@pytest.mark.long
def test_what_another_ttl_would_do_is_what_a_replay_with_it_does(sample):
    drawn, report = sample

    head, *rows = table(drawn.one("section", "pauses"))
    pauses = list(pauses_of(report))
    assert head == ["rule", "updates in time", "others' replies let in"]
    assert len(rows) >= 8
    for ttl, in_time, let_in in rows:
        count, unit = ttl.split()
        hours = int(count) * {"h": 1, "d": 24}[unit]
        assert number(let_in) == released_after(hours), ttl
        part = sum(pause <= hours * HOUR for pause in pauses) / len(pauses)
        assert in_time == f"{round(100 * part)}%", ttl


@pytest.mark.long
def test_the_ttl_in_force_is_among_the_others_and_marked(tmp_path):
    drawn, _ = replayed(tmp_path, "--ttl-hours", "30")

    marked = [row.text for row in drawn.one("table", "ttls").all("tr") if row.all("td", "now")]
    assert [row.split(" h ")[0] for row in marked] == ["30"]
    assert "kept for them by the 30 h rule" in drawn.one("section", "flows").text


def test_every_flow_has_its_row_and_every_reply_its_dot(sample):
    drawn, report = sample

    flows = drawn.one("section", "flows").one("figure", "timeline").one("div", "wide")
    labels = [text.text for text in flows.one("g", "y").all("text")]
    dots = [len(group.all("circle")) for group in flows.all("g", "overlay")[0].all("g", "series")]
    assert len(labels) == report["signals"]
    assert "BTC/USDT LONG" in labels
    # Tail, spoken, until; then refused, released, the author's. Dots that would cover each
    # other are one.
    assert dots[:3] == [0, 0, 0]
    assert 0 < dots[3] <= report["rejected"]
    assert 0 < dots[4] <= 2
    assert 7 <= dots[5] <= report["by_reason"]["owner"]


def test_the_most_flows_open_at_once_are_counted(sample):
    drawn, report = sample

    words = {}
    for row in report["decisions"]:
        if row["reason"] in {"new_signal", "owner"}:
            words.setdefault(row["signal_message_id"], []).append(row["at"])
    moments = [at for dates in words.values() for at in dates]
    most = max(
        sum(any(0 <= moment - at <= 72 * HOUR for at in dates) for dates in words.values())
        for moment in moments
    )
    title = drawn.one("section", "flows").one("h2").text
    assert title == f"At most {most} signals were running at once"


@pytest.mark.long
def test_a_flow_that_stays_its_owners_for_good_is_called_that(tmp_path):
    drawn, _ = replayed(tmp_path, FLOW_AFTER_TTL="owner")

    assert "Only its author may continue a signal, for good" in drawn.one("header").text


# ── facts, one by one ─────────────────────────────────────────────────────────


@given(st.permutations(STORY))
def test_facts_may_come_in_any_order(facts):
    def counted(facts):
        figures = figures_of(facts)
        holds = [story.holds(figures.ttl) for story in figures.stories()]
        return figures.outcomes, figures.hours, figures.answers(), sorted(figures.pauses()), holds

    assert counted(facts) == counted(STORY)


def test_what_is_older_than_the_window_opens_flows_but_is_not_counted():
    shown = drawn(*STORY, since=UnixTime(NOON + 79 * HOUR))

    assert list(tiles(shown).values()) == ["67%", "4", "0", "2", "1"]
    assert matrix(shown) == {
        ("Alice", "Alice"): 1,
        (str(BOB), "Alice"): 1,
        ("unknown sender", "Alice"): 1,
    }
    assert bars(shown, "pauses", 1) == {"within 7d": 1}
    assert table(shown.one("section", "pauses"))[1] == ["1 h", "0%", "1"]


def test_an_update_recorded_with_an_earlier_date_than_its_signals_is_drawn_too():
    shown = drawn(signal(hours=5), update(2, hours=1), refused(3, hours=0))

    assert bars(shown, "pauses", 0) == {"within 6h": 1}
    assert tiles(shown)["of replies not the author's"] == "50%"


def test_the_parts_of_an_album_are_one_answer():
    """They come at once, and would make authors look quick."""
    shown = drawn(
        signal(),
        update(2, hours=5, album=9),
        update(3, hours=5, album=9),
        update(4, hours=6, album=10),
    )

    assert bars(shown, "pauses", 0) == {"within 6h": 1, "within 1h": 1}


def test_an_author_who_was_refused_is_still_the_author():
    """He was taken off the allow-list; the share is of replies that were not the author's."""
    shown = drawn(signal(), fact(2, ALICE, "rejected", "not_permitted"))

    assert tiles(shown)["of replies not the author's"] == "0%"
    assert tiles(shown)["replies kept back"] == "1"


def test_the_name_a_person_had_last_is_shown():
    shown = drawn(
        signal(author_name="Old"),
        update(2, hours=1, author_name="New"),
        update(3, hours=2, author_name=None),
        refused(4, author_name=""),
    )

    assert set(matrix(shown)) == {("New", "New"), (str(BOB), "New")}


def test_of_people_with_one_name_the_ids_are_told():
    """Anybody may call themselves as the author does."""
    twins = [signal(author_name="Alice"), refused(2, BOB, author_name="Alice")]
    bob, alice = f"Alice ({BOB})", f"Alice ({ALICE})"

    assert set(matrix(drawn(*twins))) == {(bob, alice)}
    parted = [*twins, refused(3, BOB, author_name="Bob")]
    assert set(matrix(drawn(*parted))) == {("Bob", "Alice")}


def test_a_signal_is_called_by_its_pair_or_its_first_line_or_its_number():
    shown = drawn(
        signal(1, pair="BTC/USDT", direction="LONG", text="#idea\nBTC/USDT LONG"),
        signal(2, flow=2, hours=1, text="\n #idea see picture\nmore"),
        signal(3, flow=3, hours=2, text="\u200b\n"),
    )

    labels = shown.one("figure", "timeline").one("div", "wide").one("g", "y").all("text")
    assert [label.text for label in labels] == [
        "message 3",
        "#idea see picture",
        "BTC/USDT LONG",
    ]


@pytest.mark.long
@pytest.mark.parametrize(
    ("facts", "titles"),
    [
        pytest.param(
            [],
            [
                "There is no week to compare",
                "Nobody has replied to a signal",
                "No signal was running",
                "Nobody has answered anybody",
                "No author has updated their signal",
                "Nobody has posted a signal",
                "There is nothing to tell of",
                "No signal waits for a word of its author",
                "Nothing was said",
            ],
            id="nothing",
        ),
        pytest.param(
            [fact(1, BOB, "ignored", "not_a_signal", flow=None)],
            [
                "0 signals in the last 7 days",
                "Nobody has replied to a signal",
                "No signal was running",
                "Nobody has answered anybody",
                "No author has updated their signal",
                "Nobody has posted a signal",
                "There is nothing to tell of",
                "No signal waits for a word of its author",
                "The busiest hour is 02:00–03:00 UTC",
            ],
            id="chatter",
        ),
        pytest.param(
            [signal()],
            [
                "1 signal in the last 7 days",
                "Nobody has replied to a signal",
                "At most 1 signal was running at once",
                "Nobody has answered anybody",
                "No author has updated their signal",
                f"{ALICE} posts most: 1 of 1 signal",
                "By their authors' words 0 of 1 signal reached a target",
                "1 of 1 signal had no follow-up",
                "The busiest hour is 02:00–03:00 UTC",
            ],
            id="a signal",
        ),
        pytest.param(
            [signal(), update(2, hours=3)],
            [
                "1 signal in the last 7 days",
                "0% of the replies to signals were not the author's",
                "At most 1 signal was running at once",
                "Only authors replied, each to their own signals",
                "Half of the authors' updates come within 3 h, nine in ten within 3 h",
                f"{ALICE} posts most: 1 of 1 signal",
                "By their authors' words 0 of 1 signal reached a target",
                "Every signal had a follow-up",
                "The busiest hour is 02:00–03:00 UTC",
            ],
            id="an author alone",
        ),
        pytest.param(
            [signal(), refused(2)],
            [
                "1 signal in the last 7 days",
                "100% of the replies to signals were not the author's",
                "At most 1 signal was running at once",
                f"{BOB} answers others most: 1 reply",
                "No author has updated their signal",
                f"{ALICE} posts most: 1 of 1 signal",
                "By their authors' words 0 of 1 signal reached a target",
                "1 of 1 signal had no follow-up",
                "The busiest hour is 02:00–03:00 UTC",
            ],
            id="a refusal",
        ),
    ],
)
def test_there_is_a_finding_where_there_is_next_to_nothing(facts, titles):
    assert [title.text for title in drawn(*facts).all("h2")] == titles


@pytest.mark.parametrize("ttl", [timedelta(seconds=0.36), timedelta(days=3650)])
def test_any_ttl_can_be_drawn(ttl):
    assert len(drawn(*STORY, ttl=ttl).all("svg")) == 12


@pytest.mark.long
def test_100_000_messages_are_a_small_page_with_what_is_left_out_counted():
    figures = figures_of(crowd(100_000))
    began = time.perf_counter()
    html = page(figures, ABOUT)
    took = time.perf_counter() - began

    assert len(html.encode()) < 500_000
    assert took < 20  # seconds; two on an idle machine
    shown = read(html)
    left_out = [p.text for p in shown.all("p", "left-out")]
    assert left_out == [
        "and 20 more authors",
        "and 28 more authors",
        "and 4,980 more signals",
        "and 4,988 more signals",
        "and 4,988 more signals",
        "and 4,988 more signals",
    ]
    head, *rows = table(shown.one("section", "answers"))
    assert (len(head), head[-1]) == (1 + 6 + 1, "34 others")
    assert (len(rows), rows[-1][0]) == (15 + 1, "4,735 others")
    assert matrix(shown).total() == number(tiles(shown)["replies kept back"]) == 63_333


# ── hostile people ────────────────────────────────────────────────────────────


@pytest.mark.long
def test_what_people_write_stays_text():
    shown = drawn(*evil_facts(), about=ABOUT._replace(title=EVIL[1]))

    assert not {element.tag for element in shown.all("*")} & {
        "script",
        "img",
        "b",
        "a",
        "iframe",
    }.difference("b")
    assert len(shown.all("style")) == 1
    for element in shown.all("*"):
        assert not any(name.startswith("on") or name == "style" for name in element.attributes)
    assert shown.one("h1").text == EVIL[1]
    assert "{{ 7 * 7 }}{% raw %}" in shown.text


@pytest.mark.long
def test_no_word_turns_hides_or_piles_up():
    html = page(figures_of(evil_facts()), ABOUT._replace(title="".join(EVIL)))

    assert not {"\u202e", "\u2066", "\x00", "\x1b", "\x07", "\u2028", "\ud83d"} & set(html)
    assert "\u0301\u0301\u0301" not in html
    assert "W" * 81 not in html
    html.encode()


@pytest.mark.long
def test_the_page_names_no_address_and_forbids_itself_every_request():
    html = page(figures_of(STORY), ABOUT)

    policy = next(
        meta.attributes["content"]
        for meta in read(html).all("meta")
        if meta.attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policy
    rest = html.replace('xmlns="http://www.w3.org/2000/svg"', "").replace('href="data:,"', "")
    assert not [
        word for word in ("://", "url(", "src=", "href=", "@import", "<script") if word in rest
    ]


# ── the tables ────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def import_(tmp_path_factory):
    """A directory with a story of this week, in which Bob and Carol answer Alice, and its tables."""
    folder = tmp_path_factory.mktemp("imported")
    began = int(time.time()) - 50 * HOUR
    export = write(
        folder / "chat.json",
        message(1, "user1001", "#idea BTC/USDT LONG", at=began),
        message(2, "user1002", "thanks", at=began + HOUR, reply_to=1),
        message(3, "user1001", "TP1 hit", at=began + 5 * HOUR, reply_to=1),
        message(4, "user1003", "closed?", at=began + 6 * HOUR, reply_to=3),
        message(5, "user1003", "good morning", at=began + 7 * HOUR),
        message(6, "user1003", "#idea ETH short", at=began + 8 * HOUR),
        message(7, "user1003", "TP1", at=began + 9 * HOUR, reply_to=6),
    )
    assert command(folder, "import", export).returncode == 0
    return folder


@pytest.fixture
def imported(import_, tmp_path):
    shutil.copytree(import_, tmp_path, dirs_exist_ok=True)
    return tmp_path / "chat.json"


def contents(tmp_path):
    with closing(sqlite3.connect(tmp_path / "data" / "signals.db")) as db:
        return list(db.iterdump())


def rows_of(page, kind):
    return table(page.one("section", kind))


def test_the_tables_are_drawn_as_a_replay_of_the_same_messages_is(run, imported, tmp_path):
    done = run("report", "--html", "tables.html")
    from_tables = read((tmp_path / "tables.html").read_text(encoding="utf-8"))
    from_export, _ = replayed(tmp_path, file=imported)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "wrote tables.html\n")
    assert matrix(from_tables) == matrix(from_export)
    assert ("Name of user1002", "Name of user1001") in matrix(from_tables)
    assert table(from_tables.one("section", "pauses")) == table(
        from_export.one("section", "pauses")
    )
    for kind in ("weeks", "outcomes"):
        assert rows_of(from_tables, kind) == rows_of(from_export, kind)
    assert rows_of(from_tables, "outcomes")[-1] == ["all", "2", "2", "1", "", "", "", "1"]
    shown = tiles(from_tables)
    assert shown.pop("recorded messages") == "6"  # a good morning is not recorded
    assert shown.items() <= tiles(from_export).items()


def test_where_no_names_are_kept_the_tables_are_drawn_with_ids(run, imported, tmp_path):
    with closing(sqlite3.connect(tmp_path / "data" / "signals.db")) as db, db:
        db.execute("DELETE FROM people")
    run("report", "--html", "tables.html")

    html = (tmp_path / "tables.html").read_text(encoding="utf-8")
    assert ("1002", "1001") in matrix(read(html))
    assert "Name of user" not in html


def test_a_report_changes_nothing_and_leaves_nothing_behind(run, imported, tmp_path):
    def files():
        return sorted(path.name for path in tmp_path.rglob("*"))

    before, names = contents(tmp_path), files()
    run("report", "--html", "tables.html")

    assert files() == sorted([*names, "tables.html"])
    assert contents(tmp_path) == before
    assert (tmp_path / "tables.html").stat().st_mode & 0o077 == 0


def test_a_report_is_drawn_beside_a_bot_that_is_writing(run, imported, tmp_path):
    with closing(sqlite3.connect(tmp_path / "data" / "signals.db", isolation_level=None)) as bot:
        bot.execute("BEGIN IMMEDIATE")
        bot.execute("DELETE FROM decisions")
        done = run("report", "--html", "tables.html")
        bot.execute("ROLLBACK")

    assert done.returncode == 0
    shown = read((tmp_path / "tables.html").read_text(encoding="utf-8"))
    assert tiles(shown)["replies kept back"] == "2"


def test_refusals_are_kept_for_30_days_so_that_is_what_the_tables_tell_of(run, imported, tmp_path):
    """Else the share of the others would shrink as their old replies are forgotten."""
    with closing(sqlite3.connect(tmp_path / "data" / "signals.db")) as db, db:
        db.execute("UPDATE decisions SET at = at - 40 * 86400")
        db.execute("UPDATE signals SET at = at - 40 * 86400 WHERE id = 1")
    run("report", "--html", "tables.html")

    shown = read((tmp_path / "tables.html").read_text(encoding="utf-8"))
    assert list(tiles(shown).values()) == ["0%", "3", "1", "2", "0"]


def test_the_pictures_of_a_signal_are_nobodys_answer(run, imported, tmp_path):
    with closing(sqlite3.connect(tmp_path / "data" / "signals.db")) as db, db:
        db.execute("UPDATE signals SET album_id = 7 WHERE id = 1")
        db.execute("UPDATE signal_updates SET album_id = 7 WHERE signal_id = 1")
    run("report", "--html", "tables.html")

    shown = read((tmp_path / "tables.html").read_text(encoding="utf-8"))
    assert tiles(shown)["updates relayed"] == "1"


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        ("PRAGMA user_version = 1000", "has schema 1000"),
        ("PRAGMA user_version = 1", "start the bot once, that brings it up to date"),
        ("PRAGMA application_id = 5", "another program's database"),
        ("DROP TABLE decisions", "no such table"),
        (None, "not a database"),
    ],
)
def test_a_database_that_cannot_be_read_is_one_line(run, imported, tmp_path, damage, complaint):
    database = tmp_path / "data" / "signals.db"
    if damage is None:
        database.write_text("not a database at all " * 100)
    else:
        with closing(sqlite3.connect(database)) as db, db:
            db.execute(damage)
    done = run("report", "--html", "tables.html")

    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    assert complaint in done.stderr
    assert "signals.db" in done.stderr


def test_where_there_are_no_tables_yet_none_are_made(run, tmp_path):
    done = run("report", "--html", "tables.html")

    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "data/signals.db: there is none yet" in done.stderr
    assert list(tmp_path.iterdir()) == []


# ── files and the command line ────────────────────────────────────────────────


def test_with_a_page_a_replay_prints_the_summary_alone(run):
    done = run("replay", SAMPLE, "--html", "page.html")

    assert done.stdout.splitlines()[0] == "      71 messages"
    assert len(done.stdout.splitlines()) == 6


def test_of_a_damaged_export_what_comes_before_the_damage_is_drawn(run, tmp_path):
    whole = SAMPLE.read_bytes()
    (tmp_path / "cut.json").write_bytes(whole[: len(whole) // 2])
    done = run("replay", "cut.json", "--html", "page.html")

    assert done.returncode == 1
    shown = read((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert "before the damage" in shown.one("header").text
    assert 10 < number(tiles(shown)["messages"]) < 71


@pytest.mark.parametrize(
    ("html", "complaint"),
    [
        ("no/such/page.html", "no/such"),
        (".", "is not a file"),
        ("/dev/null", "is not a file"),
        ("x" * 256, "name too long"),
    ],
)
def test_a_page_that_cannot_be_written_is_one_line(run, html, complaint):
    done = run("replay", SAMPLE, "--html", html)

    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert complaint in done.stderr.lower()


def test_an_older_page_is_replaced_and_nothing_else_is_left(run, tmp_path):
    (tmp_path / "page.html").write_text("old")
    run("replay", SAMPLE, "--html", "page.html")

    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    assert (tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_where_the_disk_is_full_the_older_page_stays(run, imported, tmp_path):
    (tmp_path / "page.html").write_text("old")
    unmeasured = {name: "" for name in os.environ if name.startswith("COV")}  # that writes a file
    done = run("report", "--html", "page.html", preexec_fn=small_files, **unmeasured)

    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "page.html: File too large" in done.stderr
    assert (tmp_path / "page.html").read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} == {"chat.json", "data", "page.html"}


def test_where_its_directory_has_gone_the_page_is_not_written_and_that_is_said(tmp_path):
    folder = tmp_path / "pages"
    folder.mkdir()
    file = PageFile(folder / "page.html")
    folder.rmdir()

    with pytest.raises(BotError, match=r"page\.html: No such file or directory"):
        file.write("")


def small_files():
    """Files may have 40 kB: enough for what SQLite needs to read, not for a page."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))


def test_a_report_without_a_place_to_go_is_asked_for_one(run):
    done = run("report")

    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "--html" in done.stderr


# ── words ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [
        (0, 0, "0%"),
        (0, 5, "0%"),
        (1, 3, "33%"),
        (5, 5, "100%"),
        (1, 1000, "under 1%"),
        (999, 1000, "over 99%"),
    ],
)
def test_a_share_is_never_rounded_to_nothing_or_to_all(part, whole, shown):
    assert share(part, whole) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (90, "2 min"),
        (3600, "1 h"),
        (5400, "1 h 30 min"),
        (27 * 3600 + 600, "27 h"),
        (72 * 3600, "72 h"),
        (168 * 3600, "7 d"),
        (100 * 3600, "4 d 4 h"),
    ],
)
def test_a_time_is_told_in_at_most_two_units(seconds, shown):
    assert lasting(seconds) == shown.replace(" ", "\u00a0")  # it stays on one line


@given(st.text())
def test_readable_text_is_one_line_of_bounded_length_that_stays_as_it_is(text):
    line = readable(text)

    assert len(line) <= 80
    assert len(line.splitlines()) <= 1
    assert readable(line) == line
    line.encode()


@pytest.mark.parametrize(
    ("text", "cells", "shown"),
    [
        ("Ильдар", 6, "Ильдар"),
        ("Ильдар", 5, "Ильд…"),
        ("测试测试", 8, "测试测试"),
        ("测试测试", 7, "测试测…"),
        ("Анна Каренина", 6, "Анна…"),
        ("👨‍👩‍👧‍👦", 4, "👨‍👩…"),
        ("👨‍👩‍👧‍👦", 3, "👨…"),
    ],
)
def test_a_text_is_cut_where_there_is_no_room_for_it(text, cells, shown):
    assert cut(text, cells) == shown


@given(st.text("aЖ测👩\u200d\u0301 "), st.integers(2, 30))
@example("\u200d\u200d测测测测", 7)
@example("\u200d\u200d测测测a", 6)  # of which rich itself can cut nothing off
def test_a_cut_text_has_no_more_cells_and_no_more_characters_than_there_is_room_for(text, cells):
    short = cut(readable(text), cells)

    assert len(short) <= cells
    assert cell_len(short) <= cells
