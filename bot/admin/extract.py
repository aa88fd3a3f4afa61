"""`python -m bot export`: what the tables hold, as data for programs and spreadsheets."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from bot.admin.formats import Csv, Format, JsonLines
from bot.admin.sources import current, named
from bot.errors import UsageError, words_of
from bot.models import ChatId, MessageRef, Outcome, UnixTime
from bot.setting_chats import parse_id
from bot.signal_json import RowKind, recorded_event, recorded_fields
from bot.storage import stream
from bot.storage.stream import Wanted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from bot.admin.formats import Out, Writer
    from bot.admin.sources import Tables
    from bot.config import Settings
    from bot.routes import Routes

# The names of an object, in their order.
NAMES: Final[Mapping[RowKind, Sequence[str]]] = {
    RowKind.SIGNALS: (
        *("signal_id", "chat_id", "message_id", "author", "at", "utc"),
        *("fields", "marker", "album", "media", "text"),
    ),
    RowKind.UPDATES: (
        *("signal_id", "signal_message_id", "chat_id", "message_id", "author", "at", "utc"),
        *("reply_to", "reason", "event", "album", "media", "text"),
    ),
    RowKind.DECISIONS: (
        *("chat_id", "message_id", "author", "at", "utc", "outcome", "reason", "tier"),
        *("signal_id", "signal_message_id", "reply_to", "fields", "event"),
    ),
}
# The columns that a table has in the place of an object.
COLUMNS: Final = {
    "fields": (
        *("pair", "direction", "timeframe", "entry_low", "entry_high"),
        *("take_profits", "stop", "leverage", "risk"),
    ),
    "event": ("event", "event_target", "event_stop"),
}
BACK: Final = re.compile(r"([1-9][0-9]{0,5})([hd])")
UNIX: Final = re.compile(r"[1-9][0-9]{8,10}")
SINCE: Final = "give a day (2026-11-24), a moment (2026-11-24T12:00, UTC), or 7d or 12h back"


def moment(text: str, *, now: float) -> UnixTime:
    """What `--since` says. UTC, unless it names another zone. Raises `UsageError`."""
    text = text.strip()
    back = BACK.fullmatch(text)
    if back is not None:
        span = timedelta(**{"h": {"hours": int(back[1])}, "d": {"days": int(back[1])}}[back[2]])
        return UnixTime(int(now - span.total_seconds()))
    if UNIX.fullmatch(text):
        return UnixTime(int(text))
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--since: {text!r} is no date: {SINCE}") from None
    return UnixTime(int((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()))


async def wanted(
    tables: Tables,
    settings: Settings,
    kind: RowKind,
    *,
    since: UnixTime | None = None,
    source: str | None = None,
    routes: Routes | None = None,
) -> Wanted:
    """`source`: its name, or the id of its chat.

    Raises `UsageError` for a name that tells no chat, and for a chat that is no source and of which
    nothing is recorded.
    """
    if source is None:
        return Wanted(kind, since)
    routes = await current(tables, settings, routes)
    chat = _chat_of(routes, source)
    chats = await tables.ask(partial(stream.once_called, chat=chat))
    ours = not set(routes.chats).isdisjoint(chats)
    if not ours and not await tables.ask(partial(stream.is_known, chats=chats)):
        known = ", ".join(map(str, await tables.ask(stream.known_chats))) or "nothing"
        raise UsageError(f"--source: nothing is recorded of {source}, only of {known}")
    return Wanted(kind, since, chats)


def _chat_of(routes: Routes, source: str) -> ChatId:
    """Raises `UsageError`. Rows tell their chat alone, so a name will do where its chat has one source."""
    with suppress(ValueError):
        return ChatId(parse_id(source))
    try:
        chat = named(routes, source.strip()).chat
    except UsageError as exc:
        raise UsageError(f"--source: {words_of(exc)}, or give the id of its chat") from exc
    if chat is None:
        raise UsageError("--source: SOURCE_CHAT_ID is not set: give the id of its chat")
    names = [each.name for each in routes.sources_in(chat)]
    if len(names) > 1:
        together = ", ".join(names)
        raise UsageError(f"--source: {together} are all read from {chat}: give that for all of it")
    return chat


async def export(tables: Tables, asked: Wanted, form: Format, out: Out) -> int:
    """Write what is asked for, chat by chat and in the order of messages; returns how many rows.

    No more than a page of them is held in memory.
    """
    writer = _writer(asked.kind, form, out)
    count = 0
    async for row in _rows(tables, asked):
        writer.write(_object(asked.kind, row))
        count += 1
    return count


def _writer(kind: RowKind, form: Format, out: Out) -> Writer:
    if form is Format.JSONL:
        return JsonLines(out)
    return Csv(
        out, [column for name in NAMES[kind] for column in COLUMNS.get(name, (name,))], _flat
    )


async def _rows(tables: Tables, asked: Wanted) -> AsyncIterator[Mapping[str, Any]]:
    after: MessageRef | None = None
    while rows := await tables.ask(partial(stream.page, wanted=asked, after=after)):
        for row in rows:
            yield row
        after = MessageRef(rows[-1]["chat_id"], rows[-1]["message_id"])


def _object(kind: RowKind, row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: SHAPES[name](row) if name in SHAPES else row.get(name) for name in NAMES[kind]}


def _utc(row: Mapping[str, Any]) -> str:
    return f"{datetime.fromtimestamp(row['at'], UTC):%Y-%m-%d %H:%M:%S}"


def _album(row: Mapping[str, Any]) -> str | None:
    """As text: not every reader of JSON keeps 64 bits of a number."""
    album = row["album_id"]
    return None if album is None else str(album)


def _fields(row: Mapping[str, Any]) -> dict[str, Any] | None:
    return recorded_fields(row) if row["outcome"] == Outcome.SIGNAL else None


def _event(row: Mapping[str, Any]) -> dict[str, Any] | None:
    return recorded_event(row) if row["outcome"] == Outcome.UPDATE else None


SHAPES: Final[Mapping[str, Callable[[Mapping[str, Any]], object]]] = {
    "utc": _utc,
    "album": _album,
    "media": itemgetter("media_kind"),
    "fields": _fields,
    "event": _event,
}


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """The same without objects in it. Of an entry there are two columns."""
    flat = {name: value for name, value in row.items() if name not in COLUMNS}
    fields, event = row.get("fields") or {}, row.get("event") or {}
    low, high = fields.get("entry") or (None, None)
    told = {"event": event.get("kind")}
    told |= {f"event_{name}": event.get(name) for name in ("target", "stop")}
    return flat | fields | {"entry_low": low, "entry_high": high} | told
