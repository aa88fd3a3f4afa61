"""Every kind of chat that signals can come from, and who speaks there."""

from __future__ import annotations

import pytest

from tests.loopback import Member, Role

pytestmark = pytest.mark.heavy

# What an author ends a test with: when it has been posted, so has all that was to be posted.
LAST = "#idea that is all"


def threads(seen):
    """For every message, the place in the list of the one it answers; None: unthreaded."""
    ids = [each.id for each in seen]
    return [None if each.reply_to is None else ids.index(each.reply_to) for each in seen]


# ── channels, and the groups they are discussed in ──


async def test_a_channels_posts_and_its_answers_to_them_are_relayed_signed_or_not(stage):
    channel = stage.telegram.channel("Calls", admins=[stage.alice, stage.bob, stage.bot])
    async with stage.relay(source=channel, SOURCE_ALLOWED_USERS=str(channel.id)):
        signal_ = await stage.alice.sends(channel, "#idea BTC", signature="Alice")
        update = await stage.bob.sends(channel, "TP1", reply_to=signal_, signature="Bob")
        await stage.alice.sends(channel, "TP2", reply_to=update)
        await stage.alice.sends(channel, "what a day")
        edited = await stage.bob.sends(channel, LAST)
        await stage.shows("#idea BTC", "TP1", "TP2", LAST)
        await stage.alice.edits(edited, "#idea edited by another admin")
        await stage.alice.deletes(update)
        seen = await stage.shows("#idea BTC", "TP2", "#idea edited by another admin")

    assert threads(stage.telegram.messages(stage.target, deleted=True)) == [None, 0, 1, None]
    assert [each.sender for each in seen] == [stage.target.id] * 3


async def test_in_a_discussion_group_the_channel_alone_continues_what_it_posted(stage):
    """Its posts come in as automatic forwards. Members, anonymous admins too, are others."""
    channel = stage.telegram.channel("Calls", admins=[stage.alice], linked=stage.group)
    stage.group.members[stage.alice.account] = Member(Role.ADMIN)

    def copy_of(post):
        return post.copies[0]

    async with stage.relay():
        post = await stage.alice.sends(channel, "#idea BTC", signature="Alice")
        await stage.bob.sends(stage.group, "thanks", reply_to=copy_of(post))
        await stage.alice.sends(stage.group, "as the group", reply_to=copy_of(post), anonymous=True)
        await stage.alice.sends(stage.group, "TP1", reply_to=copy_of(post), as_channel=channel)
        await stage.bob.forwards(copy_of(post), to=stage.group)
        await stage.alice.sends(channel, LAST)
        await stage.shows("#idea BTC", "TP1", LAST)
        await stage.alice.edits(post, "#idea BTC, risk 1%")
        seen = await stage.shows("#idea BTC, risk 1%", "TP1", LAST)

    assert threads(seen) == [None, 0, None]
    assert [each.forwarded_from for each in seen] == [None, None, None]
    assert stage.rows("SELECT source_user_id, reason FROM decisions ORDER BY id") == [
        (stage.bob.id, "not_the_owner"),
        (stage.group.id, "not_the_owner"),
        (stage.bob.id, "forwarded"),
    ]


@pytest.mark.parametrize("named", [True, False], ids=["from_id", "no from_id"])
async def test_an_anonymous_admin_is_the_group_whoever_it_is(stage, named):
    """The same person under her own name is somebody else, and has no part in that flow."""
    stage.telegram.rules.anonymous_from_id = named
    stage.group.members[stage.alice.account] = Member(Role.ADMIN)
    async with stage.relay(SOURCE_ALLOWED_USERS=str(stage.group.id)):
        signal_ = await stage.alice.sends(stage.group, "#idea BTC", anonymous=True)
        await stage.alice.sends(stage.group, "as Alice", reply_to=signal_)
        await stage.bob.sends(stage.group, "#idea Bob's own")
        await stage.alice.sends(stage.group, "TP1", reply_to=signal_, anonymous=True)
        await stage.alice.sends(stage.group, LAST, anonymous=True)
        seen = await stage.shows("#idea BTC", "TP1", LAST)

    assert threads(seen) == [None, 0, None]
    assert stage.rows("SELECT source_user_id, reason FROM decisions ORDER BY id") == [
        (stage.alice.id, "not_permitted"),
        (stage.bob.id, "not_permitted"),
    ]


async def test_who_writes_as_a_channel_is_that_channel(stage):
    own = stage.telegram.channel("Alice's diary", admins=[stage.alice])
    async with stage.relay(SOURCE_ALLOWED_USERS=f"{own.id},{stage.bob.id}"):
        signal_ = await stage.alice.sends(stage.group, "#idea BTC", as_channel=own)
        await stage.bob.sends(stage.group, "mine, too", reply_to=signal_)
        await stage.alice.sends(stage.group, "#idea as herself")
        await stage.alice.sends(stage.group, "TP1", reply_to=signal_, as_channel=own)
        await stage.bob.sends(stage.group, LAST)
        await stage.shows("#idea BTC", "TP1", LAST)

    assert stage.rows("SELECT source_user_id, reason FROM decisions ORDER BY id") == [
        (stage.bob.id, "not_the_owner"),
        (stage.alice.id, "not_permitted"),
    ]


# ── topics, and replies out of the chat ──


async def test_in_a_topic_only_an_answer_to_a_message_is_a_reply(stage):
    """Telegram says of every message in a topic that it answers the topic's first one."""
    forum = stage.telegram.supergroup(
        "Forum", forum=True, members=[stage.alice, stage.bob], admins=[stage.bot]
    )
    async with stage.relay(source=forum):
        topic = await stage.alice.opens_topic(forum, "BTC")
        root = forum.messages[topic.id]
        await stage.alice.sends(forum, "good morning", topic=topic)
        await stage.alice.sends(forum, "answers the root", topic=topic, reply_to=root)
        signal_ = await stage.alice.sends(forum, "#idea BTC", topic=topic)
        await stage.alice.sends(forum, "no update: it answers nothing", topic=topic)
        await stage.bob.sends(forum, "thanks", topic=topic, reply_to=signal_)
        update = await stage.alice.sends(forum, "TP1", topic=topic, reply_to=signal_)
        await stage.alice.sends(forum, "TP2", topic=topic, reply_to=update)
        await stage.alice.sends(forum, LAST)
        seen = await stage.shows("#idea BTC", "TP1", "TP2", LAST)

    assert threads(seen) == [None, 0, 1, None]
    assert stage.rows("SELECT source_user_id, reason FROM decisions") == [
        (stage.bob.id, "not_the_owner")
    ]


async def test_a_reply_to_a_message_of_another_chat_continues_nothing(stage):
    """Ids are unique in their chat only: the other chat's message has the signal's."""
    elsewhere = stage.telegram.supergroup("Elsewhere", members=[stage.alice])
    async with stage.relay():
        signal_ = await stage.alice.sends(stage.group, "#idea BTC")
        quoted = await stage.alice.sends(elsewhere, "something")
        assert quoted.id == signal_.id
        await stage.alice.sends(
            stage.group, "about that", reply_to=quoted, reply_elsewhere=elsewhere
        )
        await stage.alice.sends(
            stage.group, "#idea about that", reply_to=quoted, reply_elsewhere=elsewhere
        )
        await stage.alice.sends(stage.group, LAST)
        seen = await stage.shows("#idea BTC", "#idea about that", LAST)

    assert threads(seen) == [None, None, None]


# ── basic groups ──


async def test_a_basic_group_is_a_source_and_a_target_like_any_other(stage):
    """There every reader knows a message by another id, and deletions do not name the chat."""
    source = stage.telegram.group("Small", members=[stage.alice, stage.bob], admins=[stage.bot])
    target = stage.telegram.group("Readers", members=[stage.bob, stage.bot])
    # Ids of the bot's own, which are not those of anybody else.
    await stage.bob.sends(stage.bot, "hello")
    async with stage.relay(source=source, targets=[target]):
        signal_ = await stage.alice.sends(source, "#idea BTC")
        await stage.bob.sends(source, "thanks", reply_to=signal_)
        update = await stage.alice.sends(source, "TP1", reply_to=signal_)
        await stage.alice.sends(source, "TP2", reply_to=update)
        await stage.shows("#idea BTC", "TP1", "TP2", where=target)
        await stage.alice.edits(signal_, "#idea BTC, risk 1%")
        await stage.alice.deletes(update)
        await stage.shows("#idea BTC, risk 1%", "TP2", where=target)

    seen = stage.telegram.messages(target, deleted=True)
    assert threads(seen) == [None, 0, 1]


async def test_what_somebody_deletes_in_a_private_chat_deletes_nothing_in_the_target(stage):
    """Telegram does not name the chat of such a deletion, and ids are unique in a chat only."""
    async with stage.relay():
        private = await stage.bob.sends(stage.bot, "hello")
        signal_ = await stage.alice.sends(stage.group, "#idea BTC")
        while private.id_for(stage.bot.account) < signal_.id:
            private = await stage.bob.sends(stage.bot, "hello?")
        await stage.shows("#idea BTC")
        await stage.bob.deletes(private)
        await stage.alice.sends(stage.group, LAST)
        await stage.shows("#idea BTC", LAST)


# ── a person's account ──


async def test_a_persons_account_relays_as_a_bot_does(stage):
    """It may write in the source group, too, and is then an author like any other.

    It has no commands, whoever would give them.
    """
    carol, login = stage.carol, stage.login_of_carol()
    async with stage.relay(**login, ADMIN_USERS=str(stage.bob.id)) as program:
        await stage.bob.sends(carol, "/status")
        signal_ = await stage.alice.sends(stage.group, "#idea BTC")
        await stage.bob.sends(stage.group, "thanks", reply_to=signal_)
        await stage.alice.sends(stage.group, "TP1", reply_to=signal_)
        own = await carol.sends(stage.group, "#idea of her own", photo=stage.telegram.photo())
        await carol.sends(stage.group, "TP1 of her own", reply_to=own)
        await stage.shows("#idea BTC", "TP1", "#idea of her own", "TP1 of her own")
        await stage.alice.edits(signal_, "#idea ETH")
        await carol.deletes(own)
        seen = await stage.shows("#idea ETH", "TP1", "TP1 of her own")
        assert login["SESSION_STRING"] not in program.output

    assert '"account": "Carol"' in program.output
    assert program.output.count("a user account has no commands") == 1
    assert len(stage.telegram.messages(stage.bob, carol)) == 1
    assert seen[1].reply_to == seen[0].id
    assert stage.reads(stage.group) == []
    assert list((stage.directory / "data").glob("*.session")) == []


# ── chats that lead back to themselves ──


async def test_a_target_whose_posts_come_back_into_the_source_starts_no_circle(stage):
    """Such as a channel whose discussion group is the source: what is posted comes back marked."""
    stage.target.linked, stage.group.linked = stage.group, stage.target
    async with stage.relay():
        signal_ = await stage.alice.sends(stage.group, "#idea BTC")
        (first,) = await stage.shows("#idea BTC")
        (back,) = first.message.copies
        await stage.alice.sends(stage.group, "about the copy", reply_to=back)
        await stage.alice.sends(stage.group, "TP1", reply_to=signal_)
        await stage.alice.edits(signal_, "#idea ETH")
        await stage.shows("#idea ETH", "TP1")
        await stage.alice.sends(stage.group, LAST)
        await stage.shows("#idea ETH", "TP1", LAST)


async def test_a_target_that_is_the_source_is_refused_at_the_start(stage):
    program = await stage.launch(targets=[stage.target, stage.group])

    assert await program.wait(timeout=15) == 2
    assert program.stdout == ""
    (line,) = program.stderr.splitlines()
    assert f"TARGET_CHAT_ID: {stage.group.id} is SOURCE_CHAT_ID, too" in line
    assert stage.telegram.calls.names() == []
