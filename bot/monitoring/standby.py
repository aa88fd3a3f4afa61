"""`/healthz` and `/metrics` of a host that stands by: it is well as long as it could take over."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Protocol

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from bot.monitoring.metrics import leader_gauge
from bot.monitoring.port import Resource, Response, as_json

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

    @property
    def pages(self) -> dict[str, Resource]:
        return {"/healthz": Resource(self.healthz), "/metrics": Resource(self.metrics)}

    async def healthz(self) -> Response:
        """200 if it could take over; else 503."""
        facts = self.facts()
        return as_json(facts, 200 if facts["healthy"] else 503)

    def facts(self) -> dict[str, Any]:
        trouble = self._lease.trouble
        return {
            "healthy": trouble is None,
            "standby": True,
            "reasons": [] if trouble is None else [f"it cannot take over: {trouble}"],
            "pid": os.getpid(),
            "leader": self._lease.leader,
        }

    async def metrics(self) -> Response:
        return Response(generate_latest(self._registry), CONTENT_TYPE_LATEST)
