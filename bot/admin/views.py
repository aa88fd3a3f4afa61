"""How answers look on a terminal and in a pipe.

Without tables and texts of rich: to load them takes a tenth of the time in which a command answers.
"""

from __future__ import annotations

import re
from itertools import chain, islice
from operator import attrgetter
from typing import TYPE_CHECKING, Final, Protocol, TextIO

from rich.cells import cell_len, chop_cells

from bot.admin.flows import Standing
from bot.admin.formatting import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bot.admin.flows import Overview, Thread, ThreadReply
    from bot.admin.formatting import Row

GAP: Final = "  "
CELLS: Final[dict[str, Callable[[Overview], object]]] = {
    "signal": attrgetter("signal"),
    "pair": attrgetter("pair"),
    "": attrgetter("direction"),
    "owner": attrgetter("owner"),
    "age": attrgetter("age"),
    "quiet for": attrgetter("quiet_for"),
    "released": attrgetter("released"),
    "updates": attrgetter("updates"),
    "refused": attrgetter("refused"),
    "source": attrgetter("source"),  # where there are several
}
WITH_SOURCES: Final = tuple(CELLS)
HEADS: Final = WITH_SOURCES[:-1]
RIGHT: Final = {"signal", "owner", "age", "quiet for", "updates", "refused"}
INDENT: Final = "    "
DEEPEST: Final = 12  # indents
ROOM: Final = 24  # columns that are left for what was said
AT_ONCE: Final = 500  # lines
LEAST: Final = 8  # columns of what stands beside a label, on however narrow a screen
WORDS: Final = re.compile(r"\s*\S+\s*")
# https://en.wikipedia.org/wiki/ANSI_escape_code#Select_Graphic_Rendition_parameters
BOLD, DIM, HEAD = "1", "2", "1;4"
RED, GREEN, YELLOW = "1;31", "32", "33"
STYLES: Final = {
    Standing.LIVE: GREEN,
    Standing.QUIET: "",
    Standing.RELEASED: DIM,
    Standing.ENDED: YELLOW,
    Standing.UNREAD: DIM,
}
LABELS: Final = {"yes": GREEN, "NO": RED, "?": YELLOW}


class Screen(Protocol):
    """Where answers go. A console of rich is one, too."""

    @property
    def file(self) -> TextIO: ...
    @property
    def width(self) -> int: ...
    @property
    def color_system(self) -> str | None:
        """None: it shows no colours."""


def show_rows(screen: Screen, rows: Sequence[Row]) -> None:
    wide = max((cell_len(row.label) for row in rows), default=0)
    room = max(LEAST, screen.width - wide - len(GAP))
    for label, text in rows:
        first = _styled(screen, label, LABELS.get(label, BOLD)) + " " * (wide - cell_len(label))
        for line in _wrapped(text, room):
            screen.file.write(f"{first}{GAP}{line}".rstrip() + "\n")
            first = " " * wide


def _styled(screen: Screen, text: str, style: str) -> str:
    return _in_style(text, style) if screen.color_system else text


def _plain(text: str, _style: str) -> str:
    return text


def _in_style(text: str, style: str) -> str:
    return f"\x1b[{style}m{text}\x1b[0m" if text and style else text


def show_flows(screen: Screen, flows: Sequence[Overview], *, none: str = "no flow") -> None:
    """`none`: what to say where there is none. Tens of thousands take no second."""
    if not flows:
        for line in _wrapped(none, screen.width):
            screen.file.write(f"{line}\n")
        return
    heads = WITH_SOURCES if any(flow.source for flow in flows) else HEADS
    columns = [_Column(head, [str(CELLS[head](flow)) for flow in flows]) for head in heads]
    fits = sum(each.width for each in columns) + len(GAP) * (len(columns) - 1) <= screen.width
    lines = _table(flows, columns) if fits else _cards(flows, screen.width)
    coloured = _in_style if screen.color_system else _plain
    shown = (f"{coloured(*line)}\n" for line in lines)
    while some := "".join(islice(shown, AT_ONCE)):
        screen.file.write(some)


class _Column:
    """Most have few different cells, however many there are."""

    def __init__(self, head: str, cells: list[str]) -> None:
        self._different = {head, *cells}
        self._head, self._cells = head, cells
        self.width = max(map(_wide, self._different))

    def filled(self) -> Iterator[str]:
        """Up to the width; the head first."""
        filled = {each: self._fill(each) for each in self._different}
        return (filled[each] for each in chain([self._head], self._cells))

    def _fill(self, cell: str) -> str:
        blanks = " " * (self.width - _wide(cell))
        return f"{blanks}{cell}" if self._head in RIGHT else f"{cell}{blanks}"


def _wide(text: str) -> int:
    """As `cell_len`, which takes ten times as long for what most texts are."""
    return len(text) if text.isascii() else cell_len(text)


def _table(flows: Sequence[Overview], columns: Sequence[_Column]) -> Iterator[tuple[str, str]]:
    """Each line with its style."""
    rows = zip(*(each.filled() for each in columns), strict=True)
    styles = chain([HEAD], (STYLES[flow.standing] for flow in flows))
    return ((GAP.join(row).rstrip(), style) for row, style in zip(rows, styles, strict=True))


def _cards(flows: Sequence[Overview], width: int) -> Iterator[tuple[str, str]]:
    """Two or three short lines for each, for the width of a telephone."""
    wide = max(len(flow.signal) for flow in flows)
    room, rest = width - wide - 1, " " * (wide + 1)
    for flow in flows:
        first, style = f"{flow.signal:<{wide}} ", STYLES[flow.standing]
        what = f"{flow.pair} {flow.direction} by" if flow.direction else f"{flow.pair} by"
        of = f", {flow.source}" if flow.source else ""
        how = f"{flow.released}, {counted(flow.updates, 'update')}, {flow.refused} refused{of}"
        for line in chain(_wrapped(f"{what} {flow.owner}", room), _wrapped(how, room)):
            yield f"{first}{line}", style
            first = rest


def _wrapped(text: str, width: int) -> list[str]:
    """At blanks, and within a word that no line has room for."""
    if _wide(text) <= width and "\n" not in text:
        return [text]
    return [line for whole in text.split("\n") for line in _lines(whole, max(1, width))]


def _lines(text: str, width: int) -> Iterator[str]:
    line, used = "", 0
    for word in WORDS.findall(text):
        long = cell_len(word.rstrip())
        if used and used + long > width:
            yield line.rstrip()
            line, used = "", 0
        if long > width:
            *whole, word = chop_cells(word, width)  # noqa: PLW2901  # the rest of it
            yield from whole
        line += word
        used = cell_len(line)
    yield line.rstrip()


def show_thread(screen: Screen, thread: Thread) -> None:
    """What was said as a tree. Deeper than `DEEPEST` it goes on without being indented any more."""
    show_rows(screen, thread.about)
    for line in ("", *_wrapped(thread.root.text, screen.width)):
        screen.file.write(f"{line}\n")
    deepest = min(DEEPEST, max(1, (screen.width - ROOM) // len(INDENT)))
    for (first, rest), reply in _branches(thread.root, deepest):
        branch, style = first, DIM if reply.refused else ""
        for line in _wrapped(reply.text, screen.width - cell_len(first)):
            screen.file.write(f"{branch}{_styled(screen, line, style)}\n")
            branch = rest


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
