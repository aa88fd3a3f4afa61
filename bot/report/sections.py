"""What a picture says: for each of its sections the finding, the numbers and the charts."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from math import ceil
from typing import TYPE_CHECKING, Final, NamedTuple

from bot.models import AfterTtl, AuthorId, Outcome
from bot.report import charts, periods, sources, track_record
from bot.report.charts import HALF, WIDE
from bot.report.figures import Load, Voice, stretches
from bot.report.parts import Cell, Chart, Section, Table, Tile, chart, left_out
from bot.report.words import HOUR, counted, isolated, lasting, number, share, short

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from markupsafe import Markup

    from bot.report.charts import Size
    from bot.report.figures import Answers, Figures, Hold, Pause, Story

AUTHORS, REPLIERS = 6, 15  # with a column, with a row of their own
WHO, WHOM = 0, 1  # of a pair in `Answers`
NARROW_COLUMNS: Final = 3  # more than these have their names upright
SHADES: Final = 4
TTLS: Final = tuple(hours * HOUR for hours in (1, 6, 12, 24, 48, 72, 120, 168))
VOICES: Final = {
    Voice.AUTHOR: "the author's",
    Voice.RELEASED: "somebody else's, relayed since the signal was free",
    Voice.REFUSED: "somebody else's, kept back",
}
DOTS: Final = {
    Voice.AUTHOR: "author's update",
    Voice.REFUSED: "kept back",
    Voice.RELEASED: "relayed since the signal was free",
}
LOADS: Final = {
    Load.SIGNAL: "signals",
    Load.RELAYED: "updates relayed",
    Load.REFUSED: "replies kept back",
    Load.OTHER: "all else",
}


class PageHead(NamedTuple):
    """What the figures are of."""

    title: str
    origin: str  # where they come from, and what is not in them
    after_ttl: AfterTtl
    until: int | None  # unix seconds; None: the last message
    until_what: str = "now"
    messages: str = "message"  # what one of them is called


def tiles(figures: Figures, answers: Answers, about: PageHead) -> list[Tile]:
    by = figures.outcomes
    voiced = _voiced(answers)
    others = voiced.total() - voiced[Voice.AUTHOR]
    return [
        Tile(share(others, voiced.total()) if voiced else "–", "of replies not the author's"),
        Tile(number(by.total()), _noun(by.total(), about.messages)),
        Tile(number(by[Outcome.SIGNAL]), _noun(by[Outcome.SIGNAL], "signal"), "signal"),
        Tile(number(by[Outcome.UPDATE]), "updates relayed", "author"),
        Tile(number(by[Outcome.REJECTED]), "replies kept back", "refused"),
    ]


def sections(figures: Figures, answers: Answers, about: PageHead) -> list[Section]:
    stories = [story for story in figures.stories() if _holds(figures, [story])]
    return [
        *sources.sections(figures),
        periods.section(figures, about.until),
        _voices(figures, answers),
        _flows(figures, stories, about),
        _answers(figures, answers),
        _pauses(figures),
        *track_record.sections(figures),
        _hours(figures, about),
    ]


def rule(figures: Figures, about: PageHead) -> str:
    ttl = lasting(figures.ttl)
    if about.after_ttl is AfterTtl.OWNER:
        return f"Only its author may continue a signal, for good. What would be free by a {ttl} rule is shown."
    return (
        f"Only its author may continue a signal, until {ttl} after their last word on it; then "
        f"it is free for everybody: the {ttl} rule."
    )


# ── whose replies ─────────────────────────────────────────────────────────────


def _voices(figures: Figures, answers: Answers) -> Section:
    voiced = _voiced(answers)
    total, his = voiced.total(), voiced[Voice.AUTHOR]
    if not total:
        return Section(
            "voices", "Nobody has replied to a signal", "Neither its author nor anybody else."
        )
    by_owner: dict[AuthorId, Counter[Voice]] = {}
    for (_, owner), each in answers.items():
        by_owner.setdefault(owner, Counter()).update(each)
    ranked = sorted(by_owner.items(), key=lambda item: (-item[1].total(), item[0]))
    rows = [(figures.name(owner), each) for owner, each in ranked]
    return Section(
        "voices",
        f"{share(total - his, total)} of the replies to signals were not the author's",
        f"From the author of the signal: {number(his)} of {number(total)}. From others: "
        f"{number(voiced[Voice.REFUSED])} kept back, {number(voiced[Voice.RELEASED])} relayed "
        "since the signal was free. Beside each author: how many replies their signals had.",
        [
            chart(
                "voices",
                "Replies, by the author of the signal they answer",
                [(voice, text) for voice, text in VOICES.items() if voiced[voice]],
                lambda size: charts.voices(rows[: size.rows], size),
            )
        ],
        left_out=left_out(len(rows), len(rows), "more author"),
    )


def _voiced(answers: Answers) -> Counter[Voice]:
    return sum(answers.values(), Counter[Voice]())


# ── flows over time ───────────────────────────────────────────────────────────


def _flows(figures: Figures, stories: Sequence[Story], about: PageHead) -> Section:
    if not stories:
        return Section("flows", "No signal was running", "No message was taken for a signal.")
    holds = _holds(figures, stories)
    whole = sum(hold.end - hold.start for hold in holds)
    most = counted(_most_at_once(holds, figures.since or 0), "signal was", "signals were")
    shown = [story for story in stories if story.replies] or stories
    return Section(
        "flows",
        f"At most {most} running at once",
        f"{counted(len(stories), 'signal')}. {share(figures.ttl * len(holds), whole)} of the time "
        f"they ran is the {lasting(figures.ttl)} rule's: it keeps a signal for its author, in case "
        "they come back. Below, the newest one by one: how long the author was at work, how long "
        "the signal was kept for them, and who replied when.",
        [_occupation(figures, stories), _timeline(figures, shown, about)],
        left_out=left_out(len(shown), len(stories), "more signal"),
    )


def _holds(figures: Figures, stories: Iterable[Story]) -> list[Hold]:
    return [
        hold for story in stories for hold in story.holds(figures.ttl) if figures.counts(hold.end)
    ]


def _most_at_once(holds: Iterable[Hold], since: int) -> int:
    changes: list[tuple[int, int]] = []
    for hold in holds:
        # The last second is still the author's.
        changes += [(max(hold.start, since), 1), (hold.end + 1, -1)]
    at_once = most = 0
    for _, change in sorted(changes):
        at_once += change
        most = max(most, at_once)
    return most


def _occupation(figures: Figures, stories: Sequence[Story]) -> Chart:
    holds = _holds(figures, stories)
    start = max(figures.since or 0, min(hold.start for hold in holds))
    end = max(hold.end for hold in holds)

    def draw(size: Size) -> Markup:
        step = charts.step_for(end - start, size.bars - 1)
        first = start // step * step
        parts = stretches(stories, figures.ttl, first, end + 1, step)
        return charts.occupation(parts, step, size)

    legend = [
        ("author", "author at work"),
        ("tail", f"kept for them by the {lasting(figures.ttl)} rule"),
    ]
    return chart("occupation", "How many signals ran at once, at most", legend, draw)


def _timeline(figures: Figures, stories: Sequence[Story], about: PageHead) -> Chart:
    there = {story.voice(reply) for story in stories[-WIDE.rows :] for reply in story.replies}
    legend = [
        ("span", "author at work"),
        ("tail", f"kept by the {lasting(figures.ttl)} rule"),
        *((f"{voice} dot", text) for voice, text in DOTS.items() if voice in there),
        ("until", about.until_what),
    ]
    until = figures.last or 0 if about.until is None else about.until
    return chart(
        "timeline",
        "The newest signals and the replies to them, over time",
        legend,
        lambda size: charts.timeline(stories[-size.rows :], figures.ttl, until, size),
    )


# ── who answers whom ──────────────────────────────────────────────────────────


def _answers(figures: Figures, answers: Answers) -> Section:
    if not answers:
        return Section(
            "answers", "Nobody has answered anybody", "Replies to signals would count here."
        )
    return Section(
        "answers",
        _busiest(figures, answers),
        "Replies, by who wrote them (rows) and whose signals they answer (columns). "
        "Blue: authors below their own signals.",
        table=_matrix(figures, answers),
    )


def _busiest(figures: Figures, answers: Answers) -> str:
    replies = Counter[AuthorId | None]()
    for (replier, owner), voiced in answers.items():
        if replier != owner:
            replies[replier] += voiced.total()
    if not replies:
        return "Only authors replied, each to their own signals"
    replier, count = replies.most_common(1)[0]
    name = isolated(figures.name(replier))
    return f"{name} answers others most: {counted(count, 'reply', 'replies')}"


def _matrix(figures: Figures, answers: Answers) -> Table:
    rows, repliers = _places(figures, answers, WHO, REPLIERS)
    columns, authors = _places(figures, answers, WHOM, AUTHORS)
    cells: dict[tuple[int, int], Counter[Voice]] = {}
    for (who, whom), voiced in answers.items():
        cells.setdefault((rows[who], columns[whom]), Counter()).update(voiced)
    most = max(
        (_others(voiced) for place, voiced in cells.items() if not _is_sum(*place)), default=0
    )

    def cell(row: int, column: int) -> Cell:
        voiced = cells.get((row, column))
        return _cell(voiced, None if _is_sum(row, column) else most) if voiced else Cell("")

    return Table(
        _kind(len(authors)),
        [Cell(""), *(Cell(name, "name", name) for name in authors)],
        [
            [Cell(name, "name", name), *(cell(row, column) for column in range(len(authors)))]
            for row, name in enumerate(repliers)
        ],
    )


def _places(
    figures: Figures, answers: Answers, side: int, at_most: int
) -> tuple[dict[AuthorId | None, int], list[str]]:
    """A row or column for each of the busiest, a last one for all others; and their names."""
    totals = Counter[AuthorId | None]()
    for pair, voiced in answers.items():
        totals[pair[side]] += voiced.total()
    ranked = [author for author, _ in totals.most_common()]
    names = [figures.name(author) for author in ranked[:at_most]]
    if ranked[at_most:]:
        names.append(counted(len(ranked) - at_most, "other"))
    return {author: min(place, at_most) for place, author in enumerate(ranked)}, names


def _kind(columns: int) -> str:
    return f"{'few' if columns <= NARROW_COLUMNS else 'many'} columns{columns}"


def _is_sum(row: int, column: int) -> bool:
    return row == REPLIERS or column == AUTHORS


def _cell(voiced: Counter[Voice], most: int | None) -> Cell:
    """`most` None: the cell sums up many people, and its shade would outshine theirs."""
    tip = ", ".join(f"{number(voiced[voice])} {VOICES[voice]}" for voice in Voice if voiced[voice])
    kind = "own" if not _others(voiced) else "sum"
    if kind == "sum" and most:
        kind = f"shade{ceil(SHADES * _others(voiced) / most)}"
    return Cell(short(voiced.total()), kind, tip)


def _others(voiced: Counter[Voice]) -> int:
    return voiced.total() - voiced[Voice.AUTHOR]


# ── authors' pauses ───────────────────────────────────────────────────────────


def _pauses(figures: Figures) -> Section:
    pauses = list(figures.pauses())
    his = sorted(pause.seconds for pause in pauses if pause.by_author)
    if not his:
        return Section(
            "pauses", "No author has updated their signal", "So any rule would have done."
        )
    in_time = bisect_right(his, figures.ttl)
    half, nine_tenths = lasting(_quantile(his, 0.5)), lasting(_quantile(his, 0.9))
    return Section(
        "pauses",
        f"Half of the authors' updates come within {half}, nine in ten within {nine_tenths}",
        f"Counted from an author's last word on the signal. {number(in_time)} of "
        f"{counted(len(his), 'update')} came within the {lasting(figures.ttl)} rule; the longest "
        f"pause was {lasting(his[-1])}. A shorter rule frees signals earlier, and lets more of the "
        "others in:",
        [
            chart(
                "pauses",
                "How long authors were silent before an update",
                [("author", f"within {lasting(figures.ttl)}"), ("late", "later")][
                    : 1 + (in_time < len(his))
                ],
                lambda size: charts.pauses(pauses, figures.ttl, size),
                size=HALF,
            )
        ],
        table=_ttls(figures.ttl, pauses),
    )


def _quantile(ordered: Sequence[int], part: float) -> int:
    """The least value that so large a part does not exceed."""
    return ordered[ceil(part * len(ordered)) - 1]


def _ttls(now: int, pauses: Sequence[Pause]) -> Table:
    his = [pause.seconds for pause in pauses if pause.by_author]
    others = [pause.seconds for pause in pauses if not pause.by_author]
    rows = []
    for ttl in sorted({*TTLS, now}):
        in_time = sum(seconds <= ttl for seconds in his)
        let_in = sum(seconds > ttl for seconds in others)
        kind = "now" if ttl == now else ""
        rows.append(
            [
                Cell(lasting(ttl), f"name {kind}"),
                Cell(share(in_time, len(his)), kind),
                Cell(number(let_in), kind),
            ]
        )
    return Table(
        "ttls", [Cell("rule"), Cell("updates in time"), Cell("others' replies let in")], rows
    )


# ── hours ─────────────────────────────────────────────────────────────────────


def _hours(figures: Figures, about: PageHead) -> Section:
    total = figures.outcomes.total()
    if not total:
        return Section("hours", "Nothing was said", "There is no message.")
    loads = [load.total() for load in figures.hours]
    hour = loads.index(max(loads))
    there = {kind for load in figures.hours for kind in load}
    return Section(
        "hours",
        f"The busiest hour is {hour:02}:00–{(hour + 1) % 24:02}:00 UTC",
        f"{number(loads[hour])} of {counted(total, about.messages)} came in it.",
        [
            chart(
                "hours",
                "Messages by the hour of the day",
                [(kind, text) for kind, text in LOADS.items() if kind in there],
                lambda size: charts.hours(figures.hours, size),
            )
        ],
    )


def _noun(count: int, noun: str) -> str:
    return noun if count == 1 else f"{noun}s"
