"""How a message is shown, besides its text and its medium; and as one JSON value in the tables."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from bot.models import Entity

if TYPE_CHECKING:
    from collections.abc import Iterable


class Quote(NamedTuple):
    """The words of the answered message that a reply is about."""

    text: str
    entities: tuple[Entity, ...]
    offset: int  # in the answered text, UTF-16 units; a hint, where the words stand there twice


class LinkButton(NamedTuple):
    text: str
    url: str


class Preview(NamedTuple):
    """A link preview that its author has chosen the page or the size of."""

    url: str
    size: str  # "large", "small", or "" where Telegram decides


@dataclass(frozen=True, slots=True)
class Extras:
    """What is not said is as Telegram has it by itself."""

    silent: bool = False  # nobody's phone rings
    no_preview: bool = False  # there is a link, and no preview of it
    preview: Preview | None = None
    above: bool = False  # the medium, or the preview, stands below the words or above them, turned
    quote: Quote | None = None
    buttons: tuple[tuple[LinkButton, ...], ...] = ()  # row by row
    lost: tuple[str, ...] = ()  # what it has besides and no post of ours can have, in words

    def without(self, part: str) -> Extras:
        """`part` is "buttons", "quote" or "preview"."""
        if part == "preview":
            return replace(self, preview=None, no_preview=True)
        return replace(self, buttons=()) if part == "buttons" else replace(self, quote=None)

    def unquoted(self) -> Extras:
        """A quote is one of the very message that is answered; in an answer to another it says nothing."""
        if self.quote is None:
            return self
        lost = (*self.lost, "quote of a message that it does not answer in the target")
        return replace(self, quote=None, lost=lost)


PLAIN = Extras()


def dumped(extras: Extras | None) -> str | None:
    """None: nothing that is not as usual."""
    if extras is None or extras == PLAIN:
        return None
    said: dict[str, Any] = {
        name: getattr(extras, name)
        for name in extras.__slots__
        if getattr(extras, name) != getattr(PLAIN, name)
    }
    if extras.quote is not None:
        entities = [entity_item(entity) for entity in extras.quote.entities]
        said["quote"] = extras.quote._replace(entities=tuple(entities))  # type: ignore[arg-type]
    return json.dumps(said, ensure_ascii=False)


def loaded(text: str | None) -> Extras | None:
    if text is None:
        return None
    said = json.loads(text)
    if "preview" in said:
        said["preview"] = Preview(*said["preview"])
    if "quote" in said:
        words, entities, offset = said["quote"]
        said["quote"] = Quote(words, tuple(Entity(**each) for each in entities), offset)
    rows: Iterable[Any] = said.get("buttons", ())
    said["buttons"] = tuple(tuple(LinkButton(*each) for each in row) for row in rows)
    said["lost"] = tuple(said.get("lost", ()))
    return Extras(**said)


def entity_item(entity: Entity) -> dict[str, Any]:
    """Only what an entity has, as JSON takes it; `Entity(**item)` reads it back."""
    found = {name: getattr(entity, name) for name in entity.__slots__}
    return {name: value for name, value in found.items() if value is not None}
