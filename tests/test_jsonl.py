"""A file of events: each line whole or not there, each event once, whatever ended the program."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time

import pytest

from bot.delivery.jsonl import EventFile
from bot.errors import RetryLater, TargetUnavailable
from tests.events import FILE, event, lines


async def test_each_event_is_a_line_as_a_webhook_has_it(tmp_path):
    path = tmp_path / "signals.jsonl"
    sink = EventFile(path, FILE)

    await sink.tell(event(1, 'a "quote"\nand a line, 🚀'))
    await sink.tell(event(2))

    assert path.read_text("utf-8").count("\n") == 2
    assert lines(path) == [json.loads(event(1, 'a "quote"\nand a line, 🚀').body()), lines(path)[1]]
    assert path.stat().st_mode & 0o777 == 0o600


async def test_what_was_written_before_and_not_noted_is_not_written_twice(tmp_path):
    path = tmp_path / "signals.jsonl"
    await EventFile(path, FILE).tell(event(1))
    await EventFile(path, FILE).tell(event(2, '"id":"msg_3","'))

    for number in (1, 2, 3):
        await EventFile(path, FILE).tell(event(number))

    assert [each["id"] for each in lines(path)] == ["msg_1", "msg_2", "msg_3"]


@pytest.mark.parametrize("cut", [1, 5, 60])
async def test_half_a_line_that_a_crash_left_is_taken_away_and_told_again(tmp_path, cut):
    path = tmp_path / "signals.jsonl"
    await EventFile(path, FILE).tell(event(1))
    whole = path.read_bytes()
    path.write_bytes(whole + f"{event(2).body()}\n".encode()[:-cut])

    await EventFile(path, FILE).tell(event(2))

    assert [each["id"] for each in lines(path)] == ["msg_1", "msg_2"]
    assert path.read_bytes().startswith(whole)


async def test_a_file_that_was_moved_away_is_begun_anew(tmp_path):
    path = tmp_path / "signals.jsonl"
    sink = EventFile(path, FILE)
    await sink.tell(event(1))
    path.rename(tmp_path / "signals.1")

    await sink.tell(event(2))

    assert [each["id"] for each in lines(path)] == ["msg_2"]


async def test_where_there_is_no_directory_the_operator_is_told_which(tmp_path):
    sink = EventFile(tmp_path / "none" / "signals.jsonl", FILE)

    with pytest.raises(TargetUnavailable, match=r"none/signals\.jsonl: No such file or directory"):
        await sink.tell(event(1))


async def test_where_there_is_no_room_for_a_line_none_of_it_stays(tmp_path):
    path = tmp_path / "signals.jsonl"
    await EventFile(path, FILE).tell(event(1))
    before = path.read_bytes()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, limit[1]))
    try:
        with pytest.raises(RetryLater, match=r"No space left|File too large"):
            await EventFile(path, FILE).tell(event(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, ignored)

    assert path.read_bytes() == before


WRITER = """
import asyncio, sys
from pathlib import Path
from bot.delivery.jsonl import EventFile
from tests.events import FILE, event

async def main():
    path = Path(sys.argv[1])
    known = path.read_bytes().count(b"\\n") if path.exists() else 0
    for number in range(max(known - 3, 0), 100_000):
        await EventFile(path, FILE).tell(event(number, "x" * 20_000))

asyncio.run(main())
"""


@pytest.mark.heavy
def test_a_writer_that_is_killed_at_any_moment_leaves_whole_lines(tmp_path):
    """And goes on where it was, a few steps back: what was in doubt is told again."""
    path = tmp_path / "signals.jsonl"
    for _ in range(8):
        size = path.stat().st_size if path.exists() else 0
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], env=os.environ)
        while not path.exists() or path.stat().st_size < size + 300_000:
            time.sleep(0.001)
        writer.kill()
        writer.wait()

    whole = path.read_bytes().rpartition(b"\n")[0].splitlines()
    assert [json.loads(line)["id"] for line in whole] == [f"msg_{n}" for n in range(len(whole))]
