"""Whoever may post no more may change no more what is posted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.app import open_core
from bot.models import Everyone, Outcome, Reason, UnixTime
from bot.posts import PostState
from tests import wiring
from tests.people import ALICE, BOB, CAROL, GROUP, TARGET, says
from tests.story import Story


class Group:
    """A bot that is started anew with other people permitted, on the same tables."""

    def __init__(self, tmp_path, now):
        self.story = Story(tmp_path, now)

    def bot(self, *permitted):
        settings = self.story.settings(source_allowed_users=permitted or Everyone.EVERYONE)
        return open_core(settings, wiring.routes(settings, TARGET), in_loop=True)

    async def posts(self, core):
        """Post all that waits, and tell what stands in the target."""
        number = 700
        while taken := await core.store.take_posts(TARGET):
            for post in taken:
                number += 1
                if post.state is PostState.DELETE:
                    await core.store.post_deleted(post)
                elif post.state is PostState.EDIT:
                    await core.store.post_edited(post)
                else:
                    await core.store.post_sent(post, number)
                yield post.state, post.text


async def done(posts):
    return [each async for each in posts]


@pytest.fixture
def group(tmp_path, now):
    return Group(tmp_path, now)


IDEA = says(ALICE, "#idea BTC long", number=1)
TP1 = says(ALICE, "TP1", number=2, to=IDEA)


def edited(message, text="BUY MY COURSE", **more):
    return replace(message, text=text, edited_at=UnixTime(message.at + 60), **more)


@pytest.mark.parametrize("message", [IDEA, TP1], ids=["signal", "update"])
async def test_an_author_taken_off_the_list_edits_nothing_that_stands(group, capsys, message):
    """The log and `why` say so."""
    async with group.bot(ALICE) as core:
        for each in (IDEA, TP1):
            await core.intake.handle(each)
        await done(group.posts(core))
    async with group.bot(BOB) as core:
        assert await core.intake.edited(edited(message)) is None
        assert await done(group.posts(core)) == []
    assert "an edit is not relayed" in capsys.readouterr().out

    told = await group.story.why(message.id)
    assert any(line.startswith("edited on 2") for line in told)
    assert any(
        line.endswith(f"not relayed: {ALICE} was not in SOURCE_ALLOWED_USERS any more")
        for line in told
    )
    other = await group.story.why(TP1.id if message is IDEA else IDEA.id)
    assert not any(line.startswith("edited") for line in other)


async def test_nor_what_waits_to_be_posted(group):
    async with group.bot(ALICE) as core:
        await core.intake.handle(IDEA)
    async with group.bot(BOB) as core:
        await core.intake.edited(edited(IDEA))
        assert await done(group.posts(core)) == [(PostState.PENDING, "#idea BTC long")]


async def test_an_edit_that_changes_nothing_is_nothing_to_refuse(group, capsys):
    """A reaction, or the same message told again at the next start."""
    async with group.bot(ALICE) as core:
        await core.intake.handle(IDEA)
    async with group.bot(BOB) as core:
        await core.intake.edited(IDEA)
        await core.intake.edited(edited(IDEA, IDEA.text))
    assert "an edit is not relayed" not in capsys.readouterr().out
    assert not any(line.startswith("edited") for line in await group.story.why(1))


async def test_a_message_that_comes_again_as_it_was_edited_is_no_way_round(group):
    """As a difference shows it after downtime."""
    async with group.bot(ALICE) as core:
        await core.intake.handle(IDEA)
        await done(group.posts(core))
    async with group.bot(BOB) as core:
        decision = await core.intake.handle(edited(IDEA, "#idea ETH"))
        assert decision.outcome is Outcome.DUPLICATE
        await core.intake.edited(edited(IDEA, "#idea ETH"))
        assert await done(group.posts(core)) == []


async def test_an_edit_into_a_signal_by_somebody_not_permitted_makes_none(group):
    chatter = says(CAROL, "hello", number=5)
    async with group.bot(ALICE) as core:
        await core.intake.handle(chatter)
        decision = await core.intake.edited(edited(chatter, "#idea DOGE"))

    assert (decision.outcome, decision.reason) == (Outcome.IGNORED, Reason.NOT_PERMITTED)


async def test_a_deletion_is_relayed_whoever_the_author_is(group):
    """It takes words away and says none."""
    async with group.bot(ALICE) as core:
        await core.intake.handle(IDEA)
        await done(group.posts(core))
    async with group.bot(BOB) as core:
        assert await core.intake.deleted(GROUP, [IDEA.id]) == 1
        assert await done(group.posts(core)) == [(PostState.DELETE, "#idea BTC long")]


async def test_whoever_is_permitted_edits_as_ever_and_so_does_everyone_where_that_is_said(group):
    async with group.bot(ALICE) as core:
        await core.intake.handle(IDEA)
        await done(group.posts(core))
        await core.intake.edited(edited(IDEA, "#idea BTC long, stop 95"))
        assert await done(group.posts(core)) == [(PostState.EDIT, "#idea BTC long, stop 95")]
    async with group.bot() as core:
        await core.intake.edited(edited(IDEA, "#idea BTC long, stop 97"))
        assert await done(group.posts(core)) == [(PostState.EDIT, "#idea BTC long, stop 97")]
