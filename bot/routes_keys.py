"""The keys of `routes.toml`: what each is called in `Source` or `Place`, and how its value is read. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from bot.errors import SettingsError
from bot.models import EVERYONE, Address, AfterTtl, Answers, AuthorId
from bot.rules.markers import Markers
from bot.setting_chats import parse_address
from bot.setting_values import parse_ttl
from bot.sink_keys import yes_or_no

if TYPE_CHECKING:
    from datetime import timedelta

    from bot.chat_names import NamedAddress

NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
CHAT: Final = (
    'an id such as -1001234567890, "-1001234567890#5" for a topic, "@name", or a t.me link'
)


# ── values: each raises `SettingsError` with what to write instead ──


def _chat(value: object) -> Address | NamedAddress:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise SettingsError(f"give {CHAT}")
    try:
        return parse_address(value)
    except ValueError as exc:
        raise SettingsError(f"{exc}; give {CHAT}") from exc


def _name(value: object) -> str:
    if not isinstance(value, str) or NAME.fullmatch(value) is None:
        raise SettingsError('give up to 32 small letters, digits, - and _, such as "majors"')
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise SettingsError('give texts in brackets, such as ["#idea"]')
    if not value or not all(one.strip() for one in value):
        raise SettingsError("one of them is empty, and would match every message")
    return tuple(dict.fromkeys(value))


def _patterns(value: object) -> tuple[str, ...]:
    found = _texts(value) if value != [] else ()
    try:
        Markers((), found)
    except SettingsError as exc:
        said = str(exc).removeprefix("SIGNAL_PATTERNS: ")
        raise SettingsError(f"{said} (patterns are RE2, which has no look-around)") from exc
    return found


def _people(value: object) -> frozenset[AuthorId] | None:
    """None: everyone."""
    if value == EVERYONE.value:
        return None
    ids = value if isinstance(value, list) else []
    if not ids or not all(isinstance(one, int) and one and abs(one) < 2**63 for one in ids):
        raise SettingsError(
            f'give the ids of those who may post, such as [123456789], or "{EVERYONE.value}"'
        )
    return frozenset(AuthorId(one) for one in ids)


def _hours(value: object) -> timedelta:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    try:
        return parse_ttl(str(value) if number else repr(value))
    except ValueError as exc:
        raise SettingsError(str(exc)) from exc


def _one_of(words: type[AfterTtl | Answers]) -> Callable[[object], Any]:
    def parse(value: object) -> Any:
        found = next((word for word in words if word == value), None)
        if found is None:
            raise SettingsError("give " + " or ".join(f'"{word}"' for word in words))
        return found

    return parse


Parse = Callable[[object], Any]

# A key of the file: what it is called in `Source` or `Place`, and how its value is read.
SOURCE_KEYS: Final[Mapping[str, tuple[str, Parse]]] = {
    "name": ("name", _name),
    "chat": ("chat", _chat),
    "markers": ("markers", _texts),
    "patterns": ("patterns", _patterns),
    "allowed_users": ("permitted", _people),
    "ttl_hours": ("ttl", _hours),
    "after_ttl": ("after_ttl", _one_of(AfterTtl)),
    "relay_edits": ("relay_edits", yes_or_no),
    "relay_deletes": ("relay_deletes", yes_or_no),
    "relay_mentions": ("mentions", yes_or_no),
    "answers": ("answers", _one_of(Answers)),
}
PLACE_KEYS: Final[Mapping[str, tuple[str, Parse]]] = {
    "name": ("name", _name),
    "chat": ("chat", _chat),
}
WANTED: Final = {
    "name": 'name = "majors", by which the log, `status` and `flows --source` call it',
    "chat": f"chat = {CHAT}",
    "allowed_users": f'allowed_users = [123456789], or "{EVERYONE.value}"',
}
ELSE: Final = ', or webhook = "https://…", or jsonl = "signals.jsonl"'
