"""What is posted of a text: in as few parts as Telegram takes, and nobody is mentioned in any."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.extras import Extras, LinkButton, Quote, dumped, loaded
from bot.models import Content, Entity, Media
from bot.routes import Place
from bot.rules.render import chunks, in_words, render, split
from tests.formatted import ANY_EXTRAS
from tests.people import TARGET
from tests.posts import PHOTO

MENTION = re.compile("@[A-Za-z0-9_]{2}")


def units(text):
    return len(text.encode("utf-16-le")) // 2


def as_written(text):
    """A text without what takes the life out of its mentions."""
    return text.replace("\u2060", "").replace("\uff20", "@")


def live_mentions(chunk):
    """Telegram finds none in code, nor in a link or address that is whole."""
    quiet = [e for e in chunk.entities if e.type in {"code", "pre", "url", "email"}]
    return [
        at.group()
        for at in MENTION.finditer(chunk.text)
        if not any(e.offset <= units(chunk.text[: at.start()]) < e.offset + e.length for e in quiet)
    ]


@pytest.mark.parametrize("limit", [4096, 1024])
@pytest.mark.parametrize("names", [1, 2, 20, 200])
def test_a_text_of_exactly_the_limit_that_names_people_stays_one(limit, names):
    text = ("@ab " * names).ljust(limit, "я")

    [chunk] = chunks(text, (), first=limit)

    assert units(chunk.text) <= limit
    assert as_written(chunk.text) == text
    assert live_mentions(chunk) == []


WORDS = st.sampled_from(["@bob", "@ab_1", "слово", "🚀", "entry 64500", "\n", " ", "x@y.zz", "@"])
TEXTS = st.lists(WORDS, max_size=60).map("".join)


@given(TEXTS, st.integers(5, 40))
def test_no_part_is_too_long_and_no_part_mentions_anybody(text, limit):
    """As many parts as there would be without any mention."""
    inert = chunks(text, (), first=limit)
    live = chunks(text, (), first=limit, mentions=True)

    assert len(inert) == len(live)
    assert units(inert[0].text) <= limit
    assert as_written("".join(chunk.text for chunk in inert)) == text
    assert [live_mentions(chunk) for chunk in inert] == [[]] * len(inert)


@given(
    st.integers(0, 30), st.integers(1, 30), st.sampled_from(["url", "email", "code", "text_link"])
)
def test_a_link_that_had_to_be_cut_leaves_no_mention(before, limit, kind):
    link = "me@example.org" if kind == "email" else "https://t.me/@bob_the_builder"
    text = "я" * before + link
    entity = Entity(kind, before, len(link), url="https://t.me" if kind == "text_link" else None)

    found = chunks(text, [entity], first=limit)

    assert as_written("".join(chunk.text for chunk in found)) == text
    for chunk in found:
        whole = [
            e for e in chunk.entities if e.type not in {"url", "email"} or e.length == len(link)
        ]
        assert live_mentions(chunk._replace(entities=tuple(whole))) == []
        assert list(chunk.entities) == whole


# ── where a text is cut ──


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("1234567\n9 bcdefgh", ["1234567\n", "9 bcdefgh"]),  # behind a line
        ("1\n345678 abcdefg", ["1\n345678 ", "abcdefg"]),  # that line would be too short a part
        ("12345 789abcdefg", ["12345 ", "789abcdefg"]),
        ("1234 6789abcdefg", ["1234 6789a", "bcdefg"]),  # so would these words
        ("123456789abcdefg", ["123456789a", "bcdefg"]),
        ("123456789🚀abcdef", ["123456789", "🚀abcdef"]),  # which is two units, and one character
        ("12345678🚀abcdefg", ["12345678🚀", "abcdefg"]),
        ("123456\u2041\u4100xyz", ["123456\u2041\u4100xy", "z"]),  # a blank's bytes, and none
        ("123456\u0a41\u4100xyz", ["123456\u0a41\u4100xy", "z"]),  # nor is this a line's end
        ("123456789a", ["123456789a"]),
    ],
)
def test_a_text_is_cut_behind_a_line_or_a_word_and_never_within_a_character(text, parts):
    """Of ten units, where there is one in their second half."""
    assert [chunk.text for chunk in split(text, (), first=10)] == parts


def spans(entities):
    return [(each.type, each.offset, each.length) for each in entities]


@pytest.mark.parametrize(
    ("entity", "parts"),
    [
        ((6, 8), [(6, []), (10, [(0, 8)])]),  # whole, in the part behind
        ((5, 8), [(10, [(5, 5)]), (6, [(0, 3)])]),  # it would leave too short a part
        ((2, 8), [(10, [(2, 8)]), (6, [])]),
        ((10, 4), [(10, []), (6, [(0, 4)])]),
    ],
)
def test_what_is_marked_up_is_cut_where_its_text_is_and_best_not_at_all(entity, parts):
    found = split("1234567890abcdef", [Entity("bold", *entity)], first=10)

    assert [(len(chunk.text), spans(chunk.entities)) for chunk in found] == [
        (length, [("bold", *each) for each in told]) for length, told in parts
    ]


def test_a_link_is_whole_or_none_and_whatever_else_is_marked_up_goes_on_behind_the_cut():
    entities = [Entity("url", 0, 12), Entity("italic", 0, 12), Entity("url", 13, 3)]
    first, second = split("1234567890ab def", entities, first=10)

    assert spans(first.entities) == [("italic", 0, 10)]
    assert spans(second.entities) == [("italic", 0, 2), ("url", 3, 3)]


# ── the posts of a message ──

HERE = Place(TARGET)
BUTTONS = ((LinkButton("Chart", "https://example.org"),),)


@pytest.mark.parametrize(("media", "first"), [(None, 4096), (PHOTO, 1024)])
def test_what_belongs_to_a_message_once_is_its_first_posts(media, first):
    """The others are as silent as that one; a caption is shorter than a text."""
    extras = Extras(silent=True, no_preview=True, above=True, buttons=BUTTONS, lost=("effect",))

    lead, *rest = render(Content("слово " * 1_000, (), media, extras), HERE)

    assert (units(lead.text) <= first, lead.media, lead.extras) == (True, media, extras)
    assert [part.media for part in rest] == [None] * len(rest)
    assert {part.extras for part in rest} == {Extras(silent=True, no_preview=True)}
    assert lead.text + "".join(part.text for part in rest) == "слово " * 1_000


@pytest.mark.parametrize("mentions", [False, True])
@pytest.mark.parametrize("media", [None, PHOTO])
def test_whom_a_message_mentions_is_the_places_own_matter(mentions, media):
    """In its text and in what it quotes."""
    said = Content(
        "#идея @bob", (Entity("mention", 6, 4),), media, Extras(quote=Quote("@al", (), 0))
    )

    [post] = render(said, Place(TARGET, mentions=mentions))

    assert ("@bob" in post.text, "@al" in post.extras.quote.text) == (mentions, mentions)
    assert bool(post.entities) == mentions


def test_no_post_turns_the_text_around_it_whatever_the_place():
    for place in (HERE, Place(TARGET, mentions=True)):
        [post] = render(Content("\u202e#idea 05"), place)
        assert post.text == "#idea 05"


def test_a_message_in_words_says_what_its_medium_said_and_is_cut_as_a_text():
    """What was a caption of two posts is a text of one."""
    poll = Media("poll", 'poll:{"question": {"text": "Up?"}, "answers": [{"text": "да"}]}')

    assert render(in_words(Content("x" * 1500, (), PHOTO)), HERE) == [Content("x" * 1500)]
    assert render(in_words(Content("", (), poll)), HERE) == [Content("Up?\n• да")]


# ── how it is shown, in the tables ──


@given(ANY_EXTRAS)
def test_how_a_message_is_shown_is_read_back_as_it_was_written(extras):
    assert (loaded(dumped(extras)) or Extras()) == extras


def test_a_message_that_is_shown_as_any_other_leaves_nothing_in_the_table():
    assert dumped(None) is dumped(Extras()) is None
