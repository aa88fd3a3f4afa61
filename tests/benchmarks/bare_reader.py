"""The least that one can do to hear what was missed: ask for each difference, and do nothing with it.

Takes a chat's id and its pts; tells in how many seconds it got to the end.
"""

from __future__ import annotations

import os
import sys
import time

from pyrogram import Client
from pyrogram.raw.functions.updates import GetChannelDifference
from pyrogram.raw.types import ChannelMessagesFilterEmpty


async def read(app: Client, chat: int, pts: int) -> None:
    async with app:
        await app.get_chat(chat)
        channel = await app.resolve_peer(chat)
        began, final = time.perf_counter(), None
        while not final:
            query = GetChannelDifference(
                channel=channel, filter=ChannelMessagesFilterEmpty(), pts=pts, limit=100
            )
            found = await app.invoke(query)
            pts, final = found.pts, found.final
        print("seconds:", time.perf_counter() - began, flush=True)


def main() -> None:
    app = Client(
        "bare",
        api_id=os.environ["API_ID"],
        api_hash=os.environ["API_HASH"],
        bot_token=os.environ["BOT_TOKEN"],
        in_memory=True,
        no_updates=True,
    )
    app.run(read(app, *map(int, sys.argv[1:])))


if __name__ == "__main__":
    main()
