"""Formatting: raw message entities to our words and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pyrogram import raw

from bot.models import Entity
from bot.telegram.layers import build

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

types: Final[Any] = raw.types

ENTITIES: Final = {  # raw name → Bot API's name
    "Bold": "bold",
    "Italic": "italic",
    "Underline": "underline",
    "Strike": "strikethrough",
    "Spoiler": "spoiler",
    "Code": "code",
    "Pre": "pre",
    "Blockquote": "blockquote",
    "TextUrl": "text_link",
    "Url": "url",
    "Email": "email",
    "Phone": "phone_number",
    "Mention": "mention",
    "MentionName": "text_mention",
    "Hashtag": "hashtag",
    "Cashtag": "cashtag",
    "BotCommand": "bot_command",
    "BankCard": "bank_card",
    "CustomEmoji": "custom_emoji",
}
RAW_ENTITIES: Final = {name: raw_name for raw_name, name in ENTITIES.items()} | {
    "expandable_blockquote": "Blockquote"
}
UNSEEN: Final = frozenset({"Unknown"})  # says nothing of how the text looks


def entities(found: Iterable[Any] | None) -> tuple[Entity, ...]:
    """Kinds that Bot API has no name for are left out."""
    return tuple(entity for entity in map(_entity, found or ()) if entity is not None)


def _entity(entity: Any) -> Entity | None:
    name = ENTITIES.get(type(entity).__name__.removeprefix("MessageEntity"))
    offset, length = getattr(entity, "offset", None), getattr(entity, "length", None)
    if name is None or offset is None or length is None:
        return None
    if name == "blockquote" and getattr(entity, "collapsed", None):
        name = "expandable_blockquote"
    emoji = getattr(entity, "document_id", None)
    return Entity(
        name,
        offset,
        length,
        url=getattr(entity, "url", None),
        user_id=getattr(entity, "user_id", None),
        language=getattr(entity, "language", None) or None,
        custom_emoji_id=None if emoji is None else str(emoji),
    )


def entities_to_raw(wanted: Iterable[Entity], users: Mapping[int, Any] | None = None) -> list[Any]:
    """`users`: raw input users by id. A mention of anyone else is left out, its text stays."""
    raws = (_raw_entity(entity, users or {}) for entity in wanted)
    return [entity for entity in raws if entity is not None]


def _raw_entity(entity: Entity, users: Mapping[int, Any]) -> Any:
    where = {"offset": entity.offset, "length": entity.length}
    if entity.type == "text_mention":
        user = users.get(entity.user_id or 0)
        mention = types.InputMessageEntityMentionName
        return None if user is None else mention(**where, user_id=user)
    if entity.type not in RAW_ENTITIES:
        return None
    emoji = entity.custom_emoji_id or ""
    if entity.type == "custom_emoji" and not emoji.isdecimal():
        return None
    return build(
        getattr(types, f"MessageEntity{RAW_ENTITIES[entity.type]}"),
        **where,
        url=entity.url or "",
        language=entity.language or "",
        document_id=int(emoji or 0),
        collapsed=entity.type == "expandable_blockquote" or None,
    )


def unknown_entities(found: Iterable[Any] | None) -> list[str]:
    """The kinds that Bot API has no name for, as Telegram calls them."""
    kinds = (type(entity).__name__.removeprefix("MessageEntity") for entity in found or ())
    return sorted({kind for kind in kinds if kind not in ENTITIES} - UNSEEN)
