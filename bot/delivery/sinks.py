"""Which part tells the events of a place that is no chat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.endpoints import Endpoint

if TYPE_CHECKING:
    from bot.delivery.jsonl import EventFile
    from bot.delivery.webhook import Webhook
    from bot.endpoints import FileEndpoint
    from bot.models import ChatId


def sink_of(endpoint: Endpoint | FileEndpoint, target: ChatId) -> Webhook | EventFile:
    """`target`: the id that stands for a chat. To be closed; each is loaded only where there is one."""
    if isinstance(endpoint, Endpoint):
        from bot.delivery.webhook import Webhook  # noqa: PLC0415  # as said

        return Webhook(endpoint.url, endpoint.secret, target, allow_private=endpoint.allow_private)
    from bot.delivery.jsonl import EventFile  # noqa: PLC0415  # as said

    return EventFile(endpoint.path, target)
