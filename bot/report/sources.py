"""The sources of a report that is of several: how much came from each, and when last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.models import Outcome
from bot.report.parts import Cell, Section, Table
from bot.report.words import counted, isolated, moment, number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.report.figures import Figures, SourceCounts

NO_MORE = "listed no more"
HEADS = ("source", "signals", "updates relayed", "replies kept back", "last message")


def sections(figures: Figures) -> Iterator[Section]:
    """None where nothing tells sources apart."""
    if not figures.by_source:
        return
    yield Section(
        "sources",
        _finding(figures),
        "Each source by the name that routes.toml gives it; `report --source NAME` is of one alone.",
        table=Table(
            "ttls",
            [*map(Cell, HEADS)],
            [_row(name, each) for name, each in figures.by_source.items()],
        ),
    )


def lines(figures: Figures) -> list[str]:
    """The same, for a shell."""
    return [
        f"{name or NO_MORE}: {counted(each.outcomes[Outcome.SIGNAL], 'signal')}, "
        f"{counted(each.outcomes[Outcome.UPDATE], 'update')} relayed, "
        f"{counted(each.outcomes[Outcome.REJECTED], 'reply', 'replies')} kept back, "
        f"{_last(each)}".replace("\u00a0", " ")
        for name, each in figures.by_source.items()
    ]


def _finding(figures: Figures) -> str:
    signals = {name: each.outcomes[Outcome.SIGNAL] for name, each in figures.by_source.items()}
    most, whole = max(signals, key=lambda name: signals[name]), sum(signals.values())
    if not whole:
        return "No source has brought a signal"
    of = f"{number(signals[most])} of {counted(whole, 'signal')}"
    return f"Most signals come from {isolated(most or NO_MORE)}: {of}"


def _row(name: str, each: SourceCounts) -> list[Cell]:
    kinds = (Outcome.SIGNAL, Outcome.UPDATE, Outcome.REJECTED)
    counts = [Cell(number(each.outcomes[kind])) for kind in kinds]
    return [
        Cell(name or NO_MORE, "name"),
        *counts,
        Cell("–" if each.last is None else moment(each.last)),
    ]


def _last(each: SourceCounts) -> str:
    return "nothing yet" if each.last is None else f"last {moment(each.last)}"
