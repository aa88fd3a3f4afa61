"""README, in both languages: short, with no link that leads nowhere, and every command in it works."""

from __future__ import annotations

import re
import shlex
import shutil

import pytest

from tests.conftest import ROOT
from tests.image import steps
from tests.readme import ENGLISH, RUSSIAN, commands

BOT = ".venv/bin/python -m bot"
# What is no command of the bot, and what runs it.
ELSEWHERE = {
    "python3 -m venv .venv &&": ".ci/run, word for word",
    "python3 -m venv .venv-test &&": ".ci/run, word for word",
    "python3 -m venv /opt/": "tests/test_install.py: the wheel in an environment of its own, and the unit",
    "install -d": "tests/test_install.py",
    "(cd /etc/": "tests/test_setup.py",
    "cp docs/": "tests/test_install.py",
    "systemctl": "tests/test_install.py, as far as there is systemd",
    "journalctl": "tests/test_install.py, as far as there is systemd",
    "docker compose": "tests/image.py takes the steps, tests/test_install.py reads compose.yaml",
    "git pull": "git",
    ".venv/bin/pip install -q .": ".ci/run",
}


def of_the_bot(text):
    return [line.removeprefix(BOT).strip() for line in commands(text) if line.startswith(BOT)]


def test_it_is_read_in_a_few_minutes():
    assert len(ENGLISH.split()) < 1_500
    assert len(RUSSIAN.split()) < 1_500


def test_both_languages_have_the_same_commands_in_the_same_order():
    assert commands(ENGLISH) == commands(RUSSIAN)


def test_its_first_screen_has_a_picture_three_commands_and_four_promises():
    first = ENGLISH.partition("\n## ")[0]

    assert "(docs/relay.png)" in first
    assert len(commands(first)) == 3
    assert len(re.findall(r"^- \*\*", first, re.MULTILINE)) == 4
    assert len(first.splitlines()) < 40


@pytest.mark.parametrize("text", [ENGLISH, RUSSIAN], ids=["en", "ru"])
def test_no_link_to_a_file_leads_nowhere(text):
    for target in re.findall(r"\]\((?!http)([^)]+)\)", text):
        path, _, anchor = target.partition("#")
        assert (ROOT / path).is_file(), target
        if anchor:
            heads = re.findall(
                r"^## (.+)$", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE
            )
            assert anchor in {head.lower().replace(" ", "-") for head in heads}


def test_what_is_no_command_of_the_bot_is_run_elsewhere():
    others = [line for line in commands(ENGLISH) if not line.startswith(BOT)]

    assert [line for line in others if not line.startswith(tuple(ELSEWHERE))] == []
    (script,) = re.findall(r"exec relay (\S+)", ENGLISH)
    [entry] = [
        step for step in steps((ROOT / "Dockerfile").read_text()) if step.name == "ENTRYPOINT"
    ]
    assert entry.command() == [script]


async def test_every_command_of_the_bot_does_what_it_is_for(stage, tmp_path):
    """In README's order, beside the running bot. `setup` needs a person: `tests/test_setup.py`."""
    asked = [each for each in of_the_bot(ENGLISH) if each not in {"", "setup"}]
    shutil.copy(ROOT / "data" / "sample_export.json", tmp_path / "result.json")
    here = {"HEALTH_PORT": None}

    async with stage.relay(**here):
        for number in range(4):
            sent = await stage.alice.sends(stage.group, f"#idea BTC/USDT LONG {number}")
        await stage.telegram.wait_for(lambda: len(stage.posted()) == 4)
        why = re.search(r"why (\S+)/\d+", " ".join(asked))[1]
        assert why == f"https://t.me/c/{stage.group.bare_id}"
        for command in ["check", *asked]:
            words = shlex.split(re.sub(r"(why \S+/)\d+", rf"\g<1>{sent.id}", command))
            done = await stage.launch(*words, **here)
            assert await done.wait(timeout=60) == 0, (command, done.output)
            assert done.output.strip(), command

    assert (tmp_path / "report.html").stat().st_size > 1_000
    assert (tmp_path / "copy.db").stat().st_size > 1_000
