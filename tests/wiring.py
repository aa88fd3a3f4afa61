"""The bot's own wiring, with settings that a test gives by name and none of the environment's."""

from __future__ import annotations

import asyncio
from typing import Any

from bot.app import dispatcher_of, intake_of
from bot.config import Settings
from bot.monitoring.metrics import Metrics
from bot.pipeline.dispatch import Dispatcher
from bot.pipeline.intake import Intake
from bot.pipeline.recording import Listeners


def settings(**given: Any) -> Settings:
    return Settings(_env_file=None, **given)


def intake(table: Any, flows: Any, *, targets: Any = (), **given: Any) -> Intake:
    """`moved` and `parents` are parts, all else are settings."""
    parts = {name: given.pop(name) for name in ("moved", "parents") if name in given}
    return intake_of(settings(**given), table, flows, targets=targets, **parts)


def hearing(table: Any, door: Any, route: Any, **given: Any) -> Dispatcher:
    """Events go no further than the tables, unless `wake` or `begin_anew` are given."""
    names = ("wake", "begin_anew", "failed", "unreadable")
    told = {name: given.pop(name) for name in names if name in given}
    listeners = Listeners(**{"wake": _nothing, "begin_anew": _nothing, **told})
    usual: dict[str, Any] = {"stopping": asyncio.Event(), "meter": Metrics()}
    return dispatcher_of(table, door, route, listeners=listeners, **{**usual, **given})


def _nothing() -> None:
    pass
