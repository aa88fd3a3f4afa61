"""`python -m bot why`: the story of one source message, or what kept the bot from seeing it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from bot.admin.flows import (
    HELD,
    OUTCOMES,
    STANDINGS,
    by_owner,
    replies,
    signal_of,
    standing,
    until,
)
from bot.admin.formatting import Row, date, duration, excerpt
from bot.admin.links import link
from bot.admin.names import Names, names_of
from bot.admin.reading import TIERS, details, in_words, told_rows
from bot.admin.sources import asked, current, find_message, key_of, source_of
from bot.admin.unseen import unseen
from bot.faults import named
from bot.models import Address, MessageRef, Outcome, Reason, UnixTime, is_sink
from bot.phrases import joined, later, phrase, plural
from bot.posts import PostState
from bot.storage import coverage, failures, places, post_records, records

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

    from bot.admin.sources import Tables
    from bot.config import Settings
    from bot.models import SignalId
    from bot.routes import Routes, Source
    from bot.storage.coverage import ToldSince
    from bot.storage.failures import FailureRecord
    from bot.storage.post_records import PostRecord
    from bot.storage.records import Recorded, SignalRecord

# What decided, in the operator's words; {author} is the message's, {owner} the flow's, {allowed} the list.
BECAUSE: Final = {
    (Outcome.SIGNAL, Reason.NEW_SIGNAL): later("it carries {marker}"),
    (Outcome.UPDATE, Reason.OWNER): later("{author} owns the flow"),
    (Outcome.UPDATE, Reason.RELEASED): later("the flow was released, so any permitted author may"),
    (Outcome.REJECTED, Reason.NOT_THE_OWNER): later(
        "the flow is {owner}'s, and {author} is not he"
    ),
    (Outcome.REJECTED, Reason.NOT_PERMITTED): later("{author} is not in {allowed}"),
    (Outcome.REJECTED, Reason.UNKNOWN_AUTHOR): later("who wrote it cannot be told"),
    (Outcome.IGNORED, Reason.UNREADABLE): later(
        "it holds something that this version of the library does not know, so that not a word of "
        "it can be read; edited into what can be read it is decided upon anew"
    ),
    (Outcome.IGNORED, Reason.FAILED): later("the bot could not deal with it"),
    (Outcome.IGNORED, Reason.FORWARDED): later("it carries a marker, but is a forward"),
    (Outcome.IGNORED, Reason.NOT_PERMITTED): later(
        "it carries a marker, but {author} is not in {allowed}"
    ),
    (Outcome.IGNORED, Reason.UNKNOWN_AUTHOR): later(
        "it carries a marker, but who wrote it cannot be told"
    ),
}
NOTHING_TOLD: Final = later("nothing about its signal that is beyond doubt")
REFUSED: Final = {
    PostState.PENDING: later("FAILED"),
    PostState.EDIT: later("its edit FAILED"),
    PostState.DELETE: later("its deletion FAILED"),
}
WAITING: Final = {
    PostState.PENDING: later("waits to be posted"),
    PostState.HELD: later("waits for the first part"),
    PostState.EDIT: later("is posted, and waits to be edited"),
    PostState.DELETE: later("is posted, and waits to be deleted"),
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
        rows.append(
            Row(
                phrase("post"),
                phrase("{link} is what was posted for this message:", link=link(ref)),
            )
        )
        ref = source
    record = await tables.ask(partial(records.recorded, ref=ref))
    if record is None:
        story = unseen(tables, settings, routes, ref, now)
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
    names_known = await names_of(tables, [record.author, signal and signal.owner])
    for row in [
        *_message(record, names_known),
        *_source(routes, its),
        *_decision(record, signal, allowed, names_known),
        *_failed(failure),
    ]:
        yield row
    if signal is not None:
        async for row in _its_flow(tables, routes, record, signal, now, names_known):
            yield row
    posts = await tables.ask(partial(post_records.posts_of, ref=record.ref))
    listed = await tables.ask(places.recorded) if routes.named else ()
    names = {row.id: row.name for row in listed}
    for row in [*_posted(record, posts, names), *_not_posted(posts, its)]:
        yield row
    refused = await tables.ask(partial(records.refused_edit, ref=record.ref))
    if refused is not None:
        yield Row(phrase("edited"), _refused(refused, names_known.of(record.author), allowed))
    extras = await tables.ask(partial(records.extras_of, ref=record.ref))
    for number, lost in enumerate(extras.lost if extras else ()):
        yield Row("" if number else phrase("not carried"), excerpt(lost, 80))


async def _its_flow(
    tables: Tables,
    routes: Routes,
    record: Recorded,
    signal: SignalRecord,
    now: UnixTime,
    names: Names,
) -> AsyncIterator[Row]:
    source = routes.rules_for(signal.ref.chat_id, signal.topic)
    if record.outcome is Outcome.SIGNAL:
        told = await tables.ask(partial(coverage.told_of, signal_id=signal.id))
        for row in _says(signal, told):
            yield row
    else:
        for row in _into(record, signal, names):
            yield row
        async for row in _by_its_thread(tables, record):
            yield row
        yield await _flow_then(tables, source, record, signal)
    yield Row(phrase("flow now"), until(signal.last_owner_activity, now, source, routes))
    async for row in _ended(tables, signal):
        yield row


def _message(record: Recorded, names: Names) -> Iterator[Row]:
    yield Row(phrase("message"), link(record.ref))
    late = record.recorded_at - record.at
    author = names.of(record.author)
    text = phrase("by {author}, {date}", author=author, date=date(record.at))
    if late > 0:
        text = phrase("{text}, recorded {time} later", text=text, time=duration(late))
    yield Row("", text)
    if record.text:
        yield Row("", f"“{excerpt(record.text, 70)}”")


def _source(routes: Routes, source: Source | None) -> Iterator[Row]:
    if routes.named and source is not None:
        yield Row(phrase("source"), f"{source.name}, {source.where}")


def _decision(
    record: Recorded, signal: SignalRecord | None, allowed: str, names: Names
) -> Iterator[Row]:
    because = phrase(
        BECAUSE[record.outcome, record.reason],
        author=names.of(record.author),
        owner=signal and names.of(signal.owner),
        marker=signal and excerpt(signal.marker, 60),
        allowed=allowed,
    )
    yield Row(
        phrase("decided"),
        phrase(
            "{outcome} ({reason}): {because}",
            outcome=phrase(OUTCOMES[record.outcome]),
            reason=record.reason,
            because=because,
        ),
    )
    if record.tier is not None:
        yield Row(
            "", phrase("whose flow it is was known from {tier}", tier=phrase(TIERS[record.tier]))
        )


def _failed(failure: FailureRecord | None) -> Iterator[Row]:
    """Of a message that is recorded it was an edit, or the deletion."""
    if failure is None:
        return
    text = named(date(failure.recorded_at), excerpt(failure.error, 120))
    yield Row(phrase("failed"), text)
    again = phrase("`retry {message}` reads it again", message=link(failure.ref))
    yield Row("", phrase("it is to be read again") if failure.again else again)


def _says(signal: SignalRecord, told: Sequence[ToldSince]) -> Iterator[Row]:
    yield Row(phrase("signal"), joined(": ", [str(signal.id), details(signal)]))
    yield from told_rows(signal, told)
    yield Row(
        phrase("replies"),
        phrase(
            "{counts}: `flows {signal}` shows them",
            counts=replies(signal.updates, signal.refused),
            signal=signal.id,
        ),
    )


def _into(record: Recorded, signal: SignalRecord, names: Names) -> Iterator[Row]:
    if record.answers is not None:
        yield Row(phrase("answers"), link(record.answers))
    flow = phrase("signal {id}, {signal}", id=signal.id, signal=by_owner(signal, names))
    yield Row(phrase("flow"), flow)
    yield Row("", link(signal.ref))
    if record.outcome is Outcome.UPDATE:
        yield Row(
            phrase("read in it"), in_words(record.event) if record.event else phrase(NOTHING_TOLD)
        )


async def _by_its_thread(tables: Tables, record: Recorded) -> AsyncIterator[Row]:
    """A reply came into the flow without its parent: that was lost."""
    if record.answers is None or record.answers == record.ref:
        return
    parent = await tables.ask(partial(records.recorded, ref=record.answers))
    if parent is None:
        yield Row(
            "",
            phrase(
                "what it answers was deleted before the bot saw it: its thread says which flow it is"
            ),
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
        return Row(phrase("flow then"), phrase("ended by hand on {date}", date=date(ended)))
    if active is None:
        return Row(phrase("flow then"), phrase("when its owner had last been active is not known"))
    text = phrase(
        "its owner was last active {date}, {time} before",
        date=date(active),
        time=duration(record.at - active),
    )
    if source is not None:
        text = joined(": ", [phrase(STANDINGS[standing(active, record.at, source)]), text])
    return Row(
        phrase("flow then"),
        text,
    )


async def _ended(tables: Tables, signal: SignalRecord) -> AsyncIterator[Row]:
    ended = await tables.ask(partial(records.ended_by_hand, signal_id=signal.id))
    if ended is not None:
        yield Row("", phrase("an operator ended it on {date}", date=date(ended)))


def _refused(edit: records.RefusedEdit, author: str, allowed: str) -> str:
    when = phrase("later") if edit.at is None else phrase("on {date}", date=date(edit.at))
    return phrase(
        "{when}, not relayed: {author} was not in {allowed} any more",
        when=when,
        author=author,
        allowed=allowed,
    )


def _posted(record: Recorded, posts: list[PostRecord], names: Mapping[int, str]) -> Iterator[Row]:
    """`names`: of places, by their rows."""
    if record.outcome not in {Outcome.SIGNAL, Outcome.UPDATE}:
        yield Row(phrase("posted"), phrase("no: only signals and updates are"))
    elif not posts:
        yield Row(phrase("posted"), phrase("no: it was imported, or the bot had no target then"))
    for number, post in enumerate(posts):
        yield Row("" if number else phrase("posted"), _post(post, names.get(post.place, "")))
        if post.hidden is not None and post.state is not PostState.DELETED:
            yield Row("", joined("  ", ["", phrase("since its edit {reason}", reason=post.hidden)]))
        if post.note is not None:
            yield Row("", joined("  ", ["", excerpt(post.note, 120)]))
        if post.awaits or post.translated is not None:
            yield Row("", joined("  ", ["", _translation(post)]))
        if post.error is not None:
            yield Row(
                "", joined("  ", ["", phrase("last error: {error}", error=excerpt(post.error, 80))])
            )


def _translation(post: PostRecord) -> str:
    if post.translated is None:
        return phrase("it is to be translated first")
    to, why_not = post.translated
    if why_not is None:
        return phrase("translated to {language}", language=to)
    return phrase("in the original: {why}", why=excerpt(why_not, 120))


def _not_posted(posts: list[PostRecord], source: Source | None) -> Iterator[Row]:
    """Of the other places of its source: each had a post, if only one that is not shown."""
    there = {(post.target, post.topic) for post in posts}
    if source is None or not posts:
        return
    for place in source.places:
        if (place.chat, place.topic) not in there:
            yield Row(
                "",
                phrase(
                    "in {place}: no, it was no place of {source} by then",
                    place=place.label,
                    source=source.name,
                ),
            )


def _where(post: PostRecord, place: str) -> str:
    """`place`: what it is called; empty: nothing."""
    address = str(Address(post.target, post.topic))
    called = f", {place}" if place not in {"", address} else ""
    if is_sink(post.target):
        name = place or post.called
        if post.target_message_id:
            return phrase("told to {place}", place=name)
        return phrase("to {place}", place=name)
    if post.target_message_id is None:
        return phrase("in {place}", place=address + called)
    return link(MessageRef(post.target, post.target_message_id)) + called


def _post(post: PostRecord, place: str) -> str:
    """Where it stands, or why it does not."""
    where = _where(post, place)
    if post.part:
        where = phrase("{place}, part {part}", place=where, part=post.part + 1)
    name = phrase("{place} (post {id})", place=where, id=post.id)
    if post.state is PostState.SENT:
        return joined(", ", [name, _tries(post.attempts + 1)])
    return joined(": ", [name, _how(post)])


def _how(post: PostRecord) -> str:
    if post.state is PostState.DELETED:
        return post.hidden or phrase("deleted, as was its source")
    if post.state is PostState.FAILED:
        return phrase(
            "{failed}, {tries}; `retry {id}` tries again",
            failed=phrase(REFUSED[post.refused or PostState.PENDING]),
            tries=_tries(post.attempts + 1),
            id=post.id,
        )
    if post.state is PostState.GONE:
        return phrase("posted, and deleted there by somebody else")
    how = phrase(WAITING[post.state])
    if post.aside_at is not None:
        how = phrase("{how}, set aside on {date}", how=how, date=date(post.aside_at))
    how = phrase("{how}, {tries} so far", how=how, tries=_tries(post.attempts))
    if not post.paused:
        return how
    return phrase("{how}; {place} is paused: `resume {place}`", how=how, place=post.called)


def _tries(number: int) -> str:
    return plural("{n} try", "{n} tries", number)
