"""`python -m bot status`: how the bot is doing, whether it runs or not.

The tables and the lock tell most of it. What only the running bot knows, it says on `/healthz`.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import platform
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bot import __version__
from bot.admin.formatting import Row, ago, counted, date, duration, excerpt, size
from bot.admin.links import link
from bot.admin.reading import coverage_rows, details, where
from bot.admin.reload import of_running
from bot.admin.sources import Tables, current
from bot.admin.standings import (
    PlaceStanding,
    SourceStanding,
    flows_of,
    paused_at,
    place_standings,
    source_standings,
    sum_of,
)
from bot.lock import Holder, holder
from bot.models import PostState, UnixTime, is_sink
from bot.server_address import ServerAddress
from bot.signal_json import recorded_fields
from bot.storage import coverage, failures, post_records, records
from bot.storage.engine import size_on_server

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from sqlalchemy import Connection

    from bot.admin.reload import ReadAgain
    from bot.config import Settings
    from bot.models import ChatId, Tier
    from bot.routes import Routes
    from bot.storage.coverage import Coverage
    from bot.storage.failures import FailureRecord
    from bot.storage.post_records import PostRecord
    from bot.storage.records import Heard, SignalRecord

PATIENCE: Final = 3.0  # seconds for the running bot to answer
TROUBLES: Final = 3
MANY: Final = 2  # places, from which on each is named
REASON_MAX: Final = 240  # characters
# Where a bot that listens everywhere is reached from here.
LOOPBACK: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # nothing is bound here
# One import name, several distributions.
LIBRARIES: Final = (("pyrogram", "kurigram"), ("tgcrypto", "TgCrypto-pyrofork"), ("diskcache",))


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
        versions=dict(_versions()),
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


def _versions() -> Iterator[tuple[str, str]]:
    yield "telegram-signal-relay", _version("telegram-signal-relay") or f"{__version__} from source"
    yield "Python", platform.python_version()
    yield "SQLite", sqlite3.sqlite_version
    for names in LIBRARIES:
        for name in names:
            found = _version(name)
            if found is not None:
                yield name, found
                break


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


# ── shown ─────────────────────────────────────────────────────────────────────


def as_rows(status: Status) -> list[Row]:
    return [
        *_running(status),
        *_read_again(status),
        *_health(status),
        *_in_the_way(status),
        *_heard(status),
        *_sources(status),
        *_signals(status),
        *_posts(status),
        *_failed(status),
        *_cache(status),
        *_rest(status),
    ]


def as_json(status: Status) -> dict[str, Any]:
    """For scripts. Dates are unix seconds; what is not known is null."""
    holder = status.holder
    last_error = status.troubles[0] if status.troubles else None
    last_failed = status.last_failed
    return {
        "running": holder is not None,
        "pid": holder and holder.pid,
        "since": holder and int(holder.since),
        "paused_at": status.paused_at,
        "health": dict(status.health.facts) if status.health.answered else None,
        "routes_read_again": _read_again_object(status),
        "in_the_way": status.in_the_way,
        "heard": [box._asdict() for box in status.heard],
        "flows": sum_of(status.sources)._asdict(),
        "sources": [_source_object(each, status) for each in status.sources if each.name],
        "places": [each._asdict() for each in status.places],
        "posts": {state.value: number for state, number in status.posts.items()},
        "set_aside": status.aside,
        "last_error": last_error
        and {"post": last_error.id, "state": last_error.state, "error": last_error.error},
        "failed_messages": status.failed,
        "last_failed_message": last_failed
        and {"message": link(last_failed.ref), "error": last_failed.error},
        "read": status.coverage._asdict(),
        "newest_signal": status.newest and _newest_object(status.newest, status.newest_posts),
        "tiers": {tier.value: number for tier, number in status.tiers.items()},
        "cache": status.cache and status.cache._asdict(),
        "database": {
            "path": str(status.database),
            "size": status.database_size,
            "schema": status.schema,
        },
        "versions": status.versions,
    }


def _running(status: Status) -> Iterator[Row]:
    if status.holder is None:
        yield Row("bot", "not running")
        return
    pid, since = status.holder
    yield Row("bot", f"running, pid {pid or 'unknown'}, for {duration(status.now - since)}")


def _read_again(status: Status) -> Iterator[Row]:
    last = status.read_again
    if last is None or not last.number:
        return
    when = ago(last.at, status.now)
    if last.taken:
        yield Row("routes", f"read again {when}")
        return
    yield Row("routes", f"read again {when} and NOT TAKEN OVER, they are as they were before:")
    for line in last.said:
        yield Row("", excerpt(line, REASON_MAX))


def _read_again_object(status: Status) -> dict[str, Any] | None:
    last = status.read_again
    if last is None or not last.number:
        return None
    return {"at": last.at, "taken": last.taken, "said": last.said}


def _health(status: Status) -> Iterator[Row]:
    where, answered, facts = status.health
    if not where:
        yield Row("telegram", "HEALTH_PORT is not set, so the running bot cannot be asked")
        return
    if not answered:
        yield Row("telegram", f"nobody answers on {where}")
        return
    since, heard = facts.get("connected_since"), facts.get("last_update_at")
    if isinstance(since, int | float):
        yield Row("telegram", f"connected for {duration(status.now - since)}")
    else:
        yield Row("telegram", "NOT connected")
    if isinstance(heard, int | float):
        yield Row("", f"last update {ago(heard, status.now)}, {date(heard)}")
    reasons = [excerpt(str(reason), REASON_MAX) for reason in facts.get("reasons") or ()]
    for number, reason in enumerate(reasons or ["ok"]):
        yield Row("" if number else "health", reason)


def _in_the_way(status: Status) -> Iterator[Row]:
    for number, text in enumerate(status.in_the_way):
        yield Row("" if number else "not yet", excerpt(text, REASON_MAX))


def _heard(status: Status) -> Iterator[Row]:
    for number, (box, message_id, at) in enumerate(status.heard):
        what = str(box) if box < 0 else "private chats and basic groups"
        upto = "" if message_id is None else f" up to message {message_id}"
        yield Row("" if number else "heard", f"{what}{upto}, {ago(at, status.now)}")


def _sources(status: Status) -> Iterator[Row]:
    if not status.named:
        for source in status.sources:
            yield Row("flows", flows_of(source))
        return
    unreadable = _unreadable(status)
    for source in status.sources:
        label, where = "source", f" ({source.where})"
        if not source.name:
            label, where = "", "chats that are no source's any more"
        yield Row(label, f"{source.name}{where}: flows {flows_of(source)}")
        if source.chat in unreadable:
            error = excerpt(unreadable[source.chat], REASON_MAX)
            yield Row("", f"  CANNOT BE READ: {error}")
        if (since := paused_at(source, status.places)) is not None:
            yield Row("", f"  PAUSED {ago(since, status.now)}, until `resume {source.name}`")


def _unreadable(status: Status) -> dict[ChatId | None, str]:
    """What the running bot says of the chats that it cannot read."""
    told = status.health.facts.get("unreadable") or ()
    return {each["chat"]: str(each.get("error")) for each in told}


def _source_object(source: SourceStanding, status: Status) -> dict[str, Any]:
    unreadable = _unreadable(status)
    return {
        "name": source.name,
        "chat": source.chat,
        "topic": source.topic,
        "flows": source.flows._asdict(),
        "unreadable": unreadable.get(source.chat),
        "paused_at": paused_at(source, status.places),
    }


def _signals(status: Status) -> Iterator[Row]:
    newest = status.newest
    if newest is not None:
        yield Row("newest", f"signal {newest.id}, {ago(newest.at, status.now)}: {details(newest)}")
    for place in where(status.newest_posts):
        yield Row("", place)
    yield from coverage_rows(status.coverage)


def _newest_object(signal: SignalRecord, posts: list[PostRecord]) -> dict[str, Any]:
    return {
        "signal_id": signal.id,
        "message": link(signal.ref),
        "at": signal.at,
        "fields": recorded_fields(signal.fields),
        "posts": [
            {
                "post": each.id,
                "chat": None if is_sink(each.target) else each.target,
                "place": each.called,
                "state": each.state,
                "part": each.part,
            }
            for each in posts
        ],
    }


def _posts(status: Status) -> Iterator[Row]:
    posts = status.posts
    changes = posts[PostState.EDIT] + posts[PostState.DELETE]
    if status.paused_at is not None:
        yield Row(
            "relay",
            f"PAUSED {ago(status.paused_at, status.now)}: nothing is posted until `resume`",
        )
    yield Row(
        "posts",
        f"{posts[PostState.PENDING]} pending, {posts[PostState.SENT]} posted, "
        f"{posts[PostState.FAILED]} failed" + (f", {changes} to be changed" if changes else ""),
    )
    if status.aside:
        aside = counted(status.aside, "post")
        yield Row("", f"{aside} set aside: Telegram keeps failing there, others go before")
    yield from _places(status)
    for number, post in enumerate(status.troubles):
        error = excerpt(post.error or "", 60)
        yield Row("" if number else "errors", f"post {post.id} to {post.where}, {post.state}:")
        yield Row("", f"  {error}")


def _places(status: Status) -> Iterator[Row]:
    one = not status.named and len(status.places) < MANY
    if one and all(place.paused_at is None for place in status.places):
        return
    for number, place in enumerate(status.places):
        text = f"{place.label}: {place.pending} pending, {place.failed} failed"
        changes = f", {place.changes} to be changed" if place.changes else ""
        shut = "" if place.listed else "; it is not listed any more, so they wait"
        yield Row("" if number else "places", f"{text}{changes}{shut}")
        if place.paused_at is not None:
            yield Row(
                "", f"  PAUSED {ago(place.paused_at, status.now)}, until `resume {place.label}`"
            )


def _failed(status: Status) -> Iterator[Row]:
    last = status.last_failed
    if last is None:
        return
    yield Row("failed", f"{counted(status.failed, 'message')} could not be dealt with, the newest:")
    again = ", to be read again" if last.again else f": `retry {link(last.ref)}` reads it again"
    yield Row("", f"{link(last.ref)}{again}")
    yield Row("", f"  {excerpt(last.error, 80)}")


def _cache(status: Status) -> Iterator[Row]:
    cache = status.cache
    if cache is None:
        yield Row("cache", "none that can be read")
    else:
        flows, threads = counted(cache.flows, "flow"), counted(cache.threads, "message")
        yield Row("cache", f"{flows} and {threads} on disk, {size(cache.size)}")
    total = sum(status.tiers.values())
    if total:
        shares = (f"{tier} {number / total:.0%}" for tier, number in status.tiers.items())
        yield Row("", f"knew the flows of replies: {', '.join(shares)}")


def _rest(status: Status) -> Iterator[Row]:
    yield Row(
        "database", f"{status.database}, {size(status.database_size)}, schema {status.schema}"
    )
    names = [f"{name} {number}" for name, number in status.versions.items()]
    yield Row("versions", ", ".join(names[:3]))
    yield Row("", ", ".join(names[3:]))
