"""A setting, or a key of a file, that is wrong: its name, and what to do."""

from __future__ import annotations

from bot.errors import SettingsError
from bot.phrases import joined


def named(name: str, text: str) -> str:
    return joined(": ", [name, text])


def fault(name: str, text: str) -> SettingsError:
    return SettingsError(named(name, text))
