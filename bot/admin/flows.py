"""`python -m bot flows`: which flows there are, and what was said in one of them."""

from __future__ import annotations

from enum import StrEnum
from functools import cache, lru_cache, partial
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from bot.admin.formatting import Row, ago, date, duration, excerpt
from bot.admin.names import IN_A_LIST, Names, names_of
from bot.admin.sources import asked, current, find_message, named
from bot.errors import UsageError, words_of
from bot.models import (
    ENDED_BY_HAND,
    Outcome,
    SignalId,
    UnixTime,
)
from bot.phrases import joined, later, phrase, plural
from bot.rules.policy import is_quiet, is_released, live_since
from bot.storage import flow_list, records

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from bot.admin.sources import Tables
    from bot.config import Settings
    from bot.models import AuthorId
    from bot.routes import Routes, Source
    from bot.storage.flow_list import FlowRecord
    from bot.storage.records import Recorded, SignalRecord
    from bot.storage.store import SignalStore


AT_ONCE: Final = 500  # flows whose rows are held
# As `--json` has them.
OUTCOMES: Final = {
    Outcome.SIGNAL: later("signal"),
    Outcome.UPDATE: later("update"),
    Outcome.REJECTED: later("rejected"),
    Outcome.IGNORED: later("ignored"),
    Outcome.DUPLICATE: later("duplicate"),
}


class Standing(StrEnum):
    """How a flow stands at some moment."""

    LIVE = "live"  # its owner's alone
    QUIET = "quiet"  # its owner's alone, though he has been quiet for longer than the TTL
    RELEASED = "released"  # every permitted author may continue it
    ENDED = "ended by hand"  # the same, because an operator said so
    UNREAD = "not read"  # its chat is no source's any more, so nobody continues it


STANDINGS: Final = {
    Standing.LIVE: later("live"),
    Standing.QUIET: later("quiet"),
    Standing.RELEASED: later("released"),
    Standing.ENDED: later("ended by hand"),
    Standing.UNREAD: later("not read"),
}
HELD: Final = {Standing.LIVE, Standing.QUIET}  # by its owner


def standing(activity: UnixTime | None, at: UnixTime, source: Source | None) -> Standing:
    """`source` None: nobody reads the flow's chat any more."""
    if source is None:
        return Standing.UNREAD
    ttl = _ttl(source)
    if activity == ENDED_BY_HAND:
        return Standing.ENDED
    if not is_quiet(activity, at, ttl):
        return Standing.LIVE
    released = is_released(activity, at, ttl, source.after_ttl)
    return Standing.RELEASED if released else Standing.QUIET


def until(activity: UnixTime | None, at: UnixTime, source: Source | None, routes: Routes) -> str:
    """How long the flow stays as it is, or since when it is so."""
    if source is None:
        return phrase("not read: its chat is no source's any more")
    if activity is None:
        return phrase("live: when its owner was last active is not known, so it stays his")
    ends = UnixTime(activity + _ttl(source))
    match standing(activity, at, source):
        case Standing.LIVE:
            after = standing(activity, UnixTime(ends + 1), source)
            then = (
                later("live; released {when} ({date}) unless its owner continues it")
                if after is Standing.RELEASED
                else later(
                    "live; quiet, and still its owner's, {when} ({date}) unless its owner "
                    "continues it"
                )
            )
            return phrase(then, when=ago(ends, at), date=date(ends))
        case Standing.ENDED:
            return phrase("ended by hand; its owner's next reply takes it back")
        case Standing.QUIET:
            rule = 'after_ttl = "owner"' if routes.named else "FLOW_AFTER_TTL=owner"
            return phrase(
                "quiet since {date}, and still its owner's ({rule})", date=date(ends), rule=rule
            )
        case _:  # released
            return phrase(
                "released since {date} ({when}); its owner's next reply takes it back",
                date=date(ends),
                when=ago(ends, at),
            )


def _ttl(source: Source) -> int:
    return int(source.ttl.total_seconds())


def title(signal: SignalRecord) -> str:
    """What a signal is about, in a few words."""
    said = [signal.fields[name] for name in ("pair", "direction")]
    return " ".join(filter(None, said)) or excerpt(signal.text, 30) or phrase("(no text)")


def by_owner(signal: SignalRecord, names: Names) -> str:
    return phrase("{signal} by {owner}", signal=title(signal), owner=names.of(signal.owner))


def replies(updates: int, refused: int) -> str:
    counts = plural("{n} update", "{n} updates", updates)
    return joined(", ", [counts, plural("{n} refused", "{n} refused", refused)])


class Overview(NamedTuple):
    """A row of the table of flows. All but the ids are words to be shown."""

    signal: str
    pair: str
    direction: str
    owner: str
    age: str
    quiet_for: str
    released: str
    updates: int
    refused: int
    standing: Standing
    source: str = ""  # its name; empty: there is but one, or none any more
    left: str = ""  # for how long it is live; empty: it is not, or that is not known


async def overview(
    tables: Tables,
    settings: Settings,
    *,
    now: UnixTime,
    owner: AuthorId | None = None,
    pair: str | None = None,
    everything: bool = False,
    source: str | None = None,
    routes: Routes | None = None,
) -> list[Overview]:
    """The live flows, or every one, the most lately active first. `routes` None: the settings'.

    Raises `UsageError` for a `source` that there is not.
    """
    routes = await current(tables, settings, routes)
    of = None if source is None else named(routes, source)
    oldest = live_since(now, max(map(_ttl, routes.sources)))
    rules = cache(routes.rules_for)

    def ask(db: Connection) -> list[Overview]:
        since = None if everything else oldest
        found = flow_list.flows(db, active_since=since, owner=owner, pair=pair)
        names = Names()
        shown: list[Overview] = []
        while some := list(islice(found, AT_ONCE)):
            names.learn(db, (each.owner for each in some))
            for each in some:
                its = rules(each.chat, each.topic)
                how = standing(each.last_owner_activity, now, its)
                if of in {None, its} and (everything or how is Standing.LIVE):
                    shown.append(_overview(each, its, how, now, routes, names))
        return shown

    return await tables.ask(ask)


def none_found(
    *, owner: AuthorId | None, pair: str | None, everything: bool, source: str | None = None
) -> str:
    """What there is to say where `overview` is empty."""
    of_pair = "" if pair is None else f" of pair {excerpt(pair, 20)}"
    by_owner = "" if owner is None else f" by {owner}"
    by_owner += "" if source is None else f" in {source}"
    if everything:
        return f"there is no flow{of_pair}{by_owner}, live or not"
    return f"no flow{of_pair}{by_owner} is live; --all looks among the others, too"


@lru_cache(maxsize=16_384)  # as for `duration`
def _released(left: str, how: Standing) -> str:
    return phrase("in {time}", time=left) if left else phrase(STANDINGS[how])


@lru_cache(maxsize=1_024)
def _pair(text: str) -> str:
    return excerpt(text, 14)


def _overview(
    signal: FlowRecord,
    source: Source | None,
    how: Standing,
    now: UnixTime,
    routes: Routes,
    names: Names,
) -> Overview:
    activity = signal.last_owner_activity
    known = activity or None  # the date of a flow ended by hand is gone
    ends = known and source and known + _ttl(source) - now
    left = duration(ends) if ends and how is Standing.LIVE else ""
    return Overview(
        signal=str(signal.id),
        pair=_pair(signal.pair or signal.text),
        direction=signal.direction or "",
        owner=names.of(signal.owner, at_most=IN_A_LIST),
        age=duration(now - signal.at),
        quiet_for=duration(now - known) if known else "",
        released=_released(left, how),
        updates=signal.updates,
        refused=signal.refused,
        standing=how,
        source=source.name if source and routes.named else "",
        left=left,
    )


# ── one flow ──────────────────────────────────────────────────────────────────


class ThreadReply(NamedTuple):
    """A message of a thread, and what answered it."""

    text: str
    refused: bool
    answers: list[ThreadReply]


class Thread(NamedTuple):
    about: list[Row]
    root: ThreadReply


async def thread(
    tables: Tables,
    settings: Settings,
    signal_id: SignalId,
    *,
    now: UnixTime,
    routes: Routes | None = None,
) -> Thread:
    """One flow as it was said. The tables hold no text of a refused reply."""
    routes = await current(tables, settings, routes)
    signal = await signal_of(tables, signal_id)
    replies = await tables.ask(partial(records.replies, signal_id=signal_id))
    ended = await tables.ask(partial(records.ended_by_hand, signal_id=signal_id))
    names = await names_of(tables, [signal.owner, *(reply.author for reply in replies)])
    root = ThreadReply(f"{date(signal.at)}  {excerpt(signal.text, 60)}", refused=False, answers=[])
    by_message = {signal.ref: root}
    for reply in replies:
        node = ThreadReply(_reply_line(reply, names), reply.outcome is not Outcome.UPDATE, [])
        # What is answered may be older than the table, or unknown of a reply refused long ago.
        by_message.get(reply.answers or signal.ref, root).answers.append(node)
        by_message[reply.ref] = node
    return Thread(list(_about(signal, routes, now, ended, names)), root)


def _reply_line(reply: Recorded, names: Names) -> str:
    said = (
        excerpt(reply.text, 60) or phrase("(no text)") if reply.text is not None else reply.reason
    )
    refused = [] if reply.outcome is Outcome.UPDATE else [phrase(OUTCOMES[reply.outcome]), ": "]
    begins, ends = f"{date(reply.at)}  ", f"  ({reply.ref.message_id})"
    return joined("", [begins, names.of(reply.author), ": ", *refused, said, ends])


def _about(
    signal: SignalRecord, routes: Routes, now: UnixTime, ended: UnixTime | None, names: Names
) -> Iterator[Row]:
    yield Row(phrase("signal"), joined(": ", [str(signal.id), by_owner(signal, names)]))
    source = routes.rules_for(signal.ref.chat_id, signal.topic)
    if source is not None and routes.named:
        yield Row(phrase("source"), source.name)
    yield Row(phrase("flow"), until(signal.last_owner_activity, now, source, routes))
    if ended is not None:
        yield Row("", phrase("ended by hand on {date}", date=date(ended)))
    yield Row(phrase("replies"), replies(signal.updates, signal.refused))


# ── which one is meant ────────────────────────────────────────────────────────


async def signal_of(tables: Tables, signal_id: SignalId) -> SignalRecord:
    found = await tables.ask(partial(records.signal, signal_id=signal_id))
    if found is None:
        raise UsageError(
            phrase("there is no signal {id}: `python -m bot flows` shows which are", id=signal_id)
        )
    return found


async def release(tables: SignalStore, signal_id: SignalId) -> str:
    """End the flow by hand; tells what was done. Raises `UsageError` if there is no such signal."""
    found = await signal_of(tables, signal_id)
    await tables.release(signal_id)
    names = await names_of(tables, [found.owner])
    signal = by_owner(found, names)
    return phrase("released: signal {id}, {signal}", id=signal_id, signal=signal)


async def find_signal(
    tables: Tables, settings: Settings, text: str, *, routes: Routes | None = None
) -> SignalId:
    """A signal by its own number, or by any message of its flow. Raises `UsageError`."""
    routes = await current(tables, settings, routes)
    try:
        which = asked(routes, text)
    except UsageError as exc:
        why = words_of(exc)
        raise UsageError(
            phrase("{error}; or a signal's number, which `flows` shows", error=why)
        ) from exc
    if which.chat_id is None and which.name is None:
        signal_id = SignalId(which.message_id)
        if await tables.ask(partial(records.signal, signal_id=signal_id)) is not None:
            return signal_id
    ref = await find_message(tables, routes, which)
    source = await tables.ask(partial(records.posted_from, target=ref))
    record = await tables.ask(partial(records.recorded, ref=source or ref))
    if record is None or record.signal_id is None:
        raise UsageError(
            phrase("{text} is no signal and belongs to no flow that the bot knows", text=text)
        )
    return record.signal_id
