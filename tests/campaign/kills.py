"""The running bot is killed: at random moments, and at every step of every kind of message."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
import time
from collections import Counter

from tests.campaign.hardships import DELETE, EDIT, Hardships
from tests.campaign.rooms import WITH_FILE, one
from tests.campaign.tables import Tables
from tests.campaign.talk import Talk
from tests.loopback import Drop, Hold, Swallow
from tests.stage import SEND, Stage

FEW, WIDTH = 12, 600  # findings that are printed, and letters of a line in the log
PATIENCE = 15.0  # seconds for a start in the midst of trouble
STARTED = 90.0  # seconds, on a machine that is busy with other things


class Campaign:
    """`without`: hardships that are spared, see `Hardships`, and "moderator". Each chance of its own
    comes from the seed, so that what is said is the same however long the bot takes. `tables` None:
    those of the one bot.
    """

    def __init__(
        self,
        stage: Stage,
        seed: int,
        *,
        faults: bool = False,
        without=(),
        routes=None,
        tables=None,
    ) -> None:
        self.stage = stage
        self.tables = tables or Tables(stage.directory / "data" / "signals.db")
        self.chance = random.Random(f"{seed} kills")
        self.talks = [
            Talk(
                stage,
                self.tables,
                random.Random(f"{seed} talk{route.name}"),
                moderates="moderator" not in without,
                route=route,
            )
            for route in routes or one(stage)
        ]
        self.talk = self.talks[0]
        if routes:
            stage.settings = WITH_FILE
            (stage.directory / "routes.toml").write_text("\n".join(map(str, routes)), "utf-8")
        self.hardships = Hardships(stage, random.Random(f"{seed} hardships"))
        self.names = [name for name in self.hardships.all if name not in without]
        self.faults = faults
        self.kills = Counter()
        self.ended_by_itself = 0
        # Whether a reply to what is gone is refused, or posted without a word as no reply.
        stage.telegram.world.rules.missing_reply_is_error = seed % 2 == 0

    @property
    def said(self):
        return sum(talk.said for talk in self.talks)

    def findings(self):
        return [found for talk in self.talks for found in talk.findings()]

    # ── at random moments ──

    async def random_kills(self, count, progress=lambda _text: None):
        with self.hardships.unreliable_server() if self.faults else contextlib.nullcontext():
            around = [
                *(asyncio.create_task(self._talk_on(talk)) for talk in self.talks),
                asyncio.create_task(self.hardships.come_and_go(self.names)),
            ]
            try:
                for number in range(count):
                    await self._live_and_die()
                    self._look_after(around)
                    progress(f"{number + 1}/{count} kills, {self.said} messages")
            finally:
                for task in around:
                    task.cancel()
                await asyncio.gather(*around, return_exceptions=True)

    @staticmethod
    def _look_after(tasks):
        """A campaign in which nobody talks any more would be an easy one."""
        for task in tasks:
            if task.done() and task.exception():
                raise task.exception()

    async def _live_and_die(self):
        program = await self.stage.launch()
        # Some die while they start, most while they work, however long this machine takes to start.
        if self.chance.random() < 0.7:
            with contextlib.suppress(AssertionError):  # the server may be in no mood to let it in
                await program.wait_output('"started"', timeout=PATIENCE)
        await asyncio.sleep(self.chance.uniform(0.3, 2.0))
        if program.returncode is not None:
            self.ended_by_itself += 1
            print("ended by itself:", *program.output.splitlines()[-3:], sep="\n")
            return
        program.kill()
        await program.wait()
        self.kills["at random"] += 1

    async def _talk_on(self, talk):
        """All sources together as much as one would."""
        while True:
            for _ in range(talk.chance.randint(1, 4)):
                await talk.goes_on()
            await asyncio.sleep(talk.chance.uniform(0, 0.1) * len(self.talks))

    # ── at every step, of every kind of message ──

    async def kills_at_every_step(self):
        for kind in ("signal", "update", "album", "edit", "delete"):
            for step in (
                self._heard,
                self._held,
                self._recorded,
                self._sent,
                self._answered,
                self._stored,
                self._cursor_moved,
            ):
                await self._kill_at(kind, step)

    async def _kill_at(self, kind, step):
        """With all that was before dealt with, so that the one message is in that very step."""
        if kind in {"edit", "delete"} or not self.talk.owners:
            signal = await self.talk.signal()
            await self.talk._say("update", signal)  # noqa: SLF001 - a plain one, of no chance
        last = self.talk.lines[-1]
        program = await self.stage.launch()
        try:
            await self.all_done()
            calls = {"edit": EDIT, "delete": DELETE}.get(kind, SEND)
            happens = {
                "edit": lambda: self.talk.edit(last),
                "delete": lambda: self.talk.delete(last),
            }
            await step(happens.get(kind) or getattr(self.talk, kind), calls)
            assert program.returncode is None, program.output
        finally:
            if program.returncode is None:
                program.kill()
            await program.wait()
        self.kills[f"{kind}, {step.__name__.strip('_').replace('_', ' ')}"] += 1

    async def _heard(self, happens, _calls):
        """Pushed, and not recorded: the table is locked."""
        with self.tables.locked():
            await happens()
            await asyncio.sleep(0.1)

    async def _held(self, happens, _calls):
        """Pushed a moment ago: an album is still waiting for further parts."""
        await happens()
        await asyncio.sleep(0.1)

    async def _recorded(self, happens, calls):
        """Written down, and on its way to Telegram when the lights go out."""
        script = self.stage.telegram.faults.on(calls, Drop())
        await happens()
        await self._struck(script)

    async def _sent(self, happens, calls):
        """Telegram has taken it and says nothing."""
        script = self.stage.telegram.faults.on(calls, Swallow())
        await happens()
        await self._struck(script)

    async def _answered(self, happens, calls):
        """The answer is there and cannot be written down."""
        hold = Hold()
        script = self.stage.telegram.faults.on(calls, hold)
        await happens()
        await self._struck(script)
        with self.tables.locked():
            hold.release()
            await asyncio.sleep(0.2)

    async def _stored(self, happens, calls):
        """The answer is written down; the cursor, most often, is not."""
        before = len(self.stage.telegram.calls.of(*calls))
        await happens()
        await self._until(
            lambda: len(self.stage.telegram.calls.of(*calls)) > before and not self.tables.to_do()
        )

    async def _cursor_moved(self, happens, _calls):
        await happens()
        await self._until(self._all_read_and_done)

    def _all_read_and_done(self):
        group = self.stage.group
        return self.tables.cursor(group.id) == group.box.pts and not self.tables.to_do()

    async def _struck(self, script):
        await self.stage.telegram.wait_for(lambda: script.hits, what="the step", timeout=20)

    async def _until(self, condition):
        async with asyncio.timeout(30):
            while True:
                with contextlib.suppress(sqlite3.OperationalError):
                    if condition():
                        return
                await asyncio.sleep(0.005)

    async def all_done(self):
        """Looked at now and then: to compare thousands of posts takes the server's time as well."""
        async with asyncio.timeout(60):
            while True:
                began = time.monotonic()
                if not self.findings():
                    break
                await asyncio.sleep(max(0.05, 10 * (time.monotonic() - began)))
        await self._until(lambda: not self.tables.to_do())

    # ── the end ──

    async def last_run(self):
        """Undisturbed, for as long as it takes; then the target is what it is."""
        self.stage.telegram.faults.clear()
        program = await self.stage.launch()
        before = None
        while before != (before := self.findings()):  # it gets on
            # Not done in time: then the verdict says what is wrong.
            with contextlib.suppress(AssertionError, TimeoutError):
                await self.all_done()
        if program.returncode is None:  # else it ended by itself, and the exit code tells
            program.terminate()
        code = await program.wait()
        verdict = Counter()
        for talk in self.talks:
            verdict.update(talk.verdict())
        verdict["exit_code"] = code
        verdict["ended_by_itself"] = self.ended_by_itself
        if +verdict:
            self._explain(program)
        return verdict

    def _explain(self, program):
        """What is wrong, what the tables say of it, and what the bot said last."""
        for talk in self.talks:
            for place in talk.places:
                self._explain_place(talk, place)
        print("cursors:", self.tables.ask("SELECT box, pts, message_id FROM cursors"))
        print("group's pts:", self.stage.group.box.pts)
        told = [line for line in program.output.splitlines() if '"level": "debug"' not in line]
        print(*(line[:WIDTH] for line in told[-20:]), sep="\n")

    def _explain_place(self, talk, place):
        lines = {line.key: line for line in talk.lines}
        expected = talk.expected(place)
        where = "source_message_id = ? AND target_chat_id = ?"
        query = f"SELECT state, attempts, error FROM posts WHERE {where}"
        for found in expected.findings()[:FEW]:
            line = lines.get(found.key)
            posts = self.tables.ask(query, line and line.id, place.chat.id)
            print(f"{talk.source} to {place}: ", end="")
            print(f"{found.kind}: message {line and line.id}, {found.what}; posts: {posts}")
            for above in line.ancestors() if line else ():
                print(f"    below {above.id}, {self._fate(above, expected)}")

    @staticmethod
    def _fate(line, expected):
        post = expected.standing(line)
        return ", ".join(
            [
                f"post {post.id}" if post else "no post that stands",
                *(["a stranger's"] if not line.by_owner else []),
                *(["deleted" if line.seen_in_time else "deleted unseen"] if line.deleted else []),
            ]
        )
