"""The value of digits as people write them, and what commas mean in a message."""

from __future__ import annotations

import re
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.rules.signal_parser.tokens import Token

MAX_DIGITS: Final = 20  # of a price; a longer one is a typo or an attack, and is read as absent
_LONGEST: Final = 200  # characters, so that no text makes a number expensive
_PLAIN: Final = re.compile(r"[0-9]+(?:[.,][0-9]+)?|[.,][0-9]+")
_GROUPED: Final = re.compile(r"[0-9]{1,3}([.,])[0-9]{3}(?:\1[0-9]{3})*(?:(?!\1)[.,][0-9]+)?")
_COMMA_THOUSANDS: Final = re.compile(r"[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]+)?")
_NEAR: Final = Decimal("1.4")  # two prices of one list lie closer than this


def near(one: Decimal, other: Decimal, factor: Decimal | int = _NEAR) -> bool:
    return max(one, other) <= min(one, other) * factor


class Numerals:
    """How one message writes its numbers."""

    def __init__(self, tokens: Iterable[Token], *, currencies: bool) -> None:
        """`currencies`: it is about a pair of two, of which none has a price in thousands."""
        commas = [token for token in tokens if "," in token.digits]
        grouped = [token for token in commas if _COMMA_THOUSANDS.fullmatch(token.digits)]
        dollars = any(token.dollar for token in grouped)
        self._lists = all(_list_by_commas(token.digits) for token in commas)
        self._thousands = not currencies and (dollars or len(grouped) == len(commas))

    def values(self, token: Token) -> list[Decimal]:
        """The one value; several for "39100,39500"; none where it is no number, not positive, or in doubt."""
        if len(token.digits) > _LONGEST:
            return []
        if " " in token.digits and _looks_like_a_list(token.digits):
            return []
        digits = token.digits.replace(" ", "")
        if self._thousands and _COMMA_THOUSANDS.fullmatch(digits):
            digits = digits.replace(",", "")
        elif (parts := _list_by_commas(digits)) and (self._lists or "." in digits):
            return list(filter(None, map(_decimal, parts)))
        value = _decimal(digits)
        if value is None:
            return []
        return [value * 1000 if token.thousand else value]


def _decimal(digits: str) -> Decimal | None:
    if not _PLAIN.fullmatch(digits):
        grouped = _GROUPED.fullmatch(digits)
        if grouped is None:
            return None
        digits = digits.replace(grouped[1], "")
    digits = digits.replace(",", ".")
    if len(digits.replace(".", "")) > MAX_DIGITS:
        return None
    return Decimal(digits if digits[0] != "." else "0" + digits) or None


def _list_by_commas(digits: str) -> list[str]:
    """Prices that only commas part: "132.650,133.000", "39100,39500". Empty: it is one number."""
    parts = digits.split(",")
    if len(parts) < 2:  # noqa: PLR2004
        return []
    values = [_decimal(part) for part in parts if part.count(".") <= 1]
    if len(values) < len(parts) or None in values:
        return []
    pairs = pairwise(values)
    if not all(one and other and near(one, other) for one, other in pairs):
        return []
    pointed = all("." in part for part in parts)
    long = all(len(part) == len(parts[0]) >= 4 for part in parts)  # noqa: PLR2004
    return parts if pointed or long else []


def _looks_like_a_list(digits: str) -> bool:
    """So does "105 110 115", which may be one number or three prices."""
    groups = digits.split(" ")
    if len(groups[0]) < 3:  # noqa: PLR2004
        return False
    values = [Decimal(group.replace(",", ".")) for group in groups if group.count(",") <= 1]
    pairs = pairwise(values)
    return all(one and other and near(one, other) for one, other in pairs)
