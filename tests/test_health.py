"""`/healthz` and `/metrics`: each state the bot can be in, over a real socket."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from datetime import timedelta
from math import isnan

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bot.delivery.progress import Places
from bot.delivery.relay import Relay
from bot.errors import (
    DatabaseUnavailable,
    PostRefused,
    RetryLater,
    SettingsError,
    TargetUnavailable,
)
from bot.models import ChatId, Decision, MessageId, Outcome, Reason, SignalId, Tier, UnreadableChat
from bot.monitoring.health import Health, in_words
from bot.monitoring.metrics import Metrics, MetricsPage
from bot.monitoring.port import Port, listening
from bot.posts import Backlog, PostState
from bot.routes import Place, Routes, Source
from bot.signal_fields import SignalFields
from bot.storage import records
from tests.clock import Clock
from tests.conftest import ROOT
from tests.health import FakeBot
from tests.people import ALICE, GROUP, NOON, TARGET, says
from tests.posts import FakeOutbox, FakeTelegram, post

OTHER = ChatId(TARGET - 1)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def bot_():
    return FakeBot()


@pytest.fixture
def metrics(clock):
    one = Routes((Source(places=(Place(TARGET),)),))
    return Metrics(lambda: one, clock=clock)


@pytest.fixture
def places(clock):
    return Places([TARGET, OTHER], clock=clock)


@pytest.fixture
async def ask(bot_, metrics, places, clock):
    """Get a page from the real server; gives the status and the text."""
    health = Health(bot_, metrics, places, clock=clock, table_patience=0.05)
    pages = health.pages | MetricsPage(bot_, metrics, table_patience=0.05).pages
    port = Port(pages.get, fresh_for=0)
    async with listening(port, "127.0.0.1", 0) as port, aiohttp.ClientSession() as session:

        async def ask(path):
            async with session.get(f"http://127.0.0.1:{port}{path}") as answer:
                return answer.status, await answer.text()

        yield ask


@pytest.fixture
def health(ask):
    async def health():
        status, text = await ask("/healthz")
        facts = json.loads(text)
        assert facts["healthy"] == (status == 200)
        return status, facts["reasons"]

    return health


# ── each state ────────────────────────────────────────────────────────────────


async def test_a_bot_that_is_connected_and_whose_table_answers_is_healthy(health):
    assert await health() == (200, [])


async def test_a_bot_that_is_not_connected_is_not_healthy(health, bot_):
    bot_.connected_since = None

    assert await health() == (503, ["not connected to Telegram"])


async def test_a_bot_whose_table_fails_is_not_healthy(health, bot_):
    bot_.table = DatabaseUnavailable("signals.db: database is locked")

    assert await health() == (
        503,
        ["the table does not answer: signals.db: database is locked"],
    )


async def test_a_bot_whose_table_says_nothing_is_not_healthy(health, bot_):
    bot_.table = None

    assert await health() == (503, ["the table does not answer within 0.05 s"])


async def test_a_bot_whose_relay_is_stuck_is_not_healthy(health, bot_, clock):
    bot_.table = Backlog(7, NOON)
    clock.now += 300
    assert await health() == (200, [])

    clock.now += 60

    assert await health() == (
        503,
        [f"target {TARGET}: nothing got done for 6 min, posts that wait: 7"],
    )


async def test_a_place_that_moves_says_nothing_of_another_that_is_stuck(
    health, ask, bot_, places, clock
):
    """One has been closed for a day, and the other takes a post every minute."""
    closed = TargetUnavailable("Telegram refused: 400 CHANNEL_PRIVATE", TARGET)
    bot_.table, bot_.others = Backlog(7, NOON), {OTHER: Backlog(1, NOON + 86_399)}
    clock.now += 86_400
    places[TARGET].delayed(closed, timedelta(minutes=10))
    places[OTHER].done(post())

    assert await health() == (
        503,
        [
            (
                f"target {TARGET}: nothing got done for 1 d: Telegram refused: 400 CHANNEL_PRIVATE, "
                "tried again in 10 min, posts that wait: 7"
            )
        ],
    )
    facts = json.loads((await ask("/healthz"))[1])
    assert [(each["chat"], each["pending"]) for each in facts["places"]] == [
        (TARGET, 7),
        (OTHER, 1),
    ]
    assert (facts["pending_posts"], facts["oldest_pending_at"]) == (8, NOON)

    places[TARGET].done(post())

    assert await health() == (200, [])


async def test_edits_that_go_through_hide_no_line_of_new_messages_that_stands_still(
    health, bot_, places, clock
):
    """A flood wait for sends lets edits pass; for a subscriber the place has been silent for a day."""
    bot_.table = Backlog(1, NOON)
    clock.now += 86_400
    places[TARGET].done(replace(post(), state=PostState.EDIT))

    assert (await health())[0] == 503


async def test_a_flood_wait_explains_why_nothing_is_done(health, bot_, places, clock):
    bot_.table = Backlog(1, NOON)
    wait = timedelta(hours=2)
    places[TARGET].delayed(RetryLater("Telegram refused: 420 FLOOD_WAIT_7200", after=wait), wait)
    clock.now += 3600

    assert await health() == (
        503,
        [
            (
                f"target {TARGET}: nothing got done for 1 h: Telegram refused: 420 FLOOD_WAIT_7200, "
                "tried again in 1 h, posts that wait: 1"
            )
        ],
    )


async def test_a_source_that_cannot_be_read_is_not_healthy(health, ask, bot_, clock, samples):
    """The reason names the chat, the error and what to do."""
    bot_.sources = [
        UnreadableChat(GROUP, NOON, "not a member any more (removed)", "add it again", NOON + 180)
    ]
    clock.now += 120

    assert await health() == (
        503,
        [
            (
                f"source {GROUP} cannot be read for 2 min: not a member any more (removed) "
                "(tried again in 1 min); add it again"
            )
        ],
    )
    (told,) = json.loads((await ask("/healthz"))[1])["unreadable"]
    assert (told["chat"], told["since"], told["again_at"]) == (GROUP, NOON, NOON + 180)
    assert (await samples())["unreadable_sources",] == 1
    assert (await samples())["source_unreadable", "main"] == 1


async def test_a_source_and_a_place_are_named_as_the_file_names_them(bot_, metrics, clock):
    bot_.sources = [UnreadableChat(GROUP, NOON, "banned", "add it again", None, name="majors")]
    bot_.table, bot_.others = Backlog(7, NOON), {OTHER: Backlog(1, NOON)}
    places = Places([TARGET, OTHER], names={TARGET: "vip, loud"}, clock=clock)
    health = Health(bot_, metrics, places, clock=clock)
    clock.now += 360

    facts = await health.facts()

    assert [reason.split(":")[0] for reason in facts["reasons"]] == [
        f"source majors ({GROUP}) cannot be read for 6 min",
        f"target vip, loud ({TARGET})",
        f"target {OTHER}",
    ]
    assert [each["name"] for each in facts["unreadable"]] == ["majors"]
    assert [(each["chat"], each["name"]) for each in facts["places"]] == [
        (TARGET, "vip, loud"),
        (OTHER, None),
    ]


async def test_a_long_line_that_moves_is_healthy(health, bot_, places, clock):
    """As after a burst under a flood wait: the first has waited for long, but posts go out."""
    bot_.table = Backlog(700, NOON)
    clock.now += 3600
    places[TARGET].done(post())

    assert await health() == (200, [])


async def test_a_pause_is_told_and_is_no_trouble(health, ask, bot_, clock, places, samples):
    """Nor is its end: what was held back has a while to get on."""
    bot_.table = Backlog(7, NOON)
    bot_.paused_at = NOON + 60
    clock.now += 3600
    assert await health() == (200, [])
    assert json.loads((await ask("/healthz"))[1])["paused_at"] == NOON + 60
    assert (await samples())["paused",] == 1

    bot_.paused_at = None
    assert (await health())[0] == 503
    places.resumed()

    assert await health() == (200, [])


async def test_a_relay_that_had_nothing_to_do_is_healthy(health, bot_, clock):
    clock.now += 24 * 3600
    assert await health() == (200, [])

    bot_.table = Backlog(1, int(clock.now) - 10)

    assert await health() == (200, [])


async def test_several_reasons_are_all_named(health, bot_):
    bot_.connected_since = None
    bot_.table = DatabaseUnavailable("disk I/O error")

    status, reasons = await health()

    assert (status, len(reasons)) == (503, 2)


async def test_what_only_the_running_bot_knows_is_told(ask, bot_, metrics, clock):
    bot_.table = Backlog(2, NOON)
    metrics.decided(Decision(Outcome.UPDATE, Reason.OWNER, Tier.DISK, SignalId(1)), 0.01, GROUP)
    metrics.heard()

    facts = json.loads((await ask("/healthz"))[1])

    assert facts["connected_since"] == NOON - 60
    assert facts["last_update_at"] == NOON
    assert facts["tier_hits"] == {"memory": 0, "disk": 1, "table": 0}
    assert (facts["pending_posts"], facts["oldest_pending_at"]) == (2, NOON)


async def test_nothing_else_is_served(ask):
    assert (await ask("/"))[0] == 404
    assert (await ask("/healthz/../../etc/passwd"))[0] == 404


async def test_a_port_that_is_taken_is_one_line_that_names_the_setting(bot_, metrics):
    health = Health(bot_, metrics, Places([]))
    async with listening(Port(health.pages.get), "127.0.0.1", 0) as port:
        with pytest.raises(SettingsError, match=f"HEALTH_PORT: cannot listen on 127.0.0.1:{port}"):
            async with listening(Port(health.pages.get), "127.0.0.1", port):
                pass


# ── metrics ───────────────────────────────────────────────────────────────────


@pytest.fixture
def samples(ask):
    """Every sample of `/metrics` by its name and labels, as Prometheus's own parser reads them."""

    async def samples():
        status, text = await ask("/metrics")
        assert status == 200
        return {
            (sample.name.removeprefix("signal_relay_"), *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    return samples


async def test_decisions_are_counted_by_outcome_reason_and_tier(samples, metrics):
    refused = Decision(Outcome.REJECTED, Reason.NOT_THE_OWNER, Tier.MEMORY, SignalId(1))
    metrics.decided(refused, 0.004, GROUP)
    metrics.decided(refused, 0.2, GROUP)
    metrics.decided(Decision(Outcome.SIGNAL, Reason.NEW_SIGNAL), 0.01, GROUP)

    found = await samples()

    assert found["decisions_total", "rejected", "not_the_owner", "main"] == 2
    assert found["decisions_total", "signal", "new_signal", "main"] == 1
    assert found["tier_hits_total", "main", "memory"] == 2
    assert found["tier_hits_total", "main", "table"] == 0
    assert found["decision_seconds_bucket", "0.005", "main"] == 1
    assert found["decision_seconds_count", "main"] == 3


async def test_what_the_relay_does_is_counted_and_timed(samples, metrics, clock):
    """Of four posts one hits a flood wait, a closed chat and a lost answer, and one is refused."""
    outbox = FakeOutbox(
        post(1, recorded_at=NOON - 7),
        post(2),
        post(3, state=PostState.EDIT, target_message_id=MessageId(9)),
        post(4, state=PostState.DELETE, target_message_id=MessageId(10)),
    )
    telegram = FakeTelegram(
        RetryLater("flood", after=timedelta(seconds=30)),
        TargetUnavailable("closed", TARGET),
        None,
        RetryLater("no answer"),
        PostRefused("MESSAGE_EMPTY"),
    )
    seconds = [0.0]
    relay = Relay(outbox, telegram, TARGET, watch=metrics.of(TARGET), clock=lambda: seconds[0])
    while (pause := await relay.post_next()) is not None:
        seconds[0] += pause.total_seconds()

    found = await samples()

    place = (str(TARGET), "main")
    assert found["flood_waits_total", str(TARGET)] == 1
    assert found["flood_wait_seconds_total", str(TARGET)] == 30
    assert {
        done: found["posts_total", done, *place] for done in ("sent", "failed", "edited", "deleted")
    } == {"sent": 1, "failed": 1, "edited": 1, "deleted": 1}
    assert found["post_seconds_bucket", "5.0", *place] == 0
    assert found["post_seconds_bucket", "10.0", *place] == 1


async def test_what_is_so_is_shown_as_it_is_when_asked(samples, bot_, metrics, clock):
    metrics.heard()
    bot_.gaps_recovered = 2
    bot_.table = Backlog(4, NOON - 20)
    bot_.cache_disabled = True
    before = await samples()
    bot_.connected_since = None
    bot_.gaps_recovered = 1  # of a new connection
    bot_.table = DatabaseUnavailable("locked")
    after = await samples()

    assert (before["connected",], after["connected",]) == (1, 0)
    place = (str(TARGET), "main")
    assert before["pending_posts", *place] == 4
    assert before["oldest_pending_seconds", *place] == 20
    assert isnan(after["pending_posts", *place])  # nobody knows
    assert isnan(after["oldest_pending_seconds", *place])
    assert before["last_update_timestamp_seconds",] == NOON
    assert (before["memory_flows", "main"], before["cache_disabled",]) == (3, 1)
    assert (before["gaps_recovered_total",], after["gaps_recovered_total",]) == (2, 3)


async def test_a_loop_that_wakes_late_is_seen(samples, metrics):
    moments = iter([0.0, 1.3, 10.0, 11.0, 20.0])
    naps = []

    async def sleep(seconds):
        naps.append(seconds)
        if len(naps) == 3:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await metrics.measure_lag(sleep=sleep, timer=lambda: next(moments))

    found = await samples()
    assert found["loop_lag_seconds_count",] == 2
    assert (
        found["loop_lag_seconds_bucket", "0.001"],
        found["loop_lag_seconds_bucket", "0.25"],
    ) == (
        1,
        1,
    )
    assert found["loop_lag_seconds_bucket", "0.5"] == 2


async def test_two_bots_in_one_process_count_apart(metrics):
    other = Metrics()
    metrics.decided(Decision(Outcome.SIGNAL, Reason.NEW_SIGNAL), 0.01, GROUP)

    assert metrics.registry is not other.registry
    assert (
        other.registry.get_sample_value("signal_relay_decision_seconds_count", {"source": "main"})
        == 0
    )


async def test_the_table_tells_how_many_posts_wait_and_since_when(store):
    for number in (1, 2):
        await store.add_signal(
            says(ALICE, "#idea", number=number),
            author=ALICE,
            marker="#idea",
            fields=SignalFields(),
            places=[Place(TARGET)],
        )
    first, *_ = await store.take_posts(TARGET)

    async def backlogs(*targets):
        return await store.ask(lambda db: records.backlogs(db, targets))

    # The posts of a target that was left out are not asked for.
    assert await backlogs(OTHER) == {OTHER: Backlog(0, None)}
    assert await backlogs(TARGET, OTHER) == {
        TARGET: Backlog(2, first.recorded_at),
        OTHER: Backlog(0, None),
    }
    await store.post_sent(first, MessageId(7))
    assert (await backlogs(TARGET))[TARGET].pending == 1


# ── names ─────────────────────────────────────────────────────────────────────


SCALPS, LEFT = ChatId(-1002345678901), ChatId(-1004567890123)
NAMED = Routes(
    (
        Source("majors", GROUP, places=(Place(TARGET, name="vip", id=1, source="majors"),)),
        Source(
            "scalps",
            SCALPS,
            topic=5,
            places=(
                Place(TARGET, id=2, source="scalps"),
                Place(OTHER, 12, name="quiet", id=3, source="scalps"),
            ),
        ),
    ),
    named=True,
)


async def test_each_source_and_place_is_measured_by_its_name(clock, bot_, places):
    """Places of one chat are told apart. One that is listed no more has no series, whatever waits for it."""
    metrics = Metrics(lambda: NAMED, clock=clock)
    update = Decision(Outcome.UPDATE, Reason.OWNER, Tier.DISK, SignalId(1))
    for where in ((GROUP, 0), (SCALPS, 5), (SCALPS, 5), (SCALPS, 6), (SCALPS, None), (LEFT, None)):
        metrics.decided(update, 0.01, *where)
    for number, place in ((1, 1), (2, 2), (3, 2)):
        metrics.of(TARGET).done(replace(post(number), place=place))
    wait = timedelta(seconds=30)
    metrics.of(OTHER).delayed(RetryLater("flood", after=wait), wait)

    async def waiting():
        return {1: Backlog(3, NOON - 9), 3: Backlog(1, NOON - 2), 4: Backlog(9, NOON)}

    bot_.waiting, bot_.flows_by_source = waiting, lambda: {"majors": 2, "scalps": 0}
    bot_.sources = [UnreadableChat(SCALPS, NOON, "banned", "add it", None)]
    text = (await MetricsPage(bot_, metrics).page()).body.decode()
    found = {
        (sample.name.removeprefix("signal_relay_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }

    def by(name):
        return {key[1:]: value for key, value in found.items() if key[0] == name}

    vip, loud, quiet = ("vip", "majors"), (str(TARGET), "scalps"), ("quiet", "scalps")
    assert by("decisions_total") == {
        ("update", "owner", "majors"): 1,
        ("update", "owner", "scalps"): 3,
        ("update", "owner", ""): 2,
    }
    assert by("posts_total") == {("sent", *vip): 1, ("sent", *loud): 2, ("sent", *quiet): 0}
    assert by("post_seconds_count") == {vip: 1, loud: 2, quiet: 0}
    assert by("pending_posts") == {vip: 3, loud: 0, quiet: 1}
    assert by("oldest_pending_seconds") == {vip: 9, loud: 0, quiet: 2}
    assert by("flood_waits_total") == {("vip",): 0, ("quiet",): 1}
    assert by("memory_flows") == {("majors",): 2, ("scalps",): 0}
    assert by("source_unreadable") == {("majors",): 0, ("scalps",): 1}


# ── the dashboard ─────────────────────────────────────────────────────────────


async def test_the_dashboard_asks_for_all_that_is_measured_and_nothing_else(samples, metrics):
    """Names of queries are those of samples; that they are counters or not is Prometheus's."""
    metrics.decided(Decision(Outcome.UPDATE, Reason.OWNER, Tier.DISK, SignalId(1)), 0.01, GROUP)
    metrics.of(TARGET).done(post())
    metrics.flooded(TARGET, 30)
    measured = {name for name, *_ in await samples() if not name.endswith("_created")}
    dashboard = json.loads((ROOT / "docs" / "grafana.json").read_text(encoding="utf-8"))
    asked = {
        name
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for name in re.findall(r"signal_relay_(\w+)", target["expr"])
    }

    def family(name):
        return re.sub(r"_(bucket|sum|count)$", "", name)

    assert asked <= measured
    assert {family(name) for name in measured} == {family(name) for name in asked}


@pytest.mark.parametrize(
    ("again_at", "when"), [(None, ""), (NOON, ""), (NOON + 30, " (tried again in 30 s)")]
)
def test_of_a_source_that_cannot_be_read_it_is_told_when_it_is_tried_again(again_at, when):
    chat = UnreadableChat(GROUP, NOON - 120, "not a member", "add it", again_at=again_at)

    assert in_words(chat, NOON) == (
        f"source {GROUP} cannot be read for 2 min: not a member{when}; add it"
    )
