"""Patterns of operators, which meet what strangers write: RE2, so that none can hang."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final

from bot.phrases import joined, phrase

# What RE2 leaves out, since it would need more than one look at a text.
AROUND: Final = re.compile(r"\(\?(?:[=!]|<[=!])")
AGAIN: Final = re.compile(r"\\[1-9]|\\[gk]|\(\?P=")


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
        raise ValueError(joined("; ", [_reason(exc), _hint(pattern)])) from exc


def searched(text: str) -> bytes:
    """The text as a compiled pattern takes it."""
    return text.encode(errors="surrogatepass")


def matches_all(regex: Any) -> bool:
    """A pattern that finds nothing, and so is found in every text."""
    return any(found and found.end() == found.start() for found in map(regex.search, (b"", b"a")))


def _hint(pattern: str) -> str:
    """For what other kinds of patterns have and RE2 has not."""
    if AROUND.search(pattern):
        return phrase("RE2 cannot look ahead or behind: write the pattern without that")
    if AGAIN.search(pattern):
        return phrase("RE2 cannot refer back to a group: write the pattern without that")
    return phrase("https://github.com/google/re2/wiki/Syntax says what may stand there")


def _reason(exc: Exception) -> str:
    """One line, whatever the pattern quoted in it; re2 gives bytes."""
    reason = exc.args[0]
    text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(exc)
    return " ".join(text.split())
