"""Where a database server is, and what of that may be shown."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from bot.phrases import phrase


def parse_server(url: str) -> ServerAddress:
    """The value is not repeated: it may hold a password."""
    if not re.match(r"postgres(?:ql)?://", url.strip()):
        raise ValueError(phrase("must be postgresql://user@host/database"))
    return ServerAddress(url.strip())


def parse_database(url: str) -> Path | ServerAddress:
    """A file of SQLite, or a server. Raises `ValueError`, without the value: it may hold a password."""
    if re.match(r"postgres(?:ql)?://", url.strip()):
        return ServerAddress(url.strip())
    found = re.fullmatch(r"sqlite(?:\+aiosqlite)?:///(?P<path>.+)", url.strip())
    if found is None or found["path"] == ":memory:":
        raise ValueError(
            phrase(
                "must be sqlite:///relative/path.db, sqlite:////absolute/path.db or postgresql://…"
            )
        )
    return Path(found["path"]).expanduser()


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where a PostgreSQL server is, as libpq takes it. What is shown of it holds no password."""

    url: str = field(repr=False)

    def __str__(self) -> str:
        found = urlsplit(self.url)
        who = f"{found.username}@" if found.username else ""
        return f"postgresql://{who}{found.netloc.rpartition('@')[2]}{found.path}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """The password, as it is written there and as it is meant."""
        found = urlsplit(self.url)
        named = parse_qs(found.query)
        written = [found.password or "", *named.get("password", []), *named.get("sslpassword", [])]
        return tuple({each for word in written if word for each in (word, unquote(word))})
