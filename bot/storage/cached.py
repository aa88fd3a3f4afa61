"""What ties a host's flow cache to these tables and to their history."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from sqlalchemy import select

from bot.errors import DatabaseUnusable
from bot.models import ENDED_BY_HAND, Flow
from bot.storage import engine
from bot.storage.schema import meta, signals

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from bot.models import SignalId


def cache_key(db: Connection, name: str) -> bytes:
    """The key of the cache's digests: 32 bytes, of this database and its history alone."""
    key = db.scalar(select(meta.c.value).where(meta.c.name == "cache_key"))
    if not isinstance(key, bytes):
        raise DatabaseUnusable(f"{name}: no cache_key in table meta")
    history = engine.history(db)
    return blake2b(history, key=key, digest_size=32).digest() if history else key


def are_ahead(db: Connection, flows: Iterable[tuple[SignalId, Flow]]) -> bool:
    """Whether a cache says of one of them what the table does not, or no more.

    So it does where the server's disk was put back to an earlier moment, which no key can tell.
    """
    known = dict(flows)
    columns = (signals.c.id, signals.c.source_user_id, signals.c.last_owner_activity)
    rows = db.execute(select(*columns).where(signals.c.id.in_(known))).all()
    true = {number: Flow(owner, activity) for number, owner, activity in rows}
    return any(each not in true or _is_ahead(of, true[each]) for each, of in known.items())


def _is_ahead(cached: Flow, true: Flow) -> bool:
    """An operator may have ended it by hand, on another host, and the cache not heard of that."""
    if cached.owner != true.owner:
        return True
    then, now = cached.last_owner_activity, true.last_owner_activity
    return then is not None and now is not None and now != ENDED_BY_HAND and then > now
