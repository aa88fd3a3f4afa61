"""A bot that cannot work does not say `started` and stay silent: the real program, misconfigured."""

from __future__ import annotations

import json
import socket
from contextlib import closing

import aiohttp
import pytest
from pyrogram import raw

from tests.loopback.world import Member, Role
from tests.routes_written import WITHOUT, source
from tests.telephone import Telephone, relay
from tests.telephone import words as read

NAMES = raw.functions.contacts.ResolveUsername


@pytest.fixture
def port():
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return server.getsockname()[1]


async def refused(stage, **env):
    program = await stage.launch(LOG_LEVEL="INFO", **env)
    assert await program.wait(timeout=60) == 2, program.output
    assert '"started"' not in program.output
    assert "Traceback" not in program.output
    return [line for line in program.stderr.splitlines() if not line.startswith("{")]


@pytest.mark.parametrize("written", ["2880553977", "-2880553977"])
async def test_a_source_without_its_100_stops_the_start_with_the_right_one(stage, written):
    (line,) = await refused(stage, SOURCE_CHAT_ID=written)
    assert line == (
        f"error: SOURCE_CHAT_ID: {written} is not known to this account: did you mean "
        "-1002880553977, the supergroup 'Signals'?"
    )


@pytest.mark.heavy
async def test_a_person_is_no_source_and_a_name_that_nobody_has_is_no_chat(stage):
    (line,) = await refused(stage, SOURCE_CHAT_ID=str(stage.alice.id))
    assert f"SOURCE_CHAT_ID: {stage.alice.id} is" in line
    lines = await refused(stage, SOURCE_CHAT_ID="@nobody_there", TARGET_CHAT_ID="t.me/nor_here")
    assert [line.partition("(")[0].strip() for line in lines] == [
        "error: SOURCE_CHAT_ID: @nobody_there: nobody has that name",
        "TARGET_CHAT_ID: @nor_here: nobody has that name",
    ]
    (line,) = await refused(stage, SOURCE_CHAT_ID="https://t.me/+AbCdEfGhIjK")
    assert "SOURCE_CHAT_ID: an invitation does not say which chat it is for" in line


async def test_names_and_links_are_taken_for_ids_and_kept(stage):
    """Whoever has the name next is not the source: at the second start nobody asks for it."""
    stage.group.username, stage.target.username = "Signals_Group", "target_channel"
    stage.alice.account.username = "alice"
    named = {
        "SOURCE_CHAT_ID": "@signals_group",
        "TARGET_CHAT_ID": "https://t.me/target_channel/7",
        "SOURCE_ALLOWED_USERS": "@Alice",
    }
    async with stage.relay(**named):
        await stage.bob.sends(stage.group, "#idea of Bob")
        await stage.alice.sends(stage.group, "#idea BTC")
        await stage.shows("#idea BTC")
    assert len(stage.telegram.calls.of(NAMES)) == 3
    stage.telegram.supergroup("Other", members=[stage.bob], admins=[stage.bot])
    stage.group.username = stage.alice.account.username = None
    stage.bob.account.username = "alice"

    async with stage.relay(**named):
        await stage.bob.sends(stage.group, "#idea of Bob again")
        await stage.alice.sends(stage.group, "#idea ETH")
        await stage.shows("#idea BTC", "#idea ETH")
    assert len(stage.telegram.calls.of(NAMES)) == 3


async def test_what_may_work_later_is_told_everywhere_and_so_is_that_it_works(stage, port):
    """Group privacy in the source, no right to post in one target, no pictures in another."""
    hidden = stage.telegram.supergroup("Hidden", members=[stage.alice, stage.bot])
    closed = stage.telegram.supergroup("Closed", members=[stage.alice])
    closed.members[stage.bot.account] = Member(Role.MEMBER, muted=True)
    words = stage.telegram.supergroup("Words", members=[stage.alice, stage.bot])
    words.forbidden = {"photos"}
    carol = Telephone(stage, stage.carol)
    await stage.carol.sends(stage.bot, "/start")
    here = {"source": hidden, "targets": [closed, words], "HEALTH_PORT": str(port)}

    async with relay(stage, **here) as program, aiohttp.ClientSession() as session:
        (started,) = (
            json.loads(line) for line in program.output.splitlines() if '"started"' in line
        )
        assert sorted(started["not_ready"]) == sorted(each.id for each in (hidden, closed, words))
        for problem in ("turn /setprivacy off", "may not post to", "may post no pictures to"):
            assert problem in program.output.partition('"started"')[0]

        async with session.get(f"http://127.0.0.1:{port}/healthz") as answer:
            told = await answer.json()
        assert answer.status == 503
        assert sorted(reason.split()[0] for reason in told["reasons"]) == ["cannot", "may"]
        assert len(told["warnings"]) == 1
        status = await stage.launch("status", **here)
        assert await status.wait(timeout=30) == 0
        assert "not yet   cannot read the supergroup 'Hidden'" in status.stdout
        await stage.telegram.wait_for(
            lambda: sum("It does not work yet" in read(seen) for seen in carol.shown) == 3,
            timeout=20,
        )

        for chat in (hidden, closed, words):
            chat.members[stage.bot.account] = Member(Role.ADMIN)
        await program.wait_output("chat is as it should be now", count=3, timeout=40)
        async with session.get(f"http://127.0.0.1:{port}/healthz") as answer:
            assert answer.status == 200
        await stage.telegram.wait_for(
            lambda: sum("is as it should be now" in read(seen) for seen in carol.shown) == 3,
            timeout=20,
        )
        await stage.alice.sends(hidden, "#idea BTC")
        await stage.shows("#idea BTC", where=closed)
    assert not (stage.directory / "data" / "access.json").exists()


async def test_a_topic_that_is_not_there_is_told_by_a_start_and_by_check(stage):
    """A mistyped one would never be heard of."""
    forum = stage.telegram.supergroup(
        "Forum", forum=True, members=[stage.alice], admins=[stage.bot]
    )
    topic = await stage.alice.opens_topic(forum, "BTC")
    file = stage.directory / "routes.toml"
    file.write_text(source("one", f"{forum.id}#{topic.id + 40}", stage.target.id), "utf-8")
    told = f"one: topic {topic.id + 40} of the supergroup 'Forum'"
    async with stage.relay(**WITHOUT) as program:
        assert told in program.stderr
    done = await stage.launch("check", **WITHOUT)
    assert await done.wait(timeout=60) == 0, done.output
    assert f"warning  {told.removeprefix('one: ')}" in done.stdout

    file.write_text(source("one", f"{forum.id}#{topic.id}", stage.target.id), "utf-8")
    async with stage.relay(**WITHOUT) as program:
        await stage.alice.sends(forum, "#idea BTC", topic=topic)
        await stage.shows("#idea BTC")
        assert "not as it should be" not in program.stderr


async def test_check_looks_at_what_a_start_looks_at(stage):
    words = stage.telegram.supergroup("Words", members=[stage.alice, stage.bot])
    words.forbidden = {"photos"}
    done = await stage.launch("check", SOURCE_CHAT_ID="2880553977", targets=[words])

    assert await done.wait(timeout=60) == 1, done.output
    assert "did you mean -1002880553977, the supergroup 'Signals'?" in done.stderr
    assert "warning  may post no pictures to the supergroup 'Words'" in done.stdout
