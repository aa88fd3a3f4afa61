"""The relay: every trouble that Telegram can make, played by fakes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from bot.delivery.relay import random_id_of
from bot.delivery.worker import Unwatched
from bot.errors import (
    DatabaseUnavailable,
    LoggedOut,
    ParentGone,
    PostGone,
    PostRefused,
    RetryLater,
    SentBefore,
    TargetUnavailable,
)
from bot.models import ChatId, Content, Entity, Media, MessageId
from bot.posts import PostState
from bot.rules.render import split
from tests.people import GROUP, TARGET
from tests.posts import FakeOutbox, FakeTelegram, post, relay_of

OLD = ChatId(-77)


async def rounds(relay, number):
    return [await relay.post_next() for _ in range(number)]


# ── doubts ──


NO_ANSWER = RetryLater("no answer")
FLOOD = RetryLater("flood", after=timedelta(seconds=3))


async def test_what_may_have_gone_through_is_looked_up_before_it_is_deleted():
    """Deleted meanwhile, and perhaps posted: the same again tells as which message."""
    outbox, telegram = FakeOutbox(post()), FakeTelegram(NO_ANSWER)
    relay = relay_of(outbox, telegram)
    await relay.post_next()
    outbox.posts[1] = replace(outbox.posts[1], state=PostState.DELETE)

    await rounds(relay, 2)

    assert telegram.asked == [("text", "text", None), ("text", "text", None), ("delete", 700)]
    assert outbox.states() == [PostState.DELETED]


async def test_what_was_certainly_refused_is_not_posted_only_to_be_deleted():
    outbox, telegram = FakeOutbox(post()), FakeTelegram(FLOOD)
    relay = relay_of(outbox, telegram)
    await relay.post_next()
    outbox.posts[1] = replace(outbox.posts[1], state=PostState.DELETE)

    await rounds(relay, 2)

    assert telegram.asked == [("text", "text", None)]
    assert outbox.states() == [PostState.DELETED]


async def test_a_post_that_telegram_has_taken_before_is_looked_for():
    """Behind the newest message that is known to be ours."""
    outbox, telegram = FakeOutbox(post()), FakeTelegram(SentBefore("RANDOM_ID_DUPLICATE"))

    await relay_of(outbox, telegram).post_next()

    assert telegram.asked == [("text", "text", None), ("find", "text", 600)]
    assert outbox.posts[1].target_message_id == 601


async def test_an_album_that_telegram_has_taken_before_is_looked_for_part_by_part():
    photo = Media("photo", "photo:1:2:3")
    parts = [post(number, "text", album_id=9, media=photo) for number in (1, 2)]
    outbox, taken = FakeOutbox(*parts), SentBefore("RANDOM_ID_DUPLICATE")
    telegram = FakeTelegram(taken, taken, taken)

    await relay_of(outbox, telegram).post_next()

    assert [asked[0] for asked in telegram.asked] == ["album", "media", "find", "media", "find"]
    assert outbox.states() == [PostState.SENT] * 2


async def test_a_post_that_is_not_to_be_found_yet_is_tried_again():
    outbox, telegram = FakeOutbox(post()), FakeTelegram(SentBefore("RANDOM_ID_DUPLICATE"))
    telegram.found = set()

    assert await relay_of(outbox, telegram).post_next() > timedelta(0)
    assert outbox.states() == [PostState.PENDING]


async def test_what_was_edited_since_it_was_taken_is_looked_for_as_it_was_sent():
    """Behind the newest of ours by then: what was posted meanwhile may stand behind it."""
    sent = Content("as sent", (), None)
    outbox = FakeOutbox(
        post(text="edited", version=1, sent_version=0, sent_as=sent, sent_after=MessageId(50))
    )
    telegram = FakeTelegram(SentBefore("RANDOM_ID_DUPLICATE"))
    telegram.found = {"as sent"}

    await relay_of(outbox, telegram).post_next()

    assert telegram.asked[-1] == ("find", "as sent", 50)
    assert outbox.posts[1].target_message_id == 51


async def test_where_nobody_knows_what_was_sent_no_post_is_taken_for_it():
    """An older program kept no text, and whatever stands there may be another's."""
    outbox = FakeOutbox(post(text="edited", version=1, sent_version=0))
    telegram = FakeTelegram(*[SentBefore("RANDOM_ID_DUPLICATE")] * 9)
    telegram.found = {"edited", None}

    await rounds(relay_of(outbox, telegram), 9)

    assert outbox.states() == [PostState.FAILED]
    assert "may stand there" in outbox.errors[0]


async def test_what_is_never_found_fails_visibly_and_holds_nobody_up():
    outbox = FakeOutbox(post(1), post(2, "next"))
    telegram = FakeTelegram(*[SentBefore("RANDOM_ID_DUPLICATE")] * 9)
    telegram.found = set()

    relay = relay_of(outbox, telegram)
    await rounds(relay, 8)
    assert outbox.states() == [PostState.PENDING, PostState.PENDING]
    await rounds(relay, 2)

    assert outbox.states() == [PostState.FAILED, PostState.SENT]
    assert "may stand there" in outbox.errors[0]


async def test_a_flood_wait_amid_the_parts_of_a_spoilt_album_is_waited_out():
    photo = Media("photo", "photo:1:2:3")
    parts = [post(number, "text", album_id=9, media=photo) for number in (1, 2)]
    telegram = FakeTelegram(PostRefused("MEDIA_INVALID"), FLOOD)

    assert await relay_of(FakeOutbox(*parts), telegram).post_next() == FLOOD.after


async def test_a_table_that_does_not_answer_delays_and_is_no_traceback(capsys):
    class Locked(FakeOutbox):
        async def take_posts(self, *which, **more):
            if not self.errors:
                self.errors.append("locked")
                raise DatabaseUnavailable("database is locked")
            return await super().take_posts(*which, **more)

    outbox, telegram, slept = Locked(post()), FakeTelegram(), []

    async def sleep(seconds):
        slept.append(seconds)

    relay = relay_of(outbox, telegram, sleep=sleep)
    running = asyncio.create_task(relay.run())
    while not telegram.asked:
        await asyncio.sleep(0)
    relay.stop()
    await running

    assert outbox.states() == [PostState.SENT]
    assert slept == [5.0]
    assert "Traceback" not in capsys.readouterr().out


# ── one after the other ──


async def test_posts_go_out_in_line_and_then_it_is_quiet():
    telegram = FakeTelegram()
    relay = relay_of(FakeOutbox(post(1, "one"), post(2, "two", reply_to=MessageId(5))), telegram)

    assert await rounds(relay, 3) == [timedelta(0), timedelta(0), None]
    assert telegram.asked == [("text", "one", None), ("text", "two", 5)]


async def test_a_flood_wait_loses_nothing_and_doubles_nothing():
    telegram = FakeTelegram(RetryLater("flood", after=timedelta(seconds=30)))
    relay = relay_of(FakeOutbox(post(1, "one"), post(2, "two")), telegram)

    assert (await rounds(relay, 3))[0] == timedelta(seconds=30)
    assert [text for _, text, _ in telegram.asked] == ["one", "one", "two"]


@pytest.mark.parametrize(
    ("error", "at_most"),
    [
        (RetryLater("no answer"), timedelta(minutes=1)),
        (TargetUnavailable("kicked", TARGET), timedelta(minutes=10)),
    ],
)
async def test_trouble_is_waited_out_ever_longer_up_to_a_bound(error, at_most):
    outbox = FakeOutbox(post(1))
    pauses = await rounds(relay_of(outbox, FakeTelegram(*[error] * 12)), 12)

    assert pauses == sorted(pauses)
    assert pauses[0] < pauses[1]
    assert pauses[-1] == at_most
    assert outbox.states() == [PostState.PENDING]


async def test_what_telegram_refuses_fails_alone():
    outbox = FakeOutbox(post(1), post(2))
    await rounds(relay_of(outbox, FakeTelegram(PostRefused("MEDIA_INVALID"))), 2)

    assert outbox.states() == [PostState.FAILED, PostState.SENT]
    assert outbox.errors == ["MEDIA_INVALID"]


async def test_a_parent_that_is_gone_costs_the_thread_and_not_the_message():
    telegram = FakeTelegram(ParentGone("gone"))
    outbox = FakeOutbox(post(1, reply_to=MessageId(5)))
    await rounds(relay_of(outbox, telegram), 1)

    assert telegram.asked == [("text", "text", 5), ("text", "text", None)]
    assert outbox.states() == [PostState.SENT]


async def test_a_reply_hangs_on_the_nearest_that_stands_of_all_it_may_answer():
    """What others deleted is looked up, for Telegram may take an answer to it without a word."""
    telegram, outbox = FakeTelegram(), FakeOutbox(post(1, reply_to=MessageId(9)))
    outbox.ancestry, telegram.deleted = [9, 8, 5, 3], {9, 8}
    await rounds(relay_of(outbox, telegram), 1)

    assert telegram.asked == [("text", "text", 5)]
    assert outbox.gone == {9, 8}


async def test_a_parent_that_goes_while_it_is_answered_costs_one_generation():
    telegram = FakeTelegram(ParentGone("gone"))
    outbox = FakeOutbox(post(1, reply_to=MessageId(9)))
    outbox.ancestry = [9, 8, 5]
    await rounds(relay_of(outbox, telegram), 1)

    assert telegram.asked == [("text", "text", 9), ("text", "text", 8)]
    assert outbox.gone == set()  # it can still be seen, so who knows what Telegram meant


async def test_where_three_parents_go_while_they_are_answered_the_reply_answers_nothing():
    telegram = FakeTelegram(*[ParentGone("gone")] * 3)
    outbox = FakeOutbox(post(1, reply_to=MessageId(9)))
    outbox.ancestry = [9, 8, 5, 3, 2]
    await rounds(relay_of(outbox, telegram), 1)

    assert [asked[-1] for asked in telegram.asked] == [9, 8, 5, None]
    assert outbox.states() == [PostState.SENT]


async def test_what_answers_nothing_and_is_refused_as_if_it_did_fails_and_the_next_is_posted():
    """Else one post would keep all others of its chat waiting, for as long as Telegram says so."""
    telegram = FakeTelegram(ParentGone("MESSAGE_ID_INVALID"))
    outbox = FakeOutbox(post(1), post(2))
    await rounds(relay_of(outbox, telegram), 2)

    assert outbox.states() == [PostState.FAILED, PostState.SENT]
    assert telegram.asked == [("text", "text", None)] * 2


async def test_where_it_is_for_a_topic_what_is_for_that_topic_waits():
    telegram, outbox = FakeTelegram(ParentGone("TOPIC_DELETED")), FakeOutbox(post(1, topic=5))
    await relay_of(outbox, telegram).post_next()

    assert telegram.asked == [("text", "text", None)]
    assert outbox.states() == [PostState.PENDING]


async def test_what_is_for_a_topic_that_was_deleted_is_not_sent_to_end_in_general():
    telegram, outbox = FakeTelegram(), FakeOutbox(post(1, topic=5))
    telegram.deleted = {5}

    await relay_of(outbox, telegram).post_next()

    assert telegram.asked == []
    assert outbox.states() == [PostState.PENDING]


async def test_whoever_watches_is_told_of_each_part_that_is_done():
    class Watch(Unwatched):
        def done(self, post):
            done.append(post.id)

    done, photo = [], Media("photo", "photo:1:2:3")
    outbox = FakeOutbox(*(post(number, album_id=9, media=photo) for number in (1, 2)))
    await relay_of(outbox, FakeTelegram(), watch=Watch()).post_next()

    assert done == [1, 2]


async def test_an_edit_of_what_somebody_deleted_ends_without_a_failure():
    telegram = FakeTelegram(PostGone("MESSAGE_ID_INVALID"))
    outbox = FakeOutbox(post(1, state=PostState.EDIT, target_message_id=MessageId(77)))
    await rounds(relay_of(outbox, telegram), 1)

    assert outbox.states() == [PostState.GONE]
    assert outbox.errors == []


@pytest.mark.parametrize("state", [PostState.PENDING, PostState.DELETE])
@pytest.mark.parametrize("stands", [True, False])
async def test_a_doubt_of_the_group_that_moved_is_settled_there(state, stands):
    """Never by sending it anew; deleted where it stands, if its source was deleted."""
    doubt = {"state": state, "sent_version": 0, "sent_to": OLD, "sent_after": MessageId(3)}
    outbox, telegram = FakeOutbox(post(1, **doubt)), FakeTelegram()
    telegram.found = {"text"} if stands else set()
    await rounds(relay_of(outbox, telegram), 1)

    assert telegram.asked[0] == ("find", "text", 3)
    if not stands:
        assert outbox.posts[1].sent_version is None
        assert telegram.asked[1:] == []
    elif state is PostState.DELETE:
        assert telegram.asked[1:] == [("delete", 4)]
        assert outbox.states() == [PostState.DELETED]
    else:
        assert telegram.asked[1:] == []
        assert (outbox.states(), outbox.posts[1].target_message_id) == ([PostState.SENT], 4)


async def test_a_void_login_ends_the_relay_with_the_line_as_it_is():
    outbox = FakeOutbox(post(1))

    with pytest.raises(LoggedOut):
        await relay_of(outbox, FakeTelegram(LoggedOut("void"))).run()
    assert outbox.states() == [PostState.PENDING]


async def test_an_error_of_our_own_is_tried_again():
    """Be it in the last post that waits, of which nobody else tells."""
    outbox = FakeOutbox(post(1))

    async def sleep(_seconds):
        pass

    relay = relay_of(outbox, FakeTelegram(ValueError("bug")), sleep=sleep)
    running = asyncio.create_task(relay.run())
    for _ in range(1000):
        await asyncio.sleep(0)
    relay.stop()
    await running

    assert outbox.states() == [PostState.SENT]


@pytest.mark.long
async def test_trouble_of_our_own_does_not_end_the_relay():
    outbox, slept = FakeOutbox(post(1)), []

    async def sleep(seconds):
        slept.append(seconds)

    relay = relay_of(outbox, FakeTelegram(ValueError("bug")), sleep=sleep)
    running = asyncio.create_task(relay.run())
    while outbox.states() != [PostState.SENT]:
        await asyncio.sleep(0)
    relay.stop()
    await running

    assert slept == [5.0]


async def test_stopping_cuts_a_pause_short_and_leaves_the_line_as_it_is():
    outbox = FakeOutbox(post(1))
    trouble = RetryLater("flood", after=timedelta(hours=1))
    relay = relay_of(outbox, FakeTelegram(trouble))
    running = asyncio.create_task(relay.run())
    while not outbox.posts[1].attempts:
        await asyncio.sleep(0)
    relay.stop()

    await asyncio.wait_for(running, timeout=5)
    assert outbox.states() == [PostState.PENDING]


async def test_a_relay_that_sleeps_is_woken_by_a_new_post():
    outbox = FakeOutbox()
    relay = relay_of(outbox, FakeTelegram())
    running = asyncio.create_task(relay.run())
    for _ in range(100):  # until it sleeps
        await asyncio.sleep(0)
    outbox.posts[1] = post(1)
    relay.wake()
    async with asyncio.timeout(20):
        while outbox.states() != [PostState.SENT]:
            await asyncio.sleep(0)
    relay.stop()
    await running


async def test_a_pause_holds_posts_back_and_its_end_lets_them_go_in_order():
    """A stop is not waited for."""
    outbox = FakeOutbox(post(1, "first"), post(2, "second"))
    telegram = FakeTelegram()
    relay = relay_of(outbox, telegram)
    relay.pause()
    running = asyncio.create_task(relay.run())
    for _ in range(5):
        relay.wake()
        await asyncio.sleep(0)
    assert telegram.asked == []

    relay.resume()
    while outbox.states() != [PostState.SENT] * 2:
        await asyncio.sleep(0)
    assert telegram.asked == [("text", "first", None), ("text", "second", None)]

    relay.pause()
    relay.stop()
    await asyncio.wait_for(running, timeout=5)


@pytest.mark.parametrize("state", [PostState.EDIT, PostState.DELETE])
async def test_a_pause_holds_edits_and_deletions_back_as_well(state):
    outbox, telegram = FakeOutbox(), FakeTelegram()
    relay = relay_of(outbox, telegram)
    assert await relay.post_next() is None  # no new message is waited for any more
    relay.pause()

    outbox.posts[1] = post(1, "text", state=state, target_message_id=MessageId(101))
    assert await relay.post_next() is None
    assert telegram.asked == []

    relay.resume()
    await relay.post_next()
    assert len(telegram.asked) == 1


PHOTO = Media("photo", "photo:1:2:3")


async def test_an_album_is_one_call_and_a_post_for_each_part():
    telegram = FakeTelegram()
    outbox = FakeOutbox(*(post(n, f"c{n}", media=PHOTO, album_id=9) for n in (1, 2, 3)))
    await rounds(relay_of(outbox, telegram), 1)

    assert telegram.asked == [("album", "c1", "c2", "c3")]
    assert [each.target_message_id for each in outbox.posts.values()] == [700, 701, 702]


async def test_an_album_with_one_bad_part_arrives_without_it():
    telegram = FakeTelegram(PostRefused("bad album"), None, PostRefused("bad part"))
    outbox = FakeOutbox(*(post(n, media=PHOTO, album_id=9) for n in (1, 2, 3)))
    await rounds(relay_of(outbox, telegram), 1)

    assert outbox.states() == [PostState.SENT, PostState.FAILED, PostState.SENT]


async def test_a_deleted_message_is_deleted_where_it_was_posted():
    telegram = FakeTelegram()
    outbox = FakeOutbox(post(1, state=PostState.DELETE, target_message_id=MessageId(77)))
    await rounds(relay_of(outbox, telegram), 1)

    assert telegram.asked == [("delete", 77)]
    assert outbox.states() == [PostState.DELETED]


POSTED = {"state": PostState.EDIT, "target_message_id": MessageId(77)}


async def test_an_edit_of_words_sends_no_medium_that_stands_there_already():
    """To put the same photo there again may be refused for reasons of its own."""
    telegram = FakeTelegram()
    shown = {"media": PHOTO, "shown_media": "photo photo:1:2"}
    other = Media("photo", "photo:7:2:3")
    outbox = FakeOutbox(
        post(1, "same", **POSTED, **shown), post(2, "other", **POSTED, **{**shown, "media": other})
    )
    await rounds(relay_of(outbox, telegram), 2)

    assert telegram.asked == [("edit", 77, "same"), ("edit", 77, "other", "photo")]


async def test_edits_and_deletions_are_logged_as_posts_are():
    """With the post, and where it comes from and stands; not where nothing stood."""
    posted = post(1, "new", **POSTED)
    gone = replace(post(2, **POSTED), state=PostState.DELETE)
    never = replace(post(3), state=PostState.DELETE)
    with capture_logs() as lines:
        await rounds(relay_of(FakeOutbox(posted, gone, never), FakeTelegram()), 3)

    said = {
        each["event"]: (each["log_level"], each["post_id"], each["target_message_id"])
        for each in lines
    }
    assert said == {"edited": ("info", 1, 77), "deleted": ("info", 2, 77)}
    assert {each["target"] for each in lines} == {TARGET}


async def test_a_voice_message_is_left_out_of_the_edit_of_its_caption():
    """It cannot be exchanged for another one, as a photo can."""
    telegram = FakeTelegram()
    outbox = FakeOutbox(
        post(1, "old", media=PHOTO, **POSTED), post(2, "new", media=Media("voice", "x"), **POSTED)
    )
    await rounds(relay_of(outbox, telegram), 2)

    assert telegram.asked == [("edit", 77, "old", "photo"), ("edit", 77, "new")]


@pytest.mark.parametrize("kind", ["location", "venue", "contact", "dice", "sticker", "video_note"])
async def test_what_has_no_caption_stays_as_it_was_posted(kind):
    """A live location moves by one edit after the other; its post does not, and nobody is asked."""
    telegram = FakeTelegram()
    outbox = FakeOutbox(post(1, "", media=Media(kind, "x"), **POSTED))
    await rounds(relay_of(outbox, telegram), 1)

    assert telegram.asked == []
    assert outbox.states() == [PostState.SENT]


def test_the_random_id_says_which_post_it_is():
    ids = {
        random_id_of(post(number, part=part, target=target))
        for number in range(1, 50)
        for part in range(3)
        for target in (TARGET, GROUP)
    }

    assert len(ids) == 49 * 3 * 2
    assert all(0 < each < 2**63 for each in ids)
    # Fixed for good: a new version that posts after a crash of an old one must not double.
    assert random_id_of(post(1)) == 6076442301966427664


def test_a_part_that_comes_again_is_another_message():
    """Telegram would take it for the one that was deleted, and drop it."""
    sent, doubt = post(1, part=1, version=2), post(1, part=1, version=3, sent_version=2)

    assert random_id_of(sent) == random_id_of(doubt)
    ids = {random_id_of(post(1, part=1, version=version)) for version in range(4)}
    assert len(ids) == 4
    # A first part never comes again; what is edited before it is sent is the same message still,
    # on another host, too.
    assert random_id_of(post(1, version=7)) == random_id_of(post(1))
    # Fixed for good, as above.
    assert random_id_of(post(1, part=1)) == 3647889568836907014


def test_a_post_that_the_rules_of_its_place_bring_back_is_another_message_each_time():
    assert len({random_id_of(post(1, returns=times)) for times in range(4)}) == 4


def units(text):
    return len(text.encode("utf-16-le")) // 2


@given(
    text=st.text(alphabet="ab \n😀я", max_size=400),
    first=st.integers(10, 60),
    spans=st.lists(st.tuples(st.integers(0, 300), st.integers(1, 80)), max_size=5),
)
def test_a_split_text_is_all_there_and_every_part_fits(text, first, spans):
    text *= 30
    entities = [
        Entity("bold", offset, length) for offset, length in spans if offset + length <= units(text)
    ]
    chunks = split(text, entities, first=first)

    assert "".join(chunk.text for chunk in chunks) == text
    assert units(chunks[0].text) <= first
    assert all(units(chunk.text) <= 4096 for chunk in chunks)
    assert all(chunk.text for chunk in chunks) or chunks == [("", ())]
    for chunk in chunks:
        for entity in chunk.entities:
            assert 0 <= entity.offset < entity.offset + entity.length <= units(chunk.text)
    marked = sum(entity.length for entity in entities)
    assert sum(entity.length for chunk in chunks for entity in chunk.entities) == marked


def test_a_text_is_cut_between_words_and_not_within_an_entity():
    words = split("word " * 1000, [])
    assert [chunk.text[-1] for chunk in words] == [" ", " "]

    linked = split("x" * 5000, [Entity("text_link", 4000, 500, url="https://a.example")])
    assert [len(chunk.text) for chunk in linked] == [4000, 1000]
    assert linked[1].entities == (Entity("text_link", 0, 500, url="https://a.example"),)
