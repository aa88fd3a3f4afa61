"""One reading of an export: its bytes for a parser, and damage told with its place."""

from __future__ import annotations

import io
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from bot.errors import ExportError
from bot.history.export_file import BOM, UNREADABLE, why_unreadable
from bot.history.json_items import DAMAGE, exhaust, tokens
from bot.history.mended_json import Mended

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.history.export_file import ExportFile, Unpacked
    from bot.history.json_items import Token


class Feed:
    """Raises `ExportError` for whatever keeps from reading on."""

    def __init__(self, file: ExportFile, *, single_bytes_from: int | None = None) -> None:
        self.position = 0  # bytes, unpacked
        self._file = file
        self._single_bytes_from = single_bytes_from
        self._chunk_start = 0
        self._ended = False
        self._mended = Mended()
        self._bytes: Unpacked

    @property
    def file_position(self) -> int:
        """How much of the file on the disk has been read, in bytes."""
        return self._bytes.position

    @contextmanager
    def tokens(self) -> Iterator[Iterator[Token]]:
        """Of JSON. As ijson gives them: there are thirty in a message, and each way would be gone as often."""
        try:
            with self._opened():
                yield tokens(self)
        except DAMAGE as exc:
            offset = self._locate()
            why = "it ends too early" if self._ended else _why(exc)
            raise ExportError(
                f"{self._file.name} is damaged at byte {offset}: {why}", offset=offset
            ) from exc

    def lines(self) -> Iterator[str]:
        """Of text in UTF-8. Raises `UnicodeError`, too."""
        with self._opened():
            yield from _lines(self)

    @contextmanager
    def _opened(self) -> Iterator[None]:
        with ExitStack() as opened:
            try:
                self._bytes = opened.enter_context(self._file.open())
                if self._bytes.peek().startswith(BOM):
                    self.position = len(self._bytes.read(len(BOM)))
            except UNREADABLE as exc:
                raise self._unreadable(exc) from exc
            yield

    def read(self, size: int) -> bytes:
        """As ijson asks for JSON, mended."""
        if size == 0:  # ijson's way to ask whether this is a binary file
            return b""
        data = b""
        while not (data or self._ended):  # an empty answer would mean the end
            if self._single_bytes_from is not None:
                size = min(size, max(1, self._single_bytes_from - self.position))
            self._chunk_start = self.position
            fresh = self.take(size)
            self._ended = not fresh
            data = self._mended.next(fresh, last=self._ended)
        return data

    def take(self, size: int) -> bytes:
        """As they are written."""
        try:
            fresh = self._bytes.read(size)
        except UNREADABLE as exc:
            raise self._unreadable(exc) from exc
        self.position += len(fresh)
        return fresh

    def _unreadable(self, exc: Exception) -> ExportError:
        return ExportError(
            f"{self._file.name} cannot be read: {why_unreadable(exc)}", offset=self.position
        )

    def _locate(self) -> int:
        """The byte at which parsing failed.

        All that ijson tells is the chunk, so the file is read once more, that chunk byte by byte.
        """
        if self._ended:
            return self.position
        if self._single_bytes_from is not None:
            return self.position - 1
        again = Feed(self._file, single_bytes_from=self._chunk_start)
        with suppress(ExportError), again.tokens() as found:
            exhaust(found)
        return again.position if again._ended else again.position - 1


class _Raw(io.RawIOBase):
    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._feed.take(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _lines(feed: Feed) -> Iterator[str]:
    return io.TextIOWrapper(io.BufferedReader(_Raw(feed)), encoding="utf-8", newline="")


def _why(exc: Exception) -> str:
    """One line. yajl's own goes on with an excerpt and an arrow, and is bytes if that is no text."""
    if isinstance(exc, UnicodeError):
        return "a text that is not valid Unicode"
    text = exc.args[0]
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    return str(text).partition("\n")[0].rstrip(".")
