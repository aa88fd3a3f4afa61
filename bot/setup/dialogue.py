"""The questions of `setup`, in their order; what becomes of the answers is for who asks."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bot.config import Settings
from bot.errors import BotError, RetryLater, TelegramError, UsageError, words_of
from bot.models import EVERYONE, Address, AuthorId, ChatId
from bot.phrases import joined, later, phrase
from bot.routes import main_route
from bot.setting_chats import parse_address
from bot.setting_values import token_is_wrong
from bot.setup import answers as typed_as
from bot.setup.acquaintances import Acquaintances, Chats, Login, person
from bot.setup.answers import NO, YES
from bot.setup.check import Verdict, named, of_account, of_routes, of_source, of_target
from bot.telegram.client import Telegram
from bot.telegram.credentials import Credentials
from bot.telegram.peer_names import FORMS, Human, administrators, dialogs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

    from bot.setup.check import Finding
    from bot.setup.terminal import Terminal
    from bot.telegram.chats import ChatInfo
    from bot.telegram.client import Me
    from bot.telegram.network import Network

# What is asked for.
ASKED: Final = (
    "API_ID", "API_HASH", "BOT_TOKEN", "SESSION_STRING",
    "SOURCE_CHAT_ID", "TARGET_CHAT_ID", "SOURCE_ALLOWED_USERS", "ADMIN_USERS",
)  # fmt: skip
SECRET: Final = frozenset({"API_HASH", "BOT_TOKEN", "SESSION_STRING"})
NONE, AGAIN = "none", "?"
REMINDER: Final = 20.0  # seconds
STYLES: Final = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.FAILURE: "bold red"}


def loaded(answers: Answers) -> dict[str, object]:
    """The answers for `Settings.load`, so that no older value of what is asked for counts."""
    return {
        name.lower(): answers.get(name)
        or (() if name in {"TARGET_CHAT_ID", "ADMIN_USERS"} else None)
        for name in ASKED
    }


if TYPE_CHECKING:
    Look = Callable[[Telegram, ChatId], Awaitable[Finding]]
Answers = dict[str, str | None]  # by setting; None: it is to be left out


class Dialogue:
    """`old` is what the file says so far."""

    def __init__(
        self,
        terminal: Terminal,
        path: Path,
        old: dict[str, str],
        *,
        hide: Callable[[Iterable[str]], None],
        sleep: Callable[[float], Awaitable[None]],
        network: Network,
    ) -> None:
        self._network = network
        self._terminal = terminal
        self._path = path
        self._old = old
        self._hide = hide
        self._sleep = sleep
        self._chats = Acquaintances()

    async def hold(self, *, chats: bool = True) -> Answers:
        """`chats`: these too; else a file says which."""
        self._terminal.say(
            phrase(
                "Enter keeps what stands in brackets. Ctrl-C ends this; nothing is written before "
                "the end."
            )
        )
        # A session of its own: the bot may be running on the one in DATA_DIR.
        with tempfile.TemporaryDirectory(prefix="setup-") as directory:
            async with self._logged_in(Path(directory)) as (telegram, me, answers):
                self._tell(of_account(me))
                if not chats:
                    await self._ask_for_admins(telegram, answers, ())
                    return answers
                await self._ask_for_chats(telegram, me, answers)
        self._terminal.say()
        for finding in of_routes(main_route(Settings.load(loaded(answers)))):
            self._tell(finding)
        return answers

    async def confirm(self, changes: Answers) -> bool:
        say = self._terminal.say
        if self._path.exists():
            say()
            say(phrase("To change in {path}, where all else stays:", path=str(self._path)))
        else:
            say()
            say(phrase("To write into {path}:", path=str(self._path)))
        for name, value in changes.items():
            shown = phrase("left out") if value is None else value
            if value is not None and name in SECRET:
                shown = phrase("(not shown)")
            say(joined("", [f"  {name:<22}", shown]))
        return await self._yes(phrase("Write it?"))

    # ── the account ──

    @asynccontextmanager
    async def _logged_in(self, directory: Path) -> AsyncIterator[tuple[Telegram, Me, Answers]]:
        answers: Answers = {}
        attempt = 0
        keys_wrong = login_wrong = True
        while True:
            if keys_wrong:
                await self._ask_for_keys(answers)
            if login_wrong:
                await self._ask_for_login(answers)
            self._hide(answers[name] or "" for name in SECRET)
            attempt += 1
            telegram = self._telegram(answers, directory / str(attempt))
            try:
                with self._terminal.working(phrase("logging in …")):
                    me = await telegram.start()
                break
            except RetryLater as exc:
                # Its own text thinks of a kept login, and here is none.
                self._wrong(words_of(exc.__cause__ if isinstance(exc.__cause__, BotError) else exc))
                await self._terminal.ask(phrase("Enter tries it again, after a while:"))
                keys_wrong = login_wrong = False
            except TelegramError as exc:
                self._wrong(words_of(exc))
                keys_wrong = "API_ID" in str(exc)
                login_wrong = not keys_wrong
        try:
            yield telegram, me, answers
        finally:
            await telegram.stop()

    def _telegram(self, answers: Answers, directory: Path) -> Telegram:
        credentials = Credentials(
            int(answers["API_ID"] or 0),
            answers["API_HASH"] or "",
            directory,
            bot_token=answers["BOT_TOKEN"],
            session_string=answers["SESSION_STRING"],
            network=self._network,
        )
        return Telegram(credentials, on_overheard=self._chats.overhear)

    async def _ask_for_keys(self, answers: Answers) -> None:
        self._terminal.say()
        self._terminal.say(
            phrase("The application, from https://my.telegram.org (API development tools)")
        )
        api_id, api_hash = phrase("API id"), phrase("API hash")
        answers["API_ID"] = await self._answer(api_id, "API_ID", typed_as.api_id)
        answers["API_HASH"] = await self._answer(api_hash, "API_HASH", typed_as.api_hash)

    async def _ask_for_login(self, answers: Answers) -> None:
        self._terminal.say()
        self._terminal.say(
            phrase(
                "The bot's token, from @BotFather; or a session string, to run as a user account"
            )
        )
        name = "SESSION_STRING" if self._old.get("SESSION_STRING") else "BOT_TOKEN"
        login = await self._answer(phrase("Token"), name, typed_as.login)
        is_token = token_is_wrong(login) is None
        answers["BOT_TOKEN"] = login if is_token else None
        answers["SESSION_STRING"] = None if is_token else login

    async def _answer(self, question: str, name: str, parse: Callable[[str], str]) -> str:
        """Asked until it is right. The old value is kept by Enter, if it is right itself."""
        old = self._old.get(name, "")
        hidden = name in SECRET
        with suppress(ValueError):
            parse(old)
            known = phrase("the one you have") if hidden else old
            question = joined("", [question, " [", known, "]"])
        question = joined("", [question, ":"])
        while True:
            typed = await self._terminal.ask(question, hidden=hidden)
            try:
                return parse(typed or old)
            except ValueError as exc:
                self._wrong(words_of(exc))

    # ── chats and people ──

    async def _ask_for_chats(self, telegram: Telegram, me: Me, answers: Answers) -> None:
        where = Chats(telegram, self._chats)
        with self._terminal.working(phrase("looking for chats …")):
            await where.look(self._old_ids("SOURCE_CHAT_ID", "TARGET_CHAT_ID"))
            if not me.is_bot:
                with suppress(TelegramError):
                    await where.look(await dialogs(telegram))
        async with self._announced(where, me):
            self._terminal.say()
            self._terminal.say(phrase("Where are the signals?"))
            self._how(me, where, but=())
            source = await self._ask_for_chat(where, "SOURCE_CHAT_ID", of_source, ())
            answers["SOURCE_CHAT_ID"] = str(source.id)
            self._terminal.say()
            self._terminal.say(phrase("Where are they to be posted?"))
            self._how(me, where, but=[source.id])
            answers["TARGET_CHAT_ID"] = await self._ask_for_targets(where, source)
        await self._ask_for_everybody(telegram, source, answers)

    async def _ask_for_everybody(
        self, telegram: Telegram, source: ChatInfo, answers: Answers
    ) -> None:
        rulers = await self._rulers(telegram, source)
        answers["SOURCE_ALLOWED_USERS"] = await self._ask_who_may_post(
            telegram, "SOURCE_ALLOWED_USERS", rulers, source
        )
        await self._ask_for_admins(telegram, answers, rulers)

    async def _ask_who_may_post(
        self, telegram: Telegram, setting: str, rulers: Sequence[Human], source: ChatInfo
    ) -> str | None:
        self._terminal.say()
        self._terminal.say(
            phrase(
                "Who may post signals? Their numbers or ids, with commas between them; "
                "or `{everyone}`: everybody in the chat.\n"
                "Whoever is missing here may post something there; then `{again}` lists them anew.",
                everyone=EVERYONE.value,
                again=AGAIN,
            )
        )
        return await self._ask_for_people(
            telegram,
            setting,
            lambda: [*rulers, *self._chats.authors(source.id)],
            word=EVERYONE.value,
            means=EVERYONE.value,
        )

    async def _ask_for_admins(
        self, telegram: Telegram, answers: Answers, rulers: Sequence[Human]
    ) -> None:
        self._terminal.say()
        self._terminal.say(
            phrase(
                "Who may give the bot orders? The same way, or `{none}`. "
                "Whoever writes to the bot in private is listed, too.",
                none=NONE,
            )
        )
        answers["ADMIN_USERS"] = await self._ask_for_people(
            telegram,
            "ADMIN_USERS",
            lambda: [human for human in [*rulers, *self._chats.in_private] if human.id > 0],
            word=NONE,
            means=None,
        )

    def _how(self, me: Me, where: Chats, *, but: Sequence[ChatId]) -> None:
        """`but`: chats that are no answer. The others keep their numbers."""
        if me.is_bot:
            text = later(
                "Add the bot there, or post something there now: the chat will appear here.\n"
                "Or type {forms}."
            )
        else:
            text = later("Type its number, or {forms}.")
        self._terminal.say(phrase(text, forms=phrase(FORMS)))
        for number, chat in enumerate(where.known, 1):
            if chat.id not in but:
                self._show(number, chat)

    @asynccontextmanager
    async def _announced(self, where: Chats, me: Me) -> AsyncIterator[None]:
        """Say which chats turn up, while a question is open."""

        async def announce() -> None:
            while True:
                chat = await where.heard()
                if chat is not None:
                    self._show(len(where.known), chat)

        async def remind() -> None:
            waited = 0.0
            while me.is_bot and not where.known:
                await self._sleep(REMINDER)
                waited += REMINDER
                if not where.known:
                    text = phrase(
                        "Nothing heard for {seconds} s. With @BotFather, /setprivacy must say "
                        "Disable; then remove the bot from the group and add it again.",
                        seconds=f"{waited:.0f}",
                    )
                    self._terminal.say(text, "yellow")

        tasks = [asyncio.create_task(announce()), asyncio.create_task(remind())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _ask_for_targets(self, where: Chats, source: ChatInfo) -> str:
        old = self._old_ids("TARGET_CHAT_ID")
        kept = self._old.get("TARGET_CHAT_ID", "").replace(" ", "") if old else ""
        if kept and source.id not in old and await self._yes(phrase("Keep {chats}?", chats=kept)):
            for target in old:
                self._tell(await of_target(where.telegram, target))
            return kept
        targets = [await self._ask_for_chat(where, "", of_target, [source.id])]
        while await self._yes(phrase("To another chat as well?"), default=False):
            taken = [source.id, *(chat.id for chat in targets)]
            targets.append(await self._ask_for_chat(where, "", of_target, taken))
        return ",".join(str(chat.id) for chat in targets)

    async def _ask_for_chat(
        self,
        where: Chats,
        name: str,
        look: Look,
        taken: Iterable[ChatId],
    ) -> ChatInfo:
        """`look` says whether the chat will do; whoever takes one that will not is asked twice."""
        old = self._old.get(name)
        question = phrase("Chat [{old}]:", old=old) if old else phrase("Chat:")
        while True:
            typed = await self._terminal.ask(question)
            try:
                chat = await where.find(typed or old or "")
                if chat.id in taken:
                    raise UsageError(
                        phrase("{chat} is taken already: choose another one", chat=named(chat))
                    )
                finding = await look(where.telegram, chat.id)
            except BotError as exc:
                self._wrong(words_of(exc))
                continue
            self._tell(finding)
            if finding.verdict is not Verdict.FAILURE:
                return chat
            if await self._yes(phrase("Take it all the same?"), default=False):
                return chat

    async def _rulers(self, telegram: Telegram, source: ChatInfo) -> list[Human]:
        """Who may well be an author: the chat, under whose name admins may post, and they."""
        if source.id > 0:
            return []
        found = [Human(AuthorId(source.id), source.title)]
        with suppress(TelegramError), self._terminal.working(phrase("asking who is there …")):
            found += await administrators(telegram, source.id)
        return found

    async def _ask_for_people(
        self,
        telegram: Telegram,
        name: str,
        listed: Callable[[], Iterable[Human]],
        *,
        word: str,
        means: str | None,
    ) -> str | None:
        """Ids, or what the one word in their place means."""
        old = self._old.get(name, "")
        question = phrase("Who [{old}]:", old=old) if old else phrase("Who:")
        people = self._list(listed())
        while True:
            typed = await self._terminal.ask(question) or old
            if typed.lower() == word:
                return means
            if typed in {"", AGAIN}:
                people = self._list(listed())
                if not typed:
                    self._wrong(
                        phrase("nobody is named: type numbers, ids, or `{word}`", word=word)
                    )
                continue
            try:
                ids = [await person(telegram, part.strip(), people) for part in typed.split(",")]
            except BotError as exc:
                self._wrong(phrase("{error}; or `{word}`", error=words_of(exc), word=word))
            else:
                return ",".join(map(str, dict.fromkeys(ids)))

    def _list(self, listed: Iterable[Human]) -> list[Human]:
        """Each once, under the number by which he may be chosen."""
        people = list({human.id: human for human in listed}.values())
        for number, human in enumerate(people, 1):
            itself = phrase(", for what is posted in its name") if human.id < 0 else ""
            self._terminal.say(joined("", [f"  {number:>2}  {human.name!r} ({human.id})", itself]))
        return people

    def _old_ids(self, *names: str) -> list[ChatId]:
        found: list[ChatId] = []
        for name in names:
            for part in self._old.get(name, "").split(","):
                with suppress(ValueError):
                    address = parse_address(part)
                    found += [address.chat] if isinstance(address, Address) else []
        return found

    # ── for who adds to a file of routes ──

    @asynccontextmanager
    async def login(self, settings: Settings, directory: Path) -> AsyncIterator[Login]:
        """With the one that is set already. Raises `TelegramError`."""
        self._hide(settings.secrets)
        said = (settings.api_hash, settings.bot_token, settings.session_string)
        secrets = [None if each is None else each.get_secret_value() for each in said]
        answers: Answers = {"API_ID": str(settings.api_id or 0)}
        answers |= zip(("API_HASH", "BOT_TOKEN", "SESSION_STRING"), secrets, strict=True)
        telegram = self._telegram(answers, directory)
        with self._terminal.working("logging in …"):
            me = await telegram.start()
        try:
            self._tell(of_account(me))
            where = Chats(telegram, self._chats)
            if not me.is_bot:
                with suppress(TelegramError):
                    await where.look(await dialogs(telegram))
            yield Login(telegram, me, where)
        finally:
            await telegram.stop()

    async def chat(self, login: Login, question: str, look: Look) -> ChatInfo:
        async with self._announced(login.chats, login.me):
            self._terminal.say()
            self._terminal.say(question)
            self._how(login.me, login.chats, but=())
            return await self._ask_for_chat(login.chats, "", look, ())

    async def people(self, login: Login, source: ChatInfo) -> str:
        """Who may post there: ids with commas between, or `everyone`."""
        rulers = await self._rulers(login.telegram, source)
        found = await self._ask_who_may_post(login.telegram, "", rulers, source)
        return found or EVERYONE.value

    async def yes(self, question: str, *, default: bool = True) -> bool:
        return await self._yes(question, default=default)

    # ── ──

    async def _yes(self, question: str, *, default: bool = True) -> bool:
        while True:
            choice = phrase("[Y/n]") if default else phrase("[y/N]")
            typed = await self._terminal.ask(joined(" ", [question, choice]))
            if not typed:
                return default
            if typed.lower() in YES | NO:
                return typed.lower() in YES
            self._wrong(phrase("answer y or n"))

    def _tell(self, finding: Finding) -> None:
        self._terminal.say(finding.line, STYLES[finding.verdict])

    def _show(self, number: int, chat: ChatInfo) -> None:
        self._terminal.say(joined("", [f"  {number:>2}  ", named(chat)]))

    def _wrong(self, text: str) -> None:
        self._terminal.say(text, "red")
