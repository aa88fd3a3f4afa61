"""Posts what is pending: one relay, and one line of finished posts, per target chat.

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
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog

from bot.delivery.fallback import lightly
from bot.delivery.worker import Line, Unwatched, Worker
from bot.errors import (
    ParentGone,
    PostGone,
    PostRefused,
    RetryLater,
    SentBefore,
    TargetUnavailable,
    TopicUnavailable,
    words_of,
)
from bot.models import CAPTIONED, Content, Entity, MessageId
from bot.phrases import phrase
from bot.posts import AlbumPart, PostState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
    from datetime import timedelta

    from bot.delivery.worker import Watch
    from bot.extras import Extras
    from bot.models import ChatId, Media, MessageRef
    from bot.posts import Post

log = structlog.get_logger(__name__)

# What an edit can put in the place of other media. An edit that names any other kind is refused,
# even if only the caption of a voice message changes.
# https://core.telegram.org/bots/api#editmessagemedia
REPLACEABLE: Final = CAPTIONED - {"voice"}
PARENTS_TRIED: Final = 3  # of those that stand, as far as it can be seen
LOOKED_FOR: Final = 8  # times, for what was posted before; some four minutes


class Outbox(Line, Protocol):
    async def last_posted(self, target: ChatId) -> MessageId: ...
    async def posted_after(self, target: ChatId, message_id: MessageId) -> set[MessageId]: ...
    async def ancestors(self, post: Post) -> list[MessageId]: ...
    async def post_sent(self, post: Post, message_id: MessageId) -> None: ...
    async def post_edited(self, post: Post) -> None: ...
    async def post_deleted(self, post: Post) -> None: ...
    async def post_failed(self, post: Post, error: str) -> None: ...
    async def post_unsent(self, post: Post) -> None: ...
    async def messages_gone(self, target: ChatId, ids: Iterable[MessageId]) -> None: ...
    async def post_lightened(self, post: Post, *, bare: bool) -> Post: ...


class Sender(Protocol):
    """Telegram, as far as posting goes. Raises `TelegramError`.

    `extras` and `topic` are named where there are any.
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
        topic: int = 0,
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
        topic: int = 0,
    ) -> MessageId: ...

    async def send_album(
        self,
        target: ChatId,
        parts: Sequence[AlbumPart],
        *,
        reply_to: MessageId | None,
        extras: Extras | None = None,
        topic: int = 0,
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
        self,
        target: ChatId,
        text: str,
        media: Media | None,
        *,
        after: MessageId,
        known: Collection[MessageId],
    ) -> MessageId | None: ...

    async def standing(self, target: ChatId, ids: Sequence[MessageId]) -> set[MessageId]: ...


class Relay:
    """`sleep` takes seconds; `jitter` gives 0 to 1, so that relays do not knock in step; `clock` is
    monotonic, in seconds.
    """

    def __init__(
        self,
        outbox: Outbox,
        sender: Sender,
        target: ChatId,
        *,
        watch: Watch | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._outbox = outbox
        self._sender = sender
        self._target = target
        self._watch = watch or Unwatched()
        self._worker = Worker(
            outbox,
            self.deliver,
            target,
            watch=self._watch,
            sleep=sleep,
            jitter=jitter,
            clock=clock,
        )

    def wake(self, *, new_only: bool = False) -> None:
        """There is something new in the outbox."""
        self._worker.wake(new_only=new_only)

    def pause(self) -> None:
        """Begin no further post, until `resume`. What is in hand is finished."""
        self._worker.pause()

    def resume(self) -> None:
        self._worker.resume()

    def stop(self) -> None:
        """End `run` after what is in hand."""
        self._worker.stop()

    async def run(self) -> None:
        """Post until told to stop. Raises `LoggedOut`; every other trouble is waited out."""
        await self._worker.run()

    async def post_next(self) -> timedelta | None:
        """Deal with the first in line. Tells how long to wait for the next; None: until woken."""
        return await self._worker.post_next()

    # ── one post, or one album ──

    async def deliver(self, posts: Sequence[Post]) -> None:
        """Raises `RetryLater`, `TargetUnavailable` and `LoggedOut`; the rows are as they were."""
        for post in posts:
            if post.sent_to is not None:
                await self._settle(post, post.sent_to)
        if all(post.sent_to is None for post in posts):
            await self._do_or_fail(list(posts))

    async def _settle(self, post: Post, before: ChatId) -> None:
        """It may stand in the basic group that the target was. If not, it is to be sent anew."""
        try:
            found = await self._look_for(post, before)
        except TargetUnavailable as exc:
            text = phrase(
                "it may stand in {chat}, which cannot be read: {error}",
                chat=before,
                error=words_of(exc),
            )
            await self._refused(post, text)
            return
        if found is None:
            await self._outbox.post_unsent(post)
            return
        there = replace(post, target=before, target_message_id=found)
        if post.state is PostState.DELETE:
            await self._sender.delete(before, [found])
        await self._outbox.post_sent(there, found)
        if post.state is PostState.DELETE:
            await self._outbox.post_deleted(there)

    async def _do_or_fail(self, posts: list[Post]) -> None:
        try:
            await self._do(posts)
        except PostRefused as exc:
            await self._fail(posts, exc)

    async def _fail(self, posts: list[Post], exc: PostRefused) -> None:
        if len(posts) > 1:
            # One part spoils the album. Sent one by one, the others still arrive.
            for post in posts:
                await self._do_or_fail([post])
            return
        await self._refused(posts[0], str(exc))

    async def _refused(self, post: Post, error: str) -> None:
        log.error("post refused by Telegram", post_id=post.id, error=error)
        await self._outbox.post_failed(post, error)
        self._watch.failed(post)

    async def _do(self, posts: list[Post]) -> None:
        post = posts[0]
        if post.state is PostState.DELETE:
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
            message_id = await self._send_post(post, None)
            await self._outbox.post_sent(post, message_id)
        if message_id is not None:
            await self._sender.delete(self._target, [message_id])
        await self._outbox.post_deleted(post)
        if message_id is not None:
            self._changed("deleted", post, message_id)

    async def _edit(self, post: Post, message_id: MessageId) -> None:
        if post.media is not None and post.media.kind not in CAPTIONED:
            # Nothing in it can change. A live location moves by edits, many of them.
            await self._outbox.post_edited(post)
            return
        try:
            await lightly(post, partial(self._edit_post, message_id), self._outbox)
        except PostGone as exc:
            log.info("a post was deleted in the target", post_id=post.id, error=str(exc))
            await self._outbox.messages_gone(self._target, [message_id])
            return
        await self._outbox.post_edited(post)
        self._changed("edited", post, message_id)

    def _changed(self, what: str, post: Post, message_id: MessageId) -> None:
        log.info(
            what,
            post_id=post.id,
            source_message_id=post.source.message_id,
            target=self._target,
            target_message_id=message_id,
        )

    async def _edit_post(self, message_id: MessageId, post: Post) -> None:
        await self._sender.edit(
            self._target,
            message_id,
            post.text,
            post.entities,
            _replacement(post),
            source=post.source,
            **_extras(post),
        )

    async def _send(self, posts: list[Post]) -> None:
        """Below what it answers, as far as that stands; else below the nearest that does."""
        refused: list[MessageId] = []
        while True:
            ancestors = await self._standing(posts[0], again=bool(refused))
            left = [each for each in ancestors if each not in refused]
            reply_to = left[0] if left and len(refused) < PARENTS_TRIED else None
            same = reply_to == posts[0].reply_to
            try:
                return await self._send_to(posts if same else list(map(unquoted, posts)), reply_to)
            except ParentGone as exc:
                if reply_to is None:
                    raise self._nothing_is_gone(posts[0], exc) from exc
                refused.append(reply_to)  # a moment ago it stood there

    def _nothing_is_gone(self, post: Post, exc: ParentGone) -> PostRefused | TopicUnavailable:
        """It answers nothing: the topic it is for may be gone, or nobody knows what Telegram means."""
        if post.topic:
            return TopicUnavailable(words_of(exc), self._target, post.topic)
        return PostRefused(words_of(exc))

    async def _standing(self, post: Post, *, again: bool) -> list[MessageId]:
        """What it may answer, the nearest first. `again`: the nearest may have gone by now.

        Looked up, since Telegram may take an answer to a deleted message, and post it below
        nothing.
        """
        if post.topic:
            await self._see_the_topic(post)
        if post.reply_to is None:
            return []
        nearest = [post.reply_to]
        if not again and await self._stand(nearest) == set(nearest):
            return nearest
        ancestors = await self._outbox.ancestors(post)
        there = await self._stand(ancestors)
        await self._outbox.messages_gone(self._target, set(ancestors) - there)
        return [each for each in ancestors if each in there]

    async def _see_the_topic(self, post: Post) -> None:
        """Where a topic was deleted Telegram may take what is sent there, and show it in General.

        Raises `TopicUnavailable`; `RetryLater` where it cannot be told, since that may not be.
        """
        root = MessageId(post.topic)
        if not await self._sender.standing(self._target, [root]):
            gone = f"topic {post.topic} was deleted, or never was"
            raise TopicUnavailable(gone, self._target, post.topic)

    async def _stand(self, ids: Sequence[MessageId]) -> set[MessageId]:
        try:
            return await self._sender.standing(self._target, ids)
        except (RetryLater, TargetUnavailable) as exc:
            # The message is not to wait for this: its sending tells whether it may be sent.
            log.info("it is not known whether what is answered stands", error=str(exc))
            return set(ids)

    async def _send_to(self, posts: list[Post], reply_to: MessageId | None) -> None:
        if len(posts) > 1 and all(post.media is not None for post in posts):
            with suppress(SentBefore):  # then each part is to be found
                await self._send_album(posts, reply_to)
                return
        for post in posts:
            await lightly(post, partial(self._send_one, reply_to), self._outbox)

    async def _send_one(self, reply_to: MessageId | None, post: Post) -> None:
        await self._sent(post, await self._send_post(post, reply_to))

    async def _send_post(self, post: Post, reply_to: MessageId | None) -> MessageId:
        to, random_id = self._target, random_id_of(post)
        try:
            if post.media is None:
                return await self._sender.send_text(
                    to,
                    post.text,
                    post.entities,
                    reply_to=reply_to,
                    random_id=random_id,
                    **_dress(post),
                )
            return await self._sender.send_media(
                to,
                post.media,
                post.text,
                post.entities,
                source=post.source,
                reply_to=reply_to,
                random_id=random_id,
                **_dress(post),
            )
        except SentBefore:
            return await self._find(post)

    async def _find(self, post: Post) -> MessageId:
        """What was taken before without our learning as which message."""
        found = await self._look_for(post, self._target)
        if found is not None:
            return found
        if post.attempts >= LOOKED_FOR:
            raise PostRefused(
                phrase(
                    "it was taken before and may stand there, but no post can be proven to be it"
                )
            )
        raise RetryLater(phrase("it was posted before, and is not to be found yet"))

    async def _look_for(self, post: Post, chat: ChatId) -> MessageId | None:
        """Which message of ours it is there; None: none that can be proven to be it.

        As it was sent: if its source was edited since, it stands there with the text of then.
        """
        if post.sent_as is None and post.sent_version not in {None, post.version}:
            return None  # an older program sent it, and kept no text
        sent = post.sent_as or Content(post.text, post.entities, post.media)
        after = post.sent_after
        if after is None:
            after = await self._outbox.last_posted(chat)
        known = await self._outbox.posted_after(chat, after)
        return await self._sender.find(chat, sent.text, sent.media, after=after, known=known)

    async def _send_album(self, posts: list[Post], reply_to: MessageId | None) -> None:
        parts = [
            AlbumPart(post.media, post.text, post.entities, post.source, random_id_of(post))
            for post in posts
            if post.media is not None
        ]
        more = _dress(posts[0])
        ids = await self._sender.send_album(self._target, parts, reply_to=reply_to, **more)
        for post, message_id in zip(posts, ids, strict=True):
            await self._sent(post, message_id)

    async def _sent(self, post: Post, message_id: MessageId) -> None:
        await self._outbox.post_sent(post, message_id)
        lost = post.extras.lost if post.extras else ()
        log.info(
            "posted",
            post_id=post.id,
            source_message_id=post.source.message_id,
            target=self._target,
            target_message_id=message_id,
            attempts=post.attempts + 1,
            **({"not_carried": list(lost)} if lost else {}),
        )


def _extras(post: Post) -> dict[str, Extras]:
    """As an argument, where there are any."""
    return {} if post.extras is None else {"extras": post.extras}


def _dress(post: Post) -> dict[str, Any]:
    """The same of what is sent, and where in the chat it goes."""
    return _extras(post) | ({"topic": post.topic} if post.topic else {})


def unquoted(post: Post) -> Post:
    return post if post.extras is None else replace(post, extras=post.extras.unquoted())


def _replacement(post: Post) -> Media | None:
    """The medium that an edit is to put there; None: what stands there stays.

    The same again may be refused for reasons that have nothing to do with the words.
    """
    media = post.media
    if media is None or media.kind not in REPLACEABLE:
        return None
    return None if media.identity == post.shown_media else media


def random_id_of(post: Post) -> int:
    """63 bits that say which post this is, on every host and after every restart.

    A later part may be taken back and come again, and is another message then. It is told by the
    version in which it was sent first. A first part may only have been taken out by the rules of its
    place.
    """
    what = struct.pack(">qqqq", post.target, *post.source, post.part)
    if post.topic:
        what += b"topic" + struct.pack(">q", post.topic)
    version = post.version if post.sent_version is None else post.sent_version
    if post.part and version:
        what += struct.pack(">q", version)
    if post.returns and not post.part:
        what += struct.pack(">5sq", b"again", post.returns)
    return int.from_bytes(hashlib.blake2b(what, digest_size=8).digest()) >> 1
