"""The words of a medium that is all words, for a chat that does not take the medium itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.models import Media


def with_alt_text(text: str, media: Media | None) -> str:
    """The text, and below it what the medium says: a poll, a venue or a contact.

    Of what is shown and not said, as of a photo, there is nothing to add.
    """
    return "\n\n".join(filter(None, (text, _alt_text(media))))


def _alt_text(media: Media | None) -> str:
    words = None if media is None else WORDS.get(media.kind)
    if media is None or words is None or media.file_id is None:
        return ""
    facts = json.loads(media.file_id.partition(":")[2])
    return "\n".join(filter(None, words(facts)))


# An older program may have kept less.


def _of_poll(facts: dict[str, Any]) -> list[str]:
    answers = [answer.get("text") for answer in facts.get("answers", ())]
    question = facts.get("question", {}).get("text", "")
    return [question, *(f"• {answer}" for answer in answers if answer)]


def _of_venue(facts: dict[str, Any]) -> list[str]:
    return [facts.get("title", ""), facts.get("address", "")]


def _of_contact(facts: dict[str, Any]) -> list[str]:
    name = filter(None, (facts.get("first_name"), facts.get("last_name")))
    return [" ".join(name), facts.get("phone_number", "")]


WORDS: Final[dict[str, Callable[[dict[str, Any]], list[str]]]] = {
    "poll": _of_poll,
    "venue": _of_venue,
    "contact": _of_contact,
}
