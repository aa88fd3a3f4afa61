"""How far all is recorded, as far as it may be written down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from bot.models import Cursor


class CursorTable(Protocol):
    def reached(self, cursor: Cursor) -> None: ...


class Cursors:
    def __init__(self, table: CursorTable) -> None:
        self._table = table
        self._frozen = False

    def move(self, cursor: Cursor) -> None:
        """All before it is recorded, or waits to be written before it is."""
        if not self._frozen:
            self._table.reached(cursor)

    def freeze(self) -> None:
        """Something was not recorded: nothing moves beyond it."""
        self._frozen = True
