"""Faults, scripted as easily as answers.

    faults.on(raw.functions.messages.SendMessage, FloodWait(3))      # the next one
    faults.on(raw.functions.messages.SendMessage, Swallow(), times=2)
    with faults.no_pushes(): ...                                     # a gap in pts

A fault gets the call and a way to execute it, and returns what is answered: the encoded
answer, or None for silence. The real server can do each of these to a client.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from pyrogram import raw

from tests.loopback.calls import Call, RpcFailure
from tests.loopback.tl import Raw
from tests.loopback.transport import MtprotoServer, Session
from tests.loopback.world import Account, Chat, World

Execute = Callable[[], Awaitable[bytes]]
Push = tuple[Session, Any]


class Fault(Protocol):
    async def answer(self, call: Call, execute: Execute) -> bytes | None: ...


@dataclass(frozen=True)
class RpcError:
    """Refuse the call: nothing is executed."""

    code: int
    text: str

    async def answer(self, _call: Call, _execute: Execute) -> bytes | None:
        raise RpcFailure(self.code, self.text)


def FloodWait(seconds: int) -> RpcError:  # noqa: N802 - it reads as the error it is
    return RpcError(420, f"FLOOD_WAIT_{seconds}")


class Swallow:
    """Execute, confirm that the query came, and never answer."""

    async def answer(self, call: Call, execute: Execute) -> bytes | None:
        call.session.acknowledge(call.message_id)
        await execute()
        return None


class Drop:
    """Neither execute nor answer."""

    async def answer(self, _call: Call, _execute: Execute) -> bytes | None:
        return None


class CutBefore:
    """The connection ends before the call is executed."""

    async def answer(self, call: Call, _execute: Execute) -> bytes | None:
        _cut(call.session)
        return None


class CutAfter:
    """The call is executed, and the connection ends before the answer leaves.

    Where the rules want it resent (`Rules.resend_unacked`), it comes on the next connection.
    """

    async def answer(self, call: Call, execute: Execute) -> bytes | None:
        answer = await execute()
        _cut(call.session)
        return answer


class Hold:
    """Execute, and answer only once released."""

    def __init__(self) -> None:
        self._released = asyncio.Event()

    def release(self) -> None:
        self._released.set()

    async def answer(self, call: Call, execute: Execute) -> bytes | None:
        call.session.acknowledge(call.message_id)
        answer = await execute()
        await self._released.wait()
        return answer


@dataclass(frozen=True)
class Delay:
    """Execute, and answer that many seconds later."""

    seconds: float

    async def answer(self, call: Call, execute: Execute) -> bytes | None:
        call.session.acknowledge(call.message_id)
        answer = await execute()
        await asyncio.sleep(self.seconds)
        return answer


@dataclass(frozen=True)
class Garble:
    """Execute, and answer in bytes that cannot be parsed from there on."""

    after: int = 0  # bytes of the answer that stay as they are

    async def answer(self, _call: Call, execute: Execute) -> bytes | None:
        return (await execute())[: self.after] + Raw().write()


@dataclass(frozen=True)
class Truncate:
    """Execute, and answer with that share of the answer's bytes, whole words of them."""

    share: float

    async def answer(self, _call: Call, execute: Execute) -> bytes | None:
        answer = await execute()
        return answer[: int(len(answer) * self.share) // 4 * 4]


class Sometimes:
    """A fault by chance: each with its own probability, else a plain answer."""

    def __init__(self, chances: Mapping[Any, float], seed: int) -> None:
        self._faults = list(chances)
        self._weights = list(chances.values())
        self._random = random.Random(seed)
        if sum(self._weights) > 1:
            raise ValueError("the probabilities add up to more than 1")

    async def answer(self, call: Call, execute: Execute) -> bytes | None:
        plain = 1 - sum(self._weights)
        chosen = self._random.choices([*self._faults, None], [*self._weights, plain])[0]
        return await (chosen.answer(call, execute) if chosen else execute())


def _entry(of: Any) -> Account:
    """A person's account; an account stays what it is."""
    account: Account = getattr(of, "account", of)
    return account


def _cut(session: Session) -> None:
    if session.connection is not None:
        session.connection.cut()


@dataclass(eq=False)
class Script:
    """One scripted fault; `hits` counts how often it struck. `times` None: until cancelled."""

    kinds: tuple[type, ...]
    fault: Fault
    times: int | None
    account: Account | None
    when: Callable[[Call], bool]
    hits: int = 0
    skip: int = 0

    def matches(self, call: Call) -> bool:
        if self.times is not None and self.hits >= self.times:
            return False
        if self.kinds and not isinstance(call.query, self.kinds):
            return False
        if self.account is not None and call.account is not self.account:
            return False
        return self.when(call)

    def cancel(self) -> None:
        self.times = self.hits


class Faults:
    """What goes wrong on Telegram's side, now and on demand.

    Where an account is asked for, a `Person` will do.
    """

    def __init__(self, world: World, server: MtprotoServer) -> None:
        self._world = world
        self._server = server
        self._scripts: list[Script] = []
        self._silent = False
        self._twice = False
        self._held: list[Push] | None = None

    # ── one call ──

    def on(
        self,
        kind: type | tuple[type, ...] | None,
        fault: Fault,
        *,
        times: int | None = 1,
        after: int = 0,
        account: Any = None,
        when: Callable[[Call], bool] = lambda _call: True,
    ) -> Script:
        """Let `fault` strike the next `times` matching calls, once `after` others passed."""
        kinds = kind if isinstance(kind, tuple) else () if kind is None else (kind,)
        script = Script(kinds, fault, times, account and _entry(account), when, skip=after)
        self._scripts.append(script)
        return script

    def take(self, call: Call) -> Fault | None:
        """The fault that strikes this call: the oldest script that matches."""
        for script in self._scripts:
            if script.matches(call):
                if script.skip:
                    script.skip -= 1
                    continue
                script.hits += 1
                return script.fault
        return None

    def clear(self) -> None:
        self._scripts.clear()

    # ── pushes ──

    def deliver(self, session: Session, update: Any) -> None:
        """Every live push passes here."""
        if self._silent:
            return
        if self._held is not None:
            self._held.append((session, update))
            return
        for _ in range(2 if self._twice else 1):
            session.push(update)

    @contextmanager
    def no_pushes(self) -> Iterator[None]:
        """What happens meanwhile is in the boxes and pushed to nobody."""
        self._silent = True
        try:
            yield
        finally:
            self._silent = False

    @contextmanager
    def pushed_twice(self) -> Iterator[None]:
        self._twice = True
        try:
            yield
        finally:
            self._twice = False

    @contextmanager
    def out_of_order(self, shuffle: Callable[[list[Push]], None] = list.reverse) -> Iterator[None]:
        """Keep pushes back, and deliver them at the end as `shuffle` arranged them in place."""
        self._held = []
        try:
            yield
        finally:
            held, self._held = self._held, None
            shuffle(held)
            for session, update in held:
                self.deliver(session, update)

    def push(self, account: Any, update: Any) -> None:
        """Push any raw object to the account's listening sessions."""
        for session in self._server.sessions_of(_entry(account)):
            if session.listening:
                session.push(update)

    def push_channel_too_long(self, account: Any, chat: Chat, *, with_pts: bool = True) -> None:
        update = raw.types.UpdateChannelTooLong(
            channel_id=chat.bare_id, pts=chat.box.pts if with_pts else None
        )
        date = self._world.now
        self.push(
            account, raw.types.Updates(updates=[update], users=[], chats=[], date=date, seq=0)
        )

    def push_too_long(self, account: Any) -> None:
        self.push(account, raw.types.UpdatesTooLong())

    # ── connections and logins ──

    def kill_connections(self) -> None:
        """Every connection is reset, at once."""
        for connection in list(self._server.connections):
            connection.cut()

    @contextmanager
    def freeze(self) -> Iterator[None]:
        """Connections stay open, and nothing that comes in is heard."""
        self._server.frozen = True
        try:
            yield
        finally:
            self._server.frozen = False

    def refuse_connections(self) -> None:
        """New connections are refused until `accept_connections`; old ones live on."""
        self._server.refuse()

    async def accept_connections(self) -> None:
        await self._server.listen()

    def rotate_salts(self) -> None:
        """The next query of every client is refused with bad_server_salt."""
        for key in self._server.keys.values():
            key.salt ^= 1

    def revoke(self, account: Any, error: str = "AUTH_KEY_UNREGISTERED") -> None:
        """End the account's logins: every call gets 401 until it logs in anew."""
        for key in self._server.keys.values():
            if key.account is _entry(account):
                key.revoked = error

    @contextmanager
    def unknown_keys(self) -> Iterator[None]:
        """Transport error 404 for every client, as long as this lasts."""
        known, self._server.keys = self._server.keys, {}
        try:
            yield
        finally:
            self._server.keys = known | self._server.keys

    def forget_keys(self) -> None:
        """Transport error 404 for every client: its auth key is not known any more."""
        self._server.keys.clear()
