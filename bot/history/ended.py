"""Flows that an operator has ended by hand: an import judges what was said before that as it was then."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bot.models import ENDED_BY_HAND
from bot.rules.policy import NOBODYS_REPLY, NOT_THE_OWNERS
from bot.storage import records

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.models import Decision, IncomingMessage, SignalId, UnixTime
    from bot.storage.store import SignalStore


class EndedFlows:
    """`at`: when each was ended, by the machine's clock."""

    def __init__(self, store: SignalStore, at: Mapping[SignalId, UnixTime]) -> None:
        self._store = store
        self._at = at

    async def refused(self, message: IncomingMessage) -> Decision | None:
        """What became of somebody else's reply before its flow was ended; None: the rule is to say.

        Whatever continued the flow is recorded for good, so what is not was refused, and that is
        forgotten after a while: by the rule of today it would continue the flow.
        """
        if not self._at or message.reply_to is None:
            return None
        found = await self._store.flow_at(*message.reply_to)
        if found is None:
            return None
        signal_id, flow = found
        since = self._at.get(signal_id) if flow.last_owner_activity == ENDED_BY_HAND else None
        if since is None or message.begun_at >= since or message.author == flow.owner:
            return None
        if await self._store.ask(partial(records.recorded, ref=message.ref)) is not None:
            return None
        refusal = NOBODYS_REPLY if message.author is None else NOT_THE_OWNERS
        return refusal._replace(signal_id=signal_id)
