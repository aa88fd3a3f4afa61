"""`.env` as `setup` writes it: what is read back is what was meant, and nothing else changes."""

from __future__ import annotations

import io
import resource
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from dotenv import dotenv_values
from hypothesis import example, given
from hypothesis import strategies as st

from bot.errors import SettingsError
from bot.setup import env_file

HOSTILE = st.text(st.sampled_from("ab '\"#$\\{}:-=\n\r\t\0ж\u2028\x85")) | st.text(
    st.characters(exclude_categories=["Cs"])
)


@given(HOSTILE, HOSTILE)
@example("a b", " # no comment")
@example("it's", 'a "quote" and it\'s')
@example("${HOME}", "$HOME ${HOME:-x} $${}")
@example("ends in \\", "ends in \\\\")
@example("'\\", "\\'")
@example("two\nlines", "\r\n")
@example("\\n", "${:-$}{")
def test_whatever_is_written_is_read_back(value, other):
    text = env_file.changed("# top\n", {"ONE": value, "TWO": other})

    assert dotenv_values(stream=io.StringIO(text, newline=None)) == {"ONE": value, "TWO": other}


@given(st.from_regex(r"[A-Za-z0-9_@:,.+/=-]+", fullmatch=True))
def test_ids_tokens_and_hashes_need_no_quotes_which_docker_would_take_for_part_of_them(value):
    assert env_file.quoted(value) == value


@given(st.lists(st.sampled_from(["# why", "", "KEPT='it\\'s'", "OTHER=1 # x", "noise", "A B=2"])))
def test_what_is_not_changed_stays_to_the_letter(lines):
    before = "".join(f"{line}\n" for line in lines)

    assert env_file.changed(before, {"GONE": None}) == before
    assert env_file.changed(before, {"NEW": "1"}) == before + "NEW=1\n"


def test_a_setting_is_changed_where_it_stands_and_stands_there_once():
    before = "a=1\n\nexport Name='old'  # why\nb=2\nNAME=older\nc='two\nlines'"

    after = env_file.changed(before, {"NAME": "new", "A": None, "C": "x y"})

    assert after == "\nNAME=new\nb=2\nC='x y'\n"


def test_lines_that_set_nothing_are_no_values():
    assert env_file.values("API_ID=\nnoise\nbot_token='x'\nHALF\n") == {"BOT_TOKEN": "x"}


def test_a_new_file_is_its_owners_alone(tmp_path):
    env_file.write(tmp_path / ".env", "A=1\n")

    assert (tmp_path / ".env").read_text() == "A=1\n"
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [".env"]


def test_a_disk_that_is_full_leaves_the_old_file_and_no_other(tmp_path):
    (tmp_path / ".env").write_text("OLD=1\n")
    writing = (
        "from pathlib import Path; from bot.setup import env_file\n"
        "env_file.write(Path('.env'), 'NEW=' + 'x' * 10_000)"
    )

    def cramped():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    done = subprocess.run(
        [sys.executable, "-B", "-c", writing],
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parent.parent)},
        preexec_fn=cramped,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ".env: cannot be written: File too large" in done.stderr
    assert (tmp_path / ".env").read_text() == "OLD=1\n"
    assert [path.name for path in tmp_path.iterdir()] == [".env"]


def test_a_file_that_cannot_be_read_or_written_is_named(tmp_path):
    (tmp_path / ".env").mkdir()

    with pytest.raises(SettingsError, match=r"\.env: cannot be read"):
        env_file.read(tmp_path / ".env")
    with pytest.raises(SettingsError, match=r"\.env: cannot be written"):
        env_file.write(tmp_path / ".env", "A=1\n")
    with pytest.raises(SettingsError, match="cannot be written"):
        env_file.refuse_unwritable(tmp_path / "none" / ".env")
