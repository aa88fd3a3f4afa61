"""What programs are told instead of posts: an event for each signal and update, its edits and its end.

At least once, in the order of the source. A receiver knows by the id what it was told before: it is
the same for the same state of the same message, after a crash and on another host.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import structlog

from bot.errors import PostRefused
from bot.models import MessageId
from bot.phrases import phrase
from bot.posts import PostState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bot.delivery.worker import Watch
    from bot.posts import Post

log = structlog.get_logger(__name__)

VERSION: Final = 1  # of the objects; see docs/WEBHOOK.md
CREATED, EDITED, DELETED = "created", "edited", "deleted"


class Event(NamedTuple):
    id: str
    type: str  # "signal.created", "update.edited", …
    timestamp: str  # when it happened, as far as that is known
    late: bool  # a new signal that is older than its place has it fresh
    data: Mapping[str, Any]

    def body(self) -> str:
        """One line of JSON."""
        said = {"version": VERSION, **self._asdict(), "data": dict(self.data)}
        return json.dumps(said, ensure_ascii=False, separators=(",", ":"))


class EventSink(Protocol):
    async def tell(self, event: Event) -> None:
        """Returns once it is there. Raises `TelegramError`, as a `Sender` does."""
        ...


class EventOutbox(Protocol):
    async def post_sent(self, post: Post, message_id: MessageId) -> None: ...
    async def post_edited(self, post: Post) -> None: ...
    async def post_deleted(self, post: Post) -> None: ...
    async def post_failed(self, post: Post, error: str) -> None: ...


class EventRelay:
    """Tells one sink what becomes of the rows of its place: `deliver` is for a `Worker`.

    `fresh_for`: for how long a signal is new, counted from its own date; later it is told as late or, by
    `skip_late`, not at all. `clock`: unix seconds.
    """

    def __init__(
        self,
        outbox: EventOutbox,
        sink: EventSink,
        *,
        watch: Watch,
        fresh_for: timedelta = timedelta(minutes=10),
        skip_late: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._outbox = outbox
        self._sink = sink
        self._watch = watch
        self._fresh_for = fresh_for
        self._skip_late = skip_late
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()  # changes are told beside what is new

    async def deliver(self, posts: Sequence[Post]) -> None:
        """Raises `RetryLater` and `TargetUnavailable`; the rows are as they were."""
        for post in posts:
            async with self._one_at_a_time:
                try:
                    await self._tell(post)
                except PostRefused as exc:
                    await self._refused(post, str(exc))
                else:
                    self._watch.done(post)

    async def _refused(self, post: Post, error: str) -> None:
        log.error("event refused", post_id=post.id, error=error)
        await self._outbox.post_failed(post, error)
        self._watch.failed(post)

    async def _tell(self, post: Post) -> None:
        if post.target_message_id is None and (post.state is PostState.PENDING or post.in_doubt):
            await self._tell_new(post)
        if post.state is PostState.EDIT:
            await self._tell_of(post, self._event(post, EDITED))
            await self._outbox.post_edited(post)
        elif post.state is PostState.DELETE:
            if post.target_message_id is not None or post.in_doubt:  # else nobody has heard of it
                await self._tell_of(post, self._event(post, DELETED))
            await self._outbox.post_deleted(post)

    async def _tell_new(self, post: Post) -> None:
        """What may have been heard before is said again as it was then; an edit comes behind it."""
        sent = post if post.sent_as is None else replace(post, text=post.sent_as.text)
        event = self._event(sent, CREATED)
        if event.late and self._skip_late and not post.in_doubt:
            late = phrase("not told: it was older than {time}", time=str(self._fresh_for))
            raise PostRefused(late)
        await self._tell_of(post, event)
        await self._outbox.post_sent(post, MessageId(post.id))

    async def _tell_of(self, post: Post, event: Event) -> None:
        await self._sink.tell(event)
        log.info("told", post_id=post.id, event_id=event.id, type=event.type)

    def _event(self, post: Post, what: str) -> Event:
        said = json.loads(post.text)
        kind, data = said.pop("kind"), said
        now, new = self._clock(), what == CREATED
        age = now - data["at"]
        late = new and kind == "signal" and age > self._fresh_for.total_seconds()
        at = data["at"] if new else now
        data = {**data, "at": iso(data["at"])}
        return Event(event_id(post, what), f"{kind}.{what}", iso(at), late, data)


def event_id(post: Post, what: str) -> str:
    """`sent_version` of what is in doubt: which state of it the receiver may know already."""
    version = post.version
    if what == CREATED and post.sent_version is not None:
        version = post.sent_version
    name = f"{post.target}.{post.source.chat_id}.{post.source.message_id}.{what}"
    name += f".{post.returns}" if what == DELETED else f".{post.returns}.{version}"
    return f"msg_{hashlib.blake2b(name.encode(), digest_size=16).hexdigest()}"


def iso(at: float) -> str:
    return datetime.fromtimestamp(int(at), UTC).isoformat().replace("+00:00", "Z")
