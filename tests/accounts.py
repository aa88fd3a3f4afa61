"""Connections to the loopback Telegram, with what a test says of them by name."""

from __future__ import annotations

from typing import Any

from bot.telegram.client import Telegram, Timeouts
from bot.telegram.credentials import Credentials
from tests.loopback import API_HASH, API_ID

LOGIN = ("api_id", "api_hash", "directory", "bot_token", "session_string", "network")
TIMEOUTS = {"call_timeout": "call", "start_timeout": "start", "silence": "silence"}


def connection(kind: type[Telegram] = Telegram, **given: Any) -> Any:
    """One that is not started. `call_timeout`, `start_timeout` and `silence` are seconds."""
    login = {name: given.pop(name) for name in LOGIN if name in given}
    timeouts = {of: given.pop(name) for name, of in TIMEOUTS.items() if name in given}
    credentials = Credentials(**{"api_id": API_ID, "api_hash": API_HASH, **login})
    return kind(credentials, timeouts=Timeouts(**timeouts), **given)
