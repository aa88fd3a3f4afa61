"""How often authors post, whether they come back to their signals, and what they say became of them.

A signal has one outcome, by nothing but its author's own words. An author may tell several things of it:
the first of `OUTCOMES` counts, so that a stop at the entry behind a target that was reached is no stop.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Final

from bot.models import Outcome
from bot.report import charts
from bot.report.charts import Week
from bot.report.parts import Cell, Section, Table, chart
from bot.report.words import (
    DAY,
    counted,
    day,
    isolated,
    lasting,
    moment,
    number,
    share,
    short,
    short_day,
    week_of,
)
from bot.signal_fields import EventKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bot.models import AuthorId
    from bot.report.figures import Figures, Story

WEEK: Final = 7 * DAY  # seconds
AUTHORS: Final = 15  # with a row of their own
WEEKS: Final = 6  # with a column of their own
LISTED: Final = 12  # signals without a follow-up
SHADES: Final = 4
NAMES: Final = {
    EventKind.TARGET_REACHED: "target reached",
    EventKind.STOPPED: "stopped",
    EventKind.CLOSED: "closed",
    EventKind.CANCELLED: "cancelled",
}
OUTCOMES: Final = tuple(NAMES)


@dataclass(slots=True)
class Record:
    """What an author's signals came to. `outcomes` has None for those that nothing was told of."""

    weeks: Counter[int] = field(default_factory=Counter)  # signals, by the begin of the week
    continued: Counter[int] = field(default_factory=Counter)  # of those
    outcomes: Counter[EventKind | None] = field(default_factory=Counter)

    @property
    def signals(self) -> int:
        return self.weeks.total()

    def add(self, story: Story) -> None:
        week = week_of(story.at)
        own = [reply for reply in story.replies if reply.author == story.owner]
        relayed = [reply for reply in own if reply.outcome is Outcome.UPDATE]
        self.weeks[week] += 1
        self.continued[week] += bool(relayed)
        told = {reply.event for reply in relayed}
        self.outcomes[next((kind for kind in OUTCOMES if kind in told), None)] += 1

    @classmethod
    def of(cls, several: Iterable[Record]) -> Record:
        whole = cls()
        for each in several:
            whole.weeks += each.weeks
            whole.continued += each.continued
            whole.outcomes += each.outcomes
        return whole


def sections(figures: Figures) -> list[Section]:
    records: dict[AuthorId, Record] = {}
    for story in figures.stories():
        if figures.counts(story.at):
            records.setdefault(story.owner, Record()).add(story)
    if not records:
        return [
            Section("weeks", "Nobody has posted a signal", "So no week had one."),
            Section("outcomes", "There is nothing to tell of", "No signal, no outcome."),
            Section("left", "No signal waits for a word of its author", "There is none."),
        ]
    ranked = sorted(records, key=lambda author: (-records[author].signals, author))
    rows = [(figures.name(author), records[author]) for author in ranked]
    return [_weeks(rows), _outcomes(rows), _left(figures)]


def _weeks(rows: Sequence[tuple[str, Record]]) -> Section:
    whole = Record.of(record for _, record in rows)
    name, most = rows[0]
    continued = whole.continued.total()
    return Section(
        "weeks",
        f"{isolated(name)} posts most: {number(most.signals)} of {counted(whole.signals, 'signal')}",
        f"{number(continued)} of them ({share(continued, whole.signals)}) were continued by their "
        "authors. A week begins on Monday, UTC.",
        [
            chart(
                "weekly",
                "Signals by week",
                [("author", "continued by their author"), ("other", "not continued")],
                lambda size: charts.weeks(_every_week(whole), size),
            )
        ],
        table=_by_week(rows, whole),
    )


def _every_week(whole: Record) -> list[Week]:
    """From the first to the last, also those without a signal."""
    return [
        Week(start, whole.continued[start], whole.weeks[start] - whole.continued[start])
        for start in range(min(whole.weeks), max(whole.weeks) + 1, WEEK)
    ]


def _by_week(rows: Sequence[tuple[str, Record]], whole: Record) -> Table:
    """The newest weeks, in front of them what was before."""
    last = max(whole.weeks)
    starts = range(max(min(whole.weeks), last - (WEEKS - 1) * WEEK), last + 1, WEEK)
    earlier = min(whole.weeks) < starts[0]
    most = max(record.weeks[start] for _, record in rows for start in starts)

    def cells(record: Record) -> list[Cell]:
        before = sum(count for start, count in record.weeks.items() if start < starts[0])
        shown = [_shaded(record.weeks[start], most) for start in starts]
        return [_plain(before), *shown] if earlier else shown

    heads = [Cell(short_day(start), "", f"week of {day(start)}") for start in starts]
    if earlier:
        heads.insert(0, Cell("earlier", "", f"before {day(starts[0])}"))
    return Table(
        f"many columns{len(heads)}",
        [Cell(""), *heads],
        [[name, *cells(record)] for name, record in _named(rows)],
    )


def _outcomes(rows: Sequence[tuple[str, Record]]) -> Section:
    whole = Record.of(record for _, record in rows)
    reached, untold = whole.outcomes[EventKind.TARGET_REACHED], whole.outcomes[None]
    left = whole.signals - whole.continued.total()
    heads = ["signals", "continued", *NAMES.values(), "not told"]
    return Section(
        "outcomes",
        f"By their authors' words {number(reached)} of {counted(whole.signals, 'signal')} reached "
        "a target",
        f"{_why_untold(untold, left)} A signal counts once: for a target that was reached, else for "
        "a stop, else as closed, else as cancelled. "
        "Nobody has checked these words against a market.",
        table=Table(
            f"many columns{len(heads)}",
            [Cell(""), *(Cell(head, "", head) for head in heads)],
            [[name, *_counts(record)] for name, record in _named(rows, whole)],
        ),
    )


def _left(figures: Figures) -> Section:
    """Signals that their authors never came back to, the newest first."""
    stories = [story for story in figures.stories() if figures.counts(story.at)]
    left = [story for story in stories if not _continued(story)][::-1]
    now = max((figures.last or 0, *(story.at for story in left[:1])))
    waiting = sum(now - story.at <= figures.ttl for story in left)
    if not left:
        return Section("left", "Every signal had a follow-up", "By its own author, that is.")
    return Section(
        "left",
        f"{number(len(left))} of {counted(len(stories), 'signal')} had no follow-up",
        f"Their authors never came back to them. For {number(waiting)} the {lasting(figures.ttl)} "
        "rule still waits. The newest:",
        table=Table(
            "list",
            [Cell("signal"), Cell("author"), Cell("posted")],
            [
                [
                    Cell(story.about, "name", link=story.link),
                    Cell(figures.name(story.owner), "name"),
                    Cell(moment(story.at), "date"),
                ]
                for story in left[:LISTED]
            ],
        ),
        left_out=(_more(left), _more(left)),
    )


def _more(stories: Sequence[Story]) -> str:
    more = len(stories) - LISTED
    return f"and {counted(more, 'more signal')}" if more > 0 else ""


def _continued(story: Story) -> bool:
    return any(
        reply.author == story.owner and reply.outcome is Outcome.UPDATE for reply in story.replies
    )


def _why_untold(untold: int, left: int) -> str:
    """`left`: those among them that their authors never came back to."""
    if not untold:
        return "What became of each of them was told."
    doubtful = untold - left
    return (
        f"What became of {number(untold)} cannot be told: {number(left)} were never continued, and "
        f"of {number(doubtful)} nothing was said that is beyond doubt."
    )


def _counts(record: Record) -> list[Cell]:
    told = (record.outcomes[kind] for kind in OUTCOMES)
    counts = (record.signals, record.continued.total(), *told, record.outcomes[None])
    return [_plain(count) for count in counts]


def _named(
    rows: Sequence[tuple[str, Record]], whole: Record | None = None
) -> list[tuple[Cell, Record]]:
    """The busiest authors, a row for all others, and one for `whole` if there is more than one author."""
    shown = list(rows[:AUTHORS])
    if rows[AUTHORS:]:
        others = Record.of(record for _, record in rows[AUTHORS:])
        shown.append((counted(len(rows) - AUTHORS, "other"), others))
    if whole is not None and len(rows) > 1:
        shown.append(("all", whole))
    return [(Cell(name, "name", name), record) for name, record in shown]


def _plain(count: int) -> Cell:
    return Cell(short(count) if count else "", "sum" if count else "")


def _shaded(count: int, most: int) -> Cell:
    return Cell(short(count), f"busy{ceil(SHADES * count / most)}") if count else Cell("")
