"""A message of which nothing is known: what kept the bot from seeing it, or from deciding on it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from bot.admin.formatting import Row, ago, date, duration
from bot.admin.links import link
from bot.admin.sources import either, key_of
from bot.models import CHANNELS
from bot.phrases import phrase, plural
from bot.storage import records
from bot.storage.records import REFUSALS_KEPT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from bot.admin.sources import Tables
    from bot.config import Settings
    from bot.models import ChatId, MessageRef, UnixTime
    from bot.routes import Routes, Source
    from bot.storage.records import Heard, Recorded


class _Surroundings(NamedTuple):
    before: Recorded | None
    after: Recorded | None
    heard: Heard | None  # None: nothing has been heard of that chat
    sources: list[Source]  # of that chat; several, if topics of it are


async def unseen(
    tables: Tables, settings: Settings, routes: Routes, ref: MessageRef, now: UnixTime
) -> AsyncIterator[Row]:
    around = await _surroundings(tables, routes, ref)
    yield Row(phrase("message"), link(ref))
    yield Row(
        phrase("recorded"),
        phrase(
            "no: the bot has not seen it, or it was chatter, which leaves no record. For the bot to "
            "have decided on it, all of this must hold:"
        ),
    )
    yield _is_source(routes, around.sources, ref.chat_id)
    for row in _was_there(around, ref, now):
        yield row
    for row in [*_could_see(settings), *_would_count(routes, around.sources)]:
        yield row
    yield Row(
        phrase("?"),
        phrase(
            "its signal was not deleted before the bot saw it: the replies below such a one are "
            "chatter"
        ),
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
        return Row(
            phrase("?"),
            phrase("{chat} is the source chat: SOURCE_CHAT_ID is not set here", chat=chat_id),
        )
    if its:
        return _is_read(routes, its, chat_id)
    if routes.named:
        sources = phrase("the sources are {sources}", sources=_listed(routes.sources))
    else:
        sources = phrase("the source chat is {chat}", chat=routes.chats[0])
    where = phrase("a target chat") if chat_id in routes.targets else str(chat_id)
    return Row(
        phrase("NO"), phrase("it stands in {place}; {sources}", place=where, sources=sources)
    )


def _is_read(routes: Routes, its: list[Source], chat_id: ChatId) -> Row:
    """Of what is not recorded the topic is not known."""
    if not routes.named:
        return Row(phrase("yes"), phrase("it stands in the source chat, {chat}", chat=chat_id))
    if its[0].topic is None:
        return Row(phrase("yes"), phrase("it stands in a source, {source}", source=_listed(its)))
    return Row(
        phrase("?"), phrase("it stands in a topic that is a source: {source}", source=_listed(its))
    )


def _listed(sources: Iterable[Source]) -> str:
    return either(f"{source.name} ({source.where})" for source in sources)


def _was_there(around: _Surroundings, ref: MessageRef, now: UnixTime) -> Iterator[Row]:
    """What is recorded says about whether the bot has come that far, and was there by then."""
    before, after, heard, _ = around
    newest = heard.message_id if heard is not None and ref.chat_id < CHANNELS else None
    if newest is not None and newest >= ref.message_id:
        yield Row(
            phrase("yes"),
            phrase("the bot has come that far: it has dealt with all up to {id}", id=newest),
        )
    elif after is not None:
        yield Row(
            phrase("yes"),
            phrase("the bot has come that far: it recorded {message}", message=_named(after)),
        )
    elif before is None:
        yield Row(
            phrase("?"), phrase("the bot has come that far: it recorded nothing of this chat")
        )
    else:
        yield Row(
            phrase("?"),
            phrase(
                "the bot has come that far: it recorded nothing after {message}",
                message=_named(before),
            ),
        )
    if after is not None or before is not None:
        yield Row(
            "",
            phrase(
                "recorded last before it: {before}; next: {after}",
                before=_named(before),
                after=_named(after),
            ),
        )
    if before is None:
        yield Row(phrase("?"), phrase("the bot was in the chat by then, and not new to it"))
    if heard is not None:
        at = heard.recorded_at
        yield Row(
            "",
            phrase("it last heard of that chat {when}, {date}", when=ago(at, now), date=date(at)),
        )


def _named(record: Recorded | None) -> str:
    if record is None:
        return phrase("none")
    return phrase("{id} of {date}", id=record.ref.message_id, date=date(record.at))


def _could_see(settings: Settings) -> Iterator[Row]:
    if settings.session_string is None:
        yield Row(
            phrase("?"),
            phrase("the bot sees all of the group: `python -m bot check` says (/setprivacy)"),
        )
        yield Row(
            phrase("?"), phrase("it was not written by another bot: Telegram shows bots no bots")
        )


def _would_count(routes: Routes, its: list[Source]) -> Iterator[Row]:
    """Where it is nobody's, no rules but those of the settings could count."""
    judges = its if its or routes.named else routes.sources
    for source in judges:
        where = source.name if len(judges) > 1 else ""
        if source.permitted is not None:
            allowed = key_of(routes, source, "SOURCE_ALLOWED_USERS", "allowed_users")
            yield Row(phrase("?"), _where_of(where, _is_allowed(len(source.permitted), allowed)))
        text = phrase("it carries {marks}, or it answers a message of a flow", marks=_marks(source))
        yield Row(phrase("?"), _where_of(where, text))


def _marks(source: Source) -> str:
    marks = either(source.markers)
    if not source.patterns:
        return marks
    return plural(
        "{marks} or matches one of {n} patterns",
        "{marks} or matches one of {n} patterns",
        len(source.patterns),
        marks=marks,
    )


def _is_allowed(number: int, allowed: str) -> str:
    return plural(
        "its author is one of the {n} in {allowed}",
        "its author is one of the {n} in {allowed}",
        number,
        allowed=allowed,
    )


def _where_of(source: str, text: str) -> str:
    return phrase("in {source}, {text}", source=source, text=text) if source else text


def _kept(after: Recorded | None, now: UnixTime) -> Row:
    kept = duration(REFUSALS_KEPT)
    if after is not None and now - after.at > REFUSALS_KEPT:
        return Row(
            phrase("?"),
            phrase(
                "it was not refused: refusals are forgotten after {time}, and this is older",
                time=kept,
            ),
        )
    return Row(
        phrase("?"),
        phrase("it was not refused long ago: refusals are forgotten after {time}", time=kept),
    )
