"""What of a text is put into the language of its place, and whether that may be posted. Pure.

Numbers, tickers, @names and links are what people trade by. Whoever translates may get them wrong: then
the original is posted.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bot.errors import NotTranslated
from bot.extras import entity_item
from bot.models import Entity
from bot.phrases import later, phrase
from bot.rules.cleaning import LINK, NAMED, SENTENCE
from bot.rules.retext import BOUND, Formatted, joined, offsets, trimmed, units
from bot.rules.sanitize import directed, is_mention
from bot.rules.signal_parser.pair import is_major, is_vocabulary
from bot.rules.signal_parser.pair import mentions as pairs_in
from bot.rules.signal_parser.text import clean
from bot.rules.signal_parser.tokens import tokenize
from bot.rules.signal_parser.words import words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MARK: Final = "untranslated"  # as the type of an entity: the words that are to be translated
# What stands alone, as "example.org" or "a@example.org", and Telegram makes a link of.
ADDRESS: Final = r"(?<![\w@.+-])(?:[\w.+-]++@)?(?:[\w-]++\.)+[a-z]{2,24}+(?!\w)(?:[/?#][^\s<>]*)?"
LINKS: Final = re.compile(f"{LINK.pattern}|{ADDRESS}", re.IGNORECASE)
NUMBER: Final = re.compile(r"(?:(?<![\w.,)])[-+\u2212])?\d+(?:[.,'’]\d+)*")
CASHTAG: Final = re.compile(r"(?<!\w)\$[A-Za-z][A-Za-z0-9]*")
CAPITALS: Final = re.compile(r"(?<![^\W_])[#$]?[0-9]*[A-Z][A-Z0-9]+(?![^\W_])")
# Words in capitals, one after the other, are no tickers: somebody is shouting.
SHOUTED: Final = re.compile(r"(?<!\w)[A-Z]{2,}(?:[ ,!]+[A-Z]{2,}){2,}(?!\w)")
# What is said of trades in capitals, besides the vocabulary of signals.
SAID: Final = words_of(
    "hit hits done reached profit profits be breakeven partial half wait hold exit note watch "
    "warning attention breaking news today luck roi pnl rr ok won lost win"
)
KINDS: Final = (later("links"), later("@names"), later("numbers"), later("tickers"))  # as `Kept`
LONGEST_TICKER: Final = 6  # characters, where it is known by nothing but its capitals
LETTER: Final = re.compile(r"[^\W\d_]")
GROWTH: Final = 4  # as many times as long a translation may be, and a bit
A_BIT: Final = 200  # characters


class Untranslated(NamedTuple):
    """A text of which a part, once or several times, is to be translated: `around` stands around it."""

    body: Formatted
    around: tuple[Formatted, ...]

    def filled(self, body: Formatted) -> Formatted:
        pieces = [each for piece in self.around for each in (body, piece)]
        return joined(*pieces[1:])

    def as_json(self) -> str:
        return json.dumps([_plain(each) for each in (self.body, *self.around)], ensure_ascii=False)


def from_json(said: str) -> Untranslated:
    body, *around = (
        Formatted(text, tuple(Entity(**each) for each in entities))
        for text, entities in json.loads(said)
    )
    return Untranslated(body, tuple(around))


def _plain(said: Formatted) -> list[Any]:
    return [said.text, [*map(entity_item, said.entities)]]


# ── what is to be translated ──────────────────────────────────────────────────


def marked(body: Formatted) -> Formatted:
    """With a mark on all of it, if there are words in it to be translated."""
    if not has_words(body.text):
        return body
    return body._replace(entities=(*body.entities, Entity(MARK, 0, units(body.text))))


def unmarked(entities: Iterable[Entity]) -> tuple[Entity, ...]:
    return tuple(each for each in entities if each.type != MARK)


def untranslated(said: Formatted, *, mentions: bool = False) -> Untranslated | None:
    """What is marked in it; None: nothing. `mentions`: those who are mentioned are, there, too."""
    marks = [each for each in said.entities if each.type == MARK]
    if not marks:
        return None
    kept = [e for e in unmarked(said.entities) if mentions or not is_mention(e)]
    whole = said._replace(entities=tuple(kept))
    edges = [0, *(at for e in marks for at in (e.offset, e.offset + e.length)), units(said.text)]
    pieces = [_piece(whole, *edges[at : at + 2]) for at in range(len(edges) - 1)]
    return Untranslated(pieces[1], tuple(pieces[::2]))


def _piece(said: Formatted, start: int, stop: int) -> Formatted:
    """Between two offsets; what reaches beyond them keeps what is within."""
    raw = said.text.encode("utf-16-le", "surrogatepass")[2 * start : 2 * stop]
    found = []
    for each in said.entities:
        first, last = max(each.offset, start), min(each.offset + each.length, stop)
        if first < last:
            found.append(replace(each, offset=first - start, length=last - first))
    return Formatted(raw.decode("utf-16-le", "surrogatepass"), tuple(found))


def has_words(text: str) -> bool:
    """Besides what must stay as it is, and what is written in Latin capitals."""
    for pattern in (LINKS, NAMED, CASHTAG, CAPITALS):
        text = pattern.sub(" ", text)
    return LETTER.search(text) is not None


# ── what must stay as it is ───────────────────────────────────────────────────


class Kept(NamedTuple):
    links: Counter[str]
    names: Counter[str]
    numbers: Counter[str]
    tickers: Counter[str]


def kept_of(text: str) -> Kept:
    """Each as often as it stands there."""
    text, links = _taken(text, LINKS)
    text, names = _taken(text, NAMED)
    numbers = Counter(each[0].replace("\u2212", "-") for each in NUMBER.finditer(text))
    return Kept(Counter(links), Counter(names), numbers, Counter(_tickers(text)))


def _taken(text: str, pattern: re.Pattern[str]) -> tuple[str, list[str]]:
    """Without what is found, and that, without the marks behind it."""
    pieces, found, last = [], [], 0
    for each in pattern.finditer(text):
        pieces.append(text[last : each.start()])
        found.append(each[0].rstrip(SENTENCE))
        last = each.start() + len(found[-1])
    return " ".join([*pieces, text[last:]]), found


def _tickers(text: str) -> Iterator[str]:
    """Those that are known to be some, in whatever language: pairs, $BTC, and well-known ones."""
    yield from (each.pair for each in pairs_in(tokenize(clean(text))))
    yield from (each[0].upper() for each in CASHTAG.finditer(text))
    for each in CAPITALS.finditer(text):
        word = each[0].lstrip("#$")
        if is_major(word.lower()) and not is_vocabulary(word.lower()):
            yield word


def _guessed(text: str) -> set[str]:
    """Words in Latin capitals that may be tickers: as such they would stand in any language."""
    shouts = [found.span() for found in SHOUTED.finditer(text)]
    found = set()
    for each in CAPITALS.finditer(text):
        word = each[0]
        tagged = word[0] in "#$"
        shouted = any(start <= each.start() < stop for start, stop in shouts)
        known = is_vocabulary(word.lower()) or word.lower() in SAID
        if tagged or not (shouted or known or len(word) > LONGEST_TICKER):
            found.add(word.lstrip("#$"))
    return found


def others(kind: str) -> NotTranslated:
    """One of `KINDS`."""
    return NotTranslated(
        phrase("the translation has other {kind} than the original", kind=phrase(kind))
    )


def _refuse_changes(before: str, after: str) -> None:
    """Raises `NotTranslated` where something that must stay as it is does not."""
    then, now = kept_of(before), kept_of(after)
    for name, one, other in zip(KINDS, then, now, strict=True):
        if one != other:
            raise others(name)
    one, other = (
        Counter(each[0].lstrip("#$") for each in CAPITALS.finditer(text))
        for text in (before, after)
    )
    if any(one[word] != other[word] for word in _guessed(before)):
        raise others(KINDS[-1])


# ── the translation of it ─────────────────────────────────────────────────────


def carried(said: Formatted, answer: str) -> Formatted:
    """The answer to what was said, with its formatting as far as that can be told. Raises `NotTranslated`.

    Formatting stays on words that stand there as before, and on whole lines. What led somewhere from
    words that are others now is put below them.
    """
    found, _ = directed(answer.replace("\r\n", "\n"), ())
    text = trimmed(Formatted(found)).text
    if not text:
        raise NotTranslated(phrase("the translation is empty"))
    if len(text) > GROWTH * len(said.text) + A_BIT:
        raise NotTranslated(phrase("the translation is much longer than the original"))
    _refuse_changes(said.text, text)
    spans = _Spans(said.text, text)
    entities: list[Entity] = []
    lost: list[str] = []
    for each in said.entities:
        there = spans.of(each)
        if there is not None:
            entities.append(replace(each, offset=there[0], length=there[1] - there[0]))
        elif is_mention(each):
            raise others(KINDS[1])
        elif each.type == "text_link" and each.url:
            lost.append(each.url)
        elif each.type in {"url", "email"}:
            raise others(KINDS[0])
    return Formatted("\n".join([text, *dict.fromkeys(lost)]), tuple(entities))


class _Spans:
    """Where in the one text stands what stood somewhere in the other. Offsets in, offsets out."""

    def __init__(self, before: str, after: str) -> None:
        self._before, self._after = before, after
        self._units = offsets(after)
        self._at = {unit: number for number, unit in enumerate(offsets(before))}
        self._lines = _lines(before), _lines(after)

    def of(self, entity: Entity) -> tuple[int, int] | None:
        start, stop = self._at.get(entity.offset), self._at.get(entity.offset + entity.length)
        if start is None or stop is None:
            return None
        found = self._same_words(start, stop)
        if found is None and entity.type not in BOUND:
            found = self._same_lines(start, stop)
        return None if found is None else (self._units[found[0]], self._units[found[1]])

    def _same_words(self, start: int, stop: int) -> tuple[int, int] | None:
        words = self._before[start:stop]
        before, after = _places(self._before, words), _places(self._after, words)
        if len(before) != len(after) or start not in before:
            return None
        at = after[before.index(start)]
        return at, at + len(words)

    def _same_lines(self, start: int, stop: int) -> tuple[int, int] | None:
        before, after = self._lines
        if not self._before[start:stop].strip():
            return None
        start += len(self._before[start:stop]) - len(self._before[start:stop].lstrip())
        stop -= len(self._before[start:stop]) - len(self._before[start:stop].rstrip())
        first = next((n for n, line in enumerate(before) if line[0] == start), None)
        last = next((n for n, line in enumerate(before) if line[1] == stop), None)
        if first is None or last is None:
            return None
        if (first, last) == (0, len(before) - 1):
            last = len(after) - 1
        elif len(before) != len(after):
            return None
        return after[first][0], after[last][1]


def _lines(text: str) -> list[tuple[int, int]]:
    """Where the words of each begin and end; of empty ones nowhere is said."""
    found, at = [], 0
    for line in text.split("\n"):
        if words := line.strip():
            start = at + line.index(words[0])
            found.append((start, start + len(words)))
        at += len(line) + 1
    return found


def _places(text: str, words: str) -> Sequence[int]:
    found, at = [], text.find(words) if words.strip() else -1
    while at >= 0:
        found.append(at)
        at = text.find(words, at + len(words))
    return found


def in_the_original(said: Formatted, mark: str) -> Formatted:
    """As it is, below a line that says so."""
    return joined(Formatted(f"{mark}\n"), said) if mark else said
