"""Commands about an exported history, and pictures."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.commands.context import PlainCommand, console, option, rules_of_all, settings_of
from bot.errors import DatabaseUnavailable, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.history.export import Export
    from bot.history.replay import Report
    from bot.models import IncomingMessage

app = typer.Typer()

File = Annotated[
    Path, typer.Argument(metavar="FILE", help="result.json of Telegram Desktop's chat export.")
]
Chat = Annotated[
    str | None,
    typer.Option(metavar="CHAT", help="Which of an account's export: its id or exact name."),
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
        parser=option("parse_posters"), metavar="IDS", help="Instead of SOURCE_ALLOWED_USERS."
    ),
]
RestartEvery = Annotated[
    Any,
    typer.Option(
        parser=option("parse_count", "bot.setting_values"),
        metavar="N",
        help="Reopen all tiers every so many messages: same decisions.",
    ),
]


Rules = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Whose rules of routes.toml, if it is another chat."),
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
    place: Annotated[
        str | None, typer.Option(metavar="NAME", help="Print what people would read in that place.")
    ] = None,
) -> None:
    """Show what the bot would have done with an exported chat. Sends and keeps nothing."""
    from bot.history.export import Export
    from bot.history.replay import (
        JsonReport,
        SummaryReport,
        TableReport,
        Trial,
        rules_for,
        translated_places,
    )
    from bot.history.shown import PlaceReport, place_of
    from bot.routes_file import known_routes, with_settings

    overrides = {
        "flow_ttl_hours": ttl_hours,
        "flow_after_ttl": after_ttl,
        "source_allowed_users": allowed_users,
    }
    given = {name: value for name, value in overrides.items() if value is not None}
    settings = settings_of(given)
    if place is not None and (as_json or html):
        raise UsageError("--place prints what people read: leave out --json and --html")
    listed = known_routes(settings, instead=given, offline=True)
    export = Export(file, chat=chat)
    report: Report = (SummaryReport if html else TableReport)(console())
    if as_json:
        report = JsonReport(sys.stdout)
    rules = with_settings(rules_for(listed, export.chat, source), settings, given)
    if place is not None:
        report = PlaceReport(console(), place_of(rules, place))
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


@app.command(cls=PlainCommand)
def report(
    html: Annotated[Path, typer.Option(metavar="FILE", help="Where the HTML page goes.")],
    source: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of one source of routes.toml alone.")
    ] = None,
) -> None:
    """Draw a picture of the bot's tables. Changes nothing, and may run beside the bot."""
    from bot.app import open_tables
    from bot.report.drawing import draw_tables

    async def draw() -> None:
        async with open_tables(settings) as tables:
            await draw_tables(tables.ask, routes, html, now=time.time(), source=source)

    settings, routes = rules_of_all()
    if isinstance(settings.database, Path) and not settings.database.exists():
        raise DatabaseUnavailable(
            f"{settings.database}: there is none yet; the bot or `import` makes it"
        )
    asyncio.run(draw())
    typer.echo(f"wrote {html}", err=True)


@app.command(name="import", cls=PlainCommand)
def import_(file: File, *, chat: Chat = None) -> None:
    """Write an exported chat's history into DATA_DIR. Posts nothing.

    That is its signals, updates, flows and refusals. May be run again, and with a longer export: only what is new is added.
    """
    from bot.history.export import Export
    from bot.history.replay import SummaryReport, import_history
    from bot.routes_file import known_routes

    settings = settings_of({})
    routes = known_routes(settings)
    export = Export(file, chat=chat)
    report = SummaryReport(console())
    asyncio.run(
        import_history(settings, routes, export.chat, _watched(export), report, tell=typer.echo)
    )
    _mention_malformed(export)


def _watched(export: Export) -> Iterator[IncomingMessage]:
    """The export's messages, with a bar on a terminal of how much of the file has been read."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

    if not sys.stderr.isatty():
        yield from export.messages()
        return
    progress = Progress(
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        # What is printed meanwhile belongs on standard output, wherever that leads.
        redirect_stdout=sys.stdout.isatty(),
    )
    with progress:
        task = progress.add_task("", total=export.size)
        for message in export.messages():
            yield message
            progress.update(task, completed=export.position)


def _mention_malformed(export: Export) -> None:
    if export.malformed:
        typer.echo(f"passed over for want of an id or a date: {export.malformed}", err=True)
