"""Running a program, unmodified, against the loopback server."""

import asyncio
import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests import forkserver
from tests.loopback.handshake import RSA_EXPONENT, RSA_FINGERPRINT, RSA_MODULUS
from tests.loopback.transport import HOST

SECRETS = ("API_HASH", "BOT_TOKEN", "SESSION_STRING")
REDIRECTION = Path(__file__).parent / "redirection"
LINE_MAX = 2**26  # bytes: at DEBUG, a difference is one line
SHORTEST = 8  # characters of a secret


def environment(port: int, env: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment, `env` on top, and what `sitecustomize` reads."""
    merged = {**os.environ, "LOG_LEVEL": "DEBUG", "LANGUAGE": "en", **(env or {})}
    paths = [str(REDIRECTION), *filter(None, [merged.get("PYTHONPATH")])]
    merged["PYTHONPATH"] = os.pathsep.join(paths)
    merged["PYTHONUNBUFFERED"] = "1"
    merged["LOOPBACK_TELEGRAM_ADDRESS"] = f"{HOST}:{port}"
    merged["LOOPBACK_TELEGRAM_KEY"] = f"{RSA_FINGERPRINT:x}:{RSA_MODULUS:x}:{RSA_EXPONENT:x}"
    return merged


class Program:
    """A running program. `stdout` and `stderr` hold what it has printed so far.

    Whatever happens to it, none of its `secrets` may be among that, at the lowest log level.
    """

    def __init__(self, process: forkserver.Process, secrets: Sequence[str] = ()) -> None:
        self._process = process
        self._secrets = secrets
        self._news = asyncio.Event()
        self._printed: dict[str, list[str]] = {"stdout": [], "stderr": []}
        self._readers = [
            asyncio.create_task(self._read(process.stdout, "stdout")),
            asyncio.create_task(self._read(process.stderr, "stderr")),
        ]

    @property
    def stdout(self) -> str:
        return "".join(self._printed["stdout"])

    @property
    def stderr(self) -> str:
        return "".join(self._printed["stderr"])

    @property
    def output(self) -> str:
        return self.stdout + self.stderr

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.returncode

    async def _read(self, stream: asyncio.StreamReader | None, name: str) -> None:
        while stream is not None and (line := await stream.readline()):
            self._printed[name].append(line.decode(errors="replace"))
            self._tell()
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def wait_output(
        self,
        text: str,
        *,
        timeout: float = 20,  # noqa: ASYNC109 - the failure must show the output
        count: int = 1,
    ) -> None:
        """Until `text` was printed `count` times; fails when the program ends without it."""
        try:
            async with asyncio.timeout(timeout):
                while self.output.count(text) < count:
                    if all(reader.done() for reader in self._readers):
                        raise AssertionError(f"ended without printing {text!r}:\n{self.output}")
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"no {text!r} in {timeout} s:\n{self.output}") from None

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()

    async def wait(
        self,
        timeout: float = 20,  # noqa: ASYNC109 - a hung program must not hang the suite
    ) -> int:
        """Its exit code, once it has ended and all it printed was read."""
        async with asyncio.timeout(timeout):
            await self._process.wait()
            await asyncio.gather(*self._readers)
        assert [secret for secret in self._secrets if secret in self.output] == []
        return self._process.returncode or 0

    async def close(self) -> None:
        """End it if it has not ended."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.kill()
        await self.wait()


async def launch(
    arguments: Sequence[str],
    *,
    port: int,
    env: Mapping[str, str] | None = None,
    cwd: str | Path | None = None,
) -> Program:
    """Start this interpreter with these arguments."""
    process = await forkserver.start(
        list(arguments), env=environment(port, env), cwd=cwd or Path.cwd(), limit=LINE_MAX
    )
    given = [(env or {}).get(name, "") for name in SECRETS]
    return Program(process, [part for secret in given for part in _parts(secret)])


def _parts(secret: str) -> list[str]:
    """The whole, and the half of a token that is secret, where they are no mere words."""
    return [part for part in (secret, secret.partition(":")[2]) if len(part) >= SHORTEST]
