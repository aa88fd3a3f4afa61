"""Questions to a person at a terminal, while the event loop goes on."""

from __future__ import annotations

import asyncio
import os
import termios
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from rich.console import Console

    from bot.phrases import Say

LOCAL_MODES: Final = 3  # where `tcgetattr` has the flag for the echo
AT_ONCE: Final = 4096  # bytes; a terminal gives no longer line


class Terminal:
    """Asks and tells. All texts are plain: no markup in them is read.

    Not by rich's prompts, which wait in `input`: while they did, no update was heard and the
    connection died; and in a thread of their own Ctrl-C would not end them.
    """

    def __init__(self, console: Console, stdin: int) -> None:
        self._in_words: Say = str
        self._console = console
        self._stdin = stdin
        self._typed = b""
        self._question: str | None = None  # None: none is open

    def speaks(self, language: Say) -> None:
        """From now on; until then it is English."""
        self._in_words = language

    def in_words(self, text: str) -> str:
        """As it is said here."""
        return self._in_words(text)

    def say(self, text: str = "", style: str = "") -> None:
        """One line or more. It may come between a question and its answer."""
        if self._question is not None:
            self._console.print()
        self._console.print(Text(self._in_words(text), style), soft_wrap=True)
        if self._question is not None:
            self._ask(self._question)

    def working(self, what: str) -> AbstractContextManager[object]:
        return self._console.status(Text(self._in_words(what)))

    async def ask(self, question: str, *, hidden: bool = False) -> str:
        """What is typed, without the space around it. Raises `EOFError` if nothing will be."""
        with self._hidden() if hidden else self._shown():
            self._question = question
            try:
                self._ask(question)
                return await self._line()
            finally:
                self._question = None

    def _ask(self, question: str) -> None:
        self._console.print(Text(f"{self._in_words(question)} ", "bold"), end="", soft_wrap=True)

    async def _line(self) -> str:
        loop = asyncio.get_running_loop()
        while b"\n" not in self._typed:
            ready = loop.create_future()
            loop.add_reader(self._stdin, ready.set_result, None)
            try:
                await ready
            finally:
                loop.remove_reader(self._stdin)
            read = _read(self._stdin)
            if not read:
                raise EOFError
            self._typed += read
        line, _, self._typed = self._typed.partition(b"\n")
        return line.decode(errors="replace").strip()

    @contextmanager
    def _shown(self) -> Iterator[None]:
        yield

    @contextmanager
    def _hidden(self) -> Iterator[None]:
        """As `getpass` does it; what was typed before, and seen, is no answer."""
        before = termios.tcgetattr(self._stdin)
        quiet = termios.tcgetattr(self._stdin)
        quiet[LOCAL_MODES] &= ~termios.ECHO
        self._typed = b""
        termios.tcsetattr(self._stdin, termios.TCSAFLUSH, quiet)
        try:
            yield
        finally:
            termios.tcsetattr(self._stdin, termios.TCSADRAIN, before)
            self._console.print()  # the end of the line that was typed was not seen either


def _read(handle: int) -> bytes:
    """Empty at the end, and when the terminal is gone."""
    try:
        return os.read(handle, AT_ONCE)
    except OSError:
        return b""
