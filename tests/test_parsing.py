"""Packets of which the library cannot read everything."""

from __future__ import annotations

import gzip
from io import BytesIO

import pytest
from pyrogram import raw
from pyrogram.raw import core

from bot.errors import SentBefore, Unparsable
from bot.telegram.parsing import Unreadable, make_tolerant, parsed
from tests.boxes import NOW, PEER, container
from tests.loopback.tl import UNKNOWN, Raw, make

functions, types = raw.functions, raw.types
SEND = functions.messages.SendMessage(peer=types.InputPeerSelf(), message="hello", random_id=77)


@pytest.fixture(autouse=True)
def tolerant():
    make_tolerant()


def packet(*bodies):
    """What a container of these bodies is read as."""
    inner = [
        core.Long(4 * number + 1) + core.Int(1) + core.Int(len(body)) + body
        for number, body in enumerate(bodies)
    ]
    body = core.Int(core.MsgContainer.ID) + core.Int(len(inner)) + b"".join(inner)
    whole = core.Long(1) + core.Int(0) + core.Int(len(body)) + body
    return [each.body for each in core.Message.read(BytesIO(whole)).body.messages]


def answer(body, query_id=5):
    """What an answer with this body is read as."""
    (found,) = packet(core.Int(types.RpcResult.ID, False) + core.Long(query_id) + body)
    assert found.req_msg_id == query_id
    return found.result


def said(number, media=None):
    return make(types.Message, id=number, peer_id=PEER, date=NOW, message="text", media=media)


def difference(*messages, users=(), others=()):
    return make(
        types.updates.ChannelDifference,
        pts=9,
        final=True,
        new_messages=list(messages),
        other_updates=list(others),
        chats=[],
        users=list(users),
    ).write()


def packed(body):
    return core.Int(core.GzipPacked.ID, False) + core.Bytes(gzip.compress(body, mtime=0))


@pytest.mark.parametrize("pack", [bytes, packed], ids=["plain", "packed"])
def test_an_answer_tells_whose_it_is_how_far_it_goes_and_which_message_it_fails_at(pack):
    found = answer(pack(difference(said(1), said(2, Raw()), said(3))))

    assert isinstance(found, Unreadable)
    assert (found.kind, found.pts, found.final) == ("ChannelDifference", 9, True)
    assert (found.message_id, found.peer, found.date) == (2, PEER, NOW)
    assert "0xdeadbeef" in found.error
    with pytest.raises(Unparsable, match="0xdeadbeef"):
        parsed(found)


@pytest.mark.parametrize("pack", [bytes, packed], ids=["plain", "packed"])
def test_people_who_cannot_be_read_cost_only_themselves(pack):
    found = answer(pack(difference(said(1), users=[make(types.User, id=1, photo=Raw())])))

    assert [message.id for message in found.new_messages] == [1]
    assert found.users == []
    assert parsed(found) is found


def test_others_in_the_same_container_are_read():
    pong = types.Pong(msg_id=1, ping_id=2)

    first, broken, last = packet(pong.write(), container(Raw()).write(), pong.write())

    assert first == last == pong
    assert isinstance(broken, Unreadable)


@pytest.mark.parametrize("body", [b"", b"\x00", UNKNOWN, packed(b"")[:-9], packed(UNKNOWN)])
def test_bytes_that_are_nothing_at_all_raise_nothing(body):
    assert isinstance(answer(body), Unreadable)
    assert isinstance(packet(body)[0], Unreadable)


@pytest.mark.parametrize("body", [b"", b"\x00", packed(b"")[:-9], difference(said(1))[:40]])
def test_bytes_that_are_too_few_are_told_from_a_constructor_that_nobody_knows(body):
    """Asked once more, the answer may be whole."""
    found = answer(body)

    assert found.garbled
    assert found.error.endswith("garbled")
    assert not answer(UNKNOWN).garbled


@pytest.mark.parametrize("length", range(0, 200, 4))
def test_an_answer_that_ends_too_early_is_never_taken_for_a_whole_one(length):
    whole = difference(said(1), said(2), others=[make(types.UpdateConfig)])
    found = answer(whole[: min(length, len(whole) - 4)])

    if not isinstance(found, Unreadable):
        assert [message.id for message in found.new_messages] == [1, 2]
        assert len(found.other_updates) == 1


def test_an_answer_that_ends_before_the_people_in_it_is_none():
    """What is missing is the end, and who knows of what: the library reads on into nothing."""
    whole = difference(said(1), users=[make(types.User, id=1), make(types.User, id=2)])
    without = len(difference(said(1)))
    found = [answer(whole[:length]) for length in range(without - 4, without + 4, 4)]

    assert [type(each) for each in found] == [Unreadable] * 2
    assert all(each.garbled for each in found)


def test_a_medium_without_its_bytes_makes_no_message_of_what_comes_behind_it():
    """What is read from there on is shifted, and so are the fields of the answer."""
    found = answer(difference(said(1, Raw(b""))))

    assert isinstance(found, Unreadable)
    assert "new_messages" not in found.known


def test_what_was_sent_is_known_by_the_ids_at_the_head_of_the_answer():
    ids = types.UpdateMessageID(id=12, random_id=77)
    found = answer(container(ids, Raw()).write())

    told = parsed(found, SEND)

    assert [(each.id, each.random_id) for each in told.updates] == [(12, 77)]


def test_no_id_that_somebody_wrote_into_a_message_is_taken_for_that_of_what_was_sent():
    ids = types.UpdateMessageID(id=12, random_id=77)
    forged = Raw(UNKNOWN + ids.write())

    with pytest.raises(SentBefore):
        parsed(answer(container(forged, ids).write()), SEND)


def test_an_album_of_which_not_every_id_is_told_is_looked_for():
    parts = [
        types.InputSingleMedia(media=types.InputMediaEmpty(), random_id=each, message="")
        for each in (77, 78)
    ]
    album = functions.messages.SendMultiMedia(peer=types.InputPeerSelf(), multi_media=parts)
    first, second = (types.UpdateMessageID(id=each - 60, random_id=each) for each in (77, 78))

    told = parsed(answer(container(first, second, Raw()).write()), album)
    assert [each.id for each in told.updates] == [17, 18]
    with pytest.raises(SentBefore):
        parsed(answer(container(first, Raw()).write()), album)


@pytest.mark.parametrize("pack", [bytes, packed], ids=["plain", "packed"])
def test_wherever_an_answer_ends_too_early_nothing_in_it_is_taken_for_something_else(pack):
    """The library reads zeros behind the end, and a list of few bytes as one of numbers."""
    people = [make(types.User, id=number, first_name="Анна") for number in (1, 2)]
    body = difference(said(1), said(2), users=people)

    for length in range(0, len(body), 4):
        found = answer(pack(body[:length]))
        if not isinstance(found, Unreadable):
            assert [message.id for message in found.new_messages] == [1, 2]
            assert all(isinstance(user, types.User) for user in found.users)


@pytest.mark.parametrize("alien", [make(types.User, id=7), make(types.MessageMediaEmpty)])
def test_what_stands_where_a_message_should_makes_the_answer_unreadable(alien):
    found = answer(difference(said(1), alien))

    assert isinstance(found, Unreadable)
    assert (found.kind, found.pts) == ("ChannelDifference", 9)
    assert "new_messages" not in found.known
