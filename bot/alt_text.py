"""The words of a medium that is all words, for a chat that does not take the medium itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bot.models import Media


def with_alt_text(text: str, media: Media | None) -> str:
    """The text, and below it what the medium says: a poll, a venue or a contact.

    Of what is shown and not said, as of a photo, there is nothing to add.
    """
    return "\n\n".join(filter(None, (text, _alt_text(media))))


def _alt_text(media: Media | None) -> str:
    _, _, rest = (media and media.file_id or "").partition(":")
    if media is None or not rest.startswith("{"):
        return ""
    facts = json.loads(rest)
    lines = {
        "poll": lambda: [_plain(facts, "question"), *_answers(facts)],
        "venue": lambda: [facts.get("title"), facts.get("address")],
        "contact": lambda: [_name(facts), facts.get("phone_number")],
    }.get(media.kind, list)
    return "\n".join(filter(None, lines()))


def _answers(facts: dict[str, Any]) -> list[str]:
    return [f"• {answer['text']}" for answer in facts.get("answers", ()) if answer.get("text")]


def _plain(facts: dict[str, Any], name: str) -> str:
    words = facts.get(name) or {}
    return str(words.get("text", ""))


def _name(facts: dict[str, Any]) -> str:
    return " ".join(filter(None, (facts.get("first_name"), facts.get("last_name"))))
