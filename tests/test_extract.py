"""`export`: what the tables hold, as data. For programs it must be exact, for spreadsheets harmless."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import pty
import re
import sqlite3
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.admin.extract import export, moment, wanted
from bot.admin.formats import Format, harmless
from bot.app import open_core, open_tables
from bot.config import Settings
from bot.errors import UsageError
from bot.models import ChatId
from bot.routes import Routes, Source
from bot.signal_json import RowKind
from bot.storage.engine import Database
from bot.storage.store import SignalStore
from bot.storage.stream import Wanted
from tests.conftest import ROOT
from tests.exports import message, write
from tests.measured import measured
from tests.people import ALICE, BOB, GROUP, HOUR, NOON, says

SAMPLE = ROOT / "data" / "sample_export.json"
SIGNALS = 100_000


def lines(text):
    return [json.loads(line) for line in text.split("\n")[:-1]]


def table(text):
    """What a spreadsheet makes of it: a dict for each line below the header."""
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text[1:], newline="")))


@pytest.fixture
def exported(run):
    """What `export` prints; as bytes, since that is what a program gets."""

    def exported(*args, **options):
        done = run("export", *args, **options)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return exported


@pytest.fixture
def sample(run):
    """The sample in the tables, and the decisions that a replay prints."""
    assert run("import", SAMPLE).returncode == 0
    by_id = json.loads(run("replay", SAMPLE, "--json").stdout)["decisions"]
    return {row["message_id"]: row for row in by_id}


async def told(directory, *messages):
    """Record messages and albums, and give what is exported of each kind in each format."""
    await recorded(directory, messages)
    async with open_tables(settings_in(directory)) as tables:
        return {
            (kind, form): await printed(tables, kind, form) for kind in RowKind for form in Format
        }


async def recorded(directory, messages):
    async with open_core(settings_in(directory), in_loop=True) as core:
        for each in messages:
            album = each if isinstance(each, list) else [each]
            await core.intake.take(album)


def settings_in(directory, **more):
    return Settings(_env_file=None, data_dir=Path(directory, "data"), **more)


async def printed(tables, kind, form):
    out = io.StringIO(newline="")
    await export(tables, Wanted(kind), form, out)
    return out.getvalue()


# ── what is told ──────────────────────────────────────────────────────────────


def test_a_signals_fields_are_those_that_a_replay_tells(exported, sample):
    told = {row["message_id"]: row for row in lines(exported("signals", "--format", "jsonl"))}

    assert told.keys() == {id_ for id_, row in sample.items() if row["outcome"] == "signal"}
    assert all(row["fields"] == sample[id_]["fields"] for id_, row in told.items())
    assert told[36] | {"text": ""} == {
        "signal_id": 3,
        "chat_id": -1001934507216,
        "message_id": 36,
        "author": 5120034417,
        "at": 1741072320,
        "utc": "2025-03-04 07:12:00",
        "fields": {
            "pair": "TON/USDT",
            "direction": "LONG",
            "entry": ["3.05", "3.10"],
            "take_profits": ["3.32", "3.58"],
            "stop": "2.89",
            "risk": "1",
            "timeframe": "1D",
        },
        "marker": "#идея",
        "album": None,
        "media": None,
        "text": "",
    }


def test_what_updates_tell_of_their_signals_is_what_a_replay_tells(exported, sample):
    told = {row["message_id"]: row for row in lines(exported("updates", "--format", "jsonl"))}

    assert told.keys() == {id_ for id_, row in sample.items() if row["outcome"] == "update"}
    for id_, row in told.items():
        for name in ("event", "signal_message_id", "author", "at", "reason"):
            assert row[name] == sample[id_][name]
    assert told[64]["event"] == {"kind": "target_reached", "target": 2}
    assert told[42]["event"] == {"kind": "stop_moved", "stop": "entry"}
    assert told[18]["event"] == {"kind": "target_reached", "target": 1}
    assert told[29]["event"] is None


def test_decisions_are_those_of_a_replay_but_for_chatter_which_leaves_no_record(
    run, exported, tmp_path
):
    began = int(subprocess.check_output(["date", "+%s"])) - 10 * HOUR
    story = write(
        tmp_path / "chat.json",
        message(1, "user1001", "#idea BTC/USDT LONG\nentry 64000 sl 63100", at=began),
        message(2, "user1001", "TP1 hit", at=began + 60, reply_to=1),
        message(3, "user1002", "closed!", at=began + 120, reply_to=1),
        message(4, "user1002", "good morning", at=began + 180),
    )
    run("import", story)
    replayed = json.loads(run("replay", story, "--json").stdout)["decisions"][:3]

    told = lines(exported("decisions", "--format", "jsonl"))

    assert [{name: row[name] for name in replayed[0]} for row in told] == replayed
    assert [row["outcome"] for row in told] == ["signal", "update", "rejected"]


def test_a_table_has_the_same_in_columns_with_a_header_that_stays(exported, sample):
    by_id = {row["message_id"]: row for row in table(exported("signals"))}
    signal = by_id["36"]

    assert [signal[name] for name in ("pair", "direction", "entry_low", "entry_high")] == [
        *("TON/USDT", "LONG", "3.05", "3.10")
    ]
    assert (signal["take_profits"], signal["stop"], signal["leverage"]) == ("3.32 3.58", "2.89", "")
    header = exported("signals", "--since", "2030-01-01")
    assert header == exported("signals").splitlines(keepends=True)[0]


async def test_the_other_pictures_of_a_signal_are_no_updates_of_it(tmp_path):
    album = [
        says(ALICE, "#idea BTC" if number == 1 else "", number=number, album_id=2**62)
        for number in (1, 2)
    ]
    update = says(ALICE, "TP1", number=3, to=album[0], album_id=7)

    found = await told(tmp_path, album, update)

    assert [row["message_id"] for row in lines(found[RowKind.UPDATES, Format.JSONL])] == [3]
    (signal,) = lines(found[RowKind.SIGNALS, Format.JSONL])
    assert signal["album"] == "4611686018427387904"


# ── both formats say the same ─────────────────────────────────────────────────

SAFE = "=+-@＝＋－＠'"  # the last is guarded to be told from a guard
UNSEEN = {*map(chr, [*range(0x200B, 0x2010), *range(0x2028, 0x202F), *range(0x2060, 0x2070)])}
UNSEEN |= {"\u00ad", "\u061c", "\ufeff", *map(chr, [*range(0x20), *range(0x7F, 0xA0)])}


def is_gap(char):
    """What a spreadsheet may pass over at the begin of a cell."""
    return char not in "\t\r\n" and (char == '"' or char.isspace() or char in UNSEEN)


def written(cell):
    """A cell without its guards: an apostrophe that opens a cell, or one behind a separator, before a sign."""
    kept = []
    opens = True  # nothing has been seen since the begin of a cell
    for at, char in enumerate(cell):
        behind = cell[at + 1 : at + 2]
        first = at == 0 and behind in {"\t", "\r", "\n"}
        if char == "'" and opens and (first or (behind and behind in SAFE)):
            opens = False
            if first:
                continue
        else:
            if char in ";\t\r\n":
                opens = True
            elif not is_gap(char):
                opens = False
            kept.append(char)
    return "".join(kept)


def as_columns(row):
    """An object as a line of a table, told once more from what README says of columns."""
    flat = {}
    for name, value in row.items():
        if name == "fields":
            said = value or {}
            low, high = said.get("entry", (None, None))
            flat |= {"entry_low": low, "entry_high": high}
            flat["take_profits"] = " ".join(said.get("take_profits", ()))
            for each in ("pair", "direction", "timeframe", "stop", "leverage", "risk"):
                flat[each] = said.get(each)
        elif name == "event":
            told = value or {}
            flat |= {"event": told.get("kind"), "event_target": told.get("target")}
            flat["event_stop"] = told.get("stop")
        else:
            flat[name] = value
    return {name: "" if value is None else str(value) for name, value in flat.items()}


HOSTILE = st.text(
    st.sampled_from(SAFE + ';;\t\r\n\n,""| aЖ\u200b\x00\x1b\u2028\u00a0|'), max_size=12
)
TEXTS = st.lists(st.one_of(HOSTILE, st.text(max_size=20)), min_size=1, max_size=8)


@pytest.mark.long
@given(TEXTS)
@example(["=1+1", "\t=1", "a\n-1;+2", "'", "''\t", ';"=1'])
@settings(max_examples=25)
def test_csv_says_what_json_lines_say_and_runs_no_formula_whatever_separates_its_cells(texts):
    """Excel separates with what the country of its machine separates lists with."""
    signal = says(ALICE, f"{texts[0]}#idea", number=1)
    replies = [says(ALICE, text, number=2 + n, to=signal) for n, text in enumerate(texts)]
    with tempfile.TemporaryDirectory() as directory:
        found = asyncio.run(told(directory, signal, *replies))
    for kind in RowKind:
        objects, sheet = lines(found[kind, Format.JSONL]), found[kind, Format.CSV]
        assert [as_columns(row) for row in objects] == [
            {name: written(cell) for name, cell in row.items()} for row in table(sheet)
        ]
        assert not [cell for separator in ",;\t" for cell in formulas(sheet, separator)]
    updates = lines(found[RowKind.UPDATES, Format.JSONL])
    assert [row["text"] for row in updates] == [storable(text) for text in texts]


def storable(text):
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return whole.replace("\0", "\ufffd")


def formulas(sheet, separator):
    for row in csv.reader(io.StringIO(sheet, newline=""), delimiter=separator):
        for cell in row:
            seen = cell.lstrip("".join(UNSEEN) + " \u00a0\ufeff\t\r\n")
            if seen[:1] in set("=+-@＝＋－＠") or (separator == "," and cell[:1] in {"\t", "\r"}):
                yield cell


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("=1+1", "'=1+1"),
        ("+7 900", "'+7 900"),
        ("-1001234567890", "'-1001234567890"),
        ("@name", "'@name"),
        ("\t=1", "'\t'=1"),
        ("\rx", "'\rx"),
        (" =1", " '=1"),
        ("\ufeff=1", "\ufeff'=1"),
        ("＝1", "'＝1"),
        ("TP1 hit\n-50%", "TP1 hit\n'-50%"),
        ("a;=1", "a;'=1"),
        ("a-b = 1, +5%", "a-b = 1, +5%"),
        ("don't", "don't"),
    ],
)
def test_what_could_be_taken_for_a_formula_is_guarded_and_nothing_else(cell, shown):
    assert harmless(cell) == shown


@pytest.mark.long
def test_a_guard_takes_linear_time():
    """A million characters that might each be the gap before a formula."""
    for text in (" " * 10**6, '"' * 10**6, "\n" * 10**6, "; " * 10**6):
        assert len(harmless(text)) <= len(text) + 1


async def test_a_json_line_is_a_line_for_every_reader(tmp_path):
    """Python's own `splitlines` and JavaScript split at more than a line feed."""
    said = "#idea a\u2028b\x85c\x0bd\re\n\x9b2J \u202egnp"
    found = (await told(tmp_path, says(ALICE, said)))[RowKind.SIGNALS, Format.JSONL]

    assert lines(found)[0]["text"] == said
    assert len(found.splitlines()) == 1
    assert not {"\x9b", "\u202e", "\x85"} & set(found)


# ── which rows ────────────────────────────────────────────────────────────────


async def asked(directory, kind=RowKind.SIGNALS, **more):
    out = io.StringIO()
    async with open_tables(settings_in(directory)) as tables:
        asked = await wanted(
            tables, settings_in(directory, **more.pop("settings", {})), kind, **more
        )
        await export(tables, asked, Format.JSONL, out)
    return [(row["chat_id"], row["message_id"]) for row in lines(out.getvalue())]


async def test_rows_come_chat_by_chat_in_the_order_of_messages_however_they_were_recorded(tmp_path):
    other = ChatId(-1005)
    told = [
        says(ALICE, "#idea", number=9),
        says(ALICE, "#idea", number=3),
        says(ALICE, "#idea", number=4, chat_id=other),
    ]
    await recorded(tmp_path, told)

    assert await asked(tmp_path) == [(GROUP, 3), (GROUP, 9), (other, 4)]


async def test_since_is_the_messages_own_date_and_takes_that_moment_in(tmp_path):
    await recorded(tmp_path, [says(ALICE, "#idea", number=n, hours=n) for n in (1, 2, 3)])

    assert await asked(tmp_path, since=NOON + 2 * HOUR) == [(GROUP, 2), (GROUP, 3)]


async def test_a_source_is_known_by_both_ids_once_the_group_has_moved(tmp_path):
    basic, other = ChatId(-4711), ChatId(-1005)
    told = [says(ALICE, "#idea", number=1, chat_id=chat) for chat in (basic, GROUP, other)]
    await recorded(tmp_path, told)
    with closing(sqlite3.connect(tmp_path / "data" / "signals.db")) as db, db:
        db.execute("INSERT INTO moved_chats VALUES (?, ?)", (basic, GROUP))

    for source in (basic, GROUP):
        assert await asked(tmp_path, source=str(source)) == [(GROUP, 1), (basic, 1)]


async def test_a_source_of_which_nothing_is_recorded_is_refused_unless_it_is_the_bots(tmp_path):
    await recorded(tmp_path, [says(ALICE, "#idea", number=1)])

    with pytest.raises(UsageError, match=f"nothing is recorded of -1005, only of {GROUP}"):
        await asked(tmp_path, source="-1005")
    mine = {"source_chat_id": -1005}
    assert await asked(tmp_path, source="-1005", settings=mine) == []


async def test_a_source_is_known_by_its_name_as_elsewhere(tmp_path):
    """But where its chat has several: rows tell their chat, and not their source."""
    other = ChatId(-1005)
    told = [says(ALICE, "#idea", number=1, chat_id=chat) for chat in (GROUP, other)]
    await recorded(tmp_path, told)
    alone = Source("majors", other)
    pair = Source("alts", GROUP, topic=5), Source("news", GROUP, topic=6)
    routes = Routes((alone, *pair), named=True)

    assert await asked(tmp_path, source="majors", routes=routes) == [(other, 1)]
    with pytest.raises(UsageError, match=f"alts, news are all read from {GROUP}"):
        await asked(tmp_path, source="news", routes=routes)
    with pytest.raises(UsageError, match="there is no source minors: there are majors, alts, news"):
        await asked(tmp_path, source="minors", routes=routes)
    with pytest.raises(UsageError, match="SOURCE_CHAT_ID is not set: give the id of its chat"):
        await asked(tmp_path, source="main")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-24", 1_795_478_400),
        ("2026-11-24T12:00", 1_795_521_600),
        ("2026-11-24 12:00:30+03:00", 1_795_510_830),
        ("1795521600", 1_795_521_600),
        ("7d", 1_800_000_000 - 7 * 86_400),
        ("12h", 1_800_000_000 - 12 * 3_600),
    ],
)
def test_since_is_a_day_a_moment_or_so_long_ago(text, seconds):
    assert moment(text, now=1_800_000_000.5) == seconds


@pytest.mark.parametrize(
    "text", ["", "yesterday", "0d", "-3d", "2026-13-01", "7 d", "99999999999999"]
)
def test_what_is_no_date_is_said_in_one_line(text):
    with pytest.raises(UsageError, match=r"--since: .* is no date: give a day"):
        moment(text, now=0)


# ── the program ───────────────────────────────────────────────────────────────


def test_a_file_is_its_owners_alone_and_what_was_there_stays_until_it_is_whole(
    run, sample, tmp_path
):
    file = tmp_path / "signals.csv"
    file.write_text("old")
    (tmp_path / "data" / "signals.db").rename(tmp_path / "elsewhere")
    failed = run("export", "signals", "--output", file)
    assert (failed.returncode, file.read_text()) == (1, "old")
    (tmp_path / "elsewhere").rename(tmp_path / "data" / "signals.db")

    done = run("export", "signals", "--output", file)

    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"wrote 7 signals to {file}\n"
    assert len(table(file.read_bytes().decode())) == 7
    assert file.stat().st_mode & 0o077 == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "signals.csv"]


@pytest.mark.parametrize(
    ("args", "code", "complaint"),
    [
        (
            ["signals", "--output", "none/x.csv"],
            2,
            "--output: none/x.csv: there is no such directory",
        ),
        (["signals", "--output", "data"], 2, "--output: data: is not a file"),
        (["signals", "--output", "-"], 2, "--output: -: is not a file"),
        (["signals", "--since", "soon"], 2, "--since: 'soon' is no date"),
        (["signals", "--source", "x"], 2, "--source"),
        (["people"], 2, "people"),
        (["signals", "--format", "xml"], 2, "--format"),
    ],
)
def test_a_mistake_is_one_line(run, sample, args, code, complaint):
    done = run("export", *args)

    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("error: ")
    assert complaint in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_where_no_bot_has_run_there_is_nothing_to_export_and_nothing_is_made(run, tmp_path):
    done = run("export", "signals")

    assert (done.returncode, done.stdout) == (1, "")
    assert "the bot has not run here yet" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_any_locale_will_do(run, sample, tmp_path):
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    with (tmp_path / "out").open("wb") as out:
        done = run("export", "updates", env=plain, stdout=out, stderr=subprocess.PIPE)

    assert (done.returncode, done.stderr) == (0, "")
    told = (tmp_path / "out").read_text(encoding="utf-8")
    assert told.startswith("\ufeffsignal_id,")
    assert "Вход взят" in told


def test_a_full_disk_is_one_line(run, sample):
    with Path("/dev/full").open("w") as full:
        done = run("export", "signals", stdout=full, stderr=subprocess.PIPE)

    assert (done.returncode, done.stderr) == (
        1,
        "error: standard output: No space left on device\n",
    )


def test_what_people_write_cannot_drive_the_terminal(run, tmp_path):
    evil = "#idea \x1b[2J\x9b2J\u202egnp\roverwritten"
    run("import", write(tmp_path / "evil.json", message(1, "user1", evil)))
    for form in Format:
        ours, theirs = pty.openpty()
        with os.fdopen(theirs, "w") as terminal:
            run("export", "signals", "--format", form, stdout=terminal, stderr=subprocess.PIPE)
        shown = os.read(ours, 100_000).decode()
        os.close(ours)
        assert "overwritten" in shown
        assert not {"\x1b", "\x9b", "\u202e"} & set(shown)
        assert not re.search(r"\r[^\r\n]", shown)


# ── a large one ───────────────────────────────────────────────────────────────


async def filled(directory, count):
    """Signals of some 600 characters each, as the bot would have recorded them."""
    file = Path(directory, "data", "signals.db")
    file.parent.mkdir()
    store = SignalStore(Database(file, in_loop=True))
    await store.open()
    await store.close()
    text = "#idea BTC/USDT LONG\n" + "жду возврат в диапазон, " * 24
    row = (GROUP, ALICE, NOON, NOON, "#idea", text, "[]", '["65500", "66800"]', NOON)
    with closing(sqlite3.connect(file)) as db, db:
        db.executemany(
            "INSERT INTO signals (source_message_id, source_chat_id, source_user_id, at,"
            " last_owner_activity, marker, text, entities, take_profits, recorded_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            ((number, *row) for number in range(1, count + 1)),
        )


async def test_decisions_of_several_tables_are_one_row_of_messages(tmp_path):
    """However many pages it takes, and however they lie between each other."""
    await filled(tmp_path, 1_200)
    updates = [(10_000 + 2 * number, number) for number in range(601, 1_201)]
    with closing(sqlite3.connect(tmp_path / "data" / "signals.db")) as db, db:
        db.execute("UPDATE signals SET source_message_id = 10000 + 2 * source_message_id + 1")
        db.executemany(
            "INSERT INTO signal_updates (source_message_id, signal_id, source_chat_id,"
            " source_user_id, reply_to_message_id, at, text, entities, reason, recorded_at)"
            f" VALUES (?, ?, {GROUP}, {ALICE}, 1, {NOON}, 'TP1', '[]', 'owner', {NOON})",
            updates,
        )

    expected = sorted(
        [*(10_001 + 2 * number for number in range(1, 1_201)), *(at for at, _ in updates)]
    )
    assert await asked(tmp_path, RowKind.DECISIONS) == [(GROUP, number) for number in expected]


@pytest.mark.heavy
async def test_a_hundred_thousand_signals_take_no_more_memory_than_a_thousand(tmp_path):
    few, many = tmp_path / "few", tmp_path / "many"
    for directory, count in ((few, 1_000), (many, SIGNALS)):
        directory.mkdir()
        await filled(directory, count)
    for kind in (RowKind.SIGNALS, RowKind.DECISIONS):
        small = measured(few, "export", kind, "--format", "jsonl")
        large = measured(many, "export", kind, "--format", "jsonl")
        assert len(large.lines) == SIGNALS
        assert large.megabytes - small.megabytes < 8  # the texts alone are 100


async def test_a_reader_that_has_seen_enough_is_no_error(run, tmp_path):
    """`python -m bot export signals | head`."""
    await filled(tmp_path, 3_000)
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as out:
        done = run("export", "signals", stdout=out, stderr=subprocess.PIPE)

    assert (done.returncode, done.stderr) == (1, "")


async def test_a_reader_that_takes_its_time_holds_nothing_of_a_running_bot_back(tmp_path):
    """Between two pages all that was written can be put into the database and is not told twice."""

    class Slow(io.StringIO):
        held = None

        def write(self, text):
            if self.held is None:
                with closing(sqlite3.connect(tmp_path / "data" / "signals.db")) as db:
                    self.held, *_ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return super().write(text)

    await filled(tmp_path, 1_200)
    out = Slow(newline="")
    async with (
        open_core(settings_in(tmp_path), in_loop=True) as core,
        open_tables(settings_in(tmp_path)) as tables,
    ):
        await core.intake.handle(says(BOB, "#idea late", number=1201))
        written = await export(
            tables, await wanted(tables, settings_in(tmp_path), RowKind.SIGNALS), Format.JSONL, out
        )

    assert (out.held, written) == (0, 1201)
    assert [row["message_id"] for row in lines(out.getvalue())] == [*range(1, 1202)]
