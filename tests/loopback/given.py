"""What a query brings along: texts, formatting, buttons, media. Refused as Telegram refuses it."""

from pathlib import PurePath
from typing import Any

from pyrogram import raw

from tests.loopback.calls import RpcFailure
from tests.loopback.media import (
    Contact,
    Dice,
    Document,
    Location,
    Media,
    Photo,
    Poll,
    Preview,
    Venue,
)
from tests.loopback.rpc import Desk
from tests.loopback.rpc_login import check_reference
from tests.loopback.tl import find, utf16_length

types = raw.types

TEXT_MAX, CAPTION_MAX = 4096, 1024  # UTF-16 units
BUTTON_DATA_MAX = 64  # bytes


def check_text(text: str, entities: Any, longest: int) -> None:
    length = utf16_length(text)
    if length > longest:
        too_long = "MESSAGE_TOO_LONG" if longest == TEXT_MAX else "MEDIA_CAPTION_TOO_LONG"
        raise RpcFailure(400, too_long)
    for entity in entities or ():
        if entity.offset < 0 or entity.length < 0 or entity.offset + entity.length > length:
            raise RpcFailure(400, "ENTITY_BOUNDS_INVALID")


def check_buttons(keyboard: Any) -> None:
    """https://core.telegram.org/bots/api#inlinekeyboardbutton"""
    for row in getattr(keyboard, "rows", None) or ():
        for button in row.buttons:
            # Newer layers keep a button's data in its `type`.
            data = getattr(getattr(button, "type", button), "data", None)
            if data is not None and not 1 <= len(data) <= BUTTON_DATA_MAX:
                raise RpcFailure(400, "BUTTON_DATA_INVALID")


def entities(given: Any) -> tuple[Any, ...]:
    return tuple(_as_shown(entity) for entity in given or ())


def _as_shown(entity: Any) -> Any:
    if isinstance(entity, types.InputMessageEntityMentionName):
        return types.MessageEntityMentionName(
            offset=entity.offset, length=entity.length, user_id=entity.user_id.user_id
        )
    return entity


def medium(desk: Desk, given: Any) -> Media:
    if isinstance(given, (types.InputMediaPhoto, types.InputMediaDocument)):
        medium = desk.world.media.get(given.id.id)
        if medium is None:
            raise RpcFailure(400, "MEDIA_EMPTY")
        check_reference(medium, given.id)
        return medium
    if isinstance(given, (types.InputMediaUploadedPhoto, types.InputMediaUploadedDocument)):
        return _uploaded(desk, given)
    plain = _plain(desk, given)
    if plain is None:
        raise RpcFailure(400, "MEDIA_INVALID")
    return plain


def _plain(desk: Desk, given: Any) -> Media | None:
    """A medium that is no file; None: this server does not know it."""
    if isinstance(given, types.InputMediaGeoPoint):
        return Location(given.geo_point.lat, given.geo_point.long)
    if isinstance(given, types.InputMediaVenue):
        names = ("title", "address", "provider", "venue_id", "venue_type")
        where = Location(given.geo_point.lat, given.geo_point.long)
        return Venue(where, *(getattr(given, name) for name in names))
    if isinstance(given, types.InputMediaContact):
        return Contact(given.phone_number, given.first_name, given.last_name, given.vcard)
    if isinstance(given, types.InputMediaDice):
        return Dice(given.emoticon, desk.world.number() % 6 + 1)
    if isinstance(given, types.InputMediaPoll):
        return Poll.of(given)
    newer = find("types.InputMediaWebPage")
    if newer is not None and isinstance(given, newer):
        return Preview(given.url, bool(given.force_large_media), bool(given.force_small_media))
    return None


def _uploaded(desk: Desk, given: Any) -> Media:
    parts = desk.uploads.get(given.file.id)
    if parts is None or sorted(parts) != list(range(given.file.parts)):
        raise RpcFailure(400, "FILE_PARTS_INVALID")
    content = b"".join(parts[number] for number in sorted(parts))
    world = desk.world
    medium: Media
    if isinstance(given, types.InputMediaUploadedPhoto):
        medium = Photo(world.number(), world.number(), world.now, content)
    else:
        names = [a.file_name for a in given.attributes if hasattr(a, "file_name")]
        described = [a for a in given.attributes if not hasattr(a, "file_name")]
        medium = Document(
            world.number(),
            world.number(),
            world.now,
            PurePath(names[0] if names else given.file.name).name,
            given.mime_type,
            content,
            tuple(described),
        )
    world.media[medium.id] = medium
    return medium
