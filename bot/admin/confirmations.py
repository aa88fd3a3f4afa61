"""Orders that end a flow or post something are asked back, and given by a button.

What a button will do is remembered here and nowhere else, so a button does its work once, for whom
it was shown to, within ten minutes, and none after a restart.
"""

from __future__ import annotations

import re
import secrets
import time
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from bot.admin import chat_views
from bot.admin.bulk import Scope, ask_to_release_all, ask_to_retry_in, release_all, retry_in
from bot.admin.flows import by_owner, release, signal_of
from bot.admin.formatting import excerpt
from bot.admin.names import names_of
from bot.admin.retry import ask_to_read_again, ask_to_retry_all, read_again, retry
from bot.errors import UsageError
from bot.models import ENDED_BY_HAND, Button, PressedButton, SignalId, UnixTime
from bot.phrases import later, phrase
from bot.posts import PostState
from bot.storage import post_records

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.config import Settings
    from bot.models import AuthorId
    from bot.phrases import Say
    from bot.routes import Routes
    from bot.storage.store import SignalStore

log = structlog.get_logger(__name__)

FORGOTTEN: Final = later(
    "This button is too old, or was made before the bot started anew. Give the order again."
)
CONFIRM_WITHIN: Final = 600  # seconds
REMEMBERED_MAX: Final = 200
ASKS: Final = re.compile(r"ask:(release|retry|reread):([0-9]{0,18})")


class Reaction(NamedTuple):
    """To a pressed button: what pops up, what its message becomes, and what is sent besides."""

    toast: str = ""
    alert: bool = False
    becomes: chat_views.Answer | None = None  # None: as it is
    besides: chat_views.Answer | None = None


class AskedOrder(NamedTuple):
    """What a button will do. `subject` is a signal, a post or a failure; None: all there is to do so with."""

    what: str  # release | retry | reread
    subject: int | None
    of: Scope | None = None  # where `subject` is None: only of a place or a source

    @property
    def number(self) -> int:
        """Of the signal, post or failure; 0, which none has, for a button that names none."""
        return self.subject or 0


class Confirmation(NamedTuple):
    order: AskedOrder | None  # None: that was it
    user: AuthorId
    asked_at: float


class Confirmations:
    """`routes`: those of now. `clock` is unix seconds; `token` names a button."""

    def __init__(
        self,
        tables: SignalStore,
        settings: Settings,
        routes: Callable[[], Routes],
        *,
        say: Say = str,
        clock: Callable[[], float] = time.time,
        token: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        self._tables = tables
        self._settings = settings
        self._routes = routes
        self._say = say
        self._clock = clock
        self._token = token
        self._asked: OrderedDict[str, Confirmation] = OrderedDict()

    async def ask_back(self, order: AskedOrder, user: AuthorId | None) -> chat_views.Answer:
        """Ask back. Raises `UsageError` where there is nothing to be done."""
        assert user is not None  # noqa: S101  # `hear` knows who it is
        question = await self._question(order)
        token = self._token()
        self._remember(token, Confirmation(order, user, self._clock()))
        release = order.what == "release"
        yes = self._say(phrase("Yes, release it") if release else phrase("Yes, retry"))
        no = self._say(phrase("No"))
        return chat_views.data(self._say(question))._replace(
            buttons=((Button(yes, f"yes:{token}"), Button(no, f"no:{token}")),)
        )

    async def _question(self, order: AskedOrder) -> str:
        if order.of is not None:
            return await self._question_of(order, order.of)
        if order.what == "release":
            found = await self._ending(SignalId(order.number))
            return phrase(
                "Release signal {id}, {signal}? Others may then continue its flow.",
                id=order.subject,
                signal=found,
            )
        if order.what == "reread":
            return await ask_to_read_again(self._tables, order.number)
        if order.subject is None:
            return await ask_to_retry_all(self._tables)
        post = await self._tables.ask(partial(post_records.post, post_id=order.subject))
        if post is None or post.state is not PostState.FAILED:
            raise UsageError(
                phrase("there is no failed post {id}: /status names them", id=order.subject)
            )
        return phrase(
            "Put post {id} back in line? {error}",
            id=order.subject,
            error=excerpt(post.error or "", 80),
        )

    async def _question_of(self, order: AskedOrder, of: Scope) -> str:
        known = self._tables, self._settings
        if order.what == "retry":
            return await ask_to_retry_in(*known, of, self._routes())
        return await ask_to_release_all(*known, str(of), self._routes(), now=self._now)

    @property
    def _now(self) -> UnixTime:
        return UnixTime(int(self._clock()))

    async def _ending(self, signal_id: SignalId) -> str:
        """The signal in words. Raises `UsageError` if its flow cannot be ended."""
        signal = await signal_of(self._tables, signal_id)
        if signal.last_owner_activity == ENDED_BY_HAND:
            raise UsageError(
                phrase("the flow of signal {id} was ended by hand already", id=signal_id)
            )
        return by_owner(signal, await names_of(self._tables, [signal.owner]))

    def _remember(self, token: str, confirmation: Confirmation) -> None:
        self._asked[token] = confirmation
        while len(self._asked) > REMEMBERED_MAX:
            self._asked.popitem(last=False)

    async def react(self, press: PressedButton) -> Reaction:
        """Raises `BotError` where it cannot be done, and what was asked still holds."""
        asks = ASKS.fullmatch(press.data)
        if asks is not None:
            order = AskedOrder(asks[1], int(asks[2]) if asks[2] else None)
            return Reaction(besides=await self.ask_back(order, press.user))
        verb, _, rest = press.data.partition(":")
        known = self._asked.get(rest)
        if known is None or known.user != press.user:
            return Reaction(self._say(phrase(FORGOTTEN)), alert=True)
        if known.order is None:
            answered = phrase("That was answered already; nothing more was done.")
            return Reaction(self._say(answered), alert=True)
        if self._clock() - known.asked_at > CONFIRM_WITHIN:
            return Reaction(self._say(phrase(FORGOTTEN)), alert=True)
        done = phrase("Nothing was done.")
        said = self._say(await self._carry_out(known.order, press) if verb == "yes" else done)
        # Only now: where the tables did not answer, the button may be pressed again.
        self._remember(rest, known._replace(order=None))
        return Reaction(said, becomes=chat_views.data(said))

    async def _carry_out(self, order: AskedOrder, press: PressedButton) -> str:
        subject = order.subject if order.of is None else str(order.of)
        log.info("ordered", order=order.what, subject=subject, admin=press.user)
        if order.of is not None:
            return await self._carry_out_of(order, order.of)
        if order.what == "reread":
            done = await read_again(self._tables, order.number)
            return done or phrase("that was dealt with already")
        if order.what == "retry":
            which = None if order.subject is None else str(order.subject)
            return await retry(self._tables, self._settings, which)
        signal_id = SignalId(order.number)
        await self._ending(signal_id)
        return await release(self._tables, signal_id)

    async def _carry_out_of(self, order: AskedOrder, of: Scope) -> str:
        known = self._tables, self._settings
        if order.what == "retry":
            return await retry_in(*known, of, self._routes())
        return await release_all(*known, str(of), self._routes(), now=self._now)


def asking(order: AskedOrder, text: str) -> Button:
    """A button that asks back, and so may be pressed at any time."""
    return Button(text, f"ask:{order.what}:{order.subject or ''}")
