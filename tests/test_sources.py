"""What operators are told where there are several sources: each flow by the rules of its own."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from bot.admin.chat_commands import AdminHandler, Running
from bot.admin.explain import in_hand
from bot.admin.status_shown import as_json
from bot.app import open_tables
from bot.errors import UsageError
from bot.models import AfterTtl, ChatId
from bot.monitoring.supervision import Facts
from bot.report.drawing import draw_tables
from bot.routes import Place, Routes, Source
from tests import wiring
from tests.operators import BOTH, FORUM, MAJORS, QUICK, SCALPS, Operator, Phone
from tests.pages import read, table
from tests.people import ALICE, BOB, CAROL, GROUP, TARGET


@pytest.fixture
async def operator(tmp_path, now):
    """Both signals are ten hours old: one is its owner's for two days more, one is released."""
    operator = Operator(tmp_path, now)
    slow = operator.says(ALICE, "#idea BTC/USDT LONG", ago=10, number=15)
    quick = operator.says(ALICE, "#idea ETH/USDT LONG", ago=10, number=15, chat_id=SCALPS)
    late = operator.says(BOB, "sold", ago=1, number=16, chat_id=SCALPS, to=quick)
    alien = operator.says(CAROL, "#idea SOL", ago=1, number=17, chat_id=SCALPS)
    reasons = await operator.hears(slow, quick, late, alien)
    assert reasons == ["new_signal", "new_signal", "released", "not_permitted"]
    return operator


async def test_a_flow_is_live_by_the_ttl_of_its_own_source(operator):
    """By the 72 hours of `.env` both would be live."""
    (_, live) = await operator.flows()
    released = (await operator.flows(everything=True))[1]

    assert live == "1 BTC/USDT LONG 1001 10 h 10 h in 2 d 14 h 0 0 majors"
    assert released == "2 ETH/USDT LONG 1001 10 h 10 h released 1 0 scalps"


async def test_a_flow_that_a_longer_ttl_keeps_live_is_listed(operator):
    """However short that of `.env` and of the other sources is."""
    (only,) = wiring.routes(operator.settings, TARGET).sources
    assert only.ttl == timedelta(hours=72)
    longer = replace(QUICK, ttl=timedelta(hours=200))
    old = operator.says(ALICE, "#idea DOT LONG", ago=100, number=14, chat_id=SCALPS)
    routes = replace(BOTH, sources=(MAJORS, longer))
    assert await operator.hears(old, routes=routes) == ["new_signal"]

    lines = await operator.flows(routes=routes, source="scalps")

    assert "3 DOT LONG 1001 4 d 4 h 4 d 4 h in 4 d 4 h 0 0 scalps" in lines


async def test_flows_of_one_source(operator):
    everything = await operator.flows(source="scalps", everything=True)

    assert [line.split()[0] for line in everything] == ["signal", "2"]
    assert await operator.flows(source="scalps") == [
        "no flow in scalps is live; --all looks among the others, too"
    ]
    with pytest.raises(UsageError, match="there is no source swings: there are majors, scalps"):
        await operator.flows(source="swings")


async def test_a_thread_says_by_its_sources_rules_how_its_flow_stands(operator):
    slow, quick = await operator.thread("1"), await operator.thread("scalps:16")

    assert slow[1] == "source majors"
    assert slow[2].startswith("flow live; released in 2 d 14 h")
    assert quick[1] == "source scalps"
    assert quick[2].startswith("flow released since")


async def test_a_flow_that_stays_its_owners_is_told_by_the_key_of_the_file(operator):
    keeps = replace(QUICK, after_ttl=AfterTtl.OWNER)
    lines = await operator.thread("2", routes=replace(BOTH, sources=(MAJORS, keeps)))

    assert lines[2].endswith('and still its owner\'s (after_ttl = "owner")')


async def test_of_a_source_that_is_not_read_any_more_no_flow_is_live(operator):
    routes = replace(BOTH, sources=(QUICK,))

    assert not any("BTC" in line for line in await operator.flows(routes=routes))
    everything = await operator.flows(routes=routes, everything=True)
    assert "1 BTC/USDT LONG 1001 10 h 10 h not read 0 0" in everything
    assert "flow not read: its chat is no source's any more" in await operator.thread(
        "1", routes=routes
    )
    assert "chats that are no source's any more: flows 1" in await operator.status(routes=routes)


async def test_a_bare_id_that_several_sources_have_is_refused_and_names_them(operator):
    with pytest.raises(UsageError) as refused:
        await operator.why("15")

    assert str(refused.value) == (
        "which source's message 15? Give majors:15 or scalps:15, a link to it, or chat:message"
    )


@pytest.mark.parametrize("which", ["scalps:15", f"{SCALPS}:15", "https://t.me/c/2345678901/15"])
async def test_a_message_is_named_by_its_source_its_chat_or_a_link(operator, which):
    lines = await operator.why(which)

    assert lines[0] == "message https://t.me/c/2345678901/15"
    assert f"source scalps, {SCALPS}" in lines
    assert any(line.startswith("flow now released since") for line in lines)


async def test_a_bare_id_is_of_the_chat_whose_topics_are_the_sources(operator):
    topics = tuple(replace(QUICK, name=f"t{topic}", topic=topic) for topic in (5, 7))
    lines = await operator.why("99", routes=Routes(topics, named=True))

    assert lines[0] == "message https://t.me/c/2345678901/99"
    assert f"? it stands in a topic that is a source: t5 ({SCALPS}#5) or t7 ({SCALPS}#7)" in lines
    assert "? in t7, its author is one of the 2 in allowed_users of t7" in lines


@pytest.mark.parametrize(
    ("which", "complaint"),
    [
        ("swings:15", "there is no source swings: there are majors, scalps"),
        ("scalps:x", "'scalps:x' names no message: give a link"),
    ],
)
async def test_a_source_that_there_is_not_is_named_with_those_that_there_are(
    operator, which, complaint
):
    with pytest.raises(UsageError, match=complaint):
        await operator.why(which)


async def test_a_released_flow_of_one_source_needs_no_release_and_the_live_one_of_another_does(
    operator,
):
    async with open_tables(operator.settings) as tables:
        held = [
            (await in_hand(tables, operator.settings, which, now=operator.now, routes=BOTH)).held
            for which in ("majors:15", "scalps:15")
        ]

    assert held == [1, None]


async def test_why_names_the_list_that_an_author_is_not_on(operator):
    lines = await operator.why("scalps:17")

    assert any(line.endswith("but 1003 is not in allowed_users of scalps") for line in lines)


async def test_why_says_of_each_place_what_became_of_a_message_there(operator):
    """A place that came later has no post of it."""
    assert f"posted in {TARGET}, vip (post 1): waits to be posted, 0 tries so far" in (
        await operator.why("majors:15")
    )
    more = replace(QUICK, places=(*QUICK.places, Place(ChatId(-1004), name="late")))
    lines = await operator.why("scalps:15", routes=replace(BOTH, sources=(MAJORS, more)))

    assert any(line.startswith(f"in {FORUM}#12, quiet (post ") for line in lines)
    assert any("quiet (post" in line and "skip" in line for line in lines), lines
    assert f"posted in {TARGET} (post 2): waits to be posted, 0 tries so far" in lines
    assert "in late: no, it was no place of scalps by then" in lines


async def test_why_knows_the_rules_of_the_chat_that_nobody_recorded_anything_of(operator):
    lines = await operator.why("-1005:15")

    assert f"NO it stands in -1005; the sources are majors ({GROUP}) or scalps ({SCALPS})" in lines


# ── names ─────────────────────────────────────────────────────────────────────


def test_chats_are_called_as_the_file_calls_them_and_not_at_all_without_one():
    topics = tuple(replace(QUICK, name=f"t{topic}", topic=topic) for topic in (5, 7))
    routes = Routes((MAJORS, *topics), named=True)

    assert routes.source_names == {GROUP: "majors", SCALPS: "t5, t7"}
    assert routes.place_names == {TARGET: "vip", FORUM: "quiet, quiet"}
    assert Routes((QUICK,), named=True).file_names == {SCALPS: "scalps", TARGET: "", FORUM: "quiet"}
    plain = wiring.route(GROUP, TARGET)
    assert (plain.source_names, plain.place_names, plain.file_names) == ({}, {}, {})


def test_each_source_has_an_alert_of_its_own_and_a_name_in_it():
    """Topics of one chat, too; the one of the settings is told as it ever was."""
    topics = tuple(replace(QUICK, name=f"t{topic}", topic=topic) for topic in (5, 7))

    def sources(routes):
        return Facts(None, SimpleNamespace(routes=routes), None).sources()

    named = sources(Routes((MAJORS, *topics), named=True))
    assert [text for _, text in named.values()] == ["source majors", "source t5", "source t7"]
    assert len({about for about, _ in named.values()}) == 3
    assert sources(wiring.route(GROUP, TARGET)) == {"main": (None, "the source")}


# ── status ────────────────────────────────────────────────────────────────────


async def test_status_tells_how_each_source_and_each_place_stands(operator):
    lines = await operator.status()

    assert f"source majors ({GROUP}): flows 1 live, 0 released" in lines
    assert f"source scalps ({SCALPS}): flows 0 live, 1 released" in lines
    assert "places vip: 1 pending, 0 failed" in lines
    assert f"{TARGET}: 2 pending, 0 failed" in lines
    assert "quiet: 0 pending, 0 failed" in lines


async def test_status_names_the_source_that_cannot_be_read(operator):
    unreadable = {"chat": SCALPS, "since": operator.now, "error": "CHANNEL_PRIVATE"}
    facts = {"connected_since": operator.now, "unreadable": [unreadable]}
    lines = await operator.status(facts=facts)

    at = lines.index(f"source scalps ({SCALPS}): flows 0 live, 1 released")
    assert lines[at + 1].strip() == "CANNOT BE READ: CHANNEL_PRIVATE"
    assert [line for line in lines if "CANNOT BE READ" in line] == [lines[at + 1]]


async def test_status_for_scripts_names_sources_and_places(operator):
    found = as_json(await operator.looks())

    assert [each["name"] for each in found["sources"]] == ["majors", "scalps"]
    assert found["sources"][1]["flows"] == {"active": 0, "quiet": 1, "ended_by_hand": 0}
    assert found["flows"] == {"active": 1, "quiet": 1, "ended_by_hand": 0}
    (vip, *_) = found["places"]
    assert (vip["label"], vip["source"], vip["pending"]) == ("vip", "majors", 1)


async def test_what_waits_for_a_place_that_is_listed_no_more_is_told(operator):
    await operator.hears(routes=replace(BOTH, sources=(MAJORS, replace(QUICK, places=()))))
    lines = await operator.status()

    assert f"{TARGET}: 2 pending, 0 failed; it is not listed any more, so they wait" in lines
    assert not any("quiet" in line for line in lines)


# ── report ────────────────────────────────────────────────────────────────────


async def drawn(operator, routes=BOTH, **more):
    """The words of the page."""
    file = operator.directory / "page.html"
    async with open_tables(operator.settings) as tables:
        await draw_tables(tables.ask, routes, file, now=operator.now, **more)
    return " ".join(re.sub(r"<svg.*?</svg>|<[^>]+>", " ", file.read_text("utf-8")).split())


@pytest.mark.long
async def test_a_picture_of_one_source_goes_by_its_ttl_and_has_its_messages_alone(operator):
    majors, scalps = [await drawn(operator, source=name) for name in ("majors", "scalps")]

    assert "until 72 h after their last word" in majors
    assert "until 4 h after their last word" in scalps
    assert " 1 recorded message " in majors
    assert " 3 recorded messages 1 signal 1 updates relayed " in scalps


async def test_a_picture_of_all_is_drawn_only_where_flows_last_as_long_in_all(operator):
    with pytest.raises(UsageError, match="in all of majors, scalps: name one of them"):
        await drawn(operator)
    with pytest.raises(UsageError, match="there is no source swings: there are majors, scalps"):
        await drawn(operator, source="swings")

    page = await drawn(operator, replace(BOTH, sources=(MAJORS, replace(QUICK, ttl=MAJORS.ttl))))
    assert " 4 recorded messages 2 signals " in page


ALIKE = Routes((MAJORS, replace(QUICK, ttl=MAJORS.ttl), Source("quiet ones", FORUM)), named=True)


@pytest.mark.long
async def test_a_picture_of_several_sources_has_a_row_for_each(operator):
    """By their names, one that has brought nothing too; what came from one that is out now is not lost."""
    slow = operator.says(ALICE, "#idea BTC/USDT LONG", ago=10, number=15)
    await operator.hears(operator.says(BOB, "closed?", ago=1, number=18, to=slow), routes=ALIKE)
    await drawn(operator, ALIKE)
    section = read((operator.directory / "page.html").read_text("utf-8")).one("section", "sources")
    head, *rows = table(section)
    assert head == ["source", "signals", "updates relayed", "replies kept back", "last message"]
    assert [row[:4] for row in rows] == [
        ["majors", "1", "0", "1"],
        ["scalps", "1", "1", "0"],
        ["quiet ones", "0", "0", "0"],
    ]
    assert [row[4] == "–" for row in rows] == [False, False, True]

    page = await drawn(operator, replace(ALIKE, sources=(ALIKE.sources[0], ALIKE.sources[2])))
    assert re.search(r"quiet ones 0 0 0 – listed no more 1 1 0 ", page)
    for alone in (
        await drawn(operator, ALIKE, source="majors"),
        await drawn(operator, Routes((MAJORS,))),
    ):
        assert "replies kept back last message" not in alone


# ── in Telegram ───────────────────────────────────────────────────────────────


async def nothing_known():
    return {}


async def test_operators_in_telegram_are_answered_by_the_rules_of_each_source(operator):
    """Only what is its owner's alone has a button that releases it."""
    phone = Phone()
    settings = operator.settings.model_copy(update={"admin_users": (CAROL,)})
    async with open_tables(operator.settings, read_only=False) as tables:
        handler = AdminHandler(
            tables,
            settings,
            phone,
            Running(nothing_known, nothing_known),
            routes=BOTH,
            clock=lambda: operator.now,
        )
        for text in (
            "/flows",
            "/flows scalps",
            "/why 15",
            "/why scalps:15",
            "majors:15",
            "/status",
        ):
            await handler.handle(operator.says(CAROL, text, ago=0, chat_id=CAROL))

    live, none, refused, quick, slow, stands = phone.sent
    flow = "1 BTC/USDT LONG by 1001 in majors live for 2 d 14 h more, quiet for 10 h"
    assert live == (f"{flow} 0 updates, 0 refused", ["Release 1"])
    assert none[0].startswith("No such flow is live")
    assert "Give majors:15 or scalps:15" in refused[0]
    assert ("flow now: released since" in quick[0], quick[1]) == (True, [])
    assert ("flow now: live; released in 2 d" in slow[0], slow[1]) == (True, ["Release 1"])
    assert "flows 0 live, 1 released" in stands[0]


# ── from a shell ──────────────────────────────────────────────────────────────

FILE = f"""
[[source]]
name = "majors"
chat = {GROUP}
allowed_users = "everyone"
[[source.place]]
name = "vip"
chat = {TARGET}

[[source]]
name = "scalps"
chat = {SCALPS}
allowed_users = [{ALICE}, {BOB}]
ttl_hours = 4
[[source.place]]
chat = {TARGET}
"""


def test_a_shells_commands_read_the_file(run, operator):
    (operator.directory / "routes.toml").write_text(FILE, "utf-8")

    def says(*command):
        done = run(*command)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return " ".join(done.stdout.split())

    assert "ETH/USDT" not in says("flows")
    assert "released" in says("flows", "--source", "scalps", "--all")
    assert "flow released since" in says("flows", "scalps:15")
    assert "flow now released since" in says("why", "scalps:15")
    assert f"source scalps ({SCALPS}): flows 0 live, 1 released" in says("status")
    assert says("release", "majors:15") == "released: signal 1, BTC/USDT LONG by 1001"
    done = run("report", "--html", "p.html", "--source", "scalps")
    assert done.stdout == ""
    assert "days of scalps" in (operator.directory / "p.html").read_text("utf-8")
    (operator.directory / "routes.toml").write_text(FILE.replace("ttl_hours = 4", ""), "utf-8")
    done = run("report", "--html", "p.html")
    assert [line.partition(", last")[0] for line in done.stdout.splitlines()] == [
        "majors: 1 signal, 0 updates relayed, 0 replies kept back",
        "scalps: 1 signal, 1 update relayed, 0 replies kept back",
    ]
    refused = run("why", "15")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert "Give majors:15 or scalps:15" in refused.stderr
