"""Words, numbers with what stands at them, and marks."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from bot.rules.signal_parser.words import GLUED, ONE_TARGET, words_of


class TokenKind(Enum):
    BREAK = auto()  # the end of a line
    WORD = auto()
    MARK = auto()  # any other single character
    PRICE = auto()  # a number that may be a price
    PERCENT = auto()
    DISTANCE = auto()  # "50 pips", "2 ATR"
    TIMES = auto()  # "10x", "x10"
    SPAN = auto()  # of time: "15m", "4 часа"
    INDEX = auto()  # "1)", "#1", a keycap: which one, not how much
    CLOCK = auto()  # times of day, dates, ratios
    BROKEN = auto()  # digits that nothing can be made of


_OF_A_LIST: Final = frozenset(map(str, range(1, 21)))
_OF_METATRADER: Final = frozenset({"1", "2", "3", "4", "5", "6", "8", "10", "12", "15", "20", "30"})
NUMBERS: Final = frozenset(
    {
        TokenKind.PRICE,
        TokenKind.PERCENT,
        TokenKind.DISTANCE,
        TokenKind.TIMES,
        TokenKind.SPAN,
        TokenKind.BROKEN,
    }
)


@dataclass(slots=True)
class Token:
    kind: TokenKind
    text: str  # as it stands
    start: int
    end: int  # of the token, its unit included
    word: str = ""  # WORD: casefolded, without the points of "T.P."
    digits: str = ""  # of a number, as they stand; "64k" has them without the letter
    thousand: bool = False  # "64k"
    dollar: bool = False  # "$65", "65$"
    glued: bool = False  # stands at a letter: "TP1"
    unit: str = ""  # SPAN: M, H, D or W
    broker: bool = False  # SPAN: "H4", as MetaTrader writes "4H"

    @property
    def small(self) -> int | None:
        """As a number of a list: 1 to 20."""
        if (
            self.kind in {TokenKind.PRICE, TokenKind.INDEX}
            and not self.thousand
            and not self.dollar
        ):
            return int(self.digits) if self.digits in _OF_A_LIST else None
        return None


_TOKEN: Final = re.compile(
    r"""
      (?P<line>\n)
    | [ ]
    | (?P<keycaps>(?:[0-9]\u20e3)++(?:[.,](?:[0-9]\u20e3)++)?+)
    | (?P<circled>[\u2460-\u2473\u2776-\u277f\u2780-\u2793]|\U0001f51f|(?<=[^\W\d_])[¹²³⁴-⁹])
    | (?P<clock>(?<![\w.,])(?:
          [0-9]{4}[-./][0-9]{1,2}[-./][0-9]{1,2}(?:[T-][0-9]{1,2}:[0-9]{1,2}(?::[0-9]{1,2})?)?
        | (?:0?[1-9]|[12][0-9]|3[01])(?P<by>[./])(?:0?[1-9]|1[0-2])(?P=by)(?:20)?[0-9]{2}
        | T?[0-9]{1,2}:[0-9]{1,2}(?::[0-9]{1,2})?
      )(?![\w]|[.,:/][0-9]))
    | (?P<nth>(?<![\w.,])[0-9]{1,2}(?:-?(?i:й|я|ый|ая|ое)|(?i:st|nd|rd|th))(?!\w))
    | (?P<number>(?:
          [0-9]{1,3}(?:[ ][0-9]{3}(?![0-9]))++(?:[.,][0-9]++)?+
        | [0-9]++(?:[.,'’][0-9]++)*+
        | (?<![\w.,])[.,][0-9]++
      )(?P<suffix>(?![0-9_])\w\w*+)?+)
    | (?P<dotted>[^\W\d_](?:\.[^\W\d_]){1,4}+(?![^\W\d_])\.?+)
    | (?P<word>[^\W\d_¹²³⁴-⁹\u2460-\u2473\u2776-\u2793]++(?:['’][^\W\d_¹²³⁴-⁹\u2460-\u2473\u2776-\u2793]++)*+)
    | (?P<foreign>[^\W_]++)
    | (?P<mark>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_DIGITS: Final = re.compile(r"[0-9]++")
_KEYCAP_DIGITS: Final = re.compile(r"[0-9.,]")
_AMBIGUOUS: Final = re.compile(r"[1-9] ")  # "TP 1 161": one price, or which target and its price
_TICKER_TAIL: Final = re.compile(r"[0-9]++\w*+")

_CURRENCIES: Final = frozenset({"usdt", "usdc", "busd", "usd"})
_DISTANCES: Final = words_of(
    "p pip pips point points pts pt tick ticks atr r rr п пп пункт пункта пунктов пунктам "
    "пункты пипс пипса пипсов тик тика тиков поинт поинтов"
)
_THOUSANDS: Final = frozenset({"k", "к", "тыс"})
_TIMES: Final = frozenset({"x", "х"})
_SPANS: Final = {
    **dict.fromkeys(("m", "м", "min", "mins", "мин", "minute", "minutes"), "M"),
    **dict.fromkeys(("минута", "минуты", "минут"), "M"),
    **dict.fromkeys(("h", "ч", "hr", "hrs", "hour", "hours", "час", "часа", "часов"), "H"),
    **dict.fromkeys(("d", "д", "day", "days", "день", "дня", "дней"), "D"),
    **dict.fromkeys(("w", "н", "week", "weeks", "неделя", "недели", "недель"), "W"),
}
_ORDINALS: Final = frozenset({"st", "nd", "rd", "th", "й", "я", "ый", "ая", "ое", "е"})
_BROKER: Final = {"m": "M", "h": "H", "d": "D", "w": "W", "н": "H", "м": "M"}


_PLAIN: Final = {
    "line": TokenKind.BREAK,
    "clock": TokenKind.CLOCK,
    "by": TokenKind.CLOCK,
    "mark": TokenKind.MARK,
}


def tokenize(text: str) -> list[Token]:
    """Of a cleaned text. Every character is looked at a bounded number of times."""
    tokens: list[Token] = []
    position = 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:  # no character is left that the last alternative would not take
            break
        position = found.end()
        token = _read(found, text, tokens)
        if token is not None:
            tokens.append(token)
            position = token.end
    return _with_units(tokens)


def _read(found: re.Match[str], text: str, before: list[Token]) -> Token | None:
    """The token; None: a space, or a part of one."""
    start, end = found.span()
    raw, name = found[0], found.lastgroup
    if name in _PLAIN:
        return Token(_PLAIN[name], raw, start, end)
    if name in {"number", "suffix"}:
        return _number(found, text, before)
    if name == "word":
        return _word(found, text)
    if name in {"keycaps", "nth", "circled"}:
        return _counted(name, raw, start, end)
    if name in {"dotted", "foreign"}:  # foreign: digits of other scripts, which are not read
        return Token(TokenKind.WORD, raw, start, end, word=raw.casefold().replace(".", ""))
    return None


def _counted(name: str, raw: str, start: int, end: int) -> Token:
    """Which one of a list. One keycap is that, too; several are the digits of a price."""
    digits = str(_circled(raw)) if name == "circled" else "".join(_KEYCAP_DIGITS.findall(raw))
    kind = TokenKind.PRICE if name == "keycaps" and len(digits) > 1 else TokenKind.INDEX
    return Token(kind, raw, start, end, digits=digits)


def _circled(character: str) -> int:
    """①, ❶, ¹ and 🔟; of the last Unicode does not say that it is a number."""
    return int(unicodedata.numeric(character, 10))


def _word(found: re.Match[str], text: str) -> Token:
    """Letters, with the digits of a ticker ("API3") but without those of a label ("TP1")."""
    start, end = found.span("word")
    folded = found["word"].casefold()
    tail = _TICKER_TAIL.match(text, end)
    if tail is None or folded in GLUED:
        return Token(TokenKind.WORD, found["word"], start, end, word=folded)
    whole = text[start : tail.end()]
    if folded in _BROKER and tail[0].isdigit() and tail[0] in _OF_METATRADER:
        unit = _BROKER[folded]
        return Token(
            TokenKind.SPAN,
            whole,
            start,
            tail.end(),
            whole.casefold(),
            tail[0],
            unit=unit,
            broker=True,
        )
    return Token(TokenKind.WORD, whole, start, tail.end(), word=whole.casefold())


def _number(found: re.Match[str], text: str, before: list[Token]) -> Token:
    start, end = found.span()
    last = before[-1] if before else None
    if last is not None and last.text in {"#", "№"} and last.end == start:
        own = _DIGITS.match(text, start)
        if own is not None and not text[own.end() : own.end() + 1].isalpha():
            return Token(TokenKind.INDEX, own[0], start, own.end(), digits=own[0])
    glued = last is not None and last.kind is TokenKind.WORD and last.end == start
    if glued and (own := _DIGITS.match(text, start)) and _is_ordinal(text, own):
        return Token(TokenKind.PRICE, own[0], start, own.end(), digits=own[0], glued=True)
    if _is_dashed(start, before) and (own := _DIGITS.match(text, start)) and _is_ordinal(text, own):
        return Token(TokenKind.PRICE, own[0], start, own.end(), digits=own[0])
    suffix = (found["suffix"] or "").casefold()
    digits = text[start : found.start("suffix") if suffix else end]
    token = Token(TokenKind.PRICE, found[0], start, end, digits=digits, glued=glued)
    if last is not None and last.word in ONE_TARGET and _AMBIGUOUS.match(digits):
        token.kind = TokenKind.BROKEN
    elif suffix:
        _give_unit(token, suffix, at_once=True)
    elif start and text[start - 1].isalnum() and not glued:
        token.kind = TokenKind.BROKEN
    return token


def _is_dashed(start: int, before: list[Token]) -> bool:
    """The 1 of "TP-1 117,529": not the head of a number whose thousands are apart."""
    if len(before) < 2:  # noqa: PLR2004  # the label and the dash
        return False
    label, dash = before[-2:]
    return dash.text == "-" and label.word in GLUED and label.end == dash.start < dash.end == start


def _is_ordinal(text: str, own: re.Match[str]) -> bool:
    """The 1 of "TP1 650 000", "TP1:"; not of "TP1.25", "TP15000", "TP1k"."""
    behind = text[own.end() : own.end() + 2]
    decimal = behind[:1] in {".", ","} and behind[1:].isdigit()
    return len(own[0]) <= 2 and not behind[:1].isalpha() and not decimal  # noqa: PLR2004  # 1 to 99


def _give_unit(token: Token, unit: str, *, at_once: bool) -> bool:
    """`at_once`: without a space in between. False: that is no unit."""
    if unit in _CURRENCIES:  # "65 USDT": a price, or an amount
        return True
    if unit in _THOUSANDS:
        token.thousand = True
    elif unit in _TIMES and token.kind is TokenKind.PRICE:
        token.kind = TokenKind.TIMES
    elif unit in _DISTANCES and (at_once or unit not in {"r", "rr", "p"}):
        token.kind = TokenKind.DISTANCE
    elif unit in _SPANS and (at_once or len(unit) > 1):
        token.kind, token.unit = TokenKind.SPAN, _SPANS[unit]
    elif unit in _ORDINALS and at_once:
        token.kind = TokenKind.INDEX
    elif at_once:
        token.kind = TokenKind.WORD if token.digits.isdigit() else TokenKind.BROKEN
        token.word = token.text.casefold()
    else:
        return False
    return True


def _with_units(tokens: list[Token]) -> list[Token]:
    """Units that stand apart ("50 pips", "2 %") go into their number, as do "$" and the x of "x10"."""
    joined: list[Token] = []
    for token in tokens:
        last = joined[-1] if joined and token.start - joined[-1].end <= 1 else None
        if last is not None and _takes_unit(last, token):
            continue
        if last is not None and _takes_prefix(token, last):
            joined.pop()
        joined.append(token)
    return joined


def _takes_prefix(token: Token, last: Token) -> bool:
    """The "$" of "$65", the "x" of "x10"."""
    if token.kind is not TokenKind.PRICE:
        return False
    if last.text == "$":
        token.dollar = True
    elif last.word in _TIMES and last.end == token.start:
        token.kind, token.glued = TokenKind.TIMES, False
    else:
        return False
    token.start = last.start
    return True


def _takes_unit(last: Token, token: Token) -> bool:
    """The "%" of "2 %", the "pips" of "50 pips"."""
    if last.kind is not TokenKind.PRICE:
        return False
    if token.text == "%":
        last.kind = TokenKind.PERCENT
    elif token.text == "$" and token.start == last.end:
        last.dollar = True
    elif token.kind is not TokenKind.WORD or not _give_unit(last, token.word, at_once=False):
        return False
    last.end = token.end
    return True
