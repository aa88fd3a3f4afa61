"""Texts with fields in them, such as "{pair} by {author}": the header, footer and template of a place.

What a field holds is put in as it is. It is never read as a field or as formatting.
"""

from __future__ import annotations

from functools import cache
from string import Formatter
from typing import TYPE_CHECKING, NamedTuple

from bot.phrases import phrase
from bot.rules.retext import Formatted, joined

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Values = Mapping[str, Formatted | None]  # of each field; None, or none: there is no such thing


class Piece(NamedTuple):
    words: str
    field: str | None  # that stands behind the words


@cache
def pieces(line: str) -> tuple[Piece, ...]:
    """Raises `ValueError` for a brace that opens or closes nothing, or more than a name in braces."""
    found = []
    for words, field, spec, conversion in Formatter().parse(line):
        if spec or conversion or (field is not None and not field.isidentifier()):
            raise ValueError(phrase("{{{field}}} is no name of a field", field=field))
        found.append(Piece(words, field))
    return tuple(found)


def fields(wording: str) -> set[str]:
    """That it names. Raises as `pieces` does."""
    named = {piece.field for line in wording.split("\n") for piece in pieces(line)}
    return named - {None}  # type: ignore[return-value]


def filled(wording: str, values: Values) -> Formatted:
    """Line by line. One whose fields are all empty is left out."""
    found = [_line(line, values) for line in wording.split("\n")]
    return with_breaks(line for line in found if line is not None)


def with_breaks(parts: Iterable[Formatted]) -> Formatted:
    between = Formatted("\n")
    found = [each for part in parts for each in (between, part)]
    return joined(*found[1:])


def _line(line: str, values: Values) -> Formatted | None:
    said = [values.get(piece.field) for piece in pieces(line) if piece.field is not None]
    if said and not any(said):
        return None
    found = []
    for words, field in pieces(line):
        found.append(Formatted(words))
        if field is not None:
            found.append(values.get(field) or Formatted(""))
    return joined(*found)
