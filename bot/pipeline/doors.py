"""Each source has an intake of its own, with its own rules: whatever is read goes to that of its source."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bot.models import ChatId, Decision, IncomingMessage, MessageId
    from bot.pipeline.intake import Intake
    from bot.routes import Routes


class Doors:
    """A `recording.Door` for all sources. `intakes`: one for each, by its name.

    Of what nobody reads nothing becomes.
    """

    def __init__(self, routes: Routes, intakes: Mapping[str, Intake]) -> None:
        self.follow(routes, intakes)

    def follow(self, routes: Routes, intakes: Mapping[str, Intake]) -> None:
        """Decide by these from now on."""
        self._routes = routes
        self._intakes = intakes

    async def handle(self, message: IncomingMessage) -> Decision:
        """A message of a source that stands alone."""
        (decision,) = await self.take([message])
        return decision

    async def take(self, messages: Sequence[IncomingMessage]) -> list[Decision]:
        """One message, or the parts of one album, which are all of one source."""
        intake = self._of(messages[0])
        return [] if intake is None else await intake.take(messages)

    async def edited(self, message: IncomingMessage) -> Decision | None:
        intake = self._of(message)
        return None if intake is None else await intake.edited(message)

    async def deleted(self, chat_id: ChatId, ids: Sequence[MessageId]) -> int:
        """Nobody tells the topic of what was deleted, so each source of the chat is asked."""
        sources = self._routes.sources_in(chat_id)
        return sum([await self._intakes[each.name].deleted(chat_id, ids) for each in sources])

    def _of(self, message: IncomingMessage) -> Intake | None:
        source = self._routes.source_of(message.chat_id, message.topic)
        return None if source is None else self._intakes[source.name]
