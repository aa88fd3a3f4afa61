"""What the library cannot parse is known at once, and costs no more than itself.

Telegram's schema grows, and the library's stands still. A constructor that it does not know ends the
reading of the whole packet, in a task that nobody awaits: who asked waits for a time-out, what was in
the same container is lost, and nothing is acknowledged, so that it comes again. Here each message of a
packet is read by itself, and one that cannot be read comes as an `Unreadable`.

Nothing is guessed behind the place where reading failed: what stands there is somebody else's bytes.
"""

from __future__ import annotations

import gzip
import inspect
import re
from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from pyrogram import raw
from pyrogram.raw import core

from bot.errors import SentBefore, Unparsable
from bot.phrases import later, phrase

if TYPE_CHECKING:
    from collections.abc import Iterator

functions: Final[Any] = raw.functions
types: Final[Any] = raw.types
library: Final[Any] = core  # its names are not said to be exported

UNREAD: Final = later("Telegram's answer cannot be read: {error}")
GENERATED: Final = (
    "pyrogram.raw.types."  # modules of one class each; its `read` has a local for each field
)
# What an answer may do without: who is named in it, and the number of an unordered container.
PEOPLE: Final = frozenset({"topics", "chats", "users"})
DISPENSABLE: Final[dict[str, type[Any]]] = {
    **dict.fromkeys(PEOPLE, list),
    **dict.fromkeys(("date", "seq_start", "seq"), int),
}
LISTS: Final = {  # the names of the classes in them
    **dict.fromkeys(("messages", "new_messages"), re.compile(r"Message(Service|Empty)?")),
    **dict.fromkeys(("updates", "other_updates"), re.compile(r"Update\w+")),
}
MESSAGES: Final = ("Message", "MessageService")
SENDING: Final = (
    functions.messages.SendMessage,
    functions.messages.SendMedia,
    functions.messages.SendMultiMedia,
)


class Unreadable(library.TLObject):  # type: ignore[misc]  # `Any`, as all of the library
    """What stands in the place of an object that could not be read, and what had been read of it.

    `kind` is its class, if that much is known, and `known` names the fields that were read.
    `message_id`, `peer` and `date` are of the message within it at which reading failed.
    `sent`: of what we sent, the ids that it tells, by `random_id`. `garbled`: it is no constructor
    that is in the way, so another answer about the same may be sound.
    """

    __slots__ = (
        "date",
        "error",
        "final",
        "garbled",
        "kind",
        "known",
        "message_id",
        "peer",
        "pts",
        "sent",
    )
    QUALNAME = "Unreadable"

    def __init__(self, error: str) -> None:
        self.error = error
        self.garbled = False
        self.kind: str | None = None
        self.known: tuple[str, ...] = ()
        self.pts: int | None = None
        self.final = False
        self.message_id: int | None = None
        self.peer: Any = None
        self.date: int | None = None
        self.sent: dict[int, int] = {}


def make_tolerant() -> None:
    """Have the library go on where it would give up. Does nothing the second time."""
    library.Message.read = staticmethod(_read_message)
    types.RpcResult.read = staticmethod(_read_result)


def parsed(answer: Any, query: Any = None) -> Any:
    """The answer to a query. Raises `Unparsable`, or `SentBefore` where `query` posts something.

    What is no refusal says that the messages were posted, and begins with their ids.
    """
    if not isinstance(answer, Unreadable):
        return answer
    if not isinstance(query, SENDING):
        raise Unparsable(phrase(UNREAD, error=answer.error), answer)
    if not _random_ids(query) <= answer.sent.keys():
        raise SentBefore(phrase(UNREAD, error=answer.error))
    updates = [types.UpdateMessageID(id=i, random_id=r) for r, i in answer.sent.items()]
    return types.Updates(updates=updates, users=[], chats=[], date=0, seq=0)


def _random_ids(query: Any) -> set[int]:
    parts = getattr(query, "multi_media", None) or [query]
    return {part.random_id for part in parts}


def _read_message(data: BytesIO, *_args: Any) -> Any:
    message_id, number, length = (
        each.read(data) for each in (library.Long, library.Int, library.Int)
    )
    return library.Message(_read(data.read(length)), message_id, number, length)


def _read_result(data: BytesIO, *_args: Any) -> Any:
    query_id = library.Long.read(data)
    return types.RpcResult(req_msg_id=query_id, result=_read(data.read()))


class _Whole(BytesIO):
    """Behind the end, the library would read on in zeros, and take them for what was said."""

    def read(self, size: int | None = -1, /) -> bytes:
        found = BytesIO.read(self, size)  # for each number: `super()` takes as long as that
        if size is not None and len(found) < size:
            raise EOFError(f"{size - len(found)} bytes are missing")
        return found


def _read(body: bytes) -> Any:
    try:
        return _checked(library.TLObject.read(_Whole(_unpacked(body))))
    except Exception as exc:  # noqa: BLE001 - whatever the bytes lead to
        return _what_is_left(exc, body)


def _checked(found: Any) -> Any:
    """Bytes that are too few or others may still be read as something: numbers as people, say."""
    fields = {name: getattr(found, name) for name in getattr(found, "__slots__", ())}
    for name in PEOPLE & fields.keys():
        if any(isinstance(each, int) for each in fields[name] or ()):
            setattr(found, name, [])
    if _sound(fields).keys() == fields.keys():
        return found
    left = Unreadable("garbled")
    left.garbled = True
    left.kind, left.known = type(found).__name__, tuple(_sound(fields))
    left.pts, left.final = fields.get("pts"), bool(fields.get("final"))
    return left


def _what_is_left(exc: Exception, body: bytes) -> Any:
    """The object without what it may do without, else an `Unreadable`."""
    frames = list(_frames(exc))
    if frames and _unknown_constructor(exc):  # else the bytes are others than they seem, or too few
        whole = _without_the_rest(*frames[0])
        if whole is not None:
            return whole
    left = Unreadable(_words(exc))
    left.garbled = not _unknown_constructor(exc)
    if frames:
        kind, fields = frames[0]
        left.kind = kind.__name__
        left.known = tuple(_sound(fields).keys() & _parameters(kind))
        left.pts, left.final = fields.get("pts"), bool(fields.get("final"))
    for kind, fields in frames:
        if kind.__name__ in MESSAGES:
            left.message_id, left.date = fields.get("id"), fields.get("date")
            left.peer = fields.get("peer_id")
            break
    left.sent = _ids_sent(body)
    return left


def _frames(exc: Exception) -> Iterator[tuple[Any, dict[str, Any]]]:
    """The objects that were being read when it failed, the outermost first, with what was read."""
    trace = exc.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        name, _, method = frame.f_code.co_qualname.partition(".")
        if method == "read" and frame.f_globals["__name__"].startswith(GENERATED):
            yield frame.f_globals[name], dict(frame.f_locals)
        trace = trace.tb_next


def _without_the_rest(kind: Any, fields: dict[str, Any]) -> Any | None:
    """None: more is missing than it may do without."""
    wanted = _parameters(kind)
    missing = wanted - _sound(fields).keys()
    if not missing <= DISPENSABLE.keys() or wanted <= DISPENSABLE.keys():
        return None
    blanks = {name: DISPENSABLE[name]() for name in missing}
    return kind(**{name: fields[name] for name in wanted - missing}, **blanks)


def _sound(fields: dict[str, Any]) -> dict[str, Any]:
    """Without what was read from bytes that are something else: those before it were too few."""
    return {name: value for name, value in fields.items() if _is_sound(name, value)}


def _is_sound(name: str, value: Any) -> bool:
    names = LISTS.get(name)
    if names is None:
        return True
    told = value or ()
    return all(names.fullmatch(type(each).__name__) and _has_its_media(each) for each in told)


def _has_its_media(message_or_update: Any) -> bool:
    message = getattr(message_or_update, "message", None)
    told = message if isinstance(message, library.TLObject) else message_or_update
    media = getattr(told, "media", None)
    return media is None or type(media).__name__.startswith("MessageMedia")


def _parameters(kind: Any) -> set[str]:
    return set(inspect.signature(kind).parameters)


def _words(exc: Exception) -> str:
    """What was in the way. Never the bytes themselves, which may be anybody's."""
    number = _unknown_constructor(exc)
    if number:
        return phrase("unknown constructor {number}", number=f"0x{number:08x}")
    return phrase("{error}, garbled", error=type(exc).__name__)


def _unknown_constructor(exc: Exception) -> int:
    """0: it is something else. Behind the end, the library reads constructor 0."""
    known = isinstance(exc, KeyError) and bool(exc.args) and isinstance(exc.args[0], int)
    return exc.args[0] if known else 0


def _ids_sent(body: bytes) -> dict[int, int]:
    """What `updateMessageID`s tell at the head of an answer, by `random_id`.

    They come before all that people wrote. https://library.telegram.org/method/messages.sendMessage
    """
    found: dict[int, int] = {}
    with suppress(Exception):
        data = BytesIO(_unpacked(body))
        if library.Int.read(data, signed=False) != types.Updates.ID:
            return {}
        library.Int.read(data)  # a vector
        for _ in range(library.Int.read(data)):
            if library.Int.read(data, signed=False) != types.UpdateMessageID.ID:
                break
            message_id = library.Int.read(data)
            found[library.Long.read(data)] = message_id
    return found


def _unpacked(body: bytes) -> bytes:
    data = BytesIO(body)
    if library.Int.read(data, signed=False) != library.GzipPacked.ID:
        return body
    return gzip.decompress(library.Bytes.read(data))
