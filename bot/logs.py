"""Where log lines go and what they look like: for people on a terminal, JSON lines elsewhere.

One pipe for all: our own lines, those of the libraries, which use `logging`, and what Python itself
writes to standard error. At its end the configured secrets are blacked out.
"""

from __future__ import annotations

import base64
import logging
import re
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TextIO
from urllib.parse import quote

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

BLACKED_OUT: Final = "[secret]"
SHORTEST: Final = 8  # characters; anything shorter is a word, and stands in other places too
PIECE: Final = 16  # characters of a secret that are enough to be blacked out on their own
AUTH_KEY: Final = slice(6, 262)  # bytes of a session string, once decoded


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
        stream = sys.stderr = _redacting(sys.stderr, secrets)
        sys.stdout = _redacting(sys.stdout, secrets)
    else:
        stream = _redacting(stream, secrets)
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
        logger_factory=structlog.PrintLoggerFactory(stream),
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


# ── secrets ───────────────────────────────────────────────────────────────────


class Redacting:
    """A text stream that blacks out secrets, each as a whole or in pieces.

    A secret that is written in two halves by two calls is not found; log lines and the lines of a
    traceback are written by one.
    """

    def __init__(self, stream: TextIO, secrets: re.Pattern[str]) -> None:
        self.stream = stream
        self._secrets = secrets

    def write(self, text: str) -> int:
        self.stream.write(self._secrets.sub(BLACKED_OUT, text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> object:
        return getattr(self.stream, name)


def _redacting(stream: TextIO, secrets: Iterable[str]) -> TextIO:
    if isinstance(stream, Redacting):  # configured a second time, now that there are settings
        stream = stream.stream
    forms = {form for secret in secrets for form in _forms(secret) if len(form) >= SHORTEST}
    if not forms:
        return stream
    longest_first = sorted(forms, key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, longest_first)))
    redacting: TextIO = Redacting(stream, pattern)  # type: ignore[assignment]  # it writes text
    return redacting


def _forms(secret: str) -> Iterator[str]:
    """The ways in which a secret can come to light."""
    whole = [secret, *secret.split(":")[1:], *_keys_within(secret)]
    for text in whole:
        yield text
        yield quote(text, safe="")
        for start in range(0, len(text) - PIECE + 1, PIECE):
            yield text[start : start + PIECE]


def _keys_within(secret: str) -> Iterator[str]:
    """The key that a session string holds, as programs like to show bytes."""
    try:
        key = base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4))[AUTH_KEY]
    except ValueError:
        return
    if len(key) == AUTH_KEY.stop - AUTH_KEY.start:
        yield key.hex()
        yield key.hex().upper()
        yield key.hex(" ")
        yield repr(key)[2:-1]
        yield base64.b64encode(key).decode()
        yield base64.urlsafe_b64encode(key).decode()
        yield str(int.from_bytes(key))
        yield str(int.from_bytes(key, "little"))
