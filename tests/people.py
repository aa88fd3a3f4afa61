"""The cast of the tests, and short ways to write down what they say."""

from __future__ import annotations

from itertools import count

from bot.models import (
    AuthorId,
    ChatId,
    IncomingMessage,
    MessageId,
    MessageRef,
    SignalId,
    UnixTime,
)

GROUP = ChatId(-1001234567890)
TARGET = ChatId(-1009876543210)
ALICE, BOB, CAROL = AuthorId(1001), AuthorId(1002), AuthorId(1003)
NOON = UnixTime(1_770_000_000)
HOUR = 3600
TTL = 72 * HOUR

# Beyond those that tests choose themselves, however many tests were before.
_ids = count(1_000_001)


def at(hours: float = 0) -> UnixTime:
    """So many hours after the story began."""
    return UnixTime(NOON + round(hours * HOUR))


def says(
    author: AuthorId | None,
    text: str = "thanks!",
    *,
    hours: float = 0,
    to: IncomingMessage | MessageRef | None = None,
    number: int | None = None,
    **more: object,
) -> IncomingMessage:
    """A message of the group; `to` is what it answers."""
    reply_to = to.ref if isinstance(to, IncomingMessage) else to
    return IncomingMessage(
        chat_id=more.pop("chat_id", GROUP),
        id=MessageId(next(_ids) if number is None else number),
        author=author,
        at=at(hours),
        text=text,
        reply_to=reply_to,
        **more,
    )


def signal_id(number: int) -> SignalId:
    return SignalId(number)
