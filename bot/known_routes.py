"""The routes by which a bot goes: those of `routes.toml`, or, without one, the one of the settings.

What reads the file is loaded only where there is one: a command waits for it otherwise.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from bot import chat_names, env_text
from bot.errors import SettingsError
from bot.phrases import phrase
from bot.routes import Routes, main_route

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from bot.config import Settings
    from bot.routes_file import Listed

# What the settings of `.env` say instead of a source of the file.
INSTEAD: Final = (
    *("source_chat_id", "target_chat_id", "source_allowed_users", "signal_markers"),
    *("signal_patterns", "flow_ttl_hours", "flow_after_ttl", "relay_edits", "relay_deletes"),
    *("relay_mentions", "webhook_url", "webhook_secret", "webhook_allow_private"),
)


def text_of(path: Path) -> str:
    """As TOML has the ends of lines. Raises `FileNotFoundError` and `SettingsError`."""
    return env_text.decoded(path).replace("\r\n", "\n").replace("\r", "\n")


def read_routes(settings: Settings, *, instead: Collection[str] = ()) -> Listed | Routes:
    """What the file says, or, where there is none, the one route of the settings.

    `instead`: settings that were given for this command alone. Raises `SettingsError`.
    """
    path = settings.routes
    try:
        text = text_of(path)
    except FileNotFoundError:
        if settings.routes_file is not None:
            raise SettingsError(phrase("ROUTES_FILE: there is no {file}", file=path)) from None
        return main_route(settings)
    both = [name for name in INSTEAD if name in settings.model_fields_set and name not in instead]
    if both:
        raise SettingsError(
            phrase(
                "{setting} and {file} say the same, and one of them would be in vain: take {all} out "
                "of .env, or put the file away",
                setting=both[0].upper(),
                file=path,
                all=", ".join(map(str.upper, both)),
            )
        )
    from bot.routes_file import Listed  # noqa: PLC0415  # see above
    from bot.sink_keys import Sinks  # noqa: PLC0415

    sinks = Sinks(settings.place_secrets, settings.data_dir, settings.translate_api_key)
    return Listed(text, name=path.name, sinks=sinks)


def known_routes(settings: Settings, *, instead: Collection[str] = ()) -> Routes:
    """As far as that is known without Telegram. `instead`: see `read_routes`. Raises `SettingsError`."""
    listed = read_routes(settings, instead=instead)
    if isinstance(listed, Routes):
        return listed
    known = chat_names.kept(settings.data_dir)
    for name in listed.names:
        if name not in known:
            raise SettingsError(
                phrase(
                    "{line}: which chat @{name} is has not been looked up yet: start the bot, or "
                    "`check`, once, or write its id",
                    line=listed.where(name),
                    name=name,
                )
            )
    return listed.known(known)


def with_settings(routes: Routes, settings: Settings, given: Collection[str]) -> Routes:
    """With what options of a command say instead, for every source."""
    said: dict[str, Any] = {
        "flow_ttl_hours": ("ttl", settings.flow_ttl_hours),
        "flow_after_ttl": ("after_ttl", settings.flow_after_ttl),
        "source_allowed_users": ("permitted", settings.permitted),
    }
    changes = dict(said[name] for name in given if name in said)
    return replace(routes, sources=tuple(replace(each, **changes) for each in routes.sources))
