"""Names beside ids: kept from what was heard, shown to operators, forgotten after a while."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from bot.admin.formatting import date
from bot.admin.names import names_of
from bot.models import Decision, Outcome, Reason
from bot.monitoring.housekeeping import forget_old_refusals
from bot.storage.engine import Database
from bot.storage.store import SignalStore
from tests.exports import message, write
from tests.people import ALICE, BOB, NOON, says
from tests.rows import add_signal

DAY = 86_400
REFUSED = Decision(Outcome.REJECTED, Reason.NOT_THE_OWNER)


async def shown(store, *ids):
    names = await names_of(store, ids)
    return [names.of(each) for each in ids]


async def test_whoever_is_recorded_is_known_by_the_name_that_was_heard_last(store):
    """Of refused replies, too; an old message, as an import brings it, does not change it."""
    await add_signal(store, says(ALICE, "#idea", number=1, author_name="Алиса"))
    await store.add_decision(says(BOB, number=2, author_name="Bob"), REFUSED)
    await add_signal(store, says(ALICE, "#idea", number=3, hours=24, author_name="Алиса К."))
    await add_signal(store, says(ALICE, "#idea", number=4, hours=-24, author_name="Alice"))
    assert await shown(store, ALICE, BOB, None, 77) == [
        "Алиса К. (1001)",
        "Bob (1002)",
        "unknown",
        "77",
    ]


async def test_a_name_drives_no_terminal_and_is_no_longer_than_a_line_bears(store):
    name = "Eve\x1b[2J\u202e\n" + "x" * 300
    await add_signal(store, says(ALICE, "#idea", author_name=name))
    assert await shown(store, ALICE) == ["Eve [2J " + "x" * 23 + "… (1001)"]


async def test_names_are_forgotten_once_they_were_not_heard_for_90_days(store):
    """Also while the bot runs: housekeeping does it with the refusals."""
    await add_signal(store, says(ALICE, "#idea", number=1, author_name="Alice"))
    await store.add_decision(says(BOB, number=2, hours=24, author_name="Bob"), REFUSED)
    await store.flush()
    await forget_old_refusals(store, clock=lambda: NOON + 90 * DAY)
    assert await shown(store, ALICE, BOB) == ["Alice (1001)", "Bob (1002)"]
    await forget_old_refusals(store, clock=lambda: NOON + 90 * DAY + 1)
    assert await shown(store, ALICE, BOB) == ["1001", "Bob (1002)"]


async def test_where_no_names_are_to_be_kept_none_is_and_those_there_are_go(tmp_path, store):
    said = says(ALICE, "#idea", number=1, author_name="Alice")
    await add_signal(store, said)
    without = SignalStore(Database(tmp_path / "signals.db", in_loop=True), names_kept=timedelta(0))
    await without.open()
    await forget_old_refusals(without, clock=lambda: NOON + 1)
    await add_signal(without, replace(said, id=2))
    assert await shown(without, ALICE) == ["1001"]
    await without.close()


@pytest.mark.parametrize(("days", "told"), [("90", "Name of user101 (101)"), ("0", "101")])
def test_why_and_flows_tell_names_beside_ids(run, tmp_path, now, days, told):
    export = write(
        tmp_path / "e.json",
        message(1, "user101", "#idea BTC/USDT LONG", at=now - 300),
        message(2, "user102", "closed", at=now - 200, reply_to=1),
        message(3, "user101", "TP1", at=now - 100, reply_to=1),
    )
    env = {"SOURCE_CHAT_ID": "-1001777000111", "NAMES_KEPT_DAYS": days}
    run("import", export, env=env)
    other = told.replace("101", "102")

    why = " ".join(run("why", "2", env=env).stdout.split())
    assert f"the flow is {told}'s, and {other} is not he" in why
    assert f"signal 1, BTC/USDT LONG by {told}" in why
    thread = run("flows", "1", env=env).stdout
    assert f"{told}: TP1" in thread
    assert f"by {told}" in thread
    short = told.replace("Name of user101", "Name of use…")
    assert short in run("flows", env=env).stdout
    assert run("release", "1", env=env).stdout == f"released: signal 1, BTC/USDT LONG by {told}\n"
    with closing(sqlite3.connect(tmp_path / "data" / "signals.db")) as db:
        assert db.execute("SELECT count(*) FROM people").fetchone() == (0 if days == "0" else 2,)


@pytest.fixture
def now():
    import time  # noqa: PLC0415  # the tables keep what is new alone

    return int(time.time())


# ── times ─────────────────────────────────────────────────────────────────────


def test_a_date_is_told_in_the_zone_that_is_asked_for():
    at = 1_704_099_600
    assert date(at, ZoneInfo("Asia/Tashkent")) == "2024-01-01 14:00:00 +05"
    assert date(at, ZoneInfo("UTC")) == "2024-01-01 09:00:00 UTC"


def test_times_are_in_the_operators_zone_and_in_utc_on_demand(run, tmp_path):
    export = write(tmp_path / "e.json", message(1, text="#idea BTC", at=1_704_099_600))
    env = {"SOURCE_CHAT_ID": "-1001777000111", "TZ": "XYZ-5:00"}
    run("import", export, env=env)
    assert "2024-01-01 14:00:00 XYZ" in run("why", "1", env=env).stdout
    assert "2024-01-01 09:00:00 UTC" in run("why", "1", "--utc", env=env).stdout
    assert "01-01 14:00" in (table := run("replay", export, env=env).stdout)
    assert "date (XYZ)" in table
    assert "date (UTC)" in run("replay", export, "--utc", env=env).stdout


# ── what is empty ─────────────────────────────────────────────────────────────


def test_an_empty_report_says_why(run, tmp_path, now):
    env = {"SOURCE_CHAT_ID": "-1001777000111"}
    old = message(1, text="#idea BTC", at=1_704_099_600)
    told = []
    for messages in ([], [old], [old, message(2, text="#idea ETH", at=now - 60)]):
        run("import", write(tmp_path / "e.json", *messages), env=env)
        told.append(run("report", "--html", "r.html", env=env).stderr)
    nothing, too_old, something = told
    assert nothing == (
        "wrote r.html; it is empty: the tables hold nothing yet; the bot fills them, or `import`\n"
    )
    assert too_old == (
        "wrote r.html; it is empty: it is of the last 30 days, and what the tables hold is older, up "
        "to 2024-01-01; `replay FILE --html` draws an exported chat of any age\n"
    )
    assert something == "wrote r.html\n"
