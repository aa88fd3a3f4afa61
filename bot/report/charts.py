"""The charts, as SVG that the page's own style sheet colours. pygal draws; no script runs.

Each chart is drawn for a `Size`, since letters in a drawing that is scaled down cannot be read.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache, partial
from itertools import count
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pygal
from markupsafe import Markup
from pygal.etree import etree
from pygal.style import Style
from rich.cells import cell_len

from bot.report.figures import Load, Voice
from bot.report.words import (
    DAY,
    HOUR,
    MINUTE,
    UNBROKEN,
    day,
    isolated,
    moment,
    number,
    short,
    short_day,
    wrapped,
)

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Iterator, Sequence

    from bot.report.figures import Pause, Story, Stretch


class Week(NamedTuple):
    start: int  # unix seconds
    continued: int  # signals that their authors came back to
    left: int  # those that they did not


class Size(NamedTuple):
    """What a chart has room for at the size at which it is read."""

    width: int  # pixels
    letters: int  # pixels
    name: int  # cells of a label beside a row
    dates: int  # labels below
    bars: int  # side by side
    rows: int
    dots: int  # of one kind, side by side in a row


WIDE: Final = Size(width=1040, letters=13, name=30, dates=12, bars=60, rows=20, dots=160)
HALF: Final = Size(width=500, letters=13, name=18, dates=6, bars=40, rows=12, dots=80)
NARROW: Final = Size(width=342, letters=12, name=19, dates=5, bars=30, rows=12, dots=60)

LETTER, CAPITAL = 0.6, 0.72  # of its height is a letter's width; pygal reckons with the first
HEIGHT: Final = 230  # pixels
ROW: Final = 30  # pixels
LINE: Final = 12  # tenths of a letter's height
NAME_LINES, SUBJECT_LINES = 6, 3
FOOT: Final = 34  # pixels
DOT: Final = 3.5  # pixels
ABOVE: Final = {Voice.AUTHOR: 0.0, Voice.RELEASED: 0.33, Voice.REFUSED: 0.33}  # its row, of a row
TICKS: Final = 5  # of a scale that counts
STEPS: Final = (
    *(HOUR * hours for hours in (1, 2, 3, 6, 12)),
    *(DAY * days for days in (1, 2, 3, 7, 14, 28, 91, 364)),
)
# Authors' pauses go from seconds to weeks, so each stretch is about twice the one before.
STRETCHES: Final = {
    5 * MINUTE: "5m",
    15 * MINUTE: "15m",
    HOUR: "1h",
    3 * HOUR: "3h",
    6 * HOUR: "6h",
    12 * HOUR: "12h",
    DAY: "1d",
    2 * DAY: "2d",
    3 * DAY: "3d",
    7 * DAY: "7d",
}


def voices(rows: Sequence[tuple[str, Counter[Voice]]], size: Size) -> Markup:
    """A bar for each name: whose the replies to that author's signals were, as shares of them."""
    labels = [
        _lines(f"{name} ·{UNBROKEN}{short(voiced.total())}", size, NAME_LINES)
        for name, voiced in rows
    ]
    look = _look(size, height=_row(labels, size) * len(rows) + FOOT, names=map(_widest, labels))
    chart = _quick(pygal.HorizontalStackedBar)(
        **look | {"value_formatter": lambda value: f"{round(value)}%"},
        x_labels=[_widest(each) for each in reversed(labels)],  # pygal counts from the bottom
        y_labels=[0, 25, 50, 75, 100],
    )
    for voice in Voice:
        bars = [
            _bar(
                100 * voiced[voice] / voiced.total(),
                f"{name}: {number(voiced[voice])} of {number(voiced.total())}",
            )
            for name, voiced in reversed(rows)
        ]
        chart.add(voice, bars)
    return _drawn(chart, labels[::-1])


def occupation(parts: Sequence[Stretch], step: int, size: Size) -> Markup:
    """How many signals ran at once when most did, in each stretch of `step` seconds."""
    start, end = parts[0].start, parts[-1].start + step
    dates = {at // step: label for at, label in _dates(start, end, size.dates)}
    chart = _quick(pygal.StackedBar)(
        **_look(size, height=HEIGHT),
        x_labels=[dates.get(part.start // step, "") for part in parts],
        y_labels=_scale(max(part.at_work + part.tails for part in parts)),
    )
    for name in ("at_work", "tails"):
        bars = []
        for part in parts:
            flows = getattr(part, name)
            bars.append(_bar(flows, f"{moment(part.start)}: {number(flows)}"))
        chart.add(name, bars)
    return _drawn(chart)


def timeline(stories: Sequence[Story], ttl: int, until: int, size: Size) -> Markup:
    """A row for each flow: its author's time, the tail of that, and everybody's replies."""
    labels = [_lines(story.about, size, SUBJECT_LINES) for story in stories]
    holds = [story.holds(ttl) for story in stories]
    # Replies as well: by a wrong clock they come before a signal, or later than now.
    replied = [reply.at for story in stories for reply in story.replies]
    start = min([*(held[0].start for held in holds), *replied])
    end = max([until, *(held[-1].end for held in holds), *replied])
    chart = _quick(pygal.XY)(
        **_look(size, height=_row(labels, size) * len(stories) + FOOT, names=map(_widest, labels)),
        xrange=(start, end),
        range=(0.5, len(stories) + 0.5),
        x_labels=[{"value": at, "label": label} for at, label in _dates(start, end, size.dates)],
        y_labels=[
            {"value": row, "label": _widest(each)}
            for row, each in enumerate(reversed(labels), start=1)
        ],
        allow_interruptions=True,
    )
    rows = list(zip(range(len(stories), 0, -1), holds, strict=True))
    spoken = [(hold.start, hold.last_word, row) for row, held in rows for hold in held]
    tails = [(hold.last_word, hold.end, row) for row, held in rows for hold in held]
    chart.add("tail", list(_strokes(tails)), show_dots=False)
    chart.add("spoken", list(_strokes(spoken)), show_dots=False)
    line = max(until, start)  # a wrong clock must not draw it over the labels
    chart.add("until", [(line, 0.5), (line, len(stories) + 0.5)], show_dots=False)
    grain = max(1, (end - start) // size.dots)
    for voice in (Voice.REFUSED, Voice.RELEASED, Voice.AUTHOR):  # the rarer over the others
        chart.add(voice, list(_dots(stories, voice, grain)), stroke=False, dots_size=DOT)
    return _drawn(chart, labels[::-1], [story.link for story in reversed(stories)])


def pauses(all_pauses: Iterable[Pause], ttl: int, size: Size) -> Markup:
    """How long authors were silent before their updates, and which of these came too late."""
    edges = [*STRETCHES, float("inf")]
    in_time, late = [0] * len(edges), [0] * len(edges)
    for pause in all_pauses:
        if pause.by_author:
            stretch = next(place for place, edge in enumerate(edges) if pause.seconds <= edge)
            (in_time if pause.seconds <= ttl else late)[stretch] += 1
    chart = _quick(pygal.StackedBar)(
        **_look(size, height=HEIGHT),
        x_labels=[*STRETCHES.values(), "more"],
        y_labels=_scale(max(sum(both) for both in zip(in_time, late, strict=True))),
    )
    labels = [*(f"within {label}" for label in STRETCHES.values()), "later"]
    for name, counts in (("in time", in_time), ("late", late)):
        bars = [
            _bar(value, f"{label}: {number(value)}")
            for label, value in zip(labels, counts, strict=True)
        ]
        chart.add(name, bars)
    return _drawn(chart)


def hours(loads: Sequence[Counter[Load]], size: Size) -> Markup:
    every = 24 // min(24, 2 * size.dates) if size.width < WIDE.width else 1
    chart = _quick(pygal.StackedBar)(
        **_look(size, height=HEIGHT),
        x_labels=[f"{hour:02}" if hour % every == 0 else "" for hour in range(24)],
        y_labels=_scale(max(load.total() for load in loads)),
    )
    for kind in Load:
        bars = [
            _bar(load[kind], f"{hour:02}:00–{hour:02}:59 UTC: {number(load[kind])}")
            for hour, load in enumerate(loads)
        ]
        chart.add(kind, bars)
    return _drawn(chart)


def weeks(signals: Sequence[Week], size: Size) -> Markup:
    """How many signals each week had, and whether their authors came back to them."""
    shown = signals[-size.bars :]
    every = -(-len(shown) // size.dates)
    chart = _quick(pygal.StackedBar)(
        **_look(size, height=HEIGHT),
        x_labels=[
            short_day(week.start) if place % every == 0 else "" for place, week in enumerate(shown)
        ],
        y_labels=_scale(max(week.continued + week.left for week in shown)),
    )
    for name in ("continued", "left"):
        bars = [
            _bar(getattr(week, name), f"{day(week.start)}: {number(getattr(week, name))}")
            for week in shown
        ]
        chart.add(name, bars)
    return _drawn(chart)


def step_for(seconds: int, at_most: int) -> int:
    """The shortest step of the calendar that takes no more than so many to go so far."""
    return next((step for step in STEPS if seconds / step <= at_most), -(-seconds // at_most))


def _dates(start: int, end: int, at_most: int) -> Iterator[tuple[int, str]]:
    step = step_for(end - start, at_most)
    for at in range(-(-start // step) * step, end + 1, step):
        yield at, _date(at, step)


def _date(at: int, step: int) -> str:
    date = datetime.fromtimestamp(at, UTC)
    if step < DAY:
        return f"{date:%H:%M}" if date.hour else f"{date.day} {date:%b}"
    return f"{date.day} {date:%b}" if step < 28 * DAY else f"{date:%b %y}"


def _scale(most: int) -> list[int]:
    """Round whole numbers from 0 to no less than the most."""
    steps = (n * 10**zeros for zeros in count() for n in (1, 2, 5))
    step = next(step for step in steps if step * TICKS >= most)
    return list(range(0, most + step, step))


def _strokes(rows: Iterable[tuple[int, int, int]]) -> Iterator[tuple[int | None, int | None]]:
    for start, end, row in rows:
        yield from ((start, row), (end, row), (None, None))


def _dots(stories: Sequence[Story], voice: Voice, grain: int) -> Iterator[dict[str, Any]]:
    """The replies of one kind; of those that would cover each other, the first."""
    for row, story in zip(range(len(stories), 0, -1), stories, strict=True):
        shown = set()
        for reply in sorted(story.replies, key=lambda reply: reply.at):
            if story.voice(reply) is voice and reply.at // grain not in shown:
                shown.add(reply.at // grain)
                yield {"value": (reply.at, row + ABOVE[voice]), "tooltip": moment(reply.at)}


def _bar(value: float, tooltip: str) -> dict[str, Any]:
    return {"value": value, "tooltip": tooltip}


def _lines(text: str, size: Size, at_most: int) -> list[str]:
    return wrapped(text, size.name, at_most)


def _widest(lines: Sequence[str]) -> str:
    return isolated(max(lines, key=_width))


def _row(labels: Iterable[Sequence[str]], size: Size) -> int:
    """The height of a row that has room for the longest of the labels, in pixels."""
    return max(ROW, LINE * size.letters * max(map(len, labels), default=1) // 10 + 4)


def _look(size: Size, *, height: int, names: Iterable[str] = ()) -> dict[str, Any]:
    names = list(names)
    # pygal reckons every letter to be of one width; for what is wider than that there is a margin.
    wide = max(map(_width, names), default=0) - LETTER * max(map(len, names), default=0)
    return {
        "width": size.width,
        "height": height,
        "style": Style(label_font_size=size.letters, major_label_font_size=size.letters),
        "margin": 0,
        "margin_top": 6,
        "margin_right": 20,
        "margin_left": 1 + round(max(0, wide) * size.letters),
        "spacing": 8,
        "show_legend": False,
        "truncate_label": -1,
        "rounded_bars": 2,
        "value_formatter": lambda value: number(round(value)),
        "css": (),
        "js": (),
        "no_prefix": True,
        "disable_xml_declaration": True,
    }


def _width(text: str) -> float:
    capitals = sum(char.isupper() for char in text)
    return LETTER * cell_len(text) + (CAPITAL - LETTER) * capitals


class _Quick:
    """Finds its attributes as pygal's charts do, which look three times for each: a quarter of a page."""

    def __getattribute__(self, name: str) -> Any:
        if name != "state" and not name.startswith("__"):
            state = object.__getattribute__(self, "__dict__").get("state")
            if state is not None and name in state.__dict__:
                return getattr(state, name)
        return object.__getattribute__(self, name)


@cache
def _quick(kind: type) -> Any:
    """The page's classes are called after the kind."""
    return type(kind.__name__, (_Quick, kind), {})


def _drawn(
    chart: Any, labels: Sequence[Sequence[str]] = (), links: Sequence[str | None] = ()
) -> Markup:
    """`labels`: those of the rows, in lines, in pygal's order; `links`: where they lead."""
    if labels:
        letters = chart.config.style.label_font_size
        more = {"labels": labels, "links": links or [None] * len(labels), "letters": letters}
        chart.add_xml_filter(partial(_labelled, **more))
    chart.add_xml_filter(_plain)
    # What pygal returns is XML made by an XML library: names in it are escaped.
    return Markup(chart.render())  # noqa: S704  # see above


def _labelled(
    root: Any, *, labels: Sequence[Sequence[str]], links: Sequence[str | None], letters: int
) -> Any:
    """Pygal knows labels of one line only; each gets its lines here, around where its line is."""
    axis = next(each for each in root.iter() if (each.get("class") or "").startswith("axis y"))
    texts = [each for each in axis.iter() if str(each.tag).endswith("text")]
    height = LINE * letters / 10
    parents = {child: parent for parent in axis.iter() for child in parent}
    for text, lines, link in zip(texts, labels, links, strict=True):
        text.text = ""
        for place, line in enumerate(lines):
            span = etree.SubElement(text, "tspan", {"x": text.get("x")})
            span.set("dy", f"{height if place else -height * (len(lines) - 1) / 2:g}")
            span.text = isolated(line)
        if link is not None:
            _linked(parents[text], text, link)
    return root


def _linked(parent: Any, text: Any, link: str) -> None:
    anchor = etree.Element("a", {"href": link})
    place = list(parent).index(text)
    parent.remove(text)
    parent.insert(place, anchor)
    anchor.append(text)


def _plain(root: Any) -> Any:
    """The drawing alone: no style, script, hidden text or comment, nothing of no size."""
    for key in ("id", "class"):
        root.attrib.pop(key, None)
    root.set("aria-hidden", "true")
    for parent in list(root.iter()):
        for child in list(parent):
            if _superfluous(parent, child):
                parent.remove(child)
    return root


def _superfluous(parent: Any, child: Any) -> bool:
    if not isinstance(child.tag, str):  # a comment
        return True
    kind = child.get("class", "")
    if child.tag == "title":
        return "bar" not in parent.get("class", "") and "dots" not in parent.get("class", "")
    if kind == "bar":
        return any(float(child.find("rect").get(side) or 0) == 0 for side in ("width", "height"))
    return child.tag in {"defs", "desc"} or "tooltip-overlay" in kind or "background" in kind
