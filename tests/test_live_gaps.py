"""What happens while the bot cannot hear arrives all the same: once, and in order."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from tests.loopback import Entity, FloodWait
from tests.stage import SEND, Stage

pytestmark = pytest.mark.heavy


class Story:
    """Two signals with an update each before the gap; `goes_on` is what happens in it."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    async def begins(self):
        alice, group = self.stage.alice, self.stage.group
        self.first = await alice.sends(group, "#idea BTC")
        self.second = await alice.sends(group, "#idea ETH")
        self.update = await alice.sends(group, "ETH TP1", reply_to=self.second)
        self.unmarked = await alice.sends(group, "SOL LONG")
        await self.stage.shows("#idea BTC", "#idea ETH", "ETH TP1")

    async def goes_on(self, chatter=0):
        alice, bob, group = self.stage.alice, self.stage.bob, self.stage.group
        photos = [self.stage.telegram.photo() for _ in range(2)]
        await bob.sends(group, "is it over?", reply_to=self.second)
        await alice.sends(group, "BTC TP1", reply_to=self.first)
        await alice.edits(self.first, "#idea BTC, risk 1%", entities=[Entity("Bold", 0, 5)])
        await alice.deletes(self.update)
        for number in range(chatter):
            await bob.sends(group, f"chatter {number}")
        await alice.sends_album(group, photos, caption="closed", reply_to=self.second)
        await alice.edits(self.unmarked, "#idea SOL LONG")
        await alice.sends(group, "SOL TP1", reply_to=self.unmarked)
        never_seen = await alice.sends(group, "#idea that is taken back")
        await alice.deletes(never_seen)

    async def is_complete(self):
        """The edited signal of SOL is older than what answers the others, and so comes first."""
        seen = await self.stage.shows_in_any_order(
            "#idea BTC, risk 1%", "#idea ETH", "BTC TP1", "closed", "", "#idea SOL LONG", "SOL TP1"
        )
        by_text = {each.text: each for each in seen}
        first, second = by_text["#idea BTC, risk 1%"], by_text["#idea ETH"]
        assert first.entities[0].kind == "Bold"
        assert by_text["BTC TP1"].reply_to == first.id
        assert by_text["closed"].reply_to == by_text[""].reply_to == second.id
        assert by_text["closed"].grouped_id == by_text[""].grouped_id is not None
        assert by_text["SOL TP1"].reply_to == by_text["#idea SOL LONG"].id
        updates = [each.text for each in seen if each.text in {"BTC TP1", "closed", "SOL TP1"}]
        assert updates == ["BTC TP1", "closed", "SOL TP1"]
        everything = self.stage.telegram.messages(self.stage.target, deleted=True)
        assert len(everything) == len(seen) + 1  # the deleted one


@pytest.fixture
def story(stage):
    return Story(stage)


async def test_what_happened_while_the_bot_was_down(stage, story):
    async with stage.relay():
        await story.begins()
    await story.goes_on()
    async with stage.relay():
        await story.is_complete()


async def test_what_happened_while_the_connection_was_cut(stage, story):
    async with stage.relay():
        await story.begins()
        stage.telegram.faults.refuse_connections()
        stage.telegram.faults.kill_connections()
        await story.goes_on()
        await stage.telegram.faults.accept_connections()
        await story.is_complete()


async def test_what_happened_behind_a_gap_in_the_numbers(stage, story):
    """Nothing is pushed, and then something is that shows that more has happened."""
    async with stage.relay():
        await story.begins()
        with stage.telegram.faults.no_pushes():
            await story.goes_on()
        await stage.bob.sends(stage.group, "hello?")
        await story.is_complete()


async def test_what_happened_behind_a_channel_that_is_too_long_to_tell(stage, story):
    async with stage.relay():
        await story.begins()
        with stage.telegram.faults.no_pushes():
            await story.goes_on()
        stage.telegram.faults.push_channel_too_long(stage.bot, stage.group, with_pts=False)
        await story.is_complete()


async def test_what_happened_beyond_what_the_difference_reaches(stage, story):
    """Telegram names the newest messages alone; all others are read one by one."""
    stage.telegram.rules.channel_too_long_after = 20
    async with stage.relay():
        await story.begins()
    await story.goes_on(chatter=150)
    async with stage.relay() as program:
        await story.is_complete()
        assert "looking at messages one by one" in program.output


async def test_pushes_that_come_twice_or_in_the_wrong_order_change_nothing(stage, story):
    async with stage.relay():
        await story.begins()
        with stage.telegram.faults.pushed_twice():
            await stage.bob.sends(stage.group, "what now?")
        with stage.telegram.faults.out_of_order():
            await story.goes_on()
        await story.is_complete()


async def test_a_busy_group_is_caught_up_with_slice_by_slice(stage):
    stage.telegram.rules.channel_slice = 7
    texts = []
    async with stage.relay():
        await stage.alice.sends(stage.group, "#idea 0")
        await stage.shows("#idea 0")
    for number in range(60):
        signal_ = await stage.alice.sends(stage.group, f"#idea {number + 1}")
        await stage.alice.sends(stage.group, f"update {number + 1}", reply_to=signal_)
        texts += [f"#idea {number + 1}", f"update {number + 1}"]
    async with stage.relay():
        await stage.shows("#idea 0", *texts)


async def test_a_bot_that_never_ran_before_does_not_relay_the_past(stage):
    await stage.alice.sends(stage.group, "#idea of long ago")
    async with stage.relay():
        await stage.alice.sends(stage.group, "#idea of today")
        await stage.shows("#idea of today")


async def test_a_message_that_cannot_be_recorded_is_not_passed_over(stage):
    """Told to stop while the table is locked, the bot has recorded nothing, and asks again."""
    async with stage.relay() as program:
        with closing(
            sqlite3.connect(stage.directory / "data" / "signals.db", isolation_level=None)
        ) as db:
            db.execute("BEGIN IMMEDIATE")
            await stage.alice.sends(stage.group, "#idea unrecorded")
            await stage.bob.sends(stage.group, "a question behind it")
            await program.wait_output("intake waits", timeout=15)
            program.terminate()
            assert await program.wait(timeout=15) == 0
            assert "stopped before an event was recorded" in program.output
    assert stage.posted() == []
    async with stage.relay():
        await stage.shows("#idea unrecorded")


async def test_a_basic_group_is_caught_up_with_too(stage):
    group = stage.telegram.group("Small", members=[stage.alice, stage.bob, stage.bot])
    stage.telegram.rules.common_slice = 2
    async with stage.relay(SOURCE_CHAT_ID=str(group.id)):
        signal_ = await stage.alice.sends(group, "#idea BTC")
        update = await stage.alice.sends(group, "TP1", reply_to=signal_)
        await stage.shows("#idea BTC", "TP1")
    await stage.alice.deletes(update)
    await stage.alice.edits(signal_, "#idea BTC, edited")
    await stage.bob.sends(group, "thanks", reply_to=signal_)
    await stage.alice.sends(group, "TP2", reply_to=signal_)
    async with stage.relay(SOURCE_CHAT_ID=str(group.id)):
        seen = await stage.shows("#idea BTC, edited", "TP2")

    assert seen[1].reply_to == seen[0].id


async def test_a_basic_group_beyond_what_the_difference_reaches(stage):
    group = stage.telegram.group("Small", members=[stage.alice, stage.bob, stage.bot])
    stage.telegram.rules.common_too_long_after = 10
    async with stage.relay(SOURCE_CHAT_ID=str(group.id)):
        signal_ = await stage.alice.sends(group, "#idea BTC")
        update = await stage.alice.sends(group, "TP1", reply_to=signal_)
        await stage.shows("#idea BTC", "TP1")
    await stage.alice.deletes(update)
    await stage.alice.edits(signal_, "#idea BTC, edited")
    for number in range(120):
        await stage.bob.sends(group, f"chatter {number}")
    await stage.alice.sends(group, "TP2", reply_to=signal_)
    async with stage.relay(SOURCE_CHAT_ID=str(group.id)):
        await stage.shows("#idea BTC, edited", "TP2")


@pytest.mark.parametrize("running", [True, False], ids=["running", "down"])
async def test_a_group_that_becomes_a_supergroup_stays_the_source_and_the_target(stage, running):
    """The settings go on naming the old ids; replies into the old group continue its flows."""
    source = stage.telegram.group("Small", members=[stage.alice, stage.bob, stage.bot])
    target = stage.telegram.group("Readers", members=[stage.bob, stage.bot])
    env = {"SOURCE_CHAT_ID": str(source.id), "TARGET_CHAT_ID": str(target.id)}

    async def upgrade():
        stage.group = await stage.alice.upgrades(source)
        stage.target = await stage.bob.upgrades(target)
        await stage.alice.sends(stage.group, "TP1", reply_to=signal_, reply_elsewhere=source)
        stranger = {"reply_to": signal_, "reply_elsewhere": source}
        await stage.bob.sends(stage.group, "thanks", **stranger)

    stage.target = target
    async with stage.relay(**env) as program:
        signal_ = await stage.alice.sends(source, "#idea BTC")
        await stage.shows("#idea BTC")
        if running:
            await upgrade()
            await program.wait_output('"started"', count=2)
            await arrives(stage)
    if not running:
        await upgrade()
        async with stage.relay(**env):
            await arrives(stage)
    async with stage.relay(**env):
        await stage.alice.sends(stage.group, "#idea after a restart")
        await arrives(stage, "#idea after a restart")


async def arrives(stage, *more):
    def texts():
        return [seen.text for seen in stage.posted() if not seen.service]

    first = await stage.alice.sends(stage.group, "#idea ETH") if not more else None
    wanted = ["TP1", "#idea ETH", *more]
    await stage.telegram.wait_for(lambda: texts() == wanted, timeout=20, what=f"{wanted}")
    return first


async def test_two_hosts_by_mistake_post_nothing_twice(stage, tmp_path):
    """The same token, and each its own data directory."""
    async with stage.relay():
        second = await stage.launch(DATA_DIR=str(tmp_path / "elsewhere"))
        await second.wait_output('"started"', timeout=30)
        signal_ = await stage.alice.sends(stage.group, "#idea")
        photos = [stage.telegram.photo() for _ in range(2)]
        await stage.alice.sends_album(stage.group, photos, caption="TP1", reply_to=signal_)
        await stage.shows("#idea", "TP1", "")
        await second.wait_output('"posted"', count=3)
        second.terminate()
        assert await second.wait(timeout=15) == 0

    everything = stage.telegram.messages(stage.target, deleted=True)
    assert [seen.text for seen in everything] == ["#idea", "TP1", ""]


async def test_told_to_stop_with_a_hundred_posts_pending_it_ends_in_time_and_posts_each_once(stage):
    script = stage.telegram.faults.on(SEND, FloodWait(60))
    texts = [f"#idea {number}" for number in range(100)]
    async with stage.relay() as program:
        for text in texts:
            await stage.alice.sends(stage.group, text)
        await program.wait_output('"decided"', count=100, timeout=30)
        program.terminate()
        assert await program.wait(timeout=10) == 0
    assert script.hits == 1
    assert stage.posted() == []
    async with stage.relay():
        await stage.shows(*texts)


async def test_told_to_stop_in_the_midst_of_a_login_it_does_not_wait_for_that(stage):
    with stage.telegram.faults.freeze():
        program = await stage.launch(LOG_LEVEL="DEBUG")
        await program.wait_output("auth key", timeout=20)
        program.terminate()
        assert await program.wait(timeout=10) == 0
