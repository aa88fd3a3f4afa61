"""The loopback Telegram is honest: what it must do, seen through a real client."""

import signal
from pathlib import Path
from typing import Any

import pytest
from pyrogram import Client, enums, raw, types
from pyrogram.connection.transport.tcp.tcp import TCP
from pyrogram.crypto import rsa
from pyrogram.errors import (
    BadRequest,
    ChannelPrivate,
    ChatAdminRequired,
    RPCError,
    Unauthorized,
)
from pyrogram.errors import (
    FloodWait as FloodWaited,
)
from pyrogram.handlers import (
    CallbackQueryHandler,
    DeletedMessagesHandler,
    EditedMessageHandler,
    MessageHandler,
    RawUpdateHandler,
)

from tests.loopback import (
    API_HASH,
    API_ID,
    Chat,
    CutAfter,
    CutBefore,
    Delay,
    Drop,
    Entity,
    FloodWait,
    Hold,
    LoopbackTelegram,
    Person,
    RpcError,
    Sometimes,
    Swallow,
)

functions = raw.functions
NEWER = not hasattr(
    raw.functions.messages.SendMessage(peer=None, message="", random_id=0), "top_msg_id"
)
WIDE_ID = 2_880_553_977  # a channel id above 2147483647


class Inbox:
    """What a client's handlers were given, in order."""

    def __init__(self, client: Client, telegram: LoopbackTelegram) -> None:
        self.messages: list[types.Message] = []
        self.edits: list[types.Message] = []
        self.deletions: list[types.Message] = []
        self.presses: list[types.CallbackQuery] = []
        self.raw: list[Any] = []
        self._telegram = telegram
        client.add_handler(MessageHandler(self._keeper(self.messages)))
        client.add_handler(EditedMessageHandler(self._keeper(self.edits)))
        client.add_handler(DeletedMessagesHandler(self._keeper(self.deletions)))
        client.add_handler(CallbackQueryHandler(self._keeper(self.presses)))
        client.add_handler(RawUpdateHandler(self._keep_raw), group=-1)

    def _keeper(self, box: list[Any]) -> Any:
        async def keep(_client: Client, thing: Any) -> None:
            box.extend(thing if isinstance(thing, list) else [thing])
            self._telegram.notify()

        return keep

    async def _keep_raw(self, _client: Client, update: Any, _users: Any, _chats: Any) -> None:
        self.raw.append(update)
        self._telegram.notify()

    @property
    def texts(self) -> list[str]:
        return [message.text or message.caption for message in self.messages]

    async def holds(self, count: int) -> types.Message | None:
        """Wait for that many messages; the last one of them, if any."""
        await self._telegram.wait_for(lambda: len(self.messages) >= count)
        return self.messages[count - 1] if count else None


@pytest.fixture
def group(telegram: LoopbackTelegram, alice: Person, bot: Person) -> Chat:
    return telegram.supergroup("Signals", members=[alice, bot])


@pytest.fixture
async def client(telegram: LoopbackTelegram, bot: Person, group: Chat) -> Client:
    """A started client, logged in as the bot, whose handlers run one at a time."""
    login = telegram.session_string(bot)  # which takes a tenth of a first one
    relay = telegram.client("relay", bot, workers=1, session_string=login)
    relay.inbox = Inbox(relay, telegram)
    await relay.start()
    return relay


async def met(client: Client, alice: Person, group: Chat) -> None:
    """The bot has seen a message of the group, so the client knows its access hash."""
    await alice.sends(group, "hello")
    await client.inbox.holds(1)


def replying(message_id: int) -> dict[str, Any]:
    """How `send_message` is told what it answers."""
    if NEWER:
        return {"reply_parameters": types.ReplyParameters(message_id=message_id)}
    return {"reply_to_message_id": message_id}


def send(client: Client, peer: Any, text: str, random_id: int, **how: Any) -> Any:
    query = functions.messages.SendMessage(peer=peer, message=text, random_id=random_id)
    return client.invoke(query, **how)


# ── logging in ──


async def test_a_bot_logs_in_with_its_token(client, bot):
    """The account is the token's, and the calls of the login are in the log."""
    assert (client.me.id, client.me.is_bot) == (bot.id, True)


async def test_an_unknown_token_is_refused(telegram, bot):
    stranger = telegram.client("stranger", bot, bot_token="43:wrong")
    with pytest.raises(BadRequest, match="ACCESS_TOKEN_INVALID"):
        await stranger.start()


async def test_a_user_logs_in_with_a_session_string(telegram, alice, group):
    """A fresh session knows no access hash, and a user may not leave it out: dialogs first."""
    async with telegram.client("alice", alice) as person:
        assert (person.me.id, person.me.is_bot) == (alice.id, False)
        with pytest.raises(BadRequest, match="CHANNEL_INVALID"):
            await person.resolve_peer(group.id)
        assert [d.chat.id async for d in person.get_dialogs()] == [group.id]
        await person.send_message(group.id, "written by a client")
    assert [(m.sender, m.text) for m in telegram.messages(group)] == [
        (alice.id, "written by a client")
    ]


async def test_a_session_file_logs_in_again_without_the_token(telegram, bot, tmp_path):
    async with telegram.client("kept", bot, workdir=tmp_path):
        pass
    async with telegram.client("kept", bot, workdir=tmp_path):
        pass
    assert len(telegram.calls.of(functions.auth.ImportBotAuthorization)) == 1


# ── receiving ──


async def test_a_text_arrives_with_its_entities_and_its_author(client, telegram, alice, group):
    await alice.sends(group, "#idea BTC", entities=[Entity("Bold", 6, 3)])
    got = await client.inbox.holds(1)
    assert (got.text, got.from_user.id, got.chat.id) == ("#idea BTC", alice.id, group.id)
    assert [(e.type.name, e.offset, e.length) for e in got.entities] == [("BOLD", 6, 3)]


async def test_the_date_is_the_worlds_clock():
    async with LoopbackTelegram(clock=lambda: 1_700_000_000) as telegram:
        carol = telegram.user("Carol")
        message = await carol.sends(telegram.supergroup("Signals", members=[carol]), "then")
    assert message.date == 1_700_000_000


async def test_a_photo_arrives_and_can_be_downloaded(client, telegram, alice, group):
    photo = telegram.photo(b"\xff\xd8\xff pixels")
    await alice.sends(group, "chart", photo=photo)
    got = await client.inbox.holds(1)
    assert (got.caption, got.photo.width) == ("chart", photo.width)
    file = await client.download_media(got, in_memory=True)
    assert bytes(file.getbuffer()) == photo.content


async def test_an_album_arrives_as_messages_with_one_group_id(client, telegram, alice, group):
    await alice.sends_album(group, [telegram.photo(), telegram.photo()], caption="two")
    await client.inbox.holds(2)
    first, second = client.inbox.messages
    assert first.media_group_id == second.media_group_id is not None
    assert [first.caption, second.caption] == ["two", None]


async def test_a_reply_names_what_it_answers(client, alice, group):
    signal_ = await alice.sends(group, "signal")
    await alice.sends(group, "update", reply_to=signal_)
    got = await client.inbox.holds(2)
    assert got.reply_to_message_id == signal_.id


async def test_a_nested_reply_names_the_thread_as_well(client, alice, group):
    root = await alice.sends(group, "signal")
    first = await alice.sends(group, "update", reply_to=root)
    await alice.sends(group, "update of the update", reply_to=first)
    got = await client.inbox.holds(3)
    assert (got.reply_to_message_id, got.reply_to_top_message_id) == (first.id, root.id)


async def test_an_edit_and_a_deletion_arrive(client, telegram, alice, group):
    message = await alice.sends(group, "BTC long")
    await client.inbox.holds(1)
    await alice.edits(message, "BTC short")
    await alice.deletes(message)
    await telegram.wait_for(lambda: client.inbox.deletions)
    assert [m.text for m in client.inbox.edits] == ["BTC short"]
    assert [m.id for m in client.inbox.deletions] == [message.id]


@pytest.mark.parametrize("named", [True, False])
async def test_an_anonymous_admin_writes_as_the_group(client, telegram, alice, group, named):
    """With the group as `from_id`, or with none."""
    telegram.rules.anonymous_from_id = named
    await alice.sends(group, "from above", anonymous=True)
    got = await client.inbox.holds(1)
    assert (got.from_user, got.sender_chat.id) == (None, group.id)


async def test_a_channel_post_is_forwarded_to_the_linked_group(client, telegram, alice, bot, group):
    channel = telegram.channel("News", linked=group, admins=[alice, bot])
    post = await alice.sends(channel, "big news")
    await client.inbox.holds(2)
    original, copy = client.inbox.messages
    assert (original.chat.id, original.sender_chat.id) == (channel.id, channel.id)
    assert (copy.chat.id, copy.sender_chat.id) == (group.id, channel.id)
    header = client.inbox.raw[1].message.fwd_from
    assert (header.saved_from_msg_id, header.channel_post) == (post.id, post.id)


async def test_an_edit_of_a_post_edits_its_copy_in_the_group(client, telegram, alice, bot, group):
    channel = telegram.channel("News", linked=group, admins=[alice, bot])
    post = await alice.sends(channel, "big news")
    await alice.edits(post, "bigger news")
    assert [m.text for m in telegram.messages(group)] == ["bigger news"]
    await alice.deletes(post)
    assert telegram.messages(group) == []


async def test_a_message_sent_as_a_channel_shows_the_channel(client, telegram, alice, group):
    channel = telegram.channel("Alice's", username="alices", admins=[alice])
    await alice.sends(group, "hi", as_channel=channel)
    got = await client.inbox.holds(1)
    assert got.sender_chat.id == channel.id


async def test_a_topic_message_names_its_topic(client, telegram, alice, bot):
    forum = telegram.supergroup("Forum", forum=True, members=[alice, bot])
    topic = await alice.opens_topic(forum, "Trades")
    first = await alice.sends(forum, "in the topic", topic=topic)
    await alice.sends(forum, "an answer there", reply_to=first)
    await client.inbox.holds(3)
    plain, answer = (u.message.reply_to for u in client.inbox.raw[1:3])
    assert (plain.forum_topic, plain.reply_to_msg_id, plain.reply_to_top_id) == (
        True,
        topic.id,
        None,
    )
    assert (answer.reply_to_msg_id, answer.reply_to_top_id) == (first.id, topic.id)


async def test_joining_and_pinning_are_service_messages(client, telegram, alice, group):
    message = await alice.sends(group, "rules")
    await alice.pins(message)
    await alice.adds(telegram.user("Bob"), to=group)
    got = await client.inbox.holds(3)
    assert [m.service.name for m in client.inbox.messages[1:]] == [
        "PINNED_MESSAGE",
        "NEW_CHAT_MEMBERS",
    ]
    assert got.new_chat_members[0].first_name == "Bob"


async def test_a_basic_group_has_the_accounts_own_ids_and_is_upgraded(client, telegram, alice, bot):
    old = telegram.group("Old", members=[alice, bot])
    await alice.sends(old, "small talk")
    new = await alice.upgrades(old)
    await client.inbox.holds(3)
    talk, to, from_ = client.inbox.messages
    assert (talk.chat.id, to.migrate_to_chat_id) == (old.id, new.id)
    assert (from_.chat.id, from_.migrate_from_chat_id) == (new.id, old.id)


@pytest.mark.parametrize("short", [False, True])
async def test_a_private_message_arrives_and_is_answered(client, telegram, alice, bot, short):
    """As `updates`, or as `updateShortMessage`, which sends the client to getDifference."""
    telegram.rules.short_private_messages = short
    await alice.sends(bot, "/status")
    got = await client.inbox.holds(1)
    assert (got.text, got.from_user.id) == ("/status", alice.id)
    sent = await client.send_message(alice.id, "fine")
    assert [(m.sender, m.text) for m in telegram.messages(bot, alice)] == [
        (alice.id, "/status"),
        (bot.id, "fine"),
    ]
    assert sent.id == telegram.messages(bot, alice)[1].id


async def test_a_forward_keeps_its_first_source(client, telegram, alice, group):
    bob = telegram.user("Bob")
    original = await bob.sends(telegram.supergroup("Elsewhere", members=[bob]), "seen there")
    first = (await alice.forwards(original, to=group))[0]
    await alice.forwards(first, to=group)
    await client.inbox.holds(2)
    headers = [u.message.fwd_from for u in client.inbox.raw]
    assert [h.from_id.user_id for h in headers] == [bob.id, bob.id]


async def test_min_users_send_the_client_to_the_difference(client, telegram, alice, group):
    """Without access hashes, Pyrogram asks getChannelDifference for the very message."""
    telegram.rules.min_peers = True
    await alice.sends(group, "who am I")
    got = await client.inbox.holds(1)
    asked = telegram.calls.of(functions.updates.GetChannelDifference)
    assert (got.from_user.first_name, len(asked)) == ("Alice", 1)


@pytest.mark.parametrize("bare_id", [WIDE_ID, 1_000_000_001])
async def test_wide_channel_ids_work_both_ways(client, telegram, alice, bot, bare_id):
    """Once the client has met the channel; without, Pyrogram 2.0.106 refuses wide ids itself."""
    group = telegram.supergroup("Wide", id=bare_id, members=[alice, bot])
    assert group.id == -1_000_000_000_000 - bare_id
    await alice.sends(group, "hello")
    got = await client.inbox.holds(1)
    await client.send_message(got.chat.id, "hello back")
    assert [m.text for m in telegram.messages(group)] == ["hello", "hello back"]


# ── sending ──


async def test_a_reply_is_sent_where_it_belongs(client, telegram, alice, group):
    await met(client, alice, group)
    peer = await client.resolve_peer(group.id)
    given = (
        {"reply_to": raw.types.InputReplyToMessage(reply_to_msg_id=2)}
        if NEWER
        else {"reply_to_msg_id": 2}
    )
    await client.invoke(
        functions.messages.SendMessage(
            peer=peer,
            message="noted",
            random_id=5,
            entities=[raw.types.MessageEntityItalic(offset=0, length=5)],
            **given,
        )
    )
    sent = telegram.messages(group)[-1]
    assert (sent.text, sent.reply_to, sent.sender) == ("noted", 2, client.me.id)
    assert sent.entities == (Entity("Italic", 0, 5),)


async def test_a_repeated_random_id_makes_no_second_message(client, telegram, group):
    """The second answer names the first message."""
    peer = await client.resolve_peer(group.id)
    first = await send(client, peer, "once", 1234)
    second = await send(client, peer, "once", 1234)
    assert [u.id for u in first.updates[:1]] == [u.id for u in second.updates[:1]]
    assert [m.text for m in telegram.messages(group)] == ["once"]


async def test_a_repeated_random_id_can_be_an_error_instead(client, telegram, group):
    telegram.rules.duplicates = "error"
    peer = await client.resolve_peer(group.id)
    await send(client, peer, "once", 1234)
    with pytest.raises((RPCError, TimeoutError)):
        await send(client, peer, "once", 1234, retries=1 if NEWER else 0)
    assert telegram.calls.of(functions.messages.SendMessage)[1].error == "RANDOM_ID_DUPLICATE"


async def test_the_same_random_id_is_another_message_in_another_chat(
    client, telegram, alice, bot, group
):
    other = telegram.channel("Target", admins=[bot])
    for chat in (group, other):
        await send(client, await client.resolve_peer(chat.id), "each", 99)
    assert [len(telegram.messages(chat)) for chat in (group, other)] == [1, 1]


async def test_a_photo_is_sent_again_by_its_id(client, telegram, alice, bot, group):
    photo = telegram.photo()
    target = telegram.channel("Target", admins=[bot])
    await alice.sends(group, "chart", photo=photo)
    got = await client.inbox.holds(1)
    await client.send_photo(target.id, got.photo.file_id, caption="relayed")
    sent = telegram.messages(target)[0]
    assert (sent.photo, sent.text, sent.sender) == (photo, "relayed", target.id)


async def test_an_expired_file_reference_is_refused(client, telegram, alice, group):
    photo = telegram.photo()
    await alice.sends(group, "chart", photo=photo)
    got = await client.inbox.holds(1)
    photo.expire()
    with pytest.raises(BadRequest, match="FILE_REFERENCE_EXPIRED"):
        await client.send_photo(group.id, got.photo.file_id)


async def test_a_file_is_uploaded(client, telegram, group, tmp_path):
    path = tmp_path / "note.txt"
    path.write_bytes(b"a note")
    await client.send_document(group.id, str(path), caption="attached")
    sent = telegram.messages(group)[0]
    assert (sent.document.name, sent.document.content) == ("note.txt", b"a note")


async def test_an_album_is_sent_as_one(client, telegram, alice, bot, group):
    photos = [telegram.photo(), telegram.photo()]
    await alice.sends_album(group, photos, caption="two")
    await client.inbox.holds(2)
    target = telegram.channel("Target", admins=[bot])
    await client.send_media_group(
        target.id,
        [types.InputMediaPhoto(m.photo.file_id, caption="again") for m in client.inbox.messages],
    )
    sent = telegram.messages(target)
    assert [m.photo for m in sent] == photos
    assert len({m.grouped_id for m in sent}) == 1


async def test_a_message_is_edited_and_deleted(client, telegram, bot):
    target = telegram.channel("Target", admins=[bot])
    sent = await client.send_message(target.id, "BTC long")
    await client.edit_message_text(target.id, sent.id, "BTC short")
    assert [m.text for m in telegram.messages(target)] == ["BTC short"]
    assert await client.delete_messages(target.id, [sent.id]) == 1
    assert telegram.messages(target) == []
    assert [m.deleted for m in telegram.messages(target, deleted=True)] == [True]


async def test_an_edit_that_changes_nothing_is_refused(client, group):
    sent = await client.send_message(group.id, "same")
    with pytest.raises(BadRequest, match="MESSAGE_NOT_MODIFIED"):
        await client.edit_message_text(group.id, sent.id, "same")


async def test_a_button_is_pressed_and_answered(client, telegram, alice, group):
    keyboard = types.InlineKeyboardMarkup(
        [[types.InlineKeyboardButton("Stop", callback_data=b"stop")]]
    )
    await client.send_message(group.id, "running", reply_markup=keyboard)

    async def answer(_client: Client, query: types.CallbackQuery) -> None:
        await query.answer(f"{query.from_user.first_name} said {query.data}", show_alert=True)

    client.add_handler(CallbackQueryHandler(answer), group=1)
    (message,) = telegram.messages(group)
    pressed = await alice.presses(message, "Stop")
    assert (pressed.text, pressed.alert, message.buttons) == ("Alice said stop", True, ("Stop",))


async def test_commands_are_kept(client):
    await client.set_bot_commands([types.BotCommand("why", "why not relayed")])
    assert [c.command for c in await client.get_bot_commands()] == ["why"]


async def test_messages_are_fetched_by_id_and_by_reply(client, alice, group):
    first = await alice.sends(group, "signal")
    second = await alice.sends(group, "update", reply_to=first)
    gone = await alice.sends(group, "gone")
    await alice.deletes(gone)
    got = await client.get_messages(group.id, [first.id, gone.id])
    assert [m.empty or m.text for m in got] == ["signal", True]
    answered = {"reply": True} if NEWER else {}
    ids = {"message_ids": second.id} if NEWER else {"reply_to_message_ids": second.id}
    assert (await client.get_messages(group.id, **ids, **answered)).text == "signal"


async def test_a_message_is_copied_forwarded_and_pinned(client, telegram, alice, bot, group):
    target = telegram.channel("Target", admins=[bot])
    message = await alice.sends(group, "signal", entities=[Entity("Bold", 0, 6)])
    await client.inbox.holds(1)
    copy = await client.copy_message(target.id, group.id, message.id)
    await client.forward_messages(target.id, group.id, message.id)
    await client.pin_chat_message(target.id, copy.id)
    copied, forwarded, pin = telegram.messages(target)
    assert (copied.text, copied.forwarded_from) == ("signal", None)
    assert copied.entities == forwarded.entities == (Entity("Bold", 0, 6),)
    assert (forwarded.forwarded_from, pin.service) == (alice.id, "PinMessage")


async def test_an_answer_to_a_message_of_another_chat_names_that_chat(
    client, telegram, alice, bot, group
):
    other = telegram.supergroup("Other", members=[alice, bot])
    quoted = await alice.sends(other, "there")
    await alice.sends(group, "here", reply_to=quoted, reply_elsewhere=other)
    await client.inbox.holds(2)
    header = client.inbox.raw[1].message.reply_to
    assert (header.reply_to_msg_id, header.reply_to_peer_id.channel_id) == (
        quoted.id,
        other.bare_id,
    )


async def test_chats_members_and_names_are_looked_up(client, telegram, alice, bot):
    public = telegram.supergroup("Public", username="public_signals", admins=[alice, bot])
    telegram.channel("News", linked=public, members=[alice])
    assert (await client.resolve_peer("public_signals")).channel_id == public.bare_id
    assert (await client.get_chat(public.id)).linked_chat.title == "News"
    me = await client.get_chat_member(public.id, "me")
    assert me.status.name == "ADMINISTRATOR"
    members = [m.user.id async for m in client.get_chat_members(public.id)]
    assert members == [alice.id, bot.id]
    assert await client.send_chat_action(public.id, enums.ChatAction.TYPING)


async def test_a_basic_group_is_looked_up_and_written_to(client, telegram, alice, bot):
    """Its messages have another id for each of its members."""
    old = telegram.group("Old", members=[alice, bot])
    await alice.sends(bot, "shifts the bot's ids")
    await alice.sends(old, "hello")
    got = await client.inbox.holds(2)
    assert (await client.get_chat(old.id)).members_count == 2
    sent = await client.send_message(old.id, "hello back", **replying(got.id))
    seen = telegram.messages(old)[-1]
    assert (seen.id, seen.reply_to) == (sent.id, got.id)
    await client.delete_messages(old.id, [sent.id])
    assert [m.text for m in telegram.messages(old)] == ["hello"]


async def test_a_bot_learns_that_it_was_added(client, telegram, alice, bot):
    """With updateChannel, and as a service message that the members read."""
    late = telegram.supergroup("Late", members=[alice])
    await alice.adds(bot, to=late)
    got = await client.inbox.holds(1)
    assert (got.service.name, got.chat.id) == ("NEW_CHAT_MEMBERS", late.id)
    assert isinstance(client.inbox.raw[0], raw.types.UpdateChannel)


# ── what is refused ──


async def test_a_stranger_may_not_read_or_write(client, telegram, alice):
    private = telegram.supergroup("Private", members=[alice])
    with pytest.raises(BadRequest, match="CHANNEL_INVALID"):
        await client.resolve_peer(private.id)


async def test_a_removed_bot_is_told_that_the_chat_is_private(client, telegram, alice, bot, group):
    await met(client, alice, group)
    await alice.removes(bot, group)
    with pytest.raises(ChannelPrivate):
        await client.send_message(group.id, "still here?")


async def test_a_bot_without_rights_may_not_post_in_a_channel(client, telegram, alice, bot):
    channel = telegram.channel("News", members=[bot], admins=[alice])
    with pytest.raises(ChatAdminRequired):
        await client.send_message(channel.id, "hello")


async def test_a_muted_bot_may_not_write(client, group, bot):
    group.members[bot.account].muted = True
    with pytest.raises(RPCError, match="CHAT_WRITE_FORBIDDEN"):
        await client.send_message(group.id, "hello")


async def test_what_only_users_may_call_is_a_bots_violation(client, telegram, group):
    peer = await client.resolve_peer(group.id)
    query = functions.messages.GetHistory(
        peer=peer,
        offset_id=0,
        offset_date=0,
        add_offset=0,
        limit=1,
        max_id=0,
        min_id=0,
        hash=0,
    )
    with pytest.raises(BadRequest, match="BOT_METHOD_INVALID"):
        await client.invoke(query)
    assert [c.name for c in telegram.calls.violations] == ["messages.GetHistory"]


async def test_a_call_this_server_does_not_have_is_noted(client, telegram):
    with pytest.raises(RPCError, match="METHOD_INVALID"):
        await client.invoke(functions.help.GetInviteText())
    assert [c.name for c in telegram.calls.unknown] == ["help.GetInviteText"]


@pytest.mark.parametrize(("text", "error"), [("a" * 4097, "TOO_LONG"), ("😀" * 2049, "TOO_LONG")])
async def test_text_is_counted_in_utf16_units(client, group, text, error):
    with pytest.raises(BadRequest, match=error):
        await client.send_message(group.id, text)


# ── differences ──


async def channel_difference(client: Client, chat: Chat, pts: int, limit: int = 100) -> Any:
    peer = await client.resolve_peer(chat.id)
    return await client.invoke(
        functions.updates.GetChannelDifference(
            channel=peer,
            filter=raw.types.ChannelMessagesFilterEmpty(),
            pts=pts,
            limit=limit,
        )
    )


async def test_a_channel_difference_shows_the_final_state(client, alice, group):
    """An edited message is new as it is now; a deleted one is only a deletion."""
    pts = group.box.pts
    edited = await alice.sends(group, "typo")
    doomed = await alice.sends(group, "oops")
    await alice.edits(edited, "fixed")
    await alice.deletes(doomed)
    difference = await channel_difference(client, group, pts)
    assert [m.message for m in difference.new_messages] == ["fixed"]
    assert [u.messages for u in difference.other_updates] == [[doomed.id]]
    assert (difference.pts, difference.final) == (group.box.pts, True)


async def test_an_old_messages_edit_is_among_the_other_updates(client, alice, group):
    message = await alice.sends(group, "typo")
    pts = group.box.pts
    await alice.edits(message, "fixed")
    (update,) = (await channel_difference(client, group, pts)).other_updates
    assert (type(update), update.message.message) == (
        raw.types.UpdateEditChannelMessage,
        "fixed",
    )


async def test_a_channel_difference_comes_in_slices(client, alice, group):
    pts, texts = group.box.pts, []
    for number in range(5):
        await alice.sends(group, str(number))
    while True:
        difference = await channel_difference(client, group, pts, limit=2)
        texts.append([m.message for m in difference.new_messages])
        pts = difference.pts
        if difference.final:
            break
    assert texts == [["0", "1"], ["2", "3"], ["4"]]
    empty = await channel_difference(client, group, pts)
    assert isinstance(empty, raw.types.updates.ChannelDifferenceEmpty)


async def test_a_long_absence_is_too_long_for_a_channel_difference(client, telegram, alice, group):
    telegram.rules.channel_too_long_after = 3
    telegram.rules.too_long_holds = 2
    pts = group.box.pts
    for number in range(4):
        await alice.sends(group, str(number))
    difference = await channel_difference(client, group, pts)
    assert isinstance(difference, raw.types.updates.ChannelDifferenceTooLong)
    assert [m.message for m in difference.messages] == ["3", "2"]
    assert difference.dialog.pts == group.box.pts


async def common_difference(client: Client, pts: int, date: int = 1) -> Any:
    return await client.invoke(functions.updates.GetDifference(pts=pts, date=date, qts=0))


async def test_a_common_difference_has_private_messages_and_names_channels(
    client, telegram, alice, bot, group
):
    with telegram.faults.no_pushes():
        await alice.sends(bot, "/status")
        await alice.sends(group, "missed")
    difference = await common_difference(client, 1)
    assert [m.message for m in difference.new_messages] == ["/status"]
    (hint,) = difference.other_updates
    assert (hint.channel_id, hint.pts) == (group.bare_id, group.box.pts)
    assert difference.state.pts == bot.account.box.pts


async def test_a_common_difference_is_empty_sliced_or_too_long(client, telegram, alice, bot):
    empty = await common_difference(client, bot.account.box.pts)
    assert isinstance(empty, raw.types.updates.DifferenceEmpty)
    for number in range(3):
        await alice.sends(bot, str(number))
    telegram.rules.common_slice = 2
    part = await common_difference(client, 1)
    assert [m.message for m in part.new_messages] == ["0", "1"]
    rest = await common_difference(client, part.intermediate_state.pts)
    assert [m.message for m in rest.new_messages] == ["2"]
    telegram.rules.common_too_long_after = 2
    too_long = await common_difference(client, 1)
    assert too_long.pts == bot.account.box.pts


async def test_a_bots_own_message_is_in_the_difference(client, group):
    """A client that crashed before the answer came can find what it sent."""
    pts = group.box.pts
    sent = await client.send_message(group.id, "mine")
    (message,) = (await channel_difference(client, group, pts)).new_messages
    assert (message.id, message.out) == (sent.id, True)


@pytest.mark.skipif(not NEWER, reason="Pyrogram 2.0.106 never asks for what it missed")
async def test_a_client_that_was_away_recovers_by_itself(telegram, alice, bot, group, tmp_path):
    """Kurigram's own recovery, from the state in its session file."""

    async def run(missed: int) -> list[str]:
        away = telegram.client("away", bot, workdir=tmp_path, skip_updates=False, workers=1)
        inbox = Inbox(away, telegram)
        async with away:
            await inbox.holds(missed)
            await alice.sends(group, f"live, {missed} missed")
            await inbox.holds(missed + 1)
        return inbox.texts

    await run(0)
    await alice.sends(group, "while away")
    await alice.sends(bot, "in private")
    assert sorted(await run(2)) == ["in private", "live, 2 missed", "while away"]


# ── faults of calls ──


async def test_a_short_flood_wait_is_slept_and_a_long_one_is_raised(client, telegram, group):
    peer = await client.resolve_peer(group.id)
    kind = functions.messages.SendMessage
    telegram.faults.on(kind, FloodWait(0))
    await send(client, peer, "soon", 1)
    telegram.faults.on(kind, FloodWait(3600))
    with pytest.raises(FloodWaited) as raised:
        await send(client, peer, "late", 2)
    assert raised.value.value == 3600
    assert [m.text for m in telegram.messages(group)] == ["soon"]


async def test_an_error_strikes_as_often_as_scripted(client, telegram, group):
    kind = functions.messages.SendMessage
    script = telegram.faults.on(kind, RpcError(400, "PEER_ID_INVALID"), times=2, after=1)
    peer = await client.resolve_peer(group.id)
    await send(client, peer, "first", 1)
    for number in (2, 3):
        with pytest.raises(BadRequest):
            await send(client, peer, "struck", number)
    await send(client, peer, "last", 4)
    assert (script.hits, [m.text for m in telegram.messages(group)]) == (2, ["first", "last"])


@pytest.mark.parametrize(("fault", "executed"), [(Swallow(), 1), (Drop(), 0)])
async def test_a_missing_answer_leaves_the_client_in_doubt(
    client, telegram, group, fault, executed
):
    """Executed and never answered, or not even executed; a retry settles it."""
    peer = await client.resolve_peer(group.id)
    telegram.faults.on(functions.messages.SendMessage, fault)
    with pytest.raises(TimeoutError):
        await send(client, peer, "sent?", 7, timeout=0.2, retries=1 if NEWER else 0)
    assert len(telegram.messages(group)) == executed
    await send(client, peer, "sent?", 7)
    assert len(telegram.messages(group)) == 1


@pytest.mark.parametrize(("fault", "executed"), [(CutAfter(), 1), (CutBefore(), 0)])
async def test_a_connection_cut_around_a_call(client, telegram, group, fault, executed):
    peer = await client.resolve_peer(group.id)
    telegram.faults.on(functions.messages.SendMessage, fault)
    with pytest.raises(TimeoutError):
        await send(client, peer, "sent?", 7, timeout=0.3, retries=1 if NEWER else 0)
    assert len(telegram.messages(group)) == executed
    await send(client, peer, "sent?", 7)
    assert len(telegram.messages(group)) == 1


async def test_an_answer_cut_off_comes_on_the_next_connection(client, telegram, group):
    telegram.rules.resend_unacked = True
    peer = await client.resolve_peer(group.id)
    telegram.faults.on(functions.messages.SendMessage, CutAfter())
    await send(client, peer, "sent", 7)
    assert len(telegram.calls.of(functions.messages.SendMessage)) == 1


async def test_a_held_answer_comes_when_released(client, telegram, group):
    """What comes after it is answered meanwhile."""
    hold = Hold()
    telegram.faults.on(functions.messages.SendMessage, hold)
    peer = await client.resolve_peer(group.id)
    waiting = client.loop.create_task(send(client, peer, "held", 1))
    await telegram.wait_for(lambda: telegram.messages(group))
    await send(client, peer, "not held", 2)
    assert not waiting.done()
    hold.release()
    assert (await waiting).updates


async def test_a_delayed_answer_comes_later(client, telegram, group):
    telegram.faults.on(functions.messages.SendMessage, Delay(0.05))
    assert (await send(client, await client.resolve_peer(group.id), "late", 1)).updates


async def test_chance_is_seeded(client, telegram, group):
    """The same seed strikes the same calls."""
    peer = await client.resolve_peer(group.id)
    kind, struck = functions.messages.SendMessage, []
    for base in (0, 100):
        chance = Sometimes({RpcError(400, "PEER_ID_INVALID"): 0.5}, seed=3)
        script = telegram.faults.on(kind, chance, times=None)
        outcome = []
        for number in range(6):
            try:
                outcome.append(bool(await send(client, peer, "x", base + number)))
            except BadRequest:
                outcome.append(False)
        struck.append(outcome)
        script.cancel()
    assert struck[0] == struck[1]
    assert {True, False} == set(struck[0])


# ── faults of pushes and connections ──


async def test_a_gap_is_in_the_box_and_was_pushed_to_nobody(client, telegram, alice, group):
    with telegram.faults.no_pushes():
        await alice.sends(group, "hidden")
    await alice.sends(group, "seen")
    await client.inbox.holds(1)
    update = client.inbox.raw[0]
    assert (client.inbox.texts, update.pts, update.pts_count) == (["seen"], 3, 1)


async def test_pushes_come_out_of_order_and_twice(client, telegram, alice, group):
    with telegram.faults.out_of_order():
        await alice.sends(group, "first")
        await alice.sends(group, "second")
    await client.inbox.holds(2)
    with telegram.faults.pushed_twice():
        await alice.sends(group, "third")
    await client.inbox.holds(4)
    assert client.inbox.texts == ["second", "first", "third", "third"]


async def test_too_long_is_pushed(client, telegram, bot, group):
    telegram.faults.push_channel_too_long(bot, group)
    telegram.faults.push_too_long(bot)
    await telegram.wait_for(lambda: client.inbox.raw)
    assert client.inbox.raw[0].channel_id == group.bare_id


async def test_a_client_reconnects_after_its_connections_were_killed(
    client, telegram, alice, bot, group
):
    await met(client, alice, group)
    before = telegram.server.accepted
    telegram.faults.kill_connections()
    await telegram.wait_for(lambda: telegram.server.accepted > before)
    await telegram.wait_for(lambda: telegram.sessions(bot) == 1)
    await alice.sends(group, "welcome back")
    await client.inbox.holds(2)


async def test_a_client_gets_through_once_connections_are_accepted_again(
    client, telegram, alice, bot, group
):
    await met(client, alice, group)
    telegram.faults.refuse_connections()
    telegram.faults.kill_connections()
    await telegram.wait_for(lambda: telegram.sessions(bot) == 0)
    await telegram.faults.accept_connections()
    await telegram.wait_for(lambda: telegram.sessions(bot) == 1)


async def test_a_new_salt_is_learned(client, telegram, group):
    peer = await client.resolve_peer(group.id)
    telegram.faults.rotate_salts()
    await send(client, peer, "salted", 1)
    assert len(telegram.messages(group)) == 1


async def test_a_fault_strikes_one_account_only(telegram, client, alice, bot, group):
    telegram.faults.on(
        functions.updates.GetState, RpcError(400, "PEER_ID_INVALID"), account=bot, times=None
    )
    async with telegram.client("alice", alice):
        with pytest.raises(BadRequest):
            await client.invoke(functions.updates.GetState())


async def test_a_frozen_server_hears_nothing(client, telegram, group):
    peer = await client.resolve_peer(group.id)
    with telegram.faults.freeze(), pytest.raises(TimeoutError):
        await send(client, peer, "lost", 1, timeout=0.1, retries=1 if NEWER else 0)
    assert telegram.messages(group) == []


async def test_a_revoked_session_is_unauthorised(client, telegram, bot, group):
    peer = await client.resolve_peer(group.id)
    telegram.faults.revoke(bot, "SESSION_REVOKED")
    with pytest.raises(Unauthorized, match="SESSION_REVOKED"):
        await send(client, peer, "hello", 1)


# ── programs ──

PROGRAM = """
import asyncio, sys

async def main():
    from pyrogram import Client, filters
    done = asyncio.Event()
    async with Client("child", api_id=int(sys.argv[1]), api_hash=sys.argv[2],
                      bot_token=sys.argv[3], in_memory=True) as app:
        @app.on_message(filters.text)
        async def echo(client, message):
            print("GOT", message.text, flush=True)
            await client.send_message(message.chat.id, message.text.upper())
            if message.text == "stop":
                done.set()
        print("READY", flush=True)
        await done.wait()
    print("BYE", flush=True)

loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
loop.run_until_complete(main())
"""


@pytest.fixture
def program(tmp_path: Path, bot: Person) -> list[str]:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return [str(path), str(API_ID), API_HASH, str(bot.token)]


async def test_an_unmodified_program_runs_against_it(telegram, alice, group, program):
    child = await telegram.run(program)
    await child.wait_output("READY")
    await alice.sends(group, "hello")
    await telegram.wait_for(lambda: len(telegram.messages(group)) == 2)
    await alice.sends(group, "stop")
    assert await child.wait() == 0, child.output
    assert "GOT hello\nGOT stop\nBYE\n" in child.stdout
    assert [m.text for m in telegram.messages(group)] == ["hello", "HELLO", "stop", "STOP"]


async def test_a_killed_program_is_gone(telegram, bot, program):
    child = await telegram.run(program)
    await child.wait_output("READY")
    child.kill()
    assert await child.wait() == -signal.SIGKILL
    await telegram.wait_for(lambda: telegram.sessions(bot) == 0)


async def test_output_that_never_comes_fails_with_what_was_printed(telegram):
    child = await telegram.run(["-c", "print('something else')"])
    with pytest.raises(AssertionError, match="something else"):
        await child.wait_output("READY")


def test_nothing_stays_redirected():
    """Outside `async with`, the library knows Telegram's own keys and data centres again."""
    assert TCP.connect.__module__ == TCP.__module__
    assert not hasattr(TCP.connect, "__wrapped__")
    assert len(rsa.server_public_keys) > 1
