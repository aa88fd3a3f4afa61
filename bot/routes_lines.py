"""In which line of `routes.toml` something stands; `tomllib` does not say."""

from __future__ import annotations

import re
from typing import Final

TABLE: Final = re.compile(r"\s*\[\[\s*source(?:\s*\.\s*(place))?\s*\]\]")
KEY: Final = re.compile(r"""\s*["']?([\w-]+)["']?\s*=""")
LONG: Final = re.compile(r'"""|' + "'''")

At = tuple[int, int | None]  # a source, and a place of it, by their numbers


class LineNumbers:
    """A source and its places are told by their numbers in the file."""

    def __init__(self, text: str) -> None:
        self._keys: dict[tuple[At, str | None], int] = {}
        at: At = (-1, None)
        inside = False  # of a text of several lines
        for number, line in enumerate(text.splitlines(), 1):
            began, inside = inside, inside ^ (len(LONG.findall(line)) % 2 == 1)
            if began:
                continue
            if table := TABLE.match(line):
                source, place = at
                at = (
                    (source, (-1 if place is None else place) + 1)
                    if table[1]
                    else (source + 1, None)
                )
                self._keys[at, None] = number
            elif key := KEY.match(line):
                self._keys.setdefault((at, key[1]), number)

    def of(self, at: At, key: str | None = None) -> int:
        """Of the key; of the table, where that does not stand in a line of its own."""
        source = (at[0], None)
        for known in ((at, key), (at, None), (source, "place"), (source, None)):
            if known in self._keys:
                return self._keys[known]
        return 1
