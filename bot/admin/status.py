"""`python -m bot status`: how the bot is doing, whether it runs or not.

The tables and the lock tell most of it. What only the running bot knows, it says on `/healthz`.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bot.admin.formatting import Row, ago, date, duration, excerpt, in_short, size
from bot.admin.links import link
from bot.admin.reading import STATE_NAMES, TIERS, coverage_rows, details, where
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
from bot.admin.versions import versions
from bot.lock import Holder, holder
from bot.models import PostState, UnixTime, is_sink
from bot.phrases import joined, phrase, plural
from bot.server_address import ServerAddress
from bot.signal_json import recorded_fields
from bot.storage import coverage, failures, post_records, records
from bot.storage.engine import size_on_server
from bot.storage.hosts import hosts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from sqlalchemy import Connection

    from bot.admin.reload import ReadAgain
    from bot.config import Settings
    from bot.models import ChatId, Tier
    from bot.routes import Routes
    from bot.storage.coverage import Coverage
    from bot.storage.failures import FailureRecord
    from bot.storage.hosts import Hosts
    from bot.storage.post_records import PostRecord
    from bot.storage.records import Heard, SignalRecord

PATIENCE: Final = 3.0  # seconds for the running bot to answer
TROUBLES: Final = 3
MANY: Final = 2  # places, from which on each is named
REASON_MAX: Final = 240  # characters
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


# ── shown ─────────────────────────────────────────────────────────────────────


def as_rows(status: Status) -> list[Row]:
    return [
        *_running(status),
        *_hosts(status),
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
        "hosts": status.hosts and status.hosts._asdict(),
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
        yield Row(phrase("bot"), phrase("not running"))
        return
    pid, since = status.holder
    yield Row(
        phrase("bot"),
        phrase(
            "running, pid {pid}, for {time}",
            pid=pid or phrase("unknown"),
            time=duration(status.now - since),
        ),
    )


def _hosts(status: Status) -> Iterator[Row]:
    if status.hosts is None:
        return
    leader, since, waiting = status.hosts
    if leader is None:
        led = phrase("NOBODY: no host relays at the moment")
    else:
        led = phrase("{host}, for {time}", host=leader, time=duration(status.now - since))
    yield Row(phrase("leads"), led)
    for number, host in enumerate(waiting):
        yield Row("" if number else phrase("waits"), host)


def _read_again(status: Status) -> Iterator[Row]:
    last = status.read_again
    if last is None or not last.number:
        return
    when = ago(last.at, status.now)
    if last.taken:
        yield Row(phrase("routes"), phrase("read again {when}", when=when))
        return
    text = phrase("read again {when} and NOT TAKEN OVER, they are as they were before:", when=when)
    yield Row(phrase("routes"), text)
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
        yield Row(
            phrase("telegram"), phrase("HEALTH_PORT is not set, so the running bot cannot be asked")
        )
        return
    if not answered:
        yield Row(phrase("telegram"), phrase("nobody answers on {address}", address=where))
        return
    since, heard = facts.get("connected_since"), facts.get("last_update_at")
    if facts.get("standby"):
        yield Row(phrase("telegram"), phrase("stands by, ready to take over"))
    elif isinstance(since, int | float):
        yield Row(
            phrase("telegram"), phrase("connected for {time}", time=duration(status.now - since))
        )
    else:
        yield Row(phrase("telegram"), phrase("NOT connected"))
    if isinstance(heard, int | float):
        yield Row(
            "",
            phrase("last update {when}, {date}", when=ago(heard, status.now), date=date(heard)),
        )
    reasons = [in_short(reason, REASON_MAX) for reason in facts.get("reasons") or ()]
    for number, reason in enumerate(reasons or [phrase("ok")]):
        yield Row("" if number else phrase("health"), reason)


def _in_the_way(status: Status) -> Iterator[Row]:
    for number, text in enumerate(status.in_the_way):
        yield Row("" if number else phrase("not yet"), in_short(text, REASON_MAX))


def _heard(status: Status) -> Iterator[Row]:
    for number, (box, message_id, at) in enumerate(status.heard):
        what = str(box) if box < 0 else phrase("private chats and basic groups")
        if message_id is not None:
            what = phrase("{chat} up to message {id}", chat=what, id=message_id)
        yield Row("" if number else phrase("heard"), joined(", ", [what, ago(at, status.now)]))


def _sources(status: Status) -> Iterator[Row]:
    if not status.named:
        for source in status.sources:
            yield Row(phrase("flows"), flows_of(source))
        return
    unreadable = _unreadable(status)
    for source in status.sources:
        label, name = phrase("source"), f"{source.name} ({source.where})"
        if not source.name:
            label, name = "", phrase("chats that are no source's any more")
        text = phrase("{source}: flows {flows}", source=name, flows=flows_of(source))
        yield Row(label, text)
        if source.chat in unreadable:
            error = in_short(unreadable[source.chat], REASON_MAX)
            text = phrase("CANNOT BE READ: {error}", error=error)
            yield Row("", joined("  ", ["", text]))
        if (since := paused_at(source, status.places)) is not None:
            yield Row("", _shut(since, status, source.name))


def _unreadable(status: Status) -> dict[ChatId | None, str]:
    """What the running bot says of the chats that it cannot read."""
    told = status.health.facts.get("unreadable") or ()
    return {each["chat"]: each.get("error") or "" for each in told}


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
        yield Row(
            phrase("newest"),
            phrase(
                "signal {id}, {when}: {details}",
                id=newest.id,
                when=ago(newest.at, status.now),
                details=details(newest),
            ),
        )
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
            phrase("relay"),
            phrase(
                "PAUSED {when}: nothing is posted until `resume`",
                when=ago(status.paused_at, status.now),
            ),
        )
    yield Row(
        phrase("posts"),
        _counts(
            posts[PostState.PENDING],
            posts[PostState.FAILED],
            changes,
            [plural("{n} posted", "{n} posted", posts[PostState.SENT])],
        ),
    )
    if status.aside:
        text = plural(
            "{n} post set aside: Telegram keeps failing there, others go before",
            "{n} posts set aside: Telegram keeps failing there, others go before",
            status.aside,
        )
        yield Row("", text)
    yield from _places(status)
    for number, post in enumerate(status.troubles):
        error = excerpt(post.error or "", 60)
        yield Row(
            "" if number else phrase("errors"),
            phrase(
                "post {id} to {place}, {state}:",
                id=post.id,
                place=post.where,
                state=phrase(STATE_NAMES[post.state]),
            ),
        )
        yield Row("", f"  {error}")


def _counts(pending: int, failed: int, changes: int, sent: Iterable[str] = ()) -> str:
    counts = [
        plural("{n} pending", "{n} pending", pending),
        *sent,
        plural("{n} failed", "{n} failed", failed),
    ]
    if changes:
        counts.append(plural("{n} to be changed", "{n} to be changed", changes))
    return joined(", ", counts)


def _places(status: Status) -> Iterator[Row]:
    one = not status.named and len(status.places) < MANY
    if one and all(place.paused_at is None for place in status.places):
        return
    for number, place in enumerate(status.places):
        text = joined(": ", [place.label, _counts(place.pending, place.failed, place.changes)])
        if not place.listed:
            text = phrase("{place}; it is not listed any more, so they wait", place=text)
        yield Row("" if number else phrase("places"), text)
        if place.paused_at is not None:
            yield Row("", _shut(place.paused_at, status, place.label))


def _shut(since: UnixTime, status: Status, name: str) -> str:
    when = ago(since, status.now)
    return joined("  ", ["", phrase("PAUSED {when}, until `resume {name}`", when=when, name=name)])


def _failed(status: Status) -> Iterator[Row]:
    last = status.last_failed
    if last is None:
        return
    yield Row(
        phrase("failed"),
        plural(
            "{n} message could not be dealt with, the newest:",
            "{n} messages could not be dealt with, the newest:",
            status.failed,
        ),
    )
    message = link(last.ref)
    if last.again:
        yield Row("", phrase("{message}, to be read again", message=message))
    else:
        yield Row("", phrase("{message}: `retry {message}` reads it again", message=message))
    yield Row("", f"  {excerpt(last.error, 80)}")


def _cache(status: Status) -> Iterator[Row]:
    cache = status.cache
    if cache is None:
        yield Row(phrase("cache"), phrase("none that can be read"))
    else:
        flows = plural("{n} flow", "{n} flows", cache.flows)
        threads = plural("{n} message", "{n} messages", cache.threads)
        yield Row(
            phrase("cache"),
            phrase(
                "{flows} and {messages} on disk, {size}",
                flows=flows,
                messages=threads,
                size=size(cache.size),
            ),
        )
    total = sum(status.tiers.values())
    if total:
        shares = (
            joined(" ", [phrase(TIERS[tier]), f"{number / total:.0%}"])
            for tier, number in status.tiers.items()
        )
        yield Row("", phrase("knew the flows of replies: {tiers}", tiers=joined(", ", shares)))


def _rest(status: Status) -> Iterator[Row]:
    yield Row(
        phrase("database"),
        phrase(
            "{path}, {size}, schema {number}",
            path=str(status.database),
            size=size(status.database_size),
            number=status.schema,
        ),
    )
    names = [f"{name} {number}" for name, number in status.versions.items()]
    yield Row(phrase("versions"), ", ".join(names[:3]))
    yield Row("", ", ".join(names[3:]))
