"""Depose the leader of two hosts, again and again, and look whether a subscriber would notice.

    python -m tests.failover --failovers 100
    python -m tests.failover --failovers 12 --kinds stopped,cut --without fence    # which has to fail

Two bots run on one PostgreSQL, which is started for this, each with a login and with ways to both
servers of its own. A group talks on at 30 messages and edits a second. The leader is killed, stopped
(at any moment, or while Telegram has a post of it in hand) and woken later, cut off from both servers
or from the tables, told to end; or the database starts again. In the end the target must show exactly
what `campaign.expected` says. A takeover counts from the blow until the other host relays.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

import psycopg

from tests.campaign.kills import Campaign
from tests.campaign.tables import Tables
from tests.conftest import ROOT
from tests.hosts import Host
from tests.loopback import LoopbackTelegram
from tests.sabotage import copy_tree, read_breaks
from tests.server import server
from tests.stage import SEND, Stage

KINDS = ("killed", "stopped", "cut", "ordered", "mid-post", "tables-cut", "restart")
BOUNDS = {"killed": 2.0, "stopped": 6.0, "mid-post": 6.0, "cut": 6.0, "tables-cut": 6.0}  # seconds
DEPOSED = 4  # exit code
RATE = 30.0  # messages and edits a second
PATIENCE = 120.0  # seconds, on a machine that is busy with other things
RESTARTS = 3
SHARE = 0.01  # seconds between two of what is said, however late it is
SOON = 15.0  # seconds, within which whoever was deposed has found out
# What keeps a deposed host from writing, from sending and from going on; the breaks that take it away.
FENCE = (
    "18 lease: a deposed host writes",
    "18 lease: what a deposed host has half written stays",
    "18 lease: a host that slept sends at once",
    "18 lease: a deposed host goes on",
)


class ServerTables(Tables):
    """The same in PostgreSQL, which may be starting just now."""

    def __init__(self, address):
        self._url = address.url
        self._db = None

    def ask(self, query, *parameters):
        give_up = time.monotonic() + PATIENCE
        while True:
            try:
                self._db = self._db or psycopg.connect(self._url, autocommit=True)
                return self._db.execute(query.replace("?", "%s"), parameters).fetchall()
            except psycopg.OperationalError:
                self._db = None
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.05)


class Blow:
    """A fault of the server: what is to happen once a post of the leader is in its hands."""

    def __init__(self, strike, *, executed):
        self._strike, self._executed = strike, executed
        self.struck = asyncio.Event()

    async def answer(self, _call, execute):
        answer = await execute() if self._executed else None
        self._strike()
        self.struck.set()
        return answer if self._executed else await execute()


class Failovers:
    def __init__(self, stage, cluster, seed, kinds, tree=ROOT):
        self.cluster = cluster
        address = cluster.new_database()
        # No moderator, who looks through all that was ever posted: at this pace that is what takes longest.
        self.campaign = Campaign(stage, seed, tables=ServerTables(address), without=("moderator",))
        self.chance = random.Random(f"{seed} failovers")
        self.hosts = [Host(name, stage, address, tree=tree) for name in ("a", "b")]
        self.kinds = kinds
        self.took = defaultdict(list)  # seconds until the other one relays
        self.elected = defaultdict(list)  # and until it leads
        self.moments = []  # kind and unix seconds of each blow
        self.pace = 0.0  # messages and edits a second, as it came out
        self.wrong_ends = Counter()  # hosts that did not end as they should
        self._blows = {
            "killed": self._killed,
            "stopped": self._stopped,
            "mid-post": self._stopped_in_mid_post,
            "cut": self._cut,
            "tables-cut": self._tables_cut,
            "ordered": self._ordered,
            "restart": self._restart,
        }

    async def run(self, count, progress):
        """The last of the two is stopped in order at the end."""
        leader, other = [await host.connect() for host in self.hosts]
        await leader.start()
        await leader.leads(PATIENCE)
        await other.start()
        talking, began = asyncio.create_task(self._talk_on()), time.monotonic()
        try:
            for number in range(count):
                await self._waits(other)
                await asyncio.sleep(self.chance.uniform(0.5, 2))
                kind = self.kinds[number % len(self.kinds)]
                leader, other = await self._blows[kind](leader, other)
                if other.program.returncode is not None:
                    await other.start()
                if talking.done():
                    talking.result()
                elected = [f"{each:.2f} s" for each in self.elected[kind][-1:]]
                took, said = self.took[kind][-1], self.campaign.talk.said
                progress(f"{number + 1}/{count} {kind}: {took:.2f} s {elected}; {said} said")
        finally:
            self.pace = self.campaign.talk.said / (time.monotonic() - began)
            talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)
        return await self._last(leader, other)

    @staticmethod
    async def _waits(host):
        """Whoever could not reach a busy server in time has ended, and is started again, as by systemd."""
        for _ in range(RESTARTS):
            with contextlib.suppress(AssertionError):
                return await host.waits(PATIENCE)
            if host.program.returncode is None:
                break
            await host.start()
        return await host.waits(PATIENCE)

    async def _talk_on(self):
        """What a busy machine keeps from being said in time is not said in a burst later."""
        talk = self.campaign.talk
        due = time.monotonic()
        while True:
            before = talk.said
            await talk.goes_on()
            due = max(due, time.monotonic() - 0.2) + (talk.said - before) / RATE
            await asyncio.sleep(
                max(SHARE, due - time.monotonic())
            )  # the servers are in this loop, too

    # ── the blows; each gives who leads now, and the other ──

    async def _taken_over(self, kind, leader, other):
        began = time.monotonic()
        await other.program.wait_output('"leading"', timeout=PATIENCE)
        self.elected[kind].append(time.monotonic() - began)
        await other.leads(PATIENCE)
        self.took[kind].append(time.monotonic() - began)
        self.moments.append((kind, round(time.time() - self.took[kind][-1], 1)))
        return other, leader

    async def _ended(self, kind, host, code):
        with contextlib.suppress(TimeoutError):
            found = await host.program.wait(timeout=SOON)
            self.wrong_ends[kind] += found != code
            return
        self.wrong_ends[kind] += 1
        host.program.kill()
        await host.program.wait()

    async def _killed(self, leader, other):
        leader.program.kill()
        found = await self._taken_over("killed", leader, other)
        await leader.program.wait()
        return found

    async def _ordered(self, leader, other):
        leader.program.terminate()
        found = await self._taken_over("ordered", leader, other)
        await self._ended("ordered", leader, 0)
        return found

    async def _stopped(self, leader, other, kind="stopped"):
        leader.program.signal(signal.SIGSTOP)
        return await self._woken(kind, leader, other)

    async def _stopped_in_mid_post(self, leader, other):
        blow = Blow(
            lambda: leader.program.signal(signal.SIGSTOP), executed=self.chance.random() < 0.5
        )
        script = self.campaign.stage.telegram.faults.on(SEND, blow)
        await blow.struck.wait()
        script.cancel()
        return await self._woken("mid-post", leader, other)

    async def _woken(self, kind, leader, other):
        found = await self._taken_over(kind, leader, other)
        await asyncio.sleep(self.chance.uniform(0, 2))
        leader.program.signal(signal.SIGCONT)
        await self._ended(kind, leader, DEPOSED)
        return found

    async def _cut(self, leader, other):
        leader.cut_off()
        return await self._mended("cut", leader, other)

    async def _tables_cut(self, leader, other):
        leader.to_tables.cut()
        return await self._mended("tables-cut", leader, other)

    async def _mended(self, kind, leader, other):
        found = await self._taken_over(kind, leader, other)
        await asyncio.sleep(self.chance.uniform(0, 2))
        leader.back()
        await self._ended(kind, leader, DEPOSED)
        return found

    async def _restart(self, leader, other):
        """Whoever is first leads; the time counts from when the database is back."""
        again = leader.program.output.count('"leading again"') + 1
        await asyncio.to_thread(self.cluster.restart)  # whoever talks may wait for the tables
        began = time.monotonic()
        goes_on = asyncio.create_task(
            leader.program.wait_output('"leading again"', count=again, timeout=PATIENCE)
        )
        takes_over = asyncio.create_task(other.leads(PATIENCE))
        await asyncio.wait({goes_on, takes_over}, return_when=asyncio.FIRST_COMPLETED)
        self.took["restart"].append(time.monotonic() - began)
        stays = goes_on.done() and goes_on.exception() is None
        for task in (goes_on, takes_over):
            task.cancel()
        await asyncio.gather(goes_on, takes_over, return_exceptions=True)
        if stays:
            return leader, other
        await self._ended("restart", leader, DEPOSED)
        return other, leader

    # ── the end ──

    async def _last(self, leader, other):
        before = None
        while before != (before := self.campaign.findings()):  # it gets on
            # Not done in time: then the verdict says what is wrong.
            with contextlib.suppress(AssertionError, TimeoutError):
                await self.campaign.all_done()
        with contextlib.suppress(
            AssertionError
        ):  # else it may have come no further than its imports
            await other.waits(SOON)
        self.wrong_ends["the one that waits"] += await other.end() != 0
        self.wrong_ends["the last leader"] += await leader.end() != 0
        verdict = self.campaign.talk.verdict()
        verdict["wrong_ends"] = self.wrong_ends.total()
        if +verdict:
            print("wrong ends:", dict(+self.wrong_ends))
            self._tell_moments()
            self.campaign._explain(leader.program)  # noqa: SLF001  # as its own last run does
        return verdict

    def _tell_moments(self):
        """When what is wrong, and what it answers, was posted, deleted and taken over."""
        expected = self.campaign.talk.expected()
        lines = {line.key: line for line in self.campaign.talk.lines}
        for found in expected.findings()[:12]:
            line = lines.get(found.key)
            for each in [line, *line.ancestors()] if line else []:
                posts = [post for post in expected.posts if post.key == each.key]
                print(found.kind, each.id, f"deleted at {each.deleted_at}", *posts, sep="; ")
        print("taken over at", self.moments)

    async def close(self):
        for host in self.hosts:
            await host.close()


async def run(options, progress):
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="failover-"))
        cluster = stack.enter_context(server())
        if cluster is None:
            sys.exit("no PostgreSQL on this machine")
        tree = broken_tree(Path(directory, "tree")) if options.without else ROOT
        async with LoopbackTelegram() as telegram:
            stage = Stage(telegram, Path(directory))
            failovers = Failovers(stage, cluster, options.seed, options.kinds, tree)
            try:
                return failovers, await failovers.run(options.failovers, progress)
            finally:
                await failovers.close()


def broken_tree(to):
    """A copy in which nothing keeps out whoever led before."""
    to.mkdir()
    copy_tree(to)
    breaks = [each for each in read_breaks() if each.name in FENCE]
    assert len(breaks) == len(FENCE)
    for each in breaks:
        file = to / each.file
        file.write_text(each.applied(file.read_text("utf-8")), "utf-8")
    return to


def arguments(given):
    parser = argparse.ArgumentParser(
        prog="python -m tests.failover",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--failovers", type=int, default=100)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32)
    parser.add_argument(
        "--kinds", type=lambda names: names.split(","), default=KINDS, help=", ".join(KINDS)
    )
    parser.add_argument("--without", choices=["fence"], help="leave out what keeps it right")
    options = parser.parse_args(given)
    if unknown := set(options.kinds) - set(KINDS):
        parser.error(f"no such kind: {', '.join(sorted(unknown))}")
    return options


def main(given=None):
    options = arguments(given)
    begun = time.monotonic()
    failovers, verdict = asyncio.run(
        run(options, lambda text: print(text, file=sys.stderr, flush=True))
    )
    talk, seconds = failovers.campaign.talk, time.monotonic() - begun
    print(
        f"\nseed {options.seed}: {options.failovers} failovers in {seconds:.0f} s, "
        f"{talk.said} messages and edits ({failovers.pace:.0f} a second), "
        f"{len(talk.posts())} posts in the target"
    )
    for kind, took in failovers.took.items():
        bound = f" (bound: {BOUNDS[kind]:.0f} s)" if kind in BOUNDS else ""
        print(
            f"{kind:10} median {statistics.median(took):.2f} s{bound}, "
            f"at most {max(took):.2f} s, of {len(took)}; "
            f"elected after {statistics.median(failovers.elected[kind] or took):.2f} s"
        )
    print(", ".join(f"{count} {name}" for name, count in verdict.items()))
    sys.exit(bool(+verdict))


if __name__ == "__main__":
    main()
