"""The command line. Exit codes: 0 done, 1 failed at run time, 2 wrong usage or settings, 3 in use, 4 another host leads, 130 stopped by Ctrl-C.

Commands import what they need when they run: `--help` must not wait for a database library.
"""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from bot import __version__
from bot.commands import history, moving, operator
from bot.commands.context import PlainCommand, hush, ready_streams, their_language
from bot.errors import BotError, UsageError, words_of

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

app = typer.Typer(
    name="bot",
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

# What typer raises for a wrong command line; it exports the subclass only.
_WrongUsage: type[Any] = typer.BadParameter.__mro__[1]
POSIX = ("fcntl", "termios")  # what the lock and `setup` cannot do without
SELDOM = 50_000  # new objects
USUAL = gc.get_threshold()  # for what goes on for long
SCRIPT = "telegram-signal-relay"  # as pyproject.toml names it


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run a command. Whatever is the user's to mend is one line on stderr, never a traceback."""
    gc.set_threshold(SELDOM)  # what a start makes of thousands of modules is no garbage
    os.umask(0o077)  # what the bot writes is nobody else's to read
    ready_streams()
    try:
        _refuse_completion(sys.argv[1:] if args is None else args)
        code = app(args=args, prog_name=_program(), standalone_mode=False)
        sys.stdout.flush()  # what it does not take is told now, and not by Python at the exit
    except _WrongUsage as exc:
        text = exc.format_message().replace("\n", " ").replace("Value error, ", "")
        code = _complain(text, exc.exit_code)
    except BotError as exc:
        code = _complain(str(exc), exc.exit_code)
    except KeyboardInterrupt:
        code = 130  # as a shell counts a process ended by SIGINT
    except BrokenPipeError:
        hush(sys.stdout)  # its reader has seen enough
        code = 1
    gc.freeze()  # else Python looks for garbage in all of it before it ends: a tenth of a short command
    sys.exit(code)


def _program() -> str:
    """As the user called it: as the script that comes with the package, or as a module."""
    name = Path(sys.argv[0]).name
    return name if name == SCRIPT else "python -m bot"


def _refuse_completion(args: Sequence[str]) -> None:
    """Raise `UsageError` where a shell would be told to complete `python -m bot`, which none can."""
    asked = [each for each in args[:1] if each in {"--install-completion", "--show-completion"}]
    if asked and _program() != SCRIPT:
        raise UsageError(
            f"a shell completes the command that the package brings: {SCRIPT} {asked[0]}"
        )


def _show_version(asked: bool) -> None:  # noqa: FBT001  # typer calls it so
    if asked:
        typer.echo(f"{SCRIPT} {__version__}")
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option("--version", callback=_show_version, is_eager=True, help="Say the version."),
]


@app.callback(invoke_without_command=True)
def default(
    context: typer.Context,
    *,
    version: Version = False,  # noqa: ARG001  # it is said before anything else is done
) -> None:
    """Relays trading signals and their authors' follow-ups between Telegram groups."""
    _refuse_windows()
    if context.invoked_subcommand is None:
        run()


def _refuse_windows() -> None:
    """Raise `UsageError` where there is no POSIX: nothing that needs one has been imported by now."""
    missing = [name for name in POSIX if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"this system is not POSIX (Python has no {' and no '.join(missing)} here): on Windows, "
            "use WSL or docker; docs/INSTALL.md says where it works"
        )


@app.command(cls=PlainCommand)
def run() -> None:
    """Run the bot until it is told to stop. This is what happens without a command, too."""
    from bot import logs
    from bot.config import Settings
    from bot.runner import run as live

    gc.set_threshold(*USUAL)
    settings = Settings.load({})
    logs.configure(settings.log_level, settings.log_format, secrets=settings.secrets)
    asyncio.run(live(settings))


@app.command(cls=PlainCommand)
def setup() -> None:
    """Ask for what the bot needs, try it, and write it into .env."""
    from rich.console import Console

    from bot import logs
    from bot.phrases import phrase
    from bot.setup.run import setup as ask
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
        terminal.say()
        terminal.say(phrase("nothing was written"))
        raise KeyboardInterrupt from None
    except BotError as exc:
        exc.args = (terminal.in_words(words_of(exc)),)
        raise
    if not written:
        terminal.say(phrase("nothing was written"))
        raise typer.Exit(1)


async def _until_told(work: Coroutine[Any, Any, bool]) -> bool:
    """A terminal that is closed, or SIGTERM, ends it as Ctrl-C does: in order."""
    for number in (signal.SIGHUP, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, signal.raise_signal, signal.SIGINT)
    return await work


@app.command(cls=PlainCommand)
def check() -> None:
    """Log in and say whether it would work, and what is in its way.

    Posts nothing. What is in its way goes to standard error.
    """
    from bot import logs
    from bot.config import Settings
    from bot.setup.check import Verdict
    from bot.setup.check import check as findings

    async def show() -> bool:
        works = True
        async for finding in findings(settings):
            failure = finding.verdict is Verdict.FAILURE
            typer.echo(say(finding.line), err=failure)
            works = works and not failure
        return works

    with their_language() as say:
        settings = Settings.load({})
        logs.configure("ERROR", settings.log_format, secrets=settings.secrets)
        if not asyncio.run(show()):
            raise typer.Exit(1)


for commands in (history, operator, moving):
    app.add_typer(commands.app)


def _complain(line: str, code: int) -> int:
    typer.echo(f"error: {line}", err=True)
    return code
