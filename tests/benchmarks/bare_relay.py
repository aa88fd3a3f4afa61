"""The smallest relay that one can write on the library: no database, and nothing is guaranteed.

What ours costs is measured beside it, see `beside_bare`.
"""

from __future__ import annotations

import os

from pyrogram import Client, filters, idle

SOURCE, TARGET = int(os.environ["SOURCE_CHAT_ID"]), int(os.environ["TARGET_CHAT_ID"])


def main() -> None:
    posts: dict[int, int] = {}
    app = Client(
        "bare",
        api_id=os.environ["API_ID"],
        api_hash=os.environ["API_HASH"],
        bot_token=os.environ["BOT_TOKEN"],
        in_memory=True,
    )

    @app.on_message(filters.chat(SOURCE))
    async def relay(client, message):
        above = posts.get(message.reply_to_message_id)
        if above or "#idea" in message.text:
            sent = await client.send_message(TARGET, message.text, reply_to_message_id=above)
            posts[message.id] = sent.id

    app.start()
    print('"started"', flush=True)
    idle()


if __name__ == "__main__":
    main()
