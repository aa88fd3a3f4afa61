"""A JSON document of any size and depth, piece by piece, in a time that grows with its length alone.

ijson's own `items` names each piece by the whole path to it, so that depth costs its square.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, TypeAlias

# By name: should this build of ijson be missing, the slow one in Python must not step in unseen.
from ijson import JSONError  # type: ignore[import-untyped]  # ships neither stubs nor py.typed
from ijson.backends import yajl2_c as ijson  # type: ignore[import-untyped]  # the same

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Token: TypeAlias = tuple[str, Any]
    Member: TypeAlias = tuple[str, str, Any]  # key, and the token that its value begins with

CHUNK: Final = 64 * 1024  # bytes
OPENS: Final = ("start_map", "start_array")
CLOSES: Final = ("end_map", "end_array")
DEEPEST: Final = 12  # within one piece; nothing that is read lies deeper, and None stands for it

# yajl refuses broken JSON; Python refuses strings that are no text (a lone "\udc00").
DAMAGE: Final = (JSONError, UnicodeError)


def tokens(file: Any) -> Iterator[Token]:
    """`file` has `read`. Raises one of `DAMAGE`."""
    # `use_float`: without it, ijson 3.6.0 makes an int of any number of digits, and dies of a
    # segmentation fault over one that Python refuses (more than 4300).
    return ijson.basic_parse(file, buf_size=CHUNK, use_float=True)  # type: ignore[no-any-return]


def members(source: Iterator[Token]) -> Iterator[Member]:
    """Those of the map that has just begun. Whoever takes one also takes what its value holds."""
    for event, key in source:
        if event == "end_map":
            return
        yield key, *next(source)


def elements(source: Iterator[Token]) -> Iterator[Token]:
    """The same of an array."""
    for token in source:
        if token[0] == "end_array":
            return
        yield token


def pass_over(source: Iterator[Token], event: str) -> None:
    """What the value holds that began with this event."""
    depth = int(event in OPENS)
    while depth:
        event, _ = next(source)
        depth += (event in OPENS) - (event in CLOSES)


def built(source: Iterator[Token], event: str, value: Any, *, depth: int = 0) -> Any:
    """The value that began with this token."""
    if event not in OPENS:
        return value
    if depth == DEEPEST:
        return pass_over(source, event)
    return (_map if event == "start_map" else _list)(source, depth + 1)


# Most of what they hold is no map and no list: to ask `built` for each, or to go through a generator,
# would take half of a replay's reading.


def _map(source: Iterator[Token], depth: int) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for named, key in source:
        if named == "end_map":
            break
        event, value = next(source)
        made[key] = built(source, event, value, depth=depth) if event in OPENS else value
    return made


def _list(source: Iterator[Token], depth: int) -> list[Any]:
    made: list[Any] = []
    for event, value in source:
        if event == "end_array":
            break
        made.append(built(source, event, value, depth=depth) if event in OPENS else value)
    return made


def exhaust(source: Iterable[Token]) -> None:
    """Read what is left, for damage in it."""
    deque(source, maxlen=0)
