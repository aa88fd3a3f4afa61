"""What counts as a signal, and what it says: see `signal_parser`."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any

from bot.errors import SettingsError
from bot.rules.signal_parser.reader import parse

if TYPE_CHECKING:
    from collections.abc import Sequence

# Letters and ligatures that casefolding takes for other letters, which nobody types by accident.
LOOK_ALIKES = re.compile("[\u017f\u1e9b\u212a\ufb00-\ufb06]")
# What RE2 leaves out, since it would need more than one look at a text.
AROUND = re.compile(r"\(\?(?:[=!]|<[=!])")
AGAIN = re.compile(r"\\[1-9]|\\[gk]|\(\?P=")

__all__ = ["Markers", "parse"]


class Markers:
    """`SettingsError` names a marker that no text could be judged by.

    A literal counts anywhere in the text, in any case, letter by letter: what only looks like one of its
    letters, or has an invisible character in between, is none. A pattern is RE2, since it runs on every stranger's
    message and must not be able to hang, and sees the text as it was written.
    """

    def __init__(self, literals: Sequence[str], patterns: Sequence[str] = ()) -> None:
        if any(not literal.strip() for literal in literals):
            raise SettingsError("SIGNAL_MARKERS: an empty marker would match every message")
        self._literals = [(_folded(literal), literal) for literal in literals]
        self._patterns = _compiled(patterns) if patterns else []

    def find(self, text: str) -> str | None:
        """The first marker that matches, as it was configured: literals first, then patterns."""
        folded = _folded(LOOK_ALIKES.sub("\ufffd", text))
        for needle, literal in self._literals:
            if needle in folded:
                return literal
        if self._patterns:
            # Bytes, because re2 would raise on a lone surrogate, and decodes every offset of a str.
            raw = text.encode(errors="surrogatepass")
            for regex, pattern in self._patterns:
                if regex.search(raw):
                    return pattern
        return None


def _folded(text: str) -> str:
    # In this order: folding may take a letter apart ("ΐ"), and NFC puts it together again.
    return unicodedata.normalize("NFC", text.casefold())


def _compiled(patterns: Sequence[str]) -> list[tuple[Any, str]]:
    import re2  # noqa: PLC0415  # milliseconds of start-up, and most groups need no pattern

    options = re2.Options()
    options.log_errors = False  # to stderr, past our log; the reason is in the exception
    compiled = []
    for pattern in patterns:
        try:
            regex = re2.compile(pattern, options)
        except (re2.error, UnicodeEncodeError) as exc:
            raise SettingsError(
                f"SIGNAL_PATTERNS: {pattern!r} is refused: {_reason(exc)}{_hint(pattern)}"
            ) from exc
        if any(found and found.end() == found.start() for found in map(regex.search, ("", "a"))):
            raise SettingsError(f"SIGNAL_PATTERNS: {pattern!r} would match every message")
        compiled.append((regex, pattern))
    return compiled


def _hint(pattern: str) -> str:
    """For what other kinds of patterns have and RE2 has not."""
    if AROUND.search(pattern):
        return "; RE2 cannot look ahead or behind: write the pattern without that"
    if AGAIN.search(pattern):
        return "; RE2 cannot refer back to a group: write the pattern without that"
    return "; https://github.com/google/re2/wiki/Syntax says what may stand there"


def _reason(exc: Exception) -> str:
    """One line, whatever the pattern quoted in it; re2 gives bytes."""
    reason = exc.args[0]
    text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(exc)
    return " ".join(text.split())
