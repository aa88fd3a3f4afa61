"""A program at a terminal of its own, and a person who reads the screen before he types."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import signal
import sys
import termios
from contextlib import suppress

from tests.loopback.launch import environment

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Screen:
    """`raw` is all that came, `read` what of it was not looked at yet."""

    def __init__(self, process, master):
        self.process = process
        self._master = master
        self._news = asyncio.Event()
        self._ended = False
        self._seen = 0
        self._bytes = b""
        asyncio.get_running_loop().add_reader(master, self._on_output)

    @classmethod
    async def open(cls, *arguments, port, cwd, env=(), program=(sys.executable, "-m", "bot")):
        master, slave = pty.openpty()

        def at_a_terminal():
            os.login_tty(slave)  # so that Ctrl-C is a signal
            # Whoever runs the tests in the background has it ignored, by inheritance.
            signal.signal(signal.SIGINT, signal.SIG_DFL)

        process = await asyncio.create_subprocess_exec(
            *program,
            *arguments,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=cwd,
            env={"TERM": "xterm-256color", **environment(port, dict(env))},
            preexec_fn=at_a_terminal,
        )
        os.close(slave)
        return cls(process, master)

    def _on_output(self):
        try:
            news = os.read(self._master, 65536)
        except OSError:  # the other side is closed
            news = b""
        if news:
            self._bytes += news
        else:
            self._ended = True
            asyncio.get_running_loop().remove_reader(self._master)
        self._news.set()
        self._news = asyncio.Event()

    @property
    def raw(self):
        return self._bytes.decode(errors="replace")

    @property
    def text(self):
        return ESCAPES.sub("", self.raw).replace("\r\n", "\n")

    async def shows(self, *texts, timeout=20):  # noqa: ASYNC109 - the failure shows the screen
        """Until each stands below the one before, and all below what was waited for earlier."""
        try:
            async with asyncio.timeout(timeout):
                for text in texts:
                    while (at := self.text.find(text, self._seen)) < 0:
                        assert not self._ended, f"ended without {text!r}:\n{self.text}"
                        await self._news.wait()
                    self._seen = at + len(text)
        except TimeoutError:
            raise AssertionError(
                f"no {text!r} below {self.text[: self._seen]!r}, but:\n{self.text[self._seen :]}"
            ) from None

    async def answers(self, question, typed):
        await self.shows(question)
        self.types(typed)

    async def repeats(self, question, typed, *, until):
        """The same answer until the text is there; then the question stands unanswered."""
        began = self._seen
        async with asyncio.timeout(20):
            await self.shows(question)
            while until not in self.text[began:]:
                self.types(typed)
                await self.shows(question)

    def types(self, line):
        os.write(self._master, f"{line}\n".encode())

    def presses(self, key):
        os.write(self._master, key)

    @property
    def echoes(self):
        return bool(termios.tcgetattr(self._master)[3] & termios.ECHO)

    async def ends(self):
        async with asyncio.timeout(20):
            code = await self.process.wait()
            while not self._ended:
                await self._news.wait()
        return code

    async def close(self):
        with suppress(ProcessLookupError):
            self.process.kill()
        await self.ends()
        os.close(self._master)
