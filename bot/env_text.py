"""`.env` as text: read in the one encoding it has, with a line of advice for every other one.

Half of a file that could not be read would be worse than none: what its other lines say would be in force.
"""

from __future__ import annotations

import codecs
import io
import stat
from typing import TYPE_CHECKING, Final

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from bot.errors import SettingsError
from bot.faults import fault
from bot.phrases import later, phrase

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

ENCODING: Final = "utf-8-sig"  # Windows' editors put a mark before UTF-8
SECRET_OF: Final = "WEBHOOK_SECRET_"  # noqa: S105  # the beginning of names of settings
TWICE: Final = later("says {name} otherwise than line {first} does: keep one of them")
UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read(path: Path) -> str:
    """The file's text; none if there is no such file. Raises `SettingsError`."""
    try:
        return decoded(path)
    except FileNotFoundError:
        return ""


def decoded(path: Path) -> str:
    """Of any file that an operator writes. Raises `FileNotFoundError` and, with the mend, `SettingsError`."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise
    except IsADirectoryError as exc:
        # Docker makes one, where a file was to be mounted that is not there.
        raise _unread(path, phrase("it is a directory: put a file in its place")) from exc
    except OSError as exc:
        raise _unread(path, exc.strerror or type(exc).__name__) from exc
    if raw.startswith(UTF_16) or b"\0" in raw:
        raise _unread(path, phrase("it is UTF-16 text or none: save it as UTF-8"))
    try:
        return raw.decode(ENCODING)
    except UnicodeDecodeError as exc:
        line = raw.count(b"\n", 0, exc.start) + 1
        not_text = phrase("line {line} is not UTF-8 text: save the file as UTF-8", line=line)
        raise _unread(path, not_text) from exc


def _unread(path: Path, why: str) -> SettingsError:
    return fault(str(path), phrase("cannot be read: {error}", error=why))


def refuse_readable(path: Path) -> None:
    """Raise `SettingsError` for a file of secrets that is not its owner's alone."""
    try:
        found = path.stat().st_mode
    except OSError:
        return  # whoever reads it will say so, if it is needed
    if found & 0o077 and not stat.S_ISDIR(found):
        raise SettingsError(
            phrase("others on this machine can read {path}: chmod 600 {path}", path=str(path))
        )


def not_understood(text: str, settings: set[str]) -> Iterator[tuple[int, str]]:
    """Lines that set nothing and were meant to: their number, and what is wrong. Never what they say:
    that may be a secret. `settings` are names in lower case.
    """
    said: dict[str, tuple[str | None, int]] = {}
    for binding in parse_stream(io.StringIO(text)):
        line = binding.original.line
        # Blank lines before it count as part of it.
        line += len(binding.original.string) - len(binding.original.string.lstrip("\r\n"))
        if binding.error:
            yield line, phrase("is not NAME=value: is there an `=`, and is every quote closed?")
        elif binding.key and binding.value is None and binding.key.lower() in settings:
            yield line, phrase("has no `=` behind {name}: write {name}=value", name=binding.key)
        elif binding.key and binding.key.lower() in settings:
            value, first = said.setdefault(binding.key.lower(), (binding.value, line))
            if value != binding.value:
                yield line, phrase(TWICE, name=binding.key, first=first)


def value_of(name: str, path: Path) -> str:
    """What the file alone says; empty: nothing."""
    said = dotenv_values(path, encoding=ENCODING)
    return next((value for key, value in said.items() if key.upper() == name and value), "")


def is_secret_of_place(name: str) -> bool:
    return name.upper().startswith(SECRET_OF)


def secrets_of_places(path: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """What webhooks of a file of routes are signed with, by its setting. The environment goes before the file."""
    said = {**dotenv_values(path, interpolate=False, encoding=ENCODING), **environ}
    upper = {name.upper(): value for name, value in said.items() if is_secret_of_place(name)}
    return {name: value for name, value in upper.items() if value}
