"""`/`: the running bot, for the people who run it. What it shows is asked of the bot and of its tables."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Final

from bot.admin.formatting import ago, called, counted, duration, excerpt
from bot.errors import DatabaseError
from bot.monitoring.port import Resource, Response
from bot.report.live import POLICY, State, StateTable, live
from bot.report.parts import Cell
from bot.report.words import lasting, moment, number
from bot.storage import failures, post_records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bot.models import ChatId, MessageRef
    from bot.monitoring.figures_drawn import FiguresOf
    from bot.monitoring.health import Health, HealthReport
    from bot.posts import Backlog
    from bot.routes import Routes, Source
    from bot.storage.outbox import Run
    from bot.storage.places import PlaceRecord
    from bot.storage.post_records import PostRecord

ERRORS: Final = 8  # of each kind
LONGEST: Final = 200  # characters of an error
FRESH_FOR: Final = 5.0  # seconds: it asks the tables more than a look at the health does
PATIENCE: Final = 2.0  # seconds for the tables


class LivePage:
    def __init__(
        self,
        health: Health,
        routes: Callable[[], Routes],
        ask: Run,
        figures: FiguresOf,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._health = health
        self._routes = routes
        self._ask = ask
        self._figures = figures
        self._clock = clock

    def resource(self, path: str) -> Resource | None:
        """The page there, by the routes of now; None: there is none. "/" is always one."""
        if path != "/" and path not in self._figures.pages():
            return None
        return Resource(partial(self._show, path), private=True, fresh_for=FRESH_FOR)

    async def close(self) -> None:
        await self._figures.close()

    async def _show(self, path: str) -> Response:
        figures = self._figures.pages()
        _, drawn = figures.get(path) or next(iter(figures.values()))
        others = [(name, each) for each, (name, _) in figures.items()]
        html = live(await self._state(), drawn.look(), others if len(others) > 1 else ())
        policy = f"{policy_of(html)}; {POLICY}"
        return Response(html.encode(), "text/html; charset=utf-8", policy=policy)

    async def _state(self) -> State:
        report = await self._health.report()
        troubles: Sequence[PostRecord] = ()
        failed: Sequence[failures.FailureRecord] = ()
        try:
            async with asyncio.timeout(PATIENCE):
                troubles = await self._ask(partial(post_records.troubles, at_most=ERRORS))
                failed = await self._ask(partial(failures.newest, at_most=ERRORS))
        except (DatabaseError, TimeoutError):
            pass  # the report says so
        now = self._clock()
        return State(
            name=", ".join(each.name for each in self._routes().sources),
            at=moment(now),
            verdict=self._verdict(report.reasons, now),
            paused=self._health.bot.paused_at is not None,
            reasons=report.reasons,
            warnings=[each.text for each in self._health.bot.troubles() if not each.stops],
            tables=[
                self._sources(now),
                self._queues(report, now),
                _errors(troubles, failed),
            ],
        )

    def _verdict(self, reasons: Sequence[str], now: float) -> str:
        if reasons:
            return f"Not well, for {counted(len(reasons), 'reason')}"
        if self._health.bot.paused_at is not None:
            return f"Paused by an operator for {duration(now - self._health.bot.paused_at)}"
        since = self._health.bot.connected_since
        return "Well" if since is None else f"Well, connected for {duration(now - since)}"

    def _sources(self, now: float) -> StateTable:
        unreadable = {each.chat: each for each in self._health.bot.unreadable()}

        def row(source: Source) -> list[Cell]:
            found = None if source.chat is None else unreadable.get(source.chat)
            state = Cell("read", "good")
            if self._health.bot.connected_since is None:
                state = Cell("not connected", "bad")
            elif found is not None:
                state = Cell(f"not read for {duration(now - found.since)}: {found.error}", "bad")
            rule = f"{lasting(source.ttl.total_seconds())} rule"
            return [Cell(source.name, "name"), Cell(source.where), Cell(rule), state]

        rows = [row(each) for each in self._routes().sources]
        return StateTable("sources", "Sources", ("source", "chat", "rule", "state"), rows, "")

    def _queues(self, report: HealthReport, now: float) -> StateTable:
        backlogs = report.backlogs or {}

        def row(target: ChatId) -> list[Cell]:
            backlog = backlogs.get(target)
            waiting = "not known" if backlog is None else number(backlog.pending)
            oldest = backlog and backlog.oldest
            return [
                Cell(called(target, self._routes().place_names.get(target)), "name"),
                Cell(waiting, "count"),
                Cell("–") if oldest is None else Cell(ago(oldest, now), "oldest"),
                self._state_of(target, backlog, report.paused or (), now),
            ]

        whole = sum(each.pending for each in backlogs.values())
        title = f"Places: {number(whole)} {'post waits' if whole == 1 else 'posts wait'}"
        heads = ("place", "waiting", "the oldest since", "state")
        rows = [row(each) for each in self._routes().queues]
        return StateTable("places", title, heads, rows, "Nothing is posted anywhere.")

    def _state_of(
        self, target: ChatId, backlog: Backlog | None, paused: Sequence[PlaceRecord], now: float
    ) -> Cell:
        """`paused`: those that an operator has paused by name."""
        delay = self._health.places[target].delay
        if delay is not None:
            again = f", tried again in {duration(delay.until - now)}" * (delay.until > now)
            return Cell(excerpt(f"{delay.error}{again}", LONGEST), "bad")
        if self._health.bot.paused_at is not None:
            return Cell("paused", "paused")
        by_name = [each.name for each in paused if each.chat_id == target]
        if by_name:
            names = ", ".join(filter(None, by_name))
            return Cell(f"{names}: paused" if names else "paused", "paused")
        if backlog is None:
            return Cell("not known")
        return Cell("moving" if backlog.pending else "nothing waits", "good")


def _errors(troubles: Sequence[PostRecord], failed: Sequence[failures.FailureRecord]) -> StateTable:
    rows = [*_failed_rows(failed), *_post_rows(troubles)]
    return StateTable(
        "errors", "Last errors", ("message", "what", "error"), rows, "There are none."
    )


def _failed_rows(failed: Sequence[failures.FailureRecord]) -> Iterator[list[Cell]]:
    for each in failed:
        yield [
            _message(each.ref),
            Cell("not dealt with"),
            Cell(excerpt(each.error, LONGEST), "bad"),
        ]


def _post_rows(troubles: Sequence[PostRecord]) -> Iterator[list[Cell]]:
    for each in troubles:
        what = f"post {each.id} in {each.where}: {each.state}"
        yield [_message(each.source), Cell(what), Cell(excerpt(each.error or "", LONGEST), "bad")]


def _message(ref: MessageRef) -> Cell:
    return Cell(str(ref.message_id), "name", link=ref.link)


def policy_of(html: str) -> str:
    """What the page says of itself, for the header, too."""
    said = html.partition('http-equiv="Content-Security-Policy" content="')[2]
    return said.partition('"')[0]
