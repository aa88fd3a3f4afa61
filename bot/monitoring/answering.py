"""What `HEALTH_PORT` answers: `/healthz`, `/metrics`, and the page for people."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bot.config import Settings
    from bot.monitoring.health import Health
    from bot.monitoring.metrics import Metrics
    from bot.routes import Routes
    from bot.storage.outbox import Run


@asynccontextmanager
async def answering(
    settings: Settings,
    health: Health,
    metrics: Metrics | None,
    routes: Callable[[], Routes],
    ask: Run,
) -> AsyncIterator[None]:
    """On `HEALTH_PORT`, if that is set: then there are `metrics`."""
    if settings.health_port is None or metrics is None:
        yield
        return
    # Drawing takes a tenth of a second to load, which a bot without the port does not wait for.
    from bot.monitoring.figures_drawn import FiguresOf  # noqa: PLC0415  # as said
    from bot.monitoring.live_page import LivePage  # noqa: PLC0415  # as said
    from bot.monitoring.metrics import MetricsPage  # noqa: PLC0415  # as said
    from bot.monitoring.port import Port, listening  # noqa: PLC0415  # as said

    page = LivePage(health, routes, ask, FiguresOf(routes))
    try:
        told = health.pages | MetricsPage(health.bot, metrics).pages
        port = Port(lambda path: told.get(path) or page.resource(path))
        async with listening(port, settings.health_host, settings.health_port):
            yield
    finally:
        await page.close()
