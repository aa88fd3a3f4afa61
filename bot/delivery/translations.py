"""Translates what waits for it in one place, in its order, before any of it is sent.

What comes of it is written down first. So whatever is sent again says the same. A place has a queue of
its own for this: whoever is slow here holds up nothing that goes elsewhere.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import structlog

from bot.backoff import doubled
from bot.delivery.lane import AT_ONCE, Lane, Lanes
from bot.errors import NotTranslated, RetryLater, words_of
from bot.models import ChatId
from bot.phrases import phrase
from bot.posts import Method
from bot.rules.translation import carried, in_the_original
from bot.storage.untranslated import Awaiting, are_awaited, next_awaiting

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from sqlalchemy import Connection

    from bot.endpoints import Translation
    from bot.routes import Place
    from bot.rules.retext import Formatted

log = structlog.get_logger(__name__)

T = TypeVar("T")

SOON: Final = timedelta(seconds=1)
AGAIN: Final = 0.5  # seconds, doubled with each attempt
AGAIN_AT_MOST: Final = 4.0
IN_A_HURRY: Final = 60.0  # seconds after a wait in vain, in which the next ones wait for a tenth


# The place's chat, what the place is called, and why its words were not translated.
Untold = Callable[[ChatId, str, str], None]


class Table(Protocol):
    """Raises `DatabaseError`."""

    async def ask(self, query: Callable[[Connection], T]) -> T: ...

    async def translated(
        self, it: Awaiting, said: Formatted, *, to: str, why_not: str | None
    ) -> bool: ...


class Service(Protocol):
    async def translate(self, text: str) -> str:
        """Raises `RetryLater` where it may answer another time, else `NotTranslated`."""
        ...

    async def close(self) -> None: ...


class Translations(Lanes):
    """A `relays.Queue`. `done`: there is something to be sent now. `told`: whom the original goes to, and why.

    `sleep` takes seconds; `clock` is monotonic, in seconds.
    """

    def __init__(
        self,
        table: Table,
        service: Service,
        place: Place,
        how: Translation,
        *,
        done: Callable[[], None],
        told: Untold,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._table = table
        self._service = service
        self._place = place
        self._how = how
        self._done = done
        self._told = told
        self._sleep = sleep
        self._clock = clock
        self._stopping = asyncio.Event()
        self._hurry_until = 0.0
        self._silent_until = 0.0  # it asked not to be asked
        # What is new does not wait for an edit.
        self._lanes = [
            Lane(partial(self._next, each), patient=False, sleep=sleep, jitter=random.random)
            for each in (Method.SEND, Method.EDIT)
        ]

    async def run(self) -> None:
        """Once: the service is left then."""
        try:
            await super().run()
        finally:
            await self._service.close()

    def stop(self) -> None:
        """What is in hand is given up: nothing was sent of it."""
        self._stopping.set()
        super().stop()

    async def translate_next(self) -> bool:
        """Of new messages the first, or else of edits; False: nothing waits."""
        return any([await self._next(each) is not None for each in (Method.SEND, Method.EDIT)])

    async def _next(self, method: Method) -> timedelta | None:
        if self._paused:
            return None
        query = partial(next_awaiting, place=self._place.id, method=method)
        it = await self._table.ask(query)
        if it is None:
            # What is being sent just now may be to be edited next, and nobody tells us then.
            more = await self._table.ask(partial(are_awaited, place=self._place.id))
            return SOON if more else None
        try:
            found, why_not = await self._unless_stopped(it), None
        except NotTranslated as exc:
            whole = it.said.filled(it.said.body)
            found, why_not = in_the_original(whole, self._how.mark), words_of(exc)
        if found is not None:
            await self._write(it, found, why_not)
        return AT_ONCE

    async def _write(self, it: Awaiting, said: Formatted, why_not: str | None) -> None:
        if not await self._table.translated(it, said, to=self._how.to, why_not=why_not):
            return  # an edit or a deletion came meanwhile
        if why_not is not None:
            log.warning(
                "posted in the original", post_id=it.id, place=self._place.label, error=why_not
            )
            self._told(it.target, self._place.label, why_not)
        self._done()

    # ── the service ──

    async def _unless_stopped(self, it: Awaiting) -> Formatted | None:
        """None: we are to end. Raises `NotTranslated`."""
        asking = asyncio.ensure_future(self._translated(it))
        stopped = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({asking, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in (asking, stopped):
                each.cancel()
        return asking.result() if asking.done() else None

    async def _translated(self, it: Awaiting) -> Formatted:
        try:
            answer = await self._answered(it.said.body.text)
            return it.said.filled(carried(it.said.body, answer))
        except NotTranslated:
            raise
        except Exception as exc:  # what a stranger answers is to hold up nobody
            log.exception("a translation cannot be read", post_id=it.id)
            raise NotTranslated(
                phrase("the translation cannot be read: {error}", error=type(exc).__name__)
            ) from exc

    async def _answered(self, text: str) -> str:
        """In bounded time. One that was waited for in vain makes the next ones wait for less."""
        now, wait = self._clock(), self._how.wait.total_seconds()
        if now < self._silent_until:
            raise NotTranslated(phrase("the translation service asked not to be asked for a while"))
        hurried = now < self._hurry_until
        patience = wait / 10 if hurried else wait
        try:
            async with asyncio.timeout(patience):
                answer = await self._asked(text, until=now + patience)
        except TimeoutError:
            self._hurry(hurried=hurried)
            raise NotTranslated(
                phrase(
                    "the translation service gave no answer within {seconds} s",
                    seconds=f"{patience:g}",
                )
            ) from None
        except RetryLater as exc:
            self._hurry(hurried=hurried)
            raise NotTranslated(words_of(exc)) from exc
        self._hurry_until = 0.0
        return answer

    def _hurry(self, *, hurried: bool) -> None:
        """For a while; then one waits for as long as at first."""
        if not hurried:
            self._hurry_until = self._clock() + IN_A_HURRY

    async def _asked(self, text: str, *, until: float) -> str:
        """Again and again. Raises `RetryLater` where the next time would be too late."""
        for attempt in count():
            try:
                return await self._service.translate(text)
            except RetryLater as exc:  # the pause that it asks for, or ours
                asked = exc.after.total_seconds() if exc.after else 0.0
                pause = asked or doubled(AGAIN, AGAIN_AT_MOST, attempt)
                if self._clock() + pause >= until:
                    self._silent_until = self._clock() + asked
                    raise
            await self._sleep(pause)
        raise AssertionError
