"""What people write in the place of a chat's id, and which ids public names were found to have.

A name is looked up once: it can change hands, and whoever has it next must not become the source, a target or
an author. So what was found stays in `DATA_DIR`.
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from bot.phrases import later, phrase

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NUMBER: Final = r"[1-9][0-9]{0,17}"
# What people copy: an id, the address of Telegram's web client, links to a chat or a message.
AN_ID: Final = re.compile(rf"(?:https://web\.telegram\.org/\S*#)?(-?{NUMBER})(?:_[0-9]+)?")
ITS_HOST: Final = r"(?:(?:https?://)?(?:www\.)?(?:t|telegram)\.(?:me|dog)/)"
PRIVATE: Final = re.compile(rf"{ITS_HOST}c/({NUMBER})(?:/.*)?")
INVITATION: Final = re.compile(rf"{ITS_HOST}(?:\+|joinchat/)\S+")
PUBLIC: Final = re.compile(rf"(?:@|{ITS_HOST}(?:s/)?)([A-Za-z][A-Za-z0-9_]{{3,31}})(?:[/?].*)?")
FORMS: Final = later("an id such as -1001234567890, an @username, or a t.me link")
CHANNELS: Final = -(10**12)  # as in `models`
FILE: Final = "chats.json"


class ChatName(str):
    """A public name of a chat or a person, without the @ and in lower case."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"@{self}"


class NamedAddress(NamedTuple):
    """A `models.Address` whose chat is not known by its id yet."""

    chat: ChatName
    topic: int = 0


def read(text: str) -> int | ChatName:
    """Raises `ValueError` with what is wrong."""
    text = text.strip()
    if found := AN_ID.fullmatch(text):
        return int(found[1])
    if found := PRIVATE.fullmatch(text):
        return CHANNELS - int(found[1])
    if INVITATION.fullmatch(text):
        raise ValueError(phrase("an invitation does not say which chat it is for: give its id"))
    if (found := PUBLIC.fullmatch(text)) is None:
        raise ValueError(phrase("that is not a chat: give {forms}", forms=phrase(FORMS)))
    return ChatName(found[1].lower())


def kept(directory: Path) -> dict[ChatName, int]:
    """Empty where nothing is, or can be read."""
    try:
        found = json.loads((directory / FILE).read_text(encoding="utf-8"))
        return {ChatName(name): int(number) for name, number in found.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def keep(directory: Path, found: Mapping[ChatName, int]) -> None:
    """Beside those that are kept already. Raises `OSError`."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = directory / f"{FILE}.new"
    text = json.dumps({**kept(directory), **found}, indent=1)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(new, flags, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(directory / FILE)
