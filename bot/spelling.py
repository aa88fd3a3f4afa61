"""Names of settings that somebody misspelt. Pure.

A wrong name sets nothing, and nobody is told: the bot goes on with a default that was not meant.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

CLOSE: Final = 0.85  # of difflib's ratio, for whole names
CLOSE_WORD: Final = 0.8  # for the words of one, so that USER is USERS and ALOWED is ALLOWED

# Two words that say which setting is meant, whatever else of its name is missing.
TELLING: Final = {
    "source_allowed_users": ("allowed", "users"),
    "flow_ttl_hours": ("flow", "ttl"),
    "flow_after_ttl": ("after", "ttl"),
    "alert_silence_hours": ("alert", "silence"),
}
# Names that other programs have as well, or nearly: ADMIN_USER, LOG_LEVELS, DATABASE_URI, API_KEY.
COMMON: Final = frozenset(
    {
        "admin_users", "api_hash", "api_id", "bot_token", "data_dir", "database_url", "health_host",
        "health_port", "language", "log_format", "log_level", "session_string",
    }
)  # fmt: skip


def meant(name: str, settings: Iterable[str], *, shared: bool = False) -> str | None:
    """The setting that the name was to be, in lower case; None: it is one, or no misspelling of one.

    `shared`: the name stands where other programs have theirs, as in the environment. Then
    only what can hardly be another program's counts.
    """
    name, known = name.lower(), sorted(settings)
    if name in known:
        return None
    own = [each for each in known if each not in COMMON] if shared else known
    close = difflib.get_close_matches(name, own, n=1, cutoff=CLOSE)
    if close:
        return close[0]
    words = [word for word in name.split("_") if word]
    return next((each for each in own if _is_part(words, each, whole=shared)), None)


def _is_part(words: list[str], setting: str, *, whole: bool) -> bool:
    """Whether the setting's telling words are there; with `whole`, and no words of anything else."""
    telling = TELLING.get(setting)
    if telling is None or not all(_is_one_of(each, words) for each in telling):
        return False
    return not whole or all(_is_one_of(word, setting.split("_")) for word in words)


def _is_one_of(word: str, words: list[str]) -> bool:
    return bool(difflib.get_close_matches(word, words, n=1, cutoff=CLOSE_WORD))
