"""Whether the followed chats can be read; if not, since when, why, and what to do about it.

Nothing tells an account for certain that it was thrown out: pushes just stop. So every chat is
looked at every `EVERY` seconds, and at once when something is pushed that may mean it. `CatchUp` is
had to ask for what is new as often, and tells how that went, for a member may be refused, too.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog
from pyrogram import raw

from bot.errors import LoggedOut, PostRefused, RetryLater, TargetUnavailable, words_of
from bot.models import CHANNELS, UnreadableChat, has_own_box, is_basic_group
from bot.phrases import phrase
from bot.telegram.messages import chat_id, people_of
from bot.telegram.reading import input_channel
from bot.telegram.rpc_errors import translated

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from bot.errors import BotError
    from bot.models import ChatId

log = structlog.get_logger(__name__)

functions: Final[Any] = raw.functions
types: Final[Any] = raw.types

EVERY: Final = 30.0  # seconds between two looks
SLOW: Final = 15.0  # seconds without an answer; what goes wrong once is no trouble yet
CLOSED: Final = (TargetUnavailable, PostRefused)
# Updates that may mean that we came or went. Not every library's layer has all of them.
OF_CHANNELS: Final = (types.UpdateChannel, types.UpdateChannelParticipant)
OF_GROUPS: Final = tuple(
    getattr(types, name)
    for name in ("UpdateChat", "UpdateChatParticipant", "UpdateChatParticipantDelete")
    if hasattr(types, name)
)
OF_MEMBERS: Final = (types.UpdateChatParticipants,)


class Connection(Protocol):
    """A logged in client. Raises the library's own errors."""

    async def call(self, query: Any) -> Any: ...
    async def peer(self, chat_id: ChatId) -> Any: ...


@dataclass
class _Questions:
    """How what was asked of one update box went, since it last went well."""

    since: float | None = None  # None: it went well, or nothing was asked yet
    error: str = phrase("no answer from Telegram")
    closed: bool = False
    patient: bool = False  # Telegram has named the time to ask again
    again_at: float | None = None  # None: it is being asked right now


class Reachability:
    """`account` is the box that basic groups share. `ask` has what is new in the chats asked for.
    `clock` is unix seconds; `every` and `slow` are seconds.
    """

    def __init__(
        self,
        connection: Connection,
        chats: Iterable[ChatId],
        *,
        account: ChatId,
        ask: Callable[[], None],
        every: float = EVERY,
        slow: float = SLOW,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._connection = connection
        self._account = account
        self._ask = ask
        self._every = every
        self._slow = slow
        self._clock = clock
        self._sleep = sleep
        self._questions: dict[ChatId, _Questions] = {}
        self._outside: dict[ChatId, tuple[float, str]] = {}  # since when, and as what
        self._news = asyncio.Event()
        self.follow(chats)

    def follow(self, chats: Iterable[ChatId]) -> None:
        """Look at these from now on; what is known of those that stay is known still."""
        self._chats = tuple(chat for chat in chats if chat < 0)
        boxes, known = map(self._box_of, self._chats), self._questions
        self._questions = {box: known.get(box) or _Questions() for box in boxes}
        self._outside = {chat: said for chat, said in self._outside.items() if chat in self._chats}
        self._news.set()

    def unreadable(self) -> list[UnreadableChat]:
        return [found for chat in self._chats if (found := self._trouble(chat)) is not None]

    # ── what `CatchUp` tells ──

    def asked(self, box: ChatId) -> None:
        questions = self._questions.get(box)
        if questions is not None:
            questions.since = self._clock() if questions.since is None else questions.since
            questions.again_at = None

    def answered(self, box: ChatId) -> None:
        if box in self._questions:
            self._questions[box] = _Questions()

    def failed(self, box: ChatId, error: BotError, pause: float) -> None:
        """`pause`: seconds until it is asked again."""
        self.asked(box)
        questions = self._questions.get(box)
        if questions is not None:
            questions.error = words_of(error)
            questions.closed = isinstance(error, CLOSED)
            questions.patient = isinstance(error, RetryLater) and error.after is not None
            questions.again_at = self._clock() + pause

    def connected(self) -> None:
        """Anew, so that what was not answered before says nothing of the chats."""
        for box, questions in self._questions.items():
            if not (questions.closed or questions.patient):
                self._questions[box] = _Questions()
        self._news.set()

    # ── what is pushed ──

    def hear(self, container: Any) -> None:
        """Look at the chats now, if this may mean that we are in one of them no more, or again."""
        if any(self._is_told_of(update) for update in _updates(container)):
            self._news.set()

    def _is_told_of(self, update: Any) -> bool:
        if isinstance(update, OF_CHANNELS):
            return CHANNELS - update.channel_id in self._chats
        if isinstance(update, OF_GROUPS):
            return -update.chat_id in self._chats
        if isinstance(update, OF_MEMBERS):
            return -update.participants.chat_id in self._chats
        message = getattr(update, "message", None)
        if not isinstance(message, types.MessageService):
            return False
        return chat_id(message.peer_id) in self._chats

    # ── looking ──

    async def run(self) -> None:
        """Look at every chat now and then, until cancelled. Raises `LoggedOut`."""
        while True:
            self._news.clear()
            try:
                for chat in self._chats:
                    await self._look_at(chat)
            except LoggedOut:
                raise
            except Exception:
                # What is read goes on being read, whether or not we know that we may.
                log.exception("chats were not looked at")
            await self._rest()
            self._ask()

    async def _rest(self) -> None:
        waiting = {
            asyncio.ensure_future(self._sleep(self._every)),
            asyncio.ensure_future(self._news.wait()),
        }
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()

    async def _look_at(self, chat: ChatId) -> None:
        try:
            with translated(chat):
                found = await self._chat(chat)
        except CLOSED as exc:
            self._is_outside(chat, words_of(exc))
        except RetryLater as exc:
            # What was asked for its messages says the same, and is what counts.
            log.debug("chat was not looked at", chat=chat, error=str(exc))
        else:
            how = None if found is None else standing_outside(found)
            if how is None:
                self._is_inside(chat)
            else:
                self._is_outside(chat, how)

    async def _chat(self, chat: ChatId) -> Any:
        if is_basic_group(chat):
            query = functions.messages.GetChats(id=[-chat])
        else:
            channel = input_channel(await self._connection.peer(chat))
            query = functions.channels.GetChannels(id=[channel])
        _, chats = people_of(await self._connection.call(query))
        return next(iter(chats.values()), None)

    def _is_outside(self, chat: ChatId, how: str) -> None:
        since, _ = self._outside.get(chat, (self._clock(), how))
        if chat not in self._outside:
            log.warning("chat cannot be read", chat=chat, error=how)
        self._outside[chat] = (since, how)

    def _is_inside(self, chat: ChatId) -> None:
        if self._outside.pop(chat, None) is not None:
            log.info("chat can be read again", chat=chat)
            self._ask()

    # ── what is made of it ──

    def _box_of(self, chat: ChatId) -> ChatId:
        return chat if has_own_box(chat) else self._account

    def _trouble(self, chat: ChatId) -> UnreadableChat | None:
        questions, now = self._questions[self._box_of(chat)], self._clock()
        if chat in self._outside:
            since, how = self._outside[chat]
            error = phrase("not a member any more ({how})", how=how)
            advice = phrase("add it to the chat again")
            lost = is_basic_group(chat)
            return UnreadableChat(chat, since, error, advice, questions.again_at, lost=lost)
        if questions.since is None:
            return None
        questions.since = min(questions.since, now)  # the clock may have been put back
        since, error, again = questions.since, questions.error, questions.again_at
        if questions.closed:
            advice = phrase("see that it is a member there and may read the messages")
            return UnreadableChat(chat, since, error, advice, again)
        if questions.patient and again is not None and again - since >= self._slow:
            advice = phrase("Telegram said to wait, nothing else helps")
            return UnreadableChat(chat, since, error, advice, again)
        if now - since < self._slow:
            return None
        advice = phrase("it is asked again and again; see the log")
        return UnreadableChat(chat, since, error, advice, again)


def standing_outside(chat: Any) -> str | None:
    """What Telegram calls an account that is not in that chat; None: it is in it.

    A basic group that has become a supergroup is left in order: see `MigratedChat`.
    """
    if isinstance(chat, (types.ChatForbidden, types.ChannelForbidden)):
        return phrase("removed or banned")
    if not isinstance(chat, (types.Chat, types.Channel)):
        return phrase("the chat is gone")
    if getattr(chat, "migrated_to", None) is not None:
        return None
    if getattr(chat, "deactivated", None):
        return phrase("the group was deleted")
    if getattr(chat, "kicked", None):
        return phrase("removed")
    return phrase("left") if getattr(chat, "left", None) else None


def _updates(container: Any) -> list[Any]:
    one = getattr(container, "update", None)
    return list(getattr(container, "updates", None) or ([] if one is None else [one]))
