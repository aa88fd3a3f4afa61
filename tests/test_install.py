"""What runs the bot for good names paths, ports, users and exit codes: all of them are the program's."""

from __future__ import annotations

import asyncio
import configparser
import inspect
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from contextlib import contextmanager
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
    assert codes - hopeless == {1, errors.Deposed.exit_code}


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


PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
ALONE = ["--no-deps", "--no-index"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """As anybody builds it, but from what is here."""
    base = tmp_path_factory.mktemp("wheel")
    build = [*PIP, "wheel", *ALONE, "--no-build-isolation", "-w", base, ROOT]
    subprocess.run(list(map(str, build)), check=True, cwd=base)
    [built] = base.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel):
    """The script, from a wheel that was built and put into an environment of its own."""
    base, pip, alone = wheel.parent, PIP, ALONE
    for command in (
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


# Made by Python and its tools beside what is ours.
NOT_OURS = {"__pycache__", ".DS_Store"}


@pytest.mark.long
def test_a_wheel_has_whatever_the_program_reads(wheel):
    """Steps for databases of earlier versions, the page of `report`, the catalogues: all that stands in `bot`."""
    ours = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "bot").rglob("*")
        if path.is_file() and NOT_OURS.isdisjoint(path.parts)
    }
    with zipfile.ZipFile(wheel) as packed:
        names = {name for name in packed.namelist() if ".dist-info/" not in name}

    assert names == ours
    assert {Path(name).suffix for name in names} >= {".py", ".mo", ".html", ".css"}


@pytest.mark.heavy
@pytest.mark.timeout(900)  # most of it is a download, on a machine that has other things to do
@pytest.mark.parametrize("tool", ["pip", "pipx", "uv"])
def test_pipx_and_uv_install_it_as_a_program(wheel, tmp_path, tool):
    """With all it needs, in an environment of its own, and under its own name.

    Where neither is installed, pip does what both do, and as it is configured.
    """
    found = (
        sys.executable
        if tool == "pip"
        else shutil.which(tool) or shutil.which(tool, path=Path(sys.executable).parent)
    )
    if found is None:
        pytest.skip(f"{tool} is not installed here: its way is not tried")
    where = {
        "PIPX_HOME": "home",
        "PIPX_BIN_DIR": "bin",
        "UV_TOOL_DIR": "home",
        "UV_TOOL_BIN_DIR": "bin",
    }
    env = {**os.environ, **{name: str(tmp_path / place) for name, place in where.items()}}
    env.pop("PYTHONPATH", None)
    command = {
        "pip": [*PIP, "--python", tmp_path / "home", "install", "--no-compile", wheel],
        "pipx": [found, "install", "--python", sys.executable, wheel],
        "uv": [found, "tool", "install", "--python", sys.executable, wheel],
    }[tool]
    if tool == "pip":
        subprocess.run([found, "-m", "venv", "--without-pip", tmp_path / "home"], check=True)
        (tmp_path / "bin").symlink_to(tmp_path / "home" / "bin")
    subprocess.run(list(map(str, command)), env=env, cwd=tmp_path, check=True)

    script = tmp_path / "bin" / SCRIPT
    russian = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LANG": "ru_RU.UTF-8"}
    version = subprocess.check_output([script, "--version"], text=True, env=russian, cwd=tmp_path)
    drawn = subprocess.run(
        [script, "replay", SAMPLE, "--html", "report.html"], env=russian, cwd=tmp_path, check=False
    )
    assert version.startswith(f"{SCRIPT} ")
    assert drawn.returncode == 0
    speaks = (
        "from bot.phrases import phrase, translator; print(translator('ru')(phrase('channel')))"
    )
    python = next((tmp_path / "home").rglob("bin/python"))
    said = subprocess.check_output([python, "-c", speaks], text=True, env=russian, cwd=tmp_path)
    assert said == "канал\n"


# ── systemd, for real ─────────────────────────────────────────────────────────


def why_not_started():
    """None: it can be."""
    if shutil.which("systemctl") is None or os.geteuid() != 0:
        return "there is no systemd here, or this is not root"
    for place in (Path(sys.executable).resolve(), Path(yaml.__file__)):
        if {"/tmp", "/home", "/root"} & set(map(str, place.parents)):
            return f"the unit sees no home and no /tmp of others, and {place} is there"
    state = subprocess.run(
        ["systemctl", "is-system-running"], capture_output=True, text=True, check=False
    )
    if state.stdout.strip() not in {"running", "degraded"}:
        return f"systemd does not run this machine: {state.stdout.strip()}"
    return None


async def systemctl(*arguments):
    """The loop goes on meanwhile: Telegram is played in it."""
    command = await asyncio.create_subprocess_exec(
        "systemctl", *arguments, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await command.communicate()
    assert command.returncode == 0
    return said.decode()


@contextmanager
def unit_of(installed, env):
    """The unit, with the program and the settings where this test has put them; nothing is left behind."""
    name = f"telegram-signal-relay-test-{os.getpid()}"
    program = Path(tempfile.mkdtemp(prefix="relay-", dir="/opt"))
    try:
        program.chmod(0o755)
        shutil.copytree(installed.parent.parent, program / "venv", symlinks=True)
        shutil.copytree(ROOT / "tests" / "loopback" / "redirection", program / "redirection")
        (program / "env").write_text("".join(f"{key}={value}\n" for key, value in env.items()))
        (program / "env").chmod(0o600)
        text = UNIT.read_text().replace("%S/telegram-signal-relay", f"%S/{name}")
        for key, value in {
            "ExecStart": f"{program}/venv/bin/python -m bot",
            "EnvironmentFile": program / "env",
            "StateDirectory": name,
        }.items():
            text = re.sub(rf"(?m)^{key}=.*", f"{key}={value}", text)
        unit = Path("/run/systemd/system", f"{name}.service")
        unit.write_text(text)
        subprocess.run(["systemctl", "daemon-reload"], check=True)
        yield name, program
    finally:
        subprocess.run(["systemctl", "stop", name], check=False)
        Path("/run/systemd/system", f"{name}.service").unlink(missing_ok=True)
        subprocess.run(["systemctl", "daemon-reload"], check=False)
        shutil.rmtree(program)
        shutil.rmtree(Path("/var/lib/private", name), ignore_errors=True)
        Path("/var/lib", name).unlink(missing_ok=True)


@pytest.mark.heavy
async def test_systemd_starts_it_in_its_cage_and_stops_it_in_order(installed, stage):
    if (why_not := why_not_started()) is not None:
        pytest.skip(f"{why_not}: the unit is read, not started")
    env = environment(stage.telegram.server.port, stage.env())
    redirected = {name: env[name] for name in env if "LOOPBACK" in name}
    with unit_of(installed, {**stage.env(), **redirected}) as (name, program):
        with (program / "env").open("a") as settings:
            settings.write(f"PYTHONPATH={program}/redirection\n")
        await systemctl("start", name)
        await stage.alice.sends(stage.group, "#idea BTC/USDT LONG")
        await stage.shows("#idea BTC/USDT LONG")
        await systemctl("stop", name)
        assert await systemctl("show", "-p", "Result", name) == "Result=success\n"


# ── two hosts ──


@pytest.fixture(scope="module")
def two_hosts():
    return yaml.safe_load((ROOT / "compose.ha.yaml").read_text())


def test_two_relays_are_kept_as_one_is_and_share_nothing_but_the_database(two_hosts, relay, image):
    services = two_hosts["services"]
    kept = {"read_only", "cap_drop", "security_opt", "tmpfs", "init", "restart", "env_file"}

    for name in ("relay-a", "relay-b"):
        assert {each: services[name][each] for each in kept} == {each: relay[each] for each in kept}
        assert services[name]["depends_on"] == {"database": {"condition": "service_healthy"}}
        assert not {"privileged", "ports", "cap_add", "network_mode", "user"} & set(services[name])
    [a], [b] = services["relay-a"]["volumes"], services["relay-b"]["volumes"]
    assert a != b
    assert a.endswith(":/data")
    assert b.endswith(":/data")
    assert {a.split(":")[0], b.split(":")[0], "database"} == set(two_hosts["volumes"])


def test_their_database_answers_before_they_start_and_shows_no_password(two_hosts):
    services = two_hosts["services"]
    address = services["relay-a"]["environment"]["DATABASE_URL"]

    assert Settings(_env_file=None, database_url=address).database.secrets == ()
    assert services["database"]["healthcheck"]["test"][1] == "pg_isready"
    assert int(services["database"]["image"].partition(":")[2]) >= 15
