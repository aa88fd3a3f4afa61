"""`python -m bot check`: would it work? Logs in, looks, and posts nothing."""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bot.app import telegram_of
from bot.config import refuse_readable
from bot.errors import BotError, SettingsError
from bot.models import AfterTtl
from bot.naming import with_ids
from bot.rules.markers import Markers
from bot.telegram.access import Finding, Verdict, named, of_source, of_target

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from bot.config import Settings
    from bot.telegram.client import Me

__all__ = [
    "Finding",
    "Verdict",
    "check",
    "named",
    "of_account",
    "of_settings",
    "of_source",
    "of_target",
]


async def check(settings: Settings) -> AsyncIterator[Finding]:
    """What was found, as it is found. Raises `SettingsError` where there is nothing to look for."""
    settings = await with_ids(settings)
    source = settings.source_chat_id
    assert source is not None  # noqa: S101  # `with_ids` has seen to that
    Markers(settings.signal_markers, settings.signal_patterns)  # raises for a pattern RE2 refuses
    for finding in [*of_settings(settings), *_surroundings(settings)]:
        yield finding
    # A session of its own: the bot may be running on the one in DATA_DIR.
    with tempfile.TemporaryDirectory(prefix="check-") as directory:
        telegram = telegram_of(settings, Path(directory))
        try:
            yield of_account(await telegram.start())
            if telegram.clock_off is not None:
                yield Finding(Verdict.WARNING, f"{telegram.clock_off}: the bot goes by Telegram's")
            yield await of_source(telegram, source)
            for target in settings.target_chat_id:
                yield await of_target(telegram, target)
        except BotError as exc:
            yield Finding(Verdict.FAILURE, str(exc))
        finally:
            await telegram.stop()


def of_account(me: Me) -> Finding:
    kind = "a bot" if me.is_bot else "a user account"
    name = f"{me.name!r} (@{me.username})" if me.username else repr(me.name)
    return Finding(Verdict.OK, f"logged in as {name}, {kind}, id {me.id}")


def of_settings(settings: Settings) -> Iterator[Finding]:
    hours = settings.flow_ttl_hours.total_seconds() / 3600
    markers = ", ".join(settings.signal_markers)
    patterns = len(settings.signal_patterns)
    yield Finding(
        Verdict.OK, f"signals carry one of {markers}, or match one of {patterns} patterns"
    )
    yield Finding(
        Verdict.OK,
        f"flows stay with their author for {hours:g} quiet hours, then: {settings.flow_after_ttl}",
    )
    allowed = settings.permitted
    if allowed is not None:
        yield Finding(Verdict.OK, f"{len(allowed)} may post signals and updates")
    elif settings.flow_after_ttl is AfterTtl.RELEASE:
        yield Finding(
            Verdict.WARNING,
            "everybody may post signals, and continue flows that have gone quiet: "
            "list people in SOURCE_ALLOWED_USERS, or set FLOW_AFTER_TTL=owner",
        )
    else:
        yield Finding(
            Verdict.WARNING, "everybody may post signals: list people in SOURCE_ALLOWED_USERS"
        )


def _surroundings(settings: Settings) -> Iterator[Finding]:
    for session in settings.sessions:
        try:
            refuse_readable(session)
        except SettingsError as exc:
            yield Finding(Verdict.FAILURE, str(exc))
    if importlib.util.find_spec("tgcrypto") is None:
        yield Finding(Verdict.WARNING, "tgcrypto is not installed: encryption will be slow")
