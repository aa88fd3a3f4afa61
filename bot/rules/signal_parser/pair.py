"""Which pair a message is about."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from bot.rules.signal_parser.tokens import Token, TokenKind
from bot.rules.signal_parser.words import GAPS, LABELS, MOODS, ORDINALS, SIDES, Field, words_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bot.rules.signal_parser.labels import Label

CURRENCIES: Final = words_of(
    "usd eur gbp jpy chf cad aud nzd sek nok dkk pln try zar mxn sgd hkd cnh cny rub inr krw "
    "brl huf czk thb ils"
)
_METALS: Final = frozenset({"xau", "xag", "xpt", "xpd"})
_DOLLARS: Final = (
    "usdt",
    "usdc",
    "busd",
    "fdusd",
    "tusd",
    "usd",
)  # longer ones first where one ends in another
_CROSSES: Final = frozenset({*_DOLLARS, "eur", "btc", "eth", "bnb", "try"})
_NAMES: Final = {
    **dict.fromkeys(("gold", "золото", "золота", "طلا", "گلد"), "XAU/USD"),
    **dict.fromkeys(("silver", "серебро"), "XAG/USD"),
}
_SPOKEN: Final = words_of(
    "биткоин биток битка битку биткоина эфир эфира эфиру bitcoin ethereum"
)  # no pair is made of these
_INDICES: Final = words_of(
    "us30 us100 us500 us2000 nas100 ustec spx500 sp500 dj30 ger30 ger40 de30 de40 dax40 uk100 "
    "fra40 eu50 stoxx50 jp225 jpn225 hk50 aus200 usoil ukoil wti brent xtiusd xbrusd natgas dxy "
    "nasdaq dax"
)
_NO_TICKER: Final = words_of(
    "idea ideas signal signals idea's long short buy sell limit market side direction type spot "
    "futures future perp swing scalp scalping intraday setup trade trading trades position "
    "entry entries target targets tp sl stop loss take profit leverage lev risk high low mid "
    "midterm term new free vip premium update alert crypto forex binance bybit bingx mexc okx "
    "okex kucoin bitget gate huobi bitmex kraken coinbase cross isolated margin go going now "
    "open close closed day daily weekly week hour min strong strongsignal potential possible "
    "quick hold my our we the an is it to of in on at for and or not no a i all usdt usdc busd "
    "fdusd tusd usd pair coin symbol ticker name price zone order orders pending instant "
    "strategy regular breakout reversal trend bullish bearish dca hot ok yes re add added "
    "opened opening still more super mega safe best good great next second first third hedge "
    "only don dont vs from with this that big small size lot hft ai bot usa fed cpi nfp fomc "
    "asap"
)
# Those that are read behind a direction, too, where a word in capitals may be any: "LONG BTC", "BUY NOW".
_MAJORS: Final = words_of(
    "btc xbt eth sol xrp bnb doge ada avax dot link ltc bch trx ton uni atom etc xlm fil apt "
    "arb sui sei inj tia ondo pepe shib floki bonk wif jup pyth ftm algo icp hbar vet aave mkr "
    "crv snx grt ldo rndr fet wld ordi sats gmt gala sand mana axs ape enj chz xmr zec dash eos "
    "neo iota xtz egld rune kas stx imx blur dydx gmx ena strk zk zro not pendle jto aptos "
    "matic pol"
)
_GLUED: Final = re.compile(r"([0-9]{0,6}[a-z][a-z0-9]{0,14}?)(usdt|usdc|busd|fdusd|usd)(?:perp|p)?")
_TICKER: Final = re.compile(r"[0-9]{0,6}[A-Za-z][A-Za-z0-9]{0,14}")
_SIDE_AT_END: Final = re.compile(r"(.{5,20})(buy|sell|long|short)")


class Mention(NamedTuple):
    """A pair, and the tokens that name it."""

    pair: str
    start: int
    end: int


def is_full(pair: str) -> bool:
    """It can be traded by that name: a bare ticker does not say what it is quoted in."""
    return "/" in pair or pair.casefold() in _INDICES


def mentions(tokens: Sequence[Token]) -> list[Mention]:
    """The full pairs, in their order."""
    found: list[Mention] = []
    at = 0
    while at < len(tokens):
        mention = _at(tokens, at)
        if mention is None:
            at += 1
        else:
            found.append(mention)
            at = mention.end
    return found


def _at(tokens: Sequence[Token], at: int) -> Mention | None:
    token = tokens[at]
    if token.kind is not TokenKind.WORD or not token.text.isascii() or _in_an_address(tokens, at):
        return None
    for read in (_two_words, _one_word):
        if mention := read(tokens, at):
            return mention
    return None


def _in_an_address(tokens: Sequence[Token], at: int) -> bool:
    """A word of "t.me/BTCUSDT", "a/b/c" or "5-BTCUSDT" is no pair."""
    last = tokens[at - 1] if at else tokens[at]
    if last.end != tokens[at].start or last.kind is TokenKind.BREAK:
        return False
    return last.text in {"/", ".", "-"} or last.kind is not TokenKind.MARK


def _two_words(tokens: Sequence[Token], at: int) -> Mention | None:
    """BTC/USDT, BTC - USDT, EUR USD."""
    base = tokens[at].word
    between = [token for token in tokens[at + 1 : at + 2] if token.text in {"/", "-", "_"}]
    end = at + 1 + len(between)
    if end >= len(tokens) or tokens[end].kind is not TokenKind.WORD:
        return None
    quote = tokens[end].word
    apart = tokens[end].start - tokens[end - 1].end
    if _is_forex(base, quote):
        fits = apart <= 1
    elif between and between[0].text == "/":
        fits = quote in _CROSSES and apart <= 1
    else:
        fits = bool(between) and quote in _DOLLARS and not apart
        fits = fits and between[0].start == tokens[at].end
    known = base in SIDES or base in _DOLLARS or _is_amount(base)
    if not fits or (known and not _is_forex(base, quote)) or not _TICKER.fullmatch(base):
        return None
    if end + 1 < len(tokens) and tokens[end + 1].text == "/" == tokens[end - 1].text:
        return None
    return Mention(f"{base}/{quote}".upper(), at, end + 1)


def _is_amount(word: str) -> bool:
    """100USDT"""
    return any(word[: -len(dollar)].isdigit() for dollar in _DOLLARS if word.endswith(dollar))


def _is_forex(base: str, quote: str) -> bool:
    return quote in CURRENCIES and base != quote and (base in CURRENCIES or base in _METALS)


def _one_word(tokens: Sequence[Token], at: int) -> Mention | None:
    """BTCUSDT, EURUSD, XAUUSDm, US30, XAUUSDSELL."""
    word = tokens[at].word
    end = at + 1
    while (
        end + 1 < len(tokens)
        and tokens[end].text == "."
        and tokens[end + 1].word in {"p", "m", "r", "c", "pro", "raw", "ecn"}
    ):
        end += 2
    if _followed_by_slash(tokens, end):
        return None
    pair = _pair_of(word)
    if pair is None and (glued := _SIDE_AT_END.fullmatch(word)):
        pair = _pair_of(glued[1])
    return None if pair is None else Mention(pair, at, end)


def _followed_by_slash(tokens: Sequence[Token], end: int) -> bool:
    if end >= len(tokens) or tokens[end].text != "." or tokens[end].end == len(tokens):
        return False
    following = tokens[end + 1 : end + 2]
    return bool(following) and following[0].start == tokens[end].end


def _pair_of(word: str) -> str | None:
    if word in _INDICES:
        return word.upper()
    core = word[:6]
    if (
        len(word) in {6, 7}
        and _is_forex(core[:3], core[3:])
        and word[6:] in {"", "m", "c", "i", "r"}
    ):
        return f"{core[:3]}/{core[3:]}".upper()
    found = _GLUED.fullmatch(word)
    if found is None or found[1] in SIDES or _is_amount(word) or {word, found[1]} & {*_DOLLARS}:
        return None
    return f"{found[1]}/{found[2]}".upper()


# ── a ticker alone ────────────────────────────────────────────────────────────


def named(tokens: Sequence[Token]) -> Mention | None:
    """Gold and silver by their names, where the line is about a trade."""
    for line_start, line_end in lines(tokens):
        line = tokens[line_start:line_end]
        words = [token.word for token in line if token.kind is TokenKind.WORD]
        trade = any(word in SIDES for word in words) or all(map(is_known, words))
        for at, token in enumerate(line, line_start):
            if trade and token.word in _NAMES:
                return Mention(_NAMES[token.word], at, at + 1)
    return None


def name_tokens(tokens: Sequence[Token]) -> set[int]:
    """Every word that names something to trade, which a price may follow."""
    names = _NAMES.keys() | _MAJORS | _SPOKEN
    return {at for at, token in enumerate(tokens) if token.word in names}


def is_major(word: str) -> bool:
    """A ticker that is one wherever it stands in capitals."""
    return word in _MAJORS


def is_vocabulary(word: str) -> bool:
    """What signals are written in, and no ticker, even in capitals. `word`: in small letters."""
    return word in _NO_TICKER or is_known(word)


def is_known(word: str) -> bool:
    """It belongs to the vocabulary, or to a pair."""
    return (
        word in GAPS
        or word in _NAMES
        or (word,) in LABELS
        or word in SIDES
        or word in MOODS
        or word in ORDINALS
    )


def labelled(tokens: Sequence[Token], labels: Sequence[Label]) -> Mention | None:
    """The XRP of "Pair: XRP"."""
    for label in labels:
        if label.field is Field.PAIR:
            at = label.end
            while at < len(tokens) and tokens[at].kind is TokenKind.MARK:
                at += 1
            if at < len(tokens) and at > label.end and _is_ticker(tokens[at]):
                return Mention(tokens[at].word.upper(), at, at + 1)
    return None


def lone(tokens: Sequence[Token]) -> Mention | None:
    """A ticker beside the direction: BTC_long, DOGE LONG, FF 🟢 LONG, $ONDO LIMIT LONG, Short #xbt."""
    for at, token in enumerate(tokens):
        if token.word in SIDES:
            for candidate in (_before(tokens, at), _tagged(tokens, at), _behind(tokens, at)):
                if candidate is not None:
                    return candidate
    return None


def _before(tokens: Sequence[Token], side: int) -> Mention | None:
    at = side - 1
    marks = []
    while at >= 0 and side - at < 8 and _may_stand_between(tokens[at]):  # noqa: PLR2004
        marks.append(tokens[at].text)
        at -= 1
    if at < 0 or (at == side - 1 and tokens[at].end == tokens[side].start):
        return None
    token = tokens[at]
    of_direction = bool({"🟢", "🔴"} & set(marks))
    circled = of_direction or (marks and marks[-1] == "_")
    above = "\n" in marks and not of_direction
    if (above and not _is_heading(tokens, at)) or set(marks) & set(".,;!?"):
        return None
    if not _is_ticker(token) or _in_an_address(tokens, at):
        return None
    if circled or (token.text == token.text.upper() and len(token.text) > 1 and ":" not in marks):
        return Mention(token.word.upper(), at, at + 1)
    return None


def _is_heading(tokens: Sequence[Token], at: int) -> bool:
    """XRP, or #XRP, in a line of its own."""
    start, end = line_around(tokens, at)
    others = (token for token in tokens[start:end] if token is not tokens[at])
    return tokens[at].word in _MAJORS and all(token.kind is TokenKind.MARK for token in others)


def _may_stand_between(token: Token) -> bool:
    if token.kind is TokenKind.WORD:
        return token.word in {"limit", "market", "лимит"}
    return token.kind in {TokenKind.MARK, TokenKind.SPAN, TokenKind.BREAK}


def _tagged(tokens: Sequence[Token], side: int) -> Mention | None:
    """#xbt or $ONDO in the line of the direction."""
    start, end = line_around(tokens, side)
    for at in range(start + 1, end):
        tag = tokens[at - 1]
        if tag.text in {"#", "$"} and tag.end == tokens[at].start and _is_ticker(tokens[at]):
            return Mention(tokens[at].word.upper(), at, at + 1)
    return None


def _behind(tokens: Sequence[Token], side: int) -> Mention | None:
    if side + 1 < len(tokens) and tokens[side + 1].word in _MAJORS:
        return Mention(tokens[side + 1].word.upper(), side + 1, side + 2)
    return None


def _is_ticker(token: Token) -> bool:
    return (
        token.kind is TokenKind.WORD
        and _TICKER.fullmatch(token.text) is not None
        and token.word not in _NO_TICKER
        and (token.word,) not in LABELS
        and token.word not in GAPS
    )


# ── lines ─────────────────────────────────────────────────────────────────────


def lines(tokens: Sequence[Token]) -> Iterator[tuple[int, int]]:
    start = 0
    for at, token in enumerate(tokens):
        if token.kind is TokenKind.BREAK:
            yield start, at
            start = at + 1
    yield start, len(tokens)


def line_around(tokens: Sequence[Token], at: int) -> tuple[int, int]:
    """Of at most forty tokens to each side, so that a text without line ends takes linear time."""
    start = end = at
    while start > 0 and at - start < 40 and tokens[start - 1].kind is not TokenKind.BREAK:  # noqa: PLR2004
        start -= 1
    while end < len(tokens) and end - at < 40 and tokens[end].kind is not TokenKind.BREAK:  # noqa: PLR2004
        end += 1
    return start, end
