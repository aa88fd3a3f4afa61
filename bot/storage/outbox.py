"""The outbox: what is to be posted, in which order, below what, and what became of it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from sqlalchemy import and_, bindparam, case, exists, func, insert, literal, or_, select, update
from sqlalchemy.dialects.sqlite import insert as on_conflict_insert

from bot.alt_text import with_alt_text
from bot.extras import loaded
from bot.models import (
    ChatId,
    Content,
    MessageId,
    MessageRef,
    Method,
    Post,
    PostState,
)
from bot.storage import messages
from bot.storage.database import Prepared
from bot.storage.schema import moved_chats, posts, signal_updates, signals

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from sqlalchemy import ColumnElement, Connection, RowMapping, Select

T = TypeVar("T")

PART: Final = ("source_chat_id", "source_message_id", "part", "target_chat_id")  # is one post
WAITING: Final = (PostState.PENDING, PostState.EDIT, PostState.DELETE)
# What is needed next; see `Post.method`, which says the same of one post.
NEEDS: Final = {
    # Said with IN, so that the index by state serves.
    Method.SEND: and_(
        posts.c.state.in_([PostState.PENDING, PostState.DELETE]),
        or_(posts.c.state == PostState.PENDING, posts.c.target_message_id.is_(None)),
    ),
    Method.DELETE: and_(posts.c.state == PostState.DELETE, posts.c.target_message_id.is_not(None)),
    Method.EDIT: posts.c.state == PostState.EDIT,
}
GOING: Final = posts.c.state.in_([PostState.DELETE, PostState.DELETED])
NOT_SENT: Final = {"sent_version": None, "sent_as": None, "sent_to": None, "shown_media": None}


class Run(Protocol):
    async def __call__(self, work: Callable[[Connection], T]) -> T: ...


class Outbox:
    """See `relay.Outbox`. `clock` (unix seconds) dates the rows and decides nothing."""

    def __init__(self, write: Run, read: Run, *, clock: Callable[[], float]) -> None:
        self._write = write
        self._read = read
        self._clock = clock

    # ── what is next ──────────────────────────────────────────────────────────

    async def take_posts(
        self,
        target: ChatId,
        method: Method | None = None,
        *,
        but: Collection[int] = (),
        after: int = 0,
    ) -> list[Post]:
        """What is to be done next in that chat: one post, or the pending parts of an album.

        New messages in source order, then deletions, then edits; `method` None: whichever comes
        first. Changes take turns: the next is the one behind post `after`. Empty: nothing. What is
        set aside is left out, as are the posts `but`. Posts to be sent are noted as such, so that
        a crash leaves a doubt and no error; what comes back tells of doubts that there were before.
        """
        methods = tuple(Method) if method is None else (method,)
        in_line = and_(posts.c.aside_at.is_(None), posts.c.id.not_in(list(but)))

        def take(db: Connection) -> list[Post]:
            for each in sorted(methods, key=list(NEEDS).index):
                line = _line(target).where(NEEDS[each], in_line)
                if each is not Method.SEND:
                    taken = _in_turn(db, line, after)
                else:
                    taken = self._first(db, line.where(_not_below_one_aside()))
                if taken:
                    return taken
            return []

        # Only what is to be sent is noted; to look for a change waits for nobody who writes.
        return await (self._write if Method.SEND in methods else self._read)(take)

    async def take_aside(self, target: ChatId, *, but: Collection[int] = ()) -> list[Post]:
        """The same of what is set aside, the oldest first."""
        aside = and_(posts.c.aside_at.is_not(None), posts.c.state.in_(WAITING))
        line = _line(target).where(aside, posts.c.id.not_in(list(but)))
        if not await self._read(lambda db: _next_posts(db, line)):
            return []  # as nearly always
        return await self._write(lambda db: self._first(db, line))

    def _first(self, db: Connection, line: Select[Any]) -> list[Post]:
        taken = _next_posts(db, line)
        fresh = [post.id for post in taken if post.sent_version is None]
        if fresh:
            newest = select(func.max(posts.c.target_message_id)).where(
                posts.c.target_chat_id == taken[0].target
            )
            noted = {
                "sent_version": posts.c.version,
                "sent_after": func.coalesce(newest.scalar_subquery(), 0),
            }
            db.execute(update(posts).where(posts.c.id.in_(fresh)).values(noted))
        return taken

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
        return await self._read(lambda db: list(messages.ancestors(db, post)))

    # ── what became of it ─────────────────────────────────────────────────────

    async def add_parts(self, post: Post, parts: int) -> None:
        """Make rows for the parts after the first, in the first one's place in the line.

        Parts that were taken back, as the text was shorter for a while, are to be sent again. None
        of a text whose source was deleted meanwhile.
        """
        now, more = int(self._clock()), {"first_id": post.id, "version": post.version}
        rows = [_new_row(post.source, part, post.target, now) | more for part in range(1, parts)]
        again = {
            "state": PostState.PENDING,
            "target_message_id": None,
            "attempts": 0,
            "error": None,
            **NOT_SENT,
        }
        query = on_conflict_insert(posts)
        query = query.on_conflict_do_update(
            index_elements=PART,
            set_={**again, "bare": query.excluded.bare},
            where=posts.c.state == PostState.DELETED,
        )
        first = select(posts.c.state, posts.c.bare).where(posts.c.id == post.id)

        def write(db: Connection) -> None:
            state, bare = db.execute(first).one()
            if rows and state not in {PostState.DELETE, PostState.DELETED}:
                db.execute(query, [{**row, "bare": bare} for row in rows])

        await self._write(write)

    async def post_sent(self, post: Post, message_id: MessageId) -> None:
        """It stands in the target chat, as the version that was noted when it was taken first.

        In the chat that it was sent to, even if that has become another one meanwhile.
        """
        there = {"target_chat_id": post.target, "sent_to": None, "sent_as": None}
        await self._post_shows(post, posts.c.sent_version, message_id, **there)

    async def post_edited(self, post: Post) -> None:
        """What stands in the target chat is now as `post` shows it."""
        more = {} if post.media is None else {"shown_media": post.media.identity}
        await self._post_shows(post, literal(post.version), post.target_message_id, **more)

    async def _post_shows(
        self,
        post: Post,
        version: ColumnElement[int],
        message_id: MessageId | None,
        **more: object,
    ) -> None:
        """Unless it changed meanwhile: then there is more to do."""
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
            "target_message_id": message_id,
            "attempts": case((done, posts.c.attempts), else_=0),
            "aside_at": None,
        }
        await self._change_post(post, **changes, **more)

    async def post_deleted(self, post: Post) -> None:
        await self._change_post(post, state=PostState.DELETED, aside_at=None)

    async def post_unsent(self, post: Post) -> None:
        """The doubt is settled: it does not stand where it was sent. It is to be sent anew."""
        state = case((GOING, PostState.DELETED), else_=posts.c.state)
        await self._change_post(post, state=state, **NOT_SENT)

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

    async def post_lightened(self, post: Post, *, bare: bool) -> None:
        """Keep its `note`. `bare`: from now on this post and its other parts have no medium."""
        of_source = [
            posts.c.source_chat_id == post.source.chat_id,
            posts.c.source_message_id == post.source.message_id,
            posts.c.target_chat_id == post.target,
        ]

        def write(db: Connection) -> None:
            db.execute(update(posts).where(posts.c.id == post.id).values(note=post.note))
            if bare:
                db.execute(update(posts).where(*of_source).values(bare=1))

        await self._write(write)

    async def set_aside(self, post: Post) -> None:
        """Out of the line, until it is done or has something new to say."""
        await self._change_post(post, aside_at=int(self._clock()))

    async def _change_post(self, post: Post, **changes: object) -> None:
        query = update(posts).where(posts.c.id == post.id).values(**changes)
        await self._write(lambda db: db.execute(query))

    # ── what else happens ─────────────────────────────────────────────────────

    async def delete(self, chat_id: ChatId, ids: Sequence[MessageId]) -> int:
        """Have the posts of deleted source messages deleted, the pending ones never sent.

        The rows stay. Tells how many posts that concerned.
        """
        of_messages = and_(
            posts.c.source_chat_id == chat_id, posts.c.source_message_id.in_(list(ids))
        )
        there = posts.c.sent_version.is_not(None)
        state = case((there, PostState.DELETE), else_=PostState.DELETED)
        # A failed one would be sent by an operator's `retry`.
        living = {PostState.SENT, PostState.EDIT, PostState.PENDING, PostState.FAILED}
        done = posts.c.state.in_({PostState.SENT, PostState.FAILED})
        attempts = case((done, 0), else_=posts.c.attempts)
        query = update(posts).where(of_messages, posts.c.state.in_(living))
        query = query.values(state=state, attempts=attempts, refused=None, aside_at=None)
        return (await self._write(lambda db: db.execute(query))).rowcount

    def add(self, db: Connection, refs: Iterable[MessageRef], targets: Iterable[ChatId]) -> None:
        """Within the transaction that records these messages."""
        now, targets = int(self._clock()), list(targets)
        rows = [_new_row(ref, 0, target, now) for ref in refs for target in targets]
        if rows:
            _insert_posts().run_many(db, rows)


def mark_edited(db: Connection, ref: MessageRef, before: Content) -> None:
    """A recorded message says something else now; `before` is what it said."""
    of_message = and_(
        posts.c.source_chat_id == ref.chat_id, posts.c.source_message_id == ref.message_id
    )
    refused = and_(posts.c.state == PostState.FAILED, posts.c.refused == PostState.EDIT)
    done = or_(posts.c.state == PostState.SENT, refused)
    # What stands in the target, or may, said the same as the record did.
    current = posts.c.sent_version == posts.c.version
    medium = None if before.media is None else before.media.identity
    doubt = and_(current, posts.c.target_message_id.is_(None))
    changes = {
        "version": posts.c.version + 1,
        "state": case((done, PostState.EDIT), else_=posts.c.state),
        "attempts": case((done, 0), else_=posts.c.attempts),
        "refused": case((done, None), else_=posts.c.refused),
        "shown_media": case((current, medium), else_=posts.c.shown_media),
        "sent_as": case((doubt, messages.content_json(before)), else_=posts.c.sent_as),
        "aside_at": None,
    }
    db.execute(update(posts).where(of_message).values(changes))


def move(db: Connection, old: ChatId, new: ChatId) -> None:
    """What is to be sent to the old chat goes to the new one.

    Sent ones stand in the old one for good, and what may stand there is to be looked for there.
    """
    to_be_sent = and_(posts.c.target_chat_id == old, NEEDS[Method.SEND])
    query = update(posts).where(to_be_sent)
    db.execute(query.values(target_chat_id=new, sent_to=_doubtful_in(old)))


def put_back(db: Connection, post_id: int | None) -> list[int]:
    """Put failed posts back in line, or the one; tells which.

    One that was never sent, to a group that has moved since, goes where the group is now.
    """
    failed = posts.c.state == PostState.FAILED
    which = failed if post_id is None else and_(failed, posts.c.id == post_id)
    # What was refused before that was written down had been either sent or not.
    guess = case((posts.c.target_message_id.is_(None), PostState.PENDING), else_=PostState.EDIT)
    state = func.coalesce(posts.c.refused, guess)
    moved = select(moved_chats.c.new_chat_id).where(
        moved_chats.c.old_chat_id == posts.c.target_chat_id
    )
    here, new = posts.c.target_chat_id, moved.scalar_subquery()
    moves = and_(state == PostState.PENDING, new.is_not(None))
    again = {
        "state": state,
        "target_chat_id": case((moves, new), else_=here),
        "sent_to": case((moves, _doubtful_in(here)), else_=posts.c.sent_to),
        "refused": None,
        "attempts": 0,
    }
    ids = list(db.scalars(select(posts.c.id).where(which).order_by(posts.c.id)))
    db.execute(update(posts).where(which).values(again))
    return ids


def _doubtful_in(chat: Any) -> ColumnElement[Any]:
    """What to write as `sent_to` where a post leaves that chat."""
    doubtful = posts.c.sent_version.is_not(None)
    return case((doubtful, func.coalesce(posts.c.sent_to, chat)), else_=None)


def _certain(post: Post) -> dict[str, None]:
    """Telegram refused it, so it does not stand there, unless there was a doubt before."""
    return {} if post.sent_version is not None else NOT_SENT


@cache
def _insert_posts() -> Prepared:
    """Of new messages, so nothing is known of the post but where it is to go."""
    known = _new_row(MessageRef(ChatId(0), MessageId(0)), 0, ChatId(0), 0)
    return Prepared(insert(posts).values({name: bindparam(name) for name in known}))


def _new_row(source: MessageRef, part: int, target: ChatId, now: int) -> dict[str, Any]:
    return {
        "source_chat_id": source.chat_id,
        "source_message_id": source.message_id,
        "part": part,
        "target_chat_id": target,
        "state": PostState.PENDING,
        "version": 0,
        "attempts": 0,
        "recorded_at": now,
    }


# ── the line ──────────────────────────────────────────────────────────────────


def _line(target: ChatId) -> Select[Any]:
    return (
        select(posts)
        .where(posts.c.target_chat_id == target)
        .order_by(func.coalesce(posts.c.first_id, posts.c.id), posts.c.part)
    )


def _in_turn(db: Connection, line: Select[Any], after: int) -> list[Post]:
    """The one behind `after`; the first, if there is none. So none is passed over for ever."""
    line = line.order_by(None).order_by(posts.c.id <= after, posts.c.id).limit(1)
    return [_post(db, row) for row in db.execute(line).mappings()]


def _not_below_one_aside() -> ColumnElement[bool]:
    """A later part of a text is not posted while an earlier one is set aside."""
    earlier = posts.alias()
    same = [earlier.c[name] == posts.c[name] for name in PART if name != "part"]
    waits = and_(earlier.c.state == PostState.PENDING, earlier.c.aside_at.is_not(None))
    aside = exists().where(*same, earlier.c.part < posts.c.part, waits)
    return or_(posts.c.part == 0, ~aside)


def _next_posts(db: Connection, line: Select[Any]) -> list[Post]:
    row = db.execute(line.limit(1)).mappings().first()
    if row is None:
        return []
    post = _post(db, row)
    if post.album_id is None or post.state is not PostState.PENDING:
        return [post]
    album = [_post(db, each) for each in db.execute(_album(line, post)).mappings()]
    return sorted(album, key=lambda part: part.source.message_id)


def _album(line: Select[Any], post: Post) -> Select[Any]:
    """The posts of the line that are parts of the same album."""
    is_part = or_(
        *(
            exists().where(
                table.c.source_chat_id == posts.c.source_chat_id,
                table.c.source_message_id == posts.c.source_message_id,
                table.c.album_id == post.album_id,
            )
            for table in (signals, signal_updates)
        )
    )
    return line.where(
        posts.c.state == PostState.PENDING, posts.c.source_chat_id == post.source.chat_id, is_part
    )


# ── rows ──────────────────────────────────────────────────────────────────────


def _post(db: Connection, row: RowMapping) -> Post:
    source = MessageRef(row["source_chat_id"], row["source_message_id"])
    record = messages.record(db, source)
    if record is None:
        raise LookupError(f"post {row['id']} is of a message that is not recorded")
    text, entities, media = _said(messages.content_of(record), row)
    post = Post(
        id=row["id"],
        state=PostState(row["state"]),
        version=row["version"],
        source=source,
        part=row["part"],
        target=row["target_chat_id"],
        target_message_id=row["target_message_id"],
        sent_version=row["sent_version"],
        reply_to=None,
        text=text,
        entities=entities,
        media=media,
        album_id=record["album_id"],
        attempts=row["attempts"],
        recorded_at=row["recorded_at"],
        shown_media=row["shown_media"],
        sent_as=row["sent_as"] and _said(messages.content_from(row["sent_as"]), row),
        sent_after=row["sent_after"],
        sent_to=row["sent_to"],
        extras=loaded(record["extras"]),
        note=row["note"],
    )
    post = replace(post, reply_to=next(messages.ancestors(db, post), None))
    quotes = post.extras is not None and post.extras.quote is not None and not post.part
    if post.extras is None or not quotes or messages.answers_directly(db, post):
        return post
    return replace(post, extras=post.extras.unquoted())


def _said(content: Content, row: RowMapping) -> Content:
    """Without its medium, if Telegram has refused that, and with what it said."""
    if not row["bare"]:
        return content
    return content._replace(text=with_alt_text(content.text, content.media), media=None)
