"""The vocabulary: which words open a field, and which may stand between a label and its price.

All are casefolded. In a phrase, a hyphen, a slash or nothing may stand for each space: see `labels`.
"""

from __future__ import annotations

from enum import Enum, auto
from itertools import product
from typing import Final

from bot.signal_fields import Direction


def words_of(text: str) -> frozenset[str]:
    """A set of words, as a text that stays readable."""
    return frozenset(text.split())


class Field(Enum):
    ENTRY = auto()
    SIDE_ENTRY = auto()  # a direction that its price follows: "BUY EURUSD 1.1686"
    PRICE = auto()  # "price: 5", an entry where no other label is
    TARGET = auto()
    STOP = auto()
    RISK = auto()
    LEVERAGE = auto()
    MARGIN = auto()  # "cross", "isolated": a leverage may follow
    TIMEFRAME = auto()
    PAIR = auto()
    SIDE = auto()
    OTHER = auto()  # looks like a label of the above, and is none


SIDES: Final = dict.fromkeys(
    (
        *("long", "buy", "лонг", "купить", "покупка", "покупаем", "покупать", "покупай"),
        *("покупаю", "لانگ", "خرید"),
    ),
    Direction.LONG,
) | dict.fromkeys(
    (
        *("short", "sell", "шорт", "продать", "продажа", "продаем", "продаём", "продавать"),
        *("продавай", "продаю", "شورت", "فروش"),
    ),
    Direction.SHORT,
)
# Only behind a label such as "Direction".
MOODS: Final = {
    **dict.fromkeys(("bullish", "bull", "up", "вверх", "рост"), Direction.LONG),
    **dict.fromkeys(("bearish", "bear", "down", "вниз", "падение"), Direction.SHORT),
}

# What may stand between a label and its number, or between two numbers.
GAPS: Final = words_of(
    "по от на за до с c со из и или около в зоне зоны районе района диапазоне диапазона цена цене цены рынку рынок лимит лимитка "
    "отметки отметке лимитный лимитник ниже выше под над уровень уровня уровнем сейчас между область отложенный "
    "отложка ордер ордера at from to and or around near above below under over between price "
    "market limit now is set cmp order orders zone range area level levels instant pending در"
)
ORDINALS: Final = {
    word: number
    for number, words in enumerate(
        (
            "first первый первая первое первую اول",
            "second второй вторая второе вторую دوم",
            "third третий третья третье третью سوم",
            "fourth четвертый четвёртый четвертая четвёртая четвертую четвёртую",
            "fifth пятый пятая пятую",
        ),
        1,
    )
    for word in words.split()
}


def _phrases(*parts: str) -> list[str]:
    """Every combination of one alternative of each part; alternatives stand between bars."""
    combined = product(*(part.split("|") for part in parts))
    return [" ".join(" ".join(words).split()) for words in combined]


_ENTRY: Final = (
    *_phrases("|long|short|buy|sell|buying|selling", "entry|entries", _KINDS := "|zone|zones|price|prices|point|points"
    "|level|levels|target|targets|order|orders|range|area|limit|position"),
    *_phrases("buy|sell|buying|selling|long|short", _KINDS.lstrip("|") + "|stop|stop order|limit order|limit orders"),
    *_phrases("limit|pending", "order|orders"),
    *("at market price", "по рыночной цене"),
    *_phrases("точка|точки|зона|зоны|цена|цены|уровень|уровни|диапазон|область", "входа|покупки|продажи|набора|открытия"),
    *("вход", "входы", "входим", "твх", "вх", "enter", "ep", "en", "лимитный вход", "набор позиции"),
    *("ورود", "نقطه ورود", "نقطه"),
)  # fmt: skip
_TARGET: Final = (
    *(
        "tp",
        "t p",
        "take",
        "takeprofit",
        "target",
        "tgt",
        "profit target",
        "target price",
        "final target",
    ),
    *_phrases("take profit", "|target|level|price"),
    *("тп", "тейк", "тейкпрофит", "тейк профит", "цель", "таргет", "تارگت", "هدف"),
)
_TARGETS: Final = (
    *(
        "tps",
        "takes",
        "targets",
        "tgts",
        "take profits",
        "takeprofits",
        "profit targets",
        "exit targets",
    ),
    *_phrases("take profit|tp|sell target|take", "targets|levels|zones|orders|points"),
    *("тейки", "тейк профиты", "тейкпрофиты", "цели", "таргеты", "تارگت ها", "اهداف"),
)
_STOP: Final = (
    *("sl", "s l", "stop", "stoploss", "stop los", "stoplos", "stopp", "stoploss level"),
    *_phrases("stop|stop loss|stoploss", "|price|level|target|targets|order"),
    *("stop loss", "стоп", "стоп лосс", "стоп лос", "стоплосс", "стоплос", "сл", "استاپ", "حد ضرر", "حد"),
)  # fmt: skip
_OTHER: Final = (
    *_phrases("risk", "reward|to reward|reward ratio|profit|ratio|management"),
    *("rr", "r r", "risk reward", "риск прибыль", "риск ревард", "rrr", "risk free"),
    *("trailing stop", "trailing", "трейлинг стоп", "трейлинг"),
    *_phrases("last|current|mark|market|spot|current market|average|avg", "price"),
    *_phrases("average|avg", "entry", "|price"),
    *("текущая цена", "цена сейчас", "expected profit", "entry time", "entry date", "entry signal"),
    *("time stop", "break even", "breakeven", "full target", "all targets", "all target"),
    *_phrases("dca|усреднение|добор|добавляем|re entry|reentry|перезаход"),
)
_BY_FIELD: Final = {
    Field.ENTRY: _ENTRY,
    Field.SIDE_ENTRY: (*SIDES,),
    Field.PRICE: ("price", "цена", "open price", "цена открытия"),
    Field.TARGET: (*_TARGET, *_TARGETS),
    Field.STOP: _STOP,
    Field.RISK: ("risk", "риск", "риски", "risks", "рм"),
    Field.LEVERAGE: (
        *("leverage", "lev", "leverages", "плечо", "плеча", "плечом", "леверидж", "اهرم", "لوریج"),
        *("кредитное плечо", "max leverage", "leverage max"),
    ),
    Field.MARGIN: ("cross", "isolated", "кросс", "изолированная", "margin mode", "margin", "маржа"),
    Field.TIMEFRAME: ("tf", "тф", "timeframe", "time frame", "таймфрейм", "тайм фрейм"),
    Field.PAIR: (
        *_phrases("|currency|forex|trading|crypto", "pair"),
        *(
            "symbol",
            "ticker",
            "coin",
            "coin name",
            "name",
            "asset",
            "instrument",
            "token",
            "currency",
        ),
        *(
            "пара",
            "торговая пара",
            "валютная пара",
            "монета",
            "инструмент",
            "тикер",
            "актив",
            "токен",
        ),
    ),
    Field.SIDE: (
        *("side", "direction", "type", "action", "position", "bias"),
        *_phrases("trade|signal|position|order", "type|direction|side"),
        *("направление", "тип", "позиция", "сторона", "тип сделки", "тип позиции", "پوزیشن"),
    ),
    Field.OTHER: _OTHER,
}
# The words of a phrase to its field. What is named later wins, so "market price" is no price.
LABELS: Final = {
    tuple(phrase.split()): field for field, phrases in _BY_FIELD.items() for phrase in phrases
}
PLURAL: Final = frozenset(
    tuple(phrase.split()) for phrase in _TARGETS
)  # these take no number of their own
ONE_TARGET: Final = frozenset(phrase.split()[-1] for phrase in _TARGET)
LONGEST: Final = max(map(len, LABELS))
# Of these the digits that follow at once are split off: "TP1", "SL63000", "x10".
GLUED: Final = frozenset(
    word for phrase in LABELS for word in phrase if LABELS[phrase] is not Field.PAIR
) | {"x", "х"}
