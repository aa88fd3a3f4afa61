"""From where to where: one group to one channel, or three sources to four places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tests.loopback import Chat, Message
from tests.loopback.world import Topic
from tests.stage import Stage

# Instead of the settings for one route.
WITH_FILE = {"SOURCE_CHAT_ID": None, "TARGET_CHAT_ID": None, "SOURCE_ALLOWED_USERS": None}


class Room(NamedTuple):
    """A chat, or a topic of a forum."""

    chat: Chat
    topic: Topic | None = None

    def __str__(self) -> str:
        return f"{self.chat.id}#{self.topic.id}" if self.topic else str(self.chat.id)

    def has(self, message: Message) -> bool:
        return self.topic is None or message.topic == self.topic.id


class Route(NamedTuple):
    """`name`: stands in all that is said in the source, since a place may have several."""

    name: str
    source: Room
    places: Sequence[Room]

    def __str__(self) -> str:
        """As `routes.toml` has it."""
        head = f'[[source]]\nname = "{self.name}"\nchat = "{self.source}"\nallowed_users = "everyone"\n'
        return head + "".join(f'[[source.place]]\nchat = "{place}"\n' for place in self.places)


def one(stage: Stage) -> list[Route]:
    return [Route("", Room(stage.group), [Room(stage.target)])]


async def many(stage: Stage) -> list[Route]:
    """A supergroup, a topic of a forum and a basic group; to a channel that two of them share, a
    topic, a group, and a channel of its own.
    """
    telegram, people = stage.telegram, [stage.alice, stage.bob, stage.carol]
    forum = telegram.supergroup("Forum", members=people, admins=[stage.bot], forum=True)
    small = telegram.group("Small", members=people, admins=[stage.bot])
    place = telegram.supergroup("Place", admins=[stage.carol, stage.bot], forum=True)
    club = telegram.supergroup("Club", admins=[stage.carol, stage.bot])
    own = telegram.channel("Own", admins=[stage.carol, stage.bot])
    signals = await stage.carol.opens_topic(forum, "Signals")
    news = await stage.carol.opens_topic(place, "News")
    target = Room(stage.target)
    return [
        Route("one", Room(stage.group), [target, Room(place, news)]),
        Route("two", Room(forum, signals), [target, Room(club)]),
        Route("three", Room(small), [Room(own)]),
    ]
