"""Commands about an exported history, and pictures."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile, gettempdir
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.commands.context import (
    PlainCommand,
    Utc,
    console,
    option,
    rules_of_all,
    settings_of,
    settings_to_ask_by,
)
from bot.errors import BotError, DatabaseUnavailable, ExportError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.history.export import Export
    from bot.history.replay import Report
    from bot.models import IncomingMessage
    from bot.report.drawing import BesidePage
    from bot.routes import Routes

app = typer.Typer()

STANDARD_INPUT = Path("-")
MEBIBYTE = 1024 * 1024
File = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="Telegram Desktop's result.json, its directory, a .zip or .gz of it, tdl's JSON or CSV; `-`: "
        "standard input.",
    ),
]
Chat = Annotated[
    str | None,
    typer.Option(
        metavar="CHAT", help="Which of an account's export: its id or exact name. CSV needs the id."
    ),
]


Page = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Draw a picture: one HTML page. Prints the summary only."),
]
TtlHours = Annotated[
    Any,
    typer.Option(parser=option("parse_ttl"), metavar="HOURS", help="Instead of FLOW_TTL_HOURS."),
]
After = Annotated[
    Any,
    typer.Option(
        parser=option("parse_after_ttl"),
        metavar="release|owner",
        help="Instead of FLOW_AFTER_TTL.",
    ),
]
Posters = Annotated[
    Any,
    typer.Option(
        parser=option("parse_posters", "bot.setting_chats"),
        metavar="IDS",
        help="Instead of SOURCE_ALLOWED_USERS.",
    ),
]
RestartEvery = Annotated[
    Any,
    typer.Option(
        parser=option("parse_count"),
        metavar="N",
        help="Reopen all tiers every so many messages: same decisions.",
    ),
]


Rules = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Whose rules of routes.toml, if it is another chat."),
]


InPlace = Annotated[
    str | None, typer.Option(metavar="NAME", help="Print what people would read in that place.")
]


@app.command(cls=PlainCommand)
def replay(
    file: File,
    *,
    chat: Chat = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    html: Page = None,
    ttl_hours: TtlHours = None,
    after_ttl: After = None,
    allowed_users: Posters = None,
    restart_every: RestartEvery = None,
    source: Rules = None,
    place: InPlace = None,
    utc: Utc = False,  # noqa: ARG001  # it is dealt with before
) -> None:
    """Show what the bot would have done with an exported chat. Sends and keeps nothing."""
    from bot.history.replay import Trial, rules_for, translated_places
    from bot.history.stand_ins import offline_routes
    from bot.known_routes import with_settings

    names = ("flow_ttl_hours", "flow_after_ttl", "source_allowed_users")
    said = zip(names, (ttl_hours, after_ttl, allowed_users), strict=True)
    given = {name: value for name, value in said if value is not None}
    settings = settings_of(given)
    if place is not None and (as_json or html):
        raise UsageError("--place prints what people read: leave out --json and --html")
    listed = offline_routes(settings, instead=given)
    with _export(file, chat) as export:
        rules = with_settings(rules_for(listed, export.chat, source), settings, given)
        report = _report_of(rules, place, as_json=as_json, in_full=html is None)
        translated = translated_places(listed, rules.sources[0].name)
        trial = Trial(settings, rules, restart_every=restart_every, translated=translated)
        if html is None:
            asyncio.run(trial.run(_watched(export), report))
        else:
            from bot.report.drawing import drawn

            with drawn(report, rules.sources[0], export.chat, html) as drawing:
                asyncio.run(trial.run(_watched(export), drawing))
            typer.echo(f"wrote {html}", err=True)
        _mention_malformed(export)


def _report_of(rules: Routes, place: str | None, *, as_json: bool, in_full: bool) -> Report:
    from bot.history.replay import JsonReport, SummaryReport, TableReport
    from bot.history.shown import PlaceReport, place_of

    if place is not None:
        return PlaceReport(console(), place_of(rules, place))
    if as_json:
        return JsonReport(sys.stdout)
    return (TableReport if in_full else SummaryReport)(console())


@app.command(cls=PlainCommand)
def report(
    html: Annotated[Path, typer.Option(metavar="FILE", help="Where the HTML page goes.")],
    source: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of one source of routes.toml alone.")
    ] = None,
) -> None:
    """Draw a picture of the bot's tables. Changes nothing, and may run beside the bot."""
    from bot.report.drawing import draw_tables
    from bot.storage.existing import open_to_read

    async def draw() -> BesidePage:
        async with open_to_read(settings.database) as tables:
            return await draw_tables(tables.ask, routes, html, now=time.time(), source=source)

    settings = settings_to_ask_by()
    routes = rules_of_all(settings)
    if isinstance(settings.database, Path) and not settings.database.exists():
        raise DatabaseUnavailable(
            f"{settings.database}: there is none yet; the bot or `import` makes it"
        )
    told = asyncio.run(draw())
    typer.echo(f"wrote {html}" + (f"; {told.empty}" if told.empty else ""), err=True)
    for line in told.sources:
        typer.echo(line)


@app.command(name="import", cls=PlainCommand)
def import_(file: File, *, chat: Chat = None) -> None:
    """Write an exported chat's history into DATA_DIR. Posts nothing.

    That is its signals, updates, flows and refusals. May be run again, and with a longer export: only what is new is added.
    """
    from bot.history.replay import SummaryReport, import_history
    from bot.known_routes import known_routes

    settings = settings_of({})
    routes = known_routes(settings)
    with _export(file, chat) as export:
        report = SummaryReport(console())
        messages = _watched(export)
        asyncio.run(
            import_history(settings, routes, export.chat, messages, report, tell=typer.echo)
        )
        _mention_malformed(export)


@contextmanager
def _export(file: Path, chat: str | None) -> Iterator[Export]:
    """Standard input is kept in a file meanwhile, since it cannot be read twice."""
    from bot.history.export import Export

    if file != STANDARD_INPUT:
        yield Export(file, chat=chat)
        return
    with _standard_input() as kept:
        yield Export(kept, chat=chat, name="standard input")


@contextmanager
def _standard_input() -> Iterator[Path]:
    with ExitStack() as opened:
        try:
            kept = opened.enter_context(NamedTemporaryFile(prefix="export-"))
            for piece in iter(_piece, b""):
                kept.write(piece)
            kept.flush()
        except OSError as exc:
            raise BotError(
                f"standard input cannot be kept in {gettempdir()}: {exc.strerror}; "
                "TMPDIR may name another directory"
            ) from exc
        yield Path(kept.name)


def _piece() -> bytes:
    try:
        return sys.stdin.buffer.read(MEBIBYTE)
    except OSError as exc:
        raise ExportError(f"standard input cannot be read: {exc.strerror}") from exc


def _watched(export: Export) -> Iterator[IncomingMessage]:
    """The export's messages, with a bar on a terminal: how much of the file is read, then how many
    messages are decided upon.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    if not sys.stderr.isatty():
        yield from export.messages()
        return
    progress = Progress(
        BarColumn(),
        TextColumn("{task.description} {task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        # What is printed meanwhile belongs on standard output, wherever that leads.
        redirect_stdout=sys.stdout.isatty(),
    )
    with progress:
        task = progress.add_task("reading", total=export.size)
        messages = export.messages(reading=lambda at: progress.update(task, completed=at))
        for number, message in enumerate(messages, 1):
            if number == 1:
                progress.reset(task, total=export.count, description="deciding")
            yield message
            progress.update(task, completed=number)


def _mention_malformed(export: Export) -> None:
    if export.malformed:
        typer.echo(f"passed over for want of an id or a date: {export.malformed}", err=True)
