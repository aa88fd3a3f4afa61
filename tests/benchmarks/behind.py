"""What a bot must not be slowed by: what was missed, what was recorded, and edits by the thousand."""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path

from tests.benchmarks.beside_bare import ROOT, SMALL_ID
from tests.benchmarks.comparing import Ratio, spread
from tests.loopback import LoopbackTelegram
from tests.stage import SEND, Stage

READER = str(Path(__file__).with_name("bare_reader.py"))
RELAYED = 10  # one message in so many
PACE = 0.005  # seconds between two edits: they are heard, and wait for their turn to be made
LOOKED = 0.02  # seconds between two looks at the tables
QUIET = {"LOG_LEVEL": "INFO"}


def backlog(messages: int, rounds: int) -> Ratio:
    """From `started` until all that was missed is recorded, against hearing it and nothing else.

    Meanwhile what is recorded is posted, too.
    """
    return spread([asyncio.run(_backlog(messages)) for _ in range(rounds)])


async def _backlog(messages: int) -> float:
    with tempfile.TemporaryDirectory() as directory:
        async with LoopbackTelegram() as telegram:
            telegram.world.rules.channel_too_long_after = 2 * messages
            stage = Stage(telegram, Path(directory))
            people = {"members": [stage.alice, stage.bob], "admins": [stage.bot]}
            stage.group = telegram.supergroup("Source", **people, id=SMALL_ID)
            async with stage.relay():
                signal = await stage.alice.sends(stage.group, "#idea BTC/USDT LONG")
                await stage.shows("#idea BTC/USDT LONG")
            missed_from = stage.group.box.pts
            for number in range(messages // RELAYED):
                await stage.alice.sends(stage.group, f"TP {number}", reply_to=signal)
                for _ in range(RELAYED - 1):
                    await stage.bob.sends(stage.group, f"nice {number}")
            heard = await _heard(stage, missed_from)
            async with stage.relay(**QUIET):
                began = time.perf_counter()
                while stage.rows("SELECT count(*) FROM signal_updates") != [(messages // RELAYED,)]:
                    await asyncio.sleep(LOOKED)
                return (time.perf_counter() - began) / heard


async def _heard(stage: Stage, pts: int) -> float:
    """Seconds in which somebody who does nothing else has it all."""
    program = await stage.telegram.run(
        [READER, str(stage.group.id), str(pts)],
        cwd=stage.directory,
        env=stage.env(PYTHONPATH=str(ROOT)),
    )
    assert await program.wait(timeout=120) == 0, program.output
    return float(program.stdout.rpartition("seconds:")[2])


def start(recorded: int, rounds: int) -> Ratio:
    """Until `started`, with a known login: with so many recorded messages, against none."""
    return asyncio.run(_start(recorded, rounds))


async def _start(recorded: int, rounds: int) -> Ratio:
    with tempfile.TemporaryDirectory() as full, tempfile.TemporaryDirectory() as empty:
        async with LoopbackTelegram() as telegram:
            stages = [Stage(telegram, Path(full)), Stage(telegram, Path(empty), token="43:secret")]
            for stage in stages:
                async with stage.relay():
                    pass
            with closing(sqlite3.connect(Path(full, "data", "signals.db"))) as db:
                _fill(db, stages[0].group.id, recorded)
            for stage in stages:
                await _seconds_to_start(stage)  # the disk's own cache is no part of it
            took = [[await _seconds_to_start(each) for each in stages] for _ in range(rounds)]
            return spread([large / small for large, small in took])


async def _seconds_to_start(stage: Stage) -> float:
    began = time.perf_counter()
    async with stage.relay(**QUIET):
        return time.perf_counter() - began


def _fill(db: sqlite3.Connection, chat: int, recorded: int) -> None:
    """Half of it signals and their posts, half refusals."""
    many = {"chat": chat, "target": chat - 1, "many": recorded // 2, "now": int(time.time())}
    with db:
        for statement in (_SIGNALS, _POSTS, _REFUSALS):
            db.execute(f"WITH RECURSIVE {_NUMBERS} {statement}", many)


_NUMBERS = "n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :many)"
_SIGNALS = """
    INSERT INTO signals (source_chat_id, source_message_id, source_user_id, at,
                         last_owner_activity, marker, text, entities, take_profits, recorded_at)
    SELECT :chat, 2 * i, 1, :now, :now, '#idea', '#idea BTC/USDT LONG', '[]', '[]', :now FROM n
"""
_POSTS = """
    INSERT INTO posts (source_chat_id, source_message_id, part, target_chat_id, state, version,
                       target_message_id, attempts, recorded_at, sent_version, text, entities)
    SELECT :chat, 2 * i, 0, :target, 'sent', 0, i, 1, :now, 0, '#idea BTC/USDT LONG', '[]' FROM n
"""
_REFUSALS = """
    INSERT INTO decisions (source_chat_id, source_message_id, source_user_id, outcome, reason, at,
                           recorded_at)
    SELECT :chat, 2 * i + 1, 2, 'rejected', 'not_the_owner', :now, :now FROM n
"""


def storm(edits: int, rounds: int) -> float:
    """Seconds that a new signal waits longer for its post while so many posts are to be edited."""
    return asyncio.run(_storm(edits, rounds))


async def _storm(edits: int, rounds: int) -> float:
    with tempfile.TemporaryDirectory() as directory:
        async with LoopbackTelegram() as telegram:
            stage = Stage(telegram, Path(directory))
            async with stage.relay(**QUIET):
                said = [await _posted(stage, f"#idea {number}") for number in range(edits)]
                calm = [await _seconds_to_post(stage) for _ in range(rounds)]
                stormy = []
                for again in range(rounds):
                    for message in said:
                        await stage.alice.edits(message, f"#idea edited {again}")
                        await asyncio.sleep(PACE)
                    stormy.append(await _seconds_to_post(stage))
    return statistics.median(stormy) - statistics.median(calm)


async def _posted(stage: Stage, text: str):
    posts = len(stage.target.messages)
    said = await stage.alice.sends(stage.group, text)
    await stage.telegram.wait_for(lambda: len(stage.target.messages) > posts, timeout=60, what=text)
    return said


async def _seconds_to_post(stage: Stage) -> float:
    pushed = stage.telegram.world.clock()
    await _posted(stage, "#idea of now")
    return stage.telegram.calls.of(*SEND)[-1].at - pushed
