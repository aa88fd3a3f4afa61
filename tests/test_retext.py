"""Whatever is taken out of a text or put into it: every character knows whose it was, and so it stays."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import re2
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.models import Entity
from bot.rules.cleaning import Replacement, replaced
from bot.rules.retext import Formatted, joined, trimmed, without, without_words
from tests.formatted import formatted, starts

# These are their text. Changed, it is somebody else's name, another link, another picture.
TIED = {"url", "email", "mention", "hashtag", "cashtag", "bot_command", "phone_number"}
TIED |= {"bank_card", "custom_emoji"}


def modelled(said, changes):
    """By characters: each carries the numbers of the entities that it is in.

    `changes`: start, stop and the new text, in characters. What is new is in the entities that all it
    replaces was in; put in between, in those of both its neighbours.
    """
    at = starts(said.text)
    owners = [
        {
            number
            for number, e in enumerate(said.entities)
            if e.offset <= at[i] and at[i + 1] <= e.offset + e.length
        }
        for i in range(len(said.text))
    ]
    out, last, broken = [], 0, set()
    for start, stop, new in changes:
        out += zip(said.text[last:start], owners[last:start], strict=True)
        old, last = said.text[start:stop], stop
        beside = [owners[i] if 0 <= i < len(owners) else set() for i in (start - 1, start)]
        held = owners[start:stop] or beside
        if old == new:
            out += zip(old, owners[start:stop], strict=True)
            continue
        out += [(character, set.intersection(*held)) for character in new]
        touched = set.union(*owners[start:stop]) if old else set.intersection(*beside)
        broken |= {number for number in touched if said.entities[number].type in TIED}
    out += zip(said.text[last:], owners[last:], strict=True)
    text = "".join(character for character, _ in out)
    at, found = starts(text), []
    for number, entity in enumerate(said.entities):
        mine = [i for i, (_, whose) in enumerate(out) if number in whose]
        if mine and number not in broken:
            first, end = at[mine[0]], at[mine[-1] + 1]
            found.append(replace(entity, offset=first, length=end - first))
    return Formatted(text, tuple(found))


LETTERS = st.sampled_from(["a", "b", "ё", "🚀", " ", "@", r"\n", ".", "[^a]", "(?:ab)", "[ab]"])
REPEATED = st.tuples(LETTERS, st.sampled_from(["", "", "*", "+", "?", "{2}"])).map("".join)
PATTERNS = st.lists(REPEATED, min_size=1, max_size=3).map("".join)
ANY_PATTERN = (
    PATTERNS
    | st.tuples(PATTERNS, PATTERNS).map("|".join)
    | st.sampled_from(["$", "^", "(?m)^", "(?m)$", r"\b", "(?m)^.*a.*\n?", ""])
)
NEW = st.sampled_from(["", "x", "🎯🎯", r"<\0>", r"\0", "a", " ", "\n", r"\\"])


@pytest.mark.long
@settings(max_examples=400)
@given(formatted(), ANY_PATTERN, NEW)
@example(Formatted("aёa", ()), r"\b", "x")
def test_replacing_by_any_pattern_is_what_a_model_of_characters_says(said, pattern, by):
    """What RE2 finds is taken as told by characters; links, mentions and custom emoji included."""
    spans = {found.span(): found for found in re2.compile(pattern).finditer(said.text)}
    changes = []
    for start, stop in spans:
        old = said.text[start:stop]
        changes.append((start, stop, by.replace(r"\0", old).replace("\\\\", "\\")))

    assert replaced(said, Replacement(pattern, by)) == modelled(said, changes)


@pytest.mark.long
@settings(max_examples=300)
@given(formatted(), st.lists(st.tuples(st.integers(0, 14), st.integers(0, 14)), max_size=4))
def test_what_is_cut_out_takes_its_formatting_with_it_and_no_other(said, ends):
    spans = [(min(a, b, len(said.text)), min(max(a, b), len(said.text))) for a, b in ends]
    gone = {number for span in spans for number in range(*span)}
    changes = [(number, number + 1, "") for number in sorted(gone)]

    assert without(said, spans) == modelled(said, changes)


@pytest.mark.long
@given(formatted(), formatted())
def test_two_texts_in_a_row_keep_each_its_own(one, other):
    found = joined(one, other)

    assert found.text == one.text + other.text
    assert _cut_out(found) == _cut_out(one) + _cut_out(other)


def _cut_out(said):
    raw = said.text.encode("utf-16-le")
    return [
        (e.type, raw[2 * e.offset : 2 * (e.offset + e.length)].decode("utf-16-le"))
        for e in said.entities
    ]


@given(formatted())
def test_trimming_is_stripping(said):
    found = trimmed(said)

    assert found.text == said.text.strip()
    assert all(
        0 <= e.offset < e.offset + e.length <= starts(found.text)[-1] for e in found.entities
    )


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("TP1 @ann closed", "TP1 closed"),
        ("TP1 @ann, closed", "TP1, closed"),
        ("TP1 @ann\nclosed", "TP1\nclosed"),
        ("@ann TP1", "TP1"),
        ("TP1\n@ann\nclosed", "TP1\nclosed"),
        ("TP1\n  @ann @bob  \nclosed", "TP1\nclosed"),
        ("TP1\n\n@ann", "TP1\n\n"),
        ("@ann", ""),
        ("🚀 @ann 🚀", "🚀 🚀"),
    ],
)
def test_where_a_word_is_taken_out_no_gap_is_seen(text, left):
    spans = [found.span() for found in re.finditer("@[a-z]+", text)]

    assert without_words(Formatted(text), spans).text == left


def test_an_entity_that_begins_within_a_character_is_a_forgery_and_goes():
    said = Formatted("🚀 a", (Entity("bold", 1, 3), Entity("bold", 3, 99)))

    assert without(said, [(1, 2)]).entities == (Entity("bold", 2, 1),)


def test_a_text_of_the_greatest_length_full_of_matches_takes_a_moment():
    """4,096 changes below 100 entities: counted one by one against each other they took a second."""
    said = Formatted("a" * 4_096, tuple(Entity("hashtag", n * 40, 20) for n in range(100)))

    assert replaced(said, Replacement("a", "bc")) == Formatted("bc" * 4_096)
