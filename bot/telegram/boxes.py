"""How far one of Telegram's update boxes was heard. See `catch_up`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bot.models import ChatId, Cursor, MessageId, UnixTime

if TYPE_CHECKING:
    import asyncio

AT_ONCE: Final = 1_000  # updates in one difference


@dataclass
class Box:
    """`pts` is what was fed so far; None: not known yet. `promised` is what there is to come."""

    id: ChatId
    pts: int | None = None
    qts: int | None = None
    date: UnixTime | None = None
    message_id: MessageId | None = None  # the newest that was fed
    behind: bool = True
    promised: int = 0
    failures: int = 0  # in a row
    rest: asyncio.Task[None] | None = None  # until it is to be asked for again
    patient: bool = False  # the rest is Telegram's wish
    limit: int = AT_ONCE  # changes in one difference; fewer around what cannot be parsed
    changes: int = 0  # edits and deletions that were fed
    # What the cursor stays at while messages are read again. None: they are not.
    held: Cursor | None = None

    @property
    def resting(self) -> bool:
        """Telegram has said when to ask again, and that may be tomorrow."""
        return self.rest is not None and self.patient

    def stands_at(self, cursor: Cursor) -> None:
        _, self.pts, self.qts, self.date, self.message_id = cursor

    def saw(self, message: Any) -> None:
        self.message_id = MessageId(max(self.message_id or 0, message.id))

    def cursor(self) -> Cursor:
        """What may be stored: whoever begins there misses nothing."""
        if self.held is not None:
            return self.held._replace(message_id=self.message_id)
        return Cursor(self.id, self.pts or 0, self.qts, self.date, self.message_id)
