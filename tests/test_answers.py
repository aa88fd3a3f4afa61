"""Owners' answers to strangers who were refused in their flows: a source's choice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.app import open_core
from bot.history.replay import SummaryReport, Trial
from bot.models import Answers, Outcome, Reason
from bot.routes import Place, Routes, Source
from tests import wiring
from tests.people import ALICE, BOB, GROUP, TARGET, says

SOURCE = Source(chat=GROUP, places=(Place(TARGET),))


@pytest.fixture
def talk():
    """Alice has signalled and updated; Bob asks below the update, and is answered."""
    signal = says(ALICE, "#idea BTC", number=1)
    update = says(ALICE, "TP1", to=signal, number=2)
    asked = says(BOB, "and the stop?", to=update, number=3)
    answer = says(ALICE, "to entry", to=asked, number=4)
    more = says(ALICE, "closed", to=answer, number=5)
    return [signal, update, asked, answer, more]


async def decided(tmp_path, talk, answers, *, restart=False):
    routes = Routes((replace(SOURCE, answers=answers),))
    settings = wiring.settings(data_dir=tmp_path / "data")
    decisions, posts = [], []
    for part in [[each] for each in talk] if restart else [talk]:
        async with open_core(settings, routes, in_loop=True) as core:
            decisions += [await core.intake.handle(message) for message in part]
            while taken := await core.store.take_posts(TARGET):
                for post in taken:
                    posts.append((post.text, post.reply_to))
                    await core.store.post_sent(post, 500 + post.source.message_id)
    return [(each.outcome, each.reason) for each in decisions], posts


async def test_they_are_ignored_unless_the_source_says_otherwise(tmp_path, talk):
    decisions, posts = await decided(tmp_path, talk, Answers.IGNORE)
    assert decisions[2:4] == [
        (Outcome.REJECTED, Reason.NOT_THE_OWNER),
        (Outcome.IGNORED, Reason.UNKNOWN_PARENT),
    ]
    assert [text for text, _ in posts] == ["#idea BTC", "TP1"]


@pytest.mark.parametrize("restart", [False, True])
async def test_they_are_relayed_below_what_the_stranger_answered(tmp_path, talk, restart):
    """Whether the refusal waits to be written, or is in the table since long."""
    decisions, posts = await decided(tmp_path, talk, Answers.RELAY, restart=restart)
    assert decisions[3:] == [(Outcome.UPDATE, Reason.OWNER)] * 2
    assert posts == [
        ("#idea BTC", None),
        ("TP1", 501),
        ("to entry", 502),
        ("closed", 504),
    ]


async def test_nobody_else_answers_so(tmp_path, talk):
    """Not the stranger to himself, and not after the flow is everybody's."""
    _, _, asked, _, _ = talk
    words = [says(BOB, "hello?", to=asked, number=6), says(BOB, "now?", to=asked, hours=100)]
    decisions, posts = await decided(tmp_path, [*talk[:3], *words], Answers.RELAY)
    assert decisions[3:] == [(Outcome.IGNORED, Reason.UNKNOWN_PARENT)] * 2
    assert len(posts) == 2


async def test_replay_says_how_many_there_were(talk):
    class Console:
        def print(self, text, **_):
            self.text = text

    console = Console()
    await Trial(wiring.settings()).run(talk, SummaryReport(console))
    assert "1 answers   by owners to replies refused in their own flows" in console.text
