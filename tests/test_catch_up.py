"""Update boxes: whatever happens to pushes, answers and the process, nothing is missed."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyrogram import raw
from pyrogram.errors import FloodWait, InternalServerError

from bot.errors import LoggedOut
from bot.models import ChatId, Cursor, MessageId, Reached
from tests.boxes import BARE, CHANNEL, ME, NOW, PEER, FakeTelegram, Said, SmallGroup, container
from tests.catching_up import Life, Notes, Sleeps, knows_all, long_ago, until
from tests.loopback.tl import make

functions, types = raw.functions, raw.types


@pytest.fixture
async def alive():
    lives = []

    async def alive(telegram, notes=None, **options):
        lives.append(Life(telegram, notes or Notes(), **options))
        await lives[-1].begin()
        return lives[-1]

    yield alive
    for life in lives:
        await life.end()


# ── the property ──

STEPS = st.one_of(
    st.tuples(
        st.sampled_from(["say", "say", "edit", "delete"]),
        st.sampled_from(["pushed", "lost", "twice", "late"]),
        st.integers(0, 50),
    ),
    st.tuples(st.sampled_from(["cut", "too long", "seq gap", "time"])),
    st.tuples(st.just("work"), st.integers(0, 5)),
    st.tuples(st.just("crash"), st.integers(0, 5)),
    st.tuples(st.just("error"), st.sampled_from(["network", "flood", "internal"])),
)


def error(name):
    return {
        "network": ConnectionError("cut"),
        "flood": FloodWait(7),
        "internal": InternalServerError("PERSISTENT_TIMESTAMP_OUTDATED"),
    }[name]


@pytest.mark.long
@settings(max_examples=300)
@given(st.lists(STEPS, max_size=30), st.integers(1, 4), st.sampled_from([4, 1_000]))
async def test_whatever_happens_the_reader_comes_to_know_everything_in_order(
    steps, slice_, too_long_after
):
    """Pushes lost, late or twice, answers that fail, crashes with work undone: nothing is missed.

    And nothing is new that was dealt with once, but for the one in hand as the process died: what nobody
    wrote down, since it was chatter, would be judged by what stands in the chat by then.
    """
    telegram, notes = FakeTelegram(slice_=slice_, too_long_after=too_long_after), Notes()
    life, late = Life(telegram, notes), []
    await life.begin()
    for step in steps:
        match step:
            case ("say" | "edit" | "delete" as what, how, number):
                update = happens(telegram, what, number)
                if how in {"pushed", "twice"} and update is not None:
                    for _ in range(1 + (how == "twice")):
                        life.catch_up.hear(container(update))
                elif how == "late" and update is not None:
                    late.append(update)
            case ("cut",):
                life.catch_up.lost()
            case ("too long",):
                update = types.UpdateChannelTooLong(channel_id=BARE)
                life.catch_up.hear(container(update))
            case ("seq gap",):
                life.catch_up.hear(container(seq=7))
                life.catch_up.hear(container(seq=9))
            case ("time",):
                life.time.set()
            case ("work", count):
                life.work(count)
            case ("error", name):
                telegram.errors.append(error(name))
            case ("crash", count):
                life.work(count)
                await life.end()
                life, late = Life(telegram, notes), []
                telegram.errors.clear()
                await life.begin()
        await asyncio.sleep(0)
    for update in late:
        life.catch_up.hear(container(update))
    # One more that is pushed is all it takes to see what is missing.
    life.catch_up.hear(container(telegram.say("the last word")))
    await life.settle()
    life.work()
    await life.end()

    assert knows_all(notes, telegram)
    assert len(notes.said_again) <= [step[0] for step in steps].count("crash")
    assert notes.cursors[CHANNEL].pts == telegram.pts


def happens(telegram, what, number):
    there = [message for message in telegram.messages if not message.deleted]
    if what == "say" or not there:
        return telegram.say(f"text {len(telegram.log)}")
    message = there[number % len(there)]
    if what == "edit":
        return telegram.edit(message, f"text {len(telegram.log)}")
    return telegram.delete(message)


# ── one by one ──


async def test_what_is_pushed_in_order_is_fed_without_asking(alive):
    telegram = FakeTelegram()
    life = await alive(telegram)
    telegram.asked.clear()

    for number in range(5):
        life.catch_up.hear(container(telegram.say(str(number))))
    life.work()

    assert knows_all(life.notes, telegram)
    assert telegram.asked == []
    assert life.notes.cursors[CHANNEL] == Cursor(CHANNEL, 6, None, NOW, MessageId(5))


async def test_what_was_there_before_is_dropped_and_moves_nothing_back(alive):
    telegram = FakeTelegram()
    life = await alive(telegram)
    first, second = telegram.say("1"), telegram.say("2")
    life.work()
    telegram.asked.clear()

    for update in (first, second, first, second):
        life.catch_up.hear(container(update))

    assert [update for update in life.queue if not isinstance(update, Reached)] == [first, second]
    assert telegram.asked == []


async def test_a_gap_between_containers_is_a_gap_in_the_accounts_box(alive):
    telegram = FakeTelegram()
    life = await alive(telegram)
    telegram.asked.clear()
    for seq in (5, 6):
        life.catch_up.hear(container(seq=seq))
    assert life.catch_up.current

    life.catch_up.hear(container(seq=8))
    await life.settle()

    assert telegram.asked == ["GetDifference"]


async def test_one_that_is_missing_is_asked_for_and_the_others_wait_for_it(alive):
    telegram = FakeTelegram(slice_=10)
    life = await alive(telegram)
    telegram.asked.clear()

    life.work()
    telegram.say("lost")
    life.catch_up.hear(container(telegram.say("pushed")))
    assert not life.queue
    await life.settle()
    life.work()

    assert life.notes.order == [1, 2]
    assert telegram.asked == ["GetChannelDifference"]
    assert life.catch_up.recovered == 1


async def test_what_comes_while_the_difference_is_on_its_way_is_not_lost(alive):
    telegram = FakeTelegram()
    life = await alive(telegram)

    life.catch_up.lost()
    await asyncio.sleep(0)  # now it is being asked
    for number in range(5):
        life.catch_up.hear(container(telegram.say(str(number))))
    await life.settle()
    life.work()

    assert knows_all(life.notes, telegram)


async def test_a_chat_is_followed_from_the_first_start_on_and_not_from_its_beginning(alive):
    telegram = FakeTelegram()
    telegram.say("long ago")
    life = await alive(telegram)
    life.catch_up.hear(container(telegram.say("today")))
    life.work()

    assert life.notes.texts == {2: "today"}


async def test_where_a_first_start_began_is_known_even_if_nothing_was_ever_dealt_with(alive):
    telegram, notes = FakeTelegram(), Notes()
    await (await alive(telegram, notes)).end()
    telegram.say("while down")
    life = await alive(telegram, notes)
    life.work()

    assert notes.texts == {1: "while down"}


async def test_a_chat_that_a_followed_one_became_is_followed_from_its_beginning(alive):
    telegram = FakeTelegram()
    telegram.say("the first words there")
    life = await alive(telegram, from_the_start=[CHANNEL])
    life.work()

    assert knows_all(life.notes, telegram)


async def test_it_is_asked_for_from_the_first_change_that_there_is(alive):
    telegram, asked = FakeTelegram(), []
    difference = functions.updates.GetChannelDifference
    sound = telegram.answers[difference]
    telegram.answers[difference] = lambda query: (asked.append(query.pts), sound(query))[1]
    telegram.say("#idea BTC")

    await alive(telegram, from_the_start=[CHANNEL])

    assert asked[0] == 1


async def test_where_each_box_begins_is_known_before_anything_is_recovered(alive):
    telegram, notes = FakeTelegram(), Notes()
    telegram.say("long ago")
    life = Life(telegram, notes)

    await life.catch_up.begin()

    assert (notes.cursors[ME].pts, notes.cursors[CHANNEL].pts) == (1, 2)


async def test_more_is_to_come_while_a_single_update_waits_for_its_reader(alive):
    life = await alive(FakeTelegram())
    life.work()
    assert not life.catch_up.more_to_come(CHANNEL)

    life.queue.append("an update")
    assert life.catch_up.more_to_come(CHANNEL)
    assert life.catch_up.more_to_come(None)


@pytest.mark.parametrize("too_long_after", [1_000, 4])
async def test_what_was_dealt_with_is_not_new_again_though_the_process_died_among_what_was_missed(
    alive, too_long_after
):
    """Of one difference, or of messages that are read by their ids. Only its edits count."""
    telegram, notes = FakeTelegram(slice_=100, too_long_after=too_long_after), Notes()
    await (await alive(telegram, notes)).end()
    for number in range(7):
        telegram.say(f"text {number}")
    life = await alive(telegram, notes)
    while len(notes.texts) < 4:
        life.work(1)
    life.work(1)
    await life.end()
    telegram.edit(telegram.messages[1], "edited")

    life = await alive(telegram, notes)
    life.work()

    assert notes.said_again == []
    assert knows_all(notes, telegram)
    assert notes.cursors[CHANNEL].pts == telegram.pts


async def test_other_chats_are_none_of_our_business(alive):
    life = await alive(FakeTelegram())
    message = make(types.Message, id=1, peer_id=types.PeerChannel(channel_id=9), message="hello")
    life.queue.clear()

    life.catch_up.hear(
        container(
            types.UpdateNewChannelMessage(message=message, pts=9, pts_count=1),
            types.UpdateChannelTooLong(channel_id=9),
        )
    )

    assert not life.queue
    assert life.catch_up.current


async def test_what_has_no_number_is_fed_as_it_comes(alive):
    life = await alive(FakeTelegram())
    life.queue.clear()
    update = types.UpdateUserTyping(user_id=1, action=types.SendMessageTypingAction())

    life.catch_up.hear(types.UpdateShort(update=update, date=NOW))

    assert list(life.queue) == [update]


async def test_what_we_do_ourselves_is_no_gap(alive):
    """Deleting in a followed channel and writing in a private chat advance our boxes."""
    telegram = FakeTelegram()
    life = await alive(telegram)
    telegram.asked.clear()
    channel = types.InputChannel(channel_id=BARE, access_hash=1)
    telegram.log.append(("delete", Said(99, "", deleted=True)))
    life.catch_up.answered(
        functions.channels.DeleteMessages(channel=channel, id=[99]),
        types.messages.AffectedMessages(pts=2, pts_count=1),
    )
    life.catch_up.answered(
        functions.messages.SendMessage(peer=PEER, message="x", random_id=1),
        types.UpdateShortSentMessage(id=1, pts=2, pts_count=1, date=NOW),
    )
    foreign = types.InputChannel(channel_id=9, access_hash=1)
    life.catch_up.answered(
        functions.channels.DeleteMessages(channel=foreign, id=[1]),
        types.messages.AffectedMessages(pts=77, pts_count=1),
    )

    life.catch_up.hear(container(telegram.say("next")))
    life.work()

    assert telegram.asked == []
    assert life.notes.texts == {1: "next"}


async def test_short_forms_of_private_messages_are_asked_for_in_full(alive):
    telegram = FakeTelegram()
    life = await alive(telegram)
    telegram.asked.clear()
    short = make(types.UpdateShortMessage, id=1, user_id=7, message="/why", pts=2, pts_count=1)

    life.catch_up.hear(short)
    await life.settle()
    life.catch_up.hear(types.UpdatesTooLong())
    await life.settle()

    assert telegram.asked == ["GetDifference"] * 2


async def test_a_hundred_thousand_pushes_at_once_do_not_pile_up(alive):
    """Beyond a bound they are left to the difference, which is asked for when there is room."""
    telegram = FakeTelegram(slice_=1_000, too_long_after=10**6)
    life = await alive(telegram)
    longest = 0
    for number in range(6_000):
        life.catch_up.hear(container(telegram.say(str(number))))
        longest = max(longest, len(life.queue))
    while not life.catch_up.current:
        longest = max(longest, len(life.queue))
        life.work(100)
        await asyncio.sleep(0)
    life.work()

    assert longest < 4_000
    assert knows_all(life.notes, telegram)


async def test_a_day_of_silence_is_checked_every_few_minutes(alive):
    """The connection is known to be good, and the cursor stays current, though nobody speaks."""
    telegram = FakeTelegram()
    life = await alive(telegram)
    telegram.say("pushed into a connection that was dead")
    telegram.asked.clear()
    for number in range(24 * 3600 // 180):
        life.time.set()
        while telegram.asked.count("GetChannelDifference") == number:
            await asyncio.sleep(0)
    await life.settle()
    life.work()

    assert knows_all(life.notes, telegram)
    assert telegram.asked.count("GetDifference") == 480
    assert telegram.asked.count("GetChannelDifference") == 480
    assert life.notes.cursors[ME].date == NOW


async def test_trouble_is_retried_with_growing_pauses_and_as_telegram_wishes(alive):
    telegram = FakeTelegram()
    life = await alive(telegram)
    telegram.errors.extend([ConnectionError(), None, ConnectionError(), ConnectionError()])
    telegram.errors.append(FloodWait(30))

    life.catch_up.lost()
    await life.settle()

    assert life.slept == [1.0, 2.0, 4.0, 30.0]


async def test_a_login_that_is_void_ends_the_hearing(alive):
    from pyrogram.errors import AuthKeyUnregistered  # noqa: PLC0415 - beside its one use

    telegram = FakeTelegram()
    life = await alive(telegram)
    telegram.errors.append(AuthKeyUnregistered())

    life.catch_up.lost()
    with pytest.raises(LoggedOut):
        await life.task


async def test_a_cursor_that_telegram_refuses_is_no_dead_end(alive):
    """Messages are read by their ids then, and the numbers begin anew."""
    from pyrogram.errors import PersistentTimestampInvalid  # noqa: PLC0415 - beside its one use

    telegram = FakeTelegram()
    life = await alive(telegram)
    life.catch_up.hear(container(telegram.say("first")))
    telegram.say("missed")
    telegram.errors.extend([None, PersistentTimestampInvalid()])

    life.catch_up.lost()
    await life.settle()
    life.work()

    assert knows_all(life.notes, telegram)


async def test_beyond_the_difference_a_chat_of_which_nothing_was_seen_yet_is_read_from_our_start(
    alive,
):
    """Not from its beginning: what was said before the bot came is none of its business."""
    telegram, notes = FakeTelegram(too_long_after=5), Notes()
    for number in range(120):
        telegram.say(f"old {number}")
    await (await alive(telegram, notes)).end()
    before = {message.id: NOW - 1 for message in telegram.messages}
    for number in range(130):
        telegram.say(f"new {number}")

    class Dated(Said):
        def raw(self):
            found = super().raw()
            found.date = before.get(self.id, NOW)
            return found

    telegram.messages = [Dated(m.id, m.text) for m in telegram.messages]
    life = await alive(telegram, notes)
    life.work()

    assert knows_all(notes, telegram, since=120)


# ── older messages are read again, however many ──


async def test_beyond_the_difference_every_recorded_message_is_read_again_and_new_ones_first(alive):
    """In batches with pauses, whatever their number; the reader never has more than some of them."""
    telegram, notes = await long_ago(alive)
    telegram.edit(telegram.messages[0], "edited")
    telegram.delete(telegram.messages[1])
    for number in range(7):
        telegram.say(f"new {number}")
    sleeps = Sleeps()
    telegram.asked.clear()
    life = Life(telegram, notes, sleep=sleeps)
    await life.catch_up.begin()
    life.task = asyncio.create_task(life.catch_up.run())
    await until(lambda: life.catch_up.current and 0.2 in sleeps.begun)
    life.work()
    assert notes.texts[2_507] == "new 6"
    assert notes.texts[1] == "text 0"
    assert telegram.asked.count("GetMessages") < 8

    assert life.catch_up.rereading
    while life.catch_up.rereading:
        sleeps.end(0.2)
        await asyncio.sleep(0)
        assert len(life.queue) < 500
        life.work()
    life.work()

    assert knows_all(notes, telegram)
    assert sleeps.begun.count(0.2) == 25
    await life.end()


async def test_what_was_not_read_again_when_the_process_died_is_read_again_by_the_next(alive):
    """Where it stands is told beside the cursor, which moves on: what is new is new once."""
    telegram, notes = await long_ago(alive, texts=700)
    telegram.edit(telegram.messages[0], "edited")
    for number in range(7):
        telegram.say(f"new {number}")
    sleeps = Sleeps()
    life = Life(telegram, notes, sleep=sleeps)
    await life.catch_up.begin()
    life.task = asyncio.create_task(life.catch_up.run())
    await until(lambda: life.catch_up.current and 0.2 in sleeps.begun)
    life.catch_up.hear(container(telegram.say("and one that is pushed")))
    life.work()
    await life.end()
    assert notes.cursors[CHANNEL] == Cursor(
        CHANNEL, telegram.pts, None, NOW, MessageId(708), again=True
    )

    telegram.too_long_after = 1_000  # what is told now is asked for in the ordinary way
    life = await alive(telegram, notes)
    life.work()

    assert knows_all(notes, telegram)
    assert notes.said_again == []
    assert notes.cursors[CHANNEL] == Cursor(CHANNEL, telegram.pts, None, NOW, MessageId(708))


async def test_an_edit_that_is_pushed_while_older_messages_are_read_again_has_the_last_word(alive):
    """The answer on its way shows the message as it was before."""
    telegram, notes = await long_ago(alive, texts=300)
    for _ in range(7):
        telegram.say("new")
    sleeps = Sleeps()
    life = Life(telegram, notes, sleep=sleeps)
    await life.catch_up.begin()
    life.task = asyncio.create_task(life.catch_up.run())
    await until(lambda: life.catch_up.current and 0.2 in sleeps.begun)
    read, answers = telegram.answers[functions.channels.GetMessages], []

    def read_and_edit(query):
        answer = read(query)
        if not answers:
            life.catch_up.hear(container(telegram.edit(telegram.messages[250], "edited")))
            life.catch_up.hear(container(telegram.edit(telegram.messages[150], "edited")))
        answers.append(answer)
        return answer

    telegram.answers[functions.channels.GetMessages] = read_and_edit
    while life.catch_up.rereading:
        sleeps.end(0.2)
        await asyncio.sleep(0)
    life.work()

    assert knows_all(notes, telegram)
    await life.end()


async def test_a_storm_of_edits_does_not_keep_older_messages_from_being_read_again(alive):
    """What is edited while it is on its way has been told of; all else needs no second question."""
    telegram, notes = await long_ago(alive, texts=300)
    for _ in range(7):
        telegram.say("new")
    sleeps = Sleeps()
    life = Life(telegram, notes, sleep=sleeps)
    await life.catch_up.begin()
    life.task = asyncio.create_task(life.catch_up.run())
    await until(lambda: life.catch_up.current and 0.2 in sleeps.begun)
    read = telegram.answers[functions.channels.GetMessages]
    telegram.asked.clear()

    def read_and_edit(query):
        answer = read(query)
        for number in range(100, 300, 7):
            if not telegram.messages[number].deleted:
                life.catch_up.hear(container(telegram.edit(telegram.messages[number], f"{number}")))
        life.catch_up.hear(container(telegram.delete(telegram.messages[len(telegram.asked)])))
        return answer

    telegram.answers[functions.channels.GetMessages] = read_and_edit
    async with asyncio.timeout(5):
        while life.catch_up.rereading:
            sleeps.end(0.2)
            life.work()
            await asyncio.sleep(0)
    life.work()

    assert telegram.asked.count("GetMessages") < 10
    assert knows_all(notes, telegram)
    await life.end()


async def test_a_history_that_is_hidden_from_us_is_not_taken_for_a_deleted_one(alive):
    """Of many messages none is shown. So the few that remain, older ones, are hidden as well."""
    telegram, notes = await long_ago(alive, texts=320)
    for _ in range(7):
        telegram.say("new")
    telegram.delete(telegram.messages[325])
    read = telegram.answers[functions.channels.GetMessages]

    def hidden(query):
        answer = read(query)
        answer.messages = [each for each in answer.messages if each.id > 320]
        return answer

    telegram.answers[functions.channels.GetMessages] = hidden
    life = await alive(telegram, notes)
    life.work()

    assert notes.gone == set()
    assert notes.order == [*range(1, 326), 327]


@pytest.mark.parametrize(("ttl", "since"), [(259_200, NOW - 259_200), (None, None)])
async def test_read_again_are_the_flows_that_were_live_when_the_chat_was_last_heard(
    alive, ttl, since
):
    """By Telegram's dates: a bot that was away for a week would find none by its own clock."""
    telegram, notes = await long_ago(alive, texts=20)
    for _ in range(7):
        telegram.say("new")
    notes.active_at = NOW
    (await alive(telegram, notes, ttls={CHANNEL: ttl})).work()

    assert notes.wanted_since == {since}


# ── one box in trouble ──


async def test_a_flood_wait_of_one_box_is_waited_out_while_another_goes_on(alive):
    telegram, sleeps = FakeTelegram(), Sleeps()
    life = await alive(telegram, sleep=sleeps)
    telegram.asked.clear()
    telegram.errors.append(FloodWait(30))
    life.catch_up.lost()
    await until(lambda: 30 in sleeps.begun)

    telegram.say("missed")
    life.catch_up.hear(container(telegram.say("and shown to be")))
    await until(lambda: len(life.queue) > 3)
    life.catch_up.lost()
    await until(lambda: telegram.asked.count("GetChannelDifference") >= 3)
    life.work()
    assert knows_all(life.notes, telegram)
    assert telegram.asked.count("GetDifference") == 1

    sleeps.end(30)
    await life.settle()
    assert telegram.asked.count("GetDifference") == 2


async def test_a_new_connection_ends_the_pauses_that_the_old_one_was_to_blame_for(alive):
    telegram, sleeps = FakeTelegram(), Sleeps()
    life = await alive(telegram, sleep=sleeps)
    telegram.say("missed")
    telegram.errors.extend([ConnectionError(), ConnectionError()])
    life.catch_up.lost()
    await until(lambda: sleeps.begun.count(1.0) == 2)

    life.catch_up.lost()
    await life.settle()
    life.work()

    assert knows_all(life.notes, telegram)


# ── basic groups, in the account's box, beyond what the difference reaches ──

GROUP = ChatId(-77)


@pytest.mark.parametrize("refused", [False, True], ids=["too long", "refused"])
@pytest.mark.parametrize("before", [0, 1, 99, 100, 250, 3_000])
async def test_beyond_the_difference_a_basic_group_of_which_nothing_was_seen_is_read_from_our_start(
    alive, before, refused
):
    from pyrogram.errors import PersistentTimestampInvalid  # noqa: PLC0415 - beside its one use

    telegram, notes = SmallGroup(PersistentTimestampInvalid() if refused else None), Notes()
    for number in range(before):
        telegram.says(f"old {number}", at=NOW - 1)
    await (await alive(telegram, notes, chats=[GROUP])).end()
    for number in range(130):
        telegram.says(f"new {number}")
    telegram.asked.clear()

    life = await alive(telegram, notes, chats=[GROUP])
    life.work()

    assert knows_all(notes, telegram, since=before)
    assert telegram.asked.count("GetMessages") < 45


async def test_hundreds_of_deleted_messages_in_a_row_do_not_hide_those_behind_them(alive):
    """A flood of spam and the admin who removed it: nobody tells where the newest message is."""
    telegram, notes = SmallGroup(), Notes()
    life = await alive(telegram, notes, chats=[GROUP])
    telegram.says("seen")
    life.catch_up.lost()
    await life.settle()
    life.work()
    await life.end()
    for number in range(700):
        telegram.says(f"spam {number}")
        telegram.messages[-1].deleted = True
    telegram.says("behind it")

    life = await alive(telegram, notes, chats=[GROUP])
    life.work()

    assert notes.texts == {1: "seen", 702: "behind it"}


async def test_deleted_messages_in_a_row_do_not_bring_back_what_was_said_before_our_start(alive):
    """Where they were, it cannot be seen which of what stands around them is older than that."""
    telegram, notes = SmallGroup(), Notes()
    for number in range(401):
        telegram.says(f"old {number}", at=NOW - 1)
        telegram.messages[-1].deleted = 10 <= number < 400
    await (await alive(telegram, notes, chats=[GROUP])).end()
    telegram.says("new")

    (await alive(telegram, notes, chats=[GROUP])).work()

    assert notes.texts == {402: "new"}
