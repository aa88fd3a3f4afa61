"""Where the tables are: in a file, or in a server, whose driver is loaded only then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.server_address import ServerAddress
from bot.storage.engine import Database

if TYPE_CHECKING:
    from pathlib import Path

    from bot.storage.engine import AnyDatabase
    from bot.storage.postgresql import Fence


def database_at(
    where: Path | ServerAddress,
    *,
    in_loop: bool = False,
    read_only: bool = False,
    fence: Fence | None = None,
) -> AnyDatabase:
    if isinstance(where, ServerAddress):
        from bot.storage.postgresql import Server  # noqa: PLC0415  # see above

        return Server(where, in_loop=in_loop, read_only=read_only, fence=fence)
    return Database(where, in_loop=in_loop, read_only=read_only)
