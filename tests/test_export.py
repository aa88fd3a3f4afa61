from __future__ import annotations

import json
import os
import tracemalloc
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.errors import ExportError, UsageError
from bot.history.export import Export, ExportedChat
from bot.history.json_items import CHUNK
from bot.models import Entity, IncomingMessage, Media, MessageRef
from tests.exports import CHAT_ID, START, account, chat, dump, generate, message, service, write

if TYPE_CHECKING:
    from collections.abc import Iterator

GROUP = -(10**12) - CHAT_ID
SAMPLE = Path(__file__).parents[1] / "data" / "sample_export.json"
MISSING = object()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "result.json"


def read(path: Path, *messages: Any, **about: Any) -> list[IncomingMessage]:
    return list(Export(write(path, *messages, **about)).messages())


def read_one(path: Path, **keys: Any) -> IncomingMessage:
    """A message with these keys set; MISSING takes one away."""
    made = {key: value for key, value in message(**keys).items() if value is not MISSING}
    [only] = read(path, made)
    return only


def until_damage(messages: Iterator[IncomingMessage]) -> tuple[list[int], ExportError]:
    ids: list[int] = []
    with pytest.raises(ExportError) as caught:
        ids.extend(one.id for one in messages)
    return ids, caught.value


def chats_of(path: Path, document: Any, wanted: str | None = None) -> ExportedChat:
    path.write_bytes(dump(document))
    return Export(path, chat=wanted).chat


# ── a message ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("more", "edited"),
    [
        ({}, None),
        ({"edited_unixtime": "1704106860"}, 1704106860),
        ({"edited_unixtime": 1704106860}, 1704106860),
        ({"edited": "2024-01-01T12:01:00"}, None),
        ({"edited_unixtime": "0"}, None),
        ({"edited_unixtime": "4294967296"}, None),
        ({"edited_unixtime": ["1704106860"]}, None),
    ],
)
def test_when_a_message_was_edited_is_read_where_it_is_a_date(
    path: Path, more: dict[str, Any], edited: int | None
) -> None:
    assert read_one(path, **more).edited_at == edited


def test_an_exported_message_looks_like_a_live_one(path):
    written = message(7, "user42", "TP1 hit", reply_to=5, at=1_700_000_000, **{"from": "Ann"})
    assert read(path, written) == [
        IncomingMessage(
            chat_id=GROUP,
            id=7,
            author=42,
            at=1_700_000_000,
            text="TP1 hit",
            reply_to=MessageRef(GROUP, 5),
            author_name="Ann",
        )
    ]


@pytest.mark.parametrize(
    ("from_id", "author"),
    [
        ("user123", 123),
        ("chat123", -123),
        ("channel123", -1_000_000_000_123),
        (f"channel{CHAT_ID}", GROUP),
        (123, 123),
        (2**32 - 1, 2**32 - 1),
        (0x100000000 | 123, -123),
        (0x200000000 | 123, -1_000_000_000_123),
        (0x300000000 | 123, None),
        (0, None),
        (-5, None),
        (123.5, None),
        (True, None),
        (None, None),
        (MISSING, None),
        ("", None),
        ("user0", None),
        ("channel0", None),
        ("user-1", None),
        ("user12x", None),
        (" user12", None),
        ("user١٢", None),
        ("123", None),
        ("bot123", None),
        ([], None),
        ({"id": 1}, None),
        ("user777000", None),
        ("user1087968824", None),
        ("user136817688", None),
        (777000, None),
        (f"user{2**63 - 1}", 2**63 - 1),
        (f"user{2**63}", None),
        (f"channel{2**63 - 10**12}", -(2**63)),
        (f"channel{2**63 - 10**12 + 1}", None),
        ("user" + "9" * 5000, None),
    ],
)
def test_the_author_is_who_telegram_says_or_nobody(path, from_id, author):
    assert read_one(path, from_id=from_id).author == author


def test_a_deleted_account_is_still_somebody(path):
    gone = read_one(path, from_id="user9", **{"from": None})
    assert (gone.author, gone.author_name) == (9, None)


@pytest.mark.parametrize(
    ("keys", "at"),
    [
        ({"date_unixtime": "1700000000", "date": "2001-01-01T00:00:00"}, 1_700_000_000),
        ({"date_unixtime": 1_700_000_000}, 1_700_000_000),
        ({"date_unixtime": MISSING, "date": "2023-11-14T22:13:20"}, 1_700_000_000),
        ({"date_unixtime": "soon", "date": "2023-11-14T22:13:20"}, 1_700_000_000),
        ({"date_unixtime": None, "date": "2023-11-15T01:13:20+03:00"}, 1_700_000_000),
        ({"date_unixtime": "9" * 5000, "date": "2023-11-14T22:13:20"}, 1_700_000_000),
    ],
)
def test_the_date_is_telegrams_own_else_local_time_read_as_utc(path, keys, at):
    assert read_one(path, **keys).at == at


@pytest.mark.parametrize(
    "broken",
    [
        None,
        17,
        "text",
        [],
        {},
        message(id=0),
        message(id=None, at=START),
        message(id="5", at=START),
        message(id=True, at=START),
        message(id=5.5, at=START),
        message(date=None, date_unixtime=None),
        message(date="yesterday", date_unixtime=""),
        message(date=20240101, date_unixtime=[]),
        message(date="0001-01-01T00:00:00", date_unixtime=None),
        message(date_unixtime="0"),
        {"id": 5, "type": "unsupported"},
    ],
)
def test_a_message_without_id_or_date_is_counted_and_passed_over(path, broken):
    export = Export(write(path, message(1), broken, message(2)))

    assert [one.id for one in export.messages()] == [1, 2]
    assert export.malformed == 1


def test_each_reading_counts_anew(path):
    export = Export(write(path, None, message(1)))
    assert list(export.messages()) == list(export.messages())
    assert export.malformed == 1


def test_the_history_of_a_migrated_group_keeps_its_negative_ids(path):
    moved = read_one(path, id=-999_999_990, reply_to=-999_999_995, at=START)
    assert (moved.id, moved.reply_to) == (-999_999_990, MessageRef(GROUP, -999_999_995))


@pytest.mark.parametrize("type_", ["service", "unheard_of", None, MISSING, 5])
def test_whatever_is_not_a_message_is_service(path, type_):
    assert read_one(path, type=type_).service


def test_a_message_is_not_service(path):
    assert not read_one(path).service


def test_a_service_message_is_by_its_actor(path):
    [pinned] = read(path, service(1, "user7", actor="Ann", action="pin_message", message_id=5))
    assert (pinned.service, pinned.author, pinned.author_name) == (True, 7, "Ann")
    assert pinned.reply_to is None


@pytest.mark.parametrize(
    ("keys", "reply_to"),
    [
        ({}, None),
        ({"reply_to_message_id": 5}, MessageRef(GROUP, 5)),
        ({"reply_to_message_id": 9}, None),
        ({"reply_to_message_id": 10, "reply_to_peer_id": f"channel{CHAT_ID}"}, None),
        (
            {"reply_to_message_id": 10, "reply_to_peer_id": "channel9"},
            MessageRef(-1_000_000_000_009, 10),
        ),
        ({"reply_to_message_id": 5, "reply_to_peer_id": None}, MessageRef(GROUP, 5)),
        ({"reply_to_message_id": 5, "reply_to_peer_id": f"channel{CHAT_ID}"}, MessageRef(GROUP, 5)),
        (
            {"reply_to_message_id": 5, "reply_to_peer_id": "channel9"},
            MessageRef(-1_000_000_000_009, 5),
        ),
        ({"reply_to_message_id": 5, "reply_to_peer_id": "user777000"}, MessageRef(777_000, 5)),
        ({"reply_to_message_id": 5, "reply_to_peer_id": "nobody"}, None),
        ({"reply_to_peer_id": "channel9"}, None),
        ({"reply_to_message_id": 0}, None),
        ({"reply_to_message_id": None}, None),
        ({"reply_to_message_id": "5"}, None),
        ({"reply_to_message_id": 5.0}, None),
    ],
)
def test_a_reply_points_into_the_chat_it_was_given_in(path, keys, reply_to):
    assert read_one(path, **{"id": 9, "at": START} | keys).reply_to == reply_to


LINKED = {"from_id": "channel9", "from": "Linked"}


@pytest.mark.parametrize(
    ("keys", "forwarded"),
    [
        ({}, False),
        ({"forwarded_from": "Somebody"}, True),
        ({"forwarded_from": None}, True),
        ({"forwarded_from_id": "user5"}, True),
        ({"saved_from": "Somewhere"}, True),
        # the linked channel's own post
        (LINKED | {"forwarded_from": "Linked"}, False),
        (LINKED | {"forwarded_from": "Linked", "saved_from": "Linked"}, False),
        (LINKED | {"forwarded_from": "Linked", "forwarded_from_id": None}, False),
        (LINKED | {"forwarded_from": "Renamed", "forwarded_from_id": "channel9"}, False),
        # a channel that passes on what others said
        (LINKED | {"forwarded_from": "Linked", "forwarded_from_id": "channel8"}, True),
        (LINKED | {"forwarded_from": "Other"}, True),
        (LINKED | {"forwarded_from": None}, True),
        ({"from_id": "channel9", "from": None, "forwarded_from": None}, True),
        # nobody else forwards automatically
        ({"from_id": "user5", "from": "Ann", "forwarded_from": "Ann"}, True),
        ({"from_id": "chat9", "from": "Old", "forwarded_from": "Old"}, True),
        ({"from_id": f"channel{CHAT_ID}", "from": "We", "forwarded_from": "We"}, True),
        ({"from_id": None, "from": "Linked", "forwarded_from": "Linked"}, True),
    ],
)
def test_forwarded_is_what_a_person_forwarded(path, keys, forwarded):
    assert read_one(path, **keys).forwarded is forwarded


@pytest.mark.parametrize(
    ("keys", "kind"),
    [
        ({}, None),
        ({"photo": "photos/1.jpg", "width": 10, "height": 10}, "photo"),
        ({"file": "a.webp", "media_type": "sticker"}, "sticker"),
        ({"file": "a.mp4", "media_type": "video_message"}, "video_note"),
        ({"file": "a.ogg", "media_type": "voice_message"}, "voice"),
        ({"file": "a.mp4", "media_type": "animation"}, "animation"),
        ({"file": "a.mp4", "media_type": "video_file"}, "video"),
        ({"file": "a.mp3", "media_type": "audio_file"}, "audio"),
        ({"file": "a.bin", "media_type": "hologram"}, "document"),
        ({"file": "a.bin", "media_type": []}, "document"),
        ({"file": "a.pdf"}, "document"),
        ({"poll": {"question": "?"}}, "poll"),
        ({"location_information": {"latitude": 1.5}}, "location"),
        ({"place_name": "Cafe", "location_information": {"latitude": 1.5}}, "venue"),
        ({"contact_information": {"phone_number": "+0"}}, "contact"),
        ({"game_title": "Chess"}, "game"),
        ({"invoice_information": "{}"}, "invoice"),
        ({"paid_stars_amount": 50}, "paid_media"),
    ],
)
def test_media_is_named_as_bot_api_names_it(path, keys, kind):
    assert read_one(path, **keys).media == (kind and Media(kind, None))


# ── text ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("part", "entity"),
    [
        *(
            ({"type": theirs}, Entity(ours, 3, 2))
            for theirs, ours in {
                "bold": "bold",
                "italic": "italic",
                "underline": "underline",
                "strikethrough": "strikethrough",
                "spoiler": "spoiler",
                "code": "code",
                "blockquote": "blockquote",
                "link": "url",
                "mention": "mention",
                "hashtag": "hashtag",
                "cashtag": "cashtag",
                "bot_command": "bot_command",
                "email": "email",
                "phone": "phone_number",
                "bank_card": "bank_card",
            }.items()
        ),
        ({"type": "pre", "language": "python"}, Entity("pre", 3, 2, language="python")),
        ({"type": "pre", "language": ""}, Entity("pre", 3, 2)),
        ({"type": "pre"}, Entity("pre", 3, 2)),
        (
            {"type": "text_link", "href": "https://example.com"},
            Entity("text_link", 3, 2, url="https://example.com"),
        ),
        ({"type": "text_link"}, None),
        ({"type": "mention_name", "user_id": 5}, Entity("text_mention", 3, 2, user_id=5)),
        ({"type": "mention_name"}, None),
        (
            {"type": "custom_emoji", "document_id": "5400"},
            Entity("custom_emoji", 3, 2, custom_emoji_id="5400"),
        ),
        ({"type": "custom_emoji", "document_id": "stickers/sticker.webm"}, None),
        ({"type": "plain"}, None),
        ({"type": "unknown"}, None),
        ({"type": "of_the_future"}, None),
        ({"type": ["bold"]}, None),
        ({}, None),
    ],
)
def test_formatting_is_kept_under_bot_api_names_and_counted_in_utf_16(path, part, entity):
    """An emoji outside the BMP counts two, before the entity as well as in it."""
    entities = [
        {"type": "plain", "text": "🔥 "},
        part | {"text": "😂"},
        {"type": "plain", "text": "!"},
    ]
    made = read_one(path, text="ignored", entities=entities)
    assert (made.text, made.entities) == ("🔥 😂!", (entity,) if entity else ())


def test_old_exports_have_the_parts_in_text(path):
    parts = ["Тейк ", {"type": "bold", "text": "взят"}, " и ", {"type": "code", "text": "x"}]
    made = read_one(path, text=parts, text_entities=MISSING)
    assert made.text == "Тейк взят и x"
    assert made.entities == (Entity("bold", 5, 4), Entity("code", 12, 1))


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"text": "plain", "text_entities": MISSING}, "plain"),
        ({"text": "plain", "text_entities": []}, "plain"),
        ({"text": "plain", "text_entities": {"a": 1}}, "plain"),
        ({"text": "plain", "text_entities": [None, 5, {"type": "bold"}, {"text": 7}]}, "plain"),
        ({"text": "", "text_entities": []}, ""),
        ({"text": None, "text_entities": None}, ""),
        ({"text": MISSING, "text_entities": MISSING}, ""),
        ({"text": [{"type": "bold", "text": ""}, "a"], "text_entities": []}, "a"),
    ],
)
def test_text_is_found_wherever_the_export_has_it(path, keys, text):
    made = read_one(path, **keys)
    assert (made.text, made.entities) == (text, ())


def test_a_nul_survives(path):
    assert read_one(path, text="a\0b").text == "a\0b"


def test_control_characters_as_telegram_desktop_writes_them_are_read(path):
    """It escapes them as in C, which no JSON parser takes."""
    write(path, message(1, text="@@"), message(2))
    path.write_bytes(path.read_bytes().replace(b"@@", rb"a\x0Bb\x1fc \\x0B \\\x01"))
    first, second = Export(path).messages()
    assert (first.text, second.id) == ("a\x0bb\x1fc \\x0B \\\x01", 2)


@pytest.mark.parametrize("shift", range(21))
def test_an_escape_may_lie_across_any_two_chunks(path, shift):
    """However the end of a chunk divides the backslashes, each keeps its meaning."""
    escapes = rb"\\\\\x0B\\\\x0B\\"
    raw = dump(chat([message(1, text="@@", entities=[]), message(2)]))
    before, after = raw.split(b"@@")
    path.write_bytes(before + b" " * (CHUNK - len(before) - shift) + escapes + after)

    first, second = Export(path).messages()

    assert first.text.lstrip(" ") == "\\\\\x0b\\\\x0B\\"
    assert second.id == 2


def test_an_escape_may_be_the_last_of_the_file(path):
    path.write_bytes(
        b'{"type":"bot_chat","id":7,"messages":[' + dump(message(1)) + b'],"x":"\\\\"}'
    )
    assert [one.id for one in Export(path).messages()] == [1]


def test_a_lone_surrogate_never_comes_out_of_a_file(path):
    """A high one is replaced, a low one is damage. Neither could be stored."""
    write(path, message(1, text="@@"), message(2))
    raw = path.read_bytes()

    path.write_bytes(raw.replace(b"@@", rb"\ud800"))
    assert [one.text for one in Export(path).messages()] == ["?", "hello"]

    path.write_bytes(raw.replace(b"hello", rb"\udc00"))
    ids, damage = until_damage(Export(path).messages())
    assert ids == [1]
    assert "not valid Unicode" in str(damage)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.text()
    | st.floats(-1e9, 1e9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
hostile_messages = json_values | st.builds(
    lambda made, keys: made | keys,
    st.just(message(5, text=["a", {"type": "bold", "text": "b"}], reply_to=3)),
    st.dictionaries(
        st.sampled_from([
            "id", "type", "date", "date_unixtime", "from", "from_id", "text", "text_entities",
            "reply_to_message_id", "reply_to_peer_id", "forwarded_from", "forwarded_from_id",
            "media_type", "photo", "file",
        ]),
        json_values | st.lists(st.fixed_dictionaries({"type": json_values, "text": json_values})),
    ),
)  # fmt: skip  # one key a line says no more


@pytest.mark.long
@settings(deadline=None)
@given(values=st.lists(hostile_messages, max_size=4))
def test_no_value_in_place_of_a_message_stops_the_reading(tmp_path_factory, values):
    """Each is read or counted, and what is read can be stored."""
    path = tmp_path_factory.mktemp("export") / "result.json"
    path.write_text(json.dumps(chat(values)), encoding="utf-8")
    export = Export(path)

    read = list(export.messages())

    assert len(read) + export.malformed == len(values)
    for one in read:
        one.text.encode()
        assert all(entity.offset + entity.length <= len(one.text) * 2 for entity in one.entities)
        assert one.author is None or -(2**63) <= one.author < 2**63


# ── which chat ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("type_", "id_"),
    [
        ("private_supergroup", -1_000_000_000_007),
        ("public_supergroup", -1_000_000_000_007),
        ("private_channel", -1_000_000_000_007),
        ("public_channel", -1_000_000_000_007),
        ("private_group", -7),
        ("personal_chat", 7),
        ("bot_chat", 7),
        ("saved_messages", 7),
        ("replies", 7),
        ("verification_codes", 7),
    ],
)
def test_the_type_tells_what_the_bare_id_is_of(path, type_, id_):
    export = Export(write(path, message(1), id=7, type=type_))
    assert export.chat == ExportedChat(id_, "Signals", type_)
    assert next(export.messages()).chat_id == id_


@pytest.mark.parametrize(
    ("about", "complaint"),
    [
        ({"type": "secret\nchat"}, "its chat is of an unknown type 'secret chat'"),
        ({"type": None}, "does not say which chat"),
        ({"id": None}, "does not say which chat"),
        ({"id": "7"}, "does not say which chat"),
        ({"id": 0}, "does not say which chat"),
        ({"id": 1.5}, "does not say which chat"),
    ],
)
def test_an_export_of_no_known_chat_is_none(path, about, complaint):
    write(path, message(1), **about)
    with pytest.raises(ExportError, match=complaint):
        Export(path)


def test_a_chat_may_have_no_name(path):
    assert Export(write(path, name=None)).chat.name == ""


def test_the_chat_may_be_told_after_its_messages(path):
    document = dict(reversed(chat([message(1), message(2)]).items()))
    path.write_bytes(dump(document))
    export = Export(path)
    assert export.chat.id == GROUP
    assert [one.id for one in export.messages()] == [1, 2]


@pytest.mark.parametrize("wanted", [None, str(CHAT_ID), str(GROUP), "signals", " SIGNALS "])
def test_the_only_chat_may_be_named_or_not(path, wanted):
    write(path, message(1))
    assert Export(path, chat=wanted).chat.id == GROUP


ANN = chat([message(1)], id=7, type="personal_chat", name="Ann")
OLD = chat([message(1), message(2)], id=7, type="private_group", name="Old group")
NEW = chat([message(4)], id=8, type="private_supergroup", name="New Group")
LEFT = chat([message(9)], id=9, type="public_channel", name="old GROUP")
ACCOUNT = account([ANN, OLD, NEW], [LEFT])


@pytest.mark.parametrize(
    ("wanted", "id_", "messages"),
    [
        ("7", 7, [1]),  # Bot API's own id comes before a bare one
        ("-7", -7, [1, 2]),
        ("8", -1_000_000_000_008, [4]),
        ("-1000000000008", -1_000_000_000_008, [4]),
        ("new group", -1_000_000_000_008, [4]),
        ("-1000000000009", -1_000_000_000_009, [9]),
        ("ann", 7, [1]),
    ],
)
def test_a_chat_of_an_account_is_chosen_by_id_or_name(path, wanted, id_, messages):
    path.write_bytes(dump(ACCOUNT))
    export = Export(path, chat=wanted)
    assert export.chat.id == id_
    assert [one.id for one in export.messages()] == messages
    assert {one.chat_id for one in export.messages()} == {id_}


@pytest.mark.parametrize(
    ("wanted", "listed"),
    [
        (None, "7 'Ann', -7 'Old group', -1000000000008 'New Group', -1000000000009 'old GROUP'"),
        ("No such", "7 'Ann', -7 'Old group', -1000000000008 'New Group', -1000000000009"),
        ("Old Group", "holds -7 'Old group', -1000000000009 'old GROUP', and 'Old Group'"),
        ("", "holds 7 'Ann'"),
    ],
)
def test_a_chat_left_open_is_asked_for_with_those_it_may_be(path, wanted, listed):
    with pytest.raises(UsageError) as caught:
        chats_of(path, ACCOUNT, wanted)
    assert listed in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("wanted", ["-7", "77", "Other\nname"])
def test_the_only_chat_is_not_read_under_another_name(path, wanted):
    write(path, message(1), name="Two\nlines")
    with pytest.raises(UsageError) as caught:
        Export(path, chat=wanted)
    assert f"{GROUP} 'Two lines'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_account_of_one_chat_needs_no_choice(path):
    assert chats_of(path, account([NEW])).name == "New Group"


def test_chats_that_cannot_be_told_are_not_offered(path):
    odd = chat([message(1)], id=5, type="hologram")
    assert chats_of(path, account([odd, NEW, "not a chat", {"id": 3}])).name == "New Group"


def test_ten_candidates_are_enough(path):
    many = [chat(id=n, name=f"Chat {n}") for n in range(1, 13)]
    with pytest.raises(UsageError, match="'Chat 10' and 2 more") as caught:
        chats_of(path, account(many))
    assert "Chat 11" not in str(caught.value)


# ── damage ────────────────────────────────────────────────────────────────────


@pytest.mark.long
def test_wherever_a_file_is_cut_every_complete_message_before_the_cut_is_read(path):
    written = [message(1, text="Тейк 🔥"), message(2, text="a\\\n\0"), service(3)]
    raw = dump(chat(written))
    ends = [raw.index(dump(one["date"]), 0) for one in written]
    ends = [raw.index(b"\n  }", end) + len(b"\n  }") for end in ends]
    opened = raw.index(b'"messages": [') + len(b'"messages": [')
    for cut in range(1, len(raw)):
        path.write_bytes(raw[:cut])
        if cut < opened:
            with pytest.raises(ExportError) as caught:
                Export(path)
            damage = caught.value
        else:
            ids, damage = until_damage(Export(path).messages())
            assert ids == [n for n, end in enumerate(ends, 1) if end <= cut]
        assert damage.offset == cut
        assert str(damage) == f"{path} is damaged at byte {cut}: it ends too early"


def test_a_cut_account_still_gives_the_chats_before_the_cut(path):
    raw = dump(ACCOUNT)
    path.write_bytes(raw[: raw.index(b'"New Group"')])

    assert [one.id for one in Export(path, chat="-7").messages()] == [1, 2]
    with pytest.raises(UsageError, match="7 'Ann', -7 'Old group': say which chat"):
        Export(path)
    with pytest.raises(ExportError, match="it ends too early"):
        Export(path, chat="New Group")


def test_the_only_chat_before_a_cut_need_not_be_the_only_one(path):
    raw = dump(ACCOUNT)
    path.write_bytes(raw[: raw.index(b'"Old group"')])
    with pytest.raises(UsageError, match="holds 7 'Ann': say which chat"):
        Export(path)
    assert Export(path, chat="7").chat.name == "Ann"


def test_a_chat_of_an_account_cut_in_the_middle_is_read_up_to_there(path):
    raw = dump(account([ANN, OLD]))
    path.write_bytes(raw[: raw.rindex(b'"id": 2')])
    ids, damage = until_damage(Export(path, chat="-7").messages())
    assert ids == [1]
    assert damage.offset == path.stat().st_size


@pytest.mark.long
@pytest.mark.parametrize(
    ("garbage", "at", "why"),
    [
        (b"~", 0, "lexical error: invalid char in json text"),
        (b"}", 0, "parse error: unallowed token"),
        (b'"open', 6, "lexical error: invalid character inside string"),  # the line's end
        (b'"\xff"', 1, "lexical error: invalid bytes in UTF8 string"),
        (b'"\xed\xa0\x80"', 4, "a text that is not valid Unicode"),
        (
            b'"\\q"',
            4,
            "lexical error: inside a string, '\\' occurs before a character",
        ),  # escapes come whole
    ],
)
@pytest.mark.parametrize("before", [1, 400])
def test_damage_is_told_in_one_line_with_its_place(path, garbage, at, why, before):
    """After everything before it, however many chunks that is."""
    text = "Тейк 🔥 " * 9
    write(path, *(message(n, text=text) for n in range(1, before + 1)), "@@", message(9000))
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b'"@@"', garbage))

    ids, damage = until_damage(Export(path).messages())

    assert ids == list(range(1, before + 1))
    assert damage.offset == raw.index(b'"@@"') + at
    assert str(damage).startswith(f"{path} is damaged at byte {damage.offset}: {why}")
    assert "\n" not in str(damage)


@pytest.mark.parametrize("tail", [b"x", b"\0\0\0", b'{"messages": []}', b"]"])
def test_garbage_after_the_end_is_told_after_the_messages(path, tail):
    write(path, message(1), message(2))
    size = path.stat().st_size
    path.write_bytes(path.read_bytes() + b"\n" + tail)
    ids, damage = until_damage(Export(path).messages())
    assert (ids, damage.offset) == ([1, 2], size + 1)


def test_space_after_the_end_is_none(path):
    write(path, message(1))
    path.write_bytes(path.read_bytes() + b"\r\n \n")
    assert [one.id for one in Export(path).messages()] == [1]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is not an export: it is empty"),
        (b"\xef\xbb\xbf", "is not an export: it is empty"),
        (b" \n" * 1000, "it ends too early"),
        (b"[]", "it has no list of messages"),
        (b"{}", "it has no list of messages"),
        (b'{"a": 1}', "it has no list of messages"),
        (b"12", "it has no list of messages"),
        (b"null", "it has no list of messages"),
        (b'"messages"', "it has no list of messages"),
        (b'[{"messages": []}]', "it has no list of messages"),
        (b'{"messages": {}}', "it has no list of messages"),
        (b'{"chats": {"list": []}}', "it has no list of messages"),
        (b'{"chats": [{"id": 1, "messages": []}]}', "it has no list of messages"),
        (b'{"messages": []}', "it does not say which chat it is of"),
        (b"\n<!DOCTYPE html><html></html>", "it looks like HTML"),
        (dump(chat()).decode().encode("utf-16"), "it is UTF-16"),
        (dump(chat()).decode().encode("utf-16-be"), "it is UTF-16"),
        (dump(chat()).decode().encode("utf-32"), "it is UTF-32"),
        (dump(chat()).decode().encode("utf-32-le"), "it is UTF-32"),
        (b"\x89PNG\r\n\x1a\n\0\0", "damaged at byte 0: lexical error: invalid char"),
        (bytes(range(128, 256)) * 1000, "damaged at byte 0: lexical error"),
        (b"PK\x03\x04", "cannot be opened: File is not a zip file"),
        (b"time,author,text\n", "is CSV without a column for id, date, reply_to_message_id"),
    ],
)
def test_a_foreign_file_is_named_for_what_it_is(path, content, why):
    path.write_bytes(content)
    with pytest.raises(ExportError) as caught:
        Export(path)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_byte_order_mark_does_no_harm(path):
    write(path, message(1))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert [one.id for one in Export(path).messages()] == [1]


@pytest.mark.parametrize("name", [".", "missing.json", "n" * 300, "nul\0"])
def test_a_file_that_cannot_be_opened_is_told_in_one_line(tmp_path, name):
    with pytest.raises(ExportError) as caught:
        Export(tmp_path / name)
    assert caught.value.offset is None
    assert "\n" not in str(caught.value)


def test_a_pipe_is_refused_and_not_waited_for(path):
    os.mkfifo(path)
    with pytest.raises(ExportError, match="is not a file"):
        Export(path)


def test_a_file_that_goes_away_is_told(path):
    export = Export(write(path, message(1)))
    path.unlink()
    ids, damage = until_damage(export.messages())
    assert ids == []
    assert "No such file or directory" in str(damage)


# ── size ──────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def big(tmp_path_factory) -> Path:
    return generate(tmp_path_factory.mktemp("big") / "result.json", messages=6000, seed=3)


@pytest.mark.long
def test_the_progress_grows_from_nothing_to_the_size(big):
    export, seen = Export(big), []
    assert sum(1 for _ in export.messages(reading=seen.append)) == export.count == 6000
    assert seen == sorted(seen)
    assert len(set(seen)) > 10
    assert seen[-1] == export.size == big.stat().st_size


def peak_of_reading(path: Path) -> int:
    tracemalloc.start()
    for _ in Export(path).messages():
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


@pytest.mark.long
@pytest.mark.parametrize(
    "around",
    [(b"", b""), pytest.param((b'{"chats": {"list": [', b"]}}"), marks=pytest.mark.heavy)],
)
def test_memory_does_not_grow_with_the_file(tmp_path, big, around):
    """Of one chat or of an account: four times the messages take the same memory."""
    small = generate(tmp_path / "small.json", messages=1500, seed=3)
    for file in (small, big):
        (tmp_path / file.name).write_bytes(around[0] + file.read_bytes() + around[1])

    peaks = [peak_of_reading(tmp_path / file.name) for file in (small, big)]

    assert peaks[1] < peaks[0] * 1.2
    assert peaks[1] < big.stat().st_size / 2


@pytest.mark.long
def test_reading_may_stop_anywhere(big):
    """The file is closed behind it; an open one would be a warning, and so an error."""
    assert [one.id for one in islice(Export(big).messages(), 3)] == [1, 2, 3]


def test_the_same_seed_gives_the_same_export(tmp_path):
    first, second, other = (
        generate(tmp_path / f"{n}.json", messages=50, seed=seed).read_bytes()
        for n, seed in enumerate([5, 5, 6])
    )
    assert first == second != other


# ── the sample ────────────────────────────────────────────────────────────────


def test_the_committed_sample_is_read_without_a_blemish():
    export = Export(SAMPLE)
    messages = list(export.messages())
    assert export.malformed == 0
    assert 60 <= len(messages) <= 100
    assert messages[0].service
    assert [one.id for one in messages if one.forwarded] == [21]
    assert [one.id for one in messages if one.author is None] == [25]
    assert {one.id for one in messages if one.author == export.chat.id} == {1, 26, 27}
