"""Builds every object from the settings, starts and stops them. No decisions."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import structlog

from bot.admin.control import Orders
from bot.connecting import telegram_of
from bot.delivery.progress import Places
from bot.delivery.relays import Relays
from bot.delivery.worker import Watch, Watches
from bot.handlers.edit_handler import EditHandler
from bot.handlers.lost_parents import LostParents
from bot.handlers.signal_handler import SignalHandler
from bot.handlers.update_handler import UpdateHandler
from bot.lock import locked
from bot.monitoring.housekeeping import keep_forgetting, look_for_damage
from bot.monitoring.pulse import Pulse
from bot.monitoring.supervision import Admins, Facts, ToldTable
from bot.phrases import translator
from bot.pipeline.albums import Albums
from bot.pipeline.dispatch import Dispatcher
from bot.pipeline.doors import Doors
from bot.pipeline.intake import Intake
from bot.pipeline.lanes import Lines
from bot.pipeline.patience import Pace
from bot.pipeline.recording import Door, Listeners, Recorder
from bot.pipeline.rereading import RetriedEvents
from bot.queues import Queues
from bot.routes import main_route, released_after
from bot.rules.markers import Markers
from bot.server_address import ServerAddress
from bot.state.disk_tier import DiskTier, newest_flows
from bot.state.flow_cache import made_anew, open_flow_cache
from bot.state.flow_tracker import FlowTracker, closed
from bot.state.flow_trackers import FlowTrackers
from bot.storage import cached
from bot.storage.data_directory import Presence, keep_private, what_must_stay
from bot.storage.databases import database_at
from bot.storage.store import SignalStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence

    from bot.config import Settings
    from bot.delivery.translations import Untold
    from bot.ending import Ending
    from bot.models import ChatId, MessageRef
    from bot.monitoring.access import Access
    from bot.monitoring.health import Health
    from bot.monitoring.metrics import Metrics
    from bot.routes import Routes, Source
    from bot.storage.lease import Lease
    from bot.storage.postgresql import Fence
    from bot.telegram.catch_up import Following
    from bot.telegram.client import Telegram

log = structlog.get_logger(__name__)

CHECKED: Final = 1_000  # flows of a cache beside a server, the newest


@dataclass(slots=True)
class Core:
    """What turns a message into a decision."""

    store: SignalStore
    flows: FlowTrackers
    intake: Doors
    parents: LostParents
    orders: Orders
    routes: Routes  # by the ids that chats have now
    presence: Presence  # of the files that must not go
    lease: Lease | None  # None: no other host works on these tables

    async def follow(self, routes: Routes) -> None:
        """Decide by these from now on. Raises `DatabaseError`: then nothing has changed."""
        self.routes = routes = await _listed(self.store, routes)
        self.flows.follow(routes.sources)
        self.intake.follow(routes, _intakes(routes, self.store, self.flows, self.parents))


@asynccontextmanager
async def open_core(
    settings: Settings,
    routes: Routes | None = None,
    *,
    clock: Callable[[], float] = time.time,
    in_loop: bool = False,
    lease: Lease | None = None,
) -> AsyncIterator[Core]:
    """Open the tables and the caches under `DATA_DIR`, and leave both complete on disk at exit.

    `routes` None: those of the settings, and nothing is relayed. `in_loop`: the tables answer in
    the event loop, for work that nothing else waits beside. `lease`: what is held by now.
    """
    routes = main_route(settings).without_places() if routes is None else routes
    for source in routes.sources:
        Markers(source.markers, source.patterns)  # raises for what RE2 refuses
    file = keep_private(settings)
    fence = None if lease is None else lease.fence
    database = database_at(settings.database, in_loop=in_loop, fence=fence, file=file)
    store = SignalStore(
        database, clock=clock, place=routes.place, names_kept=settings.names_kept_days
    )
    with locked(settings.data_dir / "lock"):
        try:
            await store.open()
            routes = await _listed(store, routes)
            async with _flows(settings, store, routes, clock) as flows:
                parents = LostParents(store)
                intake = Doors(routes, _intakes(routes, store, flows, parents))
                orders = Orders(store, flows)
                await orders.begin()
                presence = Presence(what_must_stay(settings))
                yield Core(store, flows, intake, parents, orders, routes, presence, lease)
        finally:
            await store.close()


async def _listed(store: SignalStore, routes: Routes) -> Routes:
    """By the ids that chats have now; their places are the ones that are posted to from now on."""
    routes = routes.where_chats_are(await store.moved_chats())
    # Without any it is a trial or an import, and those of the bot stay.
    return await store.list_places(routes) if routes.places else routes


@asynccontextmanager
async def open_tables(
    settings: Settings,
    *,
    read_only: bool = True,
    in_loop: bool = True,
    fence: Fence | None = None,
) -> AsyncIterator[SignalStore]:
    """The tables alone, for a look at them or an order, beside a running bot or without one.

    An operator's order is taken whoever leads: `fence` is for what a leader writes there.
    """
    database = database_at(settings.database, in_loop=in_loop, read_only=read_only, fence=fence)
    store = SignalStore(database)
    try:
        await store.open_existing()
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def _flows(
    settings: Settings, store: SignalStore, routes: Routes, clock: Callable[[], float]
) -> AsyncIterator[FlowTrackers]:
    cache_key = await store.cache_key()
    open_cache = partial(open_flow_cache, settings.flow_cache, cache_key)
    cache = await asyncio.to_thread(open_cache)
    if cache is not None and isinstance(settings.database, ServerAddress):
        newest = await asyncio.to_thread(newest_flows, cache, CHECKED)
        if await store.ask(partial(cached.are_ahead, flows=newest)):
            why = "it knows what the tables do not: they were restored from an older copy"
            cache = await asyncio.to_thread(made_anew, settings.flow_cache, cache_key, why)
    disk = DiskTier(cache, clock=clock, reopen=partial(open_cache, again=True))

    def tracker_of(source: Source) -> FlowTracker:
        return FlowTracker(store, disk, ttl=source.ttl, after_ttl=source.after_ttl, clock=clock)

    try:
        yield FlowTrackers(tracker_of, routes.sources)
    finally:
        await closed(disk)


def _intakes(
    routes: Routes, table: SignalStore, flows: FlowTrackers, parents: LostParents
) -> dict[str, Intake]:
    return {
        source.name: intake_of(
            source, table, flows[source.name], moved=routes.moved, parents=parents
        )
        for source in routes.sources
    }


def intake_of(
    source: Source,
    table: SignalStore,
    flows: FlowTracker,
    *,
    moved: Mapping[ChatId, ChatId] | None = None,
    parents: LostParents | None = None,
) -> Intake:
    """Without places nothing is relayed, and so are no edits of what was posted before."""
    places, permitted = source.places, source.permitted
    return Intake(
        table,
        Markers(source.markers, source.patterns),
        SignalHandler(table, flows, places=places),
        UpdateHandler(
            table,
            flows,
            places=places,
            moved=moved,
            parents=parents,
            topic=source.topic,
            answers=source.answers,
        ),
        EditHandler(
            table,
            permitted=permitted,
            relay_edits=source.relay_edits and bool(places),
            relay_deletes=source.relay_deletes,
            # A deletion does not tell its topic: each source of the chat sees to its own.
            places=None if source.topic is None else [place.id for place in places],
        ),
        permitted=permitted,
    )


# ── what only a live bot has; some of it takes a second to load, which no other command waits for ──


@dataclass(frozen=True, slots=True)
class Bot:
    """A live bot, built and not yet begun. `beside`: what runs beside the listening, until cancelled."""

    core: Core
    telegram: Telegram
    dispatcher: Lines
    relays: Relays
    beside: Sequence[Callable[[], Coroutine[Any, Any, None]]]
    admins: Admins | None  # None: nobody may give orders
    access: Access

    async def follow(self, routes: Routes) -> None:
        """From one event to the next, go by these. What was recorded stays as it was, and what is in hand is
        finished. Raises `SettingsError`, `TelegramError` and `DatabaseError`: then nothing has changed.
        """
        take_over = await self.access.look(routes.chats, routes.targets)
        async with self.dispatcher.between_events():
            await self.core.follow(routes)
            self.dispatcher.follow(self.core.routes)
            self.relays.follow(self.core.routes)
            if self.admins is not None:
                self.admins.follow(self.core.routes)
            take_over()
        await self.telegram.follow(_following(self.core))


@asynccontextmanager
async def open_bot(
    settings: Settings, core: Core, ending: Ending, reload: Callable[[], Awaitable[str]]
) -> AsyncIterator[Bot]:
    """`reload`: have the running bot read its routes again; gives what has changed."""
    from bot.monitoring.access import Access
    from bot.monitoring.answering import answering
    from bot.monitoring.health import Health
    from bot.telegram.existing_messages import ExistingMessages

    telegram = telegram_of(settings, settings.data_dir, _following(core), lease=core.lease)
    core.parents.ask(ExistingMessages(telegram))
    access = Access(
        telegram,
        settings.access_file,
        names=lambda: core.routes.file_names,
        topics=lambda chat: core.routes.topics_of(chat),  # noqa: PLW0108  # others may take over
    )
    facts, metrics = Facts(telegram, core, access), _metrics(settings, core)
    pulse = metrics or Pulse()
    places = Places(core.routes.queues, names=core.routes.place_names)
    health = Health(facts, pulse, places)
    async with (
        answering(settings, health, metrics, lambda: core.routes, core.store.ask),
        _administered(settings, core, telegram, facts, health, reload) as admins,
        AsyncExitStack() as services,
    ):
        known: set[MessageRef] = set()
        rereading = RetriedEvents(core.store, telegram.read_again, known.add)
        queues = Queues(
            core.store,
            telegram.sender,
            watch=_watches(pulse, admins, places),
            told=_told(admins),
            services=services,
            permit=None if core.lease is None else core.lease.sure,
        )
        relays = Relays(
            core.routes,
            queues.wanted,
            places,
            reread=rereading.wake,
            paused=core.orders.paused_at is not None,
        )
        listeners = _listening(admins, relays, ending)
        dispatcher = _lines(core, ending, listeners, pulse, telegram, known)
        beside = [*_beside(core, relays, rereading, telegram.now), access.run]
        beside += [] if metrics is None else [metrics.measure_lag]
        beside += [] if admins is None else admins.tasks
        yield Bot(core, telegram, dispatcher, relays, beside, admins, access)


def _metrics(settings: Settings, core: Core) -> Metrics | None:
    """Nobody counts what nobody can ask for: the library takes 2 MB, and a part of each message's time."""
    if settings.health_port is None:
        return None
    from bot.monitoring.metrics import Metrics

    return Metrics(lambda: core.routes)


def _lines(
    core: Core,
    ending: Ending,
    listeners: Listeners,
    pulse: Pulse,
    telegram: Telegram,
    known: set[MessageRef],
) -> Lines:
    return Lines(
        core.routes,
        lambda chat, waits: dispatcher_of(
            core.store,
            core.intake,
            core.routes,
            stopping=ending.stopping,
            listeners=listeners,
            meter=pulse,
            more_to_come=lambda: waits() or telegram.more_to_come(chat),
            known=known,
        ),
    )


def _listening(admins: Admins | None, relays: Relays, ending: Ending) -> Listeners:
    listeners = Listeners(relays.wake, ending.begin_anew)
    if admins is None:
        return listeners
    return replace(listeners, failed=admins.failed, unreadable=admins.alerts.unreadable)


def _watches(pulse: Pulse, admins: Admins | None, places: Places) -> Callable[[ChatId], Watch]:
    """What is told of what becomes of the posts of a queue."""
    shared: list[Watch] = [] if admins is None else [admins.alerts]
    return lambda target: Watches(shared, places[target], pulse.of(target))


def _told(admins: Admins | None) -> Untold:
    return (lambda *_: None) if admins is None else admins.alerts.untranslated


def _beside(
    core: Core,
    relays: Relays,
    rereading: RetriedEvents,
    now: Callable[[], float | None],
) -> list[Callable[[], Coroutine[Any, Any, None]]]:
    return [
        core.store.keep_writing,
        partial(keep_forgetting, core.store, clock=now),
        partial(core.orders.run, relays),
        rereading.run,
        partial(look_for_damage, core.store),
        core.presence.watch,
    ]


def dispatcher_of(
    table: SignalStore,
    door: Door,
    routes: Routes,
    *,
    stopping: asyncio.Event,
    listeners: Listeners,
    meter: Pulse,
    more_to_come: Callable[[], bool] = lambda: False,
    known: set[MessageRef] | None = None,
    pace: Pace | None = None,
) -> Dispatcher:
    """`more_to_come`: further events are known to follow. `known`: failures that are recorded."""
    pace = pace or Pace()
    recorder = Recorder(
        table,
        door,
        known=set() if known is None else known,
        stopping=stopping,
        listeners=listeners,
        meter=meter,
        pace=pace,
    )
    albums = Albums(recorder.take, recorder.move, more_to_come=more_to_come, sleep=pace.sleep)
    return Dispatcher(
        table,
        recorder,
        albums,
        routes=routes,
        begin_anew=listeners.begin_anew,
        stopping=stopping,
        meter=meter,
    )


def _following(core: Core) -> Following:
    from bot.telegram.catch_up import Following

    routes = core.routes
    return Following(
        core.store,
        routes.chats,
        from_the_start=tuple(routes.moved.values()),
        ttls={chat: released_after(routes.sources_in(chat)) for chat in routes.chats},
    )


@asynccontextmanager
async def _administered(
    settings: Settings,
    core: Core,
    telegram: Telegram,
    facts: Facts,
    health: Health,
    reload: Callable[[], Awaitable[str]],
) -> AsyncIterator[Admins | None]:
    """Take orders of `ADMIN_USERS` in private chats, and tell them of trouble. Loaded only for them."""
    if settings.admin_users and settings.session_string:
        log.warning("a user account has no commands: ADMIN_USERS give orders from a shell")
    if not settings.admin_users or settings.session_string:
        yield None
        return
    from bot.admin.alerts import Alerts
    from bot.admin.chat_commands import AdminHandler, Running
    from bot.telegram.admin_chat import AdminChat

    fence = None if core.lease is None else core.lease.fence
    async with open_tables(settings, read_only=False, in_loop=False, fence=fence) as tables:
        chat = AdminChat(telegram)
        clock = partial(_telegrams_time, telegram)
        orders = AdminHandler(
            tables,
            settings,
            chat,
            Running(health.facts, reload),
            routes=core.routes,
            say=translator(settings.language),
            clock=clock,
        )
        silence = settings.alert_silence_hours
        alerts = Alerts(orders.tell, facts, ToldTable(tables), silence=silence)
        await alerts.begin()
        yield Admins(orders, alerts)


def _telegrams_time(telegram: Telegram) -> float:
    """Unix seconds; the machine's, where Telegram's is not known."""
    told = telegram.now()
    return time.time() if told is None else told
