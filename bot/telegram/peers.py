"""The access hashes of chats and people: known from what Telegram told before, or asked for."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog
from pyrogram import raw

from bot.errors import PostRefused, RetryLater, TargetUnavailable, Unparsable
from bot.models import CHANNELS, ChatId, has_own_box, is_basic_group
from bot.phrases import phrase
from bot.telegram.messages import chat_id as chat_id_of
from bot.telegram.reading import input_channel
from bot.telegram.rpc_errors import translated

if TYPE_CHECKING:
    from collections.abc import Iterable

log = structlog.get_logger(__name__)

functions: Final[Any] = raw.functions
types: Final[Any] = raw.types

DIALOGS_AT_ONCE, DIALOGS_MAX = 100, 2_000
CHANNELS_AT_ONCE: Final = 100
REMEMBERED: Final = 10_000  # people and chats
# By these a library keeps somebody. Besides, by all names.
KEPT: Final = (
    *("min", "access_hash", "username", "phone", "bot"),
    *("broadcast", "forum", "monoforum"),
)


class Account(Protocol):
    """A logged in client. What `call` raises is the library's own, or that there is no connection."""

    async def call(self, query: Any) -> Any: ...

    @property
    def client(self) -> Any:
        """The library's, which keeps what we know. Raises `ConnectionError`."""

    @property
    def is_bot(self) -> bool: ...


class Peers:
    def __init__(self, account: Account) -> None:
        self._account = account
        self._dialogs_read = False
        self._kept: dict[tuple[type, int], tuple[Any, ...]] = {}
        self._kept_by: Any = None

    async def keep(self, client: Any, answer: Any) -> None:
        """The same few are named with each message: what is kept as it is told is not written again."""
        if client is not self._kept_by or len(self._kept) > REMEMBERED:
            self._kept, self._kept_by = {}, client
        new = [each for each in people(answer) if self._kept.get(_key(each)) != _as_kept(each)]
        if not new:
            return
        try:
            await client.fetch_peers(new)
        except sqlite3.Error as exc:
            # What is not kept is asked for when it is needed; the answer is good all the same.
            log.warning("peers were not kept", error=str(exc))
        else:
            self._kept.update((_key(each), _as_kept(each)) for each in new)

    async def peer(self, chat_id: ChatId) -> Any:
        """The raw input peer of a chat. Raises `TargetUnavailable` if there is none for us."""
        if is_basic_group(chat_id):
            return types.InputPeerChat(chat_id=-chat_id)
        known = await self._known_peer(chat_id)
        if known is None:
            known = await self._met(chat_id)
        if known is None:
            raise TargetUnavailable(
                phrase("chat {chat} is not known to this account", chat=chat_id), chat_id
            )
        return known

    async def channels(self, chat_ids: Iterable[ChatId]) -> dict[ChatId, Any]:
        """As Telegram shows them to us, a hundred with one question. Those that are left out have to be
        asked for one by one: of an answer for many it is not said which of them is wrong.
        """
        each = [await self._channel(chat_id) for chat_id in chat_ids if has_own_box(chat_id)]
        wanted = [channel for channel in each if channel is not None]
        found: dict[ChatId, Any] = {}
        for first in range(0, len(wanted), CHANNELS_AT_ONCE):
            part = wanted[first : first + CHANNELS_AT_ONCE]
            with suppress(RetryLater, TargetUnavailable, PostRefused), translated(CHANNELS):
                answer = await self._account.call(functions.channels.GetChannels(id=part))
                found |= {ChatId(CHANNELS - chat.id): chat for chat in people(answer)}
        return found

    async def meet_all(self, chat_ids: Iterable[ChatId]) -> None:
        """Those that are new to us, as far as they can be met together."""
        new = [chat_id for chat_id in chat_ids if await self._known_peer(chat_id) is None]
        await self.channels(new)

    async def _channel(self, chat_id: ChatId) -> Any | None:
        known = await self._known_peer(chat_id)
        if known is not None:
            return input_channel(known)
        if self._account.is_bot:
            return types.InputChannel(channel_id=CHANNELS - chat_id, access_hash=0)
        return None

    async def meet_again(self, chat_id: ChatId) -> bool:
        """Ask Telegram anew for the access hash of a chat; False: it is the one we had."""
        if is_basic_group(chat_id):
            return False  # they have none
        before = await self._known_peer(chat_id)
        self._dialogs_read = False
        await self._meet(chat_id)
        changed: bool = before != await self._known_peer(chat_id)
        return changed

    async def known_user(self, user_id: int) -> Any | None:
        """The raw input user, if this account has met the user; nobody is asked."""
        found = await self._known_peer(user_id)
        if not isinstance(found, types.InputPeerUser):
            return None
        return types.InputUser(user_id=found.user_id, access_hash=found.access_hash)

    async def _known_peer(self, chat_id: int) -> Any | None:
        storage = self._account.client.storage
        with suppress(KeyError):
            return await storage.get_peer_by_id(chat_id)
        return None

    async def _met(self, chat_id: ChatId) -> Any | None:
        try:
            await self._meet(chat_id)
        except Unparsable:
            if not self._account.is_bot or not has_own_box(chat_id):
                raise
            # It is there, and bots may ask without its access hash.
            return types.InputPeerChannel(channel_id=CHANNELS - chat_id, access_hash=0)
        return await self._known_peer(chat_id)

    async def _meet(self, chat_id: ChatId) -> None:
        """Learn the access hash. Bots may ask without one, people may not."""
        if not self._account.is_bot:
            await self._read_dialogs(chat_id)
        elif chat_id > 0:
            user = types.InputUser(user_id=chat_id, access_hash=0)
            await self._account.call(functions.users.GetUsers(id=[user]))
        else:
            channel = types.InputChannel(channel_id=CHANNELS - chat_id, access_hash=0)
            await self._account.call(functions.channels.GetChannels(id=[channel]))

    async def _read_dialogs(self, wanted: ChatId) -> None:
        """Once, until the wanted one turns up; what is not among them is unknown to us."""
        if self._dialogs_read:
            return
        offset: dict[str, Any] = {
            "offset_date": 0,
            "offset_id": 0,
            "offset_peer": types.InputPeerEmpty(),
        }
        for _page in range(DIALOGS_MAX // DIALOGS_AT_ONCE):
            query = functions.messages.GetDialogs(**offset, limit=DIALOGS_AT_ONCE, hash=0)
            answer = await self._account.call(query)
            if await self._known_peer(wanted) is not None:
                return
            last = _last_dialog(answer)
            if last is None:
                break
            message, chat = last
            offset = {
                "offset_date": message.date,
                "offset_id": message.id,
                "offset_peer": await self._known_peer(chat) or types.InputPeerEmpty(),
            }
        self._dialogs_read = True


def _key(told: Any) -> tuple[type, int]:
    return type(told), told.id


def _as_kept(told: Any) -> tuple[Any, ...]:
    names = getattr(told, "usernames", None) or ()
    return _kept(told.__class__)(told), *(name.username for name in names)


@cache
def _kept(kind: Any) -> attrgetter[Any]:
    return attrgetter("id", *(name for name in KEPT if hasattr(kind, name)))


def people(answer: Any) -> list[Any]:
    """The users and chats that an answer brings along, or is."""
    if isinstance(answer, list):
        return [one for one in answer if isinstance(one, types.User)]
    return [*(getattr(answer, "users", None) or ()), *(getattr(answer, "chats", None) or ())]


def _last_dialog(answer: Any) -> tuple[Any, ChatId] | None:
    """The last dialog's message and chat, where the next page begins; None: there is none."""
    if not isinstance(answer, types.messages.DialogsSlice):
        return None
    for message in reversed(answer.messages):
        where = chat_id_of(getattr(message, "peer_id", None))
        if where is not None:
            return message, where
    return None
