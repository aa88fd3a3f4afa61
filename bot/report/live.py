"""The page that shows the running bot: how it is doing on top, its figures below."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from markupsafe import Markup

from bot.report.page import filled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.report.parts import Cell

REFRESH: Final = 60  # seconds
SOON: Final = 5  # seconds, while the figures are being drawn
# As the page says of itself; framed nowhere, for a click there would be somebody else's.
POLICY: Final = "frame-ancestors 'none'; script-src 'none'; connect-src 'none'; object-src 'none'"


class StateTable(NamedTuple):
    kind: str
    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    none: str  # what is said where there are no rows


class State(NamedTuple):
    name: str
    at: str  # when this was so
    verdict: str
    paused: bool
    reasons: Sequence[str]  # why it is not well; empty: it is
    warnings: Sequence[str]
    tables: Sequence[StateTable]


class Drawing(NamedTuple):
    """The figures, as far as they are drawn."""

    html: Markup = Markup()
    failed: str | None = None  # why they could not be drawn last


def live(state: State, drawing: Drawing, others: Sequence[tuple[str, str]] = ()) -> str:
    """`others`: the names and paths of pages with the figures of one source each."""
    waits = not drawing.html and drawing.failed is None
    return filled(
        "live.html",
        state=state,
        drawing=drawing,
        others=others,
        refresh=SOON if waits else REFRESH,
    )
