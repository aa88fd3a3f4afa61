"""Connections to the loopback Telegram, with what a test says of them by name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pyrogram.client import Client

from bot.telegram.client import Telegram, Timeouts
from bot.telegram.credentials import Credentials
from tests.loopback import API_HASH, API_ID, LoopbackTelegram
from tests.loopback.media import DATA_CENTRE

LOGIN = ("api_id", "api_hash", "directory", "bot_token", "session_string", "network")
TIMEOUTS = {"call_timeout": "call", "start_timeout": "start", "silence": "silence"}


def connection(kind: type[Telegram] = Telegram, **given: Any) -> Any:
    """One that is not started. `call_timeout`, `start_timeout` and `silence` are seconds."""
    login = {name: given.pop(name) for name in LOGIN if name in given}
    timeouts = {of: given.pop(name) for name, of in TIMEOUTS.items() if name in given}
    credentials = Credentials(**{"api_id": API_ID, "api_hash": API_HASH, **login})
    return kind(credentials, timeouts=Timeouts(**timeouts), **given)


async def key_kept_in(directory: Path, telegram: LoopbackTelegram) -> Path:
    """As by an attempt to log in that failed behind it: to agree on a key takes 50 ms of a processor."""
    key = os.urandom(256)
    telegram.server.add_key(key)
    login = Credentials(API_ID, API_HASH, directory, bot_token="42:not yet")
    file: Any = Client(**login.for_client()).storage
    await file.open()
    await file.dc_id(DATA_CENTRE)
    await file.test_mode(False)
    if hasattr(file, "server_address"):
        await file.server_address("149.154.167.51")
        await file.port(443)
    await file.auth_key(key)
    await file.close()
    return directory
