"""Which chats the names in `routes.toml` stood for when they were looked up; rows of `meta`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import insert, select

from bot.models import ChatId
from bot.storage.schema import meta

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

PREFIX: Final = "chat "


def kept(db: Connection) -> dict[str, ChatId]:
    query = select(meta.c.name, meta.c.value).where(meta.c.name.startswith(PREFIX))
    return {
        name.removeprefix(PREFIX): ChatId(int(value.decode()))
        for name, value in db.execute(query).tuples()
    }


def keep(db: Connection, names: Mapping[str, ChatId]) -> None:
    rows = [{"name": PREFIX + name, "value": str(chat).encode()} for name, chat in names.items()]
    if rows:
        db.execute(insert(meta), rows)
