"""For how long nothing was heard, of each source by itself: a busy one says nothing of another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.models import DeletedMessages, EditedMessage, IncomingMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import timedelta

    from bot.models import Event
    from bot.routes import Routes


class Silence:
    """`after`: how long it has to last to be told, and then once more after as long again; None: it never is.

    `clock` is unix seconds. Sources go by their names.
    """

    def __init__(self, after: timedelta | None, *, clock: Callable[[], float]) -> None:
        self._after = after
        self._clock = clock
        self._looked_at = clock()
        self._heard_at: dict[str, float] = {}
        self._told_at: dict[str, float] = {}

    def heard(self, source: str) -> None:
        self._heard_at[source] = self._clock()
        self._told_at.pop(source, None)

    def look(self, sources: Iterable[str]) -> Iterator[tuple[str, float]]:
        """Those of which it is to be told now, with its seconds. A new source is silent since the last look."""
        now, before = self._clock(), self._looked_at
        self._looked_at = now
        if self._after is None:
            return
        for source in sources:
            since = self._heard_at.setdefault(source, before)
            if now - self._told_at.get(source, since) >= self._after.total_seconds():
                self._told_at[source] = now
                yield source, now - since


def heard_from(event: Event, routes: Routes) -> list[str]:
    """The sources that it comes from. A deletion does not tell its topic, but that the chat is read."""
    match event:
        case (IncomingMessage() as message) | EditedMessage(message):
            source = routes.source_of(message.chat_id, message.topic)
            return [] if source is None else [source.name]
        case DeletedMessages(chat_id=chat) if chat is not None:
            return [each.name for each in routes.sources_in(chat)]
    return []
