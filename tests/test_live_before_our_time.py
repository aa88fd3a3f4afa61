"""What was said before the bot's first start stays unsaid, whatever happens to it later."""

from __future__ import annotations

import pytest

from tests.stage import SEND

pytestmark = pytest.mark.heavy


async def test_a_reaction_to_a_signal_of_long_ago_does_not_relay_it(stage):
    """Telegram tells of reactions and of new buttons as of edits that people are not shown."""
    old = await stage.alice.sends(stage.group, "#idea of long ago")
    async with stage.relay():
        await stage.alice.edits(old, edit_hidden=True)
        await stage.alice.sends(stage.group, "#idea of today")
        await stage.shows("#idea of today")
    async with stage.relay():
        pass
    await stage.alice.edits(old, edit_hidden=True)
    async with stage.relay():
        await stage.alice.sends(stage.group, "#idea of tomorrow")
        await stage.shows("#idea of today", "#idea of tomorrow")


async def test_what_is_read_again_beyond_the_difference_brings_back_no_signal_of_long_ago(stage):
    for number in range(20):
        await stage.alice.sends(stage.group, f"#idea {number} of long ago")
    async with stage.relay():
        await stage.alice.sends(stage.group, "#idea of today")
        await stage.shows("#idea of today")
    stage.telegram.rules.channel_too_long_after = 5
    for number in range(9):
        await stage.bob.sends(stage.group, f"nice {number}")
    async with stage.relay() as program:
        await program.wait_output("looking at messages one by one")
        await stage.alice.sends(stage.group, "#idea of tomorrow")
        await stage.shows("#idea of today", "#idea of tomorrow")


async def test_a_reaction_to_a_post_that_stands_edits_nothing_there(stage):
    async with stage.relay():
        signal = await stage.alice.sends(stage.group, "#idea BTC")
        await stage.shows("#idea BTC")
        await stage.alice.edits(signal, edit_hidden=True)
        await stage.alice.sends(stage.group, "TP1", reply_to=signal)
        await stage.shows("#idea BTC", "TP1")
    changed = [c for c in stage.telegram.calls if c.name == "messages.EditMessage"]
    assert changed == []
    assert len(stage.telegram.calls.of(*SEND)) == 2
