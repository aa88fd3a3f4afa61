"""`python -m bot check`: would it work? Logs in, looks, and posts nothing."""

from __future__ import annotations

import asyncio
import importlib.util
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bot.connecting import telegram_of
from bot.delivery.libretranslate import LibreTranslate
from bot.delivery.sinks import sink_of
from bot.env_text import refuse_readable
from bot.errors import BotError, SettingsError, words_of
from bot.models import AfterTtl
from bot.naming import with_routes
from bot.phrases import joined, phrase, plural
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
                text = phrase("{problem}: the bot goes by Telegram's", problem=telegram.clock_off)
                yield Finding(Verdict.WARNING, text)
            async for finding in _of_chats(telegram, routes):
                yield finding
        except BotError as exc:
            yield Finding(Verdict.FAILURE, words_of(exc))
        finally:
            await telegram.stop()


def of_routes(routes: Routes) -> Iterator[Finding]:
    """Of several sources each line begins with which it is of."""
    for source in routes.sources:
        of = [source.name] if len(routes.sources) > 1 else []
        for finding in of_settings(source):
            yield finding._replace(text=joined(": ", [*of, finding.text]))


async def _of_chats(telegram: Telegram, routes: Routes) -> AsyncIterator[Finding]:
    names = routes.file_names
    for chat in routes.chats:
        yield await of_source(telegram, chat, names.get(chat), routes.topics_of(chat))
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
        return Finding(Verdict.FAILURE, joined(": ", [name, words_of(exc)]))
    except TimeoutError:
        why = phrase(
            "the translation service gave no answer within {seconds} s",
            seconds=f"{how.wait.total_seconds():g}",
        )
        return Finding(Verdict.FAILURE, joined(": ", [name, why]))
    finally:
        await service.close()
    return Finding(
        Verdict.OK,
        phrase(
            "{place}: {service} translates to {language}",
            place=name,
            service=how.service,
            language=how.to,
        ),
    )


async def of_sink(name: str, endpoint: Endpoint | FileEndpoint, target: ChatId) -> Finding:
    """Whether its address could be connected to, or its file written. Nothing is told."""
    sink = sink_of(endpoint, target)
    try:
        found = await sink.look()
    except BotError as exc:
        return Finding(Verdict.FAILURE, joined(": ", [name, words_of(exc)]))
    finally:
        await sink.close()
    return Finding(Verdict.OK, joined(": ", [name, found]))


def of_account(me: Me) -> Finding:
    kind = phrase("a bot") if me.is_bot else phrase("a user account")
    name = f"{me.name!r} (@{me.username})" if me.username else repr(me.name)
    text = phrase("logged in as {name}, {kind}, id {id}", name=name, kind=kind, id=me.id)
    return Finding(Verdict.OK, text)


def of_settings(source: Source) -> Iterator[Finding]:
    yield Finding(Verdict.OK, _marks(source))
    yield Finding(Verdict.OK, _held(source))
    allowed = source.permitted
    if allowed is not None:
        text = plural(
            "{n} may post signals and updates", "{n} may post signals and updates", len(allowed)
        )
        yield Finding(Verdict.OK, text)
    elif source.after_ttl is AfterTtl.RELEASE:
        yield Finding(
            Verdict.WARNING,
            phrase(
                "everybody may post signals, and continue flows that have gone quiet: "
                "list people in SOURCE_ALLOWED_USERS, or set FLOW_AFTER_TTL=owner"
            ),
        )
    else:
        yield Finding(
            Verdict.WARNING,
            phrase("everybody may post signals: list people in SOURCE_ALLOWED_USERS"),
        )


def _marks(source: Source) -> str:
    markers = ", ".join(source.markers)
    return plural(
        "signals carry one of {markers}, or match one of {n} patterns",
        "signals carry one of {markers}, or match one of {n} patterns",
        len(source.patterns),
        markers=markers,
    )


def _held(source: Source) -> str:
    hours = f"{source.ttl.total_seconds() / 3600:g}"
    if source.after_ttl is AfterTtl.RELEASE:
        return phrase(
            "flows stay with their author for {hours} quiet hours, then: release", hours=hours
        )
    return phrase("flows stay with their author for {hours} quiet hours, then: owner", hours=hours)


def _surroundings(settings: Settings) -> Iterator[Finding]:
    for session in settings.sessions:
        try:
            refuse_readable(session)
        except SettingsError as exc:
            yield Finding(Verdict.FAILURE, words_of(exc))
    if importlib.util.find_spec("tgcrypto") is None:
        text = phrase("tgcrypto is not installed: encryption will be slow")
        yield Finding(Verdict.WARNING, text)
