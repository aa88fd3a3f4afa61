"""What is read, by which rules, and where it goes: sources and their places. Pure.

What decides belongs to a source, so that a message is decided upon once, whoever gets it; what is
shown belongs to a place. The settings of `.env` are one route, named `main`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import inf
from typing import TYPE_CHECKING, Final

from bot.config import DEFAULT_MARKERS, DEFAULT_TTL
from bot.endpoints import Endpoint, FileEndpoint
from bot.errors import SettingsError, words_of
from bot.faults import fault
from bot.models import GENERAL, SINKS, Address, AfterTtl, Answers, ChatId, is_basic_group, is_sink
from bot.phrases import phrase
from bot.rules.presentation import AS_IT_IS, Presentation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import timedelta

    from bot.config import Settings
    from bot.models import AuthorId

MAIN: Final = "main"


@dataclass(frozen=True, slots=True)
class Place:
    """Where posts go, and how they look there.

    It is told apart by its row in the table `places`, whatever it is called.
    """

    chat: ChatId
    topic: int = 0  # of a forum; 0: none, or General
    name: str = ""  # as operators call it; empty: by its chat
    id: int = 0  # its row; 0: it has none, as in a trial
    mentions: bool = False  # whom a message mentions is mentioned there, too
    presentation: Presentation = AS_IT_IS
    source: str = ""  # what its messages come from, for `{source}`
    endpoint: Endpoint | FileEndpoint | None = None  # of a program; then `chat` is a `sink_id`

    @property
    def label(self) -> str:
        """What it is called, with or without a name of its own."""
        return self.name or str(Address(self.chat, self.topic))


def plain_place(_number: int, chat: ChatId, topic: int) -> Place:
    """As `Routes.place`, where nothing is listed."""
    return Place(chat, topic)


@dataclass(frozen=True, slots=True)
class Source:
    """A chat or one topic of a forum where signals are read, and the rules for that.

    `permitted` None: everyone whose identity can be told.
    """

    name: str = MAIN
    chat: ChatId | None = None  # None: whatever is read, in a trial of an export
    topic: int | None = None  # None: the chat as a whole
    places: tuple[Place, ...] = ()
    markers: tuple[str, ...] = DEFAULT_MARKERS
    patterns: tuple[str, ...] = ()
    permitted: frozenset[AuthorId] | None = None
    ttl: timedelta = DEFAULT_TTL
    after_ttl: AfterTtl = AfterTtl.RELEASE
    relay_edits: bool = True
    relay_deletes: bool = True
    answers: Answers = Answers.IGNORE

    @property
    def where(self) -> str:
        return MAIN if self.chat is None else str(Address(self.chat, self.topic or 0))


@dataclass(frozen=True)
class Routes:
    """All sources, by the ids that chats have now.

    `moved`: basic groups that became supergroups, old id to new. `mentions`: of places that are
    not listed any more. `named`: by a file; else the settings are the one source.
    """

    sources: tuple[Source, ...]
    moved: Mapping[ChatId, ChatId] = field(default_factory=dict)
    mentions: bool = False
    named: bool = False

    @cached_property
    def chats(self) -> tuple[ChatId, ...]:
        """Those that are read, each once."""
        named = (source.chat for source in self.sources)
        return tuple(dict.fromkeys(chat for chat in named if chat is not None))

    @cached_property
    def places(self) -> tuple[Place, ...]:
        return tuple(place for source in self.sources for place in source.places)

    @cached_property
    def targets(self) -> tuple[ChatId, ...]:
        """The chats that are posted to, each once."""
        return tuple(chat for chat in self.queues if not is_sink(chat))

    @cached_property
    def queues(self) -> tuple[ChatId, ...]:
        """The same, and what stands for a chat where a program is told."""
        return tuple(dict.fromkeys(place.chat for place in self.places))

    @cached_property
    def sinks(self) -> dict[ChatId, Endpoint | FileEndpoint]:
        """Those of `queues` that are no chats; places of one say the same of it."""
        return {each.chat: each.endpoint for each in self.places if each.endpoint is not None}

    @cached_property
    def source_names(self) -> dict[ChatId, str]:
        """The chats that are read, each by all its sources; empty where no file names them."""
        if not self.named:
            return {}
        return {chat: ", ".join(each.name for each in self.sources_in(chat)) for chat in self.chats}

    @cached_property
    def place_names(self) -> dict[ChatId, str]:
        """Those of `queues` of which a place has a name, by all that have one."""
        names: dict[ChatId, list[str]] = {}
        for each in self.places:
            if each.name:
                names.setdefault(each.chat, []).append(each.name)
        return {chat: ", ".join(each) for chat, each in names.items()}

    @cached_property
    def file_names(self) -> dict[ChatId, str]:
        """All chats by what a file calls them, empty where it does not; none where there is no file."""
        if not self.named:
            return {}
        return dict.fromkeys(self.targets, "") | self.place_names | self.source_names

    @cached_property
    def basic_groups(self) -> tuple[ChatId, ...]:
        """Those that are read, and those that chats which are read have been before."""
        before = (old for old, new in self.moved.items() if new in self.chats)
        return tuple(chat for chat in (*self.chats, *before) if is_basic_group(chat))

    @cached_property
    def _by_address(self) -> dict[tuple[ChatId | None, int | None], Source]:
        return {(source.chat, source.topic): source for source in self.sources}

    @cached_property
    def _by_id(self) -> dict[int, Place]:
        return {place.id: place for place in self.places if place.id}

    @cached_property
    def _by_target(self) -> dict[tuple[ChatId, int], Place]:
        return {(place.chat, place.topic): place for place in reversed(self.places)}

    def now(self, chat: ChatId) -> ChatId:
        """What has become of a chat."""
        return self.moved.get(chat, chat)

    def source_of(self, chat: ChatId, topic: int) -> Source | None:
        """Whose messages of that topic are; None: nobody reads it. `topic` 0: it is in none."""
        known, chat = self._by_address, self.now(chat)
        of_topic = known.get((chat, topic or GENERAL))
        return of_topic or known.get((chat, None)) or known.get((None, None))

    def rules_for(self, chat: ChatId, topic: int) -> Source | None:
        """For a flow that was recorded there. The one source of the settings has no others beside it."""
        return self.source_of(chat, topic) if self.named else self.sources[0]

    def source(self, name: str) -> Source | None:
        return next((each for each in self.sources if each.name == name), None)

    def sources_in(self, chat: ChatId) -> list[Source]:
        return [each for each in self.sources if each.chat in {None, self.now(chat)}]

    def topics_of(self, chat: ChatId) -> list[int]:
        """Those that sources read by themselves."""
        return [each.topic for each in self.sources_in(chat) if each.topic is not None]

    def place(self, number: int, chat: ChatId, topic: int) -> Place:
        """By its row; one that is not listed any more looks as one of the same address would."""
        listed = self._by_id.get(number) or self._by_target.get((chat, topic))
        return listed or Place(chat, topic, mentions=self.mentions)

    def where_chats_are(self, moved: Mapping[ChatId, ChatId]) -> Routes:
        """With the ids that they have now; of two places that have become one, the first."""

        def now(chat: ChatId) -> ChatId:
            return moved.get(chat, chat)

        sources = tuple(
            replace(
                source,
                chat=None if source.chat is None else now(source.chat),
                places=_once(replace(each, chat=now(each.chat)) for each in source.places),
            )
            for source in self.sources
        )
        return replace(self, sources=sources, moved=moved)

    def with_rows(self, rows: Mapping[tuple[str, ChatId, int], int]) -> Routes:
        """Each place with its row, by the name of its source, its chat and its topic."""
        sources = tuple(
            replace(
                source,
                places=tuple(
                    replace(place, id=rows[source.name, place.chat, place.topic])
                    for place in source.places
                ),
            )
            for source in self.sources
        )
        return replace(self, sources=sources)

    def without_places(self) -> Routes:
        """Nothing is relayed, as in a trial or an import, and so are no edits of what was posted."""
        quiet = (replace(source, places=(), relay_edits=False) for source in self.sources)
        return replace(self, sources=tuple(quiet))


def _once(places: Iterable[Place]) -> tuple[Place, ...]:
    found: dict[tuple[ChatId, int], Place] = {}
    for place in places:
        found.setdefault((place.chat, place.topic), place)
    return tuple(found.values())


def ring(routes: Routes, source: Source, place: Place) -> str | None:
    """The way from that place back to its source, over any number of others; None: there is none."""
    todo = [(place, f"{source.name} → {place.label}")]
    seen: set[str] = set()
    while todo:
        at, way = todo.pop()
        for reader in routes.sources:
            if not _is_read_by(at, reader):
                continue
            if reader is source:
                return f"{way} → {source.name}"
            if reader.name not in seen:
                seen.add(reader.name)
                todo += [(each, f"{way} → {reader.name} → {each.label}") for each in reader.places]
    return None


def _is_read_by(place: Place, source: Source) -> bool:
    return place.chat == source.chat and source.topic in {None, place.topic or GENERAL}


def sink_id(address: str) -> ChatId:
    """What stands for a chat in the rows of a place that is none. One address is one place, on every host."""
    digest = hashlib.blake2b(address.encode(), digest_size=8).digest()
    return ChatId(SINKS - 1 - (int.from_bytes(digest) >> 3))


def webhook_of(settings: Settings) -> Endpoint | None:
    """Raises `SettingsError` for one that cannot be told of anything."""
    url, secret = settings.webhook_url, settings.webhook_secret
    if url is None and secret is None:
        return None
    if url is None or secret is None:
        raise SettingsError(
            phrase("WEBHOOK_URL and WEBHOOK_SECRET: neither is of use alone, set both")
        )
    private = settings.webhook_allow_private
    found = Endpoint(url.get_secret_value(), secret.get_secret_value(), allow_private=private)
    for setting, check in (
        ("WEBHOOK_URL", found.check_url),
        ("WEBHOOK_SECRET", found.check_secret),
    ):
        try:
            check()
        except SettingsError as exc:
            raise fault(setting, words_of(exc)) from None
    return found


def main_route(settings: Settings) -> Routes:
    """The settings of `.env`. Raises `SettingsError` for a webhook that cannot be."""
    mentions = settings.relay_mentions
    places = [Place(chat, topic, mentions=mentions) for chat, topic in settings.target_chat_id]
    endpoint = webhook_of(settings)
    if endpoint is not None:
        # Whatever its address is by then: what waits for it goes there.
        sink = sink_id(f"webhook {MAIN}")
        places.append(Place(sink, name="webhook", mentions=mentions, endpoint=endpoint))
    source = Source(
        MAIN,
        settings.source_chat_id,
        places=tuple(replace(place, source=MAIN) for place in places),
        markers=settings.signal_markers,
        patterns=settings.signal_patterns,
        permitted=settings.permitted,
        ttl=settings.flow_ttl_hours,
        after_ttl=settings.flow_after_ttl,
        relay_edits=settings.relay_edits,
        relay_deletes=settings.relay_deletes,
    )
    return Routes((source,), mentions=mentions)


def released_after(sources: Iterable[Source]) -> float | None:
    """Seconds after which the flows of all these are released; None: never."""
    each = [
        source.ttl.total_seconds() if source.after_ttl is AfterTtl.RELEASE else inf
        for source in sources
    ]
    longest = max(each, default=inf)
    return None if longest == inf else longest
