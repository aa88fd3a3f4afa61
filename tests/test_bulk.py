"""Orders for all of a place or of a source: what failed there once more, and its flows ended by hand."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from bot.admin.bulk import Scope, release_all, retry_in
from bot.admin.chat_commands import AdminHandler, Running
from bot.errors import UsageError
from bot.models import AfterTtl, Failure, MessageId, MessageRef, PressedButton
from bot.posts import PostState
from bot.routes import Place
from bot.storage import failures, records
from tests.bots import BOTH, MAJORS, QUICK, QUIET, Bots, idea, say
from tests.operators import SCALPS
from tests.people import ALICE, BOB, CAROL, GROUP, TARGET, says


@pytest.fixture
async def bots(tmp_path, now):
    """Everything failed: a post of each place, and a message of each source."""
    bots = Bots(tmp_path, now)
    async with bots.runs() as bot:
        store = bot.core.store
        await say(bot, idea(1), idea(7, SCALPS))
        for chat in (TARGET, QUIET):
            while posts := await store.take_posts(chat):
                await store.post_failed(posts[0], "400 MESSAGE_EMPTY")
        lost = [
            Failure(MessageRef(chat, MessageId(9)), ALICE, now, "a bug") for chat in (GROUP, SCALPS)
        ]
        await store.change(partial(failures.record, failures=lost, now=now))
        assert (await store.ask(records.count_posts))[PostState.FAILED] == 3
    return bots


async def retried(bots, routes=BOTH, **of):
    async with bots.shell() as tables:
        said = await retry_in(tables, bots.settings, Scope(**of), routes)
        wanted = await tables.ask(failures.wanted)
        counts = await tables.ask(records.count_posts_by_place)
    waiting = sum(each.get(PostState.PENDING, 0) for each in counts.values())
    return said, waiting, [each.ref.chat_id for each in wanted]


async def test_what_failed_in_a_place_is_put_back_and_nothing_else(bots):
    said = "back in line: 1 post (2)"
    assert await retried(bots, place="quiet") == (said, 1, [])
    assert (await retried(bots, place="quiet"))[0] == "nothing of quiet has failed"


async def test_what_failed_of_a_source_is_put_back_and_read_again(bots):
    said = "back in line: 2 posts (1, 2); to be read again: 1 message (https://t.me/c/1234567890/9)"
    assert await retried(bots, source="majors") == (said, 2, [GROUP])


async def test_a_place_of_a_source_is_told_from_that_of_another_in_its_chat(bots):
    """Neither has a name, so both are called by it."""
    unnamed = replace(MAJORS, places=(Place(TARGET), *MAJORS.places[1:]))
    routes = replace(BOTH, sources=(unnamed, QUICK))
    async with bots.runs(routes):
        pass
    here = str(TARGET)
    said = "back in line: 1 post (3)"
    assert await retried(bots, routes, place=here, source="scalps") == (said, 1, [])
    assert (await retried(bots, routes, place=here))[0] == "back in line: 1 post (1)"


@pytest.mark.parametrize(
    ("of", "mend"),
    [
        ({"place": "vipp"}, "there is no source or place vipp: did you mean vip?"),
        ({"source": "scalp"}, "there is no source or place scalp: did you mean scalps?"),
        ({"place": "vip", "source": "scalps"}, "there is no source or place vip of scalps"),
    ],
)
async def test_a_name_that_nothing_has_changes_nothing(bots, of, mend):
    with pytest.raises(UsageError, match=mend):
        await retried(bots, **of)


async def test_all_flows_of_a_source_that_are_their_owners_are_ended_and_no_others(bots):
    """Whatever keeps them their owner's; others may continue them from then on."""
    keeps = replace(QUICK, after_ttl=AfterTtl.OWNER)
    routes = replace(BOTH, sources=(MAJORS, keeps))
    async with bots.runs(routes) as bot, bots.shell() as tables:
        signal, old = idea(21, SCALPS), replace(idea(20, SCALPS), at=bots.now - 400 * 3600)
        other = idea(22)
        await say(bot, old, signal, other)
        of = partial(release_all, tables, bots.settings, "scalps", routes, now=bots.now)
        assert await of() == "released: 3 flows of scalps"
        assert await of() == "released: 0 flows of scalps"
        await bot.core.orders.look(bot.relays)
        answers = [
            says(BOB, "sold", number=number, chat_id=to.chat_id, to=to, hours=1)
            for number, to in ((31, signal), (32, old), (33, other))
        ]
        reasons = [(await bot.core.intake.handle(each)).reason for each in answers]
    assert reasons == ["released", "released", "not_the_owner"]


# ── in Telegram ───────────────────────────────────────────────────────────────


class Phone:
    """Telegram's side of a private chat; the buttons of the newest message."""

    def __init__(self):
        self.said = []
        self.buttons = {}

    async def send(self, to, text, entities=(), buttons=()):
        self.said.append(" ".join(text.split()))
        self.buttons = {each.text: each.data for row in buttons for each in row}

    async def edit(self, chat_id, message_id, text, entities=()):
        self.said.append(" ".join(text.split()))

    async def answer(self, query_id, text, *, alert=False):
        pass

    async def offer(self, user, commands):
        return True


async def test_operators_in_telegram_are_asked_back_before_all_of_a_name_is_done(bots):
    phone, nearest = Phone(), "there is no source or place vpi: did you mean vip?"
    settings = bots.settings.model_copy(update={"admin_users": (CAROL,)})
    async with bots.runs() as bot:
        await say(bot, replace(idea(40, SCALPS), at=bots.now))
    async with bots.shell() as tables:
        handler = AdminHandler(
            tables, settings, phone, Running(dict, str), routes=BOTH, clock=lambda: bots.now
        )
        for text in ("/retry quiet", "/retry Majors", "/retry vpi", "/release scalps"):
            await handler.handle(bots.says(CAROL, text, ago=0, chat_id=CAROL))
            for yes in [data for text, data in phone.buttons.items() if text.startswith("Yes")]:
                await handler.handle(PressedButton(1, CAROL, CAROL, MessageId(5), yes))

    assert phone.said == [
        "Put 1 post of quiet back in line?",
        "back in line: 1 post (2)",
        "Put 1 post of majors back in line? Read 1 message of majors again?",
        "back in line: 1 post (1); to be read again: 1 message (https://t.me/c/1234567890/9)",
        f"'vpi' is not the number of a post, such as 5, and {nearest}",
        "Release 1 flow of scalps? Others may then continue them.",
        "released: 1 flow of scalps",
    ]
