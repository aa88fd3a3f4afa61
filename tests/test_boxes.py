"""Telegram's update boxes by themselves: what moves one, what is fed, and what is kept."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pyrogram import raw

from bot.models import CHANNELS, ChatId, Reached
from bot.telegram.boxes import Box, Boxes, StandsStill
from tests.boxes import CHANNEL, ME, NOW, Said, container
from tests.catching_up import Queue
from tests.loopback.tl import make

types = raw.types
OTHER = ChatId(CHANNELS - 77)


@pytest.fixture
def queue():
    return Queue()


@pytest.fixture
def boxes(queue):
    """Both stand at 5, and nothing is missing."""
    made = Boxes(queue, ME, [CHANNEL])
    for box in made:
        box.pts, box.behind = 5, False
    return made


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
