"""The rows of a message's posts: finished, written with the message, and again with its edits.

One row for each place and part. All parts but the first are held back until that one is there, so
that they are posted below it and in their order.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache, partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import and_, bindparam, func, insert, select, update

from bot.models import ChatId, Content, MessageId, MessageRef, is_sink
from bot.phrases import phrase
from bot.posts import PostState
from bot.routes import Place
from bot.rules.presentation import AS_IT_IS, SIGNAL_NOT_SHOWN, NotShown, present
from bot.rules.render import cut, in_words
from bot.rules.retext import Formatted, joined
from bot.rules.translation import untranslated
from bot.storage import messages
from bot.storage.about import Told, about, as_event
from bot.storage.engine import Prepared
from bot.storage.messages import content_from, content_json, content_of, content_row
from bot.storage.schema import posts
from bot.storage.untranslated import Awaiting, awaiting

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from sqlalchemy import Connection

    from bot.models import IncomingMessage
    from bot.posts import Post
    from bot.storage.outbox import PlaceOf

Row = dict[str, Any]  # of `posts`

NOT_SENT: Final = {"sent_version": None, "sent_as": None, "sent_to": None, "shown_media": None}
ANEW: Final = {"target_message_id": None, "attempts": 0, "error": None, **NOT_SENT}
DONE_WITH: Final = {PostState.DELETE, PostState.DELETED, PostState.GONE}
GOING: Final = {PostState.DELETE, PostState.DELETED}
NO_MORE: Final = "its place had no `translate` any more"
OPEN: Final = (PostState.PENDING, PostState.EDIT, PostState.DELETE, PostState.FAILED)


class Rendered(NamedTuple):
    posts: list[Content]
    hidden: str | None = None  # why there are none
    original: str | None = None  # what is to be translated first; None: nothing


class Parts:
    """`place`: how posts look in a chat. `clock` (unix seconds) dates the rows.

    All of it is done within the caller's transaction.
    """

    def __init__(self, place: PlaceOf, *, clock: Callable[[], float]) -> None:
        self.place = place
        self._clock = clock

    def add(
        self, db: Connection, message: IncomingMessage, places: Iterable[Place], told: Told | None
    ) -> None:
        """The posts of a message that was not recorded before. `told`: as by `told_in`."""
        said, now = _storable(message.content), int(self._clock())
        for place in places:
            posts, hidden, original = _rendered(message.ref, place, said, told)
            lead, *rest = posts or [Content("")]
            first = _new_row(message.ref, place, lead, now)
            # Without its medium it is of no album there; and programs are told of one at a time.
            if (lead.media is not None or said.media is None) and not is_sink(place.chat):
                first |= {"album_id": message.album_id}
            if original is not None:
                first["original"], rest = original, []  # they come with the translation
            if hidden is not None:
                first |= {"state": PostState.DELETED, "hidden": hidden}
            if message.reply_to is not None:
                first |= _answering(message.reply_to)
            _insert().run(db, first)
            _add_rest(db, first, rest, now=now)

    def edit(self, db: Connection, ref: MessageRef, said: Content) -> None:
        """A recorded message says something else now."""
        for rows in _texts(db, ref):
            if not _is_ended(rows[0]):
                self._edit(db, rows, self._of_rows(db, rows, _storable(said)))

    def _edit(self, db: Connection, rows: Sequence[Row], now: Rendered) -> None:
        """What is to be translated again says so in its first part. The others follow then."""
        first = rows[0]
        if now.original is None:
            no_more = {"original": None, "translated": None}
            first.update(no_more if now.posts else {})
            self._fit(db, rows, now, _edited)
        elif now.original != first["original"] or first["state"] in GOING:
            changes = _edited(first, now.posts[0], forced=True)
            _write(db, first | changes | {"original": now.original, "translated": None})
        elif first["translated"] is None:
            self._fit(db, rows[:1], now._replace(posts=now.posts[:1]), _edited)
        else:
            self._fit(db, rows, Rendered(_as_they_are(rows, now.posts[0])), _edited)

    def translate(
        self, db: Connection, it: Awaiting, said: Formatted, to: str, why_not: str | None
    ) -> bool:
        """What is sent is this from now on; False: it says something else by now, or nothing."""
        found = (rows for rows in _texts(db, it.source) if rows[0]["id"] == it.id)
        rows = next(found, None)
        if rows is None or not _awaits(rows[0], it.version):
            return False
        first = rows[0]
        place = self.place(first["place"], first["target_chat_id"], first["topic"])
        lead = content_of(first)._replace(text=said.text, entities=said.entities)
        translated = json.dumps([to, why_not], ensure_ascii=False)
        now = Rendered(cut(_storable(lead), place))
        self._fit(db, rows, now, partial(_translated, translated))
        return True

    def leave_untranslated(self, db: Connection, places: Collection[int]) -> None:
        """What waits in these places goes out as it is."""
        for it in awaiting(db, places):
            self.translate(db, it, it.said.filled(it.said.body), "", NO_MORE)

    def put_in_words(self, db: Connection, post: Post) -> Post:
        """From now on the post has no medium. Gives the one in hand as it is to be sent then."""
        rows = next(rows for rows in _texts(db, post.source) if rows[0]["id"] == post.id)
        rows[0]["bare"] = 1
        if rows[0]["original"] is not None:
            place = self.place(rows[0]["place"], rows[0]["target_chat_id"], rows[0]["topic"])
            found = Rendered(cut(in_words(_whole(rows)), place))
        else:
            found = self._of_rows(db, rows, _recorded(db, post.source) or Content(post.text))
        found = found if found.posts else Rendered([Content(post.text, post.entities)])
        self._fit(db, rows, found, _put_in_words)
        if rows[0]["version"] != post.version:
            return post  # an edit came meanwhile, and is made behind it
        said = content_of(rows[0])
        return replace(post, text=said.text, entities=said.entities)

    def carry_over(self, db: Connection) -> None:
        """Earlier versions rendered when they sent: what is still to be done gets its text now."""
        for source in [MessageRef(*row) for row in db.execute(_OPEN_WITHOUT_TEXT)]:
            if (said := _recorded(db, source)) is None:
                continue
            for rows in filter(_is_open, _texts(db, source)):
                found = self._of_rows(db, rows, said)
                for row in rows if found.posts else []:
                    part = found.posts[min(row["part"], len(found.posts) - 1)]
                    row.update(content_row(part._replace(media=None) if row["part"] else part))
                    row.update(self._sent_as(db, rows, row))
                    _write(db, row)
                self._fit(db, rows, found, partial(_comes_again, rows[0]))

    def _sent_as(self, db: Connection, rows: Sequence[Row], row: Row) -> Row:
        """It was the whole message; now it is this part."""
        if row["sent_as"] is None:
            return {}
        found = self._of_rows(db, rows, content_from(row["sent_as"])).posts
        part = row["part"]
        return {"sent_as": content_json(found[part]) if part < len(found) else None}

    def _of_rows(self, db: Connection, rows: Sequence[Row], said: Content) -> Rendered:
        first = rows[0]
        source = MessageRef(first["source_chat_id"], first["source_message_id"])
        said = in_words(said) if first["bare"] else said
        place = self.place(first["place"], first["target_chat_id"], first["topic"])
        return _rendered(source, place, said, told_in([place], db, source))

    def _fit(
        self,
        db: Connection,
        rows: Sequence[Row],
        now: Rendered,
        change: Callable[[Row, Content], Row],
    ) -> None:
        """Have the posts of one text say what it says now, with as many parts as it has now."""
        found = now.posts
        for row, part in zip(rows, found, strict=False):
            if changes := change(row, part):
                row.update(changes)
                if row["state"] == PostState.HELD and row["part"]:
                    row["state"] = _state_below(rows[0])
                _write(db, row)
        for row in rows[len(found) :]:
            if changes := _taken_back(row, now.hidden):
                _write(db, row | changes)
        if rows[0]["state"] not in DONE_WITH:
            _add_rest(db, rows[0], found[1:], but=len(rows) - 1, now=int(self._clock()))


def told_in(places: Iterable[Place], db: Connection, source: MessageRef) -> Told | None:
    """What these must know of a message. None: all show it as it is, and nothing is asked."""
    return None if all(map(_shows_it_as_it_is, places)) else Told(db, source)


def _shows_it_as_it_is(place: Place) -> bool:
    return place.presentation == AS_IT_IS and not is_sink(place.chat)


def _rendered(source: MessageRef, place: Place, said: Content, told: Told | None) -> Rendered:
    if told is None or _shows_it_as_it_is(place):
        return Rendered(cut(said, place))
    if told.signal_is_hidden(place):
        return Rendered([], phrase(SIGNAL_NOT_SHOWN))
    shown = present(said, place.presentation, about(source, told.rows), source=place.source)
    if isinstance(shown, NotShown):
        return Rendered([], shown.reason)
    if is_sink(place.chat):
        return Rendered([as_event(source, told.rows, shown, source=place.source)])
    marks = untranslated(Formatted(shown.text, shown.entities), mentions=place.mentions)
    return Rendered(cut(shown, place), original=None if marks is None else marks.as_json())


def _edited(row: Row, part: Content, *, forced: bool = False) -> Row:
    """What an edit changes in a row; nothing, if it says what it said and is not `forced`."""
    state, again = row["state"], row["refused"] in {PostState.EDIT, PostState.DELETE}
    new = content_row(part)
    same = messages.same_content(row, new) and not forced
    if same and state not in GOING and not again:
        return {}
    before = content_of(row)
    # What stands in the target, or may, is what the row said.
    current = row["sent_version"] == row["version"]
    changes = {**new, "version": row["version"] + 1, "aside_at": None, "hidden": None}
    if current:
        changes["shown_media"] = before.media and before.media.identity
        if row["target_message_id"] is None:
            changes["sent_as"] = content_json(before)
    if state == PostState.DELETED:  # it was taken back, and is another message now
        first = PostState.HELD if row["part"] else PostState.PENDING
        return {**changes, **ANEW, "state": first, "returns": (row["returns"] or 0) + 1}
    if state == PostState.DELETE and row["target_message_id"] is None:
        return {**changes, "state": PostState.PENDING, "attempts": 0}
    if state in {PostState.SENT, PostState.DELETE} or again:
        return {**changes, "state": PostState.EDIT, "attempts": 0, "refused": None}
    return changes


def _translated(translated: str, row: Row, part: Content) -> Row:
    """The first part says it in the version that waits for it."""
    return _edited(row, part) if row["part"] else {**content_row(part), "translated": translated}


def _as_they_are(rows: Iterable[Row], lead: Content) -> list[Content]:
    """What is translated already, with the medium and the dress of today."""
    first, *rest = (content_of(row) for row in rows if row["state"] not in DONE_WITH)
    return [first._replace(media=lead.media, extras=lead.extras), *rest]


def _whole(rows: Iterable[Row]) -> Content:
    """The parts as the one text that they are cut from."""
    parts = [content_of(row) for row in rows if row["state"] not in DONE_WITH]
    said = joined(*(Formatted(part.text, part.entities) for part in parts))
    return parts[0]._replace(text=said.text, entities=said.entities)


def _awaits(first: Row, version: int) -> bool:
    """As of that version."""
    wanted = first["original"] is not None and first["translated"] is None
    return wanted and first["version"] == version and first["state"] not in DONE_WITH


def _comes_again(first: Row, row: Row, _part: Content) -> Row:
    """Of a text that is to be edited, and is long again: an earlier version found that out then."""
    open_ = not _is_ended(first) and first["state"] not in {PostState.SENT, PostState.GONE}
    return {**ANEW, "state": PostState.HELD} if open_ and row["state"] == PostState.DELETED else {}


def _put_in_words(row: Row, part: Content) -> Row:
    """It is the same version in fewer clothes: what was begun to be sent is told without a medium."""
    sent_as = row["sent_as"] and content_json(in_words(content_from(row["sent_as"])))
    return {**content_row(part), "sent_as": sent_as}


def _taken_back(row: Row, hidden: str | None) -> Row:
    """The text has become shorter than this part, or is `hidden` as a whole."""
    why = {} if row["part"] else {"hidden": hidden}
    if row["state"] in DONE_WITH:
        return why if row["hidden"] else {}
    there = row["sent_version"] is not None
    state = PostState.DELETE if there else PostState.DELETED
    return {"state": state, "attempts": 0, "refused": None, "aside_at": None, **why}


def _is_open(rows: Iterable[Row]) -> bool:
    """There is still something to do; as far as an earlier version knows states."""
    return any(row["state"] in OPEN for row in rows)


def _is_ended(first: Row) -> bool:
    """Its source was deleted, whether or not that could be done here."""
    gone = first["state"] in GOING or first["refused"] == PostState.DELETE
    return gone and first["hidden"] is None


def _state_below(first: Row) -> PostState:
    """Of a part that is new: it is not to stand there before the first one says its share."""
    return PostState.PENDING if first["state"] == PostState.SENT else PostState.HELD


def _add_rest(
    db: Connection, first: Row, rest: Sequence[Content], *, now: int, but: int = 0
) -> None:
    """The parts behind the first; `but`: so many of them have rows."""
    for number, part in enumerate(rest[but:], 1 + but):
        source = MessageRef(first["source_chat_id"], first["source_message_id"])
        place = Place(first["target_chat_id"], first["topic"], id=first["place"])
        row = _new_row(source, place, part, now)
        row |= {"part": number, "version": first["version"]}
        row |= {"state": _state_below(first), **_answering(source)}
        _insert().run(db, row)


def _new_row(source: MessageRef, place: Place, said: Content, now: int) -> Row:
    return {
        "source_chat_id": source.chat_id,
        "source_message_id": source.message_id,
        "part": 0,
        "target_chat_id": place.chat,
        "topic": place.topic,
        "place": place.id,
        "state": PostState.PENDING,
        "version": 0,
        "attempts": 0,
        "recorded_at": now,
        "album_id": None,
        "answers_chat_id": None,
        "answers_message_id": None,
        "hidden": None,
        "original": None,
        **content_row(said),
    }


def _answering(ref: MessageRef) -> Row:
    return {"answers_chat_id": ref.chat_id, "answers_message_id": ref.message_id}


def _storable(said: Content) -> Content:
    return said._replace(text=messages.storable(said.text))


def _recorded(db: Connection, source: MessageRef) -> Content | None:
    found = messages.record(db, source)
    return None if found is None else content_of(found[1])


# ── statements ────────────────────────────────────────────────────────────────


def _texts(db: Connection, ref: MessageRef) -> list[list[Row]]:
    """The rows of a message, in their order, for each place."""
    found = _of_message().rows(db, messages.key_of(ref))
    return [list(rows) for _, rows in groupby(found, lambda row: row["first_id"] or row["id"])]


@cache
def _of_message() -> Prepared:
    order = (func.coalesce(posts.c.first_id, posts.c.id), posts.c.part)
    return Prepared(select(posts).where(messages.is_message(posts)).order_by(*order))


@cache
def _insert() -> Prepared:
    """A later part finds its first one, whose number nobody has waited for."""
    known = _new_row(MessageRef(ChatId(0), MessageId(0)), Place(ChatId(0)), Content(""), 0)
    row: Row = {name: bindparam(name) for name in known}
    first = posts.alias()
    same = ("source_chat_id", "source_message_id", "target_chat_id", "topic", "place")
    its = and_(*(first.c[name] == row[name] for name in same), first.c.part == 0)
    first_id = select(first.c.id).where(its, row["part"] > 0).scalar_subquery()
    return Prepared(insert(posts).values({**row, "first_id": first_id}).inline())


def _write(db: Connection, row: Row) -> None:
    _rewrite().run(db, row)


@cache
def _rewrite() -> Prepared:
    """All of a row that may change."""
    fixed = {"id", "source_chat_id", "source_message_id", "part", "first_id"}
    fixed |= {"target_chat_id", "topic", "place"}
    changes = {c: bindparam(c.name, type_=c.type) for c in posts.c if c.name not in fixed}
    return Prepared(update(posts).where(posts.c.id == bindparam("id")).values(changes))


_OPEN_WITHOUT_TEXT: Final = (
    select(posts.c.source_chat_id, posts.c.source_message_id)
    .where(posts.c.text.is_(None), posts.c.state.in_(OPEN))
    .distinct()
)
