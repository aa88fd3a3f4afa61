"""Commands by which an operator asks the tables and orders the bot about, beside it or without it."""

from __future__ import annotations

import asyncio
import json
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bot.admin.formats import Format, Out
from bot.admin.formatting import counted
from bot.commands.context import (
    PlainCommand,
    Utc,
    option,
    rules_of_all,
    screen,
    settings_of,
    settings_to_ask_by,
    standard_output,
    their_language,
)
from bot.errors import UsageError
from bot.models import UnixTime
from bot.server_address import ServerAddress
from bot.signal_json import RowKind

if TYPE_CHECKING:
    from bot.admin.formatting import Row
    from bot.admin.status import Status

app = typer.Typer()

Message = Annotated[
    str,
    typer.Argument(
        metavar="MESSAGE",
        help="A link to it, chat:message, SOURCE:ID, or its id in the only source.",
    ),
]
A_SIGNAL = "By its number in `flows`, or by any message of its flow."
# An id such as -1001234567890:15 is no option.
LINKS = {"ignore_unknown_options": True}


@app.command(cls=PlainCommand, context_settings=LINKS)
def why(message: Message, *, utc: Utc = False) -> None:  # noqa: ARG001  # it is dealt with before
    """Tell the story of one message.

    What it was taken for, why, what was read of it, and where it was posted.
    """
    from bot.admin.explain import why as story
    from bot.admin.views import show_rows
    from bot.storage.existing import open_to_read

    async def ask() -> list[Row]:
        async with open_to_read(settings.database) as tables:
            return await story(tables, settings, message, now=_now(), routes=routes)

    settings = settings_to_ask_by()
    routes = rules_of_all(settings)
    show_rows(screen(), asyncio.run(ask()))


@app.command(cls=PlainCommand)
def status(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    utc: Utc = False,  # noqa: ARG001  # it is dealt with before
) -> None:
    """Say how the bot is doing. Works beside the running bot and when it is down."""
    from bot.admin.status import status as look
    from bot.admin.status_shown import as_json as as_object
    from bot.admin.status_shown import as_rows
    from bot.admin.views import show_rows
    from bot.storage.existing import open_to_read

    async def ask() -> Status:
        async with open_to_read(settings.database) as tables:
            schema = await tables.ask(tables.schema_version)
            return await look(tables, settings, schema, now=_now(), routes=routes)

    settings = settings_to_ask_by()
    routes = rules_of_all(settings)
    found = asyncio.run(ask())
    if as_json:
        typer.echo(json.dumps(as_object(found), indent=2, ensure_ascii=False))
    else:
        show_rows(screen(), as_rows(found))


@app.command(cls=PlainCommand, context_settings=LINKS)
def flows(
    signal: Annotated[
        str | None, typer.Argument(metavar="SIGNAL", help="Show this one's thread. " + A_SIGNAL)
    ] = None,
    *,
    owner: Annotated[
        Any,
        typer.Option(
            parser=option("parse_id", "bot.setting_chats"),
            metavar="ID",
            help="Those of one author, by id.",
        ),
    ] = None,
    pair: Annotated[
        str | None, typer.Option(metavar="PAIR", help="Those of one pair, such as BTC/USDT.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Those that are released or quiet, too.")
    ] = False,
    source: Annotated[
        str | None, typer.Option(metavar="NAME", help="Those of one source of routes.toml.")
    ] = None,
    utc: Utc = False,  # noqa: ARG001  # it is dealt with before
) -> None:
    """Show the live flows, or what was said in one of them.

    The most lately active flow comes first; what was said is a tree, in the order of messages.
    """
    from bot.admin.flows import find_signal, none_found, overview, thread
    from bot.admin.views import show_flows, show_thread
    from bot.storage.existing import open_to_read

    async def ask() -> None:
        async with open_to_read(settings.database) as tables:
            if signal is not None:
                signal_id = await find_signal(tables, settings, signal, routes=routes)
                said = await thread(tables, settings, signal_id, now=_now(), routes=routes)
                return show_thread(screen(), said)
            asked: Any = {"owner": owner, "pair": pair, "everything": everything, "source": source}
            found = await overview(tables, settings, now=_now(), routes=routes, **asked)
            none = none_found(**asked)
            return show_flows(screen(), found, none=none)

    settings = settings_to_ask_by()
    routes = rules_of_all(settings)
    asyncio.run(ask())


@app.command(cls=PlainCommand, context_settings=LINKS)
def release(
    signal: Annotated[str | None, typer.Argument(metavar="SIGNAL", help=A_SIGNAL)] = None,
    *,
    source: Annotated[
        str | None, typer.Option(metavar="NAME", help="All live ones of a source instead.")
    ] = None,
) -> None:
    """End a flow by hand, until its owner continues it. Heard within a second."""
    from bot.admin.bulk import release_all
    from bot.admin.flows import find_signal
    from bot.admin.flows import release as end
    from bot.app import open_tables

    async def order() -> str:
        async with open_tables(settings, read_only=False) as tables:
            if source is not None:
                return await release_all(tables, settings, source, routes, now=_now())
            signal_id = await find_signal(tables, settings, signal or "", routes=routes)
            return await end(tables, signal_id)

    if (signal is None) is (source is None):
        raise UsageError("which flow? Give SIGNAL, or --source NAME for all of a source")
    settings = settings_of({})
    routes = rules_of_all(settings)
    typer.echo(asyncio.run(order()))


@app.command(cls=PlainCommand, context_settings=LINKS)
def retry(
    which: Annotated[
        str | None,
        typer.Argument(
            metavar="POST|MESSAGE",
            help="One post by its number, or a message by a link or chat:message; else all.",
        ),
    ] = None,
    *,
    place: Annotated[
        str | None, typer.Option(metavar="NAME", help="All that failed in one place.")
    ] = None,
    source: Annotated[
        str | None, typer.Option(metavar="NAME", help="All that failed of one source.")
    ] = None,
) -> None:
    """Put refused posts back in line, and read again what failed.

    A running bot does so within a second.
    """
    from bot.admin.bulk import Scope, retry_in
    from bot.admin.retry import retry as again
    from bot.app import open_tables

    async def order() -> str:
        async with open_tables(settings, read_only=False) as tables:
            if of != Scope():
                return await retry_in(tables, settings, of, routes)
            return await again(tables, settings, which, routes=routes)

    of = Scope(place, source)
    if which is not None and of != Scope():
        raise UsageError(f"{which} is of one place already: give it, or --place and --source")
    settings = settings_of({})
    routes = rules_of_all(settings)
    typer.echo(asyncio.run(order()))


Name = Annotated[
    str | None,
    typer.Argument(metavar="NAME", help="A place of routes.toml, or a source: all its places."),
]


@app.command(cls=PlainCommand, context_settings=LINKS)
def pause(name: Name = None) -> None:
    """Have the bot post nothing until `resume`, over restarts. Nothing is lost."""
    _order_posting("pause", name)


@app.command(cls=PlainCommand, context_settings=LINKS)
def resume(name: Name = None) -> None:
    """End a pause: what waited is posted, in order. Heard within a second.

    What was paused by its name goes on by its name alone.
    """
    _order_posting("resume", name)


def _order_posting(what: Literal["pause", "resume"], name: str | None) -> None:
    from bot.admin.pause import pause, resume
    from bot.app import open_tables

    async def order() -> str:
        async with open_tables(settings, read_only=False) as tables:
            return await {"pause": pause, "resume": resume}[what](tables, name)

    settings = settings_of({})
    typer.echo(asyncio.run(order()))


@app.command(cls=PlainCommand)
def reload() -> None:
    """Have the running bot read routes.toml again. A file that is wrong changes nothing.

    Says what has changed; what is wrong is named by its line, and exit code 2.
    """
    from bot.admin.reload import Reload

    with their_language() as say:
        for line in Reload(settings_of({})).order():
            typer.echo(say(line))


@app.command(cls=PlainCommand)
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The copy; a new file.")],
) -> None:
    """Copy the database to a new file, while the bot runs or not."""
    from bot.storage.backup import back_up

    database = settings_of({}).database
    if isinstance(database, ServerAddress):
        line = shlex.join(["pg_dump", "-Fc", "-f", str(file), "-d", str(database)])
        raise UsageError(f"a server is backed up by PostgreSQL's own means: {line}")
    back_up(database, file)
    typer.echo(f"{file}: written")


What = Annotated[
    RowKind,
    typer.Argument(
        metavar="WHAT",
        help="signals, updates, or decisions: all that was recorded, what was refused among it.",
        show_default=False,
    ),
]
Form = Annotated[
    Format,
    typer.Option(
        "--format", metavar="csv|jsonl", help="For a spreadsheet, or a line of JSON for each."
    ),
]
Since = Annotated[
    str | None,
    typer.Option(metavar="DATE", help="2026-11-24, 2026-11-24T12:00 (UTC), or 7d or 12h back."),
]
Source = Annotated[
    str | None,
    typer.Option(metavar="NAME|ID", help="Those of one source, by its name or the id of its chat."),
]


@app.command(cls=PlainCommand)
def export(
    kind: What,
    *,
    form: Form = Format.CSV,
    since: Since = None,
    source: Source = None,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Instead of standard output.")
    ] = None,
) -> None:
    """Write what the tables hold as CSV or JSON lines.

    Chat by chat, and in the order of messages.
    """
    from bot.admin.extract import export as write
    from bot.admin.extract import moment, wanted
    from bot.atomic_file import AtomicFile
    from bot.storage.existing import open_to_read

    async def copy(out: Out) -> int:
        async with open_to_read(settings.database) as tables:
            asked = await wanted(
                tables, settings, kind, since=from_then, source=source, routes=routes
            )
            return await write(tables, asked, form, out)

    settings = settings_to_ask_by()
    routes = rules_of_all(settings)
    from_then = None if since is None else moment(since, now=_now())
    if output is None:
        with standard_output() as out:
            asyncio.run(copy(out))
        return
    with AtomicFile(output, option="--output").writing() as file:
        count = asyncio.run(copy(file))
    typer.echo(f"wrote {counted(count, kind.removesuffix('s'))} to {output}", err=True)


def _now() -> UnixTime:
    return UnixTime(int(time.time()))
