"""The words of this project (what they mean to people is in the README). No I/O, no rules."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple, NewType

if TYPE_CHECKING:
    from bot.extras import Extras
    from bot.signal_fields import EventKind

ChatId = NewType("ChatId", int)  # as Bot API counts: > 0 a user, < 0 a group, -100… a channel
MessageId = NewType("MessageId", int)  # unique within one chat only
AuthorId = NewType("AuthorId", int)  # > 0 a user, < 0 a chat that speaks for itself
SignalId = NewType("SignalId", int)  # our own: the row of the `signals` table
UnixTime = NewType("UnixTime", int)  # seconds, Telegram server time

SINKS: Final = -(2**62)  # ids below it stand for places that are no chats: a webhook, a file


def is_sink(chat: ChatId) -> bool:
    return chat < SINKS


class Everyone(Enum):
    """Of an allow-list that says so in one word: whoever can be told is permitted."""

    EVERYONE = "everyone"


EVERYONE: Final = Everyone.EVERYONE

# As a flow's last activity: an operator has ended it, and its owner has not taken it back yet.
ENDED_BY_HAND: Final = UnixTime(0)


GENERAL: Final = 1  # the topic that every forum has; what is in no other is in it
CHANNELS: Final = ChatId(-(10**12))  # a channel's id is this minus its own, as Bot API counts


def has_own_box(chat: ChatId) -> bool:
    """A channel or supergroup: its updates and its messages are counted apart from all others."""
    return SINKS < chat < CHANNELS


def is_basic_group(chat: ChatId) -> bool:
    """Neither a user nor a channel nor a supergroup."""
    return CHANNELS < chat < 0


class Address(NamedTuple):
    """A chat, or one topic of a forum."""

    chat: ChatId
    topic: int = 0  # 0: none named

    def __str__(self) -> str:
        return f"{self.chat}#{self.topic}" if self.topic else str(self.chat)


class Outcome(StrEnum):
    """What became of a source message."""

    SIGNAL = "signal"  # accepted: it opens a flow
    UPDATE = "update"  # accepted: it continues a flow
    REJECTED = "rejected"  # answered into a flow its author may not continue
    IGNORED = "ignored"  # nothing the relay is for
    DUPLICATE = "duplicate"  # decided before; nothing was written this time


class Reason(StrEnum):
    """Why. Each is one row of the rule in `policy`."""

    NOT_A_SIGNAL = "not_a_signal"
    FORWARDED = "forwarded"
    UNKNOWN_AUTHOR = "unknown_author"
    NOT_PERMITTED = "not_permitted"
    NEW_SIGNAL = "new_signal"
    UNKNOWN_PARENT = "unknown_parent"
    OWNER = "owner"
    NOT_THE_OWNER = "not_the_owner"
    RELEASED = "released"
    ALREADY_RECORDED = "already_recorded"
    UNREADABLE = "unreadable"
    FAILED = "failed"  # it could not be dealt with; see `Failure`


class Tier(StrEnum):
    """Which store knew the flow, the fastest first."""

    MEMORY = "memory"
    DISK = "disk"
    TABLE = "table"


class AfterTtl(StrEnum):
    """Who may continue a flow that has been quiet for longer than the TTL."""

    RELEASE = "release"  # every permitted author
    OWNER = "owner"  # still nobody but its owner


class Answers(StrEnum):
    """What becomes of an owner's reply in their own flow to somebody who was refused there."""

    IGNORE = "ignore"
    RELAY = "relay"  # it is an update, below the nearest post that stands


class MessageRef(NamedTuple):
    """A message of one chat: what a reply points at and what an id map is keyed by."""

    chat_id: ChatId
    message_id: MessageId

    @property
    def link(self) -> str | None:
        """What opens it in Telegram, for whoever is in that chat; None: there is no such link."""
        if not has_own_box(self.chat_id):
            return None
        return f"https://t.me/c/{CHANNELS - self.chat_id}/{self.message_id}"


class Failure(NamedTuple):
    """Something that happened to a message and could not be dealt with, for no fault of the table."""

    ref: MessageRef
    author: AuthorId | None
    at: UnixTime
    error: str  # one line, and nothing of what was written
    answers: MessageRef | None = None  # None: nothing, or that is not known


class Flow(NamedTuple):
    """The two facts that decide who may continue a signal. Every tier holds exactly these.

    A tuple and not a dataclass: a million of them fit in memory.
    """

    owner: AuthorId
    last_owner_activity: UnixTime | None  # None: missing, so nobody but the owner may continue


class RecordedAlbum(NamedTuple):
    """An album of which something is recorded, and what was decided of it."""

    signal_id: SignalId
    message_id: MessageId  # the first recorded part
    author: AuthorId
    reason: Reason


class RefusedReply(NamedTuple):
    """A reply into a flow that its author might not continue."""

    signal_id: SignalId
    answers: MessageRef


class Decision(NamedTuple):
    """What was decided for one source message, why, and which tier knew."""

    outcome: Outcome
    reason: Reason
    tier: Tier | None = None  # None: no flow was found, or none was needed
    signal_id: SignalId | None = None  # None: the message belongs to no flow

    @property
    def accepted(self) -> bool:
        return self.outcome is Outcome.SIGNAL or self.outcome is Outcome.UPDATE


@dataclass(frozen=True, slots=True)
class Entity:
    """A run of formatted text. Offsets count UTF-16 code units, as Telegram does.

    `type` is the Bot API's name for it ("bold", "text_link", "custom_emoji", …).
    https://core.telegram.org/bots/api#messageentity
    """

    type: str
    offset: int
    length: int
    url: str | None = None  # of a "text_link"
    user_id: int | None = None  # of a "text_mention"
    language: str | None = None  # of a "pre"
    custom_emoji_id: str | None = None


# Kinds of media that words can stand below.
CAPTIONED: Final = frozenset({"photo", "video", "animation", "audio", "document", "voice"})


@dataclass(frozen=True, slots=True)
class Media:
    """What a message carries besides text."""

    kind: str  # the Bot API's name: "photo", "video", "document", "voice", "poll", …
    file_id: str | None = None  # None: known to exist, not at hand (an export)

    @property
    def identity(self) -> str:
        """Which medium it is. A file's reference, the last part of its id, differs each time."""
        return f"{self.kind} {identity_of(self.file_id)}"


def identity_of(file_id: str | None) -> str:
    """What says which file it is: all but the reference, which differs each time it is told.

    What is no file is JSON, and is that whole.
    """
    if file_id is None:
        return ""
    return file_id if file_id.endswith("}") else file_id.rpartition(":")[0]


class Content(NamedTuple):
    """What a message says, or one post of it."""

    text: str
    entities: tuple[Entity, ...] = ()
    media: Media | None = None
    extras: Extras | None = None  # None: it is shown as any other


class Indirect(StrEnum):
    """How a message came to be sent, if its author did not type it there and then."""

    VIA_BOT = "via_bot"  # a bot wrote it, and they chose it or it speaks in their name
    SCHEDULED = "scheduled"  # it was written before, and sent when its time had come
    AUTOMATIC = "automatic"  # as a greeting, or while they were away


@dataclass(frozen=True, slots=True)
class IncomingMessage:
    """One message of a source chat; live, caught up and replayed messages look alike."""

    chat_id: ChatId
    id: MessageId
    author: AuthorId | None  # None: cannot be told, and is never authorised for anything
    at: UnixTime  # the message's own date, never the local clock
    text: str = ""  # the text, or the caption of media
    entities: tuple[Entity, ...] = ()
    reply_to: MessageRef | None = None  # None: not a reply
    forwarded: bool = False  # by a person; a linked channel's automatic forward is not
    service: bool = False  # "X joined", "Y pinned …": nobody's words
    media: Media | None = None
    album_id: int | None = None  # shared by the parts of one album
    author_name: str | None = None  # as people see it; decides nothing
    forward_of: MessageRef | None = None  # None: no forward, or Telegram does not say of what
    # The first message of its thread, in this chat; None: it is what is answered, or is not told.
    reply_to_top: MessageId | None = None
    edited_at: UnixTime | None = None  # when its author last edited it; None: never
    indirect: Indirect | None = None  # None: typed and sent at once, as far as can be told
    extras: Extras | None = None  # None: it is shown as any other
    topic: int = 0  # of a forum; 0: General, or no forum

    @property
    def ref(self) -> MessageRef:
        return MessageRef(self.chat_id, self.id)

    @property
    def content(self) -> Content:
        return Content(self.text, self.entities, self.media, self.extras)

    @property
    def begun_at(self) -> UnixTime:
        """Where it is a signal that was not known before: when it began to be one.

        Of what was edited nobody can tell whether it carried its marker before. So it counts from
        the edit: a flow is never born released.
        """
        return self.at if self.edited_at is None else max(self.at, self.edited_at)


@dataclass(frozen=True, slots=True)
class EditedMessage:
    """A message as it stands after an edit; `message.at` is still the date it was sent."""

    message: IncomingMessage


@dataclass(frozen=True, slots=True)
class DeletedMessages:
    chat_id: ChatId | None  # None: Telegram does not say; the ids are of basic groups and users
    ids: tuple[MessageId, ...]


@dataclass(frozen=True, slots=True)
class UnreadableMessage:
    """A message that is there, new or edited, and that the library cannot parse."""

    chat_id: ChatId
    id: MessageId
    at: UnixTime | None  # the message's own date; None: not even that
    error: str  # one line; nothing of the message's own words

    @property
    def ref(self) -> MessageRef:
        return MessageRef(self.chat_id, self.id)


@dataclass(frozen=True, slots=True)
class MigratedChat:
    """A basic group became a supergroup, with a new id and message ids from 1 on."""

    old: ChatId
    new: ChatId


@dataclass(frozen=True, slots=True)
class PressedButton:
    """An inline button below a message of ours. It tells no date and comes once or never."""

    query_id: int
    user: AuthorId
    chat_id: ChatId
    message_id: MessageId
    data: str  # what we gave the button


class Button(NamedTuple):
    text: str
    data: str  # up to 64 bytes; see `PressedButton`


class OrderKind(StrEnum):
    """What an operator may want of a running bot."""

    RELEASE = "release"  # end the flow of signal `subject`
    RETRY = "retry"  # post `subject` again that Telegram refused
    REREAD = "reread"  # deal again with what failed; `subject` is its row in `decisions`
    PAUSE = "pause"  # post nothing; `subject` is 0, as it is of the next
    RESUME = "resume"
    PLACE = "place"  # a place in chat `subject` was paused, or goes on


class Order(NamedTuple):
    id: int
    kind: OrderKind
    subject: int
    at: UnixTime  # local clock


class Cursor(NamedTuple):
    """How far one update box is dealt with. https://core.telegram.org/api/updates

    A supergroup or channel has a box of its own, under its chat id. All else is in the account's box.
    """

    box: ChatId
    pts: int
    qts: int | None = None  # of an account only, as is the next
    date: UnixTime | None = None
    message_id: MessageId | None = None  # the newest message of the box; None: none was seen yet
    again: bool = False  # what is recorded of it is to be read again, as it is now


@dataclass(frozen=True, slots=True)
class Reached:
    """Comes behind all that it counts: whoever has dealt with that may let the cursor move."""

    cursor: Cursor


Event = (
    IncomingMessage
    | EditedMessage
    | DeletedMessages
    | UnreadableMessage
    | MigratedChat
    | PressedButton
    | Reached
)


class UnreadableChat(NamedTuple):
    """A followed chat that cannot be read, or of which what was promised does not come."""

    chat: ChatId
    since: float  # unix seconds, local clock
    error: str  # one line
    advice: str  # what the operator can do about it
    again_at: float | None  # when it is tried again; None: it is being tried, or on no schedule
    lost: bool = False  # Telegram keeps nothing for us of what is said there meanwhile
    name: str | None = None  # of its sources; None: no file names them


class ChatTrouble(NamedTuple):
    """A chat of the settings in which the bot may not do all that it is for, since it was started."""

    chat: ChatId
    since: float  # unix seconds, local clock
    text: str  # one line: what it is, and what to do about it
    source: bool  # else a target
    outside: bool  # our account is not in it
    stops: bool  # nothing goes on there; else some of it does
    name: str | None = None  # of its sources or places; None: no file names them


class Fact(NamedTuple):
    """What a message was and what became of it: a picture of a group is made of these."""

    message_id: MessageId
    at: UnixTime
    author: AuthorId | None  # None: cannot be told
    outcome: Outcome
    reason: Reason
    flow: SignalId | None = None  # None: the message belongs to no flow
    author_name: str | None = None  # None: not at hand (the tables)
    album: int | None = None  # shared by the parts of one album
    # Of a signal only:
    text: str = ""
    pair: str | None = None
    direction: str | None = None
    # Of an update only:
    event: EventKind | None = None  # what it tells of its signal; None: nothing beyond doubt
    chat: ChatId | None = None  # where it stands; None: not at hand
