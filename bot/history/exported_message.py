"""One message of Telegram Desktop's export, as the bot sees messages."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple, TypeGuard

from bot.models import (
    AuthorId,
    ChatId,
    Entity,
    IncomingMessage,
    Media,
    MessageId,
    MessageRef,
    UnixTime,
)

INT64 = range(-(2**63), 2**63)
CHANNEL_BASE = -(10**12)
# Accounts that stand in for a sender Telegram does not name: the service account, anonymous
# admins and channels as old clients see them. Whoever they speak for, it is not a user.
STAND_INS = frozenset({777_000, 1_087_968_824, 136_817_688})

PEER = re.compile(r"(user|chat|channel)([0-9]{1,19})")
DIGITS = 18  # as many as surely fit
OLD_PEERS = ("user", "chat", "channel")  # a numeric peer of old exports: kind << 32 | id

ENTITY_TYPES = {
    "bold": "bold",
    "italic": "italic",
    "underline": "underline",
    "strikethrough": "strikethrough",
    "spoiler": "spoiler",
    "code": "code",
    "pre": "pre",
    "blockquote": "blockquote",
    "link": "url",
    "text_link": "text_link",
    "mention": "mention",
    "mention_name": "text_mention",
    "hashtag": "hashtag",
    "cashtag": "cashtag",
    "bot_command": "bot_command",
    "email": "email",
    "phone": "phone_number",
    "bank_card": "bank_card",
    "custom_emoji": "custom_emoji",
}

MEDIA_TYPES = {
    "sticker": Media("sticker"),
    "video_message": Media("video_note"),
    "voice_message": Media("voice"),
    "animation": Media("animation"),
    "video_file": Media("video"),
    "audio_file": Media("audio"),
}
MEDIA_KEYS = {  # the first that is there decides: a venue has a location too
    "photo": Media("photo"),
    "file": Media("document"),
    "poll": Media("poll"),
    "place_name": Media("venue"),
    "location_information": Media("location"),
    "contact_information": Media("contact"),
    "game_title": Media("game"),
    "invoice_information": Media("invoice"),
    "giveaway_information": Media("giveaway"),
    "giveaway_results": Media("giveaway_winners"),
    "todo_list": Media("checklist"),
    "story_id": Media("story"),
    "paid_stars_amount": Media("paid_media"),
}

FORWARD_KEYS = frozenset({"forwarded_from", "forwarded_from_id", "saved_from"})
READ = frozenset(  # whatever is asked of an item below
    {
        *("id", "type", "date", "date_unixtime", "edited_unixtime", "text", "text_entities"),
        *("from", "from_id", "actor", "actor_id", "reply_to_message_id", "reply_to_peer_id"),
        *("media_type", *MEDIA_KEYS, *FORWARD_KEYS),
    }
)


class SortKey(NamedTuple):
    """Where a message stands. The same one may come twice, as it was before an edit and after."""

    id: MessageId
    edited: int  # unix seconds; 0: never, or it is not told


def sort_key(item: object) -> SortKey | None:
    """None: it has no id or no date, so nothing could be told apart or judged by it."""
    if not isinstance(item, dict):
        return None
    message_id = _id(item)
    if message_id is None or _date(item) is None:
        return None
    return SortKey(message_id, _edited_at(item) or 0)


def message_of(item: dict[str, Any], chat_id: ChatId) -> IncomingMessage | None:
    """None: as of `sort_key`."""
    message_id, at = _id(item), _date(item)
    if message_id is None or at is None:
        return None
    service = item.get("type") != "message"
    author = _author(item.get("actor_id" if service else "from_id"))
    name = item.get("actor" if service else "from")
    text, entities = _text(item)
    return IncomingMessage(
        chat_id=chat_id,
        id=message_id,
        author=author,
        at=at,
        text=text,
        entities=entities,
        reply_to=_reply_to(item, chat_id),
        forwarded=_is_forwarded(item, author, chat_id),
        service=service,
        media=_media(item),
        author_name=name if name and isinstance(name, str) else None,
        edited_at=_edited_at(item),
    )


def _id(item: dict[str, Any]) -> MessageId | None:
    message_id = item.get("id")
    return MessageId(message_id) if is_int(message_id) and message_id != 0 else None


def is_int(value: object) -> TypeGuard[int]:
    return type(value) is int  # and no bool, which JSON keeps apart


def _digits(value: object) -> int | None:
    """A number that JSON carries as a string, or as a number."""
    if isinstance(value, str):
        return int(value) if len(value) <= DIGITS and value.isascii() and value.isdigit() else None
    return value if is_int(value) else None


def _date(item: dict[str, Any]) -> UnixTime | None:
    """Old exports only have `date`, in the zone of whoever exported. It is read as UTC.

    A date that MTProto could not carry (it has 32 bits) is nobody's.
    """
    at = _digits(item.get("date_unixtime"))
    if at is None:
        try:
            date = datetime.fromisoformat(item["date"])
        except (KeyError, TypeError, ValueError):
            return None
        at = int((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp())
    return UnixTime(at) if 0 < at < 2**32 else None


def _edited_at(item: dict[str, Any]) -> UnixTime | None:
    """None: never, or an old export, which says so in a zone that nobody knows."""
    at = _digits(item.get("edited_unixtime"))
    return UnixTime(at) if at is not None and 0 < at < 2**32 else None


def _author(value: object) -> AuthorId | None:
    peer = _peer_of(value)
    return None if peer is None or peer in STAND_INS else AuthorId(peer)


def _peer_of(value: object) -> int | None:
    """The id of "user1", "chat1", "channel1" or an old export's number, as Bot API counts."""
    if isinstance(value, str):
        return _named_peer(value)
    if is_int(value):
        kind, bare = divmod(value, 2**32)
        return peer_id(OLD_PEERS[kind], bare) if 0 <= kind < len(OLD_PEERS) else None
    return None


@lru_cache(maxsize=1024)
def _named_peer(value: str) -> int | None:
    match = PEER.fullmatch(value)
    return peer_id(match[1], int(match[2])) if match else None


def peer_id(kind: str, bare: int) -> int | None:
    if bare <= 0:
        return None
    peer = {"user": bare, "chat": -bare, "channel": CHANNEL_BASE - bare}[kind]
    return peer if peer in INT64 else None


def _reply_to(item: dict[str, Any], chat_id: ChatId) -> MessageRef | None:
    parent = item.get("reply_to_message_id")
    if not is_int(parent) or parent == 0:
        return None
    other = item.get("reply_to_peer_id")
    peer = chat_id if other is None else _peer_of(other)
    # Nobody answers what is yet to come: a second import, which knows that, would decide otherwise.
    if peer == chat_id and parent >= item["id"]:
        return None
    # Into a chat that cannot be told: at least it is not into this one.
    return None if peer is None else MessageRef(ChatId(peer), MessageId(parent))


def _is_forwarded(item: dict[str, Any], author: AuthorId | None, chat_id: ChatId) -> bool:
    if FORWARD_KEYS.isdisjoint(item):
        return False
    if author is None or author >= CHANNEL_BASE or author == int(chat_id):
        return True
    # A channel brings its own post into the group it is linked with.
    origin = item.get("forwarded_from_id")
    if origin is not None:
        return _peer_of(origin) != author
    name = item.get("from")
    return not name or item.get("forwarded_from") != name


def _media(item: dict[str, Any]) -> Media | None:
    kind = item.get("media_type")
    if isinstance(kind, str) and kind in MEDIA_TYPES:
        return MEDIA_TYPES[kind]
    for key, media in MEDIA_KEYS.items():
        if key in item:
            return media
    return None


def _text(item: dict[str, Any]) -> tuple[str, tuple[Entity, ...]]:
    """`text_entities` is the whole text in parts; older exports have the parts in `text` alone."""
    for key in ("text_entities", "text"):
        value = item.get(key)
        if value and isinstance(value, str):
            return value, ()
        if value and isinstance(value, list):
            text, entities = _joined(value)
            if text:
                return text, entities
    return "", ()


def _joined(parts: list[Any]) -> tuple[str, tuple[Entity, ...]]:
    texts, entities, offset = [], [], 0
    for part in parts:
        text = part.get("text") if isinstance(part, dict) else part
        if not isinstance(text, str):
            continue
        length = len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2
        if isinstance(part, dict) and length and (entity := _entity(part, offset, length)):
            entities.append(entity)
        texts.append(text)
        offset += length
    return "".join(texts), tuple(entities)


def _entity(part: dict[str, Any], offset: int, length: int) -> Entity | None:
    """None: the part is plain, or lacks what its type is worth nothing without."""
    kind = part.get("type")
    name = ENTITY_TYPES.get(kind) if isinstance(kind, str) else None
    if name is None:
        return None
    if name == "pre":
        return Entity(name, offset, length, language=_filled(part.get("language")))
    needed: dict[str, Any] = {}
    if name == "text_link":
        needed["url"] = _filled(part.get("href"))
    elif name == "text_mention":
        needed["user_id"] = _digits(part.get("user_id"))
    elif name == "custom_emoji":  # often the path of a file, which Telegram could not use
        document = part.get("document_id")
        needed["custom_emoji_id"] = None if _digits(document) is None else str(document)
    return None if None in needed.values() else Entity(name, offset, length, **needed)


def _filled(value: object) -> str | None:
    return value if value and isinstance(value, str) else None
