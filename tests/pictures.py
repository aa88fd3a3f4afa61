"""Pictures drawn of facts, replays and commands."""

from __future__ import annotations

import json
import os
import random
from datetime import timedelta
from pathlib import Path

from bot.models import AfterTtl, AuthorId, Fact, MessageId, Outcome, Reason, SignalId, UnixTime
from bot.report.figures import Figures
from bot.report.page import page
from bot.report.sections import PageHead
from bot.signal_fields import EventKind
from tests import forkserver
from tests.pages import read
from tests.people import ALICE, BOB, CAROL, HOUR, NOON

ROOT = Path(__file__).parent.parent

SAMPLE = ROOT / "data" / "sample_export.json"

TTL = timedelta(hours=72)

ABOUT = PageHead("Signals", "A test.", AfterTtl.RELEASE, None)


def command(directory, *args, preexec_fn=None, **env):
    """Run a command there, with nothing set but what the test sets."""
    keep = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME"}}
    return forkserver.run(
        ["-m", "bot", *map(str, args)],
        cwd=directory,
        env={**keep, "PYTHONPATH": str(ROOT), **env},
        timeout=60,
        preexec_fn=preexec_fn,
    )


def replayed(directory, *args, file=SAMPLE, **env):
    """Replay an export, and give the page and the object that `--json` prints."""
    done = command(directory, "replay", file, "--json", "--html", "page.html", *args, **env)
    assert (done.returncode, done.stderr) == (0, "wrote page.html\n")
    html = (directory / "page.html").read_text(encoding="utf-8")
    return read(html), json.loads(done.stdout)


def names(file=SAMPLE):
    """By message id, as the export has them."""
    messages = json.loads(file.read_text(encoding="utf-8"))["messages"]
    return {each["id"]: each.get("from") or each.get("actor") for each in messages}


def fact(number, author, outcome, reason, *, hours=0.0, flow=1, **more):
    return Fact(
        message_id=MessageId(number),
        at=UnixTime(NOON + round(hours * HOUR)),
        author=author,
        outcome=Outcome(outcome),
        reason=Reason(reason),
        flow=None if flow is None else SignalId(flow),
        **more,
    )


def signal(number=1, author=ALICE, *, flow=1, **more):
    return fact(number, author, "signal", "new_signal", flow=flow, **more)


def update(number, **more):
    return fact(number, ALICE, "update", "owner", **more)


def refused(number, author=BOB, **more):
    return fact(number, author, "rejected", "not_the_owner", **more)


def figures_of(facts, *, since=None, ttl=TTL):
    figures = Figures(ttl, since=since)
    for each in facts:
        figures.add(each)
    return figures


def drawn(*facts, about=ABOUT, **more):
    return read(page(figures_of(facts, **more), about))


STORY = (
    signal(1, pair="BTC/USDT", author_name="Alice"),
    refused(2, hours=1.5),
    update(3, hours=2),
    signal(4, CAROL, flow=2, hours=3),
    refused(5, ALICE, flow=2, hours=4),
    update(6, hours=80),
    fact(7, BOB, "update", "released", hours=200),
    fact(8, None, "rejected", "unknown_author", hours=201),
    fact(9, BOB, "ignored", "not_a_signal", flow=None, hours=202),
)


def crowd(messages, people=5000):
    """Signals of 40 authors, and the replies of thousands into them."""
    for each in range(messages):
        hours = each / 60
        flow = each - each % 20 + 1
        if each % 20 == 0:
            yield signal(each, AuthorId(1 + each // 20 % 40), flow=flow, hours=hours)
        elif each % 3:
            yield refused(each, AuthorId(100 + each % people), flow=flow, hours=hours)
        else:
            yield fact(each, None, "ignored", "not_a_signal", flow=None, hours=hours)


EVIL = (
    "<script>alert(1)</script>",
    "</title></svg></style><img src=https://evil.example/x.png onerror=alert(1)>",
    "\u202egnp.exe\u2066 ",
    "W" * 500,
    "Z" + "\u0301" * 200 + "algo",
    "测试" * 40,
    "👨‍👩‍👧‍👦" * 20,
    "\"'><b onclick=alert(1)>&amp;&lt;",
    "شركة التداول العربية",
    "\x00\x1b[31m\x07red",
    "{{ 7 * 7 }}{% raw %}",
    "one\ntwo\u2028three",
    "\ud83d",
    "javascript:alert(1)",
)


def evil_facts():
    """Every name opens a flow, every name answers into it, and the signals say the same."""
    for flow, text in enumerate(EVIL, start=1):
        opened = {"flow": flow, "hours": flow}
        yield signal(flow, AuthorId(flow), text=text, author_name=text, **opened)
        for other, name in enumerate(EVIL, start=1):
            yield refused(100 * flow + other, AuthorId(other), author_name=name, **opened)


# Twelve who post and answer, as they are called in such groups.
CALLERS = (
    "Марк Вершинин", "Alexandra Konstantinopolskaya", "CryptoWhale 🐋", "Иван П.", "Sergey Trade",
    "Ольга", "Фёдор Достоевский-Карамазов", "bigMONEY$$$", "Дядя Вася", "Li Wei 李伟", "anna_t", "NIGHT OWL",
)  # fmt: skip
PAIRS = ("BTC/USDT", "ETH/USDT", "1000PEPE/USDT", "SOL/USDT", "TON/USDT")


def season(messages, *, callers=CALLERS, days=28, skew=0.35):
    """So many messages of a busy group, in which those twelve post and answer: the same ones each time."""
    chance = random.Random(7)
    every, flows = days * 24 / messages, {}
    for each in range(1, messages + 1):
        hours = each * every
        who = min(int(chance.expovariate(skew)), len(callers) - 1)
        more = {"hours": hours, "author_name": callers[who]}
        draw = chance.random()
        if draw < 0.03 or not flows:
            pair, way = chance.choice(PAIRS), chance.choice(("LONG", "SHORT"))
            yield signal(each, AuthorId(who + 1), flow=each, pair=pair, direction=way, **more)
            flows[each] = (who, hours)
            flows = dict(list(flows.items())[-60:])
        elif draw < 0.4:
            flow = chance.choice(list(flows))
            owner, since = flows[flow]
            if owner == who:
                told = chance.choice((None, EventKind.TARGET_REACHED, EventKind.STOPPED))
                yield fact(
                    each, AuthorId(who + 1), "update", "owner", flow=flow, event=told, **more
                )
                flows[flow] = (owner, hours)
            elif hours - since > 72:
                yield fact(each, AuthorId(who + 1), "update", "released", flow=flow, **more)
            else:
                yield fact(each, AuthorId(who + 1), "rejected", "not_the_owner", flow=flow, **more)
        else:
            yield fact(each, AuthorId(who + 1), "ignored", "not_a_signal", flow=None, **more)
