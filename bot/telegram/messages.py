"""Raw TL to our words and back. Pure: nothing here asks Telegram anything.

Raw objects are read with `getattr`, because the libraries speak different layers and a field may
be missing from one of them. What cannot be told is None; no message makes this raise.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeGuard

from pyrogram import raw

from bot.models import (
    CHANNELS,
    GENERAL,
    AuthorId,
    ChatId,
    DeletedMessages,
    EditedMessage,
    IncomingMessage,
    Indirect,
    Media,
    MessageId,
    MessageRef,
    MigratedChat,
    PressedButton,
    UnixTime,
)
from bot.phrases import phrase
from bot.telegram.entities import entities
from bot.telegram.extras import extras
from bot.telegram.layers import build
from bot.telegram.polls import poll_facts, poll_to_input

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bot.models import Event

types: Final[Any] = raw.types

LARGEST_ID: Final = 2**63 - 1
COVERED: Final = "spoiler"  # in a file id of ours: shown once it is touched
FILE: Final = re.compile(
    rf"(?P<id>-?\d+):(?P<access_hash>-?\d+)(?P<covered>:{COVERED})?:(?P<reference>([0-9a-f]{{2}})*)"
)

# Telegram itself, its anonymous admin and its "channel in a group": not people, and shared by all.
SERVICE_ACCOUNTS: Final = frozenset({777000, 1087968824, 136817688})

NEW: Final = (types.UpdateNewMessage, types.UpdateNewChannelMessage)
EDITED: Final = (types.UpdateEditMessage, types.UpdateEditChannelMessage)
DELETED: Final = (types.UpdateDeleteMessages, types.UpdateDeleteChannelMessages)

ATTRIBUTES: Final = {  # raw document attribute → kind, the most telling first
    "Sticker": "sticker",
    "CustomEmoji": "sticker",
    "Animated": "animation",
    "Video": "video",
    "Audio": "audio",
}

INDIRECT: Final = {  # raw field → what it says where it is set
    "via_bot_id": Indirect.VIA_BOT,
    "via_business_bot_id": Indirect.VIA_BOT,
    "guestchat_via_from": Indirect.VIA_BOT,
    "from_scheduled": Indirect.SCHEDULED,
    "schedule_repeat_period": Indirect.SCHEDULED,
    "offline": Indirect.AUTOMATIC,
    "quick_reply_shortcut_id": Indirect.AUTOMATIC,
}

Known: TypeAlias = "Mapping[int, Any]"  # raw users or chats by their bare ids


def people_of(container: Any) -> tuple[Known, Known]:
    """The users and the chats that come with updates or an answer."""
    users = {user.id: user for user in getattr(container, "users", None) or ()}
    return users, {chat.id: chat for chat in getattr(container, "chats", None) or ()}


# ── updates ──


def events(update: Any, users: Known, chats: Known, *, me: int | None = None) -> Iterator[Event]:
    """What an update tells us; nothing, if it is none of our business."""
    if isinstance(update, NEW):
        found = _migration(update.message) or incoming(
            update.message, me=me, users=users, chats=chats
        )
        if found is not None:
            yield found
    elif isinstance(update, EDITED):
        message = incoming(update.message, me=me, users=users, chats=chats)
        if message is not None:
            yield EditedMessage(message)
    elif isinstance(update, DELETED):
        channel = getattr(update, "channel_id", None)
        ids = tuple(map(MessageId, update.messages or ()))
        yield DeletedMessages(None if channel is None else _channel(channel), ids)
    elif isinstance(update, types.UpdateBotCallbackQuery):
        press = _press(update)
        if press is not None:
            yield press


def _press(update: Any) -> PressedButton | None:
    where, data = chat_id(update.peer), getattr(update, "data", None)
    if where is None or data is None or not (_is_id(update.user_id) and _is_id(update.msg_id)):
        return None
    return PressedButton(
        update.query_id,
        AuthorId(update.user_id),
        where,
        MessageId(update.msg_id),
        data.decode(errors="replace"),
    )


def _migration(message: Any) -> MigratedChat | None:
    """Told by the old group. The new one tells it too, in a plain service message."""
    action = getattr(message, "action", None)
    if not isinstance(action, types.MessageActionChatMigrateTo):
        return None
    old, new = chat_id(getattr(message, "peer_id", None)), _channel(action.channel_id)
    return None if old is None or new is None else MigratedChat(old, new)


def incoming(
    message: Any, *, me: int | None = None, users: Known | None = None, chats: Known | None = None
) -> IncomingMessage | None:
    """None: a deleted message, or one of which not even chat, id and date can be told.

    `me` is the account that reads: who wrote what it sent in a private chat. `users` and `chats`
    came with the message and give it its author's name.
    """
    where = chat_id(getattr(message, "peer_id", None))
    number, date = getattr(message, "id", None), getattr(message, "date", None)
    if where is None or not _is_id(number) or date is None:
        return None
    author = _author(message, me)
    return IncomingMessage(
        chat_id=where,
        id=MessageId(number),
        author=author,
        at=UnixTime(date),
        text=getattr(message, "message", None) or "",
        entities=entities(getattr(message, "entities", None)),
        reply_to=_reply_to(message, where),
        reply_to_top=_reply_to_top(message),
        forwarded=_forwarded(message),
        service=isinstance(message, types.MessageService),
        media=media(getattr(message, "media", None)),
        album_id=getattr(message, "grouped_id", None),
        author_name=_name(author, users or {}, chats or {}),
        forward_of=_forward_of(message),
        edited_at=_edited_at(message),
        indirect=_indirect(message),
        extras=extras(message),
        topic=_topic(message),
    )


# ── who and where ──


def chat_id(peer: Any) -> ChatId | None:
    """A raw peer's id as Bot API counts; None if it is none."""
    if isinstance(peer, types.PeerUser) and _is_id(peer.user_id):
        return ChatId(peer.user_id)
    if isinstance(peer, types.PeerChat) and _is_id(peer.chat_id):
        return ChatId(-peer.chat_id)
    if isinstance(peer, types.PeerChannel):
        return _channel(peer.channel_id)
    return None


def _channel(bare_id: Any) -> ChatId | None:
    return ChatId(CHANNELS - bare_id) if _is_id(bare_id, LARGEST_ID + CHANNELS) else None


def _is_id(number: Any, largest: int = LARGEST_ID) -> TypeGuard[int]:
    return isinstance(number, int) and 0 < number <= largest


def _author(message: Any, me: int | None) -> AuthorId | None:
    where = message.peer_id
    speaker = getattr(message, "from_id", None)
    if getattr(message, "post", None) and isinstance(where, types.PeerChannel):
        # Channels may sign posts with a user's profile; it is still the channel that speaks,
        # or an author's signature switched on would cut him off from his own flows.
        speaker = where
    elif speaker is None and isinstance(where, types.PeerUser) and getattr(message, "out", None):
        speaker = None if me is None else types.PeerUser(user_id=me)
    elif speaker is None:
        speaker = where  # the partner of a private chat; the group of an anonymous admin
    author = chat_id(speaker)
    return None if author is None or author in SERVICE_ACCOUNTS else AuthorId(author)


def _name(author: AuthorId | None, users: Known, chats: Known) -> str | None:
    if author is None:
        return None
    if author > 0:
        user = users.get(author)
        names = (getattr(user, "first_name", None), getattr(user, "last_name", None))
        return " ".join(filter(None, names)) or None
    bare_id = -author if author > CHANNELS else CHANNELS - author
    return getattr(chats.get(bare_id), "title", None)


def _reply_to(message: Any, where: ChatId) -> MessageRef | None:
    """What it answers. In a forum, a message that answers nothing answers its topic's root."""
    header = getattr(message, "reply_to", None)
    number = getattr(header, "reply_to_msg_id", None)
    # Ephemeral and scheduled messages have ids of their own, which are no ids of this chat.
    foreign = ("reply_to_ephemeral", "reply_to_scheduled")
    if not _is_id(number) or any(getattr(header, flag, None) for flag in foreign):
        return None
    elsewhere = getattr(header, "reply_to_peer_id", None)
    chat = where if elsewhere is None else chat_id(elsewhere)
    return None if chat is None else MessageRef(chat, MessageId(number))


def _reply_to_top(message: Any) -> MessageId | None:
    """The first message of the thread that the answered one is in.

    Absent where that is the answered one itself. In a topic the field means the topic's root,
    and nothing tells where the thread began. https://core.telegram.org/api/threads
    """
    header = getattr(message, "reply_to", None)
    number = getattr(header, "reply_to_top_id", None)
    other = ("forum_topic", "reply_to_peer_id", "reply_to_ephemeral", "reply_to_scheduled")
    if not _is_id(number) or any(getattr(header, name, None) for name in other):
        return None
    return MessageId(number)


def _topic(message: Any) -> int:
    """The topic of a forum; 0: General, or no forum, which no message tells apart.

    The first message of a topic, a service message, is in it and does not say so.
    """
    header = getattr(message, "reply_to", None)
    if not getattr(header, "forum_topic", None):
        created = isinstance(getattr(message, "action", None), types.MessageActionTopicCreate)
        return message.id if created else 0
    top = getattr(header, "reply_to_top_id", None)
    root = top if top is not None else getattr(header, "reply_to_msg_id", None)
    return root if _is_id(root) and root != GENERAL else 0


def _edited_at(message: Any) -> UnixTime | None:
    """Of an edit that people are shown; a reaction or new buttons are a hidden one."""
    date = getattr(message, "edit_date", None)
    return None if not _is_id(date) or getattr(message, "edit_hide", None) else UnixTime(date)


def _indirect(message: Any) -> Indirect | None:
    return next((how for name, how in INDIRECT.items() if getattr(message, name, None)), None)


def _forwarded(message: Any) -> bool:
    """By a person. A linked channel's post comes into its group with a header, too."""
    header = getattr(message, "fwd_from", None)
    if header is None:
        return False
    if getattr(header, "imported", None) or getattr(header, "psa_type", None):
        return True
    source, speaker = getattr(header, "saved_from_peer", None), getattr(message, "from_id", None)
    return not (
        isinstance(source, types.PeerChannel)
        and chat_id(source) is not None
        and chat_id(source) == chat_id(speaker)
        and chat_id(source) != chat_id(getattr(message, "peer_id", None))
    )


def _forward_of(message: Any) -> MessageRef | None:
    """Told of channel posts and of what was saved; of a group's messages only who wrote them."""
    header = getattr(message, "fwd_from", None)
    for peer, number in (("from_id", "channel_post"), ("saved_from_peer", "saved_from_msg_id")):
        where, found = chat_id(getattr(header, peer, None)), getattr(header, number, None)
        if where is not None and _is_id(found):
            return MessageRef(where, MessageId(found))
    return None


# ── media ──
# A file id of ours is "<kind>:<id>:<access hash>:<file reference, hex>"; what is no file is
# "<kind>:<JSON>". Either can be sent again by whichever library, for as long as the account lives.


def media(found: Any) -> Media | None:
    """A link preview is no media: the link is in the text, and Telegram previews it anew."""
    nothing = (type(None), types.MessageMediaEmpty, types.MessageMediaWebPage)
    if isinstance(found, nothing):
        return None
    if isinstance(found, types.MessageMediaPhoto):
        return Media("photo", _file_id("photo", getattr(found, "photo", None), found))
    if isinstance(found, types.MessageMediaDocument):
        document = getattr(found, "document", None)
        kind = _document_kind(document)
        return Media(kind, _file_id(kind, document, found))
    name = type(found).__name__.removeprefix("MessageMedia")
    kind = {"Geo": "location", "GeoLive": "location"}.get(name, _snake(name))
    facts = _facts(kind, found)
    return Media(kind, None if facts is None else f"{kind}:{json.dumps(facts)}")


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _file_id(kind: str, file: Any, found: Any) -> str | None:
    """The reference comes last: it differs each time it is told, and all before it says what it is."""
    number, access_hash = getattr(file, "id", None), getattr(file, "access_hash", None)
    reference = getattr(file, "file_reference", None)
    if number is None or access_hash is None or reference is None:
        return None  # it has expired, or was empty from the start
    covered = f":{COVERED}" if getattr(found, "spoiler", None) else ""
    return f"{kind}:{number}:{access_hash}{covered}:{reference.hex()}"


def _document_kind(document: Any) -> str:
    attributes = {
        type(attribute).__name__.removeprefix("DocumentAttribute"): attribute
        for attribute in getattr(document, "attributes", None) or ()
    }
    kind = next((ATTRIBUTES[name] for name in ATTRIBUTES if name in attributes), "document")
    if kind == "video" and getattr(attributes["Video"], "round_message", None):
        return "video_note"
    if kind == "audio" and getattr(attributes["Audio"], "voice", None):
        return "voice"
    return kind


def _facts(kind: str, found: Any) -> dict[str, Any] | None:
    """What it takes to send a medium again that is no file; None: cannot be done."""
    geo = getattr(found, "geo", None)
    if kind == "poll":
        return poll_facts(found)
    wanted: dict[str, tuple[Any, tuple[str, ...]]] = {
        "location": (geo, ()),
        "venue": (found, ("title", "address", "provider", "venue_id", "venue_type")),
        "contact": (found, ("phone_number", "first_name", "last_name", "vcard")),
        "dice": (found, ("emoticon",)),
    }
    if kind not in wanted:
        return None
    source, names = wanted[kind]
    facts = {name: getattr(source, name, None) or "" for name in names}
    if kind in {"location", "venue"}:
        point = {name: getattr(geo, name, None) for name in ("lat", "long")}
        if None in point.values():
            return None
        facts |= point
    return facts


def media_to_input(file_id: str, *, anonymous: bool = False) -> Any:
    """The raw input media of a file id of ours. Raises `ValueError` if it is none.

    `anonymous`: of a poll, nobody may see who voted.
    """
    kind, _, rest = file_id.partition(":")
    if rest.startswith("{"):
        return _input_of_facts(kind, json.loads(rest), anonymous=anonymous)
    parts = FILE.fullmatch(rest)
    if parts is None:
        raise ValueError(phrase("{kind} is not media that can be sent", kind=repr(kind)))
    file = {
        "id": int(parts["id"]),
        "access_hash": int(parts["access_hash"]),
        "file_reference": bytes.fromhex(parts["reference"]),
    }
    spoiler = True if parts["covered"] else None
    if kind == "photo":
        return build(types.InputMediaPhoto, id=types.InputPhoto(**file), spoiler=spoiler)
    return build(types.InputMediaDocument, id=types.InputDocument(**file), spoiler=spoiler)


def _input_of_facts(kind: str, facts: dict[str, Any], *, anonymous: bool) -> Any:
    if kind == "poll" and "question" in facts:
        return poll_to_input(facts, anonymous=anonymous)
    if kind == "dice":  # it is thrown anew: nobody can send a given number
        return types.InputMediaDice(**facts)
    if kind == "contact":
        return types.InputMediaContact(**facts)
    if kind not in {"location", "venue"}:
        raise ValueError(phrase("{kind} is not media that can be sent", kind=repr(kind)))
    point = types.InputGeoPoint(lat=facts.pop("lat"), long=facts.pop("long"))
    if kind == "location":
        return types.InputMediaGeoPoint(geo_point=point)
    return types.InputMediaVenue(geo_point=point, **facts)
