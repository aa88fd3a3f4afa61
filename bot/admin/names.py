"""People as an operator is shown them: by the name that was heard last, and by the id that stays."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from bot.admin.formatting import excerpt
from bot.phrases import phrase
from bot.storage import people

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection

    from bot.admin.sources import Tables
    from bot.models import AuthorId

LONGEST: Final = 32  # characters
IN_A_LIST: Final = 12


class Names:
    def __init__(self, found: Mapping[AuthorId, str] = MappingProxyType({})) -> None:
        self._found = dict(found)
        self._asked = set(found)
        self._shown: dict[tuple[AuthorId, int], str] = {}  # a list has the same few many times

    def learn(self, db: Connection, authors: Iterable[AuthorId]) -> None:
        """Those that are not known yet."""
        new = set(authors) - self._asked
        self._asked |= new
        self._found.update(people.names(db, new))

    def of(self, author: AuthorId | None, *, at_most: int = LONGEST) -> str:
        """None: who it is cannot be told."""
        if author is None:
            return phrase("unknown")
        shown = self._shown.get((author, at_most))
        if shown is None:
            name = excerpt(self._found.get(author, ""), at_most)
            shown = f"{name} ({author})" if name else str(author)
            self._shown[author, at_most] = shown
        return shown


async def names_of(tables: Tables, ids: Iterable[AuthorId | None]) -> Names:
    return Names(await tables.ask(partial(people.names, ids=list(ids))))
