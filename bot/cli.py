"""The command line. Exit codes: 0 done, 1 failed at run time, 2 wrong usage or settings, 3 in use.

Commands import what they need when they run: `--help` must not wait for a database library.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from bot.errors import BotError, UsageError
from bot.models import AfterTtl, UnixTime

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence

    from rich.console import Console

    from bot.config import Settings
    from bot.export import Export
    from bot.models import IncomingMessage
    from bot.operator.wording import Row
    from bot.replay import Report

app = typer.Typer(
    name="bot",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

# What typer raises for a wrong command line; it exports the subclass only.
_WrongUsage: type[Any] = typer.BadParameter.__mro__[1]

File = Annotated[
    Path, typer.Argument(metavar="FILE", help="result.json of Telegram Desktop's chat export.")
]
Chat = Annotated[
    str | None,
    typer.Option(help="Which chat of a full-account export: its id or exact name."),
]


Message = Annotated[
    str,
    typer.Argument(metavar="MESSAGE", help="A link to it, chat:message, or its id in the source."),
]
A_SIGNAL = "By its number in `flows`, or by any message of its flow."
SCRIPT = "telegram-signal-relay"  # as pyproject.toml names it
# An id such as -1001234567890:15 is no option.
LINKS = {"ignore_unknown_options": True}


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run a command. Whatever is the user's to mend is one line on stderr, never a traceback."""
    os.umask(0o077)  # what the bot writes is nobody else's to read
    try:
        code = app(args=args, prog_name=_program(), standalone_mode=False)
    except _WrongUsage as exc:
        code = _complain(exc.format_message().replace("\n", " "), exc.exit_code)
    except BotError as exc:
        code = _complain(str(exc), exc.exit_code)
    except KeyboardInterrupt:
        code = 130  # as a shell counts a process ended by SIGINT
    except BrokenPipeError:
        # The reader of our output has seen enough. Python would complain of the flush at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code)


def _program() -> str:
    """As the user called it: as the script that comes with the package, or as a module."""
    name = Path(sys.argv[0]).name
    return name if name == SCRIPT else "python -m bot"


def _option(parse: str) -> Callable[[str], Any]:
    """An option read as the setting of the same meaning is, by a function of `bot.config`."""

    def parsed(text: str) -> Any:
        from bot import config

        try:
            return getattr(config, parse)(text)
        except ValueError as exc:
            raise typer.BadParameter(str(exc)) from exc

    return parsed


@app.callback(invoke_without_command=True)
def default(context: typer.Context) -> None:
    """Relays trading signals and their authors' follow-ups between Telegram groups."""
    if context.invoked_subcommand is None:
        run()


@app.command()
def run() -> None:
    """Run the bot until it is told to stop. This is what happens without a command, too."""
    from bot import logs
    from bot.config import Settings
    from bot.live import run as live

    settings = Settings.load({})
    logs.configure(settings.log_level, settings.log_format, secrets=settings.secrets)
    asyncio.run(live(settings))


@app.command()
def setup() -> None:
    """Ask for what the bot needs, try it on Telegram, and write it into .env."""
    from rich.console import Console

    from bot import logs
    from bot.setup.dialogue import setup as ask
    from bot.setup.terminal import Terminal

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("setup asks questions, and needs a terminal; README says what .env needs")
    hide = partial(logs.configure, "ERROR", "console")
    hide(secrets=())
    terminal = Terminal(Console(highlight=False), sys.stdin.fileno())
    work = ask(
        terminal,
        Path(".env"),
        program=_program(),
        hide=lambda secrets: hide(secrets=secrets),
    )
    try:
        written = asyncio.run(_until_told(work))
    except (KeyboardInterrupt, EOFError):
        typer.echo("\nnothing was written", err=True)
        raise KeyboardInterrupt from None
    if not written:
        typer.echo("nothing was written", err=True)
        raise typer.Exit(1)


async def _until_told(work: Coroutine[Any, Any, bool]) -> bool:
    """A terminal that is closed, or SIGTERM, ends it as Ctrl-C does: in order."""
    for number in (signal.SIGHUP, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, signal.raise_signal, signal.SIGINT)
    return await work


@app.command()
def check() -> None:
    """Log in and say whether the bot would work, and what is in its way. Posts nothing."""
    from bot import logs
    from bot.check import Verdict
    from bot.check import check as findings
    from bot.config import Settings

    async def show() -> bool:
        works = True
        async for finding in findings(settings):
            typer.echo(finding)
            works = works and finding.verdict is not Verdict.FAILURE
        return works

    settings = Settings.load({})
    logs.configure("ERROR", settings.log_format, secrets=settings.secrets)
    if not asyncio.run(show()):
        raise typer.Exit(1)


@app.command()
def replay(
    file: File,
    *,
    chat: Chat = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Draw a picture: one HTML page. Prints the summary only."
        ),
    ] = None,
    ttl_hours: Annotated[
        Any, typer.Option(parser=_option("parse_ttl"), help="Instead of FLOW_TTL_HOURS.")
    ] = None,
    after_ttl: Annotated[AfterTtl | None, typer.Option(help="Instead of FLOW_AFTER_TTL.")] = None,
    allowed_users: Annotated[
        Any, typer.Option(parser=_option("parse_posters"), help="Instead of SOURCE_ALLOWED_USERS.")
    ] = None,
    restart_every: Annotated[
        int | None,
        typer.Option(min=1, help="Reopen all tiers every so many messages: same decisions."),
    ] = None,
) -> None:
    """Show what the bot would have done with an exported chat. Sends and keeps nothing."""
    from bot.export import Export
    from bot.replay import JsonReport, SummaryReport, TableReport, Trial

    overrides = {
        "flow_ttl_hours": ttl_hours,
        "flow_after_ttl": after_ttl,
        "source_allowed_users": allowed_users,
    }
    settings = _settings({name: value for name, value in overrides.items() if value is not None})
    export = Export(file, chat=chat)
    report: Report = (SummaryReport if html else TableReport)(_console())
    if as_json:
        report = JsonReport(sys.stdout)
    trial = Trial(settings, restart_every=restart_every)
    if html is None:
        asyncio.run(trial.run(_watched(export), report))
    else:
        from bot.drawing import drawn

        with drawn(report, settings, export.chat, html) as drawing:
            asyncio.run(trial.run(_watched(export), drawing))
        typer.echo(f"wrote {html}", err=True)
    _mention_malformed(export)


@app.command()
def report(
    html: Annotated[Path, typer.Option(metavar="FILE", help="Where the HTML page goes.")],
) -> None:
    """Draw a picture of the bot's tables. Changes nothing, and may run beside the bot."""
    from bot.drawing import draw_tables

    draw_tables(_settings({}), html, now=time.time())
    typer.echo(f"wrote {html}", err=True)


@app.command(name="import")
def import_(file: File, *, chat: Chat = None) -> None:
    """Write an exported chat's signals, updates and flows into DATA_DIR. Posts nothing.

    May be run again, and with a longer export: only what is new is added.
    """
    from bot.export import Export
    from bot.replay import SummaryReport, import_history

    settings = _settings({})
    export = Export(file, chat=chat)
    asyncio.run(import_history(settings, export.chat, _watched(export), SummaryReport(_console())))
    _mention_malformed(export)


@app.command(context_settings=LINKS)
def why(message: Message) -> None:
    """Tell the story of one message: what it was taken for, why, and where it was posted."""
    from bot.app import open_tables
    from bot.operator.shown import show_rows
    from bot.operator.why import why as story

    async def ask() -> list[Row]:
        async with open_tables(settings) as tables:
            return await story(tables, settings, message, now=_now())

    settings = _settings({})
    show_rows(_console(), asyncio.run(ask()))


@app.command()
def status(
    *, as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False
) -> None:
    """Say how the bot is doing. Works beside the running bot and when it is down."""
    from bot.app import open_tables
    from bot.operator.shown import show_rows
    from bot.operator.status import Status, as_rows
    from bot.operator.status import as_json as as_object
    from bot.operator.status import status as look

    async def ask() -> Status:
        async with open_tables(settings) as tables:
            schema = await tables.ask(tables.schema_version)
            return await look(tables, settings, schema, now=_now())

    settings = _settings({})
    found = asyncio.run(ask())
    if as_json:
        typer.echo(json.dumps(as_object(found), indent=2, ensure_ascii=False))
    else:
        show_rows(_console(), as_rows(found))


@app.command(context_settings=LINKS)
def flows(
    signal: Annotated[
        str | None, typer.Argument(metavar="[SIGNAL]", help="Show this one's thread. " + A_SIGNAL)
    ] = None,
    *,
    owner: Annotated[
        Any, typer.Option(parser=_option("parse_id"), help="Those of one author, by id.")
    ] = None,
    pair: Annotated[str | None, typer.Option(help="Those of one pair, such as BTC/USDT.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Those that are released or quiet, too.")
    ] = False,
) -> None:
    """Show the live flows, or what was said in one of them."""
    from bot.app import open_tables
    from bot.operator.flows import find_signal, overview, thread
    from bot.operator.shown import show_flows, show_thread

    async def ask() -> None:
        async with open_tables(settings) as tables:
            if signal is not None:
                signal_id = await find_signal(tables, settings, signal)
                return show_thread(
                    _console(), await thread(tables, settings, signal_id, now=_now())
                )
            found = await overview(
                tables, settings, now=_now(), owner=owner, pair=pair, everything=everything
            )
            return show_flows(_console(), found)

    settings = _settings({})
    asyncio.run(ask())


@app.command(context_settings=LINKS)
def release(signal: Annotated[str, typer.Argument(metavar="SIGNAL", help=A_SIGNAL)]) -> None:
    """End a flow by hand: others may continue it, until its owner does. Heard within a second."""
    from bot.app import open_tables
    from bot.operator.flows import find_signal
    from bot.operator.flows import release as end

    async def order() -> str:
        async with open_tables(settings, read_only=False) as tables:
            return await end(tables, await find_signal(tables, settings, signal))

    settings = _settings({})
    typer.echo(asyncio.run(order()))


@app.command(context_settings=LINKS)
def retry(
    which: Annotated[
        str | None,
        typer.Argument(
            metavar="[POST|MESSAGE]",
            help="One post by its number, or a message by a link or chat:message; else all.",
        ),
    ] = None,
) -> None:
    """Put posts that Telegram refused back in line, and read again what could not be dealt with.

    A running bot does so within a second.
    """
    from bot.app import open_tables
    from bot.operator.failed import retry as again

    async def order() -> str:
        async with open_tables(settings, read_only=False) as tables:
            return await again(tables, settings, which)

    settings = _settings({})
    typer.echo(asyncio.run(order()))


@app.command()
def pause() -> None:
    """Have the bot post nothing until `resume`, also after a restart. Nothing is lost."""
    _order_posting("pause")


@app.command()
def resume() -> None:
    """End a pause: what waited is posted, in order. Heard within a second."""
    _order_posting("resume")


def _order_posting(what: Literal["pause", "resume"]) -> None:
    from bot.app import open_tables
    from bot.operator.posting import pause, resume

    async def order() -> str:
        async with open_tables(settings, read_only=False) as tables:
            return await {"pause": pause, "resume": resume}[what](tables)

    settings = _settings({})
    typer.echo(asyncio.run(order()))


def _now() -> UnixTime:
    return UnixTime(int(time.time()))


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The copy; a new file.")],
) -> None:
    """Copy the database to a new file, consistently, while the bot runs or not."""
    from bot.storage.backup import back_up

    back_up(_settings({}).database, file)
    typer.echo(f"{file}: written")


def _settings(overrides: Mapping[str, Any]) -> Settings:
    from bot import logs
    from bot.config import Settings

    # An export has thousands of decisions, and the report shows them: the log is for trouble.
    settings = Settings.load(overrides)
    logs.configure("WARNING", secrets=settings.secrets)
    return settings


def _console() -> Console:
    """Standard output; what is not a terminal has 100 columns."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else 100)


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


def _complain(line: str, code: int) -> int:
    typer.echo(f"error: {line}", err=True)
    return code
