"""Where log lines go and what they look like: for people on a terminal, JSON lines elsewhere.

One pipe for all: our own lines, those of the libraries, which use `logging`, and what Python itself
writes to standard error. At its end the configured secrets are blacked out.
"""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from bot.redacting import redact, redacting

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from structlog.typing import Processor


@contextmanager
def _without_rich() -> Iterator[None]:
    """Structlog loads it where it is installed: 5 MB and 0.1 s, for tracebacks that are never drawn here."""
    if "rich" in sys.modules:
        yield
        return
    sys.modules["rich"] = None  # type: ignore[assignment]  # as Python says that there is none
    try:
        yield
    finally:
        del sys.modules["rich"]


with _without_rich():
    import structlog


def configure(
    level: str,
    style: str = "auto",
    *,
    stream: TextIO | None = None,
    secrets: Iterable[str] = (),
) -> None:
    """`style`: console, json, or auto (console if the stream is a terminal).

    `stream` None: standard error, which from then on shows none of the `secrets` either.
    """
    if stream is None:
        redact(secrets)
        stream = sys.stderr
    else:
        stream = redacting(stream, secrets)
    if style == "auto":
        style = "console" if stream.isatty() else "json"
    shared: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    render: Processor = (
        structlog.dev.ConsoleRenderer(
            colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
        if style == "console"
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.WriteLoggerFactory(stream),
        # A call below the level then costs a method that does nothing, and no more.
        cache_logger_on_first_use=True,
    )
    _configure_libraries(level, stream, shared, render)


def _configure_libraries(
    level: str, stream: TextIO, shared: list[Processor], render: Processor
) -> None:
    """Pyrogram tells of every packet and update: that is for whoever asks for DEBUG."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    logging.captureWarnings(capture=True)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel("ERROR" if level == "ERROR" else "WARNING")
    logging.getLogger("pyrogram").setLevel("DEBUG" if level == "DEBUG" else logging.NOTSET)
    # Kurigram tells which proxy it goes by, with the password in it.
    logging.getLogger("pyrogram.connection").setLevel("WARNING")
