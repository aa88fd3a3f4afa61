"""What was read of a signal, what its author told of it since, and where it went, in an operator's words."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from bot.admin.flows import title
from bot.admin.formatting import Row, date
from bot.models import Tier
from bot.phrases import joined, later, phrase, plural
from bot.posts import PostState
from bot.signal_fields import EventKind, decimal_text
from bot.signal_json import recorded_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bot.signal_fields import SignalEvent
    from bot.storage.coverage import Coverage, ToldSince
    from bot.storage.post_records import PostRecord
    from bot.storage.records import SignalRecord

SHOWN: Final = 5  # of what was told; the newest
STATES: Final = {
    PostState.PENDING: later("waiting"),
    PostState.SENT: later("posted"),
    PostState.EDIT: later("to be edited"),
    PostState.DELETE: later("to be deleted"),
    PostState.DELETED: later("deleted with its source"),
    PostState.FAILED: later("FAILED"),
    PostState.GONE: later("deleted there"),
}
# As `--json` has them.
STATE_NAMES: Final = {
    PostState.PENDING: later("pending"),
    PostState.HELD: later("held"),
    PostState.SENT: later("sent"),
    PostState.EDIT: later("edit"),
    PostState.DELETE: later("delete"),
    PostState.DELETED: later("deleted"),
    PostState.FAILED: later("failed"),
    PostState.GONE: later("gone"),
}
TIERS: Final = {
    Tier.MEMORY: later("memory"),
    Tier.DISK: later("disk"),
    Tier.TABLE: later("table"),
}
EVENTS: Final = {
    EventKind.ENTRY_FILLED: later("entry filled"),
    EventKind.PARTIALLY_CLOSED: later("partially closed"),
    EventKind.STOPPED: later("stopped"),
    EventKind.CLOSED: later("closed"),
    EventKind.CANCELLED: later("cancelled"),
}
# What is read of a signal; see `signal_fields`.
FIELDS: Final = {
    "pair": later("pair"),
    "direction": later("direction"),
    "entry": later("entry"),
    "take_profits": later("take profits"),
    "stop": later("stop"),
    "leverage": later("leverage"),
    "risk": later("risk"),
    "timeframe": later("timeframe"),
}


def details(signal: SignalRecord) -> str:
    """All that was read of it, or that nothing was."""
    said = recorded_fields(signal.fields)
    parts = {
        "timeframe": said.get("timeframe"),
        "entry": joined(phrase(" to "), dict.fromkeys(said.get("entry", ()))),
        "take_profits": ", ".join(said.get("take_profits", ())),
        "stop": said.get("stop"),
        "risk": "risk" in said and f"{said['risk']} %",
        "leverage": "leverage" in said and f"{said['leverage']}x",
    }
    found = [joined(" ", [phrase(FIELDS[name]), value]) for name, value in parts.items() if value]
    if not said:
        return phrase("{signal}; nothing could be read of it", signal=title(signal))
    return joined(", ", [title(signal), *found])


def in_words(event: SignalEvent) -> str:
    """What an update says of its signal."""
    if event.kind is EventKind.STOP_MOVED:
        to = decimal_text(event.stop)
        return (
            phrase("stop moved to {price}", price=to) if to else phrase("stop moved to the entry")
        )
    if event.kind is EventKind.TARGET_REACHED:
        if event.target:
            return phrase("target {number} reached", number=event.target)
        return phrase("a target reached")
    return phrase(EVENTS[event.kind])


def told_rows(signal: SignalRecord, told: Sequence[ToldSince]) -> Iterator[Row]:
    """What became of it by its author's own words, the newest last."""
    if not told and signal.updates:
        yield Row(phrase("told"), phrase("nothing of it that is beyond doubt"))
    if len(told) > SHOWN:
        text = plural(
            "{n} time what has become of it, of late:",
            "{n} times what has become of it, of late:",
            len(told),
        )
        yield Row(phrase("told"), text)
    for number, (at, event) in enumerate(told[-SHOWN:]):
        label = "" if number or len(told) > SHOWN else phrase("told")
        what = in_words(event)
        yield Row(label, phrase("by its author on {date}: {what}", date=date(at), what=what))


def coverage_rows(coverage: Coverage) -> Iterator[Row]:
    """How much could be read of late."""
    if not coverage.signals:
        return
    fields = joined(
        ", ", [joined(" ", [phrase(FIELDS[name]), str(n)]) for name, n in coverage.fields.items()]
    )
    yield Row(
        phrase("read"),
        plural(
            "of the newest {n} signal: {fields}",
            "of the newest {n} signals: {fields}",
            coverage.signals,
            fields=fields,
        ),
    )
    if coverage.updates:
        yield Row("", _updates_read(coverage))


def _updates_read(coverage: Coverage) -> str:
    return plural(
        "of the newest {n} update: what became of the signal {events}",
        "of the newest {n} updates: what became of the signal {events}",
        coverage.updates,
        events=coverage.events,
    )


def where(posts: Iterable[PostRecord]) -> Iterator[str]:
    """Each place that a message went to, with how its parts stand there."""
    places: dict[str, Counter[str]] = {}
    for post in posts:
        hidden = post.hidden and post.state is PostState.DELETED
        state = later("not shown") if hidden else STATES[post.state]
        places.setdefault(post.where, Counter())[state] += 1
    for place, states in places.items():
        parts = joined(", ", [_parts(*each) for each in states.items()])
        yield phrase("in {place}: {parts}", place=place, parts=parts)


def _parts(state: str, number: int) -> str:
    if number == 1:
        return phrase(state)
    return plural("{state} {n} part", "{state} {n} parts", number, state=phrase(state))
