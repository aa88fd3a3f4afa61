"""Raw TL to our words: who, where, when, and what was said, by every shape Telegram sends."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyrogram import raw

from bot.models import (
    DeletedMessages,
    EditedMessage,
    Entity,
    IncomingMessage,
    Indirect,
    Media,
    MessageRef,
    MigratedChat,
    PressedButton,
)
from bot.telegram.entities import entities, entities_to_raw
from bot.telegram.messages import events, incoming, media, media_to_input, people_of
from tests.loopback.tl import find, make

types = raw.types

ME, ALICE, GROUP, CHANNEL, WIDE = 42, 7001, 50, 1234567890, 2_880_553_977
NOON = 1_770_000_000


def user(number: int) -> Any:
    return types.PeerUser(user_id=number)


def group(number: int) -> Any:
    return types.PeerChat(chat_id=number)


def channel(number: int) -> Any:
    return types.PeerChannel(channel_id=number)


def message(**fields: Any) -> Any:
    given_ = {"id": 7, "peer_id": channel(CHANNEL), "date": NOON, "message": "", **fields}
    return make(types.Message, **given_)


def read(**fields: Any) -> IncomingMessage | None:
    return incoming(message(**fields), me=ME)


def reply_header(**fields: Any) -> Any:
    return make(types.MessageReplyHeader, **fields)


# ── where and who ──


@pytest.mark.parametrize(
    ("peer", "chat_id"),
    [
        (user(ALICE), ALICE),
        (group(GROUP), -GROUP),
        (channel(CHANNEL), -1001234567890),
        (channel(WIDE), -1002880553977),
        (channel(0), None),
        (user(0), None),
        (user(2**63 - 1), 2**63 - 1),
        (user(2**63), None),
        (user(-5), None),
        (channel(2**63 - 1 - 10**12), -(2**63 - 1)),
        (channel(2**63 - 10**12), None),
        (channel(2**63 - 1), None),
        (None, None),
    ],
)
def test_chats_are_counted_as_bot_api_does(peer, chat_id):
    """Without a chat there is no message."""
    found = read(peer_id=peer)
    assert (found and found.chat_id) == chat_id


AUTHORS = {
    "a person in a group": ({"from_id": user(ALICE)}, ALICE),
    "a channel in a group": ({"from_id": channel(5)}, -1000000000005),
    "an anonymous admin, named": ({"from_id": channel(CHANNEL)}, -1001234567890),
    "an anonymous admin, unnamed": ({}, -1001234567890),
    "an anonymous admin of a basic group": ({"peer_id": group(GROUP)}, -GROUP),
    "a channel post": ({"post": True}, -1001234567890),
    "a post signed with a profile": ({"post": True, "from_id": user(ALICE)}, -1001234567890),
    "a post where nobody but people can post": (
        {"peer_id": group(GROUP), "post": True, "from_id": user(ALICE)},
        ALICE,
    ),
    "the partner of a private chat": ({"peer_id": user(ALICE)}, ALICE),
    "oneself in a private chat": ({"peer_id": user(ALICE), "out": True}, ME),
    "oneself, named": ({"peer_id": user(ALICE), "out": True, "from_id": user(9)}, 9),
    "Telegram": ({"from_id": user(777000)}, None),
    "Telegram, in private": ({"peer_id": user(777000)}, None),
    "the anonymous admin bot": ({"from_id": user(1087968824)}, None),
    "the channel bot": ({"from_id": user(136817688)}, None),
    "nobody": ({"from_id": user(0)}, None),
    "too large a number": ({"from_id": user(2**63)}, None),
    "too large a channel": ({"from_id": channel(2**63 - 1)}, None),
    "no peer at all": ({"from_id": types.MessageMediaEmpty()}, None),
}


@pytest.mark.parametrize(("fields", "author"), AUTHORS.values(), ids=AUTHORS)
def test_the_author_is_who_speaks_or_unknown(fields, author):
    assert read(**fields).author == author


def test_what_one_sent_without_knowing_oneself_has_no_author():
    assert incoming(message(peer_id=user(ALICE), out=True)).author is None


@pytest.mark.parametrize(
    ("peer", "name"),
    [
        (user(ALICE), "Alice Liddell"),
        (channel(CHANNEL), "Signals"),
        (group(GROUP), "Basic"),
        (user(9), None),
        (channel(9), None),
    ],
)
def test_the_authors_name_is_known_where_telegram_sent_it_along(peer, name):
    users = {ALICE: make(types.User, id=ALICE, first_name="Alice", last_name="Liddell")}
    chats = {
        CHANNEL: make(types.Channel, id=CHANNEL, title="Signals"),
        GROUP: make(types.Chat, id=GROUP, title="Basic"),
    }
    found = incoming(message(from_id=peer), users=users, chats=chats)
    assert found.author_name == name


def test_people_and_chats_that_come_along_are_found_by_their_bare_ids():
    alice = make(types.User, id=ALICE)
    basic, signals = make(types.Chat, id=GROUP), make(types.Channel, id=CHANNEL)
    updates = make(types.Updates, users=[alice], chats=[basic, signals])

    assert people_of(updates) == ({ALICE: alice}, {GROUP: basic, CHANNEL: signals})
    assert people_of(make(types.UpdateShort)) == ({}, {})


# ── replies and forwards ──

REPLIES = {
    "none": (None, None),
    "here": ({"reply_to_msg_id": 3}, (-1001234567890, 3)),
    "nested": ({"reply_to_msg_id": 3, "reply_to_top_id": 1}, (-1001234567890, 3)),
    "elsewhere": ({"reply_to_msg_id": 3, "reply_to_peer_id": channel(5)}, (-1000000000005, 3)),
    "to a person's chat": ({"reply_to_msg_id": 3, "reply_to_peer_id": user(5)}, (5, 3)),
    "a topic's root": ({"reply_to_msg_id": 3, "forum_topic": True}, (-1001234567890, 3)),
    "in a topic": (
        {"reply_to_msg_id": 9, "reply_to_top_id": 3, "forum_topic": True},
        (-1001234567890, 9),
    ),
    "to a scheduled message": ({"reply_to_msg_id": 3, "reply_to_scheduled": True}, None),
    "to nothing": ({"reply_to_msg_id": 0}, None),
    "to nowhere": ({"reply_to_msg_id": 3, "reply_to_peer_id": channel(0)}, None),
}


@pytest.mark.parametrize(("header", "reply"), REPLIES.values(), ids=REPLIES)
def test_what_is_answered_is_named_by_chat_and_number(header, reply):
    found = read(reply_to=None if header is None else reply_header(**header))
    assert found.reply_to == (None if reply is None else MessageRef(*reply))


TOPS = {
    "not told": ({"reply_to_msg_id": 3}, None),
    "nested": ({"reply_to_msg_id": 3, "reply_to_top_id": 1}, 1),
    "the topic's, and no thread's": (
        {"reply_to_msg_id": 9, "reply_to_top_id": 3, "forum_topic": True},
        None,
    ),
    "of another chat": (
        {"reply_to_msg_id": 3, "reply_to_top_id": 1, "reply_to_peer_id": channel(5)},
        None,
    ),
    "of scheduled messages": (
        {"reply_to_msg_id": 3, "reply_to_top_id": 1, "reply_to_scheduled": True},
        None,
    ),
    "no id": ({"reply_to_msg_id": 3, "reply_to_top_id": 0}, None),
}


@pytest.mark.parametrize(("header", "top"), TOPS.values(), ids=TOPS)
def test_where_a_thread_began_is_told_of_threads_and_not_of_topics(header, top):
    assert read(reply_to=reply_header(**header)).reply_to_top == top


@pytest.mark.parametrize(
    ("fields", "edited"),
    [({}, None), ({"edit_date": 7}, 7), ({"edit_date": 7, "edit_hide": True}, None)],
)
def test_an_edit_counts_where_people_are_shown_it(fields, edited):
    """A reaction, too, leaves a date of edit, which is hidden."""
    assert read(**fields).edited_at == edited


@pytest.mark.parametrize(
    ("field", "how"),
    [
        ("via_bot_id", Indirect.VIA_BOT),
        ("via_business_bot_id", Indirect.VIA_BOT),
        ("guestchat_via_from", Indirect.VIA_BOT),
        ("from_scheduled", Indirect.SCHEDULED),
        ("schedule_repeat_period", Indirect.SCHEDULED),
        ("offline", Indirect.AUTOMATIC),
        ("quick_reply_shortcut_id", Indirect.AUTOMATIC),
    ],
)
def test_it_is_told_what_was_not_typed_there_and_then(field, how):
    """A library that does not know a field cannot tell; it says nothing wrong."""
    knows = field in types.Message.__slots__
    assert read(**{field: 5}).indirect == (how if knows else None)
    assert read().indirect is None


def test_an_answer_to_a_story_answers_no_message():
    story = (
        make(types.MessageReplyStoryHeader, story_id=3, peer=user(5), user_id=5)
        if hasattr(types, "MessageReplyStoryHeader")
        else object()
    )
    assert read(reply_to=story).reply_to is None


AUTOMATIC = {"from_id": channel(5), "saved_from_peer": channel(5), "saved_from_msg_id": 1}
FORWARDS = {
    "not one": (user(ALICE), None, False),
    "by a person": (user(ALICE), {"from_id": user(9)}, True),
    "of hidden origin": (user(ALICE), {"from_name": "Somebody"}, True),
    "of the channel's post by a person": (user(ALICE), AUTOMATIC, True),
    "the linked channel's own": (channel(5), AUTOMATIC, False),
    "another channel's": (channel(6), AUTOMATIC, True),
    "as the group itself": (
        channel(CHANNEL),
        {**AUTOMATIC, "saved_from_peer": channel(CHANNEL)},
        True,
    ),
    "saved from a person": (user(5), {**AUTOMATIC, "saved_from_peer": user(5)}, True),
    "imported": (channel(5), {**AUTOMATIC, "imported": True}, True),
    "an announcement": (channel(5), {**AUTOMATIC, "psa_type": "covid"}, True),
}


@pytest.mark.parametrize(("speaker", "header", "forwarded"), FORWARDS.values(), ids=FORWARDS)
def test_a_forward_is_one_unless_the_link_of_a_channel_made_it(speaker, header, forwarded):
    given_ = None if header is None else make(types.MessageFwdHeader, date=NOON, **header)
    assert read(from_id=speaker, fwd_from=given_).forwarded is forwarded


ORIGINS = {
    "a channel's post": ({"from_id": channel(5), "channel_post": 8}, (-(10**12) - 5, 8)),
    "what was saved": (AUTOMATIC, (-(10**12) - 5, 1)),
    "a post that was saved": (
        {**AUTOMATIC, "from_id": channel(6), "channel_post": 8},
        (-(10**12) - 6, 8),
    ),
    "a group's message": ({"from_id": user(9)}, None),
    "what an anonymous admin said": ({"from_id": channel(5)}, None),
    "hidden": ({"from_name": "Somebody"}, None),
    "nowhere": ({"from_id": channel(0), "channel_post": 8}, None),
    "nothing": ({"from_id": channel(5), "channel_post": 0}, None),
}


@pytest.mark.parametrize(("header", "origin"), ORIGINS.values(), ids=ORIGINS)
def test_what_a_forward_is_of_is_known_of_channel_posts(header, origin):
    header = make(types.MessageFwdHeader, date=NOON, **header)
    found = read(from_id=user(ALICE), fwd_from=header).forward_of
    assert found == (None if origin is None else MessageRef(*origin))
    assert read(from_id=user(ALICE)).forward_of is None


# ── text ──

WHERE = {"offset": 2, "length": 3}
ENTITIES = [
    ("Bold", {}, Entity("bold", 2, 3)),
    ("Italic", {}, Entity("italic", 2, 3)),
    ("Underline", {}, Entity("underline", 2, 3)),
    ("Strike", {}, Entity("strikethrough", 2, 3)),
    ("Spoiler", {}, Entity("spoiler", 2, 3)),
    ("Code", {}, Entity("code", 2, 3)),
    ("Pre", {"language": "python"}, Entity("pre", 2, 3, language="python")),
    ("Pre", {"language": ""}, Entity("pre", 2, 3)),
    ("Blockquote", {}, Entity("blockquote", 2, 3)),
    ("TextUrl", {"url": "https://t.me"}, Entity("text_link", 2, 3, url="https://t.me")),
    ("Url", {}, Entity("url", 2, 3)),
    ("Email", {}, Entity("email", 2, 3)),
    ("Phone", {}, Entity("phone_number", 2, 3)),
    ("Mention", {}, Entity("mention", 2, 3)),
    ("Hashtag", {}, Entity("hashtag", 2, 3)),
    ("Cashtag", {}, Entity("cashtag", 2, 3)),
    ("BotCommand", {}, Entity("bot_command", 2, 3)),
    ("BankCard", {}, Entity("bank_card", 2, 3)),
    (
        "CustomEmoji",
        {"document_id": 2**62},
        Entity("custom_emoji", 2, 3, custom_emoji_id=str(2**62)),
    ),
]


@pytest.mark.parametrize(("name", "more", "ours"), ENTITIES)
def test_formatting_has_bot_apis_names_and_goes_back_as_it_came(name, more, ours):
    theirs = make(getattr(types, f"MessageEntity{name}"), **WHERE, **more)
    assert entities([theirs]) == (ours,)
    assert entities_to_raw([ours]) == [theirs]


def test_a_folded_quote_stays_folded_where_the_library_knows_of_it():
    quote = make(types.MessageEntityBlockquote, **WHERE, collapsed=True)
    known = getattr(quote, "collapsed", None)
    [ours] = entities([quote])
    assert ours.type == ("expandable_blockquote" if known else "blockquote")
    assert entities_to_raw([Entity("expandable_blockquote", 2, 3)]) == [quote]


def test_a_mention_needs_someone_to_mention():
    theirs = types.MessageEntityMentionName(**WHERE, user_id=ALICE)
    [ours] = entities([theirs])
    assert ours == Entity("text_mention", 2, 3, user_id=ALICE)
    known = types.InputUser(user_id=ALICE, access_hash=1)
    [mention] = entities_to_raw([ours], {ALICE: known})
    assert (mention.user_id, mention.offset, mention.length) == (known, 2, 3)
    assert entities_to_raw([ours]) == entities_to_raw([ours], {9: known}) == []


def test_formatting_of_an_unknown_kind_is_left_out():
    assert entities([types.MessageEntityUnknown(**WHERE), object(), None]) == ()
    assert entities_to_raw([Entity("new", 0, 1), Entity("custom_emoji", 0, 1)]) == []


def test_text_date_and_album_are_taken_as_they_are():
    found = read(message="🚀 #idea", grouped_id=2**62, from_id=user(ALICE))
    assert (found.text, found.at, found.album_id, found.id) == ("🚀 #idea", NOON, 2**62, 7)
    assert (found.service, found.media, found.forwarded) == (False, None, False)


# ── media ──

KEYS = {"id": -5, "access_hash": -(2**63), "file_reference": b"\x00\xffref"}


def document(*names: str, **more: Any) -> Any:
    attributes = [make(getattr(types, f"DocumentAttribute{name}"), **more) for name in names]
    file = make(types.Document, **KEYS, attributes=attributes, mime_type="x/y")
    return make(types.MessageMediaDocument, document=file)


DOCUMENTS = [
    (document("Filename"), "document"),
    (document(), "document"),
    (document("Video"), "video"),
    (document("Video", round_message=True), "video_note"),
    (document("Audio"), "audio"),
    (document("Audio", voice=True), "voice"),
    (document("Video", "Animated"), "animation"),
    (document("ImageSize", "Sticker"), "sticker"),
    (document("Video", "Sticker"), "sticker"),
    (document("CustomEmoji"), "sticker"),
]


@pytest.mark.parametrize(("theirs", "kind"), DOCUMENTS)
def test_a_documents_attributes_say_what_it_is(theirs, kind):
    found = media(theirs)
    assert found.kind == kind
    again = media_to_input(found.file_id)
    assert isinstance(again, types.InputMediaDocument)
    assert (again.id.id, again.id.access_hash) == (-5, -(2**63))
    assert again.id.file_reference == b"\x00\xffref"


def test_a_photo_is_known_by_id_hash_and_reference():
    found = media(make(types.MessageMediaPhoto, photo=make(types.Photo, **KEYS)))
    assert found == Media("photo", f"photo:-5:{-(2**63)}:00ff726566")
    again = media_to_input(found.file_id)
    assert again.id == types.InputPhoto(**KEYS)


@pytest.mark.parametrize("covered", [True, None])
@pytest.mark.parametrize(
    "theirs",
    [
        types.MessageMediaPhoto(photo=make(types.Photo, **KEYS)),
        document("Video"),
        document("Video", "Animated"),
    ],
    ids=["photo", "video", "animation"],
)
def test_a_medium_that_is_covered_stays_covered(theirs, covered):
    theirs.spoiler = covered
    found = media(theirs)

    assert media_to_input(found.file_id).spoiler == covered
    # The reference stays the last, and the rest says which medium it is.
    assert found.file_id.rpartition(":")[2] == KEYS["file_reference"].hex()
    theirs.spoiler = not covered
    assert media(theirs).file_id.rpartition(":")[0] != found.file_id.rpartition(":")[0]


POINT = make(types.GeoPoint, lat=41.5, long=-8.25)
PLACE = {"title": "Café: «A»", "address": "x", "provider": "p", "venue_id": "v", "venue_type": "t"}
PERSON = {"phone_number": "+1", "first_name": "A", "last_name": "", "vcard": ""}
INPUT_POINT = types.InputGeoPoint(lat=41.5, long=-8.25)
NO_FILES = [
    ("Geo", {"geo": POINT}, "location", types.InputMediaGeoPoint(geo_point=INPUT_POINT)),
    ("GeoLive", {"geo": POINT}, "location", types.InputMediaGeoPoint(geo_point=INPUT_POINT)),
    (
        "Venue",
        {"geo": POINT, **PLACE},
        "venue",
        types.InputMediaVenue(geo_point=INPUT_POINT, **PLACE),
    ),
    (
        "Venue",  # what is not told of it is blank
        {"geo": POINT, **PLACE, "provider": None},
        "venue",
        types.InputMediaVenue(geo_point=INPUT_POINT, **PLACE | {"provider": ""}),
    ),
    ("Contact", PERSON, "contact", types.InputMediaContact(**PERSON)),
    ("Dice", {"value": 6, "emoticon": "🎲"}, "dice", types.InputMediaDice(emoticon="🎲")),
]


@pytest.mark.parametrize(("name", "fields", "kind", "again"), NO_FILES)
def test_places_people_and_dice_can_be_posted_again(name, fields, kind, again):
    found = media(make(getattr(types, f"MessageMedia{name}"), **fields))
    assert found.kind == kind
    assert media_to_input(found.file_id) == again


CANNOT = [
    ("Poll", "poll"),
    ("Game", "game"),
    ("Invoice", "invoice"),
    ("Unsupported", "unsupported"),
    ("Photo", "photo"),
    ("Document", "document"),
    ("Geo", "location"),
    ("PaidMedia", "paid_media"),
    ("ToDo", "to_do"),
]


@pytest.mark.parametrize(("name", "kind"), CANNOT)
def test_what_cannot_be_posted_again_is_still_media(name, kind):
    """Among it an expired photo: a message without its file."""
    found = find(f"types.MessageMedia{name}")
    if found is None:
        pytest.skip("this library's layer has no such media")
    assert media(make(found)) == Media(kind)


@pytest.mark.parametrize("name", ["Empty", "WebPage"])
def test_a_link_preview_is_no_media(name):
    assert media(make(getattr(types, f"MessageMedia{name}"))) is None
    assert media(None) is None


# ── updates ──

NEWS = {"pts": 1, "pts_count": 1}


def told(update: Any) -> list[Any]:
    return list(events(update, {}, {}, me=ME))


@pytest.mark.parametrize("where", ["", "Channel"])
def test_new_and_edited_messages_are_told(where):
    raw_message = message(message="hi")
    ours = incoming(raw_message, me=ME)
    new, edit = (getattr(types, f"Update{what}{where}Message") for what in ("New", "Edit"))
    assert told(make(new, message=raw_message, **NEWS)) == [ours]
    assert told(make(edit, message=raw_message, **NEWS)) == [EditedMessage(ours)]


def test_deletions_are_told_with_the_chat_where_telegram_says_it():
    here = make(types.UpdateDeleteChannelMessages, channel_id=WIDE, messages=[1, 2], **NEWS)
    somewhere = make(types.UpdateDeleteMessages, messages=[3], **NEWS)
    assert told(here) == [DeletedMessages(-1002880553977, (1, 2))]
    assert told(somewhere) == [DeletedMessages(None, (3,))]


def test_a_migration_is_told_once_and_the_rest_is_service():
    def note(peer: Any, action: Any) -> Any:
        service = make(types.MessageService, id=1, peer_id=peer, date=NOON, action=action)
        return types.UpdateNewMessage(message=service, **NEWS)

    to = note(group(GROUP), types.MessageActionChatMigrateTo(channel_id=WIDE))
    from_ = note(channel(WIDE), types.MessageActionChannelMigrateFrom(title="x", chat_id=GROUP))
    assert told(to) == [MigratedChat(-GROUP, -1002880553977)]
    [event] = told(from_)
    assert (event.service, event.text, event.media) == (True, "", None)


def press(**fields: Any) -> list[Any]:
    given_ = {"user_id": ALICE, "peer": user(ALICE), "msg_id": 7, "data": b"yes:1", **fields}
    return list(events(make(types.UpdateBotCallbackQuery, query_id=9, **given_), {}, {}))


def test_a_pressed_button_is_told_with_who_pressed_it_and_where():
    assert press() == [PressedButton(9, ALICE, ALICE, 7, "yes:1")]
    assert press(peer=channel(5), data=b"\xff") == [
        PressedButton(9, ALICE, -(10**12) - 5, 7, "\N{REPLACEMENT CHARACTER}")
    ]
    assert press(data=None) == []  # a game's
    assert press(user_id=0) == press(peer=user(0)) == []


def test_other_updates_and_deleted_messages_tell_nothing():
    assert told(types.UpdateNewMessage(message=types.MessageEmpty(id=5), **NEWS)) == []
    assert told(types.UpdateEditMessage(message=types.MessageEmpty(id=5), **NEWS)) == []
    assert told(types.UpdateChannelTooLong(channel_id=5)) == []
    assert told(types.UpdateConfig()) == []


# ── nothing makes it raise ──

PEERS = st.one_of(
    st.none(),
    st.builds(user, st.integers()),
    st.builds(group, st.integers()),
    st.builds(channel, st.integers()),
)
ODD: dict[str, st.SearchStrategy[Any]] = {
    "peer_id": PEERS,
    "from_id": PEERS,
    "reply_to_peer_id": PEERS,
    "saved_from_peer": PEERS,
}
MEDIA = [getattr(types, n) for n in dir(types) if n.startswith("MessageMedia")]
FORMATS = [getattr(types, n) for n in dir(types) if n.startswith("MessageEntity")]
ATTRIBUTES = [getattr(types, n) for n in dir(types) if n.startswith("DocumentAttribute")]


def odd(cls: type, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """An object of `cls`, each of whose fields is as given, of no use, or missing."""

    def lose(values: tuple[Any, frozenset[str]]) -> Any:
        given_, lost = values
        found = cls(**given_)
        for name in lost:
            delattr(found, name)
        return found

    names = fields_of(cls)
    plain = {n: fields.get(n, ODD.get(n, st.none())) for n in names}
    lost = st.frozensets(st.sampled_from(names)) if names else st.just(frozenset())
    return st.tuples(st.fixed_dictionaries(plain), lost).map(lose)


PARTS = {
    "fwd_from": [types.MessageFwdHeader],
    "reply_to": [types.MessageReplyHeader],
    "media": MEDIA,
    "entities": FORMATS,
}


def fields_of(cls: type) -> list[str]:
    return [name for name in inspect.signature(cls).parameters if name != "self"]


@pytest.mark.parametrize("part", PARTS)
def test_any_one_field_may_be_missing_altogether(part):
    """As when one library's layer does not have it."""
    for cls in PARTS[part]:
        for name in fields_of(cls):
            odd_one = make(cls)
            delattr(odd_one, name)
            assert read(**{part: [odd_one] if part == "entities" else odd_one})
    for name in fields_of(types.Message):
        odd_message = message(from_id=user(ALICE))
        delattr(odd_message, name)
        found = incoming(odd_message)
        assert (found is None) == (name in {"id", "peer_id", "date"})


@pytest.mark.parametrize("name", [*KEYS, "attributes"])
def test_a_file_may_lack_any_of_its_fields(name):
    odd_document, odd_photo = document("Video"), make(types.Photo, **KEYS)
    delattr(odd_document.document, name)
    if hasattr(odd_photo, name):
        delattr(odd_photo, name)
    whole = name == "attributes"
    assert (media(odd_document).file_id is not None) == whole
    assert (media(make(types.MessageMediaPhoto, photo=odd_photo)).file_id is not None) == whole


NUMBERS = st.one_of(st.none(), st.integers())
DOCUMENT = odd(types.Document, attributes=st.lists(st.sampled_from(ATTRIBUTES).flatmap(odd)))
ANY_MEDIA = st.sampled_from(MEDIA).flatmap(
    lambda cls: odd(cls, document=DOCUMENT, photo=odd(types.Photo), geo=odd(types.GeoPoint))
)
ANY_MESSAGE = st.sampled_from([types.Message, types.MessageService]).flatmap(
    lambda cls: odd(
        cls,
        id=st.one_of(st.none(), st.integers(1, 2**31 - 1)),
        date=st.one_of(st.none(), st.just(NOON)),
        out=st.booleans(),
        post=st.booleans(),
        reply_to=odd(types.MessageReplyHeader, reply_to_msg_id=NUMBERS),
        fwd_from=odd(types.MessageFwdHeader),
        media=st.one_of(st.none(), ANY_MEDIA),
        entities=st.lists(st.sampled_from(FORMATS).flatmap(odd), max_size=3),
    )
)


@pytest.mark.long
@settings(max_examples=40)  # each builds an object of forty fields, which is slow
@given(ANY_MESSAGE)
def test_no_message_however_odd_makes_it_raise(odd_message):
    """And whatever is said of it is in range: ids of 64 bits, never 0."""
    found = incoming(odd_message, me=ME)
    if found is None:
        return
    ids = [found.chat_id, found.author, found.reply_to and found.reply_to.chat_id]
    assert all(number is None or 0 < abs(number) < 2**63 for number in ids)


@pytest.mark.parametrize("file_id", ["poll:{}", 'story:{"question": "?"}'])
def test_what_nobody_can_send_again_is_told_from_what_can_be(file_id):
    """As a poll of which an earlier version kept nothing."""
    with pytest.raises(ValueError, match="is not media that can be sent"):
        media_to_input(file_id)
