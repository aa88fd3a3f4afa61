"""Where the chats of a JSON export lie, and what it says of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from bot.history.json_items import OPENS, built, elements, exhaust, members, pass_over

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.history.json_items import Token

# What is to be known of a chat, and the token that brings it.
FACTS: Final = {"id": "number", "name": "string", "type": "string", "messages": "start_array"}
# The whole document is one chat, or these are the lists of an account.
SINGLE: Final = ""
LISTS: Final = ("chats", "left_chats")


@dataclass(slots=True)
class Found:
    """A chat as the file has it, and where its messages lie."""

    place: str
    index: int = 0  # among the chats of its place
    facts: dict[str, Any] = field(default_factory=dict)
    first: Any = None  # its first message, where that came before its type

    @property
    def complete(self) -> bool:
        return "messages" in self.facts and "id" in self.facts and "type" in self.facts


def found_chats(tokens: Iterator[Token], found: list[Found]) -> None:
    """Those with messages or without, in the order of `LISTS`. What is found before damage stays."""
    lists: dict[str, list[Found]] = {name: [] for name in LISTS}
    whole = Found(SINGLE)
    found.append(whole)
    try:
        _look(tokens, whole, lists)
    finally:
        found += (chat for chats in lists.values() for chat in chats)


def _look(tokens: Iterator[Token], whole: Found, lists: dict[str, list[Found]]) -> None:
    event, _ = next(tokens, ("", None))
    if event == "start_map":
        for key, *token in members(tokens):
            if key in LISTS and token[0] == "start_map":
                _list(tokens, key, lists[key])
                continue
            _take(tokens, whole, key, *token)
            if whole.complete:
                return  # with messages yet unread: Telegram Desktop first tells whose they are
    exhaust(tokens)


def _list(tokens: Iterator[Token], place: str, chats: list[Found]) -> None:
    for _ in _maps_of_list(tokens):
        one = Found(place, len(chats))
        chats.append(one)
        for key, *token in members(tokens):
            _take(tokens, one, key, *token)


def _maps_of_list(tokens: Iterator[Token]) -> Iterator[None]:
    """The maps in the `list` of the map that has just begun."""
    for key, event, _ in members(tokens):
        if (key, event) != ("list", "start_array"):
            pass_over(tokens, event)
            continue
        for item, _ in elements(tokens):
            if item == "start_map":
                yield
            else:
                pass_over(tokens, item)


def _take(tokens: Iterator[Token], one: Found, key: str, event: str, value: Any) -> None:
    if FACTS.get(key) != event:
        return pass_over(tokens, event)
    one.facts[key] = value
    if event in OPENS and not one.complete:
        for number, token in enumerate(elements(tokens)):
            if number == 0:
                one.first = built(tokens, *token)
            else:
                pass_over(tokens, token[0])
    elif event in OPENS and one.place != SINGLE:
        pass_over(tokens, event)
    return None


def items_of(tokens: Iterator[Token], chat: Found) -> Iterator[Any]:
    """Its messages, as they are written. Of a whole document also the damage that comes after them."""
    event, _ = next(tokens, ("", None))
    if event != "start_map":
        return
    if chat.place == SINGLE:
        yield from _messages(tokens)
        exhaust(tokens)
        return
    for key, event, _ in members(tokens):
        if (key, event) != (chat.place, "start_map"):
            pass_over(tokens, event)
            continue
        for index, _ in enumerate(_maps_of_list(tokens)):
            if index == chat.index:
                yield from _messages(tokens)
                return
            pass_over(tokens, "start_map")


def _messages(tokens: Iterator[Token]) -> Iterator[Any]:
    """Of the map that has just begun."""
    for key, event, _ in members(tokens):
        if (key, event) == ("messages", "start_array"):
            for token in elements(tokens):
                yield built(tokens, *token)
        else:
            pass_over(tokens, event)
