"""Operators are answered and told in one language: no English is left among the words of another.

The language here is one in which every letter is ж, so that a text of ours that nobody can translate
is seen at once, and what people wrote, numbers and commands are seen to stay.
"""

from __future__ import annotations

import itertools
import re
from datetime import timedelta
from gettext import NullTranslations
from string import Formatter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.admin.chat_commands import AdminHandler, Running
from bot.admin.formatting import duration, excerpt
from bot.app import open_tables
from bot.config import Settings, require
from bot.errors import (
    AccountLimited,
    LoggedOut,
    RetryLater,
    SettingsError,
    TargetUnavailable,
    words_of,
)
from bot.models import ChatTrouble, MessageRef, PressedButton, UnreadableChat, UnreadableMessage
from bot.phrases import Translator, joined, phrase, stored, translator
from bot.posts import PostState
from bot.routes_file import Listed
from bot.telegram.access import Finding, Verdict, of_target
from tests import untranslated
from tests.alerts import Watch
from tests.conftest import ROOT
from tests.people import BOB, CAROL, GROUP, TARGET
from tests.posts import post
from tests.story import Story

# What is the same in every language: fields, commands, names of settings, addresses.
KEPT = re.compile(
    r"\{\w+\}|`[^`]*`|/[a-z]\w*|@\w+|https?://\S+|[A-Z]+_[A-Z_]+|\b(?:LONG|pid|UTC)\b"
)
# Of the story: what was said, which error is in the table, what the program is made of.
DATA = re.compile(
    r"#idea|\bmain\b|BTC|USDT|ETH|SOL|LONG|SHORT|TP1|closed!|sold|what\?|stop 58000|\bx10|10x|4H|pid|UTC|OK|"
    r"https?://\S+|/[a-z]\w*|@\w+|`[^`]*`|[A-Z]+_[A-Z_]+|"
    r"\((?:new_signal|owner|released|not_the_owner|not_permitted|not_a_signal)\)|not_the_owner|\./\S+|/\S+|"
    r"telegram-signal-relay \S+|from source|Python|SQLite|pyrogram|kurigram|TgCrypto-pyrofork|tgcrypto|diskcache"
)
LINK = "https://t.me/c/1234567890/"
RU = translator("ru")


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
    return Translator(Foreign(), translator("ru").texts)


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


# Each is wrong by characters that are no words.
WRONG = """
API_ID=?!
SOURCE_CHAT_ID=?!
TARGET_CHAT_ID=-5#7
SOURCE_ALLOWED_USERS=everyone,7
ADMIN_USERS=-1001234567890
ALERT_SILENCE_HOURS=-1
NAMES_KEPT_DAYS=-1
SIGNAL_MARKERS=
FLOW_TTL_HOURS=0
FLOW_AFTER_TTL=?!
RELAY_EDITS=?!
PROXY=?!
LANGUAGE=?!
LOG_LEVEL=?!
LOG_FORMAT=?!
HEALTH_PORT=70000
HEALTH_HOST=?!
DATABASE_URL=?!
SOURCE_CHAT_IDS=7
"""
NAMES = (
    "release|owner|DEBUG|INFO|WARNING|ERROR|auto|console|json|en|ru|everyone|API|LANGUAGE|PROXY|IP"
)


def faults_of(text, tmp_path):
    env = tmp_path / ".env"
    env.write_bytes(text if isinstance(text, bytes) else text.encode())
    env.chmod(0o600)
    with pytest.raises(SettingsError) as refused:
        require(Settings.load({"data_dir": tmp_path}, env_file=env))
    return words_of(refused.value)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (WRONG, 19),
        ("API_ID\nAPI_HASH='7\n", 2),
        (b"API_ID=1\n\xff\xfe", 1),
        ("API_ID=1".encode("utf-16"), 1),
        ("", 8),
        (f"API_ID=1\nAPI_HASH={'0' * 32}\nBOT_TOKEN=1:a\nSOURCE_CHAT_ID=-1\nTARGET_CHAT_ID=-2\n", 1),
        (("API_ID=1\nAPI_HASH=?!\nBOT_TOKEN=?!\nSESSION_STRING=?!\nSOURCE_CHAT_ID=-1\nTARGET_CHAT_ID=-1\n"
         "SOURCE_ALLOWED_USERS=7\nHA=on\n"), 4),
    ],
)  # fmt: skip
def test_what_is_wrong_with_settings_has_no_word_of_english(tmp_path, foreign, text, number):
    """`setup`, `check` and `reload` say it; so every kind of value and of file is here."""
    said = foreign(faults_of(text, tmp_path)).replace(str(tmp_path), "")

    assert len(said.splitlines()) == number
    assert english(re.sub(rf"\b(?:{NAMES})\b", "", said)) == []


def test_what_is_wrong_with_settings_in_russian(tmp_path):
    said = RU(faults_of("API_ID=abc\nRELAY_EDITS=maybe\n", tmp_path)).splitlines()

    assert said == [
        "API_ID: 'abc' — не API id: это число вроде 1234567, оно есть на https://my.telegram.org",
        "RELAY_EDITS: 'maybe' — не true и не false: напишите одно из них",
    ]


# ── what was stored in English ────────────────────────────────────────────────


STORED = [
    ("Telegram refused: 400 CHAT_WRITE_FORBIDDEN", "отказ Telegram: 400 CHAT_WRITE_FORBIDDEN"),
    ("no answer from Telegram (connection lost)", "Telegram не отвечает (соединение потеряно)"),
    ("posted without its photo: Telegram refused: 403 CHAT_SEND_PHOTOS_FORBIDDEN",
     "опубликовано без части (фото): отказ Telegram: 403 CHAT_SEND_PHOTOS_FORBIDDEN"),
    ("the photo expired, and its source message is gone",
     "файл (фото) устарел, а исходного сообщения больше нет"),
    ("a message: KeyError: 'at'", "сообщение: KeyError: 'at'"),
    ("its edit cannot be read: unknown constructor 0x1f", "правка не читается: неизвестный конструктор 0x1f"),
    ("the webhook answered 410: it wants no more events", "вебхук ответил 410: событий там больше не ждут"),
    ("only some pairs are shown there, and none is not one of them",
     "там показывают только некоторые пары, и нет не из них"),
    ("source majors is heard no more; its flows stay for its return",
     "источник majors больше не читается; его потоки дождутся его возвращения"),
    # What is not ours, or was said by a version long gone, stays as it is.
    ("it says nothing that is known", "it says nothing that is known"),
    ("channel", "channel"),
    ("", ""),
]  # fmt: skip


@pytest.mark.parametrize(("english", "russian"), STORED)
def test_an_error_that_was_stored_in_english_is_shown_in_the_operators_language(english, russian):
    """Tables and files keep the English, for scripts; so rows of earlier versions are translated as well."""
    text = stored(english)

    assert (text, str(text)) == (english, english)
    assert translator("ru")(text) == russian
    assert translator("en")(text) == english


def test_what_was_stored_is_cut_in_the_language_in_which_it_is_read():
    text = excerpt(stored("Telegram refused: 400 CHAT_WRITE_FORBIDDEN"), 16)

    assert text == "Telegram refuse…"
    assert translator("ru")(text) == "отказ Telegram:…"


@given(st.text(alphabet=" :;,()'{}%abT400\n", max_size=500))
def test_whatever_was_stored_can_be_read(text):
    """In a bounded time, too: who writes an error may be somebody else."""
    assert isinstance(RU(stored(text)), str)


@pytest.mark.parametrize("text", [": " * 250, "a, b; c: d (e) " * 33, "{" * 500, "{0}: {x.y}"])
def test_a_text_made_to_fit_many_is_read_all_the_same(text):
    assert RU(stored(text)) == text


def test_every_text_that_is_stored_is_found_again(foreign):
    """Each frame of the catalogue, filled with what is nobody's words, is said in the other language."""
    lost = [
        text
        for text in RU.texts
        if " " in text and "{" in text and english(foreign(stored(_filled(text))))
    ]
    assert lost == []


def _filled(text):
    names = {name for _, name, _, _ in Formatter().parse(text) if name}
    return text.format(**{name: f"{number}7" for number, name in enumerate(sorted(names))})


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


# What operators meet in Telegram, `setup`, `check` and `reload`, and what is kept to be shown there later; what else
# raises errors tells a shell or a log of them.
SPOKEN = (
    *("setup", "admin", "rules", "delivery", "pipeline", "telegram", "monitoring/access.py"),
    *("config.py", "setting_chats.py", "setting_values.py", "env_text.py", "proxy.py"),
    *("chat_names.py", "server_address.py", "endpoints.py", "sink_keys.py", "faults.py"),
    *("routes.py", "routes_file.py", "routes_keys.py", "naming.py", "reloading.py"),
)
# Orders of a shell alone, and what is no text.
OF_A_SHELL = {"admin/extract.py", "admin/confirmations.py"}
# Of these only their kind is shown to anybody, or nothing.
FOR_PROGRAMMERS = ("bytes are missing", "either a bot token or a session string")


def test_no_text_for_an_operator_goes_by_the_catalogue():
    """The catalogue cannot miss what never came by it: an f-string, or a literal, that people are told."""
    bot = ROOT / "bot"
    files = [
        file
        for name in SPOKEN
        for file in ([bot / name] if name.endswith(".py") else (bot / name).rglob("*.py"))
    ]
    names = {str(file.relative_to(bot)): file for file in files}
    assert len(names) > 100
    found = [
        line
        for name, file in names.items()
        if name not in OF_A_SHELL
        for line in untranslated.of_source(file.read_text("utf-8"), name)
        if not any(words in line for words in FOR_PROGRAMMERS)
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
        ('raise fault(name, "write it anew")', "anew"),
        ('raise SettingsError("\\n".join(lines))', "join"),
        ('NotShown(f"only {pair} is shown")', "shown"),
        ('await outbox.post_failed(post, "it was refused")', "refused"),
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
