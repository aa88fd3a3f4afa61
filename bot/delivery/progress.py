"""How posting goes in each place by itself: one that moves says nothing of another that is stuck."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, NamedTuple

from bot.admin.formatting import called, duration
from bot.errors import words_of
from bot.models import is_sink
from bot.phrases import phrase
from bot.posts import PostState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import timedelta

    from bot.models import ChatId
    from bot.posts import Backlog, Post

STALLED: Final = 300.0  # seconds in which nothing got done although posts wait


class Delay(NamedTuple):
    error: str
    until: float  # unix seconds


class Progress:
    """A `worker.Watch` for one target. `clock` is unix seconds."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.moved_at = clock()  # when a message last went there; at first, when we began
        self.delay: Delay | None = None  # why nothing is; None: nothing stands in the way

    def done(self, post: Post) -> None:
        """Edits and deletions may go on for days while no new message does."""
        if post.state is PostState.PENDING:
            self.resumed()

    def failed(self, post: Post) -> None:
        self.done(post)

    def set_aside(self, _post: Post) -> None:
        self.resumed()

    def resumed(self) -> None:
        """It goes on; after a pause, in which there was nothing to do, it begins anew."""
        self.moved_at, self.delay = self._clock(), None

    def delayed(self, error: Exception, wait: timedelta) -> None:
        self.delay = Delay(words_of(error), self._clock() + wait.total_seconds())


class Places:
    """`names`: as a file calls those that it does."""

    def __init__(
        self,
        targets: Iterable[ChatId],
        *,
        names: Mapping[ChatId, str] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._places: dict[ChatId, Progress] = {}
        self.follow(targets, names or {})

    def follow(self, targets: Iterable[ChatId], names: Mapping[ChatId, str]) -> None:
        """These instead; what is known of those that stay is known still."""
        self._names = names
        known = self._places
        self._places = {each: known.get(each) or Progress(clock=self._clock) for each in targets}

    def __getitem__(self, target: ChatId) -> Progress:
        return self._places[target]

    def resumed(self, target: ChatId | None = None) -> None:
        """None: all of them."""
        for each, place in self._places.items():
            if target in {None, each}:
                place.resumed()

    def stalled(self, backlogs: Mapping[ChatId, Backlog]) -> Iterator[str]:
        """A line for each place where posts wait and nothing gets done, with the reason if known.

        A post may wait for long behind others, or the relay may rest; not both for so long.
        """
        now = self._clock()
        for target, backlog in backlogs.items():
            place = self._places.get(target)
            if place is None or backlog.oldest is None:
                continue
            place.moved_at = min(place.moved_at, now)  # the clock may have been put back
            waits_since = backlog.oldest if backlog.oldest <= now else place.moved_at
            if min(now - waits_since, now - place.moved_at) > STALLED:
                name = called(target, self._names.get(target))
                yield phrase(
                    "target {chat}: {why}, posts that wait: {number}",
                    chat=name,
                    why=self._why(place, now),
                    number=backlog.pending,
                )

    def facts(self, backlogs: Mapping[ChatId, Backlog]) -> list[dict[str, object]]:
        """For scripts. Dates are unix seconds; None is what is not known."""
        return [
            {
                "chat": None if is_sink(target) else target,
                "name": self._names.get(target),
                "moved_at": place.moved_at,
                "pending": backlogs[target].pending if target in backlogs else None,
                "oldest_pending_at": backlogs[target].oldest if target in backlogs else None,
                "delayed_until": place.delay and place.delay.until,
                "error": place.delay and place.delay.error,
            }
            for target, place in self._places.items()
        ]

    @staticmethod
    def _why(place: Progress, now: float) -> str:
        rested = duration(now - place.moved_at)
        if place.delay is None:
            return phrase("nothing got done for {time}", time=rested)
        error, until = place.delay
        again = phrase("being tried again")
        if until > now:
            again = phrase("tried again in {time}", time=duration(until - now))
        return phrase(
            "nothing got done for {time}: {error}, {again}", time=rested, error=error, again=again
        )
