"""The stage of the live tests: the real program, and a Telegram in which people are played."""

from __future__ import annotations

import sqlite3
from contextlib import asynccontextmanager, closing

from pyrogram import raw

from tests.loopback import API_HASH, API_ID, LoopbackTelegram

SEND = (
    raw.functions.messages.SendMessage,
    raw.functions.messages.SendMedia,
    raw.functions.messages.SendMultiMedia,
)


class Stage:
    """Alice calls, Bob talks, and the relay carries from the group to the target.

    It logs in as a bot; Carol is somebody whose account it may use instead.
    """

    def __init__(self, telegram: LoopbackTelegram, directory, *, token="42:secret") -> None:
        self.telegram = telegram
        self.directory = directory
        self.settings: dict[str, str | None] = {}  # of every launch
        self.alice, self.bob, self.carol = map(telegram.user, ("Alice", "Bob", "Carol"))
        self.bot = telegram.bot("relay_bot", token=token)
        # An id that a 32-bit client library takes for impossible.
        self.group = telegram.supergroup(
            "Signals", members=[self.alice, self.bob, self.carol], admins=[self.bot], id=2880553977
        )
        self.target = telegram.channel("Target", admins=[self.bot, self.carol], id=2990000001)

    def login_of_carol(self):
        """Settings; every call makes a login of its own."""
        return {"BOT_TOKEN": "", "SESSION_STRING": self.telegram.session_string(self.carol)}

    def env(self, *, source=None, targets=None, **env):
        """Settings; those that are None are not set."""
        given = {
            "API_ID": str(API_ID),
            "API_HASH": API_HASH,
            "BOT_TOKEN": self.bot.token,
            "SOURCE_CHAT_ID": str((source or self.group).id),
            "TARGET_CHAT_ID": ",".join(str(chat.id) for chat in targets or [self.target]),
            "SOURCE_ALLOWED_USERS": "everyone",
            "LOG_FORMAT": "json",
            **self.settings,
            **env,
        }
        return {name: value for name, value in given.items() if value is not None}

    async def launch(self, *command, **how):
        return await self.telegram.run(
            ["-m", "bot", *command], cwd=self.directory, env=self.env(**how)
        )

    @asynccontextmanager
    async def relay(self, **how):
        """The running bot; stopped at the end, which must be in order."""
        program = await self.launch(**how)
        await program.wait_output('"started"', timeout=30)
        yield program
        if program.returncode is None:
            program.terminate()
            assert await program.wait(timeout=15) == 0, program.output

    def posted(self, where=None):
        """What people read there: in the target, if nothing else is named."""
        return [seen for seen in self.telegram.messages(where or self.target) if not seen.service]

    async def shows(self, *texts, where=None):
        """Wait until the target shows these texts and no others, and give its messages."""
        await self.telegram.wait_for(
            lambda: [seen.text for seen in self.posted(where)] == list(texts),
            timeout=60,
            what=f"{texts} in the target",
        )
        return self.posted(where)

    async def shows_in_any_order(self, *texts):
        await self.telegram.wait_for(
            lambda: sorted(seen.text for seen in self.posted()) == sorted(texts),
            timeout=60,
            what=f"{texts} in the target",
        )
        return self.posted()

    def reads(self, where):
        """The calls by which the bot read messages of that chat by their ids."""
        calls = self.telegram.calls.of(raw.functions.channels.GetMessages)
        return [call for call in calls if call.query.channel.channel_id == where.bare_id]

    def rows(self, query):
        with closing(sqlite3.connect(self.directory / "data" / "signals.db")) as db:
            return db.execute(query).fetchall()
