"""Chats as our account sees them, and what it may do there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pyrogram import raw

from bot.errors import PostRefused, TargetUnavailable, Unparsable
from bot.models import CHANNELS, ChatId, is_basic_group
from bot.phrases import later, phrase
from bot.telegram.peers import people
from bot.telegram.reachability import standing_outside
from bot.telegram.reading import input_channel
from bot.telegram.rpc_errors import translated

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.telegram.peer_names import Account

functions: Final[Any] = raw.functions
types: Final[Any] = raw.types


@dataclass(frozen=True, slots=True)
class ChatInfo:
    """A chat as our account sees it."""

    id: ChatId
    title: str
    kind: str  # as Bot API says: "private", "group", "supergroup", "channel"
    can_read: bool | None  # all that is written there, not just what is meant for us
    can_post: bool | None  # None: cannot be told
    outside: str | None = None  # as what our account is not in it; None: it is a member
    no_media: tuple[str, ...] = ()  # kinds that our account may not post there, for people
    forum: bool = False  # it has topics


async def moved_to(account: Account, chat_id: ChatId) -> ChatId | None:
    """The supergroup that a basic group has become; None: it is no such group."""
    if not is_basic_group(chat_id):
        return None
    try:
        with translated(chat_id):
            answer = await account.call(functions.messages.GetChats(id=[-chat_id]))
    except (TargetUnavailable, PostRefused, Unparsable):
        return None  # not ours to see; whoever posts there finds out
    moved = getattr(answer.chats[0], "migrated_to", None) if answer.chats else None
    return None if moved is None else ChatId(CHANNELS - moved.channel_id)


class Acquainted:
    """An account that was just told of some channels, and does not ask for one of them by itself again."""

    def __init__(self, account: Account, channels: Mapping[ChatId, Any]) -> None:
        self._account = account
        self._channels = channels

    async def peer(self, chat: ChatId) -> Any:
        return await self._account.peer(chat)

    async def call(self, query: Any) -> Any:
        if isinstance(query, functions.channels.GetChannels):
            told = [self._channels.get(ChatId(CHANNELS - each.channel_id)) for each in query.id]
            if None not in told:
                return types.messages.Chats(chats=told)
        return await self._account.call(query)


async def resolve(account: Account, chat_id: ChatId) -> ChatInfo:
    """What our account may do there. Raises `TargetUnavailable` if it cannot see the chat."""
    with translated(chat_id):
        peer = await account.peer(chat_id)
        if isinstance(peer, types.InputPeerChannel):
            query = functions.channels.GetChannels(id=[input_channel(peer)])
        elif isinstance(peer, types.InputPeerChat):
            query = functions.messages.GetChats(id=[peer.chat_id])
        else:
            user = types.InputUser(user_id=peer.user_id, access_hash=peer.access_hash)
            query = functions.users.GetUsers(id=[user])
        found = next(iter(people(await account.call(query))), None)
        if found is None:
            raise TargetUnavailable(
                phrase("chat {chat} is not known to this account", chat=chat_id), chat_id
            )
        itself = None
        if not (isinstance(found, types.User) or _is_outside(found) or _rules(found)):
            # Asked only where it matters: a start looks at every chat.
            (itself,) = await account.call(functions.users.GetUsers(id=[types.InputUserSelf()]))
    return _chat_info(chat_id, found, itself)


def full_name(user: Any) -> str:
    names = (getattr(user, "first_name", None), getattr(user, "last_name", None))
    return " ".join(filter(None, names))


def _chat_info(chat_id: ChatId, found: Any, itself: Any) -> ChatInfo:
    if isinstance(found, types.User):
        return ChatInfo(chat_id, full_name(found), "private", can_read=True, can_post=None)
    return ChatInfo(
        chat_id,
        found.title,
        _kind(found),
        can_read=_can_read(found, itself),
        can_post=_can_post(found),
        outside=standing_outside(found),
        no_media=_no_media(found),
        forum=bool(getattr(found, "forum", None)),
    )


def _kind(chat: Any) -> str:
    if isinstance(chat, (types.Chat, types.ChatForbidden)):
        return "group"
    return "channel" if getattr(chat, "broadcast", None) else "supergroup"


def _is_outside(chat: Any) -> bool:
    return standing_outside(chat) is not None or bool(getattr(chat, "deactivated", None))


def _rules(chat: Any) -> bool:
    return bool(getattr(chat, "creator", None) or getattr(chat, "admin_rights", None))


def _can_read(chat: Any, itself: Any) -> bool:
    """A bot in privacy mode hears in groups only what is meant for it, unless it is an admin.

    `itself` None: that is the same for whoever it is.
    """
    if itself is None:
        return not _is_outside(chat)
    return bool(not itself.bot or getattr(itself, "bot_chat_history", None))


# As https://core.telegram.org/constructor/chatBannedRights has them. `send_media` is all of them.
MEDIA: Final = {
    "send_photos": later("pictures"),
    "send_videos": later("videos"),
    "send_docs": later("files"),
    "send_polls": later("polls"),
}


def _no_media(chat: Any) -> tuple[str, ...]:
    if _rules(chat):
        return ()
    each = (getattr(chat, name, None) for name in ("banned_rights", "default_banned_rights"))
    rights = [banned for banned in each if banned is not None]
    if any(getattr(banned, "send_media", None) for banned in rights):
        return (phrase("media"),)
    return tuple(
        phrase(kind)
        for name, kind in MEDIA.items()
        if any(getattr(banned, name, None) for banned in rights)
    )


def _can_post(chat: Any) -> bool:
    if _is_outside(chat):
        return False
    if _rules(chat):
        rights = getattr(chat, "admin_rights", None)
        all_may = _kind(chat) != "channel" or getattr(chat, "creator", None)
        return bool(all_may or getattr(rights, "post_messages", None))
    banned = (getattr(chat, name, None) for name in ("banned_rights", "default_banned_rights"))
    muted = any(
        getattr(rights, name, None)
        for rights in banned
        for name in ("send_messages", "send_plain", "view_messages")
    )
    return _kind(chat) != "channel" and not muted
