"""What commands begin with: the settings, a console, options that are read as settings are."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from importlib import import_module
from io import TextIOWrapper
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, TextIO

import typer
from typer.core import TyperArgument, TyperCommand

from bot.errors import BotError, SettingsError, words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from rich.console import Console

    from bot.admin.formats import Out
    from bot.config import Settings
    from bot.phrases import Say
    from bot.routes import Routes

COLUMNS: Final = 100  # of what is no terminal


def option(parse: str, module: str = "bot.setting_values") -> Callable[[str], Any]:
    """An option read as a setting of the same meaning is, by a function of that module."""

    def parsed(text: str) -> Any:
        try:
            return getattr(import_module(module), parse)(text)
        except ValueError as exc:
            raise typer.BadParameter(str(exc)) from exc

    return parsed


def settings_of(overrides: Mapping[str, Any]) -> Settings:
    from bot import logs

    # An export has thousands of decisions, and the report shows them: the log is for trouble.
    settings = _loaded(overrides)
    logs.configure("WARNING", secrets=settings.secrets)
    return settings


def settings_to_ask_by() -> Settings:
    """Of a command that only looks: nothing on its way logs, and the library for it takes a tenth of a start."""
    from bot.redacting import redact

    settings = _loaded({})
    redact(settings.secrets)
    return settings


def _loaded(overrides: Mapping[str, Any]) -> Settings:
    from bot.config import Settings

    return Settings.load(overrides)


@contextmanager
def their_language() -> Iterator[Say]:
    """Of who gives the command: what goes wrong is said in it as well."""
    from bot.config import language_of
    from bot.phrases import translator

    say = translator(language_of())
    try:
        yield say
    except BotError as exc:
        exc.args = (say(words_of(exc)),)
        raise


def rules_of_all(settings: Settings) -> Routes:
    """All sources and places, as far as that is known without Telegram.

    While the file is wrong, those by which the running bot goes.
    """
    from bot.known_routes import known_routes

    try:
        return known_routes(settings)
    except SettingsError as exc:
        from bot.admin.reload import in_force

        routes = in_force(settings)
        if routes is None:
            raise
        typer.echo(f"{exc}\nthe running bot goes by what stood there before:", err=True)
        return routes


def _in_utc(asked: bool) -> None:  # noqa: FBT001  # typer calls it so
    if asked:
        os.putenv("TZ", "UTC")
        time.tzset()


Utc = Annotated[
    bool,
    typer.Option(
        "--utc",
        callback=_in_utc,
        is_eager=True,
        help="Dates in UTC instead of this machine's zone.",
    ),
]


def console() -> Console:
    """Standard output; what is not a terminal has 100 columns."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else COLUMNS)


class Screen(NamedTuple):
    """As `admin.views` has it."""

    file: TextIO
    width: int
    color_system: str | None


def screen() -> Screen:
    """The same for answers, at a tenth of the time in which one is given."""
    from bot.config import colours

    if not sys.stdout.isatty():
        return Screen(sys.stdout, COLUMNS, None)
    return Screen(sys.stdout, get_terminal_size().columns, "standard" if colours() else None)


class PlainCommand(TyperCommand):
    """Its help names what is to be given, and says nothing of the program's types."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        for each in self.params:
            if isinstance(each, TyperArgument):  # options say it by their metavar
                vars(each)["display_type_rich"] = _nothing

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]


def _nothing(ctx: object) -> str:  # noqa: ARG001  # typer calls it so
    return ""


@contextmanager
def standard_output() -> Iterator[Out]:
    """For data: UTF-8 whatever the locale, with line ends as they are written."""
    from bot.admin.formats import OnScreen

    out: Any = sys.stdout  # with secrets in the settings it blacks them out, and is no mere file
    out.reconfigure(encoding="utf-8", newline="")
    yield OnScreen(out) if out.isatty() else out


def ready_streams() -> None:
    """For any text, wherever they lead.

    What is printed to one that is closed goes nowhere: else the next file that is opened would stand in
    its place, and get it.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # the lowest number that is free is its own
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))
    for out in (sys.stdout, sys.stderr):
        if isinstance(out, TextIOWrapper):
            # Where the locale has no letter for what people wrote, an escape stands for it: no failure.
            out.reconfigure(errors="backslashreplace")
    sys.stdout = StandardOutput(sys.stdout)


class StandardOutput:
    """What it does not take is an error of one line, and what comes after that goes nowhere."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text) if text != "" else 0  # so click asks what it is
        except OSError as exc:
            raise self._told(exc) from exc

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as exc:
            raise self._told(exc) from exc

    def _told(self, exc: OSError) -> Exception:
        if isinstance(exc, BrokenPipeError):
            return exc  # the reader has seen enough, which is no error
        hush(self._stream)
        return BotError(f"standard output: {exc.strerror}")

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


def hush(out: TextIO) -> None:
    """Have what is not written yet go nowhere: Python would complain of it at the exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
