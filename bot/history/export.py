"""An exported chat → messages, one at a time and in the order of their ids.

Memory does not grow with the file: the longest single message is the most that is held. Read are Telegram
Desktop's result.json, of one chat or of a whole account, from which one chat is chosen, tdl's JSON and
CSV, packed or not.

What was not exported cannot be told from here: media has no file id, albums are single messages,
and a message Telegram Desktop calls "unsupported" has no date and counts as malformed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bot.errors import ExportError, UsageError
from bot.history import csv_items, tdl
from bot.history.chats import SINGLE, Found, found_chats, items_of
from bot.history.export_file import AS_JSON, ExportFile
from bot.history.exported_message import READ, is_int, message_of, peer_id, sort_key
from bot.history.feed import Feed
from bot.history.in_order import in_order
from bot.models import ChatId

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from bot.history.in_order import InOrder
    from bot.models import IncomingMessage

CANDIDATES_SHOWN = 10
TOLD_EVERY: Final = 250  # messages
# How a document in it begins: with its mark, or without one, in front of a `{`.
ENCODINGS: Final = {
    "UTF-32": (b"\xff\xfe\0\0", b"\0\0\xfe\xff", b"{\0\0\0", b"\0\0\0{"),
    "UTF-16": (b"\xff\xfe", b"\xfe\xff", b"{\0", b"\0{"),
}
PACKED: Final = {  # by what stands where
    "bzip2": (0, b"BZh"),
    "xz": (0, b"\xfd7zXZ\0"),
    "zstd": (0, b"\x28\xb5\x2f\xfd"),
    "7z": (0, b"7z\xbc\xaf\x27\x1c"),
    "rar": (0, b"Rar!\x1a\x07"),
    "tar": (257, b"ustar"),
}

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
CSV: Final = "csv"
TDL: Final = "tdl"


@dataclass(frozen=True, slots=True)
class ExportedChat:
    id: ChatId
    name: str  # "" where the export gives none (saved messages, a deleted account)
    type: str  # as Telegram Desktop names it: "private_supergroup", …; or what wrote the export


class Export:
    """One chat of an export. Made, it knows its chat; the file is open only while messages are read.

    `chat` is an id, bare or as Bot API writes it, or a name in any case. It may be left out when the
    export holds one chat, and has to be an id where it names none. `name`: see `ExportFile`.

    Raises:
        UsageError: `chat` fits no chat, or more than one. The text lists what there is.
        ExportError: this is no export, or is damaged before the chat could be told.
    """

    def __init__(self, path: Path, *, chat: str | None = None, name: str | None = None) -> None:
        self._file = ExportFile(path, name)
        self.size = self._file.size  # bytes on the disk
        self.count = 0  # messages that are to come, once the first one has
        self.malformed = 0  # messages skipped so far: no object, no id or no date
        if foreign := _foreign(self._file.head):
            raise ExportError(f"{self._file.name} is not an export: {foreign}", offset=0)
        self._found: Found | None = None  # None: it is CSV
        columns = csv_items.columns_of(self._file.head)
        if columns:
            csv_items.refuse_incomplete(self._file.name, columns)
            self.chat = _told(self._file.name, chat)
        else:
            self._found, self.chat = _choose(self._file, chat)

    def messages(
        self, *, reading: Callable[[int], None] = lambda _position: None
    ) -> Iterator[IncomingMessage]:
        """The messages in the order of their ids, whatever that of the file; each call reads it anew.

        Of one that comes more than once, as in merged exports, the one that was edited last comes last.
        `reading` is told how many bytes of the file have been read. Damage is raised after every message
        that is complete before it.
        """
        self.malformed = 0
        with in_order() as ordered:
            damage = self._read(ordered, reading)
            self.count = ordered.count
            for item in ordered:
                message = message_of(item, self.chat.id)
                if message is not None:
                    yield message
        if damage is not None:
            raise damage

    def _read(self, ordered: InOrder, reading: Callable[[int], None]) -> ExportError | None:
        """Everything, or what is before the damage."""
        feed = Feed(self._file)
        try:
            for number, item in enumerate(self._items(feed)):
                key = sort_key(item)
                if key is None:
                    self.malformed += 1
                else:
                    ordered.add(key, {name: said for name, said in item.items() if name in READ})
                if number % TOLD_EVERY == 0:
                    reading(feed.file_position)
        except ExportError as exc:
            return exc
        reading(self.size)
        return None

    def _items(self, feed: Feed) -> Iterator[Any]:
        if self._found is None:
            yield from csv_items.items(self._file.name, feed.lines())
        else:
            with feed.tokens() as tokens:
                items = items_of(tokens, self._found)
                yield from map(tdl.item_of, items) if self.chat.type == TDL else items


def _foreign(head: bytes) -> str | None:
    if not head:
        return "it is empty"
    for name, begins in ENCODINGS.items():
        if head.startswith(begins):
            return f"it is {name}, and an export is UTF-8"
    for name, (at, sign) in PACKED.items():
        if head.startswith(sign, at):
            return f"it is packed as {name}; unpack it, or pack it as zip or gz"
    if head.lstrip().startswith(b"<"):
        return f"it looks like HTML; {AS_JSON}"
    return None


# ── which chat ────────────────────────────────────────────────────────────────


def _told(name: str, wanted: str | None) -> ExportedChat:
    """The chat of an export that names none. Raises `UsageError`."""
    try:
        return ExportedChat(ChatId(int(wanted or "")), "", CSV)
    except ValueError as exc:
        raise UsageError(
            f"{name} is CSV, which does not say of which chat it is: "
            "give its id, such as --chat -1001234567890"
        ) from exc


def _chat(one: Found) -> ExportedChat | None:
    """None: which chat this is cannot be told."""
    bare, name, kind = (one.facts.get(key) for key in ("id", "name", "type"))
    if kind is None and tdl.is_one(one.first):
        found = tdl.chat_of(one.first)
        peer = found and peer_id(CHAT_TYPES[found[0]], found[1])
        return ExportedChat(ChatId(peer), "", TDL) if peer else None
    if kind not in CHAT_TYPES or not is_int(bare):
        return None
    peer = peer_id(CHAT_TYPES[kind], bare)
    return None if peer is None else ExportedChat(ChatId(peer), name or "", kind)


def _choose(file: ExportFile, wanted: str | None) -> tuple[Found, ExportedChat]:
    found, damage = _scan(file)
    chats = [(one, chat) for one in found if (chat := _chat(one))]
    fitting = chats if wanted is None else _fitting(chats, wanted)
    if len(fitting) == 1 and (wanted is not None or damage is None):
        return fitting[0]
    if damage and not fitting:
        raise damage
    if not chats:
        raise ExportError(f"{file.name} {_lack(found)}", offset=0)
    question = _question(file.name, wanted, [chat for _, chat in fitting or chats])
    raise UsageError(f"{question}; {damage}" if damage else question)


def _scan(file: ExportFile) -> tuple[list[Found], ExportError | None]:
    """Every chat with messages, and the damage that kept from seeing more."""
    found: list[Found] = []
    damage = None
    try:
        with Feed(file).tokens() as tokens:
            found_chats(tokens, found)
    except ExportError as exc:
        damage = exc
    return [one for one in found if "messages" in one.facts], damage


def _fitting(
    chats: Sequence[tuple[Found, ExportedChat]], wanted: str
) -> list[tuple[Found, ExportedChat]]:
    """What `wanted` means, read as narrowly as it can be: an id, a bare id, a name."""
    wanted = wanted.strip()
    return (
        [one for one in chats if str(one[1].id) == wanted]
        or [one for one in chats if str(one[0].facts.get("id")) == wanted]
        or [one for one in chats if one[1].name.casefold() == wanted.casefold()]
    )


def _lack(found: Sequence[Found]) -> str:
    if not found:
        return "is not an export: it has no list of messages"
    kind = found[0].facts.get("type")
    if kind is None and found[0].place == SINGLE and tdl.is_one(found[0].first):
        return tdl.LACKS
    if kind is None or kind in CHAT_TYPES:
        return "is not an export: it does not say which chat it is of"
    return f"is not an export: its chat is of an unknown type {_one_line(kind)!r}"


def _question(name: str, wanted: str | None, chats: Sequence[ExportedChat]) -> str:
    names = [f"{chat.id} {_one_line(chat.name)!r}" for chat in chats]
    listed = ", ".join(names[:CANDIDATES_SHOWN])
    if len(names) > CANDIDATES_SHOWN:
        listed += f" and {len(names) - CANDIDATES_SHOWN} more"
    asked = (
        "" if wanted is None else f", and {_one_line(wanted)!r} is not the name or id of just one"
    )
    return f"{name} holds {listed}{asked}: say which chat"


def _one_line(text: str) -> str:
    return " ".join(text.split())
