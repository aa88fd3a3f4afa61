"""`python -m bot pause` and `resume`: whether anything is posted, at all or in places by their names."""

from __future__ import annotations

import difflib
import time
from functools import partial
from typing import TYPE_CHECKING, Final

from bot.admin.formatting import counted, excerpt
from bot.errors import UsageError
from bot.storage import places, post_records, records

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

    from bot.storage.places import PlaceRecord
    from bot.storage.store import SignalStore


LONGEST: Final = 40  # characters of a name that nothing has


async def pause(tables: SignalStore, name: str | None = None) -> str:
    """`name`: of a place, or of a source and so of all its places; None: all is paused. Tells what was done.

    Raises `UsageError` for a name that nothing has.
    """
    if name is not None:
        return await _pause_places(tables, name)
    if not await tables.pause():
        return "paused already: nothing is posted until `resume`"
    return "paused: all is recorded, and nothing is posted until `resume`"


async def resume(tables: SignalStore, name: str | None = None) -> str:
    """What is paused by its name stays so until it is resumed by that. Raises as `pause`."""
    if name is not None:
        return await _resume_places(tables, name)
    ended = await tables.resume()
    shut = await tables.ask(places.paused)
    still = f"; by name are paused still: {_listed(shut)}" if shut else ""
    if not ended:
        return f"there is no pause of all{still}" if still else "there is no pause"
    return f"resumed: {await _what_waits(tables)} to be sent or changed{still}"


async def _pause_places(tables: SignalStore, name: str) -> str:
    meant, changed = await _set_paused(tables, name, paused=True)
    if not changed:
        return f"{name} is paused already: nothing is posted there until `resume {name}`"
    where = "" if _is_place(meant, name) else f" to {_listed(meant)}"
    return f"{name} is paused: all is recorded, and nothing is posted{where} until `resume {name}`"


async def _resume_places(tables: SignalStore, name: str) -> str:
    meant, changed = await _set_paused(tables, name, paused=False)
    if not changed:
        return f"{name} is not paused{await _but_all(tables)}"
    waits = await _what_waits(tables, {place.id for place in meant})
    return f"{name} goes on: {waits} to be sent or changed{await _but_all(tables)}"


async def _set_paused(
    tables: SignalStore, name: str, *, paused: bool
) -> tuple[list[PlaceRecord], list[PlaceRecord]]:
    work = partial(places.set_paused, name=name, paused=paused, now=int(time.time()))
    meant, changed = await tables.change(work)
    if not meant:
        raise UsageError(unknown(name, await tables.ask(places.names)))
    return meant, changed


def unknown(name: str, known: Collection[str]) -> str:
    """The nearest that there is, or all."""
    close = difflib.get_close_matches(name.casefold(), known, n=1)
    mend = f"did you mean {close[0]}?" if close else f"there are {', '.join(sorted(known))}"
    if not known:
        mend = "the bot has not been started with any yet"
    return f"there is no source or place {excerpt(name, LONGEST)}: {mend}"


async def _but_all(tables: SignalStore) -> str:
    if await tables.paused_at() is None:
        return ""
    return "; but all is paused: nothing is posted until `resume`"


async def _what_waits(tables: SignalStore, of: Collection[int] | None = None) -> str:
    """`of`: places, by their rows; None: all."""

    def waiting(db: Connection) -> int:
        if of is None:
            counts = [records.count_posts(db)]
        else:
            counts = [each for row, each in records.count_posts_by_place(db).items() if row in of]
        return sum(each.get(state, 0) for each in counts for state in post_records.OPEN)

    return counted(await tables.ask(waiting), "post")


def _is_place(meant: Collection[PlaceRecord], name: str) -> bool:
    return all(place.name.casefold() == name.casefold() for place in meant)


def _listed(found: Collection[PlaceRecord]) -> str:
    return ", ".join(dict.fromkeys(place.name for place in found))
