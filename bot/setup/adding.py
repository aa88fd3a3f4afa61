"""`setup` where there is a bot already: another source or place goes into `routes.toml`.

With the first one, what `.env` says of its one source moves there. Each file is written whole: whoever
kills this meets either the old configuration, or the new file beside the old settings, which the
next `setup` takes out of `.env`.
"""

from __future__ import annotations

import difflib
import stat
import tempfile
import tomllib
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bot import chat_names
from bot.config import Settings, require, set_outside
from bot.errors import SettingsError, UsageError, words_of
from bot.known_routes import INSTEAD, text_of
from bot.models import EVERYONE, Address
from bot.phrases import joined, later, phrase
from bot.routes import MAIN
from bot.routes_file import Listed
from bot.routes_keys import NAME
from bot.setup import env_file
from bot.setup.answers import NO
from bot.setup.check import named, of_source, of_target
from bot.setup.routes_text import Block, chat, from_settings, with_place, with_source
from bot.sink_keys import Sinks, setting_of
from bot.telegram.peer_names import id_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from pydantic import SecretStr

    from bot.chat_names import ChatName
    from bot.setup.acquaintances import Login
    from bot.setup.dialogue import Answers, Dialogue
    from bot.setup.terminal import Terminal
    from bot.telegram.chats import ChatInfo

SUPERGROUP: Final = "supergroup"


class Work(StrEnum):
    SETTINGS = "settings"
    SOURCE = "source"
    PLACE = "place"


QUESTION: Final = later(
    "What is to be done? 1: change the settings, 2: add a source, 3: add a place to a source"
)
CHOICES: Final = {"": Work.SETTINGS, **dict(zip("123", Work, strict=True))}


@dataclass(frozen=True)
class Files:
    """What is configured. `text` empty: `.env` says it all, and there is no file of routes yet."""

    env: Path
    routes: Path
    text: str
    settings: Settings

    @property
    def both(self) -> list[str]:
        """Settings of `.env` that say what a file of routes does."""
        said = self.settings.model_fields_set
        return [name.upper() for name in INSTEAD if name in said]

    def listed(self, text: str, secrets: Mapping[str, SecretStr]) -> Listed:
        """By the bot's own reader. Raises `SettingsError`."""
        sinks = Sinks(secrets, self.settings.data_dir, self.settings.translate_api_key)
        return Listed(text, name=self.routes.name, sinks=sinks)


def configured(env: Path) -> Files | None:
    """None: there is no bot yet that anything could be added to. Raises `SettingsError` for a wrong file."""
    try:
        settings = Settings.load({}, env_file=env)
        require(settings)
    except SettingsError:
        return None  # its own questions mend that
    path = settings.routes
    try:
        text = text_of(path)
    except FileNotFoundError:
        text = ""
    files = Files(env, path, text, settings)
    if text:
        files.listed(text, settings.place_secrets)
    return files


async def work_of(terminal: Terminal) -> Work:
    while True:
        terminal.say(phrase(QUESTION))
        typed = await terminal.ask(phrase("Number [1]:"))
        if typed in CHOICES:
            return CHOICES[typed]
        terminal.say(phrase("give 1, 2 or 3"), "red")


async def finish_the_move(files: Files, dialogue: Dialogue, terminal: Terminal) -> bool:
    """Of a `setup` that was interrupted between the two files."""
    outside = set_outside(files.both)
    if outside:
        raise SettingsError(
            phrase(
                "{setting} is set in the environment, and {routes} says the same: take {all} out of "
                "the environment",
                setting=outside[0],
                routes=files.routes,
                all=", ".join(outside),
            )
        )
    says = phrase(
        "{routes} says what {env} does, too, with {settings}. The bot does not start with both.",
        routes=files.routes,
        env=files.env,
        settings=", ".join(files.both),
    )
    terminal.say(says, "yellow")
    known = _reads(files.text, files.settings)
    if not known:
        but = phrase(
            "But the source of {env} is none of {routes}.", env=files.env, routes=files.routes
        )
        terminal.say(but, "yellow")
    if not await dialogue.yes(phrase("Take them out of {env}?", env=files.env), default=known):
        return False
    env_file.write(files.env, without(env_file.read(files.env), files.both))
    terminal.say(phrase("wrote {file}", file=files.env), "green")
    return True


def _reads(text: str, settings: Settings) -> bool:
    """Whether the one source of the settings is a source of the file, as far as that is told by its id."""
    chats = {str(each.get("chat")).partition("#")[0] for each in tomllib.loads(text)["source"]}
    return settings.source_chat_id is None or str(settings.source_chat_id) in chats


def without(text: str, names: list[str]) -> str:
    changes: Answers = dict.fromkeys(names)
    return env_file.changed(text, changes)


class Adding:
    """The questions for one source or place. Nothing is written before the last one is answered."""

    def __init__(self, files: Files, dialogue: Dialogue, terminal: Terminal) -> None:
        self._files = files
        self._dialogue = dialogue
        self._terminal = terminal

    async def add(self, work: Work) -> bool:
        """False: it was not wanted after all. Raises `BotError`, and then nothing has changed."""
        self._refuse_outside()
        env_file.refuse_unwritable(self._files.routes)
        async with self._logged_in() as login:
            text = self._files.text or await self._moved(login)
            if work is Work.SOURCE or not text:
                added, text = await self._source(login, text)
            else:
                added, text = await self._place(login, text)
            secrets = self._secrets()
            await self._check(login, text, secrets)
        return await self._written(added, text)

    def _refuse_outside(self) -> None:
        outside = set_outside(self._files.both)
        if outside:
            raise SettingsError(
                phrase(
                    "{setting} is set in the environment, and a file of routes would say the same: "
                    "set {all} in {env} instead, and it is moved for you",
                    setting=outside[0],
                    all=", ".join(outside),
                    env=self._files.env,
                )
            )

    @asynccontextmanager
    async def _logged_in(self) -> AsyncIterator[Login]:
        with tempfile.TemporaryDirectory(prefix="setup-") as directory:
            async with self._dialogue.login(self._files.settings, Path(directory)) as login:
                yield login

    # ── from .env ──

    async def _moved(self, login: Login) -> str:
        """Empty: the settings name none, since they name a file that is not there yet."""
        settings = self._files.settings
        if not self._files.both:
            return ""
        found = {name: await id_of(login.telegram, name) for name in settings.unknown_names}
        self._terminal.say(
            phrase(
                "So far {env} names the one source. What it says of that moves to {routes}.",
                env=self._files.env,
                routes=self._files.routes,
            )
        )
        asked = phrase("What is it to be called [{usual}]:", usual=MAIN)
        name = await self._name(asked, usual=MAIN, taken=())
        return with_source("", from_settings(settings.with_names(found), name))

    def _secrets(self) -> dict[str, SecretStr]:
        """With that of the webhook which is moved."""
        secrets = dict(self._files.settings.place_secrets)
        moved = self._files.settings.webhook_secret
        if not self._files.text and moved is not None:
            secrets[setting_of("webhook")] = moved
        return secrets

    # ── questions ──

    async def _source(self, login: Login, text: str) -> tuple[str, str]:
        name = await self._name(
            phrase("What is the new source to be called:"), taken=self._taken(text)
        )
        where, info = await self._chat(login, phrase("Where are its signals?"), of_source)
        people = await self._dialogue.people(login, info)
        everyone = people == EVERYONE.value
        said: dict[str, Any] = {"name": name, "chat": chat(where)}
        said["allowed_users"] = people if everyone else [int(each) for each in people.split(",")]
        place = await self._place_block(login, text, but=(name, where))
        return name, with_source(text, Block(said, named(info), (place,)))

    async def _place(self, login: Login, text: str) -> tuple[str, str]:
        names = list(self._files.listed(text, self._secrets()).source_names)
        number = 0 if len(names) == 1 else await self._number(names)
        place = await self._place_block(login, text, but=None)
        added = phrase("a place of {source}", source=names[number])
        return added, with_place(text, number, place)

    async def _place_block(self, login: Login, text: str, but: tuple[str, Address] | None) -> Block:
        asked = phrase("Where are they to be posted?")
        where, info = await self._chat(login, asked, of_target, but)
        taken = self._taken(text) + ([but[0]] if but else [])
        asked = phrase("What is that place to be called [by its chat]:")
        name = await self._name(asked, usual="", taken=taken)
        said: dict[str, Any] = {"name": name} if name else {}
        return Block({**said, "chat": chat(where)}, named(info))

    def _taken(self, text: str) -> list[str]:
        return list(self._files.listed(text, self._secrets()).all_names)

    async def _name(self, question: str, *, taken: Any, usual: str | None = None) -> str:
        while True:
            typed = await self._terminal.ask(question)
            if not typed and usual is not None:
                return usual
            if NAME.fullmatch(typed) and typed not in taken:
                return typed
            why = phrase("is taken already") if typed in taken else phrase("will not do")
            told = phrase(
                '{name} {why}: up to 32 small letters, digits, - and _, such as "majors"',
                name=repr(typed),
                why=why,
            )
            self._terminal.say(told, "red")

    async def _number(self, names: list[str]) -> int:
        for number, name in enumerate(names, 1):
            self._terminal.say(f"  {number:>2}  {name}")
        while True:
            typed = await self._terminal.ask(phrase("Of which source:"))
            if typed.isdecimal() and 0 < int(typed) <= len(names):
                return int(typed) - 1
            if typed in names:
                return names.index(typed)
            self._terminal.say(phrase("give the number of one of them"), "red")

    async def _chat(
        self,
        login: Login,
        question: str,
        look: Callable[..., Awaitable[Any]],
        but: tuple[str, Address] | None = None,
    ) -> tuple[Address, ChatInfo]:
        while True:
            info = await self._dialogue.chat(login, question, look)
            where = Address(info.id, await self._topic(info))
            if but is None or where != but[1]:
                return where, info
            self._terminal.say(phrase("that is the source itself: choose another one"), "red")

    async def _topic(self, info: ChatInfo) -> int:
        if info.kind != SUPERGROUP:
            return 0
        while True:
            typed = await self._terminal.ask(phrase("Only one topic of it? Its number [no]:"))
            if not typed or typed.lower() in NO:
                return 0
            if typed.isdecimal() and 0 < int(typed) < 2**31:
                return int(typed)
            self._terminal.say(phrase("a topic's number is the one in its link: t.me/c/…/5"), "red")

    # ── writing ──

    async def _check(self, login: Login, text: str, secrets: Mapping[str, SecretStr]) -> None:
        """What the bot would say of it at its start. Raises `SettingsError`."""
        listed = self._files.listed(text, secrets)
        known = chat_names.kept(self._files.settings.data_dir)
        names: dict[ChatName, int] = {}
        for name in listed.names:
            try:
                names[name] = known[name] if name in known else await id_of(login.telegram, name)
            except UsageError as exc:
                raise SettingsError(joined(": ", [listed.where(name), words_of(exc)])) from exc
        try:
            listed.known(names)
        except SettingsError as exc:
            raise SettingsError(
                phrase("with that, {error}; nothing was written", error=words_of(exc))
            ) from exc

    async def _written(self, added: str, text: str) -> bool:
        files, say = self._files, self._terminal.say
        whole = later("To write into {routes}:")
        behind = later("To write into {routes}, where all else stays:")
        say()
        say(phrase(behind if files.text else whole, routes=files.routes))
        say(self._news(text))
        if not await self._dialogue.yes(phrase("Write it?")):
            return False
        save(files, text)
        if not files.text:
            moved = phrase(
                "what {env} said of the one source stands in {routes} now",
                env=files.env,
                routes=files.routes,
            )
            say(moved, "green")
        wrote = phrase(
            "wrote {routes}: {added} is in it. Start the bot anew, and it is.",
            routes=files.routes,
            added=added,
        )
        say(wrote, "green")
        return True

    def _news(self, text: str) -> str:
        before, lines = self._files.text.splitlines(), text.splitlines()
        told = [each[2:] for each in difflib.ndiff(before, lines) if each.startswith("+ ")]
        shown = "\n".join(f"  {line}" for line in told)
        for secret in self._files.settings.secrets:
            shown = shown.replace(secret, "(not shown)")
        return shown


def save(files: Files, text: str, *, write: Callable[[Path, str], None] = env_file.write) -> None:
    """In an order in which nothing is lost, wherever it ends: what is new stands before what is old goes."""
    env = env_file.read(files.env)
    if not files.text and files.settings.webhook_secret is not None:
        secret = files.settings.webhook_secret.get_secret_value()
        env = env_file.changed(env, {setting_of("webhook"): secret})
        write(files.env, env)
    mode = stat.S_IMODE(files.routes.stat().st_mode) if files.text else None
    write(files.routes, text)
    if mode is not None:
        files.routes.chmod(mode)  # whoever could read it, such as a container's user, still can
    if not files.text:
        write(files.env, without(env, files.both))
