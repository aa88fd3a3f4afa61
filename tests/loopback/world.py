"""What Telegram knows: accounts, chats, messages and the update boxes.

Every account has a common box (private chats and basic groups share one id sequence
and one pts per account), every supergroup and channel has its own ids and its own pts.
https://core.telegram.org/api/updates. Nothing here speaks TL: `views.py` shows the
world to an account, `rpc.py` changes it on a client's behalf, `people.py` on a test's.
"""

import itertools
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from tests.loopback.tl import short_hash

FIRST_MESSAGE_ID = 2  # 1 is the message that says the chat was created, and the General topic
# The one application that is known here.
API_ID, API_HASH = 1, "5ec2e75a11ca7a2b0b1e0f2c0ffee042"
ZERO_CHANNEL_ID = -1_000_000_000_000  # Bot API: -100 before the channel's own id


class Kind(Enum):
    GROUP = "basic group"
    SUPERGROUP = "supergroup"
    CHANNEL = "channel"


class Role(Enum):
    CREATOR = "creator"
    ADMIN = "admin"
    MEMBER = "member"
    LEFT = "left"
    KICKED = "kicked"

    @property
    def inside(self) -> bool:
        return self not in (Role.LEFT, Role.KICKED)

    @property
    def rules(self) -> bool:
        return self in (Role.CREATOR, Role.ADMIN)


class Happening(Enum):
    NEW = "new"
    EDIT = "edit"
    DELETE = "delete"
    UNKNOWN = "unknown"  # an update of a kind that no library here can parse


@dataclass
class Rules:
    """How this Telegram behaves where the real one may behave in several ways."""

    duplicates: str = "first"  # a repeated random_id: "first" message again, or an "error"
    duplicate_pts_count: int | None = None  # None: as the first time
    short_private_messages: bool = False  # push updateShortMessage where that is enough
    min_peers: bool = False  # push users without their access hash
    anonymous_from_id: bool = True  # an anonymous admin's from_id: the group itself, or absent
    missing_reply_is_error: bool = False  # else the message is sent without the reply
    channel_slice: int = 100  # messages in one getChannelDifference
    channel_too_long_after: int = 1000  # pts behind; then channelDifferenceTooLong
    common_slice: int = 100
    common_too_long_after: int = 1000
    too_long_holds: int = 10  # messages in a channelDifferenceTooLong
    difference_names_channels: bool = True  # getDifference says which channels have news
    resend_unacked: bool = False  # a session that reconnects is sent again what it did not confirm
    clock_offset: float = 0  # seconds that Telegram's clock is ahead of this machine's
    strict_message_ids: bool = True  # refuse what is not of the time, or out of sequence
    salt_first: bool = False  # a wrong salt is told before a wrong id
    answer_after: float = 0  # seconds that all that is sent takes to its client
    cut_at: int | None = None  # the packet of a connection that ends it unheard; 0: at once


@dataclass(frozen=True, slots=True, eq=False)
class Event:
    """One entry of an update box. `pts` is the box's value after it."""

    pts: int
    count: int
    what: Happening
    messages: tuple["Message", ...]
    date: int


class Box:
    """A pts sequence and all that happened in it."""

    def __init__(self) -> None:
        self.pts = 1
        self.events: list[Event] = []

    def add(self, what: Happening, messages: Iterable["Message"], date: int) -> Event:
        messages = tuple(messages)
        count = max(1, len(messages))
        self.pts += count
        event = Event(self.pts, count, what, messages, date)
        self.events.append(event)
        return event

    def since(self, pts: int) -> list[Event]:
        return [event for event in self.events if event.pts > pts]

    @property
    def last_date(self) -> int:
        return self.events[-1].date if self.events else 0


@dataclass(eq=False)
class Account:
    """A user or a bot."""

    id: int
    name: str
    username: str | None = None
    token: str | None = None  # set for bots
    language: str = "en"
    box: Box = field(default_factory=Box)
    qts: int = 0
    mail: dict[int, "Message"] = field(default_factory=dict)  # private chats and basic groups
    strange: bool = False  # something in its profile cannot be parsed by others' libraries
    commands: list[Any] = field(default_factory=list)
    commands_of: dict["Account", list[Any]] = field(default_factory=dict)  # that he is shown
    blocked: set["Account"] = field(default_factory=set)

    @property
    def bot(self) -> bool:
        return self.token is not None

    def next_id(self) -> int:
        return max(self.mail, default=0) + 1


@dataclass
class Member:
    role: Role
    muted: bool = False  # may read, may not write
    anonymous: bool = False  # an admin who writes as the group


@dataclass
class Topic:
    id: int
    title: str
    creator: Account
    date: int
    closed: bool = False  # only those who rule the chat may write there


@dataclass(eq=False)
class Chat:
    """A basic group, a supergroup or a channel. `id` counts as the Bot API does."""

    kind: Kind
    bare_id: int
    title: str
    date: int
    username: str | None = None
    forum: bool = False
    linked: "Chat | None" = None  # a channel's discussion group, and back
    members: dict[Account, Member] = field(default_factory=dict)
    box: Box = field(default_factory=Box)
    messages: dict[int, "Message"] = field(default_factory=dict)
    topics: dict[int, Topic] = field(default_factory=dict)
    forbidden: set[str] = field(default_factory=set)  # kinds of media, see `refusals.kind_of`
    protected: bool = False  # nothing may be taken out of it
    deleted: bool = False  # a basic group that its creator has deleted
    migrated_to: "Chat | None" = None
    migrated_from: "Chat | None" = None
    strange: bool = False  # something in its profile cannot be parsed

    @property
    def id(self) -> int:
        own_ids = self.kind is not Kind.GROUP
        return ZERO_CHANNEL_ID - self.bare_id if own_ids else -self.bare_id

    @property
    def has_own_box(self) -> bool:
        return self.kind is not Kind.GROUP

    def role(self, account: Account) -> Role:
        member = self.members.get(account)
        return member.role if member else Role.LEFT

    def readers(self) -> list[Account]:
        return [account for account, member in self.members.items() if member.role.inside]

    def next_id(self) -> int:
        return max(self.messages, default=FIRST_MESSAGE_ID - 1) + 1


@dataclass(frozen=True)
class Dialogue:
    """A private chat of two accounts."""

    one: Account
    other: Account

    def partner(self, account: Account) -> Account:
        return self.other if account is self.one else self.one

    def readers(self) -> list[Account]:
        return [self.one, self.other]

    @property
    def has_own_box(self) -> bool:
        return False


Place = Chat | Dialogue


@dataclass(frozen=True)
class Forward:
    """Where a forwarded message came from. `automatic`: by the link of a channel to its group."""

    date: int
    sender: Account | Chat | None
    name: str | None = None  # instead of the sender, when he hides his account
    post_id: int | None = None
    signature: str | None = None
    saved_from: tuple[Chat, int] | None = None


@dataclass(frozen=True)
class Service:
    """A service message: what happened, and with what."""

    name: str
    accounts: tuple[Account, ...] = ()
    chat: Chat | None = None
    title: str = ""


@dataclass(frozen=True)
class Quote:
    text: str
    entities: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Reply:
    """What a message answers. The message may be of another place, or unknown to us (an id)."""

    to: "Message | int"
    elsewhere: Chat | None = None
    quote: Quote | None = None


@dataclass(eq=False)
class Message:
    """One message. In private chats and basic groups every reader knows it by another id."""

    place: Place
    author: Account | None  # who wrote it; None: Telegram itself
    sender: Account | Chat | None  # who it shows as its sender; None: the place itself
    date: int
    text: str = ""
    entities: tuple[Any, ...] = ()
    media: Any = None
    reply: Reply | None = None
    topic: int | None = None
    forward: Forward | None = None
    album: int | None = None
    keyboard: Any = None
    service: Service | None = None
    signature: str | None = None
    pinned: bool = False
    silent: bool = False
    via_bot: Account | None = None
    scheduled: bool = False
    no_webpage: bool = False  # its sender wanted no link preview
    inverted: bool = False  # the words stand above the medium, or below the link preview
    random_id: int | None = None
    edit_date: int | None = None
    edit_hidden: bool = False  # people are not shown that it was edited, as of a reaction
    deleted: bool = False
    ids: dict[Account | None, int] = field(default_factory=dict)
    copies: list["Message"] = field(default_factory=list)  # automatic forwards of a channel post

    @property
    def id(self) -> int:
        """Its id in a supergroup or channel, its author's in a private chat or basic group."""
        return self.ids[None if self.place.has_own_box else self.author]

    def id_for(self, account: Account) -> int:
        return self.ids[None if self.place.has_own_box else account]

    def known_to(self, account: Account) -> bool:
        return self.place.has_own_box or account in self.ids

    @property
    def post(self) -> bool:
        return isinstance(self.place, Chat) and self.place.kind is Kind.CHANNEL

    @property
    def thread(self) -> "Message":
        """The message that the chain of replies it belongs to began with."""
        first = self
        while first.reply and isinstance(first.reply.to, Message) and not first.reply.elsewhere:
            first = first.reply.to
        return first


Owner = Account | Chat  # of an update box
Publish = Callable[[list[tuple[Owner, Event]], Any], None]


class World:
    """`publish` is told of every batch of events, with the session that caused it (or None)."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.rules = Rules()
        self.publish: Publish = lambda _events, _origin: None
        self.accounts: dict[int, Account] = {}
        self.chats: dict[int, Chat] = {}
        self.media: dict[int, Any] = {}
        self.sent: dict[tuple[Account, Place, int], Message] = {}  # by random_id
        self._dialogues: dict[frozenset[int], Dialogue] = {}
        self._numbers = itertools.count(1)

    @property
    def now(self) -> int:
        return int(self.clock() + self.rules.clock_offset)

    def number(self) -> int:
        """A new 63-bit id for a medium, an album, a query."""
        return short_hash(b"%d" % next(self._numbers)) & (2**63 - 1)

    @staticmethod
    def access_hash(viewer: Account, subject: Owner) -> int:
        """Each account gets its own, and another's is worth nothing to it."""
        kind = b"user" if isinstance(subject, Account) else b"chat"
        bare = subject.id if isinstance(subject, Account) else subject.bare_id
        return short_hash(b"%d %s %d" % (viewer.id, kind, bare))

    def dialogue(self, one: Account, other: Account) -> Dialogue:
        return self._dialogues.setdefault(frozenset((one.id, other.id)), Dialogue(one, other))

    def chat_by_bare_id(self, bare_id: int, *, own_box: bool) -> Chat | None:
        for chat in self.chats.values():
            if chat.bare_id == bare_id and chat.has_own_box is own_box:
                return chat
        return None

    def messages(self, place: Place) -> list[Message]:
        """All messages of a place in the order they were sent, deleted ones among them."""
        if isinstance(place, Chat) and place.has_own_box:
            return list(place.messages.values())
        found = {m: None for a in place.readers() for m in a.mail.values() if m.place == place}
        return sorted(found, key=lambda m: m.date)

    # ── changes ──

    def post(self, *drafts: Message, origin: Any = None) -> list[Message]:
        """Deliver new messages; those given together are pushed together, as an album is."""
        events: list[tuple[Owner, Event]] = []
        for message in drafts:
            events += self._store(message)
            if message.random_id is not None and message.author is not None:
                self.sent[message.author, message.place, message.random_id] = message
        self.publish(events, origin)
        self._forward_automatically(drafts)
        return list(drafts)

    def _store(self, message: Message) -> list[tuple[Owner, Event]]:
        place = message.place
        if isinstance(place, Chat) and place.has_own_box:
            message.ids[None] = place.next_id()
            place.messages[message.id] = message
            return [(place, place.box.add(Happening.NEW, [message], message.date))]
        for account in place.readers():
            message.ids[account] = account.next_id()
            account.mail[message.ids[account]] = message
        return self._in_boxes(Happening.NEW, [message])

    def _in_boxes(self, what: Happening, messages: Iterable[Message]) -> list[tuple[Owner, Event]]:
        """Enter what happened to messages of one place into every box it concerns."""
        messages = list(messages)
        place = messages[0].place
        if isinstance(place, Chat) and place.has_own_box:
            return [(place, place.box.add(what, messages, self.now))]
        entered: list[tuple[Owner, Event]] = []
        for account in place.readers():
            known = [m for m in messages if m.known_to(account)]
            if known:
                entered.append((account, account.box.add(what, known, self.now)))
        return entered

    def happens_unknown(self, owner: Owner) -> None:
        """Something that no library here has a name for happens in a box."""
        self.publish([(owner, owner.box.add(Happening.UNKNOWN, [], self.now))], None)

    def _forward_automatically(self, posts: Iterable[Message]) -> None:
        """https://core.telegram.org/api/discussion: a post appears in the linked group by itself."""
        copies = [
            self._automatic_copy(post, post.place)
            for post in posts
            if isinstance(post.place, Chat) and post.post and not post.service
        ]
        copies = [copy for copy in copies if copy is not None]
        if copies:
            self.post(*copies)

    def _automatic_copy(self, post: Message, channel: Chat) -> Message | None:
        if channel.linked is None:
            return None
        copy = Message(
            channel.linked,
            None,
            channel,
            post.date,
            text=post.text,
            entities=post.entities,
            media=post.media,
            album=post.album and post.album + 1,
            signature=post.signature,
            pinned=True,
            forward=Forward(
                post.date,
                channel,
                post_id=post.id,
                signature=post.signature,
                saved_from=(channel, post.id),
            ),
        )
        post.copies.append(copy)
        return copy

    def edit(self, message: Message, *, origin: Any = None, **changes: Any) -> None:
        """Change text, entities, media or keyboard; a channel post's copies follow."""
        for changed in (message, *message.copies):
            for name, value in changes.items():
                setattr(changed, name, value)
            changed.edit_date = self.now
            by = origin if changed is message else None
            self.publish(self._in_boxes(Happening.EDIT, [changed]), by)

    def delete(self, messages: Iterable[Message], *, origin: Any = None) -> None:
        """Delete for everybody messages of one place, with the copies of channel posts."""
        doomed = [m for m in messages if not m.deleted]
        if not doomed:
            return
        for message in doomed:
            message.deleted = True
        self.publish(self._in_boxes(Happening.DELETE, doomed), origin)
        self.delete([copy for message in doomed for copy in message.copies])
