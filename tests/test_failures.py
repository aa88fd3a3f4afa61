"""Events that fail inside the bot: recorded by their ids, told, kept, and tried again in order."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager, closing

import pytest
from structlog.testing import capture_logs

from bot.admin.explain import why
from bot.admin.retry import retry
from bot.admin.status import status
from bot.admin.status_shown import as_rows
from bot.app import open_core
from bot.config import Settings
from bot.errors import RetryLater, UsageError
from bot.models import DeletedMessages, EditedMessage, MessageRef
from bot.pipeline.patience import Pace
from bot.pipeline.rereading import RetriedEvents
from bot.storage import failures
from tests import wiring
from tests.people import ALICE, BOB, GROUP, NOON, TARGET, says


class Clumsy:
    """The real intake, which fails for some messages for as long as they are `broken`."""

    def __init__(self, core):
        self.core = core
        self.broken = {}

    async def take(self, messages):
        self._stumble(messages[0].id)
        return await self.core.intake.take(messages)

    async def edited(self, message):
        self._stumble(message.id)
        return await self.core.intake.edited(message)

    async def deleted(self, chat_id, ids):
        self._stumble(ids[0])
        return await self.core.intake.deleted(chat_id, ids)

    def _stumble(self, number):
        if number in self.broken:
            raise self.broken[number]


class Life:
    """A bot without a network. `telegram` is what a message looks like there now; None: gone."""

    def __init__(self, directory, core):
        self.core = core
        self.settings = settings_for(directory)
        self.clumsy = Clumsy(core)
        self.told = []
        self.telegram = {}
        known = set()
        self.hearing = wiring.hearing(
            core.store,
            self.clumsy,
            wiring.route(GROUP, TARGET),
            failed=self.told.append,
            known=known,
            pace=Pace(pause=0.001, clock=lambda: NOON + 7),
        )
        self.rereading = RetriedEvents(core.store, self._read, known.add, sleep=self._sleep)
        self.naps = []

    async def hears(self, *messages):
        for message in messages:
            self.telegram[message.ref] = message
            await self.hearing.hear(message)

    async def _read(self, ref):
        if self.telegram is None:
            raise RetryLater("no answer from Telegram")
        message = self.telegram[ref]
        gone = DeletedMessages(ref.chat_id, (ref.message_id,))
        await self.hearing.hear(gone if message is None else message)
        self.read.append(ref)

    async def _sleep(self, seconds):
        self.naps.append(seconds)
        await asyncio.Event().wait()

    async def order(self, which=None):
        said = await retry(self.core.store, self.settings, which)
        await self.obeys()
        return said

    async def obeys(self):
        """Until all that is wanted was read and dealt with, or a pause is made."""
        wanted = await self.core.store.ask(failures.wanted)
        self.read, self.naps = [], []
        task = asyncio.create_task(self.rereading.run())
        await asyncio.sleep(0)  # in which it learns what failed before
        async with asyncio.timeout(10):
            while len(self.read) < len(wanted) and not self.naps:
                await asyncio.sleep(0)
        task.cancel()

    async def why(self, message):
        rows = await why(
            self.core.store, self.settings, f"{message.chat_id}:{message.id}", now=NOON
        )
        return [f"{row.label}: {row.text}" for row in rows]

    async def failed(self):
        found = await self.core.store.ask(lambda db: failures.newest(db, at_most=99))
        return sorted((each.ref.message_id, each.error) for each in found)

    async def posts(self):
        return [post.text for post in await self.core.store.take_posts(TARGET)]


def settings_for(directory):
    return Settings(
        _env_file=None,
        data_dir=directory / "data",
        source_chat_id=GROUP,
        target_chat_id=((TARGET, 0),),
    )


@asynccontextmanager
async def living(directory):
    given = settings_for(directory)
    async with open_core(given, wiring.routes(given, TARGET), in_loop=True) as core:
        yield Life(directory, core)


@pytest.fixture(autouse=True)
def said():
    """What is logged: to draw each traceback would take a second."""
    with capture_logs() as lines:
        yield lines


@pytest.fixture
async def life(tmp_path):
    async with living(tmp_path) as life:
        yield life


def link(message):
    return f"https://t.me/c/1234567890/{message.id}"


async def test_a_message_that_fails_is_recorded_told_and_those_behind_it_go_on(life):
    """By its id, date, author and the error, and with nothing of what it says."""
    poison, other = says(ALICE, "#idea \ud800 беда", number=1), says(BOB, "#idea ETH", number=2)
    life.clumsy.broken[1] = ValueError("cannot\nencode \ud800")
    await life.hears(poison, other)

    assert await life.failed() == [(1, "a message: ValueError: cannot encode ?")]
    assert [each.ref for each in life.told] == [poison.ref]
    assert await life.posts() == ["#idea ETH"]
    story = await life.why(poison)
    assert "decided: ignored (failed): the bot could not deal with it" in story
    assert f": by {ALICE}, 2026-02-02 02:40:00 UTC, recorded 7 s later" in story
    assert f": `retry {link(poison)}` reads it again" in story
    rows = as_rows(await status(life.core.store, life.settings, 4, now=NOON))
    assert ("failed", "1 message could not be dealt with, the newest:") in rows


async def test_a_message_that_failed_is_dealt_with_once_it_is_wanted_again(life):
    poison = says(ALICE, "#idea BTC", number=1)
    life.clumsy.broken[1] = ValueError("a bug")
    await life.hears(poison)
    life.clumsy.broken.clear()

    assert await life.order(link(poison)) == f"to be read again: 1 message ({link(poison)})"
    assert await life.posts() == ["#idea BTC"]
    assert await life.failed() == []
    assert await life.order() == "no post has failed"
    with pytest.raises(UsageError, match="has not failed"):
        await life.order(link(poison))


async def test_what_answers_a_failure_comes_with_it_in_order(life):
    """While the signal is unknown its updates belong to no flow, and would be lost."""
    idea = says(ALICE, "#idea BTC", number=1)
    tp1 = says(ALICE, "TP1", number=2, to=idea)
    thanks = says(BOB, "thanks", number=3, to=idea)
    tp2 = says(ALICE, "TP2", number=4, to=tp1)
    other = says(BOB, "never mind", number=5, to=MessageRef(GROUP, 99))
    life.clumsy.broken[1] = ValueError("a bug")
    await life.hears(idea, tp1, thanks, tp2, other)
    assert [number for number, _ in await life.failed()] == [1, 2, 3, 4]
    life.clumsy.broken.clear()

    assert (await life.order(link(idea))).startswith("to be read again: 4 messages (")
    assert await life.failed() == []
    assert [await life.core.store.signal_at(GROUP, each.id) for each in (idea, tp1, tp2)] == [1] * 3
    assert "decided: rejected (not_the_owner)" in " ".join(await life.why(thanks))


@pytest.mark.parametrize("gone", [False, True], ids=["edited", "deleted"])
async def test_an_edit_or_a_deletion_that_failed_is_made_good_as_it_is_now(life, gone):
    """The message stays what it was recorded as, and `why` tells that what came later failed."""
    idea = says(ALICE, "#idea BTC", number=1)
    await life.hears(idea)
    life.clumsy.broken[1] = ValueError("a bug")
    if gone:
        await life.hearing.hear(DeletedMessages(GROUP, (idea.id,)))
    else:
        await life.hearing.hear(EditedMessage(says(ALICE, "#idea ETH", number=1)))
    what = "its deletion" if gone else "an edit"
    assert await life.failed() == [(1, f"{what}: ValueError: a bug")]
    story = await life.why(idea)
    assert any(row.startswith("decided: signal (new_signal)") for row in story)
    assert any(f"{what}: ValueError: a bug" in row for row in story)

    life.clumsy.broken.clear()
    life.telegram[idea.ref] = None if gone else says(ALICE, "#idea SOL", number=1)
    await life.order()
    assert await life.failed() == []
    assert await life.posts() == ([] if gone else ["#idea SOL"])


async def test_an_album_that_fails_is_recorded_with_all_its_parts(life):
    parts = [says(ALICE, "#idea BTC", number=number, album_id=5) for number in (1, 2)]
    life.clumsy.broken[1] = ValueError("a bug")
    await life.hears(*parts, says(BOB, "hello", number=3))
    assert [number for number, _ in await life.failed()] == [1, 2]


async def test_what_fails_again_can_be_wanted_again(life):
    poison = says(ALICE, "#idea BTC", number=1)
    life.clumsy.broken[1] = ValueError("a bug")
    await life.hears(poison)
    await life.order()
    assert await life.failed() == [(1, "a message: ValueError: a bug")]
    assert len(life.told) == 2
    life.clumsy.broken.clear()
    await life.order()
    assert await life.posts() == ["#idea BTC"]


async def test_what_is_wanted_is_read_once_telegram_answers_and_by_the_next_bot_too(tmp_path):
    """Nothing is wanted for ever, either: who has been dealt with is not read again."""
    poison = says(ALICE, "#idea BTC", number=1)
    async with living(tmp_path) as life:
        life.clumsy.broken[1] = ValueError("a bug")
        await life.hears(poison)
        life.telegram = None
        await life.order()
        assert life.naps == [30]
        assert "to be read again" in " ".join(
            row.text for row in as_rows(await status(life.core.store, life.settings, 4, now=NOON))
        )
    async with living(tmp_path) as life:
        life.telegram[poison.ref] = poison
        await life.obeys()
        assert await life.posts() == ["#idea BTC"]
        assert await life.failed() == []


async def test_a_failure_that_comes_again_by_itself_is_made_good(tmp_path):
    """As after a crash, or by an edit."""
    poison, edited = says(ALICE, "#idea BTC", number=1), says(ALICE, "#idea SOL", number=2)
    async with living(tmp_path) as life:
        life.clumsy.broken |= {1: ValueError("a bug"), 2: ValueError("a bug")}
        await life.hears(poison, edited)
        assert len(await life.failed()) == 2
        life.clumsy.broken.clear()
        await life.hearing.hear(EditedMessage(edited))
        assert [number for number, _ in await life.failed()] == [1]
    async with living(tmp_path) as life:
        await life.obeys()
        await life.hears(poison)
        assert await life.failed() == []


async def test_failures_are_kept_for_longer_than_refusals(life):
    poison = says(ALICE, "#idea BTC", number=1)
    life.clumsy.broken[1] = ValueError("a bug")
    await life.hears(poison)
    await life.core.store.prune_decisions(before=NOON + 10**9)
    assert len(await life.failed()) == 1


async def test_a_table_that_refuses_even_the_record_holds_up_nobody(life, tmp_path):
    """It is told and logged all the same."""
    with closing(sqlite3.connect(tmp_path / "data" / "signals.db")) as db:
        db.execute(
            "CREATE TRIGGER no BEFORE INSERT ON decisions "
            "BEGIN SELECT RAISE(ABORT, 'no trouble'); END"
        )
        db.commit()
    life.clumsy.broken[1] = ValueError("a bug")
    await life.hears(says(ALICE, "#idea BTC", number=1), says(BOB, "#idea ETH", number=2))
    assert await life.posts() == ["#idea ETH"]
    assert len(life.told) == 1


@pytest.mark.sqlite
async def test_what_failed_is_found_without_a_look_at_what_was_refused(tmp_path):
    """A running bot asks for it again and again, beside half a million refusals."""
    refused = (
        "INSERT INTO decisions (source_chat_id, source_message_id, outcome, reason, at, recorded_at,"
        " error) VALUES (?, ?, ?, ?, 1, 1, ?)"
    )
    async with open_core(settings_for(tmp_path), in_loop=True) as core:

        def write(db):
            rows = [(GROUP, number, "rejected", "not_the_owner", None) for number in range(5_000)]
            db.connection.driver_connection.executemany(refused, rows)
            last = (GROUP, 9_999, "ignored", "failed", "ValueError: oops")
            db.connection.driver_connection.execute(refused, last)

        def count(db):
            steps = []
            db.connection.driver_connection.set_progress_handler(lambda: steps.append(1), 1)
            found = [failures.newest(db, at_most=8), failures.wanted(db), failures.count(db)]
            db.connection.driver_connection.set_progress_handler(None, 1)
            return [each.error for each in found[0]], *found[1:], len(steps)

        await core.store.ask(write)
        errors, wanted, number, steps = await core.store.ask(count)

    assert (errors, wanted, number) == (["ValueError: oops"], [], 1)
    assert steps < 500
