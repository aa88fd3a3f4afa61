"""`python -m bot status`: how the bot is doing, whether it runs or not.

The tables and the lock tell most of it. What only the running bot knows, it says on `/healthz`.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bot.admin.reload import of_running
from bot.admin.sources import Tables, current
from bot.admin.standings import (
    PlaceStanding,
    SourceStanding,
    place_standings,
    source_standings,
)
from bot.admin.versions import versions
from bot.lock import Holder, holder
from bot.server_address import ServerAddress
from bot.storage import coverage, failures, post_records, records
from bot.storage.engine import size_on_server
from bot.storage.hosts import hosts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sqlalchemy import Connection

    from bot.admin.reload import ReadAgain
    from bot.config import Settings
    from bot.models import Tier, UnixTime
    from bot.posts import PostState
    from bot.routes import Routes
    from bot.storage.coverage import Coverage
    from bot.storage.failures import FailureRecord
    from bot.storage.hosts import Hosts
    from bot.storage.post_records import PostRecord
    from bot.storage.records import Heard, SignalRecord

PATIENCE: Final = 3.0  # seconds for the running bot to answer
TROUBLES: Final = 3
# Where a bot that listens everywhere is reached from here.
LOOPBACK: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # nothing is bound here


class ToldHealth(NamedTuple):
    """What `/healthz` answers. `facts` is its JSON object, empty where there is no answer."""

    where: str  # as "127.0.0.1:8080"; empty: HEALTH_PORT is not set
    answered: bool
    facts: Mapping[str, Any]


class CacheSize(NamedTuple):
    flows: int
    threads: int
    size: int  # bytes of its file


@dataclass(frozen=True, slots=True)
class Status:
    now: UnixTime
    paused_at: UnixTime | None  # since when nothing is posted; None: no pause
    holder: Holder | None  # who holds the lock on DATA_DIR; None: no bot runs there
    hosts: Hosts | None  # None: there was never more than one
    read_again: ReadAgain | None  # by the running bot; None: none runs
    health: ToldHealth
    in_the_way: list[str]  # in the chats of the settings, as the running bot has found
    heard: list[Heard]
    named: bool  # its sources and places have names, of a file
    sources: list[SourceStanding]
    places: list[PlaceStanding]  # those that are posted to, and others that posts wait for
    posts: dict[PostState, int]
    aside: int  # of them, set aside: Telegram keeps failing at them
    troubles: list[PostRecord]  # the latest first
    failed: int  # messages that could not be dealt with
    last_failed: FailureRecord | None  # None: none is
    coverage: Coverage  # how much of what was written could be read of late
    newest: SignalRecord | None  # the signal that was recorded last; None: there is none
    newest_posts: list[PostRecord]
    tiers: dict[Tier, int]  # how many recorded replies each of them knew the flow of
    cache: CacheSize | None  # None: there is none, or it cannot be read
    database: Path | ServerAddress
    database_size: int  # bytes
    schema: int
    versions: dict[str, str]


async def status(
    tables: Tables,
    settings: Settings,
    schema: int,
    *,
    now: UnixTime,
    health: ToldHealth | None = None,
    routes: Routes | None = None,
) -> Status:
    """`health`: what the running bot knows of itself; None: it is asked. `routes` None: the settings'."""
    routes = await current(tables, settings, routes)
    health = health or ask_health(settings)
    newest = await tables.ask(_newest)
    return Status(
        now=now,
        paused_at=await tables.ask(records.paused_at),
        holder=holder(settings.data_dir / "lock"),
        hosts=await tables.ask(hosts) if settings.several_hosts else None,
        read_again=of_running(settings),
        health=health,
        in_the_way=in_the_way(settings),
        heard=await tables.ask(records.heard),
        named=routes.named,
        sources=await tables.ask(partial(source_standings, routes=routes, now=now)),
        places=await tables.ask(place_standings),
        posts=await tables.ask(records.count_posts),
        aside=await tables.ask(records.count_aside),
        troubles=await tables.ask(lambda db: post_records.troubles(db, at_most=TROUBLES)),
        failed=await tables.ask(failures.count),
        last_failed=next(iter(await tables.ask(lambda db: failures.newest(db, at_most=1))), None),
        coverage=await tables.ask(coverage.coverage),
        newest=newest,
        newest_posts=[]
        if newest is None
        else await tables.ask(partial(post_records.posts_of, ref=newest.ref)),
        tiers=await tables.ask(records.tier_hits),
        cache=await asyncio.to_thread(cache_size, settings.flow_cache / "cache.db"),
        database=settings.database,
        database_size=await _size_of(settings.database, tables),
        schema=schema,
        versions=dict(versions()),
    )


def _newest(db: Connection) -> SignalRecord | None:
    found = coverage.newest_signal(db)
    return None if found is None else records.signal(db, found)


async def _size_of(database: Path | ServerAddress, tables: Tables) -> int:
    """With what is written ahead of it."""
    if isinstance(database, ServerAddress):
        return int(await tables.ask(size_on_server))
    files = (database, database.with_name(f"{database.name}-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


def ask_health(settings: Settings) -> ToldHealth:
    if settings.health_port is None:
        return ToldHealth("", answered=False, facts={})
    import http.client  # noqa: PLC0415  # with mail and all that: only where there is somebody to ask

    host = LOOPBACK.get(settings.health_host, settings.health_host)
    where = f"{host}:{settings.health_port}"
    connection = http.client.HTTPConnection(host, settings.health_port, timeout=PATIENCE)
    try:
        with closing(connection):
            connection.request("GET", "/healthz")
            facts = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        facts = None
    if not isinstance(facts, dict):  # something else answers there, or nothing
        return ToldHealth(where, answered=False, facts={})
    return ToldHealth(where, answered=True, facts=facts)


def in_the_way(settings: Settings) -> list[str]:
    """Empty where no bot runs: what an earlier one has found says nothing of now."""
    if holder(settings.data_dir / "lock") is None:
        return []
    try:
        found = json.loads(settings.access_file.read_text(encoding="utf-8"))
        return [str(each["text"]) for each in found]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def cache_size(file: Path) -> CacheSize | None:
    """Looked up beside the bot and without diskcache, which would write."""
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as db:
            kinds = dict(db.execute("SELECT typeof(key), count(*) FROM Cache GROUP BY 1"))
            return CacheSize(kinds.get("integer", 0), kinds.get("text", 0), file.stat().st_size)
    except (OSError, sqlite3.Error):
        return None
