"""Between the running bot and those who watch over it: health, alerts, metrics, and each place."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from bot.admin.formatting import called
from bot.admin.silence import heard_from
from bot.errors import LoggedOut, VoidLogin
from bot.phrases import phrase
from bot.routes import sink_id
from bot.storage import failures, places, records

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
    from typing import Any

    from bot.admin.alerts import Alerts
    from bot.admin.chat_commands import AdminHandler
    from bot.app import Core
    from bot.models import ChatId, ChatTrouble, Event, Failure, UnreadableChat
    from bot.monitoring.access import Access
    from bot.posts import Backlog
    from bot.routes import Routes
    from bot.storage.places import PlaceRecord
    from bot.storage.store import SignalStore
    from bot.telegram.client import Telegram


class ToldTable:
    """See `alerts.Told`."""

    def __init__(self, tables: SignalStore) -> None:
        self._tables = tables

    async def told(self) -> Mapping[tuple[str, ChatId | None], float]:
        return await self._tables.ask(failures.told)

    async def tell_of(self, kind: str, about: ChatId | None, at: float) -> None:
        await self._tables.change(partial(failures.tell_of, kind=kind, about=about, at=int(at)))


class Facts:
    """What `Health` asks of the running bot."""

    def __init__(self, telegram: Telegram, core: Core, access: Access) -> None:
        self._telegram = telegram
        self._core = core
        self._access = access

    @property
    def connected_since(self) -> float | None:
        return self._telegram.connected_since

    @property
    def gaps_recovered(self) -> int:
        return self._telegram.gaps_recovered

    @property
    def flows_in_memory(self) -> int:
        return self._core.flows.in_memory

    def flows_by_source(self) -> Mapping[str, int]:
        return self._core.flows.by_source()

    @property
    def cache_disabled(self) -> bool:
        return self._core.flows.without_disk

    @property
    def paused_at(self) -> float | None:
        return self._core.orders.paused_at

    def unreadable(self) -> list[UnreadableChat]:
        """Nothing is known of them without a connection."""
        if self.connected_since is None:
            return []
        names = self._core.routes.source_names
        return [each._replace(name=names.get(each.chat)) for each in self._telegram.unreadable()]

    def troubles(self) -> list[ChatTrouble]:
        """What stands in the way in chats. Of a source that our account is not in, `unreadable` tells."""
        return [each for each in self._access.troubles() if not (each.source and each.outside)]

    def called(self, target: ChatId) -> str:
        return called(target, self._core.routes.place_names.get(target))

    def source_called(self, chat: ChatId) -> str:
        return called(chat, self._core.routes.source_names.get(chat))

    def sources(self) -> dict[str, tuple[ChatId | None, str]]:
        routes = self._core.routes
        if not routes.named:
            return {routes.sources[0].name: (None, phrase("the source"))}
        return {
            each.name: (sink_id(f"source {each.name}"), phrase("source {name}", name=each.name))
            for each in routes.sources
        }

    async def paused_places(self) -> list[PlaceRecord]:
        return await self._core.store.ask(places.paused)

    async def waiting(self) -> Mapping[int, Backlog]:
        return await self._core.store.ask(records.backlogs_of_places)

    async def backlogs(self) -> Mapping[ChatId, Backlog]:
        return await self._core.store.ask(
            partial(records.backlogs, targets=self._core.routes.queues)
        )


class Admins(NamedTuple):
    """What there is for those who may give orders."""

    orders: AdminHandler
    alerts: Alerts

    def hear(self, event: Event, routes: Routes) -> None:
        self.orders.hear(event)
        for source in heard_from(event, routes):
            self.alerts.heard(source)

    def follow(self, routes: Routes) -> None:
        """Answer and tell by these from now on."""
        self.orders.follow(routes)
        self.alerts.follow({*routes.chats, *routes.targets})

    def failed(self, failure: Failure) -> None:
        self.alerts.event_failed(failure.ref, failure.error)

    @property
    def tasks(self) -> Sequence[Callable[[], Coroutine[Any, Any, None]]]:
        return self.orders.run, self.alerts.run

    async def say_why(self, ended: Iterable[asyncio.Task[None]], *, renewing: bool) -> None:
        """Tell of a login that was lost, as far as it still lets us, and is not made anew."""
        for task in ended:
            lost = None if task.cancelled() else task.exception()
            if isinstance(lost, LoggedOut) and not (renewing and isinstance(lost, VoidLogin)):
                self.alerts.login_lost(lost)
                await self.alerts.last_words()
