"""`python -m bot check`: would it work? Logs in, looks, and posts nothing."""

from __future__ import annotations

import importlib.util
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bot.app import telegram_of
from bot.chat_names import names_by
from bot.config import refuse_readable, require
from bot.errors import BotError, SettingsError, TargetUnavailable, TelegramError
from bot.models import AfterTtl
from bot.routes import Routes
from bot.routes_file import Listed, read_routes
from bot.rules.markers import Markers
from bot.telegram.chats import resolve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from bot.config import Settings
    from bot.models import ChatId
    from bot.routes import Source
    from bot.telegram.chats import ChatInfo
    from bot.telegram.client import Me, Telegram


class Verdict(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILURE = "FAILURE"


class Finding(NamedTuple):
    verdict: Verdict
    text: str

    def __str__(self) -> str:
        return f"{self.verdict:<9}{self.text}"


async def check(settings: Settings) -> AsyncIterator[Finding]:
    """What was found, as it is found. Raises `SettingsError` where there is nothing to look for."""
    require(settings)
    listed = read_routes(settings)
    if isinstance(listed, Routes):
        for source in listed.sources:
            Markers(source.markers, source.patterns)  # raises for a pattern RE2 refuses
        for finding in of_routes(listed):
            yield finding
    for finding in _surroundings(settings):
        yield finding
    # A session of its own: the bot may be running on the one in DATA_DIR.
    with tempfile.TemporaryDirectory(prefix="check-") as directory:
        telegram = telegram_of(settings, Path(directory))
        try:
            yield of_account(await telegram.start())
            if telegram.clock_off is not None:
                yield Finding(Verdict.WARNING, f"{telegram.clock_off}: the bot goes by Telegram's")
            if isinstance(listed, Listed):
                listed = listed.known(await names_by(telegram, listed, {}))
                for finding in of_routes(listed):
                    yield finding
            async for finding in _of_chats(telegram, listed):
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
    for chat in routes.chats:
        yield await of_source(telegram, chat)
    for target in routes.targets:
        yield await of_target(telegram, target)
    for place in routes.places:
        if place.endpoint is not None:
            yield Finding(Verdict.OK, f"{place.label}: a program is told; it was not asked")


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


async def of_source(telegram: Telegram, chat_id: ChatId) -> Finding:
    chat = await _look(telegram, chat_id, "SOURCE_CHAT_ID")
    if isinstance(chat, Finding):
        return chat
    if chat.outside is not None:
        return _not_there(chat)
    if chat.can_read:
        return Finding(Verdict.OK, f"reads {named(chat)}")
    if chat.can_read is None:
        return Finding(Verdict.WARNING, f"cannot tell whether all of {named(chat)} can be read")
    return Finding(
        Verdict.FAILURE,
        f"cannot read {named(chat)}: with @BotFather turn /setprivacy off and add the bot anew, "
        "or make it an administrator there",
    )


async def of_target(telegram: Telegram, chat_id: ChatId) -> Finding:
    chat = await _look(telegram, chat_id, "TARGET_CHAT_ID")
    if isinstance(chat, Finding):
        return chat
    if chat.outside is not None:
        return _not_there(chat)
    if chat.can_post:
        return Finding(Verdict.OK, f"posts to {named(chat)}")
    if chat.can_post is None:
        return Finding(Verdict.WARNING, f"cannot tell whether it may post to {named(chat)}")
    return Finding(
        Verdict.FAILURE, f"may not post to {named(chat)}: give it the right to post messages there"
    )


def _not_there(chat: ChatInfo) -> Finding:
    return Finding(
        Verdict.FAILURE,
        f"not a member any more of {named(chat)} ({chat.outside}): add the account there again",
    )


async def _look(telegram: Telegram, chat_id: ChatId, setting: str) -> ChatInfo | Finding:
    try:
        return await resolve(telegram, chat_id)
    except TargetUnavailable as exc:
        hint = (
            "it is no member there, or not a member any more: "
            f"is {setting} right, and has the account been added there?"
        )
        return Finding(Verdict.FAILURE, f"{chat_id}: {exc}; {hint}")
    except TelegramError as exc:
        hint = f"is {setting} right, and has the account been added there?"
        return Finding(Verdict.FAILURE, f"{chat_id}: {exc}; {hint}")


def named(chat: ChatInfo) -> str:
    """For a terminal: strangers chose the title, and what could harm one is escaped."""
    return f"the {chat.kind} {chat.title!r} ({chat.id})"
