"""`python -m bot why`: the story of one source message, or what kept the bot from seeing it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from bot.admin.flows import HELD, signal_of, standing, title, until
from bot.admin.formatting import Row, counted, date, duration, excerpt
from bot.admin.links import link
from bot.admin.reading import details, in_words, told_rows
from bot.admin.sources import asked, current, find_message, key_of, source_of
from bot.models import CHANNELS, Address, MessageRef, Outcome, PostState, Reason, UnixTime, is_sink
from bot.storage import coverage, failures, places, post_records, records
from bot.storage.store import REFUSALS_KEPT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence

    from bot.admin.sources import Tables
    from bot.config import Settings
    from bot.models import ChatId, SignalId
    from bot.routes import Routes, Source
    from bot.storage.coverage import ToldSince
    from bot.storage.failures import FailureRecord
    from bot.storage.post_records import PostRecord
    from bot.storage.records import Heard, Recorded, SignalRecord

# What decided, in the operator's words; {author} is the message's, {owner} the flow's, {allowed} the list.
BECAUSE: Final = {
    (Outcome.SIGNAL, Reason.NEW_SIGNAL): "it carries {marker}",
    (Outcome.UPDATE, Reason.OWNER): "{author} owns the flow",
    (Outcome.UPDATE, Reason.RELEASED): "the flow was released, so any permitted author may",
    (Outcome.REJECTED, Reason.NOT_THE_OWNER): "the flow is {owner}'s, and {author} is not he",
    (Outcome.REJECTED, Reason.NOT_PERMITTED): "{author} is not in {allowed}",
    (Outcome.REJECTED, Reason.UNKNOWN_AUTHOR): "who wrote it cannot be told",
    (Outcome.IGNORED, Reason.UNREADABLE): (
        "it holds something that this version of the library does not know, so that not a word of "
        "it can be read; edited into what can be read it is decided upon anew"
    ),
    (Outcome.IGNORED, Reason.FAILED): "the bot could not deal with it",
    (Outcome.IGNORED, Reason.FORWARDED): "it carries a marker, but is a forward",
    (Outcome.IGNORED, Reason.NOT_PERMITTED): (
        "it carries a marker, but {author} is not in {allowed}"
    ),
    (Outcome.IGNORED, Reason.UNKNOWN_AUTHOR): (
        "it carries a marker, but who wrote it cannot be told"
    ),
}
NOTHING_TOLD: Final = "nothing about its signal that is beyond doubt"
REFUSED: Final = {
    PostState.PENDING: "FAILED",
    PostState.EDIT: "its edit FAILED",
    PostState.DELETE: "its deletion FAILED",
}
WAITING: Final = {
    PostState.PENDING: "waits to be posted",
    PostState.HELD: "waits for the first part",
    PostState.EDIT: "is posted, and waits to be edited",
    PostState.DELETE: "is posted, and waits to be deleted",
}


async def why(
    tables: Tables, settings: Settings, text: str, *, now: UnixTime, routes: Routes | None = None
) -> list[Row]:
    """The answer, line by line. `routes` None: the settings'.

    Raises `UsageError` if it cannot be told which message is meant.
    """
    routes = await current(tables, settings, routes)
    ref = await find_message(tables, routes, asked(routes, text))
    source = await tables.ask(partial(records.posted_from, target=ref))
    rows = []
    if source is not None:
        rows.append(Row("post", f"{link(ref)} is what was posted for this message:"))
        ref = source
    record = await tables.ask(partial(records.recorded, ref=ref))
    if record is None:
        story = _unseen(tables, settings, routes, ref, now)
    else:
        story = _story(tables, routes, record, now)
    return [*rows, *[row async for row in story]]


class InHand(NamedTuple):
    """What an operator can do about a message."""

    held: SignalId | None  # the signal whose flow is its owner's alone
    failed: list[int]  # posts
    failure: int | None = None  # the record that the message could not be dealt with


async def in_hand(
    tables: Tables, settings: Settings, text: str, *, now: UnixTime, routes: Routes | None = None
) -> InHand:
    routes = await current(tables, settings, routes)
    ref = await find_message(tables, routes, asked(routes, text))
    source = await tables.ask(partial(records.posted_from, target=ref))
    record = await tables.ask(partial(records.recorded, ref=source or ref))
    failure = await tables.ask(partial(failures.failure, ref=source or ref))
    number = failure and failure.id
    if record is None or record.signal_id is None:
        return InHand(None, [], number)
    signal = await signal_of(tables, record.signal_id)
    source_now = routes.rules_for(signal.ref.chat_id, signal.topic)
    how = standing(signal.last_owner_activity, now, source_now)
    posts = await tables.ask(partial(post_records.posts_of, ref=record.ref))
    failed = [post.id for post in posts if post.state is PostState.FAILED]
    return InHand(signal.id if how in HELD else None, failed, number)


# ── a message that was recorded ───────────────────────────────────────────────


async def _story(
    tables: Tables, routes: Routes, record: Recorded, now: UnixTime
) -> AsyncIterator[Row]:
    signal = None if record.signal_id is None else await signal_of(tables, record.signal_id)
    failure = await tables.ask(partial(failures.failure, ref=record.ref))
    its = await source_of(tables, routes, record)
    allowed = key_of(routes, its, "SOURCE_ALLOWED_USERS", "allowed_users")
    for row in [
        *_message(record),
        *_source(routes, its),
        *_decision(record, signal, allowed),
        *_failed(failure),
    ]:
        yield row
    if signal is not None:
        async for row in _its_flow(tables, routes, record, signal, now):
            yield row
    posts = await tables.ask(partial(post_records.posts_of, ref=record.ref))
    listed = await tables.ask(places.recorded) if routes.named else ()
    names = {row.id: row.name for row in listed}
    for row in [*_posted(record, posts, names), *_not_posted(posts, its)]:
        yield row
    refused = await tables.ask(partial(records.refused_edit, ref=record.ref))
    if refused is not None:
        yield Row("edited", _refused(refused, record, allowed))
    extras = await tables.ask(partial(records.extras_of, ref=record.ref))
    for number, lost in enumerate(extras.lost if extras else ()):
        yield Row("" if number else "not carried", excerpt(lost, 80))


async def _its_flow(
    tables: Tables, routes: Routes, record: Recorded, signal: SignalRecord, now: UnixTime
) -> AsyncIterator[Row]:
    source = routes.rules_for(signal.ref.chat_id, signal.topic)
    if record.outcome is Outcome.SIGNAL:
        told = await tables.ask(partial(coverage.told_of, signal_id=signal.id))
        for row in _says(signal, told):
            yield row
    else:
        for row in _into(record, signal):
            yield row
        async for row in _by_its_thread(tables, record):
            yield row
        yield await _flow_then(tables, source, record, signal)
    yield Row("flow now", until(signal.last_owner_activity, now, source, routes))
    async for row in _ended(tables, signal):
        yield row


def _message(record: Recorded) -> Iterator[Row]:
    yield Row("message", link(record.ref))
    late = record.recorded_at - record.at
    delay = f", recorded {duration(late)} later" if late > 0 else ""
    yield Row("", f"by {record.author or 'unknown'}, {date(record.at)}{delay}")
    if record.text:
        yield Row("", f"“{excerpt(record.text, 70)}”")


def _source(routes: Routes, source: Source | None) -> Iterator[Row]:
    if routes.named and source is not None:
        yield Row("source", f"{source.name}, {source.where}")


def _decision(record: Recorded, signal: SignalRecord | None, allowed: str) -> Iterator[Row]:
    because = BECAUSE[record.outcome, record.reason].format(
        author=record.author,
        owner=signal and signal.owner,
        marker=signal and excerpt(signal.marker, 60),
        allowed=allowed,
    )
    yield Row("decided", f"{record.outcome} ({record.reason}): {because}")
    if record.tier is not None:
        yield Row("", f"whose flow it is was known from {record.tier}")


def _failed(failure: FailureRecord | None) -> Iterator[Row]:
    """Of a message that is recorded it was an edit, or the deletion."""
    if failure is None:
        return
    yield Row("failed", f"{date(failure.recorded_at)}: {excerpt(failure.error, 120)}")
    how = (
        "it is to be read again" if failure.again else f"`retry {link(failure.ref)}` reads it again"
    )
    yield Row("", how)


def _says(signal: SignalRecord, told: Sequence[ToldSince]) -> Iterator[Row]:
    yield Row("signal", f"{signal.id}: {details(signal)}")
    yield from told_rows(signal, told)
    replies = counted(signal.updates, "update")
    yield Row("replies", f"{replies}, {signal.refused} refused: `flows {signal.id}` shows them")


def _into(record: Recorded, signal: SignalRecord) -> Iterator[Row]:
    if record.answers is not None:
        yield Row("answers", link(record.answers))
    yield Row("flow", f"signal {signal.id}, {title(signal)} by {signal.owner}")
    yield Row("", link(signal.ref))
    if record.outcome is Outcome.UPDATE:
        yield Row("read in it", in_words(record.event) if record.event else NOTHING_TOLD)


async def _by_its_thread(tables: Tables, record: Recorded) -> AsyncIterator[Row]:
    """A reply came into the flow without its parent: that was lost."""
    if record.answers is None or record.answers == record.ref:
        return
    parent = await tables.ask(partial(records.recorded, ref=record.answers))
    if parent is None:
        yield Row(
            "",
            "what it answers was deleted before the bot saw it: its thread says which flow it is",
        )


async def _flow_then(
    tables: Tables, source: Source | None, record: Recorded, signal: SignalRecord
) -> Row:
    """How the flow stood when the message was written, from what is recorded of it."""
    active = await tables.ask(
        partial(records.owner_activity, signal_id=signal.id, at=record.at, but=record.ref)
    )
    ended = await tables.ask(
        partial(records.ended_by_hand, signal_id=signal.id, before=record.recorded_at)
    )
    if ended is not None and (active is None or ended > active):
        return Row("flow then", f"ended by hand on {date(ended)}")
    if active is None:
        return Row("flow then", "when its owner had last been active is not known")
    how = "" if source is None else f"{standing(active, record.at, source)}: "
    return Row(
        "flow then",
        f"{how}its owner was last active {date(active)}, {duration(record.at - active)} before",
    )


async def _ended(tables: Tables, signal: SignalRecord) -> AsyncIterator[Row]:
    ended = await tables.ask(partial(records.ended_by_hand, signal_id=signal.id))
    if ended is not None:
        yield Row("", f"an operator ended it on {date(ended)}")


def _refused(edit: records.RefusedEdit, record: Recorded, allowed: str) -> str:
    when = "later" if edit.at is None else f"on {date(edit.at)}"
    return f"{when}, not relayed: {record.author} was not in {allowed} any more"


def _posted(record: Recorded, posts: list[PostRecord], names: Mapping[int, str]) -> Iterator[Row]:
    """`names`: of places, by their rows."""
    if record.outcome not in {Outcome.SIGNAL, Outcome.UPDATE}:
        yield Row("posted", "no: only signals and updates are")
    elif not posts:
        yield Row("posted", "no: it was imported, or the bot had no target then")
    for number, post in enumerate(posts):
        yield Row("" if number else "posted", _post(post, names.get(post.place, "")))
        if post.hidden is not None and post.state is not PostState.DELETED:
            yield Row("", f"  since its edit {post.hidden}")
        if post.note is not None:
            yield Row("", f"  {excerpt(post.note, 120)}")
        if post.awaits or post.translated is not None:
            yield Row("", f"  {_translation(post)}")
        if post.error is not None:
            yield Row("", f"  last error: {excerpt(post.error, 80)}")


def _translation(post: PostRecord) -> str:
    if post.translated is None:
        return "it is to be translated first"
    to, why_not = post.translated
    return f"translated to {to}" if why_not is None else f"in the original: {excerpt(why_not, 120)}"


def _not_posted(posts: list[PostRecord], source: Source | None) -> Iterator[Row]:
    """Of the other places of its source: each had a post, if only one that is not shown."""
    there = {(post.target, post.topic) for post in posts}
    if source is None or not posts:
        return
    for place in source.places:
        if (place.chat, place.topic) not in there:
            yield Row("", f"in {place.label}: no, it was no place of {source.name} by then")


def _where(post: PostRecord, place: str) -> str:
    """`place`: what it is called; empty: nothing."""
    address = str(Address(post.target, post.topic))
    called = f", {place}" if place not in {"", address} else ""
    if is_sink(post.target):
        name = place or post.called
        return f"told to {name}" if post.target_message_id else f"to {name}"
    if post.target_message_id is None:
        return f"in {address}{called}"
    return link(MessageRef(post.target, post.target_message_id)) + called


def _post(post: PostRecord, place: str) -> str:
    """Where it stands, or why it does not."""
    where = _where(post, place)
    part = f", part {post.part + 1}" if post.part else ""
    name = f"{where}{part} (post {post.id})"
    if post.state is PostState.SENT:
        return f"{name}, {_tries(post.attempts + 1)}"
    if post.state is PostState.DELETED:
        return f"{name}: {post.hidden or 'deleted, as was its source'}"
    if post.state is PostState.FAILED:
        failed = REFUSED[post.refused or PostState.PENDING]
        return f"{name}: {failed}, {_tries(post.attempts + 1)}; `retry {post.id}` tries again"
    if post.state is PostState.GONE:
        return f"{name}: posted, and deleted there by somebody else"
    aside = "" if post.aside_at is None else f", set aside on {date(post.aside_at)}"
    shut = f"; {post.called} is paused: `resume {post.called}`" if post.paused else ""
    return f"{name}: {WAITING[post.state]}{aside}, {_tries(post.attempts)} so far{shut}"


def _tries(number: int) -> str:
    return "1 try" if number == 1 else f"{number} tries"


# ── a message of which nothing is known ───────────────────────────────────────


class _Surroundings(NamedTuple):
    before: Recorded | None
    after: Recorded | None
    heard: Heard | None  # None: nothing has been heard of that chat
    sources: list[Source]  # of that chat; several, if topics of it are


async def _unseen(
    tables: Tables, settings: Settings, routes: Routes, ref: MessageRef, now: UnixTime
) -> AsyncIterator[Row]:
    around = await _surroundings(tables, routes, ref)
    yield Row("message", link(ref))
    yield Row(
        "recorded",
        "no: the bot has not seen it, or it was chatter, which leaves no record. For the bot to "
        "have decided on it, all of this must hold:",
    )
    yield _is_source(routes, around.sources, ref.chat_id)
    for row in _was_there(around, ref, now):
        yield row
    for row in [*_could_see(settings), *_would_count(routes, around.sources)]:
        yield row
    yield Row(
        "?",
        "its signal was not deleted before the bot saw it: the replies below such a one are chatter",
    )
    yield _kept(around.after, now)


async def _surroundings(tables: Tables, routes: Routes, ref: MessageRef) -> _Surroundings:
    before, after = await tables.ask(partial(records.neighbours, ref=ref))
    # All chats but supergroups and channels share the account's box.
    private = ref.chat_id > CHANNELS
    boxes = await tables.ask(records.heard)
    heard = [each for each in boxes if each.box == ref.chat_id or (private and each.box > 0)]
    sources = routes.sources_in(ref.chat_id)
    return _Surroundings(before, after, heard[0] if heard else None, sources)


def _is_source(routes: Routes, its: list[Source], chat_id: ChatId) -> Row:
    if not routes.chats:
        return Row("?", f"{chat_id} is the source chat: SOURCE_CHAT_ID is not set here")
    if its:
        return _is_read(routes, its, chat_id)
    if routes.named:
        sources = f"the sources are {_listed(routes.sources)}"
    else:
        sources = f"the source chat is {routes.chats[0]}"
    where = "a target chat" if chat_id in routes.targets else str(chat_id)
    return Row("NO", f"it stands in {where}; {sources}")


def _is_read(routes: Routes, its: list[Source], chat_id: ChatId) -> Row:
    """Of what is not recorded the topic is not known."""
    if not routes.named:
        return Row("yes", f"it stands in the source chat, {chat_id}")
    if its[0].topic is None:
        return Row("yes", f"it stands in a source, {_listed(its)}")
    return Row("?", f"it stands in a topic that is a source: {_listed(its)}")


def _listed(sources: Iterable[Source]) -> str:
    return " or ".join(f"{source.name} ({source.where})" for source in sources)


def _was_there(around: _Surroundings, ref: MessageRef, now: UnixTime) -> Iterator[Row]:
    """What is recorded says about whether the bot has come that far, and was there by then."""
    before, after, heard, _ = around
    newest = heard.message_id if heard is not None and ref.chat_id < CHANNELS else None
    if newest is not None and newest >= ref.message_id:
        yield Row("yes", f"the bot has come that far: it has dealt with all up to {newest}")
    elif after is not None:
        yield Row("yes", f"the bot has come that far: it recorded {_named(after)}")
    else:
        yield Row("?", f"the bot has come that far: it recorded nothing after {_named(before)}")
    if after is not None or before is not None:
        yield Row("", f"recorded last before it: {_named(before)}; next: {_named(after)}")
    if before is None:
        yield Row("?", "the bot was in the chat by then, and not new to it")
    if heard is not None:
        at = heard.recorded_at
        yield Row("", f"it last heard of that chat {duration(now - at)} ago, {date(at)}")


def _named(record: Recorded | None) -> str:
    return "none" if record is None else f"{record.ref.message_id} of {date(record.at)}"


def _could_see(settings: Settings) -> Iterator[Row]:
    if settings.session_string is None:
        yield Row("?", "the bot sees all of the group: `python -m bot check` says (/setprivacy)")
        yield Row("?", "it was not written by another bot: Telegram shows bots no bots")


def _would_count(routes: Routes, its: list[Source]) -> Iterator[Row]:
    """Where it is nobody's, no rules but those of the settings could count."""
    judges = its if its or routes.named else routes.sources
    for source in judges:
        where = f"in {source.name}, " if len(judges) > 1 else ""
        if source.permitted is not None:
            allowed = key_of(routes, source, "SOURCE_ALLOWED_USERS", "allowed_users")
            yield Row("?", f"{where}its author is one of the {len(source.permitted)} in {allowed}")
        yield Row("?", f"{where}it carries {_marks(source)}, or it answers a message of a flow")


def _marks(source: Source) -> str:
    marks = " or ".join(source.markers)
    patterns = len(source.patterns)
    return f"{marks} or matches one of {patterns} patterns" if patterns else marks


def _kept(after: Recorded | None, now: UnixTime) -> Row:
    forgotten = f"refusals are forgotten after {duration(REFUSALS_KEPT)}"
    if after is not None and now - after.at > REFUSALS_KEPT:
        return Row("?", f"it was not refused: {forgotten}, and this is older")
    return Row("?", f"it was not refused long ago: {forgotten}")
