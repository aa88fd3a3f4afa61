"""The connection: logging in, hearing what happens, knowing peers, asking one thing at a time.

Pyrogram and kurigram both serve. Of either we use the connection, the login, the session file and
the known peers; updates go their own way, see `update_queue`.
"""

from __future__ import annotations

import asyncio
import sqlite3
import struct
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from time import monotonic
from time import time as unix_time
from typing import TYPE_CHECKING, Any, Final

import structlog
from pyrogram import raw
from pyrogram.errors.rpc_error import RPCError

from bot.errors import (
    LoggedOut,
    PostRefused,
    RetryLater,
    TargetUnavailable,
    Unparsable,
    VoidLogin,
)
from bot.models import (
    CHANNELS,
    ChatId,
    Reached,
    UnreadableMessage,
    has_own_box,
    is_basic_group,
)
from bot.telegram.acquaintance import overheard
from bot.telegram.catch_up import CatchUp
from bot.telegram.connection import SILENCE, KeyUnknown
from bot.telegram.layers import build
from bot.telegram.login import RelayClient, close, prepare_library
from bot.telegram.messages import chat_id as chat_id_of
from bot.telegram.messages import events
from bot.telegram.parsing import parsed
from bot.telegram.reachability import Reachability, standing_outside
from bot.telegram.reading import input_channel
from bot.telegram.reconnecting import Reconnecting
from bot.telegram.rpc_errors import refusal, translated
from bot.telegram.sender import Sender
from bot.telegram.server_time import ServerTime
from bot.telegram.session import cancelled
from bot.telegram.update_queue import UpdateQueue

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from bot.models import Event, MessageRef, UnreadableChat
    from bot.telegram.acquaintance import Overheard
    from bot.telegram.catch_up import Following
    from bot.telegram.credentials import Credentials

log = structlog.get_logger(__name__)

functions: Final[Any] = raw.functions
types: Final[Any] = raw.types

STOPPING: Final = 4  # seconds for what is under way when we stop
# Seconds for a first login. It takes up to 17 answers: 3 for a key, 3 until we are introduced (id and
# salt may be refused), 3 more until we are logged in; and where the account is at home in another
# data centre, 8 of these again. Each may take `SILENCE`.
LOGIN: Final = 17 * SILENCE
CLOCK_OFF: Final = 30.0  # seconds; so much is worth a word
DIALOGS_AT_ONCE, DIALOGS_MAX = 100, 2_000


@dataclass(frozen=True, slots=True)
class Me:
    """The account we are logged in with."""

    id: int
    name: str
    username: str | None
    is_bot: bool


@dataclass(frozen=True, slots=True)
class ChatInfo:
    """A chat as our account sees it."""

    id: ChatId
    title: str
    kind: str  # as Bot API says: "private", "group", "supergroup", "channel"
    can_read: bool | None  # all that is written there, not just what is meant for us
    can_post: bool | None  # None: cannot be told
    outside: str | None = None  # as what our account is not in it; None: it is a member


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: for a call, for a login, and until a connection on which nothing comes is given up."""

    call: float = 15
    start: float = LOGIN
    silence: float = SILENCE


class Telegram:
    """One account's connection.

    `on_overheard` is told of what is pushed of any chat, followed or not; some may be lost.
    `time` is Telegram's; `sleep` and `clock` are for the pauses between connections.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        following: Following | None = None,
        on_overheard: Callable[[Overheard], None] | None = None,
        timeouts: Timeouts = Timeouts(),
        time: ServerTime | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._credentials = credentials
        self._following = following
        self._on_overheard = on_overheard
        self._updates = UpdateQueue()  # as is the client
        self._catch_up: CatchUp | None = None
        self._reachability: Reachability | None = None
        self._turn = asyncio.Lock()  # one container at a time, in the order they came
        self._reconnecting: Reconnecting | None = None
        self._void: LoggedOut | None = None  # what ended the login, once it was made
        self._void_known = asyncio.Event()
        self._in_flight: set[asyncio.Future[Any]] = set()  # calls that wait for their answer
        self._timeouts = timeouts
        self._time = ServerTime() if time is None else time
        self._sleep = sleep
        self._clock = clock
        self._client: Any = None  # made anew by each start: a client that failed is spent
        self._me: Me | None = None
        self._dialogs_read = False
        self._connected_at: float | None = None
        self.sender = Sender(self)

    # ── coming and going ──

    async def start(self) -> Me:
        """Log in; from now on nothing is missed. After an error it may be called again.

        Raises `LoggedOut` where trying again is useless, else `RetryLater`.
        """
        try:
            try:
                return await self._start()
            except VoidLogin as exc:
                # A bot's token outlives its logins, and makes a new one.
                if self._credentials.bot_token is None or not self._credentials.file.exists():
                    raise
                log.warning("the kept login is void, logging in anew", error=str(exc))
                self._credentials.file.unlink()
                return await self._start()
        except VoidLogin as exc:
            raise LoggedOut(str(exc)) from exc  # and there is nothing more to try

    async def _start(self) -> Me:
        prepare_library()
        self._client = self._new_client()
        self._updates = UpdateQueue()
        try:
            await self._open_session()
            with self._login_errors():
                async with asyncio.timeout(self._timeouts.start):
                    await self._client.start()
            self._reconnecting = self._new_reconnecting(self._client.session)
            self._me = _me(self._client.me)
            self._credentials.check(self._me.id)
            self._reachability = self._new_reachability(self._me)
            self._catch_up = self._new_catch_up(self._me)
            if self._catch_up is not None:
                await self._catch_up.begin()
            self._connected_at = unix_time()
            self._say_whether_the_clock_is_off()
        except BaseException:
            await self.stop()
            raise
        return self._me

    async def listen(self, on_event: Callable[[Event], Awaitable[None]]) -> None:
        """Hear what is new and what was missed of `following`, until cancelled.

        `on_event` is awaited for one event at a time, in the order in which they came. It must have
        dealt with an event when it returns; until `stop` it may be asked to deal with what waits.
        Raises `LoggedOut`; a `VoidLogin` where another `start` may do with a bot's token.
        """
        if self._catch_up is None or self._reachability is None:
            return
        self._updates.read(partial(self._deal, on_event))
        hearing = asyncio.ensure_future(self._catch_up.run())
        looking = asyncio.ensure_future(self._reachability.run())
        void = asyncio.ensure_future(self._void_known.wait())
        try:
            done, _ = await asyncio.wait(
                {hearing, looking, void}, return_when=asyncio.FIRST_COMPLETED
            )
            if self._void is not None:
                raise self._void
            for task in done:
                task.result()
        finally:
            void.cancel()
            await cancelled(hearing)
            await cancelled(looking)

    @property
    def current(self) -> bool:
        """Connected, and nothing is known to be missing."""
        session = self._client and self._client.session
        connected = session is not None and session.is_started.is_set()
        return bool(connected and self._catch_up is not None and self._catch_up.current)

    @property
    def more_to_come(self) -> bool:
        """Events are known to follow."""
        return self._catch_up is not None and self._catch_up.more_to_come

    @property
    def is_bot(self) -> bool:
        """Of what has not logged in yet this is not known, and False."""
        return self._me is not None and self._me.is_bot

    @property
    def connected_since(self) -> float | None:
        """Unix seconds; None: not connected."""
        session = self._client and self._client.session
        return self._connected_at if session is not None and session.is_started.is_set() else None

    def now(self) -> float | None:
        """Telegram's time, in unix seconds, whatever the machine's clock says; None: not told yet."""
        return self._time.now() if self._time.known else None

    @property
    def clock_off(self) -> str | None:
        """By how much the machine's clock is wrong, for people; None: it is not, as far as known."""
        off = self._time.machine_is_ahead
        if abs(off) <= CLOCK_OFF:
            return None
        return f"the machine's clock is {abs(off):.0f} s {'fast' if off > 0 else 'slow'}"

    @property
    def gaps_recovered(self) -> int:
        """Since the login."""
        return 0 if self._catch_up is None else self._catch_up.recovered

    async def read_again(self, ref: MessageRef) -> None:
        """Have `on_event` hear of a followed chat's message anew, as it is now. Raises
        `TelegramError`.
        """
        if self._catch_up is None:
            raise RetryLater("not connected")
        await self._catch_up.read_again(*ref)

    def unreadable(self) -> list[UnreadableChat]:
        """The followed chats that cannot be read, as far as that is known by now."""
        return [] if self._reachability is None else self._reachability.unreadable()

    async def stop(self) -> None:
        """Events that wait are dealt with first, for up to `STOPPING` seconds."""
        self._catch_up = self._reachability = None
        self._connected_at = None
        reconnecting, self._reconnecting = self._reconnecting, None
        client, self._client = self._client, None
        if client is None:
            return
        try:
            async with asyncio.timeout(STOPPING):
                if reconnecting is not None:
                    await reconnecting.close()
                await self._updates.drain()
                await close(client)
        except (TimeoutError, OSError, RPCError, sqlite3.Error) as exc:
            log.warning("telegram connection was not closed in order", error=repr(exc))

    def _new_client(self) -> Any:
        return build(
            RelayClient,
            **self._credentials.for_client(),
            workers=1,  # which has nothing to do; the libraries take no less
            sleep_threshold=0,
            skip_updates=True,  # kurigram's own recovery, beside ours, would double everything
        ).prepared(self._pushed, self._time, self._timeouts.silence)

    def _new_reconnecting(self, session: Any) -> Reconnecting:
        self._void = None
        self._void_known.clear()
        return Reconnecting(
            session,
            lost=self._connection_lost,
            back=self._connected_again,
            void=self._login_is_void,
            sleep=self._sleep,
            clock=self._clock,
        )

    def _new_catch_up(self, me: Me) -> CatchUp | None:
        if self._following is None:
            return None
        return CatchUp(
            self,
            self._updates,
            self._following,
            account=ChatId(me.id),
            answers=self._reachability,
        )

    def _new_reachability(self, me: Me) -> Reachability | None:
        if self._following is None:
            return None
        return Reachability(
            self, self._following.chats, account=ChatId(me.id), ask=self._ask_for_news
        )

    def _ask_for_news(self) -> None:
        if self._catch_up is not None:
            self._catch_up.lost()

    async def _open_session(self) -> None:
        """Read the session before the network is asked, and see that nobody else can.

        That a new file is nobody else's from the start is for the process's umask.
        """
        file = self._credentials.file
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            await self._client.storage.open()
            await self._client.storage.close()
            if file.exists():
                file.chmod(0o600)
        except (OSError, sqlite3.Error) as exc:
            raise LoggedOut(f"{file} cannot be used: {exc}") from exc
        except (struct.error, ValueError) as exc:
            raise LoggedOut("SESSION_STRING cannot be read") from exc

    @contextmanager
    def _login_errors(self) -> Iterator[None]:
        """Say what the operator is to look at."""
        try:
            with translated():
                yield
        except (LoggedOut, PostRefused) as exc:
            raise self._credentials.explained(exc) from exc
        except RetryLater as exc:
            raise RetryLater(f"not logged in yet: {self._cause(exc)}", after=exc.after) from exc
        except Exception as exc:
            # A handshake that is cut off fails with whatever the missing bytes lead to.
            raise RetryLater(f"not logged in yet: {type(exc).__name__}") from exc

    def _cause(self, exc: RetryLater) -> str:
        """All that is known of it. A login is void only where Telegram says so."""
        cause = exc.__cause__
        text = str(cause) if isinstance(cause, OSError) else str(exc)
        if isinstance(cause, TimeoutError) and not text:
            text = f"it took more than {self._timeouts.start:g} s"
        if isinstance(cause, KeyUnknown):
            text = f"{text}; if that lasts, {self._credentials.kept_in} is void, log in anew"
        off = self.clock_off
        return text if off is None else f"{text or exc}; {off}"

    def _say_whether_the_clock_is_off(self) -> None:
        off = self._time.machine_is_ahead
        if self.clock_off is not None:
            log.warning("the machine's clock is wrong, going by Telegram's", fast_by=round(off))

    # ── hearing ──

    async def _pushed(self, container: Any) -> None:
        """Telegram has something to say. Until we follow, it will say so again when asked."""
        async with self._turn:
            if self._client is None or (self._catch_up is None and self._on_overheard is None):
                return
            await self._keep_peers(self._client, container)
            if self._on_overheard is not None:
                for each in overheard(container):
                    self._on_overheard(each)
            if self._catch_up is not None:
                self._catch_up.hear(container)
            if self._reachability is not None:
                self._reachability.hear(container)

    async def _keep_peers(self, client: Any, answer: Any) -> None:
        try:
            await client.fetch_peers(_people(answer))
        except sqlite3.Error as exc:
            # What is not kept is asked for when it is needed; the answer is good all the same.
            log.warning("peers were not kept", error=str(exc))

    def _connection_lost(self) -> None:
        """What was pushed or answered to a connection that is gone is lost."""
        for task in self._in_flight:
            task.cancel()

    def _connected_again(self) -> None:
        self._connected_at = unix_time()
        if self._reachability is not None:
            self._reachability.connected()
        if self._catch_up is not None:
            log.info("connected again")
            self._catch_up.lost()

    def _login_is_void(self, exc: LoggedOut) -> None:
        self._void = self._credentials.explained(exc)
        self._void_known.set()

    async def _deal(
        self, on_event: Callable[[Event], Awaitable[None]], update: Any, users: Any, chats: Any
    ) -> None:
        if isinstance(update, (Reached, UnreadableMessage)):
            await on_event(update)
            return
        for event in events(update, users, chats, me=self._me.id if self._me else None):
            await on_event(event)

    # ── asking ──

    async def call(self, query: Any) -> Any:
        """One query, tried once: no retries, no sleeping. Raises the library's own errors, and
        `Unparsable` or `SentBefore` for an answer that cannot be read.

        Not `Client.invoke`: it repeats what failed, in one library hides why, and
        starts to sleep through flood waits after the first repetition.
        """
        client = self._client
        if client is None or client.session is None:
            raise ConnectionError("not connected")
        if self._void is not None:
            raise self._void
        async with asyncio.timeout(2 * self._timeouts.call):
            await self._connection(client)
            answer = await self._answer_to(query, client)
        if isinstance(answer, types.BadMsgNotification):
            raise ConnectionError(f"refused by MTProto with code {answer.error_code}")
        await self._keep_peers(client, answer)
        if self._catch_up is not None:
            self._catch_up.answered(query, answer)
        return parsed(answer, query)

    async def _connection(self, client: Any) -> None:
        """Wait for it, if it is being made."""
        try:
            await asyncio.wait_for(client.session.is_started.wait(), self._timeouts.call)
        except TimeoutError as exc:
            raise TimeoutError(f"no connection in {self._timeouts.call:g} s") from exc

    async def _answer_to(self, query: Any, client: Any) -> Any:
        """No answer comes on a connection that is gone; the library would wait for it."""
        sending = asyncio.ensure_future(client.session.send(query, timeout=self._timeouts.call))
        self._in_flight.add(sending)
        sending.add_done_callback(self._in_flight.discard)
        try:
            return await sending
        except RPCError as exc:
            refused = refusal(exc, None)
            if isinstance(refused, LoggedOut):
                raise self._credentials.explained(refused) from exc
            raise
        except asyncio.CancelledError:
            me = asyncio.current_task()
            if me is not None and me.cancelling():
                raise
            raise ConnectionError("connection lost") from None

    async def peer(self, chat_id: ChatId) -> Any:
        """The raw input peer of a chat. Raises `TargetUnavailable` if there is none for us."""
        if is_basic_group(chat_id):
            return types.InputPeerChat(chat_id=-chat_id)
        known = await self._known_peer(chat_id)
        if known is None:
            known = await self._met(chat_id)
        if known is None:
            raise TargetUnavailable(f"chat {chat_id} is not known to this account", chat_id)
        return known

    async def meet_again(self, chat_id: ChatId) -> bool:
        """Ask Telegram anew for the access hash of a chat; False: it is the one we had."""
        if is_basic_group(chat_id):
            return False  # they have none
        before = await self._known_peer(chat_id)
        self._dialogs_read = False
        await self._meet(chat_id)
        changed: bool = before != await self._known_peer(chat_id)
        return changed

    async def known_user(self, user_id: int) -> Any | None:
        """The raw input user, if this account has met the user; nobody is asked."""
        found = await self._known_peer(user_id)
        if not isinstance(found, types.InputPeerUser):
            return None
        return types.InputUser(user_id=found.user_id, access_hash=found.access_hash)

    async def _known_peer(self, chat_id: int) -> Any | None:
        if self._client is None:
            raise ConnectionError("not connected")
        with suppress(KeyError):
            return await self._client.storage.get_peer_by_id(chat_id)
        return None

    async def _met(self, chat_id: ChatId) -> Any | None:
        try:
            await self._meet(chat_id)
        except Unparsable:
            if self._me is None or not self._me.is_bot or not has_own_box(chat_id):
                raise
            # It is there, and bots may ask without its access hash.
            return types.InputPeerChannel(channel_id=CHANNELS - chat_id, access_hash=0)
        return await self._known_peer(chat_id)

    async def _meet(self, chat_id: ChatId) -> None:
        """Learn the access hash. Bots may ask without one, people may not."""
        if self._me is None or not self._me.is_bot:
            await self._read_dialogs(chat_id)
        elif chat_id > 0:
            user = types.InputUser(user_id=chat_id, access_hash=0)
            await self.call(functions.users.GetUsers(id=[user]))
        else:
            channel = types.InputChannel(channel_id=CHANNELS - chat_id, access_hash=0)
            await self.call(functions.channels.GetChannels(id=[channel]))

    async def _read_dialogs(self, wanted: ChatId) -> None:
        """Once, until the wanted one turns up; what is not among them is unknown to us."""
        if self._dialogs_read:
            return
        offset: dict[str, Any] = {
            "offset_date": 0,
            "offset_id": 0,
            "offset_peer": types.InputPeerEmpty(),
        }
        for _page in range(DIALOGS_MAX // DIALOGS_AT_ONCE):
            query = functions.messages.GetDialogs(**offset, limit=DIALOGS_AT_ONCE, hash=0)
            answer = await self.call(query)
            if await self._known_peer(wanted) is not None:
                return
            last = _last_dialog(answer)
            if last is None:
                break
            message, chat = last
            offset = {
                "offset_date": message.date,
                "offset_id": message.id,
                "offset_peer": await self._known_peer(chat) or types.InputPeerEmpty(),
            }
        self._dialogs_read = True

    # ── chats ──

    async def moved_to(self, chat_id: ChatId) -> ChatId | None:
        """The supergroup that a basic group has become; None: it is no such group."""
        if not is_basic_group(chat_id):
            return None
        try:
            with translated(chat_id):
                answer = await self.call(functions.messages.GetChats(id=[-chat_id]))
        except (TargetUnavailable, PostRefused, Unparsable):
            return None  # not ours to see; whoever posts there finds out
        moved = getattr(answer.chats[0], "migrated_to", None) if answer.chats else None
        return None if moved is None else ChatId(CHANNELS - moved.channel_id)

    async def resolve(self, chat_id: ChatId) -> ChatInfo:
        """What our account may do there. Raises `TargetUnavailable` if it cannot see the chat."""
        with translated(chat_id):
            peer = await self.peer(chat_id)
            if isinstance(peer, types.InputPeerChannel):
                query = functions.channels.GetChannels(id=[input_channel(peer)])
            elif isinstance(peer, types.InputPeerChat):
                query = functions.messages.GetChats(id=[peer.chat_id])
            else:
                user = types.InputUser(user_id=peer.user_id, access_hash=peer.access_hash)
                query = functions.users.GetUsers(id=[user])
            answer = await self.call(query)
            itself = await self.call(functions.users.GetUsers(id=[types.InputUserSelf()]))
        found = _people(answer)
        if not found:
            raise TargetUnavailable(f"chat {chat_id} is not known to this account", chat_id)
        return _chat_info(chat_id, found[0], itself[0])


def _me(user: Any) -> Me:
    return Me(user.id, _full_name(user), user.username, bool(user.is_bot))


def _full_name(user: Any) -> str:
    names = (getattr(user, "first_name", None), getattr(user, "last_name", None))
    return " ".join(filter(None, names))


def _chat_info(chat_id: ChatId, found: Any, itself: Any) -> ChatInfo:
    if isinstance(found, types.User):
        return ChatInfo(chat_id, _full_name(found), "private", can_read=True, can_post=None)
    return ChatInfo(
        chat_id,
        found.title,
        _kind(found),
        can_read=_can_read(found, itself),
        can_post=_can_post(found),
        outside=standing_outside(found),
    )


def _kind(chat: Any) -> str:
    if isinstance(chat, (types.Chat, types.ChatForbidden)):
        return "group"
    return "channel" if getattr(chat, "broadcast", None) else "supergroup"


def _is_outside(chat: Any) -> bool:
    return standing_outside(chat) is not None or bool(getattr(chat, "deactivated", None))


def _rules(chat: Any) -> bool:
    return bool(getattr(chat, "creator", None) or getattr(chat, "admin_rights", None))


def _can_read(chat: Any, itself: Any) -> bool:
    """A bot in privacy mode hears in groups only what is meant for it, unless it is an admin."""
    if _is_outside(chat):
        return False
    hears_all = not itself.bot or getattr(itself, "bot_chat_history", None)
    return bool(hears_all or _rules(chat))


def _can_post(chat: Any) -> bool:
    if _is_outside(chat):
        return False
    if _rules(chat):
        rights = getattr(chat, "admin_rights", None)
        all_may = _kind(chat) != "channel" or getattr(chat, "creator", None)
        return bool(all_may or getattr(rights, "post_messages", None))
    banned = (getattr(chat, name, None) for name in ("banned_rights", "default_banned_rights"))
    muted = any(getattr(rights, "send_messages", None) for rights in banned)
    return _kind(chat) != "channel" and not muted


def _people(answer: Any) -> list[Any]:
    """The users and chats that an answer brings along, or is."""
    if isinstance(answer, list):
        return [one for one in answer if isinstance(one, types.User)]
    return [*(getattr(answer, "users", None) or ()), *(getattr(answer, "chats", None) or ())]


def _last_dialog(answer: Any) -> tuple[Any, ChatId] | None:
    """The last dialog's message and chat, where the next page begins; None: there is none."""
    if not isinstance(answer, types.messages.DialogsSlice):
        return None
    for message in reversed(answer.messages):
        where = chat_id_of(getattr(message, "peer_id", None))
        if where is not None:
            return message, where
    return None
