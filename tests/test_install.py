"""What runs the bot for good names paths, ports, users and exit codes: all of them are the program's."""

from __future__ import annotations

import configparser
import inspect
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from bot import errors
from bot.config import Settings
from tests.conftest import ROOT
from tests.image import is_sent, steps
from tests.loopback.launch import environment

SAMPLE = ROOT / "data" / "sample_export.json"
UNIT = ROOT / "docs" / "telegram-signal-relay.service"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGE = PROJECT["project"]["name"]
[SCRIPT] = PROJECT["project"]["scripts"]
SETTINGS = {name.upper() for name in Settings.model_fields}


class Unit(configparser.RawConfigParser):
    """A name may stand several times: then all values are kept, one a line."""

    optionxform = staticmethod(str)

    def __init__(self):
        super().__init__(strict=False, delimiters=("=",), interpolation=None)
        lines = UNIT.read_text().splitlines()
        merged = {}
        section = ""
        for line in lines:
            if line.startswith("["):
                section = line.strip("[]")
                self.add_section(section)
            elif line and not line.startswith("#"):
                name, _, value = line.partition("=")
                merged.setdefault((section, name), []).append(value)
        for (section, name), values in merged.items():
            self.set(section, name, "\n".join(values))


@pytest.fixture(scope="module")
def unit():
    return Unit()["Service"]


@pytest.fixture(scope="module")
def image():
    """The instructions of the stage that runs, the last of each name."""
    all_steps = steps((ROOT / "Dockerfile").read_text())
    last = max(index for index, step in enumerate(all_steps) if step.name == "FROM")
    return {step.name: step for step in all_steps[last:]}


@pytest.fixture(scope="module")
def image_env(image):
    return dict(word.split("=", 1) for word in image["ENV"].words())


@pytest.fixture(scope="module")
def relay():
    return yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["relay"]


def seconds(text):
    return int(str(text).removesuffix("s"))


# ── the image ─────────────────────────────────────────────────────────────────


def test_the_image_runs_the_script_of_the_package_as_nobody_in_particular(image, image_env):
    [entry] = image["ENTRYPOINT"].command()
    user, group = map(int, image["USER"].text.split(":"))

    assert Path(entry).name == SCRIPT
    assert min(user, group) >= 10_000  # no account of the host has that number
    assert f"-o {user} -g {group} -m 700 /data" in image["RUN"].text
    assert image_env["DATA_DIR"] == image["VOLUME"].text == image["WORKDIR"].text == "/data"
    assert image["STOPSIGNAL"].text == "SIGTERM"
    assert set(image_env) & SETTINGS == {"DATA_DIR", "HEALTH_PORT", "LOG_FORMAT"}
    Settings(**{name.lower(): value for name, value in image_env.items() if name in SETTINGS})


def test_the_image_is_built_from_a_python_that_the_package_allows(image):
    version = re.search(r"python:3\.(\d+)-slim", image["FROM"].text)

    assert 11 <= int(version[1]) <= 14
    assert PROJECT["project"]["requires-python"] == ">=3.11"


def test_the_health_check_asks_where_the_bot_answers(image):
    interpreter, flag, code = image["HEALTHCHECK"].command()

    assert (Path(interpreter).name, flag) == ("python", "-c")
    assert f"'{Settings().health_host}'" in code
    assert "os.environ['HEALTH_PORT']" in code
    assert "'/healthz'" in code
    assert set(re.findall(r"import ([\w., ]+);", code)[0].replace(" ", "").split(",")) <= (
        set(sys.stdlib_module_names) | {"http.client"}
    )


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("bot/cli.py", True),
        ("bot/report/page.html", True),
        ("pyproject.toml", True),
        ("README.md", True),
        ("bot/__pycache__/cli.cpython-313.pyc", False),
        (".env", False),
        (".env.example", False),
        ("bot.session", False),
        ("data/relay.session", False),
        ("data/signals.db", False),
        (".git/config", False),
        (".venv-test/bin/python", False),
        ("tests/image.py", False),
    ],
)
def test_nothing_goes_into_the_image_but_the_package(path, sent):
    assert is_sent(path, (ROOT / ".dockerignore").read_text()) is sent


# ── compose ───────────────────────────────────────────────────────────────────


def test_compose_runs_the_image_with_nothing_it_does_not_need(relay):
    assert relay["read_only"] is True
    assert relay["cap_drop"] == ["ALL"]
    assert relay["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "ports", "cap_add", "network_mode", "user"} & set(relay)


def test_compose_keeps_the_data_where_the_image_has_it(relay, image, image_env):
    volumes = dict(volume.split(":") for volume in relay["volumes"])

    assert list(volumes.values()) == [image["VOLUME"].text]
    assert set(volumes) == set(yaml.safe_load((ROOT / "compose.yaml").read_text())["volumes"])
    # Before a file's: the health check and the volume are the image's.
    assert relay["environment"].items() <= image_env.items()
    assert "HEALTH_PORT" in relay["environment"]
    assert relay["env_file"] == [{"path": ".env", "required": False}]


def test_everything_gives_the_bot_longer_than_it_gives_itself(relay, unit):
    assert seconds(relay["stop_grace_period"]) > 20
    assert seconds(unit["TimeoutStopSec"]) > 20


# ── systemd ───────────────────────────────────────────────────────────────────


def test_systemd_tries_again_unless_trying_again_is_useless(unit):
    """A wrong setting and a second instance are an operator's to mend."""
    codes = {
        found.exit_code
        for found in vars(errors).values()
        if inspect.isclass(found) and issubclass(found, errors.BotError)
    }
    hopeless = set(map(int, unit["RestartPreventExitStatus"].split()))

    assert unit["Restart"] == "on-failure"
    assert hopeless == {errors.SettingsError.exit_code, errors.AlreadyRunning.exit_code}
    assert codes - hopeless == {1}


def test_the_unit_runs_the_script_on_the_directory_that_systemd_makes(unit):
    environment = dict(word.split("=", 1) for word in unit["Environment"].split())

    assert Path(unit["ExecStart"]).name == SCRIPT
    assert unit["ExecReload"] == f"{unit['ExecStart']} reload"
    assert environment["DATA_DIR"] == unit["WorkingDirectory"] == f"%S/{unit['StateDirectory']}"
    assert set(environment) - {"PYTHONUNBUFFERED"} <= SETTINGS
    # Where `setup` writes, if it is called in that directory.
    assert Path(unit["EnvironmentFile"]).name == ".env"


def test_readme_installs_what_the_unit_and_compose_name(unit):
    readme = (ROOT / "README.md").read_text()

    for named in (
        unit["ExecStart"],
        str(Path(unit["EnvironmentFile"]).parent),
        str(UNIT.relative_to(ROOT)),
        f"/var/lib/{unit['StateDirectory']}",
        "docker compose run --rm relay setup",
    ):
        assert named in readme


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed here: the unit is not verified")
    copy = tmp_path / UNIT.name
    # It wants the program to be there.
    copy.write_text(re.sub(r"(?m)^(Exec\w+=).*", rf"\g<1>{sys.executable}", UNIT.read_text()))

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout + done.stderr) == (0, "")


# ── the wheel ─────────────────────────────────────────────────────────────────

# What `MemoryDenyWriteExecute` asks of the kernel, where that is new enough; or else says that it
# is not.
DENIED = (
    "import ctypes, os, sys\n"
    "if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0): print('cannot be denied here', file=sys.stderr)\n"
    "os.execv(sys.argv[1], sys.argv[1:])"
)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The script, from a wheel that was built and put into an environment of its own."""
    base = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    alone = ["--no-deps", "--no-index"]
    for command in (
        [*pip, "wheel", *alone, "--no-build-isolation", "-w", base, ROOT],
        [sys.executable, "-m", "venv", "--without-pip", base / "venv"],
        [*pip, "--python", base / "venv/bin/python", "install", *alone, "-f", base, PACKAGE],
    ):
        subprocess.run(list(map(str, command)), check=True, cwd=base)
    # What the package needs is taken from here, which saves a download. A path file in that
    # directory is not followed, so that this repository itself is not in reach.
    [packages] = (base / "venv/lib").glob("python*/site-packages")
    (packages / "needed.pth").write_text(str(Path(yaml.__file__).parent.parent))
    return base / "venv" / "bin" / SCRIPT


@pytest.mark.heavy
async def test_an_installed_wheel_works_in_an_empty_directory(installed, stage, tmp_path):
    """By its own name, with all it needs, and where the unit lets it write no code."""

    def call(*arguments, program=installed):
        return subprocess.run(
            [program, *map(str, arguments)],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )

    python = installed.parent / "python"
    origin = call("-c", "import bot; print(bot.__file__)", program=python)
    assert origin.stdout.startswith(str(installed.parent.parent))

    usage = call("replay")
    assert (usage.returncode, usage.stderr) == (2, "error: Missing argument 'FILE'.\n")
    assert f"Usage: {SCRIPT} replay" in call("replay", "--help").stdout
    unset = call()
    assert (unset.returncode, unset.stdout) == (2, "")
    assert [line.split()[0] for line in unset.stderr.splitlines()[1:-1]] == [
        "API_ID", "API_HASH", "BOT_TOKEN", "SOURCE_CHAT_ID", "TARGET_CHAT_ID",
        "SOURCE_ALLOWED_USERS",
    ]  # fmt: skip
    assert "`setup` asks for them" in unset.stderr.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []

    drawn = call("replay", SAMPLE, "--html", "report.html")
    assert (drawn.returncode, drawn.stderr) == (0, "wrote report.html\n")
    assert "<style>" in (tmp_path / "report.html").read_text()

    env = environment(stage.telegram.server.port, stage.env())
    program = await stage.telegram.run(
        ["-c", DENIED, str(installed)], cwd=tmp_path, env={**env, "PATH": os.environ["PATH"]}
    )
    await program.wait_output('"started"', timeout=30)
    await stage.alice.sends(stage.group, "#idea BTC/USDT LONG")
    await stage.shows("#idea BTC/USDT LONG")
    program.terminate()
    assert await program.wait() == 0, program.output
    assert (tmp_path / "data" / "signals.db").exists()
