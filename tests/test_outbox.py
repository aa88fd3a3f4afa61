"""Posts in the tables: their order, their parents, and what edits and deletions make of them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from bot.extras import Extras, Quote
from bot.models import (
    ChatId,
    Content,
    Decision,
    Entity,
    Media,
    MessageId,
    Outcome,
    Reason,
    SignalId,
    Tier,
    UnixTime,
)
from bot.posts import Method, PostState
from bot.routes import Place
from bot.rules.presentation import Presentation
from bot.signal_fields import SignalFields
from bot.state.flow_tracker import FlowTracker
from bot.storage import post_records, records
from bot.storage.engine import Database
from bot.storage.store import SignalStore
from tests import wiring
from tests.people import ALICE, BOB, GROUP, NOON, TARGET, says

OTHER = TARGET - 1


def places(targets):
    return [Place(target) for target in targets]


@pytest.fixture
def record(store):
    """Record a signal, or an update of one, with its posts pending."""
    flows = {}

    async def record(message, *, targets=(TARGET,)):
        root = message.reply_to
        if root is None:
            flows[message.ref] = await store.add_signal(
                message,
                author=message.author,
                marker="#idea",
                fields=SignalFields(),
                places=places(targets),
            )
        else:
            flows[message.ref] = flows[root]
            decision = Decision(Outcome.UPDATE, Reason.OWNER, Tier.MEMORY, flows[root])
            await store.add_update(message, decision, author=message.author, places=places(targets))
        return message

    return record


@pytest.fixture
def send_all(store):
    """Send what is pending in a chat; the target's ids count from 700."""

    async def send_all(target=TARGET):
        sent = []
        while posts := await store.take_posts(target):
            for post in posts:
                if post.state is PostState.EDIT:
                    await store.post_edited(post)
                else:
                    await store.post_sent(post, MessageId(700 + len(sent)))
                sent.append(post)
        return sent

    return send_all


async def test_posts_come_in_source_order_with_what_there_is_to_post(record, send_all):
    bold = (Entity("bold", 0, 5),)
    signal = await record(says(ALICE, "#idea", entities=bold))
    await record(says(ALICE, "chart", to=signal, media=Media("photo", "photo:1:2:3")))

    first, second = await send_all()

    assert (first.text, first.entities, first.media) == ("#idea", bold, None)
    assert (second.text, second.media) == ("chart", Media("photo", "photo:1:2:3"))


async def test_a_post_answers_the_post_of_the_very_message_its_source_answers(record, send_all):
    signal = await record(says(ALICE, "#idea"))
    update = await record(says(ALICE, "TP1", to=signal))
    await record(says(ALICE, "TP2", to=update))
    await record(says(ALICE, "TP3", to=signal))

    assert [post.reply_to for post in await send_all()] == [None, 700, 701, 700]


async def test_where_that_post_is_missing_the_signals_own_takes_its_place(store, record, send_all):
    signal = await record(says(ALICE, "#idea"))
    update = await record(says(ALICE, "TP1", to=signal))
    await record(says(ALICE, "TP2", to=update))
    (first,) = await store.take_posts(TARGET)
    await store.post_sent(first, MessageId(50))
    (refused,) = await store.take_posts(TARGET)
    await store.post_failed(refused, "MEDIA_INVALID")

    (after,) = await send_all()

    assert after.reply_to == 50


async def test_a_post_tells_whether_there_is_surely_nothing_behind_it(store, record):
    """Then nobody looks for more, so whatever may follow without a word is more."""
    waits = await record(says(ALICE, "#idea"))
    await record(says(ALICE, "TP1", to=waits))
    await record(says(ALICE, "#idea"), targets=[OTHER])
    (first,) = await store.take_posts(TARGET)
    await store.post_sent(first, MessageId(50))
    (last,) = await store.take_posts(TARGET)
    assert (first.more, last.more) == (True, False)
    (again,) = await store.take_posts(TARGET)  # it is in doubt, and may have been edited since
    assert again.more

    (elsewhere,) = await store.take_posts(OTHER)
    assert not elsewhere.more
    await store.post_sent(last, MessageId(51))

    await record(says(ALICE, "#idea " + "long " * 1000))
    (lead,) = await store.take_posts(TARGET)
    assert lead.more  # its other part is let go when it stands
    await store.post_sent(lead, MessageId(52))
    (rest,) = await store.take_posts(TARGET)
    assert not rest.more
    await store.post_sent(rest, MessageId(53))

    await record(says(ALICE, "#idea", media=Media("photo", "photo:1:2:3")))
    (picture,) = await store.take_posts(TARGET)
    assert picture.more  # without its picture, should that be refused, it may have other parts


async def test_what_is_set_aside_or_to_be_deleted_is_more(store, record):
    for number in (11, 12, 13):
        await record(says(ALICE, "#idea", number=number))
    (aside,) = await store.take_posts(TARGET)
    await store.set_aside(aside)
    (stands,) = await store.take_posts(TARGET)
    await store.post_sent(stands, MessageId(50))
    (last,) = await store.take_posts(TARGET)
    assert last.more
    await store.post_sent(last, MessageId(51))
    (aside,) = await store.take_aside(TARGET)
    await store.post_sent(aside, MessageId(52))

    await store.delete(GROUP, [MessageId(11)])
    await record(says(ALICE, "#idea", number=14))
    (last,) = await store.take_posts(TARGET)
    assert last.more


async def test_every_target_has_a_line_of_its_own(record, send_all):
    await record(says(ALICE, "#idea"), targets=[TARGET, OTHER])

    assert len(await send_all(TARGET)) == 1
    assert len(await send_all(OTHER)) == 1
    assert await send_all(TARGET) == []


async def test_the_pending_parts_of_an_album_come_together_in_source_order(record, send_all, store):
    photo = Media("photo", "photo:1:2:3")
    lead = await record(says(ALICE, "#idea", album_id=9, media=photo, number=12))
    await record(says(ALICE, "", album_id=9, media=photo, to=lead, number=11))
    await record(says(ALICE, "#idea", number=13))

    assert [post.source.message_id for post in await store.take_posts(TARGET)] == [11, 12]


def long(word):
    """A text of two posts, of 4,096 and 904 characters at the most."""
    return f"{word} " * (5_000 // (len(word) + 1))


def said(posts):
    """The first word of each, and its part."""
    return [(post.text.split()[0], post.part) for post in posts]


async def test_later_parts_of_a_text_stand_before_whatever_came_after_it(record, send_all):
    text = "#long " * 1_500
    await record(says(ALICE, text))
    await record(says(ALICE, "#next"))

    posts = await send_all()

    assert said(posts) == [("#long", 0), ("#long", 1), ("#long", 2), ("#next", 0)]
    assert "".join(post.text for post in posts[:3]) == text
    assert [post.reply_to for post in posts] == [None, 700, 700, None]


async def test_later_parts_are_no_task_until_the_first_one_stands(record, store, send_all):
    """Where it is refused nothing of the text is posted; its `retry` brings all of it."""
    await record(says(ALICE, long("#idea")))
    (first,) = await store.take_posts(TARGET)
    await store.post_failed(first, "MESSAGE_INVALID")

    assert await store.take_posts(TARGET) == []
    assert (await store.ask(lambda db: records.backlogs(db, [TARGET])))[TARGET].pending == 0
    assert (await store.ask(records.count_posts))[PostState.HELD] == 1

    assert await store.retry() == [first.id]
    assert said(await send_all()) == [("#idea", 0), ("#idea", 1)]


async def shortened(record, store, send_all):
    """A text in two parts, of which the second was taken back as the text became shorter."""
    message = await record(says(ALICE, long("#idea")))
    await send_all()
    await store.edit(says(ALICE, "#idea", number=message.id), SignalFields())
    (deletion,) = await store.take_posts(TARGET)
    assert (deletion.state, deletion.part) == (PostState.DELETE, 1)
    await store.post_deleted(deletion)
    (edit,) = await store.take_posts(TARGET)
    await store.post_edited(edit)
    assert await store.take_posts(TARGET) == []
    return message


async def test_a_part_that_was_taken_back_comes_again_where_the_text_is_long_again(
    record, store, send_all
):
    message = await shortened(record, store, send_all)
    await store.edit(says(ALICE, long("#again"), number=message.id), SignalFields())
    (first,) = await store.take_posts(TARGET)
    assert (first.state, first.part) == (PostState.EDIT, 0)
    await store.post_edited(first)

    (second,) = await store.take_posts(TARGET)
    assert (second.part, second.state) == (1, PostState.PENDING)
    assert (second.target_message_id, second.sent_version, second.attempts) == (None, None, 0)
    assert second.reply_to == first.target_message_id
    assert second.version > 0  # the one of before was another message

    await store.post_sent(second, MessageId(800))
    assert await store.take_posts(TARGET) == []


async def test_a_part_that_is_to_come_again_while_it_is_being_deleted_is_another_message(
    record, store, send_all
):
    message = await record(says(ALICE, long("#idea")))
    await send_all()
    await store.edit(says(ALICE, "#idea", number=message.id), SignalFields())
    (in_hand,) = await store.take_posts(TARGET, Method.DELETE)
    await store.edit(says(ALICE, long("#again"), number=message.id), SignalFields())
    await store.post_deleted(in_hand)

    edit, second = await send_all()
    assert (edit.part, edit.state) == (0, PostState.EDIT)
    assert (second.part, second.state, second.reply_to) == (1, PostState.PENDING, 700)
    assert await send_all() == []


async def test_what_is_to_be_shown_again_while_it_is_being_deleted_is_sent_as_another_message(
    tmp_path,
):
    """Its words were some that the place does not show, for a moment."""
    place = Place(TARGET, presentation=Presentation(skip=("VIP",)))
    store = SignalStore(Database(tmp_path / "signals.db", in_loop=True), place=lambda *_: place)
    await store.open()
    message = says(ALICE, "#idea")
    await store.add_signal(
        message, author=ALICE, marker="#idea", fields=SignalFields(), places=[place]
    )
    (post,) = await store.take_posts(TARGET)
    await store.post_sent(post, MessageId(700))
    await store.edit(replace(message, text="#idea VIP"), SignalFields())
    (in_hand,) = await store.take_posts(TARGET, Method.DELETE)
    await store.edit(replace(message, text="#idea ETH"), SignalFields())
    await store.post_deleted(in_hand)

    (again,) = await store.take_posts(TARGET)
    assert (again.state, again.text, again.returns) == (PostState.PENDING, "#idea ETH", 1)
    assert again.target_message_id is None
    await store.close()


@pytest.mark.parametrize("before", [False, True], ids=["new", "taken back"])
async def test_no_part_is_posted_of_a_text_whose_source_was_deleted_meanwhile(
    record, store, send_all, before
):
    if before:
        message = await shortened(record, store, send_all)
    else:
        message = await record(says(ALICE, "#idea"))
        await send_all()
    await store.edit(says(ALICE, long("#again"), number=message.id), SignalFields())
    (first,) = await store.take_posts(TARGET)
    await store.delete(GROUP, [message.id])
    await store.post_edited(first)

    (post,) = await store.take_posts(TARGET)
    assert (post.part, post.state) == (0, PostState.DELETE)
    await store.post_deleted(post)
    assert await store.take_posts(TARGET) == []


async def test_an_edit_is_made_of_those_parts_alone_that_say_something_else(
    record, store, send_all
):
    message = await record(says(ALICE, long("#idea")))
    await send_all()
    await store.edit(says(ALICE, long("#idea") + "TP1 hit", number=message.id), SignalFields())

    (edit,) = await send_all()
    assert (edit.part, edit.state) == (1, PostState.EDIT)
    assert edit.text.endswith("TP1 hit")


async def test_a_part_that_an_edit_adds_comes_behind_the_edit_of_the_first(record, store, send_all):
    message = await record(says(ALICE, "#idea"))
    await send_all()
    await store.edit(says(ALICE, long("#more"), number=message.id), SignalFields())

    assert await store.take_posts(TARGET, Method.SEND) == []
    edit, added = await send_all()
    assert (edit.part, edit.state) == (0, PostState.EDIT)
    assert (added.part, added.state, added.reply_to) == (1, PostState.PENDING, 700)


async def test_a_part_that_an_edit_adds_waits_since_the_edit(tmp_path):
    """And not since its message: else a target would seem to have stood still for days."""
    now = [1_000]
    store = SignalStore(Database(tmp_path / "signals.db", in_loop=True), clock=lambda: now[0])
    await store.open()
    message = says(ALICE, "#idea " * 800)
    await store.add_signal(
        message, author=ALICE, marker="#idea", fields=SignalFields(), places=[Place(TARGET)]
    )
    for number in (700, 701):
        (post,) = await store.take_posts(TARGET)
        await store.post_sent(post, MessageId(number))
    now[0] = 90_000
    await store.edit(replace(message, text="#idea " * 1_500), SignalFields())

    (backlog,) = (await store.ask(lambda db: records.backlogs(db, [TARGET]))).values()
    assert backlog == (1, 90_000)
    await store.close()


async def test_an_edit_before_the_sending_makes_as_many_posts_as_it_needs(record, store, send_all):
    message = await record(says(ALICE, "#idea"))
    other = await record(says(ALICE, long("#other")))
    await store.edit(says(ALICE, long("#more"), number=message.id), SignalFields())
    await store.edit(says(ALICE, "#less", number=other.id), SignalFields())

    assert said(await send_all()) == [("#more", 0), ("#more", 1), ("#less", 0)]
    assert await send_all() == []


@pytest.mark.parametrize("change", ["edit", "delete"])
async def test_what_is_new_to_do_with_a_post_begins_with_no_attempts(
    record, store, send_all, change
):
    """Else an edit waits for ten minutes at its first refusal, for what the sending met with."""
    message = await record(says(ALICE, "#idea"))
    (post,) = await store.take_posts(TARGET)
    for _ in range(9):
        await store.post_delayed(post, "no answer", in_doubt=True)
    await send_all()
    if change == "edit":
        await store.edit(says(ALICE, "#idea ETH", number=message.id), SignalFields())
    else:
        await store.delete(GROUP, [message.id])

    (post,) = await store.take_posts(TARGET)
    assert post.attempts == 0
    await store.post_delayed(post, "no answer", in_doubt=True)
    await store.edit(says(ALICE, "#idea SOL", number=message.id), SignalFields())
    (post,) = await store.take_posts(TARGET)
    assert post.attempts == 1


async def test_an_edit_that_came_during_a_sending_with_trouble_begins_with_no_attempts(
    record, store
):
    message = await record(says(ALICE, "#idea"))
    (post,) = await store.take_posts(TARGET)
    await store.post_delayed(post, "no answer", in_doubt=True)
    await store.edit(says(ALICE, "#idea ETH", number=message.id), SignalFields())
    await store.post_sent(post, MessageId(700))

    (post,) = await store.take_posts(TARGET)
    assert (post.state, post.attempts) == (PostState.EDIT, 0)


@pytest.mark.parametrize("first", ["refused", "moved"])
async def test_a_refused_post_of_a_group_that_has_moved_is_retried_where_it_is_now(
    record, store, first
):
    old, new = ChatId(-77), ChatId(-1000000000077)
    message = await record(says(ALICE, "#idea"), targets=[old, TARGET])
    (post,) = await store.take_posts(old)
    if first == "moved":
        await store.move_chat(old, new)
    await store.post_failed(post, "400 MESSAGE_EMPTY")
    if first == "refused":
        await store.move_chat(old, new)

    assert await store.retry() == [post.id]

    assert await store.take_posts(old) == []
    (again,) = await store.take_posts(new)
    assert (again.id, again.state, again.source) == (post.id, PostState.PENDING, message.ref)
    (other,) = await store.take_posts(TARGET)
    assert other.target == TARGET


async def test_what_may_stand_in_a_group_that_moved_is_looked_for_there_if_it_is_retried(
    record, store
):
    """It failed because it was not found there, which does not prove that it does not stand there."""
    old, new = ChatId(-77), ChatId(-1000000000077)
    await record(says(ALICE, "#idea"), targets=[old])
    await store.take_posts(old)  # and no answer ever came
    (doubtful,) = await store.take_posts(old)
    await store.post_failed(doubtful, "no post can be proven to be it")
    await store.move_chat(old, new)

    assert await store.retry() == [doubtful.id]
    (again,) = await store.take_posts(new)
    assert (again.sent_to, again.in_doubt) == (old, True)


async def test_a_delayed_post_stays_first_in_line_and_is_counted(record, store):
    await record(says(ALICE, "#idea"))
    (before,) = await store.take_posts(TARGET)
    await store.post_delayed(before, "flood", in_doubt=False)

    (after,) = await store.take_posts(TARGET)

    assert (after.id, after.attempts) == (before.id, before.attempts + 1)


async def test_an_edit_before_the_sending_changes_what_is_sent(record, store, send_all):
    message = await record(says(ALICE, "#idea BTC"))
    await store.edit(says(ALICE, "#idea ETH", number=message.id), SignalFields(pair="ETH"))

    assert [post.text for post in await send_all()] == ["#idea ETH"]
    assert await send_all() == []


async def test_an_edit_after_the_sending_is_a_task_of_its_own(record, store, send_all):
    message = await record(says(ALICE, "#idea BTC"))
    await send_all()
    await store.edit(says(ALICE, "#idea ETH", number=message.id), SignalFields())

    (post,) = await send_all()

    assert (post.state, post.text, post.target_message_id) == (PostState.EDIT, "#idea ETH", 700)


async def test_an_edit_during_the_sending_is_not_forgotten(record, store, send_all):
    message = await record(says(ALICE, "#idea BTC"))
    (in_hand,) = await store.take_posts(TARGET)
    await store.edit(says(ALICE, "#idea ETH", number=message.id), SignalFields())
    await store.post_sent(in_hand, MessageId(50))

    (post,) = await send_all()

    assert (post.state, post.text) == (PostState.EDIT, "#idea ETH")
    assert await send_all() == []


async def refused_edit(record, store, send_all):
    """A post that shows outdated words, for Telegram refused the new ones."""
    message = await record(says(ALICE, "#idea BTC"))
    await send_all()
    await store.edit(says(ALICE, "#idea ETH", number=message.id), SignalFields())
    (edit,) = await store.take_posts(TARGET)
    await store.post_failed(edit, "MESSAGE_EDIT_TIME_EXPIRED")
    assert await store.take_posts(TARGET) == []
    return message, edit


async def post_of(store, message):
    (post,) = await store.ask(lambda db: post_records.posts_of(db, message.ref))
    return post


async def test_an_edit_that_telegram_refuses_is_a_failure_that_can_be_retried(
    record, store, send_all
):
    message, edit = await refused_edit(record, store, send_all)

    post = await post_of(store, message)
    assert (post.state, post.refused) == (PostState.FAILED, PostState.EDIT)
    assert (post.error, post.target_message_id) == ("MESSAGE_EDIT_TIME_EXPIRED", 700)

    assert await store.retry() == [edit.id]
    (again,) = await send_all()
    assert (again.state, again.text, again.target_message_id) == (PostState.EDIT, "#idea ETH", 700)
    assert (await post_of(store, message)).state is PostState.SENT


async def test_a_post_whose_edit_was_refused_is_answered_edited_and_deleted_like_any_other(
    record, store, send_all
):
    message, _ = await refused_edit(record, store, send_all)

    await record(says(ALICE, "TP1", to=message))
    (update,) = await send_all()
    await store.edit(says(ALICE, "#idea SOL", number=message.id), SignalFields())
    (again,) = await send_all()
    assert update.reply_to == 700
    assert (again.state, again.text) == (PostState.EDIT, "#idea SOL")

    other, _ = await refused_edit(record, store, send_all)
    await store.delete(GROUP, [other.id])
    (deletion,) = await store.take_posts(TARGET)
    assert (deletion.state, deletion.target_message_id) == (PostState.DELETE, 700)


@pytest.mark.parametrize("change", ["edited", "deleted"])
async def test_what_came_during_an_edit_that_was_refused_is_still_to_be_done(
    record, store, send_all, change
):
    message = await record(says(ALICE, "#idea BTC"))
    await send_all()
    await store.edit(says(ALICE, "#idea ETH", number=message.id), SignalFields())
    (in_hand,) = await store.take_posts(TARGET)
    if change == "edited":
        await store.edit(says(ALICE, "#idea SOL", number=message.id), SignalFields())
    else:
        await store.delete(GROUP, [message.id])
    await store.post_failed(in_hand, "MESSAGE_INVALID")

    (post,) = await store.take_posts(TARGET)
    assert post.state is (PostState.EDIT if change == "edited" else PostState.DELETE)


async def test_a_deletion_that_telegram_refuses_is_a_failure_of_a_post_that_stands(
    record, store, send_all
):
    message = await record(says(ALICE, "#idea BTC"))
    await send_all()
    await store.delete(GROUP, [message.id])
    (deletion,) = await store.take_posts(TARGET)
    await store.post_failed(deletion, "MESSAGE_DELETE_FORBIDDEN")

    post = await post_of(store, message)
    assert (post.state, post.refused) == (PostState.FAILED, PostState.DELETE)
    assert await store.take_posts(TARGET) == []
    await store.retry(post.id)
    (again,) = await store.take_posts(TARGET)
    assert (again.state, again.target_message_id) == (PostState.DELETE, 700)


@pytest.mark.parametrize("in_doubt", [True, False])
async def test_a_post_that_is_refused_while_its_source_is_deleted_is_never_sent(
    record, store, in_doubt
):
    message = await record(says(ALICE, "#idea BTC"))
    (post,) = await store.take_posts(TARGET)
    if in_doubt:
        await store.post_delayed(post, "no answer", in_doubt=True)
        (post,) = await store.take_posts(TARGET)
    await store.delete(GROUP, [message.id])
    await store.post_failed(post, "MESSAGE_EMPTY")

    assert await store.retry() == []
    assert len(await store.take_posts(TARGET)) == in_doubt  # it may stand there


# ── what is next ──────────────────────────────────────────────────────────────


async def test_new_messages_come_before_deletions_and_those_before_edits(record, store, send_all):
    edited, deleted = [await record(says(ALICE, "#idea")) for _ in range(2)]
    await send_all()
    await store.edit(says(ALICE, "#idea BTC", number=edited.id), SignalFields())
    await store.delete(GROUP, [deleted.id])
    await record(says(ALICE, "#idea new"))

    (new,) = await store.take_posts(TARGET)
    await store.post_sent(new, MessageId(750))
    (deletion,) = await store.take_posts(TARGET)
    await store.post_deleted(deletion)
    (edit,) = await store.take_posts(TARGET)

    assert [new.text, deletion.state, edit.state] == ["#idea new", "delete", "edit"]
    assert [each.method for each in (new, deletion, edit)] == ["send", "delete", "edit"]


async def test_edits_take_turns_so_that_one_who_edits_all_the_time_holds_up_nobody(
    record, store, send_all
):
    messages = [await record(says(ALICE, f"#idea {number}")) for number in range(3)]
    await send_all()
    turns, after = [], 0
    for number in range(6):
        for message in messages:
            await store.edit(says(ALICE, f"#idea v{number}", number=message.id), SignalFields())
        (post,) = await store.take_posts(TARGET, Method.EDIT, after=after)
        assert post.text == f"#idea v{number}"  # the newest version, whenever it came
        turns.append(messages.index(next(m for m in messages if m.ref == post.source)))
        after = post.id

    assert turns == [0, 1, 2, 0, 1, 2]


async def test_what_is_set_aside_holds_nobody_up_and_replies_hang_on_the_nearest_that_stands(
    record, store, send_all
):
    signal = await record(says(ALICE, "#idea"))
    update = await record(says(ALICE, "TP1", to=signal))
    await record(says(ALICE, "TP2", to=update))
    (first,) = await store.take_posts(TARGET)
    await store.post_sent(first, MessageId(50))
    (poison,) = await store.take_posts(TARGET)
    await store.post_delayed(poison, "500", in_doubt=True)
    await store.set_aside(poison)

    (after,) = await send_all()
    assert (after.text, after.reply_to) == ("TP2", 50)
    assert await store.take_aside(TARGET, but={poison.id}) == []

    (again,) = await store.take_aside(TARGET)
    assert (again.id, again.text, again.reply_to) == (poison.id, "TP1", 50)
    await store.post_sent(again, MessageId(90))
    await record(says(ALICE, "TP3", to=update))
    (late,) = await send_all()
    assert late.reply_to == 90
    assert await store.take_aside(TARGET) == []


async def test_no_later_part_of_a_text_goes_before_one_that_is_set_aside_or_passed_over(
    record, store, send_all
):
    await record(says(ALICE, "#long " * 1_500))
    await record(says(ALICE, "#next"))
    (first,) = await store.take_posts(TARGET)
    await store.post_sent(first, MessageId(50))
    (second,) = await store.take_posts(TARGET)
    assert said(await store.take_posts(TARGET, but={second.id})) == [("#next", 0)]
    await store.set_aside(second)

    assert said(await send_all()) == [("#next", 0)]

    (second,) = await store.take_aside(TARGET)
    await store.post_sent(second, MessageId(60))
    (third,) = await send_all()
    assert (third.part, third.reply_to) == (2, 50)


@pytest.mark.parametrize("change", ["edit", "delete"])
async def test_what_says_something_new_is_back_in_the_line(record, store, change):
    message = await record(says(ALICE, "#idea"))
    (post,) = await store.take_posts(TARGET)
    await store.set_aside(post)
    if change == "edit":
        await store.edit(says(ALICE, "#idea BTC", number=message.id), SignalFields())
    else:
        await store.delete(GROUP, [message.id])

    assert [each.id for each in await store.take_posts(TARGET)] == [post.id]
    assert await store.take_aside(TARGET) == []


# ── threads ───────────────────────────────────────────────────────────────────


async def test_a_post_knows_all_that_it_may_answer_the_nearest_first(record, store, send_all):
    signal = await record(says(ALICE, "#idea"))
    one = await record(says(ALICE, "1", to=signal))
    two = await record(says(ALICE, "2", to=one))
    await send_all()  # 700, 701, 702
    await record(says(ALICE, "3", to=two))
    (post,) = await store.take_posts(TARGET)
    assert (post.reply_to, await store.ancestors(post)) == (702, [702, 701, 700])

    await store.messages_gone(TARGET, [702, 701])
    (post,) = await store.take_posts(TARGET)
    assert (post.reply_to, await store.ancestors(post)) == (700, [700])


async def test_what_is_still_to_be_deleted_is_not_answered_any_more(record, store, send_all):
    """Deletions come after new messages: whatever hung on it then would hang on nothing soon."""
    signal = await record(says(ALICE, "#idea"))
    update = await record(says(ALICE, "TP1", to=signal))
    await send_all()  # 700, 701
    await record(says(ALICE, "it is hit", to=update))
    await store.delete(GROUP, [update.id])
    [post] = [post for post in await store.take_posts(TARGET) if post.state is PostState.PENDING]
    assert post.reply_to == 700


async def test_where_one_of_an_album_was_deleted_another_of_it_is_answered(store, send_all):
    """The signal's own is the first of them; no other album, and no single message, stands in."""
    signal, *parts = (says(ALICE, text, album_id=7) for text in ("#idea", "chart 1", "chart 2"))
    other = says(ALICE, "#idea", album_id=8)
    for root, rest in ((signal, parts), (other, ())):
        flow = await store.add_signal(
            root,
            author=ALICE,
            marker="#idea",
            fields=SignalFields(),
            places=[Place(TARGET)],
            parts=rest,
        )
        if root is signal:
            decision = Decision(Outcome.UPDATE, Reason.OWNER, Tier.MEMORY, flow)
    await send_all()  # 700 to 702, and 703
    reply = says(ALICE, "TP1", to=signal)
    await store.add_update(reply, decision, author=ALICE, places=[Place(TARGET)])

    await store.messages_gone(TARGET, [700])
    (post,) = await store.take_posts(TARGET)
    assert (post.reply_to, await store.ancestors(post)) == (701, [701, 702])

    await store.messages_gone(TARGET, [701, 702])
    (post,) = await store.take_posts(TARGET)
    assert (post.reply_to, await store.ancestors(post)) == (None, [])


@pytest.mark.long
async def test_a_quote_stays_only_where_the_message_that_it_is_from_is_answered(
    record, store, send_all
):
    """Another one never said it; that it was left out is told."""
    quote = Extras(quote=Quote("TP1", (), 0))
    signal = await record(says(ALICE, "#idea"))
    update = await record(says(ALICE, "TP1", to=signal))
    await send_all()  # 700, 701
    await record(says(ALICE, "it is hit", to=update, extras=quote))
    (post,) = await store.take_posts(TARGET)
    assert (post.reply_to, post.extras) == (701, quote)

    await store.messages_gone(TARGET, [701])
    (post,) = await store.take_posts(TARGET)
    assert (post.reply_to, post.extras.quote) == (700, None)
    assert post.extras.lost == ("quote of a message that it does not answer in the target",)


async def test_below_a_message_that_was_never_recorded_the_signals_own_post_is_answered(
    record, store, send_all
):
    """It was deleted while the bot was away, so what it answered itself is not known."""
    signal = await record(says(ALICE, "#idea"))
    await send_all()  # 700
    lost = says(ALICE, "deleted", to=signal)
    decision = Decision(Outcome.UPDATE, Reason.OWNER, Tier.MEMORY, SignalId(1))
    reply = says(ALICE, "TP1", to=lost)
    await store.add_update(reply, decision, author=ALICE, places=[Place(TARGET)])

    (post,) = await store.take_posts(TARGET)
    assert (post.reply_to, await store.ancestors(post)) == (700, [700])


async def test_what_somebody_deleted_in_the_target_is_neither_edited_nor_deleted_nor_retried(
    record, store, send_all
):
    message = await record(says(ALICE, "#idea"))
    await send_all()
    await store.messages_gone(TARGET, [700])
    await store.edit(says(ALICE, "#idea BTC", number=message.id), SignalFields())
    assert await store.take_posts(TARGET) == []
    await store.delete(GROUP, [message.id])
    assert await store.take_posts(TARGET) == []
    assert await store.retry() == []
    assert (await post_of(store, message)).state is PostState.GONE


# ── doubts ────────────────────────────────────────────────────────────────────


async def test_of_a_doubt_is_known_what_was_sent_and_behind_which_message(record, store, send_all):
    photo, other = Media("photo", "photo:1:2:3"), Media("photo", "photo:7:2:3")
    await record(says(ALICE, "#idea"))
    await send_all()
    message = await record(says(ALICE, "#idea BTC", media=photo))
    await store.take_posts(TARGET)
    for text in ("#idea ETH", "#idea SOL"):
        await store.edit(says(ALICE, text, number=message.id, media=other), SignalFields())

    (post,) = await store.take_posts(TARGET)
    assert post.sent_as == Content("#idea BTC", (), photo)
    assert (post.text, post.sent_after, post.shown_media) == ("#idea SOL", 700, "photo photo:1:2")


async def test_what_stands_in_another_chat_bounds_no_search(record, store):
    """Every chat counts its own messages."""
    await record(says(ALICE, "#idea 1"), targets=[TARGET, OTHER])
    for target, number in ((TARGET, 700), (OTHER, 9_000)):
        (post,) = await store.take_posts(target)
        await store.post_sent(post, MessageId(number))
    await record(says(ALICE, "#idea 2"))
    await store.take_posts(TARGET)  # and no answer ever came
    (doubtful,) = await store.take_posts(TARGET)

    assert doubtful.sent_after == 700
    assert await store.last_posted(TARGET) == 700
    assert await store.posted_after(TARGET, MessageId(0)) == {700}
    assert await store.last_posted(OTHER - 1) == 0


async def test_which_medium_stands_in_the_target_is_known_through_all_edits(
    record, store, send_all
):
    photo, other = Media("photo", "photo:1:2:3"), Media("photo", "photo:7:2:3")
    message = await record(says(ALICE, "#idea BTC", media=photo))
    await send_all()

    async def edit(text, media):
        await store.edit(says(ALICE, text, number=message.id, media=media), SignalFields())
        (post,) = await store.take_posts(TARGET)
        return post

    assert (await edit("#idea ETH", photo)).shown_media == photo.identity
    changed = await edit("#idea ETH", other)
    assert changed.shown_media == photo.identity
    changed = await edit("#idea SOL", other)
    assert changed.shown_media == photo.identity  # the edit before was not made yet
    await store.post_edited(changed)
    assert (await edit("#idea XRP", other)).shown_media == other.identity


async def test_a_post_without_its_refused_medium_is_one_of_words_from_then_on(record, store):
    """In this chat, whatever is edited; in another chat it is as it was. What was the caption of two
    posts is the text of one.
    """
    photo, text = Media("photo", "photo:1:2:3"), "#idea " * 250
    message = await record(says(ALICE, text, media=photo), targets=[TARGET, OTHER])
    (post,) = await store.take_posts(TARGET)
    note = "posted without its photo: refused"
    in_hand = await store.post_lightened(replace(post, media=None, note=note), bare=True)
    assert (in_hand.text, in_hand.media, in_hand.note) == (text, None, note)

    (again,) = await store.take_posts(TARGET)
    assert (again.text, again.media, again.note) == (text, None, note)
    assert (again.sent_version, again.sent_as) == (again.version, None)  # as it was taken
    await store.post_sent(again, MessageId(700))
    assert await store.take_posts(TARGET) == []
    await store.edit(says(ALICE, long("#more"), number=message.id, media=photo), SignalFields())
    (edit,) = await store.take_posts(TARGET, Method.EDIT)
    assert (len(edit.text) > 1024, edit.media) == (True, None)
    await store.post_edited(edit)
    (rest,) = await store.take_posts(TARGET)
    assert (rest.part, rest.media) == (1, None)
    (elsewhere,) = await store.take_posts(OTHER)
    assert (elsewhere.media, elsewhere.note) == (photo, None)


async def test_an_edit_while_a_medium_is_refused_is_made_behind_it(record, store, send_all):
    """What was begun to be sent is what it is looked for as: words."""
    photo = Media("photo", "photo:1:2:3")
    message = await record(says(ALICE, "#idea BTC", media=photo))
    (post,) = await store.take_posts(TARGET)
    await store.edit(says(ALICE, "#idea ETH", number=message.id, media=photo), SignalFields())
    in_hand = await store.post_lightened(replace(post, media=None, note="refused"), bare=True)
    assert (in_hand.text, in_hand.media) == ("#idea BTC", None)

    (doubtful,) = await store.take_posts(TARGET)
    assert doubtful.sent_as == Content("#idea BTC")
    await store.post_sent(in_hand, MessageId(700))
    (edit,) = await send_all()
    assert (edit.state, edit.text, edit.media) == (PostState.EDIT, "#idea ETH", None)


async def test_the_long_captions_of_an_album_are_posted_once_and_below_it(record, store, send_all):
    photo = Media("photo", "photo:1:2:3")
    lead = await record(says(ALICE, "#idea " * 250, album_id=9, media=photo))
    await record(says(ALICE, "chart " * 250, album_id=9, media=photo, to=lead))

    posts = await send_all()

    assert said(posts) == [("#idea", 0), ("chart", 0), ("#idea", 1), ("chart", 1)]
    assert [post.media for post in posts] == [photo, photo, None, None]
    assert [post.reply_to for post in posts[2:]] == [700, 701]


async def test_what_is_held_back_moves_with_its_first_part(record, store, send_all):
    old, new = ChatId(-77), ChatId(-1000000000077)
    await record(says(ALICE, long("#moved")), targets=[old])
    await record(says(ALICE, long("#refused")), targets=[old])
    (first,) = await store.take_posts(old)
    (refused,) = await store.take_posts(old, but=[first.id])
    await store.post_delayed(first, "flood", in_doubt=False)
    await store.post_failed(refused, "400 MEDIA_EMPTY")
    await store.move_chat(old, new)
    await store.retry()

    assert said(await send_all(new)) == [
        ("#moved", 0),
        ("#moved", 1),
        ("#refused", 0),
        ("#refused", 1),
    ]


async def test_what_may_stand_in_a_group_that_moved_is_to_be_looked_for_there(record, store):
    """What certainly does not stand there is sent to the new one, and looked for nowhere."""
    old, new = ChatId(-77), ChatId(-1000000000077)
    doubtful = await record(says(ALICE, "#idea 1"), targets=[old])
    await record(says(ALICE, "#idea 2"), targets=[old])
    await store.take_posts(old)  # and no answer ever came
    await store.move_chat(old, new)

    assert await store.take_posts(old) == []
    (post,) = await store.take_posts(new)
    assert (post.source, post.sent_to, post.in_doubt) == (doubtful.ref, old, True)
    await store.post_sent(replace(post, target=old), MessageId(5))
    (post,) = await store.take_posts(new)
    assert (post.text, post.sent_to, post.in_doubt) == ("#idea 2", None, False)
    stands = await post_of(store, doubtful)
    assert (stands.target, stands.target_message_id, stands.state) == (old, 5, PostState.SENT)


async def test_what_does_not_stand_in_the_group_that_moved_is_sent_anew(record, store):
    old, new = ChatId(-77), ChatId(-1000000000077)
    message = await record(says(ALICE, "#idea 1"), targets=[old])
    await store.take_posts(old)
    await store.move_chat(old, new)
    (post,) = await store.take_posts(new)
    await store.post_unsent(post)

    (post,) = await store.take_posts(new)
    assert (post.target, post.sent_to, post.in_doubt) == (new, None, False)
    await store.delete(GROUP, [message.id])
    assert [post.in_doubt for post in await store.take_posts(new)] == [True]  # it was begun


async def test_an_answer_that_comes_after_the_group_moved_is_of_the_old_group(record, store):
    old, new = ChatId(-77), ChatId(-1000000000077)
    message = await record(says(ALICE, "#idea 1"), targets=[old])
    (in_hand,) = await store.take_posts(old)
    await store.move_chat(old, new)
    await store.post_sent(in_hand, MessageId(5))

    stands = await post_of(store, message)
    assert (stands.target, stands.target_message_id, stands.state) == (old, 5, PostState.SENT)
    assert await store.take_posts(new) == []


# ── edits and deletions, further ──────────────────────────────────────────────


async def test_a_deletion_during_the_sending_is_not_forgotten(record, store):
    message = await record(says(ALICE, "#idea BTC"))
    (in_hand,) = await store.take_posts(TARGET)
    await store.delete(GROUP, [message.id])
    await store.post_sent(in_hand, MessageId(50))

    (post,) = await store.take_posts(TARGET)

    assert (post.state, post.target_message_id) == (PostState.DELETE, 50)


async def test_an_edit_in_the_midst_of_a_doubt_is_not_forgotten(record, store, send_all):
    """The first text may stand there; the same post said again would be that one, unedited."""
    message = await record(says(ALICE, "#idea BTC"))
    await store.take_posts(TARGET)  # and no answer ever came
    await store.edit(says(ALICE, "#idea ETH", number=message.id), SignalFields())

    again, edit = await send_all()

    assert (again.state, again.in_doubt) == (PostState.PENDING, True)
    assert (edit.state, edit.text) == (PostState.EDIT, "#idea ETH")
    assert await store.last_posted(TARGET) == 700


async def test_a_deletion_in_the_midst_of_a_doubt_is_not_forgotten(record, store):
    message = await record(says(ALICE, "#idea BTC"))
    await store.take_posts(TARGET)
    await store.delete(GROUP, [message.id])

    (post,) = await store.take_posts(TARGET)

    assert (post.state, post.in_doubt) == (PostState.DELETE, True)


@pytest.mark.parametrize("in_doubt", [True, False])
async def test_a_refusal_ends_a_doubt_only_where_there_was_none_before(record, store, in_doubt):
    message = await record(says(ALICE, "#idea BTC"))
    (post,) = await store.take_posts(TARGET)
    await store.post_delayed(post, "no answer", in_doubt=in_doubt)
    (post,) = await store.take_posts(TARGET)
    await store.post_delayed(post, "flood", in_doubt=False)

    await store.delete(GROUP, [message.id])

    assert len(await store.take_posts(TARGET)) == in_doubt


async def test_an_edit_that_changes_nothing_of_the_message_is_no_task(record, store, send_all):
    photo = Media("photo", "photo:1:2:old")
    message = await record(says(ALICE, "#idea", media=photo))
    await send_all()

    same = says(ALICE, "#idea", number=message.id, media=Media("photo", "photo:1:2:new"))
    assert await store.edit(same, SignalFields())
    assert await send_all() == []

    other = says(ALICE, "#idea", number=message.id, media=Media("photo", "photo:7:2:new"))
    assert await store.edit(other, SignalFields())
    assert len(await send_all()) == 1


async def test_nobody_edits_what_another_wrote(record, store, send_all):
    message = await record(says(ALICE, "#idea BTC"))

    assert not await store.edit(says(BOB, "#idea ETH", number=message.id), SignalFields())
    assert [post.text for post in await send_all()] == ["#idea BTC"]


async def test_a_deleted_message_is_deleted_where_sent_and_never_sent_where_pending(
    record, store, send_all
):
    sent = await record(says(ALICE, "#idea 1"))
    await send_all()
    pending = await record(says(ALICE, "#idea 2"))

    assert await store.delete(GROUP, [sent.id, pending.id, MessageId(99999)]) == 2

    (post,) = await store.take_posts(TARGET)
    assert (post.state, post.text) == (PostState.DELETE, "#idea 1")
    await store.post_deleted(post)
    assert await store.take_posts(TARGET) == []
    assert (await store.counts()).signals == 2


async def test_messages_of_another_chat_with_the_same_ids_are_left_alone(record, store):
    message = await record(says(ALICE, "#idea"))

    assert await store.delete(OTHER, [message.id]) == 0


# ── the handler ───────────────────────────────────────────────────────────────


@pytest.fixture
def edits(store):
    """The door, of a bot that posts to the target; options are settings."""

    def edits(**options):
        return wiring.intake(store, FlowTracker(store, None), targets=[TARGET], **options)

    return edits


async def test_an_edit_of_a_recorded_message_is_no_new_message(record, edits, send_all, store):
    message = await record(says(ALICE, "#idea BTC"))

    assert await edits().edited(says(ALICE, "#idea ETH", number=message.id)) is None
    assert (await store.counts()).signals == 1
    assert [post.text for post in await send_all()] == ["#idea ETH"]


async def test_an_edit_that_brings_a_marker_goes_through_the_one_door(edits, store):
    edited = replace(says(ALICE, "#idea ETH"), edited_at=UnixTime(NOON + 9))

    assert (await edits().edited(edited)).outcome is Outcome.SIGNAL
    assert await edits().edited(says(ALICE, "no marker")) is None
    assert (await store.counts()).signals == 1


async def test_where_edits_and_deletions_are_not_relayed_posts_stay_as_they_are(
    record, edits, send_all, store
):
    message = await record(says(ALICE, "#idea BTC"))
    handler = edits(relay_edits=False, relay_deletes=False)
    await handler.edited(says(ALICE, "BTC, changed", number=message.id))

    assert await handler.deleted(GROUP, [message.id]) == 0
    assert [post.text for post in await send_all()] == ["#idea BTC"]


# ── what it costs ─────────────────────────────────────────────────────────────

SENT_BEFORE = """
    INSERT INTO posts (source_chat_id, source_message_id, part, target_chat_id, state, version,
                       target_message_id, sent_version, attempts, recorded_at, text, entities)
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
    SELECT -1, i, 0, ?, 'sent', 0, i, 0, 0, 0, '', '[]' FROM n
"""


@pytest.mark.sqlite
@pytest.mark.parametrize("newest", ["posts_by_place", "posts_by_state"])
@pytest.mark.parametrize("method", [*Method, "aside"])
async def test_to_learn_that_nothing_is_to_be_done_costs_the_same_however_much_was_posted(
    store, method, newest
):
    """It is asked three times for every message, for each target. Of two indexes that look equally
    good SQLite takes the one that was made last.
    """
    steps = []

    def prepare(db):
        db.exec_driver_sql(SENT_BEFORE, (TARGET,))
        made = "SELECT sql FROM sqlite_master WHERE name = ?"
        made = db.exec_driver_sql(made, (newest,)).scalar_one()
        db.exec_driver_sql(f"DROP INDEX {newest}")
        db.exec_driver_sql(made)
        db.connection.driver_connection.set_progress_handler(lambda: steps.append(1), 1)

    await store.change(prepare)
    taken = store.take_aside(TARGET) if method == "aside" else store.take_posts(TARGET, method)

    assert await taken == []
    assert len(steps) < 200  # of SQLite's machine


WAITS = SENT_BEFORE.replace("'sent', 0, i, 0,", "?, 0, NULL, NULL,")


@pytest.mark.sqlite
@pytest.mark.parametrize("state", [PostState.PENDING, PostState.DELETE])
async def test_to_take_what_is_next_costs_the_same_however_much_waits_behind_it(
    record, store, state
):
    """A burst is posted as fast at its begin as at its end."""
    await record(says(ALICE, "#idea BTC"))
    steps = []

    def prepare(db):
        db.exec_driver_sql(WAITS, (TARGET, state.value))
        db.connection.driver_connection.set_progress_handler(lambda: steps.append(1), 1)

    await store.change(prepare)
    (post,) = await store.take_posts(TARGET, Method.SEND)

    assert post.text == "#idea BTC"
    assert len(steps) < 2_000  # of SQLite's machine
    steps.clear()
    assert await store.take_aside(TARGET) == []
    assert len(steps) < 200


CHANGED = SENT_BEFORE.replace("'sent'", "?")


@pytest.mark.sqlite
@pytest.mark.parametrize("method", [Method.EDIT, Method.DELETE])
@pytest.mark.parametrize("after", [0, 10_000, 20_000])
async def test_to_take_a_change_in_its_turn_costs_the_same_however_many_wait(store, method, after):
    """Each is taken while new signals wait for the tables."""
    steps = []

    def prepare(db):
        db.exec_driver_sql(CHANGED, (TARGET, method.value))
        db.connection.driver_connection.set_progress_handler(lambda: steps.append(1), 1)

    await store.change(prepare)
    (post,) = await store.take_posts(TARGET, method, after=after)

    assert post.id == after % 20_000 + 1
    assert len(steps) < 2_000  # of SQLite's machine


@pytest.mark.sqlite
async def test_no_statement_of_a_delivery_is_compiled_again_for_the_next_one(record, store):
    """Of a statement about a state SQLite does that, where an index is for that state alone."""
    asked = []

    def allow(*what):
        asked.append(what)
        return sqlite3.SQLITE_OK

    await store.change(lambda db: db.connection.driver_connection.set_authorizer(allow))
    for number in range(1, 4):
        asked.clear()
        await record(says(ALICE, "#idea BTC", number=number))
        (post,) = await store.take_posts(TARGET, Method.SEND)
        await store.post_sent(post, MessageId(500 + number))
        assert await store.take_posts(TARGET) == []

    # A transaction's begin and end are compiled each time.
    assert {what for what, *_ in asked} <= {sqlite3.SQLITE_TRANSACTION}


@pytest.mark.sqlite
@pytest.mark.parametrize("method", [*Method, "aside"])
async def test_to_find_nothing_to_do_needs_no_lock(store, tmp_path, method):
    """Each message has the lanes of all places look; they are not to queue behind a lock for that."""
    with closing(sqlite3.connect(tmp_path / "signals.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        if method == "aside":
            assert await store.take_aside(TARGET) == []
        else:
            assert await store.take_posts(TARGET, method) == []
