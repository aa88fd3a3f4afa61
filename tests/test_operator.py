"""The operator's questions and orders, from a shell, on tables that the real intake filled."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import socket
import sqlite3
import time
from contextlib import closing

import pytest
from rich.cells import cell_len

from bot.admin.explain import why
from bot.admin.flows import overview, thread
from bot.admin.formatting import duration, size
from bot.admin.status import status
from bot.admin.status_shown import as_rows
from bot.admin.views import show_flows, show_rows, show_thread
from bot.lock import locked
from bot.models import AfterTtl, MessageId, MessageRef
from bot.posts import Method
from bot.storage import records
from bot.storage.schema import NEWEST
from tests import forkserver
from tests.conftest import ROOT
from tests.exports import CHAT_ID, message, write
from tests.people import ALICE, BOB, GROUP, TARGET, says
from tests.story import Story

CHAT = -(10**12) - CHAT_ID
HERE = {"SOURCE_CHAT_ID": str(GROUP), "TARGET_CHAT_ID": str(TARGET)}
COMMANDS = [
    ["why", "1"],
    ["why", "3"],
    ["why", "99"],
    ["status"],
    ["flows", "--all"],
    ["flows", "1"],
]


@pytest.fixture
async def story(tmp_path, now):
    return await Story(tmp_path, now).is_told()


@pytest.fixture
def ask(run, story):
    """Give a command in the bot's directory; what it prints on success."""

    def ask(*command, env=()):
        done = run(*command, env={**HERE, **dict(env)})
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout

    return ask


# ── why ───────────────────────────────────────────────────────────────────────


async def test_why_tells_what_a_signal_was_taken_for_and_where_it_stands(story):
    lines = await story.why("https://t.me/c/1234567890/1")

    assert lines[0] == "message https://t.me/c/1234567890/1"
    assert "decided signal (new_signal): it carries #idea" in lines
    assert "signal 1: BTC/USDT LONG, timeframe 4H, stop 58000, leverage 10x" in lines
    assert any(
        re.fullmatch(r"told by its author on .* UTC: target 1 reached", line) for line in lines
    )
    assert "replies 1 update, 2 refused: `flows 1` shows them" in lines
    assert "posted https://t.me/c/9876543210/701 (post 1), 1 try" in lines


async def test_why_tells_whose_flow_an_update_continued_and_which_tier_knew(story):
    lines = await story.why(f"{GROUP}:2")

    assert "decided update (owner): 1001 owns the flow" in lines
    assert "whose flow it is was known from memory" in lines
    assert "answers https://t.me/c/1234567890/1" in lines
    assert "flow signal 1, BTC/USDT LONG by 1001" in lines
    assert "read in it target 1 reached" in lines
    assert any(line.startswith("flow then live: its owner was last active") for line in lines)
    assert any(line.endswith("UTC, 1 h before") for line in lines)


async def test_why_says_where_nothing_could_be_read_and_nothing_was_told(story):
    """Of the sale's two words nothing is beyond doubt, and Bob's words are not the author's."""
    async with story.bot() as core:
        bare = story.says(ALICE, "#idea tomorrow", ago=3, number=20)
        await core.intake.handle(bare)
        await core.intake.handle(story.says(ALICE, "well", ago=2, number=21, to=bare))

    assert "read in it nothing about its signal that is beyond doubt" in await story.why("21")
    lines = await story.why("20")
    assert "signal 4: #idea tomorrow; nothing could be read of it" in lines
    assert "told nothing of it that is beyond doubt" in lines
    assert "read in it nothing about its signal that is beyond doubt" in await story.why("8")
    assert not any(line.startswith("told") for line in await story.why("6"))


async def test_why_tells_only_what_its_author_told(story):
    """Whoever continues a released signal may say that it is closed; its author has not."""
    async with story.bot() as core:
        closed = story.says(BOB, "closed", ago=0.5, number=40, to=MessageRef(GROUP, MessageId(7)))
        assert (await core.intake.handle(closed)).reason == "released"

    assert "read in it closed" in await story.why("40")
    assert "told nothing of it that is beyond doubt" in await story.why("7")


async def test_of_many_things_that_were_told_of_a_signal_why_shows_the_newest(story):
    async with story.bot() as core:
        idea = story.says(ALICE, "#idea DOT/USDT LONG", ago=6, number=30)
        await core.intake.handle(idea)
        for target in range(1, 8):
            said = story.says(
                ALICE, f"TP{target} hit", ago=6 - target / 10, number=30 + target, to=idea
            )
            await core.intake.handle(said)

    lines = await story.why("30")

    assert "told 7 times what has become of it, of late:" in lines
    told = [line.rpartition(": ")[2] for line in lines if line.startswith("by its author on")]
    assert told == [f"target {number} reached" for number in (3, 4, 5, 6, 7)]


async def test_why_tells_why_a_reply_was_refused(story):
    """Carol answered an hour after Bob did; of the owner's words only those before count."""
    lines = await story.why("4")

    assert "decided rejected (not_the_owner): the flow is 1001's, and 1003 is not he" in lines
    assert "answers https://t.me/c/1234567890/2" in lines
    assert any(line.endswith("UTC, 2 h before") for line in lines)
    assert lines[-1] == "posted no: only signals and updates are"


async def test_why_tells_of_failed_and_waiting_posts_with_tries_and_errors(story):
    failed, waiting = await story.why("7"), await story.why("8")

    assert f"posted in {TARGET} (post 4): FAILED, 2 tries; `retry 4` tries again" in failed
    assert "last error: Telegram refused: 400 MESSAGE_EMPTY" in failed
    assert any(line.startswith("flow now released since") for line in failed)
    assert f"posted in {TARGET} (post 5): waits to be posted, 0 tries so far" in waiting
    assert (
        "decided update (released): the flow was released, so any permitted author may" in waiting
    )
    assert any(line.startswith("flow then released: its owner") for line in waiting)


async def test_a_post_in_the_target_leads_to_the_message_it_came_from(story):
    lines = await story.why("https://t.me/c/9876543210/702")

    assert lines[:2] == [
        "post https://t.me/c/9876543210/702 is what was posted for this message:",
        "message https://t.me/c/1234567890/2",
    ]


async def test_why_names_what_kept_the_bot_from_seeing_a_message(story):
    between, later = await story.why("5"), await story.why("99")
    elsewhere = await story.why("-1005:99")
    allowed = await story.why("5", source_allowed_users=(1001,))

    assert "message https://t.me/c/1234567890/5" in between
    assert f"yes it stands in the source chat, {GROUP}" in between
    assert any(line.startswith("yes the bot has come that far: it recorded 6") for line in between)
    assert any(line.startswith("recorded last before it: 4 of") for line in between)
    assert any(line.startswith("? the bot has come that far: it recorded") for line in later)
    assert f"NO it stands in -1005; the source chat is {GROUP}" in elsewhere
    assert "? the bot has come that far: it recorded nothing of this chat" in elsewhere
    assert any("#идея or #idea" in line for line in between)
    assert any("/setprivacy" in line for line in between)
    assert any("refusals are forgotten after 30 d" in line for line in between)
    assert "? its author is one of the 1 in SOURCE_ALLOWED_USERS" in allowed


async def test_why_names_a_target_and_a_source_that_is_not_set(story):
    target = await story.why(f"{TARGET}:99")
    unset = await story.why(f"{GROUP}:99", source_chat_id=None)

    assert f"NO it stands in a target chat; the source chat is {GROUP}" in target
    assert f"? {GROUP} is the source chat: SOURCE_CHAT_ID is not set here" in unset


async def test_why_says_that_an_old_refusal_is_forgotten(story):
    story.now += 40 * 24 * 3600

    assert "? it was not refused: refusals are forgotten after 30 d, and this is older" in (
        await story.why(5)
    )


async def test_of_a_flow_whose_owners_activity_is_lost_why_says_that(story):
    """As an operator's hand in the table leaves it."""
    with closing(sqlite3.connect(story.directory / "data" / "signals.db")) as db, db:
        db.execute("UPDATE signals SET last_owner_activity = NULL")

    assert "flow now live: when its owner was last active is not known, so it stays his" in (
        await story.why(1)
    )


async def test_why_tells_of_a_post_that_was_deleted_with_its_source(story):
    async with story.bot() as core:
        await core.intake.deleted(GROUP, [MessageId(1)])
        (post,) = await core.store.take_posts(TARGET, Method.DELETE)
        waiting = await story.why(1)
        await core.store.post_deleted(post)

    link = "https://t.me/c/9876543210/701 (post 1)"
    assert f"posted {link}: is posted, and waits to be deleted, 0 tries so far" in waiting
    assert f"posted {link}: deleted, as was its source" in await story.why(1)


async def test_why_and_status_tell_of_a_post_that_shows_outdated_words(story):
    async with story.bot() as core:
        edit = story.says(ALICE, "#idea BTC/USDT LONG, stop 59000", ago=10, number=1)
        await core.intake.edited(edit)
        (post,) = await core.store.take_posts(TARGET, Method.EDIT)
        await core.store.post_failed(post, "400 MESSAGE_INVALID")

    link = "https://t.me/c/9876543210/701 (post 1)"
    failed = "its edit FAILED, 1 try; `retry 1` tries again"
    assert f"posted {link}: {failed}" in await story.why(1)
    assert "posts 1 pending, 2 posted, 2 failed" in await story.status()


async def test_why_and_status_tell_of_a_post_that_is_set_aside(story):
    async with story.bot() as core:
        (post,) = await core.store.take_posts(TARGET)
        await core.store.post_delayed(post, "500 INTERNAL", in_doubt=True)
        await core.store.set_aside(post)
        assert (await core.store.ask(lambda db: records.backlogs(db, [TARGET])))[
            TARGET
        ].pending == 0

    (line,) = [row for row in await story.why(post.source.message_id) if "set aside" in row]
    assert "waits to be posted, set aside on " in line
    assert "1 post set aside: Telegram keeps failing there, others go before" in (
        await story.status()
    )


async def test_why_tells_of_a_post_that_somebody_deleted_in_the_target(story):
    async with story.bot() as core:
        await core.store.messages_gone(TARGET, [MessageId(701)])

    link = "https://t.me/c/9876543210/701 (post 1)"
    assert f"posted {link}: posted, and deleted there by somebody else" in await story.why(1)


@pytest.mark.long
async def test_why_knows_the_source_by_both_ids_once_the_group_has_moved(story):
    """A bare number is one of the supergroup, which counts from 1 again."""
    old = -4711
    async with story.bot() as core:
        await core.store.move_chat(old, GROUP)

    here = await story.why(1, source_chat_id=old)
    there = await story.why(f"{old}:99", source_chat_id=old)

    assert here[0] == "message https://t.me/c/1234567890/1"
    assert f"yes it stands in the source chat, {old}" in there


async def test_why_says_how_far_the_bot_has_heard(story):
    await story.is_heard_of(GROUP, 50)
    passed, later = await story.why("9"), await story.why("99")

    assert "yes the bot has come that far: it has dealt with all up to 50" in passed
    assert any(line.startswith("? the bot has come that far: it recorded") for line in later)
    assert any(line.startswith("it last heard of that chat 2 h ago, ") for line in later)


async def test_a_link_with_a_name_is_taken_where_only_one_message_can_be_meant(story):
    assert "message https://t.me/c/1234567890/4" in await story.why("https://t.me/group/4")


# ── flows ─────────────────────────────────────────────────────────────────────


async def test_the_live_flows_are_a_table_the_most_lately_active_first(story):
    header, *rows = await story.flows()

    assert header == "signal pair owner age quiet for released updates refused"
    assert rows == [
        "2 ETH/USDT SHORT 1002 5 h 5 h in 2 d 19 h 0 0",
        "1 BTC/USDT LONG 1001 10 h 9 h in 2 d 15 h 1 2",
    ]


async def test_flows_are_filtered_by_owner_and_pair_and_all_are_shown_on_demand(story):
    async def signals(**filters):
        return [row.split()[0] for row in (await story.flows(**filters))[1:]]

    assert await signals(owner=ALICE) == ["1"]
    assert await signals(pair="ethusdt") == ["2"]
    assert await signals(everything=True) == ["2", "1", "3"]
    assert (await story.flows(everything=True))[
        -1
    ] == "3 SOL LONG 1001 4 d 4 h 4 d 4 h released 1 0"
    assert await story.flows(owner=5) == ["no flow by 5 is live; --all looks among the others, too"]


async def test_where_flows_stay_with_their_owners_a_quiet_one_is_not_released(story):
    kept = {"flow_after_ttl": AfterTtl.OWNER}

    flows = await story.flows(settings=kept, everything=True)
    assert flows[-1] == "3 SOL LONG 1001 4 d 4 h 4 d 4 h quiet 1 0"
    assert "flows 2 live, 1 quiet and still their owners', 0 released" in await story.status(**kept)
    assert any(
        "still its owner's (FLOW_AFTER_TTL=owner)" in row for row in await story.why(7, **kept)
    )


async def test_a_thread_is_a_tree_of_what_answers_what(story):
    lines = await story.thread("1")

    assert lines[0] == "signal 1: BTC/USDT LONG by 1001"
    assert lines[2] == "replies 1 update, 2 refused"
    root, first, below, second = (line.split(" UTC ") for line in lines[4:])
    assert root[1] == "#idea BTC/USDT LONG 4H x10 stop 58000"
    assert (first[0][:3], first[1]) == ("├──", "1001: TP1 взят (2)")
    assert (below[0][:5], below[1]) == ("│ └──", "1003: rejected: not_the_owner (4)")
    assert (second[0][:3], second[1]) == ("└──", "1002: rejected: not_the_owner (3)")


def on_a_terminal(command, story, columns=100):
    """What a command shows on a terminal of that width."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        done = forkserver.run(
            ["-m", "bot", *command],
            cwd=story.directory,
            env={
                **os.environ,
                **HERE,
                "PYTHONPATH": str(ROOT),
                "COLUMNS": str(columns),
                "TERM": "xterm",
            },
            timeout=60,
            stdout=terminal,
        )
        assert done.returncode == 0
    with os.fdopen(ours, "rb", buffering=0) as screen:
        return read_to_its_end(screen).decode().replace("\r\n", "\n")


def read_to_its_end(screen):
    """A terminal hands over what it has, in parts, and says with an error that nobody writes any more."""
    parts = []
    with contextlib.suppress(OSError):
        while part := screen.read(100_000):
            parts.append(part)
    return b"".join(parts)


@pytest.mark.long
def test_refused_replies_are_dimmed_on_a_terminal(story):
    lines = on_a_terminal(["flows", "1"], story).splitlines()

    assert [("\x1b[2m" in line) for line in lines[-3:]] == [False, True, True]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (86_400, "1 d"),
        (100_000, "1 d 3 h"),
        (-5, "0 s"),
    ],
)
def test_durations_are_told_in_the_two_largest_units_that_say_something(seconds, words):
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 bytes"), (999, "999 bytes"), (77_824, "77.8 kB"), (3e9, "3 GB")]
)
def test_sizes_are_told_in_a_unit_that_fits(number, words):
    assert size(number) == words


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_an_answer_in_a_pipe_has_100_columns_no_colours_and_changes_nothing(ask, story, command):
    before = {path: path.read_bytes() for path in (story.directory / "data").glob("*.db")}
    shown = ask(*command)

    assert "\x1b" not in shown
    assert max(map(cell_len, shown.splitlines())) <= 100
    assert all(line == line.rstrip() for line in shown.splitlines())
    assert {path: path.read_bytes() for path in before} == before


async def test_a_telephones_width_is_kept_to(story):
    async with story.asked({}, columns=40) as (tables, settings, now, console):
        for number in (1, 3, 7, 99):
            show_rows(console, await why(tables, settings, str(number), now=now))
        show_flows(console, await overview(tables, settings, now=now, everything=True))
        show_thread(console, await thread(tables, settings, 1, now=now))
        show_rows(console, as_rows(await status(tables, settings, 2, now=now)))

    lines = console.file.getvalue().splitlines()
    assert max(map(cell_len, lines)) <= 40
    assert "3 SOL LONG by 1001" in lines


def test_what_people_write_cannot_drive_the_terminal(run, tmp_path):
    evil = "#idea \x1b[2J\x1b]0;owned\x07 \u202egnp.exe [bold]not markup[/bold]"
    write(tmp_path / "chat.json", message(1, "user1", evil, at=int(time.time())))
    run("import", "chat.json")

    for command in (["why", "1"], ["flows"], ["flows", "1"]):
        shown = run(*command, env={"SOURCE_CHAT_ID": str(CHAT)}).stdout

        assert not {"\x1b", "\x07", "\u202e"} & set(shown)
        assert "2J" in shown


# ── status ────────────────────────────────────────────────────────────────────


async def test_status_tells_how_things_stand_when_the_bot_is_down(story):
    lines = await story.status()

    assert lines[0] == "bot not running"
    assert "flows 2 live, 1 released" in lines
    assert "posts 1 pending, 3 posted, 1 failed" in lines
    assert any(line.startswith("newest signal 3, 4 d 4 h ago: SOL LONG") for line in lines)
    assert f"in {TARGET}: FAILED" in lines
    read = "pair 3, direction 3, entry 0, stop 1, leverage 1, take profits 0"
    assert f"read of the newest 3 signals: {read}" in lines
    assert "of the newest 2 updates: what became of the signal 1" in lines
    assert f"errors post 4 to {TARGET}, failed:" in lines
    assert "Telegram refused: 400 MESSAGE_EMPTY" in lines
    assert "knew the flows of replies: memory 100%, disk 0%, table 0%" in lines
    assert any(line.startswith("cache 2 flows and 3 messages on disk, ") for line in lines)
    assert any(line.startswith("versions telegram-signal-relay ") for line in lines)


async def test_status_works_beside_a_bot_and_names_its_pid(story):
    with locked(story.directory / "data" / "lock"):
        lines = await story.status()

    assert lines[0].startswith(f"bot running, pid {os.getpid()}, for ")
    assert lines[1] == "telegram HEALTH_PORT is not set, so the running bot cannot be asked"


async def test_status_says_so_if_the_bot_does_not_answer(story, unused_port):
    lines = await story.status(health_port=unused_port)

    assert lines[1] == f"telegram nobody answers on 127.0.0.1:{unused_port}"


@pytest.fixture
def unused_port():
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return server.getsockname()[1]


def test_status_for_scripts_is_one_object(ask):
    found = json.loads(ask("status", "--json"))

    assert (found["running"], found["pid"], found["health"]) == (False, None, None)
    assert found["flows"] == {"active": 2, "quiet": 1, "ended_by_hand": 0}
    assert (found["posts"]["pending"], found["posts"]["failed"]) == (1, 1)
    assert found["last_error"] == {
        "post": 4,
        "state": "failed",
        "error": "Telegram refused: 400 MESSAGE_EMPTY",
    }
    assert found["read"] == {
        "signals": 3,
        "fields": {
            "pair": 3,
            "direction": 3,
            "entry": 0,
            "stop": 1,
            "leverage": 1,
            "take_profits": 0,
        },
        "updates": 2,
        "events": 1,
    }
    assert found["newest_signal"]["fields"] == {"pair": "SOL", "direction": "LONG"}
    assert found["newest_signal"]["posts"] == [
        {"post": 4, "chat": TARGET, "place": str(TARGET), "state": "failed", "part": 0}
    ]
    assert found["database"]["schema"] == NEWEST
    assert found["cache"]["flows"] == 2


async def test_status_tells_how_far_the_bot_has_heard(story):
    await story.is_heard_of(GROUP, 50)
    await story.is_heard_of(42, None)
    lines = await story.status()

    assert f"heard {GROUP} up to message 50, 2 h ago" in lines
    assert "private chats and basic groups, 2 h ago" in lines


async def test_a_cache_that_cannot_be_read_is_no_error(story):
    (story.directory / "data" / "flows" / "cache.db").write_bytes(b"garbage" * 999)

    assert "cache none that can be read" in await story.status()


# ── release and retry ─────────────────────────────────────────────────────────


async def test_a_flow_that_was_released_is_free_until_its_owner_continues_it(ask, story):
    assert ask("release", "1") == "released: signal 1, BTC/USDT LONG by 1001\n"

    root = says(ALICE, number=1).ref
    assert await story.verdict(BOB, "closed", number=20, to=root) == "released"
    assert await story.verdict(ALICE, "not yet", number=21, to=root) == "owner"
    assert await story.verdict(BOB, "closed", number=22, to=root) == "not_the_owner"


@pytest.mark.parametrize(
    "which",
    ["2", f"{GROUP}:6", "https://t.me/c/1234567890/6", "6", "https://t.me/c/9876543210/703"],
)
async def test_a_flow_is_named_by_its_number_or_by_any_message_of_it(story, which):
    assert (await story.thread(which))[0] == "signal 2: ETH/USDT SHORT by 1002"


async def test_who_ended_a_flow_and_when_is_told_afterwards(ask, story):
    ask("release", "1")
    await story.verdict(BOB, "closed", number=20, to=says(ALICE, number=1).ref)

    assert any(row.startswith("an operator ended it on ") for row in await story.why(1))
    assert any(row.startswith("flow then ended by hand on ") for row in await story.why(20))
    assert any(row.startswith("ended by hand on ") for row in await story.thread("1"))
    assert "flows 1 live, 2 released (1 of them by hand)" in await story.status()
    assert "1 BTC/USDT LONG 1001 10 h ended by hand 2 2" in await story.flows(everything=True)


async def test_failed_posts_are_put_back_in_line(ask, story):
    assert ask("retry", "4") == "back in line: 1 post (4)\n"
    assert ask("retry") == "no post has failed\n"

    async with story.bot() as core:
        (post,) = await core.store.take_posts(TARGET)
    assert (post.id, post.text) == (4, "#idea SOL LONG")


async def test_a_pause_is_told_and_the_same_order_twice_changes_nothing(ask, story):
    assert ask("pause") == "paused: all is recorded, and nothing is posted until `resume`\n"
    assert ask("pause") == "paused already: nothing is posted until `resume`\n"
    lines = await story.status()
    assert any(line.startswith("relay PAUSED ") for line in lines)
    async with story.bot() as core:
        assert core.orders.paused_at is not None

    assert ask("resume") == "resumed: 1 post to be sent or changed\n"
    assert ask("resume") == "there is no pause\n"
    assert not any(line.startswith("relay") for line in await story.status())


# ── whatever is the operator's to mend ────────────────────────────────────────


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        pytest.param(["why", "hello"], "'hello' names no message: give a link", id="no link"),
        pytest.param(
            ["why", "https://t.me/group/99"],
            f"which chat @group is cannot be looked up offline: give the chat's id and the "
            f"message's, such as {GROUP}:99",
            id="a name",
        ),
        pytest.param(["flows", "99"], "99 is no signal and belongs to no flow", id="no flow"),
        pytest.param(["flows", "--owner", "bob"], "'bob' is not a Telegram id", id="no id"),
        pytest.param(["release", "-1005:1"], "-1005:1 is no signal", id="other chat"),
        pytest.param(["release"], "SIGNAL", id="no signal given"),
        pytest.param(["retry", "99"], "there is no post 99", id="no post"),
        pytest.param(
            ["retry", "x"],
            "'x' names no post and no message: give a post's number, as `status` names it, or a",
            id="neither post nor message",
        ),
        pytest.param(
            ["release", "me"], "; or a signal's number, which `flows` shows", id="no flow named"
        ),
        pytest.param(["retry", "1"], "post 1 has not failed, it is sent", id="not failed"),
        pytest.param(["status", "--jsn"], "--jsn", id="misspelt"),
        pytest.param(["flows", "--al"], "--al", id="misspelt beside a link"),
    ],
)
def test_a_mistake_is_one_line_with_its_culprit_and_exit_code_2(run, story, command, complaint):
    done = run(*command, env=HERE)

    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert complaint in done.stderr


def test_a_number_that_stands_in_several_chats_must_be_said_in_full(run, story):
    """Post 8 of the target is not message 8 of the group; a name does not tell them apart."""
    with closing(sqlite3.connect(story.directory / "data" / "signals.db")) as db, db:
        db.execute("UPDATE posts SET target_message_id = 8 WHERE id = 1")

    done = run("why", "https://t.me/group/8", env=HERE)

    assert done.returncode == 2
    assert f"give {TARGET}:8 or {GROUP}:8" in done.stderr


@pytest.mark.parametrize("command", [["status"], ["release", "1"]])
def test_where_no_bot_has_run_there_is_nothing_to_tell_and_nothing_is_made(run, tmp_path, command):
    done = run(*command, env=HERE)

    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "no database there, the bot has not run here yet" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_older_database_is_left_to_the_bot_to_bring_up_to_date(run, story):
    with closing(sqlite3.connect(story.directory / "data" / "signals.db")) as db, db:
        db.execute("PRAGMA user_version = 1")

    done = run("status", env=HERE)

    assert done.returncode == 1
    assert "start the bot once, that brings it up to date" in done.stderr
    assert story.rows("PRAGMA user_version") == [(1,)]
