"""What rules know of a message beside its text."""

from __future__ import annotations

from bot.rules.presentation import About

FIELDS = {
    "pair": "BTC/USDT",
    "direction": "LONG",
    "entry": ["64000", "65000"],
    "take_profits": ["66000", "68000.5"],
    "stop": "63000",
    "leverage": "10",
}
SIGNAL = About(
    author="Alice",
    link="https://t.me/c/1234567890/5",
    is_signal=True,
    text="#idea BTC/USDT LONG #scalp",
    marker="#idea",
    fields=FIELDS,
)
UPDATE = SIGNAL._replace(is_signal=False)
