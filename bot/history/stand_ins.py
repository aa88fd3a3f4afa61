"""Sources and places for a trial, with no name looked up: nothing is sent anywhere."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from bot import chat_names
from bot.known_routes import read_routes
from bot.models import ChatId
from bot.routes import Place, Routes

if TYPE_CHECKING:
    from collections.abc import Collection

    from bot.config import Settings

NOBODYS: Final = -1_999_999_999_999  # no chat has such an id, or one a little below


def offline_routes(settings: Settings, *, instead: Collection[str] = ()) -> Routes:
    """A chat whose id is not known stands for itself, and its places go by its name. See `read_routes`."""
    listed = read_routes(settings, instead=instead)
    if isinstance(listed, Routes):
        return listed
    known = chat_names.kept(settings.data_dir)
    unknown = [name for name in listed.names if name not in known]
    made = {name: NOBODYS - number for number, name in enumerate(unknown)}
    called = {ChatId(number): f"@{name}" for name, number in made.items()}
    routes = listed.known({**known, **made})

    def named(place: Place) -> Place:
        if place.name or place.chat not in called:
            return place
        return replace(place, name=called[place.chat] + (f"#{place.topic}" if place.topic else ""))

    sources = (replace(each, places=tuple(map(named, each.places))) for each in routes.sources)
    return replace(routes, sources=tuple(sources))
