"""Routes that change while a bot runs: with the real tables and everything between an event and them."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import pty
import signal
import tempfile
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.admin.reload import ReadAgain, Reload, digest_of, keep, kept
from bot.admin.route_changes import changes
from bot.app import dispatcher_of, open_core
from bot.delivery.progress import Places
from bot.delivery.relays import Relays, WantedQueue
from bot.ending import watch_hangups
from bot.endpoints import Endpoint
from bot.errors import BotError, SettingsError, words_of
from bot.lock import locked
from bot.models import AfterTtl, ChatId, Media
from bot.monitoring.metrics import Metrics
from bot.phrases import translator
from bot.pipeline.lanes import Lines
from bot.pipeline.recording import Listeners
from bot.reloading import Reloading
from bot.routes import Place, Routes, Source, sink_id
from bot.routes_file import Listed
from bot.rules.presentation import Presentation
from bot.storage.schema import posts
from tests import wiring
from tests.people import ALICE, BOB, CAROL, GROUP, TARGET, says

OTHER, THIRD = ChatId(-1002345678901), ChatId(-1003456789012)
PLACE = ChatId(-1009876543299)
PHOTO = Media("photo", "photo:1:2:3")


def of(*sources):
    return Routes(sources, named=True)


def one(name="one", chat=GROUP, *places, **more):
    found = places or (Place(TARGET),)
    return Source(name, chat, places=tuple(replace(each, source=name) for each in found), **more)


class House:
    """From an event to the tables, by routes that may change."""

    def __init__(self, core):
        self.core, self.refuses = core, None
        self.stopping = asyncio.Event()
        self.lines = Lines(core.routes, self._dispatcher)

    def _dispatcher(self, _chat, waits):
        return dispatcher_of(
            self.core.store,
            self.core.intake,
            self.core.routes,
            stopping=self.stopping,
            listeners=Listeners(_nothing, _nothing),
            meter=Metrics(),
            more_to_come=waits,
        )

    async def follow(self, routes):
        if self.refuses is not None:
            raise self.refuses
        async with self.lines.between_events():
            await self.core.follow(routes)
            self.lines.follow(self.core.routes)

    async def hears(self, *events):
        for event in events:
            await self.lines.hear(event)

    async def posts(self):
        """Where each is to go, of which message, and what it says."""
        async with self.lines.between_events():
            pass
        columns = (posts.c.target_chat_id, posts.c.source_message_id, posts.c.text)
        query = posts.select().with_only_columns(*columns).order_by(posts.c.id)
        return [tuple(row) for row in await self.core.store.ask(lambda db: db.execute(query).all())]


def _nothing(**_):
    pass


def house(directory, routes):
    return open_core(wiring.settings(data_dir=directory), routes, in_loop=True)


# ── whatever happens in whichever order ──

MARKERS = (("#idea",), ("#scalp",), ("#idea", "#scalp"))
WHO = (None, frozenset({ALICE}), frozenset({ALICE, BOB}))


@st.composite
def some_routes(draw):
    """One or two of three chats, under any names, to one or two places, each with its own footer."""
    chats = draw(
        st.lists(st.sampled_from([GROUP, OTHER, THIRD]), min_size=1, max_size=2, unique=True)
    )
    names = draw(st.permutations(["a", "b", "c"]))
    return of(*(draw(a_source(name, chat)) for name, chat in zip(names, chats, strict=False)))


@st.composite
def a_source(draw, name, chat):
    targets = draw(st.lists(st.sampled_from([TARGET, PLACE]), min_size=1, max_size=2, unique=True))
    footers = st.sampled_from(["", "by us", "from {source}"])
    places = [Place(each, presentation=Presentation(footer=draw(footers))) for each in targets]
    hours = draw(st.sampled_from([1, 1000]))
    rules = {
        "markers": draw(st.sampled_from(MARKERS)),
        "permitted": draw(st.sampled_from(WHO)),
        "ttl": timedelta(hours=hours),
        "after_ttl": draw(st.sampled_from(AfterTtl)),
    }
    return one(name, chat, *places, **rules)


SPOKEN = st.tuples(
    st.sampled_from([GROUP, OTHER, THIRD]),
    st.sampled_from([ALICE, BOB, CAROL]),
    st.sampled_from(["#idea", "#scalp", None, None, None]),
    st.integers(0, 5),
    st.sampled_from([0.0, 0.25, 3.0]),
)


class Model:
    """What is posted where, by the rules that are in force when a message is heard."""

    def __init__(self):
        self.flows = []  # [chat, ids of its messages, owner, hour of their last word]
        self.posted = []

    def hears(self, message, marker, hour, routes):
        source = next((each for each in routes.sources if each.chat == message.chat_id), None)
        if source is None or (source.permitted and message.author not in source.permitted):
            return
        answered = message.reply_to and message.reply_to.message_id
        flow = next((each for each in self.flows if answered in each[1]), None)
        if flow is None:
            if marker not in source.markers:
                return
            self.flows.append([message.chat_id, {message.id}, message.author, hour])
        else:
            quiet = hour - flow[3] > source.ttl.total_seconds() / 3600
            released = quiet and source.after_ttl is AfterTtl.RELEASE
            if message.author != flow[2] and not released:
                return
            flow[1].add(message.id)
            if message.author == flow[2]:
                flow[3] = hour
        for place in source.places:
            footer = place.presentation.footer.replace("{source}", source.name)
            text = f"{message.text}\n{footer}" if footer else message.text
            self.posted.append((place.chat, message.id, text))


@pytest.mark.long
@given(st.lists(st.one_of(SPOKEN, SPOKEN, SPOKEN, some_routes()), max_size=25), some_routes())
@settings(max_examples=40)
def test_each_message_is_decided_by_the_routes_in_force_when_it_is_heard(events, begun):
    """Whatever was added, removed, renamed or changed meanwhile, and however often."""
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(_as_the_model(Path(directory), events, begun))


async def _as_the_model(directory, events, routes):
    model, numbers, said, hour = Model(), itertools.count(1), {}, 0.0
    async with house(directory, routes) as core:
        bot = House(core)
        for event in events:
            if isinstance(event, Routes):
                routes = event
                await bot.follow(routes)
                continue
            chat, author, marker, which, hours = event
            hour += hours
            number, before = next(numbers), said.setdefault(chat, [])
            to = before[-which] if marker is None and 0 < which <= len(before) else None
            text = f"{marker} {number}" if marker else f"update {number}"
            message = says(author, text, chat_id=chat, number=number, hours=hour, to=to)
            before.append(message)
            model.hears(message, marker, hour, routes)
            await bot.hears(message)
        assert sorted(await bot.posts()) == sorted(model.posted)
        bot.lines.close()


# ── in the midst of something ──


async def test_an_album_that_is_being_heard_stays_one(tmp_path):
    """Its source has another name and another place once the last part has come."""
    parts = [
        says(ALICE, text, media=PHOTO, album_id=9, number=n) for n, text in ((1, "#idea"), (2, ""))
    ]
    async with house(tmp_path, of(one())) as core:
        bot = House(core)
        await bot.hears(parts[0])
        await bot.follow(of(one("uno", GROUP, Place(PLACE)), one("two", OTHER)))
        await bot.hears(parts[1], says(BOB, "nice", number=3))
        assert [post[:2] for post in await bot.posts()] == [(PLACE, 1), (PLACE, 2)]
        albums = await core.store.take_posts(PLACE)
        assert [each.album_id for each in albums] == [9, 9]
        bot.lines.close()


class SlowTable:
    """The tables, which take no signal until they are let."""

    def __init__(self, store):
        self._store, self.free, self.asked = store, asyncio.Event(), asyncio.Event()

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def add_signal(self, *args, **more):
        self.asked.set()
        await self.free.wait()
        return await self._store.add_signal(*args, **more)


async def test_what_was_heard_before_is_decided_by_the_rules_of_then(tmp_path):
    """It may wait for the tables; what comes meanwhile waits for the new rules."""
    both = of(one(), one("two", OTHER, Place(PLACE)))
    async with house(tmp_path, both) as core:
        core.store, store = SlowTable(core.store), core.store
        await core.follow(both)
        bot = House(core)
        await bot.hears(says(ALICE, "#idea 1", number=1), says(ALICE, "#idea 2", number=2))
        await core.store.asked.wait()
        following = asyncio.create_task(bot.follow(of(one("one", GROUP, Place(PLACE)))))
        await asyncio.sleep(0)
        late = asyncio.create_task(bot.hears(says(ALICE, "#idea 3", number=3)))
        await asyncio.sleep(0)
        assert not following.done()
        core.store.free.set()
        await asyncio.gather(following, late)
        assert [post[:2] for post in await bot.posts()] == [(TARGET, 1), (TARGET, 2), (PLACE, 3)]
        bot.lines.close()
        core.store = store


async def test_what_was_recorded_keeps_its_text_and_its_order_over_a_places_absence(tmp_path):
    two = one("one", GROUP, Place(TARGET), Place(PLACE))
    signed = Place(PLACE, presentation=Presentation(footer="signed"))
    async with house(tmp_path, of(two)) as core:
        bot = House(core)
        await bot.hears(says(ALICE, "#idea 1", number=1), says(ALICE, "#idea 2", number=2))
        await bot.follow(of(one()))
        await bot.hears(says(ALICE, "#idea 3", number=3))
        assert await core.store.take_posts(PLACE) == []
        await bot.follow(of(one("uno", GROUP, signed)))
        await bot.hears(says(ALICE, "#idea 4", number=4))
        texts = []
        while waiting := await core.store.take_posts(PLACE):
            texts += [each.text for each in waiting]
            for each in waiting:
                await core.store.post_sent(each, 100 + each.id)
        assert texts == ["#idea 1", "#idea 2", "#idea 4\nsigned"]
        bot.lines.close()


async def test_a_flow_stays_in_memory_whatever_its_source_is_called(tmp_path):
    signal_ = says(ALICE, "#idea", number=1)
    async with house(tmp_path, of(one())) as core:
        await core.intake.handle(signal_)
        await core.follow(of(one("uno", GROUP, Place(PLACE)), one("two", OTHER)))
        decision = await core.intake.handle(says(ALICE, "TP1", to=signal_, number=2))
        assert decision.tier == "memory"


async def test_the_channel_that_is_posted_to_no_more_may_be_an_author(tmp_path):
    async with house(tmp_path, of(one())) as core:
        bot = House(core)
        await bot.hears(says(TARGET, "#idea 1", number=1))
        await bot.follow(of(one("one", GROUP, Place(PLACE))))
        await bot.hears(says(TARGET, "#idea 2", number=2), says(PLACE, "#idea 3", number=3))
        assert [post[:2] for post in await bot.posts()] == [(PLACE, 2)]


# ── queues ──


class Queue:
    """Runs until it is told to stop and its work in hand is done."""

    def __init__(self, log, name):
        self.log, self.name = log, name
        self.told, self.hand, self.paused = asyncio.Event(), asyncio.Event(), False

    async def run(self):
        self.log.append(f"{self.name} begins")
        await self.told.wait()
        await self.hand.wait()
        self.log.append(f"{self.name} ends")

    def stop(self):
        self.told.set()

    def wake(self, **_):
        pass

    def pause(self):
        self.paused = True

    def resume(self):
        self.paused = False


class Broken(Queue):
    async def run(self):
        raise BotError("logged out")


class Queues(list):
    """Those that were made. What is for `PLACE` is broken; a footer stands for what a place needs besides."""

    def __init__(self):
        self.log = []

    def wanted(self, routes):
        for target in routes.queues:
            endpoint = routes.sinks.get(target)
            yield WantedQueue(target, endpoint, partial(self.make, target, endpoint))
        for place in routes.places:
            if what := place.presentation.footer:
                yield WantedQueue(what, None, partial(self.make_besides, what), stays=False)

    def make(self, target, endpoint):
        kind = Broken if target == PLACE else Queue
        self.append(kind(self.log, endpoint.url if endpoint else str(target)))
        return self[-1]

    def make_besides(self, what):
        self.append(Queue(self.log, what))
        return self[-1]


def program(url):
    return Place(sink_id("webhook"), name="hook", endpoint=Endpoint(url, "secret"))


async def _a_while():
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_program_that_moves_is_told_of_nothing_twice_at_once():
    """What is in hand at its old address is finished before the new one is told of anything."""
    made = Queues()
    before, after = (of(one("one", GROUP, Place(TARGET), program(url))) for url in ("old", "new"))
    relays = Relays(before, made.wanted, Places([]), reread=_nothing, paused=True)
    running = asyncio.create_task(relays.run())
    await _a_while()
    relays.follow(after)
    await _a_while()
    assert made.log == [f"{TARGET} begins", "old begins"]
    assert [each.paused for each in made] == [True, True, True]
    made[1].hand.set()
    await _a_while()
    assert made.log[2:] == ["old ends", "new begins"]
    relays.stop()
    for each in made:
        each.hand.set()
    await running


async def test_what_a_place_needs_no_more_ends_and_begins_anew_once_it_does():
    """A chat's own queue stays: it remembers for how long Telegram told it to wait."""
    made = Queues()
    without = of(one("one", GROUP, Place(PLACE + 1)))
    with_it = of(one("one", GROUP, Place(TARGET, presentation=Presentation(footer="x"))))
    relays = Relays(with_it, made.wanted, Places([]), reread=_nothing)
    running = asyncio.create_task(relays.run())
    await _a_while()
    made[0].hand.set()
    made[1].hand.set()
    relays.follow(without)
    await _a_while()
    assert made.log == [f"{TARGET} begins", "x begins", f"{PLACE + 1} begins", "x ends"]
    assert not running.done()
    relays.follow(with_it)
    await _a_while()
    assert made.log[4:] == ["x begins"]
    relays.stop()
    for each in made:
        each.hand.set()
    await running


async def test_a_queue_that_comes_later_ends_the_bot_as_the_others_do():
    made = Queues()
    relays = Relays(of(one()), made.wanted, Places([]), reread=_nothing)
    running = asyncio.create_task(relays.run())
    await _a_while()
    await _a_while()
    relays.follow(of(one(), one("two", OTHER, Place(PLACE))))
    await _a_while()
    assert running.done()
    assert str(running.exception()) == "logged out"


# ── what is said of it ──


def test_each_change_is_a_line():
    vip, hook = (
        Place(TARGET, name="vip", id=1, source="one"),
        replace(program("old"), id=2, source="one"),
    )
    before = of(Source("one", GROUP, places=(vip, hook)), Source("two", OTHER))
    silent = replace(
        vip, name="gold", presentation=Presentation(silent=True, footer="x"), source="uno"
    )
    moved = replace(hook, endpoint=Endpoint("new", "secret"), source="uno")
    after = of(
        Source("uno", GROUP, places=(silent, moved), markers=("#x",), ttl=timedelta(hours=1)),
        Source("three", THIRD, places=(Place(PLACE, id=3, source="three"),)),
    )
    assert changes(before, before) == []
    assert changes(before, after) == [
        "source two is heard no more; its flows stay for its return",
        "source one is called uno",
        "source uno: markers, ttl_hours changed",
        f"source three is new: {THIRD} is heard",
        "place vip of one is called gold",
        "place gold of uno: footer, silent changed",
        "place hook of uno: url changed",
        f"place {PLACE} of three is new",
    ]
    assert changes(before, of(before.sources[0])) == [
        "source two is heard no more; its flows stay for its return"
    ]
    assert changes(before, of(Source("one", GROUP, places=(vip,)), Source("two", THIRD))) == [
        f"source two is {THIRD}, and no longer {OTHER}",
        "place hook of one gets nothing more; what waits for it waits for its return",
    ]


# ── the order ──

FILE = f"""\
[[source]]
name = "one"
chat = {GROUP}
allowed_users = "everyone"
[[source.place]]
chat = "@not_looked_up_yet"
"""


class Shell:
    """An operator's, and a bot's data directory that a bot may have."""

    def __init__(self, directory):
        self.data = directory / "data"
        self.data.mkdir()
        self.file = directory / "routes.toml"
        self.file.write_text(FILE, "utf-8")
        self.settings = wiring.settings(data_dir=self.data, routes_file=self.file)
        self.sent, self.now, self.answers = [], 0.0, []

    def bot(self, **more):
        """What a bot with our pid has written."""
        keep(self.data / "routes.json", ReadAgain(os.getpid(), str(self.file.resolve()), **more))

    def send(self, pid, number):
        self.sent.append((pid, number))

    def sleep(self, seconds):
        self.now += seconds
        if self.answers:
            self.bot(**self.answers.pop(0))

    def orders(self, send=None):
        how = {"send": send or self.send, "sleep": self.sleep, "clock": lambda: self.now}
        return Reload(self.settings, **how).order()


@pytest.fixture
def shell(tmp_path):
    return Shell(tmp_path)


def test_the_bot_is_told_and_its_answer_to_this_order_is_given(shell):
    """An order before it may have read what the file said then."""
    digest = digest_of(FILE)
    with locked(shell.data / "lock"):
        shell.bot(number=3, digest=digest, said=("before",))
        shell.answers = [
            {"number": 3, "digest": digest, "said": ["before"]},
            {"number": 4, "digest": "of an older text", "said": ["older"]},
            {"number": 5, "digest": digest, "said": ["source two is new"]},
        ]
        assert shell.orders() == ["source two is new"]
    assert shell.sent == [(os.getpid(), signal.SIGHUP)]


def test_what_the_bot_refuses_is_a_mistake_in_the_file(shell):
    with locked(shell.data / "lock"):
        shell.bot()
        shell.answers = [{"number": 1, "digest": digest_of(FILE), "taken": False, "said": ["why"]}]
        with pytest.raises(SettingsError, match="why"):
            shell.orders()


def test_what_the_bot_answered_is_said_in_the_operators_language(shell):
    """It is written down in English; whoever ordered it reads it in theirs, be it a refusal or not."""
    russian, digest = translator("ru"), digest_of(FILE)
    answer = {"number": 1, "digest": digest, "said": ["source two is new: -1005 is heard"]}
    with locked(shell.data / "lock"):
        shell.bot()
        shell.answers = [answer, answer | {"number": 2, "taken": False}]
        assert list(map(russian, shell.orders())) == ["новый источник two: читается -1005"]
        with pytest.raises(SettingsError) as refused:
            shell.orders()
    assert russian(words_of(refused.value)) == "новый источник two: читается -1005"


@pytest.mark.parametrize("command", ["reload", "check"])
def test_what_is_wrong_is_said_in_the_operators_language_by_the_command(run, tmp_path, command):
    """By `.env`, where that can be read; a service has another locale than its operator."""
    (tmp_path / ".env").write_text("LANGUAGE=ru\nAPI_ID=abc\n", "utf-8")
    (tmp_path / ".env").chmod(0o600)
    done = run(command)

    assert done.stderr == (
        "error: API_ID: 'abc' — не API id: это число вроде 1234567, оно есть на https://my.telegram.org\n"
    )
    assert done.returncode == 2


def test_a_file_that_is_wrong_is_refused_before_anybody_is_told(shell):
    shell.file.write_text(FILE.replace('"one"', '"One"'), "utf-8")
    with locked(shell.data / "lock"):
        shell.bot()
        with pytest.raises(SettingsError, match=r"^routes.toml, line 2: name: give up to 32 small"):
            shell.orders()
    assert shell.sent == []


def test_without_a_bot_nobody_is_told(shell):
    with pytest.raises(BotError, match="no bot runs in"):
        shell.orders()


def test_who_holds_the_directory_and_is_no_bot_is_not_ended(shell):
    """SIGHUP would end an import. What an earlier bot has left there is no sign of one."""
    with locked(shell.data / "lock"):
        with pytest.raises(BotError, match="is no bot that runs"):
            shell.orders()
        keep(shell.data / "routes.json", ReadAgain(os.getpid() + 1, str(shell.file.resolve())))
        with pytest.raises(BotError, match="is no bot that runs"):
            shell.orders()
    assert shell.sent == []


def test_a_bot_that_reads_another_file_is_named(shell, tmp_path):
    with locked(shell.data / "lock"):
        keep(shell.data / "routes.json", ReadAgain(os.getpid(), "/elsewhere/routes.toml"))
        with pytest.raises(BotError, match=r"reads /elsewhere/routes\.toml, and not "):
            shell.orders()


def test_a_bot_of_another_user_is_named(shell):
    def refused(pid, number):
        raise PermissionError(1, "Operation not permitted")

    with locked(shell.data / "lock"):
        shell.bot()
        with pytest.raises(BotError, match=f"pid {os.getpid()}.*be the user it runs as"):
            shell.orders(refused)


def test_a_bot_that_says_nothing_is_not_waited_for_without_end(shell):
    with locked(shell.data / "lock"):
        shell.bot()
        with pytest.raises(BotError, match="has said nothing for 60 s"):
            shell.orders()


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps({"pid": 1, "more": 2})])
def test_what_is_damaged_there_says_nothing(tmp_path, text):
    (tmp_path / "routes.json").write_text(text)
    assert kept(tmp_path / "routes.json") is None


# ── the order of an operator in Telegram, whom the bot itself answers ──


@asynccontextmanager
async def obeying(tmp_path, text):
    """A bot that goes by that file and hears orders."""
    file = tmp_path / "routes.toml"
    file.write_text(text, "utf-8")
    settings = wiring.settings(data_dir=tmp_path, routes_file=file)
    async with open_core(settings, Listed(text).known({}), in_loop=True) as core:
        bot = House(core)
        bot.admins = bot.telegram = None
        reloading = Reloading(settings, asyncio.Event(), load=lambda: settings)
        running = asyncio.create_task(reloading.run(bot))
        try:
            yield file, reloading, bot
        finally:
            running.cancel()
            await asyncio.wait([running])


ONE_PLACE = FILE.replace('"@not_looked_up_yet"', str(TARGET))


async def test_an_order_is_answered_with_what_it_changed(tmp_path):
    async with obeying(tmp_path, ONE_PLACE) as (file, reloading, bot):
        assert await reloading.order() == "nothing in it has changed"
        file.write_text(ONE_PLACE + 'footer = "x"\n', "utf-8")
        assert await reloading.order() == f"place {TARGET} of one: footer changed"
        assert bot.core.routes.places[0].presentation.footer == "x"


async def test_an_order_for_a_file_that_is_wrong_is_refused_with_its_line(tmp_path):
    async with obeying(tmp_path, ONE_PLACE) as (file, reloading, bot):
        before = bot.core.routes
        file.write_text(ONE_PLACE + 'fotter = "x"\n', "utf-8")
        with pytest.raises(SettingsError, match=r"routes\.toml, line 7: fotter is no key"):
            await reloading.order()
        file.unlink()
        with pytest.raises(SettingsError, match=r"there is no .*routes\.toml"):
            await reloading.order()
        assert bot.core.routes is before
        assert kept(tmp_path / "routes.json") is None  # the bot was not troubled


async def test_an_order_that_the_bot_itself_refuses_is_refused_with_its_reason(tmp_path):
    """As where a chat that only Telegram knows takes nothing from it: by the line that names it."""
    async with obeying(tmp_path, ONE_PLACE) as (_, reloading, bot):
        before = bot.core.routes
        bot.refuses = SettingsError(f"TARGET_CHAT_ID: {TARGET} is not known")
        with pytest.raises(
            SettingsError, match=rf"^routes.toml, line 6: chat: {TARGET} is not known"
        ):
            await reloading.order()
        assert bot.core.routes is before


async def test_an_order_that_nobody_obeys_is_not_waited_for_without_end(tmp_path):
    file = tmp_path / "routes.toml"
    file.write_text(ONE_PLACE, "utf-8")
    settings = wiring.settings(data_dir=tmp_path, routes_file=file)
    reloading = Reloading(settings, asyncio.Event(), load=lambda: settings, patience=0)
    with pytest.raises(BotError, match="no answer within 0 s"):
        async with asyncio.timeout(3):
            await reloading.order()


# ── the signal ──


async def test_a_hangup_is_an_order_but_where_the_terminal_was_closed():
    """A bot that was started by hand ends with its terminal, in order."""
    ours, its = pty.openpty()
    loop, said = asyncio.get_running_loop(), asyncio.Queue()
    loop.add_signal_handler(signal.SIGTERM, said.put_nowait, "end")
    try:
        watch_hangups(lambda: said.put_nowait("read"), stderr=its)
        signal.raise_signal(signal.SIGHUP)
        assert await said.get() == "read"
        os.close(ours)
        signal.raise_signal(signal.SIGHUP)
        assert await said.get() == "end"
    finally:
        os.close(its)
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.remove_signal_handler(number)
