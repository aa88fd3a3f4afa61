"""`/healthz` and `/metrics` of a host that stands by: it is well as long as it could take over."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Protocol

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from bot.monitoring.health import FRESH
from bot.monitoring.metrics import leader_gauge

if TYPE_CHECKING:
    from bot.errors import DatabaseError


class Waiting(Protocol):
    """What is asked of the lease."""

    @property
    def leader(self) -> str | None:
        """None: nobody leads at the moment, as far as known."""

    @property
    def trouble(self) -> DatabaseError | None:
        """Why this host cannot be elected."""


class StandbyHealth:
    def __init__(self, lease: Waiting) -> None:
        self._lease = lease
        self._registry = CollectorRegistry()
        leader_gauge(self._registry).set(0)

    async def healthz(self, _request: web.Request) -> web.Response:
        """200 if it could take over; else 503."""
        facts = self.facts()
        return web.json_response(facts, status=200 if facts["healthy"] else 503, headers=FRESH)

    def facts(self) -> dict[str, Any]:
        trouble = self._lease.trouble
        return {
            "healthy": trouble is None,
            "standby": True,
            "reasons": [] if trouble is None else [f"it cannot take over: {trouble}"],
            "pid": os.getpid(),
            "leader": self._lease.leader,
        }

    async def metrics(self, _request: web.Request) -> web.Response:
        text = generate_latest(self._registry)
        return web.Response(body=text, headers={**FRESH, "Content-Type": CONTENT_TYPE_LATEST})
