"""The connection: logging in, hearing what happens, knowing peers, asking one thing at a time.

Pyrogram and kurigram both serve. Of either we use the connection, the login, the session file and
the known peers; updates go their own way, see `update_queue`.
"""

from __future__ import annotations

import asyncio
import sqlite3
import struct
from contextlib import contextmanager
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
    VoidLogin,
    WrongCredentials,
    words_of,
)
from bot.models import (
    ChatId,
    Reached,
    UnreadableMessage,
)
from bot.phrases import joined, phrase
from bot.telegram.catch_up import CatchUp
from bot.telegram.chats import full_name
from bot.telegram.connection import SILENCE, KeyUnknown
from bot.telegram.layers import build
from bot.telegram.login import RelayClient, close, prepare_library
from bot.telegram.messages import events
from bot.telegram.parsing import parsed
from bot.telegram.peer_names import overheard
from bot.telegram.peers import Peers
from bot.telegram.reachability import Reachability
from bot.telegram.reconnecting import Reconnecting
from bot.telegram.rpc_errors import refusal, translated
from bot.telegram.sender import Sender
from bot.telegram.server_time import ServerTime
from bot.telegram.session import cancelled
from bot.telegram.update_queue import UpdateQueue

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from bot.models import Event, MessageRef, UnreadableChat
    from bot.telegram.catch_up import Following
    from bot.telegram.credentials import Credentials
    from bot.telegram.peer_names import Overheard

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
class Timeouts:
    """Seconds: for a call, for a login, and until a connection on which nothing comes is given up."""

    call: float = 15
    start: float = LOGIN
    silence: float = SILENCE


async def _at_once() -> None:
    pass


class Telegram:
    """One account's connection.

    `on_overheard` is told of what is pushed of any chat, followed or not; some may be lost.
    `time` is Telegram's; `sleep` and `clock` are for the pauses between connections. `permit` is awaited
    before each call is made.
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
        permit: Callable[[], Awaitable[None]] = _at_once,
    ) -> None:
        self._credentials = credentials
        self._following = following
        self._on_overheard = on_overheard
        self._updates = UpdateQueue()  # made anew by each start
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
        self._permit = permit
        self._client: Any = None  # made anew by each start: a client that failed is spent
        self._me: Me | None = None
        self._connected_at: float | None = None
        self._peers = Peers(self)
        self.peer, self.meet_again = self._peers.peer, self._peers.meet_again
        self.known_user, self.channels = self._peers.known_user, self._peers.channels
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
            raise LoggedOut(words_of(exc)) from exc  # and there is nothing more to try

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
            if self._catch_up is not None and self._following is not None:
                await self._peers.meet_all(self._following.chats)
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

    async def follow(self, following: Following) -> None:
        """Hear these chats from now on; those that are heard already notice nothing.

        Raises `LoggedOut`. What cannot be asked now is asked again by `listen`.
        """
        self._following = following
        if self._reachability is not None:
            self._reachability.follow(following.chats)
        if self._catch_up is not None:
            await self._catch_up.follow(following)

    @property
    def current(self) -> bool:
        """Connected, and nothing is known to be missing."""
        session = self._client and self._client.session
        connected = session is not None and session.is_started.is_set()
        return bool(connected and self._catch_up is not None and self._catch_up.current)

    def more_to_come(self, chat: ChatId | None) -> bool:
        """Events are known to follow, of that chat; None: of basic groups."""
        return self._catch_up is not None and self._catch_up.more_to_come(chat)

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
        seconds = f"{abs(off):.0f}"
        if off > 0:
            return phrase("the machine's clock is {seconds} s fast", seconds=seconds)
        return phrase("the machine's clock is {seconds} s slow", seconds=seconds)

    @property
    def gaps_recovered(self) -> int:
        """Since the login."""
        return 0 if self._catch_up is None else self._catch_up.recovered

    async def read_again(self, ref: MessageRef) -> None:
        """Have `on_event` hear of a followed chat's message anew, as it is now. Raises
        `TelegramError`.
        """
        if self._catch_up is None:
            raise RetryLater(phrase("not connected"))
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
            raise LoggedOut(
                phrase("{file} cannot be used: {error}", file=str(file), error=str(exc))
            ) from exc
        except (struct.error, ValueError) as exc:
            raise WrongCredentials(phrase("SESSION_STRING cannot be read")) from exc

    @contextmanager
    def _login_errors(self) -> Iterator[None]:
        """Say what the operator is to look at."""
        try:
            with translated():
                yield
        except (LoggedOut, PostRefused) as exc:
            raise self._credentials.explained(exc) from exc
        except RetryLater as exc:
            why = phrase("not logged in yet: {why}", why=self._cause(exc))
            raise RetryLater(why, after=exc.after) from exc
        except Exception as exc:
            # A handshake that is cut off fails with whatever the missing bytes lead to.
            why = phrase("not logged in yet: {why}", why=type(exc).__name__)
            raise RetryLater(why) from exc

    def _cause(self, exc: RetryLater) -> str:
        """All that is known of it. A login is void only where Telegram says so."""
        cause = exc.__cause__
        text = words_of(cause if isinstance(cause, OSError) else exc)
        if isinstance(cause, TimeoutError) and not text:
            text = phrase("it took more than {seconds} s", seconds=f"{self._timeouts.start:g}")
        if isinstance(cause, KeyUnknown):
            login = self._credentials.kept_in
            text = phrase(
                "{why}; if that lasts, {login} is void, log in anew", why=text, login=login
            )
        off = self.clock_off
        return text if off is None else joined("; ", [text or words_of(exc), off])

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
            await self._peers.keep(self._client, container)
            if self._on_overheard is not None:
                for each in overheard(container):
                    self._on_overheard(each)
            if self._catch_up is not None:
                self._catch_up.hear(container)
            if self._reachability is not None:
                self._reachability.hear(container)

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
            raise ConnectionError(phrase("not connected"))
        if self._void is not None:
            raise self._void
        async with asyncio.timeout(2 * self._timeouts.call):
            if not client.session.is_started.is_set():
                await self._connection(client)
            await self._permit()
            answer = await self._answer_to(query, client)
        if isinstance(answer, types.BadMsgNotification):
            raise ConnectionError(
                phrase("refused by MTProto with code {code}", code=answer.error_code)
            )
        await self._peers.keep(client, answer)
        if self._catch_up is not None:
            self._catch_up.answered(query, answer)
        return parsed(answer, query)

    async def _connection(self, client: Any) -> None:
        """Wait for it, while it is being made."""
        try:
            async with asyncio.timeout(self._timeouts.call):
                await client.session.is_started.wait()
        except TimeoutError as exc:
            seconds = f"{self._timeouts.call:g}"
            raise TimeoutError(phrase("no connection in {seconds} s", seconds=seconds)) from exc

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
            raise ConnectionError(phrase("connection lost")) from None

    @property
    def client(self) -> Any:
        """The library's. Raises `ConnectionError`."""
        if self._client is None:
            raise ConnectionError(phrase("not connected"))
        return self._client


def _me(user: Any) -> Me:
    return Me(user.id, full_name(user), user.username, bool(user.is_bot))
