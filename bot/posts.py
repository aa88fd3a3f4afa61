"""Posts: what stands, or is to stand, in a target chat. No I/O, no rules."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from bot.extras import Extras
    from bot.models import ChatId, Content, Entity, Media, MessageId, MessageRef, UnixTime


class PostState(StrEnum):
    PENDING = "pending"  # to be sent
    HELD = "held"  # a later part of a text, to be sent once the first is sent, or edited
    SENT = "sent"
    EDIT = "edit"  # sent, and the source message was edited since
    DELETE = "delete"  # sent, and the source message was deleted since
    DELETED = "deleted"  # gone from the target chat, or never sent at all
    FAILED = "failed"  # Telegram refused what was to be done; it may stand there all the same
    GONE = "gone"  # was sent, and somebody else deleted it in the target chat


class Method(StrEnum):
    """What of Telegram's is called for a post. A flood wait is told for one of them."""

    SEND = "send"  # a text, a medium or an album alike: they are one line, and stay in order
    EDIT = "edit"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Post:
    """One message to send, edit or delete in one target chat, as things stand now.

    It is finished: text, entities, medium and extras are this part's own, as they are to be shown.
    """

    id: int
    state: PostState
    version: int  # how often what it says has changed
    source: MessageRef
    part: int  # of a text too long for one message, from 0
    target: ChatId
    target_message_id: MessageId | None  # None: not sent yet, as far as we know
    sent_version: int | None  # that is or may be in the target; None: none is
    reply_to: MessageId | None  # in the target chat; None: unthreaded
    text: str
    entities: tuple[Entity, ...]
    media: Media | None
    album_id: int | None  # of a first part, as its medium
    attempts: int
    recorded_at: UnixTime  # local clock
    extras: Extras | None = None  # None: it is shown as any other
    note: str | None = None  # what it was posted without, and why; None: without nothing
    shown_media: str | None = None  # `Media.identity` of what stands there; None: none, or unknown
    sent_as: Content | None = None  # of a doubt: what was sent then; None: what it says now
    sent_after: MessageId | None = None  # the newest of ours in the target before it was sent
    sent_to: ChatId | None = None  # of a doubt: the basic group that the target was; None: none
    topic: int = 0  # of the target, a forum; 0: none, or General
    place: int = 0  # see `routes.Place.id`
    returns: int = 0  # how often it was taken out by the rules of its place, and came again
    more: bool = True  # others may wait to be sent there, or parts of it; False: surely none

    @property
    def method(self) -> Method:
        """What is to be called for it next. To delete what is in doubt, it is said again first."""
        if self.state is PostState.PENDING or self.target_message_id is None:
            return Method.SEND
        return Method.EDIT if self.state is PostState.EDIT else Method.DELETE

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
