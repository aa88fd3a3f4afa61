"""An order is what an operator typed, as it stands, there and then.

What a bot wrote for them, what they wrote for another hour, and what was made of it later may say
something that nobody means now. A command that was typed before and edited while the bot was away
comes as a new message, which tells of the edit alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from bot.models import Indirect
from bot.phrases import later, phrase

if TYPE_CHECKING:
    from bot.models import IncomingMessage

log = structlog.get_logger(__name__)

BECAUSE: Final = {
    Indirect.VIA_BOT: later("a bot sent it for you"),
    Indirect.SCHEDULED: later("it was scheduled before"),
    Indirect.AUTOMATIC: later("it was sent automatically"),
}


def why_no_order(message: IncomingMessage) -> str | None:
    """Of a command that is not to be obeyed the reason, which goes to the log; else None.

    Forwards are not looked at: they ask about the message they come from, whatever it says.
    """
    if message.forwarded or not message.text.strip().startswith("/"):
        return None
    why_not = _why_not(message)
    if why_not is not None:
        log.warning("a command is not obeyed", admin=message.author, at=message.at, reason=why_not)
    return why_not


def _why_not(message: IncomingMessage) -> str | None:
    if message.indirect is not None:
        return phrase(BECAUSE[message.indirect])
    if message.edited_at is not None:
        return phrase("it was edited")
    return None if message.media is None else phrase("it stands below a picture or a file")
