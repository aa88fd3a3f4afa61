"""The connection: what an operator sees at login, and what is heard, in which order."""

from __future__ import annotations

import asyncio
import gc
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from pyrogram import raw

from bot.errors import LoggedOut, RetryLater, TargetUnavailable
from bot.models import (
    ChatId,
    DeletedMessages,
    EditedMessage,
    Event,
    IncomingMessage,
    MessageRef,
    MigratedChat,
    Reached,
)
from bot.telegram.catch_up import Following
from bot.telegram.chats import moved_to, resolve
from bot.telegram.client import Telegram
from bot.telegram.credentials import Credentials
from tests.accounts import connection, key_kept_in
from tests.loopback import (
    Chat,
    FloodWait,
    LoopbackTelegram,
    Member,
    Person,
    Role,
    RpcError,
)
from tests.loopback.tl import make

functions = raw.functions
WIDE_ID = 2_880_553_977  # a channel id above 2147483647


class Ears:
    """Hears events, and can be told to do something about them."""

    def __init__(self, telegram: LoopbackTelegram) -> None:
        self.heard: list[Event] = []
        self.then: Callable[[Event], Awaitable[None]] | None = None
        self._telegram = telegram

    async def __call__(self, event: Event) -> None:
        if isinstance(event, Reached):
            return
        self.heard.append(event)
        self._telegram.notify()
        if self.then is not None:
            await self.then(event)

    async def hear(self, count: int) -> list[Event]:
        await self._telegram.wait_for(lambda: len(self.heard) >= count)
        return self.heard

    @property
    def texts(self) -> list[str]:
        return [event.text for event in self.heard if isinstance(event, IncomingMessage)]


@pytest.fixture
def group(telegram: LoopbackTelegram, alice: Person, bot: Person) -> Chat:
    return telegram.supergroup("Signals", members=[alice, bot])


@pytest.fixture
def ears(telegram: LoopbackTelegram) -> Ears:
    return Ears(telegram)


@pytest.fixture
async def connect(
    telegram: LoopbackTelegram, bot: Person, ears: Ears, tmp_path: Path
) -> AsyncIterator[Callable[..., Telegram]]:
    """Makes connections, not started, and closes them in the end."""
    made: list[Telegram] = []

    def connect(**options: Any) -> Telegram:
        login = {"directory": tmp_path / "data"}
        if "session_string" not in options:
            login["bot_token"] = bot.token
        made.append(connection(**{**login, "call_timeout": 2, **options}))
        return made[-1]

    yield connect
    for one in made:
        await one.stop()


@pytest.fixture
async def follow(
    connect: Callable[..., Telegram], ears: Ears, store
) -> AsyncIterator[Callable[..., Awaitable[Telegram]]]:
    """Starts a connection that hears these chats."""
    listening: list[asyncio.Task[None]] = []

    async def follow(*chats: Chat, **options: Any) -> Telegram:
        following = Following(store, [chat.id for chat in chats])
        relay = connect(following=following, **options)
        await relay.start()
        listening.append(asyncio.create_task(relay.listen(ears)))
        while not relay.current:
            await asyncio.sleep(0)
        return relay

    yield follow
    for task in listening:
        task.cancel()


@pytest.fixture
async def relay(
    follow: Callable[..., Awaitable[Telegram]],
    telegram: LoopbackTelegram,
    group: Chat,
    tmp_path: Path,
) -> Telegram:
    (tmp_path / "data").mkdir()
    await key_kept_in(tmp_path / "data", telegram)
    return await follow(group)


# ── logging in ──


async def test_a_bot_logs_in_and_is_told_who_it_is(connect, bot):
    me = await connect().start()
    assert (me.id, me.name, me.username, me.is_bot) == (bot.id, "relay_bot", "relay_bot", True)


async def test_a_person_logs_in_with_a_session_string(connect, telegram, alice, tmp_path):
    """Nothing of it is written to disk."""
    me = await connect(session_string=telegram.session_string(alice)).start()
    assert (me.id, me.name, me.is_bot) == (alice.id, "Alice", False)
    assert list((tmp_path / "data").iterdir()) == []


async def test_the_login_is_kept_for_the_next_start_and_nobody_else_can_read_it(
    connect, telegram, tmp_path
):
    for _ in range(2):
        relay = connect()
        await relay.start()
        await relay.stop()
    assert len(telegram.calls.of(functions.auth.ImportBotAuthorization)) == 1
    modes = [stat.S_IMODE(f.stat().st_mode) for f in (tmp_path / "data").iterdir()]
    assert modes == [0o600]
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


async def test_a_login_file_that_others_could_read_is_closed_to_them(connect, tmp_path):
    relay = connect()
    await relay.start()
    await relay.stop()
    file = tmp_path / "data" / "relay.session"
    file.chmod(0o644)
    await relay.start()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("error", "line"),
    [
        ("ACCESS_TOKEN_INVALID", "BOT_TOKEN is wrong or was revoked"),
        ("ACCESS_TOKEN_EXPIRED", "BOT_TOKEN is wrong or was revoked"),
        ("API_ID_INVALID", "API_ID or API_HASH is wrong"),
        ("SOMETHING_NEW_INVALID", "relay.session is void, log in anew"),
    ],
)
async def test_a_refused_login_names_the_setting_and_no_secret(connect, telegram, error, line):
    telegram.faults.on(functions.auth.ImportBotAuthorization, RpcError(400, error))
    with pytest.raises(LoggedOut) as caught:
        await connect().start()
    assert error in str(caught.value)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "42:secret" not in str(caught.value)


@pytest.mark.parametrize("error", ["AUTH_KEY_UNREGISTERED", "SESSION_REVOKED", "USER_DEACTIVATED"])
async def test_a_revoked_session_is_logged_out(connect, telegram, alice, error):
    text = telegram.session_string(alice)
    telegram.faults.revoke(alice, error)
    with pytest.raises(LoggedOut, match=f"{error}: SESSION_STRING is void"):
        await connect(session_string=text).start()


@pytest.mark.parametrize("text", ["nonsense", "ключ", "A" * 400])
async def test_a_session_string_that_cannot_be_read_is_said_to_be_so(connect, text):
    with pytest.raises(LoggedOut, match=r"^SESSION_STRING cannot be read$"):
        await connect(session_string=text).start()


async def test_a_damaged_session_file_is_named(connect, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "relay.session").write_bytes(b"not a database, but long enough" * 40)
    with pytest.raises(LoggedOut, match=r"relay\.session cannot be used"):
        await connect().start()


async def test_another_bots_token_does_not_run_on_the_old_bots_login(connect, telegram):
    """Else a changed BOT_TOKEN would change nothing."""
    first = connect()
    await first.start()
    await first.stop()
    telegram.bot("other_bot", token="43:other")
    with pytest.raises(LoggedOut, match="not of the bot"):
        await connect(bot_token="43:other").start()


async def test_a_flood_wait_at_login_is_passed_on(connect, telegram):
    telegram.faults.on(functions.auth.ImportBotAuthorization, FloodWait(7))
    with pytest.raises(RetryLater) as caught:
        await connect().start()
    assert caught.value.after.total_seconds() == 7


async def test_a_network_that_is_down_is_no_reason_to_give_up_for_good(connect, telegram):
    """`start` says so, leaves nothing open, and succeeds once the network is back."""
    relay = connect()
    telegram.faults.refuse_connections()
    with pytest.raises(RetryLater, match="not logged in yet"):
        await relay.start()
    await telegram.faults.accept_connections()
    assert (await connect().start()).is_bot
    gc.collect()


async def test_a_login_that_telegram_forgot_ends_the_start(connect, telegram, tmp_path):
    """Pyrogram by itself would go on for ever. What is said is what Telegram did."""
    before, relay = connect(), connect()
    await before.start()
    await before.stop()
    telegram.faults.forget_keys()
    async with asyncio.timeout(4):
        with pytest.raises(RetryLater, match=r"\(404\); if that lasts, .*relay\.session is void"):
            await relay.start()


def test_a_login_needs_exactly_one_secret(tmp_path):
    for secrets in ({}, {"bot_token": "42:x", "session_string": "x"}):
        with pytest.raises(ValueError, match="either a bot token or a session string"):
            Credentials(api_id=1, api_hash="", directory=tmp_path, **secrets)


# ── hearing ──


async def test_messages_edits_and_deletions_are_heard_in_order(relay, ears, alice, group):
    message = await alice.sends(group, "#idea BTC LONG")
    await alice.edits(message, "#idea BTC SHORT")
    await alice.sends(group, "took TP1", reply_to=message)
    await alice.deletes(message)
    first, edit, reply, deletion = await ears.hear(4)
    assert (first.text, first.author, first.author_name) == ("#idea BTC LONG", alice.id, "Alice")
    assert isinstance(edit, EditedMessage)
    assert (edit.message.text, edit.message.ref) == ("#idea BTC SHORT", first.ref)
    assert reply.reply_to == first.ref == MessageRef(group.id, message.id)
    assert deletion == DeletedMessages(group.id, (message.id,))


async def test_a_message_of_a_wide_chat_nothing_is_known_about_is_heard(
    follow, telegram, ears, alice, bot
):
    """Its author comes without access hash; Pyrogram by itself would ask who that is."""
    chat = telegram.supergroup("Wide", members=[alice, bot], id=WIDE_ID)
    await follow(chat)
    with telegram.faults.no_pushes():
        sent = await alice.sends(chat, "#idea")
    message = make(
        raw.types.Message,
        id=sent.id,
        peer_id=raw.types.PeerChannel(channel_id=WIDE_ID),
        from_id=raw.types.PeerUser(user_id=alice.id),
        date=sent.date,
        message="#idea",
    )
    new = raw.types.UpdateNewChannelMessage(message=message, pts=chat.box.pts, pts_count=1)
    stranger = make(raw.types.User, id=alice.id, min=True)
    telegram.faults.push(
        bot,
        raw.types.Updates(updates=[new], users=[stranger], chats=[], date=sent.date, seq=0),
    )
    [event] = await ears.hear(1)
    assert (event.chat_id, event.author) == (chat.id, alice.id)


async def test_a_slow_event_does_not_let_the_next_one_overtake_it(relay, ears, alice, group):
    order: list[tuple[str, str]] = []

    async def slowly(event):
        order.append(("begun", event.text))
        for _ in range(20):
            await asyncio.sleep(0)
        order.append(("done", event.text))

    ears.then = slowly
    texts = [str(number) for number in range(30)]
    for text in texts:
        await alice.sends(group, text)
    await ears.hear(30)
    await relay.stop()
    assert order == [(what, text) for text in texts for what in ("begun", "done")]


async def test_a_reply_costs_no_call(relay, telegram, ears, alice, group):
    """Pyrogram by itself asks for the parent of every reply, at any depth."""
    parent = await alice.sends(group, "#idea")
    await ears.hear(1)
    telegram.calls.clear()
    for _ in range(3):
        parent = await alice.sends(group, "deeper", reply_to=parent)
    await alice.pins(parent)
    await ears.hear(5)
    assert telegram.calls.names() == []
    assert telegram.calls.violations == telegram.calls.unknown == []


async def test_an_album_comes_as_its_messages(relay, telegram, ears, alice, group):
    await alice.sends_album(group, [telegram.photo(), telegram.photo()], caption="two")
    first, second = await ears.hear(2)
    assert first.album_id == second.album_id is not None
    assert [m.media.kind for m in (first, second)] == ["photo", "photo"]
    assert (first.text, second.text) == ("two", "")


@pytest.mark.parametrize("named", [True, False])
async def test_an_anonymous_admin_speaks_as_the_group(relay, telegram, ears, alice, group, named):
    telegram.rules.anonymous_from_id = named
    await alice.sends(group, "from above", anonymous=True)
    [event] = await ears.hear(1)
    assert (event.author, event.author_name) == (group.id, "Signals")


async def test_a_channel_speaks_for_itself_and_its_copy_in_the_group_is_no_forward(
    follow, telegram, ears, alice, bot, group
):
    channel = telegram.channel("News", linked=group, admins=[alice, bot])
    await follow(channel, group)
    await alice.sends(channel, "#idea BTC")
    post, copy = await ears.hear(2)
    assert (post.chat_id, post.author, post.forwarded) == (channel.id, channel.id, False)
    assert (copy.chat_id, copy.author, copy.forwarded) == (group.id, channel.id, False)


async def test_a_person_who_forwards_a_signal_is_seen_to_forward(
    follow, telegram, ears, alice, bot, group
):
    channel = telegram.channel("News", admins=[alice, bot])
    await follow(channel, group)
    post = await alice.sends(channel, "#idea BTC")
    await ears.hear(1)
    await alice.forwards(post, to=group)
    event = (await ears.hear(2))[1]
    assert (event.author, event.forwarded) == (alice.id, True)


async def test_topics_replies_elsewhere_and_service_messages(follow, telegram, ears, alice, bot):
    forum = telegram.supergroup("Forum", forum=True, members=[alice, bot])
    other = telegram.supergroup("Other", members=[alice, bot])
    await follow(forum)
    elsewhere = await alice.sends(other, "#idea")
    topic = await alice.opens_topic(forum, "Trades")
    await alice.sends(forum, "in the topic", topic=topic)
    await alice.sends(forum, "to another chat", reply_to=elsewhere, reply_elsewhere=other)
    opened, talk, reply = await ears.hear(3)
    assert (opened.service, opened.text) == (True, "")
    assert talk.reply_to == MessageRef(forum.id, topic.id)
    assert reply.reply_to == MessageRef(other.id, elsewhere.id)


async def test_a_basic_group_becomes_a_supergroup(relay, telegram, ears, alice, bot):
    old = telegram.group("Old", members=[alice, bot])
    await alice.sends(old, "small talk")
    new = await alice.upgrades(old)
    talk, moved = await ears.hear(2)
    assert talk.chat_id == old.id
    assert moved == MigratedChat(old.id, new.id)
    assert await moved_to(relay, old.id) == new.id
    assert [await moved_to(relay, chat.id) for chat in (new, alice)] == [None, None]


@pytest.mark.parametrize("short", [False, True])
async def test_a_private_message_is_heard(relay, telegram, ears, alice, bot, short):
    telegram.rules.short_private_messages = short
    message = await alice.sends(bot, "/status")
    [event] = await ears.hear(1)
    assert (event.chat_id, event.author, event.text) == (alice.id, alice.id, "/status")
    await alice.deletes(message)
    assert (await ears.hear(2))[1].chat_id is None


async def test_what_a_person_wrote_himself_in_a_private_chat_is_his_own(
    follow, telegram, ears, alice
):
    """A second device of the account the relay reads with."""
    bob = telegram.user("Bob")
    await follow(session_string=telegram.session_string(alice))
    await alice.sends(bob, "mine")
    [event] = await ears.hear(1)
    assert (event.chat_id, event.author) == (bob.id, alice.id)


async def test_a_stopped_connection_says_so(relay, group):
    await relay.stop()
    await relay.stop()
    with pytest.raises(RetryLater):
        await relay.sender.send_text(group.id, "too late", random_id=1)


# ── chats ──


async def test_a_chat_says_what_may_be_done_there(relay, telegram, alice, bot, group):
    group.members[bot.account] = Member(Role.ADMIN)
    led = telegram.channel("News", admins=[bot], id=WIDE_ID)
    read = telegram.channel("Read", members=[bot])
    basic = telegram.group("Basic", members=[alice, bot])
    infos = [await resolve(relay, chat.id) for chat in (group, led, read, basic)]
    assert [(i.id, i.title, i.kind, i.can_post) for i in infos] == [
        (group.id, "Signals", "supergroup", True),
        (led.id, "News", "channel", True),
        (read.id, "Read", "channel", False),
        (basic.id, "Basic", "group", True),
    ]
    assert [i.can_read for i in infos[:2]] == [True, True]
    person = await resolve(relay, alice.id)
    assert (person.title, person.kind) == ("Alice", "private")


async def test_a_bot_that_is_no_admin_hears_little_of_a_group(relay, group):
    """Privacy mode: commands and answers to itself, unless its owner switched that off."""
    info = await resolve(relay, group.id)
    assert (info.can_read, info.can_post) == (False, True)


async def test_a_person_reads_whatever_he_is_in(connect, telegram, alice, group):
    person = connect(session_string=telegram.session_string(alice))
    await person.start()
    assert (await resolve(person, group.id)).can_read is True


async def test_a_chat_one_was_removed_from_can_neither_be_read_nor_written(
    relay, alice, bot, group
):
    await resolve(relay, group.id)
    await alice.removes(bot, group)
    info = await resolve(relay, group.id)
    assert (info.can_read, info.can_post) == (False, False)


@pytest.mark.parametrize("number", [-1009999999999, -1, 5, 0])
async def test_a_chat_that_nobody_knows_is_unavailable(relay, number):
    with pytest.raises(TargetUnavailable) as caught:
        await resolve(relay, ChatId(number))
    assert caught.value.chat_id == number


async def test_no_call_leaves_a_file_where_the_program_stands(
    relay, telegram, group, tmp_path, monkeypatch
):
    """The libraries note errors they do not know in `unknown_errors.txt`."""
    monkeypatch.chdir(tmp_path)
    telegram.faults.on(functions.messages.SendMessage, RpcError(400, "NEVER_HEARD_OF"))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(Exception, match="NEVER_HEARD_OF"):
        await relay.sender.send_text(group.id, "x", random_id=1)
    assert sorted(tmp_path.iterdir()) == before


async def test_no_call_is_made_before_it_is_permitted(connect, telegram):
    """Where several hosts work together, one that may be deposed asks nothing and sends nothing."""
    asked, permitted = asyncio.Event(), asyncio.Event()

    async def permit():
        asked.set()
        await permitted.wait()

    relay = connect(permit=permit)
    await relay.start()
    before = len(telegram.calls.of(functions.updates.GetState))
    calling = asyncio.create_task(relay.call(functions.updates.GetState()))
    asking = asyncio.create_task(asked.wait())
    await asyncio.wait({calling, asking}, return_when=asyncio.FIRST_COMPLETED)
    asking.cancel()
    assert len(telegram.calls.of(functions.updates.GetState)) == before

    permitted.set()
    await calling
    assert len(telegram.calls.of(functions.updates.GetState)) == before + 1
