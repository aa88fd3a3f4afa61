"""Kill the running bot, again and again, and look whether a subscriber would notice.

    python -m tests.campaign --kills 200
    python -m tests.campaign --kills 50 --faults

The real program runs over a real socket while a group talks on: signals, updates, albums, edits,
deletions, and strangers' answers. It is killed (SIGKILL) at random moments, and once at every
step that a message passes, for every kind of message. Then it runs once more, undisturbed, and
the target must show exactly what it would have shown without any of that.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from pyrogram import raw

from tests.loopback import (
    CutAfter,
    CutBefore,
    Delay,
    Drop,
    Hold,
    LoopbackTelegram,
    Sometimes,
    Swallow,
)
from tests.stage import SEND, Stage

functions = raw.functions
EDIT = (functions.messages.EditMessage,)
DELETE = (functions.channels.DeleteMessages,)


@dataclass(eq=False)
class Line:
    """What one source message is to look like in the target."""

    key: str  # stands in the text through all edits, or names the photo
    message: object
    text: str
    parent: Line | None = None
    photo: int | None = None
    album: int | None = None
    answered: bool = False
    deleted: bool = False


@dataclass(eq=False)
class Talk:
    """A group that talks, and what is to be seen of it in the target."""

    stage: Stage
    chance: random.Random
    lines: list[Line] = field(default_factory=list)
    said: int = 0

    @property
    def living(self):
        return [line for line in self.lines if not line.deleted]

    async def goes_on(self):
        what = {
            self.signal: 15,
            self.album: 6,
            self.update: 35,
            self.stranger: 20,
            self.edit: 16,
            self.delete: 5,
        }
        if not self.living:
            return await self.signal()
        (chosen,) = self.chance.choices(list(what), list(what.values()))
        return await chosen()

    def text(self, what):
        self.said += 1
        return f"{what} <{self.said}>", f"<{self.said}>"

    async def signal(self):
        text, key = self.text("#idea")
        message = await self.stage.alice.sends(self.stage.group, text)
        self.lines.append(Line(key, message, text))

    async def album(self, parent=None):
        caption, key = self.text("update" if parent else "#idea in pictures")
        photos = [self.stage.telegram.photo() for _ in range(3)]
        parts = await self.stage.alice.sends_album(
            self.stage.group, photos, caption=caption, reply_to=parent and parent.message
        )
        lead = None
        for photo, part in zip(photos, parts, strict=True):
            text = "" if lead else caption
            line = Line(f"photo {photo.id}" if lead else key, part, text, parent or lead, photo.id)
            line.album = parts[0].album
            lead = lead or line
            lead.answered = True
            self.lines.append(line)

    async def update(self):
        parent = self.chance.choice(self.living)
        parent.answered = True
        if self.chance.random() < 0.1:
            return await self.album(parent)
        text, key = self.text("update")
        photo = self.stage.telegram.photo() if self.chance.random() < 0.2 else None
        message = await self.stage.alice.sends(
            self.stage.group, text, reply_to=parent.message, photo=photo
        )
        return self.lines.append(Line(key, message, text, parent, photo and photo.id))

    async def stranger(self):
        parent = self.chance.choice(self.living)
        await self.stage.bob.sends(self.stage.group, "and now?", reply_to=parent.message)

    async def edit(self):
        line = self.chance.choice([line for line in self.living if line.text])
        self.said += 1
        line.text = f"{line.text.partition(',')[0]}, edited {self.said}"
        await self.stage.alice.edits(line.message, line.text)

    async def delete(self):
        """An update that nobody answers: what its answers would hang below is a matter of timing."""
        leaves = [
            line for line in self.living if line.parent and not line.answered and not line.album
        ]
        if leaves:
            line = self.chance.choice(leaves)
            line.deleted = True
            await self.stage.alice.deletes(line.message)

    # ── what the target shows of it ──

    def shown(self):
        return [seen for seen in self.stage.posted() if not seen.service]

    def key_of(self, seen):
        if seen.text:
            start = seen.text.rindex("<")
            return seen.text[start : seen.text.index(">", start) + 1]
        return f"photo {seen.photo.id}" if seen.photo else "?"

    def verdict(self):
        """How often the target differs from what it is to be, by the kind of difference."""
        shown = self.shown()
        keys = [self.key_of(seen) for seen in shown]
        by_key = dict(zip(keys, shown, strict=True))
        expected = [line for line in self.lines if not line.deleted]
        found = Counter(keys)
        present = [line for line in expected if found[line.key]]
        order = [key for key in dict.fromkeys(keys) if any(line.key == key for line in present)]
        return Counter(
            lost=len(expected) - len(present),
            doubled=sum(count - 1 for count in found.values()),
            unwanted=len(set(keys) - {line.key for line in expected}),
            out_of_order=order != [line.key for line in present],
            stale=sum(by_key[line.key].text != line.text for line in present),
            wrong_media=sum(
                (by_key[line.key].photo and by_key[line.key].photo.id) != line.photo
                for line in present
            ),
            wrong_thread=sum(self._thread(by_key, line) for line in present),
            torn_album=self._torn(by_key, present),
        )

    @staticmethod
    def _thread(by_key, line):
        # The parts of an album that opens a flow belong to it and answer nothing.
        of_album = line.parent is not None and line.parent.album == line.album is not None
        parent = by_key.get(line.parent.key) if line.parent and not of_album else None
        return by_key[line.key].reply_to != (parent and parent.id)

    @staticmethod
    def _torn(by_key, present):
        albums = {}
        for line in present:
            if line.album is not None:
                albums.setdefault(line.album, set()).add(by_key[line.key].grouped_id)
        return sum(len(groups) != 1 or None in groups for groups in albums.values())

    def is_as_it_should_be(self):
        return not +self.verdict()


class Campaign:
    def __init__(self, stage: Stage, seed: int, *, faults: bool = False) -> None:
        self.stage = stage
        self.chance = random.Random(seed)
        self.talk = Talk(stage, self.chance)
        self.faults = faults
        self.kills = Counter()
        self.ended_by_itself = 0

    # ── at random moments ──

    async def random_kills(self, count, progress=lambda _text: None):
        talking = asyncio.create_task(self._talk_on())
        try:
            for number in range(count):
                program = await self.stage.launch()
                # Some die while they start, most while they work.
                await asyncio.sleep(self.chance.uniform(0.3, 2.0))
                if program.returncode is not None:
                    self.ended_by_itself += 1
                    print("ended by itself:", *program.output.splitlines()[-3:], sep="\n")
                    continue
                program.kill()
                await program.wait()
                self.kills["at random"] += 1
                progress(f"{number + 1}/{count} kills, {self.talk.said} messages")
        finally:
            talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)

    async def _talk_on(self):
        while True:
            for _ in range(self.chance.randint(1, 4)):
                await self.talk.goes_on()
            if self.faults and self.chance.random() < 0.1:
                self.stage.telegram.faults.kill_connections()
            await asyncio.sleep(self.chance.uniform(0, 0.1))

    @contextlib.contextmanager
    def unreliable_server(self):
        """Connections that end before or after a call is executed, and answers held back."""
        chances = {CutBefore(): 0.04, CutAfter(): 0.04, Delay(0.2): 0.1, Drop(): 0.002}
        script = self.stage.telegram.faults.on(
            (*SEND, *EDIT, *DELETE), Sometimes(chances, self.chance.random()), times=None
        )
        yield
        script.cancel()

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
        if kind in {"edit", "delete"} or not self.talk.living:
            await self.talk.signal()
            self.talk.lines[-1].answered = True
            parent, (text, key) = self.talk.lines[-1], self.talk.text("update")
            message = await self.stage.alice.sends(self.stage.group, text, reply_to=parent.message)
            self.talk.lines.append(Line(key, message, text, parent))
        program = await self.stage.launch()
        try:
            await self._all_done()
            calls = {"edit": EDIT, "delete": DELETE}.get(kind, SEND)
            await step(lambda: self._happens(kind), calls, program)
            assert program.returncode is None, program.output
        finally:
            if program.returncode is None:
                program.kill()
            await program.wait()
        self.kills[f"{kind}, {step.__name__.strip('_').replace('_', ' ')}"] += 1

    async def _happens(self, kind):
        last = self.talk.lines[-1]
        if kind == "edit":
            last.text += ", edited at a step"
            await self.stage.alice.edits(last.message, last.text)
        elif kind == "delete":
            last.deleted = True
            await self.stage.alice.deletes(last.message)
        else:
            await getattr(self.talk, kind)()

    async def _heard(self, happens, _calls, _program):
        """Pushed, and not recorded: the table is locked."""
        with self._locked():
            await happens()
            await asyncio.sleep(0.1)

    async def _held(self, happens, _calls, _program):
        """Pushed a moment ago: an album is still waiting for further parts."""
        await happens()
        await asyncio.sleep(0.1)

    async def _recorded(self, happens, calls, _program):
        """Written down, and on its way to Telegram when the lights go out."""
        script = self.stage.telegram.faults.on(calls, Drop())
        await happens()
        await self._struck(script)

    async def _sent(self, happens, calls, _program):
        """Telegram has taken it and says nothing."""
        script = self.stage.telegram.faults.on(calls, Swallow())
        await happens()
        await self._struck(script)

    async def _answered(self, happens, calls, _program):
        """The answer is there and cannot be written down."""
        hold = Hold()
        script = self.stage.telegram.faults.on(calls, hold)
        await happens()
        await self._struck(script)
        with self._locked():
            hold.release()
            await asyncio.sleep(0.2)

    async def _stored(self, happens, calls, _program):
        """The answer is written down; the cursor, most often, is not."""
        before = len(self.stage.telegram.calls.of(*calls))
        await happens()
        await self._until(
            lambda: len(self.stage.telegram.calls.of(*calls)) > before and not self._to_do()
        )

    async def _cursor_moved(self, happens, _calls, _program):
        await happens()
        await self._until(lambda: self._cursor() == self.stage.group.box.pts and not self._to_do())

    async def _struck(self, script):
        await self.stage.telegram.wait_for(lambda: script.hits, what="the step", timeout=20)

    @contextlib.contextmanager
    def _locked(self):
        with contextlib.closing(self._connect()) as db:
            db.execute("BEGIN IMMEDIATE")
            yield

    def _connect(self):
        path = self.stage.directory / "data" / "signals.db"
        return sqlite3.connect(path, isolation_level=None, timeout=5)

    def _ask(self, query):
        with contextlib.closing(self._connect()) as db:
            return db.execute(query).fetchone()[0]

    def _to_do(self):
        query = "SELECT count(*) FROM posts WHERE state IN ('pending', 'edit', 'delete')"
        return self._ask(query)

    def _cursor(self):
        return self._ask(f"SELECT max(pts) FROM cursors WHERE box = '{self.stage.group.id}'")

    async def _until(self, condition):
        async with asyncio.timeout(30):
            while True:
                with contextlib.suppress(sqlite3.OperationalError):
                    if condition():
                        return
                await asyncio.sleep(0.005)

    async def _all_done(self):
        """Looked at now and then: to compare thousands of posts takes the server's time as well."""
        async with asyncio.timeout(60):
            while True:
                began = time.monotonic()
                if self.talk.is_as_it_should_be():
                    break
                await asyncio.sleep(max(0.05, 10 * (time.monotonic() - began)))
        await self._until(lambda: not self._to_do())

    # ── the end ──

    async def last_run(self):
        """Undisturbed, for as long as it takes; then the target is what it is."""
        self.stage.telegram.faults.clear()
        program = await self.stage.launch()
        before = None
        while before != self.talk.verdict():  # it gets on
            before = self.talk.verdict()
            # Not done in time: then the verdict says what is wrong.
            with contextlib.suppress(AssertionError, TimeoutError):
                await self._all_done()
        if program.returncode is None:  # else it ended by itself, and the exit code tells
            program.terminate()
        code = await program.wait()
        verdict = self.talk.verdict()
        verdict["exit_code"] = code
        verdict["ended_by_itself"] = self.ended_by_itself
        if +verdict:
            self._explain(program)
        return verdict

    def _explain(self, program):
        """What the tables say of the first few that are missing, and what the bot said last."""
        shown = {self.talk.key_of(seen) for seen in self.talk.shown()}
        missing = [line for line in self.talk.lines if not line.deleted and line.key not in shown]
        with contextlib.closing(self._connect()) as db:
            for line in missing[:10]:
                query = "SELECT state, attempts, error FROM posts WHERE source_message_id = ?"
                posts = db.execute(query, (line.message.id,)).fetchall()
                print(f"missing: message {line.message.id} {line.text!r}, posts: {posts}")
            print("cursors:", db.execute("SELECT box, pts, message_id FROM cursors").fetchall())
        print("group's pts:", self.stage.group.box.pts)
        print(*program.output.splitlines()[-20:], sep="\n")


async def run(kills, seed, *, faults, steps, progress):
    with tempfile.TemporaryDirectory(prefix="campaign-") as directory:
        async with LoopbackTelegram() as telegram:
            campaign = Campaign(Stage(telegram, Path(directory)), seed, faults=faults)
            # The first start decides from when on there is something to be missed.
            program = await campaign.stage.launch()
            await program.wait_output('"started"', timeout=30)
            program.kill()
            await program.wait()
            if steps:
                with contextlib.suppress(
                    AssertionError, TimeoutError
                ):  # the verdict says what is wrong
                    await campaign.kills_at_every_step()
            with campaign.unreliable_server() if faults else contextlib.nullcontext():
                await campaign.random_kills(kills, progress)
            verdict = await campaign.last_run()
            return campaign, verdict


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m tests.campaign")
    parser.add_argument("--kills", type=int, default=200, help="at random moments")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32)
    parser.add_argument("--faults", action="store_true", help="with an unreliable server, too")
    parser.add_argument("--no-steps", action="store_true", help="leave out one kill at every step")
    options = parser.parse_args(arguments)

    def progress(text):
        if sys.stderr.isatty():
            print(f"\r{text}", end="", file=sys.stderr, flush=True)

    begun = time.monotonic()
    campaign, verdict = asyncio.run(
        run(
            options.kills,
            options.seed,
            faults=options.faults,
            steps=not options.no_steps,
            progress=progress,
        )
    )
    talk = campaign.talk
    print(
        f"\nseed {options.seed}: {campaign.kills.total()} kills in {time.monotonic() - begun:.0f} s, "
        f"{talk.said} messages and edits, {len(talk.shown())} posts in the target"
    )
    print(", ".join(f"{count} {name}" for name, count in verdict.items()))
    sys.exit(bool(+verdict))


if __name__ == "__main__":
    main()
