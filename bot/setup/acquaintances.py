"""Whom and what `setup` has met: the chats and people that there are to choose from."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from bot.errors import TelegramError, UsageError
from bot.telegram.chats import resolve
from bot.telegram.peer_names import Human, find

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bot.models import AuthorId, ChatId
    from bot.telegram.chats import ChatInfo
    from bot.telegram.client import Me, Telegram
    from bot.telegram.peer_names import Overheard


class Acquaintances:
    """Whom and what was heard, before anybody asks."""

    def __init__(self) -> None:
        self._authors: dict[ChatId, dict[AuthorId, Human]] = {}
        self.queue: asyncio.Queue[ChatId] = asyncio.Queue()

    def overhear(self, news: Overheard) -> None:
        if news.chat_id not in self._authors:
            self.queue.put_nowait(news.chat_id)
        authors = self._authors.setdefault(news.chat_id, {})
        if news.author is not None:
            authors[news.author.id] = news.author

    def authors(self, chat: ChatId) -> list[Human]:
        return list(self._authors.get(chat, {}).values())

    @property
    def in_private(self) -> list[Human]:
        return [human for chat in self._authors if chat > 0 for human in self.authors(chat)]


class Chats:
    """The chats that there are to choose from, in the order in which they were met."""

    def __init__(self, telegram: Telegram, acquaintances: Acquaintances) -> None:
        self.telegram = telegram
        self.known: list[ChatInfo] = []
        self._acquaintances = acquaintances

    async def look(self, ids: Iterable[ChatId]) -> None:
        """Those that we may not see are passed over."""
        for chat in ids:
            with suppress(TelegramError):
                await self._add(chat)

    async def heard(self) -> ChatInfo | None:
        """Wait until something was heard; None: of a chat that is no news, or none to choose."""
        chat = await self._acquaintances.queue.get()
        if chat > 0 or any(known.id == chat for known in self.known):
            return None
        with suppress(TelegramError):
            return await self._add(chat)
        return None

    async def find(self, text: str) -> ChatInfo:
        """By its number in the list, or by what `find` takes. Raises `BotError`."""
        if text.isdecimal() and 0 < int(text) <= len(self.known):
            return self.known[int(text) - 1]
        chat = await find(self.telegram, text)
        try:
            return await self._add(chat)
        except TelegramError as exc:
            raise UsageError(f"{exc}: has the account been added there?") from exc

    async def _add(self, chat: ChatId) -> ChatInfo:
        info = await resolve(self.telegram, chat)
        if all(known.id != chat for known in self.known):
            self.known.append(info)
        return info


class Login(NamedTuple):
    telegram: Telegram
    me: Me
    chats: Chats


async def person(telegram: Telegram, text: str, people: Sequence[Human]) -> int:
    if text.isdecimal() and 0 < int(text) <= len(people):
        return people[int(text) - 1].id
    return await find(telegram, text)
