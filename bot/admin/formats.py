"""JSON lines for programs, CSV for spreadsheets. Both say the same, row by row."""

from __future__ import annotations

import csv
import json
import re
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Flat = Callable[[Mapping[str, Any]], Mapping[str, Any]]

BOM: Final = "\ufeff"  # without it Excel takes UTF-8 for the code page of its machine

# What cannot be seen in a text, or moves what is around it. Line breaks of Unicode among them: not every
# reader of JSON lines splits at "\n" alone.
INVISIBLE: Final = r"\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
_UNSEEN: Final = re.compile(f"[{INVISIBLE}]")
# A cell of these is a formula: https://owasp.org/www-community/attacks/CSV_Injection
# The wide ones are so in Japan. Whoever's Excel separates with semicolons or tabs gets a cell behind each of them, and
# one at the start of each line. An apostrophe is guarded, too, so that a guard can be told from what was written.
_FORMULA: Final = re.compile(
    rf"^(?=[\t\r\n])|(?:^|[;\t\r\n])(?:(?![\t\r\n])[\s\"{INVISIBLE}])*+(?=[=+\-@＝＋－＠'])"
)
_MOVES: Final = re.compile(f"(?!\r?\n)[{INVISIBLE}]")  # the cursor, or what stands around it


class Format(StrEnum):
    CSV = "csv"
    JSONL = "jsonl"


class Out(Protocol):
    def write(self, text: str, /) -> object: ...


class Writer(Protocol):
    def write(self, row: Mapping[str, Any]) -> None:
        """One row: names to numbers, texts, None, lists of texts, or objects of such."""


class OnScreen:
    """For a terminal, which what people wrote must not drive."""

    def __init__(self, out: Out) -> None:
        self._out = out

    def write(self, text: str, /) -> None:
        self._out.write(_MOVES.sub("\ufffd", text))


class JsonLines:
    def __init__(self, out: Out) -> None:
        self._out = out

    def write(self, row: Mapping[str, Any]) -> None:
        line = json.dumps(row, ensure_ascii=False)
        self._out.write(_UNSEEN.sub(_escaped, line) + "\n")


class Csv:
    """A header, and a line for each row, which `flat` leaves no objects in. What is None is empty."""

    def __init__(self, out: Out, columns: Sequence[str], flat: Flat) -> None:
        self._csv = csv.writer(out)  # lines end with \r\n: https://www.rfc-editor.org/rfc/rfc4180
        self._columns = columns
        self._flat = flat
        out.write(BOM)
        self._csv.writerow(columns)

    def write(self, row: Mapping[str, Any]) -> None:
        flat = self._flat(row)
        self._csv.writerow(_cell(flat.get(column)) for column in self._columns)


def _cell(value: object) -> str:
    if value is None:
        return ""
    return harmless(" ".join(value) if isinstance(value, list) else str(value))


def harmless(cell: str) -> str:
    """With an apostrophe before whatever a spreadsheet would take for the begin of a formula."""
    return _FORMULA.sub(r"\g<0>'", cell)


def _escaped(char: re.Match[str]) -> str:
    return f"\\u{ord(char[0]):04x}"
