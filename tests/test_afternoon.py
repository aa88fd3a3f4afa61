"""An afternoon in a group: everything at once, and the target is exactly what it should be."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from tests.loopback import Entity, Message
from tests.stage import Stage

MESSAGES = 200


@dataclass(eq=False)
class Line:
    """What one message is to look like in the target."""

    message: Message
    author: object
    text: str
    parent: Line | None = None
    bold: int = 0  # so many characters from the start
    photo: int | None = None
    deleted: bool = False


@dataclass
class Afternoon:
    stage: Stage
    chance: random.Random = field(default_factory=lambda: random.Random(20261122))
    lines: list[Line] = field(default_factory=list)
    said: int = 0

    def __post_init__(self):
        telegram = self.stage.telegram
        self.callers = [self.stage.alice, telegram.user("Carol")]
        self.talkers = [telegram.user(f"Talker {number}") for number in range(10)]

    @property
    def living(self):
        return [line for line in self.lines if not line.deleted]

    async def happens(self):
        """One thing out of an afternoon, in about the shares of a real group."""
        choices = {
            self.signal: 12,
            self.album: 4,
            self.update: 35,
            self.answer: 50,
            self.chatter: 40,
            self.edit: 8,
            self.delete: 4,
        }
        if not self.living:
            return await self.signal()
        (what,) = self.chance.choices(list(choices), list(choices.values()))
        return await what()

    async def says(self, person, text, **more):
        self.said += 1
        return await person.sends(self.stage.group, text, **more)

    async def signal(self):
        caller, text = self.chance.choice(self.callers), f"#idea number {self.said}"
        message = await self.says(caller, text, entities=[Entity("Bold", 0, 5)])
        self.lines.append(Line(message, caller, text, bold=5))

    async def album(self):
        caller, caption = self.chance.choice(self.callers), f"#idea in pictures {self.said}"
        photos = [self.stage.telegram.photo() for _ in range(3)]
        self.said += len(photos)
        parts = await caller.sends_album(self.stage.group, photos, caption=caption)
        for message, photo, text in zip(parts, photos, [caption, "", ""], strict=True):
            self.lines.append(Line(message, caller, text, photo=photo.id))

    async def update(self):
        parent, text = self.chance.choice(self.living), f"update {self.said}"
        photo = self.stage.telegram.photo() if self.chance.random() < 0.2 else None
        message = await self.says(parent.author, text, reply_to=parent.message, photo=photo)
        self.lines.append(Line(message, parent.author, text, parent, photo=photo and photo.id))

    async def answer(self):
        parent = self.chance.choice(self.living)
        other_caller = next(caller for caller in self.callers if caller is not parent.author)
        person = self.chance.choice([*self.talkers, other_caller])
        await self.says(person, f"thanks, and? {self.said}", reply_to=parent.message)

    async def chatter(self):
        await self.says(self.chance.choice(self.talkers), f"so, about lunch {self.said}")

    async def edit(self):
        await self.all_posted()
        line = self.chance.choice([line for line in self.living if line.text])
        line.text, line.bold = f"{line.text}, edited", 0
        await line.author.edits(line.message, line.text)

    async def delete(self):
        await self.all_posted()
        updates = [line for line in self.living if line.parent]
        if not updates:
            return
        line = self.chance.choice(updates)
        line.deleted = True
        await line.author.deletes(line.message)

    async def all_posted(self):
        telegram, target = self.stage.telegram, self.stage.target
        await telegram.wait_for(
            lambda: len(telegram.messages(target, deleted=True)) == len(self.lines),
            timeout=30,
            what=f"{len(self.lines)} posts",
        )

    def looks(self):
        """Text, formatting, media and thread of every message that the target shows, in order."""
        seen = self.stage.telegram.messages(self.stage.target, deleted=True)
        return [
            (
                each.text,
                [(entity.kind, entity.length) for entity in each.entities],
                each.photo and each.photo.id,
                next((n for n, other in enumerate(seen) if other.id == each.reply_to), None),
            )
            for each in seen
            if not each.deleted
        ]

    def should_look(self):
        return [
            (
                line.text,
                [("Bold", line.bold)] if line.bold else [],
                line.photo,
                self.lines.index(line.parent) if line.parent else None,
            )
            for line in self.lines
            if not line.deleted
        ]


async def test_an_afternoon_in_a_group_ends_with_exactly_the_expected_target(stage):
    afternoon = Afternoon(stage)
    async with stage.relay():
        while afternoon.said < MESSAGES:
            await afternoon.happens()
        await afternoon.all_posted()
        await stage.telegram.wait_for(
            lambda: afternoon.looks() == afternoon.should_look(),
            timeout=30,
            what="the expected target",
        )

    assert len(afternoon.lines) > MESSAGES / 4
    assert any(line.deleted for line in afternoon.lines)
    assert stage.reads(stage.group) == []
