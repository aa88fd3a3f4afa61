"""One HTML page that needs nothing else: no script, no font, no request. Its own policy forbids them."""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bot.errors import BotError, UsageError
from bot.picture.sections import rule, sections, tiles
from bot.picture.words import period, readable

if TYPE_CHECKING:
    from bot.picture.figures import Figures
    from bot.picture.sections import About


def page(figures: Figures, about: About) -> str:
    environment = Environment(
        loader=PackageLoader(__package__, ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = resources.files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    answers = figures.answers()
    return environment.get_template("page.html").render(
        title=readable(about.title),
        period=_period(figures),
        origin=about.origin,
        rule=rule(figures, about),
        tiles=tiles(figures, answers, about),
        sections=sections(figures, answers, about),
        style=Markup(style),  # noqa: S704  # our own file
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
    )


def _period(figures: Figures) -> str:
    if figures.first is None or figures.last is None:
        return "no messages"
    return period(figures.first, figures.last)


class PageFile:
    """Where the page goes. What was there before stays until the new one is complete.

    Raises `UsageError` before there is anything to write, where nothing could be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            why_not = _why_not(path)
        except OSError as exc:
            why_not = exc.strerror
        if why_not is not None:
            raise UsageError(f"--html: {path}: {why_not}")

    def write(self, html: str) -> None:
        folder = self._path.parent
        try:
            with tempfile.TemporaryDirectory(prefix=".page-", dir=folder) as unfinished:
                made = Path(unfinished, "page.html")
                made.write_text(html, encoding="utf-8")
                made.replace(self._path)
        except OSError as exc:
            raise BotError(f"{self._path}: {exc.strerror}") from exc


def _why_not(path: Path) -> str | None:
    if path.exists() and not path.is_file():
        return "is not a file"
    if not path.parent.is_dir():
        return "there is no such directory"
    if not os.access(path.parent, os.W_OK):
        return "the directory cannot be written to"
    return None
