"""The words of this project (what they mean to people is in the README). No I/O, no rules."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple, NewType

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

ChatId = NewType("ChatId", int)  # as Bot API counts: > 0 a user, < 0 a group, -100… a channel
MessageId = NewType("MessageId", int)  # unique within one chat only
AuthorId = NewType("AuthorId", int)  # > 0 a user, < 0 a chat that speaks for itself
SignalId = NewType("SignalId", int)  # our own: the row of the `signals` table
UnixTime = NewType("UnixTime", int)  # seconds, Telegram server time

# As a flow's last activity: an operator has ended it, and its owner has not taken it back yet.
ENDED_BY_HAND: Final = UnixTime(0)


CHANNELS: Final = ChatId(-(10**12))  # a channel's id is this minus its own, as Bot API counts


def has_own_box(chat: ChatId) -> bool:
    """A channel or supergroup: its updates and its messages are counted apart from all others."""
    return chat < CHANNELS


def is_basic_group(chat: ChatId) -> bool:
    """Neither a user nor a channel nor a supergroup."""
    return CHANNELS < chat < 0


class Route(NamedTuple):
    """Which chat is read and where it is posted, by the ids that they have now."""

    source: ChatId
    targets: tuple[ChatId, ...]
    moved: Mapping[ChatId, ChatId]  # basic groups that became supergroups, old id to new


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


class Tier(StrEnum):
    """Which store knew the flow, the fastest first."""

    MEMORY = "memory"
    DISK = "disk"
    TABLE = "table"


class AfterTtl(StrEnum):
    """Who may continue a flow that has been quiet for longer than the TTL."""

    RELEASE = "release"  # every permitted author
    OWNER = "owner"  # still nobody but its owner


class Direction(StrEnum):
    LONG = "LONG"
    SHORT = "SHORT"


class MessageRef(NamedTuple):
    """A message of one chat: what a reply points at and what an id map is keyed by."""

    chat_id: ChatId
    message_id: MessageId


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


@dataclass(frozen=True, slots=True)
class Media:
    """What a message carries besides text."""

    kind: str  # the Bot API's name: "photo", "video", "document", "voice", "poll", …
    file_id: str | None = None  # None: known to exist, not at hand (an export)


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

    @property
    def ref(self) -> MessageRef:
        return MessageRef(self.chat_id, self.id)


@dataclass(frozen=True, slots=True)
class EditedMessage:
    """A message as it stands after an edit; `message.at` is still the date it was sent."""

    message: IncomingMessage


@dataclass(frozen=True, slots=True)
class DeletedMessages:
    chat_id: ChatId | None  # None: Telegram does not say; the ids are of basic groups and users
    ids: tuple[MessageId, ...]


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
    PAUSE = "pause"  # post nothing; `subject` is 0, as it is of the next
    RESUME = "resume"


class Order(NamedTuple):
    id: int
    kind: OrderKind
    subject: int
    at: UnixTime  # local clock


class Cursor(NamedTuple):
    """How far one update box is dealt with. https://core.telegram.org/api/updates

    A supergroup or channel has a box of its own, under its chat id. All else, private chats and
    basic groups, is in the account's box, under the account's id.
    """

    box: ChatId
    pts: int
    qts: int | None = None  # of an account only, as is the next
    date: UnixTime | None = None
    message_id: MessageId | None = None  # the newest message of the box; None: none was seen yet


@dataclass(frozen=True, slots=True)
class Reached:
    """Comes behind all that it counts: whoever has dealt with that may let the cursor move."""

    cursor: Cursor


Event = IncomingMessage | EditedMessage | DeletedMessages | MigratedChat | PressedButton | Reached


class PostState(StrEnum):
    PENDING = "pending"  # to be sent
    SENT = "sent"
    EDIT = "edit"  # sent, and the source message was edited since
    DELETE = "delete"  # sent, and the source message was deleted since
    DELETED = "deleted"  # gone from the target chat, or never sent at all
    FAILED = "failed"  # Telegram will never take it


@dataclass(frozen=True, slots=True)
class Post:
    """One message to send, edit or delete in one target chat, as things stand now."""

    id: int
    state: PostState
    version: int
    source: MessageRef
    part: int  # of a text too long for one message, from 0
    target: ChatId
    target_message_id: MessageId | None  # None: not sent yet, as far as we know
    sent_version: int | None  # that is or may be in the target; None: none is
    reply_to: MessageId | None  # in the target chat; None: unthreaded
    text: str  # of the whole message, whatever the part
    entities: tuple[Entity, ...]
    media: Media | None
    album_id: int | None
    attempts: int
    recorded_at: UnixTime  # local clock

    @property
    def in_doubt(self) -> bool:
        """A send was begun, and how it ended is not known."""
        return self.target_message_id is None and self.sent_version is not None


class Backlog(NamedTuple):
    """Posts that were never sent yet."""

    pending: int
    oldest: UnixTime | None  # by the local clock; None: nothing is pending


@dataclass(frozen=True, slots=True)
class AlbumPart:
    media: Media
    text: str
    entities: tuple[Entity, ...]
    source: MessageRef  # where the media comes from
    random_id: int


class Span(NamedTuple):
    """A price range, low end first; a single price has equal ends."""

    low: Decimal
    high: Decimal


class Percent(NamedTuple):
    """A target that is named as so many per cent away from the entry, and no price."""

    value: Decimal

    def __str__(self) -> str:
        return f"{self.value:f}%"


def decimal_text(value: Decimal | Percent | None) -> str | None:
    """As people write a number, never "1E-8"."""
    if value is None:
        return None
    return str(value) if isinstance(value, Percent) else f"{value:f}"


@dataclass(frozen=True, slots=True)
class SignalFields:
    """What a signal says, as far as it could be read. Reading never fails: a field is just absent."""

    pair: str | None = None  # "BTC/USDT", or a bare ticker "BTC"
    direction: Direction | None = None
    timeframe: str | None = (
        None  # Latin, upper case: "15M", "4H", "1D", "1W"; "H4" where written so
    )
    entry: Span | None = None
    take_profits: tuple[Decimal | Percent, ...] = ()  # in the order they are named
    stop: Decimal | None = None
    risk: Decimal | None = None  # per cent of the deposit
    leverage: Decimal | None = None  # so many times; the highest that is named


class EventKind(StrEnum):
    """What an update says has become of its signal."""

    ENTRY_FILLED = "entry_filled"
    TARGET_REACHED = "target_reached"
    PARTIALLY_CLOSED = "partially_closed"
    STOP_MOVED = "stop_moved"
    STOPPED = "stopped"
    CLOSED = "closed"
    CANCELLED = "cancelled"


class SignalEvent(NamedTuple):
    """An update, in its author's own words; what is not beyond doubt is no event."""

    kind: EventKind
    target: int | None = None  # TARGET_REACHED: which, from 1; None: that is not said
    stop: Decimal | None = None  # STOP_MOVED: where to; None: to the entry


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
