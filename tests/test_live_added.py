"""Whoever adds the bot may post at once."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.heavy


@pytest.mark.parametrize("told", [True, False], ids=["told", "not told"])
async def test_the_first_signal_after_the_bot_was_added_is_relayed(stage, told):
    """Telegram pushes it while the bot still believes that it may not read there."""
    group = stage.telegram.supergroup("New", members=[stage.alice, stage.carol])
    await stage.alice.sends(group, "#idea of before")
    async with stage.relay(source=group) as program:
        await program.wait_output("updates cannot be asked for yet", count=3)
        if told:
            stage.carol.returns(stage.bot, to=group)
        else:
            with stage.telegram.faults.no_pushes():
                stage.carol.returns(stage.bot, to=group)
        signal = await stage.alice.sends(group, "#idea BTC")
        await stage.alice.sends(group, "TP1", reply_to=signal)
        await stage.shows("#idea BTC", "TP1")
