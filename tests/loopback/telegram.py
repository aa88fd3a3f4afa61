"""`LoopbackTelegram`: the whole of it, started and stopped as one."""

import asyncio
import base64
import itertools
import os
import struct
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any, Self

from pyrogram import Client
from pyrogram.storage import sqlite_storage

from tests.loopback import rpc_chats, rpc_login, rpc_messages
from tests.loopback.calls import CallLog
from tests.loopback.faults import Faults
from tests.loopback.handshake import RSA_EXPONENT, RSA_FINGERPRINT, RSA_MODULUS
from tests.loopback.launch import REDIRECTION, Program, launch
from tests.loopback.media import DATA_CENTRE, Document, Photo
from tests.loopback.people import Person
from tests.loopback.rpc import HANDLERS, Desk
from tests.loopback.snapshots import Seen, seen
from tests.loopback.transport import HOST, MtprotoServer
from tests.loopback.world import (
    API_HASH,
    API_ID,
    Account,
    Chat,
    Kind,
    Member,
    Place,
    Role,
    Rules,
    World,
)

SESSION_STRING = ">BI?256sQ?"  # data centre, API id, test mode, auth key, user id, bot
RECONNECT_PATIENCE = 2  # seconds

FIRST_USER_ID = 7_000_000_001
FIRST_GROUP_ID = 5_000_001
FIRST_CHANNEL_ID = 1_500_000_001

People = Iterable[Person]

# Imported for their handlers, which register themselves.
assert HANDLERS, (rpc_chats, rpc_login, rpc_messages)


class _CallersByName:
    """`inspect` as Pyrogram's storage needs it: who called, without reading source files.

    Pyrogram 2.0.106 asks `inspect.stack()` on every access to a session's fields; that reads
    the source around every frame, and on pytest's deep stacks costs 30 ms a time, a second
    for each login. The names it wants cost nothing.
    """

    @staticmethod
    def stack() -> list[SimpleNamespace]:
        frames: list[SimpleNamespace] = []
        frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - what inspect.stack does
        while frame is not None:
            frames.append(SimpleNamespace(function=frame.f_code.co_name))
            frame = frame.f_back
        return frames


class LoopbackTelegram:
    """Telegram's side. Inside `async with`, clients of this process are redirected to it, too.

    `clock` is the world's time in seconds: message dates, `date` of the update state.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._desk = Desk(World(clock), CallLog())
        self._ids = itertools.count()
        self._programs: list[Program] = []
        self._clients: list[Client] = []
        self._undo: list[Callable[[], None]] = []

    @property
    def world(self) -> World:
        return self._desk.world

    @property
    def rules(self) -> Rules:
        return self._desk.world.rules

    @property
    def calls(self) -> CallLog:
        return self._desk.calls

    @property
    def faults(self) -> Faults:
        return self._desk.faults

    @property
    def server(self) -> MtprotoServer:
        return self._desk.server

    async def __aenter__(self) -> Self:
        await self.server.listen()
        self._redirect()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        try:
            await self._close()
        finally:
            for undo in reversed(self._undo):
                undo()
        if self.server.problems:
            raise ExceptionGroup("the loopback server failed", self.server.problems)

    async def _close(self) -> None:
        for client in self._clients:
            if client.is_connected:
                await self._stop(client)
        for program in self._programs:
            await program.close()
        await self.server.close()

    @staticmethod
    async def _stop(client: Client) -> None:
        # A client that is stopped in the midst of reconnecting goes on reconnecting: Pyrogram's
        # restart does not look whether it is still wanted.
        with suppress(TimeoutError):
            async with asyncio.timeout(RECONNECT_PATIENCE):
                await client.session.is_started.wait()
        await client.stop()

    def _redirect(self) -> None:
        sys.path.insert(0, str(REDIRECTION))
        try:
            from loopback_redirection import redirect  # noqa: PLC0415 - it has no package
        finally:
            sys.path.remove(str(REDIRECTION))
        if hasattr(sqlite_storage, "inspect"):
            self._undo.append(partial(setattr, sqlite_storage, "inspect", sqlite_storage.inspect))
            sqlite_storage.inspect = _CallersByName
        key = (RSA_FINGERPRINT, RSA_MODULUS, RSA_EXPONENT)
        self._undo += redirect((HOST, self.server.port), key)

    # ── who and what there is ──

    def user(self, name: str, *, id: int | None = None, username: str | None = None) -> Person:  # noqa: A002 - ids are what the API is about
        return self._person(Account(id or FIRST_USER_ID + next(self._ids), name, username))

    def bot(self, username: str, *, token: str = "42:loopback") -> Person:
        """A bot's id is the number its token begins with."""
        return self._person(Account(int(token.split(":", 1)[0]), username, username, token))

    def _person(self, account: Account) -> Person:
        if account.id in self.world.accounts:
            raise ValueError(f"there is an account {account.id} already")
        self.world.accounts[account.id] = account
        return Person(self._desk, account)

    def supergroup(self, title: str, *, forum: bool = False, **more: Any) -> Chat:
        """`id` is the bare one (no -100), and may be above 2147483647; see `_chat` for the rest."""
        chat = self._chat(Kind.SUPERGROUP, FIRST_CHANNEL_ID, title, **more)
        chat.forum = forum
        return chat

    def channel(self, title: str, *, linked: Chat | None = None, **more: Any) -> Chat:
        """`linked`: the supergroup its posts are discussed in."""
        chat = self._chat(Kind.CHANNEL, FIRST_CHANNEL_ID, title, **more)
        if linked is not None:
            chat.linked, linked.linked = linked, chat
        return chat

    def group(self, title: str, **more: Any) -> Chat:
        """A basic group."""
        return self._chat(Kind.GROUP, FIRST_GROUP_ID, title, **more)

    def _chat(
        self,
        kind: Kind,
        first_id: int,
        title: str,
        *,
        id: int | None = None,  # noqa: A002 - ids are what the API is about
        members: People = (),
        admins: People = (),
        username: str | None = None,
    ) -> Chat:
        bare_id = id or first_id + next(self._ids)
        chat = Chat(kind, bare_id, title, self.world.now, username=username)
        chat.members.update({person.account: Member(Role.MEMBER) for person in members})
        chat.members.update({person.account: Member(Role.ADMIN) for person in admins})
        self.world.chats[chat.id] = chat
        return chat

    def photo(self, content: bytes = b"\xff\xd8\xff a photo") -> Photo:
        photo = Photo(self.world.number(), self.world.number(), self.world.now, content)
        self.world.media[photo.id] = photo
        return photo

    def document(
        self,
        name: str = "report.txt",
        mime_type: str = "text/plain",
        content: bytes = b"report",
        attributes: Iterable[Any] = (),
    ) -> Document:
        """Raw attributes make it a video, a voice message, a sticker."""
        document = Document(
            self.world.number(),
            self.world.number(),
            self.world.now,
            name,
            mime_type,
            content,
            tuple(attributes),
        )
        self.world.media[document.id] = document
        return document

    # ── what a test reads ──

    def messages(
        self, place: Chat | Person, other: Person | None = None, *, deleted: bool = False
    ) -> list[Seen]:
        """A chat's messages, service messages among them; `deleted` adds the deleted ones.

        Of a private chat give both people; its ids are then the first one's.
        """
        viewer = None
        where: Place
        if isinstance(place, Chat):
            where = place
        elif other is not None:
            where, viewer = self.world.dialogue(place.account, other.account), place.account
        else:
            raise TypeError("a private chat has two people")
        found = self.world.messages(where)
        return [seen(m, viewer) for m in found if deleted or not m.deleted]

    async def wait_for(
        self,
        condition: Callable[[], Any],
        *,
        timeout: float = 10,  # noqa: ASYNC109 - the failure must say what was waited for
        what: str | None = None,
    ) -> None:
        """Until `condition()` holds, asked again whenever anything happened here.

        What happens elsewhere, say in a client's handler, is told by `notify`.
        """
        try:
            async with asyncio.timeout(timeout):
                while not condition():
                    await self._desk.change()
        except TimeoutError:
            asked = ", ".join(self.calls.names()[-12:])
            raise AssertionError(
                f"{what or 'the condition'} did not hold within {timeout} s; last calls: {asked}"
            ) from None

    async def pause(self, seconds: float) -> None:
        """Until anything happens here, and no longer than that: between two looks elsewhere."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._desk.change()

    def notify(self) -> None:
        """Let those who wait look again."""
        self._desk.notify()

    def sessions(self, person: Person) -> int:
        """How many connected sessions of this account hear pushes."""
        sessions = self.server.sessions_of(person.account)
        return sum(1 for s in sessions if s.connected and s.listening)

    # ── clients ──

    def session_string(self, person: Person) -> str:
        """A login of its own, as a string both libraries read."""
        auth_key = os.urandom(256)
        self.server.add_key(auth_key, person.account)
        packed = struct.pack(
            SESSION_STRING,
            DATA_CENTRE,
            API_ID,
            False,
            auth_key,
            person.id,
            person.account.bot,
        )
        return base64.urlsafe_b64encode(packed).decode().rstrip("=")

    def client(self, name: str, person: Person, **options: Any) -> Client:
        """A real client, not started: with the bot's token, or a session string for a user.

        Options are the client's own. Without `workdir` nothing is written to disk.
        """
        if person.token and "session_string" not in options:
            options.setdefault("bot_token", person.token)
            options.setdefault("in_memory", "workdir" not in options)
        elif "workdir" not in options:
            options.setdefault("session_string", self.session_string(person))
        client = Client(name, api_id=API_ID, api_hash=API_HASH, **options)
        self._clients.append(client)
        return client

    async def run(
        self,
        arguments: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | Path | None = None,
    ) -> Program:
        """Start this interpreter with these arguments, its Telegram being this one."""
        program = await launch(arguments, port=self.server.port, env=env, cwd=cwd)
        self._programs.append(program)
        return program
