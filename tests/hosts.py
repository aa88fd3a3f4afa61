"""Several hosts that run the bot on one database, each with a login and with ways of its own that can be cut."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

from tests.conftest import ROOT
from tests.loopback.launch import launch

HERE = "127.0.0.1"


class Way:
    """A TCP proxy that can be cut: then connections stay, and nothing comes through.

    As in a network, what a host sent before comes through later, unless that host has reset the connection.
    """

    def __init__(self, port):
        self._to = port
        self._whole = asyncio.Event()
        self._whole.set()
        self._tasks = set()

    async def begin(self):
        self._server = await asyncio.start_server(self._meet, HERE, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def cut(self):
        self._whole.clear()

    def mend(self):
        self._whole.set()

    async def close(self):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _meet(self, reader, writer):
        task = asyncio.current_task()
        self._tasks.add(task)
        try:
            await self._whole.wait()
            other, there = await asyncio.open_connection(HERE, self._to)
            try:
                await asyncio.gather(self._pass(reader, there), self._pass(other, writer))
            finally:
                there.transport.abort()
        except (OSError, asyncio.CancelledError):
            pass  # whoever is left hears of it by the connection's end
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def _pass(self, source, target):
        held = asyncio.Queue()
        passing = asyncio.create_task(self._hand_on(held, target))
        try:
            while data := await source.read(65536):
                held.put_nowait(data)
            held.put_nowait(b"")
            await passing
        finally:
            passing.cancel()

    async def _hand_on(self, held, target):
        while data := await held.get():
            await self._whole.wait()
            target.write(data)
            with suppress(OSError):
                await target.drain()
        await self._whole.wait()
        target.close()


class Host:
    """`tree`: where the program's code is."""

    def __init__(self, name, stage, address, *, tree=ROOT, **env):
        self.name = name
        self._stage, self._address, self._tree, self._env = stage, address, tree, env
        self.directory = Path(stage.directory, name)
        self.directory.mkdir()
        self.program = None

    async def connect(self):
        """By ways of its own, to both servers."""
        where, _, more = self._address.url.rpartition("@")[2].partition("/")
        self.to_tables = await Way(int(where.rpartition(":")[2])).begin()
        self.to_telegram = await Way(self._stage.telegram.server.port).begin()
        login = self._address.url.rpartition("@")[0]
        self._url = f"{login}@{HERE}:{self.to_tables.port}/{more}"
        return self

    def settings(self, **env):
        return self._stage.env(DATABASE_URL=self._url, LOG_LEVEL="INFO", **{**self._env, **env})

    async def start(self, *command, **env):
        paths = [str(self._tree), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.program = await launch(
            ["-m", "bot", *command],
            port=self.to_telegram.port,
            env={**self.settings(**env), "PYTHONPATH": os.pathsep.join(paths)},
            cwd=self.directory,
        )
        return self.program

    async def leads(self, patience=30):
        await self.program.wait_output('"started"', timeout=patience)

    async def waits(self, patience=30):
        await self.program.wait_output('"standing by"', timeout=patience)

    def cut_off(self):
        self.to_tables.cut()
        self.to_telegram.cut()

    def back(self):
        self.to_tables.mend()
        self.to_telegram.mend()

    async def end(self, patience=30):
        """In order; its exit code."""
        self.program.terminate()
        return await self.program.wait(timeout=patience)

    async def close(self):
        if self.program is not None and self.program.returncode is None:
            with suppress(ProcessLookupError):
                self.program.signal(signal.SIGCONT)
        if self.program is not None:
            await self.program.close()
        await self.to_tables.close()
        await self.to_telegram.close()
