"""`python -m bot retry`: what failed, once more: posts that Telegram refused, and messages that the
bot could not deal with.
"""

from __future__ import annotations

import re
import time
from functools import partial
from typing import TYPE_CHECKING, Final

from bot.admin.formatting import excerpt
from bot.admin.links import link, names_a_message
from bot.admin.reading import STATE_NAMES
from bot.admin.sources import asked, current, find_message
from bot.errors import UsageError
from bot.phrases import joined, later, phrase, plural
from bot.posts import PostState
from bot.storage import failures, post_records, records

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from bot.config import Settings
    from bot.models import ChatId, MessageRef
    from bot.routes import Routes
    from bot.storage.failures import FailureRecord
    from bot.storage.store import SignalStore

NAMED: Final = 10
NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}")
NOTHING: Final = later("no post has failed")
POSTS: Final = later(
    "a post's number, as `status` names it, or a link to a message or chat:message"
)


async def retry(
    tables: SignalStore, settings: Settings, which: str | None, *, routes: Routes | None = None
) -> str:
    """`which`: a post by its number, or a message; None: all. Tells what was done.

    Raises `UsageError` for what has not failed.
    """
    if which is None:
        done = [await put_back(tables, None), await read_again(tables, None)]
        each = [each for each in done if each not in {NOTHING, ""}]
        return joined("; ", each) or phrase(NOTHING)
    if NUMBER.fullmatch(which):
        return await put_back(tables, int(which))
    if not names_a_message(which):
        raise UsageError(
            phrase(
                "{text} names no post and no message: give {forms}",
                text=repr(which),
                forms=phrase(POSTS),
            )
        )
    found = await failure_of(tables, settings, which, routes=routes)
    return await read_again(tables, found.id)


async def put_back(
    tables: SignalStore, post_id: int | None, *, places: Collection[int] | None = None
) -> str:
    """Tells what was done. Raises `UsageError` for a post that has not failed. `places`: by their rows."""
    ids = await tables.retry(post_id, places=places)
    if ids:
        return plural(
            "back in line: {n} post ({which})",
            "back in line: {n} posts ({which})",
            len(ids),
            which=_named(map(str, ids)),
        )
    if post_id is None:
        return phrase(NOTHING)
    found = await tables.ask(partial(post_records.post, post_id=post_id))
    if found is None:
        raise UsageError(phrase("there is no post {id}: `status` and `why` name them", id=post_id))
    how = phrase(STATE_NAMES[found.state])
    raise UsageError(phrase("post {id} has not failed, it is {state}", id=post_id, state=how))


async def read_again(
    tables: SignalStore, number: int | None, *, chats: Collection[ChatId] | None = None
) -> str:
    """Have one that failed, or all, read again by the running bot. Empty: there is nothing."""
    want = partial(failures.want, number=number, now=int(time.time()), chats=chats)
    refs = await tables.change(want)
    if not refs:
        return ""
    return plural(
        "to be read again: {n} message ({which})",
        "to be read again: {n} messages ({which})",
        len(refs),
        which=_named(map(link, refs)),
    )


async def failure_of(
    tables: SignalStore, settings: Settings, text: str, *, routes: Routes | None = None
) -> FailureRecord:
    """Raises `UsageError` if that message has not failed."""
    routes = await current(tables, settings, routes)
    ref = await find_message(tables, routes, asked(routes, text))
    found = await tables.ask(partial(failures.failure, ref=ref))
    if found is not None:
        return found
    failed = await _failed_posts(tables, ref)
    if not failed:
        raise UsageError(phrase("{message} has not failed", message=link(ref)))
    raise UsageError(
        phrase(
            "{message} has not failed, but its post has: `retry {post}`",
            message=link(ref),
            post=failed[0],
        )
    )


async def ask_to_retry_all(tables: SignalStore) -> str:
    """The question before it is done. Raises `UsageError` if nothing has failed."""
    posts = (await tables.ask(records.count_posts))[PostState.FAILED]
    messages = await tables.ask(failures.count)
    if not posts + messages:
        raise UsageError(phrase(NOTHING))
    parts = []
    if posts:
        parts.append(plural("Put {n} post back in line?", "Put {n} posts back in line?", posts))
    if messages:
        parts.append(plural("Read {n} message again?", "Read {n} messages again?", messages))
    return joined(" ", parts)


async def ask_to_read_again(tables: SignalStore, number: int) -> str:
    """The same for one message. Raises `UsageError` if it was dealt with meanwhile."""
    found = await tables.ask(partial(failures.failure_by_id, number=number))
    if found is None:
        raise UsageError(phrase("that was dealt with already"))
    return phrase(
        "Read {message} again? {error}", message=link(found.ref), error=excerpt(found.error, 80)
    )


async def _failed_posts(tables: SignalStore, ref: MessageRef) -> list[int]:
    posts = await tables.ask(partial(post_records.posts_of, ref=ref))
    return [post.id for post in posts if post.state is PostState.FAILED]


def _named(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:NAMED]) + (", …" if len(listed) > NAMED else "")
