"""Pictures: what they are drawn of, and where the page goes."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from bot.atomic_file import AtomicFile
from bot.errors import ExportError, UsageError
from bot.models import Fact, Outcome, UnixTime
from bot.report import sources
from bot.report.figures import Figures, SourceCounts
from bot.report.page import page
from bot.report.sections import PageHead
from bot.report.words import day
from bot.rules.markers import parse
from bot.rules.signal_parser.events import event_of
from bot.storage import people, records
from bot.storage.history import begin_of, facts
from bot.storage.records import REFUSALS_KEPT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

    from bot.history.export import ExportedChat
    from bot.history.replay import Decided, Report, Tally
    from bot.routes import Routes, Source
    from bot.storage.outbox import Run


AT_MOST: Final = 100_000  # messages of a kind; of more, the newest


class BesidePage(NamedTuple):
    """Of a page, beside it."""

    empty: str | None  # why there is nothing to see; None: there is
    sources: list[str]  # a line of each, where there are several


@contextmanager
def drawn(report: Report, rules: Source, chat: ExportedChat, html: Path) -> Iterator[Report]:
    """The report, and at the end a page besides. Also of an export that breaks off."""
    file = PageFile(html)
    figures = Figures(rules.ttl)
    about = PageHead(
        title=chat.name or str(chat.id),
        origin="An exported chat, and what the bot would have done with it.",
        after_ttl=rules.after_ttl,
        until=None,
        until_what="end of the export",
    )
    try:
        yield Both(report, Counted(figures))
    except ExportError:
        broken = "An exported chat that is damaged: this is what comes before the damage."
        file.write(page(figures, about._replace(origin=broken)))
        raise
    file.write(page(figures, about))


async def draw_tables(
    ask: Run, routes: Routes, html: Path, *, now: float, source: str | None = None
) -> BesidePage:
    """Of as long as refusals are kept: a share of updates and forgotten refusals would be none.

    `source`: its flows alone; None: all. Raises `UsageError` where one page cannot tell of all.
    """
    routes = routes.where_chats_are(await ask(records.moved))
    rules = _rules_of(routes, source)
    file = PageFile(html)
    window = int(now) - REFUSALS_KEPT
    since = UnixTime(await ask(partial(begin_of, since=window, at_most=AT_MOST)))
    several = source is None and len(routes.sources) > 1
    told_apart = {each.name: SourceCounts() for each in routes.sources} if several else {}
    figures = Figures(rules.ttl, since=since, by_source=told_apart)

    def those_since(db: Connection, active_since: int | None) -> Iterator[tuple[Fact, str]]:
        for where, fact in facts(db, active_since=active_since):
            its = routes.rules_for(*where)
            if source is None or its is rules:
                yield fact, "" if its is None else its.name

    def look(db: Connection) -> UnixTime | None:
        newest = None
        # A flow whose last word is older than that was released before.
        for fact, its in those_since(db, since - figures.ttl):
            figures.add(fact, its)
            newest = max(newest or fact.at, fact.at)
        return newest or max((fact.at for fact, _ in those_since(db, None)), default=None)

    newest = await ask(look)
    for author, name in (await ask(partial(people.names, ids=figures.people()))).items():
        figures.call(author, name)
    shown = f"The last {REFUSALS_KEPT // 86_400} days" if since == window else f"Since {day(since)}"
    about = PageHead(
        title=shown + (f" of {source}" if source else ""),
        origin="From the tables of the bot. They hold signals, updates and what was kept back; "
        "they do not hold chatter.",
        after_ttl=rules.after_ttl,
        until=int(now),
        messages="recorded message",
    )
    file.write(page(figures, about))
    empty = None if newest is not None and newest >= since else _nothing(newest, source)
    return BesidePage(empty, sources.lines(figures))


def _nothing(newest: UnixTime | None, source: str | None) -> str:
    of = "" if source is None else f" of {source}"
    if newest is None:
        return f"it is empty: the tables hold nothing{of} yet; the bot fills them, or `import`"
    days = REFUSALS_KEPT // 86_400
    return (
        f"it is empty: it is of the last {days} days, and what the tables hold{of} is older, up to "
        f"{datetime.fromtimestamp(newest, UTC):%Y-%m-%d}; `replay FILE --html` draws an exported chat of any age"
    )


def _rules_of(routes: Routes, name: str | None) -> Source:
    names = ", ".join(each.name for each in routes.sources)
    if name is not None:
        found = routes.source(name)
        if found is None:
            raise UsageError(f"--source: there is no source {name}: there are {names}")
        return found
    first, *others = routes.sources
    if any((each.ttl, each.after_ttl) != (first.ttl, first.after_ttl) for each in others):
        raise UsageError(f"--source: flows do not last as long in all of {names}: name one of them")
    return first


class Counted:
    """The figures of a picture, growing with every decision."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def show(self, decided: Decided) -> None:
        message, decision, _ = decided[:3]
        fact = Fact(
            message_id=message.id,
            at=message.at,
            author=message.author,
            outcome=decision.outcome,
            reason=decision.reason,
            flow=decision.signal_id,
            author_name=message.author_name,
            album=message.album_id,
            chat=message.chat_id,
        )
        if decision.outcome is Outcome.SIGNAL:
            says = parse(message.text)
            fact = fact._replace(text=message.text, pair=says.pair, direction=says.direction)
        elif decision.outcome is Outcome.UPDATE:
            told = event_of(message.text)
            fact = fact._replace(event=told and told.kind)
        self._figures.add(fact)

    def finish(self, tally: Tally) -> None:
        """Nothing: the figures are complete as they are."""


class Both:
    def __init__(self, *reports: Report) -> None:
        self._reports = reports

    def show(self, decided: Decided) -> None:
        for report in self._reports:
            report.show(decided)

    def finish(self, tally: Tally) -> None:
        for report in self._reports:
            report.finish(tally)


class PageFile:
    """Where the page goes. Raises `UsageError` at once if nothing can be written there."""

    def __init__(self, path: Path) -> None:
        self._file = AtomicFile(path, option="--html")

    def write(self, html: str) -> None:
        with self._file.writing() as out:
            out.write(html)
