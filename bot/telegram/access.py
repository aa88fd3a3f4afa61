"""What our account may do in the chats of the settings, and what to do where that is not enough.

`check`, `setup` and a start look at the same, so none of them can say something else than the others.
"""

from __future__ import annotations

from enum import StrEnum
from functools import reduce
from typing import TYPE_CHECKING, Final, NamedTuple

from bot.errors import LoggedOut, RetryLater, TargetUnavailable, TelegramError, words_of
from bot.models import CHANNELS, GENERAL, ChatId
from bot.phrases import joined, later, phrase
from bot.telegram.chats import resolve
from bot.telegram.reading import read
from bot.telegram.rpc_errors import translated

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bot.telegram.chats import ChatInfo
    from bot.telegram.peer_names import Account


class Verdict(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILURE = "FAILURE"


# As Bot API calls the kinds of chats.
KINDS: Final = (later("private"), later("group"), later("supergroup"), later("channel"))


# In a column, for which blanks stand behind them.
HEADS: Final = {
    Verdict.OK: later("ok       "),
    Verdict.WARNING: later("warning  "),
    Verdict.FAILURE: later("FAILURE  "),
}


class Finding(NamedTuple):
    verdict: Verdict
    text: str
    hopeless: bool = False  # no waiting helps: a setting is wrong
    outside: bool = False  # our account is not in the chat
    unknown: bool = False  # Telegram did not say, for now
    of_topic: bool = False  # all else in the chat is as it should be

    @property
    def line(self) -> str:
        return joined("", [phrase(HEADS[self.verdict]), self.text])

    def __str__(self) -> str:
        return str(self.line)


async def of_source(
    account: Account, chat_id: ChatId, name: str | None = None, topics: Iterable[int] = ()
) -> Finding:
    """`name`: what a file calls it, empty where it does not; None: there is no file. `topics`: those of
    it that are read by themselves.
    """
    setting = _setting("SOURCE_CHAT_ID", name)
    if chat_id > 0:
        return await _no_group(account, chat_id, setting)
    chat = await _look(account, chat_id, setting)
    if isinstance(chat, Finding):
        return chat
    if chat.outside is not None:
        return _not_there(chat)
    if chat.can_read:
        reads = Finding(Verdict.OK, phrase("reads {chat}", chat=named(chat)))
        return await _of_topics(account, chat, topics) or reads
    if chat.can_read is None:
        text = phrase("cannot tell whether all of {chat} can be read", chat=named(chat))
        return Finding(Verdict.WARNING, text)
    return Finding(
        Verdict.FAILURE,
        phrase(
            "cannot read {chat}: with @BotFather turn /setprivacy off and add the bot anew, "
            "or make it an administrator there",
            chat=named(chat),
        ),
    )


async def _of_topics(account: Account, chat: ChatInfo, topics: Iterable[int]) -> Finding | None:
    """None: they are there, as far as can be told. Of what is in no topic of its own nothing is heard."""
    wanted = sorted(topic for topic in topics if topic not in {0, GENERAL})
    if wanted and not chat.forum:
        text = phrase(
            "nothing is read of topic {topic}: {chat} has no topics; turn them on there, or take "
            "#{topic} out of routes.toml",
            topic=wanted[0],
            chat=named(chat),
        )
        return Finding(Verdict.FAILURE, text, of_topic=True)
    try:
        with translated(chat.id):
            there = (await read(account, await account.peer(chat.id), wanted)).ids if wanted else {}
    except LoggedOut:
        raise
    except TelegramError:
        return None
    gone = next((topic for topic in wanted if topic not in there), None)
    if gone is None:
        return None
    text = phrase(
        "topic {topic} of {chat} is not to be seen: was it deleted? A topic's number is the one in "
        "its link: t.me/c/…/5",
        topic=gone,
        chat=named(chat),
    )
    return Finding(Verdict.WARNING, text, of_topic=True)


async def of_target(account: Account, chat_id: ChatId, name: str | None = None) -> Finding:
    """`name` is as of a source."""
    chat = await _look(account, chat_id, _setting("TARGET_CHAT_ID", name))
    if isinstance(chat, Finding):
        return chat
    if chat.outside is not None:
        return _not_there(chat)
    if chat.can_post is None:
        text = phrase("cannot tell whether it may post to {chat}", chat=named(chat))
        return Finding(Verdict.WARNING, text)
    if not chat.can_post:
        return Finding(
            Verdict.FAILURE,
            phrase(
                "may not post to {chat}: give it the right to post messages there", chat=named(chat)
            ),
        )
    if chat.no_media:
        kinds = reduce(
            lambda some, kind: phrase("{some} and no {kind}", some=some, kind=kind), chat.no_media
        )
        return Finding(
            Verdict.WARNING,
            phrase(
                "may post no {kinds} to {chat}: their words go there without them; allow them "
                "in the group's permissions, or make the account an administrator there",
                kinds=kinds,
                chat=named(chat),
            ),
        )
    return Finding(Verdict.OK, phrase("posts to {chat}", chat=named(chat)))


def named(chat: ChatInfo) -> str:
    """For a terminal: strangers chose the title, and what could harm one is escaped."""
    return phrase(
        "the {kind} {title} ({id})", kind=phrase(chat.kind), title=repr(chat.title), id=chat.id
    )


def _not_there(chat: ChatInfo) -> Finding:
    return Finding(
        Verdict.FAILURE,
        phrase(
            "not a member any more of {chat} ({how}): add the account there again",
            chat=named(chat),
            how=chat.outside or "",
        ),
        outside=True,
    )


def _setting(setting: str, name: str | None) -> str:
    """Where the chat stands that may be wrong."""
    if name is None:
        return setting
    return phrase("chat of {name}", name=name) if name else "routes.toml"


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
        text = phrase(
            "{setting}: {id} is the number of no group; a group's begins with a minus: "
            "did you mean {meant}?",
            setting=setting,
            id=chat_id,
            meant=CHANNELS - chat_id,
        )
    else:
        text = phrase(
            "{setting}: {id} is a person, {name}, and no group; give the id of a group",
            setting=setting,
            id=chat_id,
            name=repr(person.title),
        )
    return Finding(Verdict.FAILURE, text, hopeless=True)


async def _look(account: Account, chat_id: ChatId, setting: str) -> ChatInfo | Finding:
    try:
        return await resolve(account, chat_id)
    except LoggedOut:
        raise
    except TelegramError as exc:
        meant = None if isinstance(exc, RetryLater) else await _meant(account, chat_id)
        if meant is not None:
            return _did_you_mean(setting, chat_id, meant)
        unknown = isinstance(exc, RetryLater)
        return Finding(
            Verdict.FAILURE, _no_look(exc, chat_id, setting), outside=not unknown, unknown=unknown
        )


def _no_look(exc: TelegramError, chat_id: ChatId, setting: str) -> str:
    hint = phrase("is {setting} right, and has the account been added there?", setting=setting)
    if isinstance(exc, TargetUnavailable):
        hint = phrase("it is no member there, or not a member any more: {hint}", hint=hint)
    return phrase("{id}: {error}; {hint}", id=chat_id, error=words_of(exc), hint=hint)


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
        phrase(
            "{setting}: {id} is not known to this account: did you mean {meant}, "
            "the {kind} {title}?",
            setting=setting,
            id=chat_id,
            meant=meant.id,
            kind=phrase(meant.kind),
            title=repr(meant.title),
        ),
        hopeless=True,
    )
