"""Telegram's side, for tests: an MTProto server that real, unmodified clients log in to.

    async with LoopbackTelegram() as telegram:
        alice, bot = telegram.user("Alice"), telegram.bot("relay_bot", token="42:secret")
        group = telegram.supergroup("Signals", members=[alice, bot])
        async with telegram.client("relay", bot) as client: ...

People are played in `people.py`, faults scripted in `faults.py`, programs run by
`telegram.run`; `world.py` says what is known, and `Rules` there what may be chosen.
"""

from tests.loopback.calls import Call
from tests.loopback.faults import (
    CutAfter,
    CutBefore,
    Delay,
    Drop,
    FloodWait,
    Garble,
    Hold,
    RpcError,
    Sometimes,
    Swallow,
    Truncate,
)
from tests.loopback.media import (
    Contact,
    Dice,
    Document,
    Location,
    Other,
    Photo,
    Poll,
    Preview,
    Unknown,
    Venue,
)
from tests.loopback.people import Person, Pressed
from tests.loopback.snapshots import Entity, Seen
from tests.loopback.telegram import API_HASH, API_ID, LoopbackTelegram
from tests.loopback.world import Chat, Member, Message, Role

__all__ = [
    "API_HASH",
    "API_ID",
    "Call",
    "Chat",
    "Contact",
    "CutAfter",
    "CutBefore",
    "Delay",
    "Dice",
    "Document",
    "Drop",
    "Entity",
    "FloodWait",
    "Garble",
    "Hold",
    "Location",
    "LoopbackTelegram",
    "Member",
    "Message",
    "Other",
    "Person",
    "Photo",
    "Poll",
    "Pressed",
    "Preview",
    "Role",
    "RpcError",
    "Seen",
    "Sometimes",
    "Swallow",
    "Truncate",
    "Unknown",
    "Venue",
]
