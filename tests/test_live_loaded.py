"""What a running bot loads: memory, and a later start, are the price of each library."""

from __future__ import annotations

import re

IMPORTED = re.compile(r"^import time:.*\| +(\S+)$", re.MULTILINE)  # as Python says it itself


async def test_a_bot_loads_no_library_for_what_it_does_not_do(stage):
    """It relays a signal, what follows and an edit: from chat to chat, on a file, with no port."""
    async with stage.relay(PYTHONPROFILEIMPORTTIME="1") as program:
        signal = await stage.alice.sends(stage.group, "#idea BTC/USDT LONG")
        update = await stage.alice.sends(stage.group, "stop to entry", reply_to=signal)
        await stage.shows("#idea BTC/USDT LONG", "stop to entry")
        await stage.alice.edits(update, "stop at 5")
        await stage.shows("#idea BTC/USDT LONG", "stop at 5")
    loaded = set(IMPORTED.findall(program.stderr))

    assert {"pyrogram", "sqlalchemy", "diskcache", "bot.delivery.worker"} <= loaded
    drawn = {"rich.console", "babel"}
    unasked = {"prometheus_client", "http.server", "aiohttp", "jinja2", "pygal", "re2", "ijson"}
    elsewhere = {"alembic", "psycopg", "sqlalchemy.orm", "sqlalchemy.dialects.postgresql"}
    files = {"tomllib", "bot.routes_file", "bot.setup.run", "bot.admin.chat_commands"}
    assert (drawn | unasked | elsewhere | files) & loaded == set()
