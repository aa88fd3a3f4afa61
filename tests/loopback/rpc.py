"""From a query to its answer: who asks, what fault strikes, which handler answers.

Handlers live in `rpc_login.py`, `rpc_messages.py` and `rpc_chats.py`; each is a plain
function `(desk, call) -> answer`, registered under the name Telegram documents.
A handler never awaits, so a query is executed whole or not at all.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pyrogram import raw
from pyrogram.raw.core import TLObject

from tests.loopback.calls import Call, CallLog, RpcFailure
from tests.loopback.faults import Faults
from tests.loopback.tl import encode, find, name_of
from tests.loopback.transport import MtprotoServer, Session
from tests.loopback.views import View
from tests.loopback.world import Account, Event, Owner, World

Handler = Callable[["Desk", Call], Any]

HANDLERS: dict[type, Handler] = {}

WRAPPERS = tuple(
    wrapper
    for name in (
        "InvokeWithLayer",
        "InitConnection",
        "InvokeWithoutUpdates",
        "InvokeAfterMsg",
        "InvokeWithTakeout",
    )
    if (wrapper := find(f"functions.{name}"))
)

# What one may ask before logging in.
OPEN_TO_ALL = {
    "help.GetConfig",
    "help.GetNearestDc",
    "auth.ImportBotAuthorization",
    "auth.SendCode",
    "auth.LogOut",
}

# Refused to bots with BOT_METHOD_INVALID ("Available to: users only" in the documentation).
USERS_ONLY = {
    "account.UpdateStatus",
    "account.InitTakeoutSession",
    "channels.GetForumTopics",
    "channels.GetForumTopicsByID",
    "channels.JoinChannel",
    "channels.ReadHistory",
    "contacts.GetContacts",
    "contacts.ResolvePhone",
    "contacts.Search",
    "messages.GetAllDrafts",
    "messages.GetBotCallbackAnswer",
    "messages.GetDialogFilters",
    "messages.GetDialogs",
    "messages.GetForumTopics",
    "messages.GetForumTopicsByID",
    "messages.GetHistory",
    "messages.GetPeerDialogs",
    "messages.GetPinnedDialogs",
    "messages.GetReplies",
    "messages.GetUnreadMentions",
    "messages.ImportChatInvite",
    "messages.ReadHistory",
    "messages.Search",
    "messages.SearchGlobal",
}


def handles(*names: str) -> Callable[[Handler], Handler]:
    """Register a handler for raw functions, those that this library has."""

    def register(handler: Handler) -> Handler:
        for name in names:
            kind = find(f"functions.{name}")
            if kind is not None:
                HANDLERS[kind] = handler
        return handler

    return register


@dataclass(eq=False)
class Question:
    """A pressed button, waiting for the bot's messages.setBotCallbackAnswer."""

    answer: "asyncio.Future[Any]"


@dataclass(eq=False)
class Desk:
    """What the handlers work with."""

    world: World
    calls: CallLog
    uploads: dict[int, dict[int, bytes]] = field(default_factory=dict)  # file id → parts
    questions: dict[int, Question] = field(default_factory=dict)
    server: MtprotoServer = field(init=False)
    faults: Faults = field(init=False)

    def __post_init__(self) -> None:
        self._changed = asyncio.Event()
        self.server = MtprotoServer(self.answer, self.notify, lambda: self.world.rules)
        self.faults = Faults(self.world, self.server)
        self.world.publish = self.publish

    # ── waiting ──

    def notify(self) -> None:
        """Wake whoever waits for something to have changed."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def change(self) -> None:
        await self._changed.wait()

    # ── answering ──

    async def answer(self, session: Session, message_id: int, query: TLObject) -> bytes | None:
        call = self._record(session, message_id, query)
        fault = self.faults.take(call)

        async def execute() -> bytes:
            return self.execute(call)

        try:
            return await (fault.answer(call, execute) if fault else execute())
        except RpcFailure as failure:
            call.error = failure.text
            return raw.types.RpcError(error_code=failure.code, error_message=failure.text).write()
        finally:
            self.notify()

    def _record(self, session: Session, message_id: int, query: Any) -> Call:
        while isinstance(query, WRAPPERS):
            if hasattr(query, "device_model"):
                session.introduction = query
            query = query.query
        call = Call(self.world.clock(), session, message_id, query, session.account)
        self.calls.add(call)
        return call

    def execute(self, call: Call) -> bytes:
        self._admit(call)
        handler = HANDLERS.get(type(call.query))
        if handler is None:
            self.calls.unknown.append(call)
            # A text the libraries know: an unknown one they write to a file where they stand.
            raise RpcFailure(400, "METHOD_INVALID")
        call.executed = True
        call.answer = handler(self, call)
        answer = encode(call.answer)
        self.notify()
        return answer

    def _admit(self, call: Call) -> None:
        name, key = name_of(call.query), call.session.key
        if name not in OPEN_TO_ALL:
            if key.revoked:
                raise RpcFailure(401, key.revoked)
            if call.account is None:
                raise RpcFailure(401, "AUTH_KEY_UNREGISTERED")
        if name in USERS_ONLY and call.account is not None and call.account.bot:
            self.calls.violations.append(call)
            raise RpcFailure(400, "BOT_METHOD_INVALID")

    # ── pushing ──

    def publish(self, events: list[tuple[Owner, Event]], origin: Session | None) -> None:
        """Push to everyone concerned, except to the session that gets it as its answer."""
        for account in self._concerned(events):
            own = [(o, e) for o, e in events if o is account or not isinstance(o, Account)]
            own = [(o, e) for o, e in own if isinstance(o, Account) or o.role(account).inside]
            for session in self.server.sessions_of(account):
                if session.listening and session is not origin:
                    self.faults.deliver(session, self.container(account, own))
        self.notify()

    @staticmethod
    def _concerned(events: list[tuple[Owner, Event]]) -> list[Account]:
        found: dict[Account, None] = {}
        for owner, _event in events:
            readers = [owner] if isinstance(owner, Account) else owner.readers()
            found.update(dict.fromkeys(readers))
        return list(found)

    def container(self, account: Account, events: list[tuple[Owner, Event]]) -> Any:
        short = self._short(account, events)
        if short is not None:
            return short
        view = View(self.world, account, min_peers=self.world.rules.min_peers)
        return view.container([view.update(owner, event) for owner, event in events])

    def _short(self, account: Account, events: list[tuple[Owner, Event]]) -> Any:
        """https://core.telegram.org/constructor/updateShortMessage, where the rules want it."""
        if not self.world.rules.short_private_messages or len(events) != 1:
            return None
        owner, event = events[0]
        view = View(self.world, account)
        update = view.update(owner, event)
        message = getattr(update, "message", None)
        if not isinstance(update, raw.types.UpdateNewMessage) or message.media:
            return None
        if not isinstance(message.peer_id, raw.types.PeerUser):
            return None
        return raw.types.UpdateShortMessage(
            id=message.id,
            user_id=message.peer_id.user_id,
            message=message.message,
            pts=event.pts,
            pts_count=event.count,
            date=message.date,
            out=message.out,
            reply_to=message.reply_to,
            entities=message.entities,
        )

    def push_to(self, account: Account, view: View, *updates: Any) -> None:
        """Push updates that belong to no box."""
        container = view.container(updates)
        for session in self.server.sessions_of(account):
            if session.listening:
                self.faults.deliver(session, container)
