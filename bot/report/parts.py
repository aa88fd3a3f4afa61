"""What a picture is put together of. The page's template shows each of these."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bot.report.charts import NARROW, WIDE
from bot.report.words import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from markupsafe import Markup

    from bot.report.charts import Size


class Tile(NamedTuple):
    value: str
    label: str
    kind: str = ""


class Chart(NamedTuple):
    kind: str
    label: str  # for those who cannot see it
    legend: Sequence[tuple[str, str]]  # what is shown as what
    wide: Markup
    narrow: Markup


class Cell(NamedTuple):
    text: str
    kind: str = ""
    tip: str = ""
    link: str | None = None  # None: it leads nowhere


class Table(NamedTuple):
    kind: str
    head: Sequence[Cell]
    rows: Sequence[Sequence[Cell]]


class Section(NamedTuple):
    kind: str
    title: str  # the finding
    text: str
    charts: Sequence[Chart] = ()
    table: Table | None = None
    left_out: tuple[str, str] = ("", "")  # from the wide chart, from the narrow one


def chart(
    kind: str,
    label: str,
    legend: Sequence[tuple[str, str]],
    draw: Callable[[Size], Markup],
    *,
    size: Size = WIDE,
) -> Chart:
    return Chart(kind, label, legend, wide=draw(size), narrow=draw(NARROW))


def left_out(shown: int, of: int, noun: str) -> tuple[str, str]:
    wide, narrow = (
        f"and {counted(of - min(shown, size.rows), noun)}" if of > min(shown, size.rows) else ""
        for size in (WIDE, NARROW)
    )
    return wide, narrow
