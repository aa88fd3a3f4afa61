"""Where Python has nothing of POSIX, as on Windows: one line says so, and what would do."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT

# What Python lacks on Windows, and the program uses. Its own tests have it all.
ON_WINDOWS = """
import asyncio, os, signal, sys
for name in ("fcntl", "termios", "pwd", "grp", "resource", "pty", "tty"):
    sys.modules[name] = None
for name in ("SIGHUP", "SIGKILL", "SIGQUIT"):
    delattr(signal, name)
for name in ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "O_DIRECTORY", "fchmod", "geteuid", "getuid"):
    delattr(os, name)
del asyncio.unix_events._UnixSelectorEventLoop.add_signal_handler
from bot.cli import main
main(sys.argv[1:])
"""
LINE = (
    "error: this system is not POSIX (Python has no fcntl and no termios here): on Windows, use WSL "
    "or docker; docs/INSTALL.md says where it works\n"
)


def on_windows(directory, *arguments):
    return subprocess.run(
        [sys.executable, "-c", ON_WINDOWS, *arguments],
        cwd=directory,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.long
@pytest.mark.parametrize("arguments", [[], ["setup"], ["replay", "result.json"]], ids=str)
def test_it_says_in_one_line_that_it_does_not_work_there(tmp_path, arguments):
    done = on_windows(tmp_path, *arguments)

    assert (done.returncode, done.stdout, done.stderr) == (2, "", LINE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_help_and_version_are_there_all_the_same(tmp_path):
    """Whoever looks at it there is shown what it is."""
    version, shown = on_windows(tmp_path, "--version"), on_windows(tmp_path, "--help")

    assert version.stdout.startswith("telegram-signal-relay "), version.stderr
    assert (version.returncode, shown.returncode) == (0, 0)
    assert "Usage:" in shown.stdout
