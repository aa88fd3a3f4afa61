"""How answers look on a terminal, in a pipe and on a telephone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from bot.operator.flows import Standing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console, RenderableType

    from bot.operator.flows import Overview, Reply, Thread
    from bot.operator.wording import Row

NARROW: Final = 90  # columns; a table of flows needs them
STYLES: Final = {
    Standing.LIVE: "green",
    Standing.QUIET: "",
    Standing.RELEASED: "dim",
    Standing.ENDED: "yellow",
}
LABELS: Final = {"yes": "green", "NO": "bold red", "?": "yellow"}


def show_rows(console: Console, rows: Sequence[Row]) -> None:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for label, text in rows:
        grid.add_row(Text(label, LABELS.get(label, "bold")), Text(text))
    _show(console, grid)


def show_flows(console: Console, flows: Sequence[Overview]) -> None:
    if not flows:
        console.print("no flow is live; --all shows the others")
    elif console.width < NARROW:
        _show(console, _cards(flows))
    else:
        _show(console, _table(flows))


def show_thread(console: Console, thread: Thread) -> None:
    show_rows(console, thread.about)
    console.print()
    tree = Tree(Text(thread.root.text))
    _grow(tree, thread.root)
    _show(console, tree)


def _table(flows: Sequence[Overview]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold underline")
    for name, justify in (
        ("signal", "right"),
        ("pair", "left"),
        ("", "left"),
        ("owner", "right"),
        ("age", "right"),
        ("quiet for", "right"),
        ("released", "left"),
        ("updates", "right"),
        ("refused", "right"),
    ):
        table.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]  # a literal
    for flow in flows:
        cells = (*flow[:7], str(flow.updates), str(flow.refused))
        table.add_row(*map(Text, cells), style=STYLES[flow.standing])
    return table


def _cards(flows: Sequence[Overview]) -> Table:
    """Two or three short lines for each, for the width of a telephone."""
    grid = Table.grid(padding=(0, 1))
    for flow in flows:
        text = (
            f"{flow.pair} {flow.direction} by {flow.owner}\n"
            f"{flow.released}, {flow.updates} updates, {flow.refused} refused"
        )
        grid.add_row(Text(flow.signal, "bold"), Text(text, STYLES[flow.standing]))
    return grid


def _grow(tree: Tree, reply: Reply) -> None:
    for answer in reply.answers:
        _grow(tree.add(Text(answer.text, "dim" if answer.refused else "")), answer)


def _show(console: Console, what: RenderableType) -> None:
    """Without the blanks that fill a line up: a pipe has no use for them."""
    with console.capture() as captured:
        console.print(what)
    lines = captured.get().splitlines()
    console.file.write("".join(f"{line.rstrip()}\n" for line in lines))
