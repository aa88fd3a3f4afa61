"""Chats, topics and people as settings name them: read, or refused with what would be right. Pure.

Every function raises `ValueError` with what is wrong.
"""

from __future__ import annotations

import re
from typing import Final

from bot import chat_names
from bot.chat_names import ChatName, NamedAddress
from bot.faults import named
from bot.models import EVERYONE, GENERAL, Address, ChatId, Everyone, has_own_box
from bot.phrases import later, phrase
from bot.setting_values import shown

# Exactly what Telegram prints: `int()` would also take a plus sign, underscores, foreign digits.
ID: Final = re.compile(r"-?[1-9][0-9]{0,18}")
TOPIC: Final = re.compile(r"[1-9][0-9]{0,9}")
MAX_ID: Final = 2**63 - 1
NO_CHAT: Final = later("is set but empty: name at least one id, or leave the setting out")
POSTERS: Final = later("list the ids of those who may post, or write `everyone`")


def parse_id(text: str) -> int:
    """A user or chat id."""
    text = text.strip()
    if not ID.fullmatch(text) or abs(int(text)) > MAX_ID:
        raise ValueError(
            phrase(
                "{value} is not a Telegram id (a whole number such as -1001234567890)",
                value=shown(text),
            )
        )
    return int(text)


def parse_chat(text: str) -> int | ChatName:
    """An id, as it is or in a link, or a name."""
    return chat_names.read(text) if re.search("[@/]", text) else parse_id(text)


def parse_chats(text: str) -> tuple[int | ChatName, ...]:
    """Comma-separated, each once. Also raised if there is none."""
    chats = tuple(dict.fromkeys(parse_chat(part) for part in text.split(",") if part.strip()))
    if not chats:
        raise ValueError(phrase(NO_CHAT))
    return chats


def parse_address(text: str) -> Address | NamedAddress:
    """A chat as `parse_chat` takes it, and a topic of it behind a `#` where one is meant."""
    text = text.strip()
    split = None if "web.telegram.org" in text else re.fullmatch(r"([^#]*)#(.*)", text)
    chat = parse_chat(text if split is None else split[1])
    if split is not None and not TOPIC.fullmatch(split[2].strip()):
        raise ValueError(named(shown(text), phrase("behind # stands the number of a topic")))
    topic = 0 if split is None else int(split[2])
    if isinstance(chat, ChatName):
        return NamedAddress(chat, topic)
    if topic and not has_own_box(ChatId(chat)):
        none = phrase("only a supergroup, whose id is -100…, has topics")
        raise ValueError(named(shown(text), none))
    return Address(ChatId(chat), topic)


def parse_targets(text: str) -> tuple[Address | NamedAddress, ...]:
    """Comma-separated, each once. Also raised if there is none.

    What is posted to General is posted to no topic.
    """
    parts = [parse_address(part) for part in text.split(",") if part.strip()]
    if not parts:
        raise ValueError(phrase(NO_CHAT))
    named = (each._replace(topic=0) if each.topic == GENERAL else each for each in parts)
    return tuple(dict.fromkeys(named))


def parse_posters(text: str) -> tuple[int | ChatName, ...] | Everyone:
    """Ids and names, or the one word for all of them. Also raised if there is neither."""
    words = {part.strip().casefold() for part in text.split(",")} - {""}
    if not words:
        raise ValueError(phrase("is set but empty: {mend}", mend=phrase(POSTERS)))
    if EVERYONE.value not in words:
        return parse_chats(text)
    if len(words) > 1:
        raise ValueError(
            phrase("says `everyone` and names people, too: {mend}", mend=phrase(POSTERS))
        )
    return EVERYONE


def parse_people(text: str) -> tuple[int | ChatName, ...]:
    ids = parse_chats(text)
    chats = [each for each in ids if isinstance(each, int) and each < 0]
    if chats:
        raise ValueError(phrase("{id} is a chat: only users can give orders", id=chats[0]))
    return ids
