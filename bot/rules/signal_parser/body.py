"""The prices that stand behind a label."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bot.rules.signal_parser.numbers import near
from bot.rules.signal_parser.tokens import Token, TokenKind
from bot.rules.signal_parser.words import GAPS, ORDINALS, SIDES, Field

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from decimal import Decimal

    from bot.rules.signal_parser.labels import Label
    from bot.rules.signal_parser.numbers import Numerals

_FAR: Final = 10  # neighbours in a list are not that many times larger or smaller
_BRACKETS: Final = {"(": ")", "[": "]", "{": "}"}
_WITHIN_REACH: Final = (
    40  # tokens, so that brackets which nobody closes cost no more than their number
)


@dataclass(slots=True)
class Body:
    prices: list[Decimal] = field(default_factory=list)
    percents: list[Decimal] = field(default_factory=list)
    bare: bool = False  # "TP 5": the price 5, or the fifth target without a price
    doubtful: bool = False  # a number stands there that cannot be read
    ends_in_word: bool = False  # the price is followed by a word nobody knows: "buy 2 lots"


class BodyReader:
    """Reads the bodies of one message.

    `in_pair`: the tokens that name a pair, which may stand anywhere before a price.
    """

    def __init__(
        self, tokens: Sequence[Token], numerals: Numerals, in_pair: Collection[int]
    ) -> None:
        self._tokens = tokens
        self._numerals = numerals
        self._in_pair = in_pair

    def read(self, label: Label, number: int) -> Body:
        """`number`: how many labels of the field there are up to this one."""
        body = Body()
        if label.field is Field.SIDE_ENTRY or label.plural:
            start = label.end
        else:
            start = self._behind_ordinal(label, number, body)
        if not body.bare and not body.doubtful:
            self._read_lines(label, start, body)
        return body

    # ── TP 1, TP-1, TP №1, but not TP 65000, TP 1.25, TP 5 / 6 ────────────────

    def _behind_ordinal(self, label: Label, number: int, body: Body) -> int:
        """Where the prices begin. A number alone may be the price as well as the ordinal: `bare`."""
        tokens, at, end = self._tokens, label.end, label.body_end
        while at < end and tokens[at].word in ORDINALS:
            at += 1
        if at < end and tokens[at].kind is TokenKind.INDEX:
            return at + 1
        if at < end and tokens[at].text in {"#", "№"}:
            at += 1
        if at + 1 < end and tokens[at].text == "-" and tokens[at + 1].small is not None:
            dashed = (
                tokens[at - 1].end == tokens[at].start and tokens[at].end == tokens[at + 1].start
            )
            return at + 2 if dashed else at
        if at + 2 < end and tokens[at].text == "(" and tokens[at + 1].small is not None:
            return at + 3 if tokens[at + 2].text == ")" else at
        if at >= end or tokens[at].small is None or tokens[at].kind is not TokenKind.PRICE:
            return at
        if tokens[at].glued:
            return at + 1
        return at + 1 if self._is_ordinal(at, label, number, body) else at

    def _is_ordinal(self, at: int, label: Label, number: int, body: Body) -> bool:
        """Of a small number with a space before it: by what follows."""
        tokens, own = self._tokens, self._tokens[at].small
        mark = tokens[at + 1].text if at + 1 < label.body_end else ""
        following = self._next_price(at + 1, label.body_end)
        if following is None:
            if label.field is not Field.TARGET:
                return False
            body.bare = self._ends_line(at + 1, label.body_end)
            body.prices = self._numerals.values(tokens[at]) if body.bare else []
            return True
        if mark in {"/", ",", ";", "&"}:
            return False
        if mark != "-":
            return True
        values = self._numerals.values(following)
        close = bool(own and values and near(values[0] / own, values[0] / values[0], 3))
        if close and label.field is not Field.TARGET:
            body.doubtful = own == number
            return False
        return own == number or not close

    def _next_price(self, at: int, end: int) -> Token | None:
        """The number that a reader takes for the label's: in this line, or the next that has any."""
        for token in self._tokens[at : min(end, at + _WITHIN_REACH)]:
            if token.kind in {TokenKind.PRICE, TokenKind.BROKEN}:
                return token
            if token.kind is TokenKind.WORD and token.word not in GAPS:
                return None
            if token.kind in {TokenKind.PERCENT, TokenKind.DISTANCE}:
                return None
        return None

    def _ends_line(self, at: int, end: int) -> bool:
        for token in self._tokens[at : min(end, at + _WITHIN_REACH)]:
            if token.kind is TokenKind.BREAK:
                return True
            if token.kind is not TokenKind.MARK or token.text in {
                "✅",
                "✔",
                "☑",
                "❌",
                "✓",
                "🔥",
                "🎉",
                "🚀",
                "💥",
            }:
                return False
        return True

    # ── lines ─────────────────────────────────────────────────────────────────

    def _read_lines(self, label: Label, start: int, body: Body) -> None:
        """What opens the body, and the lines behind it that hold nothing but prices.

        Reading stops at the first word: what comes after "stop to break-even" is no stop. Over an empty line it goes
        on only in a list that has empty lines from its start, or numbers.
        """
        at = self._line(start, label, body)
        if not body.prices and not body.percents and self._heads(at, label.body_end):
            at = self._line_end(at, label.body_end)
        elif not self._is_line_end(at, label.body_end):
            token = self._tokens[at]
            body.ends_in_word = token.kind is TokenKind.WORD
            return
        if body.doubtful or (body.prices and label.field in {Field.SIDE_ENTRY, Field.STOP}):
            return
        self._read_list(at, label, body)

    def _read_list(self, at: int, label: Label, body: Body) -> None:
        nth = 1  # line of the list
        spaced = False
        listed = not body.prices
        while at < label.body_end and not body.doubtful:
            line_start, empty = self._skip_breaks(at, label.body_end)
            line_end = self._line_end(line_start, label.body_end)
            numbered = self._numbered(line_start, line_end, nth)
            began = bool(body.prices or body.percents)
            goes_on = numbered or (listed and (not empty or spaced)) or not began
            if (
                line_start >= label.body_end
                or not goes_on
                or (label.field is Field.SIDE_ENTRY and began)
            ):
                return
            line = Body(prices=body.prices[-1:])
            stopped = self._line(line_start, label, line, nth)
            fresh = line.prices[len(body.prices[-1:]) :]
            if not self._is_line_end(stopped, line_end) and not (numbered and fresh):
                body.doubtful = body.doubtful or line.doubtful
                return
            if not fresh and not line.percents:
                return
            body.prices += fresh
            body.percents += line.percents
            body.doubtful = line.doubtful
            spaced = spaced or empty
            nth += 1
            at = line_end

    def _skip_breaks(self, at: int, end: int) -> tuple[int, bool]:
        """The start of the next line that is not empty, and whether there were empty ones."""
        breaks = 0
        while at < end and self._tokens[at].kind is TokenKind.BREAK:
            breaks += 1
            at += 1
        return at, breaks > 1

    def _numbered(self, at: int, end: int, nth: int) -> bool:
        """The line opens with "1)", "2.", "3 -" or a keycap."""
        while at < end and self._tokens[at].kind is TokenKind.MARK:
            at += 1
        if at >= end:
            return False
        return self._tokens[at].kind is TokenKind.INDEX or self._is_index(at, end, nth)

    def _line_end(self, at: int, end: int) -> int:
        while at < end and self._tokens[at].kind is not TokenKind.BREAK:
            at += 1
        return at

    def _is_line_end(self, at: int, end: int) -> bool:
        return at >= end or self._tokens[at].kind is TokenKind.BREAK

    def _heads(self, at: int, end: int) -> bool:
        """The line ends here, or is a heading: "Targets for today:"."""
        stop = self._line_end(at, end)
        return at == stop or self._tokens[stop - 1].text == ":"

    # ── one line ──────────────────────────────────────────────────────────────

    def _line(self, at: int, label: Label, body: Body, nth: int = 0) -> int:
        """Reads the prices that open a line, the `nth` of a list, and tells where it stopped."""
        first = at
        while not self._is_line_end(at, label.body_end) and not body.doubtful:
            token = self._tokens[at]
            if token.text in _BRACKETS and token.kind is TokenKind.MARK:
                at = self._bracket(at, label, body)
            elif token.kind is TokenKind.MARK:
                at += self._sign(at, label.body_end, body)
            elif token.kind is TokenKind.PRICE:
                behind = self._price(at, label, body, nth if self._opens(first, at) else 0)
                if behind == at:
                    return at
                at = behind
            elif self._is_passed_over(at, label):
                self._note(token, body)
                at += 1
            else:
                body.doubtful = token.kind is TokenKind.BROKEN or token.kind is TokenKind.TIMES
                return at
        return at

    def _opens(self, first: int, at: int) -> bool:
        return all(token.kind is TokenKind.MARK for token in self._tokens[max(first, at - 8) : at])

    def _bracket(self, at: int, label: Label, body: Body) -> int:
        """Behind it if it is a remark: what stands in brackets behind a price, or holds words."""
        closing = _BRACKETS[self._tokens[at].text]
        words = False
        for end in range(at + 1, min(label.body_end, at + _WITHIN_REACH)):
            token = self._tokens[end]
            if token.kind is TokenKind.BREAK:
                return at + 1
            words = words or (
                token.kind is TokenKind.WORD and end not in self._in_pair and token.word not in GAPS
            )
            if token.text == closing:
                after = self._tokens[end + 1].text if end + 1 < label.body_end else ""
                return end + 1 if words or body.prices or after == ":" else at + 1
        return at + 1

    def _sign(self, at: int, end: int, body: Body) -> int:
        """How many tokens a mark takes: "+70" is a distance, and "-5" behind a colon below zero."""
        mark = self._tokens[at]
        following = self._tokens[at + 1] if at + 1 < end else None
        if following is None or following.kind is not TokenKind.PRICE or following.start > mark.end:
            return 1
        if mark.text == "+":
            return 2
        before = self._tokens[at - 1].text if at else ""
        if mark.text in {"-", "−"} and before in {":", "="}:
            body.doubtful = True
        return 1

    def _is_passed_over(self, at: int, label: Label) -> bool:
        token = self._tokens[at]
        if token.kind is TokenKind.WORD:
            return token.word in GAPS or token.word in SIDES or at in self._in_pair
        if token.kind is TokenKind.TIMES:
            return label.field is Field.SIDE_ENTRY
        if token.kind is TokenKind.SPAN:  # "Sell limit H1", and the price in the next line
            return label.field in {Field.SIDE_ENTRY, Field.ENTRY}
        return token.kind in {
            TokenKind.PERCENT,
            TokenKind.DISTANCE,
            TokenKind.INDEX,
            TokenKind.CLOCK,
        }

    def _note(self, token: Token, body: Body) -> None:
        if token.kind is TokenKind.PERCENT:
            body.percents += self._numerals.values(token)

    def _price(self, at: int, label: Label, body: Body, nth: int) -> int:
        """Takes a price, or passes over an index; the same place: reading ends here."""
        if self._is_index(at, label.body_end, nth):
            return at + 1
        token = self._tokens[at]
        values = self._numerals.values(token)
        if not values:
            body.doubtful = True
            return at
        if not token.thousand and self._shares_thousand(at, label.body_end):
            values = [value * 1000 for value in values]
        far = _FAR if not self._is_signed(at) else 2
        if body.prices and not near(body.prices[-1], values[0], far):
            body.doubtful = self._joined(at) or label.field is Field.ENTRY
            return at
        body.prices += values
        return at + 1

    def _is_index(self, at: int, end: int, nth: int) -> bool:
        """The 1 of "1) 65000", "1. 65000", "1: 65000", and of "1 - 65000" if that is the `nth` line."""
        tokens = self._tokens
        if tokens[at].kind is not TokenKind.PRICE or tokens[at].small is None or at + 1 >= end:
            return False
        mark = tokens[at + 1]
        at_once = mark.start == tokens[at].end
        if mark.text == ")" and at_once:
            opened = any(token.text == "(" for token in tokens[max(0, at - 3) : at])
            return not opened
        if mark.text not in {".", ":", "-"} or at + 2 >= end:
            return False
        follows = (
            tokens[at + 2].kind in {TokenKind.PRICE, TokenKind.BROKEN} or tokens[at + 2].text == "$"
        )
        if mark.text == "-":
            return follows and tokens[at].small == nth and mark.start > tokens[at].end
        return follows and at_once

    def _shares_thousand(self, at: int, end: int) -> bool:
        """The 64 of "64-65k"."""
        own, between, high = (
            self._tokens[at],
            self._tokens[at + 1 : at + 2],
            self._tokens[at + 2 : at + 3],
        )
        if at + 2 >= end or not high[0].thousand or between[0].text not in {"-", "/"}:
            return False
        lows, highs = self._numerals.values(own), self._numerals.values(high[0])
        return bool(lows and highs) and near(lows[0] * 1000, highs[0], 2)

    def _is_signed(self, at: int) -> bool:
        """The 70 of "1.0670 -70": a distance, unless it comes near the price before it."""
        mark = self._tokens[at - 1]
        before = self._tokens[at - 2] if at > 1 else mark
        return mark.text == "-" and mark.end == self._tokens[at].start and before.end < mark.start

    def _joined(self, at: int) -> bool:
        """The 33 of "4438/33": the short form of a price, which is not read."""
        tokens = self._tokens
        if at < 2:  # noqa: PLR2004
            return False
        mark = tokens[at - 1]
        return (
            mark.text in {"/", "-"}
            and mark.end == tokens[at].start
            and mark.start == tokens[at - 2].end
        )
