"""Posts what is pending: one relay, and one line of posts, per target chat.

Recorded first, sent second: whatever is here is in the table already, so a crash, a flood wait or a
chat that takes nothing costs time and no message. Telegram drops a second message with the same
`random_id` to the same chat from the same account, so the id is derived from what is posted: after
any doubt the same message is simply sent again.
https://core.telegram.org/constructor/updateMessageID
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import struct
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from bot.errors import (
    AccountLimited,
    DatabaseError,
    LoggedOut,
    ParentGone,
    PostRefused,
    RetryLater,
    SentBefore,
    TargetUnavailable,
)
from bot.extras import PLAIN
from bot.fallback import lightly
from bot.models import AlbumPart, Entity, MessageId, PostState
from bot.render import CAPTION_LIMIT, TEXT_LIMIT, Chunk, render, shown

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bot.extras import Extras
    from bot.models import ChatId, Media, MessageRef, Post

log = structlog.get_logger(__name__)

# What an edit can put in the place of other media. An edit that names any other kind is refused,
# even if only the caption of a voice message changes.
# https://core.telegram.org/bots/api#editmessagemedia
REPLACEABLE: Final = frozenset({"photo", "video", "animation", "audio", "document"})
CAPTIONED: Final = REPLACEABLE | {"voice"}
AT_ONCE: Final = timedelta(0)
RETRY: Final = timedelta(seconds=1)  # doubled with each attempt
RETRY_AT_MOST: Final = timedelta(minutes=1)
UNAVAILABLE: Final = timedelta(seconds=5)  # doubled with each attempt
UNAVAILABLE_AT_MOST: Final = timedelta(minutes=10)
LIMITED: Final = timedelta(minutes=1)  # doubled with each attempt
LIMITED_AT_MOST: Final = timedelta(hours=1)
LOOKED_FOR: Final = 8  # times, for what was posted before; some four minutes
AFTER_A_FAILURE: Final = timedelta(seconds=5)


class Outbox(Protocol):
    async def take_posts(self, target: ChatId) -> list[Post]: ...
    async def last_posted(self, target: ChatId) -> MessageId: ...
    async def add_parts(self, post: Post, parts: int) -> None: ...
    async def post_sent(self, post: Post, message_id: MessageId) -> None: ...
    async def post_edited(self, post: Post) -> None: ...
    async def post_deleted(self, post: Post) -> None: ...
    async def post_failed(self, post: Post, error: str) -> None: ...
    async def post_delayed(self, post: Post, error: str, *, in_doubt: bool) -> None: ...
    async def post_lightened(self, post: Post, *, bare: bool) -> None: ...


class Sender(Protocol):
    """Telegram, as far as posting goes. Raises `TelegramError`.

    `extras` are named where there are any.
    """

    async def send_text(
        self,
        target: ChatId,
        text: str,
        entities: Sequence[Entity],
        *,
        reply_to: MessageId | None,
        random_id: int,
        extras: Extras | None = None,
    ) -> MessageId: ...

    async def send_media(
        self,
        target: ChatId,
        media: Media,
        text: str,
        entities: Sequence[Entity],
        *,
        source: MessageRef,
        reply_to: MessageId | None,
        random_id: int,
        extras: Extras | None = None,
    ) -> MessageId: ...

    async def send_album(
        self,
        target: ChatId,
        parts: Sequence[AlbumPart],
        *,
        reply_to: MessageId | None,
        extras: Extras | None = None,
    ) -> list[MessageId]: ...

    async def edit(
        self,
        target: ChatId,
        message_id: MessageId,
        text: str,
        entities: Sequence[Entity],
        media: Media | None,
        *,
        source: MessageRef,
        extras: Extras | None = None,
    ) -> None: ...

    async def delete(self, target: ChatId, ids: Sequence[MessageId]) -> None: ...

    async def find(
        self, target: ChatId, text: str | None, media: Media | None, *, after: MessageId
    ) -> MessageId | None: ...


class Watch(Protocol):
    """Told what becomes of posts."""

    def done(self, post: Post) -> None:
        """It was sent, edited or deleted, as its state asked for."""

    def delayed(self, error: Exception, wait: timedelta) -> None: ...

    def failed(self, post: Post) -> None: ...


class Unwatched:
    """A `Watch` that looks away."""

    def done(self, post: Post) -> None: ...

    def delayed(self, error: Exception, wait: timedelta) -> None: ...

    def failed(self, post: Post) -> None: ...


class Relay:
    """`mentions`: of users are relayed as such. `sleep` takes seconds; `jitter` gives 0 to 1, so
    that relays do not knock in step.
    """

    def __init__(
        self,
        outbox: Outbox,
        sender: Sender,
        target: ChatId,
        *,
        watch: Watch | None = None,
        mentions: bool = False,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._mentions = mentions
        self._outbox = outbox
        self._sender = sender
        self._target = target
        self._watch = watch or Unwatched()
        self._sleep = sleep
        self._jitter = jitter
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        self._paused = False

    def wake(self) -> None:
        """There is something new in the outbox."""
        self._wake.set()

    def pause(self) -> None:
        """Begin no further post, until `resume`. The one in hand is finished."""
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        self._wake.set()

    def stop(self) -> None:
        """End `run` after the post in hand."""
        self._stopping.set()
        self._wake.set()

    async def run(self) -> None:
        """Post until told to stop. Raises `LoggedOut`; every other trouble is waited out."""
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                pause = None if self._paused else await self.post_next()
            except LoggedOut:
                raise
            except DatabaseError as exc:
                log.warning("table does not answer, posting waits", error=str(exc))
                pause = AFTER_A_FAILURE
            except Exception:
                # The row is as it was, so the next round tries it again.
                log.exception("relay round failed", target=self._target)
                pause = AFTER_A_FAILURE
            if pause is None:
                await self._wake.wait()
            elif pause > AT_ONCE:
                await self._rest(pause)

    async def _rest(self, pause: timedelta) -> None:
        seconds = pause.total_seconds() * (1 + self._jitter() / 10)
        waiting = {
            asyncio.ensure_future(self._sleep(seconds)),
            asyncio.ensure_future(self._stopping.wait()),
        }
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()

    async def post_next(self) -> timedelta | None:
        """Deal with the first in line. Tells how long to wait for the next; None: until woken."""
        posts = await self._outbox.take_posts(self._target)
        if not posts:
            return None
        try:
            await self._do_or_fail(posts)
        except AccountLimited as exc:
            wait = _doubled(LIMITED, posts[0].attempts, LIMITED_AT_MOST)
            log.warning("our account may not post for now, posts are kept", error=str(exc))
            return await self._delay(posts, exc, wait, in_doubt=False)
        except RetryLater as exc:
            wait = exc.after or _doubled(RETRY, posts[0].attempts, RETRY_AT_MOST)
            # A flood wait is a refusal. All else may have gone through without our knowing.
            return await self._delay(posts, exc, wait, in_doubt=exc.after is None)
        except TargetUnavailable as exc:
            wait = _doubled(UNAVAILABLE, posts[0].attempts, UNAVAILABLE_AT_MOST)
            log.warning(
                "target chat takes nothing, posts are kept", target=self._target, error=str(exc)
            )
            return await self._delay(posts, exc, wait, in_doubt=False)
        return AT_ONCE

    async def _do_or_fail(self, posts: list[Post]) -> None:
        try:
            await self._do(posts)
        except PostRefused as exc:
            await self._fail(posts, exc)

    async def _delay(
        self, posts: list[Post], exc: Exception, wait: timedelta, *, in_doubt: bool
    ) -> timedelta:
        log.info("post delayed", post_id=posts[0].id, seconds=wait.total_seconds(), error=str(exc))
        for post in posts:
            await self._outbox.post_delayed(post, str(exc), in_doubt=in_doubt)
        self._watch.delayed(exc, wait)
        return wait

    async def _fail(self, posts: list[Post], exc: PostRefused) -> None:
        if len(posts) > 1:
            # One part spoils the album. Sent one by one, the others still arrive.
            for post in posts:
                await self._do_or_fail([post])
            return
        log.error("post refused by Telegram", post_id=posts[0].id, error=str(exc))
        await self._outbox.post_failed(posts[0], str(exc))
        self._watch.failed(posts[0])

    async def _do(self, posts: list[Post]) -> None:
        post = posts[0]
        if post.state is PostState.DELETE or post.part >= len(self._chunks(post)):
            await self._remove(post)
        elif post.state is PostState.EDIT and post.target_message_id is not None:
            await self._edit(post, post.target_message_id)
        else:
            await self._send(posts)
        for each in posts:
            self._watch.done(each)

    async def _remove(self, post: Post) -> None:
        """The source message is gone, or its text has become shorter than this part."""
        message_id = post.target_message_id
        if post.in_doubt:
            # It may stand there, and only Telegram knows as which message: said again, it is the
            # same one, and that can be deleted.
            chunks = self._chunks(post)
            chunk = chunks[min(post.part, len(chunks) - 1)]
            message_id = await self._send_chunk(post, chunk, None)
            await self._outbox.post_sent(post, message_id)
        if message_id is not None:
            await self._sender.delete(self._target, [message_id])
        await self._outbox.post_deleted(post)

    async def _edit(self, post: Post, message_id: MessageId) -> None:
        chunks = self._chunks(post)
        if post.media is not None and post.media.kind not in CAPTIONED:
            # Nothing in it can change. A live location moves by edits, many of them.
            await self._outbox.post_edited(post)
            return
        if post.part == 0 and len(chunks) > 1:
            await self._outbox.add_parts(post, len(chunks))
        await lightly(post, partial(self._edit_part, post, message_id), self._outbox)
        await self._outbox.post_edited(post)

    async def _edit_part(self, whole: Post, message_id: MessageId, post: Post) -> None:
        """`post` may lack a part of the whole one, which is what tells where the text is cut."""
        chunk = self._chunks(replace(post, media=whole.media))[post.part]
        replaces = post.part == 0 and post.media is not None and post.media.kind in REPLACEABLE
        await self._sender.edit(
            self._target,
            message_id,
            chunk.text,
            chunk.entities,
            post.media if replaces else None,
            source=post.source,
            **self._extras(post),
        )

    async def _send(self, posts: list[Post]) -> None:
        try:
            await self._send_to(posts, posts[0].reply_to)
        except ParentGone:
            await self._send_to(posts, None)

    async def _send_to(self, posts: list[Post], reply_to: MessageId | None) -> None:
        if len(posts) > 1 and all(post.media is not None for post in posts):
            with suppress(SentBefore):  # then each part is to be found
                await self._send_album(posts, reply_to)
                return
        for post in posts:
            await lightly(post, partial(self._send_one, reply_to), self._outbox)

    async def _send_one(self, reply_to: MessageId | None, post: Post) -> None:
        chunks = self._chunks(post)
        if post.part == 0 and len(chunks) > 1:
            await self._outbox.add_parts(post, len(chunks))
        await self._sent(post, await self._send_chunk(post, chunks[post.part], reply_to))

    async def _send_chunk(self, post: Post, chunk: Chunk, reply_to: MessageId | None) -> MessageId:
        to, random_id = self._target, random_id_of(post)
        media = post.media if post.part == 0 else None
        try:
            if media is None:
                return await self._sender.send_text(
                    to,
                    chunk.text,
                    chunk.entities,
                    reply_to=reply_to,
                    random_id=random_id,
                    **self._extras(post),
                )
            return await self._sender.send_media(
                to,
                media,
                chunk.text,
                chunk.entities,
                source=post.source,
                reply_to=reply_to,
                random_id=random_id,
                **self._extras(post),
            )
        except SentBefore:
            return await self._find(post, chunk, media)

    async def _find(self, post: Post, chunk: Chunk, media: Media | None) -> MessageId:
        """What was taken before without our learning as which message.

        Posts are sent one after the other, so it is the first of ours behind the newest known one.
        If it was edited since, it stands there with a text that nobody has kept.
        """
        edited = post.sent_version not in {None, post.version}
        text = None if edited else chunk.text
        after = await self._outbox.last_posted(self._target)
        found = await self._sender.find(self._target, text, media, after=after)
        if found is not None:
            return found
        if post.attempts >= LOOKED_FOR:
            raise PostRefused("it was posted before, and cannot be found")
        raise RetryLater("it was posted before, and is not to be found yet")

    async def _send_album(self, posts: list[Post], reply_to: MessageId | None) -> None:
        texts = [self._chunks(post) for post in posts]
        parts = [
            AlbumPart(post.media, first.text, first.entities, post.source, random_id_of(post))
            for post, (first, *_) in zip(posts, texts, strict=True)
            if post.media is not None
        ]
        extras = self._extras(posts[0])
        ids = await self._sender.send_album(self._target, parts, reply_to=reply_to, **extras)
        for post, chunks, message_id in zip(posts, texts, ids, strict=True):
            if len(chunks) > 1:
                await self._outbox.add_parts(post, len(chunks))
            await self._sent(post, message_id)

    def _chunks(self, post: Post) -> list[Chunk]:
        """The texts to send for a message: the first is the caption where there is media."""
        first = TEXT_LIMIT if post.media is None else CAPTION_LIMIT
        return render(post.text, post.entities, first=first, mentions=self._mentions)

    def _extras(self, post: Post) -> dict[str, Extras]:
        """As an argument, where there are any. What belongs to a message once is its first part's."""
        extras = shown(post.extras, mentions=self._mentions)
        if extras is not None and post.part:
            extras = replace(PLAIN, silent=extras.silent, no_preview=extras.no_preview)
        return {} if extras is None else {"extras": extras}

    async def _sent(self, post: Post, message_id: MessageId) -> None:
        await self._outbox.post_sent(post, message_id)
        lost = post.extras.lost if post.extras and not post.part else ()
        log.info(
            "posted",
            post_id=post.id,
            source_message_id=post.source.message_id,
            target=self._target,
            target_message_id=message_id,
            attempts=post.attempts + 1,
            **({"not_carried": list(lost)} if lost else {}),
        )


def random_id_of(post: Post) -> int:
    """63 bits that say which post this is, on every host and after every restart.

    A later part may be taken back and come again, and is another message then. It is told by the
    version in which it was sent first.
    """
    what = struct.pack(">qqqq", post.target, *post.source, post.part)
    version = post.version if post.sent_version is None else post.sent_version
    if post.part and version:
        what += struct.pack(">q", version)
    return int.from_bytes(hashlib.blake2b(what, digest_size=8).digest()) >> 1


def _doubled(first: timedelta, attempts: int, at_most: timedelta) -> timedelta:
    doubled: timedelta = first * 2 ** min(attempts, 20)
    return min(doubled, at_most)
