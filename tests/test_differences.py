"""What is asked for of a box that is behind, and what each answer leads to."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from pyrogram import raw
from pyrogram.errors import ChannelPrivate, PersistentTimestampInvalid

from bot.errors import Unparsable
from bot.models import Reached, UnreadableMessage
from bot.telegram.differences import Differences
from bot.telegram.parsing import Unreadable
from tests.boxes import CHANNEL, ME, NOW, Said, standing_at
from tests.catching_up import Queue
from tests.loopback.tl import make

functions, types = raw.functions, raw.types
THEN = NOW - 500


class Telegram:
    """Answers in turn, and keeps what it was asked."""

    def __init__(self):
        self.asked = []
        self.answers = []

    async def peer(self, chat_id):
        return types.InputPeerChannel(channel_id=-(10**12) - chat_id, access_hash=1)

    async def call(self, query):
        self.asked.append(query)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Again:
    """What reads messages by their ids: what it was told to read."""

    def __init__(self):
        self.told = []
        self.knows_how_many_are_new = True
        self.readable = True

    async def look(self, box, **how):
        self.told.append(("look", box.id, how))

    async def look_at_new(self, box, changes):
        self.told.append(("new", box.id, changes))
        return self.knows_how_many_are_new

    async def feed_readable(self, box, number, *, edited):
        self.told.append(("one", box.id, number, edited))
        return self.readable


@pytest.fixture
def teller():
    return Telegram()


@pytest.fixture
def again():
    return Again()


@pytest.fixture
def queue():
    return Queue()


@pytest.fixture
def boxes(queue):
    """Both stand at 5, and are behind."""
    return standing_at(5, queue, behind=True)


@pytest.fixture
def differences(teller, queue, boxes, again):
    return Differences(teller, queue, boxes, again)


@pytest.fixture
def account(boxes):
    return boxes.account


@pytest.fixture
def channel(boxes):
    return boxes.of_chats[CHANNEL]


def state(pts=9, seq=4):
    return types.updates.State(pts=pts, qts=7, date=NOW, seq=seq, unread_count=0)


def full(pts):
    return SimpleNamespace(full_chat=SimpleNamespace(pts=pts))


def unreadable(kind, **read):
    found = Unreadable("unknown constructor 0xdeadbeef")
    found.kind = kind
    for name, value in read.items():
        setattr(found, name, value)
    return Unparsable("it cannot be read", found)


def texts(queue):
    return [each.message.message for each in queue if hasattr(each, "message")]


def names(teller):
    return [type(each).__name__ for each in teller.asked]


def in_private(text="hi"):
    message = Said(3, text).raw()
    message.peer_id = types.PeerChat(chat_id=77)
    return message


# ── the account ──


@pytest.mark.parametrize(
    ("date", "qts", "asked"), [(THEN, 6, (5, THEN, 6)), (None, None, (5, 0, 0))]
)
async def test_the_accounts_difference_is_asked_for_from_where_its_box_stands(
    teller, differences, account, date, qts, asked
):
    account.date, account.qts = date, qts
    teller.answers = [types.updates.DifferenceEmpty(date=NOW, seq=4)]

    assert await differences.ask(account) is True

    (query,) = teller.asked
    assert (query.pts, query.date, query.qts) == asked
    assert account.date == NOW


@pytest.mark.parametrize("final", [True, False])
async def test_what_the_accounts_difference_tells_is_fed_and_the_box_stands_where_that_ends(
    teller, differences, boxes, account, queue, final
):
    kind = types.updates.Difference if final else types.updates.DifferenceSlice
    where = {"state": state()} if final else {"intermediate_state": state()}
    told = {"new_messages": [in_private()], "other_updates": [], "users": [], "chats": []}
    teller.answers = [make(kind, **told, **where)]

    assert await differences.ask(account) is final

    assert texts(queue) == ["hi"]
    assert (account.pts, account.qts, account.date, boxes.seq) == (9, 7, NOW, 4)
    assert any(isinstance(each, Reached) for each in queue)


async def test_where_the_accounts_difference_is_too_long_what_is_recorded_is_looked_at_again(
    teller, differences, account, again
):
    teller.answers = [types.updates.DifferenceTooLong(pts=900)]

    assert await differences.ask(account) is False

    assert account.pts == 900
    assert again.told == [("look", ME, {"newest": None})]


@pytest.mark.parametrize(
    ("known", "told"),
    [(True, [("new", ME, 4)]), (False, [("new", ME, 4), ("look", ME, {"at_most": 4})])],
)
async def test_where_the_accounts_difference_cannot_be_read_its_messages_are_and_channels_are_asked(
    teller, differences, boxes, account, channel, again, known, told
):
    channel.behind = False
    again.knows_how_many_are_new = known
    teller.answers = [unreadable("Difference"), state()]

    assert await differences.ask(account) is False

    assert again.told == told
    assert channel.behind
    assert (account.pts, account.qts, account.date, boxes.seq) == (9, 7, NOW, 4)


# ── a channel ──


async def test_a_channels_difference_is_asked_for_from_where_its_box_stands(
    teller, differences, channel
):
    channel.limit = 100
    teller.answers = [make(types.updates.ChannelDifferenceEmpty, pts=5, final=True)]

    assert await differences.ask(channel) is True

    (query,) = teller.asked
    assert (query.pts, query.limit, query.force) == (5, 100, False)
    assert channel.limit == 200


async def test_a_thousand_changes_are_asked_for_at_once_and_no_more(teller, differences, channel):
    assert channel.limit == 1_000
    teller.answers = [make(types.updates.ChannelDifferenceEmpty, pts=5, final=True)]

    await differences.ask(channel)

    assert channel.limit == 1_000


@pytest.mark.parametrize("final", [True, False])
async def test_what_a_channels_difference_tells_is_fed(teller, differences, channel, queue, final):
    told = {"new_messages": [Said(3, "#idea BTC").raw()], "other_updates": []}
    teller.answers = [make(types.updates.ChannelDifference, pts=6, final=final or None, **told)]

    assert await differences.ask(channel) is final

    assert texts(queue) == ["#idea BTC"]
    assert channel.pts == 6


async def test_where_a_channels_difference_is_too_long_all_up_to_its_newest_message_is_looked_at(
    teller, differences, channel, again
):
    dialog = make(types.Dialog, peer=Said(3, "").raw().peer_id, top_message=70, pts=900)
    kind = types.updates.ChannelDifferenceTooLong
    teller.answers = [make(kind, dialog=dialog, messages=[], final=True)]

    assert await differences.ask(channel) is True

    assert channel.pts == 900
    assert again.told == [("look", CHANNEL, {"newest": 70})]


# ── numbers that are none of ours ──


@pytest.mark.parametrize("how", ["refused", "behind us", "known"])
async def test_where_a_channel_counts_anew_what_came_since_is_read_by_its_ids(
    teller, differences, channel, again, how
):
    channel.went_back = how == "known"
    nothing = make(types.updates.ChannelDifferenceEmpty, pts=2, final=True)
    refused = PersistentTimestampInvalid()
    first = {"refused": [refused], "behind us": [nothing], "known": []}[how]
    teller.answers = [*first, full(pts=3)]

    assert await differences.ask(channel) is False

    assert again.told == [("look", CHANNEL, {})]
    assert (channel.pts, channel.went_back) == (3, False)


@pytest.mark.parametrize("how", ["refused", "known"])
async def test_where_the_account_counts_anew_what_came_since_is_read_by_its_ids(
    teller, differences, account, again, how
):
    account.went_back = how == "known"
    first = {"refused": [PersistentTimestampInvalid()], "known": []}[how]
    teller.answers = [*first, state(pts=3)]

    assert await differences.ask(account) is False

    assert again.told == [("look", ME, {})]
    assert (account.pts, account.qts, account.went_back) == (3, 7, False)


@pytest.mark.parametrize("box", ["account", "channel"])
async def test_any_other_refusal_is_raised_and_moves_nothing(
    teller, differences, boxes, again, box
):
    asked = boxes.account if box == "account" else boxes.of_chats[CHANNEL]
    teller.answers = [ChannelPrivate()]

    with pytest.raises(ChannelPrivate):
        await differences.ask(asked)

    assert (asked.pts, again.told) == (5, [])


# ── what cannot be parsed in a channel ──


@pytest.mark.parametrize(
    ("limit", "read", "then"),
    [
        (1_000, {}, 125),  # it does not say how much it tells
        (7, {}, 1),
        (1_000, {"pts": 25}, 10),
        (8, {"pts": 25}, 4),
        (2, {"pts": 25}, 1),
    ],
)
async def test_fewer_changes_are_asked_for_until_one_is_left(
    teller, differences, channel, queue, limit, read, then
):
    channel.limit = limit
    teller.answers = [unreadable("ChannelDifference", **read)]

    assert await differences.ask(channel) is False

    assert (channel.limit, channel.pts, list(queue)) == (then, 5, [])


async def test_the_one_message_that_cannot_be_read_is_told_and_passed(
    teller, differences, channel, queue, again
):
    read = {"pts": 6, "message_id": 3, "final": True, "known": (), "peer": None}
    teller.answers = [unreadable("ChannelDifference", **read)]

    assert await differences.ask(channel) is True

    (told,) = [each for each in queue if isinstance(each, UnreadableMessage)]
    assert (told.chat_id, told.id) == (CHANNEL, 3)
    assert (channel.pts, channel.message_id, again.told) == (6, 3, [])


@pytest.mark.parametrize("known", [(), ("new_messages",)], ids=["new", "edited"])
@pytest.mark.parametrize("readable", [True, False])
async def test_where_bytes_were_garbled_the_message_is_read_by_itself(
    teller, differences, channel, queue, again, known, readable
):
    again.readable = readable
    read = {"pts": 6, "message_id": 3, "final": False, "known": known, "garbled": True}
    teller.answers = [unreadable("ChannelDifference", **read, peer=None)]

    assert await differences.ask(channel) is False

    assert again.told == [("one", CHANNEL, 3, bool(known))]
    assert len(queue) == (not readable)
    assert channel.pts == 6


@pytest.mark.parametrize(
    ("kind", "more", "limit", "answers", "ends_at"),
    [
        ("ChannelDifference", {}, 1, [full(pts=8)], 8),  # not even how far it goes
        ("ChannelDifferenceTooLong", {}, 1_000, [full(pts=8)], 8),
        ("ChannelDifferenceTooLong", {"pts": 6}, 1_000, [full(pts=8)], 8),  # not the channel's
        ("ChannelDifference", {"pts": 8, "known": ()}, 1, [], 8),  # one change, they say, and three
        ("ChannelDifference", {"pts": 8, "known": (), "message_id": 3}, 1, [], 8),
        ("ChannelDifference", {"pts": 8, "known": ("new_messages",)}, 1, [], 8),
        ("ChannelDifference", {"pts": 6, "known": ()}, 1_000, [], 6),  # a message, and not which
    ],
)
async def test_what_cannot_be_made_smaller_is_read_by_its_ids(
    teller, differences, channel, queue, again, kind, more, limit, answers, ends_at
):
    channel.limit = limit
    teller.answers = [unreadable(kind, **more), *answers]

    assert await differences.ask(channel) is False

    assert again.told == [("new", CHANNEL, ends_at - 5)]
    assert (channel.pts, list(queue)) == (ends_at, [])


async def test_whoever_reads_older_messages_again_hears_that_one_of_them_has_changed(
    teller, differences, channel
):
    read = {"pts": 6, "message_id": 3, "final": True, "known": (), "peer": None}
    teller.answers = [unreadable("ChannelDifference", **read)]

    with channel.changes() as changed:
        await differences.ask(channel)

    assert changed == {3}


async def test_what_has_no_number_and_cannot_be_read_is_all_for_now(
    teller, differences, channel, again
):
    teller.answers = [unreadable("ChannelDifferenceTooLong"), full(pts=5)]

    assert await differences.ask(channel) is True

    assert again.told == []


# ── where a box begins ──


async def test_the_account_begins_where_telegram_says_that_it_stands(
    teller, differences, boxes, account
):
    teller.answers = [state(pts=3)]

    await differences.begin(account)

    assert (account.pts, account.qts, account.date, boxes.seq) == (3, 7, NOW, 4)
    assert names(teller) == ["GetState"]


@pytest.mark.parametrize("readable", [True, False])
async def test_a_channel_begins_where_it_stands_now_and_at_the_accounts_date(
    teller, differences, account, channel, readable
):
    """Its full description may be more than the library can read; a message that is not told the number, too."""
    account.date, channel.pts = THEN, None
    of_messages = SimpleNamespace(pts=8)
    teller.answers = [full(pts=8)] if readable else [unreadable("messages.ChatFull"), of_messages]

    await differences.begin(channel)

    assert (channel.pts, channel.date) == (8, THEN)
    if not readable:
        assert [each.id for each in teller.asked[-1].id] == [2**31 - 1]
