"""`setup`, at a terminal: what is asked, what is tried, and what is left behind."""

from __future__ import annotations

import asyncio
import signal
from contextlib import nullcontext

import pytest
from pyrogram import raw

from bot.setup.run import setup
from tests.loopback import API_HASH, API_ID, FloodWait, RpcError
from tests.setting_up import TOKEN, mode, setting_up
from tests.stage import Stage

CTRL_C, CTRL_D = b"\x03", b"\x04"


@pytest.fixture
async def stage(telegram, tmp_path):
    yield Stage(telegram, tmp_path, token=TOKEN)
    assert telegram.calls.violations == []


async def logs_in(screen, token=TOKEN):
    await screen.answers("API id:", str(API_ID))
    await screen.answers("API hash:", API_HASH)
    await screen.answers("Token:", token)


async def starts_and_relays(stage):
    """With nothing but the file that was written."""
    program = await stage.telegram.run(["-m", "bot"], cwd=stage.directory)
    await program.wait_output('"started"', timeout=30)
    await stage.alice.sends(stage.group, "#idea BTC/USDT LONG")
    await stage.shows("#idea BTC/USDT LONG")
    program.terminate()
    assert await program.wait() == 0, program.output


async def test_a_bot_that_was_set_up_relays(stage):
    """Every mistake on the way is one line, and the question comes again."""
    stage.group.title = "[red]Сигналы\x1b[2J\u202e"
    stage.target.username = "target_channel"
    hidden = stage.telegram.supergroup("Hidden", members=[stage.alice])
    log_in = raw.functions.auth.ImportBotAuthorization
    stage.telegram.faults.on(log_in, RpcError(400, "API_ID_INVALID"))
    stage.telegram.faults.on(log_in, FloodWait(3))

    async with setting_up(stage) as screen:
        await screen.answers("API id:", "one")
        await screen.shows("an API id is a number")
        await screen.answers("API id:", str(API_ID))
        await screen.answers("API hash:", "short")
        await screen.shows("an API hash has 32 digits")
        await screen.answers("API hash:", API_HASH)
        await screen.answers("Token:", "no token")
        await screen.shows("a token looks like")
        await screen.answers("Token:", "43:AAHwrongwrongwrongwrong")
        await screen.shows("API_ID or API_HASH is wrong")
        await screen.answers("API id:", str(API_ID))
        await screen.answers("API hash:", API_HASH)
        await screen.shows("Telegram refused: 420 FLOOD_WAIT_3\n")
        await screen.answers("Enter tries it again, after a while:", "")
        await screen.shows("BOT_TOKEN is wrong or was revoked")
        await screen.answers("Token:", TOKEN)
        await screen.shows("logged in as 'relay_bot' (@relay_bot), a bot, id 42")

        await screen.shows("Where are the signals?", "Chat:")
        await stage.alice.sends(stage.group, "hello")
        await screen.shows("1  the supergroup '[red]Сигналы\\x1b[2J\\u202e' (-1002880553977)")
        await screen.answers("Chat:", "https://t.me/+AbCdEfGhIjK")
        await screen.shows("an invitation does not say which chat")
        await screen.answers("Chat:", "@nobody_there")
        await screen.shows("@nobody_there: nobody has that name")
        await screen.answers("Chat:", str(hidden.id))
        await screen.shows("has the account been added there?", "Chat:")
        await stage.alice.adds(stage.bot, to=hidden)
        await screen.shows("2  the supergroup 'Hidden'")
        await screen.answers("Chat:", "2")
        await screen.shows("FAILURE", "cannot read the supergroup 'Hidden'", "/setprivacy")
        await screen.answers("Take it all the same? [y/N]", "")
        await screen.answers("Chat:", "1")
        await screen.shows("reads the supergroup")

        await screen.shows("Where are they to be posted?", "2  the supergroup 'Hidden'")
        assert "1  the supergroup" not in screen.text.split("to be posted?")[1]
        await screen.answers("Chat:", "1")
        await screen.shows("is taken already")
        await screen.answers("Chat:", "https://t.me/target_channel/7")
        await screen.shows("posts to the channel 'Target' (-1002990000001)")
        await screen.answers("To another chat as well? [y/N]", "n")

        await screen.shows(
            "Who may post signals?", f"({stage.group.id}), for what is posted in its"
        )
        await screen.shows(f"2  'Alice' ({stage.alice.id})")
        await screen.answers("Who:", "")
        await screen.shows("nobody is named: type numbers, ids, or `everyone`")
        await screen.answers("Who:", "Alice")
        await screen.shows("that is not a chat")
        await stage.bob.sends(stage.group, "me, too")
        await screen.repeats("Who:", "?", until=f"3  'Bob' ({stage.bob.id})")
        screen.types(f"2,3,{stage.carol.id},2")
        await screen.shows("Who may give the bot orders?")
        await stage.carol.sends(stage.bot, "it is me")
        await screen.repeats("Who:", "?", until=f"1  'Carol' ({stage.carol.id})")
        screen.types("1")
        await screen.answers("Write it? [Y/n]", "")
        await screen.shows("wrote .env. Start the bot with `python -m bot`.")
        assert await screen.ends() == 0

    env = stage.directory / ".env"
    assert mode(env) == 0o600
    assert env.read_text().splitlines() == [
        f"API_ID={API_ID}",
        f"API_HASH={API_HASH}",
        f"BOT_TOKEN={TOKEN}",
        f"SOURCE_CHAT_ID={stage.group.id}",
        f"TARGET_CHAT_ID={stage.target.id}",
        f"SOURCE_ALLOWED_USERS={stage.alice.id},{stage.bob.id},{stage.carol.id}",
        f"ADMIN_USERS={stage.carol.id}",
    ]
    assert sorted(path.name for path in stage.directory.iterdir()) == [".env"]
    await starts_and_relays(stage)

    # What it says is offered, and tried as if it were new.
    written = env.read_text()
    async with setting_up(stage) as screen:
        await screen.answers("Number [1]:", "")
        await screen.answers(f"API id [{API_ID}]:", "")
        await screen.answers("API hash [the one you have]:", "")
        await screen.answers("Token [the one you have]:", "")
        await screen.answers(f"Chat [{stage.group.id}]:", "")
        await screen.answers(f"Keep {stage.target.id}? [Y/n]", "")
        await screen.shows("posts to the channel 'Target'")
        await screen.answers(f"Who [{stage.alice.id},{stage.bob.id},{stage.carol.id}]:", "")
        await screen.answers(f"Who [{stage.carol.id}]:", "")
        await screen.shows(".env says all of this already.")
        assert await screen.ends() == 0
    assert env.read_text() == written


@pytest.mark.heavy
@pytest.mark.parametrize("how", ["Ctrl-C", "Ctrl-C at a secret", "end of input", "SIGTERM"])
async def test_whoever_breaks_off_leaves_nothing_behind(stage, how):
    """No half-written file, no login, and a terminal that shows what is typed."""
    env = stage.directory / ".env"
    env.write_text("# mine\nFLOW_TTL_HOURS=5\n")
    env.chmod(0o600)
    async with setting_up(stage) as screen:
        if how == "Ctrl-C at a secret":
            await screen.answers("API id:", str(API_ID))
            await screen.shows("API hash:")
            assert not screen.echoes
            screen.presses(CTRL_C)
        else:
            await logs_in(screen)
            await screen.shows("Chat:")
            assert list(stage.directory.glob("tmp/setup-*/*/*.session"))
            if how == "SIGTERM":
                screen.process.send_signal(signal.SIGTERM)
            else:
                screen.presses(CTRL_C if how == "Ctrl-C" else CTRL_D)
        await screen.shows("nothing was written")
        assert await screen.ends() == 130
        assert screen.echoes

    assert [path.name for path in stage.directory.iterdir()] == [".env"]
    assert env.read_text() == "# mine\nFLOW_TTL_HOURS=5\n"


async def test_what_a_file_says_is_offered_and_all_else_in_it_stays(stage):
    """A user account lists its chats. Nothing is changed before the last yes."""
    session = stage.telegram.session_string(stage.carol)
    before = (
        "# how we run it\n"
        f"export API_ID='{API_ID}'\n"
        "\n"
        f"BOT_TOKEN={TOKEN}  # of last year\n"
        "SIGNAL_MARKERS='#call,#idea' # and why\n"
        "target_chat_id=-1005,-1006\n"
        "SOURCE_ALLOWED_USERS=5\n"
        "FLOW_TTL_HOURS=5"
    )
    real = stage.directory / "settings.env"
    real.write_text(before)
    real.chmod(0o600)
    (stage.directory / ".env").symlink_to(real.name)

    (stage.directory / "data").mkdir()
    (stage.directory / "data" / "relay.session").touch(0o600)

    async def set_up(write, code):
        async with setting_up(stage, ADMIN_USERS="5") as screen:
            await screen.answers(f"API id [{API_ID}]:", "")
            await screen.answers("API hash:", API_HASH)
            await screen.answers("Token [the one you have]:", session)
            await screen.shows("logged in as 'Carol', a user account")
            await screen.shows("Where are the signals?", "1  the supergroup 'Signals'")
            await screen.answers("Chat:", "1")
            await screen.shows("Where are they to be posted?", "2  the channel 'Target'")
            await screen.answers("Keep -1005,-1006? [Y/n]", "maybe")
            await screen.shows("answer y or n")
            await screen.answers("Keep -1005,-1006? [Y/n]", "n")
            await screen.answers("Chat:", "2")
            await screen.answers("To another chat as well? [y/N]", "")
            await screen.answers("Who [5]:", "everyone")
            await screen.answers("Who:", str(stage.alice.id))
            await screen.shows("everybody may post signals")
            await screen.shows(
                "To change in .env, where all else stays:", "API_HASH", "(not shown)"
            )
            await screen.answers("Write it? [Y/n]", write)
            if code == 0:
                await screen.shows("data/relay.session is a login from before: remove it if")
                await screen.shows("ADMIN_USERS is set in the environment, too")
            else:
                await screen.shows("nothing was written")
            assert await screen.ends() == code
            assert session not in screen.raw

    await set_up("n", 1)
    assert real.read_text() == before
    await set_up("y", 0)
    assert (stage.directory / ".env").is_symlink()
    assert mode(real) == 0o600
    assert real.read_text() == (
        "# how we run it\n"
        f"export API_ID='{API_ID}'\n"
        "\n"
        "SIGNAL_MARKERS='#call,#idea' # and why\n"
        f"TARGET_CHAT_ID={stage.target.id}\n"
        "SOURCE_ALLOWED_USERS=everyone\n"
        "FLOW_TTL_HOURS=5\n"
        f"API_HASH={API_HASH}\n"
        f"SESSION_STRING={session}\n"
        f"SOURCE_CHAT_ID={stage.group.id}\n"
        f"ADMIN_USERS={stage.alice.id}\n"
    )
    await starts_and_relays(stage)


class Patient:
    """Somebody who logs in and then waits for what happens, until he is told it twice."""

    def __init__(self):
        self.told = []
        self.told_twice = asyncio.Event()
        self.answers = [str(API_ID), API_HASH, TOKEN]

    def speaks(self, language):
        assert language("hello") == "hello"

    def say(self, text="", _style=""):
        self.told.append(text)
        if sum("Nothing heard" in text for text in self.told) > 1:
            self.told_twice.set()

    def working(self, _what):
        return nullcontext()

    async def ask(self, _question, *, hidden=False):
        if self.answers:
            return self.answers.pop(0)
        async with asyncio.timeout(20):
            await self.told_twice.wait()
        raise EOFError


async def test_a_bot_that_hears_nothing_is_told_why_that_may_be(stage):
    slept = []

    async def sleep(seconds):
        slept.append(seconds)
        await asyncio.sleep(0)

    patient, hidden = Patient(), []
    with pytest.raises(EOFError):
        await setup(
            patient, stage.directory / ".env", program="bot", hide=hidden.extend, sleep=sleep
        )

    reminders = [text for text in patient.told if text.startswith("Nothing heard")]
    assert reminders[0].startswith("Nothing heard for 20 s. With @BotFather, /setprivacy must")
    assert reminders[1].startswith("Nothing heard for 40 s.")
    assert set(slept) == {20}
    assert {TOKEN, API_HASH} <= set(hidden)


@pytest.mark.heavy
async def test_a_file_in_which_something_else_is_wrong_is_not_set_up(stage):
    env = stage.directory / ".env"
    env.write_text("API_ID=1\nFLOW_AFTER_TTL=maybe\n")
    env.chmod(0o600)
    async with setting_up(stage) as screen:
        await screen.shows("error: FLOW_AFTER_TTL: input should be 'release' or 'owner'")
        assert await screen.ends() == 2


@pytest.mark.heavy
async def test_it_speaks_the_language_of_the_locale_and_the_bot_does_from_then_on(stage):
    """A service has no locale: what `setup` spoke is written down for it."""
    async with setting_up(stage, LANGUAGE="", LC_ALL="ru_RU.UTF-8") as screen:
        await screen.shows("Enter оставляет то, что в скобках.", "Приложение, с https://my")
        await screen.answers("API id:", "one")
        await screen.shows("API id — это число")
        await screen.answers("API id:", str(API_ID))
        await screen.answers("API hash:", API_HASH)
        await screen.answers("Токен:", TOKEN)
        await screen.shows("ок       вход выполнен: 'relay_bot'", ", бот, id")
        await screen.shows("Где публикуются сигналы?")
        await screen.answers("Чат:", str(stage.group.id))
        await screen.shows("ок       читает чат: супергруппа 'Signals'")
        await screen.shows("Куда их публиковать?")
        await screen.answers("Чат:", str(stage.target.id))
        await screen.shows("ок       пишет в чат: канал 'Target'")
        await screen.answers("Ещё в какой-нибудь чат? [д/Н]", "может быть")
        await screen.shows("ответьте д или н")
        await screen.answers("Ещё в какой-нибудь чат? [д/Н]", "н")
        await screen.answers("Кто:", str(stage.alice.id))
        await screen.answers("Кто:", "none")
        await screen.shows("может публиковать 1 автор")
        await screen.shows("Будет записано в .env:", "BOT_TOKEN", "(скрыто)", "LANGUAGE")
        await screen.answers("Записать? [Д/н]", "да")
        await screen.shows("записан .env. Запустите бота: `python -m bot`.")
        assert await screen.ends() == 0

    assert "LANGUAGE=ru\n" in (stage.directory / ".env").read_text()
    checked = await stage.telegram.run(
        ["-m", "bot", "check"], cwd=stage.directory, env={"LANGUAGE": "en_US:en"}
    )
    assert await checked.wait(timeout=30) == 0, checked.output
    assert "ок       читает чат: супергруппа 'Signals'" in checked.stdout
