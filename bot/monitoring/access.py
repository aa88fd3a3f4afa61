"""What stands in the way in the chats of the settings: told at the start, and looked at until it does not.

A start that said nothing of a chat it cannot read would look like one that works.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog

from bot.errors import BotError, SettingsError
from bot.models import ChatTrouble, IncomingMessage
from bot.phrases import joined
from bot.telegram.access import Verdict, of_source, of_target
from bot.telegram.chats import Acquainted
from bot.telegram.peer_names import Account

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from bot.models import ChatId, Event
    from bot.telegram.access import Finding

log = structlog.get_logger(__name__)

EVERY: Final = 10.0  # seconds between two looks at what does not work yet


class Looking(Account, Protocol):
    async def channels(self, chat_ids: Iterable[ChatId]) -> dict[ChatId, Any]:
        """What is told of many at once; some may be missing."""


class Access:
    """`file` says what stands in the way, for `status`; it is there while something does. `every` is
    seconds, `clock` unix seconds. `names`: see `Routes.file_names`. `topics`: those of a chat that are
    read by themselves.
    """

    def __init__(
        self,
        account: Looking,
        file: Path,
        *,
        names: Callable[[], Mapping[ChatId, str]] = dict,
        topics: Callable[[ChatId], Iterable[int]] = lambda _chat: (),
        every: float = EVERY,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._account = account
        self._file = file
        self._names = names
        self._topics = topics
        self._every = every
        self._clock = clock
        self._sleep = sleep
        self._sources: frozenset[ChatId] = frozenset()
        self._looked_at: frozenset[ChatId] = frozenset()  # they, and the targets
        self._troubles: dict[ChatId, ChatTrouble] = {}
        self._unknown: set[ChatId] = set()  # Telegram did not say how it is there
        self._of_topics: set[ChatId] = set()  # where it is a topic that is in the way

    def troubles(self) -> list[ChatTrouble]:
        return list(self._troubles.values())

    async def begin(self, sources: Iterable[ChatId], targets: Sequence[ChatId]) -> None:
        """Look at all of them. Raises `SettingsError` for what no waiting mends, a line each."""
        self._sources = self._looked_at = frozenset()
        self._troubles.clear()
        self._unknown.clear()
        (await self.look(sources, targets))()

    async def look(
        self, sources: Iterable[ChatId], targets: Iterable[ChatId]
    ) -> Callable[[], None]:
        """Look at those that are new, or are read and were not. What it gives takes that over, and lets
        go of all others. Raises as `begin`, and nothing has changed.
        """
        read = frozenset(sources := tuple(sources))
        chats = tuple(dict.fromkeys((*sources, *targets)))
        stay = {chat for chat in self._looked_at if (chat in read) is (chat in self._sources)}
        new = [chat for chat in chats if chat not in stay]
        account = Acquainted(self._account, await self._account.channels(new))
        findings = await asyncio.gather(*(self._finding(account, chat, read) for chat in new))
        hopeless = [found.text for found in findings if found.hopeless]
        if hopeless:
            raise SettingsError(joined("\n", hopeless))

        def take_over() -> None:
            self._sources, self._looked_at = read, frozenset(chats)
            still = stay.intersection(chats)
            self._troubles = {chat: each for chat, each in self._troubles.items() if chat in still}
            self._unknown = (self._unknown & still).union(new)
            for chat, found in zip(new, findings, strict=True):
                self._take(chat, found)
            self._write()

        return take_over

    async def run(self) -> None:
        """Look again at what does not work yet, until cancelled."""
        while True:
            await self._sleep(self._every)
            for chat in [*self._troubles, *self._unknown]:
                # Without a connection nothing is known; the next look will do.
                with suppress(BotError, OSError):
                    found = await self._finding(self._account, chat, self._sources)
                    if chat in self._looked_at:
                        self._take(chat, found)
            self._write()

    def heard(self, event: Event) -> None:
        """What a bot hears that is not meant for it shows that group privacy hides nothing: how that
        stood when the bot was added counts, and not how it stands.
        """
        if not self._troubles or not isinstance(event, IncomingMessage):
            return
        trouble = self._troubles.get(event.chat_id)
        if trouble is None or not trouble.source or trouble.outside or not _is_general(event):
            return
        if event.chat_id in self._of_topics:
            return
        del self._troubles[event.chat_id]
        log.info("chat is as it should be now", chat=event.chat_id)
        self._write()

    def close(self) -> None:
        with suppress(OSError):
            self._file.unlink(missing_ok=True)

    async def _finding(self, account: Account, chat: ChatId, sources: frozenset[ChatId]) -> Finding:
        name = self._names().get(chat)
        if chat in sources:
            found = await of_source(account, chat, name, self._topics(chat))
        else:
            found = await of_target(account, chat, name)
        if not name or found.hopeless:
            return found
        return found._replace(text=f"{name}: {found.text}")

    def _take(self, chat: ChatId, found: Finding) -> None:
        if found.unknown:
            return
        self._unknown.discard(chat)
        self._of_topics.discard(chat)
        if found.of_topic:
            self._of_topics.add(chat)
        if found.verdict is Verdict.OK or (chat not in self._sources and chat > 0):
            if self._troubles.pop(chat, None) is not None:
                log.info("chat is as it should be now", chat=chat)
            return
        before = self._troubles.get(chat)
        trouble = ChatTrouble(
            chat,
            since=self._clock() if before is None else before.since,
            text=found.text,
            source=chat in self._sources,
            outside=found.outside,
            stops=found.verdict is Verdict.FAILURE,
            name=self._names().get(chat) or None,
        )
        self._troubles[chat] = trouble
        if before is None or before.text != trouble.text:
            log.warning("chat is not as it should be yet", chat=chat, problem=found.text)

    def _write(self) -> None:
        """All of it or nothing, for `status`; what cannot be written is in the log."""
        if not self._troubles:
            self.close()
            return
        new = self._file.with_suffix(".new")
        text = json.dumps([each._asdict() for each in self._troubles.values()])
        try:
            new.unlink(missing_ok=True)  # what a crash has left, or a link
            with new.open("x", encoding="utf-8") as file:
                file.write(text)
            new.replace(self._file)
        except OSError as exc:
            log.warning(
                "what stands in the way was not written down", error=os.strerror(exc.errno or 0)
            )


def _is_general(message: IncomingMessage) -> bool:
    """Nobody's in particular. https://core.telegram.org/bots/features#privacy-mode has what is a bot's."""
    words = message.text
    own = message.service or message.reply_to is not None or words.startswith("/") or "@" in words
    return bool(words) and not own
