"""What an error of Telegram's is about, and what the caller is to do: one table for all methods.

The names are Telegram's own. A library knows some of them as classes, and a name that it does not
know comes as the bare class of its code, so only code and name count here. The table holds every
name of both libraries' lists. Its sources are the lists that Telegram publishes for each method
(https://core.telegram.org/method/messages.sendMessage and its like) and
https://core.telegram.org/api/errors.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from datetime import timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, NamedTuple

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
    TopicUnavailable,
    words_of,
)
from bot.phrases import phrase
from bot.telegram.rpc_error_names import ELSEWHERE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.models import ChatId


class Subject(Enum):
    LOGIN = auto()  # it is void: stop
    ACCOUNT = auto()  # it may do less than others for a while: wait, tell the operator
    WAIT = auto()  # too much in too short a time: wait as long as Telegram says
    PASSING = auto()  # Telegram's own trouble: the same again
    SENT_BEFORE = auto()
    PLACE = auto()  # the chat takes nothing from us: keep what is for it
    PEER = auto()  # the chat, or what we know of it is out of date: look again, then as PLACE
    PARENT = auto()  # what is answered is gone; where nothing is answered, as MESSAGE
    MEDIUM = auto()  # the words go without it; where there is no medium, as DRESS
    FILE = auto()  # a file reference is out of date: read it again, then as MEDIUM
    DRESS = auto()  # buttons, quote, preview, formatting: the words go without
    CURSOR = auto()  # where reading was to go on: `catch_up` takes another
    MESSAGE = auto()  # Telegram will never take this one
    ELSEWHERE = auto()  # of methods that are not called here: as an unknown name


FORBIDDEN, UNAUTHORIZED, FLOOD, INTERNAL = 403, 401, 420, 500
SEE_OTHER: Final = 303  # another data centre answers; to find it is the library's task

NAMES: Final = {
    Subject.LOGIN: """
        ACCESS_TOKEN_EXPIRED ACCESS_TOKEN_INVALID API_ID_INVALID API_ID_PUBLISHED_FLOOD
        AUTH_KEY_DUPLICATED CONNECTION_API_ID_INVALID
    """,
    Subject.ACCOUNT: """
        FROZEN_METHOD_INVALID FROZEN_PARTICIPANT_MISSING PEER_FLOOD USER_RESTRICTED
        RECAPTCHA_CHECK_X INTEGRITY_CHECK_CLASSIC_X APNS_VERIFY_CHECK_X
    """,
    Subject.WAIT: """
        2FA_CONFIRM_WAIT_X EDIT_MESSAGE_TEMP_RESTRICTED FLOOD_PREMIUM_WAIT_X
        FLOOD_TEST_PHONE_WAIT_X FLOOD_WAIT_X SLOWMODE_WAIT_X TAKEOUT_INIT_DELAY_X
    """,
    Subject.PASSING: """
        CONNECTION_NOT_INITED MSG_WAIT_FAILED MSG_WAIT_TIMEOUT HISTORY_GET_FAILED INPUT_FETCH_ERROR
        INPUT_FETCH_ERROR_X INPUT_FETCH_FAIL TIMEOUT
    """,
    Subject.SENT_BEFORE: "RANDOM_ID_DUPLICATE",
    Subject.PLACE: """
        ACCESS_DENIED ALLOW_PAYMENT_REQUIRED ALLOW_PAYMENT_REQUIRED_X BALANCE_TOO_LOW
        BOOSTS_REQUIRED BOT_ACCESS_FORBIDDEN
        BOT_GROUPS_BLOCKED BOT_ONESIDE_NOT_AVAIL BROADCAST_FORBIDDEN BUSINESS_CONNECTION_INVALID
        BUSINESS_CONNECTION_NOT_ALLOWED BUSINESS_PEER_INVALID BUSINESS_PEER_USAGE_MISSING
        CHANNEL_BANNED CHANNEL_MONOFORUM_UNSUPPORTED CHANNEL_PRIVATE CHANNEL_PUBLIC_GROUP_NA
        CHANNEL_TOO_BIG CHANNEL_TOO_LARGE CHAT_ACTION_FORBIDDEN CHAT_ADMIN_REQUIRED
        CHAT_DISCUSSION_UNALLOWED CHAT_FORBIDDEN CHAT_GUEST_SEND_FORBIDDEN CHAT_RESTRICTED
        CHAT_SEND_PLAIN_FORBIDDEN CHAT_TYPE_INVALID CHAT_WRITE_FORBIDDEN INPUT_USER_DEACTIVATED
        NOT_ALLOWED NOT_ELIGIBLE PARTICIPANT_JOIN_MISSING PAYMENT_REQUIRED PEER_ID_NOT_SUPPORTED
        PEER_TYPES_INVALID PRIVACY_PREMIUM_REQUIRED REPLY_TO_MONOFORUM_PEER_INVALID
        RIGHT_FORBIDDEN SAVED_DIALOGS_UNSUPPORTED SEND_AS_PEER_INVALID STARS_PAYMENT_REQUIRED
        SUGGESTED_POST_PEER_INVALID TOPIC_CLOSED USER_BANNED_IN_CHANNEL USER_BLOCKED
        USER_BOT_TO_BOT_DISABLED USER_CREATOR USER_DELETED USER_IS_BLOCKED USER_IS_BOT USER_KICKED
        USER_NOT_MUTUAL_CONTACT USER_NOT_PARTICIPANT USER_PERMISSION_DENIED
        USER_PRIVACY_RESTRICTED USER_RIGHTS_MISSING YOUR_PRIVACY_RESTRICTED YOU_BLOCKED_USER
    """,
    Subject.PEER: """
        CHANNEL_ID_INVALID CHANNEL_INVALID CHAT_ID_EMPTY CHAT_ID_INVALID CHAT_INVALID
        FROM_PEER_INVALID MEGAGROUP_ID_INVALID NEED_CHAT_INVALID NEED_MEMBER_INVALID
        PARENT_PEER_INVALID PEER_ID_INVALID TO_ID_INVALID USER_ID_INVALID USER_INVALID
    """,
    Subject.PARENT: """
        MESSAGE_ID_INVALID MSG_ID_INVALID REPLY_MESSAGE_ID_INVALID REPLY_TO_INVALID
        REPLY_TO_USER_INVALID TOPIC_DELETED TOPIC_ID_INVALID
    """,
    Subject.MEDIUM: """
        ATTACH_MEDIA_EMPTY ATTACH_MEDIA_TYPE_INVALID AUDIO_CONTENT_URL_EMPTY AUDIO_TITLE_EMPTY
        ANSWER_X_MEDIA_TYPE_INVALID BOT_GAMES_DISABLED BOT_INVOICE_INVALID BOT_PAYMENTS_DISABLED
        BOT_POLLS_DISABLED BROADCAST_PUBLIC_VOTERS_FORBIDDEN CHAT_FORWARDS_RESTRICTED
        CURRENCY_TOTAL_AMOUNT_INVALID DOCUMENT_INVALID EMOTICON_EMPTY EMOTICON_INVALID
        EXTERNAL_URL_INVALID GAME_BOT_INVALID GEO_POINT_INVALID GROUPED_MEDIA_INVALID
        IMAGE_PROCESS_FAILED INPUT_FILE_INVALID INVOICE_INVALID INVOICE_PAYLOAD_INVALID
        LOCATION_INVALID MD5_CHECKSUM_INVALID MEDIA_CAPTION_TOO_LONG MEGAGROUP_GEO_REQUIRED
        MESSAGE_POLL_CLOSED OPTIONS_TOO_MUCH OPTION_INVALID PAYMENT_PROVIDER_INVALID
        PAYMENT_UNSUPPORTED PREMIUM_ACCOUNT_REQUIRED PREMIUM_CURRENTLY_UNAVAILABLE
        QUIZ_ANSWER_MISSING REVOTE_NOT_ALLOWED SEND_MEDIA_INVALID SOLUTION_MEDIA_EMPTY
        SOLUTION_MEDIA_TYPE_INVALID STARS_AMOUNT_INVALID STARS_INVOICE_INVALID STORY_ID_EMPTY
        STORY_ID_INVALID TERMS_URL_INVALID TODO_ITEMS_EMPTY TODO_ITEMS_TOO_MUCH TODO_ITEM_DUPLICATE
        TTL_MEDIA_INVALID UPLOAD_NO_VOLUME VENUE_ID_INVALID VOICE_MESSAGES_FORBIDDEN
        WEBDOCUMENT_INVALID
    """,
    Subject.FILE: "FILEREF_UPGRADE_NEEDED",
    Subject.DRESS: """
        CHAT_SEND_WEBPAGE_FORBIDDEN EFFECT_CHAT_INVALID EFFECT_ID_INVALID QUOTE_TEXT_INVALID
    """,
    Subject.CURSOR: """
        DATE_EMPTY PERSISTENT_TIMESTAMP_EMPTY PERSISTENT_TIMESTAMP_INVALID
        PERSISTENT_TIMESTAMP_OUTDATED RANGES_INVALID
    """,
    Subject.MESSAGE: """
        BOT_METHOD_INVALID CDN_METHOD_INVALID DATA_TOO_LONG FILE_TITLE_EMPTY FORUM_ENABLED
        INLINE_BOT_REQUIRED INPUT_CONSTRUCTOR_INVALID INPUT_LAYER_INVALID INPUT_METHOD_INVALID
        INPUT_REQUEST_TOO_LONG INPUT_TEXT_EMPTY INPUT_TEXT_TOO_LONG MAX_DATE_INVALID MAX_ID_INVALID
        MESSAGE_AUTHOR_REQUIRED MESSAGE_DELETE_FORBIDDEN MESSAGE_EDIT_TIME_EXPIRED MESSAGE_EMPTY
        MESSAGE_IDS_EMPTY MESSAGE_NOT_MODIFIED MESSAGE_REQUIRED MESSAGE_TOO_LONG MESSAGE_TOO_OLD
        METHOD_INVALID MSG_TOO_OLD MULTI_MEDIA_TOO_LONG RANDOM_ID_EMPTY RANDOM_ID_EXPIRED
        RANDOM_ID_INVALID RICH_MESSAGE_UNSUPPORTED SCHEDULE_BOT_NOT_ALLOWED SCHEDULE_DATE_INVALID
        SCHEDULE_DATE_TOO_LATE SCHEDULE_STATUS_PRIVATE SCHEDULE_TOO_MUCH SELF_DELETE_RESTRICTED
        SLOWMODE_MULTI_MSGS_DISABLED SUGGESTED_POST_AMOUNT_INVALID TASK_ALREADY_EXISTS
        TYPE_CONSTRUCTOR_INVALID UNKNOWN_ERROR UNSUPPORTED USER_BOT USER_BOT_INVALID
        USER_BOT_REQUIRED
    """,
    Subject.ELSEWHERE: ELSEWHERE,
}
TABLE: Final = {name: about for about, names in NAMES.items() for name in names.split()}

# Of what is sent to a topic these say that it takes nothing, whatever was answered.
TOPICS: Final = frozenset({"TOPIC_CLOSED", "TOPIC_DELETED", "TOPIC_ID_INVALID"})

# Kinds of names, for those that Telegram has not thought of yet. The table goes before.
KINDS: Final = (
    (re.compile(r"FILE_REFERENCE\w*|FILEREF\w*"), Subject.FILE),
    (re.compile(r"PERSISTENT_TIMESTAMP\w*"), Subject.CURSOR),
    (re.compile(r"FROZEN_\w+"), Subject.ACCOUNT),
    (re.compile(r"(FLOOD|SLOWMODE)\w*_WAIT\w*"), Subject.WAIT),
    (re.compile(r"\w*_MIGRATE_X"), Subject.PASSING),
    (re.compile(r"CHAT_SEND_\w+_FORBIDDEN"), Subject.MEDIUM),
    (re.compile(r"(BUTTON|REPLY_MARKUP|ENTITY|ENTITIES|QUOTE|EFFECT)_\w+"), Subject.DRESS),
    (re.compile(r"(WEBPAGE|WC_CONVERT|LINK_PREVIEW)_\w+"), Subject.DRESS),
    (re.compile(r"(MEDIA|PHOTO|VIDEO|GIF|AUDIO|VOICE|FILE|DOCUMENT)_\w+"), Subject.MEDIUM),
    (re.compile(r"(POLL|QUIZ|EXTENDED_MEDIA|WEBDOCUMENT|STICKER|TODO|GAME)_\w+"), Subject.MEDIUM),
)
# What of a message's dress an error is about.
DRESS: Final = (
    (re.compile(r"BUTTON_|REPLY_MARKUP_"), "buttons"),
    (re.compile(r"QUOTE_"), "quote"),
    (re.compile(r"WEBPAGE_|WC_|LINK_PREVIEW_|CHAT_SEND_WEBPAGE_"), "preview"),
    (re.compile(r"ENTITY_|ENTITIES_"), "formatting"),
)


def sorted_as(code: int, name: str) -> Subject | None:
    """None: nobody has thought of this name, and its code has to do.

    5xx passes, whatever it is called: Telegram failed, and not the request.
    """
    known = re.sub(r"_\d+", "_X", name)
    found = TABLE.get(known) or TABLE.get(name)
    if code == UNAUTHORIZED:
        return Subject.LOGIN
    if code >= INTERNAL and found not in {Subject.SENT_BEFORE, Subject.CURSOR}:
        return Subject.MEDIUM if name == "SEND_MEDIA_INVALID" else Subject.PASSING
    if found is None:
        found = next((about for kind, about in KINDS if kind.fullmatch(known)), None)
    if found is None and code == SEE_OTHER:
        return Subject.PASSING
    return found


def about(code: int, name: str) -> Subject:
    """Of unknown names the code decides; 406 is 400 with a notice to the account's other devices.

    https://core.telegram.org/api/errors#406-not-acceptable
    """
    found = sorted_as(code, name)
    if found is not None and found is not Subject.ELSEWHERE:
        return found
    return {FORBIDDEN: Subject.PLACE, FLOOD: Subject.WAIT}.get(code, Subject.MESSAGE)


class Asked(NamedTuple):
    """What the refused call was for."""

    chat_id: ChatId | None = None  # where to; None: no chat
    reply: bool = False  # it answers a message, which may be gone
    topic: int = 0  # of a forum, where to; 0: none, or General
    medium: bool = False  # it carries one, which can be left out
    dress: bool = False  # it carries formatting, buttons and such, which can be left out


@contextmanager
def translated(
    chat_id: ChatId | None = None,
    *,
    reply: bool = False,
    medium: bool = False,
    dress: bool = False,
    topic: int = 0,
) -> Iterator[None]:
    """Let nothing of the library's out. What is said of the call is explained at `Asked`."""
    try:
        yield
    except RPCError as exc:
        asked = Asked(chat_id, reply, topic, medium, dress)
        raise _refusal(exc, asked) from exc
    except OSError as exc:  # TimeoutError and lost connections among them
        why = words_of(exc) or type(exc).__name__
        raise RetryLater(phrase("no answer from Telegram ({why})", why=why)) from exc


def said(exc: RPCError) -> tuple[int, str]:
    """Telegram's own code and name of an error, on one line."""
    value = getattr(exc, "value", None)
    unknown = re.fullmatch(r"\[(\d+) (.*)\]", str(value), re.DOTALL)
    if exc.ID is None and unknown is not None:
        return int(unknown[1]), " ".join(unknown[2].split())
    name = str(exc.ID or exc.NAME)
    return int(exc.CODE or 0), re.sub(r"_X(?=_|$)", f"_{value}", name)


def is_about(exc: RPCError, *wanted: Subject) -> bool:
    return about(*said(exc)) in wanted


def refusal(exc: RPCError, chat_id: ChatId | None) -> TelegramError:
    return _refusal(exc, Asked(chat_id))


def _refusal(exc: RPCError, asked: Asked) -> TelegramError:
    code, name = said(exc)
    text = phrase("Telegram refused: {code} {name}", code=code, name=name)
    what = about(code, name)
    whole: dict[Subject, type[TelegramError]] = {
        Subject.LOGIN: LoggedOut,
        Subject.ACCOUNT: AccountLimited,
        Subject.SENT_BEFORE: SentBefore,
    }
    if what in whole:
        return whole[what](text)
    if what in {Subject.WAIT, Subject.PASSING}:
        seconds = re.search(r"_(\d+)$", name) if what is Subject.WAIT else None
        return RetryLater(text, after=timedelta(seconds=int(seconds[1])) if seconds else None)
    if asked.chat_id is not None and asked.topic and _is_the_topics(what, name, asked):
        return TopicUnavailable(text, asked.chat_id, asked.topic)
    if what in {Subject.PLACE, Subject.PEER} and asked.chat_id is not None:
        return TargetUnavailable(text, asked.chat_id)
    if what is Subject.PARENT and asked.reply:
        return ParentGone(text)
    unknown = sorted_as(code, name) is None
    return _without_a_part(what, name, asked, text, unknown=unknown)


def _is_the_topics(what: Subject, name: str, asked: Asked) -> bool:
    """What answers nothing in a topic answers its first message, which goes with it."""
    return name in TOPICS or (what is Subject.PARENT and not asked.reply)


def _without_a_part(
    what: Subject, name: str, asked: Asked, text: str, *, unknown: bool
) -> PostRefused:
    """What can be left out for the rest to be taken; if that is nothing, all is refused.

    An `unknown` name may be about the words as well; said alone, they show whether it was.
    """
    dress = asked.dress and what is Subject.DRESS
    if (
        asked.medium
        and (what in {Subject.MEDIUM, Subject.FILE, Subject.DRESS} or unknown)
        and not dress
    ):
        return MediumRefused(text)
    if asked.dress and (what in {Subject.MEDIUM, Subject.DRESS} or unknown):
        part = next((part for kind, part in DRESS if kind.match(name)), None)
        return DressRefused(text, part=part)
    return PostRefused(text)
