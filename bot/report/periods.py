"""The last days beside as many before them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from bot.models import Outcome
from bot.report.parts import Cell, Section, Table
from bot.report.words import DAY, HOUR, counted, number

if TYPE_CHECKING:
    from bot.report.figures import Figures

DAYS: Final = 7
WHOLE: Final = 100  # per cent
TENTH: Final = 0.1  # per cent
NAMES: Final = {
    Outcome.SIGNAL: "signals",
    Outcome.UPDATE: "updates relayed",
    Outcome.REJECTED: "replies kept back",
}


def section(figures: Figures, until: int | None) -> Section:
    """`until`, unix seconds, is the end of the last of them; None: the last message is."""
    if figures.first is None or figures.last is None:
        return Section("periods", "There is no week to compare", "There is no message.")
    end = max(figures.last, until or 0) // HOUR + 1  # in hours, the last one whole
    begin = end - DAYS * DAY // HOUR
    known = figures.first // HOUR < begin
    last = _between(figures, begin, end)
    before = _between(figures, 2 * begin - end, begin) if known else None
    came = counted(last[Outcome.SIGNAL], "signal")
    then = f", {number(before[Outcome.SIGNAL])} in the {DAYS} days before" if before else ""
    return Section(
        "periods",
        f"{came} in the last {DAYS} days{then}",
        "The last week beside the one before it." if known else "There is no week before that.",
        table=Table(
            "few columns3",
            [Cell(""), Cell(f"last {DAYS} days"), Cell(f"{DAYS} days before"), Cell("change")],
            [
                [Cell(name, "name"), *_cells(last[kind], None if before is None else before[kind])]
                for kind, name in NAMES.items()
            ],
        ),
    )


def _between(figures: Figures, begin: int, end: int) -> Counter[Outcome]:
    found = Counter[Outcome](dict.fromkeys(NAMES, 0))
    for (hour, outcome), count in figures.by_hour.items():
        if begin <= hour < end:
            found[outcome] += count
    return found


def _cells(last: int, before: int | None) -> list[Cell]:
    return [
        Cell(number(last)),
        Cell("–" if before is None else number(before)),
        Cell(change(last, before)),
    ]


def change(last: int, before: int | None) -> str:
    """In whole per cent, but a small change is no "0%", and one that leaves something is no "−100%"."""
    if not before:
        return "–"
    change = WHOLE * (last - before) / before
    if last == before or abs(change) < TENTH / 2:
        return "±0%" if last == before else "≈0%"
    sign, size = "+" if change > 0 else "−", abs(change)
    if size < 1 or WHOLE - 1 < size < WHOLE:
        return f"{sign}{min(size, WHOLE - TENTH):.1f}%"
    return f"{sign}{round(size)}%"
