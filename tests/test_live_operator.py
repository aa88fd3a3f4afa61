"""An operator's orders and questions while the real bot runs, over the loopback Telegram."""

from __future__ import annotations

import json
import socket
import sqlite3
from contextlib import closing

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.loopback import Member, Role, RpcError
from tests.stage import SEND


@pytest.fixture
def port():
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return server.getsockname()[1]


async def command(stage, *words, **env):
    done = await stage.launch(*words, **env)
    assert await done.wait(timeout=30) == 0, done.output
    return done.stdout


async def get(port, path):
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}{path}") as answer,
    ):
        return answer.status, await answer.text()


async def test_a_running_bot_hears_of_a_release_and_its_owner_takes_the_flow_back(stage):
    async with stage.relay() as program:
        signal_ = await stage.alice.sends(stage.group, "#idea BTC/USDT LONG")
        await stage.bob.sends(stage.group, "closed?", reply_to=signal_)
        await program.wait_output("not_the_owner", timeout=10)
        released = await command(stage, "release", f"{stage.group.id}:{signal_.id}")
        await program.wait_output('"order heard"', timeout=2)

        await stage.bob.sends(stage.group, "closed!", reply_to=signal_)
        await stage.shows("#idea BTC/USDT LONG", "closed!")
        await stage.alice.sends(stage.group, "not yet", reply_to=signal_)
        await stage.shows("#idea BTC/USDT LONG", "closed!", "not yet")
        await stage.bob.sends(stage.group, "closed!!", reply_to=signal_)
        await program.wait_output("not_the_owner", count=2, timeout=10)

    assert released.startswith("released: signal 1, BTC/USDT LONG by ")
    assert len(stage.posted()) == 3


async def test_a_running_bot_posts_what_is_to_be_tried_again(stage):
    stage.telegram.faults.on(SEND, RpcError(400, "MESSAGE_EMPTY"), times=1)
    async with stage.relay() as program:
        await stage.alice.sends(stage.group, "#idea once more")
        await program.wait_output("MESSAGE_EMPTY", timeout=10)

        assert await command(stage, "retry") == "back in line: 1 post (1)\n"
        await stage.shows("#idea once more")


async def test_the_trouble_of_one_place_is_shown_as_its_own(stage, port):
    other = stage.telegram.channel("Other", admins=[stage.bot])
    async with stage.relay(targets=[stage.target, other], HEALTH_PORT=str(port)) as program:
        stage.target.members[stage.bot.account] = Member(Role.KICKED)
        await stage.alice.sends(stage.group, "#idea")
        await stage.shows("#idea", where=other)
        await program.wait_output("target chat takes nothing")
        await program.wait_output('"posted"')
        places = json.loads((await get(port, "/healthz"))[1])["places"]

    errors = {each["chat"]: each["error"] for each in places}
    assert errors[other.id] is None
    assert "CHANNEL_PRIVATE" in errors[stage.target.id]


async def test_a_running_bot_forgets_refusals_that_are_older_than_thirty_days(stage):
    async with stage.relay() as program:
        signal_ = await stage.alice.sends(stage.group, "#idea")
        await stage.bob.sends(stage.group, "buy!", reply_to=signal_)
        await program.wait_output('"rejected"')
    refusals = "SELECT count(*) FROM decisions"
    assert stage.rows(refusals) == [(1,)]
    with closing(sqlite3.connect(stage.directory / "data" / "signals.db")) as db, db:
        db.execute("UPDATE decisions SET at = at - 31 * 86400")

    async with stage.relay():
        await stage.telegram.wait_for(lambda: stage.rows(refusals) == [(0,)], timeout=10)


async def test_status_why_and_metrics_of_a_running_bot(stage, port):
    async with stage.relay(HEALTH_PORT=str(port)) as program:
        signal_ = await stage.alice.sends(stage.group, "#idea BTC/USDT LONG")
        (posted,) = await stage.shows("#idea BTC/USDT LONG")
        await program.wait_output('"posted"', timeout=10)
        shown = await command(stage, "status", HEALTH_PORT=str(port))
        as_json = json.loads(await command(stage, "status", "--json", HEALTH_PORT=str(port)))
        why = await command(stage, "why", f"{stage.group.id}:{signal_.id}")
        health, metrics = await get(port, "/healthz"), await get(port, "/metrics")

    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert lines[0].startswith(f"bot running, pid {program.pid}, for ")
    assert lines[1].startswith("telegram connected for ")
    assert lines[2].startswith("last update ")
    assert lines[3] == "health ok"
    assert as_json["health"]["healthy"]
    assert as_json["pid"] == as_json["health"]["pid"] == program.pid
    assert f"/{posted.id} (post 1), 1 try" in why
    assert health[0] == 200
    counted = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(metrics[1])
        for sample in family.samples
    }
    assert counted["signal_relay_decisions_total", "signal", "new_signal", "main"] == 1
    assert counted["signal_relay_posts_total", "sent", str(stage.target.id), "main"] == 1
    assert counted["signal_relay_connected",] == 1
    assert "#idea" not in metrics[1] + health[1]


async def test_a_bot_whose_table_is_locked_says_so_and_recovers(stage, port):
    async with stage.relay(HEALTH_PORT=str(port)) as program:
        database = stage.directory / "data" / "signals.db"
        with closing(sqlite3.connect(database, isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            await stage.alice.sends(stage.group, "#idea")
            locked = await until(port, 503)
            shown = await command(stage, "status", HEALTH_PORT=str(port))
        await stage.shows("#idea")
        await program.wait_output('"posted"', timeout=10)

        await until(port, 200)
    assert locked["reasons"] == ["the table does not answer within 2 s"]
    assert "not answer within 2 s" in shown


async def until(port, wanted):
    """Ask for the health until it is that, and give what was said."""
    status, text = 0, ""
    while status != wanted:
        status, text = await get(port, "/healthz")
    return json.loads(text)


async def test_a_bot_that_lost_its_connection_says_so_and_recovers(stage, port):
    async with stage.relay(HEALTH_PORT=str(port)):
        before = await until(port, 200)
        stage.telegram.faults.refuse_connections()
        stage.telegram.faults.kill_connections()
        lost = await until(port, 503)
        await stage.telegram.faults.accept_connections()
        after = await until(port, 200)

    assert lost["reasons"] == ["not connected to Telegram"]
    assert lost["connected_since"] is None
    assert after["connected_since"] > before["connected_since"]


async def test_a_port_that_is_taken_stops_the_start(stage):
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
        program = await stage.launch(HEALTH_PORT=str(port))
        assert await program.wait(timeout=30) == 2

    assert program.stderr.splitlines()[-1] == (
        f"error: HEALTH_PORT: cannot listen on 127.0.0.1:{port}: Address already in use"
    )
