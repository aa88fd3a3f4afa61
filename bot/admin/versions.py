"""Of what the program is made, for whoever is to help."""

from __future__ import annotations

import platform
import sqlite3
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final

from bot import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

# One import name, several distributions.
LIBRARIES: Final = (("pyrogram", "kurigram"), ("tgcrypto", "TgCrypto-pyrofork"), ("diskcache",))


def versions() -> Iterator[tuple[str, str]]:
    yield "telegram-signal-relay", _version("telegram-signal-relay") or f"{__version__} from source"
    yield "Python", platform.python_version()
    yield "SQLite", sqlite3.sqlite_version
    for names in LIBRARIES:
        for name in names:
            found = _version(name)
            if found is not None:
                yield name, found
                break


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
