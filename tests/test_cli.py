"""The command line as an operator meets it: the real program in a process of its own."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import diskcache
import pytest

from bot.state.flow_cache import FlowDisk
from tests.exports import message, write
from tests.people import HOUR

ROOT = Path(__file__).parent.parent
SAMPLE = ROOT / "data" / "sample_export.json"


@pytest.fixture
def replay(run):
    """Replay the sample and give the object that `--json` prints."""

    def replay(*args, file=SAMPLE):
        done = run("replay", file, "--json", *args)
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)

    return replay


def untiered(report):
    return [{**decision, "tier": None} for decision in report["decisions"]]


def story(path, *, began, more=()):
    """Alice's signal with an update and Bob's refused reply; ids from 1, an hour apart."""
    return write(
        path,
        message(1, "user1001", "#idea BTC/USDT LONG", at=began),
        message(2, "user1001", "TP1", at=began + HOUR, reply_to=1),
        message(3, "user1002", "closed!", at=began + 2 * HOUR, reply_to=1),
        *more,
    )


# ── replay ────────────────────────────────────────────────────────────────────


def test_the_sample_is_a_table_that_fits_100_columns(run):
    done = run("replay", SAMPLE)

    header, *lines = done.stdout.splitlines()
    assert done.returncode == 0
    assert header.split()[:3] == ["message", "date", "(UTC)"]
    assert max(map(len, [header, *lines])) <= 100
    assert any("Марк Вершинин" in line and "new_signal" in line for line in lines)
    assert lines[-6:] == [
        "      71 messages",
        "       7 signal    10% of messages             new_signal 7",
        "      15 update    44% of replies into flows   owner 13, released 2",
        "      19 rejected  56% of replies into flows   not_the_owner 18, unknown_author 1",
        f"      30 ignored   {'42% of messages':28}not_a_signal 22, unknown_parent 7, forwarded 1",
        "       1 answers   by owners to replies refused in their own flows: `answers` in routes.toml",
    ]


def test_json_has_the_counts_and_a_decision_for_every_message(replay):
    report = replay()

    assert {name: value for name, value in report.items() if name != "decisions"} == {
        "messages": 71,
        "signals": 7,
        "updates": 15,
        "rejected": 19,
        "ignored": 30,
        "duplicates": 0,
        "by_reason": {
            "forwarded": 1,
            "new_signal": 7,
            "not_a_signal": 22,
            "not_the_owner": 18,
            "owner": 13,
            "released": 2,
            "unknown_author": 1,
            "unknown_parent": 7,
        },
    }
    exported = json.loads(SAMPLE.read_text(encoding="utf-8"))["messages"]
    assert [row["message_id"] for row in report["decisions"]] == [row["id"] for row in exported]
    assert report["decisions"][5] == {
        "message_id": 6,
        "author": report["decisions"][5]["author"],
        "at": int(exported[5]["date_unixtime"]),
        "outcome": "rejected",
        "reason": "not_the_owner",
        "tier": "memory",
        "signal_message_id": 5,
        "fields": None,
        "event": None,
    }


def test_a_signals_fields_are_told_by_name_and_only_those_that_are_said(replay):
    """Prices are decimal text, as exact as they were written."""
    by_id = {row["message_id"]: row for row in replay()["decisions"]}

    assert by_id[36]["fields"] == {
        "pair": "TON/USDT",
        "direction": "LONG",
        "entry": ["3.05", "3.10"],
        "take_profits": ["3.32", "3.58"],
        "stop": "2.89",
        "risk": "1",
        "timeframe": "1D",
    }
    assert {row["fields"] is None for row in by_id.values() if row["outcome"] != "signal"} == {True}


def test_what_an_update_tells_of_its_signal_is_told_and_of_all_else_nothing(replay):
    """The event stands where it is beyond doubt; the sample has both sorts of update."""
    by_id = {row["message_id"]: row for row in replay()["decisions"]}

    assert by_id[64]["event"] == {"kind": "target_reached", "target": 2}
    assert by_id[42]["event"] == {"kind": "stop_moved", "stop": "entry"}
    assert by_id[63]["event"] is None
    assert {row["event"] is None for row in by_id.values() if row["outcome"] != "update"} == {True}


def test_a_signal_names_itself_and_chatter_names_nothing(replay):
    by_id = {row["message_id"]: row for row in replay()["decisions"]}

    assert (by_id[5]["signal_message_id"], by_id[5]["tier"]) == (5, None)
    assert (by_id[3]["signal_message_id"], by_id[3]["tier"]) == (None, None)


def test_restarting_after_every_message_changes_the_tier_and_nothing_else(replay):
    straight, restarted = replay(), replay("--restart-every", "1")

    assert untiered(straight) == untiered(restarted)
    assert Counter(row["tier"] for row in straight["decisions"]) == {None: 37, "memory": 34}
    assert Counter(row["tier"] for row in restarted["decisions"]) == {None: 37, "disk": 34}


def test_options_stand_in_for_the_settings(replay, run):
    assert replay("--after-ttl", "owner")["by_reason"].get("released") is None
    assert replay("--ttl-hours", "0.5")["by_reason"]["released"] > 2
    nobody = replay("--allowed-users", "1,2")
    assert (nobody["signals"], nobody["updates"]) == (0, 0)
    done = run("replay", SAMPLE, "--json", env={"FLOW_AFTER_TTL": "owner"})
    assert "released" not in json.loads(done.stdout)["by_reason"]


def test_a_replay_leaves_nothing_behind(run, tmp_path):
    run("replay", SAMPLE, env={"TMPDIR": str(tmp_path)})

    assert list(tmp_path.iterdir()) == []


def test_a_file_that_breaks_off_is_reported_up_to_there(run, tmp_path):
    whole = SAMPLE.read_bytes()
    (tmp_path / "cut.json").write_bytes(whole[: len(whole) // 2])

    table = run("replay", "cut.json")
    as_json = run("replay", "cut.json", "--json")

    for done in (table, as_json):
        assert done.returncode == 1
        assert done.stderr.startswith("error: cut.json")
        assert len(done.stderr.splitlines()) == 1
    assert 10 < json.loads(as_json.stdout)["messages"] < 71
    assert "messages" in table.stdout.splitlines()[-5]


@pytest.mark.parametrize(
    ("more", "shown"),
    [
        ({"poll": {"question": "Up?"}}, "[poll]"),
        ({"giveaway_information": {"quantity": 3}}, "[giveaway]"),
        ({"giveaway_results": {"winners": []}}, "[giveaway_winners]"),
        ({"todo_list": {"title": "Do"}}, "[checklist]"),
        ({"story_id": 7}, "[story]"),
        ({"something_new": {}}, "[no text]"),
        ({"type": "service", "action": "pin_message"}, "[service]"),
    ],
)
def test_what_says_nothing_is_called_what_it_is(run, tmp_path, more, shown):
    """Only a service message is called service."""
    write(tmp_path / "odd.json", message(1, "user1", "", **more))

    assert run("replay", "odd.json").stdout.splitlines()[1].endswith(shown)


def test_what_people_write_cannot_drive_the_terminal(run, tmp_path):
    evil = "\x1b[2J\x1b]0;owned\x07 \u202egnp.exe\r\nsecond line"
    write(tmp_path / "evil.json", message(1, "user1", evil, **{"from": "\x1b[31mred"}))

    done = run("replay", "evil.json")

    assert done.returncode == 0
    assert not {"\x1b", "\x07", "\r", "\u202e"} & set(done.stdout)
    assert len(done.stdout.splitlines()) == 4


def test_a_message_without_id_or_date_is_mentioned_and_passed_over(run, tmp_path):
    write(tmp_path / "odd.json", message(1, "user1", "hello"), {"type": "message"})

    done = run("replay", "odd.json", "--json")

    assert (done.returncode, json.loads(done.stdout)["messages"]) == (0, 1)
    assert done.stderr == "passed over for want of an id or a date: 1\n"


@pytest.mark.parametrize("date", ["99999999999999999", "4294967296", "-5", "0", "soon"])
def test_a_date_that_telegram_could_not_have_given_is_no_date(run, tmp_path, date):
    write(tmp_path / "odd.json", message(1, "user1", "#idea", date_unixtime=date, date=None))

    done = run("replay", "odd.json")

    assert (done.returncode, done.stdout) == (0, "       0 messages\n")


def test_an_export_without_messages_is_reported_as_that(run, tmp_path):
    write(tmp_path / "empty.json")

    assert json.loads(run("replay", "empty.json", "--json").stdout)["decisions"] == []
    assert run("replay", "empty.json").stdout == "       0 messages\n"


def test_a_reader_who_has_seen_enough_is_no_error(run, tmp_path):
    """`python -m bot replay … | head`."""
    write(
        tmp_path / "long.json",
        *(message(number, "user1", "word " * 20) for number in range(1, 3000)),
    )
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as out:
        done = run("replay", "long.json", stdout=out, stderr=subprocess.PIPE)

    assert (done.returncode, done.stderr) == (1, "")


def test_progress_is_shown_on_a_terminal_and_nowhere_else(run, tmp_path):
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        run("replay", SAMPLE, "--json", stdout=subprocess.PIPE, stderr=terminal)
    shown = os.read(ours, 100_000).decode(errors="replace")
    os.close(ours)

    assert "reading" in shown
    assert "deciding" in shown


def test_a_table_on_a_terminal_is_coloured(run):
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        run("replay", SAMPLE, env={"TERM": "xterm"}, stdout=terminal, stderr=subprocess.PIPE)
    shown = os.read(ours, 100_000).decode(errors="replace")
    os.close(ours)

    assert "\x1b[" in shown


# ── import ────────────────────────────────────────────────────────────────────


def contents(tmp_path):
    with closing(sqlite3.connect(tmp_path / "data" / "signals.db")) as db:
        return {
            table: db.execute(f"SELECT * FROM {table} ORDER BY id").fetchall()
            for table in ("signals", "signal_updates", "decisions", "posts")
        }


def on_disk(tmp_path):
    with closing(diskcache.Cache(tmp_path / "data" / "flows", disk=FlowDisk)) as cache:
        return list(cache.iterkeys())


@pytest.fixture
def now():
    return int(time.time())


def test_an_import_fills_the_tables_and_posts_nothing(run, tmp_path, now):
    """Not even where a target is set, as it is beside the bot."""
    export = story(tmp_path / "chat.json", began=now - 10 * HOUR)
    done = run("import", export, env={"TARGET_CHAT_ID": "-1009999999999"})

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "       3 messages"
    filled = contents(tmp_path)
    assert [len(filled[table]) for table in filled] == [1, 1, 1, 0]


def test_an_import_says_what_it_wrote_and_where(run, tmp_path, now):
    """A second time it says alike that nothing of it was new."""
    export = story(tmp_path / "chat.json", began=now - 10 * HOUR)

    first, second = (run("import", export).stdout.splitlines()[-1] for _ in range(2))

    assert first == "wrote 1 signal, 1 update and 1 refusal to data/signals.db"
    assert second == "wrote 0 signals, 0 updates and 0 refusals to data/signals.db"


def test_a_damaged_file_is_imported_up_to_there_and_pruned_alike(run, tmp_path, now):
    """A refusal of forty days before the newest message is none that anybody asks about."""
    newest = message(4, "user1001", "#idea ETH short", at=now - HOUR)
    export = story(tmp_path / "chat.json", began=now - 40 * 24 * HOUR, more=[newest])
    export.write_bytes(export.read_bytes().rstrip()[:-2] + b",!")

    done = run("import", export)

    assert done.returncode == 1
    assert [len(rows) for rows in contents(tmp_path).values()] == [2, 1, 0, 0]


def test_importing_twice_adds_nothing(run, tmp_path, now):
    export = story(tmp_path / "chat.json", began=now - 10 * HOUR)
    run("import", export)
    before = contents(tmp_path)

    done = run("import", export)

    assert "3 duplicate" in done.stdout
    assert contents(tmp_path) == before


def test_a_longer_export_adds_only_what_is_new(run, tmp_path, now):
    began = now - 10 * HOUR
    run("import", story(tmp_path / "chat.json", began=began))
    before = contents(tmp_path)
    more = [
        message(4, "user1001", "TP2", at=began + 3 * HOUR, reply_to=2),
        message(5, "user1002", "#idea ETH short", at=began + 4 * HOUR),
    ]
    run("import", story(tmp_path / "longer.json", began=began, more=more))

    after = contents(tmp_path)
    assert after["signal_updates"][:1] == before["signal_updates"]
    assert after["decisions"] == before["decisions"]
    assert [len(after[table]) for table in after] == [2, 2, 1, 0]


def test_a_longer_export_may_also_begin_earlier(run, tmp_path, now):
    """Replies whose signal was not in the first export find it in the second."""
    began = now - 10 * HOUR
    write(tmp_path / "late.json", message(2, "user1001", "TP1", at=began + HOUR, reply_to=1))
    run("import", tmp_path / "late.json")
    run("import", story(tmp_path / "chat.json", began=began))

    filled = contents(tmp_path)
    assert [len(filled[table]) for table in filled] == [1, 1, 1, 0]


def test_a_flow_gone_quiet_is_in_the_table_and_not_in_the_fast_tiers(run, tmp_path, now):
    began = now - 80 * HOUR
    alive = [
        message(4, "user1002", "#idea ETH short", at=now - 71 * HOUR),
        message(5, "user1001", "#idea SOL", at=now - 79 * HOUR),
        message(6, "user1001", "still on", at=now - HOUR, reply_to=5),
    ]
    run("import", story(tmp_path / "chat.json", began=began, more=alive))

    assert [row[0] for row in contents(tmp_path)["signals"]] == [1, 2, 3]
    assert {key for key in on_disk(tmp_path) if isinstance(key, int)} == {2, 3}


def test_what_is_kept_of_an_import_goes_by_its_newest_message_be_it_a_refusal(run, tmp_path, now):
    """Else it would be the next import that forgets, and that counts otherwise."""
    began = now - 40 * 24 * HOUR
    newest = message(4, None, "closed?", at=began + 32 * 24 * HOUR, reply_to=1)
    export = story(tmp_path / "chat.json", began=began, more=[newest])

    first, *others = (run("import", export).stdout.splitlines() for _ in range(3))

    assert first[-1] == "wrote 1 signal, 1 update and 1 refusal to data/signals.db"
    assert others[0] == others[1]


def test_a_date_that_is_yet_to_come_has_nothing_forgotten(run, tmp_path, now):
    """As scripts write it that take one unit of time for another."""
    odd = message(4, None, "closed?", at=4_102_444_800, reply_to=1)
    export = story(tmp_path / "chat.json", began=now - 10 * HOUR, more=[odd])

    assert run("import", export).stdout.endswith("and 2 refusals to data/signals.db\n")
    assert "4 duplicate" in run("import", export).stdout


def test_a_flow_that_an_operator_has_ended_since_is_imported_as_it_was(run, tmp_path, now):
    """What was refused then, and is forgotten, is refused again; what was said afterwards continues it."""
    began = now - 50 * 24 * HOUR
    live = message(4, "user1002", "#idea ETH short", at=now - HOUR)
    export = story(tmp_path / "chat.json", began=began, more=[live])
    run("import", export)
    assert run("release", "1").returncode == 0
    before = contents(tmp_path)

    assert "1 rejected" in run("import", export).stdout
    assert contents(tmp_path) == before

    afterwards = message(5, "user1003", "closed", at=now + 60, reply_to=1)
    longer = story(tmp_path / "longer.json", began=began, more=[live, afterwards])
    assert "1 update" in run("import", longer).stdout


def test_refusals_older_than_30_days_are_not_kept(run, tmp_path, now):
    """Older than the newest message is, that is: a machine whose clock runs fast loses none by it."""
    began = now - 40 * 24 * HOUR
    run("import", story(tmp_path / "chat.json", began=began))
    filled = contents(tmp_path)
    assert [len(filled[table]) for table in filled] == [1, 1, 1, 0]

    newer = message(4, "user1001", "#idea ETH/USDT SHORT", at=began + 31 * 24 * HOUR)
    run("import", story(tmp_path / "chat.json", began=began, more=[newer]))
    filled = contents(tmp_path)
    assert [len(filled[table]) for table in filled] == [2, 1, 0, 0]


def test_the_history_of_another_chat_is_refused(run, tmp_path, now):
    export = story(tmp_path / "chat.json", began=now)
    done = run("import", export, env={"SOURCE_CHAT_ID": "-1005"})

    assert done.returncode == 2
    assert "but SOURCE_CHAT_ID is -1005" in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_what_the_bot_writes_is_its_owners_alone(run, tmp_path, now, umask):
    """Whatever the umask: tables, caches, and the page that shows what was said."""
    export = story(tmp_path / "chat.json", began=now)
    run("import", export, umask=umask)
    run("replay", export, "--html", "page.html", umask=umask)

    written = [*(tmp_path / "data").rglob("*"), tmp_path / "page.html"]
    assert {path.stat().st_mode & 0o077 for path in written} == {0}
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_a_second_instance_is_refused_with_the_first_ones_pid(run, tmp_path, now):
    export = story(tmp_path / "chat.json", began=now)
    (tmp_path / "data").mkdir()
    with (tmp_path / "data" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("4711\n")
        lock.flush()
        done = run("import", export)
    free = run("import", export)

    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)
    assert "in use by another instance (pid 4711)" in done.stderr
    assert free.returncode == 0


def test_a_database_of_another_program_is_refused_in_one_line(run, tmp_path, now):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "signals.db").write_text("not a database at all " * 100)
    done = run("import", story(tmp_path / "chat.json", began=now))

    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "signals.db" in done.stderr


def test_a_data_directory_that_cannot_be_made_is_one_line(run, tmp_path, now):
    (tmp_path / "data").write_text("a file")
    done = run("import", story(tmp_path / "chat.json", began=now))

    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "error: DATA_DIR: data cannot be made or written: File exists" in done.stderr


def test_it_says_which_version_it_is(run):
    done = run("--version")

    assert (done.returncode, done.stderr) == (0, "")
    name, version = done.stdout.split()
    assert name == "telegram-signal-relay"
    assert re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+(\.dev[0-9]+)?", version)
    newest = re.findall(r"^## ([0-9.]+), ", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[0]
    assert tuple(map(int, version.split(".")[:2])) >= tuple(map(int, newest.split(".")[:2]))


# ── whatever is the user's to mend ────────────────────────────────────────────


@pytest.mark.parametrize(
    ("args", "env", "code", "complaint"),
    [
        pytest.param(["replay", "none.json"], {}, 1, "none.json", id="no such file"),
        pytest.param(["replay", "."], {}, 1, "error: .", id="a directory"),
        pytest.param(["import", "none.json"], {}, 1, "none.json", id="no such file to import"),
        pytest.param(["replay", SAMPLE, "--frobnicate"], {}, 2, "--frobnicate", id="option"),
        pytest.param(["frobnicate"], {}, 2, "frobnicate", id="command"),
        pytest.param(["replay"], {}, 2, "FILE", id="no argument"),
        pytest.param(["setup"], {}, 2, "needs a terminal", id="no terminal"),
        pytest.param(["replay", SAMPLE, "--ttl-hours", "x"], {}, 2, "--ttl-hours", id="ttl"),
        pytest.param(
            ["replay", SAMPLE, "--allowed-users", "bob"], {}, 2, "--allowed-users", id="users"
        ),
        pytest.param(["replay", SAMPLE], {"ALLOWED_USERS": "5"}, 2, "did you mean", id="misspelt"),
        pytest.param(
            ["replay", SAMPLE, "--after-ttl", "x"],
            {},
            2,
            "'--after-ttl': input should be 'release' or 'owner'",
            id="after",
        ),
        pytest.param(
            ["export", "all"], {}, 2, "'WHAT': 'all' is not one of 'signals', 'updates'", id="what"
        ),
        pytest.param(
            ["replay", SAMPLE, "--restart-every", "x"],
            {},
            2,
            "'--restart-every': 'x' is not a number of messages: give 1 or more",
            id="restart x",
        ),
        pytest.param(
            ["replay", SAMPLE],
            {"SIGNAL_PATTERNS": "#(?!no)idea"},
            2,
            "RE2 cannot look ahead or behind: write the pattern without that",
            id="look-around",
        ),
        pytest.param(
            ["replay", SAMPLE],
            {"SIGNAL_PATTERNS": r"([A-Z])\1"},
            2,
            "RE2 cannot refer back to a group: write the pattern without that",
            id="back-reference",
        ),
        pytest.param(
            ["import", SAMPLE],
            {"DATA_DIR": "/proc/relay"},
            2,
            "DATA_DIR: /proc/relay cannot be made or written: No such file or directory: "
            "name a directory that the bot may write to",
            id="read-only path",
        ),
        pytest.param(
            ["import", SAMPLE],
            {"DATA_DIR": "/dev/null"},
            2,
            "DATA_DIR: /dev/null cannot be made or written: File exists",
            id="data in a file",
        ),
        pytest.param(
            ["import", SAMPLE],
            {"DATABASE_URL": "sqlite:////proc/relay/signals.db"},
            2,
            "DATABASE_URL: /proc/relay cannot be made or written",
            id="database elsewhere",
        ),
        pytest.param(["status"], {"DATA_DIR": "none"}, 1, "with another DATA_DIR", id="no data"),
        pytest.param(
            ["replay", SAMPLE, "--restart-every", "0"], {}, 2, "--restart-every", id="restart"
        ),
        pytest.param(["replay", SAMPLE, "--chat", "other"], {}, 2, "other", id="chat"),
        pytest.param(
            ["replay", SAMPLE], {"FLOW_TTL_HOURS": "x"}, 2, "FLOW_TTL_HOURS", id="setting"
        ),
        pytest.param(
            ["replay", SAMPLE], {"SIGNAL_PATTERNS": "(("}, 2, "SIGNAL_PATTERNS", id="pattern"
        ),
        pytest.param(
            ["import", SAMPLE],
            {"SOURCE_ALLOWED_USERS": ""},
            2,
            "SOURCE_ALLOWED_USERS: is set but empty",
            id="empty allow-list",
        ),
    ],
)
def test_a_mistake_is_one_line_with_its_culprit_and_the_right_exit_code(
    run, args, env, code, complaint
):
    done = run(*args, env=env)

    assert (done.returncode, done.stdout) == (code, "")
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("error: ")
    assert complaint in done.stderr


def test_a_wrong_value_in_env_is_named(run, tmp_path):
    (tmp_path / ".env").write_text("FLOW_AFTER_TTL=maybe\n")
    (tmp_path / ".env").chmod(0o600)

    done = run("replay", SAMPLE)

    assert (done.returncode, done.stderr) == (
        2,
        "error: FLOW_AFTER_TTL: input should be 'release' or 'owner'\n",
    )


def test_help_names_the_commands_and_waits_for_no_heavy_library(run):
    done = run("--help")
    loaded = subprocess.run(
        [sys.executable, "-c", "import bot.cli, sys; print(*sys.modules)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()

    assert done.returncode == 0
    assert {"setup", "replay", "import", "report"} <= set(done.stdout.split())
    heavy = {"pyrogram", "sqlalchemy", "pydantic", "diskcache", "rich", "pygal", "jinja2"}
    assert not (heavy | {"aiohttp", "prometheus_client"}) & set(loaded)


def test_a_running_bot_holds_no_library_that_it_does_not_use():
    """On a file it needs no words of a server, and for lines of JSON nothing that draws."""
    running = "bot.cli, bot.logs, bot.runner, bot.telegram.client, bot.monitoring.access"
    loaded = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import {running}, bot.monitoring.answering, bot.monitoring.health, sys; print(*sys.modules)",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()

    unused = {"sqlalchemy.dialects.postgresql", "sqlalchemy.orm", "psycopg", "alembic", "aiohttp"}
    assert not (unused | {"rich", "attr", "pygments", "pygal", "jinja2", "ijson"}) & set(loaded)
