"""What messages carry: files, known by id, access hash and file reference, and plain facts."""

from collections.abc import Collection
from dataclasses import dataclass
from inspect import signature
from typing import Any

from pyrogram import raw

from tests.loopback.tl import Raw, make

DATA_CENTRE = 2


@dataclass(eq=False)
class Photo:
    """A file reference that a client holds stops to be good once `expire` was called."""

    id: int
    access_hash: int
    date: int
    content: bytes = b"\xff\xd8\xff photo"
    width: int = 90
    height: int = 60
    version: int = 1
    spoiler: bool = False  # of the messages that carry it, which is where Telegram has it

    @property
    def file_reference(self) -> bytes:
        return b"reference %d of %d" % (self.version, self.id)

    def expire(self) -> None:
        self.version += 1

    def raw(self) -> Any:
        size = raw.types.PhotoSize(type="y", w=self.width, h=self.height, size=len(self.content))
        photo = make(
            raw.types.Photo,
            id=self.id,
            access_hash=self.access_hash,
            file_reference=self.file_reference,
            date=self.date,
            sizes=[size],
            dc_id=DATA_CENTRE,
        )
        return make(raw.types.MessageMediaPhoto, photo=photo, spoiler=self.spoiler)


@dataclass(eq=False)
class Document:
    """Any other file; what it is to the reader, its raw attributes say."""

    id: int
    access_hash: int
    date: int
    name: str = "file.txt"
    mime_type: str = "text/plain"
    content: bytes = b"document"
    attributes: tuple[Any, ...] = ()
    version: int = 1

    @property
    def file_reference(self) -> bytes:
        return b"reference %d of %d" % (self.version, self.id)

    def expire(self) -> None:
        self.version += 1

    def raw(self) -> Any:
        named = raw.types.DocumentAttributeFilename(file_name=self.name)
        document = make(
            raw.types.Document,
            id=self.id,
            access_hash=self.access_hash,
            file_reference=self.file_reference,
            date=self.date,
            mime_type=self.mime_type,
            size=len(self.content),
            dc_id=DATA_CENTRE,
            attributes=[named, *self.attributes],
        )
        return make(raw.types.MessageMediaDocument, document=document)


@dataclass(frozen=True)
class Location:
    lat: float
    long: float

    def point(self) -> Any:
        return make(raw.types.GeoPoint, lat=self.lat, long=self.long)

    def raw(self) -> Any:
        return make(raw.types.MessageMediaGeo, geo=self.point())


@dataclass(frozen=True)
class Venue:
    where: Location
    title: str
    address: str
    provider: str = ""
    venue_id: str = ""
    venue_type: str = ""

    def raw(self) -> Any:
        fields = {**vars(self), "geo": self.where.point()}
        return make(raw.types.MessageMediaVenue, **fields)


@dataclass(frozen=True)
class Contact:
    phone_number: str
    first_name: str
    last_name: str = ""
    vcard: str = ""

    def raw(self) -> Any:
        return make(raw.types.MessageMediaContact, **vars(self))


@dataclass(frozen=True)
class Dice:
    """`value` is the server's to throw."""

    emoticon: str
    value: int = 1

    def raw(self) -> Any:
        return make(raw.types.MessageMediaDice, **vars(self))


@dataclass(frozen=True)
class Poll:
    question: str
    answers: tuple[str, ...]

    def raw(self) -> Any:
        answers = [
            make(raw.types.PollAnswer, text=_worded(answer), option=b"%d" % number)
            for number, answer in enumerate(self.answers)
        ]
        poll = make(raw.types.Poll, id=1, question=_worded(self.question), answers=answers)
        results = make(raw.types.PollResults)
        return make(raw.types.MessageMediaPoll, poll=poll, results=results)


def _worded(text: str) -> Any:
    """Newer layers format a poll's words."""
    if "TextWithEntities" in str(signature(raw.types.Poll).parameters["question"].annotation):
        return make(raw.types.TextWithEntities, text=text)
    return text


@dataclass(frozen=True, eq=False)
class Unknown:
    """A medium that no library here can parse, and with it the message that carries it.

    `content`: its bytes, where those that begin with 0xDEADBEEF will not do. `only`: the accounts
    to which it is shown so; None: to all. The others, with newer libraries, are shown `instead`.
    `whole`: not the medium alone is of a kind that is not known, but the message.
    """

    content: bytes | None = None
    only: "Collection[Any] | None" = None
    instead: Any = None
    whole: bool = False

    def strange_to(self, account: Any) -> bool:
        return self.only is None or account in self.only

    def raw(self) -> Any:
        return Raw(self.content)


Media = Photo | Document | Location | Venue | Contact | Dice | Poll | Unknown
