"""The bot's own wiring, with settings that a test gives by name and none of the environment's."""

from __future__ import annotations

import asyncio
import functools
from typing import Any

from bot.app import dispatcher_of, intake_of
from bot.config import Settings
from bot.models import Address
from bot.monitoring.metrics import Metrics
from bot.pipeline.dispatch import Dispatcher
from bot.pipeline.intake import Intake
from bot.pipeline.recording import Listeners
from bot.routes import Routes, main_route


@functools.lru_cache(maxsize=None, typed=True)  # they are frozen, and take 5 ms to check
def settings(**given: Any) -> Settings:
    return Settings(_env_file=None, **given)


def routes(given: Settings, *targets: Any) -> Routes:
    """The one of these settings, to these chats."""
    addresses = tuple(Address(target) for target in targets)
    return main_route(given.model_copy(update={"target_chat_id": addresses}))


def route(source: Any, *targets: Any, moved: Any = None) -> Routes:
    one = routes(settings(source_chat_id=source), *targets)
    return one if moved is None else one.where_chats_are(moved)


def intake(table: Any, flows: Any, *, targets: Any = (), **given: Any) -> Intake:
    """`moved` and `parents` are parts, all else are settings."""
    parts = {name: given.pop(name) for name in ("moved", "parents") if name in given}
    (source,) = routes(settings(**given), *targets).sources
    return intake_of(source, table, flows, **parts)


def hearing(table: Any, door: Any, route: Any, **given: Any) -> Dispatcher:
    """Events go no further than the tables, unless `wake` or `begin_anew` are given."""
    names = ("wake", "begin_anew", "failed", "unreadable")
    told = {name: given.pop(name) for name in names if name in given}
    listeners = Listeners(**{"wake": _nothing, "begin_anew": _nothing, **told})
    usual: dict[str, Any] = {"stopping": asyncio.Event(), "meter": Metrics()}
    return dispatcher_of(table, door, route, listeners=listeners, **{**usual, **given})


def _nothing(**_: object) -> None:
    pass
