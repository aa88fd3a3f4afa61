"""What an update tells of its signal, and what is left alone because it is not beyond doubt."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.rules.signal_parser.events import event_of
from bot.signal_fields import EventKind, SignalEvent


def target(number=None):
    return SignalEvent(EventKind.TARGET_REACHED, target=number)


def stop(price=None):
    return SignalEvent(EventKind.STOP_MOVED, stop=price and Decimal(price))


@pytest.mark.parametrize(
    ("text", "event"),
    [
        ("TP1 hit", target(1)),
        ("TP1 ✅", target(1)),
        ("tp 2 hit 🔥", target(2)),
        ("Target 3 reached", target(3)),
        ("First target done", target(1)),
        ("тейк 1 взят", target(1)),
        ("Взяли первый тейк", target(1)),
        ("1 тейк взят ✅", target(1)),
        ("2-я цель достигнута", target(2)),
        ("TP1 and TP2 hit", target(2)),
        ("Hit TP1 and TP2", target(2)),
        (
            "#DOT/USDT Take-Profit target 2 ✅\nProfit: 69.8204% 📈\nPeriod: 11 Hours 49 Minutes ⏰",
            target(2),
        ),
        ("TP1: 65000 ✅\nTP2: 66000", target(1)),
        ("Тейк взят", target()),
        ("SL to entry", stop()),
        ("SL to BE", stop()),
        ("стоп в бу", stop()),
        ("Стоп в безубыток", stop()),
        ("Move stop to breakeven", stop()),
        ("moved stop to 61500", stop("61500")),
        ("SL moved to 61,500", stop("61500")),
        ("Стоп переставил на 61500", stop("61500")),
        ("перенес стоп на точку входа", stop()),
        ("Set Breakeven at lower Part", stop()),
        ("New SL: 61500", stop("61500")),
        ("closed", SignalEvent(EventKind.CLOSED)),
        ("Закрыл", SignalEvent(EventKind.CLOSED)),
        ("закрыли сделку в плюс", SignalEvent(EventKind.CLOSED)),
        ("Closed in profit +24%", SignalEvent(EventKind.CLOSED)),
        ("closed 50%", SignalEvent(EventKind.PARTIALLY_CLOSED)),
        ("закрыл половину", SignalEvent(EventKind.PARTIALLY_CLOSED)),
        ("Close half here", SignalEvent(EventKind.PARTIALLY_CLOSED)),
        ("отмена", SignalEvent(EventKind.CANCELLED)),
        ("Cancelled", SignalEvent(EventKind.CANCELLED)),
        ("Отменяем лимитку", SignalEvent(EventKind.CANCELLED)),
        (
            "Binance Futures\n#WAVES/USDT Cancelled ❌\nTarget achieved before entering the entry zone",
            SignalEvent(EventKind.CANCELLED),
        ),
        ("stopped out", SignalEvent(EventKind.STOPPED)),
        ("SL hit", SignalEvent(EventKind.STOPPED)),
        ("стоп сработал", SignalEvent(EventKind.STOPPED)),
        ("выбило по стопу", SignalEvent(EventKind.STOPPED)),
        ("закрылись по стопу", SignalEvent(EventKind.STOPPED)),
        ("entry filled", SignalEvent(EventKind.ENTRY_FILLED)),
        ("Вход взят", SignalEvent(EventKind.ENTRY_FILLED)),
        ("TP1 hit, SL to entry", target(1)),
        ("TP1 hit and SL moved to entry", target(1)),
        ("Тейк 1 ✅ Стоп в бу", target(1)),
        ("TP1 ✅ TP2 ✅ SL to entry", target(2)),
        ("All targets achieved 😎", target()),
        ("Все цели достигнуты", target()),
        ("Поймали тейк", target()),
        ("Стоп подтянул до 148.5", stop("148.5")),
        ("Фикс 50%", SignalEvent(EventKind.PARTIALLY_CLOSED)),
        ("Зафиксировал половину позиции", SignalEvent(EventKind.PARTIALLY_CLOSED)),
        ("Book 50% profits", SignalEvent(EventKind.PARTIALLY_CLOSED)),
        ("Book full profit", SignalEvent(EventKind.CLOSED)),
        ("Фиксируем всё", SignalEvent(EventKind.CLOSED)),
        ("Закрыл сделку в ноль", SignalEvent(EventKind.CLOSED)),
        ("Cancel this one, price ran away", SignalEvent(EventKind.CANCELLED)),
        ("Поймали стоп 😔", SignalEvent(EventKind.STOPPED)),
        ("Лимитка исполнена", SignalEvent(EventKind.ENTRY_FILLED)),
        ("Вошли по 3200", SignalEvent(EventKind.ENTRY_FILLED)),
        ("Entered", SignalEvent(EventKind.ENTRY_FILLED)),
    ],
)
def test_an_update_tells_what_has_become_of_the_signal(text, event):
    assert event_of(text) == event


@pytest.mark.parametrize(
    "text",
    [
        "If TP1 hit, move SL to entry",
        "после взятия TP1 стоп в бу",
        "TP1 hit?",
        "close to TP1",
        "Жду TP1",
        "not closed yet",
        "daily candle closed above 65000",
        "SL 61500",
        "almost hit TP1",
        "не закрываем",
        "Спасибо!",
        "TP1",
        "",
        "closed, cancelled",
        "стоп не двигаем",
        "можно закрыть",
        "market closed",
        "TP1 or TP2 hit",
        "I think TP1 hit soon",
        "entry 65000",
        "4h closed",
        "Цена закрылась на 65000",
        "SL hit? no idea",
        "\u202eTP1 hit",
        "Фиксируем прибыль",  # all of it, or a part
        "Фиксируйте прибыль сами",
        "Держим до 70000",
        "Стоп переставили, держим до 70000",
        "All targets ahead",
        "Order filled",  # which one?
        "Лимитка не исполнена",
        "TP1 ✅ ждем TP2",
        "фиксировать половину?",
    ],
)
def test_what_is_not_beyond_doubt_is_no_event(text):
    """Conditions, plans, questions, denials, contradictions, candles, and words that nobody here knows."""
    assert event_of(text) is None


@pytest.mark.long
@settings(max_examples=200, deadline=None)
@given(
    st.text(st.characters(codec=None))
    | st.lists(
        st.sampled_from(
            [
                "TP",
                "1",
                "hit",
                "стоп",
                "в",
                "бу",
                "✅",
                "closed",
                "50%",
                ",",
                ".",
                "\n",
                "\ud83d",
                "тейк",
                "-",
                "61500",
            ]
        )
    ).map(" ".join)
)
def test_reading_an_update_never_fails(text):
    """Whatever the text; and a stop never moves to a number that does not stand there."""
    event = event_of(text)

    assert event is None or event.stop is None or str(event.stop) in text
