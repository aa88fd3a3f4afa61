"""What our account may do in the chats of the settings, and what to do where that is not enough.

`check`, `setup` and a start look at the same, so none of them can say something else than the others.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from bot.errors import LoggedOut, RetryLater, TargetUnavailable, TelegramError
from bot.models import CHANNELS, ChatId
from bot.telegram.chats import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.telegram.chats import ChatInfo
    from bot.telegram.peer_names import Account


class Verdict(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILURE = "FAILURE"


class Finding(NamedTuple):
    verdict: Verdict
    text: str
    hopeless: bool = False  # no waiting helps: a setting is wrong
    outside: bool = False  # our account is not in the chat
    unknown: bool = False  # Telegram did not say, for now

    def __str__(self) -> str:
        return f"{self.verdict:<9}{self.text}"


async def of_source(account: Account, chat_id: ChatId, name: str | None = None) -> Finding:
    """`name`: what a file calls it, empty where it does not; None: there is no file."""
    setting = _setting("SOURCE_CHAT_ID", name)
    if chat_id > 0:
        return await _no_group(account, chat_id, setting)
    chat = await _look(account, chat_id, setting)
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


async def of_target(account: Account, chat_id: ChatId, name: str | None = None) -> Finding:
    """`name` is as of a source."""
    chat = await _look(account, chat_id, _setting("TARGET_CHAT_ID", name))
    if isinstance(chat, Finding):
        return chat
    if chat.outside is not None:
        return _not_there(chat)
    if chat.can_post is None:
        return Finding(Verdict.WARNING, f"cannot tell whether it may post to {named(chat)}")
    if not chat.can_post:
        return Finding(
            Verdict.FAILURE,
            f"may not post to {named(chat)}: give it the right to post messages there",
        )
    if chat.no_media:
        kinds = " and no ".join(chat.no_media)
        return Finding(
            Verdict.WARNING,
            f"may post no {kinds} to {named(chat)}: their words go there without them; allow them "
            "in the group's permissions, or make the account an administrator there",
        )
    return Finding(Verdict.OK, f"posts to {named(chat)}")


def named(chat: ChatInfo) -> str:
    """For a terminal: strangers chose the title, and what could harm one is escaped."""
    return f"the {chat.kind} {chat.title!r} ({chat.id})"


def _not_there(chat: ChatInfo) -> Finding:
    return Finding(
        Verdict.FAILURE,
        f"not a member any more of {named(chat)} ({chat.outside}): add the account there again",
        outside=True,
    )


def _setting(setting: str, name: str | None) -> str:
    """Where the chat stands that may be wrong."""
    if name is None:
        return setting
    return f"chat of {name}" if name else "routes.toml"


async def _no_group(account: Account, chat_id: ChatId, setting: str) -> Finding:
    """A number that is no group's, in the place of the source: what of it would be one?"""
    meant = await _meant(account, chat_id)
    if meant is not None:
        return _did_you_mean(setting, chat_id, meant)
    try:
        person = await resolve(account, chat_id)
    except LoggedOut:
        raise
    except TelegramError:
        what = "is the number of no group"
        hint = f"a group's begins with a minus: did you mean {CHANNELS - chat_id}?"
    else:
        what, hint = f"is a person, {person.title!r}, and no group", "give the id of a group"
    return Finding(Verdict.FAILURE, f"{setting}: {chat_id} {what}; {hint}", hopeless=True)


async def _look(account: Account, chat_id: ChatId, setting: str) -> ChatInfo | Finding:
    try:
        return await resolve(account, chat_id)
    except LoggedOut:
        raise
    except TelegramError as exc:
        meant = None if isinstance(exc, RetryLater) else await _meant(account, chat_id)
        if meant is not None:
            return _did_you_mean(setting, chat_id, meant)
        hint = f"is {setting} right, and has the account been added there?"
        if isinstance(exc, TargetUnavailable):
            hint = f"it is no member there, or not a member any more: {hint}"
        unknown = isinstance(exc, RetryLater)
        return Finding(
            Verdict.FAILURE, f"{chat_id}: {exc}; {hint}", outside=not unknown, unknown=unknown
        )


async def _meant(account: Account, chat_id: ChatId) -> ChatInfo | None:
    """The chat that the digits of the id are of, where it is known to our account."""
    for candidate in _candidates(chat_id):
        try:
            found = await resolve(account, candidate)
        except LoggedOut:
            raise
        except TelegramError:
            continue
        if found.outside is None:
            return found
    return None


def _candidates(chat_id: ChatId) -> Iterator[ChatId]:
    """The same digits, as Bot API writes the other kinds of chat."""
    digits = str(abs(chat_id))
    if chat_id > 0 and digits.startswith("100") and chat_id > -CHANNELS:
        yield ChatId(-chat_id)  # all but the minus
    bare = CHANNELS - chat_id if chat_id < CHANNELS else abs(chat_id)
    for candidate in (CHANNELS - bare, -bare):
        if candidate != chat_id and bare < -CHANNELS:
            yield ChatId(candidate)


def _did_you_mean(setting: str, chat_id: ChatId, meant: ChatInfo) -> Finding:
    return Finding(
        Verdict.FAILURE,
        f"{setting}: {chat_id} is not known to this account: did you mean {meant.id}, "
        f"the {meant.kind} {meant.title!r}?",
        hopeless=True,
    )
