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
from itertools import chain
from typing import TYPE_CHECKING, Any, BinaryIO

# By name: should this build of ijson be missing, the slow one in Python must not step in unseen.
from ijson import JSONError  # type: ignore[import-untyped]  # ships neither stubs nor py.typed
from ijson.backends import yajl2_c as ijson  # type: ignore[import-untyped]  # the same

from bot.errors import ExportError, UsageError
from bot.history.exported_message import is_int, message_of, peer_id
from bot.models import (
    ChatId,
    IncomingMessage,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from pathlib import Path

CHUNK = 64 * 1024  # bytes
CANDIDATES_SHOWN = 10

BOM = b"\xef\xbb\xbf"
UTF16 = (b"\xff\xfe", b"\xfe\xff")

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
            message = message_of(item, self.chat.id)
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
        if kind not in CHAT_TYPES or not is_int(bare):
            return None
        peer = peer_id(CHAT_TYPES[kind], bare)
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
