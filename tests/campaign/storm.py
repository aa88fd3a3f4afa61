"""How long a new signal waits while edits pour in and the server takes few of them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time

from tests.campaign.hardships import EDIT, Limit
from tests.campaign.kills import STARTED
from tests.stage import SEND

SEND_EACH, EDIT_EACH = 1.0, 3.0  # seconds, as the server takes them
EDITED, SIGNALS = 8, 5
LATE = SEND_EACH + 1  # seconds; one send interval and one second
PATIENCE = 30.0  # seconds


async def delays(campaign):
    """Seconds from each signal to its post, with eight older ones edited in turn all the while."""
    talk, stage = campaign.talk, campaign.stage
    lines = [await talk.signal() for _ in range(EDITED)]
    program = await stage.launch()
    await program.wait_output('"started"', timeout=STARTED)
    with contextlib.suppress(TimeoutError):  # then the verdict says what is wrong
        await campaign.all_done()
    faults = stage.telegram.faults
    limits = [
        faults.on(SEND, Limit(SEND_EACH), times=None),
        faults.on(EDIT, Limit(EDIT_EACH), times=None),
    ]
    editing = asyncio.create_task(_edits(talk, lines))
    try:
        return [await _delay(talk, stage) for _ in range(SIGNALS)]
    finally:
        editing.cancel()
        await asyncio.gather(editing, return_exceptions=True)
        for limit in limits:
            limit.cancel()
        program.kill()
        await program.wait()


async def _edits(talk, lines):
    for line in itertools.cycle(lines):
        await talk.edit(line)
        await asyncio.sleep(0.25)


async def _delay(talk, stage):
    """Signals come at a pace that the server takes: what is measured is the edits' part."""
    await asyncio.sleep(2 * SEND_EACH)
    began = time.monotonic()
    line = await talk.signal()
    try:
        await stage.telegram.wait_for(
            lambda: any(line.key in seen.text for seen in stage.posted()), timeout=PATIENCE
        )
    except AssertionError:
        return PATIENCE
    return time.monotonic() - began
