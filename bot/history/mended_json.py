r"""Bytes of an export as a JSON parser can take them: what programs write that is no JSON is mended.

Telegram Desktop writes control characters as `\x0B`, which is C and not JSON
(https://github.com/telegramdesktop/tdesktop/issues/27571). Scripts that merge exports write `NaN` and
`Infinity`, and numbers that fit neither 64 bits nor a double. Nobody reads such a field, so `null`
stands for it; where somebody does, it is a message without an id or a date.
"""

from __future__ import annotations

import re
from math import isfinite
from typing import Final

ESCAPE: Final = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|.)", re.DOTALL)
WITHIN_STRING: Final = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
# All that is no number, or one that surely fits; as one match, so that a chunk without trouble costs little.
HARMLESS: Final = re.compile(
    rb'(?:[^"\-0-9NI]++|"(?:[^"\\]++|\\.)*+"|-?[0-9]{1,18}+(?![0-9.eE]))*+', re.DOTALL
)
NUMBER: Final = re.compile(rb"-?[0-9]++(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?|NaN|-?Infinity")
OF_NUMBERS: Final = b"-+.0123456789eENaInfity"
LONGEST: Final = 4096  # bytes of a number that are waited for
INT64: Final = range(-(2**63) + 1, 2**63)  # as yajl takes them


class Mended:
    """One reading, chunk by chunk. What may go on in the next chunk is held back until then."""

    def __init__(self) -> None:
        self._escapes = b""  # held back
        self._number = b""  # the same
        self._in_string = False
        self._dropping = False  # the rest of a number that is longer than any

    def next(self, fresh: bytes, *, last: bool) -> bytes:
        data = self._escapes + fresh
        whole = len(data) if last else _whole(data)
        data, self._escapes = data[:whole], data[whole:]
        data = ESCAPE.sub(_as_json, data) if b"\\x" in data else data
        if self._dropping:
            data = data.lstrip(OF_NUMBERS)
            self._dropping = not data
        return self._with_numbers(self._number + data, last=last)

    def _with_numbers(self, data: bytes, *, last: bool) -> bytes:
        self._number = b""
        numbers = self._numbers(data)
        open_end = not (last or self._in_string)
        end = len(data.rstrip(OF_NUMBERS)) if open_end else len(data)
        parts: list[bytes] = []
        begin = 0
        for number in numbers:
            if number.end() <= end:
                parts += data[begin : number.start()], _as_it_fits(number[0])
                begin = number.end()
        return b"".join([*parts, data[begin:end], self._hold(data[end:])])

    def _hold(self, number: bytes) -> bytes:
        """What is not to be held back, but handed on at once."""
        if len(number) <= LONGEST:
            self._number = number
            return b""
        self._dropping = number[0] in b"-0123456789"
        return b"null" if self._dropping else number

    def _numbers(self, data: bytes) -> list[re.Match[bytes]]:
        """Those that may not fit. Moves in and out of strings."""
        found, at = [], 0
        while at < len(data):
            if self._in_string:
                at = _end(WITHIN_STRING, data, at)
                self._in_string = data[at : at + 1] != b'"'
                at += 1
                continue
            at = _end(HARMLESS, data, at)
            self._in_string = data[at : at + 1] == b'"'
            number = NUMBER.match(data, at)
            if number is not None:
                found.append(number)
            at = at + 1 if number is None else number.end()
        return found


def _end(pattern: re.Pattern[bytes], data: bytes, start: int) -> int:
    """Of a pattern that fits anything, be it nothing."""
    match = pattern.match(data, start)
    return start if match is None else match.end()


def _as_it_fits(number: bytes) -> bytes:
    if number.lstrip(b"-").isdigit():
        return number if len(number) < 21 and int(number) in INT64 else b"null"  # noqa: PLR2004
    return number if number[-1:].isdigit() and isfinite(float(number)) else b"null"


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
