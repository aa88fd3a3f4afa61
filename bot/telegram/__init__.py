"""Everything that imports Pyrogram (or kurigram, which answers to the same name).

`client` logs in and hears, `messages` translates raw TL to our words and back, `sender` posts.
Both directions speak raw TL: the library's own types would ask Telegram for the parent of every
reply, sleep through flood waits and guess what was sent.
"""

from __future__ import annotations

import asyncio
import contextlib


def _import_pyrogram() -> None:
    """Give Pyrogram the event loop it asks for when it is first imported.

    `pyrogram/sync.py` calls `asyncio.get_event_loop()` at import, which warns from Python 3.12 on
    and fails from 3.14 on where no loop runs. It wants the loop only for calls without one.
    """
    with contextlib.suppress(RuntimeError):
        asyncio.get_running_loop()
        return  # it will find that one
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        import pyrogram  # noqa: F401, PLC0415 - importing it here is the point
    finally:
        asyncio.set_event_loop(None)
        loop.close()


_import_pyrogram()
