"""Telegram's update boxes by themselves: what moves one, what is fed, and what is kept."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from pyrogram import raw

from bot.models import ChatId, Reached
from bot.telegram.boxes import Box, StandsStill
from tests.boxes import CHANNEL, ME, NOW, Said, container, standing_at
from tests.catching_up import Queue
from tests.loopback.tl import make

types = raw.types
CHANNELS = -(10**12)  # from which the ids of channels are counted down
OTHER = ChatId(CHANNELS - 77)


@pytest.fixture
def queue():
    return Queue()


@pytest.fixture
def boxes(queue):
    """Both stand at 5, and nothing is missing."""
    return standing_at(5, queue, behind=False)


def said(number, pts):
    message = Said(number, "#idea BTC").raw()
    return types.UpdateNewChannelMessage(message=message, pts=pts, pts_count=1)


def fed(queue):
    return [each for each in queue if not isinstance(each, Reached)]


def test_what_tells_a_number_and_no_count_moves_nothing_and_is_fed(boxes, queue):
    """That somebody has read up to there, for one. https://core.telegram.org/constructor/updateReadChannelInbox"""
    read = make(types.UpdateReadChannelInbox, channel_id=CHANNELS - CHANNEL, max_id=3, pts=9)

    boxes.hear(container(read))

    assert fed(queue) == [read]
    assert boxes.of_chats[CHANNEL].pts == 5


def test_the_number_of_secret_chats_and_bots_never_goes_back(boxes):
    """https://core.telegram.org/api/updates#event-sequences"""
    boxes.hear(container(types.UpdateConfig()))
    assert boxes.account.qts == 0

    boxes.hear(container(make(types.UpdateBotStopped, user_id=5, date=NOW, stopped=True, qts=7)))
    boxes.hear(container(types.UpdateConfig()))
    assert boxes.account.qts == 7


def test_what_we_say_in_private_is_the_newest_that_was_seen_there(boxes):
    sent = make(types.UpdateShortSentMessage, id=9, pts=6, pts_count=1, date=NOW)

    boxes.hear(sent)

    assert (boxes.account.pts, boxes.account.message_id) == (6, 9)


def test_an_old_number_is_dropped_and_not_kept_where_no_message_was_seen_yet(boxes, queue):
    boxes.hear(container(said(3, pts=4)))

    box = boxes.of_chats[CHANNEL]
    assert fed(queue) == []
    assert (box.behind, box.kept) == (False, [])


def test_an_old_number_of_a_newer_message_has_the_box_asked_for(boxes):
    """Telegram has begun to count anew: nothing of it would ever be read."""
    box = boxes.of_chats[CHANNEL]
    boxes.hear(container(said(3, pts=6)))

    boxes.hear(container(said(4, pts=2)))

    assert (box.behind, box.went_back) == (True, True)


def test_the_first_message_that_there_is_is_new(boxes, queue):
    boxes.of_chats[CHANNEL].dealt_with = None
    boxes.feed(boxes.of_chats[CHANNEL], difference(new_messages=[Said(1, "#idea BTC").raw()]))

    assert [type(each) for each in fed(queue)] == [types.UpdateNewChannelMessage]


def test_of_a_channel_that_nobody_follows_nothing_is_fed_though_the_accounts_difference_tells_it(
    boxes, queue
):
    message = Said(3, "#idea BTC").raw()
    message.peer_id = types.PeerChannel(channel_id=CHANNELS - OTHER)
    other = types.UpdateNewChannelMessage(message=message, pts=6, pts_count=1)

    boxes.feed(boxes.account, difference(other_updates=[other]))

    assert fed(queue) == []


def test_a_channels_news_in_the_accounts_difference_are_fed_and_so_is_what_comes_behind_them(
    boxes, queue
):
    news, blocked = said(3, pts=6), types.UpdateConfig()

    boxes.feed(boxes.account, difference(other_updates=[news, blocked]))

    assert fed(queue) == [news, blocked]
    assert boxes.of_chats[CHANNEL].pts == 6


def test_a_difference_may_say_itself_that_it_is_not_all(boxes, queue):
    too_long = make(types.UpdateChannelTooLong, channel_id=CHANNELS - CHANNEL)

    boxes.feed(boxes.of_chats[CHANNEL], difference(other_updates=[too_long]))

    assert boxes.of_chats[CHANNEL].behind
    assert fed(queue) == []


def test_a_number_from_further_ahead_is_a_gap_and_no_new_beginning(boxes):
    box = boxes.of_chats[CHANNEL]
    boxes.hear(container(said(3, pts=6)))

    boxes.hear(container(said(5, pts=8)))

    assert (box.behind, box.went_back) == (True, False)


def test_the_number_of_an_older_message_for_a_newer_one_is_a_new_beginning(boxes):
    box = boxes.of_chats[CHANNEL]
    boxes.hear(container(said(3, pts=6)))

    boxes.hear(container(said(4, pts=6)))

    assert box.went_back


def test_a_first_container_leaves_no_gap_whatever_its_number(boxes):
    boxes.hear(container(types.UpdateConfig(), seq=50))
    assert not boxes.account.behind

    boxes.hear(container(types.UpdateConfig(), seq=52))
    assert boxes.account.behind


async def test_a_chat_that_is_followed_no_more_is_not_asked_for_again(boxes):
    rest = boxes.of_chats[CHANNEL].rest = asyncio.ensure_future(asyncio.sleep(3600))

    boxes.let_go([])
    await asyncio.wait([rest])

    assert rest.cancelled()


def difference(**more):
    return make(
        types.updates.Difference,
        **{"new_messages": [], "other_updates": [], "users": [], "chats": [], **more},
    )


@pytest.mark.parametrize(
    "step",
    [
        lambda box: replace(box, pts=box.pts + 1),
        lambda box: replace(box, qts=box.qts + 1),
        lambda box: replace(box, limit=box.limit - 1),
    ],
    ids=["a further change", "a further change of another kind", "fewer changes at once"],
)
def test_whoever_is_led_on_is_not_standing_still(step):
    box = Box(ME, pts=5, qts=5, limit=100)
    for _ in range(30):
        before = box
        box = step(box)
        box.answered(before.place, before.limit, final=False)
        assert (box.behind, box.nowhere) == (True, 0)


def test_an_answer_that_leads_nowhere_is_taken_a_few_times_and_then_said():
    box = Box(ME, pts=5)
    for _ in range(2):
        box.answered(box.place, box.limit, final=False)
    with pytest.raises(StandsStill):
        box.answered(box.place, box.limit, final=False)


def test_the_last_answer_ends_it_and_what_was_promised_beyond_does_not():
    box = Box(ME, pts=5, promised=5, kept=[(None, {}, {})])
    box.answered((4, None), box.limit, final=True)
    assert (box.behind, box.kept) == (False, [])

    box = Box(ME, pts=5, promised=6, kept=[(None, {}, {})])
    box.answered((4, None), box.limit, final=True)
    assert (box.behind, len(box.kept)) == (True, 1)


def test_what_led_nowhere_before_counts_no_more_once_something_leads_on():
    box = Box(ME, pts=5)
    for _ in range(5):
        box.answered(box.place, box.limit, final=False)
        box.answered(box.place, box.limit, final=False)
        box.answered((4, None), box.limit, final=False)


def test_that_nothing_is_new_may_be_answered_for_ever():
    box = Box(ME, pts=5)
    for _ in range(30):
        box.answered(box.place, box.limit, final=True)
    assert not box.behind


def test_the_newest_message_stays_the_newest_when_an_older_one_is_seen():
    box = Box(ME, pts=5)
    for number in (9, 4):
        box.saw(Said(number, "TP1"))
    assert box.message_id == 9


def test_a_box_begins_before_what_was_pushed_while_its_number_was_asked_for():
    box = Box(ME, kept=[(said(3, pts=8), {}, {}), (said(4, pts=9), {}, {})])
    box.begins(9, None)
    assert box.pts == 7

    box = Box(ME)
    box.begins(9, None)
    assert box.pts == 9


def test_what_is_pushed_of_a_box_without_a_number_is_kept_also_while_it_rests():
    assert Box(ME, pts=None, rest="a pause").is_unanswered
    assert not Box(ME, pts=5, rest="a pause").is_unanswered


def test_whoever_is_asking_expects_more_however_often_that_has_failed():
    """In a pause only while pauses are short, and never in one that Telegram has wished for."""
    assert Box(ME, failures=50).more_to_come
    assert Box(ME, failures=1, rest="a pause").more_to_come
    assert not Box(ME, failures=50, rest="a pause").more_to_come
    assert not Box(ME, failures=1, rest="a pause", patient=True).more_to_come
    assert not Box(ME, behind=False).more_to_come
