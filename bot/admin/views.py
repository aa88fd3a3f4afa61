"""How answers look on a terminal, in a pipe and on a telephone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.cells import cell_len
from rich.color import ColorSystem
from rich.style import Style
from rich.table import Table
from rich.text import Text

from bot.admin.flows import Standing
from bot.admin.formatting import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console, RenderableType

    from bot.admin.flows import Overview, Thread, ThreadReply
    from bot.admin.formatting import Row

GAP: Final = "  "
HEADS: Final = (
    *("signal", "pair", "", "owner", "age", "quiet for", "released", "updates", "refused"),
)
WITH_SOURCES: Final = (*HEADS, "source")
RIGHT: Final = {"signal", "owner", "age", "quiet for", "updates", "refused"}
INDENT: Final = "    "
DEEPEST: Final = 12  # indents
ROOM: Final = 24  # columns that are left for what was said
STYLES: Final = {
    Standing.LIVE: "green",
    Standing.QUIET: "",
    Standing.RELEASED: "dim",
    Standing.ENDED: "yellow",
    Standing.UNREAD: "dim",
}
LABELS: Final = {"yes": "green", "NO": "bold red", "?": "yellow"}


def show_rows(console: Console, rows: Sequence[Row]) -> None:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for label, text in rows:
        grid.add_row(Text(label, LABELS.get(label, "bold")), Text(text))
    _show(console, grid)


def show_flows(console: Console, flows: Sequence[Overview], *, none: str = "no flow") -> None:
    """`none`: what to say where there is none. Tens of thousands take no second."""
    if not flows:
        console.print(none)
        return
    heads = WITH_SOURCES if any(flow.source for flow in flows) else HEADS
    rows = [heads, *(_cells(flow, heads) for flow in flows)]
    widths = [max(map(_wide, column)) for column in zip(*rows, strict=True)]
    fits = sum(widths) + len(GAP) * (len(widths) - 1) <= console.width
    lines = _table(flows, rows, widths) if fits else _cards(flows, console)
    colours = ColorSystem.STANDARD if console.color_system else None
    for line, style in lines:
        console.file.write(Style.parse(style).render(line, color_system=colours) + "\n")


def _cells(flow: Overview, heads: Sequence[str]) -> Sequence[str]:
    cells = tuple(map(str, flow[: len(HEADS)]))
    return cells if heads is HEADS else (*cells, flow.source)


def _wide(text: str) -> int:
    """As `cell_len`, which takes ten times as long for what most texts are."""
    return len(text) if text.isascii() else cell_len(text)


def _table(
    flows: Sequence[Overview], rows: Sequence[Sequence[str]], widths: Sequence[int]
) -> Iterator[tuple[str, str]]:
    """Each line with its style. A rich table of 20,000 flows would take twenty seconds."""
    styles = ("bold underline", *(STYLES[flow.standing] for flow in flows))
    columns = zip(WITH_SOURCES, widths, strict=False)
    plain = GAP.join(f"{{:{'>' if name in RIGHT else '<'}{width}}}" for name, width in columns)
    for cells, style in zip(rows, styles, strict=True):
        narrow = "".join(cells).isascii()
        yield (plain.format(*cells).rstrip() if narrow else _line(cells, widths)), style


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = []
    for name, cell, width in zip(WITH_SOURCES, cells, widths, strict=False):
        blanks = " " * (width - cell_len(cell))
        padded.append(blanks + cell if name in RIGHT else cell + blanks)
    return GAP.join(padded).rstrip()


def _cards(flows: Sequence[Overview], console: Console) -> Iterator[tuple[str, str]]:
    """Two or three short lines for each, for the width of a telephone."""
    wide = max(cell_len(flow.signal) for flow in flows)
    for flow in flows:
        updates, refused = counted(flow.updates, "update"), f"{flow.refused} refused"
        for number, text in enumerate(
            (
                " ".join(filter(None, (flow.pair, flow.direction, f"by {flow.owner}"))),
                ", ".join(filter(None, (flow.released, updates, refused, flow.source))),
            )
        ):
            first = " " * (wide + 1) if number else f"{flow.signal:<{wide}} "
            for line in _wrapped(console, text, console.width - wide - 1):
                yield f"{first}{line}", STYLES[flow.standing]
                first = " " * (wide + 1)


def _wrapped(console: Console, text: str, width: int) -> list[str]:
    if cell_len(text) <= width:
        return [text]
    lines = Text(text).wrap(console, max(1, width))
    return [line.plain.rstrip() for line in lines]


def show_thread(console: Console, thread: Thread) -> None:
    """What was said as a tree. Deeper than `DEEPEST` it goes on without being indented any more."""
    show_rows(console, thread.about)
    console.print()
    for line in _wrapped(console, thread.root.text, console.width):
        console.print(Text(line))
    deepest = min(DEEPEST, max(1, (console.width - ROOM) // len(INDENT)))
    for branch, reply in _branches(thread.root, deepest):
        style = "dim" if reply.refused else ""
        first, rest = branch
        for line in _wrapped(console, reply.text, console.width - cell_len(first)):
            console.print(Text.assemble(first, (line, style)), crop=False, soft_wrap=True)
            first = rest


def _branches(root: ThreadReply, deepest: int) -> Iterator[tuple[tuple[str, str], ThreadReply]]:
    """Every reply with what is drawn before its first line and before the others, from top to bottom.

    Without recursion: a thread may be deeper than Python's stack.
    """
    waiting = [(answer, 0, "", number == 0) for number, answer in enumerate(root.answers[::-1])]
    while waiting:
        reply, depth, guides, last = waiting.pop()
        below = guides + (INDENT if last else "│   ")
        yield (guides + ("└── " if last else "├── "), below), reply
        deeper = below if depth + 1 < deepest else guides
        waiting += (
            (answer, depth + 1, deeper, number == 0)
            for number, answer in enumerate(reply.answers[::-1])
        )


def _show(console: Console, what: RenderableType) -> None:
    """Without the blanks that fill a line up: a pipe has no use for them."""
    with console.capture() as captured:
        console.print(what)
    lines = captured.get().splitlines()
    console.file.write("".join(f"{line.rstrip()}\n" for line in lines))
