"""Telegram Desktop result.json → messages, one at a time.

Memory does not grow with the file: the longest single message is the most that is held. Two forms
are read: the export of one chat, and the export of a whole account, from which one chat is chosen.

What was not exported cannot be told from here: media has no file id, albums are single messages,
and a message Telegram Desktop calls "unsupported" has no date and counts as malformed.
"""

from __future__ import annotations

import re
from collections import deque
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any, BinaryIO, TypeGuard

# By name: should this build of ijson be missing, the slow one in Python must not step in unseen.
from ijson import JSONError  # type: ignore[import-untyped]  # ships neither stubs nor py.typed
from ijson.backends import yajl2_c as ijson  # type: ignore[import-untyped]  # the same

from bot.errors import ExportError, UsageError
from bot.models import (
    AuthorId,
    ChatId,
    Entity,
    IncomingMessage,
    Media,
    MessageId,
    MessageRef,
    UnixTime,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from pathlib import Path

CHUNK = 64 * 1024  # bytes
CANDIDATES_SHOWN = 10

BOM = b"\xef\xbb\xbf"
UTF16 = (b"\xff\xfe", b"\xfe\xff")

INT64 = range(-(2**63), 2**63)
CHANNEL_BASE = -(10**12)
# Accounts that stand in for a sender Telegram does not name: the service account, anonymous
# admins and channels as old clients see them. Whoever they speak for, it is not a user.
STAND_INS = frozenset({777_000, 1_087_968_824, 136_817_688})

PEER = re.compile(r"(user|chat|channel)([0-9]{1,19})")
DIGITS = re.compile(r"[0-9]{1,18}")
OLD_PEERS = ("user", "chat", "channel")  # a numeric peer of old exports: kind << 32 | id

CHAT_TYPES = {
    "personal_chat": "user",
    "bot_chat": "user",
    "saved_messages": "user",
    "replies": "user",
    "verification_codes": "user",
    "private_group": "chat",
    "private_supergroup": "channel",
    "public_supergroup": "channel",
    "private_channel": "channel",
    "public_channel": "channel",
}

ENTITY_TYPES = {
    "bold": "bold",
    "italic": "italic",
    "underline": "underline",
    "strikethrough": "strikethrough",
    "spoiler": "spoiler",
    "code": "code",
    "pre": "pre",
    "blockquote": "blockquote",
    "link": "url",
    "text_link": "text_link",
    "mention": "mention",
    "mention_name": "text_mention",
    "hashtag": "hashtag",
    "cashtag": "cashtag",
    "bot_command": "bot_command",
    "email": "email",
    "phone": "phone_number",
    "bank_card": "bank_card",
    "custom_emoji": "custom_emoji",
}

MEDIA_TYPES = {
    "sticker": Media("sticker"),
    "video_message": Media("video_note"),
    "voice_message": Media("voice"),
    "animation": Media("animation"),
    "video_file": Media("video"),
    "audio_file": Media("audio"),
}
MEDIA_KEYS = {  # the first that is there decides: a venue has a location too
    "photo": Media("photo"),
    "file": Media("document"),
    "poll": Media("poll"),
    "place_name": Media("venue"),
    "location_information": Media("location"),
    "contact_information": Media("contact"),
    "game_title": Media("game"),
    "invoice_information": Media("invoice"),
}

FORWARD_KEYS = frozenset({"forwarded_from", "forwarded_from_id", "saved_from"})

# What is to be known of a chat, and the parser's event that brings it.
FACTS = {"id": "number", "name": "string", "type": "string", "messages": "start_array"}

# Where a chat may lie, as ijson counts: the whole document, or one of the lists of an account.
SINGLE = ""
PLACES = (SINGLE, "chats.list.item", "left_chats.list.item")

# yajl refuses broken JSON; Python refuses strings that are no text (a lone "\udc00").
DAMAGE = (JSONError, UnicodeError)


@dataclass(frozen=True, slots=True)
class ExportedChat:
    id: ChatId
    name: str  # "" where the export gives none (saved messages, a deleted account)
    type: str  # as Telegram Desktop names it: "private_supergroup", …


class Export:
    """One chat of an export. Made, it knows its chat; the file is open only while messages are read.

    `chat` is an id, bare or as Bot API writes it, or a name in any case. It may be left out when the
    export holds one chat.

    Raises:
        UsageError: `chat` fits no chat, or more than one. The text lists what there is.
        ExportError: this is no export, or is damaged before the chat could be told.
    """

    def __init__(self, path: Path, *, chat: str | None = None) -> None:
        self._path = path
        self.size = _inspect(path)  # bytes
        self.position = 0  # bytes read so far
        self.malformed = 0  # messages skipped so far: no object, no id or no date
        self._found, self.chat = _choose(path, chat)

    def messages(self) -> Iterator[IncomingMessage]:
        """The messages in the order of the file; each call reads it anew.

        Damage is raised after every message that is complete before it.
        """
        self.malformed = 0
        feed = _Feed(self._path)
        for item in feed.run(self._found.items):
            self.position = feed.position
            message = _message(item, self.chat.id)
            if message is None:
                self.malformed += 1
            else:
                yield message
        self.position = self.size


# ── the file ──────────────────────────────────────────────────────────────────


def _inspect(path: Path) -> int:
    """The size in bytes, unless the first of them already say that this is no export."""
    try:
        if path.exists() and not path.is_file():  # a pipe could not be read twice
            raise ExportError(f"{path} is not a file")
        with path.open("rb") as file:
            head = file.read(1024)
            size = path.stat().st_size
    except (OSError, ValueError) as exc:  # ValueError: a NUL in the path
        raise ExportError(f"{path} cannot be opened: {_why(exc)}") from exc
    if foreign := _foreign(head.removeprefix(BOM)):
        raise ExportError(f"{path} is not an export: {foreign}", offset=0)
    return size


def _foreign(head: bytes) -> str | None:
    if not head:
        return "it is empty"
    if head.startswith(UTF16):
        return "it is UTF-16, and an export is UTF-8"
    if head.lstrip().startswith(b"<"):
        return "it looks like HTML; export the chat again as machine-readable JSON"
    return None


class _Feed:
    r"""The bytes of one reading, as ijson asks for them and as a JSON parser can take them.

    Telegram Desktop writes control characters as `\x0B`, which is C and not JSON
    (https://github.com/telegramdesktop/tdesktop/issues/27571). They are handed on as `\u000B`.
    """

    def __init__(self, path: Path, *, single_bytes_from: int | None = None) -> None:
        self.position = 0
        self._path = path
        self._single_bytes_from = single_bytes_from
        self._chunk_start = 0
        self._ended = False
        self._held = b""
        self._file: BinaryIO

    def run(self, parse: Callable[[_Feed], Iterable[Any]]) -> Generator[Any, None, None]:
        """What `parse` makes of the file; then, if there is damage, an ExportError."""
        try:
            with self._path.open("rb") as self._file:
                if self._file.read(len(BOM)) != BOM:
                    self._file.seek(0)
                self.position = self._file.tell()
                yield from parse(self)
        except OSError as exc:
            raise ExportError(
                f"{self._path} cannot be read: {_why(exc)}", offset=self.position
            ) from exc
        except DAMAGE as exc:
            offset = self._locate()
            why = "it ends too early" if self._ended else _why(exc)
            raise ExportError(
                f"{self._path} is damaged at byte {offset}: {why}", offset=offset
            ) from exc

    def read(self, size: int) -> bytes:
        if size == 0:  # ijson's way to ask whether this is a binary file
            return b""
        data = b""
        while not (data or self._ended):  # an empty answer would mean the end
            data = self._next(size)
        return data

    def _next(self, size: int) -> bytes:
        if self._single_bytes_from is not None:
            size = min(size, max(1, self._single_bytes_from - self.position))
        self._chunk_start = self.position
        fresh = self._file.read(size)
        self.position += len(fresh)
        self._ended = not fresh
        data = self._held + fresh
        whole = len(data) if self._ended else _whole(data)
        data, self._held = data[:whole], data[whole:]
        return ESCAPE.sub(_as_json, data) if b"\\x" in data else data

    def _locate(self) -> int:
        """The byte at which parsing failed.

        All that ijson tells is the chunk, so the file is read once more, that chunk byte by byte.
        """
        if self._ended:
            return self.position
        if self._single_bytes_from is not None:
            return self.position - 1
        again = _Feed(self._path, single_bytes_from=self._chunk_start)
        with suppress(ExportError):
            deque(again.run(_tokens), maxlen=0)
        return again.position if again._ended else again.position - 1


ESCAPE = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|.)", re.DOTALL)


def _as_json(escape: re.Match[bytes]) -> bytes:
    return rb"\u00" + escape[1] if escape[1] else escape[0]


def _whole(data: bytes) -> int:
    """How much of `data` surely does not end within an escape."""
    at = data.rfind(b"\\", max(0, len(data) - 3))
    if at < 0:
        return len(data)
    # Which of several backslashes escapes the next is only told from the first on.
    while at > 0 and data[at - 1] == ord("\\"):
        at -= 1
    return at


def _why(exc: Exception) -> str:
    """One line. yajl's own goes on with an excerpt and an arrow, and is bytes if that is no text."""
    if isinstance(exc, OSError):
        return exc.strerror or type(exc).__name__
    if isinstance(exc, UnicodeError):
        return "a text that is not valid Unicode"
    text = exc.args[0]
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    return str(text).partition("\n")[0].rstrip(".")


# `use_float`: without it, ijson 3.6.0 makes an int of any number of digits, and dies of a
# segmentation fault over one that Python refuses (more than 4300). With it, a number
# that fits no 64 bits is damage.


def _tokens(feed: _Feed) -> Iterable[Any]:
    return ijson.basic_parse(feed, buf_size=CHUNK, use_float=True)  # type: ignore[no-any-return]


def _events(feed: _Feed) -> Iterable[tuple[str, str, Any]]:
    return ijson.parse(feed, buf_size=CHUNK, use_float=True)  # type: ignore[no-any-return]


# ── the chats ─────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class _Found:
    """A chat as the file has it, and where its messages lie."""

    place: str
    index: int  # among the chats of its place
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        return "messages" in self.facts and "id" in self.facts and "type" in self.facts

    def chat(self) -> ExportedChat | None:
        """None: which chat this is cannot be told."""
        bare, name, kind = (self.facts.get(key) for key in ("id", "name", "type"))
        if kind not in CHAT_TYPES or not _is_int(bare):
            return None
        peer = _peer(CHAT_TYPES[kind], bare)
        if peer is None:
            return None
        return ExportedChat(ChatId(peer), name or "", kind)

    def items(self, feed: _Feed) -> Iterable[Any]:
        if self.place == SINGLE:
            return ijson.items(feed, "messages.item", buf_size=CHUNK, use_float=True)  # type: ignore[no-any-return]
        return ijson.items(self._events(feed), f"{self.place}.messages.item")  # type: ignore[no-any-return]

    def _events(self, feed: _Feed) -> Iterator[tuple[str, str, Any]]:
        """What the parser finds within this one chat of several."""
        index = -1
        for event in _events(feed):
            index += event[:2] == (self.place, "start_map")
            if index > self.index:
                return
            if index == self.index:
                yield event


def _choose(path: Path, wanted: str | None) -> tuple[_Found, ExportedChat]:
    found, damage = _scan(path)
    chats = [(one, chat) for one in found if (chat := one.chat())]
    fitting = chats if wanted is None else _fitting(chats, wanted)
    if len(fitting) == 1 and (wanted is not None or damage is None):
        return fitting[0]
    if damage and not fitting:
        raise damage
    if not chats:
        raise ExportError(f"{path} is not an export: {_lack(found)}", offset=0)
    raise UsageError(_question(path, wanted, [chat for _, chat in fitting or chats]))


def _scan(path: Path) -> tuple[list[_Found], ExportError | None]:
    """Every chat with messages, and the damage that kept from seeing more."""
    found: dict[str, list[_Found]] = {place: [] for place in PLACES}
    damage = None
    try:
        with closing(_Feed(path).run(_events)) as events:
            _collect(events, found)
    except ExportError as exc:
        damage = exc
    return [one for one in chain(*found.values()) if "messages" in one.facts], damage


def _collect(events: Iterable[tuple[str, str, Any]], found: dict[str, list[_Found]]) -> None:
    for prefix, event, value in events:
        place, _, key = prefix.rpartition(".")
        if event == "start_map" and prefix in found:
            found[prefix].append(_Found(prefix, len(found[prefix])))
        elif FACTS.get(key) == event and found.get(place):
            one = found[place][-1]
            one.facts[key] = value
            if place == SINGLE and one.complete:
                return  # with messages yet unread: Telegram Desktop first tells whose they are


def _fitting(
    chats: list[tuple[_Found, ExportedChat]], wanted: str
) -> list[tuple[_Found, ExportedChat]]:
    """What `wanted` means, read as narrowly as it can be: an id, a bare id, a name."""
    wanted = wanted.strip()
    return (
        [one for one in chats if str(one[1].id) == wanted]
        or [one for one in chats if str(one[0].facts["id"]) == wanted]
        or [one for one in chats if one[1].name.casefold() == wanted.casefold()]
    )


def _lack(found: list[_Found]) -> str:
    if not found:
        return "it has no list of messages"
    kind = found[0].facts.get("type")
    if kind is None or kind in CHAT_TYPES:
        return "it does not say which chat it is of"
    return f"its chat is of an unknown type {_one_line(kind)!r}"


def _question(path: Path, wanted: str | None, chats: list[ExportedChat]) -> str:
    names = [f"{chat.id} {_one_line(chat.name)!r}" for chat in chats]
    listed = ", ".join(names[:CANDIDATES_SHOWN])
    if len(names) > CANDIDATES_SHOWN:
        listed += f" and {len(names) - CANDIDATES_SHOWN} more"
    asked = (
        "" if wanted is None else f", and {_one_line(wanted)!r} is not the name or id of just one"
    )
    return f"{path} holds {listed}{asked}: say which chat"


def _one_line(text: str) -> str:
    return " ".join(text.split())


# ── one message ───────────────────────────────────────────────────────────────


def _message(item: object, chat_id: ChatId) -> IncomingMessage | None:
    """None: it has no id or no date, so nothing could be told apart or judged by it."""
    if not isinstance(item, dict):
        return None
    message_id, at = item.get("id"), _date(item)
    if not _is_int(message_id) or message_id == 0 or at is None:
        return None
    service = item.get("type") != "message"
    author = _author(item.get("actor_id" if service else "from_id"))
    name = item.get("actor" if service else "from")
    text, entities = _text(item)
    return IncomingMessage(
        chat_id=chat_id,
        id=MessageId(message_id),
        author=author,
        at=at,
        text=text,
        entities=entities,
        reply_to=_reply_to(item, chat_id),
        forwarded=_is_forwarded(item, author, chat_id),
        service=service,
        media=_media(item),
        author_name=name if name and isinstance(name, str) else None,
        edited_at=_edited_at(item),
    )


def _is_int(value: object) -> TypeGuard[int]:
    return type(value) is int  # and no bool, which JSON keeps apart


def _digits(value: object) -> int | None:
    """A number that JSON carries as a string, or as a number."""
    if isinstance(value, str) and DIGITS.fullmatch(value):
        return int(value)
    return value if _is_int(value) else None


def _date(item: dict[str, Any]) -> UnixTime | None:
    """Old exports only have `date`, in the zone of whoever exported. It is read as UTC.

    A date that MTProto could not carry (it has 32 bits) is nobody's.
    """
    at = _digits(item.get("date_unixtime"))
    if at is None:
        try:
            date = datetime.fromisoformat(item["date"])
        except (KeyError, TypeError, ValueError):
            return None
        at = int((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp())
    return UnixTime(at) if 0 < at < 2**32 else None


def _edited_at(item: dict[str, Any]) -> UnixTime | None:
    """None: never, or an old export, which says so in a zone that nobody knows."""
    at = _digits(item.get("edited_unixtime"))
    return UnixTime(at) if at is not None and 0 < at < 2**32 else None


def _author(value: object) -> AuthorId | None:
    peer = _peer_of(value)
    return None if peer is None or peer in STAND_INS else AuthorId(peer)


def _peer_of(value: object) -> int | None:
    """The id of "user1", "chat1", "channel1" or an old export's number, as Bot API counts."""
    if isinstance(value, str):
        return _named_peer(value)
    if _is_int(value):
        kind, bare = divmod(value, 2**32)
        return _peer(OLD_PEERS[kind], bare) if 0 <= kind < len(OLD_PEERS) else None
    return None


@lru_cache(maxsize=1024)
def _named_peer(value: str) -> int | None:
    match = PEER.fullmatch(value)
    return _peer(match[1], int(match[2])) if match else None


def _peer(kind: str, bare: int) -> int | None:
    if bare <= 0:
        return None
    peer = {"user": bare, "chat": -bare, "channel": CHANNEL_BASE - bare}[kind]
    return peer if peer in INT64 else None


def _reply_to(item: dict[str, Any], chat_id: ChatId) -> MessageRef | None:
    parent = item.get("reply_to_message_id")
    if not _is_int(parent) or parent == 0:
        return None
    other = item.get("reply_to_peer_id")
    peer = chat_id if other is None else _peer_of(other)
    # Into a chat that cannot be told: at least it is not into this one.
    return None if peer is None else MessageRef(ChatId(peer), MessageId(parent))


def _is_forwarded(item: dict[str, Any], author: AuthorId | None, chat_id: ChatId) -> bool:
    if FORWARD_KEYS.isdisjoint(item):
        return False
    if author is None or author >= CHANNEL_BASE or author == int(chat_id):
        return True
    # A channel brings its own post into the group it is linked with.
    origin = item.get("forwarded_from_id")
    if origin is not None:
        return _peer_of(origin) != author
    name = item.get("from")
    return not name or item.get("forwarded_from") != name


def _media(item: dict[str, Any]) -> Media | None:
    kind = item.get("media_type")
    if isinstance(kind, str) and kind in MEDIA_TYPES:
        return MEDIA_TYPES[kind]
    for key, media in MEDIA_KEYS.items():
        if key in item:
            return media
    return None


def _text(item: dict[str, Any]) -> tuple[str, tuple[Entity, ...]]:
    """`text_entities` is the whole text in parts; older exports have the parts in `text` alone."""
    for key in ("text_entities", "text"):
        value = item.get(key)
        if value and isinstance(value, str):
            return value, ()
        if value and isinstance(value, list):
            text, entities = _joined(value)
            if text:
                return text, entities
    return "", ()


def _joined(parts: list[Any]) -> tuple[str, tuple[Entity, ...]]:
    texts, entities, offset = [], [], 0
    for part in parts:
        text = part.get("text") if isinstance(part, dict) else part
        if not isinstance(text, str):
            continue
        length = len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2
        if isinstance(part, dict) and length and (entity := _entity(part, offset, length)):
            entities.append(entity)
        texts.append(text)
        offset += length
    return "".join(texts), tuple(entities)


def _entity(part: dict[str, Any], offset: int, length: int) -> Entity | None:
    """None: the part is plain, or lacks what its type is worth nothing without."""
    kind = part.get("type")
    name = ENTITY_TYPES.get(kind) if isinstance(kind, str) else None
    if name is None:
        return None
    if name == "pre":
        return Entity(name, offset, length, language=_filled(part.get("language")))
    needed: dict[str, Any] = {}
    if name == "text_link":
        needed["url"] = _filled(part.get("href"))
    elif name == "text_mention":
        needed["user_id"] = _digits(part.get("user_id"))
    elif name == "custom_emoji":  # often the path of a file, which Telegram could not use
        document = part.get("document_id")
        needed["custom_emoji_id"] = None if _digits(document) is None else str(document)
    return None if None in needed.values() else Entity(name, offset, length, **needed)


def _filled(value: object) -> str | None:
    return value if value and isinstance(value, str) else None
