"""Finding chats and people before the bot knows any, and what may be seen of them.

A bot cannot list its chats (`messages.getDialogs` is for people), but hears what happens in them;
a user account can list them. Either can look up a public name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from pyrogram import raw

from bot.chat_names import FORMS, INVITATION, ChatName, read
from bot.errors import PostRefused, UsageError, words_of
from bot.models import AuthorId, ChatId, IncomingMessage, is_basic_group
from bot.phrases import phrase
from bot.telegram.messages import chat_id, events, people_of
from bot.telegram.reading import input_channel
from bot.telegram.rpc_errors import translated

if TYPE_CHECKING:
    from collections.abc import Iterator

functions: Final[Any] = raw.functions
types: Final[Any] = raw.types

ADMINISTRATORS_MAX: Final = 50
DIALOGS_SHOWN: Final = 50  # those with the newest messages


__all__ = ["FORMS", "Human", "Overheard", "administrators", "dialogs", "find", "id_of", "overheard"]


class Account(Protocol):
    """A logged in client. What `call` raises is the library's own."""

    async def call(self, query: Any) -> Any: ...
    async def peer(self, chat: ChatId) -> Any: ...


class Human(NamedTuple):
    id: AuthorId
    name: str


class Overheard(NamedTuple):
    """Something happens there, and perhaps somebody said something."""

    chat_id: ChatId
    author: Human | None = None


def overheard(container: Any) -> Iterator[Overheard]:
    """What a container that Telegram pushes tells of chats, whether they are followed or not."""
    if isinstance(container, types.UpdateShortMessage):
        yield Overheard(ChatId(container.user_id), Human(AuthorId(container.user_id), ""))
    elif isinstance(container, types.UpdateShortChatMessage):
        yield Overheard(ChatId(-container.chat_id))
    users, chats = people_of(container)
    one = getattr(container, "update", None)
    for update in getattr(container, "updates", None) or ([] if one is None else [one]):
        where = _place(update)
        if where is not None:
            yield Overheard(where)
        for event in events(update, users, chats):
            if isinstance(event, IncomingMessage):
                yield Overheard(event.chat_id, _speaker(event))


def _speaker(message: IncomingMessage) -> Human | None:
    if message.author is None or message.service:
        return None
    return Human(message.author, message.author_name or "")


def _place(update: Any) -> ChatId | None:
    """The chat of an update that is no message: we were added, or made an administrator."""
    if isinstance(update, (types.UpdateChannel, types.UpdateChannelParticipant)):
        return chat_id(types.PeerChannel(channel_id=update.channel_id))
    if isinstance(update, (types.UpdateChat, types.UpdateChatParticipant)):
        return chat_id(types.PeerChat(chat_id=update.chat_id))
    return None


async def find(account: Account, text: str) -> ChatId:
    """The chat or person that an id, a name or a link means; whether we may see it is not said.

    Raises `UsageError` for what can mean none.
    """
    if INVITATION.fullmatch(text):
        raise UsageError(
            phrase("an invitation does not say which chat it is for: have it say something")
        )
    try:
        meant = read(text)
    except ValueError as exc:
        raise UsageError(words_of(exc)) from exc
    return await id_of(account, meant) if isinstance(meant, ChatName) else ChatId(meant)


async def id_of(account: Account, name: ChatName) -> ChatId:
    """Raises `UsageError` where nobody has the name."""
    try:
        with translated():
            answer = await account.call(functions.contacts.ResolveUsername(username=name))
    except PostRefused as exc:
        raise UsageError(
            phrase("@{name}: nobody has that name ({error})", name=str(name), error=words_of(exc))
        ) from exc
    where = chat_id(answer.peer)
    if where is None:
        raise UsageError(phrase("@{name}: nobody has that name", name=str(name)))
    return where


async def dialogs(account: Account) -> list[ChatId]:
    """The chats of a user account, those with the newest messages first. Not for bots."""
    query = functions.messages.GetDialogs(
        offset_date=0,
        offset_id=0,
        offset_peer=types.InputPeerEmpty(),
        limit=DIALOGS_SHOWN,
        hash=0,
    )
    with translated():
        answer = await account.call(query)
    found = (chat_id(getattr(dialog, "peer", None)) for dialog in answer.dialogs)
    return [chat for chat in found if chat is not None and chat < 0]


async def administrators(account: Account, chat: ChatId) -> list[Human]:
    """The people among them. Raises `TelegramError` where we may not ask."""
    with translated(chat):
        if is_basic_group(chat):
            answer = await account.call(functions.messages.GetFullChat(chat_id=-chat))
            ruling = (types.ChatParticipantCreator, types.ChatParticipantAdmin)
            members = getattr(answer.full_chat.participants, "participants", None) or ()
            ids = {member.user_id for member in members if isinstance(member, ruling)}
        else:
            peer = await account.peer(chat)
            query = functions.channels.GetParticipants(
                channel=input_channel(peer),
                filter=types.ChannelParticipantsAdmins(),
                offset=0,
                limit=ADMINISTRATORS_MAX,
                hash=0,
            )
            answer = await account.call(query)
            ids = {member.user_id for member in answer.participants if hasattr(member, "user_id")}
    users, _ = people_of(answer)
    return [
        Human(AuthorId(user.id), " ".join(filter(None, (user.first_name, user.last_name))))
        for user in users.values()
        if user.id in ids and not user.bot
    ]
