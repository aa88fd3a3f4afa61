"""What was read of a signal, what its author told of it since, and where it went, in an operator's words."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from bot.admin.flows import title
from bot.admin.formatting import Row, counted, date
from bot.models import PostState
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
    PostState.PENDING: "waiting",
    PostState.SENT: "posted",
    PostState.EDIT: "to be edited",
    PostState.DELETE: "to be deleted",
    PostState.DELETED: "deleted with its source",
    PostState.FAILED: "FAILED",
    PostState.GONE: "deleted there",
}


def details(signal: SignalRecord) -> str:
    """All that was read of it, or that nothing was."""
    said = recorded_fields(signal.fields)
    parts = {
        "timeframe": said.get("timeframe"),
        "entry": " to ".join(dict.fromkeys(said.get("entry", ()))),
        "take profits": ", ".join(said.get("take_profits", ())),
        "stop": said.get("stop"),
        "risk": "risk" in said and f"{said['risk']} %",
        "leverage": "leverage" in said and f"{said['leverage']}x",
    }
    found = [f"{name} {value}" for name, value in parts.items() if value]
    if not said:
        return f"{title(signal)}; nothing could be read of it"
    return ", ".join([title(signal), *found])


def in_words(event: SignalEvent) -> str:
    """What an update says of its signal."""
    if event.kind is EventKind.STOP_MOVED:
        return f"stop moved to {decimal_text(event.stop) or 'the entry'}"
    if event.kind is EventKind.TARGET_REACHED:
        return f"target {event.target} reached" if event.target else "a target reached"
    return event.kind.replace("_", " ")


def told_rows(signal: SignalRecord, told: Sequence[ToldSince]) -> Iterator[Row]:
    """What became of it by its author's own words, the newest last."""
    if not told and signal.updates:
        yield Row("told", "nothing of it that is beyond doubt")
    if len(told) > SHOWN:
        yield Row("told", f"{len(told)} times what has become of it, of late:")
    for number, (at, event) in enumerate(told[-SHOWN:]):
        label = "" if number or len(told) > SHOWN else "told"
        yield Row(label, f"by its author on {date(at)}: {in_words(event)}")


def coverage_rows(coverage: Coverage) -> Iterator[Row]:
    """How much could be read of late."""
    if not coverage.signals:
        return
    fields = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in coverage.fields.items())
    yield Row("read", f"of the newest {counted(coverage.signals, 'signal')}: {fields}")
    if coverage.updates:
        updates = counted(coverage.updates, "update")
        yield Row("", f"of the newest {updates}: what became of the signal {coverage.events}")


def where(posts: Iterable[PostRecord]) -> Iterator[str]:
    """Each place that a message went to, with how its parts stand there."""
    places: dict[str, Counter[str]] = {}
    for post in posts:
        hidden = post.hidden and post.state is PostState.DELETED
        state = "not shown" if hidden else STATES[post.state]
        places.setdefault(post.where, Counter())[state] += 1
    for place, states in places.items():
        parts = (
            f"{state}{f' {number} parts' if number > 1 else ''}" for state, number in states.items()
        )
        yield f"in {place}: {', '.join(parts)}"
