"""The flow trackers of all sources, over one disk tier."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bot.models import SignalId
    from bot.routes import Source
    from bot.state.flow_tracker import FlowTracker


class FlowTrackers:
    """One for each source, by its name: each has a TTL of its own. `make` gives one."""

    def __init__(self, make: Callable[[Source], FlowTracker], sources: Iterable[Source]) -> None:
        self._make = make
        self._trackers: dict[str, FlowTracker] = {}
        self._told: dict[tuple[object, ...], FlowTracker] = {}  # by all that they were made by
        self.follow(sources)

    def follow(self, sources: Iterable[Source]) -> None:
        """Have these instead. What was in memory stays there, whatever its source is called now."""
        before, self._told, self._trackers = self._told, {}, {}
        for each in sources:
            key = (each.chat, each.topic, each.ttl, each.after_ttl)
            tracker = before.get(key) or self._make(each)
            self._told[key] = self._trackers[each.name] = tracker

    def __getitem__(self, source: str) -> FlowTracker:
        return self._trackers[source]

    def __iter__(self) -> Iterator[FlowTracker]:
        return iter(self._trackers.values())

    def end_flow(self, signal_id: SignalId) -> None:
        """See `FlowTracker.end_flow`; whosever it is."""
        for each in self:
            each.end_flow(signal_id)

    @property
    def in_memory(self) -> int:
        """How many flows."""
        return sum(each.in_memory for each in self)

    def by_source(self) -> dict[str, int]:
        """The same, by the names of the sources."""
        return {name: each.in_memory for name, each in self._trackers.items()}

    @property
    def without_disk(self) -> bool:
        """Whether it goes on without the disk tier."""
        return any(each.without_disk for each in self)

    @property
    def disk_works(self) -> bool:
        """For people to look at; decides nothing."""
        return all(each.disk_works for each in self)
