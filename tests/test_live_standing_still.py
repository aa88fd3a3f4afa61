"""Telegram does not tell what was missed, for an hour or for good: what it pushes is relayed all the same."""

from __future__ import annotations

import pytest
from pyrogram import raw

from tests.loopback import Drop, RpcError
from tests.loopback.tl import make
from tests.routes_written import WITHOUT, source

pytestmark = pytest.mark.heavy
DIFFERENCES = (raw.functions.updates.GetDifference, raw.functions.updates.GetChannelDifference)
OUTDATED = RpcError(500, "PERSISTENT_TIMESTAMP_OUTDATED")
PRIVATE = RpcError(400, "CHANNEL_PRIVATE")
SOON = 25  # seconds


class NoEnd:
    """There is more, it says, and gives nothing of it."""

    async def answer(self, call, _execute):
        if isinstance(call.query, raw.functions.updates.GetChannelDifference):
            return make(raw.types.updates.ChannelDifferenceEmpty, pts=call.query.pts).write()
        pts = call.query.pts
        state = raw.types.updates.State(pts=pts, qts=0, date=call.query.date, seq=0, unread_count=0)
        return make(raw.types.updates.DifferenceSlice, intermediate_state=state).write()


@pytest.fixture(params=["supergroup", "basic group"])
def group(request, stage):
    if request.param == "basic group":
        people = {"members": [stage.alice, stage.bob], "admins": [stage.bot]}
        stage.group = stage.telegram.group("Small", **people)
    return stage.group


async def posted(stage, *texts, where=None):
    await stage.telegram.wait_for(
        lambda: [seen.text for seen in stage.posted(where)] == list(texts),
        timeout=SOON,
        what=f"{texts} in the target",
    )


@pytest.mark.parametrize("fault", [OUTDATED, NoEnd()], ids=["refused", "no end"])
async def test_the_first_signal_does_not_wait_for_a_difference_that_is_not_given(
    stage, group, fault
):
    stage.telegram.faults.on(DIFFERENCES, fault, times=None)
    async with stage.relay() as program:
        signal = await stage.alice.sends(group, "#idea BTC")
        await posted(stage, "#idea BTC")
        await stage.alice.sends(group, "TP1", reply_to=signal)
        await posted(stage, "#idea BTC", "TP1")

        stage.telegram.faults.clear()
        with stage.telegram.faults.no_pushes():
            await stage.alice.sends(group, "TP2", reply_to=signal)
        await stage.alice.sends(group, "closed", reply_to=signal)
        await stage.shows("#idea BTC", "TP1", "TP2", "closed")
    assert len(stage.telegram.calls.of(*DIFFERENCES)) < 40
    box = group.id if group.has_own_box else stage.bot.id
    said = [line for line in program.stderr.splitlines() if "gives nothing of it" in line]
    assert len([line for line in said if f'"box": {box}' in line]) == isinstance(fault, NoEnd)


@pytest.mark.parametrize("fault", [PRIVATE, Drop()], ids=["closed", "silent"])
async def test_an_album_of_one_source_does_not_wait_for_another_that_cannot_be_read(stage, fault):
    other = stage.telegram.supergroup("Other", members=[stage.alice], admins=[stage.bot])
    place = stage.telegram.channel("Place", admins=[stage.bot])
    routes = [
        source("one", stage.group.id, stage.target.id),
        source("two", other.id, place.id),
    ]
    (stage.directory / "routes.toml").write_text("".join(routes), "utf-8")
    script = stage.telegram.faults.on(
        raw.functions.updates.GetChannelDifference,
        fault,
        times=None,
        when=lambda call: call.query.channel.channel_id == stage.group.bare_id,
    )
    async with stage.relay(**WITHOUT):
        await stage.telegram.wait_for(lambda: script.hits > 0)
        photos = [stage.telegram.photo() for _ in range(2)]
        await stage.alice.sends_album(other, photos, caption="#idea BTC")
        await posted(stage, "#idea BTC", "", where=place)


async def test_an_album_does_not_wait_for_a_difference_that_is_not_given(stage):
    stage.telegram.faults.on(DIFFERENCES, OUTDATED, times=None)
    async with stage.relay() as program:
        await program.wait_output("updates cannot be asked for yet")
        photos = [stage.telegram.photo() for _ in range(2)]
        await stage.alice.sends_album(stage.group, photos, caption="#idea BTC")
        await posted(stage, "#idea BTC", "")
