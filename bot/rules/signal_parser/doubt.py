"""What contradicts the rest of a signal is left out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from bot.rules.signal_parser.numbers import near
from bot.signal_fields import Direction, Percent, SignalFields

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from decimal import Decimal

_OF_ENTRY: Final = 3  # a stop, or the first target: not that many times away
_OF_TARGET: Final = 50  # a target in another order of size is a misread one


def without_doubt(fields: SignalFields, named: Collection[Direction]) -> SignalFields:
    """`named`: the directions that the text names anywhere."""
    for check in (_sizes, _sides):
        fields = check(fields, named)
    return fields


def _sizes(fields: SignalFields, _: Collection[Direction]) -> SignalFields:
    """Entry, stop and targets are prices of one thing, so they are of one order of size."""
    entry, stop = fields.entry, fields.stop
    if entry is not None and stop is not None and not near(entry.low, stop, _OF_ENTRY):
        targets = prices_of(fields)
        fits_entry = bool(targets) and near(entry.low, targets[0], _OF_ENTRY)
        fits_stop = bool(targets) and near(stop, targets[0], _OF_ENTRY)
        fields = replace(
            fields, entry=entry if fits_entry else None, stop=stop if fits_stop else None
        )
    anchor = fields.entry.low if fields.entry is not None else fields.stop
    if anchor is not None and not all(
        near(anchor, price, _OF_TARGET) for price in prices_of(fields)
    ):
        return replace(fields, take_profits=())
    return fields


def prices_of(fields: SignalFields) -> Sequence[Decimal]:
    return [target for target in fields.take_profits if not isinstance(target, Percent)]


def _sides(fields: SignalFields, named: Collection[Direction]) -> SignalFields:
    """A long's stop is below its entry and its targets are above; a short's the other way."""
    seen = _seen(fields)
    if len(seen) == 1:
        (side,) = seen
        evident = fields.stop is not None and bool(prices_of(fields))
        if fields.direction is side or (fields.direction is None and not evident):
            return fields
        if fields.direction is None or side in named:
            return replace(fields, direction=side)
        if evident and fields.entry is not None:
            return replace(fields, direction=None)
    if seen and seen != {fields.direction}:
        return _keep_what_fits(fields)
    return fields


def _seen(fields: SignalFields) -> set[Direction]:
    """Which directions the prices speak for, each two of them by itself."""
    seen = set()
    entry, stop = fields.entry, fields.stop
    if entry is not None and stop is not None:
        seen.add(Direction.LONG if stop < entry.high else Direction.SHORT)
    for target in prices_of(fields):
        if stop is not None:
            seen.add(Direction.LONG if target > stop else Direction.SHORT)
        if entry is not None and not entry.low <= target <= entry.high:
            seen.add(Direction.LONG if target > entry.high else Direction.SHORT)
    return seen


def _keep_what_fits(fields: SignalFields) -> SignalFields:
    """Of the targets and the stop, what does not stand in the way of the direction and the entry."""
    without_stop = replace(fields, stop=None)
    without_targets = replace(fields, take_profits=())
    for each in (without_stop, without_targets):
        if _seen(each) <= {fields.direction}:
            return each
    return replace(fields, stop=None, take_profits=())
