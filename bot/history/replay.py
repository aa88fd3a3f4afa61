"""An export through the real intake: as a trial (`replay`) or into the real tables (`import`)."""

from __future__ import annotations

import json
import tempfile
import time
from array import array
from collections import Counter
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TextIO

from rich.cells import set_cell_size
from rich.color import ColorSystem
from rich.style import Style

from bot.admin.formatting import UNPRINTABLE, counted
from bot.app import Core, open_core
from bot.errors import UsageError
from bot.history.ended import EndedFlows
from bot.history.shown import by_place, rows, tally_of
from bot.models import MessageId, Outcome, UnixTime
from bot.monitoring.housekeeping import forget_old_refusals
from bot.rules.markers import parse
from bot.rules.signal_parser.events import event_of
from bot.rules.translation import has_words
from bot.signal_json import event_object, fields_object
from bot.storage import post_records, records

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence

    from rich.console import Console

    from bot.config import Settings
    from bot.history.export import ExportedChat
    from bot.history.shown import PlaceTally
    from bot.models import (
        AuthorId,
        Decision,
        IncomingMessage,
        MessageRef,
        Reason,
        SignalId,
    )
    from bot.routes import Routes
    from bot.server_address import ServerAddress
    from bot.storage.post_records import ShownPost
    from bot.storage.store import Counts


AT_ONCE: Final = 1_000  # messages of an import in one transaction


class Decided(NamedTuple):
    message: IncomingMessage
    decision: Decision
    signal_message_id: MessageId | None  # the source message that opened the flow
    posts: Sequence[ShownPost] = ()  # in all its places, where a file names them


class Report(Protocol):
    """Shown each decision as it falls, so that memory does not grow with the export."""

    def show(self, decided: Decided) -> None: ...

    def finish(self, tally: Tally) -> None:
        """Called once, also when the export broke off: what was read still counts."""


@dataclass(slots=True)
class Tally:
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    untranslated: Counter[str] = field(default_factory=Counter)  # by place; a trial asks nobody
    places: dict[str, PlaceTally] = field(default_factory=dict)  # where a file names them
    answers: int = 0  # of owners, in their own flows, to replies that were refused there
    reasons: dict[Outcome, Counter[Reason]] = field(
        default_factory=lambda: {outcome: Counter() for outcome in Outcome}
    )

    def count(self, decision: Decision) -> None:
        self.outcomes[decision.outcome] += 1
        self.reasons[decision.outcome][decision.reason] += 1

    def count_places(self, posts: Sequence[ShownPost]) -> None:
        for place, each in by_place(posts).items():
            self.places[place].count(each)

    def as_json(self) -> dict[str, object]:
        places = {name: place.as_json() for name, place in self.places.items()}
        return {
            **({"places": places} if places else {}),
            "messages": self.outcomes.total(),
            "signals": self.outcomes[Outcome.SIGNAL],
            "updates": self.outcomes[Outcome.UPDATE],
            "rejected": self.outcomes[Outcome.REJECTED],
            "ignored": self.outcomes[Outcome.IGNORED],
            "duplicates": self.outcomes[Outcome.DUPLICATE],
            "by_reason": dict(sorted(sum(self.reasons.values(), Counter[Any]()).items())),
        }


class _MessageClock:
    """Tells the date of the newest message, so that a flow is as fresh as it was then."""

    def __init__(self) -> None:
        self.now = UnixTime(0)

    def __call__(self) -> float:
        return self.now


class Trial:
    """One replay in a directory of its own. Nothing is sent and nothing of the bot's is touched.

    `routes`: see `rules_for`; None: the settings'. `translated`: the places of its source that are, with
    their languages.
    """

    def __init__(
        self,
        settings: Settings,
        routes: Routes | None = None,
        *,
        restart_every: int | None = None,
        translated: Iterable[str] = (),
    ) -> None:
        self._translated = tuple(translated)
        self._settings = settings
        self._routes = routes
        self._restart_every = restart_every
        self._clock = _MessageClock()
        # The message of each signal by the signal's id: ids of a new table count up from 1.
        self._signal_messages = array("q", [0])
        self._tally = Tally()
        if routes is not None and routes.places:
            self._tally.places = tally_of(routes.sources[0])
        self._owners: dict[SignalId, AuthorId | None] = {}
        self._refused: dict[MessageRef, SignalId] = {}  # replies, and into which flow

    async def run(self, messages: Iterable[IncomingMessage], report: Report) -> None:
        with tempfile.TemporaryDirectory(prefix="replay-") as directory:
            settings = self._settings.model_copy(
                update={"data_dir": Path(directory), "database_url": None}
            )
            await self._run(settings, messages, report)

    async def _run(
        self, settings: Settings, messages: Iterable[IncomingMessage], report: Report
    ) -> None:
        async with AsyncExitStack() as opened:
            core = await opened.enter_async_context(self._open(settings))
            try:
                for number, message in enumerate(messages):
                    if self._restart_every and number and number % self._restart_every == 0:
                        await opened.aclose()
                        core = await opened.enter_async_context(self._open(settings))
                    report.show(await self._decide(core, message))
            finally:
                report.finish(self._tally)

    @asynccontextmanager
    async def _open(self, settings: Settings) -> AsyncIterator[Core]:
        async with (
            open_core(settings, self._routes, clock=self._clock, in_loop=True) as core,
            core.store.at_once(),
        ):
            yield core

    async def _decide(self, core: Core, message: IncomingMessage) -> Decided:
        self._clock.now = max(self._clock.now, message.at)
        decision = await core.intake.handle(message)
        self._tally.count(decision)
        self._tally.answers += self._is_an_answer(message)
        if self._translated and decision.accepted and has_words(message.text):
            self._tally.untranslated.update(self._translated)
        signal_id = decision.signal_id
        if decision.outcome is Outcome.SIGNAL:
            self._signal_messages.append(message.id)
            if signal_id is not None:
                self._owners[signal_id] = message.author
        elif decision.outcome is Outcome.REJECTED and signal_id is not None:
            self._refused[message.ref] = signal_id
        signal = None if signal_id is None else MessageId(self._signal_messages[signal_id])
        posts: Sequence[ShownPost] = ()
        if self._tally.places and decision.accepted:
            posts = await core.store.ask(partial(post_records.shown, ref=message.ref))
            self._tally.count_places(posts)
        return Decided(message, decision, signal, posts)

    def _is_an_answer(self, message: IncomingMessage) -> bool:
        flow = None if message.reply_to is None else self._refused.get(message.reply_to)
        author = message.author
        return flow is not None and author is not None and self._owners.get(flow) == author


def rules_for(routes: Routes, chat: ExportedChat, name: str | None = None) -> Routes:
    """Those of the source that this chat is, or of the one of that name. Without a file no posts are made.

    Where there is but one source, its rules are tried on whatever chat. Raises `UsageError`.
    """
    here = [each for each in routes.sources if each.chat == chat.id]
    if name is not None:
        here = [each for each in routes.sources if each.name == name]
    elif len(routes.sources) == 1:
        here = list(routes.sources)
    if len(here) == 1:
        one = replace(routes, sources=(replace(here[0], chat=None, topic=None),))
        return one if routes.named else one.without_places()
    known = ", ".join(each.name for each in routes.sources)
    raise UsageError(f"--source: which rules? {chat.name!r} ({chat.id}) is none of {known}")


def translated_places(routes: Routes, source: str) -> list[str]:
    """Of the source of that name, each with its language."""
    found = routes.source(source)
    places = () if found is None else found.places
    services = ((place.label, place.presentation.translate) for place in places)
    return [f"to {how.to} in {label}" for label, how in services if how is not None]


async def import_history(
    settings: Settings,
    routes: Routes,
    chat: ExportedChat,
    messages: Iterable[IncomingMessage],
    report: Report,
    *,
    tell: Callable[[str], None],
) -> None:
    """Write a history's signals, updates and flows into the real tables; post nothing.

    Flows that have gone quiet are only in the table, live ones in the disk cache as well. `tell` is given
    a line of what was written and where, also if the export broke off.
    """
    _refuse_another(routes, chat)
    tally = Tally()
    async with open_core(settings, routes.without_places(), in_loop=True) as core:
        # Else they would be missing from what is counted below.
        await forget_old_refusals(core.store)
        before = await core.store.counts()
        ended = EndedFlows(core.store, await core.store.ask(records.all_ended_by_hand))
        live_since = time.time() - max(source.ttl for source in routes.sources).total_seconds()
        try:
            async with aclosing(_at_once(core, messages, live_since)) as many:
                async for message in many:
                    refused = await ended.refused(message)
                    decision = refused or await core.intake.handle(message)
                    tally.count(decision)
                    report.show(Decided(message, decision, None))
        finally:
            await forget_old_refusals(core.store)
            report.finish(tally)
            tell(_written(before, await core.store.counts(), settings.database))


async def _at_once(
    core: Core, messages: Iterable[IncomingMessage], live_since: float
) -> AsyncGenerator[IncomingMessage, None]:
    """Many in one transaction, up to one whose flow may be in the caches: what they hold is in the table."""
    live = False
    async with AsyncExitStack() as together:
        for number, message in enumerate(messages):
            live = live or message.begun_at >= live_since
            if live or number % AT_ONCE == 0:
                await together.aclose()
            if not live and number % AT_ONCE == 0:
                await together.enter_async_context(core.store.at_once())
            yield message


def _refuse_another(routes: Routes, chat: ExportedChat) -> None:
    """Raises `UsageError` for a chat that is no source, or of which one topic is."""
    named = f"this is the history of {chat.name!r} ({chat.id})"
    here = routes.sources_in(chat.id)
    if not here and len(routes.chats) == 1:
        raise UsageError(f"{named}, but SOURCE_CHAT_ID is {routes.chats[0]}")
    if not here:
        raise UsageError(f"{named}, but read are {', '.join(map(str, routes.chats))}")
    if here[0].topic is not None:
        raise UsageError(f"{named}, of which topics are read, and an export does not tell them")


def _written(before: Counts, after: Counts, database: Path | ServerAddress) -> str:
    """Refusals may have been too old to be kept, and older ones may have gone meanwhile."""
    new = [max(0, now - then) for then, now in zip(before, after, strict=True)]
    counts = map(counted, new, ("signal", "update", "refusal"))
    return "wrote {}, {} and {} to {}".format(*counts, database)


class SummaryReport:
    def __init__(self, console: Console) -> None:
        self._console = console

    def show(self, decided: Decided) -> None:
        """Nothing yet: only the sums are of interest."""

    def finish(self, tally: Tally) -> None:
        self._console.print(summary(tally), soft_wrap=True)


class JsonReport:
    """One object, written as it comes: `decisions` first, then `finish` adds the counts."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._separator = '{"decisions": [\n'

    def show(self, decided: Decided) -> None:
        message, decision, signal_message_id = decided[:3]
        is_signal, is_update = (
            decision.outcome is each for each in (Outcome.SIGNAL, Outcome.UPDATE)
        )
        row = {
            "message_id": message.id,
            "author": message.author,
            "at": message.at,
            "outcome": decision.outcome,
            "reason": decision.reason,
            "tier": decision.tier,
            "signal_message_id": signal_message_id,
            "fields": fields_object(parse(message.text)) if is_signal else None,
            "event": event_object(event_of(message.text)) if is_update else None,
        }
        self._out.write(self._separator + json.dumps(row))
        self._separator = ",\n"

    def finish(self, tally: Tally) -> None:
        opening = self._separator if not tally.outcomes else ""
        counts = json.dumps(tally.as_json())
        self._out.write(f"{opening}\n], {counts[1:]}\n")


STYLES: Final = {
    Outcome.SIGNAL: Style(bold=True, color="green"),
    Outcome.UPDATE: Style(color="green"),
    Outcome.REJECTED: Style(color="red"),
    Outcome.IGNORED: Style(dim=True),
    Outcome.DUPLICATE: Style(color="yellow"),
}
HEADER: Final = Style(bold=True, underline=True)


class TableReport(SummaryReport):
    """A line a message. Columns have fixed widths, because a line is printed before the next."""

    COLUMNS: Final = {
        "message": 8,
        "date": 11,
        "author": 16,
        "outcome": 9,
        "reason": 16,
        "tier": 6,
        "flow": 8,
    }

    def __init__(self, console: Console) -> None:
        self._console = console
        taken = sum(self.COLUMNS.values()) + len(self.COLUMNS)
        self._text_width = max(10, console.width - taken)
        self._colours = ColorSystem.STANDARD if console.color_system else None
        self._started = False

    def show(self, decided: Decided) -> None:
        if not self._started:
            self._started = True
            date = f"date ({datetime.now().astimezone():%Z})"
            heads = [date if name == "date" else name for name in self.COLUMNS]
            self._line([*heads, "text"], HEADER)
        message, decision, signal_message_id = decided[:3]
        self._line(
            [
                str(message.id),
                datetime.fromtimestamp(message.at, UTC).astimezone().strftime("%m-%d %H:%M"),
                message.author_name or str(message.author or "unknown"),
                decision.outcome,
                decision.reason,
                decision.tier or "",
                str(signal_message_id or ""),
                message.text or f"[{_wordless(message)}]",
            ],
            STYLES[decision.outcome],
        )

    def finish(self, tally: Tally) -> None:
        self._console.print(summary(tally), soft_wrap=True)

    def _line(self, cells: list[str], style: Style) -> None:
        widths = [*self.COLUMNS.values(), self._text_width]
        fitted = (
            set_cell_size(UNPRINTABLE.sub(" ", cell[: 4 * width]).strip(), width)
            for cell, width in zip(cells, widths, strict=True)
        )
        # `Console.print` would lay out and wrap each line anew, at the cost of a whole decision.
        line = style.render(" ".join(fitted).rstrip(), color_system=self._colours)
        self._console.file.write(line + "\n")


def _wordless(message: IncomingMessage) -> str:
    """What a message is that says nothing. There are media that no export names."""
    if message.media is not None:
        return message.media.kind
    return "service" if message.service else "no text"


def summary(tally: Tally) -> str:
    """What became of the messages, with shares: of the replies into flows, then of all."""
    by = tally.outcomes
    replies = by[Outcome.UPDATE] + by[Outcome.REJECTED]
    lines = [f"{by.total():>8} messages"]
    for outcome, whole, name in (
        (Outcome.SIGNAL, by.total(), "messages"),
        (Outcome.UPDATE, replies, "replies into flows"),
        (Outcome.REJECTED, replies, "replies into flows"),
        (Outcome.IGNORED, by.total(), "messages"),
        (Outcome.DUPLICATE, by.total(), "messages"),
    ):
        if by[outcome]:
            reasons = ", ".join(
                f"{reason} {number}" for reason, number in tally.reasons[outcome].most_common()
            )
            share = f"{by[outcome] / whole:.0%} of {name}"
            lines.append(f"{by[outcome]:>8} {outcome:<10}{share:<28}{reasons}")
    lines += rows(tally.places)
    if tally.answers:
        own = "by owners to replies refused in their own flows: `answers` in routes.toml"
        lines.append(f"{tally.answers:>8} answers   {own}")
    for where, number in tally.untranslated.items():
        lines.append(f"{number:>8} would be translated {where}; no service was asked")
    return "\n".join(lines)
