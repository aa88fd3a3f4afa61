"""Patterns of operators, which meet what strangers write: RE2, so that none can hang."""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def compiled(pattern: str) -> Any:
    """It is to be asked about bytes of UTF-8, with `surrogatepass`: RE2 decodes every offset of a str.

    Raises `ValueError`, with the reason in one line.
    """
    import re2  # noqa: PLC0415  # milliseconds of start-up, and most bots need no pattern

    options = re2.Options()
    options.log_errors = False  # to stderr, past our log; the reason is in the exception
    try:
        return re2.compile(pattern, options)
    except (re2.error, UnicodeEncodeError) as exc:
        raise ValueError(_reason(exc)) from exc


def searched(text: str) -> bytes:
    """The text as a compiled pattern takes it."""
    return text.encode(errors="surrogatepass")


def matches_all(regex: Any) -> bool:
    """A pattern that finds nothing, and so is found in every text."""
    return any(found and found.end() == found.start() for found in map(regex.search, (b"", b"a")))


def _reason(exc: Exception) -> str:
    """One line, whatever the pattern quoted in it; re2 gives bytes."""
    reason = exc.args[0]
    text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(exc)
    return " ".join(text.split())
