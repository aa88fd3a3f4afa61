"""`routes.toml`: several sources, each with its own rules and places. Strict, and pure but for reading it.

Each fault is one line, with the line of the file and what to do. A name such as `@group` stands for
a chat until somebody has looked it up; see `Listed.known`.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from bot.chat_names import ChatName, NamedAddress
from bot.endpoints import Endpoint
from bot.errors import SettingsError, words_of
from bot.models import GENERAL, Address, ChatId
from bot.phrases import Phrase, joined, phrase
from bot.routes import Place, Routes, Source, ring, sink_id
from bot.routes_keys import ELSE, PLACE_KEYS, SOURCE_KEYS, WANTED, Parse
from bot.routes_lines import At, LineNumbers
from bot.rules.presentation import AS_IT_IS, Presentation
from bot.rules.presentation_keys import KEYS as SHOWN_KEYS
from bot.rules.presentation_keys import presentation_from
from bot.sink_keys import KEYS as SINK_KEYS
from bot.sink_keys import Sinks, WrongKey, differing, kind_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

FILE: Final = "routes.toml"


# ── the file ──


@dataclass(frozen=True, slots=True)
class _ReadPlace:
    said: Mapping[str, Any]
    at: At


@dataclass(frozen=True, slots=True)
class _ReadSource:
    said: Mapping[str, Any]
    at: At
    places: Sequence[_ReadPlace]


class Listed:
    """What a file says. Raises `SettingsError` with a line for each fault."""

    def __init__(self, text: str, *, name: str = FILE, sinks: Sinks | None = None) -> None:
        self._name = name
        self._sinks = sinks or Sinks()
        self._lines = LineNumbers(text)
        self._faults: list[tuple[int, str]] = []
        self._sources = list(map(self._source, *self._numbered(self._parsed(text), "source", None)))
        self._refuse()

    @property
    def names(self) -> tuple[ChatName, ...]:
        """Of chats that are not named by their id."""
        named = [each.chat for _, each in self._chats() if isinstance(each, NamedAddress)]
        return tuple(dict.fromkeys(named))

    @property
    def source_names(self) -> tuple[str, ...]:
        """In the order of the file."""
        return tuple(each.said["name"] for each in self._sources)

    @property
    def all_names(self) -> tuple[str, ...]:
        """Of sources and places alike."""
        return tuple(said["name"] for _, said in self._tables() if "name" in said)

    def where(self, name: ChatName) -> str:
        """The file and line that names that chat first."""
        at = next(at for at, each in self._chats() if each == NamedAddress(name, each.topic))
        return self._line(self._lines.of(at, "chat"))

    def in_its_line(self, said: str) -> str:
        """What is wrong with a chat, by the line that names it; `said` begins with the setting of `.env`."""
        found = re.match(r"(?:SOURCE|TARGET)_CHAT_ID: (-?\d+)", said)
        if found is None:
            return said
        lines = {str(each.chat): self._lines.of(at, "chat") for at, each in self._chats()}
        if found[1] not in lines:
            return said
        where = joined(": ", [self._line(lines[found[1]]), "chat"])
        if isinstance(said, Phrase) and "setting" in said.values:
            return phrase(said.one, **{**said.values, "setting": where})
        return f"{where}: {said[found.start(1) :]}"

    def _line(self, number: int) -> str:
        return phrase("{file}, line {line}", file=self._name, line=number)

    def known(self, names: Mapping[ChatName, int]) -> Routes:
        """The routes, with the ids of `names`. Raises `SettingsError`, as for two of one chat."""
        routes = Routes(tuple(self._as_source(each, names) for each in self._sources), named=True)
        self._check_names()
        self._check_sources(routes)
        self._check_places(routes)
        self._check_sinks(routes)
        self._check_services(routes)
        self._refuse()
        return routes

    # ── reading ──

    def _parsed(self, text: str) -> dict[str, Any]:
        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as exc:
            at = re.search(r"\(at line (\d+), column \d+\)", str(exc))
            line = int(at[1]) if at else len(text.splitlines()) or 1
            said = re.sub(r"\s*\(at .*\)$", "", str(exc))
            told = phrase("this is no TOML: {error}", error=said)
            raise SettingsError(joined(": ", [self._line(line), told])) from exc

    def _numbered(
        self, table: Mapping[str, Any], name: str, of: int | None
    ) -> tuple[list[Any], list[At]]:
        found = table.get(name, [])
        if of is None:
            self._unknown(table, {"source"}, (-1, None), phrase("outside of a [[source]]"))
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            header = "[[source]]" if of is None else "[[source.place]]"
            self._fault((of or 0, None), name, phrase("write {header} above each", header=header))
            return [], []
        if not found and of is None:
            self._fault((0, None), None, phrase("there is no [[source]] in it"))
        return found, [
            (number, None) if of is None else (of, number) for number in range(len(found))
        ]

    def _source(self, table: dict[str, Any], at: At) -> _ReadSource:
        self._unknown(table, {*SOURCE_KEYS, "place"}, at, phrase("of a source"))
        said = self._said(table, SOURCE_KEYS, at, ("name", "chat", "allowed_users"))
        tables, places = self._numbered(table, "place", at[0])
        if not tables:
            self._fault(at, None, phrase("it has no [[source.place]], where its signals go"))
        return _ReadSource(said, at, list(map(self._place, tables, places)))

    def _place(self, table: dict[str, Any], at: At) -> _ReadPlace:
        self._unknown(table, {*PLACE_KEYS, *SINK_KEYS, *SHOWN_KEYS}, at, phrase("of a place"))
        shown = {"presentation": self._shown(table, at)}
        try:
            kind = kind_of(table)
            if kind in {"webhook", "jsonl"}:
                return _ReadPlace(self._sink(table, at) | shown, at)
        except WrongKey as exc:
            self._fault(at, exc.key, exc.text)
            return _ReadPlace({}, at)
        if kind is None:
            self._fault(
                at,
                None,
                phrase("chat is missing: {wanted}", wanted=joined("", [WANTED["chat"], ELSE])),
            )
        return _ReadPlace(self._said(table, PLACE_KEYS, at, ()) | shown, at)

    def _sink(self, table: Mapping[str, Any], at: At) -> dict[str, Any]:
        """Of a place that is no chat. Raises `WrongKey`."""
        said = self._said(table, PLACE_KEYS, at, ("name",))
        if "name" in said:
            said["endpoint"] = self._sinks.endpoint(table, said["name"])
        return said

    def _shown(self, table: Mapping[str, Any], at: At) -> Presentation:
        try:
            shown = presentation_from({key: table[key] for key in table if key in SHOWN_KEYS})
            return replace(shown, translate=self._sinks.with_key(shown.translate))
        except SettingsError as exc:
            named = re.match(r"\w+", str(exc))
            self._fault(at, named and named[0], words_of(exc))
            return AS_IT_IS

    def _said(
        self,
        table: Mapping[str, Any],
        keys: Mapping[str, tuple[str, Parse]],
        at: At,
        wanted: Sequence[str],
    ) -> dict[str, Any]:
        said: dict[str, Any] = {}
        for key, (field, parse) in keys.items():
            if key in table:
                try:
                    said[field] = parse(table[key])
                except SettingsError as exc:
                    self._fault(at, key, joined(": ", [key, words_of(exc)]))
            elif key in wanted:
                told = phrase("{key} is missing: {wanted}", key=key, wanted=WANTED[key])
                self._fault(at, None, told)
        return said

    def _unknown(
        self, table: Mapping[str, Any], known: Collection[str], at: At, where: str
    ) -> None:
        for key in table:
            if key not in known:
                close = difflib.get_close_matches(key, list(known), n=1)
                mend = (
                    phrase("did you mean {name}?", name=close[0])
                    if close
                    else phrase("there are {names}", names=", ".join(sorted(known)))
                )
                told = phrase("{key} is no key {where}: {mend}", key=key, where=where, mend=mend)
                self._fault(at, key, told)

    def _fault(self, at: At, key: str | None, text: str) -> None:
        self._faults.append((self._lines.of(at, key), text))

    def _refuse(self) -> None:
        if self._faults:
            lines = dict.fromkeys(sorted(self._faults))
            said = [joined(": ", [self._line(number), text]) for number, text in lines]
            raise SettingsError(joined("\n", said))

    # ── what does not go together ──

    def _tables(self) -> Iterator[tuple[At, Mapping[str, Any]]]:
        for source in self._sources:
            yield source.at, source.said
            for place in source.places:
                yield place.at, place.said

    def _chats(self) -> Iterator[tuple[At, Address | NamedAddress]]:
        for at, said in self._tables():
            if "chat" in said:
                yield at, said["chat"]

    def _as_source(self, read: _ReadSource, names: Mapping[ChatName, int]) -> Source:
        said = dict(read.said)
        chat, topic = _address(said.pop("chat"), names)
        mentions = said.pop("mentions", False)
        places = []
        for each in read.places:
            address = _place_address(each.said, names)
            more = {name: value for name, value in each.said.items() if name != "chat"}
            places.append(Place(*address, mentions=mentions, source=read.said["name"], **more))
        return Source(chat=chat, topic=topic or None, places=tuple(places), **said)

    def _check_names(self) -> None:
        """Of sources and places alike: `pause NAME` takes either."""
        seen: dict[str, int] = {}
        for at, said in self._tables():
            name = said.get("name")
            if name is not None and name in seen:
                told = phrase(
                    "{name} is the name of line {line}: take another", name=name, line=seen[name]
                )
                self._fault(at, "name", told)
            elif name is not None:
                seen[name] = self._lines.of(at, "name")

    def _check_sources(self, routes: Routes) -> None:
        """Two rules for one message would give two answers."""
        seen: dict[tuple[ChatId | None, int | None], int] = {}
        for read, source in zip(self._sources, routes.sources, strict=True):
            line = self._lines.of(read.at, "chat")
            same = seen.get((source.chat, source.topic))
            if same is not None:
                told = phrase("{chat} is read in line {line} already", chat=source.where, line=same)
                self._fault(read.at, "chat", told)
            elif source.topic and any(
                each.chat == source.chat and each.topic is None for each in routes.sources
            ):
                told = phrase(
                    "{chat} is read as a whole, too: name a topic there, or take this out",
                    chat=source.chat,
                )
                self._fault(read.at, "chat", told)
            seen.setdefault((source.chat, source.topic), line)

    def _check_places(self, routes: Routes) -> None:
        for read, source in zip(self._sources, routes.sources, strict=True):
            seen: dict[tuple[ChatId, int], int] = {}
            for number, place in enumerate(source.places):
                at, address = read.places[number].at, (place.chat, place.topic)
                if address in seen:
                    told = phrase(
                        "{place} is a place of {source} in line {line} already: keep one of them",
                        place=phrase("this") if place.endpoint else Address(*address),
                        source=source.name,
                        line=seen[address],
                    )
                    self._fault(at, _kind(place), told)
                seen.setdefault(address, self._lines.of(at, _kind(place)))
                if (way := ring(routes, source, place)) is not None:
                    told = phrase("this is a ring, {way}: what is posted would be read", way=way)
                    self._fault(at, "chat", told)

    def _check_sinks(self, routes: Routes) -> None:
        """One that has several sources has one queue, so what holds for it is said alike."""
        first: dict[ChatId, tuple[Place, int]] = {}
        for read, source in zip(self._sources, routes.sources, strict=True):
            for each, place in zip(read.places, source.places, strict=True):
                if place.endpoint is None:
                    continue
                line = self._lines.of(each.at, _kind(place))
                known, where = first.setdefault(place.chat, (place, line))
                key = differing(place.endpoint, known.endpoint or place.endpoint)
                if key is not None:
                    told = phrase(
                        "this is where {place} leads in line {line}, too: say one {key} of both",
                        place=known.label,
                        line=where,
                        key=key,
                    )
                    self._fault(each.at, key, told)

    def _check_services(self, routes: Routes) -> None:
        """One key is not told to two services."""
        first: dict[str, int] = {}
        for read, source in zip(self._sources, routes.sources, strict=True):
            for each, place in zip(read.places, source.places, strict=True):
                how = place.presentation.translate
                if how is None or not how.key:
                    continue
                line = self._lines.of(each.at, "translate")
                first.setdefault(how.service, line)
                if how.service != next(iter(first)):
                    told = phrase(
                        "translate: TRANSLATE_API_KEY would be told to two services, see line {line}: "
                        "keep one of them",
                        line=next(iter(first.values())),
                    )
                    self._fault(each.at, "translate", told)


def _kind(place: Place) -> str:
    """The key that says where it is."""
    if place.endpoint is None:
        return "chat"
    return "webhook" if isinstance(place.endpoint, Endpoint) else "jsonl"


def _place_address(said: Mapping[str, Any], names: Mapping[ChatName, int]) -> Address:
    if "endpoint" in said:
        return Address(sink_id(said["endpoint"].address), 0)
    chat, topic = _address(said["chat"], names)
    return Address(chat, 0 if topic == GENERAL else topic)


def _address(said: Address | NamedAddress, names: Mapping[ChatName, int]) -> Address:
    if isinstance(said, Address):
        return said
    return Address(ChatId(names[said.chat]), said.topic)
