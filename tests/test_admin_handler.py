"""What operators ask and order in Telegram, on tables that the real intake filled."""

from __future__ import annotations

import asyncio
import itertools
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import pytest
from rich.cells import cell_len

from bot.admin.chat_commands import AdminHandler, Running
from bot.admin.confirmations import AskedOrder, Confirmations
from bot.app import open_tables
from bot.errors import RetryLater, TargetUnavailable
from bot.models import (
    EditedMessage,
    Failure,
    Indirect,
    Media,
    MessageId,
    MessageRef,
    PressedButton,
    UnixTime,
)
from bot.storage import failures, post_records
from tests.people import ALICE, BOB, CAROL, GROUP, NOON, TARGET
from tests.story import Story

COMMANDS = ("status", "flows", "why", "release", "retry", "pause", "resume", "reload", "help")
FORGOTTEN = "This button is too old, or was made before the bot started anew. Give the order again."
ENDED = 0  # when the owner of a flow was last active, once an operator has ended it

DAVE = 1004
COLUMNS = 40
PATIENCE = 20  # seconds
LINK = "https://t.me/c/1234567890/"


class Chat:
    """Telegram, as far as operators see it; fails as scripted."""

    def __init__(self):
        self.sent = []
        self.edited = []
        self.toasts = []
        self.messages = {}
        self.met = {CAROL, DAVE}
        self.offered = []
        self.errors = []

    def _fail(self):
        if self.errors and (error := self.errors.pop(0)):
            raise error

    async def send(self, to, text, entities=(), buttons=()):
        self._fail()
        self.sent.append((to, text, entities, buttons))

    async def edit(self, chat_id, message_id, text, entities=()):
        self._fail()
        self.edited.append((message_id, words(text)))

    async def answer(self, query_id, text, *, alert=False):
        self._fail()
        self.toasts.append((query_id, text, alert))

    async def read(self, message_id):
        return self.messages.get(message_id)

    async def offer(self, user, commands):
        self._fail()
        if user in self.met:
            self.offered.append((user, *commands))
        return user in self.met

    @property
    def happened(self):
        return len(self.sent) + len(self.toasts)


class Desk:
    """A bot that is asked by its operators, Carol and, if a test says so, others."""

    def __init__(self, story, tables, chat, admins, facts=None):
        self.story = story
        self.tables = tables
        self.chat = chat
        self.clock = story.now
        self.tokens = itertools.count(1)
        self.facts = facts or {"connected_since": story.now - 60, "last_update_at": story.now - 5}
        self.routes_file = "place vip is new"
        self.numbers = itertools.count(100)
        settings = story.settings(admin_users=admins)
        self.handler = AdminHandler(
            tables,
            settings,
            chat,
            Running(self._facts, self._reload),
            clock=lambda: self.clock,
            token=lambda: f"{id(self)}-{next(self.tokens)}",
        )
        self.running = asyncio.create_task(self.handler.run())

    async def _facts(self):
        return self.facts

    async def _reload(self):
        """See `bot.reloading`."""
        if isinstance(self.routes_file, Exception):
            raise self.routes_file
        return self.routes_file

    def message(self, text, *, author=CAROL, ago=0, chat=None, **more):
        return self.story.says(
            author, text, ago=ago / 3600, chat_id=chat or author, number=next(self.numbers), **more
        )

    async def until(self, happened):
        await self._turns(lambda: self.chat.happened >= happened)

    async def _turns(self, over):
        """Give the handler turns until that is so."""
        async with asyncio.timeout(PATIENCE):
            while not over():
                assert not self.running.done(), self.running.exception()
                await asyncio.sleep(0.001)

    async def says(self, text, **more):
        """The answer: its text with every blank as one, and its buttons."""
        before = self.chat.happened
        self.handler.hear(self.message(text, **more))
        await self.until(before + 1)
        return self.last

    @property
    def last(self):
        _, text, _, buttons = self.chat.sent[-1]
        return words(text), {button.text: button.data for row in buttons for button in row}

    async def presses(self, data, *, user=CAROL, chat=None):
        """What pops up."""
        before = len(self.chat.toasts)
        press = PressedButton(next(self.numbers), user, chat or user, MessageId(7), data)
        self.handler.hear(press)
        await self._turns(lambda: len(self.chat.toasts) > before)
        query_id, text, _ = self.chat.toasts[-1]
        assert query_id == press.query_id
        return text

    async def asks_back(self, data):
        """What is sent when that button is pressed: its text and its buttons."""
        before = len(self.chat.sent)
        assert await self.presses(data) == ""
        await self._turns(lambda: len(self.chat.sent) > before)
        return self.last

    async def alerted(self, data, **more):
        """Whether what pops up stays until it is dismissed."""
        await self.presses(data, **more)
        return self.chat.toasts[-1][2]

    async def is_silent(self, *events):
        """Nothing is said, neither before nor behind what Carol is told next."""
        before = self.chat.happened
        for event in events:
            self.handler.hear(event)
        text, _ = await self.says("/help")
        return self.chat.happened == before + 1 and text.startswith("/status")

    async def activity(self, signal_id):
        return (await self.tables.flow(signal_id)).last_owner_activity

    async def failed(self):
        return [post.id for post in await self.tables.ask(_troubles) if post.state == "failed"]


def _troubles(db):
    return post_records.troubles(db, at_most=9)


def words(text):
    return " ".join(text.split())


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """It takes longer to tell than most of what is asked about it."""
    return asyncio.run(Story(tmp_path_factory.mktemp("told"), int(time.time())).is_told())


@pytest.fixture
def story(told, tmp_path):
    return told.copied(tmp_path)


@asynccontextmanager
async def opened(story, chat, admins=(CAROL,), **more):
    async with open_tables(story.settings(), read_only=False) as tables:
        desk = Desk(story, tables, chat, admins, **more)
        yield desk
        desk.running.cancel()


@pytest.fixture
async def desk(story):
    async with opened(story, Chat()) as desk:
        yield desk


# ── questions ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("asked", "begins", "buttons"),
    [
        pytest.param("/start", "/status how the bot is doing /flows the live", [], id="start"),
        pytest.param("/help", "/status how the bot is doing /flows the live", [], id="help"),
        pytest.param("/status", "bot: not running telegram: connected", ["Retry 1 post"], id="status"),
        pytest.param(
            "/flows", "2 ETH/USDT SHORT by 1002 live for 2 d 19 h more, quiet for 5 h", ["Release 2", "Release 1"], id="flows"
        ),
        pytest.param("/flows eth", "2 ETH/USDT SHORT by 1002 live for 2 d", ["Release 2"], id="pair"),
        pytest.param(
            "/flows all", "2 ETH/USDT SHORT by 1002", ["Release 2", "Release 1"], id="all"
        ),
        pytest.param("/flows 1", "signal: 1: BTC/USDT LONG by 1001", ["Release 1"], id="a thread"),
        pytest.param("/flows xrp", "No such flow is live.", [], id="no flow"),
        pytest.param(f"/why {LINK}3", f"message: {LINK}3 by 1002", ["Release 1"], id="why"),
        pytest.param("/WHY@relay_bot  3", f"message: {LINK}3 by 1002", ["Release 1"], id="at"),
        pytest.param(f"/why\n{LINK}3", f"message: {LINK}3 by 1002", ["Release 1"], id="two lines"),
        pytest.param(f"{LINK}3", f"message: {LINK}3 by 1002", ["Release 1"], id="a bare link"),
        pytest.param(f"{LINK}7", f"message: {LINK}7", ["Retry post 4"], id="refused"),
        pytest.param("/why 99", f"message: {LINK}99 recorded: no", [], id="not seen"),
        pytest.param("/pause", "paused: all is recorded, and nothing is posted until /resume", [], id="pause"),
        pytest.param("/resume", "there is no pause", [], id="resume"),
        pytest.param("/reload", "place vip is new", [], id="reload"),
        pytest.param("/reload x", "/reload stands alone: all of the file is read again", [], id="reload of"),
        pytest.param(
            "/release 1",
            "Release signal 1, BTC/USDT LONG by 1001? Others may then",
            ["Yes, release it", "No"],
            id="release",
        ),
        pytest.param("/retry", "Put 1 post back in line?", ["Yes, retry", "No"], id="retry"),
        pytest.param(
            "/retry 4", "Put post 4 back in line? Telegram refused", ["Yes, retry", "No"], id="retry one"
        ),
    ],
)  # fmt: skip
async def test_every_command_is_answered_in_lines_for_a_telephone(desk, asked, begins, buttons):
    text, shown = await desk.says(asked)

    assert text.startswith(begins)
    assert list(shown) == buttons
    assert too_wide(desk.chat.sent[-1][1]) == []
    assert all(len(data.encode()) <= 64 for data in shown.values())


def too_wide(text):
    lines = text.splitlines()
    return [line for line in lines if cell_len(line) > COLUMNS and not line.startswith(LINK)]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("/why", "which message? /why LINK, or /why as a reply to a forwarded one"),
        ("/why hello", "'hello' names no message: give a link such as"),
        ("/why https://t.me/group/99", "no message 99 is recorded, and which chat @group is"),
        ("/flows -1005:1", "-1005:1 is no signal and belongs to no flow that the bot knows"),
        ("/flows 99", "99 is no signal and belongs to no flow that the bot knows"),
        ("/release", "which flow? /release 3, or /release LINK of a message in it"),
        ("/release 99", "99 is no signal and belongs to no flow that the bot knows"),
        ("/release me", "'me' names no message: give a link such as"),
        ("/retry x", "'x' is not the number of a post, such as 5"),
        ("/retry -4", "'-4' is not the number of a post, such as 5"),
        ("/retry 1", "there is no failed post 1: /status names them"),
        ("/retry 99", "there is no failed post 99: /status names them"),
        ("/frobnicate", "There is no /frobnicate. /help shows what there is."),
        ("/", "There is no /. /help shows what there is."),
        ("hello", "I know commands and links to messages. /help shows what there is."),
        ("12", "I know commands and links to messages. /help shows what there is."),
        ("", "I know commands and links to messages. /help shows what there is."),
        (f"/frob{'x' * 5000}", "There is no /frob"),
    ],
)
async def test_what_cannot_be_done_is_one_clear_line_with_its_culprit(desk, asked, said):
    text, buttons = await desk.says(asked)

    assert text.startswith(said)
    assert buttons == {}
    assert len(desk.chat.sent) == 1
    assert too_wide(desk.chat.sent[-1][1]) == []


async def test_a_forward_is_asked_about_where_telegram_says_what_it_is_of(desk):
    of = MessageRef(GROUP, MessageId(3))
    told, _ = await desk.says("closed!", forwarded=True, forward_of=of)
    untold, _ = await desk.says("closed!", forwarded=True)
    desk.chat.messages[55] = desk.message("closed!", forwarded=True, forward_of=of)
    desk.chat.messages[56] = desk.message("no forward")
    answers = [
        (await desk.says("/why", to=MessageRef(CAROL, MessageId(number))))[0]
        for number in (55, 56, 57)
    ]

    assert told.startswith(f"message: {LINK}3 by 1002")
    assert untold.startswith("Telegram does not say which message of a group a forward was.")
    assert answers[0] == told
    assert answers[1:] == ["that is no forwarded message: /why LINK names one by its link"] * 2


async def test_a_command_in_a_forward_is_others_words_and_no_order(desk):
    text, _ = await desk.says("/pause", forwarded=True)

    assert text.startswith("Telegram does not say")
    assert await desk.tables.paused_at() is None


async def test_nothing_that_others_wrote_is_live_in_an_answer(desk, story):
    """No command, link or name in a signal can be tapped by an operator who reads of it."""
    bait = "/pause https://evil.example @bob 🚀" + "ж" * 90
    async with story.bot() as core:
        signal = story.says(ALICE, f"#idea {bait}", ago=0, number=90)
        await core.intake.handle(signal)
        await core.intake.handle(story.says(ALICE, bait, ago=0, number=91, to=signal))
    answers = {
        "/flows": [],
        "/flows 4": [],
        "/why 90": [90],
        "/why 91": [91, 90, 90],
        "/release 4": [],
    }
    for asked, links in answers.items():
        await desk.says(asked)
        _, text, entities, _ = desk.chat.sent[-1]
        units = text.encode("utf-16-le")
        for code in entities:
            assert code.type == "code"
            gone = b" \0" * code.length
            units = units[: 2 * code.offset] + gone + units[2 * (code.offset + code.length) :]
        left = units.decode("utf-16-le").split()
        assert left == [f"{LINK}{number}" for number in links]
        assert too_wide(text) == []


async def test_an_answer_too_long_for_a_message_comes_in_parts_and_has_an_end(desk, story):
    async with story.bot() as core:
        root = story.says(ALICE, "x", ago=10, number=1)
        for number in range(1000, 1500):
            await core.intake.handle(story.says(BOB, "no", ago=1, number=number, to=root))
    await desk.says("/flows 1")
    await desk.until(5)

    *parts, (_, end, _, _) = desk.chat.sent
    assert len(parts) == 4
    assert all(len(text.encode("utf-16-le")) // 2 <= 4096 for _, text, _, _ in parts)
    assert [bool(buttons) for *_, buttons in parts] == [False, False, False, True]
    assert "and more" in end


async def test_a_status_says_what_only_the_running_bot_knows_and_that_it_is_paused(desk):
    await desk.says("/pause")
    desk.facts |= {"connected_since": None, "reasons": ["not connected to Telegram"]}
    text, _ = await desk.says("/status")

    assert "telegram: NOT connected" in text
    assert "health: not connected to Telegram" in text
    assert "relay: PAUSED" in text
    assert "until /resume" in text


# ── orders ────────────────────────────────────────────────────────────────────


async def test_a_flow_is_released_by_its_button_and_not_before(desk):
    _, buttons = await desk.says("/release 1")
    assert await desk.activity(1) != ENDED

    said = await desk.presses(buttons["Yes, release it"])

    assert said == "released: signal 1, BTC/USDT LONG by 1001"
    assert await desk.activity(1) == ENDED
    (order,) = await desk.tables.orders_after(0)
    assert (order.kind, order.subject) == ("release", 1)
    await desk.is_silent()  # what the message becomes comes behind what pops up
    assert desk.chat.edited == [(7, said)]


async def test_buttons_below_other_answers_ask_back_however_old_they_are(story, desk):
    _, flows = await desk.says("/flows")
    async with opened(story, desk.chat) as later:
        assert await later.presses(flows["Release 1"]) == ""
        assert await later.is_silent()
        text, buttons = words(desk.chat.sent[-2][1]), desk.chat.sent[-2][3]
        assert text.startswith("Release signal 1, BTC/USDT LONG by 1001?")
        await later.presses(buttons[0][0].data)
        assert await later.activity(1) == ENDED
        again = await later.presses(flows["Release 1"])
    assert again == "the flow of signal 1 was ended by hand already"


async def test_failed_posts_are_tried_again_by_button(desk):
    assert await desk.failed() == [4]
    _, buttons = await desk.says("/retry 4")

    assert await desk.presses(buttons["Yes, retry"]) == "back in line: 1 post (4)"
    assert await desk.failed() == []
    assert (await desk.says("/retry"))[0] == "no post has failed"


async def test_a_button_below_a_status_asks_back_before_all_that_failed_is_tried_again(desk):
    _, status = await desk.says("/status")
    asked, buttons = await desk.asks_back(status["Retry 1 post"])
    assert asked == "Put 1 post back in line?"
    assert await desk.failed() == [4]

    assert await desk.presses(buttons["Yes, retry"]) == "back in line: 1 post (4)"
    assert await desk.failed() == []


async def test_a_question_shows_how_a_long_error_begins(desk):
    await desk.tables.retry(4)
    (post,) = await desk.tables.take_posts(TARGET)
    await desk.tables.post_failed(post, "x" * 200)

    asked, _ = await desk.says("/retry 4")

    assert asked.startswith("Put post 4 back in line? xxx")
    assert asked.endswith("xxx…")
    assert asked.count("x") == 79


async def test_what_failed_to_be_dealt_with_is_read_again_by_button_and_once(desk):
    lost = MessageRef(GROUP, MessageId(77))
    await desk.tables.change(
        partial(failures.record, failures=[Failure(lost, BOB, NOON, "a bug")], now=NOON)
    )
    _, story = await desk.says(f"/why {LINK}77")
    asked, first = await desk.asks_back(story["Read it again"])
    _, second = await desk.asks_back(story["Read it again"])
    assert asked == f"Read {LINK}77 again? a bug"
    assert await desk.tables.ask(failures.wanted) == []

    assert await desk.presses(first["Yes, retry"]) == f"to be read again: 1 message ({LINK}77)"
    (wanted,) = await desk.tables.ask(failures.wanted)
    await desk.tables.change(partial(failures.settle, refs=[wanted.ref]))

    assert await desk.presses(second["Yes, retry"]) == "that was dealt with already"
    assert await desk.presses(story["Read it again"]) == "that was dealt with already"


async def test_all_of_a_source_is_done_by_button(desk):
    """Its name is `main`, where no file of routes gives another."""
    asked, release = await desk.says("/release main")
    assert asked == "Release 2 flows of main? Others may then continue them."
    said = await desk.presses(release["Yes, release it"])
    assert said == "released: 2 flows of main"
    assert [await desk.activity(each) for each in (1, 2)] == [ENDED, ENDED]

    asked, retry = await desk.says("/retry main")
    assert asked == "Put 1 post of main back in line?"
    assert await desk.presses(retry["Yes, retry"]) == "back in line: 1 post (4)"
    assert await desk.failed() == []


async def test_the_log_has_who_ordered_what_by_button(desk, capsys):
    for command, button in (("/release 1", "Yes, release it"), ("/retry main", "Yes, retry")):
        _, buttons = await desk.says(command)
        await desk.presses(buttons[button])

    ordered = [words(line) for line in capsys.readouterr().out.splitlines() if " ordered " in line]
    one, all_of_it = (line.partition(" ordered ")[2] for line in ordered)
    assert one == "admin=1003 order=release subject=1"
    assert all_of_it == "admin=1003 order=retry subject=main"


async def test_of_the_questions_the_latest_two_hundred_may_be_answered(desk):
    """So that what is asked and never answered takes no memory for ever."""
    tokens = map(str, itertools.count(1))
    asked = Confirmations(
        desk.tables,
        desk.story.settings(),
        lambda: None,
        clock=lambda: desk.clock,
        token=lambda: next(tokens),
    )
    for _ in range(201):
        await asked.ask_back(AskedOrder("release", 1), CAROL)
    first, second = [
        await asked.react(PressedButton(1, CAROL, CAROL, MessageId(7), f"yes:{number}"))
        for number in (1, 2)
    ]

    assert first.toast == FORGOTTEN
    assert second.toast == "released: signal 1, BTC/USDT LONG by 1001"


async def test_why_a_button_did_nothing_stays_until_it_is_dismissed(story):
    """What it did stands in its message, so that this pops up for a moment alone."""
    async with opened(story, Chat(), admins=(CAROL, DAVE)) as desk:
        _, old = await desk.says("/release 1")
        desk.clock += 601
        _, new = await desk.says("/release 1", ago=-601)
        assert await desk.alerted(old["Yes, release it"])
        assert await desk.alerted(new["Yes, release it"], user=DAVE)
        assert await desk.alerted("yes:never")
        assert not await desk.alerted(new["Yes, release it"])
        assert await desk.alerted(new["Yes, release it"])


async def test_who_says_no_changes_nothing_and_cannot_say_yes_then(desk):
    _, buttons = await desk.says("/release 1")

    assert await desk.presses(buttons["No"]) == "Nothing was done."
    assert (await desk.presses(buttons["Yes, release it"])).startswith("That was answered already")
    assert await desk.activity(1) != ENDED


async def test_a_button_pressed_twice_does_its_work_once_and_says_so(desk, story):
    _, buttons = await desk.says("/release 1")
    await desk.presses(buttons["Yes, release it"])
    async with story.bot() as core:  # its owner takes it back
        root = story.says(ALICE, "x", ago=10, number=1)
        await core.intake.handle(story.says(ALICE, "not yet", ago=0, number=95, to=root))

    assert (await desk.presses(buttons["Yes, release it"])).startswith("That was answered already")
    assert await desk.activity(1) != ENDED
    assert len(await desk.tables.orders_after(0)) == 1


async def test_of_two_buttons_for_one_flow_the_second_says_that_it_was_ended(desk):
    (_, one), (_, other) = await desk.says("/release 1"), await desk.says("/release 1")
    await desk.presses(one["Yes, release it"])

    said = await desk.presses(other["Yes, release it"])

    assert said == "the flow of signal 1 was ended by hand already"
    assert len(await desk.tables.orders_after(0)) == 1


async def test_a_button_of_another_run_of_the_bot_does_nothing_and_says_so(story, desk):
    _, buttons = await desk.says("/release 1")
    async with opened(story, desk.chat) as later:
        assert await later.presses(buttons["Yes, release it"]) == FORGOTTEN
    assert await desk.activity(1) != ENDED


async def test_a_button_is_good_for_ten_minutes(desk):
    _, first = await desk.says("/release 1")
    desk.clock += 1
    _, second = await desk.says("/release 1")
    desk.clock += 600

    assert await desk.presses(first["Yes, release it"]) == FORGOTTEN
    assert await desk.activity(1) != ENDED
    assert (await desk.presses(second["Yes, release it"])).startswith("released: signal 1")


async def test_a_button_is_his_for_whom_it_was_shown(story):
    async with opened(story, Chat(), admins=(CAROL, DAVE)) as desk:
        _, buttons = await desk.says("/release 1")
        assert await desk.presses(buttons["Yes, release it"], user=DAVE) == FORGOTTEN
        assert await desk.activity(1) != ENDED


@pytest.mark.parametrize("data", ["", "yes:", "ask:pause:1", "ask:release:x", "ask:release:", "\0"])
async def test_a_button_that_nobody_made_does_nothing(desk, data):
    assert await desk.presses(data)
    assert await desk.tables.orders_after(0) == []


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("ask:release:", "there is no signal 0: /flows shows which are"),
        ("ask:reread:", "that was dealt with already"),
    ],
)
async def test_a_button_that_names_nothing_means_nothing(desk, data, said):
    assert await desk.presses(data) == said


async def test_a_table_that_does_not_answer_is_told_and_the_button_stays_good(desk):
    _, buttons = await desk.says("/release 1")
    await desk.tables.close()
    assert "not open" in await desk.presses(buttons["Yes, release it"])
    assert "not open" in (await desk.says("/flows"))[0]

    await desk.tables.open_existing()

    assert (await desk.presses(buttons["Yes, release it"])).startswith("released: signal 1")


async def test_a_pause_is_ended_by_its_order(desk):
    await desk.says("/pause")
    assert await desk.tables.paused_at() is not None

    assert (await desk.says("/resume"))[0] == "resumed: 1 post to be sent or changed"
    assert await desk.tables.paused_at() is None


# ── who ───────────────────────────────────────────────────────────────────────


NOT_TYPED = {
    "a bot sent it for you": {"indirect": Indirect.VIA_BOT},
    "it was scheduled before": {"indirect": Indirect.SCHEDULED},
    "it was sent automatically": {"indirect": Indirect.AUTOMATIC},
    "it was edited": {"edited_at": NOON},
    "it stands below a picture or a file": {"media": Media("photo", "photo:1:2:00")},
}


@pytest.mark.parametrize(("why", "how"), NOT_TYPED.items(), ids=NOT_TYPED)
@pytest.mark.parametrize("text", ["/pause", " /release 1", "/retry", "/resume"])
async def test_a_command_is_obeyed_as_it_was_typed_and_not_otherwise(desk, capsys, text, why, how):
    """Each is answered with the one line that says why; the log has it too."""
    said, buttons = await desk.says(text, **how)

    assert (said, buttons) == (f"Not obeyed: {why}. Type it anew.", {})
    assert "a command is not obeyed" in capsys.readouterr().out
    assert await desk.tables.paused_at() is None
    assert await desk.tables.orders_after(0) == []


@pytest.mark.parametrize("how", NOT_TYPED.values(), ids=NOT_TYPED)
async def test_an_old_command_gets_no_answer_however_it_was_sent(desk, how):
    assert await desk.is_silent(desk.message("/pause", ago=301, **how))


async def test_a_command_that_is_made_by_an_edit_is_none(desk, capsys):
    """Live it comes as an edit, after a while without connection as a message that was edited."""
    typed = desk.message("/pausw")
    await desk.says("/help")
    edited = replace(typed, text="/pause", edited_at=UnixTime(desk.clock))

    assert await desk.is_silent(EditedMessage(edited))
    assert "a command is not obeyed" in capsys.readouterr().out
    assert await desk.tables.paused_at() is None


async def test_strangers_and_groups_get_no_answer(desk):
    texts = [*(f"/{name}" for name in COMMANDS), "/start", "/release 1", f"{LINK}3"]
    _, buttons = await desk.says("/release 1")
    events = [desk.message(text, author=BOB) for text in texts]
    events += [desk.message(text, chat=GROUP) for text in texts]
    events += [desk.message(text, chat=BOB) for text in texts]
    events += [desk.message("/pause", author=None, chat=CAROL), desk.message("", service=True)]
    for data in buttons.values():
        events += [
            PressedButton(1, BOB, where, MessageId(7), data) for where in (BOB, GROUP, CAROL)
        ]
        events.append(PressedButton(1, CAROL, GROUP, MessageId(7), data))

    assert await desk.is_silent(*events)
    assert await desk.tables.orders_after(0) == []


async def test_who_is_an_operator_no_more_gets_no_answer(story):
    chat = Chat()
    async with opened(story, chat, admins=(DAVE, CAROL)) as desk:
        _, buttons = await desk.says("/flows", author=DAVE)
        _, asked = await desk.says("/release 1", author=DAVE)
    async with opened(story, chat) as desk:
        presses = [
            PressedButton(1, DAVE, DAVE, MessageId(7), data)
            for data in (*buttons.values(), *asked.values())
        ]
        assert await desk.is_silent(desk.message("/status", author=DAVE), *presses)


async def test_a_command_that_is_some_minutes_old_is_not_obeyed(desk):
    assert await desk.is_silent(
        desk.message("/pause", ago=301), desk.message("/status", ago=86_400)
    )
    assert await desk.tables.paused_at() is None
    assert (await desk.says("/resume", ago=300))[0] == "there is no pause"


# ── trouble ───────────────────────────────────────────────────────────────────


async def test_commands_are_registered_once_the_two_have_met(story):
    chat = Chat()
    chat.met = {CAROL}
    async with opened(story, chat, admins=(CAROL, DAVE)) as desk:
        await desk.says("/help")
        assert chat.offered == [(CAROL, *COMMANDS)]
        chat.met.add(DAVE)
        chat.errors.append(RetryLater("flood"))
        await desk.says("/help", author=DAVE)
        await desk.says("/help", author=DAVE)
        await desk.says("/help", author=DAVE)

    assert chat.offered == [(CAROL, *COMMANDS), (DAVE, *COMMANDS)]


async def test_telegrams_refusals_are_logged_and_the_next_is_answered(desk):
    await desk.says("/help")
    desk.chat.errors = [RetryLater("flood")]
    desk.handler.hear(desk.message("/status"))
    assert (await desk.says("/help"))[0].startswith("/status")
    _, buttons = await desk.says("/release 1")
    desk.chat.errors = [RetryLater("QUERY_ID_INVALID")]  # he was not answered, but obeyed
    desk.handler.hear(PressedButton(1, CAROL, CAROL, MessageId(7), buttons["Yes, release it"]))
    await desk.says("/help")

    assert await desk.activity(1) == ENDED
    assert desk.chat.edited == [(7, "released: signal 1, BTC/USDT LONG by 1001")]


async def test_a_failure_of_our_own_is_told_and_ends_nothing(desk):
    desk.facts = None
    assert (await desk.says("/status"))[0] == "That failed; the bot's log says why."
    assert (await desk.says("/help"))[0].startswith("/status")


async def test_trouble_of_our_own_outside_of_a_command_ends_nothing_either(story):
    """Such as a session file that cannot be read: the relay goes on, and so do the answers."""
    chat = Chat()
    chat.errors = [OSError("session"), OSError("session")]
    async with opened(story, chat) as desk:
        await desk.handler.tell("trouble")  # before the commands are offered
        assert (await desk.says("/help"))[0].startswith("/status")

    assert chat.offered == [(CAROL, *COMMANDS)]


async def test_what_comes_too_fast_is_dropped_and_hurts_nobody(desk):
    await desk.says("/help")
    before = desk.chat.happened
    for _ in range(100):
        desk.handler.hear(desk.message("/help"))
    await desk.until(before + 32)

    assert await desk.is_silent()
    assert desk.chat.happened == before + 33


async def test_every_operator_is_told_even_if_one_cannot_be_reached(story):
    chat = Chat()
    async with opened(story, chat, admins=(DAVE, CAROL)) as desk:
        await desk.says("/help")
        chat.errors = [TargetUnavailable("blocked", DAVE)]
        await desk.handler.tell(f"Target {TARGET} takes nothing.")

    ((to, text, (code,), _),) = chat.sent[1:]
    assert (to, words(text)) == (CAROL, f"Target {TARGET} takes nothing.")
    assert (code.type, code.length) == ("code", len(text))  # what Telegram said is data, too
