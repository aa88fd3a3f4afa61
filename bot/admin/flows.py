"""`python -m bot flows`: which flows there are, and what was said in one of them."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeVar

from bot.admin.formatting import Row, ago, counted, date, duration, excerpt
from bot.admin.links import pointer
from bot.errors import UsageError
from bot.models import (
    ENDED_BY_HAND,
    MessageRef,
    Outcome,
    SignalId,
    UnixTime,
)
from bot.rules.policy import is_quiet, is_released, live_since
from bot.storage import flow_list, records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection

    from bot.admin.links import Pointer
    from bot.config import Settings
    from bot.models import AuthorId
    from bot.storage.flow_list import FlowRecord
    from bot.storage.records import Recorded, SignalRecord
    from bot.storage.store import SignalStore

T = TypeVar("T")


class Tables(Protocol):
    """The store, as far as an operator's questions go."""

    async def ask(self, query: Callable[[Connection], T]) -> T: ...


class Standing(StrEnum):
    """How a flow stands at some moment."""

    LIVE = "live"  # its owner's alone
    QUIET = "quiet"  # its owner's alone, though he has been quiet for longer than the TTL
    RELEASED = "released"  # every permitted author may continue it
    ENDED = "ended by hand"  # the same, because an operator said so


HELD: Final = {Standing.LIVE, Standing.QUIET}  # by its owner


def standing(activity: UnixTime | None, at: UnixTime, settings: Settings) -> Standing:
    ttl = _ttl(settings)
    if activity == ENDED_BY_HAND:
        return Standing.ENDED
    if not is_quiet(activity, at, ttl):
        return Standing.LIVE
    released = is_released(activity, at, ttl, settings.flow_after_ttl)
    return Standing.RELEASED if released else Standing.QUIET


def until(activity: UnixTime | None, at: UnixTime, settings: Settings) -> str:
    """How long the flow stays as it is, or since when it is so."""
    if activity is None:
        return "live: when its owner was last active is not known, so it stays his"
    ends = UnixTime(activity + _ttl(settings))
    match standing(activity, at, settings):
        case Standing.LIVE:
            later = standing(activity, UnixTime(ends + 1), settings)
            then = "released" if later is Standing.RELEASED else "quiet, and still its owner's,"
            return f"live; {then} {ago(ends, at)} ({date(ends)}) unless its owner continues it"
        case Standing.ENDED:
            return "ended by hand; its owner's next reply takes it back"
        case Standing.QUIET:
            return f"quiet since {date(ends)}, and still its owner's (FLOW_AFTER_TTL=owner)"
        case Standing.RELEASED:
            return (
                f"released since {date(ends)} ({ago(ends, at)}); "
                "its owner's next reply takes it back"
            )


def _ttl(settings: Settings) -> int:
    return int(settings.flow_ttl_hours.total_seconds())


def title(signal: SignalRecord) -> str:
    """What a signal is about, in a few words."""
    said = [signal.fields[name] for name in ("pair", "direction")]
    return " ".join(filter(None, said)) or excerpt(signal.text, 30) or "(no text)"


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


async def overview(
    tables: Tables,
    settings: Settings,
    *,
    now: UnixTime,
    owner: AuthorId | None = None,
    pair: str | None = None,
    everything: bool = False,
) -> list[Overview]:
    """The live flows, or every one, the most lately active first."""
    oldest = live_since(now, _ttl(settings))

    def ask(db: Connection) -> list[Overview]:
        since = None if everything else oldest
        found = flow_list.flows(db, active_since=since, owner=owner, pair=pair)
        return [_overview(each, settings, now) for each in found]

    return await tables.ask(ask)


def none_found(*, owner: AuthorId | None, pair: str | None, everything: bool) -> str:
    """What there is to say where `overview` is empty."""
    of_pair = "" if pair is None else f" of pair {excerpt(pair, 20)}"
    by_owner = "" if owner is None else f" by {owner}"
    if everything:
        return f"there is no flow{of_pair}{by_owner}, live or not"
    return f"no flow{of_pair}{by_owner} is live; --all looks among the others, too"


def _overview(signal: FlowRecord, settings: Settings, now: UnixTime) -> Overview:
    activity = signal.last_owner_activity
    how = standing(activity, now, settings)
    known = activity or None  # the date of a flow ended by hand is gone
    left = known and known + _ttl(settings) - now
    return Overview(
        signal=str(signal.id),
        pair=excerpt(signal.pair or signal.text, 14),
        direction=signal.direction or "",
        owner=str(signal.owner),
        age=duration(now - signal.at),
        quiet_for=duration(now - known) if known else "",
        released=f"in {duration(left)}" if left and how is Standing.LIVE else how.value,
        updates=signal.updates,
        refused=signal.refused,
        standing=how,
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
    tables: Tables, settings: Settings, signal_id: SignalId, *, now: UnixTime
) -> Thread:
    """One flow as it was said. The tables hold no text of a refused reply."""
    signal = await signal_of(tables, signal_id)
    replies = await tables.ask(partial(records.replies, signal_id=signal_id))
    ended = await tables.ask(partial(records.ended_by_hand, signal_id=signal_id))
    root = ThreadReply(f"{date(signal.at)}  {excerpt(signal.text, 60)}", refused=False, answers=[])
    by_message = {signal.ref: root}
    for reply in replies:
        node = ThreadReply(_reply_line(reply), reply.outcome is not Outcome.UPDATE, [])
        # What is answered may be older than the table, or unknown of a reply refused long ago.
        by_message.get(reply.answers or signal.ref, root).answers.append(node)
        by_message[reply.ref] = node
    return Thread(list(_about(signal, settings, now, ended)), root)


def _reply_line(reply: Recorded) -> str:
    said = excerpt(reply.text, 60) or "(no text)" if reply.text is not None else reply.reason
    author = reply.author or "unknown"
    refused = "" if reply.outcome is Outcome.UPDATE else f"{reply.outcome}: "
    return f"{date(reply.at)}  {author}: {refused}{said}  ({reply.ref.message_id})"


def _about(
    signal: SignalRecord, settings: Settings, now: UnixTime, ended: UnixTime | None
) -> Iterator[Row]:
    yield Row("signal", f"{signal.id}: {title(signal)} by {signal.owner}")
    yield Row("flow", until(signal.last_owner_activity, now, settings))
    if ended is not None:
        yield Row("", f"ended by hand on {date(ended)}")
    refused = f"{signal.refused} refused"
    yield Row("replies", f"{counted(signal.updates, 'update')}, {refused}")


# ── which one is meant ────────────────────────────────────────────────────────


async def signal_of(tables: Tables, signal_id: SignalId) -> SignalRecord:
    found = await tables.ask(partial(records.signal, signal_id=signal_id))
    if found is None:
        raise UsageError(f"there is no signal {signal_id}: `python -m bot flows` shows which are")
    return found


async def release(tables: SignalStore, signal_id: SignalId) -> str:
    """End the flow by hand; tells what was done. Raises `UsageError` if there is no such signal."""
    found = await signal_of(tables, signal_id)
    await tables.release(signal_id)
    return f"released: signal {signal_id}, {title(found)} by {found.owner}"


async def find_signal(tables: Tables, settings: Settings, text: str) -> SignalId:
    """A signal by its own number, or by any message of its flow. Raises `UsageError`."""
    try:
        asked = pointer(text)
    except UsageError as exc:
        raise UsageError(f"{exc}; or a signal's number, which `flows` shows") from exc
    if asked.chat_id is None and asked.name is None:
        signal_id = SignalId(asked.message_id)
        if await tables.ask(partial(records.signal, signal_id=signal_id)) is not None:
            return signal_id
    ref = await find_message(tables, settings, asked)
    source = await tables.ask(partial(records.posted_from, target=ref))
    record = await tables.ask(partial(records.recorded, ref=source or ref))
    if record is None or record.signal_id is None:
        raise UsageError(f"{text} is no signal and belongs to no flow that the bot knows")
    return record.signal_id


async def find_message(tables: Tables, settings: Settings, asked: Pointer) -> MessageRef:
    """The message that is meant. Raises `UsageError` where that cannot be told offline."""
    if asked.chat_id is not None:
        return MessageRef(asked.chat_id, asked.message_id)
    source = settings.source_chat_id
    if source is not None:
        source = await tables.ask(partial(records.now, chat=source))
        if asked.name is None:
            return MessageRef(source, asked.message_id)
    found = await tables.ask(partial(records.messages_with_id, message_id=asked.message_id))
    if len(found) == 1:
        return found[0]
    if found:
        which = " or ".join(f"{ref.chat_id}:{ref.message_id}" for ref in found)
        raise UsageError(f"message {asked.message_id} stands in several chats: give {which}")
    name = asked.name or "that"
    example = f"{source or -1001234567890}:{asked.message_id}"
    raise UsageError(
        f"no message {asked.message_id} is recorded, and which chat {name} is cannot be looked up "
        f"offline: give the chat's id and the message's, such as {example}"
    )
