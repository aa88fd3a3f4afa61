"""`python -m bot check`: would it work? Logs in, looks, and posts nothing."""

from __future__ import annotations

import asyncio
import importlib.util
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bot.app import telegram_of
from bot.config import refuse_readable
from bot.delivery.libretranslate import LibreTranslate
from bot.delivery.sinks import sink_of
from bot.errors import BotError, SettingsError
from bot.models import AfterTtl
from bot.naming import with_routes
from bot.rules.markers import Markers
from bot.telegram.access import Finding, Verdict, named, of_source, of_target

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from bot.config import Settings
    from bot.endpoints import Endpoint, FileEndpoint, Translation
    from bot.models import ChatId
    from bot.routes import Routes, Source
    from bot.telegram.client import Me, Telegram

ASKED: Final = "Вход"  # of the service that translates

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
    settings, routes = await with_routes(settings)
    for source in routes.sources:
        Markers(source.markers, source.patterns)  # raises for a pattern RE2 refuses
    for finding in [*of_routes(routes), *_surroundings(settings)]:
        yield finding
    # A session of its own: the bot may be running on the one in DATA_DIR.
    with tempfile.TemporaryDirectory(prefix="check-") as directory:
        telegram = telegram_of(settings, Path(directory))
        try:
            yield of_account(await telegram.start())
            if telegram.clock_off is not None:
                yield Finding(Verdict.WARNING, f"{telegram.clock_off}: the bot goes by Telegram's")
            async for finding in _of_chats(telegram, routes):
                yield finding
        except BotError as exc:
            yield Finding(Verdict.FAILURE, str(exc))
        finally:
            await telegram.stop()


def of_routes(routes: Routes) -> Iterator[Finding]:
    """Of several sources each line begins with which it is of."""
    for source in routes.sources:
        of = f"{source.name}: " if len(routes.sources) > 1 else ""
        for finding in of_settings(source):
            yield finding._replace(text=of + finding.text)


async def _of_chats(telegram: Telegram, routes: Routes) -> AsyncIterator[Finding]:
    names = routes.file_names
    for chat in routes.chats:
        yield await of_source(telegram, chat, names.get(chat))
    for target in routes.targets:
        yield await of_target(telegram, target, names.get(target))
    for target, endpoint in routes.sinks.items():
        yield await of_sink(routes.place_names[target], endpoint, target)
    for place in routes.places:
        if (how := place.presentation.translate) is not None:
            yield await of_translation(place.label, how)


async def of_translation(name: str, how: Translation) -> Finding:
    """Whether the service translates a word, asked once."""
    service = LibreTranslate(how)
    try:
        async with asyncio.timeout(how.wait.total_seconds()):
            await service.translate(ASKED)
    except BotError as exc:
        return Finding(Verdict.FAILURE, f"{name}: {exc}")
    except TimeoutError:
        waited = f"{how.wait.total_seconds():g} s"
        told = f"{name}: the translation service gave no answer within {waited}"
        return Finding(Verdict.FAILURE, told)
    finally:
        await service.close()
    return Finding(Verdict.OK, f"{name}: {how.service} translates to {how.to}")


async def of_sink(name: str, endpoint: Endpoint | FileEndpoint, target: ChatId) -> Finding:
    """Whether its address could be connected to, or its file written. Nothing is told."""
    sink = sink_of(endpoint, target)
    try:
        found = await sink.look()
    except BotError as exc:
        return Finding(Verdict.FAILURE, f"{name}: {exc}")
    finally:
        await sink.close()
    return Finding(Verdict.OK, f"{name}: {found}")


def of_account(me: Me) -> Finding:
    kind = "a bot" if me.is_bot else "a user account"
    name = f"{me.name!r} (@{me.username})" if me.username else repr(me.name)
    return Finding(Verdict.OK, f"logged in as {name}, {kind}, id {me.id}")


def of_settings(source: Source) -> Iterator[Finding]:
    hours = source.ttl.total_seconds() / 3600
    markers = ", ".join(source.markers)
    patterns = len(source.patterns)
    yield Finding(
        Verdict.OK, f"signals carry one of {markers}, or match one of {patterns} patterns"
    )
    yield Finding(
        Verdict.OK,
        f"flows stay with their author for {hours:g} quiet hours, then: {source.after_ttl}",
    )
    allowed = source.permitted
    if allowed is not None:
        yield Finding(Verdict.OK, f"{len(allowed)} may post signals and updates")
    elif source.after_ttl is AfterTtl.RELEASE:
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
