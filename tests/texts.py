"""Texts that are hard to read."""

from __future__ import annotations

# As .env.example shows them; real groups open their signals in these ways.
EMOJI = r"(?im)^[#$]?[0-9]*[A-Z][A-Z0-9]*(?:/[A-Z]+)?\s+(?:🟢\s*(?:LONG|ЛОНГ)|🔴\s*(?:SHORT|ШОРТ))(?:[^\p{L}\p{N}_]|$)"

UNDERSCORE = r"(?im)^\s*[#$]?[0-9]*[A-Z][A-Z0-9]*_(?:LONG|SHORT|ЛОНГ|ШОРТ)\s*$"

TWO_WORDS = r"(?m)^\s*[#$]?[0-9]*[A-Z][A-Z0-9]*(?:/[A-Z]+)?[\t\p{Zs}]+(?i:LONG|SHORT|ЛОНГ|ШОРТ)\s*$"
