"""Hostile people: 20,000 messages of real raw TL, forged and broken at random, through the intake.

Who may pass is decided here a second time, from the raw message and by other means.
"""

from __future__ import annotations

import random
import re
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest
from pyrogram import raw

from bot.models import IncomingMessage, Outcome, Reason
from bot.rules.markers import Markers
from bot.state.flow_cache import open_flow_cache
from bot.state.flow_tracker import FlowTracker
from bot.storage.engine import Database
from bot.storage.store import SignalStore
from bot.telegram.messages import events
from tests import wiring
from tests.conftest import SECRET
from tests.loopback import LoopbackTelegram
from tests.loopback.tl import make
from tests.people import ALICE, BOB, CAROL, GROUP, NOON, TTL, at, says
from tests.stage import Stage

types = raw.types
CHATS = -(10**12)  # what a channel's id is counted from
HERE = CHATS - GROUP
CALLERS = 777_001  # a channel that may post
PERMITTED = (ALICE, BOB, CHATS - CALLERS)
EACH, SEEDS = 2_500, 8

pytestmark = pytest.mark.heavy

MARKED = ["#idea BTC", "x #IDEA y", "#Идея", "BTC #идея\n\n" * 50]
UNMARKED = [
    "",
    "thanks",
    "#id\u200bea",  # an invisible character within
    "#\u2060idea",
    "#ide\u0430",  # a Cyrillic letter
    "\uff03idea",  # a wide sign
    "#\U0001d422dea",  # a mathematical letter
    "#\u0131dea",  # without its dot
    "# idea",
    "#i\u00addea",  # a soft hyphen
    "\u202eaedi#",  # turned round
    "\ud83d",
    "a" * 5_000,
    "\x00",
]


def peers(chance):
    number = chance.choice([ALICE, BOB, CAROL, 0, -1, 2**63 - 1, 2**63, 777000, 1087968824])
    bare = chance.choice([HERE, CALLERS, 5, 0, -5, 2**63 - 1, 2**63])
    return chance.choice(
        [
            types.PeerUser(user_id=number),
            types.PeerUser(user_id=number),
            types.PeerUser(user_id=chance.choice([ALICE, BOB])),
            types.PeerUser(user_id=chance.choice([ALICE, BOB])),
            types.PeerUser(user_id=ALICE),
            types.PeerChannel(channel_id=bare),
            types.PeerChat(chat_id=bare),
            None,
            types.MessageMediaEmpty(),  # of the wrong kind altogether
        ]
    )


def without_some(chance, made, share=0.03):
    """As when a layer does not have a field, or somebody leaves it out."""
    for name in list(getattr(made, "__slots__", ())):
        if chance.random() < share and hasattr(made, name):
            delattr(made, name)
    return made


def reply_header(chance, number, taken):
    if chance.random() < 0.2:
        return None
    parent = chance.choice([number - 1, chance.randint(1, number), 0, -3, 2**31])
    if taken and chance.random() < 0.8:
        parent = chance.choice(taken[-5:])
    elsewhere = peers(chance) if chance.random() < 0.1 else None
    return without_some(
        chance,
        make(
            types.MessageReplyHeader,
            reply_to_msg_id=parent,
            reply_to_peer_id=elsewhere,
            forum_topic=chance.choice([None, True]),
            reply_to_scheduled=chance.choice([None, None, None, True]),
        ),
    )


def forward_header(chance):
    if chance.random() < 0.85:
        return None
    return without_some(
        chance,
        make(
            types.MessageFwdHeader,
            date=NOON,
            from_id=peers(chance),
            saved_from_peer=peers(chance),
            saved_from_msg_id=1,
            imported=chance.choice([None, True]),
        ),
    )


MEDIA = [getattr(types, name) for name in dir(types) if name.startswith("MessageMedia")]
FORMATS = [getattr(types, name) for name in dir(types) if name.startswith("MessageEntity")]


def message(chance, number, date, taken):
    """One message; each of its fields is plausible, odd, or missing."""
    here = types.PeerChannel(channel_id=HERE)
    kind = types.MessageService if chance.random() < 0.03 else types.Message
    formats = [
        without_some(chance, make(chance.choice(FORMATS), offset=chance.choice([-1, 0, 3, 2**31]),
                                  length=chance.choice([-1, 0, 4, 2**31])))
        for _ in range(chance.choice([0, 0, 0, 1, 4]))
    ]  # fmt: skip
    made = make(
        kind,
        id=chance.choice([number] * 30 + [0, -1, 2**31, None]),
        peer_id=here if chance.random() < 0.95 else peers(chance),
        from_id=peers(chance),
        date=chance.choice([date] * 30 + [None, 0, 2**40]),
        message=chance.choice(MARKED if chance.random() < 0.35 else UNMARKED),
        reply_to=reply_header(chance, number, taken),
        fwd_from=forward_header(chance),
        media=without_some(chance, make(chance.choice(MEDIA))) if chance.random() < 0.2 else None,
        entities=formats or None,
        via_bot_id=chance.choice([None, None, 93372553, 2**63]),
        post=chance.random() < 0.03 or None,
        post_author=chance.choice([None, "Alice"]),
        out=chance.choice([None, None, None, True]),
        grouped_id=chance.choice([None, None, 2**63 - 1, -(2**63)]),
    )
    return without_some(chance, made)


# ── who may pass, told from the raw message alone ─────────────────────────────


def speaker(made):
    """The permitted one who speaks here, or None."""
    if getattr(made, "post", None):
        return None  # the group itself
    who = getattr(made, "from_id", None)
    if isinstance(who, types.PeerUser) and getattr(who, "user_id", None) in {ALICE, BOB}:
        return who.user_id
    if isinstance(who, types.PeerChannel) and getattr(who, "channel_id", None) == CALLERS:
        return CHATS - CALLERS
    return None


def is_marked(made):
    return re.search("#(idea|идея)", getattr(made, "message", None) or "", re.IGNORECASE)


class Flows:
    """Whose each flow is and when they were last active, as a list that all its messages share."""

    def __init__(self):
        self.by_message, self.by_signal, self.albums = {}, {}, {}

    def add(self, event, decision, flow):
        self.by_message[event.chat_id, event.id] = flow
        self.by_signal[decision.signal_id] = flow
        self.albums[event.author, event.album_id, decision.signal_id] = flow


def check(made, event, decision, flows):
    """An accepted message is somebody's who may, and an update the owner's or a released flow's."""
    who = speaker(made)
    assert who is not None
    assert who in PERMITTED
    assert not isinstance(made, types.MessageService)
    if decision.outcome is Outcome.SIGNAL:
        assert is_marked(made)
        header = getattr(made, "fwd_from", None)
        if header is not None:
            assert who == CHATS - CALLERS  # the linked channel's own
        flows.add(event, decision, [who, event.at])
        return
    if event.reply_to is None:  # it goes where another part of its album went, of the same author
        flow = flows.albums[who, event.album_id, decision.signal_id]
    else:
        flow = flows.by_message[event.chat_id, made.reply_to.reply_to_msg_id]
    flows.add(event, decision, flow)
    owner, last = flow
    if decision.reason is Reason.OWNER:
        assert who == owner
        flow[1] = max(last, event.at)
    elif event.reply_to is not None:
        assert event.at - last > TTL


async def through_the_intake(directory, seed):
    """How many messages were taken as a signal, as an update, and not at all."""
    chance = random.Random(seed)
    store = SignalStore(Database(directory / "signals.db", in_loop=True))
    await store.open()
    tracker = FlowTracker(store, open_flow_cache(directory / "flows", SECRET), clock=lambda: NOON)
    intake = wiring.intake(store, tracker, source_allowed_users=PERMITTED)
    flows, counts, date = Flows(), dict.fromkeys(Outcome, 0), NOON
    for number in range(10, 10 + EACH):
        date += chance.choice([1, 60, 3_600, 3_600, 3_600, 3_600, 80 * 3_600])
        made = message(chance, number, date, [message_id for _, message_id in flows.by_message])
        update = make(types.UpdateNewChannelMessage, message=made, pts=1, pts_count=1)
        for event in events(update, {}, {}, me=42):
            if isinstance(event, IncomingMessage) and event.chat_id == GROUP:
                decision = await intake.handle(event)
                counts[decision.outcome] += 1
                if decision.accepted:
                    check(made, event, decision, flows)
    await tracker.close()
    await store.close()
    return counts


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_no_message_crashes_the_intake_and_nobody_passes_who_may_not(tmp_path, seed, capsys):
    counts = await through_the_intake(tmp_path, seed)

    # Enough of each for the test to mean something.
    assert counts[Outcome.SIGNAL] > 50
    assert counts[Outcome.UPDATE] > 50
    assert counts[Outcome.REJECTED] > 50
    assert EACH * SEEDS >= 20_000


# ── markers ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("text", UNMARKED, ids=ascii)
def test_what_only_looks_like_a_marker_is_none(text):
    assert Markers(["#идея", "#idea"]).find(text[:99]) is None


@pytest.mark.parametrize("letter", ["\u017f", "\ufb06", "\u212a"])
def test_no_letter_passes_for_another_by_folding(letter):
    """The long s, a ligature and the Kelvin sign become s, st and k when case is folded."""
    markers = Markers(["#risk", "#stop"])
    assert markers.find(f"#ri{letter}k #{letter}op #ris{letter}") is None
    assert markers.find("#RISK") == "#risk"


async def test_which_marker_matched_is_kept_with_the_signal(tmp_path):
    """So that `why` can tell."""
    store = SignalStore(Database(tmp_path / "signals.db", in_loop=True))
    await store.open()
    tracker = FlowTracker(store, None)
    intake = wiring.intake(store, tracker, signal_patterns=(r"(?i)btc_\w+",))
    for text in ("#IDEA", "#Идея #idea", "BTC_long", "#id\u200bea BTC_long"):
        await intake.handle(says(ALICE, text))
    await store.close()

    with closing(sqlite3.connect(tmp_path / "signals.db")) as db:
        found = [marker for (marker,) in db.execute("SELECT marker FROM signals ORDER BY id")]
    assert found == ["#idea", "#идея", r"(?i)btc_\w+", r"(?i)btc_\w+"]


# ── time ──────────────────────────────────────────────────────────────────────

DAY = 86_400


def conversation():
    """Two flows over ten days, with owners, intruders, silences and a late return."""
    chance = random.Random(5)
    said = []
    for number, hours in enumerate(sorted(chance.uniform(0, 240) for _ in range(120))):
        to = chance.choice(said) if said and chance.random() < 0.85 else None
        author = chance.choice([ALICE, BOB, CAROL, None])
        text = "#idea" if to is None else "more"
        said.append(says(author, text, hours=hours, to=to, number=number + 1))
    return said


async def decided(directory, clock):
    """The decisions on the conversation; memory is small, so that the disk matters."""
    store = SignalStore(Database(directory / "signals.db", in_loop=True), clock=clock)
    await store.open()
    decisions = []
    messages = conversation()
    for begin in range(0, len(messages), 10):
        cache = open_flow_cache(directory / "flows", SECRET)
        tracker = FlowTracker(store, cache, max_in_memory=2, clock=clock)
        intake = wiring.intake(store, tracker, source_allowed_users=(ALICE, BOB, CAROL))
        for message_ in messages[begin : begin + 10]:
            decision = await intake.handle(message_)
            decisions.append((decision.outcome, decision.reason, decision.signal_id))
        await tracker.close()
    await store.close()
    return decisions


@pytest.mark.parametrize(
    "jumps",
    [
        [0],
        [400 * DAY],
        [-400 * DAY],
        [-400 * DAY, 400 * DAY],
        [0, 5 * DAY, -5 * DAY],
        [-NOON],
    ],
    ids=str,
)
async def test_the_clock_of_the_machine_decides_nothing(tmp_path, jumps, capsys):
    """It stands years off, or jumps by days with every look at it; answers stay what they were."""
    steady, jumping = tmp_path / "steady", tmp_path / "jumping"
    steady.mkdir()
    jumping.mkdir()
    asked = iter(range(10**9))

    def clock():
        return at(0) + jumps[next(asked) % len(jumps)]

    expected = await decided(steady, lambda: at(0))
    assert await decided(jumping, clock) == expected
    reasons = {reason for _, reason, _ in expected}
    assert {Reason.OWNER, Reason.RELEASED, Reason.NOT_THE_OWNER} <= reasons


@pytest.mark.parametrize("expiry", ["0", "NULL", "9e9", "'x'"])
async def test_the_caches_own_expiry_is_housekeeping(tmp_path, expiry, capsys):
    """Rows that expired years ago, or never do, change what is asked where, and no answer."""
    expected = await decided(tmp_path, lambda: at(0))
    with closing(sqlite3.connect(tmp_path / "flows" / "cache.db")) as db, db:
        db.execute(f"UPDATE Cache SET expire_time = {expiry}")
    store = SignalStore(Database(tmp_path / "signals.db", in_loop=True))
    await store.open()
    cold = FlowTracker(store, None, ttl=timedelta(hours=72))
    warm = FlowTracker(store, open_flow_cache(tmp_path / "flows", SECRET), clock=lambda: at(0))
    for number in {signal_id for _, _, signal_id in expected if signal_id is not None}:
        for author in (ALICE, BOB, CAROL):
            for hours in (0, 100, 240, 400):
                allowed = await cold.is_allowed(number, author, at=at(hours))
                assert await warm.is_allowed(number, author, at=at(hours)) == allowed
    await warm.close()
    await store.close()


# ── on the wire ───────────────────────────────────────────────────────────────


async def test_a_large_document_is_sent_by_reference_and_never_pulled_through(tmp_path):
    async with LoopbackTelegram() as telegram:
        stage = Stage(telegram, tmp_path)
        document = telegram.document("chart.zip", "application/zip", bytes(2**20))
        async with stage.relay():
            await stage.alice.sends(stage.group, "#idea, see the file", document=document)
            (seen,) = await stage.shows("#idea, see the file")
        called = telegram.calls.names()

    assert seen.document.id == document.id
    assert [name for name in called if name.startswith("upload.")] == []


async def test_tricks_with_text_do_not_reach_the_target_and_stay_in_the_table(tmp_path):
    text = "#idea \u202estop at 05\u202c, ask @bob_x"
    async with LoopbackTelegram() as telegram:
        stage = Stage(telegram, tmp_path)
        async with stage.relay():
            await stage.alice.sends(stage.group, text)
            await stage.shows("#idea stop at 05, ask @\u2060bob_x")
        assert stage.rows("SELECT text FROM signals") == [(text,)]
