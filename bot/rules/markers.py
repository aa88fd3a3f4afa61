"""What counts as a signal, and what it says: see `signal_parser`."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any

from bot.errors import words_of
from bot.faults import fault
from bot.phrases import phrase
from bot.rules.patterns import compiled, matches_all, searched
from bot.rules.signal_parser.reader import parse

if TYPE_CHECKING:
    from collections.abc import Sequence

# Letters and ligatures that casefolding takes for other letters, which nobody types by accident.
LOOK_ALIKES = re.compile("[\u017f\u1e9b\u212a\ufb00-\ufb06]")

__all__ = ["Markers", "parse"]


class Markers:
    """`SettingsError` names a marker that no text could be judged by.

    A literal counts anywhere in the text, in any case, letter by letter: what only looks like one of its
    letters, or has an invisible character in between, is none. A pattern is RE2, since it runs on every stranger's
    message and must not be able to hang, and sees the text as it was written.
    """

    def __init__(self, literals: Sequence[str], patterns: Sequence[str] = ()) -> None:
        if any(not literal.strip() for literal in literals):
            raise fault("SIGNAL_MARKERS", phrase("an empty marker would match every message"))
        self._literals = [(_folded(literal), literal) for literal in literals]
        self._patterns = _patterns(patterns) if patterns else []

    def find(self, text: str) -> str | None:
        """The first marker that matches, as it was configured: literals first, then patterns."""
        folded = _folded(LOOK_ALIKES.sub("\ufffd", text))
        for needle, literal in self._literals:
            if needle in folded:
                return literal
        if self._patterns:
            raw = searched(text)
            for regex, pattern in self._patterns:
                if regex.search(raw):
                    return pattern
        return None


def _folded(text: str) -> str:
    # In this order: folding may take a letter apart ("ΐ"), and NFC puts it together again.
    return unicodedata.normalize("NFC", text.casefold())


def _patterns(patterns: Sequence[str]) -> list[tuple[Any, str]]:
    try:
        return read_patterns(patterns)
    except ValueError as exc:
        raise fault("SIGNAL_PATTERNS", words_of(exc)) from exc


def read_patterns(patterns: Sequence[str]) -> list[tuple[Any, str]]:
    """Each with itself as it is written. Raises `ValueError` for one that no text could be judged by."""
    found = []
    for pattern in patterns:
        try:
            regex = compiled(pattern)
        except ValueError as exc:
            refused = phrase(
                "{pattern} is refused: {error}", pattern=repr(pattern), error=words_of(exc)
            )
            raise ValueError(refused) from exc
        if matches_all(regex):
            raise ValueError(phrase("{pattern} would match every message", pattern=repr(pattern)))
        found.append((regex, pattern))
    return found
