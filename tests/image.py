"""`python -m tests.image`: the Dockerfile without a container engine.

What it says is read and done, in order, in a clean directory that stands for the image's root; then
the entry point and the health check are run as written, with a loopback Telegram. What cannot be
done here is named with the reason.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
TOKEN = "42:AAHsecretsecretsecretsecretsecret-_x"


class Step(NamedTuple):
    name: str
    text: str

    def words(self):
        return shlex.split(self.text)

    def command(self):
        """Of the form that needs no shell, so that signals arrive."""
        return json.loads(self.text[self.text.index("[") :])


def steps(dockerfile):
    """Instructions in their order; continued lines are joined."""
    lines = [line for line in dockerfile.splitlines() if not line.lstrip().startswith("#")]
    whole = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [Step(*line.split(maxsplit=1)) for line in whole.splitlines() if line.strip()]


def is_sent(path, dockerignore):
    """Whether a file of the repository reaches the build: the last pattern that fits decides."""
    sent = True
    for line in dockerignore.splitlines():
        pattern = line.strip().removeprefix("!")
        if pattern and not pattern.startswith("#") and _covers(pattern, path):
            sent = line.strip().startswith("!")
    return sent


def _covers(pattern, path):
    """As docker has it: `**/` is any directory, a directory is all that is in it."""
    regex = re.escape(pattern).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")
    return re.fullmatch(f"{regex}(?:/.*)?", path) is not None


class Image:
    """`base` is the directory that stands for `/`."""

    def __init__(self, base):
        self.base = base
        self.env = {}
        self.directory = base
        self.of = {}  # the last instruction of each name
        self.tools = base / "tools"
        self.tools.mkdir()
        python = self.tools / "python"
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        python.chmod(0o755)

    def inside(self, text):
        """Absolute paths, moved into the directory."""
        return re.sub(r"""(^|[\s='"])(/[a-z])""", rf"\g<1>{self.base}\g<2>", text)

    def environment(self, **more):
        keep = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
        path = f"{self.tools}:{os.environ['PATH']}"
        pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        # Quiet, and nothing compiled that is not run.
        quick = {"PIP_QUIET": "1", "PIP_NO_COMPILE": "1"}
        return {**keep, **pip, **quick, "PATH": path, **self.env, **more}

    def do(self, step):
        self.of[step.name] = step
        print(f"{step.name:<12}{step.text}")
        action = getattr(self, f"_{step.name.lower()}", None)
        why = f"not run: {WHY_NOT[step.name]}" if action is None else action(step)
        if why:
            print(f"{'':<12}→ {why}")
        sys.stdout.flush()

    def _workdir(self, step):
        self.directory = Path(self.inside(step.text))
        self.directory.mkdir(parents=True, exist_ok=True)

    def _env(self, step):
        for word in step.words():
            name, _, value = word.partition("=")
            self.env[name] = self.inside(value)

    def _copy(self, step):
        *sources, target = [word for word in step.words() if not word.startswith("--")]
        if "--from=" in step.text:
            assert sources == [target]
            assert Path(self.inside(target)).exists()
            return "nothing to copy: the stages share one directory here"
        for path in self._context(sources):
            to = self.directory / target / _below(path, sources)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / path, to)
        return None

    def _context(self, sources):
        ignore = (ROOT / ".dockerignore").read_text()
        for source in sources:
            top = ROOT / source
            files = [top] if top.is_file() else [path for path in top.rglob("*") if path.is_file()]
            sent = [path for path in files if is_sent(str(path.relative_to(ROOT)), ignore)]
            assert sent, f"COPY {source}: .dockerignore keeps it out"
            yield from (str(path.relative_to(ROOT)) for path in sent)

    def _run(self, step):
        command = re.sub(r"^(--\S+\s+)+", "", step.text)  # mounts are BuildKit's
        if "-o 10001" in command:
            return "not run: the bot runs as ourselves here, and in a directory of its own"
        subprocess.run(
            ["sh", "-ec", self.inside(command)],
            cwd=self.directory,
            env=self.environment(),
            check=True,
        )
        return None if command == step.text else "run without the cache mount"

    def command(self, name):
        return [self.inside(word) if word[0] == "/" else word for word in self.of[name].command()]


WHY_NOT = {
    "FROM": "there is no engine here; this machine's Python stands in",
    "USER": "this machine's Python may lie where that user cannot read",
    "VOLUME": "a directory does for it",
    "STOPSIGNAL": "sent below",
    "HEALTHCHECK": "run below",
    "ENTRYPOINT": "run below",
}


def _below(path, sources):
    """Of a directory that is copied the contents are, of a file its name."""
    source = next(each for each in sources if path == each or path.startswith(f"{each}/"))
    return Path(path).name if path == source else str(Path(path).relative_to(source))


def shows_its_help(image):
    done = subprocess.run(
        [*image.command("ENTRYPOINT"), "--help"],
        env=image.environment(),
        cwd=image.directory,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Usage: telegram-signal-relay" in done.stdout, done.stdout
    print("the entry point shows its help")


async def lives_and_is_watched(image):
    """The entry point as the engine would start it: it relays, is healthy, and stops when told."""
    from tests.loopback.launch import environment  # noqa: PLC0415  # it brings in Pyrogram
    from tests.loopback.telegram import LoopbackTelegram  # noqa: PLC0415
    from tests.stage import Stage  # noqa: PLC0415

    async with LoopbackTelegram() as telegram:
        stage = Stage(telegram, image.directory, token=TOKEN)
        env = image.environment(**stage.env(), HEALTH_PORT=str(_free_port()))
        outside = environment(telegram.server.port, env)
        env |= {name: outside[name] for name in outside if "LOOPBACK" in name}
        env["PYTHONPATH"] = outside["PYTHONPATH"]
        with (image.base / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *image.command("ENTRYPOINT"), env=env, cwd=image.directory, stderr=log
            )
        try:
            assert await _healthy(image, env) != 0, "healthy before it was up"
            async with asyncio.timeout(120):  # nothing is compiled there, and CI is busy
                while await _healthy(image, env) != 0:
                    assert process.returncode is None, (image.base / "log").read_text()
            print("the health check passes")
            await stage.alice.sends(stage.group, "#idea BTC/USDT LONG")
            await stage.shows("#idea BTC/USDT LONG")
            process.send_signal(signal.Signals[image.of["STOPSIGNAL"].text])
            async with asyncio.timeout(20):
                assert await process.wait() == 0, (image.base / "log").read_text()
            print("it relayed a signal, and stopped in order when told")
            assert await _healthy(image, env) != 0, "healthy after it has stopped"
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def _healthy(image, env):
    check = await asyncio.create_subprocess_exec(
        *image.command("HEALTHCHECK"), env=env, cwd=image.directory, stderr=subprocess.DEVNULL
    )
    return await check.wait()


def _free_port():
    """8080 may be somebody's on this machine."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def main():
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="image-") as base:
        image = Image(Path(base))
        for step in steps((ROOT / "Dockerfile").read_text()):
            image.do(step)
        shows_its_help(image)
        asyncio.run(lives_and_is_watched(image))
    print(f"in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
