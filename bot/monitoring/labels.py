"""What metrics call sources, places and chats: as `routes.toml` does, or by what there is without it.

There are as many of them as the file has, whatever people write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from bot.routes import Routes, Source

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.models import ChatId

NOBODYS: Final = ""  # of a chat or a topic that is no source's


class PlaceLabels(NamedTuple):
    source: str
    place: str


class Labels:
    """`routes`: those of now, which may change while the bot runs."""

    def __init__(self, routes: Callable[[], Routes] | None = None) -> None:
        without = Routes((Source(),))
        self._routes = routes or (lambda: without)

    def sources(self) -> list[str]:
        return [source.name for source in self._routes().sources]

    def source(self, chat: ChatId, topic: int | None) -> str:
        """`topic` None: that is not told, and so neither is the source, where the chat has several."""
        routes = self._routes()
        if topic is not None:
            found = routes.rules_for(chat, topic)
            return NOBODYS if found is None else found.name
        here = routes.sources_in(chat) if routes.named else routes.sources
        return here[0].name if len(here) == 1 else NOBODYS

    def sources_of(self, chat: ChatId) -> list[str]:
        return [source.name for source in self._routes().sources_in(chat)]

    def place(self, number: int, chat: ChatId, topic: int) -> PlaceLabels:
        """By its row. See `Routes.place`."""
        routes = self._routes()
        found = routes.place(number, chat, topic)
        usual = NOBODYS if routes.named else routes.sources[0].name
        return PlaceLabels(found.source or usual, found.label)

    def chats(self) -> list[str]:
        """That are posted to."""
        return [self.chat(chat) for chat in self._routes().queues]

    def chat(self, chat: ChatId) -> str:
        return self._routes().place_names.get(chat, str(chat))

    def rows(self) -> dict[PlaceLabels, int]:
        """The places that are listed, with their rows."""
        return {
            PlaceLabels(source.name, place.label): place.id
            for source in self._routes().sources
            for place in source.places
        }
