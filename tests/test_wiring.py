"""The parts as `app` puts them together."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.app import open_core
from bot.models import Media, Outcome, Reason
from tests import wiring
from tests.people import ALICE, BOB, TARGET, says

PHOTO = Media("photo", "photo:1:2:3")


@pytest.fixture
def opened(tmp_path):
    """A bot's core on the same tables each time."""

    def opened(*targets, **given):
        settings = wiring.settings(data_dir=tmp_path / "data", **given)
        return open_core(settings, wiring.routes(settings, *targets), in_loop=True)

    return opened


async def test_an_import_of_what_was_relayed_changes_no_post(opened):
    """An export tells less of a message: its picture has no file there, and a text may be older."""
    signal = says(ALICE, "#idea BTC", media=PHOTO)
    async with opened(TARGET) as core:
        await core.intake.handle(signal)
        (post,) = await core.store.take_posts(TARGET)
        await core.store.post_sent(post, 500)
    exported = replace(signal, text="#idea BTC, as it was", media=Media("photo"))
    async with opened() as core:
        decision = await core.intake.handle(exported)
        assert decision.outcome is Outcome.DUPLICATE
        assert await core.store.take_posts(TARGET) == []


async def test_a_part_of_an_album_that_comes_again_alone_may_have_been_edited(opened):
    parts = [
        says(ALICE, "#idea BTC", media=PHOTO, album_id=9),
        says(ALICE, media=PHOTO, album_id=9),
    ]
    async with opened(TARGET) as core:
        await core.intake.take(parts)
        for post in await core.store.take_posts(TARGET):
            await core.store.post_sent(post, 500 + post.id)
        (decision,) = await core.intake.take([replace(parts[1], text="the 4 h chart")])
        (post,) = await core.store.take_posts(TARGET)

    assert decision.outcome is Outcome.DUPLICATE
    assert post.text == "the 4 h chart"


async def test_whoever_is_permitted_no_more_adds_no_picture_to_an_album_that_stands(opened):
    """Its parts may come hours apart, as when the bot was down between them."""
    first, late = (says(ALICE, text, media=PHOTO, album_id=9) for text in ("#idea BTC", ""))
    async with opened(TARGET) as core:
        await core.intake.take([first])
    async with opened(TARGET, source_allowed_users=(BOB,)) as core:
        (decision,) = await core.intake.take([late])
        counts = await core.store.counts()

    assert (decision.outcome, decision.reason) == (Outcome.REJECTED, Reason.NOT_PERMITTED)
    assert (counts.signals, counts.updates) == (1, 0)
