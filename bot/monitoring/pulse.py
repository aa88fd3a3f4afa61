"""What the running bot knows of its own work, whoever asks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bot.models import Tier

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from bot.delivery.worker import Watch
    from bot.models import ChatId, Decision
    from bot.posts import Post


class Pulse:
    """When something last happened, and which tier answered. `clock`: unix seconds."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.started_at = clock()
        self.moved_at = self.started_at  # when the relay last got something done
        self.heard_at: float | None = None  # when the last update came; None: none yet
        self.hits = dict.fromkeys(Tier, 0)

    def heard(self) -> None:
        """An update came, of whatever kind."""
        self.heard_at = self._clock()

    def decided(
        self, decision: Decision, _seconds: float, _chat: ChatId, _topic: int | None = None
    ) -> None:
        if decision.tier is not None:
            self.hits[decision.tier] += 1

    # ── what becomes of posts (a `worker.Watch`) ──

    def of(self, chat: ChatId) -> Watch:  # noqa: ARG002  # of any queue
        """For the queue of that chat."""
        return self

    def done(self, post: Post) -> None:  # noqa: ARG002  # that it was is enough
        self.moved_at = self._clock()

    def delayed(self, error: Exception, wait: timedelta) -> None: ...

    failed = set_aside = done
