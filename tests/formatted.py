"""Whatever a text may look like, and how it may be shown: for properties."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import strategies as st

from bot.extras import Extras, LinkButton, Preview, Quote
from bot.models import Entity
from bot.rules.retext import Formatted

ALPHABET = "ab \n🚀ё@"
KINDS = [
    ("bold", {}),
    ("text_link", {"url": "https://example.org"}),
    ("text_mention", {"user_id": 7}),
    ("custom_emoji", {"custom_emoji_id": "5"}),
    ("mention", {}),
    ("url", {}),
    ("hashtag", {}),
    ("code", {}),
]


def starts(text):
    """In UTF-16 units, of each character and of the end."""
    return [0, *accumulate(2 if character > "\uffff" else 1 for character in text)]


@st.composite
def formatted(draw, most=14):
    text = draw(st.text(ALPHABET, max_size=most))
    at = starts(text)
    ends = st.integers(0, len(text))
    spans = draw(st.lists(st.tuples(ends, ends, st.sampled_from(KINDS)), max_size=5))
    entities = [
        Entity(kind, at[min(a, b)], at[max(a, b)] - at[min(a, b)], **more)
        for a, b, (kind, more) in spans
        if a != b
    ]
    return Formatted(text, tuple(entities))


LETTERS = st.text('abя🚀"{}[]:,', max_size=8)
ENTITIES = st.builds(Entity, st.just("bold"), st.integers(0, 9), st.integers(1, 9))
BUTTON = st.builds(LinkButton, LETTERS, LETTERS)
ANY_EXTRAS = st.builds(
    Extras,
    silent=st.booleans(),
    no_preview=st.booleans(),
    above=st.booleans(),
    preview=st.none() | st.builds(Preview, LETTERS, st.sampled_from(["large", "small", ""])),
    quote=st.none()
    | st.builds(Quote, LETTERS, st.lists(ENTITIES, max_size=2).map(tuple), st.integers(0, 99)),
    buttons=st.lists(st.lists(BUTTON, min_size=1, max_size=2).map(tuple), max_size=2).map(tuple),
    lost=st.lists(LETTERS, max_size=2).map(tuple),
)
