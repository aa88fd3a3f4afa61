"""What an operator asks and orders from a shell is answered the same on a file and on a server."""

from __future__ import annotations

import re

import pytest

from tests.exports import SAMPLE

CHATS = {
    "SOURCE_CHAT_ID": "-1001934507216",
    "TARGET_CHAT_ID": "-1009876543210",
    "SOURCE_ALLOWED_USERS": "everyone",
}
# In this order: each beside whatever the ones before have left.
COMMANDS = [
    ("import", SAMPLE),
    ("import", SAMPLE),
    ("why", "{signal}"),
    ("why", "{update}"),
    ("flows", "--all"),
    ("flows", "{signal}"),
    ("release", "{signal}"),
    ("why", "{signal}"),
    ("pause",),
    ("pause",),
    ("status",),
    ("resume",),
    ("retry",),
    ("retry", "77"),
    ("export", "updates", "--format", "jsonl"),
    ("report", "--html", "page.html"),
    ("why", "-1001934507216:999999"),
]
CHANGES = re.compile(r"\d+ s\b|\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?|\d+(\.\d+)? [kMG]?i?B")


@pytest.fixture
def on(tmp_path, run, postgresql):
    """What a shell shows, but for what tells when and where."""
    places = {"file": f"sqlite:///{tmp_path / 'signals.db'}", "server": postgresql.new_database()}

    def on(which, *command):
        where = places[which]
        url = getattr(where, "url", where)
        done = run(*command, env={**CHATS, "DATABASE_URL": url, "DATA_DIR": which})
        shown = str(tmp_path / "signals.db") if which == "file" else str(where)
        said = [
            CHANGES.sub("…", text.replace(shown, "DATABASE")) for text in (done.stdout, done.stderr)
        ]
        return done.returncode, *said

    return on


@pytest.mark.heavy
def test_each_command_says_and_does_the_same(on):
    numbers = {}
    for command in COMMANDS:
        asked = [str(word).format(**numbers) for word in command]
        found = {which: on(which, *asked) for which in ("file", "server")}
        if command[0] == "status":  # which also tells of the machine: as its rows are called
            found = {which: re.findall(r"(?m)^(\S+)", said[1]) for which, said in found.items()}
        assert found["file"] == found["server"], asked
        if not numbers:
            numbers = {"signal": "-1001934507216:5", "update": "-1001934507216:6"}
