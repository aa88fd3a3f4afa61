"""The outbox: what is to be posted, in which order, below what, and what became of it.

Its rows are finished posts. They are written in the transaction that records a message or its edit
(see `parts`), so that whoever sends one composes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from sqlalchemy import (
    BigInteger,
    Text,
    and_,
    bindparam,
    case,
    exists,
    func,
    or_,
    select,
    update,
)

from bot.models import ChatId, MessageId, MessageRef
from bot.posts import Method, Post, PostState
from bot.storage import messages
from bot.storage.engine import Prepared, is_far
from bot.storage.line import NEEDS, Next, aside, in_line
from bot.storage.messages import is_one_of
from bot.storage.parts import NOT_SENT, Parts
from bot.storage.schema import posts
from bot.storage.transactions import in_transaction

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection

    from bot.routes import Place
    from bot.rules.retext import Formatted
    from bot.storage.untranslated import Awaiting

T = TypeVar("T")

Row = dict[str, Any]
# By its row, its chat and its topic.
PlaceOf = Callable[[int, ChatId, int], "Place"]

GOING: Final = is_one_of(posts.c.state, PostState.DELETE, PostState.DELETED)


class Run(Protocol):
    async def __call__(self, work: Callable[[Connection], T], /) -> T: ...


class Outbox:
    """See `relay.Outbox`. `clock` (unix seconds) dates the rows and decides nothing.

    `place`: how posts look in a chat.
    """

    def __init__(
        self, write: Run, read: Run, *, clock: Callable[[], float], place: PlaceOf
    ) -> None:
        self._write = write
        self._read = read
        self._clock = clock
        self.parts = Parts(place, clock=clock)

    # ── what is next ──────────────────────────────────────────────────────────

    async def take_posts(
        self,
        target: ChatId,
        method: Method | None = None,
        *,
        but: Collection[int] = (),
        after: int = 0,
        closed: Collection[int] = (),
    ) -> list[Post]:
        """What is to be done next in that chat: one post, or the pending parts of an album.

        New messages in source order, then deletions, then edits; `method` None: whichever comes
        first. Changes take turns: the next is the one behind post `after`. Empty: nothing. What is
        set aside is left out, as are the posts `but`, those for the topics `closed`, and all of
        places that are paused or not listed. Posts to be sent are noted as such, so that
        a crash leaves a doubt and no error; what comes back tells of doubts that there were before.
        """
        methods = tuple(NEEDS) if method is None else (method,)

        def take(db: Connection) -> list[Post]:
            said = {"after": after, **_topics(closed)}
            found = (
                self._first(db, in_line(each, len(closed)), target, but, **said) for each in methods
            )
            return next(filter(None, found), [])

        return await self._read(take)

    async def take_aside(
        self, target: ChatId, *, but: Collection[int] = (), closed: Collection[int] = ()
    ) -> list[Post]:
        """The same of what is set aside, the oldest first."""
        line, said = aside(len(closed)), _topics(closed)
        return await self._read(lambda db: self._first(db, line, target, but, **said))

    def _first(
        self,
        db: Connection,
        line: Next,
        target: ChatId,
        but: Collection[int],
        **more: object,
    ) -> list[Post]:
        said = {"target": target, "but": f",{','.join(map(str, but))},", **more}
        begin = line.begin
        far = is_far(db)
        if not far and line.see.run(db, said).fetchone() is None:
            return []  # to write is to wait for a lock, while others have something to do
        taken: list[Row] = []
        if begin is not None:
            ask = partial(begin.ask, row=said)
            taken = (in_transaction(db, ask) if far else ask(db))()  # one statement is a whole
        if not taken or taken[0]["album_id"] is not None:
            # What is in doubt, and the parts of an album that are.
            fresh = {row["id"] for row in taken}
            taken += [row for row in line.see.rows(db, said) if row["id"] not in fresh]
        found = [_post(db, row) for row in taken]
        return sorted(found, key=lambda post: post.source.message_id)

    async def last_posted(self, target: ChatId) -> MessageId:
        """The newest message that is known to be ours there; 0 if there is none."""
        query = select(func.coalesce(func.max(posts.c.target_message_id), 0))
        ours = query.where(posts.c.target_chat_id == target)
        return MessageId(await self._read(lambda db: db.execute(ours).scalar_one()))

    async def posted_after(self, target: ChatId, message_id: MessageId) -> set[MessageId]:
        """The messages behind that one which are known to be ours."""
        query = select(posts.c.target_message_id).where(
            posts.c.target_chat_id == target, posts.c.target_message_id > message_id
        )
        return set(await self._read(lambda db: list(db.scalars(query))))

    async def ancestors(self, post: Post) -> list[MessageId]:
        """Which messages of ours it may answer, the nearest first, the signal's last."""
        return await self._read(lambda db: messages.ancestors(db, post))

    # ── what became of it ─────────────────────────────────────────────────────

    async def post_sent(self, post: Post, message_id: MessageId) -> None:
        """It stands in the target chat, as the version that was noted when it was taken first.

        In the chat that it was sent to, even if that has become another one meanwhile.
        """
        await self._shows(_sent(), post, {"message": message_id, "chat": post.target})

    async def post_edited(self, post: Post) -> None:
        """What stands in the target chat is now as `post` shows it."""
        medium = post.media and post.media.identity
        await self._shows(_edited(), post, {"shows": post.version, "medium": medium})

    async def _shows(self, query: Prepared, post: Post, said: Mapping[str, object]) -> None:
        """Its later parts may follow it now."""

        def write(db: Connection) -> None:
            query.run(db, {"post": post.id, **said})
            if post.part == 0:
                _let_go().run(db, {**messages.key_of(post.source), "post": post.id})

        await self._write(write)

    async def post_deleted(self, post: Post) -> None:
        """Gone from the target chat. A part whose text has become longer meanwhile comes again."""
        await self._run(_deleted(), post)

    async def post_unsent(self, post: Post) -> None:
        """The doubt is settled: it does not stand where it was sent. It is to be sent anew."""
        await self._run(_unsent(), post)

    async def messages_gone(self, target: ChatId, ids: Iterable[MessageId]) -> None:
        """Somebody deleted these messages of ours: nothing is to be done with them any more."""
        which = and_(posts.c.target_chat_id == target, posts.c.target_message_id.in_(list(ids)))
        state = case((GOING, PostState.DELETED), else_=PostState.GONE)
        query = update(posts).where(which).values(state=state, aside_at=None, refused=None)
        await self._write(lambda db: db.execute(query))

    async def post_failed(self, post: Post, error: str) -> None:
        """Telegram will not do it. What came meanwhile from the source is still to be done."""
        certain = _certain(post)
        ended = PostState.DELETE if post.target_message_id or not certain else PostState.DELETED
        changed = and_(posts.c.state == PostState.EDIT, posts.c.version != post.version)
        state = case(
            (GOING, PostState.FAILED if post.state is PostState.DELETE else ended),
            (changed, PostState.EDIT),
            else_=PostState.FAILED,
        )
        refused = case((state == PostState.FAILED, post.state), else_=None)
        changes = {"state": state, "error": error, "refused": refused, "aside_at": None}
        await self._change_post(post, **changes, **certain)

    async def post_delayed(self, post: Post, error: str, *, in_doubt: bool) -> None:
        """Count an attempt that is to be made again. `in_doubt`: it may have gone through."""
        certain = {} if in_doubt else _certain(post)
        await self._change_post(post, attempts=posts.c.attempts + 1, error=error, **certain)

    async def post_lightened(self, post: Post, *, bare: bool) -> Post:
        """Keep its `note`. `bare`: from now on it has no medium, and its parts are cut anew.

        Gives it as it is then.
        """

        def write(db: Connection) -> Post:
            db.execute(update(posts).where(posts.c.id == post.id).values(note=post.note))
            return self.parts.put_in_words(db, post) if bare else post

        return await self._write(write)

    async def translated(
        self, it: Awaiting, said: Formatted, *, to: str, why_not: str | None
    ) -> bool:
        """From now on that is sent; False: meanwhile it says something else, or nothing.

        `why_not`: it is the original; None: it is in that language.
        """
        write = partial(self.parts.translate, it=it, said=said, to=to, why_not=why_not)
        return await self._write(write)

    async def set_aside(self, post: Post) -> None:
        """Out of the line, until it is done or has something new to say."""
        await self._change_post(post, aside_at=int(self._clock()))

    async def _change_post(self, post: Post, **changes: object) -> None:
        query = update(posts).where(posts.c.id == post.id).values(**changes)
        await self._write(lambda db: db.execute(query))

    async def _run(self, query: Prepared, post: Post) -> None:
        await self._write(lambda db: query.run(db, {"post": post.id}))

    # ── what else happens ─────────────────────────────────────────────────────

    async def delete(
        self,
        chat_id: ChatId,
        ids: Sequence[MessageId],
        *,
        places: Collection[int] | None = None,
    ) -> int:
        """Have the posts of deleted source messages deleted, the pending ones never sent.

        The rows stay. Tells how many posts that concerned. `places`: theirs; None: of all.
        """
        of_messages = and_(
            posts.c.source_chat_id == chat_id,
            posts.c.source_message_id.in_(list(ids)),
            *([] if places is None else [posts.c.place.in_(places)]),
        )
        there = posts.c.sent_version.is_not(None)
        state = case((there, PostState.DELETE), else_=PostState.DELETED)
        # A failed one would be sent by an operator's `retry`.
        ended = {PostState.DELETE, PostState.DELETED, PostState.GONE}
        done = posts.c.state.in_({PostState.SENT, PostState.FAILED})
        attempts = case((done, 0), else_=posts.c.attempts)
        query = update(posts).where(of_messages, posts.c.state.not_in(ended))
        query = query.values(state=state, attempts=attempts, refused=None, aside_at=None)
        # What was not shown is not to be shown by a later edit.
        for_good = update(posts).where(of_messages, posts.c.hidden.is_not(None)).values(hidden=None)

        def write(db: Connection) -> int:
            deleted = db.execute(query).rowcount
            db.execute(for_good)
            return deleted

        return await self._write(write)


def _certain(post: Post) -> dict[str, None]:
    """Telegram refused it, so it does not stand there, unless there was a doubt before."""
    return {} if post.sent_version is not None else NOT_SENT


def _topics(closed: Collection[int]) -> dict[str, object]:
    return {f"closed{number}": topic for number, topic in enumerate(closed)}


# ── what became of it, as statements ──────────────────────────────────────────


def _is_post() -> ColumnElement[bool]:
    return posts.c.id == bindparam("post")


@cache
def _sent() -> Prepared:
    there: Row = {"target_chat_id": bindparam("chat"), "sent_to": None, "sent_as": None}
    shows = _now_shows(posts.c.sent_version)
    return Prepared(shows.values(target_message_id=bindparam("message"), **there))


@cache
def _edited() -> Prepared:
    medium = func.coalesce(bindparam("medium", type_=Text), posts.c.shown_media)
    return Prepared(_now_shows(bindparam("shows", type_=BigInteger)).values(shown_media=medium))


def _now_shows(version: ColumnElement[Any]) -> Any:
    """That version stands there. If it has changed meanwhile, there is more to do."""
    state = case(
        (GOING, PostState.DELETE),
        (posts.c.version != version, PostState.EDIT),
        else_=PostState.SENT,
    )
    # Of what was done the attempts are kept, to be told; what is left to do begins anew.
    done = and_(~GOING, posts.c.version == version)
    changes = {
        "state": state,
        "sent_version": version,
        "attempts": case((done, posts.c.attempts), else_=0),
        "aside_at": None,
    }
    return update(posts).where(_is_post()).values(changes)


@cache
def _let_go() -> Prepared:
    """The parts that were held back until the first was there, by way of the unique key."""
    held = and_(
        messages.is_message(posts),
        posts.c.part > 0,
        posts.c.first_id == bindparam("post"),
        is_one_of(posts.c.state, PostState.HELD),
    )
    return Prepared(update(posts).where(held).values(state=PostState.PENDING))


@cache
def _deleted() -> Prepared:
    again: Row = {"target_message_id": None, **NOT_SENT}
    again["returns"] = func.coalesce(posts.c.returns, 0) + 1
    changes = {name: case((GOING, posts.c[name]), else_=value) for name, value in again.items()}
    first = posts.alias()
    there = exists().where(first.c.id == posts.c.first_id, is_one_of(first.c.state, PostState.SENT))
    follows = or_(posts.c.part == 0, there)
    state = case((GOING, PostState.DELETED), (follows, PostState.PENDING), else_=PostState.HELD)
    return Prepared(update(posts).where(_is_post()).values(state=state, aside_at=None, **changes))


@cache
def _unsent() -> Prepared:
    state = case((GOING, PostState.DELETED), else_=posts.c.state)
    return Prepared(update(posts).where(_is_post()).values(state=state, **NOT_SENT))


# ── rows ──────────────────────────────────────────────────────────────────────


def _post(db: Connection, row: Row) -> Post:
    said = messages.content_of(row)
    post = Post(
        id=row["id"],
        state=PostState(row["state"]),
        version=row["version"],
        source=MessageRef(row["source_chat_id"], row["source_message_id"]),
        part=row["part"],
        target=row["target_chat_id"],
        target_message_id=row["target_message_id"],
        sent_version=row["sent_version"],
        reply_to=row["reply_to"],
        text=said.text,
        entities=said.entities,
        media=said.media,
        album_id=row["album_id"],
        attempts=row["attempts"],
        recorded_at=row["recorded_at"],
        shown_media=row["shown_media"],
        sent_as=row["sent_as"] and messages.content_from(row["sent_as"]),
        sent_after=row["sent_after"],
        sent_to=row["sent_to"],
        extras=said.extras,
        note=row["note"],
        topic=row["topic"],
        place=row["place"],
        returns=row["returns"] or 0,
        # Should its medium be refused, it may be cut into more parts.
        more=bool(row.get("more", True)) or said.media is not None,
    )
    if post.reply_to is not None or row["answers_message_id"] is None:
        return post
    # What it answers does not stand: the nearest that does, and no quote of what that never said.
    nearest = next(iter(messages.ancestors(db, post)), None)
    return replace(post, reply_to=nearest, extras=post.extras and post.extras.unquoted())
