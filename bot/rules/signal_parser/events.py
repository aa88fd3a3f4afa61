"""What an update tells of its signal: "TP1 hit", "SL to entry", "closed", and their Russian forms.

A clause tells an event if it holds nothing but words that are known here. A sentence with a condition, a negation or a
question tells none, and messages whose clauses contradict each other tell none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from bot.rules.signal_parser.labels import Label, find_labels
from bot.rules.signal_parser.numbers import Numerals
from bot.rules.signal_parser.pair import mentions, name_tokens
from bot.rules.signal_parser.text import TURNING, clean
from bot.rules.signal_parser.tokens import Token, TokenKind, tokenize
from bot.rules.signal_parser.words import GAPS, ORDINALS, SIDES, Field, words_of
from bot.signal_fields import EventKind, SignalEvent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from collections.abc import Set as AbstractSet
    from decimal import Decimal


_REACHED: Final = words_of(
    "hit hits reached done achieved taken smashed completed взят взята взято взяты взяли взял взяла достигнут достигнута "
    "достигнуты достигли сработал сработала исполнен исполнена исполнился исполнилась выполнен выполнена забрали забрал "
    "отработал отработала отработан отработана triggered filled поймал поймали словил словили получил получили"
)
_TICKED: Final = frozenset("✅✔☑")
_STOPPED: Final = words_of("stopped стопнуло стопанула стопануло выбило застопило")
_BY_STOP: Final = words_of("стопу стоп-лоссу")
_CLOSED: Final = words_of(
    "closed close closing exited exit закрыл закрыла закрыли закрыт закрыта закрыто закрываю закрываем закрыть вышел вышли "
    "закрылся закрылась закрылись"
)
_PART: Final = words_of("half part partial partially половину половина часть частично пол")
_WHOLLY: Final = words_of("full fully all полностью всё все остаток остальное rest remaining")
_FIXED: Final = words_of(  # of a profit, which may be that of a part
    "book booked booking secure secured фикс фиксирую фиксируем фиксируйте зафиксировал зафиксировали зафиксировала"
)
_CANCELLED: Final = words_of(
    "cancelled canceled cancel cancelling отмена отменяю отменяем отменен отменён отменена отменено отменил отменили "
    "отменить"
)
_MOVED: Final = words_of(
    "move moved moving moves set trail trailed shift raise raised перенес перенёс перенесли переносим переношу перенести "
    "передвинул передвинули двигаем двигаю переставил переставили переставляем переставляю подтянул подтянули подтягиваем "
    "перевел перевёл перевели переводим перевожу ставим поставил поставили new новый updated"
)
_ENTRY: Final = words_of(
    "be breakeven бу безубыток безубытке безубытка б/у entry вход точку точка входа"
)
_TO: Final = words_of("to на в into")
_FILLED: Final = words_of(
    "filled triggered activated hit взят взята сработал сработала исполнен исполнена активирован набран"
)
_ENTERED: Final = words_of(
    "entered вошел вошёл вошли зашел зашёл зашли активировался активировалась активировались"
)
_LIMIT: Final = words_of("limit limits лимитка лимитки лимитный")
_NEUTRAL: Final = GAPS - words_of("market рынок price цена цене zone range area") | words_of(
    "лимитку ордера trade trades position positions deal signal order everything manually here now the my our "
    "this one is was has been we i it out in at with profit profits loss small target targets our stop сделка сделку сделки "
    "позиция позицию позиции руками вручную тут здесь сейчас я мы по с со плюс плюсе "
    "минус минусе ноль нуле прибыль прибылью убыток убытком небольшим наш свою свой уже стопу lower part guys ребята"
)
_VETO: Final = words_of(
    "if when once after unless until before wait waiting will would could can may might should soon almost near not no never "
    "don't dont didn't isn't without next если когда после пока до как ждем ждём жду будет может можно почти скоро не нет "
    "без близко или либо or above below выше ниже"
)
_ENDS: Final = frozenset(".!;?")
_PARTS: Final = frozenset(",()+&|")
_JOINING: Final = words_of("and и а but но then")
_TOLD: Final = frozenset({Field.TARGET, Field.STOP, Field.ENTRY})
_FINAL: Final = (EventKind.CLOSED, EventKind.STOPPED, EventKind.CANCELLED)
_WHOLE: Final = 100  # per cent


@dataclass(slots=True)
class _Clause:
    """What the words of a clause name."""

    words: set[str] = field(default_factory=set)
    labels: set[Field] = field(default_factory=set)
    targets: list[int] = field(default_factory=list)
    prices: list[Decimal] = field(default_factory=list)
    ticked: bool = False
    percent: Decimal | None = None  # without a sign: a share of the position
    timed: bool = False  # "4h close" is a candle's
    foreign: bool = False  # a word that is not known here


class _Update:
    def __init__(self, text: str) -> None:
        self.tokens = tokenize(clean(text))
        found = mentions(self.tokens)
        self._in_pair = name_tokens(self.tokens) | {
            at for each in found for at in range(each.start, each.end)
        }
        self._numerals = Numerals(self.tokens, currencies=False)
        labels = find_labels(self.tokens, frozenset())
        self._labels = {at: label for label in labels for at in range(label.start, label.end)}

    def sentences(self) -> Iterator[list[int]]:
        """The tokens of each, without those that hold a condition, a negation or a question."""
        sentence: list[int] = []
        for at, token in enumerate(self.tokens):
            sentence.append(at)
            if token.kind is TokenKind.BREAK or token.text in _ENDS:
                yield sentence
                sentence = []
        yield sentence

    def is_plain(self, sentence: Sequence[int]) -> bool:
        words = {self.tokens[at].word for at in sentence}
        veto = _VETO - {"до"} if words & _MOVED else _VETO  # a stop is moved up to a price
        return not words & veto and (not sentence or self.tokens[sentence[-1]].text != "?")

    def clauses(self, sentence: Sequence[int]) -> Iterator[_Clause]:
        clause: list[int] = []
        for at in sentence:
            token = self.tokens[at]
            if (token.kind is TokenKind.MARK and token.text in _PARTS) or token.word in _JOINING:
                yield self._clause(clause)
                clause = []
                continue
            clause.append(at)
            if token.text in _TICKED and not self._labels.keys().isdisjoint(clause):
                yield self._clause(clause)
                clause = []
        yield self._clause(clause)

    def _clause(self, clause: Sequence[int]) -> _Clause:
        said = _Clause()
        for at in clause:
            token, label = self.tokens[at], self._labels.get(at)
            if label is not None and label.field in _TOLD:
                said.labels.add(label.field)
                said.targets += self._number_of(label) if at == label.start else []
            if token.kind is TokenKind.WORD:
                said.words.add(token.word)
                said.foreign = said.foreign or not self._is_known(token, at)
            elif token.kind is TokenKind.PRICE and not token.glued and at not in self._labels:
                said.prices += self._numerals.values(token)
            elif token.kind is TokenKind.PERCENT and self.tokens[at - 1].text not in {"+", "-"}:
                said.percent = next(iter(self._numerals.values(token)), None)
            said.timed = said.timed or token.kind is TokenKind.SPAN
            said.ticked = said.ticked or token.text in _TICKED
        return said

    def _number_of(self, label: Label) -> list[int]:
        if label.field is not Field.TARGET:
            return []
        inside = self.tokens[label.start : label.end]
        behind = self.tokens[label.end : label.end + 2]
        if behind and behind[0].kind is TokenKind.MARK and behind[0].text in "-#№":
            behind = behind[1:]
        numbers = (token.small or ORDINALS.get(token.word) for token in [*inside, *behind[:1]])
        return list(filter(None, numbers))[:1]

    def _is_known(self, token: Token, at: int) -> bool:
        word = token.word
        return (
            any(word in known for known in _KNOWN)
            or at in self._in_pair
            or (at in self._labels and self._labels[at].field in _TOLD)
        )


_KNOWN: Final[tuple[AbstractSet[str], ...]] = (
    *(_REACHED, _STOPPED, _BY_STOP, _CLOSED, _PART, _CANCELLED, _MOVED, _ENTRY, _TO, _FILLED),
    *(_WHOLLY, _FIXED, _ENTERED, _LIMIT, _NEUTRAL, ORDINALS.keys(), SIDES.keys()),
)


@lru_cache(maxsize=1)  # as of `parse`
def event_of(text: str) -> SignalEvent | None:
    """The one thing that an update tells beyond doubt. Never raises, whatever the text.

    Of several that go together the one that ends a trade counts, else the highest target, else the first.
    """
    if TURNING.search(text):
        return None
    update = _Update(text)
    found: list[SignalEvent] = []
    for sentence in update.sentences():
        if update.is_plain(sentence):
            found += _events(list(update.clauses(sentence)))
    return _one_of(found)


def _events(clauses: Sequence[_Clause]) -> list[SignalEvent]:
    found = [event for clause in clauses if (event := _event(clause)) is not None]
    bare = [n for clause in clauses if _is_bare_target(clause) for n in clause.targets]
    if bare and any(event.kind is EventKind.TARGET_REACHED for event in found):
        found.append(SignalEvent(EventKind.TARGET_REACHED, max(bare)))
    return found


def _is_bare_target(clause: _Clause) -> bool:
    """The "TP2" of "hit TP1 and TP2"."""
    return clause.labels == {Field.TARGET} and not clause.foreign and not clause.prices


def _event(said: _Clause) -> SignalEvent | None:
    if said.foreign:
        return None
    for tell in (_cancelled, _closed, _stopped, _stop_moved, _target_reached, _entry_filled):
        event = tell(said)
        if event is not None:
            return event
    return None


def _cancelled(said: _Clause) -> SignalEvent | None:
    return SignalEvent(EventKind.CANCELLED) if said.words & _CANCELLED else None


def _closed(said: _Clause) -> SignalEvent | None:
    fixed = bool(said.words & _FIXED)
    if not (fixed or said.words & _CLOSED) or said.words & _BY_STOP or said.timed:
        return None
    share = said.percent is not None and said.percent < _WHOLE
    if said.words & _PART or (share and (fixed or not said.words & _GAINS)):
        return SignalEvent(EventKind.PARTIALLY_CLOSED)
    if Field.TARGET in said.labels or (fixed and not said.words & _WHOLLY):
        return None
    return SignalEvent(EventKind.CLOSED)


_GAINS: Final = words_of("profit profits прибыль прибылью плюс плюсе loss убыток убытком")


def _stopped(said: _Clause) -> SignalEvent | None:
    out_by_stop = bool(said.words & _BY_STOP and said.words & (_CLOSED | _STOPPED | _REACHED))
    reached = Field.STOP in said.labels and bool(said.words & _REACHED)
    if out_by_stop or said.words & _STOPPED or (reached and Field.TARGET not in said.labels):
        return SignalEvent(EventKind.STOPPED)
    return None


def _stop_moved(said: _Clause) -> SignalEvent | None:
    """To the entry where that is named, else to the only price, if it is said to go there."""
    moves = bool(said.words & (_MOVED | _TO))
    if Field.TARGET in said.labels or not moves:
        return None
    if said.words & _ENTRY and (Field.STOP in said.labels or said.words & _BREAK_EVEN):
        return None if said.prices else SignalEvent(EventKind.STOP_MOVED)
    if Field.STOP in said.labels and len(said.prices) == 1:
        return SignalEvent(EventKind.STOP_MOVED, stop=said.prices[0])
    return None


_BREAK_EVEN: Final = words_of("be breakeven бу безубыток")


def _target_reached(said: _Clause) -> SignalEvent | None:
    named = Field.TARGET in said.labels or said.words >= _ALL_TARGETS
    if not (named and (said.ticked or said.words & _REACHED)):
        return None
    if Field.STOP in said.labels:
        return None
    return SignalEvent(EventKind.TARGET_REACHED, max(said.targets, default=None))


_ALL_TARGETS: Final = words_of("all targets")  # which is a label of nothing


def _entry_filled(said: _Clause) -> SignalEvent | None:
    of_entry = Field.ENTRY in said.labels or said.words & _LIMIT
    filled = said.words & _ENTERED or (of_entry and said.words & _FILLED)
    return SignalEvent(EventKind.ENTRY_FILLED) if filled else None


def _one_of(found: Sequence[SignalEvent]) -> SignalEvent | None:
    final = {event.kind for event in found if event.kind in _FINAL}
    if len(final) > 1:
        return None
    if final:
        return SignalEvent(next(iter(final)))
    reached = [event for event in found if event.kind is EventKind.TARGET_REACHED]
    if reached:
        return max(reached, key=lambda event: event.target or 0)
    stops = {event for event in found if event.kind is EventKind.STOP_MOVED}
    if len(stops) > 1:
        return None
    return found[0] if found else None
