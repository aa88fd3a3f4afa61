"""Several sources and places, from `routes.toml`, with the real program."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from pyrogram import raw

from tests.loopback import Chat, FloodWait, Hold, Message
from tests.routes_written import WITHOUT, source

READ = raw.functions.channels.GetMessages


@pytest.fixture
def routes(stage):
    """Write the file, and give what a bot with it is started with."""

    def routes(*sources):
        (stage.directory / "routes.toml").write_text("".join(sources), "utf-8")
        return dict(WITHOUT)

    return routes


async def test_a_name_is_looked_up_once_and_kept_by_its_id(stage, routes):
    """Whoever takes the name over later is not read."""
    stage.group.username = "signals_here"
    env = routes(source("one", "@Signals_Here", stage.target.id))
    async with stage.relay(**env):
        await stage.alice.sends(stage.group, "#idea 1")
        await stage.shows("#idea 1")

    stage.group.username = None
    other = stage.telegram.supergroup("Other", members=[stage.alice], admins=[stage.bot])
    other.username = "signals_here"
    async with stage.relay(**env):
        await stage.alice.sends(other, "#idea of another")
        await stage.alice.sends(stage.group, "#idea 2")
        await stage.shows("#idea 1", "#idea 2")


async def test_a_name_that_nobody_has_stops_the_start_with_its_line(stage, routes):
    program = await stage.launch(**routes(source("one", "@nobody_at_all", stage.target.id)))
    assert await program.wait(timeout=30) == 2
    assert "routes.toml, line 3: " in program.output


async def test_a_database_of_one_route_goes_on_with_the_file(stage, routes):
    """What was posted before is answered, and what is edited is edited."""
    async with stage.relay():
        signal = await stage.alice.sends(stage.group, "#idea BTC")
        await stage.shows("#idea BTC")
    async with stage.relay(**routes(source("majors", stage.group.id, stage.target.id))):
        await stage.alice.sends(stage.group, "TP1", reply_to=signal)
        await stage.alice.edits(signal, "#idea BTC 4H")
        first, second = await stage.shows("#idea BTC 4H", "TP1")
    assert second.reply_to == first.id


async def test_what_one_source_waits_for_is_nothing_to_the_others(stage, routes):
    """To know whether a parent is lost Telegram is asked, and may want to be asked tomorrow."""
    other = stage.telegram.supergroup("Other", members=[stage.alice, stage.bob], admins=[stage.bot])
    place = stage.telegram.channel("Place", admins=[stage.bot])
    env = routes(source("one", stage.group.id, stage.target.id), source("two", other.id, place.id))
    async with stage.relay(**env):
        signal = await stage.alice.sends(stage.group, "#idea 1")
        await stage.shows("#idea 1")
    doubt = await stage.bob.sends(stage.group, "why?", reply_to=signal)
    await stage.alice.sends(stage.group, "because", reply_to=doubt)
    await stage.bob.deletes(doubt)
    stage.telegram.faults.on(READ, FloodWait(1_000))
    async with stage.relay(**env) as program:
        await program.wait_output("Telegram does not answer, intake waits", timeout=20)
        await stage.alice.sends(other, "#idea 2")
        await stage.shows("#idea 2", where=place)


async def test_a_gap_in_one_source_is_nothing_to_the_others(stage, routes):
    """What was missed there is not told, for now; what was missed elsewhere is not to wait for it."""
    other = stage.telegram.supergroup("Other", members=[stage.alice], admins=[stage.bot])
    place = stage.telegram.channel("Place", admins=[stage.bot])
    env = routes(source("one", stage.group.id, stage.target.id), source("two", other.id, place.id))
    async with stage.relay(**env):
        pass
    await stage.alice.sends(stage.group, "#idea 1")
    await stage.alice.sends(other, "#idea 2")
    hold = Hold()
    stage.telegram.faults.on(raw.functions.updates.GetChannelDifference, hold)
    async with stage.relay(**env) as program:
        await stage.shows("#idea 2", where=place)
        assert "updates cannot be asked for yet" not in program.output
        hold.release()
        await stage.shows("#idea 1")


# ── an afternoon ──


@dataclass(eq=False)
class Said:
    message: Message
    text: str
    parent: Said | None = None
    deleted: bool = False


@dataclass(eq=False)
class Read:
    """A source, and what its subscribers are to read of it."""

    name: str
    chat: Chat
    topic: object = None
    lines: list[Said] = field(default_factory=list)

    @property
    def address(self):
        return f"{self.chat.id}#{self.topic.id}" if self.topic else str(self.chat.id)

    @property
    def living(self):
        return [line for line in self.lines if not line.deleted]

    def expected(self):
        parents = {line: line.parent for line in self.lines}

        def standing(line):
            while line is not None and line.deleted:
                line = parents[line]
            return line and line.text

        return [(line.text, standing(line.parent)) for line in self.living]


class Afternoon:
    def __init__(self, stage, sources):
        self.stage = stage
        self.sources = sources
        self.chance = random.Random(16)
        self.number = 0

    async def happens(self):
        source = self.chance.choice(self.sources)
        happen = self.chance.choices(
            [self.signal, self.update, self.talk, self.edit, self.delete, self.album],
            [5, 6, 4, 2, 1, 1],
        )[0]
        if not source.living and happen is not self.talk:
            happen = self.signal
        await happen(source)

    def text(self, source, what):
        self.number += 1
        return f"{what} {source.name} {self.number}"

    async def signal(self, source):
        text = self.text(source, "#idea")
        sent = await self.stage.alice.sends(source.chat, text, topic=source.topic)
        source.lines.append(Said(sent, text))

    async def update(self, source):
        parent = self.chance.choice(source.living)
        text = self.text(source, "update")
        sent = await self.stage.alice.sends(source.chat, text, reply_to=parent.message)
        source.lines.append(Said(sent, text, parent))

    async def talk(self, source):
        answered = self.chance.choice(source.living).message if source.living else None
        text = self.text(source, "talk")
        how = {"reply_to": answered} if answered else {"topic": source.topic}
        await self.stage.bob.sends(source.chat, text, **how)

    async def edit(self, source):
        line = self.chance.choice(source.living)
        line.text = f"{line.text}, edited"
        await self.stage.alice.edits(line.message, line.text)

    async def delete(self, source):
        line = self.chance.choice(source.living)
        if any(other.parent is line for other in source.lines):
            return
        line.deleted = True
        await self.stage.alice.deletes(line.message)

    async def album(self, source):
        parent = self.chance.choice(source.living)
        text = self.text(source, "charts")
        photos = [self.stage.telegram.photo() for _ in range(2)]
        sent = await self.stage.alice.sends_album(
            source.chat, photos, caption=text, reply_to=parent.message
        )
        source.lines.append(Said(sent[0], text, parent))


def read_there(stage, where, source, topic=None):
    """What stands there of that source: each text, and the text of what it answers."""
    there = [each for each in stage.posted(where) if topic is None or each.topic == topic.id]
    texts = {each.id: each.text for each in there}
    return [
        (each.text, texts.get(each.reply_to)) for each in there if f" {source.name} " in each.text
    ]


@pytest.mark.heavy
@pytest.mark.parametrize("messages", [300])
async def test_three_sources_to_four_places_through_an_afternoon(stage, routes, messages):
    """A supergroup, a topic of a forum and a basic group; to a channel that two of them share, a
    topic, a group, and a channel of its own.
    """
    telegram, people = stage.telegram, [stage.alice, stage.bob, stage.carol]
    forum = telegram.supergroup("Forum", members=people, admins=[stage.bot], forum=True)
    topic = await stage.carol.opens_topic(forum, "Signals")
    small = telegram.group("Small", members=people, admins=[stage.bot])
    place = telegram.supergroup("Place", members=[stage.carol, stage.bot], forum=True)
    news = await stage.carol.opens_topic(place, "News")
    club = telegram.group("Club", members=[stage.carol, stage.bot])
    own = telegram.channel("Own", admins=[stage.bot])
    one, two, three = (
        Read("one", stage.group),
        Read("two", forum, topic),
        Read("three", small),
    )
    env = routes(
        source("one", one.address, stage.target.id, f"{place.id}#{news.id}"),
        source("two", two.address, stage.target.id, club.id),
        source("three", three.address, own.id),
    )
    afternoon = Afternoon(stage, [one, two, three])
    async with stage.relay(**env):
        for _ in range(messages):
            await afternoon.happens()
        await stage.bob.sends(forum, "#idea of another topic one ")
        shown = [
            (stage.target, one, None),
            (place, one, news),
            (stage.target, two, None),
            (club, two, None),
            (own, three, None),
        ]
        await telegram.wait_for(
            lambda: all(
                [text for text, _ in read_there(stage, where, who, of)]
                == [text for text, _ in who.expected()]
                for where, who, of in shown
            ),
            timeout=150,
            what="every place shows what it should",
        )
        for where, who, of in shown:
            assert read_there(stage, where, who, of) == who.expected()
    assert {each.topic for each in stage.posted(place)} == {news.id}
