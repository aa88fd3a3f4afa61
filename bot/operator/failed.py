"""`python -m bot retry`: posts that Telegram refused, once more."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from bot.errors import UsageError
from bot.operator.wording import counted
from bot.storage import records

if TYPE_CHECKING:
    from bot.storage.store import SignalStore

NAMED: Final = 10


async def put_back(tables: SignalStore, post_id: int | None) -> str:
    """Tells what was done. Raises `UsageError` for a post that has not failed."""
    ids = await tables.retry(post_id)
    if ids:
        named = ", ".join(map(str, ids[:NAMED])) + (", …" if len(ids) > NAMED else "")
        return f"back in line: {counted(len(ids), 'post')} ({named})"
    if post_id is None:
        return "no post has failed"
    found = await tables.ask(partial(records.post, post_id=post_id))
    if found is None:
        raise UsageError(f"there is no post {post_id}: `status` and `why` name them")
    raise UsageError(f"post {post_id} has not failed, it is {found.state}")
