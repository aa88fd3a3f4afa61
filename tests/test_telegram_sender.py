"""Posting: once each, with what belongs to it, and one meaning per error."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pyrogram import raw

from bot.errors import (
    LoggedOut,
    ParentGone,
    PostGone,
    PostRefused,
    RetryLater,
    SentBefore,
    TargetUnavailable,
    TelegramError,
)
from bot.models import ChatId, Entity, IncomingMessage, Media, MessageId, MessageRef, Reached
from bot.posts import AlbumPart
from bot.telegram.catch_up import Following
from bot.telegram.client import Telegram
from bot.telegram.messages import media as read_media
from bot.telegram.sender import Sender
from tests.accounts import connection, key_kept_in
from tests.loopback import (
    Chat,
    CutAfter,
    CutBefore,
    Drop,
    LoopbackTelegram,
    Member,
    Message,
    Person,
    Role,
    RpcError,
    Swallow,
)

functions, types = raw.functions, raw.types
SendMessage = functions.messages.SendMessage
WIDE_ID = 2_880_553_977  # a channel id above 2147483647


@pytest.fixture
def source(telegram: LoopbackTelegram, alice: Person, bot: Person) -> Chat:
    return telegram.supergroup("Signals", members=[alice, bot])


@pytest.fixture
def target(telegram: LoopbackTelegram, bot: Person) -> Chat:
    return telegram.supergroup("Subscribers", members=[bot], id=WIDE_ID)


class Relay(Telegram):
    """A connection that keeps what it hears."""

    def __init__(self, *login: Any, loopback: LoopbackTelegram, **more: Any) -> None:
        self.heard: list[Any] = []
        self._loopback = loopback
        super().__init__(*login, **more)

    async def keep(self, event: Any) -> None:
        if not isinstance(event, Reached):
            self.heard.append(event)
            self._loopback.notify()

    async def hears(self, count: int = 1) -> list[IncomingMessage]:
        await self._loopback.wait_for(lambda: len(self.heard) >= count)
        return self.heard


def relay_of(loopback: LoopbackTelegram, directory: Path, **given: Any) -> Relay:
    more = {"call_timeout": 5, **given}
    return connection(Relay, directory=directory, loopback=loopback, **more)


@pytest.fixture
async def relay(
    telegram: LoopbackTelegram, bot: Person, source: Chat, target: Chat, tmp_path: Path, store
) -> AsyncIterator[Relay]:
    following = Following(store, [source.id])
    directory = await key_kept_in(tmp_path, telegram)
    relay = relay_of(telegram, directory, bot_token=bot.token, following=following)
    await relay.start()
    listening = asyncio.create_task(relay.listen(relay.keep))
    yield relay
    listening.cancel()
    await relay.stop()
    assert telegram.calls.violations == telegram.calls.unknown == []


@pytest.fixture
async def hasty(
    telegram: LoopbackTelegram, bot: Person, target: Chat, tmp_path: Path
) -> AsyncIterator[Sender]:
    """One that waits for no answer longer than a second."""
    directory = await key_kept_in(tmp_path, telegram)
    relay = relay_of(telegram, directory, bot_token=bot.token, call_timeout=1)
    await relay.start()
    await relay.sender.send_text(target.id, "here I am", random_id=1)
    yield relay.sender
    await relay.stop()


@pytest.fixture
def sender(relay: Relay) -> Sender:
    return relay.sender


def ref(message: Message) -> MessageRef:
    return MessageRef(ChatId(message.place.id), MessageId(message.id))


def medium(file: Any) -> Media:
    """What the relay would have read of a message with this file."""
    return read_media(file.raw())


# ── texts ──


async def test_the_first_post_after_a_start_needs_no_earlier_acquaintance(
    sender, telegram, bot, target
):
    """With an empty peer cache, into a channel whose id is above 32 bits."""
    number = await sender.send_text(target.id, "#idea BTC", random_id=2**63 - 1)
    [post] = telegram.messages(target)
    assert (post.id, post.sender, post.text, post.random_id) == (
        number,
        bot.id,
        "#idea BTC",
        2**63 - 1,
    )
    await sender.send_text(target.id, "again", random_id=2)
    asked = [
        call.query.id[0].channel_id for call in telegram.calls.of(functions.channels.GetChannels)
    ]
    assert asked.count(WIDE_ID) == 1


async def test_a_person_finds_the_chat_among_his_dialogs(telegram, alice, source, tmp_path):
    """Once for all chats: what is not there is unavailable, without looking again."""
    second = telegram.supergroup("Second", members=[alice], id=WIDE_ID + 1)
    relay = relay_of(telegram, tmp_path, session_string=telegram.session_string(alice))
    await relay.start()
    for chat in (second, source):
        await relay.sender.send_text(chat.id, "hello", random_id=chat.bare_id)
    for _ in range(2):
        with pytest.raises(TargetUnavailable, match="not known"):
            await relay.sender.send_text(ChatId(-1009999999999), "hello", random_id=1)
    assert [m.text for m in telegram.messages(second)] == ["hello"]
    assert len(telegram.calls.of(functions.messages.GetDialogs)) == 2
    await relay.stop()


async def test_one_may_post_to_groups_channels_and_people(sender, telegram, alice, bot):
    group = telegram.group("Basic", members=[alice, bot])
    channel = telegram.channel("News", admins=[bot])
    for chat in (group, channel):
        number = await sender.send_text(chat.id, "post", random_id=1)
        assert [(m.id, m.text) for m in telegram.messages(chat)] == [(number, "post")]
    number = await sender.send_text(alice.id, "psst", random_id=1)
    assert [(m.id, m.text) for m in telegram.messages(bot, alice)] == [(number, "psst")]


@pytest.mark.parametrize("fault", [Swallow, CutAfter, Drop, CutBefore])
async def test_a_post_in_doubt_is_repeated_and_there_is_one(hasty, telegram, target, fault):
    """The answer is lost, with the post made or not; the same call again makes it one."""
    telegram.faults.on(SendMessage, fault())
    with pytest.raises(RetryLater) as caught:
        await hasty.send_text(target.id, "once", random_id=77)
    assert caught.value.after is None
    numbers = [await hasty.send_text(target.id, "once", random_id=77) for _ in range(2)]
    [_, post] = telegram.messages(target)
    assert numbers == [post.id, post.id]


async def test_the_same_post_in_two_chats_is_two(sender, telegram, source, target):
    for chat in (source, target):
        await sender.send_text(chat.id, "x", random_id=5)
        assert len(telegram.messages(chat)) == 1


async def test_a_text_is_data_and_keeps_its_formatting(sender, telegram, alice, bot, target):
    """Markup in the text is not read; a mention of someone unknown stays as text."""
    await alice.sends(bot, "hello")
    entities = (
        Entity("bold", 0, 3),
        Entity("text_link", 4, 3, url="https://t.me"),
        Entity("pre", 8, 2, language="python"),
        Entity("custom_emoji", 11, 2, custom_emoji_id="5368324170671202286"),
        Entity("text_mention", 14, 1, user_id=999),
        Entity("something_new", 0, 1),
    )
    text = "**a** _b_ <b> 🚀 [x](y)"
    await sender.send_text(target.id, text, entities, random_id=1)
    [post] = telegram.messages(target)
    assert post.text == text
    assert [(e.kind, e.offset, e.length) for e in post.entities] == [
        ("Bold", 0, 3),
        ("TextUrl", 4, 3),
        ("Pre", 8, 2),
        ("CustomEmoji", 11, 2),
    ]
    assert (post.entities[1].url, post.entities[2].language) == ("https://t.me", "python")
    assert post.entities[3].document_id == 5368324170671202286


async def test_a_mention_of_someone_met_is_a_mention(relay, telegram, alice, source, target):
    await alice.sends(source, "hello")
    await relay.hears()
    mention = Entity("text_mention", 0, 5, user_id=alice.id)
    await relay.sender.send_text(target.id, "Alice", [mention], random_id=1)
    [entity] = telegram.messages(target)[0].entities
    assert (entity.kind, entity.user_id) == ("MentionName", alice.id)


async def test_a_post_answers_a_post(sender, telegram, target):
    first = await sender.send_text(target.id, "signal", random_id=1)
    second = await sender.send_text(target.id, "update", reply_to=first, random_id=2)
    assert [(m.id, m.reply_to) for m in telegram.messages(target)] == [
        (first, None),
        (second, first),
    ]


async def test_a_chat_that_is_known_by_an_old_access_hash_is_met_again(
    telegram, bot, target, tmp_path
):
    """As with a session that came from another account: posted, edited and deleted all the same."""
    relay = relay_of(telegram, tmp_path, bot_token=bot.token)
    await relay.start()
    await relay.sender.send_text(target.id, "one", random_id=1)
    await relay.stop()
    for number, call in enumerate(("send", "edit", "delete"), 2):
        [session] = tmp_path.glob("*.session")
        with closing(sqlite3.connect(session)) as db, db:
            db.execute("UPDATE peers SET access_hash = 5 WHERE id = ?", (target.id,))
        relay = relay_of(telegram, tmp_path, bot_token=bot.token)
        await relay.start()
        if call == "send":
            sent = await relay.sender.send_text(target.id, "two", random_id=number)
        elif call == "edit":
            await relay.sender.edit(target.id, sent, "2", source=MessageRef(target.id, sent))
        else:
            await relay.sender.delete(target.id, [sent])
        await relay.stop()
        texts = [message.text for message in telegram.messages(target)]
        assert texts == {"send": ["one", "two"], "edit": ["one", "2"], "delete": ["one"]}[call]


# ── media ──


@pytest.mark.parametrize("kind", ["photo", "document"])
async def test_a_file_is_posted_without_being_uploaded(
    relay, telegram, alice, source, target, kind
):
    file = getattr(telegram, kind)()
    message = await alice.sends(source, "chart", **{kind: file})
    [heard] = await relay.hears()
    assert heard.media.kind == kind
    bold = Entity("bold", 0, 5)
    number = await relay.sender.send_media(
        target.id, heard.media, heard.text, [bold], source=ref(message), random_id=9
    )
    [post] = telegram.messages(target)
    assert (post.id, post.text, post.media, post.random_id) == (number, "chart", file, 9)
    assert post.entities[0].kind == "Bold"
    assert not [name for name in telegram.calls.names() if name.startswith("upload.")]


async def test_what_is_covered_in_the_source_is_covered_in_the_target(
    relay, telegram, alice, source, target
):
    photo = telegram.photo()
    photo.spoiler = True
    message = await alice.sends(source, "the result", photo=photo)
    [heard] = await relay.hears()
    first = await relay.sender.send_media(target.id, heard.media, source=ref(message), random_id=9)
    photo.expire()
    second = await relay.sender.send_media(
        target.id, heard.media, source=ref(message), random_id=10
    )

    calls = telegram.calls.of(functions.messages.SendMedia)
    assert [call.query.media.spoiler for call in calls] == [True, True, True]
    assert await relay.sender.find(target.id, "", heard.media, after=0, known={first}) == second


async def test_a_stale_file_reference_is_renewed_from_the_source(
    sender, telegram, alice, source, target
):
    photo = telegram.photo()
    message, old = await alice.sends(source, photo=photo), medium(photo)
    photo.expire()
    number = await sender.send_media(target.id, old, source=ref(message), random_id=9)
    assert [(m.id, m.media) for m in telegram.messages(target)] == [(number, photo)]
    assert telegram.calls.of(functions.messages.GetMessages) == []


async def test_a_stale_file_of_a_basic_group_is_renewed_too(relay, telegram, alice, bot, target):
    group = telegram.group("Basic", members=[alice, bot])
    photo = telegram.photo()
    await alice.sends(group, photo=photo)
    [heard] = await relay.hears()
    photo.expire()
    await relay.sender.send_media(target.id, heard.media, source=heard.ref, random_id=9)
    assert [m.media for m in telegram.messages(target)] == [photo]


@pytest.mark.parametrize("what", ["deleted", "closed"])
async def test_a_stale_file_whose_source_is_gone_is_refused(
    sender, telegram, alice, bot, source, target, what
):
    """It is this post that fails, not the target chat."""
    photo = telegram.photo()
    message, old = await alice.sends(source, photo=photo), medium(photo)
    photo.expire()
    await (alice.deletes(message) if what == "deleted" else alice.removes(bot, source))
    with pytest.raises(PostRefused, match="photo expired"):
        await sender.send_media(target.id, old, source=ref(message), random_id=9)


async def test_a_reference_that_stays_stale_is_refused_after_one_more_try(
    sender, telegram, alice, source, target
):
    photo = telegram.photo()
    message = await alice.sends(source, photo=photo)
    stale = RpcError(400, "FILE_REFERENCE_EXPIRED")
    script = telegram.faults.on(functions.messages.SendMedia, stale, times=None)
    with pytest.raises(PostRefused, match="FILE_REFERENCE_EXPIRED"):
        await sender.send_media(target.id, medium(photo), source=ref(message), random_id=9)
    assert script.hits == 2


@pytest.mark.parametrize(
    "file_id", [None, "poll:1", "poll:{}", "photo:1:2", "photo:1:2:zz", "photo:1:2:x:00", ""]
)
async def test_what_cannot_be_posted_is_refused_before_telegram_is_asked(
    sender, telegram, target, file_id
):
    with pytest.raises(PostRefused):
        await sender.send_media(
            target.id, Media("poll", file_id), source=MessageRef(target.id, 1), random_id=1
        )
    assert telegram.calls.of(functions.messages.SendMedia) == []


async def test_an_album_is_posted_as_one_in_order(sender, telegram, alice, source, target):
    """With one reference of it stale, and repeated after that."""
    photos = [telegram.photo() for _ in range(3)]
    messages = await alice.sends_album(source, photos, caption="three")
    parts = [
        AlbumPart(medium(photo), message.text, (), ref(message), number)
        for number, (photo, message) in enumerate(zip(photos, messages, strict=True), 100)
    ]
    photos[1].expire()
    first = await sender.send_text(target.id, "signal", random_id=1)
    numbers = await sender.send_album(target.id, parts, reply_to=first)
    posts = telegram.messages(target)[1:]
    assert [m.id for m in posts] == numbers == sorted(numbers)
    assert [m.media for m in posts] == photos
    assert [m.text for m in posts] == ["three", "", ""]
    assert {m.reply_to for m in posts} == {first}
    assert len({m.grouped_id for m in posts}) == 1
    assert await sender.send_album(target.id, parts, reply_to=first) == numbers
    assert len(telegram.messages(target)) == 4


async def test_the_numbered_error_of_an_albums_part_is_understood(
    sender, telegram, alice, source, target
):
    photo = telegram.photo()
    message = await alice.sends(source, photo=photo)
    stale = RpcError(400, "FILE_REFERENCE_0_EXPIRED")
    telegram.faults.on(functions.messages.SendMultiMedia, stale)
    part = AlbumPart(medium(photo), "", (), ref(message), 3)
    assert await sender.send_album(target.id, [part, AlbumPart(part.media, "", (), part.source, 4)])
    assert len(telegram.messages(target)) == 2


# ── edits and deletions ──


async def test_a_text_is_edited_and_the_same_edit_again_is_fine(sender, telegram, target):
    number = await sender.send_text(target.id, "LONG", [Entity("bold", 0, 4)], random_id=1)
    where = MessageRef(target.id, number)
    for _ in range(2):
        await sender.edit(target.id, number, "SHORT", source=where)
    [post] = telegram.messages(target)
    assert (post.text, post.entities) == ("SHORT", ())


async def test_media_is_exchanged_by_an_edit(sender, telegram, alice, source, target):
    old, new = telegram.photo(), telegram.photo(b"\xff\xd8\xff new")
    message = await alice.sends(source, "chart", photo=old)
    number = await sender.send_media(
        target.id, medium(old), "chart", source=ref(message), random_id=1
    )
    await alice.edits(message, "chart 2", photo=new)
    stale = medium(new)
    new.expire()
    await sender.edit(target.id, number, "chart 2", (), stale, source=ref(message))
    [post] = telegram.messages(target)
    assert (post.text, post.media) == ("chart 2", new)
    await sender.edit(target.id, number, "chart 3", source=ref(message))
    [post] = telegram.messages(target)
    assert (post.text, post.media) == ("chart 3", new)


@pytest.mark.parametrize("kind", ["supergroup", "group"])
async def test_posts_are_deleted_and_gone_ones_are_fine(sender, telegram, alice, bot, kind):
    chat = getattr(telegram, kind)("Somewhere", members=[alice, bot])
    kept, *doomed = [await sender.send_text(chat.id, "x", random_id=n) for n in range(1, 105)]
    for _ in range(2):
        await sender.delete(chat.id, [*doomed, MessageId(9999)])
    assert [m.id for m in telegram.messages(chat)] == [kept]


@pytest.mark.parametrize(
    ("error", "meaning"),
    [("MESSAGE_ID_INVALID", PostGone), ("MESSAGE_EDIT_TIME_EXPIRED", PostRefused)],
)
async def test_an_edit_that_cannot_be_made_is_refused(sender, telegram, target, error, meaning):
    """What is not there any more is told apart. It is no lost parent: an edit answers nothing."""
    telegram.faults.on(functions.messages.EditMessage, RpcError(400, error))
    with pytest.raises(meaning, match=error):
        await sender.edit(target.id, MessageId(99), "x", source=MessageRef(target.id, 1))


async def test_anothers_message_is_not_ours_to_edit_or_delete(sender, telegram, alice, source, bot):
    """The chat stays open all the same."""
    message = await alice.sends(source, "hers")
    with pytest.raises(PostRefused, match="MESSAGE_AUTHOR_REQUIRED"):
        await sender.edit(source.id, message.id, "ours", source=ref(message))
    with pytest.raises(PostRefused, match="MESSAGE_DELETE_FORBIDDEN"):
        await sender.delete(source.id, [message.id])


# ── errors ──

WAITS = [
    ("FLOOD_WAIT_17", 420, 17),
    ("FLOOD_WAIT_1", 420, 1),
    ("SLOWMODE_WAIT_30", 420, 30),
    ("FLOOD_PREMIUM_WAIT_5", 420, 5),
    ("FLOOD_OF_A_NEW_KIND", 420, None),
    ("INTERNAL", 500, None),
    ("Timeout", -503, None),
    ("MSG_WAIT_FAILED", 400, None),
    ("WORKER_BUSY_TOO_LONG_RETRY", 500, None),
]
CLOSED = [
    ("CHAT_WRITE_FORBIDDEN", 403),
    ("CHANNEL_PRIVATE", 400),
    ("CHANNEL_PRIVATE", 406),
    ("CHANNEL_INVALID", 400),
    ("USER_BANNED_IN_CHANNEL", 400),
    ("CHAT_ADMIN_REQUIRED", 400),
    ("CHAT_ADMIN_REQUIRED", 403),
    ("PEER_ID_INVALID", 400),
    ("CHAT_FORBIDDEN", 403),
    ("CHAT_RESTRICTED", 400),
    ("USER_IS_BLOCKED", 400),
    ("USER_IS_BLOCKED", 403),
    ("INPUT_USER_DEACTIVATED", 400),
    ("CHAT_SEND_PLAIN_FORBIDDEN", 403),
    ("TOPIC_CLOSED", 400),
    ("SOME_NEW_FORBIDDEN", 403),
]
LOST = ["REPLY_MESSAGE_ID_INVALID", "MESSAGE_ID_INVALID", "MSG_ID_INVALID", "TOPIC_DELETED"]
REFUSED = [
    ("CHAT_SEND_MEDIA_FORBIDDEN", 403),  # texts behind it may be taken
    ("CHAT_SEND_STICKERS_FORBIDDEN", 403),
    ("MESSAGE_EMPTY", 400),
    ("MESSAGE_TOO_LONG", 400),
    ("ENTITY_BOUNDS_INVALID", 400),
    ("MEDIA_INVALID", 400),
    ("SOMETHING_NEW", 400),
    ("SOMETHING_ELSE_NEW", 406),
]
VOID = [
    ("AUTH_KEY_UNREGISTERED", 401),
    ("SESSION_REVOKED", 401),
    ("SESSION_EXPIRED", 401),
    ("USER_DEACTIVATED", 401),
    ("USER_DEACTIVATED_BAN", 401),
    ("SOMETHING_UNAUTHORIZED", 401),
    ("AUTH_KEY_DUPLICATED", 406),
]


async def failure(
    sender: Sender, telegram: LoopbackTelegram, target: Chat, code: int, name: str, **more: Any
) -> TelegramError:
    telegram.faults.on(SendMessage, RpcError(code, name))
    with pytest.raises(TelegramError) as caught:
        await sender.send_text(target.id, "x", random_id=1, **more)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(("name", "code", "seconds"), WAITS)
async def test_what_passes_by_itself_is_tried_again(sender, telegram, target, name, code, seconds):
    """With Telegram's own wait, where it has one; no wait is slept through in here."""
    error = await failure(sender, telegram, target, code, name)
    assert type(error) is RetryLater
    assert error.after == (None if seconds is None else timedelta(seconds=seconds))
    assert len(telegram.calls.of(SendMessage)) == 1


@pytest.mark.parametrize(("name", "code"), CLOSED)
async def test_a_chat_that_is_closed_to_us_is_named(sender, telegram, target, name, code):
    error = await failure(sender, telegram, target, code, name)
    assert type(error) is TargetUnavailable
    assert error.chat_id == target.id


@pytest.mark.parametrize("name", LOST)
async def test_a_parent_that_is_gone_is_said_to_be_so(sender, telegram, target, name):
    error = await failure(sender, telegram, target, 400, name, reply_to=MessageId(5))
    assert type(error) is ParentGone
    telegram.faults.clear()
    assert type(await failure(sender, telegram, target, 400, name)) is PostRefused


@pytest.mark.parametrize(("name", "code"), REFUSED)
async def test_a_post_that_telegram_will_never_take_is_refused(
    sender, telegram, target, name, code
):
    error = await failure(sender, telegram, target, code, name, reply_to=MessageId(5))
    assert type(error) is PostRefused


@pytest.mark.parametrize(("name", "code"), VOID)
async def test_a_login_that_ended_is_logged_out(sender, telegram, target, name, code):
    assert isinstance(await failure(sender, telegram, target, code, name), LoggedOut)


async def test_a_session_revoked_at_run_time_is_noticed(sender, telegram, bot, target):
    await sender.send_text(target.id, "x", random_id=1)
    telegram.faults.revoke(bot)
    with pytest.raises(LoggedOut, match="AUTH_KEY_UNREGISTERED"):
        await sender.send_text(target.id, "x", random_id=2)


async def test_what_the_server_itself_refuses(sender, telegram, alice, bot, source, target):
    telegram.rules.missing_reply_is_error = True
    with pytest.raises(ParentGone):
        await sender.send_text(target.id, "x", reply_to=MessageId(999), random_id=1)
    with pytest.raises(PostRefused, match="MESSAGE_TOO_LONG"):
        await sender.send_text(target.id, "🚀" * 2049, random_id=1)
    target.members[bot.account].muted = True
    with pytest.raises(TargetUnavailable):
        await sender.send_text(target.id, "x", random_id=1)
    source.members[bot.account] = Member(Role.KICKED)
    with pytest.raises(TargetUnavailable) as caught:
        await sender.send_text(source.id, "x", random_id=1)
    assert caught.value.chat_id == source.id


async def test_a_call_ends_in_time_when_telegram_is_frozen(hasty, telegram, target):
    with telegram.faults.freeze():
        async with asyncio.timeout(4):
            with pytest.raises(RetryLater):
                await hasty.send_text(target.id, "y", random_id=2)


async def test_a_call_can_be_cancelled(sender, telegram, target):
    telegram.faults.on(SendMessage, Drop())
    task = asyncio.create_task(sender.send_text(target.id, "x", random_id=1))
    await telegram.wait_for(lambda: telegram.calls.of(SendMessage))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await sender.send_text(target.id, "x", random_id=1)


async def test_posting_goes_on_after_the_connection_was_lost(hasty, telegram, target):
    """With the call that was under way in doubt, at worst."""
    telegram.faults.kill_connections()
    with suppress(RetryLater):
        await hasty.send_text(target.id, "after", random_id=2)
    await hasty.send_text(target.id, "after", random_id=2)
    assert [m.text for m in telegram.messages(target)] == ["here I am", "after"]


@pytest.mark.parametrize("media", [False, True])
async def test_a_post_that_telegram_took_before_is_found_by_what_it_says(
    sender, telegram, target, bot, media
):
    """Behind the newest one known, and only among our own."""
    telegram.rules.duplicates = "error"
    photo = medium(telegram.photo())
    last = await sender.send_text(target.id, "#idea", random_id=1)
    await bot.sends(target, "something else")
    stranger = telegram.user("Mallory")
    target.members[stranger.account] = Member(Role.MEMBER)
    await stranger.sends(target, "TP1")

    async def send():
        if media:
            source = MessageRef(target.id, last)
            return await sender.send_media(target.id, photo, "TP1", source=source, random_id=2)
        return await sender.send_text(target.id, "TP1", random_id=2)

    posted = await send()
    with pytest.raises(SentBefore):
        await send()

    assert await sender.find(target.id, "TP1", photo if media else None, after=last) == posted
    assert await sender.find(target.id, "TP1", None if media else photo, after=last) is None
    assert await sender.find(target.id, "TP1", photo if media else None, after=posted) is None


async def test_what_another_admin_posts_in_the_channel_is_not_taken_for_ours(
    sender, telegram, bot, alice
):
    """All that a channel says looks alike; which of it an account has written, Telegram tells it."""
    target = telegram.channel("Readers", admins=[alice, bot])
    last = await sender.send_text(target.id, "#idea", random_id=1)
    await alice.sends(target, "TP1")
    assert await sender.find(target.id, "TP1", None, after=last) is None

    posted = await sender.send_text(target.id, "TP1", random_id=2)
    assert await sender.find(target.id, "TP1", None, after=last) == posted

    again = await sender.send_text(target.id, "TP1", random_id=3)
    assert await sender.find(target.id, "TP1", None, after=last) is None  # which of the two?
    assert await sender.find(target.id, "TP1", None, after=last, known={posted}) == again


async def test_in_a_basic_group_the_same_words_in_another_chat_are_not_taken_for_the_post(
    sender, telegram, alice, bot
):
    """All small chats of an account share one sequence of ids."""
    group = telegram.group("Readers", members=[alice, bot])
    await alice.sends(bot, "/start")
    await sender.send_text(alice.id, "TP1", random_id=1)
    assert await sender.find(group.id, "TP1", None, after=0) is None

    posted = await sender.send_text(group.id, "TP1", random_id=2)
    assert await sender.find(group.id, "TP1", None, after=0) == posted


@pytest.mark.parametrize("kind", ["supergroup", "group"])
async def test_which_posts_still_stand_is_looked_up_at_once(sender, telegram, alice, bot, kind):
    chat = getattr(telegram, kind)("Somewhere", members=[alice, bot], admins=[])
    one, two, three = [await sender.send_text(chat.id, "x", random_id=n) for n in (1, 2, 3)]
    await sender.delete(chat.id, [two])

    assert await sender.standing(chat.id, [one, two, three, MessageId(9999)]) == {one, three}
