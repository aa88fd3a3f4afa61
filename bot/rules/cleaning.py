"""What the rules of a place take out of a text, or put in its place."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bot.faults import fault
from bot.phrases import phrase
from bot.rules.patterns import compiled, searched
from bot.rules.retext import (
    Change,
    Formatted,
    changed,
    lines,
    offsets,
    trimmed,
    without,
    without_words,
)
from bot.rules.sanitize import NO_MENTIONS_WITHIN, is_mention

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from bot.models import Entity
    from bot.rules.presentation import Presentation

# What Telegram makes a link of by itself, where a text comes without entities of its own.
LINK: Final = re.compile(
    r"(?:https?|ftp|tg|ton)://[^\s<>]+"
    r"|(?<![\w./-])(?:www\.[\w-]+\.|(?:[\w-]+\.)?(?:t|telegram)\.(?:me|dog)/)[^\s<>]+",
    re.IGNORECASE,
)
SENTENCE: Final = ".,:;!?)]}'\"»”…"  # behind a link, and no part of it
NAMED: Final = re.compile(r"(?<!\w)@[A-Za-z0-9_]{2,}")
ADDRESS: Final = re.compile(r"\S*[^\W_]\.[^\W\d_]{2}\S*")  # in words that lead elsewhere; see there
# A group of the pattern in what is to stand in its place, or a backslash that is just that.
REFERENCE: Final = re.compile(r"\\(?:(\d)|(\\)|(.?))", re.DOTALL | re.ASCII)
CONTINUES: Final = range(0x80, 0xC0)  # bytes of UTF-8 that begin no character


class Replacement(NamedTuple):
    pattern: str
    by: str = ""  # "\1" is the first group of the pattern, "\0" all of it, "\\" a backslash


def cleaned(said: Formatted, how: Presentation) -> Formatted:
    """Lines first, as their author wrote them; and what replaces a thing may be a link again."""
    found = _without_lines(said, how.strip_lines)
    if how.remove_links:
        found = _without_links(found)
    if how.remove_mentions:
        found = _without_mentions(found)
    for each in how.replace:
        found = replaced(found, each)
    return said if found == said else trimmed(found)


def replaced(said: Formatted, by: Replacement) -> Formatted:
    raw = searched(said.text)
    # Where nothing is found within a character, the nothing behind it is found a second time.
    found = {m.span(): m for m in compiled(by.pattern).finditer(raw) if _is_whole(raw, m)}
    if not found:
        return said
    at = {byte: number for number, byte in enumerate(_starts(said.text))}
    changes = [Change(at[m.start()], at[m.end()], _expanded(by.by, m)) for m in found.values()]
    return changed(said, changes)


def check_replacement(each: Replacement) -> None:
    groups = compiled(each.pattern).groups
    for digit, backslash, _ in REFERENCE.findall(each.by):
        if digit and int(digit) > groups:
            none = phrase(
                "{by} names group {group}, and there are {groups}",
                by=repr(each.by),
                group=digit,
                groups=groups,
            )
            raise fault("replace", none)
        if not (digit or backslash):
            raise fault("replace", phrase(r"in {by}, write \\ for a backslash", by=repr(each.by)))


def _expanded(by: str, match: Any) -> str:
    def group(found: re.Match[str]) -> str:
        if found[1] is None:
            return "\\"
        return (match[int(found[1])] or b"").decode(errors="surrogatepass")

    return REFERENCE.sub(group, by)


def _starts(text: str) -> Iterator[int]:
    """In bytes, of each character and of the end."""
    at = 0
    for character in text:
        yield at
        at += len(character.encode(errors="surrogatepass"))
    yield at


def _is_whole(raw: bytes, match: Any) -> bool:
    """Of bytes, RE2 finds nothing within a character, too."""
    return not any(at < len(raw) and raw[at] in CONTINUES for at in match.span())


def _without_lines(said: Formatted, patterns: Sequence[str]) -> Formatted:
    if not patterns:
        return said
    regexes = [compiled(pattern) for pattern in patterns]

    def goes(start: int, stop: int) -> bool:
        line = searched(said.text[start:stop].rstrip("\n"))
        return any(regex.search(line) for regex in regexes)

    return without(said, [line for line in lines(said.text) if goes(*line)])


def _without_links(said: Formatted) -> Formatted:
    """Words that lead somewhere stay, and lead nowhere. An address among them would be a link again."""
    at = _characters(said.text)
    leading = [e for e in said.entities if e.type == "text_link" and not is_mention(e)]
    spans = _spans(said.entities, {"url"}, at)
    quiet = _covered(_spans(said.entities, {"url", "code", "pre"}, at))
    for start, stop in _spans(leading, {"text_link"}, at):
        spans += [found.span() for found in ADDRESS.finditer(said.text, start, stop)]
    for found in LINK.finditer(said.text):
        if found.start() not in quiet:
            spans.append((found.start(), found.start() + len(found[0].rstrip(SENTENCE))))
    entities = tuple(e for e in said.entities if e not in leading)
    return without_words(said._replace(entities=entities), spans)


def _without_mentions(said: Formatted) -> Formatted:
    """The names of people who have no @name stay, and lead to nobody."""
    at = _characters(said.text)
    spans = _spans(said.entities, {"mention"}, at)
    quiet = _covered(_spans(said.entities, {"mention", *NO_MENTIONS_WITHIN}, at))
    spans += [found.span() for found in NAMED.finditer(said.text) if found.start() not in quiet]
    entities = tuple(e for e in said.entities if e.type == "mention" or not is_mention(e))
    return without_words(said._replace(entities=entities), spans)


def _characters(text: str) -> dict[int, int]:
    """Which character begins at an offset."""
    return {offset: number for number, offset in enumerate(offsets(text))}


def _spans(
    entities: Sequence[Entity], types: Collection[str], at: dict[int, int]
) -> list[tuple[int, int]]:
    """Of entities of these types, in characters. One that splits a character is a forgery."""
    ends = [(e.offset, min(e.offset + e.length, max(at))) for e in entities if e.type in types]
    return [(at[first], at[end]) for first, end in ends if first in at and end in at]


def _covered(spans: Sequence[tuple[int, int]]) -> set[int]:
    return {number for span in spans for number in range(*span)}
