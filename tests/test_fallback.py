"""What is refused is left out step by step, and the words never are."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.delivery.fallback import lighter, lightly
from bot.errors import AccountLimited, DressRefused, MediumRefused, PostRefused
from bot.extras import Extras, LinkButton, Quote
from bot.models import Entity, Media
from bot.posts import PostState
from tests.posts import FakeOutbox, FakeTelegram, post, relay_of

PHOTO = Media("photo", "photo:1:2:00")
BOLD = (Entity("bold", 0, 2),)
DRESSED = Extras(
    silent=True,
    quote=Quote("TP1", (), 0),
    buttons=((LinkButton("Chart", "https://example.org"),),),
)
PARTS = st.sampled_from([None, "buttons", "quote", "preview", "formatting"])
REFUSALS = st.lists(
    st.builds(MediumRefused, st.just("no")) | st.builds(DressRefused, st.just("no"), part=PARTS),
    max_size=12,
)


class Notes:
    def __init__(self):
        self.kept = []

    async def post_lightened(self, post, *, bare):
        self.kept.append((post.note, bare))
        return post


@pytest.mark.long
@given(REFUSALS)
async def test_whatever_is_refused_in_whatever_order_it_ends_and_the_words_are_said(refusals):
    """At the latest when nothing but words is left, a refusal is the words'."""
    tried, left = [], list(refusals)

    async def send(post):
        tried.append(post)
        if left:
            raise left.pop(0)

    whole = post(text="words", media=PHOTO, entities=BOLD, extras=DRESSED)
    try:
        await lightly(whole, send, Notes())
    except PostRefused:
        last = tried[-1]
        assert last.media is None or not isinstance(refusals[len(tried) - 1], MediumRefused)
    assert {each.text for each in tried} == {"words"}
    assert all(each.extras.silent for each in tried)
    assert len(tried) <= 6


async def test_only_what_telegram_names_is_left_out():
    whole = post(text="words", media=PHOTO, entities=BOLD, extras=DRESSED)
    less = lighter(whole, DressRefused("refused: QUOTE_TEXT_INVALID", part="quote"))
    assert less == replace(
        whole,
        extras=replace(DRESSED, quote=None),
        note="posted without its quote: refused: QUOTE_TEXT_INVALID",
    )


@pytest.mark.parametrize("part", [None, "formatting"])
async def test_where_it_is_not_told_what_is_in_the_way_all_of_the_dress_is_left_out(part):
    """Or where it cannot be what is named, since there is none of that."""
    whole = post(text="words", entities=() if part else BOLD, extras=DRESSED)
    less = lighter(whole, DressRefused("refused", part=part))
    assert less == replace(
        whole,
        entities=(),
        extras=Extras(silent=True, no_preview=True),
        note="posted without its formatting, buttons, quote and preview: refused",
    )


async def test_a_text_that_loses_its_dress_is_not_noted_as_one_that_lost_a_medium():
    notes, left = Notes(), [DressRefused("no", part="formatting")]

    async def do(_post):
        if left:
            raise left.pop()

    await lightly(post(text="words", entities=BOLD), do, notes)

    assert notes.kept == [("posted without its formatting: no", False)]


@pytest.mark.parametrize("refused", [PostRefused("no"), DressRefused("no"), MediumRefused("no")])
async def test_a_medium_without_words_is_refused_as_it_is(refused):
    with pytest.raises(PostRefused):
        lighter(post(text=" ", media=PHOTO), refused)


@pytest.mark.parametrize(("state", "bare"), [(PostState.PENDING, True), (PostState.EDIT, False)])
async def test_a_post_sent_without_its_medium_stays_without_and_an_edited_one_may_have_another(
    state, bare
):
    """What an edit was to bring may come with the next one; the post has a medium already."""
    notes, left = Notes(), [MediumRefused("no")]

    async def do(_post):
        if left:
            raise left.pop()

    await lightly(post(text="words", media=PHOTO, state=state), do, notes)

    assert notes.kept == [("posted without its photo: no", bare)]


class NotedOutbox(FakeOutbox):
    async def post_lightened(self, post, *, bare):
        self._set(post, note=post.note, **({"media": None} if bare else {}))
        return post


async def test_an_album_that_is_refused_goes_part_by_part():
    no = MediumRefused("CHAT_SEND_PHOTOS_FORBIDDEN")
    parts = [post(number, "text", album_id=9, media=PHOTO) for number in (1, 2)]
    outbox, telegram = NotedOutbox(*parts), FakeTelegram(no, no, None, None)

    await relay_of(outbox, telegram).post_next()

    assert [asked[0] for asked in telegram.asked] == ["album", "media", "text", "media"]
    assert outbox.states() == [PostState.SENT] * 2


async def test_while_the_account_is_limited_the_pauses_grow_to_an_hour_and_nothing_is_in_doubt():
    outbox = FakeOutbox(post())
    telegram = FakeTelegram(*[AccountLimited("PEER_FLOOD")] * 9)
    relay = relay_of(outbox, telegram)

    pauses = [(await relay.post_next()).total_seconds() for _ in range(9)]

    assert pauses == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    assert outbox.states() == [PostState.PENDING]
    assert outbox.posts[1].sent_version is None
