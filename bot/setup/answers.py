"""What is typed: yes and no, and for the first three questions. These raise `ValueError` with what it should be."""

from __future__ import annotations

from typing import Final

from bot.phrases import phrase
from bot.setting_values import API_ID, api_hash_is_wrong, session_is_wrong, token_is_wrong

YES: Final = frozenset({"y", "yes", "д", "да"})
NO: Final = frozenset({"n", "no", "н", "нет"})


def api_id(text: str) -> str:
    if not API_ID.fullmatch(text):
        raise ValueError(phrase("an API id is a number such as 1234567"))
    return text


def api_hash(text: str) -> str:
    if wrong := api_hash_is_wrong(text):
        raise ValueError(wrong)
    return text


def login(text: str) -> str:
    if token_is_wrong(text) and session_is_wrong(text):
        raise ValueError(
            phrase("a token looks like 123456789:AbC…, a session string has over 300 letters")
        )
    return text
