"""Photos and documents, known by id, access hash and file reference."""

from dataclasses import dataclass
from typing import Any

from pyrogram import raw

from tests.loopback.tl import make

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
        return make(raw.types.MessageMediaPhoto, photo=photo)


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


Media = Photo | Document
