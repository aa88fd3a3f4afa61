"""What a signal says, and what its updates say has become of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from decimal import Decimal


class Direction(StrEnum):
    LONG = "LONG"
    SHORT = "SHORT"


class Span(NamedTuple):
    """A price range, low end first; a single price has equal ends."""

    low: Decimal
    high: Decimal


class Percent(NamedTuple):
    """A target that is named as so many per cent away from the entry, and no price."""

    value: Decimal

    def __str__(self) -> str:
        return f"{self.value:f}%"


def decimal_text(value: Decimal | Percent | None) -> str | None:
    """As people write a number, never "1E-8"."""
    if value is None:
        return None
    return str(value) if isinstance(value, Percent) else f"{value:f}"


@dataclass(frozen=True, slots=True)
class SignalFields:
    """What a signal says, as far as it could be read. Reading never fails: a field is just absent."""

    pair: str | None = None  # "BTC/USDT", or a bare ticker "BTC"
    direction: Direction | None = None
    timeframe: str | None = (
        None  # Latin, upper case: "15M", "4H", "1D", "1W"; "H4" where written so
    )
    entry: Span | None = None
    take_profits: tuple[Decimal | Percent, ...] = ()  # in the order they are named
    stop: Decimal | None = None
    risk: Decimal | None = None  # per cent of the deposit
    leverage: Decimal | None = None  # so many times; the highest that is named


class EventKind(StrEnum):
    """What an update says has become of its signal."""

    ENTRY_FILLED = "entry_filled"
    TARGET_REACHED = "target_reached"
    PARTIALLY_CLOSED = "partially_closed"
    STOP_MOVED = "stop_moved"
    STOPPED = "stopped"
    CLOSED = "closed"
    CANCELLED = "cancelled"


class SignalEvent(NamedTuple):
    """An update, in its author's own words; what is not beyond doubt is no event."""

    kind: EventKind
    target: int | None = None  # TARGET_REACHED: which, from 1; None: that is not said
    stop: Decimal | None = None  # STOP_MOVED: where to; None: to the entry
