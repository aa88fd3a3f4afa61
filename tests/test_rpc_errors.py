"""What Telegram refuses is sorted by what it is about, whatever it is called."""

from __future__ import annotations

import pytest
from pyrogram import raw
from pyrogram.errors.exceptions.all import exceptions
from pyrogram.errors.rpc_error import RPCError

from bot.errors import (
    AccountLimited,
    DressRefused,
    LoggedOut,
    MediumRefused,
    ParentGone,
    PostRefused,
    RetryLater,
    SentBefore,
    TargetUnavailable,
    TelegramError,
)
from bot.models import ChatId
from bot.telegram.login import prepare_library
from bot.telegram.rpc_errors import NAMES, Subject, about, sorted_as, translated

TARGET = ChatId(-1001)
LISTED = [(code, name) for code, names in exceptions.items() for name in names if name != "_"]


def refused(code, name, **asked):
    """What the relay learns when Telegram says so to the library that is installed."""
    prepare_library()  # else it writes unknown errors to a file
    error = raw.types.RpcError(error_code=code, error_message=name)
    with pytest.raises(TelegramError) as caught, translated(TARGET, **asked):
        RPCError.raise_it(error, raw.functions.messages.SendMessage)
    assert name in str(caught.value)
    return caught.value


def test_no_error_of_the_librarys_own_lists_is_left_unsorted():
    assert len(LISTED) > 400
    assert [each for each in LISTED if sorted_as(*each) is None] == []


def test_no_name_stands_in_the_table_twice():
    names = [name for block in NAMES.values() for name in block.split()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (400, "PEER_FLOOD"),
        (420, "FROZEN_METHOD_INVALID"),
        (400, "FROZEN_PARTICIPANT_MISSING"),
        (403, "USER_RESTRICTED"),
        (406, "USER_RESTRICTED"),
        (400, "FROZEN_OF_A_NEW_KIND"),
    ],
)
def test_what_is_the_accounts_closes_no_chat_and_fails_no_post(code, name):
    assert type(refused(code, name)) is AccountLimited


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (400, "CHAT_FORWARDS_RESTRICTED"),
        (406, "CHAT_FORWARDS_RESTRICTED"),
        (403, "CHAT_SEND_PHOTOS_FORBIDDEN"),
        (400, "CHAT_SEND_MEDIA_FORBIDDEN"),
        (403, "CHAT_SEND_HOLOGRAMS_FORBIDDEN"),
        (400, "MEDIA_EMPTY"),
        (400, "MEDIA_OF_A_NEW_KIND_INVALID"),
        (400, "PHOTO_INVALID_DIMENSIONS"),
        (400, "VIDEO_CONTENT_TYPE_INVALID"),
        (400, "FILE_PARTS_INVALID"),
        (400, "FILE_REFERENCE_EXPIRED"),
        (400, "FILE_REFERENCE_3_EXPIRED"),
        (406, "FILEREF_UPGRADE_NEEDED"),
        (400, "POLL_OPTION_DUPLICATE"),
        (403, "PREMIUM_ACCOUNT_REQUIRED"),
        (400, "PREMIUM_ACCOUNT_REQUIRED"),
        (403, "VOICE_MESSAGES_FORBIDDEN"),
        (400, "EXTENDED_MEDIA_INVALID"),
        (500, "SEND_MEDIA_INVALID"),
    ],
)
def test_what_is_the_mediums_leaves_the_words(code, name):
    """Without a medium it is the message's, and never the whole chat's."""
    assert type(refused(code, name, medium=True, dress=True)) is MediumRefused
    assert type(refused(code, name)) is PostRefused


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("BUTTON_URL_INVALID", "buttons"),
        ("REPLY_MARKUP_TOO_LONG", "buttons"),
        ("QUOTE_TEXT_INVALID", "quote"),
        ("WEBPAGE_CURL_FAILED", "preview"),
        ("ENTITIES_TOO_LONG", "formatting"),
        ("ENTITY_OF_A_NEW_KIND_INVALID", "formatting"),
        ("EFFECT_ID_INVALID", None),
        ("PREMIUM_ACCOUNT_REQUIRED", None),
    ],
)
def test_what_is_the_dresss_names_the_part_where_telegram_does(name, part):
    error = refused(400, name, dress=True)
    assert type(error) is DressRefused
    assert error.part == part
    assert type(refused(400, name)) is PostRefused


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (403, "CHAT_WRITE_FORBIDDEN"),
        (403, "CHAT_SEND_PLAIN_FORBIDDEN"),
        (403, "CHAT_GUEST_SEND_FORBIDDEN"),
        (406, "CHANNEL_PRIVATE"),
        (406, "TOPIC_CLOSED"),
        (403, "ALLOW_PAYMENT_REQUIRED_250"),
        (406, "ALLOW_PAYMENT_REQUIRED"),
        (406, "PRIVACY_PREMIUM_REQUIRED"),
        (400, "PEER_ID_INVALID"),
        (400, "CHANNEL_INVALID"),
        (403, "NOBODY_HAS_THOUGHT_OF_THIS"),
    ],
)
def test_what_is_the_places_keeps_its_posts(code, name):
    error = refused(code, name, medium=True)
    assert type(error) is TargetUnavailable
    assert error.chat_id == TARGET


@pytest.mark.parametrize(
    ("code", "name", "seconds"),
    [
        (420, "FLOOD_WAIT_17", 17),
        (420, "SLOWMODE_WAIT_30", 30),
        (420, "FLOOD_PREMIUM_WAIT_5", 5),
        (420, "FLOOD_OF_A_NEW_KIND", None),
        (406, "EDIT_MESSAGE_TEMP_RESTRICTED", None),
        (500, "NOBODY_HAS_THOUGHT_OF_THIS", None),
        (-503, "Timeout", None),
        (-504, "NOBODY_HAS_THOUGHT_OF_THIS", None),
        (400, "MSG_WAIT_FAILED", None),
        (303, "NETWORK_MIGRATE_4", None),
    ],
)
def test_what_passes_is_waited_out(code, name, seconds):
    error = refused(code, name, medium=True)
    assert type(error) is RetryLater
    assert (error.after and error.after.total_seconds()) == seconds


def test_the_rest_each_has_its_own_answer():
    assert type(refused(401, "NOBODY_HAS_THOUGHT_OF_THIS")) is LoggedOut
    assert type(refused(406, "AUTH_KEY_DUPLICATED")) is LoggedOut
    assert type(refused(500, "RANDOM_ID_DUPLICATE")) is SentBefore
    assert type(refused(400, "TOPIC_DELETED", reply=True)) is ParentGone
    assert type(refused(400, "MESSAGE_ID_INVALID")) is PostRefused
    assert type(refused(400, "NOBODY_HAS_THOUGHT_OF_THIS")) is PostRefused
    assert type(refused(400, "NOBODY_HAS_THOUGHT_OF_THIS", medium=True)) is MediumRefused
    assert type(refused(400, "NOBODY_HAS_THOUGHT_OF_THIS")) is PostRefused
    assert type(refused(400, "NOBODY_HAS_THOUGHT_OF_THIS", medium=True)) is MediumRefused
    assert about(400, "PERSISTENT_TIMESTAMP_INVALID") is Subject.CURSOR
