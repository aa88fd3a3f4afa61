"""The keys of `routes.toml`: what each is called in `Source` or `Place`, and how its value is read. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from bot.errors import SettingsError, words_of
from bot.models import EVERYONE, Address, AfterTtl, Answers, AuthorId
from bot.phrases import joined, phrase
from bot.rules.markers import read_patterns
from bot.setting_chats import parse_address
from bot.setting_values import parse_ttl
from bot.sink_keys import yes_or_no

if TYPE_CHECKING:
    from datetime import timedelta

    from bot.chat_names import NamedAddress

NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
CHAT: Final = phrase(
    'an id such as -1001234567890, "-1001234567890#5" for a topic, "@name", or a t.me link'
)


# ── values: each raises `SettingsError` with what to write instead ──


def _chat(value: object) -> Address | NamedAddress:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise SettingsError(phrase("give {what}", what=CHAT))
    try:
        return parse_address(value)
    except ValueError as exc:
        give = phrase("give {what}", what=CHAT)
        raise SettingsError(joined("; ", [words_of(exc), give])) from exc


def _name(value: object) -> str:
    if not isinstance(value, str) or NAME.fullmatch(value) is None:
        raise SettingsError(
            phrase('give up to 32 small letters, digits, - and _, such as "majors"')
        )
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise SettingsError(phrase('give texts in brackets, such as ["#idea"]'))
    if not value or not all(one.strip() for one in value):
        raise SettingsError(phrase("one of them is empty, and would match every message"))
    return tuple(dict.fromkeys(value))


def _patterns(value: object) -> tuple[str, ...]:
    found = _texts(value) if value != [] else ()
    try:
        read_patterns(found)
    except ValueError as exc:
        raise SettingsError(
            phrase("{error} (patterns are RE2, which has no look-around)", error=words_of(exc))
        ) from exc
    return found


def _people(value: object) -> frozenset[AuthorId] | None:
    """None: everyone."""
    if value == EVERYONE.value:
        return None
    ids = value if isinstance(value, list) else []
    if not ids or not all(isinstance(one, int) and one and abs(one) < 2**63 for one in ids):
        raise SettingsError(
            phrase(
                'give the ids of those who may post, such as [123456789], or "{everyone}"',
                everyone=EVERYONE.value,
            )
        )
    return frozenset(AuthorId(one) for one in ids)


def _hours(value: object) -> timedelta:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    try:
        return parse_ttl(str(value) if number else repr(value))
    except ValueError as exc:
        raise SettingsError(words_of(exc)) from exc


def _one_of(words: type[AfterTtl | Answers]) -> Callable[[object], Any]:
    def parse(value: object) -> Any:
        found = next((word for word in words if word == value), None)
        if found is None:
            known = joined(phrase(" or "), [f'"{word}"' for word in words])
            raise SettingsError(phrase("give {what}", what=known))
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
    "name": phrase('name = "majors", by which the log, `status` and `flows --source` call it'),
    "chat": joined(" = ", ["chat", CHAT]),
    "allowed_users": phrase(
        'allowed_users = [123456789], or "{everyone}"', everyone=EVERYONE.value
    ),
}
ELSE: Final = phrase(', or webhook = "https://…", or jsonl = "signals.jsonl"')
