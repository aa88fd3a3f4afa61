"""How the command line reads, completes and prints, wherever its output goes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.exports import message, write

SAMPLE = ROOT / "data" / "sample_export.json"
COMMANDS = (
    *("run", "setup", "check", "replay", "report", "import", "why", "status", "flows", "release"),
    *("retry", "pause", "resume", "backup", "export", "reload", "migrate-to"),
)
PLAIN = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def test_each_command_is_summed_up_in_a_line_that_is_whole(run):
    lines = run("--help").stdout.split("Commands:\n")[1].splitlines()

    assert sorted(line.split()[0] for line in lines) == sorted(COMMANDS)
    assert [line for line in lines if not line.endswith(".") or line.endswith("...")] == []
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("command", [(), *((each,) for each in COMMANDS)])
def test_help_is_in_plain_words_and_has_a_short_option(run, command):
    """What is to be given is named: SIGNAL, FILE, ID; nothing of the program's types is shown."""
    done = run(*command, "-h")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == run(*command, "--help").stdout
    assert not re.search(r"<[a-z]|\{|\bAny\b|TEXT|INTEGER|PATH\b|RANGE", done.stdout)


@pytest.mark.long
def test_a_shell_completes_commands_and_options(tmp_path):
    script = tmp_path / "telegram-signal-relay"
    script.write_text("from bot.cli import main\nmain()\n")

    def completed(words, number):
        env = {
            "PYTHONPATH": str(ROOT),
            "_TELEGRAM_SIGNAL_RELAY_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(number),
        }
        done = subprocess.run(
            [sys.executable, script], env=env, capture_output=True, text=True, check=False
        )
        assert done.stderr == ""
        return done.stdout.split()

    commands = {"release", "reload", "replay", "report", "resume", "retry"}
    assert set(completed("telegram-signal-relay re", 1)) == commands
    assert completed("telegram-signal-relay export --f", 2) == ["--format"]
    assert completed("telegram-signal-relay export --format ", 3) == ["csv", "jsonl"]


@pytest.mark.parametrize("option", ["--show-completion", "--install-completion"])
def test_only_the_command_itself_can_be_completed(run, tmp_path, option):
    """What a shell would be given for `python -m bot` is about each program that Python runs, and wrong."""
    done = run(option, env={"HOME": str(tmp_path), "SHELL": "/bin/bash"})

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: a shell completes the command that the package brings: "
        f"telegram-signal-relay {option}\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "command", [["replay", SAMPLE], ["replay", SAMPLE, "--json"], ["flows", "1"]]
)
def test_any_locale_will_do_for_what_people_write(run, command):
    """Under `LC_ALL=C` standard output takes ASCII alone; what it does not take is escaped or UTF-8."""
    run("import", SAMPLE)

    done = run(*command, env=PLAIN)

    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout) > 100


def test_an_error_can_be_told_in_any_locale(run, tmp_path):
    write(tmp_path / "other.json", message(1, "user1", "hello"), name="Сигналы")

    done = run("import", "other.json", env=PLAIN | {"SOURCE_CHAT_ID": "-1005"})

    assert done.returncode == 2
    assert done.stderr.startswith("error: this is the history of")
    assert len(done.stderr.splitlines()) == 1


UNBUFFERED, HIDING = {"PYTHONUNBUFFERED": "1"}, {"BOT_TOKEN": "42:" + "x" * 35}


@pytest.mark.long
@pytest.mark.parametrize(
    ("command", "env"),
    [
        (["replay", SAMPLE], {}),
        (["replay", SAMPLE, "--json"], UNBUFFERED),
        (["flows", "--all"], HIDING),
        (["status", "--json"], UNBUFFERED | HIDING),
        (["pause"], {}),
        (["-h"], UNBUFFERED),
    ],
)
def test_what_takes_no_output_is_told_in_one_line(run, command, env):
    """Buffered or not, with secrets that are blacked out in it or without."""
    run("import", SAMPLE)

    with Path("/dev/full").open("w") as full:
        done = run(*command, stdout=full, stderr=subprocess.PIPE, env=env)

    assert done.returncode == 1
    assert done.stderr == "error: standard output: No space left on device\n"


@pytest.mark.long
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_command_whose_streams_are_closed_does_its_work(run, tmp_path, closed):
    """As some programs start others. What it opens must not get what is printed."""

    def closed_run(*args):
        line = f'exec "$0" -m bot "$@" {closed}'
        done = subprocess.run(
            ["sh", "-c", line, sys.executable, *map(str, args)],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return done.returncode

    assert closed_run("import", SAMPLE) == 0
    assert closed_run("flows", "--all") == closed_run("export", "signals") == 0
    assert closed_run("flows", "--nonsense") == 2
    assert closed_run("pause") == 0
    assert "PAUSED" in run("status").stdout
    assert run("export", "signals").stdout.count("\n") > 7


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_data_goes_to_standard_output_where_secrets_are_set(run, form):
    """As in the directory of any bot that runs; they are blacked out there as everywhere."""
    run("import", SAMPLE)

    plain = run("export", "signals", "--format", form)
    done = run("export", "signals", "--format", form, env={"BOT_TOKEN": "42:#Идея BTC/USDT"})

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == plain.stdout.replace("#Идея BTC/USDT", "[secret]")
    assert "[secret]" in done.stdout
