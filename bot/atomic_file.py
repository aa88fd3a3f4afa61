"""A file that the user named, written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from bot.errors import BotError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator


class AtomicFile:
    """What was there before stays until the new one is complete.

    Raises `UsageError` before there is anything to write, where nothing could be written; `option` is
    what the user calls the file by.
    """

    def __init__(self, path: Path, *, option: str) -> None:
        self._path = path
        try:
            why_not = _why_not(path)
        except OSError as exc:
            why_not = exc.strerror
        if why_not is not None:
            raise UsageError(f"{option}: {path}: {why_not}")

    @contextmanager
    def writing(self) -> Iterator[TextIO]:
        """It takes the old one's place at the end, unless an error ends this. UTF-8, lines as given."""
        try:
            with tempfile.TemporaryDirectory(
                prefix=".unfinished-", dir=self._path.parent
            ) as folder:
                made = Path(folder, "new")
                with made.open("w", encoding="utf-8", newline="") as out:
                    yield out
                made.replace(self._path)
        except OSError as exc:
            raise BotError(f"{self._path}: {exc.strerror}") from exc


def _why_not(path: Path) -> str | None:
    if str(path) == "-" or (path.exists() and not path.is_file()):  # `-`: elsewhere, no file
        return "is not a file"
    if not path.parent.is_dir():
        return "there is no such directory"
    if not os.access(path.parent, os.W_OK):
        return "the directory cannot be written to"
    return None
