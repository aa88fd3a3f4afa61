"""What a test reads: plain values, the same on every library."""

from dataclasses import dataclass, field
from typing import Any

from pyrogram import raw

from tests.loopback.media import Document, Media, Photo
from tests.loopback.tl import make
from tests.loopback.world import Account, Chat, Message

ENTITY = "MessageEntity"


@dataclass(frozen=True)
class Entity:
    """`kind` as in the raw name: `Entity("Bold", 0, 4)` is messageEntityBold. UTF-16 units."""

    kind: str
    offset: int
    length: int
    url: str | None = None
    user_id: int | None = None
    language: str | None = None
    document_id: int | None = None

    def raw(self) -> Any:
        more = {
            "url": self.url,
            "user_id": self.user_id,
            "language": self.language,
            "document_id": self.document_id,
        }
        kind = getattr(raw.types, ENTITY + self.kind)
        given = {name: value for name, value in more.items() if value is not None}
        return make(kind, offset=self.offset, length=self.length, **given)

    @classmethod
    def of(cls, entity: Any) -> "Entity":
        return cls(
            type(entity).__name__.removeprefix(ENTITY),
            entity.offset,
            entity.length,
            getattr(entity, "url", None),
            getattr(entity, "user_id", None),
            getattr(entity, "language", None) or None,
            getattr(entity, "document_id", None),
        )


@dataclass(frozen=True)
class Seen:
    """One message as it lies in a chat. Chats and users by id, counted as the Bot API does."""

    id: int
    sender: int
    text: str
    date: int
    entities: tuple[Entity, ...] = ()
    media: Media | None = None
    reply_to: int | None = None
    topic: int | None = None
    grouped_id: int | None = None
    forwarded_from: int | None = None
    buttons: tuple[str, ...] = ()
    service: str | None = None
    edit_date: int | None = None
    silent: bool = False
    no_webpage: bool = False
    inverted: bool = False
    quote: str | None = None
    links: tuple[tuple[str, str], ...] = ()  # buttons that lead somewhere: text and address
    deleted: bool = False
    random_id: int | None = None
    message: Message | None = field(default=None, repr=False, compare=False)

    @property
    def photo(self) -> Photo | None:
        return self.media if isinstance(self.media, Photo) else None

    @property
    def document(self) -> Document | None:
        return self.media if isinstance(self.media, Document) else None


def seen(message: Message, viewer: Account | None = None) -> Seen:
    """`viewer`: in a private chat or basic group, whose ids to count by; else the author's."""
    forward = message.forward
    return Seen(
        _id(message, viewer),
        _sender(message),
        message.text,
        message.date,
        entities=tuple(Entity.of(entity) for entity in message.entities),
        media=message.media,
        reply_to=_reply_id(message, viewer),
        topic=message.topic,
        grouped_id=message.album,
        forwarded_from=forward.sender.id if forward and forward.sender else None,
        buttons=tuple(button.text for row in _rows(message) for button in row.buttons),
        service=message.service.name if message.service else None,
        edit_date=message.edit_date,
        silent=message.silent,
        no_webpage=message.no_webpage,
        inverted=message.inverted,
        quote=message.reply.quote.text if message.reply and message.reply.quote else None,
        links=tuple(
            (button.text, url)
            for row in _rows(message)
            for button in row.buttons
            # Newer layers keep it in the button's `type`.
            if (url := getattr(getattr(button, "type", button), "url", None))
        ),
        deleted=message.deleted,
        random_id=message.random_id,
        message=message,
    )


def _id(message: Message, viewer: Account | None) -> int:
    return message.id if viewer is None else message.id_for(viewer)


def _sender(message: Message) -> int:
    sender = message.sender or message.place
    return sender.id if isinstance(sender, (Account, Chat)) else 0


def _reply_id(message: Message, viewer: Account | None) -> int | None:
    if message.reply is None:
        return None
    answered = message.reply.to
    if isinstance(answered, int):
        return answered
    return answered.id_for(viewer or message.author) if answered.ids else None


def _rows(message: Message) -> list[Any]:
    return getattr(message.keyboard, "rows", None) or []
