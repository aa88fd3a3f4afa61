"""`python -m bot` as a process of its own, without the second that its imports take.

A server, started by the first call, has imported everything and runs nothing. For each program it
forks a child, which gets the arguments, directory, environment and streams of a program that was
just started, and ends as one. What asks for more (another locale, code that runs before the
program) is not `forkable`, and is started in the ordinary way. Linux only, for `pidfd_open`.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import gc
import importlib
import io
import json
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
REDIRECTION = ROOT / "tests" / "loopback" / "redirection"
PATHS = frozenset({str(ROOT), str(REDIRECTION)})
LINES = "tests.lines"  # looks at what is imported after it
NEVER = ("bot.__main__", "bot.storage.migrations")  # run, and read by Alembic
# What Python reads before its first line, and what of that changes nothing or is made up for.
AT_START = ("PYTHON", "LC_", "LANG")
HARMLESS = frozenset({"PYTHONPATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "LANGUAGE"})
REQUEST_MAX = 2**20  # bytes


def forkable(arguments: Sequence[str], env: Mapping[str, str]) -> bool:
    if arguments[:2] != ["-m", "bot"] or not hasattr(os, "pidfd_open"):
        return False
    paths = filter(None, env.get("PYTHONPATH", "").split(os.pathsep))
    return PATHS.issuperset(paths) and all(
        name in HARMLESS or value.upper().endswith("UTF-8")
        for name, value in env.items()
        if name.startswith(AT_START)
    )


# ── asking ──


class Child:
    """A program that the server has forked; its exit code is minus the signal that ended it."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.pid = int(_receive(connection))
        self.returncode: int | None = None

    def fileno(self) -> int:
        return self._connection.fileno()

    def ended(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises `TimeoutError`."""
        if self.returncode is None:
            self._connection.settimeout(timeout)
            self.returncode = int(_receive(self._connection))
            self._connection.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)


def fork(
    arguments: Sequence[str],
    env: Mapping[str, str],
    cwd: str | Path,
    streams: Sequence[int],
    umask: int = -1,
) -> Child:
    """Start `python -m bot` with the arguments behind that; `streams` are its 0, 1 and 2."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.connect(address())
    request = {"arguments": arguments[2:], "env": dict(env), "cwd": str(cwd), "umask": umask}
    socket.send_fds(connection, [json.dumps(request).encode()], streams)
    return Child(connection)


def run(
    arguments: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: str | Path,
    timeout: float,
    umask: int = -1,
    preexec_fn: Callable[[], None] | None = None,
    stdin: io.IOBase | None = None,
    stdout: int | io.IOBase = subprocess.PIPE,
    stderr: int | io.IOBase = subprocess.PIPE,
) -> subprocess.CompletedProcess[str]:
    """`subprocess.run` of this interpreter, in as far as the tests need it."""
    if preexec_fn is not None or not forkable(arguments, env):
        return subprocess.run(
            [sys.executable, *arguments],
            env=env,
            cwd=cwd,
            timeout=timeout,
            umask=umask,
            preexec_fn=preexec_fn,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            text=True,
            check=False,
        )
    with contextlib.ExitStack() as stack:
        given = [_sink(stream, stack) for stream in (stdout, stderr)]
        asked = 0 if stdin is None else stdin.fileno()
        child = fork(arguments, env, cwd, [asked, *(sink.fileno() for sink in given)], umask)
        try:
            code = child.ended(timeout)
        except TimeoutError:
            child.send_signal(signal.SIGKILL)
            raise
        out, err = (
            _text(stream, sink) for stream, sink in zip((stdout, stderr), given, strict=True)
        )
    return subprocess.CompletedProcess(arguments, code, out, err)


def _sink(stream, stack):
    return (
        stack.enter_context(tempfile.TemporaryFile("w+")) if stream == subprocess.PIPE else stream
    )


def _text(stream, sink):
    if stream != subprocess.PIPE:
        return None
    sink.seek(0)
    return sink.read()


class Process:
    """What the tests use of an `asyncio.subprocess.Process`."""

    def __init__(self, child: Child, stdout: asyncio.StreamReader, stderr: asyncio.StreamReader):
        self._child = child
        self.stdout, self.stderr = stdout, stderr
        self._end = asyncio.Event()
        asyncio.get_running_loop().add_reader(child, self._on_end)

    def _on_end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._child)
        self._child.ended()
        self._end.set()

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def returncode(self) -> int | None:
        return self._child.returncode

    def send_signal(self, number: int) -> None:
        self._child.send_signal(number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int | None:
        await self._end.wait()
        return self.returncode


async def start(
    arguments: Sequence[str], *, env: Mapping[str, str], cwd: str | Path, limit: int
) -> Process | asyncio.subprocess.Process:
    """This interpreter with these arguments, nothing to read, and its output in pipes."""
    if not forkable(arguments, env):
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=env,
            cwd=cwd,
            limit=limit,
        )
    with Path(os.devnull).open("rb") as nothing:  # noqa: ASYNC230 - it has nothing to wait for
        (out, printed), (err, complained) = os.pipe(), os.pipe()
        child = await asyncio.to_thread(
            fork, arguments, env, cwd, [nothing.fileno(), printed, complained]
        )
        os.close(printed)
        os.close(complained)
    return Process(child, await _reader(out, limit), await _reader(err, limit))


async def _reader(pipe: int, limit: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=limit)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(pipe, "rb", buffering=0)
    )
    return reader


@functools.cache
def address() -> str:
    """Start the server; it ends with this process."""
    address = f"\0telegram-signal-relay-tests-{os.getpid()}-{time.monotonic_ns()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(address)
        listening.listen(64)
        usual = {name: os.environ[name] for name in os.environ if not name.startswith(AT_START)}
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.forkserver", str(listening.fileno())],
            env={**usual, "PYTHONPATH": os.pathsep.join((str(ROOT), str(REDIRECTION)))},
            cwd=ROOT,
            stdin=subprocess.PIPE,  # it ends when we do
            pass_fds=[listening.fileno()],
        )
    atexit.register(server.communicate)
    return address


def _receive(connection: socket.socket) -> bytes:
    if not (answer := connection.recv(64)):
        raise RuntimeError("the server of programs has ended")
    return answer


# ── the server ──


def serve(listening: socket.socket) -> dict | None:
    """Fork for each request. Returns in the children, with the request; at last, with None."""
    waiting = selectors.DefaultSelector()
    waiting.register(listening, selectors.EVENT_READ)
    waiting.register(0, selectors.EVENT_READ)
    running: dict[int, tuple[int, socket.socket]] = {}
    while True:
        for key, _ in waiting.select():
            if key.fd == 0:
                return None
            if key.fd in running:
                pid, connection = running.pop(key.fd)
                waiting.unregister(key.fd)
                os.close(key.fd)
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                with contextlib.suppress(OSError), connection:
                    connection.send(str(code).encode())
                continue
            connection, _ = listening.accept()
            request, streams, *_ = socket.recv_fds(connection, REQUEST_MAX, 3)
            if not (pid := os.fork()):
                waiting.close()
                for ours in (listening, connection, *(other for _, other in running.values())):
                    ours.detach()  # or it would close a file of the program's some day
                become(streams)
                return json.loads(request)
            for stream in streams:
                os.close(stream)
            connection.send(str(pid).encode())
            process = os.pidfd_open(pid)
            running[process] = (pid, connection)
            waiting.register(process, selectors.EVENT_READ)


def become(streams: Sequence[int]) -> None:
    """Nothing open but the three streams of one's own."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))


def dress(request: dict) -> None:
    """Be what Python would have made of such a start."""
    os.chdir(request["cwd"])
    if request["umask"] >= 0:
        os.umask(request["umask"])
    tempfile.tempdir = None
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    unbuffered = "PYTHONUNBUFFERED" in os.environ
    for number, name, errors in (
        (1, "stdout", sys.stdout.errors),
        (2, "stderr", "backslashreplace"),
    ):
        raw = open(number, "wb", buffering=0 if unbuffered else -1, closefd=False)  # noqa: SIM115
        stream = io.TextIOWrapper(
            raw,
            errors=errors,
            write_through=unbuffered,
            line_buffering=unbuffered or name == "stderr" or raw.isatty(),
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    sys.argv = ["bot", *request["arguments"]]
    sys.path[0] = request["cwd"]
    if "LOOPBACK_TELEGRAM_ADDRESS" in os.environ:
        redirection = importlib.import_module("loopback_redirection")
        redirection.redirect(*redirection.told(os.environ))


def main() -> None:
    listening = socket.socket(fileno=int(sys.argv[1]))
    importlib.import_module(LINES)
    import_all()
    assert threading.active_count() == 1  # a fork takes no other thread along
    gc.freeze()  # what is here is never garbage, and looking for it would copy each page
    if (request := serve(listening)) is not None:
        dress(request)
        code = played()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # tidying up all that was imported takes longer than most programs run


def import_all() -> None:
    """What a program imports when it first needs it, too."""
    package = importlib.import_module("bot")
    for module in pkgutil.walk_packages(package.__path__, "bot."):
        if not module.name.startswith(NEVER):
            importlib.import_module(module.name)
    importlib.import_module("rich.progress")


def played() -> int:
    """Run the program, and all that Python runs at its end."""
    try:
        runpy.run_module("bot", run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code
        if code is not None and not isinstance(code, int):
            print(code, file=sys.stderr)
            code = 1
    except BaseException:  # noqa: BLE001 - as Python does with what nobody caught
        traceback.print_exc()
        code = 1
    threading._shutdown()  # noqa: SLF001 - has no public name
    atexit._run_exitfuncs()  # noqa: SLF001 - as above
    return code or 0


if __name__ == "__main__":
    main()
