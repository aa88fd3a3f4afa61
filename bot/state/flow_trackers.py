"""The flow trackers of all sources, over one disk tier."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bot.models import SignalId
    from bot.state.flow_tracker import FlowTracker


class FlowTrackers:
    """One for each source, by its name: each has a TTL of its own."""

    def __init__(self, trackers: Mapping[str, FlowTracker]) -> None:
        self._trackers = trackers

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
