"""Chats as CSV, which many scripts write: a line for each message, under a line that names the columns."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING, Any, Final

from bot.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

SEPARATORS: Final = ",;\t"
# What Telegram Desktop calls it in JSON, and what scripts call it. All of these are needed: without an
# author or what is answered, other decisions would fall than in the chat.
NEEDED: Final = {
    "id": ("message_id", "msg_id"),
    "date": ("date_unixtime", "datetime", "timestamp"),
    "from_id": ("sender_id", "user_id", "author_id", "author"),
    "reply_to_message_id": ("reply_to", "reply_to_msg_id", "reply_to_id"),
    "text": ("message", "content", "msg_content"),
}
MORE: Final = {
    "from": ("sender", "sender_name", "author_name", "name"),
    "forwarded_from": ("forward_from", "fwd_from"),
    "edited_unixtime": ("edited", "edit_date"),
    "type": (),
}
CHANNEL: Final = 10**12
FIELD_MAX: Final = 1024 * 1024  # characters
WHOLE: Final = re.compile(r"-?[0-9]{1,18}(?:\.0)?")  # pandas writes ids beside gaps as 5.0


def columns_of(head: bytes) -> dict[str, int]:
    """Where which column stands in a file that begins so; empty: it is no CSV of messages."""
    line = head.lstrip().split(b"\n", 1)[0].decode("utf-8", "replace").strip()
    columns = {} if line[:1] in {"{", "["} else _columns(line)
    return columns if len(columns) > 1 else {}


def _columns(line: str) -> dict[str, int]:
    """Those that are known, by the name of Telegram Desktop."""
    try:
        names = next(csv.reader([line], delimiter=_separator(line)), [])
    except csv.Error:  # anything may stand there: this is asked of files that are no text
        return {}
    found = [name.strip().strip("\ufeff").lower() for name in names]
    columns = {}
    for known, others in (NEEDED | MORE).items():
        for name in (known, *others):
            if name in found and known not in columns:
                columns[known] = found.index(name)
    return columns


def _separator(line: str) -> str:
    return max(SEPARATORS, key=line.count)


def refuse_incomplete(name: str, columns: Container[str]) -> None:
    """Raises `ExportError`."""
    missing = ", ".join(column for column in NEEDED if column not in columns)
    if missing:
        raise ExportError(f"{name} is CSV without a column for {missing}", offset=0)


def items(name: str, lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Messages as Telegram Desktop's export has them. Raises `ExportError`, which tells the line."""
    source, line = iter(lines), 0
    csv.field_size_limit(FIELD_MAX)
    try:
        first = next(source, "").strip()
        columns = _columns(first)
        rows = csv.reader(source, delimiter=_separator(first), strict=True)
        for row in rows:
            line = rows.line_num
            if row:
                yield _item({key: row[at] for key, at in columns.items() if at < len(row)})
    except (csv.Error, UnicodeError) as exc:
        raise ExportError(f"{name} is damaged behind line {line + 1}: {exc}") from exc


def _item(cells: dict[str, str]) -> dict[str, Any]:
    item: dict[str, Any] = {key: text for key, text in cells.items() if text}
    item["type"] = "service" if cells.get("type") == "service" else "message"
    seconds = _number(item.get("date"))
    item |= {} if seconds is None else {"date_unixtime": seconds}
    item["id"] = _number(item.get("id"))
    item["from_id"] = _peer(item.get("from_id"))
    item["reply_to_message_id"] = _number(item.get("reply_to_message_id"))
    return item


def _number(text: str | None) -> int | None:
    return int(text.partition(".")[0]) if text and WHOLE.fullmatch(text) else None


def _peer(text: str | None) -> str | None:
    """An id as Bot API counts, in the words of Telegram Desktop; those are left as they are."""
    number = _number(text)
    if number is None:
        return text
    if number < -CHANNEL:
        return f"channel{-number - CHANNEL}"
    return f"user{number}" if number > 0 else f"chat{-number}"
