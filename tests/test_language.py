"""Operators are answered and told in one language: no English is left among the words of another.

The language here is one in which every letter is ж, so that a text of ours that nobody can translate
is seen at once, and what people wrote, numbers and commands are seen to stay.
"""

from __future__ import annotations

import itertools
import re
from datetime import timedelta
from gettext import NullTranslations

import pytest

from bot.admin.chat_commands import AdminHandler, Running
from bot.admin.formatting import duration
from bot.app import open_tables
from bot.errors import (
    AccountLimited,
    LoggedOut,
    RetryLater,
    SettingsError,
    TargetUnavailable,
    words_of,
)
from bot.models import (
    ChatTrouble,
    MessageRef,
    PostState,
    PressedButton,
    UnreadableChat,
    UnreadableMessage,
)
from bot.phrases import Translator, joined, phrase, translator
from bot.routes_file import Listed
from bot.telegram.access import Finding, Verdict, of_target
from tests import untranslated
from tests.conftest import ROOT
from tests.people import BOB, CAROL, GROUP, TARGET
from tests.posts import post
from tests.story import Story
from tests.test_alerts import Watch

# What is the same in every language: fields, commands, names of settings, addresses.
KEPT = re.compile(
    r"\{\w+\}|`[^`]*`|/[a-z]\w*|@\w+|https?://\S+|[A-Z]+_[A-Z_]+|\b(?:LONG|pid|UTC)\b"
)
# Of the story: what was said, which error is in the table, what the program is made of.
DATA = re.compile(
    r"#idea|\bmain\b|BTC|USDT|ETH|SOL|LONG|SHORT|TP1|closed!|sold|what\?|stop 58000|\bx10|10x|4H|pid|UTC|OK|"
    r"https?://\S+|/[a-z]\w*|@\w+|`[^`]*`|[A-Z]+_[A-Z_]+|Telegram refused: 400|"
    r"\((?:new_signal|owner|released|not_the_owner|not_permitted|not_a_signal)\)|not_the_owner|\./\S+|/\S+|"
    r"telegram-signal-relay \S+|from source|Python|SQLite|pyrogram|kurigram|TgCrypto-pyrofork|tgcrypto|diskcache"
)
LINK = "https://t.me/c/1234567890/"


class Foreign(NullTranslations):
    def gettext(self, text):
        found, last = [], 0
        for kept in KEPT.finditer(text):
            found += [re.sub("[A-Za-z]", "ж", text[last : kept.start()]), kept[0]]
            last = kept.end()
        return "".join([*found, re.sub("[A-Za-z]", "ж", text[last:])])

    def ngettext(self, one, many, n):
        return self.gettext(one if n == 1 else many)


@pytest.fixture
def foreign():
    return Translator(Foreign())


def english(text):
    """Words that are in no other language."""
    return re.findall(r"[A-Za-z]{2,}", DATA.sub(" ", " ".join(text.split())))


class Chat:
    """All that an operator reads there."""

    def __init__(self):
        self.seen = []
        self.buttons = {}

    async def send(self, to, text, entities=(), buttons=()):
        self.buttons = {button.text: button.data for row in buttons for button in row}
        self.seen += [text, *self.buttons]

    async def edit(self, chat_id, message_id, text, entities=()):
        self.seen.append(text)

    async def answer(self, query_id, text, *, alert=False):
        self.seen.append(text)

    async def read(self, message_id):
        return None

    async def offer(self, user, commands):
        self.seen += commands.values()
        return True


async def conversation(story, say):
    """Everything that an operator reads of a bot that they ask everything."""
    chat, numbers = Chat(), itertools.count(100)
    facts = {
        "connected_since": story.now - 60,
        "last_update_at": story.now - 5,
        "reasons": [phrase("not connected to Telegram")],
        "unreadable": [],
    }

    async def told():
        return facts

    async def reloads():
        return joined("\n", [phrase("nothing in it has changed")])

    async def says(text, **more):
        await handler.handle(
            story.says(CAROL, text, ago=0, chat_id=CAROL, number=next(numbers), **more)
        )

    async def presses(data):
        await handler.handle(PressedButton(next(numbers), CAROL, CAROL, 7, data))

    async with open_tables(story.settings(), read_only=False) as tables:
        settings = story.settings(admin_users=(CAROL,), bot_token="1:x")
        handler = AdminHandler(
            tables, settings, chat, Running(told, reloads), say=say, clock=lambda: story.now
        )
        for number in (*range(1, 9), 99, 703):
            await says(f"/why {LINK}{number}")
        for text in (
            "/help", "/start", "/status", "/flows", "/flows all", "/flows 1", "/flows 3", "/flows XRP",
            "/flows 77", "/why", "/why ?!", "/release", "/release 77", "/retry 77", "/retry ?!",
            f"/retry {LINK}1", "/bogus", "?!", "/resume", "/pause", "/pause", "/status", "/resume",
            "/reload", "/reload x",
        ):  # fmt: skip
            await says(text)
        await says("?!", forwarded=True)
        for order in ("/release 1", "/release 2", "/retry", "/retry 4"):
            await says(order)
            for data in chat.buttons.values():
                await presses(data)
                await presses(data)
        await says("/release 1")
        await says(f"/why {LINK}2")
        await presses("yes:nobody")
        await handler.tell(phrase("It does not work yet: {problem}.", problem=duration(90_000)))
    # A path may be broken anywhere.
    path = r"\s*".join(map(re.escape, str(settings.database)))
    return [re.sub(path, " ", text) for text in chat.seen]


@pytest.mark.long
async def test_no_answer_and_no_button_has_a_word_of_english(tmp_path, now, foreign):
    story = await Story(tmp_path, now).is_told()

    read = await conversation(story, foreign)

    assert len(read) > 80
    assert [words for text in read if (words := english(text))] == []


@pytest.mark.long
async def test_the_same_conversation_in_russian(tmp_path, now):
    story = await Story(tmp_path, now).is_told()

    read = "\n".join(" ".join(text.split()) for text in await conversation(story, translator("ru")))

    for text in (
        "/status как дела у бота",
        "бот: не запущен",
        "поток: жив; освободится через 2 д",
        "2 ETH/USDT SHORT от 1002 жив ещё 2 д 19 ч, тишина: 5 ч",
        "1 продолжение, 2 отклонено",
        "отклонено (not_the_owner): поток принадлежит 1001, а это 1002",
        "Освободить сигнал 1, BTC/USDT LONG от 1001? Тогда его поток смогут продолжать и другие.",
        "Да, освободить",
        "Повторить 1 пост",
        "пауза: всё записывается, но ничего не публикуется до /resume",
        "Команды /bogus нет. Что есть, покажет /help.",
        "Как дела у бота",
    ):
        assert text in read, text


async def test_no_alert_has_a_word_of_english(foreign):
    watch = Watch()
    watch.names = {"main": (None, phrase("the source"))}
    alerts = watch.alerts
    error = phrase("Telegram refused: {code} {name}", code=420, name="FLOOD_WAIT_900")
    wait = timedelta(minutes=10)
    for _ in range(3):
        alerts.delayed(AccountLimited(error), wait)
    alerts.delayed(TargetUnavailable(error, TARGET), wait)
    alerts.delayed(RetryLater(error, after=wait), wait)
    alerts.set_aside(post(1))
    for number, state in enumerate((PostState.PENDING, PostState.EDIT, PostState.DELETE)):
        alerts.failed(post(number, state=state, target=TARGET - number))
    alerts.event_failed(MessageRef(GROUP, 5), "OK")
    alerts.unreadable(UnreadableMessage(GROUP, 6, None, "OK"))
    alerts.login_lost(LoggedOut(error))
    watch.bot.cache_disabled = True
    how, advice = phrase("removed"), phrase("add it to the chat again")
    watch.sources = [UnreadableChat(GROUP, watch.now, how, advice, None, lost=True)]
    watch.troubles = [
        ChatTrouble(TARGET, since=watch.now, text=phrase("posts to {chat}", chat=5), source=False,
                    outside=False, stops=True)
    ]  # fmt: skip
    await watch.after()
    watch.sources, watch.troubles = [], []
    alerts.delayed(AccountLimited(error), wait)
    await watch.after(hours=2)
    alerts.delayed(AccountLimited(error), wait)
    await watch.after(hours=24)

    read = [foreign(text) for text in watch.read]
    assert len(read) >= 14
    assert [words for text in read if (words := english(text))] == []


class Refusing:
    """An account that nothing is known to."""

    async def peer(self, chat):
        raise TargetUnavailable(phrase("chat {chat} is not known to this account", chat=chat), chat)


def test_a_file_of_routes_that_is_wrong_is_refused_in_russian():
    """Whoever orders `/reload`, or adds to the file in `setup`, reads each line so."""
    text = '[[source]]\nname = "majors"\nchat = -1001\nfotter = 1\n[[source.place]]\nchat = "?!"\n'
    with pytest.raises(SettingsError) as refused:
        Listed(text)

    said = translator("ru")(words_of(refused.value)).splitlines()
    assert said[0].startswith("routes.toml, строка 1: не хватает allowed_users: ")
    assert said[1].startswith("routes.toml, строка 4: fotter — не ключ источника: ")
    assert "строка 6: chat: " in said[2]
    assert said[2].endswith('"-1001234567890#5" для темы, "@name" или ссылку t.me')


async def test_what_stands_in_the_way_has_no_word_of_english(foreign):
    found = await of_target(Refusing(), TARGET)

    assert found.verdict is Verdict.FAILURE
    assert english(foreign(found.line)) == []
    assert english(foreign(Finding(Verdict.OK, phrase("reads {chat}", chat=BOB)).line)) == []


# What operators meet in Telegram and in `setup`; what else raises errors tells a shell or a log of them.
SPOKEN = (
    "setup",
    "admin",
    "delivery/libretranslate.py",
    "delivery/translations.py",
    "naming.py",
    "reloading.py",
    "routes_file.py",
    "routes_keys.py",
    "sink_keys.py",
    "endpoints.py",
    "rules/presentation.py",
    "rules/presentation_keys.py",
)
# Orders of a shell alone, and what is no text.
OF_A_SHELL = {"admin/reload.py", "admin/extract.py", "admin/confirmations.py"}


def test_no_text_for_an_operator_goes_by_the_catalogue():
    """The catalogue cannot miss what never came by it: an f-string, or a literal, that people are told."""
    bot = ROOT / "bot"
    files = [
        file
        for name in SPOKEN
        for file in ([bot / name] if name.endswith(".py") else (bot / name).rglob("*.py"))
    ]
    names = {str(file.relative_to(bot)): file for file in files}
    assert len(names) > 30
    found = [
        line
        for name, file in names.items()
        if name not in OF_A_SHELL
        for line in untranslated.of_source(file.read_text("utf-8"), name)
    ]

    assert found == []


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ('terminal.say(f"wrote {path}", "green")', "wrote"),
        ('raise SettingsError("there is no such file")', "no such"),
        ('raise UsageError(f"{x}: " + "write it anew")', "anew"),
        ('alerts._raise(KIND, f"nothing of {x} was heard")', "heard"),
        ('terminal.ask("Write it?" if new else phrase("Again?"))', "Write it"),
        ('terminal.say(joined(": ", [x, "not a word"]))', "not a word"),
        ('Finding(verdict, text=f"posts to {x}")', "posts"),
    ],
)
def test_it_finds_such_a_text_wherever_it_is_put_together(code, words):
    (found,) = untranslated.of_source(code)
    assert words in found


@pytest.mark.parametrize(
    "code",
    [
        'terminal.say(phrase("wrote {file}", file=path), "green")',
        'raise SettingsError(joined(": ", [name, words_of(exc)]))',
        "alerts._raise(KIND, phrase(KNOWN[what]), about)",
        'log.info("read again", routes=f"{x} of them")',
        'raise SettingsError(f"{name}: {exc}")',
    ],
)
def test_it_finds_nothing_in_what_is_translated_or_is_for_a_log(code):
    assert untranslated.of_source(code) == []
