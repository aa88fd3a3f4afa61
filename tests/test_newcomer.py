"""A newcomer with a clone, README and a Python: from the first command to a signal that is relayed.

The commands are README's, word for word, run by a shell in the clone. Only Telegram is played.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
from contextlib import asynccontextmanager

import pytest

from tests.conftest import ROOT
from tests.loopback import API_HASH, API_ID
from tests.loopback.launch import environment
from tests.readme import ENGLISH, commands
from tests.screen import Screen
from tests.setting_up import TOKEN
from tests.stage import Stage

INSTALL, SETUP, RUN = commands(ENGLISH.partition("\n## ")[0])
STEPS = ENGLISH.partition("## Ten steps")[2].partition("\n## ")[0]
IN_STEPS = re.findall(r"`(\.venv/[^`\n]*)`|^ *(\.venv/.*)$", STEPS, re.MULTILINE)
SIGNAL = re.search(r"^10\. Post `([^`]+)`", STEPS, re.MULTILINE)[1]


@pytest.fixture
async def stage(telegram, tmp_path):
    yield Stage(telegram, tmp_path, token=TOKEN)
    assert telegram.calls.violations == []


def pythons():
    """As CI finds them, the oldest first."""
    found = subprocess.run([ROOT / ".ci" / "pythons"], capture_output=True, text=True, check=True)
    return [line.split() for line in found.stdout.splitlines()]


def clone(to):
    """What a clone has: all that is in the repository or is to be committed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)


class Newcomer:
    """At a shell in the clone, where `python3` is the one that the test is for."""

    def __init__(self, stage, python):
        self.stage = stage
        self.clone = stage.directory / "telegram-signal-relay"
        clone(self.clone)
        tools = stage.directory / "tools"
        tools.mkdir()
        (tools / "python3").write_text(f'#!/bin/sh\nexec "{python}" "$@"\n')
        (tools / "python3").chmod(0o755)
        # What is imported is what was installed, or stands in the clone.
        self.env = environment(
            stage.telegram.server.port,
            {
                "PATH": f"{tools}:{os.environ['PATH']}",
                "PYTHONPATH": "",
                "LOG_LEVEL": "INFO",
                "PIP_NO_COMPILE": "1",  # Python compiles what it imports
            },
        )

    def has(self, path):
        return (self.clone / path).exists()

    async def runs(self, command):
        """What it says. It must do what it is for."""
        process = await self._begins(command)
        out, _ = await process.communicate()
        assert process.returncode == 0, f"{command}\n{out.decode()}"
        return out.decode()

    @asynccontextmanager
    async def running(self, command, until):
        """Stopped by Ctrl-C at the end, which must be in order."""
        process = await self._begins(f"exec {command}")
        said = b""
        try:
            while until not in said:
                line = await process.stdout.readline()
                assert line, said.decode()
                said += line
            yield
            process.send_signal(signal.SIGINT)
            rest, _ = await process.communicate()
            assert process.returncode == 0, (said + rest).decode()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def _begins(self, command):
        return await asyncio.create_subprocess_exec(
            *("bash", "-c", command),
            cwd=self.clone,
            env=self.env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            # Whoever runs the tests in the background has Ctrl-C ignored, by inheritance.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )

    async def answers_setup(self, command):
        """As somebody does who reads each question, and lets the bot hear the group."""
        alice, group, target = self.stage.alice, self.stage.group, self.stage.target
        screen = await Screen.open(
            program=("bash", "-c", f"exec {command}"),
            port=self.stage.telegram.server.port,
            cwd=self.clone,
            env={**self.env, "COLUMNS": "200", "PYTHONPATH": ""},
        )
        try:
            await screen.answers("API id:", str(API_ID))
            await screen.answers("API hash:", API_HASH)
            await screen.answers("Token:", TOKEN)
            await screen.shows("Where are the signals?", "Chat:")
            await alice.sends(group, "is anybody there?")
            await screen.shows("1  the supergroup 'Signals'")
            await screen.answers("Chat:", "1")
            await screen.shows("reads the supergroup 'Signals'", "Where are they to be posted?")
            await screen.answers("Chat:", str(target.id))
            await screen.shows("posts to the channel 'Target'")
            await screen.answers("To another chat as well? [y/N]", "")
            await screen.shows("Who may post signals?", "2  'Alice'")
            await screen.answers("Who:", "2")
            await screen.answers("Who:", "none")
            await screen.answers("Write it? [Y/n]", "")
            await screen.shows(f"Start the bot with `{RUN.rpartition('/')[2]}`.")
            assert await screen.ends() == 0
        finally:
            await screen.close()


@pytest.mark.heavy
@pytest.mark.timeout(1200)  # most of it is pip's, on a machine that has other things to do
@pytest.mark.parametrize("which", ["oldest", "newest"])
async def test_readme_leads_from_a_clone_to_a_relayed_signal(stage, which):
    found = pythons()
    version, python = found[0 if which == "oldest" else -1]
    if which == "newest" and len(found) == 1:
        pytest.skip(f"there is no other Python here than {version}")
    newcomer = Newcomer(stage, python)

    shown = await newcomer.runs(INSTALL)
    assert "update" in shown
    assert newcomer.has(f".venv/lib/python{version}")
    shutil.copy(newcomer.clone / "data" / "sample_export.json", newcomer.clone / "result.json")
    asked = [quoted or line for quoted, line in IN_STEPS]
    assert {SETUP, RUN, f"{RUN} check"} <= set(asked)
    for command in asked:
        if command == SETUP:
            await newcomer.answers_setup(command)
        elif command == RUN:
            async with newcomer.running(command, until=b"started"):
                await step_ten(stage)
        else:
            await newcomer.runs(command)


async def step_ten(stage):
    """Step 10."""
    idea = await stage.alice.sends(stage.group, SIGNAL)
    await stage.shows(SIGNAL)
    await stage.alice.sends(stage.group, "stop to entry", reply_to=idea)
    await stage.shows(SIGNAL, "stop to entry")
    await stage.bob.sends(stage.group, "closed!", reply_to=idea)
    await stage.alice.sends(stage.group, "TP1", reply_to=idea)
    await stage.shows(SIGNAL, "stop to entry", "TP1")
