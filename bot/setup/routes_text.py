"""`routes.toml` as text: a source or a place more, and all else as somebody wrote it. Pure.

Nothing is read and written back: comments, order and spaces are people's. What was meant is compared
with what TOML makes of the text, so a file in another style is refused and not spoilt.
"""

from __future__ import annotations

import copy
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bot.config import DEFAULT_MARKERS, DEFAULT_TTL
from bot.errors import SettingsError
from bot.models import EVERYONE, AfterTtl
from bot.routes_lines import LineNumbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import timedelta

    from bot.config import Settings
    from bot.models import Address

ESCAPED: Final = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
INDENT: Final = "  "
OTHER_STYLE: Final = "is written in a way that nothing can be added to as text"


@dataclass(frozen=True)
class Block:
    """A source, or a place. `said`: its keys, in their order. `about`: a comment behind its chat."""

    said: Mapping[str, Any]
    about: str = ""
    places: tuple[Block, ...] = ()

    @property
    def table(self) -> dict[str, Any]:
        """As TOML reads it."""
        places = {"place": [place.table for place in self.places]} if self.places else {}
        return {**self.said, **places}


def chat(address: Address) -> int | str:
    return str(address) if address.topic else int(address.chat)


def with_source(text: str, source: Block) -> str:
    """At the end. Raises `SettingsError` for a text that cannot be added to."""
    lines = [*_kept(text.splitlines()), *_lines(source)]
    return _checked(text, lines, [*_tables(text), source.table])


def with_place(text: str, number: int, place: Block) -> str:
    """Behind the other places of the source of that number, from 0. Raises as above."""
    lines, numbers = text.splitlines(), LineNumbers(text)
    end = len(lines)
    if number + 1 < len(_tables(text)):
        end = numbers.of((number + 1, None)) - 1
        while end and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")):
            end -= 1  # what stands right above a source is about it
    here, behind = _kept(lines[:end]), lines[end:]
    meant = copy.deepcopy(_tables(text))
    meant[number].setdefault("place", []).append(place.table)
    return _checked(text, [*here, *_place_lines(place), *behind], meant)


def from_settings(settings: Settings, name: str) -> Block:
    """The one route of `.env`, under that name."""
    said: dict[str, Any] = {"name": name}
    if settings.source_chat_id is not None:
        said["chat"] = int(settings.source_chat_id)
    permitted = settings.permitted
    said["allowed_users"] = EVERYONE.value if permitted is None else sorted(map(int, permitted))
    usual: dict[str, tuple[object, object, Any]] = {
        "markers": (settings.signal_markers, DEFAULT_MARKERS, list(settings.signal_markers)),
        "patterns": (settings.signal_patterns, (), list(settings.signal_patterns)),
        "ttl_hours": (settings.flow_ttl_hours, DEFAULT_TTL, _hours(settings.flow_ttl_hours)),
        "after_ttl": (settings.flow_after_ttl, AfterTtl.RELEASE, settings.flow_after_ttl.value),
        "relay_edits": (settings.relay_edits, True, settings.relay_edits),
        "relay_deletes": (settings.relay_deletes, True, settings.relay_deletes),
        "relay_mentions": (settings.relay_mentions, False, settings.relay_mentions),
    }
    said |= {key: value for key, (now, default, value) in usual.items() if now != default}
    places = [Block({"chat": chat(target)}) for target in settings.target_chat_id]
    return Block(said, places=(*places, *_webhook(settings)))


def _webhook(settings: Settings) -> Iterable[Block]:
    if settings.webhook_url is None:
        return
    said: dict[str, Any] = {"name": "webhook", "webhook": settings.webhook_url.get_secret_value()}
    yield Block(said | ({"allow_private": True} if settings.webhook_allow_private else {}))


def _hours(ttl: timedelta) -> float:
    hours = ttl.total_seconds() / 3600
    return int(hours) if hours.is_integer() else hours


def _tables(text: str) -> list[dict[str, Any]]:
    found = tomllib.loads(text).get("source", [])
    return list(found)


def _checked(text: str, lines: Iterable[str], meant: list[dict[str, Any]]) -> str:
    end = "\r\n" if "\r\n" in text else "\n"
    new = "".join(f"{line}{end}" for line in lines)
    try:
        same = _tables(new) == meant
    except tomllib.TOMLDecodeError:
        same = False
    if not same:
        raise SettingsError(OTHER_STYLE)
    return new


def _kept(lines: list[str]) -> list[str]:
    """With one empty line for what comes behind them."""
    end = len(lines)
    while end and not lines[end - 1].strip():
        end -= 1
    return [*lines[:end], ""] if end else []


def _lines(source: Block) -> list[str]:
    lines = ["[[source]]", *_keys(source, "")]
    for place in source.places:
        lines += ["", *_place_lines(place)]
    return lines


def _place_lines(place: Block) -> list[str]:
    return [f"{INDENT}[[source.place]]", *_keys(place, INDENT)]


def _keys(block: Block, indent: str) -> Iterable[str]:
    for key, value in block.said.items():
        about = f"  # {block.about}" if key == "chat" and block.about else ""
        yield f"{indent}{key} = {_value(value)}{about}"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, str):
        return f'"{"".join(map(_escaped, value))}"'
    return str(value)


def _escaped(letter: str) -> str:
    if letter in ESCAPED:
        return ESCAPED[letter]
    return letter if letter.isprintable() else f"\\U{ord(letter):08x}"
