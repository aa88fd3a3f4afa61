"""`flows` where there are very many, and where a thread is very deep."""

from __future__ import annotations

import asyncio
import io
import os
import re
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from functools import partial

import pytest
from rich.cells import cell_len
from rich.console import Console

from bot.admin import chat_views
from bot.admin.flows import none_found, overview, thread
from bot.admin.views import show_flows, show_thread
from bot.app import open_core, open_tables
from bot.config import Settings
from bot.storage.engine import Database
from bot.storage.flow_list import flows
from bot.storage.store import SignalStore
from tests.conftest import ROOT
from tests.measured import measured
from tests.people import ALICE, BOB, GROUP, NOON, says


def settings_in(directory):
    return Settings(_env_file=None, data_dir=directory / "data")


async def crowded(directory, count):
    """So many live flows, each with three updates and ten refusals, as the bot would have recorded them."""
    file = directory / "data" / "signals.db"
    file.parent.mkdir()
    store = SignalStore(Database(file, in_loop=True))
    await store.open()
    await store.close()
    now = int(time.time())
    text = "#idea BTC/USDT LONG\n" + "жду возврат в диапазон, " * 24
    numbers = range(1, count + 1)
    with closing(sqlite3.connect(file)) as db, db:
        db.executemany(
            "INSERT INTO signals (source_message_id, source_chat_id, source_user_id, at, pair,"
            " last_owner_activity, marker, text, entities, take_profits, recorded_at)"
            " VALUES (?, ?, ?, ?, 'BTC/USDT', ?, '#idea', ?, '[]', '[]', ?)",
            ((n, GROUP, ALICE, now - 7200, now - 3600, text, now) for n in numbers),
        )
        db.executemany(
            "INSERT INTO signal_updates (source_message_id, signal_id, source_chat_id, at,"
            " source_user_id, reply_to_message_id, text, entities, reason, recorded_at)"
            " VALUES (?, ?, ?, ?, ?, 1, 'TP1', '[]', 'owner', ?)",
            ((10**6 + n, 1 + n % count, GROUP, now, ALICE, now) for n in range(3 * count)),
        )
        db.executemany(
            "INSERT INTO decisions (source_message_id, signal_id, source_chat_id, at,"
            " source_user_id, outcome, reason, recorded_at)"
            " VALUES (?, ?, ?, ?, ?, 'rejected', 'not_the_owner', ?)",
            ((10**7 + n, 1 + n % count, GROUP, now, BOB, now) for n in range(10 * count)),
        )


@pytest.mark.heavy
async def test_twenty_thousand_flows_are_listed_in_a_second_and_100_mb(tmp_path):
    """A second more than it takes to start and to find none, whatever else the machine does."""
    await crowded(tmp_path, 20_000)

    none, start, _ = measured(tmp_path, "flows", "--pair", "nope")
    lines, seconds, megabytes = measured(tmp_path, "flows")

    assert none == ["no flow of pair nope is live; --all looks among the others, too"]
    assert len(lines) == 20_001
    assert lines[1].split()[-2:] == ["3", "10"]
    assert seconds - start < 1.5
    assert megabytes < 100


ASK = """
import contextlib, os, sys
from bot.cli import main
answers = open(os.devnull, "w")
for command in ["flows", "flows --all", "flows 1", "status", "why -1001234567890:1"]:
    with contextlib.redirect_stdout(answers):
        try:
            main(command.split())
        except SystemExit as end:
            assert not end.code, command
print(*sys.modules)
"""


async def test_questions_load_no_library_that_they_do_not_need(tmp_path):
    """To load all of the bot takes as long as to answer twice."""
    await crowded(tmp_path, 1)
    env = os.environ | {"DATA_DIR": str(tmp_path / "data")}
    asked = partial(subprocess.run, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    done = await asyncio.to_thread(asked, [sys.executable, "-c", ASK])

    assert (done.returncode, done.stderr) == (0, "")
    loaded = set(done.stdout.split())
    assert {"bot.admin.flows", "bot.admin.explain", "bot.admin.status_shown"} <= loaded
    libraries = {"structlog", "pyrogram", "diskcache", "alembic", "re2", "ijson", "pydantic.v1"}
    libraries |= {"aiohttp", "prometheus_client", "jinja2", "pygal", "http.client"}
    assert not (libraries | {"rich.console", "rich.table", "rich.text", "sqlalchemy.orm"}) & loaded
    ours = {"bot.app", "bot.logs", "bot.routes_file", "bot.storage.store", "bot.rules.markers"}
    assert not (ours | {"bot.rules.signal_parser", "bot.rules.translation"}) & loaded


async def deep(directory, count):
    """Alice's signal and her updates, each of which answers the one before; then two in its midst."""
    said = [says(ALICE, "#idea BTC/USDT LONG", number=1)]
    for number in range(2, count + 2):
        said.append(says(ALICE, f"word {number}", number=number, hours=number / 60, to=said[-1]))
    said.append(says(BOB, "me too", number=9_999, hours=count / 60 + 1, to=said[1]))
    async with open_core(settings_in(directory), in_loop=True) as core:
        for each in said:
            await core.intake.handle(each)
    async with open_tables(settings_in(directory)) as tables:
        return await thread(tables, settings_in(directory), 1, now=NOON + count * 60)


@pytest.mark.long
@pytest.mark.parametrize("columns", [40, 100])
async def test_a_thread_of_1050_generations_is_a_tree_that_fits_its_columns(tmp_path, columns):
    found = await deep(tmp_path, 1_050)
    console = Console(width=columns, file=io.StringIO())

    show_thread(console, found)

    shown = console.file.getvalue()
    lines = shown.splitlines()
    assert max(map(cell_len, lines)) <= columns
    joined = re.sub(r"[│├└─\s]+", " ", shown)
    assert [int(word) for word in re.findall(r"word (\d+) \(", joined)] == [*range(2, 1_052)]
    assert lines[-1 if columns == 100 else -2].startswith("    └── ")


@pytest.mark.long
async def test_a_thread_of_1050_generations_is_told_in_a_chat_too(tmp_path):
    lines = list(chat_views.thread(await deep(tmp_path, 1_050), str))

    joined = " ".join(line.text.strip() for line in lines)
    assert [int(word) for word in re.findall(r"word (\d+) \(", joined)] == [*range(2, 1_052)]


async def test_a_thread_is_told_in_a_chat_in_the_order_of_messages(tmp_path):
    idea = says(ALICE, "#idea BTC", number=1)
    updates = [says(ALICE, f"word {n}", number=n, hours=n / 60, to=idea) for n in (2, 3, 4)]
    async with open_core(settings_in(tmp_path), in_loop=True) as core:
        for each in (idea, *updates):
            await core.intake.handle(each)
    async with open_tables(settings_in(tmp_path)) as tables:
        found = await thread(tables, settings_in(tmp_path), 1, now=NOON)

    joined = " ".join(line.text.strip() for line in chat_views.thread(found, str))
    assert re.findall(r"word (\d) ", joined) == ["2", "3", "4"]


async def test_a_list_holds_no_more_of_a_text_than_it_shows(tmp_path):
    """A text of 4096 letters for each of many flows would be most of what the list takes."""
    async with open_core(settings_in(tmp_path), in_loop=True) as core:
        await core.intake.handle(says(ALICE, "#idea " + "word " * 800, number=1))
    async with open_tables(settings_in(tmp_path)) as tables:
        (found,) = await tables.ask(lambda db: list(flows(db)))

    assert found.text == ("#idea " + "word " * 800)[:100]


async def test_a_list_that_is_too_narrow_for_a_table_is_cards_with_the_right_words(tmp_path):
    now = int(time.time())  # a second later it would be an hour less
    await crowded(tmp_path, 1)
    async with open_tables(settings_in(tmp_path)) as tables:
        found = await overview(tables, settings_in(tmp_path), now=now)
    console = Console(width=40, file=io.StringIO())

    show_flows(console, [found[0]._replace(updates=1, refused=10)])

    assert console.file.getvalue().splitlines() == [
        "1 BTC/USDT by 1001",
        "  in 2 d 23 h, 1 update, 10 refused",
    ]


async def test_columns_stand_under_one_another_in_any_script(tmp_path):
    await crowded(tmp_path, 1)
    async with open_tables(settings_in(tmp_path)) as tables:
        (found,) = await overview(tables, settings_in(tmp_path), now=int(time.time()))
    console = Console(width=100, file=io.StringIO())
    flows = [found._replace(pair=pair, direction="LONG") for pair in ("BTC", "比特币/美元", "ИДЕЯ")]

    show_flows(console, flows)

    _, *lines = console.file.getvalue().splitlines()
    assert {cell_len(line.partition("LONG")[0]) for line in lines} == {8 + 11 + 2}
    assert {cell_len(line) for line in lines} == {cell_len(lines[0])}


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({}, "no flow is live; --all looks among the others, too"),
        ({"pair": "nope"}, "no flow of pair nope is live; --all looks among the others, too"),
        ({"owner": 5, "everything": True}, "there is no flow by 5, live or not"),
        ({"everything": True, "pair": "x\x1b[2J"}, "there is no flow of pair x [2J, live or not"),
    ],
)
def test_where_no_flow_is_found_it_is_said_what_was_looked_for(asked, told):
    assert none_found(**{"owner": None, "pair": None, "everything": False} | asked) == told
