"""Raw TL objects that fit whichever library is installed.

Pyrogram 2.0.106 speaks layer 158, kurigram a far newer one: a constructor may lack a
field in one and demand it in the other. `make` fills what is demanded and drops what
is unknown, so the world is described once.
"""

import functools
import inspect
from hashlib import sha1
from io import BytesIO
from typing import Any

from pyrogram import raw
from pyrogram.raw.core import TLObject, Vector

TRUE = (0x997275B5).to_bytes(4, "little")
FALSE = (0xBC799737).to_bytes(4, "little")

UNKNOWN = (0xDEADBEEF).to_bytes(4, "little")

BLANKS: dict[str, Any] = {"int": 0, "str": "", "bytes": b"", "bool": False, "float": 0.0}


class Raw(TLObject):
    """An object of a newer schema: bytes that begin with a constructor no library here knows."""

    QUALNAME = "Raw"

    def __init__(self, content: bytes | None = None) -> None:
        self.content = UNKNOWN + b"of another layer" if content is None else content

    def write(self, *_args: Any) -> bytes:
        return self.content


@functools.cache
def _arguments(cls: type) -> tuple[frozenset[str], tuple[tuple[str, Any], ...]]:
    """The names a constructor knows, and a blank for each one it demands."""
    parameters = inspect.signature(cls.__init__).parameters.values()
    known = [p for p in parameters if p.name != "self"]
    demanded = [(p.name, _blank(p.annotation)) for p in known if p.default is p.empty]
    return frozenset(p.name for p in known), tuple(demanded)


def _blank(annotation: Any) -> Any:
    name = getattr(annotation, "__name__", str(annotation))
    if "list" in str(annotation).lower():
        return ()
    return BLANKS.get(name, BLANKS.get(str(annotation)))


def make(cls: type, **fields: Any) -> Any:
    """Build `cls`: demanded fields that are not given are blank, unknown ones are dropped."""
    known, demanded = _arguments(cls)
    values = {name: list(blank) if blank == () else blank for name, blank in demanded}
    values.update({name: value for name, value in fields.items() if name in known})
    return cls(**values)


def find(path: str) -> type | None:
    """`functions.messages.SendMessage` → the class, or None where this library has none."""
    found: Any = raw
    for name in path.split("."):
        found = getattr(found, name, None)
        if found is None:
            return None
    return found


def name_of(query: Any) -> str:
    """`messages.SendMessage`, as Telegram's documentation calls it."""
    return query.QUALNAME.split(".", 1)[1]


def encode(answer: Any) -> bytes:
    """An answer of a handler as it lies in an rpc_result."""
    if answer is True:
        return TRUE
    if answer is False:
        return FALSE
    if isinstance(answer, list):
        return Vector(answer)
    return answer.write()


def objects(vector: list[Any]) -> list[Any]:
    """A vector of objects at the end of a query, as it was sent.

    Both libraries guess from the bytes left whether a vector is one of bare ints, and take
    4 or 8 byte objects (inputUserSelf, inputMessageID) for numbers.
    """
    return [_from_number(item) if isinstance(item, int) else item for item in vector]


def _from_number(number: int) -> Any:
    size = 4 if -(2**31) <= number < 2**31 else 8
    return TLObject.read(BytesIO(number.to_bytes(size, "little", signed=True)))


def short_hash(data: bytes) -> int:
    """The lower 64 bits of SHA-1, which MTProto names auth keys by."""
    return int.from_bytes(sha1(data).digest()[-8:], "little", signed=True)


def utf16_length(text: str) -> int:
    """Telegram counts text in UTF-16 units. https://core.telegram.org/api/entities."""
    return len(text.encode("utf-16-le")) // 2
