"""What messages carry: files, known by id, access hash and file reference, and plain facts."""

from collections.abc import Collection
from dataclasses import dataclass
from inspect import signature
from typing import Any

from pyrogram import raw

from tests.loopback.tl import Raw, find, make

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
    """`correct`: the right answers of a quiz by their place; told when it is closed."""

    question: str
    answers: tuple[str, ...]
    closed: bool = False
    public_voters: bool = False
    multiple_choice: bool = False
    quiz: bool = False
    correct: tuple[int, ...] = ()
    solution: str | None = None
    close_period: int | None = None

    @classmethod
    def of(cls, given: Any) -> "Poll":
        """What an inputMediaPoll asks for."""
        poll = given.poll
        options = [getattr(answer, "option", None) for answer in poll.answers]
        return cls(
            _plain(poll.question),
            tuple(_plain(answer.text) for answer in poll.answers),
            bool(poll.closed),
            bool(poll.public_voters),
            bool(poll.multiple_choice),
            bool(poll.quiz),
            # Older layers name the right answers, newer ones count them.
            tuple(
                right if isinstance(right, int) else options.index(right)
                for right in given.correct_answers or ()
            ),
            given.solution,
            poll.close_period,
        )

    def raw(self) -> Any:
        options = [b"%d" % number for number in range(len(self.answers))]
        answers = [
            make(raw.types.PollAnswer, text=_worded(answer), option=option)
            for answer, option in zip(self.answers, options, strict=True)
        ]
        flags = ("closed", "public_voters", "multiple_choice", "quiz", "close_period")
        poll = make(
            raw.types.Poll,
            id=1,
            question=_worded(self.question),
            answers=answers,
            **{name: getattr(self, name) or None for name in flags},
        )
        return make(raw.types.MessageMediaPoll, poll=poll, results=self._results(options))

    def _results(self, options: list[bytes]) -> Any:
        if not (self.closed and self.quiz):
            return make(raw.types.PollResults)
        results = [
            make(
                raw.types.PollAnswerVoters,
                option=option,
                correct=number in self.correct or None,
            )
            for number, option in enumerate(options)
        ]
        # Kurigram writes no empty vector where it reads one, so there is some formatting always.
        bold = [raw.types.MessageEntityBold(offset=0, length=1)]
        solution = {"solution": self.solution, "solution_entities": bold} if self.solution else {}
        return make(raw.types.PollResults, results=results, total_voters=0, **solution)


@dataclass(frozen=True)
class Preview:
    """A link preview, which Telegram counts among the media. Sizes are of newer layers."""

    url: str
    large: bool = False
    small: bool = False

    def raw(self) -> Any:
        page = make(
            raw.types.WebPage, id=1, url=self.url, display_url=self.url, hash=0, title="A page"
        )
        sizes = {"force_large_media": self.large or None, "force_small_media": self.small or None}
        return make(raw.types.MessageMediaWebPage, webpage=page, **sizes)


@dataclass(frozen=True)
class Other:
    """A medium that nobody but Telegram can make: `Other("Giveaway")` is messageMediaGiveaway.

    What the library has no such constructor for, it is told to be unsupported.
    """

    name: str

    def raw(self) -> Any:
        kind = find(f"types.MessageMedia{self.name}") or raw.types.MessageMediaUnsupported
        return make(kind, peer=raw.types.PeerUser(user_id=1), id=1)


def _plain(text: Any) -> str:
    plain: str = getattr(text, "text", text)
    return plain


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


Media = Photo | Document | Location | Venue | Contact | Dice | Poll | Preview | Other | Unknown
