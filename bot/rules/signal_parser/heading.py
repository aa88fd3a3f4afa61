"""What stands around the prices: direction, timeframe, leverage, risk."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from bot.rules.signal_parser.pair import is_known, line_around, lines
from bot.rules.signal_parser.tokens import Token, TokenKind
from bot.rules.signal_parser.words import MOODS, SIDES, Field, words_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from bot.rules.signal_parser.labels import Label
    from bot.rules.signal_parser.numbers import Numerals
    from bot.signal_fields import Direction

_NO_SIDE_BEFORE: Final = frozenset(
    {"term", "time", "squeeze", "run", "terms", "ratio", "liquidations"}
)
_GLUED_SIDES: Final = ("buy", "sell", "long", "short")
_UNITS: Final = {"d": "1D", "д": "1D", "w": "1W", "н": "1W"}
_WORDS_OF_TIME: Final = {
    "daily": "1D",
    "дневной": "1D",
    "weekly": "1W",
    "недельный": "1W",
    "hourly": "1H",
    "часовой": "1H",
}
_DEADLINES: Final = words_of(
    "in for after within last next через за до каждые expires valid duration period past ago после"
)
_PRICED: Final = frozenset({Field.TARGET, Field.STOP, Field.ENTRY})
_LONGEST_SPAN: Final = 3  # digits
_HIGHEST_LEVERAGE: Final = 1000
_LEVERAGE_GAPS: Final = words_of(
    "cross isolated кросс изолированная изолированное изолир up to max макс до от margin and и "
    "use recommended"
)
_RISK_GAPS: Final = words_of("в на per in сделке сделку trade of от the позицию позиции")


# ── direction ─────────────────────────────────────────────────────────────────


def find_sides(tokens: Sequence[Token]) -> dict[int, Direction]:
    """The tokens that say long or short. "Long term" and "long/short" say neither."""
    return {at: side for at in range(len(tokens)) if (side := _side_at(tokens, at)) is not None}


def _side_at(tokens: Sequence[Token], at: int) -> Direction | None:
    word = tokens[at].word
    if word not in SIDES:
        return _glued_side(word)
    if _across(tokens, at, 1) in _NO_SIDE_BEFORE:
        return None
    if "/" in {_text(tokens, at + 1), _text(tokens, at - 1)}:
        neighbours = {_across(tokens, at, 1), _across(tokens, at, -1)}
        if any(SIDES.get(neighbour, SIDES[word]) is not SIDES[word] for neighbour in neighbours):
            return None
    return SIDES[word]


def _glued_side(word: str) -> Direction | None:
    """XAUUSDSELL: only behind a whole pair."""
    for side in _GLUED_SIDES:
        if word.endswith(side) and word[: -len(side)].endswith(
            ("usd", "usdt", "jpy", "gold", "us30")
        ):
            return SIDES[side]
    return None


def _text(tokens: Sequence[Token], at: int) -> str:
    return tokens[at].text if 0 <= at < len(tokens) else ""


def _across(tokens: Sequence[Token], at: int, step: int) -> str:
    """The next word, over a hyphen or a slash."""
    if _text(tokens, at + step) in {"-", "/"}:
        at += step
    return tokens[at + step].word if 0 <= at + step < len(tokens) else ""


def direction(
    tokens: Sequence[Token], labels: Sequence[Label], sides: dict[int, Direction]
) -> Direction | None:
    """Behind its own label, else the one named first."""
    for label in labels:
        if label.field is Field.SIDE:
            _, end = line_around(tokens, label.end - 1)
            for at in range(label.end, end):
                named = sides.get(at) or MOODS.get(tokens[at].word)
                if named is not None:
                    return named
    return next(iter(sides.values()), None)


# ── timeframe ─────────────────────────────────────────────────────────────────


def timeframe(
    tokens: Sequence[Token], labels: Sequence[Label], heads: AbstractSet[int]
) -> str | None:
    """Behind its own label, else beside the pair or the direction (`heads`), else in a line without foreign words."""
    for label in labels:
        if label.field is Field.TIMEFRAME:
            start = label.end
            while start < label.body_end and tokens[start].kind in {
                TokenKind.MARK,
                TokenKind.BREAK,
            }:
                start += 1
            found = _spans(tokens, start, line_around(tokens, start)[1], label=True)
            if found is not None:
                return found
    ranges = list(lines(tokens))
    priced = {label.start for label in labels if label.field in _PRICED}
    for start, end in ranges:
        if not heads.isdisjoint(range(start, end)):
            # A letter alone is no timeframe beside a price: "TP1 D".
            letter = priced.isdisjoint(range(start, end))
            if found := _spans(tokens, start, end, label=letter):
                return found
    plain = (_spans(tokens, *each, label=False) for each in ranges if _is_plain(tokens, *each))
    return next(filter(None, plain), None)


def _is_plain(tokens: Sequence[Token], start: int, end: int) -> bool:
    return all(
        token.kind is not TokenKind.WORD or is_known(token.word) for token in tokens[start:end]
    )


def _spans(tokens: Sequence[Token], start: int, end: int, *, label: bool) -> str | None:
    """`label`: a letter alone, such as D, counts."""
    for at in range(start, end):
        token = tokens[at]
        if token.kind is TokenKind.SPAN and _is_timeframe(tokens, at):
            return f"{token.unit}{token.digits}" if token.broker else f"{token.digits}{token.unit}"
        if (
            label
            and token.word in _WORDS_OF_TIME
            and tokens[start - 1].kind is not TokenKind.BREAK
            and start
        ):
            return _WORDS_OF_TIME[token.word]
        if label and token.text.casefold() in _UNITS and _stands_alone(tokens, at):
            return _UNITS[token.text.casefold()]
    return None


def _is_timeframe(tokens: Sequence[Token], at: int) -> bool:
    token = tokens[at]
    digits = token.digits
    if (
        token.glued
        or token.dollar
        or not digits.isdigit()
        or len(digits) > _LONGEST_SPAN
        or digits[0] == "0"
    ):
        return False
    before = tokens[at - 1] if at else None
    if (
        before is not None
        and before.end == token.start
        and before.text in {"-", "/", ".", ",", "'"}
    ):
        return before.text == "/" and at > 1 and tokens[at - 2].kind is TokenKind.SPAN
    if before is not None and before.kind is TokenKind.WORD and before.word in _DEADLINES:
        return False
    return _text(tokens, at + 1) != "$" or tokens[at + 1].start > token.end


def _stands_alone(tokens: Sequence[Token], at: int) -> bool:
    edges = {"/", ".", ",", "'", "’", "-"}
    before = tokens[at - 1] if at else None
    after = tokens[at + 1] if at + 1 < len(tokens) else None
    if before is not None and before.end == tokens[at].start and before.text in edges:
        return False
    return after is None or after.start > tokens[at].end or after.text not in edges


# ── leverage and risk ─────────────────────────────────────────────────────────


def leverage(
    tokens: Sequence[Token], labels: Sequence[Label], heads: AbstractSet[int], numerals: Numerals
) -> Decimal | None:
    """Behind its own label, else "10x" in a line of nothing but known words; the highest of several."""
    for wanted in (Field.LEVERAGE, Field.MARGIN):
        for label in labels:
            if label.field is wanted:
                found = _times(tokens, label, numerals, bare=wanted is Field.LEVERAGE)
                if found is not None:
                    return found
    values = [
        value
        for start, end in lines(tokens)
        if any(token.kind is TokenKind.TIMES for token in tokens[start:end])
        and all(
            _fits_leverage(tokens[at], is_head=at in heads or _text(tokens, at - 1) == "#")
            for at in range(start, end)
        )
        for token in tokens[start:end]
        if token.kind is TokenKind.TIMES
        for value in numerals.values(token)
    ]
    return _highest(values)


def _fits_leverage(token: Token, *, is_head: bool) -> bool:
    return token.kind is not TokenKind.WORD or is_head or is_known(token.word)


def _times(
    tokens: Sequence[Token], label: Label, numerals: Numerals, *, bare: bool
) -> Decimal | None:
    """`bare`: a number without an x counts, too."""
    values: list[Decimal] = []
    for at in range(label.end, label.body_end):
        token = tokens[at]
        if token.kind is TokenKind.TIMES or (token.kind is TokenKind.PRICE and bare):
            if _text(tokens, at + 1) == ":":
                return None
            values += numerals.values(token)
        elif (values and token.kind is TokenKind.BREAK) or _ends_leverage(token):
            break
    return _highest(values)


def _ends_leverage(token: Token) -> bool:
    if token.kind is TokenKind.WORD:
        return token.word not in _LEVERAGE_GAPS
    return token.kind not in {TokenKind.MARK, TokenKind.BREAK, TokenKind.INDEX}


def _highest(values: Sequence[Decimal]) -> Decimal | None:
    if not values or max(values) > _HIGHEST_LEVERAGE:
        return None
    highest = max(values)
    return highest.quantize(Decimal(1)) if highest == highest.to_integral_value() else highest


def risk(tokens: Sequence[Token], labels: Sequence[Label], numerals: Numerals) -> Decimal | None:
    """A per cent of the deposit."""
    bodies = (
        _first_percent(tokens, label, numerals) for label in labels if label.field is Field.RISK
    )
    behind = next((value for value in bodies if value is not None), None)
    return behind if behind is not None else _percent_before(tokens, numerals)


def _first_percent(tokens: Sequence[Token], label: Label, numerals: Numerals) -> Decimal | None:
    for at in range(label.end, label.body_end):
        token = tokens[at]
        if token.kind is TokenKind.PERCENT:
            return next(iter(numerals.values(token)), None)
        passed = token.kind is TokenKind.MARK or token.word in _RISK_GAPS
        if not passed and not (token.kind is TokenKind.BREAK and _text(tokens, at - 1) == ":"):
            return None
    return None


def _percent_before(tokens: Sequence[Token], numerals: Numerals) -> Decimal | None:
    """The per cent of "2% риска", "1% risk"."""
    for before, token in pairwise(tokens):
        if before.kind is TokenKind.PERCENT and token.word in {"risk", "риск", "риска"}:
            return next(iter(numerals.values(before)), None)
    return None
