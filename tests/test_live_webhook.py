"""The real program tells a program of somebody's, beside the chat; both come to know all, whatever falls."""

from __future__ import annotations

import json
import random

import pytest

from tests.receiver import SECRET, Receiver

FATES = [204, 204, 500, 429, "lost", "cut", "redirect", 404]


@pytest.mark.heavy
async def test_killed_in_the_midst_it_has_told_each_event_once_by_its_id_and_in_order(stage):
    """And the chat shows each post once, whatever the receiver does meanwhile."""
    chance, said = random.Random(7), []
    async with Receiver() as receiver:
        env = {"WEBHOOK_URL": receiver.url, "WEBHOOK_SECRET": SECRET}
        for number in range(6):
            program = await stage.launch(**env)
            await program.wait_output('"started"', timeout=60)
            for each in range(4):
                receiver.fates.append(chance.choice(FATES))
                signal = await stage.alice.sends(stage.group, f"#idea BTC {number}.{each}")
                await stage.bob.sends(stage.group, "closed!", reply_to=signal)
                await stage.alice.sends(stage.group, f"TP1 hit {number}.{each}", reply_to=signal)
                said += [f"#idea BTC {number}.{each}", f"TP1 hit {number}.{each}"]
            program.kill()
            await program.wait(timeout=15)
        receiver.fates.clear()
        async with stage.relay(**env) as program:
            await stage.shows(*said)
            await stage.telegram.wait_for(
                lambda: len(receiver.heard) >= len(said), timeout=120, what="all events"
            )

    assert (receiver.wrong, receiver.elsewhere) == ([], 0)
    assert [event["data"]["text"] for event in receiver.events] == said
    assert {event["type"] for event in receiver.events} == {"signal.created", "update.created"}
    for told in receiver.bodies.values():
        assert all(each["data"] == told[0]["data"] for each in told)


@pytest.mark.heavy
async def test_a_receiver_that_is_dead_delays_no_chat(stage):
    """And its secret is in no line of the log; see `Program`, which looks."""
    async with Receiver() as receiver:
        env = {"WEBHOOK_URL": receiver.url, "WEBHOOK_SECRET": SECRET}
        await receiver.stop()
        async with stage.relay(**env) as program:
            for number in range(3):
                await stage.alice.sends(stage.group, f"#idea {number}")
            await stage.shows("#idea 0", "#idea 1", "#idea 2")
            await receiver.start()
            await stage.telegram.wait_for(
                lambda: len(receiver.heard) == 3, timeout=60, what="all events"
            )

    assert SECRET not in program.output
    assert SECRET[6:] not in program.output


async def test_a_webhook_and_a_file_of_the_routes_are_told_beside_the_chat(stage):
    """And named in the log by their places, whose secret is in no line of it."""
    async with Receiver() as receiver:
        (stage.directory / "routes.toml").write_text(
            f'[[source]]\nname = "one"\nchat = {stage.group.id}\nallowed_users = "everyone"\n'
            f"[[source.place]]\nchat = {stage.target.id}\n"
            f'[[source.place]]\nname = "desk"\nwebhook = "{receiver.url}"\n'
            '[[source.place]]\nname = "sheet"\njsonl = "signals.jsonl"\n',
            "utf-8",
        )
        names = ("SOURCE_CHAT_ID", "TARGET_CHAT_ID", "SOURCE_ALLOWED_USERS")
        env = {**dict.fromkeys(names), "WEBHOOK_SECRET_DESK": SECRET}
        file = stage.directory / "data" / "signals.jsonl"
        async with stage.relay(**env) as program:
            await stage.alice.sends(stage.group, "#idea BTC")
            await stage.shows("#idea BTC")
            await stage.telegram.wait_for(
                lambda: receiver.heard and file.exists() and file.read_text("utf-8"),
                timeout=60,
                what="both",
            )

    (told,) = receiver.events
    assert [json.loads(line)["data"] for line in file.read_text("utf-8").splitlines()] == [
        told["data"]
    ]
    started = next(line for line in program.output.splitlines() if '"started"' in line)
    assert json.loads(started)["targets"] == [stage.target.id, "desk", "sheet"]
    assert SECRET not in program.output
