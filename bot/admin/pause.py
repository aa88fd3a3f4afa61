"""`python -m bot pause` and `resume`: whether anything is posted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.phrases import phrase, plural
from bot.storage import post_records, records

if TYPE_CHECKING:
    from bot.storage.store import SignalStore


async def pause(tables: SignalStore) -> str:
    """Tells what was done."""
    if not await tables.pause():
        return phrase("paused already: nothing is posted until `resume`")
    return phrase("paused: all is recorded, and nothing is posted until `resume`")


async def resume(tables: SignalStore) -> str:
    """Tells what was done."""
    if not await tables.resume():
        return phrase("there is no pause")
    counts = await tables.ask(records.count_posts)
    waiting = sum(counts[state] for state in post_records.OPEN)
    return plural(
        "resumed: {n} post to be sent or changed",
        "resumed: {n} posts to be sent or changed",
        waiting,
    )
