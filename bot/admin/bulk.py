"""Orders for all of a place or of a source: `retry --place`, `retry --source`, `release --source`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from bot.admin.flows import HELD, overview
from bot.admin.formatting import counted
from bot.admin.pause import unknown
from bot.admin.retry import put_back, read_again
from bot.admin.sources import current, named
from bot.errors import UsageError
from bot.models import SignalId
from bot.storage import failures, places, post_records

if TYPE_CHECKING:
    from collections.abc import Collection

    from bot.config import Settings
    from bot.models import ChatId, UnixTime
    from bot.routes import Routes
    from bot.storage.store import SignalStore


class Scope(NamedTuple):
    """A place by its name, or a source, or a place of that source."""

    place: str | None = None
    source: str | None = None

    def __str__(self) -> str:
        return " of ".join(filter(None, self))


async def scope(tables: SignalStore, name: str) -> Scope:
    """What has that name. Raises `UsageError`."""
    if found := await tables.ask(partial(places.recorded_as, place=name)):
        return Scope(place=found[0].name)
    if found := await tables.ask(partial(places.recorded_as, source=name)):
        return Scope(source=found[0].source)
    raise UsageError(unknown(name, await tables.ask(places.names)))


async def retry_in(tables: SignalStore, settings: Settings, of: Scope, routes: Routes) -> str:
    """Put back in line what failed there, and read again what failed of that source. Tells what was done."""
    rows = await _rows(tables, of)
    chats = await _chats(tables, settings, of, routes)
    done = [await put_back(tables, None, places=rows)] if await _failed(tables, rows) else []
    if chats:
        done.append(await read_again(tables, None, chats=chats))
    return "; ".join(filter(None, done)) or f"nothing of {of} has failed"


async def ask_to_retry_in(
    tables: SignalStore, settings: Settings, of: Scope, routes: Routes
) -> str:
    """The question before it is done. Raises `UsageError` if nothing has failed there."""
    posts = await _failed(tables, await _rows(tables, of))
    chats = await _chats(tables, settings, of, routes)
    messages = await tables.ask(partial(failures.count, chats=chats))
    parts = [f"Put {counted(posts, 'post')} of {of} back in line?"] if posts else []
    if messages:
        parts.append(f"Read {counted(messages, 'message')} of {of} again?")
    if not parts:
        raise UsageError(f"nothing of {of} has failed")
    return " ".join(parts)


async def release_all(
    tables: SignalStore, settings: Settings, source: str, routes: Routes, *, now: UnixTime
) -> str:
    """End each flow of the source that is its owner's alone by hand. Tells what was done."""
    held = await _held(tables, settings, source, routes, now)
    for each in held:
        await tables.release(each)
    return f"released: {counted(len(held), 'flow')} of {source}"


async def ask_to_release_all(
    tables: SignalStore, settings: Settings, source: str, routes: Routes, *, now: UnixTime
) -> str:
    """The question before it is done. Raises `UsageError` if there is none."""
    held = await _held(tables, settings, source, routes, now)
    if not held:
        raise UsageError(f"no flow of {source} is its owner's alone")
    flows = counted(len(held), "flow")
    return f"Release {flows} of {source}? Others may then continue them."


async def _held(
    tables: SignalStore, settings: Settings, source: str, routes: Routes, now: UnixTime
) -> list[SignalId]:
    found = await overview(tables, settings, now=now, everything=True, source=source, routes=routes)
    return [SignalId(int(flow.signal)) for flow in found if flow.standing in HELD]


async def _rows(tables: SignalStore, of: Scope) -> list[int]:
    """Of places that are listed or once were. Raises `UsageError` for a name that nothing has."""
    found = await tables.ask(partial(places.recorded_as, place=of.place, source=of.source))
    if not found:
        raise UsageError(unknown(str(of), await tables.ask(places.names)))
    return [row.id for row in found]


async def _failed(tables: SignalStore, rows: Collection[int]) -> int:
    return await tables.ask(partial(post_records.count_failed, places=rows))


async def _chats(
    tables: SignalStore, settings: Settings, of: Scope, routes: Routes
) -> frozenset[ChatId]:
    """Whose messages are read again: those of the source, as a whole. Topics of a chat have them in common."""
    if of.source is None or of.place is not None:
        return frozenset()
    routes = await current(tables, settings, routes)
    chat = named(routes, of.source).chat
    before = (old for old, new in routes.moved.items() if new == chat)
    return frozenset(each for each in (chat, *before) if each is not None)
