"""Tests in several processes, forked from one that has collected them all; a plugin of pytest.

    python -m pytest -p tests.processes --processes 4

Importing the libraries and collecting the tests takes a process as long as running a thousand of
them. Here that is done once. The processes take their tests from one pipe, the long ones first, and
tell what came out of them on another; what is collected from here on is shared, and never garbage.
"""

from __future__ import annotations

import atexit
import fcntl
import gc
import json
import os
import selectors
import socket
import struct
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from _pytest.unraisableexception import collect_unraisable

from tests import forkserver

NUMBERS = struct.Struct("!II")  # a pipe gives as much at once
PIPE = 2**20  # bytes that it holds, as much as Linux allows everybody
READ = 2**16  # bytes
# Objects between two looks for garbage, and looks between those at older ones. Python looks ten times
# as often, which takes a process that makes and forgets all day 6 % of its time instead of 2.
LITTER = (10_000, 10, 10)
YOUNG, OLDEST = 1, 2  # of Python's generations of objects


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--processes", type=int, default=1, metavar="N", help="to run the tests in")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("processes") > 1:
        gc.disable()  # what is imported and collected stays


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """What a test has forgotten complains there, and not in the midst of another.

    Before 3.12 it must not do so while a text is parsed: https://github.com/python/cpython/issues/106905.
    """
    yield
    gc.collect(OLDEST if nextitem is None else YOUNG)
    collect_unraisable(item.config)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    gc.set_threshold(*LITTER)
    gc.enable()
    processes = min(session.config.getoption("processes"), len(session.items))
    if processes < 2 or session.testsfailed or session.config.option.collectonly:
        return None  # pytest's own way
    if any(item.get_closest_marker("played") for item in session.items):
        forkserver.address()  # one for all of them
    session.config._tmp_path_factory.getbasetemp()  # noqa: SLF001 - has no public name
    gc.freeze()  # looking for garbage among all that would copy each page
    Controller(session, processes).run()
    return True


@dataclass(eq=False)
class Worker:
    number: int
    pid: int
    told: socket.socket
    running: int | None = None  # the test's place in the session
    rest: bytes = b""

    def messages(self) -> Iterator[list]:
        """What it has told since; `EOFError` when it has ended."""
        if not (read := self.told.recv(READ)):
            raise EOFError
        *lines, self.rest = (self.rest + read).split(b"\n")
        return map(json.loads, lines)


@dataclass
class Controller:
    """Hands out the tests and reports what came out of them, as pytest does that runs them itself."""

    session: pytest.Session
    processes: int
    left: set[int] = field(default_factory=set)  # places of tests that have not come to their end
    workers: list[Worker] = field(default_factory=list)

    def run(self) -> None:
        self.left.update(range(len(self.session.items)))
        queue = filled(in_their_order(self.session.items))
        waiting = selectors.DefaultSelector()
        for number in range(self.processes):
            self.workers.append(worker := self._started(number, queue))
            waiting.register(worker.told, selectors.EVENT_READ, worker)
        try:
            while waiting.get_map():
                for key, _ in waiting.select():
                    try:
                        self._hear(key.data)
                    except EOFError:
                        waiting.unregister(key.fileobj)
                        self._ended(key.data)
                if self.session.shouldfail or self.session.shouldstop:
                    emptied(queue)
        finally:
            emptied(queue)
            os.close(queue)
        self._stop_as_told()

    def _started(self, number: int, queue: int) -> Worker:
        ours, theirs = socket.socketpair()
        sys.stdout.flush()
        if pid := os.fork():
            theirs.close()
            return Worker(number, pid, ours)
        for each in (ours, *(worker.told for worker in self.workers)):
            each.close()
        code = 1
        try:
            work(self.session, number, queue, theirs)
            code = 0
        except KeyboardInterrupt:
            code = 2
        except BaseException:  # noqa: BLE001 - as Python does with what nobody caught
            traceback.print_exc()
        finally:
            os._exit(code)

    def _hear(self, worker: Worker) -> None:
        hook, config = self.session.config.hook, self.session.config
        for kind, told in worker.messages():
            if kind == "report":
                if isinstance(told["longrepr"], list):  # where and why it was skipped
                    told["longrepr"] = tuple(told["longrepr"])
                report = hook.pytest_report_from_serializable(config=config, data=told)
                hook.pytest_runtest_logreport(report=report)
                continue
            item = self.session.items[told]
            if kind == "start":
                worker.running = told
                hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
            else:
                worker.running = None
                self.left.discard(told)
                hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)

    def _ended(self, worker: Worker) -> None:
        worker.told.close()
        code = os.waitstatus_to_exitcode(os.waitpid(worker.pid, 0)[1])
        if worker.running is not None:
            self.left.discard(worker.running)
            self._failed(worker.running, f"its process ended with {code}")

    def _failed(self, place: int, why: str) -> None:
        item = self.session.items[place]
        report = pytest.TestReport(item.nodeid, item.location, {}, "failed", why, "call")
        item.ihook.pytest_runtest_logreport(report=report)

    def _stop_as_told(self) -> None:
        if self.session.shouldfail:
            raise self.session.Failed(self.session.shouldfail)
        if self.session.shouldstop:
            raise self.session.Interrupted(self.session.shouldstop)
        for place in sorted(self.left):
            self._failed(place, "not run: the process that was to run it had ended")


# ── the queue ──


def in_their_order(items: Sequence[pytest.Item]) -> list[range]:
    """The long ones first, lest one process is left with some of them at the end; before those what waits.

    Programs that are played on wait for one another more than they compute, and have the most patience
    with each other. What only computes fills the processors at any time, and least notices who else does.

    What a module's tests share may take longer than they do: those that ask for it stay together.
    """
    groups: list[range] = []
    for place, item in enumerate(items):
        if place and (shared := shares(item)) and shared == shares(items[place - 1]):
            groups[-1] = range(groups[-1].start, place + 1)
        else:
            groups.append(range(place, place + 1))
    return sorted(
        groups, key=lambda group: max(map(takes, items[group.start : group.stop])), reverse=True
    )


def takes(item: pytest.Item) -> tuple[bool, bool]:
    """Whether long, and whether it waits meanwhile."""
    marked = item.get_closest_marker
    return bool(marked("long") or marked("heavy")), bool(marked("played"))


def shares(item: pytest.Item) -> list[object]:
    """The fixtures of its module that it asks for."""
    asked = getattr(item, "_fixtureinfo", None)  # has no public name
    known = asked.name2fixturedefs.values() if asked else ()
    return [each[-1] for each in known if each[-1].scope == "module"]


def filled(groups: Sequence[range]) -> int:
    """A pipe of all of them, which whoever runs tests reads from."""
    read, write = os.pipe()
    if len(groups) * NUMBERS.size > 2**16:
        fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, PIPE)
    os.write(write, b"".join(NUMBERS.pack(group.start, group.stop) for group in groups))
    os.close(write)
    return read


def taken(queue: int) -> Iterator[int]:
    while read := os.read(queue, NUMBERS.size):
        yield from range(*NUMBERS.unpack(read))


def emptied(queue: int) -> None:
    while os.read(queue, PIPE):
        pass


# ── in the processes ──


class Telling:
    """What pytest would show, sent to who shows it."""

    def __init__(self, config: pytest.Config, to: socket.socket) -> None:
        self._config, self._to = config, to
        self._told: list[str] = []

    def tell(self, kind: str, what: object) -> None:
        self._told.append(json.dumps([kind, what]) + "\n")

    def send(self) -> None:
        """All at once, so that whoever listens wakes once for each test."""
        self._to.sendall("".join(self._told).encode())
        self._told.clear()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        hook = self._config.hook
        self.tell("report", hook.pytest_report_to_serializable(config=self._config, report=report))


def work(session: pytest.Session, number: int, queue: int, to: socket.socket) -> None:
    config = session.config
    be_quiet(config)
    factory = config._tmp_path_factory  # noqa: SLF001 - as above
    factory._basetemp = factory.mktemp(f"process-{number}", numbered=False)  # noqa: SLF001
    telling = Telling(config, to)
    config.pluginmanager.register(telling)
    places = taken(queue)
    place = next(places, None)
    while place is not None and not (session.shouldfail or session.shouldstop):
        following = next(places, None)
        item, after = session.items[place], None if following is None else session.items[following]
        telling.tell("start", place)
        telling.send()
        config.hook.pytest_runtest_protocol(item=item, nextitem=after)
        telling.tell("end", place)
        place = following
    telling.send()
    atexit._run_exitfuncs()  # noqa: SLF001 - as above


def be_quiet(config: pytest.Config) -> None:
    """Show nothing oneself, and catch what tests print in files of one's own."""
    capture = config.pluginmanager.getplugin("capturemanager")
    capture.stop_global_capturing()
    with open(os.devnull, "w", encoding="utf-8") as nothing:  # noqa: PTH123 - no path of ours
        os.dup2(nothing.fileno(), 1)
    capture.start_global_capturing()
    capture.suspend_global_capture()
