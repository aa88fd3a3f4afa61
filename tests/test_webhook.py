"""What a program is told: each event known once by its id, in order, rightly signed, whatever happens."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import random
import re
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
import standardwebhooks

from bot.delivery.events import Event, EventRelay
from bot.delivery.webhook import Webhook
from bot.delivery.worker import Unwatched, Worker
from bot.endpoints import check_endpoint, check_secret, is_public
from bot.errors import PostRefused, RetryLater, SettingsError, TargetUnavailable
from bot.models import Decision, Media, Outcome, Reason, Tier, is_sink
from bot.routes import Place, sink_id
from bot.rules.markers import parse
from bot.rules.presentation import Presentation
from bot.storage.engine import Database
from bot.storage.store import SignalStore
from tests.fuse import Crash, Fuse
from tests.people import ALICE, GROUP, NOON, TARGET, says
from tests.receiver import SECRET, Receiver
from tests.resolver import Names

HOOK = sink_id("webhook main")
TEXT = "#idea BTC/USDT LONG\nentry 64000-65000\ntp 70000, 72000.50\nsl 61000"


class Program:
    """A bot whose only place is a webhook, with a clock of its own."""

    def __init__(self, path, receiver, *, place=None, quick=False, **late):
        self.path, self.receiver, self.now = path, receiver, float(NOON)
        self.place = place or Place(HOOK, source="majors")
        self.late = late
        self.timeout = aiohttp.ClientTimeout(total=0.5 if quick else 30)
        self.numbers = iter(range(1, 10_000))

    async def start(self, around=lambda part: part):
        """`around`: what stands between the parts."""
        self.tables = SignalStore(
            Database(self.path, in_loop=True), clock=lambda: self.now, place=lambda *_: self.place
        )
        await self.tables.open()
        self.store = around(self.tables)
        self.webhook = Webhook(
            self.receiver.url, SECRET, HOOK, timeout=self.timeout, clock=lambda: self.now
        )
        events = EventRelay(
            self.store,
            around(self.webhook),
            watch=Unwatched(),
            clock=lambda: self.now,
            **self.late,
        )
        self.worker = Worker(
            self.store,
            events.deliver,
            HOOK,
            watch=Unwatched(),
            sleep=asyncio.sleep,
            jitter=lambda: 0.0,
            clock=lambda: self.now,
            in_order=True,
        )

    async def end(self):
        await self.webhook.close()
        await self.tables.close()

    async def goes_on(self):
        """Until nothing is left to tell; waits take no time."""
        while (pause := await self.worker.post_next()) is not None:
            self.now += min(pause, timedelta(hours=1)).total_seconds()

    async def signal(self, text=TEXT, **more):
        message = says(ALICE, text, number=next(self.numbers), author_name="Alice", **more)
        self.flow = await self.store.add_signal(
            message, author=ALICE, marker="#idea", fields=parse(text), places=[self.place]
        )
        return message

    async def update(self, to, text="TP1 hit", **more):
        message = says(ALICE, text, number=next(self.numbers), to=to, **more)
        into = Decision(Outcome.UPDATE, Reason.OWNER, Tier.MEMORY, self.flow)
        await self.store.add_update(message, into, author=ALICE, places=[self.place])
        return message

    async def edit(self, message, text):
        new = says(ALICE, text, number=message.id, to=message.reply_to)
        await self.store.edit(new, parse(text))


@asynccontextmanager
async def running(tmp_path, **options):
    async with Receiver() as receiver:
        program = Program(tmp_path / "signals.db", receiver, **options)
        await program.start()
        try:
            yield program, receiver
        finally:
            await program.end()


async def test_a_signal_its_update_its_edit_and_its_end_are_told(tmp_path):
    async with running(tmp_path) as (program, receiver):
        signal = await program.signal()
        update = await program.update(signal)
        await program.goes_on()
        await program.edit(update, "SL to entry")
        await program.goes_on()
        await program.store.delete(GROUP, [signal.id])
        await program.goes_on()

    assert [event["type"] for event in receiver.events] == [
        "signal.created",
        "update.created",
        "update.edited",
        "signal.deleted",
    ]
    created, told, edited, deleted = receiver.events
    assert created["data"] == {
        "source": "majors",
        "chat_id": -1001234567890,
        "message_id": 1,
        "link": "https://t.me/c/1234567890/1",
        "signal_message_id": 1,
        "reply_to": None,
        "author": 1001,
        "author_name": "Alice",
        "at": "2026-02-02T02:40:00Z",
        "text": TEXT,
        "media": None,
        "album": None,
        "fields": {
            "pair": "BTC/USDT",
            "direction": "LONG",
            "entry": ["64000", "65000"],
            "take_profits": ["70000", "72000.50"],
            "stop": "61000",
        },
    }
    assert (created["version"], created["late"]) == (1, False)
    assert told["data"]["event"] == {"kind": "target_reached", "target": 1}
    assert (told["data"]["reply_to"], told["data"]["signal_message_id"]) == (1, 1)
    assert edited["data"]["event"] == {"kind": "stop_moved", "stop": "entry"}
    assert deleted["data"] == created["data"]
    assert receiver.wrong == []


def test_the_signature_is_the_one_of_the_published_rules():
    """As somebody else's program checks it, and as the page on it has it."""
    signer = standardwebhooks.Webhook(SECRET)
    assert signer.sign("msg_p", _at(1_770_000_000), '{"a":1}') == (
        "v1," + _mac(b"msg_p.1770000000." + b'{"a":1}')
    )


def _at(unix):
    return datetime.fromtimestamp(unix, UTC)


def _mac(said):
    return base64.b64encode(hmac.new(bytes(range(32)), said, hashlib.sha256).digest()).decode()


FATES = [500, 502, 429, "redirect", "lost", "cut", "hang", "endless", 404, 204, 204, 204, 204]


class Afternoon:
    """Signals, updates, edits and deletions, and a receiver and a program that fail in between."""

    def __init__(self, program, receiver, seed):
        self.program, self.receiver, self.chance = program, receiver, random.Random(seed)
        self.says, self.gone, self.order = {}, set(), []

    async def goes_by(self, steps):
        for _ in range(steps):
            what = self.chance.choice(
                [self.new, self.new, self.edit, self.delete, *[self.tell] * 6, self.fall, self.kill]
            )
            await what()

    async def new(self):
        signals = [each for each in self.says.values() if each.reply_to is None]
        if not signals or self.chance.random() < 0.5:
            message = await self.program.signal(f"#idea BTC/USDT LONG tp {len(self.says)}00")
        else:
            message = await self.program.update(self.chance.choice(signals), f"TP{len(self.says)}")
        self.says[message.id] = message
        self.order.append(message.id)

    async def edit(self):
        if self.says.keys() - self.gone:
            message = self.says[self.chance.choice(sorted(self.says.keys() - self.gone))]
            text = f"{message.text.split(' !')[0]} !{self.chance.randrange(1_000)}"
            await self.program.edit(message, text)
            self.says[message.id] = says(ALICE, text, number=message.id, to=message.reply_to)

    async def delete(self):
        left = sorted(self.says.keys() - self.gone)
        if left and self.chance.random() < 0.4:
            number = self.chance.choice(left)
            self.gone.add(number)
            await self.program.store.delete(GROUP, [number])

    async def tell(self):
        self.receiver.fates.append(self.chance.choice(FATES))
        pause = await self.program.worker.post_next()
        if pause is not None:
            self.program.now += min(pause, timedelta(hours=1)).total_seconds()

    async def fall(self):
        """The receiver is not there for a while."""
        if self.chance.random() < 0.3:
            await self.receiver.stop()
            await self.tell()
            await self.receiver.start()

    async def kill(self):
        """The program ends in the midst of a request, and nothing is written of how that ended."""
        if self.chance.random() < 0.5:
            self.receiver.fates.append(self.chance.choice(["hang", "lost", "hang", "cut"]))
            step = asyncio.create_task(self.program.worker.post_next())
            for _ in range(self.chance.choice([0, 1, 5, 50, 200])):
                await asyncio.sleep(0)
            step.cancel()
            with suppress(asyncio.CancelledError):
                await step
        await self.program.end()
        await self.program.start()


@pytest.mark.long
@pytest.mark.parametrize(
    "seed", [*range(3), *(pytest.param(seed, marks=pytest.mark.heavy) for seed in range(3, 8))]
)
async def test_every_event_is_known_once_by_its_id_in_order_whatever_fails(tmp_path, seed):
    """500, 429, redirects, silence, cuts, lost answers, a receiver and a program that come and go."""
    async with running(tmp_path, quick=True) as (program, receiver):
        afternoon = Afternoon(program, receiver, seed)
        await afternoon.goes_by(150)
        receiver.fates.clear()
        await program.goes_on()

    assert (receiver.wrong, receiver.elsewhere) == ([], 0)
    created = [e["data"]["message_id"] for e in receiver.events if e["type"].endswith("created")]
    assert created == sorted(set(created))  # each once, in the order of the source
    known = {}
    for event in receiver.events:
        number, what = event["data"]["message_id"], event["type"].partition(".")[2]
        assert (what == "created") == (number not in known)
        known[number] = (what == "deleted", event["data"]["text"])
    never_told = afternoon.gone - known.keys()
    assert known.keys() | never_told == set(afternoon.order)
    for number, message in afternoon.says.items():
        if number in afternoon.gone:
            assert known.get(number, (True, ""))[0]
        else:
            assert known[number] == (False, message.text)
    for said in receiver.bodies.values():
        assert all(each["data"] == said[0]["data"] for each in said)


async def _days_work(program):
    """Every change there is, each told before the next and some of them together."""
    store = program.tables
    first = await program.signal("#idea one")
    update = await program.update(first, "TP1")
    await program.goes_on()
    await program.edit(update, "TP1 !")
    second = await program.signal("#idea two")
    await program.goes_on()
    await store.delete(GROUP, [update.id])
    await program.edit(second, "#idea two !")
    await program.goes_on()


async def _ends_of(tmp_path, steps):
    """The same day, on which the lights go out at that step. None: they did not, so many were there."""
    fuse = Fuse(steps)
    async with Receiver() as receiver:
        program = Program(tmp_path / f"{steps}.db", receiver)
        await program.start(fuse.around)
        with suppress(Crash):
            await _days_work(program)
        await program.end()
        await program.start()
        await program.goes_on()
        await program.end()
    return fuse, receiver


@pytest.mark.long
async def test_killed_at_any_step_it_tells_each_event_once_by_its_id(tmp_path):
    """Before and after everything that is awaited: what was not heard is told, and nothing else is new."""
    whole, receiver = await _ends_of(tmp_path, None)
    expected = {key: event["data"] for key, event in receiver.heard.items()}
    assert len(expected) == 6

    told = []
    for step in range(whole.passed):
        fuse, receiver = await _ends_of(tmp_path, step)
        assert fuse.burnt
        assert receiver.wrong == []
        for key, said in receiver.bodies.items():
            assert all(each["data"] == expected[key] for each in said)
        told.append(len(receiver.heard))
    assert told == sorted(told)
    assert told[-1] == 6


@pytest.mark.parametrize(
    ("fate", "error", "wait"),
    [
        (500, RetryLater, None),
        (503, RetryLater, None),
        (408, RetryLater, None),
        ("lost", RetryLater, None),
        ("cut", RetryLater, None),
        ("hang", RetryLater, None),
        (429, RetryLater, 7),
        ("redirect", TargetUnavailable, None),
        (301, TargetUnavailable, None),
        (401, TargetUnavailable, None),
        (404, TargetUnavailable, None),
        (410, TargetUnavailable, None),
        (400, PostRefused, None),
        (422, PostRefused, None),
    ],
)
async def test_an_answer_is_told_apart_by_what_it_is_about(fate, error, wait):
    """The moment, the receiver, or this event."""
    async with Receiver() as receiver:
        receiver.fates.append(fate)
        timeout = aiohttp.ClientTimeout(total=0.5 if fate == "hang" else 30)
        webhook = Webhook(receiver.url, SECRET, HOOK, timeout=timeout)
        with pytest.raises(error) as caught:
            await webhook.tell(EVENT)
        await webhook.close()

    assert receiver.elsewhere == 0
    after = getattr(caught.value, "after", None)
    assert (after and after.total_seconds()) == wait
    assert receiver.url not in str(caught.value)


EVENT = Event("msg_1", "signal.created", "2026-02-02T02:40:00Z", False, {"text": "TP1"})


async def test_an_answer_without_end_is_not_read():
    async with Receiver() as receiver:
        receiver.fates += ["endless", 204]
        webhook = Webhook(receiver.url, SECRET, HOOK)
        await webhook.tell(EVENT)
        await webhook.tell(EVENT._replace(id="msg_2"))
        await webhook.close()

    assert list(receiver.heard) == ["msg_1", "msg_2"]


async def test_what_the_receiver_never_takes_is_failed_and_holds_nobody_up(tmp_path):
    async with running(tmp_path) as (program, receiver):
        receiver.fates += [422]
        await program.signal("#idea one")
        await program.signal("#idea two")
        await program.goes_on()

        assert [event["data"]["text"] for event in receiver.events] == ["#idea two"]
        await program.store.retry()
        await program.goes_on()

    assert [event["data"]["text"] for event in receiver.events] == ["#idea two", "#idea one"]


async def test_nothing_goes_before_what_fails_for_however_long(tmp_path):
    """Whoever trades on it would hear that a target was reached of a signal that they do not know."""
    async with running(tmp_path) as (program, receiver):
        receiver.fails = {"#idea one": 40}
        signal = await program.signal("#idea one")
        await program.update(signal, "closed")
        await program.goes_on()

        assert program.now - NOON > 1_200
    assert [event["data"]["text"] for event in receiver.events] == ["#idea one", "closed"]
    assert receiver.calls == 42


@pytest.mark.parametrize("skip", [False, True])
async def test_a_late_signal_is_told_as_late_or_not_at_all(tmp_path, skip):
    """An update is news whenever it comes."""
    late = {"fresh_for": timedelta(minutes=5), "skip_late": skip}
    async with running(tmp_path, **late) as (program, receiver):
        for seconds in (300, 301):
            program.now = NOON + seconds
            await program.update(await program.signal("#idea"), "TP1 hit")
            await program.goes_on()

    told = [(event["type"], event["late"]) for event in receiver.events]
    late = [] if skip else [("signal.created", True)]
    update = ("update.created", False)
    assert told == [("signal.created", False), update, *late, update]


async def test_the_rules_of_the_place_hold_for_programs_too(tmp_path):
    rules = Presentation(skip=("VIP",), strip_lines=("promo",))
    place = Place(HOOK, presentation=rules)
    async with running(tmp_path, place=place) as (program, receiver):
        for text in ("#idea VIP", "#idea BTC\npromo"):
            await program.signal(text)
        await program.goes_on()

    assert [event["data"]["text"] for event in receiver.events] == ["#idea BTC"]


async def test_a_long_text_with_mentions_is_one_event_as_it_was_written(tmp_path):
    text = "#idea @ann " + "слово 🚀 " * 2_000
    async with running(tmp_path) as (program, receiver):
        await program.signal(text)
        await program.goes_on()

    assert [event["data"]["text"] for event in receiver.events] == [text]


# ── where to ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "url",
    ["https://example.org/hook", "http://127.0.0.1:8080/", "http://localhost/x", "http://[::1]/x"],
)
def test_an_endpoint_is_told_by_https_or_is_on_this_machine(url):
    check_endpoint(url)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://example.org/hook", "by https only"),
        ("ftp://example.org/hook", "this is no URL"),
        ("relay.example/hook", "this is no URL"),
        ("https://[::1/x", "this is no URL"),
        ("https://example.org:port/", "this is no URL"),
        ("https://bob:key@example.org/", "a URL with a password"),
        ("https://10.0.0.8/hook", "a private address"),
        ("https://169.254.169.254/latest", "a private address"),
        ("https://[fd00::1]/hook", "a private address"),
        ("https://[::ffff:10.0.0.8]/hook", "a private address"),
    ],
)
def test_any_other_endpoint_is_refused_and_not_shown(url, said):
    with pytest.raises(SettingsError, match=said) as caught:
        check_endpoint(url)

    assert url not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_private_address_may_be_allowed():
    check_endpoint("https://10.0.0.8/hook", allow_private=True)


@pytest.mark.parametrize("address", ["10.1.2.3", "192.168.0.1", "100.64.0.1", "0.0.0.0", "::1"])
def test_what_is_no_address_of_the_internet_is_private(address):
    assert not is_public(address)
    assert is_public("1.1.1.1")


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["10.0.0.8"], ["1.1.1.1", "127.0.0.1"]])
async def test_a_name_that_leads_into_a_private_network_is_not_connected_to(addresses):
    """It is looked at when it is connected to, and what was looked at is connected to."""
    async with Receiver() as receiver:
        url = f"http://hook.example:{receiver.port}/hook"
        webhook = Webhook(url, SECRET, HOOK, resolver=Names(*addresses))
        with pytest.raises(TargetUnavailable, match=r"host hook[.]example has a private address"):
            await webhook.tell(EVENT)
        await webhook.close()

    assert receiver.calls == 0


async def test_where_that_is_allowed_it_is(tmp_path):
    async with Receiver() as receiver:
        url = f"http://hook.example:{receiver.port}/hook"
        webhook = Webhook(url, SECRET, HOOK, resolver=Names("127.0.0.1"), allow_private=True)
        await webhook.tell(EVENT)
        await webhook.close()

    assert list(receiver.heard) == ["msg_1"]


@pytest.mark.parametrize("secret", [SECRET, "whsec_" + "A" * 32, "whsec_" + "AAAA" * 21])
def test_a_secret_is_24_to_64_bytes(secret):
    check_secret(secret)


@pytest.mark.parametrize(
    "secret", ["", "whsec_", SECRET[6:], "whsec_AAAA", "whsec_" + "A" * 31, "whsec_" + "AAAA" * 22]
)
def test_any_other_is_refused_and_not_shown(secret):
    with pytest.raises(SettingsError) as caught:
        check_secret(secret)

    assert not secret[6:] or secret not in str(caught.value)


# ── what stands for a chat ────────────────────────────────────────────────────


def test_a_webhook_is_taken_for_no_chat():
    assert is_sink(HOOK)
    assert -(2**63) < HOOK < -(2**62)
    assert not is_sink(TARGET)
    assert sink_id("webhook main") == HOOK != sink_id("webhook other")
    assert json.loads(EVENT.body())["id"] == "msg_1"


# ── the page and the schema ───────────────────────────────────────────────────

DOCS = Path(__file__).parents[1] / "docs"
SCHEMA = json.loads((DOCS / "webhook.schema.json").read_text("utf-8"))
TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "boolean": bool,
    "null": type(None),
}


def wrong_in(said, rule=SCHEMA, where="$"):
    """What of it the schema does not allow; of the schema, what it uses."""
    if "$ref" in rule:
        return wrong_in(said, SCHEMA["$defs"][rule["$ref"].rpartition("/")[2]], where)
    if "const" in rule or "enum" in rule:
        return [] if said in rule.get("enum", [rule.get("const")]) else [where]
    types = rule["type"] if isinstance(rule["type"], list) else [rule["type"]]
    if type(said) not in {TYPES[each] for each in types}:
        return [where]
    if isinstance(said, str):
        return [] if re.search(rule.get("pattern", ""), said) else [where]
    if isinstance(said, list):
        return [bad for each in said for bad in wrong_in(each, rule["items"], f"{where}[]")]
    if not isinstance(said, dict):
        return []
    known = rule["properties"]
    found = [f"{where}.{name}" for name in set(rule.get("required", ())) - said.keys()]
    for name, value in said.items():
        inside = f"{where}.{name}"
        found += wrong_in(value, known[name], inside) if name in known else [inside]
    return found


async def test_the_example_of_the_page_is_what_is_told_and_the_schema_allows_all_that_is(tmp_path):
    page = (DOCS / "WEBHOOK.md").read_text("utf-8")
    example = json.loads(re.findall(r"```json\n(.*?)```", page, re.DOTALL)[0])
    async with running(tmp_path, place=Place(HOOK, source="main")) as (program, receiver):
        program.numbers = iter(range(15, 99))
        signal = await program.signal()
        photo = Media("photo", "photo:1:2:00")
        for text in ("TP1 hit", "SL to 63000", "closed", "hm", "stop to entry"):
            await program.update(signal, text, media=photo, album_id=2**60)
        await program.signal("#idea ETH SHORT 4H x10 tp 2%, 5% risk 1%")
        await program.signal("#idea")
        await program.goes_on()
        await program.store.delete(GROUP, [15, 16])
        await program.goes_on()

    assert wrong_in(example) == []
    assert [wrong_in(event) for event in receiver.events] == [[]] * 10
    told = receiver.events[0]
    assert {**told, "id": ""} == {**example, "id": ""}
    assert wrong_in({**told, "more": 1}) == ["$.more"]
    assert wrong_in({**told, "data": {**told["data"], "at": 5}}) == ["$.data.at"]
