"""The command that moves a bot from its file to a database server."""

from __future__ import annotations

import asyncio
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.admin.formatting import counted
from bot.commands.context import PlainCommand, option, settings_of
from bot.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.server_address import ServerAddress
    from bot.storage.transfer import Moved, Progress

app = typer.Typer()


@app.command(cls=PlainCommand)
def migrate_to(
    where: Annotated[
        Any,
        typer.Argument(
            metavar="URL",
            parser=option("parse_server", "bot.server_address"),
            help="postgresql://user@host/database; an empty one. Better without its password: PGPASSFILE.",
        ),
    ] = None,
    *,
    undo: Annotated[
        bool, typer.Option("--undo", help="Use the file again, as it was when it was copied.")
    ] = False,
) -> None:
    """Copy a stopped bot's database to PostgreSQL, and check it.

    All of it is copied, or nothing. The file stays, and is refused from then on.
    """
    from bot.lock import locked

    settings = settings_of({})
    if (where is None) is not undo:
        raise UsageError("name the database to copy to, or give --undo")
    file = settings.database
    if not isinstance(file, Path):
        raise UsageError(f"DATABASE_URL: {file} is a server already: name the file to be copied")
    if not file.exists():
        raise UsageError(f"{file}: there is no database there to be copied")
    with locked(settings.data_dir / "lock"):
        told = asyncio.run(_taken_back(file)) if undo else asyncio.run(_moved(file, where))
    typer.echo(told)


async def _moved(file: Path, where: ServerAddress) -> str:
    from bot.storage.engine import Database
    from bot.storage.postgresql import Server
    from bot.storage.transfer import move

    with _watched() as progress:
        target = Server(where, in_loop=True)
        found: Moved = await move(Database(file, in_loop=True), target, progress)
    rows = f"{counted(found.rows, 'row')} of {counted(found.tables, 'table')}"
    did = f"{rows} were there already" if found.before else f"copied {rows}"
    return (
        f"{did}, each checked: {where}\n"
        f"Now name that database in DATABASE_URL, and start the bot. {file} is kept, and refused from now on."
    )


async def _taken_back(file: Path) -> str:
    from bot.storage.engine import Database
    from bot.storage.transfer import take_back

    if not await take_back(Database(file, in_loop=True)):
        raise UsageError(f"{file} was not moved")
    return f"{file} is used again: what was recorded elsewhere since then is not in it"


@contextmanager
def _watched() -> Iterator[Progress]:
    """A bar on a terminal."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("")
        yield lambda done, total: bar.update(task, completed=done, total=total)
