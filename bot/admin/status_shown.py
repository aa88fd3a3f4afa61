"""The status of a bot for people, row by row, and as JSON for scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bot.admin.formatting import Row, ago, date, duration, excerpt, size
from bot.admin.links import link
from bot.admin.reading import STATE_NAMES, TIERS, coverage_rows, details, where
from bot.admin.standings import flows_of, paused_at, sum_of
from bot.models import is_sink
from bot.phrases import joined, phrase, plural
from bot.posts import PostState
from bot.signal_json import recorded_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bot.admin.standings import SourceStanding
    from bot.admin.status import Status
    from bot.models import ChatId, UnixTime
    from bot.storage.post_records import PostRecord
    from bot.storage.records import SignalRecord

MANY: Final = 2  # places, from which on each is named
REASON_MAX: Final = 240  # characters


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
    reasons = [excerpt(reason, REASON_MAX) for reason in facts.get("reasons") or ()]
    for number, reason in enumerate(reasons or [phrase("ok")]):
        yield Row("" if number else phrase("health"), reason)


def _in_the_way(status: Status) -> Iterator[Row]:
    for number, text in enumerate(status.in_the_way):
        yield Row("" if number else phrase("not yet"), excerpt(text, REASON_MAX))


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
            error = excerpt(unreadable[source.chat], REASON_MAX)
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
        yield Row(
            "" if number else phrase("errors"),
            phrase(
                "post {id} to {place}, {state}:",
                id=post.id,
                place=post.where,
                state=phrase(STATE_NAMES[post.state]),
            ),
        )
        yield Row("", joined("  ", ["", excerpt(post.error or "", 60)]))


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
    yield Row("", joined("  ", ["", excerpt(last.error, 80)]))


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
    yield Row(phrase("versions"), joined(", ", names[:3]))
    yield Row("", joined(", ", names[3:]))
