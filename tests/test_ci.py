"""Which Pythons the quick tests are run on, and what is said of those that are not there."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.conftest import ROOT

FOUND = ROOT / ".ci" / "pythons"
pytestmark = pytest.mark.skipif(not FOUND.exists(), reason="a source archive has no CI")


def python(path, version):
    """A program that says it is that Python, whatever it is asked."""
    path.parent.mkdir(parents=True)
    major, minor, *_ = version.split(".")
    path.write_text(f'#!/bin/sh\ncase "$2" in *"({major}, {minor})"*) exit 0;; esac\nexit 1\n')
    path.chmod(0o755)


def found(tmp_path):
    return subprocess.run(
        [FOUND],
        env={
            "HOME": str(tmp_path / "home"),
            "PATH": f"{tmp_path / 'system'}:{os.defpath}",
        },
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.mark.long
def test_pyenvs_newest_of_each_minor_version_is_tried(tmp_path):
    versions = tmp_path / "home" / ".pyenv" / "versions"
    for version in ("3.12.9", "3.12.10", "3.13.0", "3.10.4"):
        python(versions / version / "bin" / "python3", version)

    lines = found(tmp_path).stdout.splitlines()

    assert f"3.12 {versions}/3.12.10/bin/python3" in lines
    assert f"3.13 {versions}/3.13.0/bin/python3" in lines
    assert sum(line.startswith("3.12 ") for line in lines) == 1
    assert not any(line.startswith("3.10") for line in lines)


@pytest.mark.long
def test_a_python_of_the_system_is_found(tmp_path):
    python(tmp_path / "system" / "python3.14", "3.14.1")

    answer = found(tmp_path)

    assert f"3.14 {tmp_path}/system/python3.14" in answer.stdout
    assert "3.14" not in answer.stderr


@pytest.mark.long
def test_a_version_that_the_readme_names_and_is_not_there_is_told(tmp_path):
    tmp_path.joinpath("home").mkdir()

    answer = found(tmp_path)

    for minor in (11, 12, 13, 14):
        told = f"Python 3.{minor}: not found on this machine, not tried" in answer.stderr
        assert told != (f"3.{minor} " in answer.stdout)
    assert "3.15" not in answer.stderr
