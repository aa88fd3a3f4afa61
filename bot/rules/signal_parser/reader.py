"""From a text to its fields."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from bot.rules.signal_parser import heading, pair
from bot.rules.signal_parser.body import Body, BodyReader
from bot.rules.signal_parser.doubt import without_doubt
from bot.rules.signal_parser.labels import Label, find_labels
from bot.rules.signal_parser.numbers import Numerals, near
from bot.rules.signal_parser.text import TURNING, clean
from bot.rules.signal_parser.tokens import Token, tokenize
from bot.rules.signal_parser.words import Field, words_of
from bot.signal_fields import Percent, SignalFields, Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.rules.signal_parser.pair import Mention
    from bot.signal_fields import Direction

_ENTRIES: Final = (Field.ENTRY, Field.SIDE_ENTRY, Field.PRICE)  # the first that has a price counts
_PRICED: Final = (*_ENTRIES, Field.TARGET, Field.STOP)
_ENDING: Final = words_of(
    "exit close closed выход закрыт закрыта закрыли"
)  # then a price is not the entry's
_ALL: Final = 100  # per cent: shares of a position add up to it


@dataclass(slots=True)
class _Read:
    """A label and what its body holds."""

    label: Label
    body: Body


class _Message:
    """One text, taken apart."""

    def __init__(self, text: str) -> None:
        self.turned = TURNING.search(text) is not None
        self.tokens: list[Token] = tokenize(clean(text))
        self.sides: dict[int, Direction] = heading.find_sides(self.tokens)
        self.mentions: list[Mention] = pair.mentions(self.tokens)
        self.labels: list[Label] = find_labels(self.tokens, self.sides)
        self.named = pair.named(self.tokens)
        self.pair = self._pair()
        named = {at for each in self._named() for at in range(each.start, each.end)}
        self.heads = named | set(self.sides)
        self.numerals = Numerals(self.tokens, currencies=_are_currencies(self.pair))
        in_pair = named | pair.name_tokens(self.tokens)
        self.read = [] if self.turned else self._bodies(in_pair)

    def _pair(self) -> Mention | None:
        labelled = pair.labelled(self.tokens, self.labels)
        full = [*self.mentions, self.named]
        first = next(filter(None, full), None)
        return first or labelled or pair.lone(self.tokens)

    def _named(self) -> list[Mention]:
        return [*self.mentions, *filter(None, [self.pair, self.named])]

    def _bodies(self, in_pair: set[int]) -> list[_Read]:
        reader = BodyReader(self.tokens, self.numerals, in_pair)
        numbers = Counter[Field]()
        read = []
        for label in self.labels:
            if label.start in in_pair and label.field is not Field.SIDE_ENTRY:
                continue  # a coin may be called TGT, TP or SL, and XAUUSDSELL is a direction, too
            numbers[label.field] += 1
            if label.field in _PRICED:
                read.append(_Read(label, reader.read(label, numbers[label.field])))
        return read

    def of(self, *fields: Field) -> list[_Read]:
        return [each for each in self.read if each.label.field in fields]


def _are_currencies(mention: Mention | None) -> bool:
    return mention is not None and set(mention.pair.casefold().split("/")) <= pair.CURRENCIES


@lru_cache(maxsize=1)  # a replay records a signal, and then shows it
def parse(text: str) -> SignalFields:
    """Read what can be read beyond doubt; the rest is absent. Never raises, whatever the text."""
    message = _Message(text)
    tokens, labels = message.tokens, message.labels
    fields = SignalFields(
        pair=message.pair and message.pair.pair,
        direction=heading.direction(tokens, labels, message.sides),
        timeframe=heading.timeframe(tokens, labels, message.heads),
        leverage=heading.leverage(tokens, labels, message.heads, message.numerals),
        risk=heading.risk(tokens, labels, message.numerals),
    )
    if not any(each.body.prices or each.body.percents for each in message.read):
        return fields  # nothing of it can stand in doubt
    if _is_of_two_trades(message):
        return _heading_of_two(message, fields)
    return without_doubt(_with_prices(message, fields), set(message.sides.values()))


# ── prices ────────────────────────────────────────────────────────────────────


def _with_prices(message: _Message, fields: SignalFields) -> SignalFields:
    entry, stop = _entry(message), _stop(message)
    anchor = entry.low if entry is not None else stop
    return replace(fields, entry=entry, stop=stop, take_profits=_targets(message, anchor))


def _entry(message: _Message) -> Span | None:
    ends = any(token.word in _ENDING for token in message.tokens)
    for field in _ENTRIES[:-1] if ends else _ENTRIES:
        bodies = [each.body for each in message.of(field)]
        if any(body.doubtful for body in bodies):
            return None
        prices = [price for body in bodies for price in body.prices]
        if prices and field is Field.SIDE_ENTRY and not _is_evident(message, bodies, prices):
            return None
        if prices:
            low, high = min(prices), max(prices)
            return Span(low, high) if near(low, high, 2) else None
    return None


def _is_evident(message: _Message, bodies: Sequence[Body], prices: Sequence[Decimal]) -> bool:
    """Not so in "buy 2 lots". A price behind a direction ends its line, or is near the stop or a target."""
    if not any(body.ends_in_word for body in bodies):
        return True
    others = [
        price for each in message.of(Field.STOP, Field.TARGET) for price in each.body.prices[:1]
    ]
    return any(near(prices[0], other) for other in others)


def _stop(message: _Message) -> Decimal | None:
    for each in message.of(Field.STOP):
        if each.body.doubtful:
            return None
        if each.body.prices:
            return each.body.prices[0]
    return None


def _targets(message: _Message, anchor: Decimal | None) -> tuple[Decimal | Percent, ...]:
    """`anchor`: a price of the signal, by which "TP 5" is told from a fifth target without a price."""
    bodies = [each.body for each in message.of(Field.TARGET)]
    if any(body.doubtful for body in bodies):
        return ()
    bare = [body.prices[0] for body in bodies if body.bare and body.prices]
    counted = bare == [Decimal(number) for number in range(1, len(bare) + 1)]
    taken = [body for body in bodies if not body.bare or not counted]
    if any(
        body.bare and (anchor is None or not near(anchor, body.prices[0], 3))
        for body in taken
        if body.prices
    ):
        taken = [body for body in taken if not body.bare]
    prices = tuple(price for body in taken for price in body.prices)
    return prices or _percents(bodies)


def _percents(bodies: Sequence[Body]) -> tuple[Percent, ...]:
    """Targets as per cents of the entry, which grow; what adds up to 100 are shares of the position."""
    values = [value for body in bodies for value in body.percents]
    grows = all(one < other for one, other in pairwise(values))
    if not grows or sum(values) == _ALL or len(bodies) > len(values):
        return ()
    return tuple(map(Percent, values))


# ── two trades ────────────────────────────────────────────────────────────────


def _is_of_two_trades(message: _Message) -> bool:
    """One begins where another is complete, or each of two pairs has prices of its own."""
    priced = [each for each in message.read if each.body.prices]
    return (
        _begins_again(priced) or _has_two_sides(message, priced) or _has_two_pairs(message, priced)
    )


def _begins_again(priced: Sequence[_Read]) -> bool:
    """A second entry behind a stop or a target, or a second stop behind something else."""
    entries = [at for at, each in enumerate(priced) if each.label.field in _ENTRIES]
    stops = [at for at, each in enumerate(priced) if each.label.field is Field.STOP]
    return any(
        each.label.field not in own
        for positions, own in ((entries, _ENTRIES), (stops, (Field.STOP,)))
        if len(positions) > 1
        for each in priced[positions[0] : positions[-1]]
    )


def _has_two_sides(message: _Message, priced: Sequence[_Read]) -> bool:
    """Both a buy and a sell have a price."""
    sides = {
        message.sides[each.label.start] for each in priced if each.label.field is Field.SIDE_ENTRY
    }
    return len(sides) > 1


def _has_two_pairs(message: _Message, priced: Sequence[_Read]) -> bool:
    starts = [each.start for each in message.mentions]
    before = (bisect_right(starts, each.label.end) for each in priced)
    with_prices = {message.mentions[number - 1].pair for number in before if number}
    return len(with_prices) > 1


def _heading_of_two(message: _Message, fields: SignalFields) -> SignalFields:
    """What both have in common; no prices."""
    one_pair = len({each.pair for each in message.mentions}) <= 1
    one_side = len(set(message.sides.values())) <= 1
    return replace(
        fields,
        pair=fields.pair if one_pair and message.mentions else None,
        direction=fields.direction if one_side else None,
        leverage=None,
        risk=None,
    )
