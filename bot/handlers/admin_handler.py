"""What the operators ask and order in a private chat with the bot. Nobody else gets an answer.

A command is answered or, where it ends a flow or posts something, first asked back with buttons.
What a button will do is remembered here and nowhere else, so a button does its work once, for whom
it was shown to, within ten minutes, and none after a restart. Orders are written to the tables as
those of a shell are, and heard by the bot in the same way; see `bot.orders`.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import structlog

from bot.errors import BotError, TelegramError, UsageError
from bot.handlers import typed
from bot.models import (
    ENDED_BY_HAND,
    Button,
    ChatId,
    EditedMessage,
    IncomingMessage,
    PostState,
    PressedButton,
    SignalId,
    UnixTime,
)
from bot.operator import phone
from bot.operator.failed import (
    NUMBER,
    ask_to_read_again,
    ask_to_retry_all,
    failure_of,
    read_again,
    retry,
)
from bot.operator.flows import HELD, find_signal, overview, release, signal_of, thread, title
from bot.operator.links import names_a_message, pointer
from bot.operator.posting import pause, resume
from bot.operator.status import Health, as_rows, status
from bot.operator.why import in_hand, why
from bot.operator.wording import counted, excerpt
from bot.render import split
from bot.storage import records

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from bot.config import Settings
    from bot.models import AuthorId, Entity, Event, MessageId
    from bot.operator.why import InHand
    from bot.storage.store import SignalStore

log = structlog.get_logger(__name__)

COMMANDS: Final = {
    "status": "How the bot is doing",
    "flows": "The live flows, or what was said in one",
    "why": "What became of a message, and why",
    "release": "End a flow by hand",
    "retry": "Try again what failed",
    "pause": "Post nothing until /resume",
    "resume": "Post again, in order",
    "help": "What there is",
}
HELP: Final = """\
/status  how the bot is doing
/flows  the live flows
/flows all  the released ones, too
/flows BTC/USDT  those of a pair
/flows 3  what was said in flow 3
/why LINK  what became of a message;
  or forward a channel's post to me
/release 3  end flow 3 by hand
/retry  try again what failed
/retry 5  … or this post
/retry LINK  … or this message
/pause  post nothing, lose nothing
/resume  post again, in order

A flow is named by its number, or by
the link of any message in it."""
FORGOTTEN: Final = (
    "This button is too old, or was made before the bot started anew. Give the order again."
)
UNTOLD: Final = (
    "Telegram does not say which message of a group a forward was. Copy the message's link and "
    "send it: /why https://t.me/c/…"
)
VALID_FOR: Final = 300  # seconds after which a command that was not heard is out of date
CONFIRM_WITHIN: Final = 600  # seconds
WAITING_MAX, REMEMBERED_MAX = 32, 200
FLOWS_SHOWN, BUTTONS_SHOWN = 20, 6
PARTS_MAX: Final = 4  # messages for one answer
TOAST_MAX: Final = 190  # characters; Telegram shows 200
PAIR: Final = re.compile(r"\w*[A-Za-z]\w*(?:[/-]\w+)?")
ASKS: Final = re.compile(r"ask:(release|retry|reread):([0-9]{0,18})")


class Chat(Protocol):
    """Private chats with our operators. Raises `TelegramError`."""

    async def send(
        self,
        to: ChatId,
        text: str,
        entities: Sequence[Entity] = (),
        buttons: Sequence[Sequence[Button]] = (),
    ) -> None: ...

    async def edit(
        self, chat_id: ChatId, message_id: MessageId, text: str, entities: Sequence[Entity] = ()
    ) -> None: ...

    async def answer(self, query_id: int, text: str, *, alert: bool = False) -> None: ...

    async def read(self, message_id: MessageId) -> IncomingMessage | None: ...

    async def offer(self, user: AuthorId, commands: Mapping[str, str]) -> bool: ...


class Answer(NamedTuple):
    text: str
    entities: tuple[Entity, ...] = ()
    buttons: tuple[tuple[Button, ...], ...] = ()


class Reaction(NamedTuple):
    """To a pressed button: what pops up, what its message becomes, and what is sent besides."""

    toast: str = ""
    alert: bool = False
    becomes: Answer | None = None  # None: as it is
    besides: Answer | None = None


class Order(NamedTuple):
    """What a button will do. `subject` is a signal, a post or a failure; None: all that failed."""

    what: str  # release | retry | reread
    subject: int | None


class Confirmation(NamedTuple):
    order: Order | None  # None: that was it
    user: AuthorId
    asked_at: float


class AdminHandler:
    """`tables` is a connection of its own, so that no question of an operator holds up the intake.

    `facts` is what `/healthz` would say. `clock` is unix seconds; `token` names a button.
    """

    def __init__(
        self,
        tables: SignalStore,
        settings: Settings,
        chat: Chat,
        *,
        facts: Callable[[], Awaitable[Mapping[str, Any]]],
        clock: Callable[[], float] = time.time,
        token: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        self._tables = tables
        self._settings = settings
        self._chat = chat
        self._admins = frozenset(settings.admin_users)
        self._facts = facts
        self._clock = clock
        self._token = token
        self._waiting: asyncio.Queue[IncomingMessage | PressedButton] = asyncio.Queue(WAITING_MAX)
        self._asked: OrderedDict[str, Confirmation] = OrderedDict()
        self._offered: set[AuthorId] = set()
        self._commands: dict[str, Callable[[str, IncomingMessage], Awaitable[Answer]]] = {
            "start": self._help,
            "help": self._help,
            "status": self._status,
            "flows": self._flows,
            "why": self._why,
            "release": self._release,
            "retry": self._retry,
            "pause": self._pause,
            "resume": self._resume,
        }

    # ── hearing ──

    def hear(self, event: Event) -> None:
        """Keep what an operator says for `run`. Returns at once and never raises."""
        match event:
            case (
                IncomingMessage(author=who, chat_id=where, service=False)
                | EditedMessage(IncomingMessage(author=who, chat_id=where))
                | PressedButton(user=who, chat_id=where)
            ):
                pass
            case _:
                return
        # Who speaks in a private chat is the chat: what stands in a group is no order.
        if who not in self._admins or int(where) != who:
            return
        if isinstance(event, EditedMessage):
            typed.why_no_order(event.message)
            return
        try:
            self._waiting.put_nowait(event)
        except asyncio.QueueFull:
            log.warning("too many orders at once, one is dropped", admin=who)

    async def run(self) -> None:
        """Answer, until cancelled. No failure here is the relay's."""
        for admin in self._settings.admin_users:
            await self._offer(admin)
        while True:
            event = await self._waiting.get()
            try:
                await self.handle(event)
            except TelegramError as exc:
                log.warning("an operator was not answered", error=str(exc))
            except Exception:
                log.exception("an operator's order failed")

    async def handle(self, event: IncomingMessage | PressedButton) -> None:
        """Answer one message or button of an operator. Raises `TelegramError`."""
        if isinstance(event, PressedButton):
            await self._pressed(event)
        elif self._clock() - event.at > VALID_FOR:
            log.warning("an old command is not obeyed", admin=event.author, at=event.at)
        elif (why_not := typed.why_no_order(event)) is not None:
            await self._send(event.chat_id, _notice(f"Not obeyed: {why_not}. Type it anew."))
        else:
            if event.author is not None:
                await self._offer(event.author)
            await self._send(event.chat_id, await self._answer_to(event))

    async def tell(self, text: str) -> None:
        """Tell every operator. Who cannot be reached is named in the log."""
        for admin in self._settings.admin_users:
            try:
                await self._send(ChatId(admin), _data(text))
            except TelegramError as exc:
                log.warning("an operator was not told", admin=admin, text=text, error=str(exc))
            except Exception:
                # The alert is in the log, and the relay goes on.
                log.exception("an operator was not told", admin=admin, text=text)

    async def _offer(self, admin: AuthorId) -> None:
        """Once he and the bot have met, Telegram shows him the commands."""
        if admin in self._offered:
            return
        try:
            if await self._chat.offer(admin, COMMANDS):
                self._offered.add(admin)
        except TelegramError as exc:
            log.warning("commands were not registered", admin=admin, error=str(exc))
        except Exception:
            # What ends `run` ends the bot; he can do without a menu.
            log.exception("commands were not registered", admin=admin)

    async def _send(self, to: ChatId, answer: Answer) -> None:
        parts = split(answer.text, answer.entities)
        cut = len(parts) > PARTS_MAX
        for number, part in enumerate(parts[:PARTS_MAX], 1):
            last = number == min(len(parts), PARTS_MAX)
            await self._chat.send(to, part.text, part.entities, answer.buttons if last else ())
        if cut:
            await self._chat.send(to, "… and more, which a shell on its machine shows.")

    # ── commands ──

    async def _answer_to(self, message: IncomingMessage) -> Answer:
        try:
            return await self._obey(message)
        except BotError as exc:
            return _data(phone.as_commands(str(exc)))
        except Exception:
            log.exception("a command failed")
            return _notice("That failed; the bot's log says why.")

    async def _obey(self, message: IncomingMessage) -> Answer:
        if message.forwarded:  # others' words are no command
            return await self._why_forwarded(message)
        word, _, rest = message.text.strip().partition(" ")
        if "\n" in word:
            word, _, more = word.partition("\n")
            rest = f"{more} {rest}"
        if not word.startswith("/"):
            return await self._why_of_link(message.text)
        name = word[1:].partition("@")[0].lower()
        if name not in self._commands:
            return _data(f"There is no {excerpt(word, 30)}. /help shows what there is.")
        return await self._commands[name](rest.strip(), message)

    async def _help(self, rest: str, message: IncomingMessage) -> Answer:
        del rest, message
        return Answer(HELP)

    async def _status(self, rest: str, message: IncomingMessage) -> Answer:
        del rest, message
        schema = await self._tables.ask(self._tables.schema_version)
        health = Health("here", answered=True, facts=await self._facts())
        found = await status(self._tables, self._settings, schema, now=self._now, health=health)
        failed = found.posts[PostState.FAILED] + found.failed
        what = "failure" if found.failed else "post"
        buttons = ((_ask(Order("retry", None), f"Retry {counted(failed, what)}"),),)
        return _shown(phone.rows(as_rows(found)), buttons if failed else ())

    async def _flows(self, rest: str, message: IncomingMessage) -> Answer:
        del message
        if rest and rest.lower() != "all" and not PAIR.fullmatch(rest):
            return await self._thread(rest)
        everything, pair = rest.lower() == "all", rest or None
        found = await overview(
            self._tables,
            self._settings,
            now=self._now,
            pair=None if everything else pair,
            everything=everything,
        )
        if not found:
            return _notice("No such flow is live. /flows all shows the others.")
        shown, more = found[:FLOWS_SHOWN], found[FLOWS_SHOWN:]
        lines = [*phone.flows(shown)]
        if more:
            lines.append(phone.Line(f"… and {counted(len(more), 'older one')}"))
        held = [flow.signal for flow in shown if flow.standing in HELD][:BUTTONS_SHOWN]
        buttons = [_ask(Order("release", int(each)), f"Release {each}") for each in held]
        return _shown(lines, phone.in_rows(buttons))

    async def _thread(self, rest: str) -> Answer:
        signal_id = await find_signal(self._tables, self._settings, rest)
        found = await thread(self._tables, self._settings, signal_id, now=self._now)
        return _shown(phone.thread(found), phone.in_rows(await self._buttons_for(rest)))

    async def _why(self, rest: str, message: IncomingMessage) -> Answer:
        if rest:
            return await self._story(rest)
        if message.reply_to is None:
            raise UsageError("which message? /why LINK, or /why as a reply to a forwarded one")
        answered = await self._chat.read(message.reply_to.message_id)
        if answered is None or not answered.forwarded:
            raise UsageError("that is no forwarded message: /why LINK names one by its link")
        return await self._why_forwarded(answered)

    async def _why_forwarded(self, message: IncomingMessage) -> Answer:
        if message.forward_of is None:
            return _notice(UNTOLD)
        chat_id, message_id = message.forward_of
        return await self._story(f"{chat_id}:{message_id}")

    async def _why_of_link(self, text: str) -> Answer:
        try:
            asked = pointer(text)
        except UsageError:
            asked = None
        if asked is None or (asked.chat_id is None and asked.name is None):
            return _notice("I know commands and links to messages. /help shows what there is.")
        return await self._story(text)

    async def _story(self, which: str) -> Answer:
        story = await why(self._tables, self._settings, which, now=self._now)
        return _shown(phone.rows(story), phone.in_rows(await self._buttons_for(which)))

    async def _buttons_for(self, which: str) -> list[Button]:
        found: InHand = await in_hand(self._tables, self._settings, which, now=self._now)
        retries = [_ask(Order("retry", post), f"Retry post {post}") for post in found.failed]
        if found.failure is not None:
            retries.insert(0, _ask(Order("reread", found.failure), "Read it again"))
        if found.held is None:
            return retries[:BUTTONS_SHOWN]
        ends = _ask(Order("release", found.held), f"Release {found.held}")
        return [*retries, ends][:BUTTONS_SHOWN]

    async def _release(self, rest: str, message: IncomingMessage) -> Answer:
        if not rest:
            raise UsageError("which flow? /release 3, or /release LINK of a message in it")
        signal_id = await find_signal(self._tables, self._settings, rest)
        return await self._confirm(Order("release", signal_id), message.author)

    async def _retry(self, rest: str, message: IncomingMessage) -> Answer:
        if not rest or NUMBER.fullmatch(rest):
            return await self._confirm(Order("retry", int(rest) if rest else None), message.author)
        if not names_a_message(rest):
            raise UsageError(f"{excerpt(rest, 30)!r} is not the number of a post, such as 5")
        found = await failure_of(self._tables, self._settings, rest)
        return await self._confirm(Order("reread", found.id), message.author)

    async def _pause(self, rest: str, message: IncomingMessage) -> Answer:
        del rest
        log.info("ordered", order="pause", admin=message.author)
        return _notice(phone.as_commands(await pause(self._tables)))

    async def _resume(self, rest: str, message: IncomingMessage) -> Answer:
        del rest
        log.info("ordered", order="resume", admin=message.author)
        return _notice(phone.as_commands(await resume(self._tables)))

    @property
    def _now(self) -> UnixTime:
        return UnixTime(int(self._clock()))

    # ── orders and their buttons ──

    async def _confirm(self, order: Order, user: AuthorId | None) -> Answer:
        """Ask back. Raises `UsageError` where there is nothing to be done."""
        assert user is not None  # noqa: S101  # `hear` knows who it is
        question = await self._question(order)
        token = self._token()
        self._remember(token, Confirmation(order, user, self._clock()))
        yes = "Yes, release it" if order.what == "release" else "Yes, retry"
        return _data(question)._replace(
            buttons=((Button(yes, f"yes:{token}"), Button("No", f"no:{token}")),)
        )

    async def _question(self, order: Order) -> str:
        if order.what == "release":
            found = await self._ending(SignalId(order.subject or 0))
            return f"Release signal {order.subject}, {found}? Others may then continue its flow."
        if order.what == "reread":
            return await ask_to_read_again(self._tables, order.subject or 0)
        if order.subject is None:
            return await ask_to_retry_all(self._tables)
        post = await self._tables.ask(partial(records.post, post_id=order.subject))
        if post is None or post.state is not PostState.FAILED:
            raise UsageError(f"there is no failed post {order.subject}: /status names them")
        return f"Put post {order.subject} back in line? {excerpt(post.error or '', 80)}"

    async def _ending(self, signal_id: SignalId) -> str:
        """The signal in words. Raises `UsageError` if its flow cannot be ended."""
        signal = await signal_of(self._tables, signal_id)
        if signal.last_owner_activity == ENDED_BY_HAND:
            raise UsageError(f"the flow of signal {signal_id} was ended by hand already")
        return f"{title(signal)} by {signal.owner}"

    def _remember(self, token: str, confirmation: Confirmation) -> None:
        self._asked[token] = confirmation
        while len(self._asked) > REMEMBERED_MAX:
            self._asked.popitem(last=False)

    async def _pressed(self, press: PressedButton) -> None:
        try:
            reaction = await self._react(press)
        except BotError as exc:
            reaction = Reaction(phone.as_commands(str(exc)), alert=True)
        except Exception:
            log.exception("a button failed")
            reaction = Reaction("That failed; the bot's log says why.", alert=True)
        try:
            toast = excerpt(reaction.toast, TOAST_MAX)
            await self._chat.answer(press.query_id, toast, alert=reaction.alert)
        except TelegramError as exc:  # he waited for too long, and what was done is done
            log.warning("a button was not answered", error=str(exc))
        if reaction.becomes is not None:
            text, entities, _ = reaction.becomes
            await self._chat.edit(press.chat_id, press.message_id, text, entities)
        if reaction.besides is not None:
            await self._send(press.chat_id, reaction.besides)

    async def _react(self, press: PressedButton) -> Reaction:
        asks = ASKS.fullmatch(press.data)
        if asks is not None:
            order = Order(asks[1], int(asks[2]) if asks[2] else None)
            return Reaction(besides=await self._confirm(order, press.user))
        verb, _, rest = press.data.partition(":")
        known = self._asked.get(rest)
        if known is None or known.user != press.user:
            return Reaction(FORGOTTEN, alert=True)
        if known.order is None:
            return Reaction("That was answered already; nothing more was done.", alert=True)
        if self._clock() - known.asked_at > CONFIRM_WITHIN:
            return Reaction(FORGOTTEN, alert=True)
        said = "Nothing was done." if verb != "yes" else await self._carry_out(known.order, press)
        # Only now: where the tables did not answer, the button may be pressed again.
        self._remember(rest, known._replace(order=None))
        return Reaction(said, becomes=_data(said))

    async def _carry_out(self, order: Order, press: PressedButton) -> str:
        log.info("ordered", order=order.what, subject=order.subject, admin=press.user)
        if order.what == "reread":
            return await read_again(self._tables, order.subject) or "that was dealt with already"
        if order.what == "retry":
            which = None if order.subject is None else str(order.subject)
            return await retry(self._tables, self._settings, which)
        signal_id = SignalId(order.subject or 0)
        await self._ending(signal_id)
        return await release(self._tables, signal_id)


def _ask(order: Order, text: str) -> Button:
    """A button that asks back, and so may be pressed at any time."""
    return Button(text, f"ask:{order.what}:{order.subject or ''}")


def _shown(lines: Iterable[phone.Line], buttons: tuple[tuple[Button, ...], ...] = ()) -> Answer:
    return Answer(*phone.page(lines), buttons)


def _notice(text: str) -> Answer:
    """Words of ours and nobody else's; commands in them can be tapped."""
    return Answer("\n".join(line.text for line in phone.wrapped("", text)))


def _data(text: str) -> Answer:
    """Words of ours that others' are in."""
    return _shown(phone.wrapped("", text))
