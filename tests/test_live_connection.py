"""The running bot on a machine whose clock is wrong, on a slow link, and cut again and again."""

from __future__ import annotations

import json

import pytest
from pyrogram import raw

pytestmark = pytest.mark.heavy

HOUR, DAY = 3600, 86_400
FIVE_PAUSES = '"retry_in": 4.0'  # 0, 1, 2 and 4 seconds


def warnings(program):
    lines = [json.loads(line) for line in program.stderr.splitlines() if line.startswith("{")]
    return [line for line in lines if line["level"] in ("warning", "error")]


# ── the clock ──


@pytest.mark.parametrize("telegram_is_ahead", [-DAY, -420, 100, HOUR])
async def test_with_any_clock_of_the_machine_it_logs_in_and_relays(stage, telegram_is_ahead):
    """With a new login and with one that is kept; and it says by how much the clock is wrong."""
    stage.telegram.rules.clock_offset = telegram_is_ahead
    for number in (1, 2):
        async with stage.relay() as program:
            await stage.alice.sends(stage.group, f"#idea {number}")
            await stage.shows(*[f"#idea {n}" for n in range(1, number + 1)])
        assert f'"fast_by": {-telegram_is_ahead}' in program.output
        assert "not connected yet" not in program.output


async def test_check_says_that_the_clock_is_wrong(stage):
    stage.telegram.rules.clock_offset = HOUR
    program = await stage.launch("check")
    assert await program.wait(timeout=90) == 0, program.output
    assert "warning  the machine's clock is 3600 s slow" in program.stdout


async def test_a_clock_that_jumps_while_it_runs_costs_nothing(stage):
    """To Telegram it is all the same whose clock it was."""
    texts = []
    async with stage.relay() as program:
        for ahead in (0, HOUR, DAY, 0):
            stage.telegram.rules.clock_offset = ahead
            texts.append(f"#idea {len(texts)}")
            await stage.alice.sends(stage.group, texts[-1])
            await stage.shows(*texts)
        assert "void" not in program.output


# ── slow links ──


async def test_with_answers_that_take_three_seconds_it_starts_and_relays(stage):
    stage.telegram.rules.answer_after = 3
    program = await stage.launch(**stage.login_of_carol())
    await program.wait_output('"started"', timeout=60)
    await stage.alice.sends(stage.group, "#idea")
    await program.wait_output('"posted"', timeout=60)
    assert "not connected yet" not in program.output
    program.kill()


async def test_a_link_that_becomes_slow_while_it_runs_is_still_a_link(stage):
    """With 8 s for each answer, nothing is given up, asked again or said of it."""
    async with stage.relay() as program:
        before = stage.telegram.server.accepted
        stage.telegram.rules.answer_after = 8
        for number in (1, 2):
            await stage.alice.sends(stage.group, f"#idea {number}")
            await program.wait_output('"posted"', count=number, timeout=90)
        assert stage.telegram.server.accepted == before
        assert len(stage.telegram.calls.of(raw.functions.messages.SendMessage)) == 2
        stage.telegram.rules.answer_after = 0
        assert [line["event"] for line in warnings(program)] == []


async def test_a_link_that_is_too_slow_is_named_as_such_and_not_the_login(stage):
    stage.telegram.rules.answer_after = 60
    program = await stage.launch()
    await program.wait_output("not connected yet", timeout=90)
    (line,) = (line for line in warnings(program) if line["event"] == "not connected yet")
    assert line["error"] == "not logged in yet: no answer in 15 s"
    program.terminate()
    assert await program.wait(timeout=10) == 0


# ── cut again and again ──


@pytest.mark.parametrize("cut_at", [0, 1, 2], ids=["accepted", "introduced", "asked"])
async def test_a_server_that_cuts_each_connection_is_asked_less_and_less(stage, cut_at):
    """However far each connection gets; and what is logged is as little."""
    async with stage.relay() as program:
        before, told = stage.telegram.server.accepted, len(warnings(program))
        stage.telegram.rules.cut_at = cut_at
        stage.telegram.faults.kill_connections()
        await program.wait_output(FIVE_PAUSES, timeout=60)
        assert stage.telegram.server.accepted - before <= 4
        assert len(warnings(program)) - told <= 15
        stage.telegram.rules.cut_at = None
        await stage.alice.sends(stage.group, "#idea")
        await stage.shows("#idea")


@pytest.mark.parametrize("cut_at", [0, 1, 3], ids=["accepted", "asked", "half-way"])
async def test_a_login_that_is_cut_each_time_is_tried_less_and_less(stage, cut_at):
    stage.telegram.rules.cut_at = cut_at
    program = await stage.launch()
    await program.wait_output(FIVE_PAUSES, timeout=60)
    assert stage.telegram.server.accepted <= 5
    # One line of ours for each attempt, and one of the library's where it was cut while it sent.
    assert len(warnings(program)) <= 10
    assert "void" not in program.output
    stage.telegram.rules.cut_at = None
    await program.wait_output('"started"', timeout=60)
    program.terminate()
    assert await program.wait(timeout=10) == 0
