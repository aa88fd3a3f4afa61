"""What is other in the routes than it was, in a line for each source and place: for people and the log."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from bot.models import Address
from bot.phrases import joined, phrase
from bot.routes_keys import SOURCE_KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.routes import Place, Routes, Source

KEYS: Final = {field: key for key, (field, _) in SOURCE_KEYS.items()}
# What is told apart by other means, or follows from the source.
NO_RULES: Final = {"name", "chat", "topic", "places", "id", "source", "presentation", "endpoint"}


def changes(before: Routes, after: Routes) -> list[str]:
    """Empty: nothing is. Of places that have rows."""
    return list(_changes(before, after))


def _changes(before: Routes, after: Routes) -> Iterator[str]:
    was = _pairs(before, after)
    for source in before.sources:
        if source not in was.values():
            yield phrase(
                "source {name} is heard no more; its flows stay for its return", name=source.name
            )
    for source in after.sources:
        old = was.get(source.name)
        if old is None:
            yield phrase(
                "source {name} is new: {chat} is heard", name=source.name, chat=source.where
            )
        else:
            yield from _of_source(old, source)
    yield from _of_places(before, after)


def _pairs(before: Routes, after: Routes) -> dict[str, Source]:
    """What each source was, by its name of now: the same chat, or else one of the same name."""
    left = {(each.chat, each.topic): each for each in before.sources}
    found = {each.name: left.pop((each.chat, each.topic), None) for each in after.sources}
    by_name = {each.name: each for each in left.values()}
    both = {name: old or by_name.get(name) for name, old in found.items()}
    return {name: old for name, old in both.items() if old is not None}


def _of_source(old: Source, new: Source) -> Iterator[str]:
    if old.name != new.name:
        yield phrase("source {old} is called {new}", old=old.name, new=new.name)
    if old.where != new.where:
        yield phrase(
            "source {name} is {new}, and no longer {old}",
            name=new.name,
            new=new.where,
            old=old.where,
        )
    keys = [KEYS[each] for each in _differing(old, new)]
    if keys:
        yield phrase("source {name}: {keys} changed", name=new.name, keys=joined(", ", keys))


def _of_places(before: Routes, after: Routes) -> Iterator[str]:
    old = {place.id: place for place in before.places}
    new = {place.id: place for place in after.places}
    for number, place in old.items():
        if number not in new:
            yield phrase(
                "place {place} gets nothing more; what waits for it waits for its return",
                place=_called(place),
            )
    for number, place in new.items():
        if number in old:
            yield from _of_place(old[number], place)
        else:
            yield phrase("place {place} is new", place=_called(place))


def _of_place(old: Place, new: Place) -> Iterator[str]:
    if old.label != new.label:
        yield phrase("place {old} is called {new}", old=_called(old), new=new.label)
    keys = [*_differing(old.presentation, new.presentation), *_moved(old, new)]
    keys += ["relay_mentions"] if old.mentions != new.mentions else []
    if old.endpoint is not None and new.endpoint is not None:
        keys += _differing(old.endpoint, new.endpoint)
    if keys:
        yield phrase("place {place}: {keys} changed", place=_called(new), keys=joined(", ", keys))


def _moved(old: Place, new: Place) -> list[str]:
    same = (old.chat, old.topic) == (new.chat, new.topic) or new.endpoint is not None
    return [] if same else [phrase("chat (it was {chat})", chat=Address(old.chat, old.topic))]


def _called(place: Place) -> str:
    return phrase("{place} of {source}", place=place.label, source=place.source)


def _differing(old: Any, new: Any) -> list[str]:
    """The names of what the two do not say alike."""
    if type(old) is not type(new):
        return [phrase("what it is")]
    names = [each.name for each in fields(old) if each.name not in NO_RULES]
    return [name for name in names if getattr(old, name) != getattr(new, name)]
