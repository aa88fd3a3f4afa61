"""What is posted of a text: in as few parts as Telegram takes, and nobody is mentioned in any."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.extras import Extras, LinkButton, Preview, Quote, dumped, loaded
from bot.models import Entity
from bot.render import render

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

    [chunk] = render(text, (), first=limit)

    assert units(chunk.text) <= limit
    assert as_written(chunk.text) == text
    assert live_mentions(chunk) == []


WORDS = st.sampled_from(["@bob", "@ab_1", "слово", "🚀", "entry 64500", "\n", " ", "x@y.zz", "@"])
TEXTS = st.lists(WORDS, max_size=60).map("".join)


@given(TEXTS, st.integers(5, 40))
def test_no_part_is_too_long_and_no_part_mentions_anybody(text, limit):
    """As many parts as there would be without any mention."""
    inert = render(text, (), first=limit)
    live = render(text, (), first=limit, mentions=True)

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

    chunks = render(text, [entity], first=limit)

    assert as_written("".join(chunk.text for chunk in chunks)) == text
    for chunk in chunks:
        whole = [
            e for e in chunk.entities if e.type not in {"url", "email"} or e.length == len(link)
        ]
        assert live_mentions(chunk._replace(entities=tuple(whole))) == []
        assert list(chunk.entities) == whole


# ── how it is shown, in the tables ──

LETTERS = st.text('abя🚀"{}[]:,', max_size=8)
ENTITIES = st.builds(Entity, st.just("bold"), st.integers(0, 9), st.integers(1, 9))
BUTTONS = st.builds(LinkButton, LETTERS, LETTERS)
ANY_EXTRAS = st.builds(
    Extras,
    silent=st.booleans(),
    no_preview=st.booleans(),
    above=st.booleans(),
    preview=st.none() | st.builds(Preview, LETTERS, st.sampled_from(["large", "small", ""])),
    quote=st.none()
    | st.builds(Quote, LETTERS, st.lists(ENTITIES, max_size=2).map(tuple), st.integers(0, 99)),
    buttons=st.lists(st.lists(BUTTONS, min_size=1, max_size=2).map(tuple), max_size=2).map(tuple),
    lost=st.lists(LETTERS, max_size=2).map(tuple),
)


@given(ANY_EXTRAS)
def test_how_a_message_is_shown_is_read_back_as_it_was_written(extras):
    assert (loaded(dumped(extras)) or Extras()) == extras


def test_a_message_that_is_shown_as_any_other_leaves_nothing_in_the_table():
    assert dumped(None) is dumped(Extras()) is None
