"""What the operators ask and order in a private chat with the bot. Nobody else gets an answer.

A command is answered or, where it ends a flow or posts something, first asked back with buttons; see
`confirmations`. Orders are written to the tables as those of a shell are, and heard by the bot in
the same way; see `bot.admin.control`.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import structlog

from bot.admin import chat_views, typed
from bot.admin.bulk import Scope, scope
from bot.admin.confirmations import AskedOrder, Confirmations, Reaction, asking
from bot.admin.explain import in_hand, why
from bot.admin.flows import HELD, find_signal, overview, thread
from bot.admin.formatting import excerpt
from bot.admin.links import names_a_message
from bot.admin.pause import pause, resume
from bot.admin.retry import NUMBER, failure_of
from bot.admin.sources import asked
from bot.admin.status import ToldHealth, status
from bot.admin.status_shown import as_rows
from bot.errors import BotError, TelegramError, UsageError, words_of
from bot.models import Button, ChatId, EditedMessage, IncomingMessage, PressedButton, UnixTime
from bot.phrases import later, phrase, plural
from bot.posts import PostState
from bot.routes import main_route
from bot.rules.render import split

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from bot.admin.explain import InHand
    from bot.config import Settings
    from bot.models import AuthorId, Entity, Event, MessageId
    from bot.phrases import Say
    from bot.routes import Routes
    from bot.storage.store import SignalStore

log = structlog.get_logger(__name__)

COMMANDS: Final = {
    "status": later("How the bot is doing"),
    "flows": later("The live flows, or what was said in one"),
    "why": later("What became of a message, and why"),
    "release": later("End a flow by hand"),
    "retry": later("Try again what failed"),
    "pause": later("Post nothing until /resume"),
    "resume": later("Post again, in order"),
    "reload": later("Read routes.toml again"),
    "help": later("What there is"),
}
HELP: Final = later(
    """\
/status  how the bot is doing
/flows  the live flows
/flows all  the released ones, too
/flows BTC/USDT  those of a pair
/flows 3  what was said in flow 3
/why LINK  what became of a message;
  or forward a channel's post to me
/release 3  end flow 3 by hand
/release NAME  … all of a source
/retry  try again what failed
/retry 5  … or this post
/retry LINK  … or this message
/retry NAME  … of a place or a source
/pause  post nothing, lose nothing
/resume  post again, in order
/pause NAME  … a place or a source alone
/reload  take over a changed routes.toml

A flow is named by its number, or by
the link of any message in it."""
)
UNTOLD: Final = later(
    "Telegram does not say which message of a group a forward was. Copy the message's link and "
    "send it: /why https://t.me/c/…"
)
FAILED: Final = later("That failed; the bot's log says why.")
VALID_FOR: Final = 300  # seconds after which a command that was not heard is out of date
WAITING_MAX: Final = 32
FLOWS_SHOWN, BUTTONS_SHOWN = 20, 6
PARTS_MAX: Final = 4  # messages for one answer
TOAST_MAX: Final = 190  # characters; Telegram shows 200
PAIR: Final = re.compile(r"\w*[A-Za-z]\w*(?:[/-]\w+)?")


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


class Running(NamedTuple):
    """What is asked of the bot itself, and not of the tables."""

    facts: Callable[[], Awaitable[Mapping[str, Any]]]  # what `/healthz` would say
    reload: Callable[[], Awaitable[str]]  # what has changed then. Raises `BotError`


class AdminHandler:
    """`tables` is a connection of its own, so that no question of an operator holds up the intake.

    `routes` None: the settings'. `say` is the language of all operators. `clock` is unix
    seconds; `token` names a button.
    """

    def __init__(
        self,
        tables: SignalStore,
        settings: Settings,
        chat: Chat,
        bot: Running,
        *,
        routes: Routes | None = None,
        say: Say = str,
        clock: Callable[[], float] = time.time,
        token: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        self._tables = tables
        self._settings = settings
        self._routes = main_route(settings) if routes is None else routes
        self._chat = chat
        self._admins = frozenset(settings.admin_users)
        self._bot = bot
        self._say = say
        self._clock = clock
        self._waiting: asyncio.Queue[IncomingMessage | PressedButton] = asyncio.Queue(WAITING_MAX)
        self._confirmations = Confirmations(
            tables, settings, lambda: self._routes, say=say, clock=clock, token=token
        )
        self._offered: set[AuthorId] = set()
        self._commands: dict[
            str, Callable[[str, IncomingMessage], Awaitable[chat_views.Answer]]
        ] = {
            "start": self._help,
            "help": self._help,
            "status": self._status,
            "flows": self._flows,
            "why": self._why,
            "release": self._release,
            "retry": self._retry,
            "pause": self._pause,
            "resume": self._resume,
            "reload": self._reload,
        }

    def follow(self, routes: Routes) -> None:
        """Answer by these from now on."""
        self._routes = routes

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
            text = phrase("Not obeyed: {why}. Type it anew.", why=why_not)
            await self._send(event.chat_id, self._notice(text))
        else:
            if event.author is not None:
                await self._offer(event.author)
            await self._send(event.chat_id, await self._answer_to(event))

    async def tell(self, text: str) -> None:
        """Tell every operator. Who cannot be reached is named in the log."""
        for admin in self._settings.admin_users:
            try:
                await self._send(ChatId(admin), self._data(text))
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
            offered = {name: self._say(phrase(what)) for name, what in COMMANDS.items()}
            if await self._chat.offer(admin, offered):
                self._offered.add(admin)
        except TelegramError as exc:
            log.warning("commands were not registered", admin=admin, error=str(exc))
        except Exception:
            # What ends `run` ends the bot; he can do without a menu.
            log.exception("commands were not registered", admin=admin)

    async def _send(self, to: ChatId, answer: chat_views.Answer) -> None:
        parts = split(answer.text, answer.entities)
        cut = len(parts) > PARTS_MAX
        for number, part in enumerate(parts[:PARTS_MAX], 1):
            last = number == min(len(parts), PARTS_MAX)
            await self._chat.send(to, part.text, part.entities, answer.buttons if last else ())
        if cut:
            more = phrase("… and more, which a shell on its machine shows.")
            await self._chat.send(to, self._say(more))

    # ── commands ──

    async def _answer_to(self, message: IncomingMessage) -> chat_views.Answer:
        try:
            return await self._obey(message)
        except BotError as exc:
            return self._data(words_of(exc))
        except Exception:
            log.exception("a command failed")
            return self._notice(phrase(FAILED))

    async def _obey(self, message: IncomingMessage) -> chat_views.Answer:
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
            what = excerpt(word, 30)
            text = phrase("There is no {command}. /help shows what there is.", command=what)
            return self._data(text)
        return await self._commands[name](rest.strip(), message)

    async def _help(self, rest: str, message: IncomingMessage) -> chat_views.Answer:
        del rest, message
        return chat_views.Answer(self._say(phrase(HELP)))

    async def _status(self, rest: str, message: IncomingMessage) -> chat_views.Answer:
        del rest, message
        schema = await self._tables.ask(self._tables.schema_version)
        health = ToldHealth("here", answered=True, facts=await self._bot.facts())
        found = await status(
            self._tables, self._settings, schema, now=self._now, health=health, routes=self._routes
        )
        failed = found.posts[PostState.FAILED] + found.failed
        retry = plural("Retry {n} post", "Retry {n} posts", failed)
        if found.failed:
            retry = plural("Retry {n} failure", "Retry {n} failures", failed)
        buttons = ((asking(AskedOrder("retry", None), self._say(retry)),),)
        lines = chat_views.rows(as_rows(found), self._say)
        return chat_views.shown(lines, buttons if failed else ())

    async def _flows(self, rest: str, message: IncomingMessage) -> chat_views.Answer:
        del message
        known = rest.lower() == "all" or self._routes.source(rest) is not None
        if rest and not known and not PAIR.fullmatch(rest):
            return await self._thread(rest)
        everything, source = rest.lower() == "all", self._routes.source(rest)
        pair = None if everything or source else rest or None
        found = await overview(
            self._tables,
            self._settings,
            now=self._now,
            pair=pair,
            everything=everything,
            source=None if source is None else source.name,
            routes=self._routes,
        )
        if not found:
            return self._notice(phrase("No such flow is live. /flows all shows the others."))
        shown, more = found[:FLOWS_SHOWN], found[FLOWS_SHOWN:]
        lines = [*chat_views.flows(shown, self._say)]
        if more:
            rest = plural("… and {n} older one", "… and {n} older ones", len(more))
            lines.append(chat_views.ChatLine(self._say(rest)))
        held = [flow.signal for flow in shown if flow.standing in HELD][:BUTTONS_SHOWN]
        buttons = [self._release_button(int(each)) for each in held]
        return chat_views.shown(lines, chat_views.in_rows(buttons))

    async def _thread(self, rest: str) -> chat_views.Answer:
        signal_id = await find_signal(self._tables, self._settings, rest, routes=self._routes)
        found = await thread(
            self._tables, self._settings, signal_id, now=self._now, routes=self._routes
        )
        return chat_views.shown(
            chat_views.thread(found, self._say), chat_views.in_rows(await self._buttons_for(rest))
        )

    async def _why(self, rest: str, message: IncomingMessage) -> chat_views.Answer:
        if rest:
            return await self._story(rest)
        if message.reply_to is None:
            raise UsageError(
                phrase("which message? /why LINK, or /why as a reply to a forwarded one")
            )
        answered = await self._chat.read(message.reply_to.message_id)
        if answered is None or not answered.forwarded:
            raise UsageError(
                phrase("that is no forwarded message: /why LINK names one by its link")
            )
        return await self._why_forwarded(answered)

    async def _why_forwarded(self, message: IncomingMessage) -> chat_views.Answer:
        if message.forward_of is None:
            return self._notice(phrase(UNTOLD))
        chat_id, message_id = message.forward_of
        return await self._story(f"{chat_id}:{message_id}")

    async def _why_of_link(self, text: str) -> chat_views.Answer:
        try:
            which = asked(self._routes, text)
        except UsageError:
            which = None
        if which is None or (which.chat_id is None and which.name is None):
            return self._notice(
                phrase("I know commands and links to messages. /help shows what there is.")
            )
        return await self._story(text)

    async def _story(self, which: str) -> chat_views.Answer:
        story = await why(self._tables, self._settings, which, now=self._now, routes=self._routes)
        return chat_views.shown(
            chat_views.rows(story, self._say), chat_views.in_rows(await self._buttons_for(which))
        )

    async def _buttons_for(self, which: str) -> list[Button]:
        found: InHand = await in_hand(
            self._tables, self._settings, which, now=self._now, routes=self._routes
        )
        retries = [self._retry_button(post) for post in found.failed]
        if found.failure is not None:
            again = self._say(phrase("Read it again"))
            retries.insert(0, asking(AskedOrder("reread", found.failure), again))
        if found.held is None:
            return retries[:BUTTONS_SHOWN]
        return [*retries, self._release_button(found.held)][:BUTTONS_SHOWN]

    def _release_button(self, signal: int) -> Button:
        text = phrase("Release {signal}", signal=signal)
        return asking(AskedOrder("release", signal), self._say(text))

    def _retry_button(self, post: int) -> Button:
        return asking(AskedOrder("retry", post), self._say(phrase("Retry post {post}", post=post)))

    async def _release(self, rest: str, message: IncomingMessage) -> chat_views.Answer:
        if not rest:
            raise UsageError(phrase("which flow? /release 3, or /release LINK of a message in it"))
        source = None if NUMBER.fullmatch(rest) else self._routes.source(rest.lower())
        if source is not None:
            order = AskedOrder("release", None, Scope(source=source.name))
            return await self._confirmations.ask_back(order, message.author)
        signal_id = await find_signal(self._tables, self._settings, rest, routes=self._routes)
        return await self._confirmations.ask_back(AskedOrder("release", signal_id), message.author)

    async def _retry(self, rest: str, message: IncomingMessage) -> chat_views.Answer:
        if not rest or NUMBER.fullmatch(rest):
            return await self._confirmations.ask_back(
                AskedOrder("retry", int(rest) if rest else None), message.author
            )
        if not names_a_message(rest):
            return await self._retry_in(rest, message)
        found = await failure_of(self._tables, self._settings, rest, routes=self._routes)
        return await self._confirmations.ask_back(AskedOrder("reread", found.id), message.author)

    async def _retry_in(self, name: str, message: IncomingMessage) -> chat_views.Answer:
        try:
            order = AskedOrder("retry", None, await scope(self._tables, name))
        except UsageError as exc:
            raise UsageError(
                phrase(
                    "{text} is not the number of a post, such as 5, and {error}",
                    text=repr(excerpt(name, 30)),
                    error=words_of(exc),
                )
            ) from exc
        return await self._confirmations.ask_back(order, message.author)

    async def _pause(self, rest: str, message: IncomingMessage) -> chat_views.Answer:
        log.info("ordered", order="pause", subject=rest, admin=message.author)
        return self._notice(await pause(self._tables, rest or None))

    async def _resume(self, rest: str, message: IncomingMessage) -> chat_views.Answer:
        log.info("ordered", order="resume", subject=rest, admin=message.author)
        return self._notice(await resume(self._tables, rest or None))

    async def _reload(self, rest: str, message: IncomingMessage) -> chat_views.Answer:
        log.info("ordered", order="reload", admin=message.author)
        if rest:
            raise UsageError(phrase("/reload stands alone: all of the file is read again"))
        return self._data(await self._bot.reload())

    def _notice(self, text: str) -> chat_views.Answer:
        return chat_views.notice(chat_views.as_commands(self._say(text)))

    def _data(self, text: str) -> chat_views.Answer:
        return chat_views.data(chat_views.as_commands(self._say(text)))

    @property
    def _now(self) -> UnixTime:
        return UnixTime(int(self._clock()))

    # ── buttons ──

    async def _pressed(self, press: PressedButton) -> None:
        try:
            reaction = await self._confirmations.react(press)
        except BotError as exc:
            reaction = Reaction(chat_views.as_commands(self._say(words_of(exc))), alert=True)
        except Exception:
            log.exception("a button failed")
            reaction = Reaction(self._say(phrase(FAILED)), alert=True)
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
