"""Where a field is named, and where its body ends: at the next label."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from bot.rules.signal_parser.tokens import NUMBERS, Token, TokenKind
from bot.rules.signal_parser.words import LABELS, LONGEST, ORDINALS, PLURAL, Field

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_JOINTS: Final = frozenset({"-", "/", "_"})
_PRICED: Final = frozenset({Field.ENTRY, Field.TARGET, Field.STOP, Field.PRICE, Field.OTHER})
_NUMBERED: Final = frozenset({Field.ENTRY, Field.TARGET, Field.STOP})


@dataclass(slots=True)
class Label:
    field: Field
    start: int  # of the tokens, the ordinal of "1st target" included
    end: int  # of the tokens, behind the phrase
    body_end: int
    plural: bool = False  # "targets": a number behind it is a price


def find_labels(tokens: Sequence[Token], sides: Collection[int]) -> list[Label]:
    """`sides`: the tokens that say long or short, and may be followed by the entry."""
    labels: list[Label] = []
    at = 0
    while at < len(tokens):
        label = _label_at(tokens, at, sides)
        if label is None or (
            label.field is Field.SIDE_ENTRY and labels and _is_part_of(labels[-1], tokens, at)
        ):
            at += 1
            continue
        label.start = _with_ordinal(tokens, at, labels) if label.field in _NUMBERED else at
        labels.append(label)
        at = label.end
    for label, following in pairwise(labels):
        label.body_end = following.start
    return labels


def _label_at(tokens: Sequence[Token], at: int, sides: Collection[int]) -> Label | None:
    if tokens[at].kind is not TokenKind.WORD:
        return None
    words: list[str] = []
    found: Label | None = None
    end = at
    while end < len(tokens) and len(words) < LONGEST and tokens[end].kind is TokenKind.WORD:
        words.append(tokens[end].word)
        phrase = tuple(words)
        end += 1
        if phrase in LABELS:
            found = Label(LABELS[phrase], at, end, len(tokens), phrase in PLURAL)
        if _is_joint(tokens, end):
            end += 1
    if at in sides and (found is None or found.end == at + 1):
        return Label(Field.SIDE_ENTRY, at, at + 1, len(tokens))
    return None if found and found.field is Field.SIDE_ENTRY else found


def _is_joint(tokens: Sequence[Token], at: int) -> bool:
    """The hyphen of "take-profit"."""
    return (
        at + 1 < len(tokens)
        and tokens[at].text in _JOINTS
        and tokens[at].start - tokens[at - 1].end <= 1
        and tokens[at + 1].start - tokens[at].end <= 1
    )


def _is_part_of(label: Label, tokens: Sequence[Token], at: int) -> bool:
    """A direction behind a label and before its number, as in "entry for long: 5", opens nothing."""
    if label.field not in _PRICED or at - label.end > 10:  # noqa: PLR2004
        return False
    between = tokens[label.end : at]
    return not any(token.kind in NUMBERS or token.kind is TokenKind.BREAK for token in between)


def _with_ordinal(tokens: Sequence[Token], at: int, labels: Sequence[Label]) -> int:
    """The start of "1st target", "2) TP", "🎯 1 цель", of which the number is the label's."""
    floor = max(labels[-1].end if labels else 0, at - 6)
    start = at - 1
    while start >= floor and tokens[start].kind is TokenKind.MARK and tokens[start].text in ").:-":
        start -= 1
    if start < floor:
        return at
    token = tokens[start]
    if token.kind is TokenKind.INDEX or token.word in ORDINALS:
        return start
    if token.small is None:
        return at
    while start >= floor and tokens[start].kind is not TokenKind.BREAK:
        if tokens[start] is not token and tokens[start].kind is not TokenKind.MARK:
            return at
        start -= 1
    return start + 1 if start < 0 or tokens[start].kind is TokenKind.BREAK else at
