"""The running bot comes back after whatever ends its connection, or ends with a line that says why."""

from __future__ import annotations

import pytest
from pyrogram import raw

from tests.loopback import CutBefore, RpcError

pytestmark = pytest.mark.heavy

HANDSHAKE = raw.functions.help.GetConfig  # what a new connection asks first
VOID = pytest.mark.parametrize(
    "refusal",
    [RpcError(406, "AUTH_KEY_DUPLICATED"), RpcError(401, "AUTH_KEY_UNREGISTERED")],
    ids=lambda refusal: refusal.text,
)


def cut_and_refuse(stage, refusal):
    """The connection ends, and Telegram does not take the old login on a new one."""
    stage.telegram.faults.on(HANDSHAKE, refusal)
    stage.telegram.faults.revoke(stage.bot, "AUTH_KEY_UNREGISTERED")
    stage.telegram.faults.revoke(stage.carol, "AUTH_KEY_UNREGISTERED")
    stage.telegram.faults.kill_connections()


@VOID
async def test_a_bot_whose_login_is_refused_at_the_reconnect_logs_in_anew(stage, refusal):
    async with stage.relay() as program:
        signal_ = await stage.alice.sends(stage.group, "#idea")
        first, *_ = await stage.shows("#idea")
        cut_and_refuse(stage, refusal)
        await stage.alice.sends(stage.group, "TP1", reply_to=signal_)
        _, second = await stage.shows("#idea", "TP1")
        assert second.reply_to == first.id
        assert program.output.count('"started"') == 2


async def test_a_person_whose_login_is_refused_at_the_reconnect_is_told_so(stage):
    program = await stage.launch(**stage.login_of_carol())
    await program.wait_output('"started"', timeout=30)
    # Not revoked as well: a call that was still under way would be the first to be refused.
    stage.telegram.faults.on(HANDSHAKE, RpcError(406, "AUTH_KEY_DUPLICATED"))
    stage.telegram.faults.kill_connections()

    assert await program.wait(timeout=15) == 1
    (line,) = (line for line in program.stderr.splitlines() if line.startswith("error:"))
    assert line.endswith("406 AUTH_KEY_DUPLICATED: SESSION_STRING is void, log in anew")
    assert "Traceback" not in program.output


async def test_a_login_that_becomes_void_again_at_once_ends_the_bot(stage):
    """Instead of a login every second, until Telegram has enough of them."""
    program = await stage.launch()
    await program.wait_output('"started"', timeout=30)
    cut_and_refuse(stage, RpcError(406, "AUTH_KEY_DUPLICATED"))
    await program.wait_output('"started"', count=2)
    # Not revoked as well: a call that was still under way would be the first to be refused.
    stage.telegram.faults.on(HANDSHAKE, RpcError(406, "AUTH_KEY_DUPLICATED"))
    stage.telegram.faults.kill_connections()

    assert await program.wait(timeout=30) == 1
    assert "406 AUTH_KEY_DUPLICATED: data/relay.session is void" in program.stderr


async def test_a_connection_that_is_cut_and_refused_while_it_is_made_comes_back(stage):
    """Cut in the handshake, refused for now, and for a while the key is not known (as 404).

    And a bot that is told to stop in the midst of that does not wait for it.
    """
    faults = stage.telegram.faults
    async with stage.relay() as program:
        await stage.alice.sends(stage.group, "#idea 1")
        await stage.shows("#idea 1")
        cut = faults.on(HANDSHAKE, CutBefore())
        refused = faults.on(HANDSHAKE, RpcError(500, "INTERNAL"))
        faults.kill_connections()
        await stage.alice.sends(stage.group, "#idea 2")
        await stage.shows("#idea 1", "#idea 2")
        assert cut.hits == refused.hits == 1
        with faults.unknown_keys():
            await stage.alice.sends(stage.group, "#idea 3")
            faults.kill_connections()
            await program.wait_output("not connected again yet", count=3)
        await stage.shows("#idea 1", "#idea 2", "#idea 3")
        await program.wait_output('"posted"', count=3)
        faults.on(HANDSHAKE, CutBefore(), times=None)
        faults.kill_connections()
        await program.wait_output("connection did not last", count=2)
        program.terminate()
        assert await program.wait(timeout=5) == 0
        assert "Traceback" not in program.output
