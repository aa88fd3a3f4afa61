"""What our account may do in the chats of the settings: looked at by a start, by `check` and by `setup`."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest
from pyrogram import raw

from bot.errors import SettingsError
from bot.models import ChatId
from bot.monitoring.access import Access
from bot.telegram.access import Verdict, of_source, of_target
from tests.accounts import connection, key_kept_in
from tests.loopback import FloodWait, Role
from tests.loopback.world import Member
from tests.people import says

GROUP_ID = 2_880_553_977


@pytest.fixture
async def account(telegram, bot, tmp_path):
    account = connection(bot_token=bot.token, directory=await key_kept_in(tmp_path, telegram))
    await account.start()
    yield account
    await account.stop()


@pytest.fixture
def group(telegram, bot, alice):
    return telegram.supergroup("Сигналы", members=[alice], admins=[bot], id=GROUP_ID)


@pytest.mark.parametrize("written", [GROUP_ID, -GROUP_ID, 1_002_880_553_977])
async def test_a_number_that_is_nearly_the_sources_is_answered_with_the_right_one(
    account, group, written
):
    """Without -100, without 100, without the minus."""
    found = await of_source(account, ChatId(written))

    assert found.hopeless
    assert found.text == (
        f"SOURCE_CHAT_ID: {written} is not known to this account: did you mean {group.id}, "
        "the supergroup 'Сигналы'?"
    )


async def test_a_number_that_is_nearly_a_targets_is_answered_with_the_right_one(account, group):
    found = await of_target(account, ChatId(-GROUP_ID))

    assert found.hopeless
    assert f"TARGET_CHAT_ID: {-GROUP_ID} is not known" in found.text
    assert f"did you mean {group.id}, the supergroup" in found.text


@pytest.mark.parametrize("before", [0, -1_000_000_000_000])
async def test_a_basic_groups_id_has_a_minus_and_no_100(telegram, account, bot, alice, before):
    small = telegram.group("Small", members=[alice, bot])
    written = before - small.bare_id if before else small.bare_id

    found = await of_source(account, ChatId(written))

    assert found.hopeless
    assert f"did you mean -{small.bare_id}, the group 'Small'?" in found.text


async def test_a_person_is_no_source(account, alice):
    """Whether our account knows who that is or not."""
    stranger = await of_source(account, ChatId(123_456_789))
    known = await of_source(account, ChatId(alice.id))

    assert stranger.hopeless
    assert "is the number of no group" in stranger.text
    assert "did you mean -1000123456789?" in stranger.text
    assert known.hopeless
    assert f"SOURCE_CHAT_ID: {alice.id} is" in known.text


async def test_what_members_may_not_post_is_told_before_anything_is_lost(telegram, account, bot):
    """Their words go without the picture, so it is a warning."""
    quiet = telegram.supergroup("Quiet", members=[bot])
    quiet.forbidden = {"photos", "poll"}

    found = await of_target(account, ChatId(quiet.id))
    quiet.members[bot.account] = Member(Role.ADMIN)

    assert (found.verdict, found.hopeless) == (Verdict.WARNING, False)
    assert "may post no pictures and no polls to the supergroup 'Quiet'" in found.text
    assert (await of_target(account, ChatId(quiet.id))).verdict is Verdict.OK


async def test_a_member_who_was_muted_may_not_post(telegram, account, bot):
    muted = telegram.supergroup("Muted")
    muted.members[bot.account] = Member(Role.MEMBER, muted=True)

    found = await of_target(account, ChatId(muted.id))

    assert (found.verdict, found.hopeless) == (Verdict.FAILURE, False)
    assert "may not post to the supergroup 'Muted'" in found.text


async def test_chats_of_a_file_are_named_as_the_file_does(
    telegram, account, alice, bot, group, tmp_path
):
    """And nobody is told to look at a setting that they do not have."""
    hidden = telegram.supergroup("Hidden", members=[alice, bot])
    closed = telegram.channel("Closed", id=2_990_000_009)
    names = {hidden.id: "majors", closed.id: "", ChatId(GROUP_ID): "scalps"}
    start = Start(telegram, account, tmp_path, names)

    await start.access.begin([hidden.id], [closed.id])

    assert start.told[hidden.id].startswith("majors: cannot read the supergroup 'Hidden'")
    assert "is routes.toml right, and" in start.told[closed.id]
    assert [each.name for each in start.access.troubles()] == ["majors", None]
    with pytest.raises(SettingsError, match=f"^chat of scalps: {GROUP_ID} is not known"):
        await start.access.begin([ChatId(GROUP_ID)], [])


async def test_a_start_asks_for_many_chats_at_once(telegram, account, alice, bot, tmp_path):
    """With one question for a hundred of them; one that is wrong is asked for by itself, as are the others then."""
    groups = [telegram.supergroup(f"Group {each}", members=[alice, bot]) for each in range(30)]
    muted = telegram.channel("Muted")
    start = Start(telegram, account, tmp_path)
    asked = raw.functions.channels.GetChannels
    await start.access.begin([each.id for each in groups], [])
    assert len(telegram.calls.of(asked)) == 1
    assert len(start.told) == 30
    assert all(text.startswith("cannot read the supergroup") for text in start.told.values())

    await start.access.begin([each.id for each in groups], [muted.id])
    assert len(start.told) == 31
    assert "no member there" in start.told[muted.id]


class Start:
    """The chats of a start, and the looks at what does not work yet; each waits for `look`."""

    def __init__(self, telegram, account, directory, names=(), topics=()):
        self._telegram = telegram
        self.file = directory / "access.json"
        self.pauses = []
        self._due = asyncio.Queue()
        self.access = Access(
            account,
            self.file,
            names=lambda: dict(names),
            topics=lambda chat: dict(topics).get(chat, ()),
            sleep=self._sleep,
            clock=lambda: 1_000.0,
        )

    async def _sleep(self, seconds):
        self.pauses.append(seconds)
        self._telegram.notify()
        await self._due.get()

    @property
    def told(self):
        return {each.chat: each.text for each in self.access.troubles()}

    async def look(self):
        """One more, to its end."""
        looks = len(self.pauses)
        self._due.put_nowait(None)
        await self._telegram.wait_for(lambda: len(self.pauses) > looks)


async def test_what_may_work_later_is_looked_at_until_it_does(
    telegram, account, alice, bot, tmp_path
):
    """Privacy mode in the source, no rights in the target: each is told, written down, and mended."""
    hidden = telegram.supergroup("Hidden", members=[alice, bot])
    closed = telegram.channel("Closed", id=2_990_000_009)
    fine = telegram.channel("Fine", admins=[bot])
    start = Start(telegram, account, tmp_path)

    await start.access.begin([hidden.id], [closed.id, fine.id])

    assert set(start.told) == {hidden.id, closed.id}
    assert "with @BotFather turn /setprivacy off" in start.told[hidden.id]
    assert "has the account been added there?" in start.told[closed.id]
    assert [each["text"] for each in json.loads(start.file.read_text())] == list(
        start.told.values()
    )

    running = asyncio.create_task(start.access.run())
    await telegram.wait_for(lambda: start.pauses == [10])
    hidden.members[bot.account] = Member(Role.ADMIN)
    await start.look()
    assert set(start.told) == {closed.id}
    closed.members[bot.account] = Member(Role.ADMIN)
    await start.look()
    assert start.told == {}
    assert not start.file.exists()
    assert not running.done()
    running.cancel()


async def test_what_stands_in_the_way_is_written_to_no_link(telegram, account, bot, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "access.new").symlink_to(victim)
    closed = telegram.channel("Closed", id=2_990_000_009)
    start = Start(telegram, account, tmp_path)
    await start.access.begin([], [closed.id])

    assert victim.read_text() == "precious"
    assert json.loads(start.file.read_text())[0]["chat"] == closed.id


async def test_what_no_waiting_mends_ends_the_start_with_a_line_each(
    telegram, account, group, tmp_path
):
    start = Start(telegram, account, tmp_path)

    with pytest.raises(SettingsError) as caught:
        await start.access.begin([ChatId(GROUP_ID)], [ChatId(-GROUP_ID)])

    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == [
        "SOURCE_CHAT_ID",
        "TARGET_CHAT_ID",
    ]
    assert caught.value.exit_code == 2
    assert not start.file.exists()


async def test_where_telegram_does_not_say_nothing_is_told_and_it_is_asked_again(
    telegram, account, group, tmp_path
):
    """A flood wait is no wrong setting, and no missing right."""
    telegram.faults.on(raw.functions.channels.GetChannels, FloodWait(5), times=None)
    start = Start(telegram, account, tmp_path)

    await start.access.begin([], [group.id])

    assert start.told == {}
    running = asyncio.create_task(start.access.run())
    await telegram.wait_for(lambda: start.pauses == [10])
    telegram.faults.clear()
    group.members.clear()
    await start.look()
    assert set(start.told) == {group.id}
    running.cancel()


@pytest.mark.parametrize(
    ("said", "proof"),
    [
        ({"text": "hello, everybody"}, True),
        ({"text": "/status"}, False),
        ({"text": "what do you think, @relay_bot?"}, False),
        ({"text": "hello", "reply_to": 5}, False),
        ({"text": "", "service": True}, False),
    ],
)
async def test_who_hears_what_is_not_meant_for_it_is_hidden_nothing(
    telegram, account, alice, bot, tmp_path, said, proof
):
    """How group privacy stood when the bot was added counts, and Telegram tells how it stands."""
    hidden = telegram.supergroup("Hidden", members=[alice, bot])
    start = Start(telegram, account, tmp_path)
    await start.access.begin([hidden.id], [])
    assert set(start.told) == {hidden.id}

    start.access.heard(replace(says(alice.id, "x"), chat_id=hidden.id, **said))

    assert (start.told == {}) is proof
    assert start.file.exists() is not proof


async def test_of_chats_that_come_later_only_the_new_are_looked_at_and_none_where_one_cannot_work(
    telegram, account, group, tmp_path
):
    start = Start(telegram, account, tmp_path)
    await start.access.begin([group.id], [])
    calls = len(telegram.calls.names())
    with pytest.raises(SettingsError, match=f"^SOURCE_CHAT_ID: {GROUP_ID}"):
        await start.access.look([group.id, ChatId(GROUP_ID)], [])
    asked = len(telegram.calls.names()) - calls

    (await start.access.look([group.id], []))()
    assert len(telegram.calls.names()) == calls + asked
    outside = telegram.channel("Outside")
    (await start.access.look([group.id], [outside.id]))()
    assert list(start.told) == [outside.id]
    (await start.access.look([group.id], []))()
    assert start.told == {}


# ── topics that are read by themselves ──


@pytest.fixture
def forum(telegram, bot, alice):
    return telegram.supergroup("Forum", forum=True, members=[alice], admins=[bot])


async def test_a_topic_that_is_read_is_there_or_is_told(telegram, account, forum, alice):
    """Of one that was mistyped, or deleted, nothing would ever be heard."""
    topic = await alice.opens_topic(forum, "BTC")
    fine = await of_source(account, forum.id, None, [topic.id, 1])
    assert fine.verdict is Verdict.OK

    wrong = await of_source(account, forum.id, None, [topic.id, 77])
    assert wrong.verdict is Verdict.WARNING
    assert "topic 77 of the supergroup 'Forum'" in wrong.text

    await alice.deletes_topic(forum, topic)
    assert "was it deleted?" in (await of_source(account, forum.id, None, [topic.id])).text


async def test_a_topic_of_a_group_that_has_none_is_told_until_it_has(
    telegram, account, forum, alice, tmp_path
):
    """Whatever else is said there, nothing of it is in that topic."""
    topic = await alice.opens_topic(forum, "BTC")
    forum.forum = False
    start = Start(telegram, account, tmp_path, topics={forum.id: [topic.id]})
    await start.access.begin([forum.id], [])
    assert "nothing is read of topic" in start.told[forum.id]
    assert [each.stops for each in start.access.troubles()] == [True]
    start.access.heard(replace(says(alice.id, "hello"), chat_id=forum.id))
    assert forum.id in start.told

    running = asyncio.create_task(start.access.run())
    await telegram.wait_for(lambda: start.pauses)
    forum.forum = True
    await start.look()
    assert start.told == {}
    running.cancel()
