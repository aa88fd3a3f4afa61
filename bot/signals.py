"""What counts as a signal and what it says: text in, values out.

Every pattern below is linear on hostile text, by three habits: whitespace is collapsed first, what may
repeat is bounded or possessive, and a list is read by `match` from where the last item ended, never by
`search`.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from bot.errors import SettingsError
from bot.models import Direction, SignalFields, Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Letters and ligatures that casefolding takes for other letters, which nobody types by accident.
LOOK_ALIKES = re.compile("[\u017f\u1e9b\u212a\ufb00-\ufb06]")
MAX_DIGITS = 20  # of a price; a longer one is a typo or an attack, and is read as absent


# ── what counts as a signal ───────────────────────────────────────────────────


class Markers:
    """`SettingsError` names a marker that no text could be judged by.

    A literal counts anywhere in the text, in any case, letter by letter: what only looks like one of its
    letters, or has an invisible character in between, is none. A pattern is RE2, since it runs on every stranger's
    message and must not be able to hang, and sees the text as it was written.
    """

    def __init__(self, literals: Sequence[str], patterns: Sequence[str] = ()) -> None:
        if any(not literal.strip() for literal in literals):
            raise SettingsError("SIGNAL_MARKERS: an empty marker would match every message")
        self._literals = [(_folded(literal), literal) for literal in literals]
        self._patterns = _compiled(patterns) if patterns else []

    def find(self, text: str) -> str | None:
        """The first marker that matches, as it was configured: literals first, then patterns."""
        folded = _folded(LOOK_ALIKES.sub("\ufffd", text))
        for needle, literal in self._literals:
            if needle in folded:
                return literal
        if self._patterns:
            # Bytes, because re2 would raise on a lone surrogate, and decodes every offset of a str.
            raw = text.encode(errors="surrogatepass")
            for regex, pattern in self._patterns:
                if regex.search(raw):
                    return pattern
        return None


def _folded(text: str) -> str:
    # In this order: folding may take a letter apart ("ΐ"), and NFC puts it together again.
    return unicodedata.normalize("NFC", text.casefold())


def _compiled(patterns: Sequence[str]) -> list[tuple[Any, str]]:
    import re2  # noqa: PLC0415  # milliseconds of start-up, and most groups need no pattern

    options = re2.Options()
    options.log_errors = False  # to stderr, past our log; the reason is in the exception
    compiled = []
    for pattern in patterns:
        try:
            regex = re2.compile(pattern, options)
        except (re2.error, UnicodeEncodeError) as exc:
            raise SettingsError(f"SIGNAL_PATTERNS: {pattern!r} is refused: {_reason(exc)}") from exc
        if any(found and found.end() == found.start() for found in map(regex.search, ("", "a"))):
            raise SettingsError(f"SIGNAL_PATTERNS: {pattern!r} would match every message")
        compiled.append((regex, pattern))
    return compiled


def _reason(exc: Exception) -> str:
    """One line, whatever the pattern quoted in it; re2 gives bytes."""
    reason = exc.args[0]
    text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(exc)
    return " ".join(text.split())


# ── what a signal says ────────────────────────────────────────────────────────

_DIRECTION_WORDS = r"(?:LONG|SHORT|ЛОНГ|ШОРТ)(?!\w)"
_DIRECTION = re.compile(rf"(?<![^\W_]){_DIRECTION_WORDS}", re.IGNORECASE)  # "BTC_long" too

_DOLLARS = r"USDT|USDC|BUSD|FDUSD|USD"
_TICKER = r"[0-9]{0,6}[A-Z][A-Z0-9]{0,14}"
_PAIR = re.compile(
    # ASCII only: IGNORECASE alone would let "ſ" and the Kelvin sign into a ticker.
    r"(?<![\w/.-])(?ai:"
    # "100 USDT" is an amount, "LONG / BTC" a direction.
    rf"(?!(?:[0-9]*+(?:{_DOLLARS}|TUSD)|LONG|SHORT)(?![A-Z0-9]))"
    rf"(?P<base>{_TICKER}?)(?:[ ]?/[ ]?(?P<cross>{_DOLLARS}|EUR|BTC|ETH|BNB)|[-_]?(?P<quote>{_DOLLARS}))"
    r")(?![^\W_])"
)
_LONE_TICKER = re.compile(
    r"(?<![\w/.-])(?!(?:(?i:IDEA|SIGNAL|LONG|SHORT)|[0-9]++[A-Za-z])(?![A-Za-z0-9]))(?:"
    rf"(?P<marked>(?ai:{_TICKER}))(?:_|[^\w.,;!?]{{0,4}}[🟢🔴]\W{{0,4}})"  # BTC_long, FF 🟢LONG
    # Without a mark only capitals tell a ticker from "go long", and two letters from a timeframe.
    rf"|(?P<plain>(?=\w\w){_TICKER})[^\w\n.,;!?]{{1,6}}"
    rf")(?i:{_DIRECTION_WORDS})"
)

_UNITS = {"М": "M", "M": "M", "Ч": "H", "H": "H", "Д": "D", "D": "D", "Н": "W", "W": "W"}
_TIMEFRAME = re.compile(
    r"(?<![\w.,$])(?<![0-9][-–])(?P<count>[1-9][0-9]{0,2})(?P<unit>[мmчhдdнw]|[ ]?(?:мин|min))(?![\w$])",
    re.IGNORECASE,
)
_LONE_TIMEFRAME = re.compile(r"(?<![\w/.,'’-])(?P<unit>[DWДН])(?![\w/.,'’-])")

# What may stand between a word like TP and its number, or after the number, without spoiling it.
_GAP_WORDS = (
    "по|от|на|за|до|и|или|около|в (?:зоне|районе|диапазоне)|цена|рынку|рынок|лимит|"
    "at|from|to|and|or|around|price|market|limit"
)
_GAP = rf"(?:[^\w(]|\((?=[^()]*(?:[^\W\d_]|\)[ ]?:))[^()]*+\)|\(|(?:{_GAP_WORDS})(?!\w))*+"
_NUMBER = r"(?>[0-9]{1,3}(?:[ ][0-9]{3}(?![0-9]))++(?:[.,][0-9]++)?+|[0-9]++(?:[.,][0-9]++)*+)"
_END = r"(?:[ ]?(?:USDT|USDC|BUSD|USD)(?!\w))?+(?![\w'’]|[.,][0-9])"  # "64k", "10x": not a price
_ITEM = re.compile(
    # "1)", "1. ", "1:", a keycap, or "1 - " that opens a line: which one, not how much.
    rf"{_GAP}(?:(?:[1-9][0-9]?(?:[):]|\.[ ]|\ufe0f?\u20e3)|^[1-9][ ]?[-–—]){_GAP})?+"
    r"(?<![:=][-−])(?<![:=][ ][-−])"  # here a minus is a sign; elsewhere it is a dash
    rf"(?:(?P<percent>{_NUMBER})[ ]?%"
    rf"|(?P<low>{_NUMBER}){_END}"
    rf"(?:(?:[ ]?[$]?[ ]?[-–—−~]|[ ](?:до|to)(?!\w))[ ]?[$]?(?P<high>{_NUMBER}){_END}(?![ ]?%))?+)"
    r"(?:[ ]?[$]?[ ]?\([^()]*+\))?+",  # what stands in brackets after a price is about it
    re.IGNORECASE,
)
_PLAIN = re.compile(r"[0-9]+(?:[.,][0-9]+)?")
_GROUPED = re.compile(r"[0-9]{1,3}([.,])[0-9]{3}(?:\1[0-9]{3})*(?:(?!\1)[.,][0-9]+)?")

_ORDINAL = (  # of TP1, TP 1, TP №1, but not of TP 65000, TP 1.25, TP 5 / 6
    r"(?:(?:[ ]?[№#][ ]?)?+[0-9]{1,2}(?![0-9]|[.,][0-9])"
    r"|[ ][1-9](?![0-9]|[.,][0-9]|[ ]?[/,;%]))?"
)
_LABEL = re.compile(
    rf"""(?<!\w)(?:
      (?P<entry>(?:(?:точка|зона|цена)[ ]входа|вход|твх
        |entry(?:[ ](?:zone|price|point|targets?))?|enter)(?!\w))
    | (?P<take>(?:тейки|тейк[ -]?профиты|цели|таргеты|takes|take[ -]?profits|targets|tps)(?!\w)
        |(?:^[^\w\n]{{0,5}}[1-9][.]?[ ]?)?
        (?:тейк(?:[ -]?профит)?|цель|таргет|тп|take(?:[ -]?profit)?|target|tp|t/p)(?![^\W\d_]){_ORDINAL})
    | (?P<stop>(?:стоп(?:[ -]?лосс?)?|сл|stop(?:[ -]?loss)?|sl|s/l)(?!\w))
    | (?P<risk>(?:риск|risk)(?:[ ](?:в|на|per|in)[ ][^\W\d_]++)?+(?!\w))
    | (?P<timeframe>(?:тф|tf|тайм[ -]?фрейм|time[ -]?frame)(?!\w))
    )""",
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)


def parse(text: str) -> SignalFields:
    """Read what can be read; the rest is absent. Never raises, whatever the text.

    Where people write the same thing differently:
    - "64,200" is 64.2: one comma or point is a decimal mark, as it is in most of these groups. Marks
      beside another kind of mark, or repeated, group thousands ("1,234.56"), and so do spaces.
    - A comma between digits never separates two prices; a comma and a space do.
    - "1M" is one minute, there are no months; "Н" (Cyrillic) is a week.
    """
    lines = [" ".join(line.split()) for line in unicodedata.normalize("NFC", text).splitlines()]
    clean = "\n".join(lines)
    bodies = _bodies(clean)
    return SignalFields(
        pair=_pair(clean),
        direction=_direction(clean),
        timeframe=_timeframe(lines, bodies["timeframe"]),
        entry=next(_spans(bodies["entry"]), None),
        take_profits=tuple(_prices(bodies["take"])),
        stop=next(_prices(bodies["stop"]), None),
        risk=next(_risks(bodies["risk"]), None),
    )


def _bodies(text: str) -> defaultdict[str | None, list[str]]:
    """For each kind of label, what follows each of its labels, up to the next label of any kind."""
    labels = list(_LABEL.finditer(text))
    ends = [*(label.start() for label in labels), len(text)][1:]
    bodies = defaultdict(list)
    for label, end in zip(labels, ends, strict=False):  # without a label there is an end too many
        bodies[label.lastgroup].append(text[label.end() : end])
    return bodies


def _pair(text: str) -> str | None:
    if found := _PAIR.search(text):
        return f"{found['base']}/{found['cross'] or found['quote']}".upper()
    if found := _LONE_TICKER.search(text):
        return (found["marked"] or found["plain"]).upper()
    return None


def _direction(text: str) -> Direction | None:
    found = _DIRECTION.search(text)
    if found is None:
        return None
    return Direction.LONG if found[0][0].upper() in "LЛ" else Direction.SHORT


def _timeframe(lines: list[str], labelled: list[str]) -> str | None:
    """Behind its own word, else beside the pair or the direction, else anywhere, but with a number."""
    places = [body.partition("\n")[0].upper() for body in labelled]
    places += [line for line in lines if _PAIR.search(line) or _DIRECTION.search(line)]
    for place in places:
        if found := _TIMEFRAME.search(place):
            return found["count"] + _unit(found)
        if found := _LONE_TIMEFRAME.search(place):
            return "1" + _unit(found)
    found = _TIMEFRAME.search("\n".join(lines))
    return found and found["count"] + _unit(found)


def _unit(found: re.Match[str]) -> str:
    return _UNITS[found["unit"].strip()[0].upper()]


def _items(body: str) -> Iterator[re.Match[str]]:
    """The prices and per cents that open the body, and those of lines that hold nothing else.

    Reading stops at the first word: what comes after "stop to break-even" is no stop. It stops at an
    empty line too, unless nothing was read yet: a date at the foot of a signal is no take profit.
    """
    first, *others = body.split("\n")
    items, rest = _leading_items(first)
    yield from items
    if re.search(r"\w", rest) and not rest.endswith(":"):  # "Цели на сегодня:" is still a heading
        return
    for line in others:
        more, rest = _leading_items(line)
        if re.search(r"\w", rest) or (items and not more):
            return
        yield from more
        items += more


def _leading_items(line: str) -> tuple[list[re.Match[str]], str]:
    items = []
    end = 0
    while item := _ITEM.match(line, end):
        items.append(item)
        end = item.end()
    return items, line[end:]


def _spans(bodies: list[str]) -> Iterator[Span]:
    for body in bodies:
        for item in _items(body):
            if low := _price(item["low"]):
                high = _price(item["high"]) or low
                yield Span(min(low, high), max(low, high))


def _prices(bodies: list[str]) -> Iterator[Decimal]:
    for body in bodies:
        for item in _items(body):
            yield from filter(None, map(_price, item.group("low", "high")))


def _risks(bodies: list[str]) -> Iterator[Decimal]:
    for body in bodies:
        first = next(_items(body), None)  # "Риск 1:3" is a ratio, "0.5-1%" is not one number
        if first and (risk := _price(first["percent"])):
            yield risk


def _price(raw: str | None) -> Decimal | None:
    """None for what is no number, not positive, or absurd."""
    if raw is None:
        return None
    digits = raw.replace(" ", "")
    if not _PLAIN.fullmatch(digits):
        if not (grouped := _GROUPED.fullmatch(digits)):
            return None
        digits = digits.replace(grouped[1], "")
    digits = digits.replace(",", ".")
    if len(digits.replace(".", "")) > MAX_DIGITS:
        return None
    return Decimal(digits) or None
