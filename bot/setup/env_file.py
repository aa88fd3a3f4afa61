"""`.env` read and written so that what python-dotenv reads back is what was meant.

Not by `dotenv.set_key`: it takes no heed of backslashes and `${…}`, and writes one setting at a
time by way of a directory that others use.
"""

from __future__ import annotations

import io
import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from bot.env_text import read
from bot.errors import SettingsError
from bot.phrases import phrase

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["changed", "quoted", "read", "refuse_unwritable", "values", "write"]

# What docker, systemd and python-dotenv agree on without any quotes.
PLAIN: Final = re.compile(r"[A-Za-z0-9_@:,.+/=-]+")
# Every `${…}` is expanded, within any quotes, and there is no escape. One without a name is never
# set, and so stands for its default.
DOLLAR, BACKSLASH = "${:-$}", "${:-\\}"


def values(text: str) -> dict[str, str]:
    """What is set, by name in upper case; lines without a value set nothing."""
    found = dotenv_values(stream=io.StringIO(text))
    return {name.upper(): value for name, value in found.items() if value}


def quoted(value: str) -> str:
    """The value as it stands behind `NAME=`."""
    if not value or PLAIN.fullmatch(value):
        return value
    # A backslash before the closing quote would hide that from older versions of the library.
    body, last = (value[:-1], BACKSLASH) if value.endswith("\\") else (value, "")
    body = body.replace("\\", "\\\\").replace("${", f"{DOLLAR}{{")
    if "\n" in value or "\r" in value:
        body = body.replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
        return f'"{body}{last}"'
    body = body.replace("'", "\\'")
    return f"'{body}{last}'"


def changed(text: str, changes: Mapping[str, str | None]) -> str:
    """The same file with other values; None takes a setting out. All else stays, comments too."""
    open_changes = dict(changes)
    kept = "".join(_lines(text, open_changes))
    if kept and not kept.endswith("\n"):
        kept += "\n"
    added = (_line(name, value) for name, value in open_changes.items() if value is not None)
    return kept + "".join(added)


def _lines(text: str, changes: dict[str, str | None]) -> Iterator[str]:
    """The lines that stay; of `changes`, what has found its place is taken out."""
    written: set[str] = set()
    for binding in parse_stream(io.StringIO(text)):
        name = (binding.key or "").upper()
        if name not in changes and name not in written:
            yield binding.original.string
        elif name in changes:
            written.add(name)
            # Blank lines before a setting belong to it, as the library reads them.
            before = re.match(r"\s*\n", binding.original.string)
            yield before[0] if before else ""
            value = changes.pop(name)
            yield "" if value is None else _line(name, value)


def _line(name: str, value: str) -> str:
    return f"{name}={quoted(value)}\n"


def refuse_unwritable(path: Path) -> None:
    """Raise `SettingsError` before anybody is asked anything in vain."""
    if not os.access(_real(path).parent, os.W_OK | os.X_OK):
        raise SettingsError(
            phrase("{file}: cannot be written: no permission to write in its directory", file=path)
        )


def write(path: Path, text: str) -> None:
    """All of it or nothing, also if we are killed or the power fails; its owner's alone to read.

    A link is followed. Raises `SettingsError`.
    """
    path = _real(path)
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise
        _sync(path.parent)
    except OSError as exc:
        raise SettingsError(
            phrase("{file}: cannot be written: {error}", file=path, error=exc.strerror)
        ) from exc


def _real(path: Path) -> Path:
    return path.resolve()


def _sync(directory: Path) -> None:
    """Or the new name could be lost with the power."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
