"""How answers look in a chat on a telephone: short lines, and nothing in them live but our links.

What people wrote is within code entities: in them Telegram makes no link, mention or command of
anything, so nobody can have an operator give an order by a word in a signal.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from rich.cells import cell_len, chop_cells

from bot.admin.flows import replies
from bot.models import Entity
from bot.phrases import phrase

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bot.admin.flows import Overview, Thread
    from bot.admin.formatting import Row
    from bot.models import Button
    from bot.phrases import Say

COLUMNS: Final = 40
INDENT: Final = "  "
IN_A_ROW: Final = 3  # buttons
DEEPEST: Final = 5  # indents; a thread may go deeper than a telephone is wide
# What a shell calls `python -m bot flows 3` or `retry 5` is a command here.
COMMAND: Final = re.compile(r"`(?:python -m bot )?(flows|retry|resume|release)\b([^`]*)`")
LINK: Final = re.compile(r"https://t\.me/c/\d+/\d+")


class ChatLine(NamedTuple):
    text: str
    live: bool = False  # a link of ours; all else is data


class Page(NamedTuple):
    text: str
    entities: tuple[Entity, ...]


class Answer(NamedTuple):
    text: str
    entities: tuple[Entity, ...] = ()
    buttons: tuple[tuple[Button, ...], ...] = ()


def shown(lines: Iterable[ChatLine], buttons: tuple[tuple[Button, ...], ...] = ()) -> Answer:
    return Answer(*page(lines), buttons)


def notice(text: str) -> Answer:
    """Words of ours and nobody else's; commands in them can be tapped."""
    return Answer("\n".join(line.text for line in wrapped("", text)))


def data(text: str) -> Answer:
    """Words of ours that others' are in."""
    return shown(line for each in text.split("\n") for line in wrapped("", each))


def page(lines: Iterable[ChatLine]) -> Page:
    """The lines as one text, with all that is data marked as such."""
    text, entities = "", []
    start: int | None = None  # of the data that has not ended yet, in UTF-16 code units
    end = 0
    for line in lines:
        begins = _units(text)
        if line.live and start is not None:
            entities.append(Entity("code", start, end - start))
            start = None
        elif not line.live and start is None:
            start = begins
        text += f"{line.text}\n"
        end = begins + _units(line.text)
    if start is not None:
        entities.append(Entity("code", start, end - start))
    return Page(text.removesuffix("\n"), tuple(entities))


def as_commands(text: str) -> str:
    """In the words of this chat."""
    return COMMAND.sub(r"/\1\2", text)


def rows(found: Iterable[Row], say: Say) -> Iterator[ChatLine]:
    for label, text in ((say(row.label), say(row.text)) for row in found):
        name = f"{label}: " if label else INDENT
        linked = LINK.match(text)
        if linked is None:
            yield from wrapped(name, as_commands(text))
            continue
        if label:
            yield ChatLine(f"{label}:")
        yield ChatLine(linked[0], live=True)
        rest = text[linked.end() :].strip(" ,:")
        if rest:
            yield from wrapped(INDENT, as_commands(rest))


def flows(found: Sequence[Overview], say: Say) -> Iterator[ChatLine]:
    for flow in found:
        what = " ".join(filter(None, (flow.pair, flow.direction)))
        about = phrase("{signal} by {owner}", signal=what, owner=flow.owner)
        if flow.source:
            about = phrase("{signal} in {source}", signal=about, source=flow.source)
        yield from wrapped(f"{flow.signal}  ", say(about))
        held = phrase("live for {time} more", time=flow.left) if flow.left else flow.released
        quiet = flow.quiet_for or phrase("unknown")
        yield from wrapped(INDENT, say(phrase("{how}, quiet for {time}", how=held, time=quiet)))
        yield from wrapped(INDENT, say(replies(flow.updates, flow.refused)))


def thread(found: Thread, say: Say) -> Iterator[ChatLine]:
    yield from rows(found.about, say)
    yield ChatLine("")
    waiting = [(found.root, 0)]
    while waiting:  # without recursion: a thread may be deeper than Python's stack
        reply, depth = waiting.pop()
        yield from wrapped(INDENT * min(depth, DEEPEST), say(reply.text))
        waiting += ((answer, depth + 1) for answer in reply.answers[::-1])


def wrapped(first: str, text: str) -> Iterator[ChatLine]:
    """Lines of 40 columns at most, `first` in front; further ones are indented, if that is not ""."""
    indent = first[: len(first) - len(first.lstrip())] + (INDENT if first else "")
    line, empty = first, True
    for word in text.split():
        for piece in chop_cells(word, COLUMNS - len(indent)):
            gap = "" if empty else " "
            if cell_len(line + gap + piece) > COLUMNS and line.strip():
                yield ChatLine(line.rstrip())
                line, gap = indent, ""
            line, empty = line + gap + piece, False
    yield ChatLine(line.rstrip())


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "replace")) // 2


def in_rows(buttons: Sequence[Button]) -> tuple[tuple[Button, ...], ...]:
    return tuple(
        tuple(buttons[first : first + IN_A_ROW]) for first in range(0, len(buttons), IN_A_ROW)
    )
