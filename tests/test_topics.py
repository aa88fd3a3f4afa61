"""Topics of forums, as places and as sources."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
from pyrogram import raw

from bot.app import open_core
from bot.delivery.relay import random_id_of
from bot.errors import TopicUnavailable
from bot.models import Address, Outcome, Reason
from bot.posts import Method
from bot.routes import Place, Routes, Source
from bot.setting_chats import parse_targets
from bot.telegram.messages import incoming
from tests import wiring
from tests.earlier import make_earlier
from tests.people import ALICE, GROUP, TARGET, says
from tests.posts import FakeTelegram, post, relay_of

types = raw.types
NEWS, TALK = 12, 15
OTHER = TARGET - 1


# ── what is written ──


def test_a_target_may_name_a_topic_and_general_is_none():
    """`-100…#1` is General, where posts go that name no topic; so it is the chat itself."""
    assert parse_targets("-1001234567890#12, -1001234567890#1,-1001234567890") == (
        Address(-1001234567890, 12),
        Address(-1001234567890, 0),
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("-1001234567890#", "behind # stands the number of a topic"),
        ("-1001234567890#a", "behind # stands the number of a topic"),
        ("-1001234567890#0", "behind # stands the number of a topic"),
        ("-12345#3", "only a supergroup"),
        ("#3", "is not a Telegram id"),
    ],
)
def test_a_wrong_topic_is_named(text, says):
    with pytest.raises(ValueError, match=says):
        parse_targets(text)


def test_a_topic_is_part_of_a_posts_random_id_and_none_leaves_it_as_it_was():
    assert random_id_of(post(1)) == 6076442301966427664
    ids = {
        random_id_of(post(1, part=part, topic=topic, version=version))
        for part in (0, 1)
        for topic in (0, 1, 5, NEWS)
        for version in (0, 1, 5, NEWS)
    }
    assert len(ids) == 4 + 4 * 4  # the version counts for later parts only


# ── what is read ──


def raw_message(**header):
    reply = types.MessageReplyHeader(**header) if header else None
    peer = types.PeerChannel(channel_id=1234567890)
    return types.Message(id=50, peer_id=peer, date=1, message="#idea", reply_to=reply)


@pytest.mark.parametrize(
    ("header", "topic"),
    [
        ({}, 0),
        ({"reply_to_msg_id": 40}, 0),
        ({"reply_to_msg_id": 40, "reply_to_top_id": 30}, 0),  # a thread of no forum
        ({"reply_to_msg_id": NEWS, "forum_topic": True}, NEWS),
        ({"reply_to_msg_id": 40, "reply_to_top_id": NEWS, "forum_topic": True}, NEWS),
    ],
)
def test_a_message_says_its_topic(header, topic):
    assert incoming(raw_message(**header)).topic == topic


def sources(*topics, **more):
    def source(topic):
        return Source(
            f"s{topic}", GROUP, topic, places=(Place(TARGET), Place(OTHER + topic)), **more
        )

    return Routes(tuple(map(source, topics)))


@pytest.fixture
def opened(tmp_path):
    def opened(routes):
        settings = wiring.settings(data_dir=tmp_path / "data")
        return open_core(settings, routes, in_loop=True)

    return opened


def topics_of(posts):
    return [(each.text, each.topic) for each in posts]


async def test_each_topic_has_its_own_source_and_what_is_in_none_is_nobodys(opened):
    routes = sources(NEWS, TALK)
    assert routes.source_of(GROUP, NEWS).name == "s12"
    assert routes.source_of(GROUP, 0) is None
    assert sources(NEWS, 1).source_of(GROUP, 0).name == "s1"  # General
    async with opened(routes) as core:
        await core.intake.take([says(ALICE, "#idea news", topic=NEWS)])
        assert await core.intake.take([says(ALICE, "#idea nowhere")]) == []
        posts = [await core.store.take_posts(chat) for chat in (TARGET, OTHER + NEWS, OTHER + TALK)]
    assert [[each.text for each in line] for line in posts] == [["#idea news"], ["#idea news"], []]


async def test_a_reply_from_another_topic_is_a_quote_and_continues_nothing(opened):
    """Both topics share the row of ids, so that the tables know the flow in either."""
    signal = says(ALICE, "#idea news", topic=NEWS)
    async with opened(sources(NEWS, TALK)) as core:
        await core.intake.handle(signal)
        here = await core.intake.handle(says(ALICE, "TP1", to=signal, topic=NEWS))
        there = await core.intake.handle(says(ALICE, "TP1", to=signal, topic=TALK))
    assert here.outcome is Outcome.UPDATE
    assert (there.outcome, there.reason) == (Outcome.IGNORED, Reason.UNKNOWN_PARENT)


async def test_a_deletion_does_not_tell_its_topic_and_is_each_sources_own(opened):
    quiet, loud = sources(NEWS, TALK).sources
    routes = Routes((replace(quiet, relay_deletes=False), loud))
    kept, gone = says(ALICE, "#idea 1", topic=NEWS), says(ALICE, "#idea 2", topic=TALK)
    async with opened(routes) as core:
        for message in (kept, gone):
            await core.intake.handle(message)
        await core.intake.deleted(GROUP, [kept.id, gone.id])
        left = await core.store.take_posts(TARGET)
    assert [each.text for each in left] == ["#idea 1"]


# ── what is posted ──


def to_topics(*topics):
    places = tuple(Place(TARGET, topic) for topic in topics)
    return Routes((Source(chat=GROUP, places=places),))


async def test_one_chat_gets_a_message_once_for_each_of_its_topics(opened):
    signal = says(ALICE, "#idea")
    async with opened(to_topics(NEWS, TALK, 0)) as core:
        await core.intake.handle(signal)
        await core.intake.handle(says(ALICE, "TP1", to=signal))
        for number in range(3):
            (each,) = await core.store.take_posts(TARGET)
            await core.store.post_sent(each, 500 + each.topic)
            assert (each.text, each.topic) == ("#idea", [NEWS, TALK, 0][number])
        answers = []
        for _ in range(3):
            (each,) = await core.store.take_posts(TARGET)
            answers.append((each.reply_to, await core.store.ancestors(each)))
            await core.store.post_sent(each, 600 + each.topic)
    assert answers == [(500 + topic, [500 + topic]) for topic in (NEWS, TALK, 0)]


async def test_what_is_for_a_closed_topic_waits_and_the_others_go_on(opened):
    async with opened(to_topics(NEWS, TALK)) as core:
        await core.intake.handle(says(ALICE, "#idea"))
        (other,) = await core.store.take_posts(TARGET, Method.SEND, closed=(NEWS,))
        assert other.topic == TALK
        await core.store.post_sent(other, 500)
        assert await core.store.take_posts(TARGET, Method.SEND, closed=(NEWS,)) == []
        assert topics_of(await core.store.take_posts(TARGET)) == [("#idea", NEWS)]


async def test_posts_of_a_place_that_is_listed_no_more_wait_until_it_is_again(opened):
    """Whatever its chat is called by then, and whatever else goes there."""
    async with opened(to_topics(NEWS, TALK)) as core:
        await core.intake.handle(says(ALICE, "#idea 1"))
    async with opened(to_topics(TALK)) as core:
        await core.intake.handle(says(ALICE, "#idea 2"))
        for text in ("#idea 1", "#idea 2"):
            (each,) = await core.store.take_posts(TARGET)
            assert (each.text, each.topic) == (text, TALK)
            await core.store.post_sent(each, 500)
        assert await core.store.take_posts(TARGET) == []
    named = Source("majors", GROUP, places=(Place(TARGET, NEWS, name="vip"),))
    async with opened(Routes((named,))) as core:
        assert topics_of(await core.store.take_posts(TARGET)) == [("#idea 1", NEWS)]


async def test_a_place_keeps_what_waits_when_its_source_is_renamed_or_moves(opened):
    def main(name, chat):
        return Routes((Source(name, chat, places=(Place(TARGET),)),))

    async with opened(main("main", GROUP)) as core:
        await core.intake.handle(says(ALICE, "#idea"))
    for routes in (main("majors", GROUP), main("majors", OTHER), main("x", OTHER)):
        async with opened(routes) as core:
            assert topics_of(await core.store.take_posts(TARGET)) == [("#idea", 0)]
            ids = [place.id for place in core.routes.places]
    assert ids == [1]


# ── a database of before ──

POST = (
    "INSERT INTO posts (source_chat_id, source_message_id, part, target_chat_id, state, version,"
    " attempts, recorded_at, text, entities, id) VALUES (?, 7, 0, ?, 'pending', 0, 0, 1, ?, '[]', ?)"
)


async def test_a_database_of_before_goes_on_with_the_same_random_ids(tmp_path):
    path = tmp_path / "data" / "signals.db"
    path.parent.mkdir(mode=0o700)
    make_earlier(path, 10)
    path.chmod(0o600)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(POST, (GROUP, TARGET, "#idea 1", 41))
        db.execute(POST, (GROUP, OTHER, "#idea 1", 42))

    settings = wiring.settings(data_dir=tmp_path / "data", source_chat_id=GROUP)
    async with open_core(settings, wiring.routes(settings, TARGET), in_loop=True) as core:
        (kept,) = await core.store.take_posts(TARGET)
        assert (kept.id, kept.topic, kept.text) == (41, 0, "#idea 1")
        assert random_id_of(kept) == random_id_of(post(1, source=kept.source))
        assert await core.store.take_posts(OTHER) == []  # listed no more: it waits
    async with open_core(settings, wiring.routes(settings, TARGET, OTHER), in_loop=True) as core:
        (kept,) = await core.store.take_posts(OTHER)
        assert kept.id == 42


# ── the relay ──


class FakeForum(FakeTelegram):
    """Topic `closed` takes nothing."""

    closed = NEWS

    async def send_text(self, target, text, entities, *, topic=0, **more):
        if topic == self.closed:
            raise TopicUnavailable("Telegram refused: 400 TOPIC_CLOSED", target, topic)
        return await super().send_text(target, text, entities, **more)


class Line:
    """The real tables' line, and what is sent from it."""

    def __init__(self, core):
        self.forum = FakeForum()
        self.now = 0.0
        self.relay = relay_of(core.store, self.forum, clock=lambda: self.now)

    async def works(self, steps):
        for _ in range(steps):
            pause = await self.relay.post_next()
        return pause


async def test_a_topic_that_takes_nothing_is_tried_again_in_its_order(opened):
    async with opened(to_topics(NEWS, TALK)) as core:
        for number in (1, 2):
            await core.intake.handle(says(ALICE, f"#idea {number}"))
        line = Line(core)
        await line.works(5)
        assert [asked[1] for asked in line.forum.asked] == ["#idea 1", "#idea 2"]
        line.forum.closed = 0
        line.now = 6.0  # tried again after five seconds
        await line.works(4)
    assert [asked[1] for asked in line.forum.asked] == ["#idea 1", "#idea 2"] * 2


# ── with the program ──


def bodies(stage, forum, topic):
    there = [each for each in stage.posted(forum) if each.topic == topic]
    return [(each.text, each.reply_to) for each in there]


async def test_posts_and_threads_stay_in_their_topic(stage):
    forum = stage.telegram.supergroup("Forum", members=[stage.bot, stage.carol], forum=True)
    news = await stage.carol.opens_topic(forum, "News")
    target = f"{forum.id}#{news.id}"
    async with stage.relay(TARGET_CHAT_ID=f"{target},{stage.target.id}"):
        signal = await stage.alice.sends(stage.group, "#idea BTC")
        await stage.alice.sends(stage.group, "TP1", reply_to=signal)
        await stage.shows("#idea BTC", "TP1")
        await stage.shows("#idea BTC", "TP1", where=forum)
        assert {each.topic for each in stage.posted(forum)} == {news.id}
        first, second = stage.posted(forum)
        assert second.reply_to == first.id


async def test_a_closed_topic_waits_and_a_deleted_one_never_ends_in_general(stage):
    forum = stage.telegram.supergroup("Forum", members=[stage.bot, stage.carol], forum=True)
    news, talk = [await stage.carol.opens_topic(forum, name) for name in ("News", "Talk")]
    news.closed = True
    targets = f"{forum.id}#{news.id},{forum.id}#{talk.id}"
    async with stage.relay(TARGET_CHAT_ID=targets):
        signal = await stage.alice.sends(stage.group, "#idea BTC")
        await stage.shows("#idea BTC", where=forum)
        news.closed = False
        await stage.shows("#idea BTC", "#idea BTC", where=forum)
        assert [each.topic for each in stage.posted(forum)] == [talk.id, news.id]

        await stage.carol.deletes_topic(forum, news)
        await stage.alice.sends(stage.group, "TP1", reply_to=signal)
        await stage.alice.sends(stage.group, "#idea ETH")
        await stage.shows("#idea BTC", "TP1", "#idea ETH", where=forum)
        assert {each.topic for each in stage.posted(forum)} == {talk.id}
