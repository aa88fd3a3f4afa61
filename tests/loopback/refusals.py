"""What a chat does not take, and what may not leave one."""

from typing import Any

from pyrogram import raw

from tests.loopback.calls import RpcFailure
from tests.loopback.media import Document, Media, Photo, Poll
from tests.loopback.world import Account, Chat, Message, Place, Quote, Topic, World

types = raw.types

# What a group's rights call a document, by its attributes, the most telling first.
DOCUMENTS = {
    "DocumentAttributeSticker": "stickers",
    "DocumentAttributeAnimated": "gifs",
    "DocumentAttributeVideo": "videos",
    "DocumentAttributeAudio": "audios",
}


def kind_of(medium: Media) -> str | None:
    """As in chatBannedRights: what `send_<kind>` forbids. None: nothing forbids it by itself."""
    if isinstance(medium, Photo):
        return "photos"
    if isinstance(medium, Poll):
        return "poll"
    if not isinstance(medium, Document):
        return None
    names = {type(attribute).__name__: attribute for attribute in medium.attributes}
    kind = next((kind for name, kind in DOCUMENTS.items() if name in names), "docs")
    if kind == "videos" and names["DocumentAttributeVideo"].round_message:
        return "roundvideos"
    if kind == "audios" and names["DocumentAttributeAudio"].voice:
        return "voices"
    return kind


def check_topic(forum: Chat, topic: Topic, asking: Account) -> None:
    """Who rules the forum may write in a closed one."""
    if topic.closed and not forum.role(asking).rules:
        raise RpcFailure(400, "TOPIC_CLOSED")


def check_may_carry(world: World, place: Place, medium: Media) -> None:
    """https://core.telegram.org/constructor/chatBannedRights"""
    kind = kind_of(medium)
    if isinstance(place, Chat) and kind is not None:
        for forbidden in place.forbidden & {kind, "media"}:
            raise RpcFailure(403, f"CHAT_SEND_{forbidden.upper()}_FORBIDDEN")
    if isinstance(medium, (Photo, Document)) and _is_protected(world, medium):
        raise RpcFailure(400, "CHAT_FORWARDS_RESTRICTED")


def _is_protected(world: World, medium: Media) -> bool:
    return any(
        message.media is medium
        for chat in world.chats.values()
        if chat.protected
        for message in world.messages(chat)
    )


def quote(header: Any, answered: Message) -> Quote | None:
    """Only what stands in the answered message can be quoted of it."""
    text = getattr(header, "quote_text", None)
    if not text:
        return None
    if text not in answered.text:
        raise RpcFailure(400, "QUOTE_TEXT_INVALID")
    return Quote(text, tuple(header.quote_entities or ()))
