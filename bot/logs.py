"""Where log lines go and what they look like: for people on a terminal, JSON lines elsewhere."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, TextIO

import structlog

if TYPE_CHECKING:
    from structlog.typing import Processor


def configure(level: str, style: str = "auto", *, stream: TextIO = sys.stderr) -> None:
    """`style`: console, json, or auto (console if the stream is a terminal)."""
    if style == "auto":
        style = "console" if stream.isatty() else "json"
    render: Processor = (
        structlog.dev.ConsoleRenderer(colors=stream.isatty())
        if style == "console"
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(stream),
        # A call below the level then costs a method that does nothing, and no more.
        cache_logger_on_first_use=True,
    )
