"""A group that talks for as long as you like, through everything but Telegram itself.

    python -m tests.soak                       # a million messages
    python -m tests.soak --messages 100000 --restart-every 10000 --postgresql

Signals, replies by owners and by others, edits and chatter go through the real intake, tiers,
tables and relay to a target that is a fake; all is closed and opened again now and then. Every decision is
compared with the rule applied to what was said. In the end the memory, the flow cache's directory
and what stands in the target must be as they should.

Time is real, for the flow cache's rows expire by it; so the TTL is seconds and not days.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import random
import sys
import tempfile
import time
from collections import OrderedDict, deque
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from bot import logs
from bot.app import open_core
from bot.config import Settings
from bot.delivery.relay import Relay
from bot.models import Decision, EditedMessage, MessageId, Outcome, Reason
from tests import wiring
from tests.people import GROUP, TARGET, says
from tests.server import server

TTL = timedelta(seconds=3)
OWNERS, TALKERS = range(1, 11), range(100, 200)
REMEMBERED = 5_000  # messages that may still be answered or edited
FEW = 100  # messages between two looks at the outbox
NOTHING = (Outcome.IGNORED, Reason.NOT_A_SIGNAL)


@dataclass
class Flow:
    owner: int
    last: int


class Group:
    """What is said, and what the rule says to it. Keeps no more than can still matter."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.numbers = itertools.count(1)
        self.accepted = 0
        self.texts: OrderedDict[int, str] = OrderedDict()  # as they should stand in the target
        self.parents: dict[int, object] = {}
        self.flow_of: dict[int, Flow] = {}

    def next(self):
        """An event, and what is to be decided; None: nothing."""
        kind = self.chance.random()
        if kind < 0.03 or not self.texts:
            return self._signal()
        if kind < 0.13:
            return self._reply(by_owner=True)
        if kind < 0.38:
            return self._reply(by_owner=False)
        if kind < 0.41:
            return self._edit()
        return self._say(self.chance.choice(TALKERS), "and what do you think of it?"), NOTHING

    def _say(self, author, text, to=None):
        message = says(author, text, number=next(self.numbers), to=to)
        return replace(message, at=int(time.time()))

    def _signal(self):
        message = self._say(self.chance.choice(OWNERS), "#idea BTC/USDT LONG 100-110 TP 120 SL 90")
        self._accept(message, Flow(message.author, message.at))
        return message, (Outcome.SIGNAL, Reason.NEW_SIGNAL)

    def _reply(self, *, by_owner):
        number = self.chance.choice(tuple(itertools.islice(reversed(self.texts), 200)))
        flow = self.flow_of[number]
        author = flow.owner if by_owner else self.chance.choice(TALKERS)
        message = self._say(author, "TP1, stop to entry", to=self.parents[number])
        if by_owner:
            flow.last = max(flow.last, message.at)
            decided = Outcome.UPDATE, Reason.OWNER
        elif message.at - flow.last > TTL.total_seconds():
            decided = Outcome.UPDATE, Reason.RELEASED
        else:
            return message, (Outcome.REJECTED, Reason.NOT_THE_OWNER)
        self._accept(message, flow)
        return message, decided

    def _edit(self):
        number = self.chance.choice(tuple(itertools.islice(reversed(self.texts), 50)))
        message = self.parents[number]
        message = replace(message, text=f"{message.text.partition(' |')[0]} | {next(self.numbers)}")
        self.parents[number], self.texts[number] = message, message.text
        return EditedMessage(message), None

    def _accept(self, message, flow):
        self.accepted += 1
        self.texts[message.id], self.parents[message.id] = message.text, message
        self.flow_of[message.id] = flow
        if len(self.texts) > REMEMBERED:
            oldest, _ = self.texts.popitem(last=False)
            del self.parents[oldest], self.flow_of[oldest]


class Target:
    """The target chat; of what was posted long ago it keeps the number alone."""

    def __init__(self) -> None:
        self.posts = 0
        self.shown: OrderedDict[int, str] = OrderedDict()
        self._ids: OrderedDict[int, MessageId] = OrderedDict()  # by random_id

    async def send_text(self, _target, text, _entities, *, reply_to, random_id):
        if random_id not in self._ids:
            self.posts += 1
            self._ids[random_id] = MessageId(self.posts)
            self.shown[self.posts] = text
            for kept in (self._ids, self.shown):
                if len(kept) > 2 * REMEMBERED:
                    kept.popitem(last=False)
        return self._ids[random_id]

    async def edit(self, _target, message_id, text, _entities, _media, *, source):
        self.shown[message_id] = text

    async def standing(self, _target, ids):
        return set(ids)


class Decisions(deque):
    """A meter for `Dispatcher` that keeps what was decided."""

    def heard(self):
        pass

    def decided(self, decision: Decision, *_: object):
        self.append((decision.outcome, decision.reason))


@asynccontextmanager
async def bot(settings, target, decisions):
    async with open_core(settings, wiring.routes(settings, TARGET), in_loop=True) as core:
        relay = Relay(core.store, target, TARGET)
        route = wiring.route(GROUP, TARGET)
        hearing = wiring.hearing(core.store, core.intake, route, wake=relay.wake, meter=decisions)

        async def post():
            while await relay.post_next() is not None:
                pass

        yield hearing, post
        await post()


def memory_mb() -> float:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def directory_mb(directory: Path) -> float:
    return sum(path.stat().st_size for path in directory.iterdir()) / 2**20


async def soak(
    messages: int, restart_every: int, seed: int, *, database=None, advance=lambda: None
):
    group, target, decisions = Group(seed), Target(), Decisions()
    wrong, marks, said = 0, [], 0
    with tempfile.TemporaryDirectory(prefix="soak-") as directory:
        settings = Settings(
            data_dir=Path(directory) / "data",
            flow_ttl_hours=TTL,
            database_url=database,
            _env_file=None,
        )
        while said < messages:
            async with bot(settings, target, decisions) as (hearing, post):
                for _ in range(min(restart_every, messages - said)):
                    event, expected = group.next()
                    await hearing.hear(event)
                    decided = decisions.popleft() if decisions else None
                    wrong += decided != expected
                    said += 1
                    if said % FEW == 0:
                        await post()
                        await asyncio.sleep(0)
                        advance()
            marks.append((memory_mb(), directory_mb(settings.flow_cache)))
    missing = list(group.texts.values()) != list(target.shown.values())[-len(group.texts) :]
    return wrong, group.accepted - target.posts, missing, marks


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--restart-every", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--postgresql",
        action="store_true",
        help="the tables are on a server that is started for it",
    )
    options = parser.parse_args(arguments)
    logs.configure("ERROR", "json")
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("messages", total=options.messages)
        began = time.monotonic()
        with server() if options.postgresql else nullcontext() as cluster:
            if options.postgresql and cluster is None:
                sys.exit("there is no PostgreSQL on this machine")
            wrong, unposted, other, marks = asyncio.run(
                soak(
                    options.messages,
                    options.restart_every,
                    options.seed,
                    database=cluster and cluster.address().url,
                    advance=lambda: progress.advance(task, FEW),
                )
            )
    for number, (memory, directory) in enumerate(marks, 1):
        print(
            f"{number * options.restart_every:>10,}  RSS {memory:6.1f} MB  flows {directory:6.1f} MB"
        )
    print(
        f"{options.messages:,} messages in {time.monotonic() - began:.0f} s: {wrong} wrong decisions, "
        f"{unposted} posts too few, the newest posts {'differ' if other else 'are right'}"
    )
    first, last = marks[0], marks[-1]
    grown = last[0] > 1.1 * first[0]
    # The first share also pays for what does not grow again.
    littered = len(marks) > 2 and last[1] > 1.5 * max(mark[1] for mark in marks[:2])
    if grown or littered:
        print("grown: " + ", ".join(["memory"] * grown + ["flow cache"] * littered))
    sys.exit(bool(wrong or unposted or other or grown or littered))


if __name__ == "__main__":
    main()
