"""What is posted of a text: as it reads, without tricks on its readers."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.models import Entity
from bot.rules.sanitize import presentable

WORD_JOINER = "\u2060"
# Unicode's controls and marks of direction, and what Telegram takes for a name.
BIDI = re.compile("[\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069]")
NAME = re.compile("@[A-Za-z0-9_]{2}")
RLO, LRM, ISOLATE = "\u202e", "\u200e", "\u2066"


def covered(text, entity):
    units = text.encode("utf-16-le", "surrogatepass")
    found = units[2 * entity.offset : 2 * (entity.offset + entity.length)]
    return found.decode("utf-16-le", "surrogatepass")


def test_a_text_without_tricks_stays_as_it_is():
    entities = (Entity("bold", 0, 5), Entity("url", 6, 9))
    assert presentable("#idea t.me/x", entities) == ("#idea t.me/x", entities)


def test_what_turns_the_direction_is_left_out_and_formatting_stays_where_it_was():
    text, entities = presentable(
        f"🚀{RLO} stop {LRM}05{ISOLATE} now",
        [Entity("bold", 4, 4), Entity("italic", 9, 3), Entity("code", 12, 5)],
    )

    assert text == "🚀 stop 05 now"
    assert [covered(text, entity) for entity in entities] == ["stop", "05", " now"]


def test_formatting_of_nothing_but_controls_goes_with_them():
    assert presentable(f"a{RLO}{RLO}b", [Entity("bold", 1, 2)]) == ("ab", ())


def test_a_mentioned_user_can_be_read_and_is_not_notified():
    text, entities = presentable(
        "thanks @bob_x and Алиса, see here",
        [
            Entity("mention", 7, 6),
            Entity("text_mention", 18, 5, user_id=7),
            Entity("text_link", 29, 4, url="tg://user?id=7"),
            Entity("bold", 0, 17),
        ],
    )

    assert text.replace(WORD_JOINER, "") == "thanks @bob_x and Алиса, see here"
    assert NAME.search(text) is None
    assert [(entity.type, covered(text, entity)) for entity in entities] == [
        ("bold", f"thanks @{WORD_JOINER}bob_x and")
    ]


@pytest.mark.parametrize("text", [f"@{LRM}bob", f"{RLO}@bob", "@@bob", "x@bob", "/@bob", "\n@bob1"])
def test_no_spelling_of_a_mention_gets_through(text):
    assert NAME.search(presentable(text, [])[0]) is None


@pytest.mark.parametrize(
    ("text", "kind"),
    [("me@example.com", "email"), ("https://x.io/@bob", "url"), ("@bob", "code"), ("@bob", "pre")],
)
def test_an_address_and_code_stay_as_they_are(text, kind):
    """In them Telegram looks for no mentions, and they are there to be copied."""
    entity = Entity(kind, 0, len(text))
    assert presentable(text, [entity]) == (text, (entity,))


@pytest.mark.parametrize(
    ("text", "start", "length", "shown"),
    [
        ("@ann @bob @eve", 5, 4, "@\u2060ann @bob @\u2060eve"),
        ("@ann@bob", 0, 4, "@ann@\u2060bob"),
        ("hi @bob", 4, 3, "hi @\u2060bob"),
        ("🚀 @ann @bob", 3, 4, "🚀 @ann @\u2060bob"),
    ],
)
@pytest.mark.parametrize("kind", ["code", "pre", "url", "email"])
def test_only_what_begins_within_code_or_an_address_stays_as_it_is(
    text, start, length, shown, kind
):
    """One word in code does not leave every other name of the text alive."""
    assert presentable(text, [Entity(kind, start, length)])[0] == shown


def test_mentions_are_relayed_where_the_operator_wants_them():
    entities = (Entity("mention", 0, 4), Entity("text_mention", 5, 3, user_id=7))
    assert presentable("@bob bob", entities, mentions=True) == ("@bob bob", entities)


TEXTS = st.text(
    st.sampled_from(
        [RLO, LRM, ISOLATE, "\u2069", "\u061c", "@", "a", "b", "_", "я", "🚀", " ", "\ud83d"]
    ),
    max_size=30,
)
KINDS = st.sampled_from(["bold", "code", "mention", "text_mention", "url", "text_link"])
SPANS = st.lists(st.tuples(KINDS, st.integers(0, 70), st.integers(0, 70)), max_size=4)


@given(TEXTS, SPANS, st.booleans())
def test_every_format_covers_what_it_covered_and_no_trick_is_left(text, spans, mentions):
    starts = [0]
    for character in text:
        starts.append(starts[-1] + len(character.encode("utf-16-le", "surrogatepass")) // 2)
    entities = []
    for kind, first, second in spans:
        start, end = sorted((starts[first % len(starts)], starts[second % len(starts)]))
        entities.append(Entity(kind, start, end - start))

    shown, kept = presentable(text, entities, mentions=mentions)

    assert BIDI.search(shown) is None
    assert shown.replace(WORD_JOINER, "") == BIDI.sub("", text)
    left = [covered(shown, entity).replace(WORD_JOINER, "") for entity in kept if entity.length]
    wanted = [
        BIDI.sub("", covered(text, entity))
        for entity in entities
        if mentions or entity.type not in {"mention", "text_mention"}
    ]
    assert left == [words for words in wanted if words]
    if mentions:
        return
    units = [
        len(shown[: at.start()].encode("utf-16-le", "surrogatepass")) // 2
        for at in NAME.finditer(shown)
    ]
    quoted = [entity for entity in kept if entity.type in {"code", "url"}]
    for at in units:
        assert any(each.offset <= at < each.offset + each.length for each in quoted)


@given(TEXTS, st.lists(st.tuples(KINDS, st.integers(-5, 99), st.integers(-5, 99)), max_size=4))
def test_forged_offsets_make_nothing_fail(text, spans):
    for mentions in (True, False):
        presentable(text, [Entity(*span) for span in spans], mentions=mentions)
