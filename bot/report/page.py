"""One HTML page that needs nothing else: no script, no font, no request. Its own policy forbids them."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bot.report.sections import rule, sections, tiles
from bot.report.words import period, readable

if TYPE_CHECKING:
    from bot.report.figures import Figures
    from bot.report.sections import PageHead


def page(figures: Figures, about: PageHead) -> str:
    answers = figures.answers()
    return filled(
        "page.html",
        title=readable(about.title),
        period=_period(figures),
        origin=about.origin,
        rule=rule(figures, about),
        tiles=tiles(figures, answers, about),
        sections=sections(figures, answers, about),
    )


def filled(template: str, **values: object) -> str:
    style = resources.files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    return (
        _templates()
        .get_template(template)
        .render(
            **values,
            style=Markup(style),  # noqa: S704  # our own file
            style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        )
    )


def body_of(html: str) -> Markup:
    """What a page that was drawn here shows, to stand in another one of ours."""
    inner = html.partition("<body>\n")[2].rpartition("<footer>")[0]
    return Markup(inner)  # noqa: S704  # it was made by `page`, with all that people wrote escaped


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader(__package__, ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _period(figures: Figures) -> str:
    if figures.first is None or figures.last is None:
        return "no messages"
    return period(figures.first, figures.last)
